/* The mail server at the end, in C: takes everything, keeps nothing, counts all of it.
 *
 *     sink [-p PORT] [-j JOURNAL] [-n]
 *
 * prints its port and obeys as sink.py does: at each line on standard input it prints one JSON
 * object of what came since the last, and begins anew; at the end of the input it ends. Without a
 * port the system chooses one. -n: it does not offer PIPELINING. -j: the number of each message is
 * appended to that file, in one write and before the 250, so that whoever kills the sink finds
 * there all that it acknowledged.
 *
 * To recipients named stranger it says 451 and counts them. Loopback only. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message's number is in its first header lines, whatever a proxy puts before them. */
enum { BACKLOG = 4096, EVENTS = 512, READ_BYTES = 1 << 18, LINE_BYTES = 4096, HEAD_BYTES = 4096 };
static const char END[] = "\r\n.\r\n";
enum { END_BYTES = sizeof END - 1 };

struct session {
    int fd, in_text, over;
    size_t line_size, tail_size, head_size, answer_size;
    char line[LINE_BYTES];
    char tail[END_BYTES - 1]; /* the end of a message may be cut anywhere */
    char head[HEAD_BYTES + 1];
    char answer[8192];
};

static struct {
    long messages, strangers;
    unsigned long long number_sum, bytes;
} count;
static int journal = -1, epoll_fd, pipelining = 1;
static char input[READ_BYTES];

static void answer(struct session *session, const char *text)
{
    size_t size = strlen(text);
    if (session->answer_size + size > sizeof session->answer) {
        session->over = 1; /* thousands of commands in one read: nobody who is measured does so */
        return;
    }
    memcpy(session->answer + session->answer_size, text, size);
    session->answer_size += size;
}

