#include "perf/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "perf/fail.h"
#include "perf/names.h"
#include "perf/number.h"

/* --min-time never asks for more than this. */
#define MAX_ITERS 100000000

/* ---- Life ----------------------------------------------------------------------------
 */

void worker_init(struct worker *w, struct session *s, int thread)
{
    size_t g = (size_t)s->o->nper_thread, n = (size_t)s->nranks;
    *w = (struct worker){
        .session = s,
        .thread = thread,
        .ranks = s->ranks + (size_t)thread * g,
        .speaks = thread == 0 && s->l->link.proc == 0,
        .data = fail_calloc(g, sizeof *w->data),
        .redops = fail_calloc(g, sizeof *w->redops),
        .calls = fail_calloc(g, sizeof *w->calls),
        .layouts = fail_calloc(g, sizeof *w->layouts),
        .segments = fail_calloc(g * n, sizeof *w->segments),
        .scratch = fail_calloc(g * 2 * n, sizeof *w->scratch),
    };
}

void worker_fini(struct worker *w)
{
    free(w->data);
    free(w->redops);
    free(w->calls);
    free(w->layouts);
    free(w->segments);
    free(w->scratch);
    free(w->times);
    free(w->process_times);
}

void worker_begin(struct worker *w, int type, int redop)
{
    const struct options *o = w->session->o;
    for (int i = 0; i < o->nper_thread; i++) {
        const struct session_rank *r = &w->ranks[i];
        data_init(&w->data[i], type, redop, w->session->nranks, o->seed);
        w->redops[i] = redop == DATA_COPY ? trncclSum : (trncclRedOp_t)redop;
        if (redop != NAMES_OP_MULSUM)
            continue;
        unsigned char scalar[8];
        number_store(scalar, names_type_nbytes(type), data_scalar(type, r->rank));
        fail_unless(trncclRedOpCreatePreMulSum(&w->redops[i], scalar,
                                               (trncclDataType_t)type,
                                               trncclScalarHostImmediate, r->comm),
                    "trncclRedOpCreatePreMulSum", r->rank, r->comm);
    }
}

void worker_end(struct worker *w, int redop)
{
    for (int i = 0; i < w->session->o->nper_thread; i++) {
        const struct session_rank *r = &w->ranks[i];
        data_fini(&w->data[i]);
        if (redop == NAMES_OP_MULSUM)
            fail_unless(trncclRedOpDestroy(w->redops[i], r->comm), "trncclRedOpDestroy",
                        r->rank, r->comm);
    }
}

/* ---- Placing ------------------------------------------------------------------------
 */

/* Slots of this half: strides and the number of them. */
struct slots {
    size_t send_stride, recv_stride;
    int n;
};

static struct slots slots_of(const struct worker *w, const struct measure_case *m)
{
    const struct options *o = w->session->o;
    size_t send = 0, recv = 0, esize = names_type_nbytes(m->type);
    for (int i = 0; i < o->nper_thread; i++) {
        const struct op_layout *l = &w->layouts[i];
        size_t larger = m->in_place && l->send_extent > l->recv_extent ? l->send_extent
                                                                       : l->recv_extent;
        send = !m->in_place && l->send_extent > send ? l->send_extent : send;
        recv = larger > recv ? larger : recv;
    }
    struct slots s = {session_slot_stride(o, send * esize),
                      session_slot_stride(o, recv * esize), 1};
    s.n = session_nslots(o, send * esize, recv * esize);
    /* Regions were sized for the largest need of any rank and place; stay inside them. */
    size_t fit_send = w->ranks[0].buffers.send_nbytes / s.send_stride;
    size_t fit_recv = w->ranks[0].buffers.recv_nbytes / s.recv_stride;
    size_t fit = m->in_place || fit_recv < fit_send ? fit_recv : fit_send;
    if ((size_t)s.n > fit)
        s.n = (int)fit;
    return s;
}

static struct check check_of(struct worker *w, const struct measure_case *m, int i,
                             const struct slots *slots, int slot)
{
    const struct options *o = w->session->o;
    struct session_buffers *b = &w->ranks[i].buffers;
    size_t esize = names_type_nbytes(m->type);
    unsigned char *recv = session_area(o, b->recv, slots->recv_stride, slot, esize);
    unsigned char *send =
        m->in_place ? recv : session_area(o, b->send, slots->send_stride, slot, esize);
    return (struct check){&w->layouts[i], &w->data[i], m->in_place, send, recv};
}

static void point_call(struct worker *w, const struct measure_case *m, int i,
                       const struct slots *slots, int slot)
{
    struct check k = check_of(w, m, i, slots, slot);
    size_t esize = k.data->elem_nbytes;
    w->calls[i].send = k.send + k.layout->send_at * esize;
    w->calls[i].recv = k.recv + k.layout->recv_at * esize;
}

