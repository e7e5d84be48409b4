#include "perf/session.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/host.h"
#include "perf/names.h"

#define PAGE 4096
/* Enough slots that what one iteration touched has left the cache when it comes again;
 * bounded because the areas lie a page apart and share few cache sets. */
#define COLD_CACHES 4
#define MAX_SLOTS 4096
/* Of the available memory, what buffers may take; the rest is for the library's staging
 * and everybody else. */
#define MEMORY_SHARE 0.75

/* ---- Sizes and slots ----------------------------------------------------------------
 */

size_t session_slot_stride(const struct options *o, size_t nbytes)
{
    size_t total = PAGE + (size_t)o->unalign * 8 + nbytes + CHECK_GUARD_BYTES;
    return (total + PAGE - 1) / PAGE * PAGE;
}

int session_nslots(const struct options *o, size_t send_nbytes, size_t recv_nbytes)
{
    size_t slots = 1;
    if (o->unique_buffers)
        slots = (size_t)o->iters * (size_t)o->agg_iters;
    if (o->cold) {
        size_t once =
            session_slot_stride(o, send_nbytes) + session_slot_stride(o, recv_nbytes);
        slots = COLD_CACHES * host_cache_nbytes() / once + 2;
    }
    return slots < MAX_SLOTS ? (int)slots : MAX_SLOTS;
}

unsigned char *session_area(const struct options *o, unsigned char *region, size_t stride,
                            int slot, size_t elem_nbytes)
{
    return region + (size_t)slot * stride + PAGE + (size_t)o->unalign * elem_nbytes;
}

size_t session_next_size(const struct session *s, size_t nbytes)
{
    const struct options *o = s->o;
    size_t next;
    if (o->step_factor > 1 ? __builtin_mul_overflow(nbytes, (size_t)o->step_factor, &next)
                           : __builtin_add_overflow(nbytes, o->step_nbytes, &next))
        return 0;
    return next > nbytes && next <= s->max_nbytes ? next : 0;
}

void session_case(const struct session *s, size_t nbytes, int type, size_t *counts,
                  struct op_case *c)
{
    const struct op *op = s->o->op;
    size_t total = nbytes / names_type_nbytes(type);
    int root = c->root;
    *c = (struct op_case){
        .nranks = s->nranks,
        .root = root,
        .count = op->divides ? total / (size_t)s->nranks : total,
        .counts = counts,
        .pairs = s->o->pairs,
        .npairs = s->o->npairs,
    };
    if (!(op->flags & OP_VARIES))
        return;
    /* Only all-to-all has a count per pair of ranks, and it alone has no in-place form.
     */
    if (op->flags & OP_IN_PLACE)
        vsizes_counts(&s->o->vsizes, s->nranks, total, counts);
    else
        vsizes_matrix(&s->o->vsizes, s->nranks, total, counts);
}

/* Largest areas, in bytes, that any rank needs for one size. */
static void areas_for(const struct session *s, size_t nbytes, size_t *send, size_t *recv)
{
    const struct options *o = s->o;
    size_t n = (size_t)s->nranks;
    size_t *counts = fail_malloc(n * n * sizeof *counts);
    struct op_segment *segments = fail_malloc(n * sizeof *segments);
    *send = *recv = 0;
    for (int type = 0; type < trncclNumTypes; type++) {
        if (o->type >= 0 && o->type != type)
            continue;
        struct op_case c = {0};
        session_case(s, nbytes, type, counts, &c);
        for (int rank = 0; rank < s->nranks; rank++) {
            for (int place = 0; place < 2; place++) {
                if (place && !(o->op->flags & OP_IN_PLACE))
                    continue;
                struct op_layout l;
                ops_layout(o->op, &c, rank, place, segments, &l);
                size_t esize = names_type_nbytes(type);
                size_t larger = place && l.send_extent > l.recv_extent ? l.send_extent
                                                                       : l.recv_extent;
                if (!place && l.send_extent * esize > *send)
                    *send = l.send_extent * esize;
                if (larger * esize > *recv)
                    *recv = larger * esize;
            }
        }
    }
    free(counts);
    free(segments);
}

/* Regions that serve every size up to `max_nbytes`. */
static void regions_for(const struct session *s, size_t max_nbytes, size_t *send,
                        size_t *recv)
{
    struct session probe = *s;
    probe.max_nbytes = max_nbytes;
    *send = *recv = 0;
    size_t nbytes = s->o->min_nbytes < max_nbytes ? s->o->min_nbytes : max_nbytes;
    for (bool more = true; more;) {
        size_t send_area, recv_area;
        areas_for(s, nbytes, &send_area, &recv_area);
        size_t slots = (size_t)session_nslots(s->o, send_area, recv_area);
        size_t send_total = slots * session_slot_stride(s->o, send_area);
        size_t recv_total = slots * session_slot_stride(s->o, recv_area);
        *send = send_total > *send ? send_total : *send;
        *recv = recv_total > *recv ? recv_total : *recv;
        /* A long additive sweep needs only its ends, when slots do not vary. */
        size_t next = session_next_size(&probe, nbytes);
        bool skip = s->o->step_factor < 2 && !s->o->cold && next && next < max_nbytes;
        more = next != 0;
        nbytes = skip ? max_nbytes : next;
    }
}

