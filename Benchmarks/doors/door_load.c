/* The mail servers, in C: they ask for decisions at a greylister's doors, from one epoll loop.
 *
 *     door_load -p PORT|-u SOCKET -d policy|milter [-m new|known|introduction|idle]
 *               [-c connections] [-k each] [-t seconds] [-w warm seconds] [-n decisions]
 *               [-f first] [-F friends] [-s]
 *
 * prints one JSON object: see report(). Loopback and unix sockets only: there is no option for the
 * host. A closed loop: each connection asks again when it has been answered.
 *
 *   -d policy  the Postfix policy protocol: a request as smtpd of Postfix 3.7 sends it at RCPT
 *   -d milter  the milter protocol, version 6, up to RCPT: what is wanted and what needs no answer
 *              is as the filter asks for; what needs none goes out together with what comes next,
 *              as Postfix does it. After the decision the message is aborted
 *   -s         (milter) a spare mail server: it offers no protocol steps, so every command is
 *              answered, and it sends hardly a macro
 *   -m new     decisions about triplets that never were; known: about -F friends, who have to be
 *              let in; introduction: about friends, who need not
 *   -m idle    opens all connections and leaves them where mail servers leave theirs: after one
 *              answered request (policy), after HELO (milter); prints "HELD n seconds" and holds
 *              them until its standard input ends
 *   -k         decisions on a connection, then a new one is opened; 0: no limit. With 1, latency
 *              counts from connecting on
 *   -n         ends after so many; -t is then the longest that it may take
 *
 * New triplets come from 8 million addresses in 32,768 networks /24; in the milter protocol all of
 * one connection come from one address. Friends come from networks of their own in the policy
 * protocol, and all from 10.200.0.1 in the other. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { ERRORS = 20, EVENTS = 512, HEARD = 8192, SAID = 4096 };
#define FINISH_SECONDS 20.0 /* for what is under way when the time is up */
#define HELD_SECONDS 90.0   /* until all that are to be held are */

enum door { POLICY, MILTER };
enum mode { NEW, KNOWN, INTRODUCTION, IDLE };
/* What comes next, or what an answer is awaited to. */
enum step { CLOSED, NEGOTIATE, CONNECT, HELO, MAIL, RCPT, DECISION, HELD };

/* Bits of the milter protocol: do not send, no answer to. */
enum { NO_CONNECT = 1, NO_HELO = 2, NO_MAIL = 4 };
enum { QUIET_CONNECT = 0x1000, QUIET_HELO = 0x2000, QUIET_MAIL = 0x4000 };
enum { VERSION = 6, ACTIONS = 0x1ff, STEPS = 0x1fffff }; /* as Postfix 3 and Sendmail 8.17 offer */

struct client {
    int fd, taken;
    enum step step;
    uint32_t agreed;
    long number, address; /* address: the number it was made of */
    double opened, began;
    size_t heard, said;
    char in[HEARD], out[SAID];
};

static struct {
    int port, connections, each, friends, spare;
    enum door door;
    enum mode mode;
    const char *path;
    double seconds, warm;
    long limit, first;
} plan = {.connections = 1, .friends = 1000, .seconds = 1};

static struct {
    long done, counted, passed, deferred, errors, opened;
    char first_error[200], example[100];
} outcome;

static struct client *clients;
static int epoll_fd, alive, held;
static long begun;
static double starts, ends;
static float *latencies;
static size_t room;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void failed(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    if (!outcome.errors++)
        vsnprintf(outcome.first_error, sizeof outcome.first_error, format, values);
    va_end(values);
}

static int over(void)
{
    if (plan.limit && begun >= plan.limit)
        return 1;
    return now() >= ends || outcome.errors >= ERRORS;
}

/* ---- who asks, about what */

