/* What follows from a schedule's steps: drain marks, early posts, largest run, v-safety.
 * The builder calls it once, when the steps stand; everything it writes is a pure
 * function of the schedule's operands and `after`, whatever order they were described in.
 */
#ifndef TRNCCL_SCHED_DERIVE_H
#define TRNCCL_SCHED_DERIVE_H

#include "sched/sched.h"

/* One number per piece of memory of a rank: chunks of OUT, then of IN, then of TMP; an IN
 * chunk that lies on OUT has the OUT chunk's. */
int32_t derive_canon(const struct sched *s, enum sched_space space, int32_t chunk);
int32_t derive_ncanon(const struct sched *s);

/* Fills drain, after_drain, SCHED_POST_EARLY of every step and max_run, v_safe of s,
 * which is well formed. Returns trncclSystemError without memory, trncclInvalidArgument
 * if `after` waits in a circle. */
trncclResult_t derive_marks(struct sched *s);

#endif
