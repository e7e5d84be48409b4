/* Tree geometry: who is whose parent, for any number of ranks.
 *
 * Trees are drawn over labels 0..nranks-1 whose root is label 0; an algorithm with a root
 * gives rank `root` the label 0 and the others the following labels, round the circle.
 * Labels and ranks are taken as valid; these are queries and cannot fail.
 */
#ifndef TRNCCL_ALGO_TREE_H
#define TRNCCL_ALGO_TREE_H

#include <stdint.h>

/* The label of a rank and the rank of a label when `root` has the label 0. */
static inline int32_t tree_label(int32_t nranks, int32_t root, int32_t rank)
{
    return (rank - root + nranks) % nranks;
}
static inline int32_t tree_rank(int32_t nranks, int32_t root, int32_t label)
{
    return (label + root) % nranks;
}

/* ---- Binomial tree: the subtree of a label is a run of labels that starts with it ----
 */

/* The power of two that bounds the tree below a label: its children are label + 1,
 * label + 2, label + 4, ... below label + reach, those that exist. */
static inline int32_t tree_reach(int32_t nranks, int32_t label)
{
    int32_t reach = 1;
    while (label ? !(label & reach) : reach < nranks)
        reach <<= 1;
    return reach;
}
/* Label and descendants: the labels [label, label + size). */
static inline int32_t tree_size(int32_t nranks, int32_t label)
{
    int32_t reach = tree_reach(nranks, label);
    return reach < nranks - label ? reach : nranks - label;
}
/* The parent of a label that is not 0. */
static inline int32_t tree_parent(int32_t label)
{
    return label & (label - 1);
}

/* ---- Binary trees ---------------------------------------------------------------- */

/* A node's neighbours; -1 where there is none. */
struct tree_node {
    int32_t parent;
    int32_t child[2]; /* in the in-order tree: below the node's label, above it */
};

/* The in-order binary tree over labels 1..nranks-1 hung under label 0: odd labels are
 * leaves, the depth is at most ceil(log2 nranks).
 *   label  0..nranks-1
 * Source: NCCL 2.x, src/graph/trees.cc, ncclGetBtree; Sanders, Speck, Traeff: Two-tree
 * algorithms for full bandwidth broadcast, reduction and scan, 2009. */
void tree_inorder(int32_t nranks, int32_t label, struct tree_node *node);

/* One of two trees over all ranks with different roots: 0 the in-order tree over the
 * ranks, 1 its mirror (nranks even) or the in-order tree shifted by one rank (nranks
 * odd). A rank that has two children in one has none in the other. which  0 or 1 Source:
 * NCCL 2.x, src/graph/trees.cc, ncclGetDtree. */
void tree_double(int32_t nranks, int32_t which, int32_t rank, struct tree_node *node);

/* One of two trees with the same root, which has one child in each; every other rank is a
 * leaf in at least one of them, so both together use each rank's links fully.
 *   which  0 or 1
 * Source: Sanders, Speck, Traeff, 2009. */
void tree_double_rooted(int32_t nranks, int32_t root, int32_t which, int32_t rank,
                        struct tree_node *node);

#endif