static void client_address(const struct client *client, char *text, size_t size)
{
    unsigned long mixed = (unsigned long)client->address * 2654435761u;
    if (plan.mode == NEW)
        snprintf(text, size, "10.%lu.%lu.%lu", mixed & 127, mixed >> 7 & 255,
                 (mixed >> 15 & 255) % 254 + 1);
    else if (plan.door == MILTER)
        snprintf(text, size, "10.200.0.1");
    else {
        long friend = client->number % plan.friends;
        snprintf(text, size, "10.%ld.%ld.%ld", 200 + friend / 40000, friend / 200 % 200,
                 friend % 200 + 1);
    }
}

static void addresses(const struct client *client, char *sender, char *recipient, size_t size)
{
    long number = client->number, friend = number % plan.friends;
    if (plan.mode == NEW) {
        snprintf(sender, size, "n%lx@new%lx.test",
                 (unsigned long)number * 2654435761u & 0xffffffffff, number & 63);
        snprintf(recipient, size, "u%ld@local.test", number % 10000);
    } else {
        snprintf(sender, size, "w%ld@known.test", friend);
        snprintf(recipient, size, "u%ld@local.test", friend);
    }
}

/* ---- what is said */

static void say(struct client *client, const char *data, size_t size)
{
    if (client->said + size > SAID) {
        failed("a command is too long");
        return;
    }
    memcpy(client->out + client->said, data, size);
    client->said += size;
}

static void packet(struct client *client, char command, const char *data, size_t size)
{
    uint32_t length = htonl((uint32_t)size + 1);
    say(client, (const char *)&length, sizeof length);
    say(client, &command, 1);
    say(client, data, size);
}

/* Texts, each with its NUL; then a NULL. */
static size_t texts(char *to, ...)
{
    va_list values;
    va_start(values, to);
    size_t size = 0;
    for (const char *text; (text = va_arg(values, const char *)); size += strlen(text) + 1)
        strcpy(to + size, text);
    va_end(values);
    return size;
}

static void request(struct client *client)
{
    char address[48], sender[96], recipient[96], text[SAID];
    client_address(client, address, sizeof address);
    addresses(client, sender, recipient, sizeof sender);
    int size = snprintf(
        text, sizeof text,
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=%s\n"
        "client_name=host.known.test\nclient_port=4711\nreverse_client_name=host.known.test\n"
        "server_address=127.0.0.1\nserver_port=25\nhelo_name=host.known.test\nsender=%s\n"
        "recipient=%s\nrecipient_count=0\nqueue_id=\ninstance=%lx.%lx.0\nsize=0\netrn_domain=\n"
        "stress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
        "ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n"
        "encryption_cipher=\nencryption_keysize=0\npolicy_context=\n\n",
        address, sender, recipient, (unsigned long)client->number, (unsigned long)getpid());
    say(client, text, (size_t)size);
}

static void offer(struct client *client)
{
    uint32_t data[3] = {htonl(VERSION), htonl(ACTIONS), htonl(plan.spare ? 0 : STEPS)};
    packet(client, 'O', (const char *)data, sizeof data);
}

static void connect_command(struct client *client)
{
    char data[256], address[48];
    client_address(client, address, sizeof address);
    if (plan.spare)
        packet(client, 'D', data, texts(data, "Cj", "mx.local.test", NULL));
    else
        packet(client, 'D', data,
               texts(data, "Cj", "mx.local.test", "{daemon_name}", "smtpd", "{daemon_addr}",
                     "127.0.0.1", "v", "Postfix 3.7.11", NULL));
    size_t size = texts(data, "host.known.test", NULL);
    data[size++] = '4';
    data[size++] = 0x12;
    data[size++] = 0x34;
    packet(client, 'C', data, size + texts(data + size, address, NULL));
}

static void helo_command(struct client *client)
{
    char data[64];
    if (!plan.spare)
        packet(client, 'D', "H", 1);
    packet(client, 'H', data, texts(data, "host.known.test", NULL));
}

