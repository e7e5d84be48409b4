/* Two levels: one algorithm inside groups of consecutive ranks, another one between them,
 * among the ranks of one number in their groups. */
#ifndef TRNCCL_ALGO_COMPOSE_H
#define TRNCCL_ALGO_COMPOSE_H

#include "algo/algo.h"
#include "sched/graph.h"

struct compose {
    int32_t size; /* ranks of a group */
    /* In the groups: for an all-reduce one that splits, or reduce-scatter and all-gather;
     * else one of the two or all-to-all; those that are not needed are NULL. Between: the
     * collective itself. */
    const struct algo *whole, *reduce, *gather, *exchange, *between;
    const struct sched_graph *inside, *across; /* what each may know; NULL: nothing */
};

/* Fills in the algorithms that the collective needs by name; a missing one is NULL.
 * `recursive` names recursive halving or doubling. Returns why one of them cannot serve
 * these arguments, or NULL if all can. args->rank is looked at. */
const char *compose_find(struct compose *c, const struct sched_args *args,
                         const char *inside, const char *between);
/* Describes the whole collective; compose_find has accepted it. */
void compose_build(struct build *b, const struct sched_args *args,
                   const struct compose *c);
/* Builds the part of one phase among n ranks; NULL with the error kept by b. Owned. */
struct sched *compose_part(struct build *b, const struct algo *algo,
                           const struct sched_args *args);

#endif
