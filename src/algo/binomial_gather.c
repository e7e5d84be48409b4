/* Binomial gather and scatter: what belongs to all ranks behind one travels as one
 * message.
 *
 * The labels below a rank of the binomial tree are a run, so that each rank keeps the
 * blocks of its run side by side in scratch and sends or receives them at once. Only at
 * the root blocks lie in the order of ranks; a run that passes the last rank takes two
 * messages there.
 *
 *     gather binomial, 4 ranks, root 0: 3 messages, 2 rounds
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=      1>0     t0=     3>2
 *         1  1=              t1=
 *                            t0-1>0
 *         2  2-3=
 *
 *     scatter binomial, 4 ranks, root 0: 3 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  2-3>2
 *            1>1
 *            0=
 *         1          1=      t0-1=
 *                            t1>3
 *                            2=
 *         2                          3=
 *
 * rounds   ceil(log2 n)
 * bytes    sent by a rank of gather: the blocks below it, at most n / 2; received by the
 *          root: n - 1 blocks. scatter: the reverse
 * limits   blocks of one size. Blocks are copied through scratch of up to n / 2 blocks:
 *          for short ones
 * source   Thakur, Rabenseifner and Gropp, Optimization of collective communication
 *          operations in MPICH, Int. J. High Perform. Comput. Appl. 19 (2005)
 */
#include "algo/algo.h"
#include "algo/runs.h"
#include "algo/tree.h"

/* The longest message of any rank: along an edge at the root, cut where it is, or along
 * one further down, where 3 d is the first label with a subtree of up to d. */
static int32_t longest_run(int32_t n, int32_t root)
{
    int32_t longest = 1;
    for (int32_t d = 1; d < n; d <<= 1) {
        struct run pieces[2];
        runs_cut(n, tree_rank(n, root, d), tree_size(n, d), pieces);
        for (int i = 0; i < 2; i++)
            longest = pieces[i].n > longest ? pieces[i].n : longest;
        if (3 * d < n && tree_size(n, 3 * d) > longest)
            longest = tree_size(n, 3 * d);
    }
    return longest;
}

/* The blocks of a label's run as messages between it and its parent: where they are in
 * the order of ranks. One message, or two if the parent is the root and the seam is
 * inside. */
static void cut_at_root(const struct sched_args *args, int32_t label,
                        struct run pieces[2])
{
    int32_t n = args->nranks, size = tree_size(n, label);
    runs_cut(n, tree_rank(n, args->root, label), size, pieces);
    if (tree_parent(label) != 0) {
        pieces[0].n = size;
        pieces[1].n = 0;
    }
}

/* The root's side of the edge to a child. */
static void root_edge(struct build *b, const struct sched_args *args, int32_t child)
{
    int32_t peer = tree_rank(args->nranks, args->root, child);
    struct run pieces[2];
    cut_at_root(args, child, pieces);
    for (int i = 0; i < 2; i++) {
        if (pieces[i].n == 0)
            continue;
        if (args->coll == SCHED_GATHER)
            build_recv(b, 0, peer, SCHED_OUT, pieces[i].first, pieces[i].n);
        else
            build_send(b, 0, SCHED_IN, pieces[i].first, pieces[i].n, peer);
    }
}

/* The other side of a label's edge to its parent: its run lies in `space` from 0 on. */
static void parent_edge(struct build *b, const struct sched_args *args, int32_t label,
                        enum sched_space space)
{
    int32_t peer = tree_rank(args->nranks, args->root, tree_parent(label)), at = 0;
    struct run pieces[2];
    cut_at_root(args, label, pieces);
    for (int i = 0; i < 2; i++) {
        if (pieces[i].n == 0)
            continue;
        if (args->coll == SCHED_GATHER)
            build_send(b, 0, space, at, pieces[i].n, peer);
        else
            build_recv(b, 0, peer, space, at, pieces[i].n);
        at += pieces[i].n;
    }
}

/* A rank's run: the root's lies in the user's buffer, a leaf's is one block there, others
 * keep theirs in scratch. */
static int32_t scratch_of(int32_t n, int32_t label)
{
    int32_t size = tree_size(n, label);
    return label > 0 && size > 1 ? size : 0;
}

static void build_gather(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, label = tree_label(n, args->root, args->rank);
    int32_t scratch = scratch_of(n, label);
    build_shape(b, 1, scratch, SCHED_IN);
    build_run(b, longest_run(n, args->root));
    if (label == 0)
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, args->rank, 1);
    else if (scratch > 0)
        build_copy(b, 0, SCHED_IN, 0, SCHED_TMP, 0, 1);
    for (int32_t d = 1; d < tree_reach(n, label) && label + d < n; d <<= 1) {
        int32_t child = label + d;
        if (label == 0)
            root_edge(b, args, child);
        else
            build_recv(b, 0, tree_rank(n, args->root, child), SCHED_TMP, d,
                       tree_size(n, child));
    }
    if (label > 0)
        parent_edge(b, args, label, scratch > 0 ? SCHED_TMP : SCHED_IN);
}

static void build_scatter(struct build *b, const struct sched_args *args)
{
    int32_t n = args->nranks, label = tree_label(n, args->root, args->rank);
    int32_t scratch = scratch_of(n, label);
    build_shape(b, 1, scratch, SCHED_OUT);
    build_run(b, longest_run(n, args->root));
    if (label > 0)
        parent_edge(b, args, label, scratch > 0 ? SCHED_TMP : SCHED_OUT);
    for (int32_t d = tree_reach(n, label) >> 1; d > 0; d >>= 1) {
        int32_t child = label + d;
        if (child >= n)
            continue;
        if (label == 0)
            root_edge(b, args, child);
        else
            build_send(b, 0, SCHED_TMP, d, tree_size(n, child),
                       tree_rank(n, args->root, child));
    }
    if (label == 0)
        build_copy(b, 0, SCHED_IN, args->rank, SCHED_OUT, 0, 1);
    else if (scratch > 0)
        build_copy(b, 0, SCHED_TMP, 0, SCHED_OUT, 0, 1);
}

const struct algo algo_gather_binomial = {
    .name = "binomial",
    .coll = SCHED_GATHER,
    .summary = "runs of blocks up a tree: log2(n) rounds, up to n/2 blocks sent per rank",
    .build = build_gather,
};
const struct algo algo_scatter_binomial = {
    .name = "binomial",
    .coll = SCHED_SCATTER,
    .summary = "runs of blocks down a tree: log2(n) rounds, n-1 blocks sent by the root",
    .build = build_scatter,
};
