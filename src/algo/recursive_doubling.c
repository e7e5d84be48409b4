/* Recursive doubling: in round k every rank swaps its sum with the rank whose number
 * differs in bit k, so that each round doubles the number of contributions in it.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce recursive_doubling, 4 ranks, root 0: 8 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0>1     0>0     0>3     0>2
 *         1  +t0=>2  +t0=>3  +t0=>0  +t0=>1
 *         2  +0=     +0=     +0=     +0=
 *
 * Sums always cover an aligned run of ranks, and the run of lower ranks is the first
 * operand on both sides: all ranks evaluate the same expression.
 *
 * rounds   log2(n); floor(log2 n) + 2 if n is not a power of two: then the ranks beyond
 *          the largest one hand their contribution to a neighbour and wait for the result
 * bytes    sent by a rank: log2(n) vectors
 * limits   for small vectors
 * source   Thakur, Rabenseifner and Gropp, Optimization of collective communication
 *          operations in MPICH, Int. J. High Perform. Comput. Appl. 19 (2005)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

static void wait_outside(struct build *b, int32_t stand_in)
{
    build_send(b, 0, SCHED_IN, 0, 1, stand_in);
    build_recv(b, 0, stand_in, SCHED_OUT, 0, 1);
}

/* Opens the step that combines our sum with `peer`'s; the lower run of ranks is first. */
static void combine(struct build *b, enum sched_space mine, int32_t peer, bool peer_first)
{
    build_step(b, 0);
    if (peer_first)
        build_from(b, peer);
    build_local_in(b, mine, 0);
    if (!peer_first)
        build_from(b, peer);
    build_span(b, mine, 0, 1);
}

static void build_all_reduce(struct build *b, const struct sched_args *args)
{
    struct ranks_fold f = ranks_fold_of(args->nranks);
    int32_t rank = args->rank;
    /* Two ranks in place would wait for each other to give back IN, which the sum
     * overwrites: it goes to scratch first. */
    bool detour = args->nranks == 2 && args->inplace;
    build_shape(b, 1, args->nranks > 2 || detour, SCHED_OUT);
    if (ranks_fold_waits(f, rank)) {
        wait_outside(b, rank + 1);
        return;
    }
    int32_t v = ranks_fold_virtual(f, rank);
    bool doubles = ranks_fold_doubles(f, rank);
    if (doubles) {
        combine(b, SCHED_IN, rank - 1, true);
        build_local_out(b, SCHED_TMP, 0);
    } else {
        build_step(b, 0);
        build_local_in(b, SCHED_IN, 0);
        build_span(b, SCHED_IN, 0, 1);
    }
    build_to(b, ranks_fold_rank(f, v ^ 1));
    for (int32_t bit = 1; bit < f.core; bit *= 2) {
        enum sched_space mine = bit == 1 && !doubles ? SCHED_IN : SCHED_TMP;
        combine(b, mine, ranks_fold_rank(f, v ^ bit), v & bit);
        if (2 * bit < f.core) {
            build_local_out(b, SCHED_TMP, 0);
            build_to(b, ranks_fold_rank(f, v ^ (2 * bit)));
        } else {
            build_local_out(b, detour ? SCHED_TMP : SCHED_OUT, 0);
            if (doubles)
                build_to(b, rank - 1);
            build_final(b);
        }
    }
    if (detour)
        build_copy(b, 0, SCHED_TMP, 0, SCHED_OUT, 0, 1);
}

const struct algo algo_all_reduce_recursive_doubling = {
    .name = "recursive_doubling",
    .coll = SCHED_ALL_REDUCE,
    .summary =
        "swap whole sums at distance 1, 2, 4, ...: log2(n) rounds and vectors sent",
    .build = build_all_reduce,
};
