/* Copies of one set. Included by combine_kernels.h.
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_COPY_H
#define TRNCCL_MEM_COMBINE_COPY_H

#include "mem/combine_vector.h"

/* What stays in the first-level cache while it is written to one output after another. */
#define COPY_PIECE_NBYTES 8192

/* Whole vectors to lines that are 64-byte aligned, past the cache; memcpy for the rest.
 */
static void copy_streaming(char *out, const char *in, size_t nbytes)
{
    size_t head = -(uintptr_t)out % 64;
    if (head >= nbytes) {
        memcpy(out, in, nbytes);
        return;
    }
    memcpy(out, in, head);
    size_t at = head;
    for (; nbytes - at >= 4 * VECTOR_BYTES; at += 4 * VECTOR_BYTES) {
        vec a = vector_load(in + at), b = vector_load(in + at + VECTOR_BYTES);
        vec c = vector_load(in + at + 2 * VECTOR_BYTES);
        vec d = vector_load(in + at + 3 * VECTOR_BYTES);
        vector_stream(out + at, a);
        vector_stream(out + at + VECTOR_BYTES, b);
        vector_stream(out + at + 2 * VECTOR_BYTES, c);
        vector_stream(out + at + 3 * VECTOR_BYTES, d);
    }
    memcpy(out + at, in + at, nbytes - at);
    vector_fence();
}

static void copy_one(void *out, const void *in, size_t nbytes, bool stream)
{
    if (stream)
        copy_streaming(out, in, nbytes);
    else
        memcpy(out, in, nbytes);
}

/* Piece by piece, so that the input is read from memory once for all outputs. */
static void copy_spread(void *const *out, int nout, const void *in, size_t nbytes,
                        bool stream)
{
    for (size_t at = 0; at < nbytes; at += COPY_PIECE_NBYTES) {
        size_t piece = nbytes - at < COPY_PIECE_NBYTES ? nbytes - at : COPY_PIECE_NBYTES;
        for (int j = 0; j < nout; j++)
            if (out[j] != in)
                copy_one((char *)out[j] + at, (const char *)in + at, piece, stream);
    }
}

#endif
