/* Several ranks per chip: the ranks of one number in their chips are a plane, and an
 * algorithm for one rank per chip runs on every plane, each with its share of the data,
 * between a direct exchange in the chips. */
#ifndef TRNCCL_ALGO_PLANES_H
#define TRNCCL_ALGO_PLANES_H

#include "algo/compose.h"

struct planes {
    struct compose compose;
    struct sched_graph across; /* of our plane */
};

/* Whether the graph has several ranks per chip and so needs planes. */
bool planes_needed(const struct sched_args *args);
/* Fills in p, which then must stay where it is. Returns why the algorithm of that name
 * cannot serve the planes, or NULL. */
const char *planes_find(struct planes *p, const struct sched_args *args,
                        const char *name);

#endif
