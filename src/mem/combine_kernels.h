/* The kernels of one set: included last by combine_<set>.c, after it has defined
 * SET_SYMBOL, SET_NAME, SET_USABLE and what combine_vector.h and its followers list.
 *
 * A call is cut into columns of a few vectors. For each column the running value stays in
 * registers while every input is folded in, and is then written to every output: each
 * byte is read once and written once whatever the numbers of inputs and outputs. An
 * output may be an input, since a column is read completely before it is written.
 *
 * Template: compiled once per instruction set, inside combine_<set>.c. */
#ifndef TRNCCL_MEM_COMBINE_KERNELS_H
#define TRNCCL_MEM_COMBINE_KERNELS_H

#include "mem/combine_copy.h"
#include "mem/combine_fold.h"
#include "mem/combine_set.h"

/* What a kernel is specialised for. Every kernel passes constants, so that the calls
 * through these pointers become inlined code. */
#define KIND_PARAMETERS                                                                  \
    const int nparts, void (*const widen)(vec, vec *), vec (*const narrow)(const vec *), \
        vec (*const fold)(vec, vec), vec (*const multiply)(vec, vec),                    \
        vec (*const divide)(vec, int)
#define KIND nparts, widen, narrow, fold, multiply, divide

/* The operands of one call. */
struct operands {
    const char *const *in;
    char *const *out;
    int nin, nout;
    int raw;     /* input to scale, -1: none */
    int nranks;  /* the average's divisor */
    vec scalar;  /* the pre-mul scalar */
    int nstream; /* first outputs to store past the cache, where aligned for it */
};

/* BODY(u) for u < n, n a constant from 1 to 8: nothing is left of the tests. (Compilers
 * keep arrays in registers only if the indices are constants early.) */
#define EACH(n, BODY)                                                                    \
    do {                                                                                 \
        EACH_IF(n, 0, BODY)                                                              \
        EACH_IF(n, 1, BODY)                                                              \
        EACH_IF(n, 2, BODY)                                                              \
        EACH_IF(n, 3, BODY)                                                              \
        EACH_IF(n, 4, BODY)                                                              \
        EACH_IF(n, 5, BODY)                                                              \
        EACH_IF(n, 6, BODY)                                                              \
        EACH_IF(n, 7, BODY)                                                              \
    } while (0)
#define EACH_IF(n, u, BODY)                                                              \
    if ((n) > (u)) {                                                                     \
        BODY(u)                                                                          \
    }

/* Folds one raw vector into its nparts running values. */
INLINE void fold_raw(KIND_PARAMETERS, vec *value, vec raw, const bool scaled, vec scalar)
{
    (void)narrow;
    (void)divide;
    vec x[8]; /* as long as EACH can reach */
    widen(raw, x);
#define SCALE(u) x[u] = multiply(x[u], scalar);
#define FOLD(u) value[u] = fold(value[u], x[u]);
    if (scaled)
        EACH(nparts, SCALE);
    EACH(nparts, FOLD);
#undef SCALE
#undef FOLD
}

/* One column of nraw whole raw vectors at byte `at`; or, with nraw 1 and part != 0, of
 * the first `part` bytes of one. nraw * nparts <= 8. multiply is NULL unless raw inputs
 * are scaled, divide unless the value is averaged. */
INLINE void column(KIND_PARAMETERS, const int nraw, const struct operands *o, size_t at,
                   size_t part)
{
    const int nvalues = nraw * nparts;
    vec value[8], result[8];
    const char *p = o->in[0] + at;
#define RAW(u) (part ? vector_part_load(p, part) : vector_load(p + u * VECTOR_BYTES))
#define FIRST(u) widen(RAW(u), value + u * nparts);
#define SCALE(u) value[u] = multiply(value[u], o->scalar);
#define NEXT(u) fold_raw(KIND, value + u * nparts, RAW(u), false, o->scalar);
#define NEXT_SCALED(u) fold_raw(KIND, value + u * nparts, RAW(u), true, o->scalar);
#define DIVIDE(u) value[u] = divide(value[u], o->nranks);
#define NARROW(u) result[u] = narrow(value + u * nparts);
#define STORE(u) vector_store(q + u * VECTOR_BYTES, result[u]);
#define STREAM(u) vector_stream(q + u * VECTOR_BYTES, result[u]);
    EACH(nraw, FIRST);
    if (multiply && o->raw == 0)
        EACH(nvalues, SCALE);
    for (int i = 1; i < o->nin; i++) {
        p = o->in[i] + at;
        if (multiply && o->raw == i)
            EACH(nraw, NEXT_SCALED);
        else
            EACH(nraw, NEXT);
    }
    if (divide)
        EACH(nvalues, DIVIDE);
    EACH(nraw, NARROW);
    for (int j = 0; j < o->nout; j++) {
        char *q = o->out[j] + at;
        if (part)
            vector_part_store(q, result[0], part);
        else if (j < o->nstream && (uintptr_t)q % VECTOR_BYTES == 0)
            EACH(nraw, STREAM);
        else
            EACH(nraw, STORE);
    }
#undef RAW
#undef FIRST
#undef SCALE
#undef NEXT
#undef NEXT_SCALED
#undef DIVIDE
#undef NARROW
#undef STORE
#undef STREAM
}

