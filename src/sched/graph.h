/* What an algorithm may know of the machine: a summary in terms of ranks, without units
 * or names, made by the planner from a topology model. A schedule built with a graph is
 * correct on any machine: the graph only decides who talks to whom.
 *
 * Ranks are grouped: group g holds ranks [g * group_size, (g + 1) * group_size); all
 * groups are alike, so everything below describes one of them, in numbers of ranks within
 * the group. An algorithm for a torus, cycles or trees serves one group (group_size ==
 * nranks); `hierarchical` runs any of them inside the groups and another one between.
 *
 * All ranks must build with equal graphs. Arrays are borrowed from whoever made it.
 * Thread: immutable while a schedule is built. */
#ifndef TRNCCL_SCHED_GRAPH_H
#define TRNCCL_SCHED_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_MAX_DIMS 4

/* One spanning tree of a group: data flow from the root in gathers, towards it in
 * reductions. Weights are relative; those of one root's trees add up to the same for
 * every root that has any. */
struct sched_graph_tree {
    int32_t root;
    int32_t weight;        /* >= 1 */
    const int32_t *parent; /* [group_size]; -1 at the root */
};

struct sched_graph {
    int32_t nranks;
    int32_t group_size; /* ranks per group, divides nranks; nranks: one group */
    /* Torus of the group's chips: rank within the group = chip * per_chip + core, chip in
     * mixed radix with the first dimension fastest. ndims 0: no torus. rates: relative
     * rates of one link by dimension, small integers without a common factor. */
    int32_t ndims, dims[SCHED_MAX_DIMS], rates[SCHED_MAX_DIMS];
    int32_t
        per_chip; /* consecutive ranks that share a chip, >= 1; also without a torus */
    /* Where nplanes collectives run on one torus at the same time, which of them this is:
     * each begins with another dimension. 0, 0: it is alone. */
    int32_t plane, nplanes;
    /* Cycles through all ranks of the group, ranks of a chip next to each other; they are
     * used in both directions. Weights are relative. */
    int32_t ncycles;
    const int32_t *cycles;        /* [ncycles][group_size] */
    const int32_t *cycle_weights; /* [ncycles], >= 1 */
    /* Spanning trees, packed so that together they load the links by rate. */
    int32_t ntrees;
    const struct sched_graph_tree *trees;
};

#endif
