/* Trees packed into any graph so that all-gather reaches the bandwidth bound: for shapes
 * that have no closed form, as damaged tori, parts of machines and machines with
 * switches.
 *
 * Every rank's block goes down its trees, each tree taking an equal share; the trees
 * together use every link at most as often as its capacity allows. Walked from the leaves
 * to the root in the graph turned round they reduce-scatter. Throughput is what counts
 * here: trees may be deep.
 *
 * Source: Zhao et al., ForestColl: Throughput-Optimal Collective Communications on
 * Heterogeneous Network Fabrics, 2024; the removal of switches after Bang-Jensen, Frank
 * and Jackson, Preserving and increasing local edge-connectivity in mixed graphs, 1995;
 * the growth of trees after Berczi and Frank, Packing arborescences, 2010. */
#ifndef TRNCCL_TOPO_PACK_H
#define TRNCCL_TOPO_PACK_H

#include "topo/digraph.h"
#include "topo/flow_bound.h"

/* A way between two terminals that passes no other: a link, or links through switches. */
struct pack_hop {
    int32_t from, to;
    int32_t nedges;
    int32_t *edges; /* [nedges] of the graph, in order; owned */
};

struct pack_tree {
    int32_t root;
    int64_t weight;   /* how many equal trees of the root it stands for */
    int32_t *parents; /* [nvertices] -1 at the root, -2 at switches; owned */
    int32_t *hops;    /* [nvertices] the hop from the parent, -1 without one; owned */
};

struct pack {
    int32_t nvertices, ntrees, nhops;
    struct pack_tree *trees; /* [ntrees] by root; owned */
    struct pack_hop *hops;   /* [nhops]; owned */
    int32_t per_rank;        /* trees for each rank of a root, weights counted */
    /* Per block (one rank's bytes), in 1 / capacity unit: what the trees take, which is
     * the most trees on a link over its capacity and over per_rank; and the bound. */
    struct flow_ratio time, bound;
    int64_t nflows; /* max-flows that were computed, for judging the effort */
};

void pack_destroy(struct pack *p); /* NULL is allowed */

/* Packs 1 .. max_per_rank trees per rank, the number that comes nearest the bound, the
 * smallest of equals. 4 are enough for tori of 16 to 128 chips with a dead link or chip
 * (98.4 % of the bound and more); 64 vertices take tenths of a second, 128 two seconds.
 * The same arguments give the same trees.
 *   max_per_rank  1 .. 64
 *   weights  [nvertices] ranks of each terminal, or NULL: one each (flow_bound.h)
 * Returns trncclInvalidArgument if a terminal cannot be reached, numbers are too large,
 * or the links of switches are so uneven by direction that no packing was found. */
trncclResult_t pack_trees(const struct digraph *g, const int64_t *weights,
                          int32_t max_per_rank, struct pack **out);

#endif
