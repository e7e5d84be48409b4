/* The combine kernels: k inputs -> combined in listed order -> m outputs, in one pass.
 *
 * Rules (each tested against an independent oracle):
 *  - value = (((in[0] op in[1]) op in[2]) ...), in listed order, for every element alike:
 *    the bits depend on the operands alone, never on the instruction set, the address,
 *    the number of outputs, or how a call is split.
 *  - One input that nothing scales is copied, every bit kept (NaN payloads; land and lor
 *    leave it as it is).
 *  - float32 and float64 combine in their own precision, without contraction or
 *    reassociation. float16, bfloat16 and the fp8 types widen to float32, combine there,
 *    and round once, to nearest even, when the step writes its outputs.
 *  - Narrowing: float16, bfloat16, e5m2 overflow to infinity; e4m3 has none and overflows
 *    (and maps infinities) to NaN, as OCP's non-saturating mode does.
 *  - A NaN that a combination writes is the type's one canonical NaN: quiet, positive, no
 *    payload (float32 7fc00000, float64 7ff8..., float16 7e00, bfloat16 7fc0, e5m2 7e,
 *    e4m3 7f).
 *  - min/max: a NaN operand gives NaN; min(-0, +0) = -0, max(-0, +0) = +0 in any order
 *    (IEEE 754-2019 minimum/maximum).
 *  - Integers wrap (two's complement). land/lor of two or more give 0 or 1.
 *  - avg: a sum in every step; the step marked final divides by nranks: floats divide in
 *    the precision they are combined in (nranks rounded to it), before the one rounding;
 *    integers divide the wrapped sum, as a number of their type, truncating towards zero.
 *  - pre-mul-sum: input `raw` is multiplied by the scalar before it is added: the product
 *    is rounded to float32 for types of 16 and 8 bits, else to the type; integers wrap.
 *    COMBINE_FINAL means nothing to it, nor to anything but avg.
 *  - The thread's floating-point environment is the default one: round to nearest,
 *    subnormals kept.
 *  - Outputs may be equal to an input (same address and length); else they do not
 *    overlap.
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
    COMBINE_STREAM = 2, /* write the first nstream outputs past the cache */
};

struct combine_args {
    const void *const *in; /* [nin] */
    void *const *out;      /* [nout] */
    int nin, nout;         /* both >= 1 */
    int raw;               /* index of the input that is a raw contribution, or -1 */
    unsigned flags;        /* enum combine_flags */
    size_t nelems;
    int nstream; /* with COMBINE_STREAM, 1..nout: outputs that are large or cold */
};

typedef void (*combine_fn)(const struct combine *c, const struct combine_args *a);

/* Immutable after init; may be shared between threads. */
struct combine {
    combine_fn run; /* never NULL after init */
    size_t elem_nbytes;
    int nranks;        /* for avg */
    bool premul;       /* raw inputs are scaled: they cannot be sent without the kernel */
    bool final_scales; /* a SCHED_FINAL step must run the kernel (avg of > 1 ranks) */
    union { /* the pre-mul scalar: float32 for 16/8-bit floats; u64 for any integer */
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
 * logical operations on floats), naming both; for a bad TRNCCL_SIMD; for nranks < 1. */
trncclResult_t combine_init(struct combine *c, trncclDataType_t type, int op,
                            const void *scalar, int nranks);
static inline void combine_run(const struct combine *c, const struct combine_args *a)
{
    c->run(c, a);
}
/* Copies nbytes to every output: what a step with one input and no scaling does. stream
 * as COMBINE_STREAM. */
void combine_copy(void *const *out, int nout, const void *in, size_t nbytes, bool stream);
/* "portable", "avx2", "avx512": the set of this process, TRNCCL_SIMD's or else the
 * widest the CPU has. */
const char *combine_simd_name(void);
/* Settles the set of this process by TRNCCL_SIMD, or by the CPU if that is not set.
 * trncclInvalidArgument if the setting names none that this CPU has. */
trncclResult_t combine_simd_load(void);
/* Makes one set the current one; for tests and TRNCCL_SIMD. trncclInvalidArgument if the
 * CPU lacks it or the name is unknown (the text lists what there is). Thread: before any
 * use. */
trncclResult_t combine_simd_select(const char *name);

/* Bytes per element and name ("float32") of a type; 0 and NULL if out of range. */
size_t combine_type_nbytes(trncclDataType_t type);
const char *combine_type_name(trncclDataType_t type);
const char *combine_op_name(int op);

#endif
