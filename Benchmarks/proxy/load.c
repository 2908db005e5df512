/* The clients, in C: many SMTP sessions from one epoll loop.
 *
 *     load -p PORT [-d message|stranger|introduction|visit|idle] [-c connections] [-k each]
 *          [-s bytes] [-t seconds] [-w warm seconds] [-n pieces] [-f first] [-r rate]
 *          [-F friends] [-P] [-R] [-o file]
 *
 * prints one JSON object with the fields of load.py's Outcome and some more. Loopback only: there
 * is no option for the host. It does what load.py does, at a tenth of the price, and then some:
 *
 *   -k 0     no QUIT before the time is up
 *   -n       ends after so many pieces of work; -t is then the longest that it may take
 *   -r       open loop: pieces a second, whether the server keeps up or not. Latency counts from
 *            when a piece was due, so a server that stands still cannot hide it
 *   -P       MAIL, RCPT and DATA in one write (RFC 2920)
 *   -R       patient, as a mail server is: what was not acknowledged, for whatever reason, is tried
 *            again under its number; connections that fail are opened anew
 *   -o       the numbers that were acknowledged, one a line
 *   -d idle  opens all connections, says EHLO, prints "HELD n seconds" and holds them until its
 *            standard input ends
 *
 * Each piece of work has a number, a message carries it in X-Bench. When the time is up nothing new
 * is begun and what is under way is seen to its end, so a message was acknowledged or was not:
 * "done" and "number_sum" have to be what the sink has.
 *
 * Friends come from one address, a stranger's connection each from a network of its own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load_parts.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24 /* else 28,000 ports are all there are */
#endif

enum { EVENTS = 512, AT_ONCE = 200, WRITE_BYTES = 1 << 18, REPLY_BYTES = 8192 };
#define FINISH_SECONDS 20.0  /* for what is under way when the time is up */
#define GREETED_SECONDS 90.0 /* for all who are to be held */
#define PAUSE_SECONDS 0.05   /* before a patient client connects again */

/* What a connection waits for: mostly the reply to that command. */
enum state { CLOSED, GREETING, EHLO, FREE, MAIL, RCPT, DATA, TEXT, RSET, QUIT, HELD };

struct client {
    int fd;
    enum state state;
    int writes; /* EPOLLOUT is asked for */
    int taken;  /* pieces of work on this connection */
    long number;
    double opened, began;
    char reply[REPLY_BYTES];
    size_t heard;
    char command[512]; /* what is to be sent: this, then the text */
    size_t command_size, command_sent;
    size_t text_left;
};

static struct client *clients;
static int epoll_fd, alive, opened_ever;
static double next_due;
static long *unused; /* with a rate: connections that are free */
static size_t unused_size;

static void finished(struct client *client)
{
    double at = now();
    outcome.done++;
    outcome.number_sum += (unsigned long long)client->number;
    if (plan.log)
        push(&known, &known_size, &known_room, client->number);
    if (at < starts || (at > ends && !plan.limit))
        return;
    took(at - client->began);
}

/* ---- the sockets */

static void watch(struct client *client, int writes)
{
    if (client->writes == writes)
        return;
    client->writes = writes;
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
}

static void close_client(struct client *client)
{
    if (client->state == CLOSED)
        return;
    if (client->state == FREE)
        for (size_t i = 0; i < unused_size; i++)
            if (unused[i] == client - clients)
                unused[i--] = unused[--unused_size];
    close(client->fd);
    client->state = CLOSED;
    client->opened = now(); /* of being closed: a patient client waits from then */
    alive--;
}

/* The connection is of no more use; what was under way was not acknowledged. */
static void lost(struct client *client, const char *why)
{
    int busy = client->state >= MAIL && client->state <= TEXT;
    if (plan.patient) {
        outcome.cut++;
        if (busy) {
            outcome.unclear += client->state == TEXT && !client->text_left;
            push(&again, &again_size, &again_room, client->number);
        }
    } else {
        failed("%s", why);
    }
    close_client(client);
}

static void flush(struct client *client)
{
    while (client->command_sent < client->command_size || client->text_left) {
        struct iovec parts[2];
        int count = 0;
        size_t head = client->command_size - client->command_sent;
        if (head)
            parts[count++] = (struct iovec){client->command + client->command_sent, head};
        if (client->text_left) {
            size_t some = client->text_left < WRITE_BYTES ? client->text_left : WRITE_BYTES;
            parts[count++] = (struct iovec){text + text_size - client->text_left, some};
        }
        ssize_t sent = writev(client->fd, parts, count);
        if (sent < 0) {
            if (errno == EAGAIN) {
                watch(client, 1);
                return;
            }
            lost(client, "the connection broke while sending");
            return;
        }
        size_t of_head = (size_t)sent < head ? (size_t)sent : head;
        client->command_sent += of_head;
        client->text_left -= (size_t)sent - of_head;
    }
    client->command_size = client->command_sent = 0;
    watch(client, 0);
}

