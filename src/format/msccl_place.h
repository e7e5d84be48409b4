/* Where the chunks of one rank's buffers lie: the file's (buffer, offset) in terms of a
 * schedule's IN, OUT and TMP; see msccl_flow.h. */
#ifndef TRNCCL_FORMAT_MSCCL_PLACE_H
#define TRNCCL_FORMAT_MSCCL_PLACE_H

#include "format/msccl_flow.h"

/* A chunk of TMP that stands for a slot while it holds a chunk of that place in a block.
 */
struct msccl_shadow {
    int32_t sub, tmp, next; /* next: in the slot's list, -1 ends it */
};

struct msccl_place {
    const struct msccl *m;        /* borrowed */
    int32_t base[MSCCL_NBUFFERS]; /* slot of offset 0; in place buffers share slots */
    int32_t nslots, nin, nout;    /* nin, nout: chunks of the schedule's IN and OUT */
    struct msccl_cell *cells;     /* [nslots], owned */
    int32_t *shadow;              /* [nslots] first of its list, -1: none; owned */
    struct msccl_shadow *shadows; /* owned */
    int32_t nshadows, capacity;
    bool *taken;                  /* [taken_capacity] chunks of TMP in use; owned */
    int32_t ntmp, taken_capacity; /* ntmp: chunks of TMP so far */
    int32_t row;                  /* rows of nsub chunks before it are full */
};

trncclResult_t msccl_place_init(struct msccl_place *p, const struct msccl *m,
                                int32_t rank, bool alias);
void msccl_place_fini(struct msccl_place *p);

/* What the buffer's chunk holds and where that lies. */
const struct msccl_cell *msccl_place_cell(const struct msccl_place *p, int buffer,
                                          int32_t off);
static inline int32_t msccl_place_slot(const struct msccl_place *p, int buffer,
                                       int32_t off)
{
    return p->base[buffer] + off;
}
/* Writes cell's value there; sets cell->at to the place chosen. */
trncclResult_t msccl_place_write(struct msccl_place *p, int buffer, int32_t off,
                                 struct msccl_cell *cell);

#endif