static void command(struct session *session, const char *line)
{
    if (!strncasecmp(line, "MAIL", 4) || !strncasecmp(line, "RSET", 4) ||
        !strncasecmp(line, "NOOP", 4) || !strncasecmp(line, "HELO", 4) ||
        !strncasecmp(line, "XFOR", 4))
        answer(session, "250 2.0.0 Ok\r\n");
    else if (!strncasecmp(line, "RCPT", 4)) {
        if (strncmp(line + 8, "<stranger", 9))
            answer(session, "250 2.0.0 Ok\r\n");
        else {
            count.strangers++;
            answer(session, "451 4.7.1 try again later\r\n");
        }
    } else if (!strncasecmp(line, "DATA", 4)) {
        session->in_text = 1;
        session->head_size = 0;
        memcpy(session->tail, END, 2); /* so that a message of nothing but a dot ends, too */
        session->tail_size = 2;
        answer(session, "354 go on\r\n");
    } else if (!strncasecmp(line, "EHLO", 4)) {
        answer(session, "250-sink.example.org\r\n");
        if (pipelining)
            answer(session, "250-PIPELINING\r\n");
        answer(session, "250-SIZE 104857600\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    } else if (!strncasecmp(line, "QUIT", 4)) {
        session->over = 1;
        answer(session, "221 2.0.0 Bye\r\n");
    } else
        answer(session, "500 5.5.2 unknown command\r\n");
}

static void message_over(struct session *session)
{
    session->head[session->head_size] = 0;
    const char *mark = strstr(session->head, "X-Bench: ");
    unsigned long long number = mark ? strtoull(mark + 9, NULL, 10) : 0;
    if (journal >= 0) {
        char line[32];
        int size = snprintf(line, sizeof line, "%llu\n", number);
        if (write(journal, line, (size_t)size) != size) {
            perror("sink: journal");
            exit(1);
        }
    }
    count.messages++;
    count.number_sum += number;
    session->in_text = 0;
    answer(session, "250 2.0.0 Ok\r\n");
}

/* Takes what belongs to the message; gives how much that was. */
static size_t take_text(struct session *session, const char *data, size_t size)
{
    size_t head = HEAD_BYTES - session->head_size;
    if (head > size)
        head = size;
    memcpy(session->head + session->head_size, data, head);
    session->head_size += head;

    /* First across the cut, then in what is new. */
    char seam[2 * END_BYTES];
    size_t before = session->tail_size, fresh = size < END_BYTES - 1 ? size : END_BYTES - 1;
    memcpy(seam, session->tail, before);
    memcpy(seam + before, data, fresh);
    const char *end = memmem(seam, before + fresh, END, END_BYTES);
    size_t used = 0;
    if (end)
        used = (size_t)(end - seam) + END_BYTES - before;
    else if ((end = memmem(data, size, END, END_BYTES)))
        used = (size_t)(end - data) + END_BYTES;
    if (end) {
        count.bytes += used;
        message_over(session);
        return used;
    }
    count.bytes += size;
    size_t keep = before + fresh < END_BYTES - 1 ? before + fresh : END_BYTES - 1;
    const char *from = size >= END_BYTES - 1 ? data + size - keep : seam + before + fresh - keep;
    memmove(session->tail, from, keep);
    session->tail_size = keep;
    return size;
}

static size_t take_line(struct session *session, const char *data, size_t size)
{
    const char *newline = memchr(data, '\n', size);
    size_t used = newline ? (size_t)(newline - data) + 1 : size;
    if (session->line_size + used >= sizeof session->line) {
        session->over = 1;
        return size;
    }
    memcpy(session->line + session->line_size, data, used);
    session->line_size += used;
    if (newline) {
        session->line[session->line_size] = 0;
        session->line_size = 0;
        command(session, session->line);
    }
    return used;
}

static void serve(struct session *session)
{
    ssize_t size = read(session->fd, input, sizeof input);
    if (size < 0 && errno == EAGAIN)
        return;
    size_t used = 0;
    while (size > 0 && used < (size_t)size && !session->over)
        used += (session->in_text ? take_text : take_line)(session, input + used,
                                                           (size_t)size - used);
    /* Answers are short and their reader waits for them, so they always fit. */
    if (session->answer_size && write(session->fd, session->answer, session->answer_size) < 0)
        session->over = 1;
    session->answer_size = 0;
    if (size <= 0 || session->over) {
        close(session->fd);
        free(session);
    }
}

static void accept_all(int listener)
{
    for (;;) {
        int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct session *session = malloc(sizeof *session);
        if (!session) {
            close(fd);
            return;
        }
        session->fd = fd;
        session->in_text = session->over = 0;
        session->line_size = session->answer_size = session->tail_size = session->head_size = 0;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = session};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        static const char greeting[] = "220 sink.example.org ESMTP\r\n";
        if (write(fd, greeting, sizeof greeting - 1) < 0) {
            close(fd);
            free(session);
        }
    }
}

static void obey(void)
{
    char orders[1024];
    ssize_t size = read(0, orders, sizeof orders);
    if (size <= 0)
        exit(0);
    for (ssize_t i = 0; i < size; i++) {
        if (orders[i] != '\n')
            continue;
        printf("{\"messages\": %ld, \"number_sum\": %llu, \"bytes\": %llu, \"strangers\": %ld}\n",
               count.messages, count.number_sum, count.bytes, count.strangers);
        fflush(stdout);
        memset(&count, 0, sizeof count);
    }
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("sink: listen");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

static void add(int fd, void *mark)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

int main(int argument_count, char **arguments)
{
    int option, port = 0;
    while ((option = getopt(argument_count, arguments, "p:j:n")) > 0)
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'j': journal = open(optarg, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644); break;
        case 'n': pipelining = 0; break;
        default: return 2;
        }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(port);
    add(listener, &listener);
    add(0, &port);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &listener)
                accept_all(listener);
            else if (events[i].data.ptr == &port)
                obey();
            else
                serve(events[i].data.ptr);
        }
    }
}