static void say(struct client *client, enum state next, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    char *end = client->command + client->command_size;
    int size = vsnprintf(end, sizeof client->command - client->command_size, format, values);
    va_end(values);
    client->command_size += (size_t)size;
    client->state = next;
    flush(client);
}

static void open_client(struct client *client)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        failed("socket: %s", strerror(errno));
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    uint32_t source = 0x7f010001; /* 127.1.0.1 */
    if (plan.dialogue == STRANGER) {
        uint32_t nth = (uint32_t)(opened_ever + plan.first) % 60000;
        source = 0x7f020001 + (nth / 240 << 16) + (nth % 240 << 8);
    }
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    bind(fd, (struct sockaddr *)&from, sizeof from);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)plan.port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    client->fd = fd;
    client->taken = client->writes = 0;
    client->heard = client->command_size = client->command_sent = client->text_left = 0;
    client->opened = now();
    client->state = GREETING;
    opened_ever++;
    alive++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        lost(client, strerror(errno)); /* else a failure shows at the first read */
}

/* ---- the dialogues */

static void begin(struct client *client, double began)
{
    long number = client->number = take_number();
    client->began = began;
    client->taken++;
    if (plan.dialogue == STRANGER) {
        say(client, MAIL, "MAIL FROM:<sender%ld@example.net>\r\n", number);
        return;
    }
    long friend = number % plan.friends;
    char rest[200] = "";
    if (plan.pipelining)
        snprintf(rest, sizeof rest, "RCPT TO:<user%ld@example.org>\r\n%s", friend,
                 plan.dialogue == MESSAGE ? "DATA\r\n" : "");
    say(client, MAIL, "MAIL FROM:<friend%ld@example.net>\r\n%s", friend, rest);
}

static void next_piece(struct client *client)
{
    if (over() || (plan.each && client->taken >= plan.each))
        say(client, QUIT, "QUIT\r\n");
    else if (plan.rate > 0) {
        client->state = FREE;
        unused[unused_size++] = client - clients;
    } else
        begin(client, plan.each == 1 ? client->opened : now());
}

static void unexpected(struct client *client, const char *line)
{
    char why[160];
    snprintf(why, sizeof why, "unexpected in state %d: %.100s", client->state, line);
    lost(client, why);
}

/* A refusal of a message: a patient client tries again, for others it is an error. */
static void refused(struct client *client, const char *line)
{
    if (!plan.patient || line[0] != '4') {
        unexpected(client, line);
        return;
    }
    outcome.refused++;
    outcome.unclear += client->state == TEXT;
    push(&again, &again_size, &again_room, client->number);
    if (!strncmp(line, "421", 3)) {
        client->state = QUIT; /* the number is on the list already */
        close_client(client);
    } else if (client->state == TEXT)
        next_piece(client);
    else if (plan.pipelining) { /* replies to the rest of the batch are on their way */
        client->state = QUIT;
        close_client(client);
    } else
        say(client, RSET, "RSET\r\n");
}

static void rcpt_answered(struct client *client, const char *line)
{
    if (plan.dialogue == MESSAGE) {
        if (line[0] != '2')
            refused(client, line);
        else if (plan.pipelining)
            client->state = DATA;
        else
            say(client, DATA, "DATA\r\n");
        return;
    }
    if (line[0] == '4')
        outcome.deferred++;
    else if (plan.dialogue == STRANGER || line[0] != '2') {
        unexpected(client, line);
        return;
    }
    finished(client);
    say(client, RSET, "RSET\r\n");
}

static void answered(struct client *client, const char *line)
{
    char kind = line[0];
    switch (client->state) {
    case GREETING:
        if (kind != '2')
            unexpected(client, line);
        else if (plan.dialogue == VISIT) {
            client->number = take_number();
            client->began = client->opened;
            say(client, QUIT, "QUIT\r\n");
        } else
            say(client, EHLO, "EHLO client.example.net\r\n");
        break;
    case EHLO:
        if (kind != '2')
            unexpected(client, line);
        else if (plan.dialogue == IDLE)
            client->state = HELD;
        else
            next_piece(client);
        break;
    case MAIL:
        if (kind != '2')
            refused(client, line);
        else if (plan.pipelining && plan.dialogue != STRANGER)
            client->state = RCPT;
        else if (plan.dialogue == STRANGER)
            say(client, RCPT, "RCPT TO:<stranger%ld@example.org>\r\n", client->number % 1000);
        else
            say(client, RCPT, "RCPT TO:<user%ld@example.org>\r\n", client->number % plan.friends);
        break;
    case RCPT:
        rcpt_answered(client, line);
        break;
    case DATA:
        if (kind != '3') {
            refused(client, line);
            break;
        }
        client->text_left = text_size;
        say(client, TEXT, "X-Bench: %ld\r\n", client->number);
        break;
    case TEXT:
        if (kind != '2' || client->text_left) {
            refused(client, line);
            break;
        }
        finished(client);
        next_piece(client);
        break;
    case RSET:
        next_piece(client);
        break;
    case QUIT:
        if (plan.dialogue == VISIT)
            finished(client);
        close_client(client);
        break;
    default:
        unexpected(client, line);
    }
}

