/* The combine kernels: k inputs -> combined in listed order -> m outputs, in one pass.
 *
 * Rules (each tested against an independent oracle):
 *  - value = (((in[0] op in[1]) op in[2]) ...), in listed order, for every element alike,
 *    whatever the vector width: results are the same bits portable, AVX2, AVX-512.
 *  - float32 and float64 combine in their own precision, without contraction or
 *    reassociation. float16, bfloat16 and the fp8 types widen to float32, combine there,
 * and round once, to nearest even, when the step writes its outputs.
 *  - Narrowing: float16, bfloat16, e5m2 overflow to infinity; e4m3 has none and overflows
 *    (and maps infinities) to NaN, as OCP's non-saturating mode does. NaN stays NaN
 * (quiet); its payload and sign are unspecified. A copy of one input keeps every bit.
 *  - min/max: a NaN operand gives NaN; min(-0, +0) = -0, max(-0, +0) = +0 in any order
 *    (IEEE 754-2019 minimum/maximum).
 *  - Integers wrap (two's complement). land/lor give 0 or 1.
 *  - avg: a sum in every step; the step marked final divides by nranks: floats divide in
 * the precision they are combined in, before the one rounding; integers divide the
 * wrapped sum, truncating towards zero.
 *  - pre-mul-sum: the raw input is multiplied by the scalar (in float32 for types of 16
 * and 8 bits, rounded once at the end of the step; integers wrap) before it is added.
 *  - Outputs may be equal to an input (same address and length); else they do not
 * overlap.
 */
#ifndef TRNCCL_MEM_COMBINE_H
#define TRNCCL_MEM_COMBINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/error.h"

/* What to do with `nin` inputs, resolved once per call from type and operation. */
struct combine;

enum combine_flags {
    COMBINE_FINAL = 1,  /* apply the average's division to the value */
    COMBINE_STREAM = 2, /* results are large or cold: write past the cache */
};

struct combine_args {
    const void *const *in; /* [nin] */
    void *const *out;      /* [nout] */
    int nin, nout;         /* both >= 1 */
    int raw;               /* index of the input that is a raw contribution, or -1 */
    unsigned flags;        /* enum combine_flags */
    size_t nelems;
};

typedef void (*combine_fn)(const struct combine *c, const struct combine_args *a);

/* Immutable after init; may be shared between threads. */
struct combine {
    combine_fn run; /* never NULL after init */
    size_t elem_nbytes;
    int nranks;        /* for avg */
    bool premul;       /* raw inputs are scaled: they cannot be sent without the kernel */
    bool final_scales; /* a SCHED_FINAL step must run the kernel (avg) */
    union {            /* the pre-mul scalar: widened to float32 for 16/8-bit floats */
        float f32;
        double f64;
        int64_t i64;
        uint64_t u64;
    } scalar;
    int type, op; /* trncclDataType_t; trncclRedOp_t, COMBINE_PREMUL or COMBINE_COPY */
};

#define COMBINE_PREMUL 100 /* internal code of pre-mul-sum */
#define COMBINE_COPY 101   /* no reduction: exactly one input per step */

/* op is a trncclRedOp_t below trncclNumOps, COMBINE_PREMUL (scalar: one element of type)
 * or COMBINE_COPY. trncclInvalidArgument for a pair that has no meaning (bitwise or
 * logical operations on floats), naming both. */
trncclResult_t combine_init(struct combine *c, trncclDataType_t type, int op,
                            const void *scalar, int nranks);
static inline void combine_run(const struct combine *c, const struct combine_args *a)
{
    c->run(c, a);
}
/* Copies nbytes to every output: what a step with one input and no scaling does. stream
 * as COMBINE_STREAM. */
void combine_copy(void *const *out, int nout, const void *in, size_t nbytes, bool stream);
/* "portable", "avx2", "avx512": the widest set this process uses (CPU and TRNCCL_SIMD).
 */
const char *combine_simd_name(void);
/* Makes one set the current one; for tests and TRNCCL_SIMD. trncclInvalidArgument if the
 * CPU lacks it or the name is unknown (the text lists what there is). Thread: before any
 * use. */
trncclResult_t combine_simd_select(const char *name);

/* Bytes per element and name ("float32") of a type; 0 and NULL if out of range. */
size_t combine_type_nbytes(trncclDataType_t type);
const char *combine_type_name(trncclDataType_t type);
const char *combine_op_name(int op);

#endif
