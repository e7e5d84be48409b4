/* The two phases of a ring, shared by every algorithm that goes around one. */
#ifndef TRNCCL_ALGO_RING_H
#define TRNCCL_ALGO_RING_H

#include "sched/build.h"

/* Reduces nranks chunks of IN around the ring on a channel; rank r is left with chunk r,
 * which its last step writes to OUT[to] and, if forward is set, also sends on: it then is
 * the first step of ring_gather. Needs two messages of credit: every rank holds the
 * message it receives until there is room for the one it sends. */
void ring_reduce(struct build *b, const struct sched_args *args, int32_t channel,
                 int32_t to, bool forward);
/* Passes chunks of OUT around the ring on a channel, after each rank has sent its own
 * chunk `rank` to the next rank. Needs two messages of credit. */
void ring_gather(struct build *b, const struct sched_args *args, int32_t channel);

#endif
