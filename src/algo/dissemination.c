/* Dissemination barrier: news of who has entered doubles in every round.
 *
 * In round k each rank tells the one 2^k places behind it, once it has heard from the one
 * 2^(k-1) places before it. What it hears in round k stands for 2^k ranks, so after the
 * last round it has heard, through others, of all: the last step of every rank comes
 * after the first step of every rank. A token is handed on in the step that receives it;
 * nothing is stored but the last one.
 *
 *     barrier dissemination, 4 ranks, root 0: 8 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0>1     0>2     0>3     0>0
 *         1  0>2     0>3     0>0     0>1
 *         2  0=      0=      0=      0=
 *
 * rounds   ceil(log2 n), the least possible
 * bytes    sent by a rank: ceil(log2 n) tokens, which carry no data
 * limits   none
 * source   Hensgen, Finkel and Manber, Two algorithms for barrier synchronization, Int.
 *          J. Parallel Program. 17 (1988)
 */
#include "algo/algo.h"
#include "algo/ranks.h"

static void build_barrier(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, r = args->rank;
    build_shape(b, 1, 0, SCHED_OUT);
    if (n == 1)
        return;
    build_send(b, 0, SCHED_IN, 0, 1, ranks_mod(r + 1, n));
    int32_t d = 1;
    for (; 2 * d < n; d *= 2) {
        build_step(b, 0);
        build_from(b, ranks_mod(r - d, n));
        build_to(b, ranks_mod(r + 2 * d, n));
        build_span(b, SCHED_OUT, 0, 1);
    }
    build_recv(b, 0, ranks_mod(r - d, n), SCHED_OUT, 0, 1);
}

const struct algo algo_barrier_dissemination = {
    .name = "dissemination",
    .coll = SCHED_BARRIER,
    .summary = "news doubles each round: log2(n) rounds, log2(n) tokens sent per rank",
    .build = build_barrier,
};