/* The same on all processes: the one with the least room decides. */
static void fit_memory(struct session *s)
{
    size_t available = host_memory_available();
    int here = 0;
    const struct report_rank *me = &s->all_ranks[s->l->link.proc * s->nlocal];
    for (int i = 0; i < s->nranks; i++)
        here += strcmp(s->all_ranks[i].host, me->host) == 0;
    size_t mine = available == SIZE_MAX
                      ? SIZE_MAX
                      : (size_t)((double)available * MEMORY_SHARE / here);
    size_t *all = fail_malloc((size_t)s->l->link.nprocs * sizeof *all);
    s->l->link.allgather(s->l->link.context, &mine, all, sizeof mine);
    for (int p = 0; p < s->l->link.nprocs; p++)
        mine = all[p] < mine ? all[p] : mine;
    free(all);

    s->max_nbytes = s->o->max_nbytes;
    regions_for(s, s->max_nbytes, &s->send_region, &s->recv_region);
    while (s->send_region + s->recv_region > mine && s->max_nbytes > 0) {
        size_t first = s->o->min_nbytes, half = s->max_nbytes / 2;
        s->max_nbytes = half < first && first < s->max_nbytes ? first : half;
        regions_for(s, s->max_nbytes, &s->send_region, &s->recv_region);
    }
}

/* ---- Beginning and end --------------------------------------------------------------
 */

static void gather_ranks(struct session *s)
{
    struct report_rank *mine = fail_calloc((size_t)s->nlocal, sizeof *mine);
    for (int i = 0; i < s->nlocal; i++) {
        mine[i].rank = s->l->link.proc * s->nlocal + i;
        mine[i].pid = (int)getpid();
        mine[i].device = mine[i].rank;
        if (gethostname(mine[i].host, sizeof mine[i].host - 1) != 0)
            strcpy(mine[i].host, "?");
        host_cpu_model(mine[i].cpu, sizeof mine[i].cpu);
    }
    s->all_ranks = fail_calloc((size_t)s->nranks, sizeof *s->all_ranks);
    s->l->link.allgather(s->l->link.context, mine, s->all_ranks,
                         (size_t)s->nlocal * sizeof *mine);
    free(mine);
}

/* Under MPI the library gathers through MPI; else process 0 offers a rendezvous. */
static void share_id(struct session *s)
{
    const struct team_link *link = &s->l->link;
    if (s->l->under_mpi)
        return;
    trncclUniqueId mine;
    memset(&mine, 0, sizeof mine);
    if (link->proc == 0)
        fail_unless(trncclGetUniqueId(&mine), "trncclGetUniqueId", 0, NULL);
    trncclUniqueId *all = fail_malloc((size_t)link->nprocs * sizeof *all);
    link->allgather(link->context, &mine, all, sizeof mine);
    s->id = all[0];
    free(all);
}

const char *session_misfit(const struct session *s, char *why, size_t why_nbytes)
{
    char first[32], most[32];
    if (s->o->op->flags & OP_NO_DATA || s->o->min_nbytes <= s->max_nbytes)
        return NULL;
    snprintf(why, why_nbytes,
             "-b %s: buffers of that size do not fit into the memory that is available; "
             "those of %s would",
             names_size_format(s->o->min_nbytes, first, sizeof first),
             names_size_format(s->max_nbytes, most, sizeof most));
    return why;
}

void session_init(struct session *s, const struct options *o, const struct launch *l)
{
    *s = (struct session){.o = o, .l = l, .nlocal = o->nthreads * o->nper_thread};
    s->nranks = s->nlocal * l->link.nprocs;
    team_init(&s->rank_team, &l->link, s->nlocal);
    team_init(&s->thread_team, &l->link, o->nthreads);
    s->ranks = fail_calloc((size_t)s->nlocal, sizeof *s->ranks);
    for (int i = 0; i < s->nlocal; i++) {
        s->ranks[i].session = s;
        s->ranks[i].local = i;
        s->ranks[i].rank = l->link.proc * s->nlocal + i;
    }
    gather_ranks(s);
    fit_memory(s);
    share_id(s);
}

void session_fini(struct session *s)
{
    team_fini(&s->rank_team);
    team_fini(&s->thread_team);
    free(s->ranks);
    free(s->all_ranks);
}

/* ---- Ranks --------------------------------------------------------------------------
 */

static int oob_allgather(void *context, const void *mine, void *all, size_t nbytes)
{
    struct session_rank *r = context;
    team_allgather(&r->session->rank_team, r->local, mine, all, nbytes);
    return 0;
}

