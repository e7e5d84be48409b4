/* Machines, as graphs of ranks, for tests of the algorithms that follow one. */
#ifndef TRNCCL_TESTS_SUPPORT_GRAPHS_H
#define TRNCCL_TESTS_SUPPORT_GRAPHS_H

#include "algo/algo.h"
#include "sched/graph.h"

struct graphs_entry {
    const char *name;          /* "4x4, 4 ranks per chip" */
    const char *intra, *inter; /* for compositions, or NULL: their choice */
    int32_t lanes;             /* 0: one */
    struct sched_graph graph;
};

/* Number i of the list, smallest first where it matters; NULL beyond its end. Made on
 * first use, by one thread. */
const struct graphs_entry *graphs_get(int i);
/* args with the graph, the names and the lanes of an entry; the rank count is the
 * graph's. */
struct sched_args graphs_args(const struct graphs_entry *e,
                              const struct sched_args *args);
/* Whether the algorithm needs a graph, as far as this rank count shows. */
bool graphs_wanted(const struct algo *a, int32_t nranks);
/* The entry from number *i on that the algorithm accepts and has that many ranks (0:
 * any), with *i behind it; NULL if there is none. Entries that name algorithms are for
 * compositions only. */
const struct graphs_entry *graphs_next(const struct algo *a, int32_t nranks, int *i);
/* args for nranks ranks, with a graph if the algorithm needs one; false: it cannot. */
bool graphs_suit(const struct algo *a, struct sched_args *args);

#endif