static void place_ranks(struct worker *w, const struct measure_case *m)
{
    const struct session *s = w->session;
    size_t n = (size_t)s->nranks;
    for (int i = 0; i < s->o->nper_thread; i++) {
        struct session_rank *r = &w->ranks[i];
        struct op_call *call = &w->calls[i];
        ops_layout(s->o->op, &m->c, r->rank, m->in_place, w->segments + (size_t)i * n,
                   &w->layouts[i]);
        *call = (struct op_call){.type = (trncclDataType_t)m->type,
                                 .redop = w->redops[i],
                                 .comm = r->comm,
                                 .stream = r->stream};
        ops_call_init(s->o->op, &m->c, r->rank, w->scratch + (size_t)i * 2 * n, call);
    }
}

/* ---- Calling ------------------------------------------------------------------------
 */

static void call_failed(const struct worker *w, int i, trncclResult_t result)
{
    fail_unless(result, w->session->o->op->name, w->ranks[i].rank, w->ranks[i].comm);
}

/* One call on every rank of this thread. */
static void call_all(struct worker *w)
{
    const struct op *op = w->session->o->op;
    int g = w->session->o->nper_thread;
    if (g == 1) {
        call_failed(w, 0, op->run(&w->calls[0]));
        return;
    }
    fail_unless(trncclGroupStart(), "trncclGroupStart", w->ranks[0].rank, NULL);
    for (int i = 0; i < g; i++)
        call_failed(w, i, op->run(&w->calls[i]));
    fail_unless(trncclGroupEnd(), "trncclGroupEnd", w->ranks[0].rank, NULL);
}

static void wait_streams(struct worker *w)
{
    for (int i = 0; i < w->session->o->nper_thread; i++) {
        struct session_rank *r = &w->ranks[i];
        if (r->stream)
            fail_unless(trncclStreamSynchronize(r->stream), "trncclStreamSynchronize",
                        r->rank, r->comm);
    }
}

static void barrier(struct worker *w)
{
    team_barrier(&w->session->thread_team, w->thread);
}

/* Brings all ranks to the same moment through the library itself: after a sleeping
 * barrier ranks start tens of microseconds apart, longer than small collectives take. */
static void line_up(struct worker *w)
{
    barrier(w);
    int g = w->session->o->nper_thread;
    fail_unless(trncclGroupStart(), "trncclGroupStart", w->ranks[0].rank, NULL);
    for (int i = 0; i < g; i++)
        fail_unless(trncclBarrier(w->ranks[i].comm, w->ranks[i].stream), "trncclBarrier",
                    w->ranks[i].rank, w->ranks[i].comm);
    fail_unless(trncclGroupEnd(), "trncclGroupEnd", w->ranks[0].rank, NULL);
    wait_streams(w);
}

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- Timing -------------------------------------------------------------------------
 */

struct timing {
    double total_s; /* of all iterations */
    double cpu_s;   /* until the calls had returned */
};

/* agg_iters calls on consecutive slots. */
static void iteration(struct worker *w, const struct measure_case *m,
                      const struct slots *slots, long iter)
{
    const struct options *o = w->session->o;
    if (o->agg_iters > 1)
        fail_unless(trncclGroupStart(), "trncclGroupStart", w->ranks[0].rank, NULL);
    for (int a = 0; a < o->agg_iters; a++) {
        if (slots->n > 1) {
            int slot = (int)((iter * o->agg_iters + a) % slots->n);
            for (int i = 0; i < o->nper_thread; i++)
                point_call(w, m, i, slots, slot);
        }
        call_all(w);
    }
    if (o->agg_iters > 1)
        fail_unless(trncclGroupEnd(), "trncclGroupEnd", w->ranks[0].rank, NULL);
}

/* The plain case, with nothing in the loop but the call. */
static struct timing time_tight(struct worker *w, long iters)
{
    const struct op_call *call = &w->calls[0];
    trncclResult_t (*run)(const struct op_call *) = w->session->o->op->run;
    double start = now_s();
    for (long i = 0; i < iters; i++) {
        trncclResult_t result = run(call);
        if (__builtin_expect(result != trncclSuccess, 0))
            call_failed(w, 0, result);
    }
    double returned = now_s();
    wait_streams(w);
    return (struct timing){now_s() - start, returned - start};
}

static struct timing time_general(struct worker *w, const struct measure_case *m,
                                  const struct slots *slots, long iters)
{
    const struct options *o = w->session->o;
    struct timing t = {0};
    double start = now_s(), inside = 0;
    for (long i = 0; i < iters; i++) {
        double begin = now_s();
        iteration(w, m, slots, i);
        if (o->blocking || o->per_iter)
            wait_streams(w);
        if (o->blocking == 1)
            barrier(w);
        double took = now_s() - begin;
        inside += took;
        if (o->per_iter && (size_t)i < w->times_capacity)
            w->times[i] = took / o->agg_iters * 1e6;
        if (o->blocking == 3)
            barrier(w);
    }
    t.cpu_s = now_s() - start;
    wait_streams(w);
    t.total_s = now_s() - start;
    if (o->blocking == 3)
        t.total_s = t.cpu_s = inside;
    return t;
}