static void mail_command(struct client *client)
{
    char data[512], sender[96], recipient[96], path[100];
    addresses(client, sender, recipient, sizeof sender);
    if (plan.spare)
        packet(client, 'D', data, texts(data, "Mi", "Q1234", NULL));
    else
        packet(client, 'D', data,
               texts(data, "M{mail_addr}", sender, "{mail_host}", strchr(sender, '@') + 1,
                     "{mail_mailer}", "smtp", NULL));
    snprintf(path, sizeof path, "<%s>", sender);
    packet(client, 'M', data, texts(data, path, NULL));
}

static void rcpt_command(struct client *client)
{
    char data[512], sender[96], recipient[96], path[100];
    addresses(client, sender, recipient, sizeof sender);
    if (!plan.spare)
        packet(client, 'D', data,
               texts(data, "R{rcpt_addr}", recipient, "{rcpt_host}", "local.test",
                     "{rcpt_mailer}", "local", NULL));
    snprintf(path, sizeof path, "<%s>", recipient);
    packet(client, 'R', data, texts(data, path, NULL));
}

/* ---- the dialogue */

static void open_client(struct client *client);

static void close_client(struct client *client)
{
    if (client->step == CLOSED)
        return;
    close(client->fd);
    client->step = CLOSED;
    alive--;
}

static void lost(struct client *client, const char *why)
{
    failed("%s", why);
    close_client(client);
}

static void flush(struct client *client)
{
    size_t size = client->said;
    client->said = 0;
    if (size && send(client->fd, client->out, size, 0) != (ssize_t)size)
        lost(client, "the connection broke while sending");
}

static void begin(struct client *client)
{
    client->number = plan.first + ++begun;
    if (!client->taken || plan.door == POLICY)
        client->address = client->number;
    client->began = plan.each == 1 ? client->opened : now();
}

static void hold(struct client *client)
{
    flush(client);
    client->step = HELD;
    held++;
}

/* Send all up to the next command that is answered. */
static void advance(struct client *client)
{
    uint32_t agreed = client->agreed;
    int wait = 0;
    while (!wait)
        switch (client->step) {
        case NEGOTIATE:
            begin(client);
            client->step = CONNECT;
            offer(client);
            wait = 1;
            break;
        case CONNECT:
            client->step = HELO;
            if (!(agreed & NO_CONNECT)) {
                connect_command(client);
                wait = !(agreed & QUIET_CONNECT);
            }
            break;
        case HELO:
            client->step = MAIL;
            if (!(agreed & NO_HELO)) {
                helo_command(client);
                wait = !(agreed & QUIET_HELO);
            }
            break;
        case MAIL:
            if (plan.mode == IDLE) {
                hold(client);
                return;
            }
            client->step = RCPT;
            if (!(agreed & NO_MAIL)) {
                mail_command(client);
                wait = !(agreed & QUIET_MAIL);
            }
            break;
        case RCPT:
            client->step = DECISION;
            if (plan.door == POLICY)
                request(client);
            else
                rcpt_command(client);
            wait = 1;
            break;
        default: return;
        }
    flush(client);
}

static void next(struct client *client)
{
    if (over() || (plan.each && client->taken >= plan.each)) {
        if (plan.door == MILTER) {
            packet(client, 'Q', "", 0);
            flush(client);
        }
        close_client(client);
        if (!over())
            open_client(client);
        return;
    }
    begin(client);
    client->step = plan.door == POLICY ? RCPT : MAIL;
    advance(client);
}

static void decided(struct client *client, int passed, const char *answer)
{
    double at = now();
    outcome.done++;
    passed ? outcome.passed++ : outcome.deferred++;
    if ((plan.mode == NEW && passed) || (plan.mode == KNOWN && !passed))
        failed("number %ld was answered: %.80s", client->number, answer);
    snprintf(outcome.example, sizeof outcome.example, "%.90s", answer);
    client->taken++;
    if (plan.mode == IDLE) {
        hold(client);
        return;
    }
    if (at >= starts && (at <= ends || plan.limit)) {
        if ((size_t)outcome.counted == room) {
            room = room ? room * 2 : 65536;
            latencies = realloc(latencies, room * sizeof *latencies);
            if (!latencies)
                exit(1);
        }
        latencies[outcome.counted++] = (float)(at - client->began);
    }
    if (plan.door == MILTER)
        packet(client, 'A', "", 0); /* goes with what comes next */
    next(client);
}

