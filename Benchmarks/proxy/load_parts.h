/* What load.c is told and what it tells: its options, the text of a message, counts and
 * percentiles, the report. No sockets here. Part of load.c, apart from it for its length only. */
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ERRORS = 20 }; /* after so many the run ends */

enum dialogue { MESSAGE, STRANGER, INTRODUCTION, VISIT, IDLE };
static const char *const DIALOGUES[] = {"message", "stranger", "introduction", "visit", "idle"};

static struct {
    int port, connections, each, pipelining, patient, friends;
    enum dialogue dialogue;
    size_t size;
    double seconds, warm, rate;
    long limit, first;
    const char *log;
} plan = {.connections = 1, .each = 1, .friends = 1000, .seconds = 1, .size = 1000};

static struct {
    long done, counted, deferred, errors, refused, cut, unclear;
    unsigned long long number_sum;
    char first_error[200];
} outcome;

static char *text;
static size_t text_size;
static float *latencies;
static size_t latencies_room;
static long *again, *known; /* numbers to be tried again; numbers acknowledged */
static size_t again_size, again_room, known_size, known_room;
static long next_number, begun;
static double starts, ends; /* of the time that counts */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *checked(void *memory)
{
    if (!memory) {
        fputs("load: no memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void push(long **list, size_t *size, size_t *room, long number)
{
    if (*size == *room) {
        *room = *room ? *room * 2 : 1024;
        *list = checked(realloc(*list, *room * sizeof **list));
    }
    (*list)[(*size)++] = number;
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
    if (plan.limit && begun >= plan.limit && !again_size)
        return 1;
    return now() >= ends || (outcome.errors >= ERRORS && !plan.patient);
}

static long take_number(void)
{
    if (again_size)
        return again[--again_size];
    begun++;
    return ++next_number;
}

static void took(double seconds)
{
    if ((size_t)outcome.counted == latencies_room) {
        latencies_room = latencies_room ? latencies_room * 2 : 65536;
        latencies = checked(realloc(latencies, latencies_room * sizeof *latencies));
    }
    latencies[outcome.counted++] = (float)seconds;
}

static void make_text(void)
{
    static const char HEAD[] = "From: <friend@example.net>\r\nSubject: a benchmark\r\n\r\n";
    static const char LETTERS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t random = 88172645463325252u;
    text = checked(malloc(plan.size + sizeof HEAD + 100));
    text_size = sizeof HEAD - 1;
    memcpy(text, HEAD, text_size);
    while (text_size < plan.size) { /* lines as an attachment has them */
        for (int i = 0; i < 76; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            text[text_size++] = LETTERS[random & 63];
        }
        text[text_size++] = '\r';
        text[text_size++] = '\n';
    }
    memcpy(text + text_size, ".\r\n", 3);
    text_size += 3;
}

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

static void report(double seconds)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    if (outcome.counted)
        qsort(latencies, (size_t)outcome.counted, sizeof *latencies, by_size);
    for (char *byte = outcome.first_error; *byte; byte++)
        if (*byte < 32 || *byte > 126 || *byte == '"' || *byte == '\\')
            *byte = '?';
    printf("{\"done\": %ld, \"number_sum\": %llu, \"deferred\": %ld, \"last\": %ld,"
           " \"errors\": %ld,"
           " \"first_error\": \"%s\", \"per_second\": %.2f, \"p50_ms\": %.4f, \"p99_ms\": %.4f,"
           " \"max_ms\": %.4f, \"cpu_seconds\": %.4f, \"refused\": %ld, \"cut\": %ld,"
           " \"unclear\": %ld, \"waiting\": %zu}\n",
           outcome.done, outcome.number_sum, outcome.deferred, next_number, outcome.errors,
           outcome.first_error, seconds > 0 ? (double)outcome.counted / seconds : 0,
           percentile(.5), percentile(.99), percentile(1), cpu, outcome.refused, outcome.cut,
           outcome.unclear, again_size);
}

static int write_log(void)
{
    FILE *file = fopen(plan.log, "w");
    if (!file)
        return 0;
    for (size_t i = 0; i < known_size; i++)
        fprintf(file, "%ld\n", known[i]);
    return !fclose(file);
}

static int dialogue_named(const char *name)
{
    for (int i = 0; i <= IDLE; i++)
        if (!strcmp(name, DIALOGUES[i]))
            return i;
    fprintf(stderr, "load: %s is no dialogue\n", name);
    exit(2);
}

/* Fills in the plan; 0 if the options make no sense. */
static int plan_of(int count, char **values)
{
    int option;
    while ((option = getopt(count, values, "p:d:c:k:s:t:w:n:f:r:F:o:PR")) > 0)
        switch (option) {
        case 'p': plan.port = atoi(optarg); break;
        case 'd': plan.dialogue = (enum dialogue)dialogue_named(optarg); break;
        case 'c': plan.connections = atoi(optarg); break;
        case 'k': plan.each = atoi(optarg); break;
        case 's': plan.size = strtoul(optarg, NULL, 10); break;
        case 't': plan.seconds = atof(optarg); break;
        case 'w': plan.warm = atof(optarg); break;
        case 'n': plan.limit = atol(optarg); break;
        case 'f': plan.first = atol(optarg); break;
        case 'r': plan.rate = atof(optarg); break;
        case 'F': plan.friends = atoi(optarg); break;
        case 'o': plan.log = optarg; break;
        case 'P': plan.pipelining = 1; break;
        case 'R': plan.patient = 1; break;
        default: return 0;
        }
    if (plan.port < 1 || plan.connections < 1 || plan.friends < 1 || plan.size > (1u << 30)) {
        fputs("load: -p is needed, and nothing may be absurd\n", stderr);
        return 0;
    }
    return 1;
}