/* Two inputs, one output, less than a vector: the latency of small all-reduces. No loop,
 * and nothing to save or set up. */
INLINE void pair_tiny(KIND_PARAMETERS, const struct combine_args *a, size_t nbytes)
{
    (void)multiply;
    (void)divide;
    const char *x = a->in[0], *y = a->in[1];
    char *out = a->out[0];
    const bool is_word = nbytes <= 8;
    vec value[8];
    widen(is_word ? vector_word(word_load(x, nbytes)) : vector_part_load(x, nbytes),
          value);
    fold_raw(KIND, value,
             is_word ? vector_word(word_load(y, nbytes)) : vector_part_load(y, nbytes),
             false, vector_splat(0));
    vec result = narrow(value);
    if (is_word)
        word_store(out, ((vec_u64)result)[0], nbytes);
    else
        vector_part_store(out, result, nbytes);
}

/* Bytes before the first 64-byte line of `out`, so that streaming stores fill whole
 * lines; 0 if whole elements cannot reach it. */
INLINE size_t stream_head(const char *out, size_t elem_nbytes, size_t nbytes)
{
    size_t head = -(uintptr_t)out % 64;
    return head % elem_nbytes == 0 && head < nbytes ? head : 0;
}

INLINE void run(KIND_PARAMETERS, vec (*const splat)(const struct combine *),
                const struct combine *c, const struct combine_args *a)
{
    const size_t nbytes = a->nelems * c->elem_nbytes;
    const struct operands o = {
        .in = (const char *const *)a->in,
        .out = (char *const *)a->out,
        .nin = a->nin,
        .nout = a->nout,
        .raw = a->raw,
        .nranks = c->nranks,
        .scalar = splat ? splat(c) : vector_splat(0),
        .nstream = a->flags & COMBINE_STREAM ? a->nstream : 0,
    };
    /* Half of 16 registers for running values; a quarter where scaling or the conversion
     * of 8-bit floats needs many more. */
    const int nraw = (multiply || nparts == 4 ? 4 : 8) / nparts;
    const size_t wide = (size_t)nraw * VECTOR_BYTES;
    size_t at = 0;
    size_t end = o.nstream ? stream_head(o.out[0], c->elem_nbytes, nbytes) : 0;
    for (;;) {
        /* Up to `end` by single vectors: first the head of a stream, then the tail. */
        while (at < end) {
            size_t part = end - at < VECTOR_BYTES ? end - at : 0;
            column(KIND, 1, &o, at, part);
            at += part ? part : VECTOR_BYTES;
        }
        if (at == nbytes)
            break;
        for (; nbytes - at >= wide; at += wide)
            column(KIND, nraw, &o, at, 0);
        end = nbytes;
    }
    if (o.nstream)
        vector_fence();
}

#define KERNEL(name, nparts, widen, narrow, fold)                                        \
    static __attribute__((noinline)) void name##_long(const struct combine *c,           \
                                                      const struct combine_args *a)      \
    {                                                                                    \
        run(nparts, widen, narrow, fold, NULL, NULL, NULL, c, a);                        \
    }                                                                                    \
    static void name(const struct combine *c, const struct combine_args *a)              \
    {                                                                                    \
        const size_t nbytes = a->nelems * c->elem_nbytes;                                \
        if (a->nin == 1)                                                                 \
            combine_run_copy(c, a);                                                      \
        else if (a->nin == 2 && a->nout == 1 && nbytes - 1 < VECTOR_BYTES - 1)           \
            pair_tiny(nparts, widen, narrow, fold, NULL, NULL, a, nbytes);               \
        else                                                                             \
            name##_long(c, a);                                                           \
    }

/* Only the step marked final divides; the others sum. */
#define KERNEL_AVERAGE(name, nparts, widen, narrow, fold, divide, run_sum)               \
    static void name(const struct combine *c, const struct combine_args *a)              \
    {                                                                                    \
        if (!(a->flags & COMBINE_FINAL) || c->nranks == 1)                               \
            run_sum(c, a);                                                               \
        else                                                                             \
            run(nparts, widen, narrow, fold, NULL, divide, NULL, c, a);                  \
    }

#define KERNEL_PREMUL(name, nparts, widen, narrow, fold, multiply, splat, run_sum)       \
    static void name(const struct combine *c, const struct combine_args *a)              \
    {                                                                                    \
        if (a->raw < 0)                                                                  \
            run_sum(c, a);                                                               \
        else                                                                             \
            run(nparts, widen, narrow, fold, multiply, NULL, splat, c, a);               \
    }

