/* Double tree of one root: broadcast and reduce over two trees that carry one half of the
 * vector each.
 *
 * In one binary tree half of the ranks are leaves that send nothing and the inner ranks
 * send everything twice. Here every rank but the root is a leaf in at least one of the
 * trees, so each sends no more than the vector once. Each tree is a channel of its own;
 * slices follow each other through both.
 *
 *     broadcast double_tree, 4 ranks, root 0: 6 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=>2
 *            1=>3
 *         1                  0=>1,3  1=>2,1
 *         2          0=      1=      0=
 *                    1=
 *
 *     reduce double_tree, 4 ranks, root 0: 6 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0          0>2     1>3     0>2
 *                    1>3
 *         1                  +0>0    +1>0
 *         2  +0=
 *            +1=
 *
 * rounds   ceil(log2 n), and one slice more per step of the pipeline
 * bytes    sent by a rank: at most the vector once
 * limits   needs many slices to fill its pipeline: for long vectors and many ranks
 * source   Sanders, Speck and Traeff, Two-tree algorithms for full bandwidth broadcast,
 *          reduction and scan, Parallel Computing 35 (2009)
 */
#include "algo/algo.h"
#include "algo/tree.h"

static void broadcast_half(struct build *b, const struct sched_args *args, int32_t half)
{
    struct tree_node node;
    tree_double_rooted(args->nranks, args->root, half, args->rank, &node);
    if (node.parent < 0)
        build_copy(b, half, SCHED_IN, half, SCHED_OUT, half, 1);
    else
        build_recv(b, half, node.parent, SCHED_OUT, half, 1);
    for (int i = 0; i < 2; i++)
        if (node.child[i] >= 0)
            build_to(b, node.child[i]);
}

static void build_broadcast(struct build *b, const struct sched_args *args)
{
    build_shape(b, 2, 0, SCHED_OUT);
    for (int32_t half = 0; half < 2; half++)
        broadcast_half(b, args, half);
}

/* Operands in the order of the tree: what is below the node, itself, what is above. */
static void reduce_half(struct build *b, const struct sched_args *args, int32_t half)
{
    struct tree_node node;
    tree_double_rooted(args->nranks, args->root, half, args->rank, &node);
    build_step(b, half);
    build_span(b, SCHED_IN, half, 1);
    if (node.child[0] >= 0)
        build_from(b, node.child[0]);
    build_local_in(b, SCHED_IN, half);
    if (node.child[1] >= 0)
        build_from(b, node.child[1]);
    if (node.parent >= 0) {
        build_to(b, node.parent);
    } else {
        build_local_out(b, SCHED_OUT, half);
        build_final(b);
    }
}

static void build_reduce(struct build *b, const struct sched_args *args)
{
    build_shape(b, 2, 0, SCHED_IN);
    for (int32_t half = 0; half < 2; half++)
        reduce_half(b, args, half);
}

const struct algo algo_broadcast_double_tree = {
    .name = "double_tree",
    .coll = SCHED_BROADCAST,
    .summary = "halves run down two trees: log2(n) rounds, at most the vector per rank",
    .build = build_broadcast,
};
const struct algo algo_reduce_double_tree = {
    .name = "double_tree",
    .coll = SCHED_REDUCE,
    .summary = "halves are summed up two trees: log2(n) rounds, the vector once per rank",
    .build = build_reduce,
};
