/* Turns a collective of MSCCL into schedules: a channel per thread block, a link per
 * (source, target, channel), a step per step; a step of several chunks stays one where
 * its places are runs at both ends of its messages, else it becomes a step per chunk. */
#ifndef TRNCCL_FORMAT_MSCCL_LOWER_H
#define TRNCCL_FORMAT_MSCCL_LOWER_H

#include "format/msccl.h"

struct msccl_lower_args {
    bool inplace;
    bool staged;     /* every message from IN or OUT is copied out (SCHED_STAGED): a step
                        of the file may overwrite what it has sent at once */
    int32_t credits; /* messages in flight per link that it may need, >= 1 */
};

/* Fills ranks[m->nranks] with schedules owned by the caller, all NULL on failure; m
 * outlives them (their name is its). The messages do not depend on `args`, so ranks may
 * differ in place. trncclInvalidArgument with the file's line if the file cannot be
 * followed, or does not serve the place. The schedules are as right as the file: prove
 * them. */
trncclResult_t msccl_lower(const struct msccl *m, const struct msccl_lower_args *args,
                           struct sched **ranks);

/* Whether the file is for calls in place, or out of place. In collectives with a root
 * only the root can be in place, and others do not know: all are served. */
bool msccl_serves(const struct msccl *m, bool inplace);

#endif