KERNEL(run_band, 1, plain_widen, plain_narrow, band_any)
KERNEL(run_bor, 1, plain_widen, plain_narrow, bor_any)
KERNEL(run_bxor, 1, plain_widen, plain_narrow, bxor_any)

#define FLOAT_KERNELS(name, nparts, widen, narrow, lane)                                 \
    KERNEL(run_sum_##name, nparts, widen, narrow, sum_##lane)                            \
    KERNEL(run_prod_##name, nparts, widen, narrow, prod_##lane)                          \
    KERNEL(run_min_##name, nparts, widen, narrow, min_##lane)                            \
    KERNEL(run_max_##name, nparts, widen, narrow, max_##lane)                            \
    KERNEL_AVERAGE(run_avg_##name, nparts, widen, narrow, sum_##lane, divide_##lane,     \
                   run_sum_##name)                                                       \
    KERNEL_PREMUL(run_premul_##name, nparts, widen, narrow, sum_##lane, prod_##lane,     \
                  splat_##lane, run_sum_##name)
FLOAT_KERNELS(f16, 2, f16_widen, f16_narrow, f32)
FLOAT_KERNELS(bf16, 2, bf16_widen, bf16_narrow, f32)
FLOAT_KERNELS(e4m3, 4, e4m3_widen, e4m3_narrow, f32)
FLOAT_KERNELS(e5m2, 4, e5m2_widen, e5m2_narrow, f32)
FLOAT_KERNELS(f32, 1, plain_widen, f32_narrow, f32)
FLOAT_KERNELS(f64, 1, plain_widen, f64_narrow, f64)

#define INTEGER_KERNEL(op) KERNEL(run_##op, 1, plain_widen, plain_narrow, op)
#define INTEGER_AVERAGE(s, n)                                                            \
    KERNEL_AVERAGE(run_avg_##s##n, 1, plain_widen, plain_narrow, sum_##n, divide_##s##n, \
                   run_sum_##n)
#define INTEGER_KERNELS(n)                                                               \
    INTEGER_KERNEL(sum_##n)                                                              \
    INTEGER_KERNEL(prod_##n)                                                             \
    INTEGER_KERNEL(land_##n)                                                             \
    INTEGER_KERNEL(lor_##n)                                                              \
    INTEGER_KERNEL(min_i##n)                                                             \
    INTEGER_KERNEL(max_i##n)                                                             \
    INTEGER_KERNEL(min_u##n)                                                             \
    INTEGER_KERNEL(max_u##n)                                                             \
    INTEGER_AVERAGE(i, n)                                                                \
    INTEGER_AVERAGE(u, n)                                                                \
    KERNEL_PREMUL(run_premul_##n, 1, plain_widen, plain_narrow, sum_##n, prod_##n,       \
                  splat_##n, run_sum_##n)
INTEGER_KERNELS(8)
INTEGER_KERNELS(16)
INTEGER_KERNELS(32)
INTEGER_KERNELS(64)

#define FLOAT_ROW(name)                                                                  \
    {                                                                                    \
        [trncclSum] = run_sum_##name, [trncclProd] = run_prod_##name,                    \
        [trncclMin] = run_min_##name, [trncclMax] = run_max_##name,                      \
        [trncclAvg] = run_avg_##name, [COMBINE_SET_PREMUL] = run_premul_##name,          \
    }
#define INTEGER_ROW(s, n)                                                                \
    {                                                                                    \
        [trncclSum] = run_sum_##n, [trncclProd] = run_prod_##n,                          \
        [trncclMin] = run_min_##s##n, [trncclMax] = run_max_##s##n,                      \
        [trncclAvg] = run_avg_##s##n, [COMBINE_SET_PREMUL] = run_premul_##n,             \
        [trncclBand] = run_band, [trncclBor] = run_bor, [trncclBxor] = run_bxor,         \
        [trncclLand] = run_land_##n, [trncclLor] = run_lor_##n,                          \
    }

const struct combine_set SET_SYMBOL = {
    .name = SET_NAME,
    .usable = SET_USABLE,
    .run =
        {
            [trncclInt8] = INTEGER_ROW(i, 8),
            [trncclUint8] = INTEGER_ROW(u, 8),
            [trncclInt16] = INTEGER_ROW(i, 16),
            [trncclUint16] = INTEGER_ROW(u, 16),
            [trncclInt32] = INTEGER_ROW(i, 32),
            [trncclUint32] = INTEGER_ROW(u, 32),
            [trncclInt64] = INTEGER_ROW(i, 64),
            [trncclUint64] = INTEGER_ROW(u, 64),
            [trncclFloat16] = FLOAT_ROW(f16),
            [trncclBfloat16] = FLOAT_ROW(bf16),
            [trncclFloat32] = FLOAT_ROW(f32),
            [trncclFloat64] = FLOAT_ROW(f64),
            [trncclFloat8e4m3] = FLOAT_ROW(e4m3),
            [trncclFloat8e5m2] = FLOAT_ROW(e5m2),
        },
    .copy = copy_one,
    .spread = copy_spread,
};

#endif
