/* Ring: every rank talks to its two neighbours only.
 *
 * Reducing, chunk c starts at rank c + 1 and is summed around the ring until it reaches
 * rank c; gathering, it goes around once more and everyone keeps a copy. All-reduce is
 * both; its last reducing hop is also its first gathering one.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce ring, 4 ranks, root 0: 24 messages, 6 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  3>1     0>2     1>3     2>0
 *         1  +2>1    +3>2    +0>3    +1>0
 *         2  +1>1    +2>2    +3>3    +0>0
 *         3  +0=>1   +1=>2   +2=>3   +3=>0
 *         4  3=>1    0=>2    1=>3    2=>0
 *         5  2=>1    3=>2    0=>3    1=>0
 *         6  1=      2=      3=      0=
 *
 * rounds   n - 1 for reduce_scatter and all_gather, 2 (n - 1) for all_reduce
 * bytes    sent by a rank: (n - 1) / n of the whole vector per phase, the least possible
 * limits   latency grows with n; two messages of credit, since each rank holds what it
 *          received until there is room for what it sends
 * source   Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of
 *          workstations, J. Parallel Distrib. Comput. 69 (2009)
 */
#include "algo/ring.h"

#include "algo/algo.h"
#include "algo/ranks.h"

void ring_reduce(struct build *b, const struct sched_args *args, int32_t channel,
                 int32_t to, bool forward)
{
    int32_t n = args->nranks, r = args->rank;
    int32_t prev = ranks_mod(r - 1, n), next = ranks_mod(r + 1, n);
    build_send(b, channel, SCHED_IN, prev, 1, next);
    for (int32_t k = 2; k < n; k++) {
        int32_t chunk = ranks_mod(r - k, n);
        build_step(b, channel);
        build_from(b, prev);
        build_local_in(b, SCHED_IN, chunk);
        build_to(b, next);
        build_span(b, SCHED_IN, chunk, 1);
    }
    build_step(b, channel);
    build_from(b, prev);
    build_local_in(b, SCHED_IN, r);
    build_local_out(b, SCHED_OUT, to);
    if (forward)
        build_to(b, next);
    build_span(b, SCHED_OUT, to, 1);
    build_final(b);
}

void ring_gather(struct build *b, const struct sched_args *args, int32_t channel)
{
    int32_t n = args->nranks, r = args->rank;
    int32_t prev = ranks_mod(r - 1, n), next = ranks_mod(r + 1, n);
    for (int32_t k = 1; k < n - 1; k++) {
        int32_t chunk = ranks_mod(r - k, n);
        build_recv(b, channel, prev, SCHED_OUT, chunk, 1);
        build_to(b, next);
    }
    build_recv(b, channel, prev, SCHED_OUT, next, 1);
}

static void build_all_reduce(struct build *b, const struct sched_args *args)
{
    build_shape(b, args->nranks, 0, SCHED_OUT);
    build_credits(b, 2);
    ring_reduce(b, args, 0, args->rank, true);
    ring_gather(b, args, 0);
}

static void build_all_gather(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    build_credits(b, args->nranks > 2 ? 2 : 1);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, args->rank, 1);
    build_to(b, ranks_mod(args->rank + 1, args->nranks));
    ring_gather(b, args, 0);
}

static void build_reduce_scatter(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    build_credits(b, args->nranks > 2 ? 2 : 1);
    ring_reduce(b, args, 0, 0, false);
}

const struct algo algo_all_reduce_ring = {
    .name = "ring",
    .coll = SCHED_ALL_REDUCE,
    .flags = ALGO_SPLITS,
    .summary = "reduce, then gather around a ring: 2(n-1) rounds, 2(n-1)/n of the bytes",
    .build = build_all_reduce,
};
const struct algo algo_all_gather_ring = {
    .name = "ring",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "each block goes around a ring: n-1 rounds, n-1 blocks sent per rank",
    .build = build_all_gather,
};
const struct algo algo_reduce_scatter_ring = {
    .name = "ring",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "each block is summed around a ring: n-1 rounds, n-1 blocks sent per rank",
    .build = build_reduce_scatter,
};
