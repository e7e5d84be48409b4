/* Scatter and all-gather: broadcast for long vectors over many ranks, and its mirror
 * image for reduce, reduce-scatter and gather.
 *
 * The vector is cut into n chunks, chunk c for the rank c places behind the root (its
 * label). The root scatters them down a binomial tree, where a rank gets the chunks of
 * all below it. Then, at distances 1, 2, 4, ..., each rank hands what it has to the rank
 * that far before it, which has twice as much afterwards. Chunks that a rank has already
 * got in the scatter are left out, so every rank receives each chunk exactly once: the
 * way of a chunk is a tree. Reduce runs the same trees backwards, with every message
 * reversed.
 *
 *     broadcast scatter_allgather, 4 ranks, root 0: 9 messages, 3 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3=>2
 *            1=>1
 *            0>3
 *            0-1>2
 *            0=
 *         1          1=      2-3=
 *                            3>3
 *                            2>1
 *                            0-1=
 *         2          2=              3=
 *                    1-2>3           0=
 *                                    3>1
 *                                    0>1
 *         3          3=              1-2=
 *                    0=
 *
 *     reduce scatter_gather, 4 ranks, root 0: 9 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0          0>3     0-1>0   1-2>1
 *                    3>3
 *         1  +0-1=   +t1-2=          +t0=
 *                    t2>2            +t3=
 *                    t1>0            t0>0
 *                                    t3>2
 *         2  +0=             +t2=
 *            +1=             +t3=
 *                            t2-3>0
 *         3  +2-3=
 *
 * rounds   2 ceil(log2 n); a run of chunks that passes the last label takes two messages
 * bytes    broadcast: received by a rank, the vector once; sent by the root less than two
 *          vectors. reduce: the reverse
 * limits   chunks shorter than a cache line waste it. Reduce needs scratch of the
 *          vector's size
 * source   Barnett, Gupta, Payne, Shuler, van de Geijn and Watts, Building a
 *          high-performance collective communication library, SC 1994 (broadcast);
 *          Rabenseifner, Optimization of collective reduction operations, ICCS 2004
 *          (reduce); Bruck, Ho, Kipnis, Upfal and Weathersby, IEEE TPDS 8 (1997), for the
 *          distances that serve any n
 */
#include "algo/algo.h"
#include "algo/ranks.h"
#include "algo/runs.h"
#include "algo/tree.h"

/* One message of the broadcast, seen from one label. */
struct transfer {
    int32_t peer; /* label */
    struct run run;
    bool sends;
};

/* 1 + 16 in the scatter, 4 at each of 16 distances in the all-gather. */
enum { MAX_TRANSFERS = 1 + 16 + 4 * 16 };

struct plan {
    int32_t n, ntransfers, nscatter; /* the first nscatter are the scatter's */
    struct transfer transfers[MAX_TRANSFERS];
};

static void plan_add(struct plan *p, int32_t peer, struct run run, bool sends)
{
    if (run.n > 0)
        p->transfers[p->ntransfers++] =
            (struct transfer){.peer = peer, .run = run, .sends = sends};
}

static void plan_scatter(struct plan *p, int32_t label)
{
    int32_t n = p->n;
    if (label > 0) {
        struct run mine = {.first = label, .n = tree_size(n, label)};
        plan_add(p, tree_parent(label), mine, false);
    }
    for (int32_t d = tree_reach(n, label) >> 1; d > 0; d >>= 1) {
        if (label + d < n) {
            struct run childs = {.first = label + d, .n = tree_size(n, label + d)};
            plan_add(p, label + d, childs, true);
        }
    }
}

/* What a label still lacks of the `distance` chunks that start `distance` behind it. */
static void lacking(int32_t n, int32_t label, int32_t distance, struct run pieces[2])
{
    int32_t have = tree_size(n, label);
    int32_t from = have > distance ? have : distance;
    int32_t to = 2 * distance < n ? 2 * distance : n;
    runs_cut(n, label + from, to - from, pieces);
}

/* Everything is sent before anything is received. With one message of credit a rank that
 * has two pieces to send waits until the first is taken. It does not wait in a circle:
 * the ranks with two are neighbours within less than the distance, so that the one it
 * sends to has one piece and goes on to receive. */
static void plan_allgather(struct plan *p, int32_t label)
{
    int32_t n = p->n;
    for (int32_t d = 1; d < n; d <<= 1) {
        int32_t to = ranks_mod(label - d, n), from = ranks_mod(label + d, n);
        struct run theirs[2], mine[2];
        lacking(n, to, d, theirs);
        lacking(n, label, d, mine);
        for (int i = 0; i < 2; i++)
            plan_add(p, to, theirs[i], true);
        for (int i = 0; i < 2; i++)
            plan_add(p, from, mine[i], false);
    }
}