static bool is_tight(const struct options *o, const struct slots *slots)
{
    return o->nper_thread == 1 && o->agg_iters == 1 && !o->blocking && !o->per_iter &&
           slots->n == 1;
}

static double combine(const struct options *o, const double *values, int n)
{
    double sum = 0, least = values[0], most = values[0];
    for (int i = 0; i < n; i++) {
        sum += values[i];
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    switch (o->average) {
    case OPTIONS_RANK0:
        return values[0];
    case OPTIONS_MIN:
        return least;
    case OPTIONS_MAX:
        return most;
    default:
        return sum / n;
    }
}

static void reserve_times(struct worker *w, long iters)
{
    size_t n = (size_t)iters, nprocs = (size_t)w->session->l->link.nprocs;
    if (!w->session->o->per_iter || n <= w->times_capacity)
        return;
    free(w->times);
    free(w->process_times);
    w->times = fail_calloc(n, sizeof *w->times);
    w->process_times = fail_calloc(n * nprocs, sizeof *w->process_times);
    w->times_capacity = n;
}

/* Per iteration: the longest over the threads of each process, then over processes. */
static void gather_times(struct worker *w, long iters, struct report_half *half)
{
    struct session *s = w->session;
    size_t n = (size_t)iters, t = (size_t)s->o->nthreads, p = (size_t)s->l->link.nprocs;
    double *all = fail_malloc(n * t * p * sizeof *all);
    team_allgather(&s->thread_team, w->thread, w->times, all, n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        double longest = 0;
        for (size_t proc = 0; proc < p; proc++) {
            double here = 0;
            for (size_t k = 0; k < t; k++) {
                double one = all[(proc * t + k) * n + i];
                here = one > here ? one : here;
            }
            w->process_times[proc * n + i] = here;
            longest = here > longest ? here : longest;
        }
        w->times[i] = longest;
    }
    free(all);
    half->ntimes = n;
    half->times_us = w->times;
    half->process_times_us = w->process_times;
}

/* Times `iters` iterations; returns how long all of them took, the longest on any rank.
 */
static double time_once(struct worker *w, const struct measure_case *m,
                        const struct slots *slots, long iters, struct report_half *half)
{
    const struct options *o = w->session->o;
    int n = team_size(&w->session->thread_team);
    reserve_times(w, iters);
    line_up(w);
    struct timing mine =
        is_tight(o, slots) ? time_tight(w, iters) : time_general(w, m, slots, iters);
    struct timing *all = fail_malloc((size_t)n * sizeof *all);
    double *values = fail_malloc((size_t)n * sizeof *values);
    team_allgather(&w->session->thread_team, w->thread, &mine, all, sizeof mine);
    double longest = 0;
    for (int i = 0; i < n; i++) {
        values[i] = all[i].total_s;
        longest = values[i] > longest ? values[i] : longest;
    }
    double calls = (double)iters * o->agg_iters;
    half->time_us = combine(o, values, n) / calls * 1e6;
    for (int i = 0; i < n; i++)
        values[i] = all[i].cpu_s;
    half->cpu_us = combine(o, values, n) / calls * 1e6;
    half->niters = (int)iters;
    free(values);
    free(all);
    return longest;
}

static void time_half(struct worker *w, const struct measure_case *m,
                      const struct slots *slots, struct report_half *half)
{
    const struct options *o = w->session->o;
    for (int i = 0; i < o->warmup; i++)
        iteration(w, m, slots, i);
    wait_streams(w);
    long iters = o->iters;
    for (;;) {
        double took = time_once(w, m, slots, iters, half);
        if (took >= o->min_time_s || iters >= MAX_ITERS)
            break;
        /* Everybody computes this from the same gathered number. */
        double wanted = took > 0 ? (double)iters * 1.2 * o->min_time_s / took : 1e9;
        double most = 100.0 * (double)iters;
        wanted = wanted < most ? wanted : most;
        iters = wanted < MAX_ITERS ? (long)wanted + 1 : MAX_ITERS;
    }
    if (o->per_iter)
        gather_times(w, iters, half);
}

/* ---- Checking -----------------------------------------------------------------------
 */

static void prepare(struct worker *w, const struct measure_case *m,
                    const struct slots *slots, int slot)
{
    w->rep++;
    for (int i = 0; i < w->session->o->nper_thread; i++) {
        point_call(w, m, i, slots, slot);
        data_rep_set(&w->data[i], w->rep);
        struct check k = check_of(w, m, i, slots, slot);
        if (!check_prepare(&k))
            fail_with("out of memory for test data");
    }
    barrier(w);
}

struct finding {
    int rank;
    struct check_wrong wrong;
};

static struct finding verify(struct worker *w, const struct measure_case *m,
                             const struct slots *slots, int slot)
{
    struct finding found = {0};
    for (int i = 0; i < w->session->o->nper_thread; i++) {
        struct check_wrong one;
        struct check k = check_of(w, m, i, slots, slot);
        check_verify(&k, &one);
        if (one.nwrong == SIZE_MAX)
            fail_with("out of memory for expected data");
        if (one.nwrong > 0 && found.wrong.nwrong == 0) {
            found.rank = w->ranks[i].rank;
            found.wrong = one;
        } else {
            found.wrong.nwrong += one.nwrong;
        }
    }
    return found;
}

static void describe(const struct finding *f, int type, char *text)
{
    const struct check_wrong *c = &f->wrong;
    if (strstr(c->where, "guard"))
        snprintf(text, 256, "rank %d, %s: byte %zu was overwritten", f->rank, c->where,
                 c->index);
    else if (names_type_is_float(type))
        snprintf(text, 256,
                 "rank %d, %s: element %zu is %.9g (0x%llx), expected %.9g (0x%llx)",
                 f->rank, c->where, c->index, number_decode(type, c->found),
                 (unsigned long long)c->found, number_decode(type, c->expected),
                 (unsigned long long)c->expected);
    else
        snprintf(text, 256, "rank %d, %s: element %zu is 0x%llx, expected 0x%llx",
                 f->rank, c->where, c->index, (unsigned long long)c->found,
                 (unsigned long long)c->expected);
}

/* Wrong elements on all ranks, the same number on every thread. */
static long long check_once(struct worker *w, const struct measure_case *m,
                            const struct slots *slots, int slot, char *first_wrong)
{
    int n = team_size(&w->session->thread_team);
    prepare(w, m, slots, slot);
    call_all(w);
    wait_streams(w);
    struct finding mine = verify(w, m, slots, slot);
    struct finding *all = fail_malloc((size_t)n * sizeof *all);
    team_allgather(&w->session->thread_team, w->thread, &mine, all, sizeof mine);
    long long nwrong = 0;
    for (int i = 0; i < n; i++) {
        if (all[i].wrong.nwrong > 0 && nwrong == 0)
            describe(&all[i], m->type, first_wrong);
        nwrong += (long long)all[i].wrong.nwrong;
    }
    free(all);
    return nwrong;
}

/* Whether an imported schedule serves this half: the library refuses before it begins, on
 * every rank alike. */
static bool is_served(struct worker *w, char *why)
{
    const struct options *o = w->session->o;
    if (!o->schedule)
        return true;
    trncclResult_t worst = trncclGroupStart();
    for (int i = 0; i < o->nper_thread && worst == trncclSuccess; i++)
        worst = o->op->run(&w->calls[i]);
    trncclResult_t ended = trncclGroupEnd();
    if (worst == trncclSuccess)
        worst = ended;
    if (worst == trncclInvalidUsage) {
        snprintf(why, 256, "%s", trncclGetLastError(w->ranks[0].comm));
        return false;
    }
    call_failed(w, 0, worst);
    wait_streams(w);
    const char *ran = "";
    call_failed(w, 0, trncclCommGetAlgorithm(w->ranks[0].comm, &ran));
    if (!*ran || strncmp(ran, "msccl-", 6) == 0) /* nothing runs without elements */
        return true;
    snprintf(why, 256, "%s is not for %s", o->schedule, o->op->name);
    return false;
}

void worker_measure(struct worker *w, const struct measure_case *m,
                    struct report_half *half, char *first_wrong)
{
    const struct options *o = w->session->o;
    *half = (struct report_half){.present = true, .nwrong = -1};
    first_wrong[0] = '\0';
    place_ranks(w, m);
    struct slots slots = slots_of(w, m);
    prepare(w, m, &slots, 0);
    half->present = is_served(w, first_wrong);
    if (!half->present)
        return;
    prepare(w, m, &slots, 0);
    time_half(w, m, &slots, half);

    double nbytes = (double)ops_volume(o->op, &m->c) * (double)names_type_nbytes(m->type);
    half->alg_gbps = half->time_us > 0 ? nbytes / half->time_us / 1e3 : 0;
    half->bus_gbps = half->alg_gbps * ops_bus_factor(o->op, w->session->nranks);

    if (o->op->flags & OP_NO_DATA)
        return;
    for (int c = 0; c < o->check; c++) {
        half->nwrong = check_once(w, m, &slots, c % slots.n, first_wrong);
        if (half->nwrong > 0)
            break;
    }
}
