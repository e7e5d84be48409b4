/* The operations on one vector, a function for each operation and kind of lane:
 * <op>_<lane>(a, b) folds, divide_<lane>(x, nranks) is the average's division and
 * splat_<lane>(c) the pre-mul scalar in every lane. 16- and 8-bit floats are f32 here.
 *
 * A set may define F32_MINIMUM(a, b), F32_MAXIMUM, F64_MINIMUM, F64_MAXIMUM (IEEE
 * 754-2019 minimum and maximum, any NaN for a NaN).
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_FOLD_H
#define TRNCCL_MEM_COMBINE_FOLD_H

#include "mem/combine.h"
#include "mem/combine_format.h"

/* Equal operands differ at most in the sign of zero: `or` finds -0, `and` +0. A NaN
 * operand makes every comparison false, so a NaN in b wins by default and one in a is
 * picked explicitly. */
#define DEFINE_EXTREMES(suffix, vec_float)                                               \
    INLINE vec minimum_##suffix(vec x, vec y)                                            \
    {                                                                                    \
        vec_float a = (vec_float)x, b = (vec_float)y;                                    \
        vec r = vector_select((vec)(a < b) | (vec)(a != a), x, y);                       \
        return r | ((vec)(a == b) & x);                                                  \
    }                                                                                    \
    INLINE vec maximum_##suffix(vec x, vec y)                                            \
    {                                                                                    \
        vec_float a = (vec_float)x, b = (vec_float)y;                                    \
        vec r = vector_select((vec)(a > b) | (vec)(a != a), x, y);                       \
        return r & (~(vec)(a == b) | x);                                                 \
    }

#ifndef F32_MINIMUM
DEFINE_EXTREMES(f32, vec_f32)
DEFINE_EXTREMES(f64, vec_f64)
#define F32_MINIMUM(a, b) minimum_f32(a, b)
#define F32_MAXIMUM(a, b) maximum_f32(a, b)
#define F64_MINIMUM(a, b) minimum_f64(a, b)
#define F64_MAXIMUM(a, b) maximum_f64(a, b)
#endif

#define DEFINE_FLOAT(lane, vec_float, LANE)                                              \
    INLINE vec sum_##lane(vec a, vec b)                                                  \
    {                                                                                    \
        return (vec)((vec_float)a + (vec_float)b);                                       \
    }                                                                                    \
    INLINE vec prod_##lane(vec a, vec b)                                                 \
    {                                                                                    \
        return (vec)((vec_float)a * (vec_float)b);                                       \
    }                                                                                    \
    INLINE vec min_##lane(vec a, vec b)                                                  \
    {                                                                                    \
        return LANE##_MINIMUM(a, b);                                                     \
    }                                                                                    \
    INLINE vec max_##lane(vec a, vec b)                                                  \
    {                                                                                    \
        return LANE##_MAXIMUM(a, b);                                                     \
    }
DEFINE_FLOAT(f32, vec_f32, F32)
DEFINE_FLOAT(f64, vec_f64, F64)

INLINE vec splat_f32(const struct combine *c)
{
    return vector_splat_f32(c->scalar.f32);
}

INLINE vec splat_f64(const struct combine *c)
{
    return vector_splat_f64(c->scalar.f64);
}

INLINE vec divide_f32(vec x, int nranks)
{
    return (vec)((vec_f32)x / (vec_f32)vector_splat_f32((float)nranks));
}

INLINE vec divide_f64(vec x, int nranks)
{
    return (vec)((vec_f64)x / (vec_f64)vector_splat_f64(nranks));
}

/* Bits are bits at any width. */
INLINE vec band_any(vec a, vec b)
{
    return a & b;
}

INLINE vec bor_any(vec a, vec b)
{
    return a | b;
}

INLINE vec bxor_any(vec a, vec b)
{
    return a ^ b;
}

/* Bytes have no vector multiply: even and odd bytes go through 16-bit ones. */
INLINE vec multiply_u8(vec x, vec y)
{
    vec_u16 a = (vec_u16)x, b = (vec_u16)y;
    return (vec)(((a * b) & 0xff) | (((a >> 8) * (b >> 8)) << 8));
}

/* Signedness matters only where values are compared or divided. */
#define DEFINE_INTEGER(n, vec_s, vec_u, multiply, ones)                                  \
    INLINE vec sum_##n(vec x, vec y)                                                     \
    {                                                                                    \
        return (vec)((vec_u)x + (vec_u)y);                                               \
    }                                                                                    \
    INLINE vec prod_##n(vec x, vec y)                                                    \
    {                                                                                    \
        return multiply;                                                                 \
    }                                                                                    \
    INLINE vec land_##n(vec x, vec y)                                                    \
    {                                                                                    \
        return (vec)((vec_u)(((vec_u)x != 0) & ((vec_u)y != 0)) & 1);                    \
    }                                                                                    \
    INLINE vec lor_##n(vec x, vec y)                                                     \
    {                                                                                    \
        return (vec)((vec_u)((vec_u)(x | y) != 0) & 1);                                  \
    }                                                                                    \
    INLINE vec min_i##n(vec x, vec y)                                                    \
    {                                                                                    \
        return vector_select((vec)((vec_s)x < (vec_s)y), x, y);                          \
    }                                                                                    \
    INLINE vec max_i##n(vec x, vec y)                                                    \
    {                                                                                    \
        return vector_select((vec)((vec_s)x > (vec_s)y), x, y);                          \
    }                                                                                    \
    INLINE vec min_u##n(vec x, vec y)                                                    \
    {                                                                                    \
        return vector_select((vec)((vec_u)x < (vec_u)y), x, y);                          \
    }                                                                                    \
    INLINE vec max_u##n(vec x, vec y)                                                    \
    {                                                                                    \
        return vector_select((vec)((vec_u)x > (vec_u)y), x, y);                          \
    }                                                                                    \
    INLINE vec splat_##n(const struct combine *c)                                        \
    {                                                                                    \
        return vector_splat64((c->scalar.u64 & (~0ull >> (64 - n))) * ones);             \
    }