static int is(const char *text, const char *word)
{
    return !strncasecmp(text, word, strlen(word));
}

static void hear_policy(struct client *client)
{
    char *end = client->heard >= 2 ? memmem(client->in, client->heard, "\n\n", 2) : NULL;
    if (!end)
        return;
    *end = 0;
    char *action = client->in + 7;
    if (client->step != DECISION || !is(client->in, "action=") ||
        end + 2 != client->in + client->heard) {
        lost(client, "no policy answer");
        return;
    }
    client->heard = 0;
    if (is(action, "DEFER") || *action == '4')
        decided(client, 0, action);
    else if (is(action, "DUNNO") || is(action, "PREPEND"))
        decided(client, 1, action);
    else
        lost(client, "an unexpected action");
}

static void hear_packet(struct client *client, char command, const char *data, size_t size)
{
    if (command == 'p')
        return;
    if (client->step == CONNECT && command == 'O' && size >= 12) {
        memcpy(&client->agreed, data + 8, 4);
        client->agreed = ntohl(client->agreed);
    } else if (client->step == DECISION && (command == 'y' || command == 't')) {
        decided(client, 0, command == 'y' ? data : "t");
        return;
    } else if (client->step == DECISION && (command == 'c' || command == 'a')) {
        decided(client, 1, "c");
        return;
    } else if (command != 'c' || client->step == DECISION || client->step == CONNECT) {
        failed("unexpected answer %c at step %d", command, (int)client->step);
        close_client(client);
        return;
    }
    advance(client);
}

static void hear_milter(struct client *client)
{
    while (client->step != CLOSED && client->heard >= 5) {
        uint32_t length;
        memcpy(&length, client->in, 4);
        length = ntohl(length);
        if (!length || length > HEARD - 8) {
            lost(client, "a packet of an absurd length");
            return;
        }
        if (client->heard < length + 4)
            return;
        char data[HEARD];
        char command = client->in[4];
        memcpy(data, client->in + 5, length - 1);
        data[length - 1] = 0;
        client->heard -= length + 4;
        memmove(client->in, client->in + 4 + length, client->heard);
        hear_packet(client, command, data, length - 1);
    }
}

static void hear(struct client *client)
{
    ssize_t size = recv(client->fd, client->in + client->heard, HEARD - client->heard, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        lost(client, client->heard == HEARD ? "an answer without end" : "closed by the greylister");
        return;
    }
    client->heard += (size_t)size;
    if (plan.door == POLICY)
        hear_policy(client);
    else
        hear_milter(client);
}

static void open_client(struct client *client)
{
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)plan.port)};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const int one = 1;
    int status;
    client->opened = now();
    client->heard = client->said = 0;
    client->taken = 0;
    client->fd = socket(plan.path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (plan.path) {
        strncpy(local.sun_path, plan.path, sizeof local.sun_path - 1);
        status = connect(client->fd, (void *)&local, sizeof local);
    } else {
        inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        status = connect(client->fd, (void *)&inet, sizeof inet);
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    if (client->fd < 0 || status) {
        failed("cannot connect: %s", strerror(errno));
        if (client->fd >= 0)
            close(client->fd);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event);
    outcome.opened++;
    alive++;
    if (plan.door == POLICY) {
        begin(client);
        client->step = RCPT;
    } else {
        client->step = NEGOTIATE;
    }
    advance(client);
}

static void listen_to_all(int milliseconds)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll_fd, events, EVENTS, milliseconds);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (client->step != CLOSED)
            hear(client);
    }
}

/* ---- what is told */

