/* How many bytes a step moves in a round: the executor's rule (layout_slice), for runs of
 * any length in constant time. Blocks are of equal size. */
#ifndef TRNCCL_SIM_SLICES_H
#define TRNCCL_SIM_SLICES_H

#include "sched/layout.h"
#include "sim/sim.h"

struct slices {
    size_t slice;
    int32_t nrounds; /* 0: there is nothing to move */
    int32_t nsub;    /* chunks of a block: nwhole of chunk_nbytes, one of rest_nbytes, */
    int32_t nwhole;  /*   and empty ones */
    size_t chunk_nbytes, rest_nbytes;
};

/* trncclInvalidUsage if messages cannot hold a run of the schedule's length. */
trncclResult_t slices_init(struct slices *s, const struct sim_args *args);

/* Bytes of chunks [0, chunk) in the round that begins at `offset`. */
static inline uint64_t slices_before(const struct slices *s, int32_t chunk, size_t offset)
{
    uint64_t whole = layout_share(s->chunk_nbytes, offset, s->slice);
    if (s->nsub == 1)
        return (uint64_t)chunk * whole;
    uint64_t rest = layout_share(s->rest_nbytes, offset, s->slice);
    int32_t block = chunk / s->nsub, sub = chunk - block * s->nsub;
    return (uint64_t)block * ((uint64_t)s->nwhole * whole + rest) +
           (sub <= s->nwhole ? (uint64_t)sub * whole
                             : (uint64_t)s->nwhole * whole + rest);
}
static inline uint64_t slices_nbytes(const struct slices *s, const struct sched_step *p,
                                     int32_t round)
{
    size_t offset = (size_t)round * s->slice;
    return slices_before(s, p->span_chunk + p->span_n, offset) -
           slices_before(s, p->span_chunk, offset);
}

#endif