static void open_comm(struct session_rank *r)
{
    struct session *s = r->session;
    const struct options *o = s->o;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.algo = o->algo ? o->algo_setting : NULL;
    config.transport = o->transport;
    if (o->timeout_s > 0)
        config.timeoutMs = (int)(o->timeout_s * 1000 < 1 ? 1 : o->timeout_s * 1000);
    if (s->l->under_mpi) {
        config.oobAllgather = oob_allgather;
        config.oobContext = r;
    }
    trncclResult_t result =
        trncclCommInitRankConfig(&r->comm, s->nranks, s->id, r->rank, &config);
    /* Of all arguments only these are the user's. */
    if (result == trncclInvalidArgument && (o->algo || o->transport))
        fail_usage("%s", trncclGetLastError(NULL));
    fail_unless(result, "trncclCommInitRankConfig", r->rank, NULL);
    if (!o->stream_null)
        fail_unless(trncclStreamCreate(&r->stream), "trncclStreamCreate", r->rank, NULL);
}

static unsigned char *open_region(struct session_rank *r, size_t nbytes, void **handle,
                                  trncclWindow_t *window)
{
    enum options_register mode = r->session->o->local_register;
    void *region = NULL;
    if (mode == OPTIONS_PLAIN) {
        if (posix_memalign(&region, PAGE, nbytes) != 0)
            fail_with("rank %d: no memory for a buffer of %zu bytes", r->rank, nbytes);
    } else {
        fail_unless(trncclMemAlloc(&region, nbytes), "trncclMemAlloc", r->rank, NULL);
    }
    if (mode == OPTIONS_REGISTERED)
        fail_unless(trncclCommRegister(r->comm, region, nbytes, handle),
                    "trncclCommRegister", r->rank, r->comm);
    if (mode == OPTIONS_SYMMETRIC)
        fail_unless(trncclCommWindowRegister(r->comm, region, nbytes, window,
                                             TRNCCL_WIN_COLL_SYMMETRIC),
                    "trncclCommWindowRegister", r->rank, r->comm);
    /* Iterations that go through slots must not meet pages for the first time. */
    if (r->session->o->cold || r->session->o->unique_buffers)
        memset(region, 0, nbytes);
    return region;
}

static void *open_rank(void *arg)
{
    struct session_rank *r = arg;
    struct session_buffers *b = &r->buffers;
    open_comm(r);
    b->send_nbytes = r->session->send_region;
    b->recv_nbytes = r->session->recv_region;
    b->send = open_region(r, b->send_nbytes, &b->send_handle, &b->send_window);
    b->recv = open_region(r, b->recv_nbytes, &b->recv_handle, &b->recv_window);
    return NULL;
}

static void close_region(struct session_rank *r, unsigned char *region, void *handle,
                         trncclWindow_t window)
{
    enum options_register mode = r->session->o->local_register;
    if (mode == OPTIONS_REGISTERED)
        fail_unless(trncclCommDeregister(r->comm, handle), "trncclCommDeregister",
                    r->rank, r->comm);
    if (mode == OPTIONS_SYMMETRIC)
        fail_unless(trncclCommWindowDeregister(r->comm, window),
                    "trncclCommWindowDeregister", r->rank, r->comm);
    if (mode == OPTIONS_PLAIN)
        free(region);
    else
        fail_unless(trncclMemFree(region), "trncclMemFree", r->rank, NULL);
}

static void *close_rank(void *arg)
{
    struct session_rank *r = arg;
    struct session_buffers *b = &r->buffers;
    close_region(r, b->send, b->send_handle, b->send_window);
    close_region(r, b->recv, b->recv_handle, b->recv_window);
    if (r->stream)
        fail_unless(trncclStreamDestroy(r->stream), "trncclStreamDestroy", r->rank, NULL);
    fail_unless(trncclCommDestroy(r->comm), "trncclCommDestroy", r->rank, NULL);
    return NULL;
}

/* Creation and destruction are collective and block, so several ranks of a process each
 * need a thread for it, whoever drives them later. */
static void on_ranks(struct session *s, int first, int n, void *(*work)(void *))
{
    if (n == 1) {
        work(&s->ranks[first]);
        return;
    }
    pthread_t *threads = fail_malloc((size_t)n * sizeof *threads);
    for (int i = 0; i < n; i++) {
        if (pthread_create(&threads[i], NULL, work, &s->ranks[first + i]) != 0)
            fail_with("cannot create thread %d of %d", i, n);
    }
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

void session_open_ranks(struct session *s, int first, int n)
{
    size_t before = host_resident_nbytes();
    on_ranks(s, first, n, open_rank);
    size_t after = host_resident_nbytes();
    if (first == 0)
        s->comm_nbytes = after > before ? after - before : 0;
}

void session_close_ranks(struct session *s, int first, int n)
{
    on_ranks(s, first, n, close_rank);
}