static void hear(struct client *client)
{
    ssize_t size = read(client->fd, client->reply + client->heard,
                        sizeof client->reply - 1 - client->heard);
    if (size < 0 && errno == EAGAIN)
        return;
    if (size <= 0) {
        if (client->state == QUIT)
            close_client(client);
        else
            lost(client, size ? strerror(errno) : "the connection was closed");
        return;
    }
    client->heard += (size_t)size;
    char *line = client->reply, *end = client->reply + client->heard, *newline;
    while ((newline = memchr(line, '\n', (size_t)(end - line)))) {
        *newline = 0;
        /* Only the last line of a reply has no hyphen behind its code. */
        if (newline - line < 4 || line[3] != '-')
            answered(client, line);
        if (client->state == CLOSED)
            return;
        line = newline + 1;
    }
    client->heard = (size_t)(end - line);
    memmove(client->reply, line, client->heard);
    if (client->heard == sizeof client->reply - 1)
        lost(client, "a line without end");
}

/* ---- the run */

static void open_more(void)
{
    int opened = 0;
    for (int i = 0; i < plan.connections && opened < AT_ONCE; i++) {
        struct client *client = &clients[i];
        if (client->state != CLOSED || (plan.dialogue == IDLE && client->opened > 0))
            continue; /* who is to be held and was hung up on does not come again */
        if (plan.patient && client->opened > 0 && now() < client->opened + PAUSE_SECONDS)
            continue;
        open_client(client);
        opened++;
    }
}

static void turn(int wait_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (client->state != CLOSED && events[i].events & EPOLLOUT)
            flush(client);
        if (client->state != CLOSED && events[i].events & ~EPOLLOUT)
            hear(client);
    }
}

static void keep_rate(void)
{
    while (unused_size && next_due <= now() && !over()) {
        begin(&clients[unused[--unused_size]], next_due);
        next_due += 1 / plan.rate;
    }
    if (over())
        while (unused_size)
            say(&clients[unused[--unused_size]], QUIT, "QUIT\r\n");
}

static int wait_ms(void)
{
    if (plan.rate > 0 && unused_size) {
        double left = next_due - now();
        return left <= 0 ? 0 : (int)(left * 1000); /* the last millisecond is spun */
    }
    return alive < plan.connections ? 5 : 50;
}

static void run(void)
{
    for (;;) {
        int stop = over();
        if (!stop && alive < plan.connections)
            open_more();
        if (plan.rate > 0)
            keep_rate();
        if (stop && !alive)
            return;
        if (now() > ends + FINISH_SECONDS) {
            failed("%d sessions did not end", alive);
            return;
        }
        turn(wait_ms());
    }
}

static void hold(void)
{
    double began = now(), taken;
    int held = 0, settled = 0;
    while (settled < plan.connections && now() < began + GREETED_SECONDS) {
        if (opened_ever < plan.connections)
            open_more();
        turn(opened_ever < plan.connections ? 0 : 20);
        held = settled = 0;
        for (int i = 0; i < plan.connections; i++) {
            enum state state = clients[i].state;
            held += state == HELD;
            settled += state == HELD || (state == CLOSED && clients[i].opened > 0);
        }
    }
    taken = now() - began;
    printf("HELD %d %.3f\n", held, taken);
    fflush(stdout);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char byte;
    for (;;) {
        turn(20);
        if (poll(&input, 1, 0) > 0 && read(0, &byte, 1) <= 0)
            break;
    }
    for (int i = 0; i < plan.connections; i++)
        outcome.done += clients[i].state == HELD; /* still there */
}

int main(int count, char **values)
{
    if (!plan_of(count, values))
        return 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    make_text();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients = checked(calloc((size_t)plan.connections, sizeof *clients));
    unused = checked(calloc((size_t)plan.connections, sizeof *unused));
    next_number = plan.first;
    double began = now();
    starts = next_due = began + plan.warm;
    ends = starts + plan.seconds;
    if (plan.rate > 0)
        next_due = began + 0.05; /* when all are greeted */
    if (plan.dialogue == IDLE)
        hold();
    else
        run();
    double until = now();
    report((plan.limit || until < ends ? until : ends) - starts);
    return plan.log && !write_log();
}