static void plan_make(struct plan *p, const struct sched_args *args)
{
    int32_t label = tree_label(args->nranks, args->root, args->rank);
    p->n = args->nranks;
    p->ntransfers = 0;
    plan_scatter(p, label);
    p->nscatter = p->ntransfers;
    plan_allgather(p, label);
}

/* The longest message of any rank: what the root sends to one of its two last children.
 */
static void state_run(struct build *b, int32_t n)
{
    int32_t last = tree_reach(n, 0) / 2, before = last / 2;
    build_run(b, n - last > before ? n - last : before);
}

/* The root copies what it scatters on the way; what is left is its own chunk. */
static void build_broadcast(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks;
    bool root = args->rank == args->root;
    struct plan plan;
    plan_make(&plan, args);
    build_shape(b, n, 0, SCHED_OUT);
    state_run(b, n);
    for (int32_t i = 0; i < plan.ntransfers; i++) {
        const struct transfer *t = &plan.transfers[i];
        int32_t peer = tree_rank(n, args->root, t->peer);
        if (!t->sends) {
            build_recv(b, 0, peer, SCHED_OUT, t->run.first, t->run.n);
        } else {
            build_send(b, 0, root ? SCHED_IN : SCHED_OUT, t->run.first, t->run.n, peer);
            if (root && i < plan.nscatter)
                build_local_out(b, SCHED_OUT, t->run.first);
        }
    }
    if (root)
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 0, 1);
}

/* The reduce of one rank while it is being described: the plan, backwards. */
struct reduce {
    struct build *b;
    struct plan plan;
    enum sched_space sums; /* where this rank keeps partial sums */
};

/* Whether a partial sum of the chunk arrives through one of the transfers [from, to). */
static bool sum_arrives(const struct reduce *r, int32_t from, int32_t to, int32_t chunk)
{
    for (int32_t i = from; i < to; i++) {
        const struct transfer *t = &r->plan.transfers[i];
        if (t->sends && chunk >= t->run.first && chunk < t->run.first + t->run.n)
            return true;
    }
    return false;
}

/* Where the run's values are, all of them, when transfer i is due: in IN while nothing
 * has been added to any, else among the sums; those that are still in IN are copied
 * there. */
static enum sched_space settle(struct reduce *r, int32_t i)
{
    struct run run = r->plan.transfers[i].run;
    int32_t end = run.first + run.n, nsums = 0;
    for (int32_t c = run.first; c < end; c++)
        nsums += sum_arrives(r, i + 1, r->plan.ntransfers, c);
    if (nsums == 0)
        return SCHED_IN;
    for (int32_t c = run.first; c < end && nsums < run.n;) {
        int32_t first = c;
        while (c < end && !sum_arrives(r, i + 1, r->plan.ntransfers, c))
            c++;
        if (c > first)
            build_copy(r->b, 0, SCHED_IN, first, r->sums, first, c - first);
        else
            c++;
    }
    return r->sums;
}

/* A transfer that the broadcast sends is one that the reduce receives. */
static void reduce_receive(struct reduce *r, const struct sched_args *args, int32_t i)
{
    const struct transfer *t = &r->plan.transfers[i];
    enum sched_space have = settle(r, i);
    build_step(r->b, 0);
    build_span(r->b, SCHED_IN, t->run.first, t->run.n);
    build_local_in(r->b, have, t->run.first);
    build_from(r->b, tree_rank(args->nranks, args->root, t->peer));
    build_local_out(r->b, r->sums, t->run.first);
    /* The last sum to arrive for one chunk of a run is the last for all of them. */
    if (args->rank == args->root && !sum_arrives(r, 0, i, t->run.first))
        build_final(r->b);
}

static void build_reduce(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks;
    bool root = args->rank == args->root;
    struct reduce r = {.b = b, .sums = root ? SCHED_OUT : SCHED_TMP};
    plan_make(&r.plan, args);
    build_shape(b, n, root ? 0 : n, SCHED_IN);
    state_run(b, n);
    for (int32_t i = r.plan.ntransfers - 1; i >= 0; i--) {
        const struct transfer *t = &r.plan.transfers[i];
        if (t->sends)
            reduce_receive(&r, args, i);
        else
            build_send(b, 0, settle(&r, i), t->run.first, t->run.n,
                       tree_rank(n, args->root, t->peer));
    }
}

const struct algo algo_broadcast_scatter_allgather = {
    .name = "scatter_allgather",
    .coll = SCHED_BROADCAST,
    .summary = "chunks scattered, then gathered by all: 2 log2(n) rounds, each chunk "
               "received once",
    .build = build_broadcast,
};
const struct algo algo_reduce_scatter_gather = {
    .name = "scatter_gather",
    .coll = SCHED_REDUCE,
    .summary = "reduce-scatter, then gather: 2 log2(n) rounds, each chunk sent once",
    .build = build_reduce,
};
