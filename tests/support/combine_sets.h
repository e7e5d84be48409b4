/* Bits and SIMD sets for tests of the combine kernels. */
#ifndef TRNCCL_TESTS_COMBINE_SETS_H
#define TRNCCL_TESTS_COMBINE_SETS_H

#include <stdio.h>
#include <string.h>
#include "mem/combine.h"
#include "tests/support/random_sched.h"

static const char *const simd_names[] = {"portable", "avx2", "avx512"};
enum { NSIMD = 3 };

/* Every operation there is, in an order of our own. */
static const int all_ops[] = {trncclSum,  trncclProd, trncclMin,     trncclMax,
                              trncclAvg,  trncclBand, trncclBor,     trncclBxor,
                              trncclLand, trncclLor,  COMBINE_PREMUL};
enum { NOPS = 11 };

/* false, with a line that says so, if this CPU lacks the set. */
static inline bool simd_try(const char *name)
{
    if (combine_simd_select(name) == trncclSuccess)
        return true;
    printf("not run here: %s\n", error_text());
    return false;
}

static inline uint64_t element_get(const void *p, size_t i, size_t nbytes)
{
    uint64_t bits = 0;
    memcpy(&bits, (const char *)p + i * nbytes, nbytes);
    return bits;
}

static inline void element_put(void *p, size_t i, size_t nbytes, uint64_t bits)
{
    memcpy((char *)p + i * nbytes, &bits, nbytes);
}

static inline uint64_t random_u64(struct random *r)
{
    return (uint64_t)random_below(r, UINT32_MAX) << 33 ^
           (uint64_t)random_below(r, UINT32_MAX) << 16 ^ random_below(r, UINT32_MAX);
}

/* Bit patterns where rules change: zeros, ones, the ends of subnormals and normals,
 * infinities, NaNs quiet and signalling, extremes of integers. */
static inline uint64_t special_bits(int type, unsigned i)
{
    static const uint64_t f32[] = {0,          1,          0x7fffff,   0x800000,
                                   0x3f800000, 0x34000000, 0x7f7fffff, 0x7f800000,
                                   0x7fc00000, 0x7f800001, 0x7fffffff, 0x3fc00001};
    static const uint64_t f64[] = {0,
                                   1,
                                   0xfffffffffffff,
                                   0x10000000000000,
                                   0x3ff0000000000000,
                                   0x3cb0000000000000,
                                   0x7fefffffffffffff,
                                   0x7ff0000000000000,
                                   0x7ff8000000000000,
                                   0x7ff0000000000001,
                                   0x7fffffffffffffff,
                                   0x3ff8000000000001};
    static const uint64_t f16[] = {0,      1,      0x3ff,  0x400,  0x3c00, 0x1400,
                                   0x7bff, 0x7c00, 0x7e00, 0x7c01, 0x7fff, 0x3e01};
    static const uint64_t bf16[] = {0,      1,      0x7f,   0x80,   0x3f80, 0x3c00,
                                    0x7f7f, 0x7f80, 0x7fc0, 0x7f81, 0x7fff, 0x3fc1};
    static const uint64_t ends[] = {0, 1, 2, 3, 0x7f, 0x7e, 0x55, 0x33, 0x40, 0x20, 9, 5};
    const size_t nbits = 8 * combine_type_nbytes((trncclDataType_t)type);
    const uint64_t sign = i & 1 ? 1ull << (nbits - 1) : 0;
    i = i / 2 % 12;
    switch (type) {
    case trncclFloat32:
        return f32[i] | sign;
    case trncclFloat64:
        return f64[i] | sign;
    case trncclFloat16:
        return f16[i] | sign;
    case trncclBfloat16:
        return bf16[i] | sign;
    default: /* the high byte of integers; all of the 8-bit floats' fields */
        return (ends[i] << (nbits - 8) | (i & 1 ? (1ull << (nbits - 8)) - 1 : 0)) ^ sign;
    }
}
enum { NSPECIALS = 24 };

/* Any bits, a special value, or (floats) a value near one, so that sums round and do not
 * merely keep the larger operand. */
static inline uint64_t random_bits(struct random *r, int type)
{
    const size_t nbytes = combine_type_nbytes((trncclDataType_t)type);
    const uint64_t mask = ~0ull >> (64 - 8 * nbytes);
    uint64_t any = random_u64(r) & mask;
    switch (random_below(r, 8)) {
    case 0:
        return special_bits(type, random_below(r, NSPECIALS));
    case 1:
    case 2:
        return any;
    default:
        break;
    }
    switch (type) {
    case trncclFloat32:
        return (any & 0x81ffffff) | 0x3e000000;
    case trncclFloat64:
        return (any & 0x803fffffffffffff) | 0x3fc0000000000000;
    case trncclFloat16:
        return (any & 0x8fff) | 0x3000;
    case trncclBfloat16:
        return (any & 0x81ff) | 0x3e00;
    default:
        return any;
    }
}

#endif
