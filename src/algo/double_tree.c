/* Double binary tree: two trees carry one half of the vector each.
 *
 * Sums flow up to a tree's root and results flow down again. The inner ranks of one tree
 * are leaves of the other, so that over both every link is about equally busy. Up and
 * down are channels of their own: the sums of the next slice rise while this one's
 * results fall.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce double_tree, 4 ranks, root 0: 12 messages, 4 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  1>1     0>2     1>1     0>2
 *         1          +1>3    +0>0
 *         2  +0=                     +1=
 *            0>2                     1>1
 *         3          1=>2,0  0=>1,3
 *         4  1=      0=      1=      0=
 *
 * rounds   2 ceil(log2 n)
 * bytes    sent by a rank: at most 2 vectors
 * limits   needs many slices to fill its pipeline
 * source   Sanders, Speck and Traeff, Two-tree algorithms for full bandwidth broadcast,
 *          reduction and scan, Parallel Computing 35 (2009); NCCL 2.4 for the two trees
 */
#include "algo/algo.h"
#include "algo/tree.h"

/* The children's sums and our own contribution in the order of the ranks below the node,
 * so that the expression does not depend on who evaluates it. */
static struct build_mark sum_up(struct build *b, const struct tree_node *node,
                                int32_t channel, int32_t chunk)
{
    struct build_mark mark = build_step(b, channel);
    if (node->child[0] >= 0)
        build_from(b, node->child[0]);
    build_local_in(b, SCHED_IN, chunk);
    if (node->child[1] >= 0)
        build_from(b, node->child[1]);
    build_span(b, SCHED_IN, chunk, 1);
    if (node->parent >= 0) {
        build_to(b, node->parent);
    } else {
        build_local_out(b, SCHED_OUT, chunk);
        build_final(b);
    }
    return mark;
}

/* Only the root has to wait for its own sum: to all others the result comes from there,
 * and so after their parent has read what they sent up, in place too. */
static void pass_down(struct build *b, const struct tree_node *node, int32_t channel,
                      int32_t chunk, struct build_mark sum)
{
    build_step(b, channel);
    build_span(b, SCHED_OUT, chunk, 1);
    if (node->parent >= 0) {
        build_from(b, node->parent);
        build_local_out(b, SCHED_OUT, chunk);
    } else {
        build_local_in(b, SCHED_OUT, chunk);
        build_after(b, sum);
    }
    for (int i = 0; i < 2; i++)
        if (node->child[i] >= 0)
            build_to(b, node->child[i]);
}

static void build_all_reduce(struct build *b, const struct sched_args *args)
{
    build_shape(b, 2, 0, SCHED_OUT);
    for (int32_t tree = 0; tree < 2; tree++) {
        struct tree_node node;
        tree_double(args->nranks, tree, args->rank, &node);
        struct build_mark sum = sum_up(b, &node, 2 * tree, tree);
        pass_down(b, &node, 2 * tree + 1, tree, sum);
    }
}

const struct algo algo_all_reduce_double_tree = {
    .name = "double_tree",
    .coll = SCHED_ALL_REDUCE,
    .summary = "half the bytes up and down each of two trees: 2 log2(n) rounds",
    .build = build_all_reduce,
};
