#include "format/msccl.h"

#include <stdlib.h>

const struct msccl_traits msccl_traits[MSCCL_NTYPES] = {
    [MSCCL_SEND] = {.name = "s", .sends = true, .reads = true},
    [MSCCL_RECV] = {.name = "r", .receives = true, .writes = true},
    [MSCCL_RECV_COPY_SEND] = {.name = "rcs",
                              .receives = true,
                              .sends = true,
                              .writes = true},
    [MSCCL_RECV_REDUCE_SEND] = {.name = "rrs",
                                .receives = true,
                                .sends = true,
                                .reads = true},
    [MSCCL_RECV_REDUCE_COPY] = {.name = "rrc",
                                .receives = true,
                                .reads = true,
                                .writes = true},
    [MSCCL_RECV_REDUCE_COPY_SEND] = {"rrcs", true, true, true, true},
    [MSCCL_COPY] = {.name = "cpy", .reads = true, .writes = true},
    [MSCCL_REDUCE] = {.name = "re", .reads = true, .writes = true},
    [MSCCL_NOP] = {.name = "nop"},
};

bool msccl_coll_has_blocks(enum sched_coll coll)
{
    return coll == SCHED_ALL_GATHER || coll == SCHED_REDUCE_SCATTER ||
           coll == SCHED_ALL_TO_ALL || coll == SCHED_GATHER || coll == SCHED_SCATTER;
}

int32_t msccl_nchunks(const struct msccl *m, int32_t gpu, int buffer)
{
    if (buffer == MSCCL_SCRATCH)
        return m->gpus[gpu].nscratch;
    bool one = buffer == MSCCL_INPUT
                   ? m->coll == SCHED_ALL_GATHER || m->coll == SCHED_GATHER
                   : m->coll == SCHED_REDUCE_SCATTER || m->coll == SCHED_SCATTER;
    return one ? m->nsub : m->nchunks;
}

void msccl_destroy(struct msccl *m)
{
    if (!m)
        return;
    free(m->gpus);
    free(m->tbs);
    free(m->steps);
    free(m);
}
