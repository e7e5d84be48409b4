/* Chunk index -> byte range, for one call: any count, type and displacement.
 *
 * A block of E elements is cut into nsub chunks of `base` elements each (the last ones
 * shorter or empty), base = ceil(E / nsub), rounded up to whole cache lines where that
 * leaves no chunk empty that need not be. Chunks of a block are contiguous. */
#ifndef TRNCCL_SCHED_LAYOUT_H
#define TRNCCL_SCHED_LAYOUT_H

#include "sched/sched.h"

/* Sizes of the blocks of one space. */
struct layout_blocks {
    int32_t nblocks;
    size_t nelems;        /* per block, if counts is NULL */
    const size_t *counts; /* [nblocks] elements, or NULL; borrowed */
    const size_t
        *displs; /* [nblocks] elements, or NULL: blocks follow each other; borrowed */
};

struct layout {
    struct sched_shape shape;
    size_t elem_nbytes;
    struct layout_blocks in, out;
};

struct layout_range {
    size_t offset; /* bytes from the start of the space */
    size_t nbytes; /* may be 0 */
};

/* Blocks of equal size: nelems is the number of elements of one block. */
void layout_init(struct layout *l, const struct sched *s, size_t elem_nbytes,
                 size_t nelems);
/* Blocks of different sizes; in or out with nblocks 0 where the space does not exist. */
void layout_init_v(struct layout *l, const struct sched *s, size_t elem_nbytes,
                   const struct layout_blocks *in, const struct layout_blocks *out);
/* The byte range of one chunk. */
struct layout_range layout_chunk(const struct layout *l, enum sched_space space,
                                 int32_t chunk);
/* Whether the run [chunk, chunk + n) is one contiguous range, and that range. */
bool layout_run(const struct layout *l, enum sched_space space, int32_t chunk, int32_t n,
                struct layout_range *range);
/* The largest chunk of the call in bytes, and the size of TMP. */
size_t layout_max_chunk(const struct layout *l);
size_t layout_tmp_nbytes(const struct layout *l);

#endif
