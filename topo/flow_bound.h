/* How fast a collective can be at best on a graph: exact fractions, from cuts.
 *
 * Times are in 1 / (the unit of the graph's capacities): a time of 15/64 for a graph in
 * GB/s means 15/64 ns per byte of the whole vector of M bytes. Latency does not count.
 *
 * Terminals may stand for several ranks: `weights` [nvertices] says how many (0 for
 * others than terminals); NULL is one each. A vertex that stands for the rest of a
 * cluster, with all its ranks as weight, makes bounds of any number of equal boxes
 * (graph_of.h). */
#ifndef TRNCCL_TOPO_FLOW_BOUND_H
#define TRNCCL_TOPO_FLOW_BOUND_H

#include "topo/digraph.h"

/* In lowest terms; den > 0. */
struct flow_ratio {
    int64_t num, den;
};

struct flow_ratio flow_ratio_make(int64_t num, int64_t den); /* den > 0, num >= 0 */
/* < 0, 0, > 0 as a is less than, equal to, greater than b. */
int flow_ratio_compare(struct flow_ratio a, struct flow_ratio b);
static inline double flow_ratio_value(struct flow_ratio r)
{
    return (double)r.num / (double)r.den;
}

/* What binds: `blocks` ranks' blocks have to leave a set of vertices over links of that
 * capacity together (reduce-scatter: to enter it). */
struct flow_bound {
    struct flow_ratio time; /* per byte of the whole vector: blocks / (n * capacity) */
    int64_t blocks, capacity;
};

/* All-gather, n ranks with M/n bytes each: the largest, over all sets S of vertices
 * without at least one rank, of (M/n) * ranks in S / capacity that leaves S. It can be
 * reached, by trees packed into the graph (pack.h).
 *   cut  [nvertices] the set S that binds; may be NULL
 * Returns trncclInvalidArgument if some rank cannot be reached from another, or weights
 * and capacities are too large together (2^60).
 * Source: Zhao et al., ForestColl: Throughput-Optimal Collective Communications on
 * Heterogeneous Network Fabrics, 2024, section 4. Its binary search is replaced by
 * Dinkelbach's iteration over the cuts that max-flow finds (On nonlinear fractional
 * programming, 1967), which ends at the exact value. */
trncclResult_t flow_allgather_bound(const struct digraph *g, const int64_t *weights,
                                    struct flow_bound *out, bool *cut);
/* Reduce-scatter: all-gather with every link turned round; what binds is the capacity
 * that enters the set in `cut`. */
trncclResult_t flow_reduce_scatter_bound(const struct digraph *g, const int64_t *weights,
                                         struct flow_bound *out, bool *cut);
/* All-reduce as reduce-scatter and then all-gather of M bytes each: the sum of both. */
trncclResult_t flow_allreduce_bound(const struct digraph *g, const int64_t *weights,
                                    struct flow_ratio *time);
/* Broadcast of M bytes: 1 / the least max-flow from the root to another terminal.
 * Source: Edmonds, Edge-disjoint branchings, 1973. */
trncclResult_t flow_broadcast_bound(const struct digraph *g, int32_t root,
                                    struct flow_ratio *time);
trncclResult_t flow_reduce_bound(const struct digraph *g, int32_t root,
                                 struct flow_ratio *time);

/* All-to-all, M bytes at each of n terminals, M/n of them for each: the larger of what
 * leaves or enters one terminal, (n-1)/n M over its links, and of M/n times the sum of
 * all distances over the sum of all links. Time per byte of M. Larger cuts may bind more.
 */
trncclResult_t flow_all_to_all_bound(const struct digraph *g, struct flow_ratio *time);
/* On a torus, where traffic along one dimension cannot take another's links: the largest
 * over the dimensions, which is never less than the one over all links together, and
 * (n-1)/n M over a chip's links. A dimension of 2 has one link between its two chips.
 *   rates  [ndims] capacity of a link per direction */
trncclResult_t flow_all_to_all_torus_bound(int32_t ndims, const int32_t *dims,
                                           const int32_t *rates, struct flow_ratio *time);

#endif
