/* Chunk index -> byte range, for one call: any count, type and displacement.
 *
 * A block of E elements is cut into nsub chunks of `base` elements each, the last ones
 * shorter or empty; chunks of a block are contiguous. With line = elements per 64-byte
 * cache line,
 *
 *     plain   = ceil(E / nsub)
 *     rounded = plain rounded up to a multiple of line
 *     base    = rounded if ceil(E / rounded) == ceil(E / plain), else plain
 *
 * so chunks begin on cache lines of the block wherever that leaves as many chunks with
 * elements as there are without. It depends on E, element size and nsub alone, so ranks
 * that agree on those agree on every length.
 *
 * The caller has checked that the bytes of a space fit size_t. */
#ifndef TRNCCL_SCHED_LAYOUT_H
#define TRNCCL_SCHED_LAYOUT_H

#include "sched/sched.h"

/* Sizes of the blocks of one space. */
struct layout_blocks {
    int32_t nblocks;
    size_t nelems;        /* per block, if counts is NULL */
    const size_t *counts; /* [nblocks] elements, or NULL; borrowed */
    /* [nblocks] elements, or NULL: blocks follow each other; borrowed. With counts but
     * without displs a look-up adds up the counts before it: hot callers pass both. */
    const size_t *displs;
};

struct layout {
    struct sched_shape shape;
    size_t elem_nbytes;
    struct layout_blocks in, out;
    size_t base[2]; /* of IN and OUT, where counts is NULL */
    size_t
        period_elems; /* elements of tmp_like without gaps: TMP repeats every so many */
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
/* Fills displs[n] so that blocks of these counts follow each other. */
void layout_displs_fill(const size_t *counts, int32_t n, size_t *displs);
/* Elements per chunk of a block: the formula above. */
size_t layout_base(size_t nelems, size_t elem_nbytes, int32_t nsub);
/* The byte range of one chunk. TMP packs its chunks one after the other. */
struct layout_range layout_chunk(const struct layout *l, enum sched_space space,
                                 int32_t chunk);
/* Whether the run [chunk, chunk + n), n >= 1, is one contiguous range, and that range
 * (written only if it is). */
bool layout_run(const struct layout *l, enum sched_space space, int32_t chunk, int32_t n,
                struct layout_range *range);
/* The largest chunk of the call in bytes, over all spaces, and the size of TMP. */
size_t layout_max_chunk(const struct layout *l);
size_t layout_tmp_nbytes(const struct layout *l);

/* How a call is cut into rounds: round s moves bytes [s * slice, (s + 1) * slice) of
 * every chunk, and a message packs the slices of up to max_run chunks in at most `limit`
 * bytes. Returns the slice: a share of the limit, or the whole limit where every run fits
 * one round. Less than 64 bytes means that max_run is too long for messages of this
 * limit. */
size_t layout_slice(const struct layout *l, int32_t max_run, size_t limit);
/* The part of a chunk of nbytes that moves in the round that begins at `offset`. */
static inline size_t layout_share(size_t nbytes, size_t offset, size_t slice)
{
    size_t left = nbytes > offset ? nbytes - offset : 0;
    return left < slice ? left : slice;
}

#endif
