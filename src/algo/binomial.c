/* Binomial tree: in every round each rank that has the vector gives it to one that has
 * not, so that their number doubles. Reduce runs the same tree backwards.
 *
 * A rank's children are 1, 2, 4, ... places behind it. All of them are outputs (inputs)
 * of one step, the one with the longest way below it first; slices follow each other down
 * the tree.
 *
 *     broadcast binomial, 4 ranks, root 0: 3 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2,1
 *         1          0=      0=>3
 *         2                          0=
 *
 *     reduce binomial, 4 ranks, root 0: 3 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0          0>0             0>2
 *         1                  +0>0
 *         2  +0=
 *
 * rounds   ceil(log2 n), the least possible where a rank serves one peer at a time
 * bytes    sent by a rank: at most ceil(log2 n) vectors (the root of a broadcast);
 *          received by the root of a reduce the same
 * limits   the root's log2 n copies bind for long vectors: for short ones
 * source   Thakur, Rabenseifner and Gropp, Optimization of collective communication
 *          operations in MPICH, Int. J. High Perform. Comput. Appl. 19 (2005)
 */
#include "algo/algo.h"
#include "algo/tree.h"

static void build_broadcast(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, label = tree_label(n, args->root, args->rank);
    build_shape(b, 1, 0, SCHED_OUT);
    if (label == 0)
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 0, 1);
    else
        build_recv(b, 0, tree_rank(n, args->root, tree_parent(label)), SCHED_OUT, 0, 1);
    for (int32_t d = tree_reach(n, label) >> 1; d > 0; d >>= 1)
        if (label + d < n)
            build_to(b, tree_rank(n, args->root, label + d));
}

/* Operands in the order of labels: each child brings the sum of the labels behind it. */
static void build_reduce(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, label = tree_label(n, args->root, args->rank);
    build_shape(b, 1, 0, SCHED_IN);
    build_step(b, 0);
    build_span(b, SCHED_IN, 0, 1);
    build_local_in(b, SCHED_IN, 0);
    for (int32_t d = 1; d < tree_reach(n, label) && label + d < n; d <<= 1)
        build_from(b, tree_rank(n, args->root, label + d));
    if (label > 0) {
        build_to(b, tree_rank(n, args->root, tree_parent(label)));
    } else {
        build_local_out(b, SCHED_OUT, 0);
        build_final(b);
    }
}

const struct algo algo_broadcast_binomial = {
    .name = "binomial",
    .coll = SCHED_BROADCAST,
    .summary = "holders double each round: log2(n) rounds, up to log2(n) vectors sent",
    .build = build_broadcast,
};
const struct algo algo_reduce_binomial = {
    .name = "binomial",
    .coll = SCHED_REDUCE,
    .summary =
        "sums halve in number each round: log2(n) rounds, the vector once per rank",
    .build = build_reduce,
};
