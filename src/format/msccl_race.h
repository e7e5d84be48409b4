/* Finds accesses to a chunk of the file's buffers that nothing orders.
 *
 * verify looks for them in the schedules, but importing gives chunks places of their own
 * where the file has one place for several (see msccl_flow.h): there the schedule is
 * right although the file is not. So the file is checked in its own terms.
 *
 * A step happens before another along its thread block, from what it is waited for by
 * (depid, deps), and from the send of a message to its receive. */
#ifndef TRNCCL_FORMAT_MSCCL_RACE_H
#define TRNCCL_FORMAT_MSCCL_RACE_H

#include "format/msccl.h"

/* A step that has read a slot since it was written. */
struct msccl_reader {
    int32_t step, next; /* next: in the slot's list, -1 ends it */
};

struct msccl_race {
    const struct msccl *m; /* borrowed */
    int32_t *gpu, *tb;     /* [nsteps] of each step; owned */
    int32_t *order, *sent; /* [nsteps] position in the run from 1, 0: not yet; the step
                              whose message it received, -1: none; owned */
    int32_t *writer;       /* [nslots] step, -1: nobody; owned */
    int32_t *reader;       /* [nslots] first of its list, -1: none; owned */
    struct msccl_reader *readers;     /* owned */
    int32_t nreaders, capacity, free; /* free: list of unused ones */
    int32_t *stamp, *stack;           /* [nsteps] of the search; owned */
    int32_t nstamps, norder;
    int64_t work; /* steps that searches may still visit */
};

/* nslots: of all ranks. trncclSystemError without memory. */
trncclResult_t msccl_race_init(struct msccl_race *r, const struct msccl *m,
                               int64_t nslots);
void msccl_race_fini(struct msccl_race *r);

/* A step runs; sent: the step whose message it receives, or -1. */
void msccl_race_enter(struct msccl_race *r, int32_t step, int32_t sent);
/* It reads, or writes, a slot; `other` is the step that it is not ordered with, or -1. A
 * step's reads come before its writes. trncclInvalidArgument if too much would have to be
 * searched. */
trncclResult_t msccl_race_read(struct msccl_race *r, int32_t step, int64_t slot,
                               int32_t *other);
trncclResult_t msccl_race_write(struct msccl_race *r, int32_t step, int64_t slot,
                                int32_t *other);

#endif
