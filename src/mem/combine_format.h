/* Raw vectors of narrow floats to and from float32 vectors, by bit arithmetic.
 *
 * A raw vector of 16-bit (8-bit) floats becomes 2 (4) float32 vectors without moving
 * bytes between lanes: part j holds, in each 32-bit lane, the element at byte 2j (j) of
 * that lane. Combining is lane by lane, so the order does not matter as long as narrowing
 * puts each element back where it came from.
 *
 * Rounding is to nearest even. A NaN narrows to the one positive quiet NaN of its format,
 * so that a result has the same bits whatever the instruction set made of its operands.
 *
 * A set that has the instructions includes combine_f16c.h first, whose versions take the
 * place of those here; they order the parts as suits them.
 * Source: IEEE 754-2019, 3.4 and 4.3.1; OCP 8-bit Floating Point Specification 1.0,
 * 5.2-5.3 (table 1, non-saturating conversion).
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_FORMAT_H
#define TRNCCL_MEM_COMBINE_FORMAT_H

#include <stdbool.h>
#include "mem/combine_vector.h"

/* A narrow format with IEEE-like layout. */
struct format {
    int exponent_nbits, mantissa_nbits;
    bool has_infinity; /* false: e4m3, whose only NaN is all ones */
};

static const struct format format_f16 = {5, 10, true};
static const struct format format_e5m2 = {5, 2, true};
static const struct format format_e4m3 = {4, 3, false};

/* bits: an element of the format in the low bits of each lane, zeros above. */
INLINE vec format_widen(const struct format f, vec bits)
{
    const int sign_at = f.exponent_nbits + f.mantissa_nbits;
    const int shift = 23 - f.mantissa_nbits;
    const uint32_t rebias = (uint32_t)(128 - (1 << (f.exponent_nbits - 1))) << 23;
    vec magnitude = bits & ((1u << sign_at) - 1);
    vec sign = (bits >> sign_at) << 31;
    vec shifted = magnitude << shift;
    /* A subnormal is given the smallest normal exponent, whose hidden one is then
     * subtracted: exact, and never a float32 subnormal. */
    vec one = vector_splat(rebias + (1u << 23));
    vec subnormal = (vec)((vec_f32)(shifted + one) - (vec_f32)one);
    vec is_subnormal = (vec)((vec_i32)magnitude < (1 << f.mantissa_nbits));
    vec value = vector_select(is_subnormal, subnormal, shifted + rebias);
    const uint32_t top =
        f.has_infinity ? ((1u << f.exponent_nbits) - 1) << f.mantissa_nbits : 0x7fu;
    vec special = (vec)((vec_i32)magnitude > (int32_t)(top - 1));
    return sign | value | (special & F32_INFINITY);
}

/* The inverse, rounding to nearest even; a lane's bits above the element are zero. */
INLINE vec format_narrow(const struct format f, vec v)
{
    const int sign_at = f.exponent_nbits + f.mantissa_nbits;
    const int shift = 23 - f.mantissa_nbits;
    const uint32_t rebias = 128u - (1u << (f.exponent_nbits - 1));
    vec a = v & 0x7fffffffu;
    vec sign = (v >> 31) << sign_at;
    vec odd = (a >> shift) & 1u;
    vec normal =
        ((a + ((1u << (shift - 1)) - 1) + odd) >> shift) - (rebias << f.mantissa_nbits);
    /* Adding this power of two leaves, in the sum's low bits, the value in units of the
     * format's smallest subnormal, rounded by the addition itself. */
    vec unit = vector_splat((rebias + 1 + (uint32_t)shift) << 23);
    vec subnormal = (vec)((vec_f32)a + (vec_f32)unit) - unit;
    vec is_subnormal = (vec)((vec_i32)a < (int32_t)((rebias + 1) << 23));
    vec value = vector_select(is_subnormal, subnormal, normal);
    const uint32_t infinity = ((1u << f.exponent_nbits) - 1) << f.mantissa_nbits;
    const uint32_t nan = f.has_infinity ? infinity | 1u << (f.mantissa_nbits - 1) : 0x7fu;
    const uint32_t top = f.has_infinity ? infinity : nan;
    vec over = (vec)((vec_i32)value > (int32_t)(top - 1));
    value = vector_select(over, vector_splat(top), value);
    vec is_nan = (vec)((vec_i32)a > (int32_t)F32_INFINITY);
    if (!f.has_infinity)
        is_nan |= over;
    return vector_select(is_nan, vector_splat(nan), value | sign);
}

INLINE vec bf16_narrow_high(vec v)
{
    v = f32_nan_canonical(v);
    return v + 0x7fffu + ((v >> 16) & 1u); /* the element is the lane's high half */
}

/* p: [4]; byte j of every 32-bit lane goes to part j. */
INLINE void bytes_widen(const struct format f, vec raw, vec *p)
{
    p[0] = format_widen(f, raw & 0xffu);
    p[1] = format_widen(f, (raw >> 8) & 0xffu);
    p[2] = format_widen(f, (raw >> 16) & 0xffu);
    p[3] = format_widen(f, raw >> 24);
}

INLINE vec bytes_narrow(const struct format f, const vec *p)
{
    return format_narrow(f, p[0]) | (format_narrow(f, p[1]) << 8) |
           (format_narrow(f, p[2]) << 16) | (format_narrow(f, p[3]) << 24);
}

#ifndef FORMAT_BY_F16C
INLINE void f16_widen(vec raw, vec *p)
{
    p[0] = format_widen(format_f16, raw & 0xffffu);
    p[1] = format_widen(format_f16, raw >> 16);
}

INLINE vec f16_narrow(const vec *p)
{
    return format_narrow(format_f16, p[0]) | (format_narrow(format_f16, p[1]) << 16);
}

INLINE void e4m3_widen(vec raw, vec *p)
{
    bytes_widen(format_e4m3, raw, p);
}

INLINE vec e4m3_narrow(const vec *p)
{
    return bytes_narrow(format_e4m3, p);
}

INLINE void e5m2_widen(vec raw, vec *p)
{
    bytes_widen(format_e5m2, raw, p);
}

INLINE vec e5m2_narrow(const vec *p)
{
    return bytes_narrow(format_e5m2, p);
}
#endif

INLINE void bf16_widen(vec raw, vec *p)
{
    p[0] = raw << 16;
    p[1] = raw & 0xffff0000u;
}

INLINE vec bf16_narrow(const vec *p)
{
    return (bf16_narrow_high(p[0]) >> 16) | (bf16_narrow_high(p[1]) & 0xffff0000u);
}

INLINE void plain_widen(vec raw, vec *p)
{
    p[0] = raw;
}

INLINE vec plain_narrow(const vec *p)
{
    return p[0];
}

INLINE vec f32_narrow(const vec *p)
{
    return f32_nan_canonical(p[0]);
}

INLINE vec f64_narrow(const vec *p)
{
    return f64_nan_canonical(p[0]);
}

#endif
