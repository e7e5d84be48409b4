/* Test data whose reduced value is known beforehand, exactly.
 *
 * Element i of rank r is a pure function of (seed, repetition, r, i). For reductions the
 * values are chosen so that every order and grouping of the operation, with rounding to
 * the type after every step, gives the same bits; so a comparison needs no tolerance:
 *   sum, avg, mulsum   integers times one power of two per element, small enough that
 *                      every partial sum is exact in the type (at most 2^p units, p the
 *                      precision); where there are more ranks than units, the others are
 * 0 prod               +-1, a few 2 and 1/2, and one rank's full significand per element
 *   min, max           any finite value, signed zeros included
 *   integers           any value: wrapping arithmetic is exact in every order
 *   copies             any bit pattern
 * avg divides the exact sum once: in float32 (float64 for doubles) and rounds once more
 * to 16- and 8-bit types, which is the library's documented rule.
 * Expected values come from this definition and number.h alone.
 *
 * Elements repeat with a prime period, rotated by another amount in every period and
 * repetition: that makes filling and checking as fast as memcpy and memcmp, and a block
 * that lands in the wrong place, or stale data, still differs. */
#ifndef TRNCCL_PERF_DATA_H
#define TRNCCL_PERF_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_PERIOD 4093
#define DATA_COPY (-1)    /* an op: no reduction */
#define DATA_REDUCED (-1) /* a source rank: the reduction over all ranks */

struct data {
    int type, op; /* op as in names.h, or DATA_COPY */
    int nranks;
    uint64_t seed;
    unsigned rep;
    size_t elem_nbytes;
    /* Two periods of elements, owned, made when first needed; NULL before. */
    unsigned char *reduced;
    unsigned char *source;
    int source_rank;
};

/* The first element that was not as expected. */
struct data_wrong {
    size_t index; /* in elements, from the start of the checked range */
    uint64_t expected, found;
};

void data_init(struct data *d, int type, int op, int nranks, uint64_t seed);
void data_fini(struct data *d);
/* Another repetition: same tables, other rotation. */
void data_rep_set(struct data *d, unsigned rep);

/* Bits of one element: rank's contribution, or the reduced value for DATA_REDUCED. */
uint64_t data_element(const struct data *d, int rank, size_t index);
/* Bits of the scalar with which `rank` multiplies in mulsum. */
uint64_t data_scalar(int type, int rank);
/* Writes elements [first, first + count) of `rank` (or DATA_REDUCED) to dst. False if
 * memory for a table ran out. */
bool data_fill(struct data *d, int rank, size_t first, size_t count, void *dst);
/* How many of found[0, count) differ from elements [first, first + count) of `rank` (or
 * DATA_REDUCED); `wrong` describes the first of them and is left alone if there is none.
 * SIZE_MAX if memory ran out. */
size_t data_count_wrong(struct data *d, int rank, size_t first, size_t count,
                        const void *found, struct data_wrong *wrong);

#endif
