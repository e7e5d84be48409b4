/* What an algorithm may know of the machine: a summary in terms of ranks, without units
 * or names, made by the planner from a topology model.
 *
 * Ranks are grouped: group g holds ranks [g * size, (g + 1) * size) where groups are
 * equal. Inside a group ranks may lie on a torus, each chip holding `per_chip`
 * consecutive ranks. A schedule built with a graph is still correct for any machine: the
 * graph only decides who talks to whom. */
#ifndef TRNCCL_SCHED_GRAPH_H
#define TRNCCL_SCHED_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_MAX_DIMS 4

/* One spanning tree towards or from `root`; weights are relative. */
struct sched_graph_tree {
    int32_t root;
    int32_t weight;
    const int32_t *parent; /* [nranks]; -1 at the root */
};

struct sched_graph {
    int32_t nranks;
    int32_t group_size; /* ranks per group; nranks if there is one group */
    /* Torus of each group: rank within the group = chip * per_chip + core, chip in mixed
     * radix with the first dimension fastest. ndims 0: no torus. rates: relative link
     * rates by dimension, small integers without a common factor. */
    int32_t ndims, dims[SCHED_MAX_DIMS], rates[SCHED_MAX_DIMS];
    int32_t per_chip;
    /* Cycles through all ranks of a group (Hamiltonian), as orders of ranks within the
     * group, with relative weights; they may be used in both directions. */
    int32_t ncycles;
    const int32_t *cycles;        /* [ncycles][group_size] */
    const int32_t *cycle_weights; /* [ncycles] */
    /* Spanning trees of a group, packed so that they share the links by rate. */
    int32_t ntrees;
    const struct sched_graph_tree *trees;
};

#endif