DEFINE_INTEGER(8, vec_i8, vec_u8, multiply_u8(x, y), 0x0101010101010101u)
DEFINE_INTEGER(16, vec_i16, vec_u16, (vec)((vec_u16)x *(vec_u16)y), 0x0001000100010001u)
DEFINE_INTEGER(32, vec_i32, vec, x *y, 0x0000000100000001u)
DEFINE_INTEGER(64, vec_i64, vec_u64, (vec)((vec_u64)x *(vec_u64)y), 1u)

/* Element-wise quotients, truncated towards zero, of the 8- or 16-bit integers (nbits) in
 * the low bits of each 32-bit lane. Exact: dividends are below 2^24, so the rounded
 * float32 quotient never reaches the next integer; and a divisor that float32 has to
 * round exceeds every dividend. */
INLINE vec quotient_narrow(const int nbits, const bool is_signed, vec x, vec_f32 divisor)
{
    vec_i32 wide = (vec_i32)(x << (32 - nbits));
    wide = is_signed ? wide >> (32 - nbits) : (vec_i32)((vec)wide >> (32 - nbits));
    vec_f32 q = __builtin_convertvector(wide, vec_f32) / divisor;
    return (vec) __builtin_convertvector(q, vec_i32) & ((1u << nbits) - 1);
}

/* The same for the 32-bit unsigned integer in the low half of each 64-bit lane, by
 * float64: 2^52 + x is x's bits under a fixed exponent. */
INLINE vec_u64 quotient_u32(vec_u64 x, vec_f64 divisor)
{
    const vec_f64 two52 = (vec_f64)vector_splat64(0x4330000000000000u);
    vec_f64 q = ((vec_f64)(x | 0x4330000000000000u) - two52) / divisor;
    vec_f64 rounded = q + two52;
    /* Adding 2^52 rounded to nearest; where that went up, step back (a mask is -1). */
    vec_u64 went_up = (vec_u64)(rounded - two52 > q);
    return ((vec_u64)rounded + went_up) & 0xffffffffu;
}

INLINE vec quotient_32(const bool is_signed, vec x, int nranks)
{
    vec_f64 divisor = (vec_f64)vector_splat_f64(nranks);
    vec sign = is_signed ? (vec)((vec_i32)x >> 31) : vector_splat(0);
    vec_u64 magnitude = (vec_u64)((x ^ sign) - sign);
    vec_u64 low = quotient_u32(magnitude & 0xffffffffu, divisor);
    vec_u64 high = quotient_u32(magnitude >> 32, divisor);
    return ((vec)(low | high << 32) ^ sign) - sign;
}

INLINE vec quotient_64(const bool is_signed, vec x, int nranks)
{
    vec_u64 r = (vec_u64)x;
    for (size_t i = 0; i < VECTOR_BYTES / 8; i++)
        r[i] = is_signed ? (uint64_t)((int64_t)r[i] / nranks) : r[i] / (uint64_t)nranks;
    return (vec)r;
}

INLINE vec quotient_8(const bool is_signed, vec x, int nranks)
{
    const vec_f32 divisor = (vec_f32)vector_splat_f32((float)nranks);
    return quotient_narrow(8, is_signed, x, divisor) |
           quotient_narrow(8, is_signed, x >> 8, divisor) << 8 |
           quotient_narrow(8, is_signed, x >> 16, divisor) << 16 |
           quotient_narrow(8, is_signed, x >> 24, divisor) << 24;
}

INLINE vec quotient_16(const bool is_signed, vec x, int nranks)
{
    const vec_f32 divisor = (vec_f32)vector_splat_f32((float)nranks);
    return quotient_narrow(16, is_signed, x, divisor) |
           quotient_narrow(16, is_signed, x >> 16, divisor) << 16;
}

#define DEFINE_DIVIDE(n)                                                                 \
    INLINE vec divide_i##n(vec x, int nranks)                                            \
    {                                                                                    \
        return quotient_##n(true, x, nranks);                                            \
    }                                                                                    \
    INLINE vec divide_u##n(vec x, int nranks)                                            \
    {                                                                                    \
        return quotient_##n(false, x, nranks);                                           \
    }
DEFINE_DIVIDE(8)
DEFINE_DIVIDE(16)
DEFINE_DIVIDE(32)
DEFINE_DIVIDE(64)

#endif