static int by_size(const void *one, const void *other)
{
    float a = *(const float *)one, b = *(const float *)other;
    return (a > b) - (a < b);
}

static double percentile(double share)
{
    if (!outcome.counted)
        return 0;
    return 1000.0 * (double)latencies[(size_t)((double)(outcome.counted - 1) * share)];
}

static void plain(char *text)
{
    for (; *text; text++)
        if (*text < 32 || *text > 126 || *text == '"' || *text == '\\')
            *text = '?';
}

static void report(double seconds)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    if (outcome.counted)
        qsort(latencies, (size_t)outcome.counted, sizeof *latencies, by_size);
    plain(outcome.first_error);
    plain(outcome.example);
    printf("{\"done\": %ld, \"passed\": %ld, \"deferred\": %ld, \"opened\": %ld, \"last\": %ld,"
           " \"errors\": %ld, \"first_error\": \"%s\", \"example\": \"%s\", \"per_second\": %.2f,"
           " \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"cpu_seconds\": %.4f}\n",
           outcome.done, outcome.passed, outcome.deferred, outcome.opened, plan.first + begun,
           outcome.errors, outcome.first_error, outcome.example,
           seconds > 0 ? (double)outcome.counted / seconds : 0, percentile(.5), percentile(.99),
           percentile(1), cpu);
}

static int named(const char *name, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(name, names[i]))
            return i;
    fprintf(stderr, "door_load: %s is none of those it knows\n", name);
    exit(2);
}

/* Fills in the plan; 0 if the options make no sense. */
static int plan_of(int count, char **values)
{
    static const char *const DOORS[] = {"policy", "milter", NULL};
    static const char *const MODES[] = {"new", "known", "introduction", "idle", NULL};
    int option;
    while ((option = getopt(count, values, "p:u:d:m:c:k:t:w:n:f:F:s")) > 0)
        switch (option) {
        case 'p': plan.port = atoi(optarg); break;
        case 'u': plan.path = optarg; break;
        case 'd': plan.door = (enum door)named(optarg, DOORS); break;
        case 'm': plan.mode = (enum mode)named(optarg, MODES); break;
        case 'c': plan.connections = atoi(optarg); break;
        case 'k': plan.each = atoi(optarg); break;
        case 't': plan.seconds = atof(optarg); break;
        case 'w': plan.warm = atof(optarg); break;
        case 'n': plan.limit = atol(optarg); break;
        case 'f': plan.first = atol(optarg); break;
        case 'F': plan.friends = atoi(optarg); break;
        case 's': plan.spare = 1; break;
        default: return 0;
        }
    if ((plan.port < 1 && !plan.path) || plan.connections < 1 || plan.friends < 1) {
        fputs("door_load: -p or -u is needed, and nothing may be absurd\n", stderr);
        return 0;
    }
    return 1;
}

static void hold_all(void)
{
    double began = now();
    for (int i = 0; i < plan.connections; i++) {
        open_client(&clients[i]);
        listen_to_all(0);
    }
    while (held < plan.connections && alive && now() < began + HELD_SECONDS)
        listen_to_all(100);
    printf("HELD %d %.3f\n", held, now() - began);
    fflush(stdout);
    while (getchar() != EOF)
        continue;
}

int main(int count, char **values)
{
    if (!plan_of(count, values))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc((size_t)plan.connections, sizeof *clients);
    if (!clients)
        return 1;
    double began = now();
    ends = began + plan.seconds;
    if (plan.mode == IDLE) {
        ends += HELD_SECONDS;
        hold_all();
        return 0;
    }
    starts = began + plan.warm;
    for (int i = 0; i < plan.connections; i++)
        open_client(&clients[i]);
    while (alive) {
        listen_to_all(100);
        if (now() > ends + FINISH_SECONDS) {
            failed("%d connections were not answered", alive);
            break;
        }
    }
    double until = now();
    report((until < ends || plan.limit ? until : ends) - starts);
    return 0;
}
