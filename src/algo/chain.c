/* Chain: the ranks form a line that starts at the root; every rank talks to the one
 * before it and the one behind it.
 *
 * Broadcast passes the vector down the line, each rank keeping a copy; reduce passes sums
 * up the line. A rank receives and sends in one step, so the slices of a vector follow
 * each other down the line and a long vector takes hardly more than one hop.
 *
 *     broadcast chain, 4 ranks, root 0: 3 messages, 3 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>1
 *         1          0=>2
 *         2                  0=>3
 *         3                          0=
 *
 *     reduce chain, 4 ranks, root 0: 3 messages, 3 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0                          0>2
 *         1                  +0>1
 *         2          +0>0
 *         3  +0=
 *
 * rounds   n - 1; with s slices n - 2 + s steps of one slice each
 * bytes    sent by a rank: the vector once (the last rank of a broadcast and the root of
 *          a reduce: nothing)
 * limits   latency grows with n: for long vectors and few ranks
 * source   Chan, Heimlich, Purkayastha and van de Geijn, Collective communication:
 *          theory, practice, and experience, Concurr. Comput. 19 (2007)
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
        build_recv(b, 0, tree_rank(n, args->root, label - 1), SCHED_OUT, 0, 1);
    if (label < n - 1)
        build_to(b, tree_rank(n, args->root, label + 1));
}

/* Operands in the order of labels, so that the root's own contribution comes first. */
static void build_reduce(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, label = tree_label(n, args->root, args->rank);
    build_shape(b, 1, 0, SCHED_IN);
    build_step(b, 0);
    build_span(b, SCHED_IN, 0, 1);
    build_local_in(b, SCHED_IN, 0);
    if (label < n - 1)
        build_from(b, tree_rank(n, args->root, label + 1));
    if (label > 0) {
        build_to(b, tree_rank(n, args->root, label - 1));
    } else {
        build_local_out(b, SCHED_OUT, 0);
        build_final(b);
    }
}

const struct algo algo_broadcast_chain = {
    .name = "chain",
    .coll = SCHED_BROADCAST,
    .summary = "slices run down a line of ranks: n-1 rounds, the vector once per rank",
    .build = build_broadcast,
};
const struct algo algo_reduce_chain = {
    .name = "chain",
    .coll = SCHED_REDUCE,
    .summary = "sums run up a line of ranks: n-1 rounds, the vector once per rank",
    .build = build_reduce,
};
