/* One batch of the comparison: measures a list of points with one library and prints a
 * CSV line for each. Started again and again, in turn with the other libraries' drivers,
 * by perf/bench-peers.
 *
 *     driver BATCH_MS POINT...        POINT: all_reduce:BYTES[:cold]
 *
 * A point's time is that of calls back to back after a barrier, the longest over ranks,
 * divided by their number, which is chosen so that a batch takes about BATCH_MS. BYTES is
 * the whole vector, as in nccl-tests; at least one element per rank. Every result is
 * checked. */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "perf/bench/library.h"
#include "perf/bench/line.h"

#define COLD_NBYTES                                                                      \
    ((size_t)192 << 20) /* of buffers gone through before any is reused                  \
                         */
#define MAX_CALLS 2000000

struct point {
    enum bench_op op;
    size_t nbytes; /* of the whole vector */
    bool cold;
};

struct run {
    const struct bench_team *team;
    struct point point;
    size_t count, send_stride, recv_stride; /* elements of a call; bytes of a slot */
    int nslots;
    char *send, *recv;
};

static const char *const op_names[BENCH_NOPS] = {"all_reduce", "all_gather",
                                                 "reduce_scatter"};

static void die(const char *text, const char *detail)
{
    fprintf(stderr, "bench-%s: %s %s\n", library_name, text, detail);
    fflush(stderr);
    _exit(3);
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct point point_parse(const char *text)
{
    struct point p = {0};
    const char *colon = strchr(text, ':');
    for (int op = 0; op < BENCH_NOPS && colon; op++) {
        if (strlen(op_names[op]) != (size_t)(colon - text) ||
            strncmp(text, op_names[op], (size_t)(colon - text)) != 0)
            continue;
        char *end;
        p.op = (enum bench_op)op;
        p.nbytes = strtoull(colon + 1, &end, 10);
        p.cold = strcmp(end, ":cold") == 0;
        if (p.nbytes > 0 && (!*end || p.cold))
            return p;
    }
    die("expected a point such as all_reduce:8 or all_gather:1024:cold, found", text);
    return p;
}

/* With a core for every rank each stays on its own; else the scheduler decides. */
static void pin(const struct bench_team *team)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;
    if (team->nranks > cores)
        return;
    CPU_ZERO(&set);
    CPU_SET(team->rank, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static void run_open(struct run *r, const struct bench_team *team, struct point p)
{
    size_t n = (size_t)team->nranks;
    size_t each = p.nbytes / sizeof(float) / (p.op == BENCH_ALL_REDUCE ? 1 : n);
    *r = (struct run){.team = team, .point = p, .count = each ? each : 1};
    size_t small = r->count * sizeof(float), large = small * n;
    size_t send = p.op == BENCH_REDUCE_SCATTER ? large : small;
    size_t recv = p.op == BENCH_ALL_GATHER ? large : small;
    r->send_stride = (send + 4095) / 4096 * 4096;
    r->recv_stride = (recv + 4095) / 4096 * 4096;
    r->nslots = 1;
    if (p.cold)
        r->nslots = (int)(COLD_NBYTES / (r->send_stride + r->recv_stride)) + 2;
    size_t slots = (size_t)r->nslots;
    r->send = library_alloc(slots * r->send_stride);
    r->recv = library_alloc(slots * r->recv_stride);
    memset(r->recv, 0, slots * r->recv_stride);
    float *values = (float *)(void *)r->send;
    for (size_t i = 0; i < slots * r->send_stride / sizeof(float); i++)
        values[i] = (float)(team->rank + 1);
}

static void call(const struct run *r, long i)
{
    size_t slot = (size_t)(i % r->nslots);
    library_run(r->point.op, r->send + slot * r->send_stride,
                r->recv + slot * r->recv_stride, r->count);
}

static void check(const struct run *r)
{
    int n = r->team->nranks;
    const float *found = (const float *)(const void *)r->recv;
    size_t total = r->point.op == BENCH_ALL_GATHER ? r->count * (size_t)n : r->count;
    for (size_t i = 0; i < total; i++) {
        float expected = r->point.op == BENCH_ALL_GATHER ? (float)(i / r->count + 1)
                                                         : (float)(n * (n + 1) / 2);
        if (found[i] != expected)
            die("wrong result in", op_names[r->point.op]);
    }
}

/* Longest over ranks. */
static double agree(const struct bench_team *team, double mine)
{
    double *all = malloc((size_t)team->nranks * sizeof *all);
    if (!all)
        die("out of", "memory");
    library_gather(&mine, all, sizeof mine);
    for (int i = 0; i < team->nranks; i++)
        mine = all[i] > mine ? all[i] : mine;
    free(all);
    return mine;
}

static double time_calls(const struct run *r, long n)
{
    library_barrier();
    library_barrier();
    double start = now_us();
    for (long i = 0; i < n; i++)
        call(r, i);
    return agree(r->team, (now_us() - start) / (double)n);
}

static void measure(struct line *line, const struct bench_team *team, struct point p,
                    double batch_ms)
{
    struct run r;
    run_open(&r, team, p);
    /* Every slot once: first use of pages, connections, registrations. */
    for (int i = 0; i < r.nslots; i++)
        call(&r, i);
    check(&r);
    double once_us = time_calls(&r, 3);
    double wanted = batch_ms * 1e3 / (once_us > 0.01 ? once_us : 0.01);
    long n = wanted < 3 ? 3 : wanted > MAX_CALLS ? MAX_CALLS : (long)wanted;
    double before = line_measure(line);
    double time_us = time_calls(&r, n);
    double after = line_measure(line);
    if (team->rank == 0)
        printf("%s,%d,%s,%zu,%s,%s,%.4f,%ld,%.1f,%.1f\n", library_name, team->nranks,
               op_names[p.op], p.nbytes, team->registered ? "registered" : "plain",
               p.cold ? "cold" : "warm", time_us, n, before, after);
    library_free(r.send);
    library_free(r.recv);
}

static int body(const struct bench_team *team, int argc, char **argv)
{
    struct line line;
    char *end = NULL;
    double batch_ms = argc > 2 ? strtod(argv[1], &end) : 0;
    if (argc < 3 || *end || !(batch_ms > 0) || batch_ms > 60000)
        die("usage: driver BATCH_MS POINT...,", "BATCH_MS from 0 to 60000");
    pin(team);
    line_open(&line, team->rank, team->nranks);
    for (int i = 2; i < argc; i++)
        measure(&line, team, point_parse(argv[i]), batch_ms);
    line_close(&line);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    return library_main(argc, argv, body);
}
