/* An all-reduce in groups with something between its two halves: the schedule of a flat
 * all-reduce is cut where each chunk is completed, an all-reduce between the groups put
 * there. So a group that halves and doubles moves runs of chunks as it does by itself,
 * which its reduce-scatter and all-gather, bound to blocks, could not. */
#ifndef TRNCCL_ALGO_SPLIT_H
#define TRNCCL_ALGO_SPLIT_H

#include "sched/build.h"

struct split {
    const struct sched *inside;  /* of the group; see split_suits */
    const struct sched *between; /* among the ranks of one number; in place */
    int32_t first_rank;          /* of our group */
    int32_t mine, size;          /* our number in the group; its size */
};

/* Whether the schedule inside, of an algorithm with ALGO_SPLITS, can be cut: no step
 * waits for another channel, and with c channels inside and k between there are c * (2 +
 * k). The same on all ranks. */
bool split_suits(const struct split *s);
/* Describes the whole: shape, credits, steps. */
void split_build(struct build *b, const struct split *s);

#endif
