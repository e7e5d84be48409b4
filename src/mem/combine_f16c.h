/* Narrow floats by the F16C instructions: float16 directly, and the fp8 types through
 * float16, which holds every value of either exactly.
 *
 * Included by combine_avx2.c and combine_avx512.c, which define
 *   HALF_WIDEN(v, i)     float32 vector from half i (0, 1) of a vector of float16
 *   HALVES_NARROW(a, b)  the inverse, to nearest even
 *   F32_MIN_RAW(a, b)    a < b ? a : b, so b if either is NaN
 *   F32_MAX_RAW(a, b)    a > b ? a : b
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_F16C_H
#define TRNCCL_MEM_COMBINE_F16C_H

#include "mem/combine_vector.h"

#define FORMAT_BY_F16C

INLINE void f16_widen(vec raw, vec *p)
{
    p[0] = HALF_WIDEN(raw, 0);
    p[1] = HALF_WIDEN(raw, 1);
}

INLINE vec f16_narrow(const vec *p)
{
    return HALVES_NARROW(f32_nan_canonical(p[0]), f32_nan_canonical(p[1]));
}

/* Even bytes go to parts 0 and 1, odd bytes to parts 2 and 3. */

/* e5m2 is the upper byte of a float16. */
INLINE void e5m2_widen(vec raw, vec *p)
{
    f16_widen((vec)((vec_u16)raw << 8), p);
    f16_widen(raw & 0xff00ff00u, p + 2);
}

/* Adding this to a value and taking it away again rounds to a multiple of
 * 2^-mantissa_nbits of the value's power of two: 2^23 such units, by exponent arithmetic
 * on the bits. power: that power of two, as a float32 below 2^104. */
INLINE vec f32_rounder(vec power, const int mantissa_nbits)
{
    return power + ((23u - (uint32_t)mantissa_nbits) << 23);
}

/* To e5m2's grid, so that the float16 made of it is exact (or infinite). */
INLINE vec e5m2_round(vec v)
{
    vec power = v & F32_INFINITY;
    power = F32_MAX_RAW(power, vector_splat_f32(0x1p-14f)); /* the least normal */
    power = F32_MIN_RAW(power, vector_splat_f32(0x1p100f)); /* beyond overflow */
    /* One and a half times as much serves values of either sign. */
    vec rounder = f32_rounder(power, 2) | 0x400000u;
    vec rounded = (vec)(((vec_f32)v + (vec_f32)rounder) - (vec_f32)rounder);
    return rounded | (v & 0x80000000u); /* what rounds to zero keeps its sign */
}

INLINE vec e5m2_narrow_halves(vec a, vec b)
{
    return HALVES_NARROW(e5m2_round(f32_nan_canonical(a)),
                         e5m2_round(f32_nan_canonical(b)));
}

INLINE vec e5m2_join(vec even, vec odd)
{
    return (vec)((vec_u16)even >> 8) | (odd & 0xff00ff00u);
}

INLINE vec e5m2_narrow(const vec *p)
{
    return e5m2_join(e5m2_narrow_halves(p[0], p[1]), e5m2_narrow_halves(p[2], p[3]));
}

/* e4m3 moved to float16's fields is the value over 256; all ones, the NaN, reads 480. */
INLINE vec e4m3_widen_half(vec half)
{
    vec_f32 value = (vec_f32)half * 256.0f;
    vec magnitude = (vec)value & 0x7fffffffu;
    vec is_nan = (vec)((vec_f32)magnitude == (vec_f32)vector_splat_f32(480.0f));
    return (vec)value | (is_nan & F32_NAN);
}

/* Each 16-bit lane's low byte. */
INLINE vec e4m3_to_f16(vec low)
{
    vec_u16 v = (vec_u16)low;
    return (vec)(((v & 0x80) << 8) | ((v & 0x7f) << 7));
}

INLINE void e4m3_widen(vec raw, vec *p)
{
    f16_widen(e4m3_to_f16(raw), p);
    f16_widen(e4m3_to_f16((vec)((vec_u16)raw >> 8)), p + 2);
    p[0] = e4m3_widen_half(p[0]);
    p[1] = e4m3_widen_half(p[1]);
    p[2] = e4m3_widen_half(p[2]);
    p[3] = e4m3_widen_half(p[3]);
}

/* Rounded to e4m3's grid and divided by 256; NaN and everything above 448 become 480, all
 * ones. */
INLINE vec e4m3_round(vec v)
{
    vec magnitude = F32_MIN_RAW(v & 0x7fffffffu, vector_splat_f32(480.0f));
    vec power = F32_MAX_RAW(magnitude & F32_INFINITY, vector_splat_f32(0x1p-6f));
    vec rounder = f32_rounder(power, 3);
    vec_f32 rounded = ((vec_f32)magnitude + (vec_f32)rounder) - (vec_f32)rounder;
    return (vec)(rounded * (1.0f / 256.0f)) | (v & 0x80000000u);
}

/* The 16-bit lanes' e4m3 codes in their low bytes. */
INLINE vec e4m3_from_f16(vec half)
{
    vec_u16 v = (vec_u16)half;
    return (vec)(((v >> 8) & 0x80) | ((v >> 7) & 0x7f));
}

INLINE vec e4m3_narrow_halves(vec a, vec b)
{
    return e4m3_from_f16(HALVES_NARROW(e4m3_round(a), e4m3_round(b)));
}

INLINE vec e4m3_join(vec even, vec odd)
{
    vec_u8 codes = (vec_u8)(even | (vec)((vec_u16)odd << 8));
    /* The canonical NaN is positive. */
    vec_u8 is_nan = (vec_u8)((codes | 0x80) == 0xff);
    return (vec)(codes & ~(is_nan & 0x80));
}

INLINE vec e4m3_narrow(const vec *p)
{
    return e4m3_join(e4m3_narrow_halves(p[0], p[1]), e4m3_narrow_halves(p[2], p[3]));
}

#endif
