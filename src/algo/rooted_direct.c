/* Direct gather and scatter: every rank exchanges its block with the root, and nothing is
 * forwarded.
 *
 * The root serves the ranks behind it in order, each by a step of its own, so that a rank
 * need not know any block but its own, and blocks may differ in size.
 *
 *     gather direct, 4 ranks, root 0: 3 messages, 1 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=      1>0     2>0     3>0
 *         1  1=
 *            2=
 *            3=
 *
 *     scatter direct, 4 ranks, root 0: 3 messages, 1 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  1>1
 *            2>2
 *            3>3
 *            0=
 *         1          1=      2=      3=
 *
 * rounds   1, in which the root handles n - 1 messages
 * bytes    sent by a rank: its block; by the root of a scatter n - 1 blocks, the least
 *          possible
 * limits   n - 1 connections at the root, whose cost per message binds for short blocks
 * source   Chan, Heimlich, Purkayastha and van de Geijn, Collective communication:
 *          theory, practice, and experience, Concurr. Comput. 19 (2007), for the
 *          bounds
 */
#include "algo/algo.h"
#include "algo/tree.h"

static void build_gather(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_IN);
    build_copies(b);
    if (args->rank != args->root) {
        build_send(b, 0, SCHED_IN, 0, 1, args->root);
        return;
    }
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, args->rank, 1);
    for (int32_t label = 1; label < args->nranks; label++) {
        int32_t peer = tree_rank(args->nranks, args->root, label);
        build_recv(b, 0, peer, SCHED_OUT, peer, 1);
    }
}

/* The root's own block comes last: nobody waits for it. */
static void build_scatter(struct build *b, const struct sched_args *args)
{
    build_shape(b, 1, 0, SCHED_OUT);
    build_copies(b);
    if (args->rank != args->root) {
        build_recv(b, 0, args->root, SCHED_OUT, 0, 1);
        return;
    }
    for (int32_t label = 1; label < args->nranks; label++) {
        int32_t peer = tree_rank(args->nranks, args->root, label);
        build_send(b, 0, SCHED_IN, peer, 1, peer);
    }
    build_copy(b, 0, SCHED_IN, args->rank, SCHED_OUT, 0, 1);
}

const struct algo algo_gather_direct = {
    .name = "direct",
    .coll = SCHED_GATHER,
    .flags = ALGO_V,
    .summary = "each block straight to the root: 1 round, one block sent per rank",
    .build = build_gather,
};
const struct algo algo_scatter_direct = {
    .name = "direct",
    .coll = SCHED_SCATTER,
    .flags = ALGO_V,
    .summary = "each block straight from the root: 1 round, n-1 blocks sent by the root",
    .build = build_scatter,
};
