/* Spanning trees for collectives, as parents: parent[v] is who v gets its data from, -1
 * at the root. A tree for broadcast or all-gather points away from its root; the same
 * tree walked the other way reduces.
 *
 * All results are the same for the same arguments. */
#ifndef TRNCCL_TOPO_SEARCH_TREE_H
#define TRNCCL_TOPO_SEARCH_TREE_H

#include "topo/digraph.h"
#include "topo/flow_bound.h"
#include "topo/search_torus.h"

struct search_trees {
    int32_t nvertices, ntrees;
    int32_t *roots; /* [ntrees]; owned */
    int32_t
        *parents; /* [ntrees][nvertices] -1 at the root, -2 where no tree goes; owned */
};

void search_trees_destroy(struct search_trees *s); /* NULL is allowed */
/* The longest way from the root of one tree to a leaf, in hops. */
int32_t search_tree_depth(const int32_t *parents, int32_t nvertices);

/* Translated trees on a torus: `per_root` trees of shortest paths from vertex 0, whose
 * links share out over the directions as the rates do, as near as whole links can. Moved
 * to every root they load all links of a direction alike: each gets as many trees as
 * *counts says, so an all-gather takes max(counts / rate) / per_root blocks' time.
 *   per_root  1 .. 64: the more, the nearer the bound (4x4x4 with 2:2:1: 96.9 % of it
 *             with one tree, counts 13,13,13,12,6,6 in some order; 100 % with 10)
 *   out       trees of root 0 only; search_tree_translate makes the others
 *   counts    [2 * ndims] links of all trees along +d (2 d) and along -d (2 d + 1);
 *             may be NULL
 * Source: Zhao et al., Efficient direct-connect topologies for collective
 * communications, 2022 (breadth-first broadcast with balanced links). */
trncclResult_t search_trees_torus(const struct search_torus *t, int32_t per_root,
                                  struct search_trees **out, int32_t *counts);
/* A tree of root 0 moved to another root.
 *   from, to  [nvertices], not the same memory */
void search_tree_translate(const struct search_torus *t, const int32_t *from,
                           int32_t root, int32_t *to);

/* One tree of fewest hops from every terminal over all terminals of any graph, whose
 * loads on the links are balanced: each vertex is hung on the parent whose links are the
 * least busy, root after root, in `rounds` rounds of taking out and putting back. A hop
 * may lead through switches; it loads each link on its way.
 *   rounds  >= 1; 4 is usually as good as more
 *   time    of one block over the busiest link: load / capacity; may be NULL
 * Returns trncclInvalidArgument if a terminal cannot be reached from another. */
trncclResult_t search_trees_graph(const struct digraph *g, int32_t rounds,
                                  struct search_trees **out, struct flow_ratio *time);

/* Two binary trees over groups 0 .. n - 1; inner groups of one are leaves of the other:
 * the in-order tree (odd groups are leaves, the root is 0 with one child), and its mirror
 * if n is even, or itself moved on by one group if n is odd. Depth at most ceil(log2 n).
 *   n        >= 1
 *   parents  [2][n]
 * Source: Sanders, Speck and Traeff, Two-tree algorithms for full bandwidth broadcast,
 * reduction and scan, 2009; the choice of mirror and shift as NCCL 2.x, trees.cc. */
void search_trees_double(int32_t n, int32_t *parents);

#endif
