/* Vectors of VECTOR_BYTES bytes in GNU C: loads, stores, selection, part vectors.
 *
 * Included only by combine_<set>.c, which may define beforehand, for its instruction set:
 *   VECTOR_BYTES                16, 32 or 64
 *   VECTOR_STREAM(p, v)         store past the cache, p aligned to VECTOR_BYTES
 *   VECTOR_FENCE()              orders such stores before later ones
 *   VECTOR_SELECT(mask, a, b)   mask lanes are all ones or all zeros: mask ? a : b
 *   VECTOR_PART_LOAD(p, n)      the first n < VECTOR_BYTES bytes, zeros above
 *   VECTOR_PART_STORE(p, v, n)
 * Everything else is plain vector arithmetic that compilers lower to any instruction set,
 * which is why every set gives the same bits.
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_VECTOR_H
#define TRNCCL_MEM_COMBINE_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "mem/combine_word.h"

/* Part vectors and the byte positions of narrow elements count from the low end. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the combine kernels are written for little-endian machines");

#define VECTOR_OF(type) type __attribute__((vector_size(VECTOR_BYTES)))

typedef VECTOR_OF(uint8_t) vec_u8;
typedef VECTOR_OF(uint16_t) vec_u16;
typedef VECTOR_OF(uint32_t) vec; /* how values are passed about; 32-bit lanes */
typedef VECTOR_OF(uint64_t) vec_u64;
typedef VECTOR_OF(int8_t) vec_i8;
typedef VECTOR_OF(int16_t) vec_i16;
typedef VECTOR_OF(int32_t) vec_i32;
typedef VECTOR_OF(int64_t) vec_i64;
typedef VECTOR_OF(float) vec_f32;
typedef VECTOR_OF(double) vec_f64;

/* The same anywhere in memory. */
typedef uint32_t vec_anywhere
    __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));

INLINE vec vector_load(const char *p)
{
    return *(const vec_anywhere *)p;
}

INLINE void vector_store(char *p, vec v)
{
    *(vec_anywhere *)p = v;
}

INLINE vec vector_splat(uint32_t x)
{
    return (vec){0} + x;
}

INLINE vec vector_splat64(uint64_t x)
{
    return (vec)((vec_u64){0} + x);
}

INLINE vec vector_splat_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return vector_splat(bits);
}

INLINE vec vector_splat_f64(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return vector_splat64(bits);
}

INLINE vec vector_select(vec mask, vec a, vec b)
{
#ifdef VECTOR_SELECT
    return VECTOR_SELECT(mask, a, b);
#else
    return (mask & a) | (~mask & b);
#endif
}

#define F32_INFINITY 0x7f800000u
#define F32_NAN 0x7fc00000u

/* The one positive quiet NaN without payload for any NaN. */
INLINE vec f32_nan_canonical(vec v)
{
    vec_f32 f = (vec_f32)v;
    return vector_select((vec)(f != f), vector_splat(F32_NAN), v);
}

INLINE vec f64_nan_canonical(vec v)
{
    vec_f64 f = (vec_f64)v;
    return vector_select((vec)(f != f), vector_splat64(0x7ff8000000000000u), v);
}

/* A word as the first 8 bytes, zeros above. */
INLINE vec vector_word(uint64_t word)
{
    return (vec)(vec_u64){word};
}

/* Functions of their own, lest every kernel repeats them several times. */
#define OUT_OF_LINE static __attribute__((noinline))

/* The first n bytes at p, 1 <= n < VECTOR_BYTES; the lanes above are zero. */
OUT_OF_LINE vec vector_part_load(const char *p, size_t n)
{
#ifdef VECTOR_PART_LOAD
    return VECTOR_PART_LOAD(p, n);
#else
    _Static_assert(VECTOR_BYTES == 16, "a wider set defines VECTOR_PART_LOAD");
    if (n <= 8)
        return (vec)(vec_u64){word_load(p, n), 0};
    return (vec)(vec_u64){*(const u64_anywhere *)p, word_load(p + 8, n - 8)};
#endif
}

OUT_OF_LINE void vector_part_store(char *p, vec v, size_t n)
{
#ifdef VECTOR_PART_STORE
    VECTOR_PART_STORE(p, v, n);
#else
    vec_u64 words = (vec_u64)v;
    if (n <= 8) {
        word_store(p, words[0], n);
    } else {
        *(u64_anywhere *)p = words[0];
        word_store(p + 8, words[1], n - 8);
    }
#endif
}

INLINE void vector_stream(char *p, vec v)
{
#ifdef VECTOR_STREAM
    VECTOR_STREAM(p, v);
#else
    vector_store(p, v);
#endif
}

INLINE void vector_fence(void)
{
#ifdef VECTOR_FENCE
    VECTOR_FENCE();
#endif
}

#endif
