/* Choosing a kernel: names, argument checks, the set of this process. */
#include "mem/combine.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "mem/combine_set.h"
#include "mem/combine_word.h"
#include "util/settings.h"

static const struct {
    const char *name;
    size_t nbytes;
    bool is_float;
} types[trncclNumTypes] = {
    [trncclInt8] = {"int8", 1, false},
    [trncclUint8] = {"uint8", 1, false},
    [trncclInt16] = {"int16", 2, false},
    [trncclUint16] = {"uint16", 2, false},
    [trncclInt32] = {"int32", 4, false},
    [trncclUint32] = {"uint32", 4, false},
    [trncclInt64] = {"int64", 8, false},
    [trncclUint64] = {"uint64", 8, false},
    [trncclFloat16] = {"float16", 2, true},
    [trncclBfloat16] = {"bfloat16", 2, true},
    [trncclFloat32] = {"float32", 4, true},
    [trncclFloat64] = {"float64", 8, true},
    [trncclFloat8e4m3] = {"float8e4m3", 1, true},
    [trncclFloat8e5m2] = {"float8e5m2", 1, true},
};

static const char *const op_names[trncclNumOps] = {
    [trncclSum] = "sum", [trncclProd] = "prod", [trncclMax] = "max",
    [trncclMin] = "min", [trncclAvg] = "avg",   [trncclBand] = "band",
    [trncclBor] = "bor", [trncclBxor] = "bxor", [trncclLand] = "land",
    [trncclLor] = "lor",
};

/* Narrowest first. */
static const struct combine_set *const sets[] = {
    &combine_set_portable,
#ifdef __x86_64__
    &combine_set_avx2,
    &combine_set_avx512,
#endif
};
enum { NSETS = sizeof sets / sizeof sets[0] };

/* The set in use; NULL until first asked for. The sets are constants and every thread
 * would choose the same one, so relaxed accesses suffice. */
static _Atomic(const struct combine_set *) current;

static bool type_valid(int type)
{
    return type >= 0 && type < trncclNumTypes;
}

size_t combine_type_nbytes(trncclDataType_t type)
{
    return type_valid((int)type) ? types[type].nbytes : 0;
}

const char *combine_type_name(trncclDataType_t type)
{
    return type_valid((int)type) ? types[type].name : NULL;
}

const char *combine_op_name(int op)
{
    if (op == COMBINE_PREMUL)
        return "pre-mul-sum";
    if (op == COMBINE_COPY)
        return "copy";
    return op >= 0 && op < trncclNumOps ? op_names[op] : NULL;
}

static const struct combine_set *widest_set(void)
{
    for (int i = NSETS - 1; i > 0; i--)
        if (sets[i]->usable())
            return sets[i];
    return sets[0];
}

/* "portable, avx2": what this CPU can run. */
static void usable_names(char *text, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < NSETS; i++)
        if (sets[i]->usable() && at < size)
            at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? ", " : "",
                                   sets[i]->name);
}

trncclResult_t combine_simd_select(const char *name)
{
    char usable[64];
    for (int i = 0; i < NSETS; i++) {
        if (strcmp(name, sets[i]->name) != 0)
            continue;
        if (sets[i]->usable()) {
            atomic_store_explicit(&current, sets[i], memory_order_relaxed);
            return trncclSuccess;
        }
        usable_names(usable, sizeof usable);
        return error_set(trncclInvalidArgument,
                         "SIMD set %s: this CPU lacks it; it has %s", name, usable);
    }
    usable_names(usable, sizeof usable);
    return error_set(trncclInvalidArgument, "SIMD set \"%s\" is unknown; this CPU has %s",
                     name, usable);
}

trncclResult_t combine_simd_load(void)
{
    if (atomic_load_explicit(&current, memory_order_relaxed))
        return trncclSuccess;
    TRY(settings_load());
    const char *name = settings_string(SETTINGS_SIMD);
    if (name && *name) {
        trncclResult_t result = combine_simd_select(name);
        return result == trncclSuccess
                   ? result
                   : error_set(result, "TRNCCL_SIMD: %s", error_text());
    }
    atomic_store_explicit(&current, widest_set(), memory_order_relaxed);
    return trncclSuccess;
}

static const struct combine_set *set_get(void)
{
    const struct combine_set *set = atomic_load_explicit(&current, memory_order_relaxed);
    if (__builtin_expect(set != NULL, 1))
        return set;
    /* A bad setting is combine_simd_load's to report; copies are right with any set. */
    if (combine_simd_load() != trncclSuccess)
        return sets[0];
    return atomic_load_explicit(&current, memory_order_relaxed);
}

const char *combine_simd_name(void)
{
    return set_get()->name;
}

void combine_run_copy(const struct combine *c, const struct combine_args *a)
{
    const size_t nbytes = a->nelems * c->elem_nbytes;
    const int nstream = a->flags & COMBINE_STREAM ? a->nstream : 0;
    if (nstream > 0)
        combine_copy(a->out, nstream, a->in[0], nbytes, true);
    if (nstream < a->nout)
        combine_copy(a->out + nstream, a->nout - nstream, a->in[0], nbytes, false);
}

/* The value of a narrow float's bits; NaN and infinities included. */
static float small_float(unsigned bits, int exponent_nbits, int mantissa_nbits, bool ieee)
{
    const unsigned exponent_max = (1u << exponent_nbits) - 1;
    const int bias = (1 << (exponent_nbits - 1)) - 1;
    unsigned sign = bits >> (exponent_nbits + mantissa_nbits);
    unsigned exponent = bits >> mantissa_nbits & exponent_max;
    unsigned mantissa = bits & ((1u << mantissa_nbits) - 1);
    float value;
    if (ieee && exponent == exponent_max)
        value = mantissa ? __builtin_nanf("") : __builtin_inff();
    else if (!ieee && (bits & 0x7f) == 0x7f)
        value = __builtin_nanf("");
    else if (exponent == 0)
        value = __builtin_ldexpf((float)mantissa, 1 - bias - mantissa_nbits);
    else
        value = __builtin_ldexpf((float)(mantissa | 1u << mantissa_nbits),
                                 (int)exponent - bias - mantissa_nbits);
    return sign ? -value : value;
}

/* One element of `type`, widened as struct combine keeps it. */
static void scalar_read(struct combine *c, trncclDataType_t type, const void *scalar)
{
    uint64_t bits = word_load(scalar, types[type].nbytes);
    uint32_t high = (uint32_t)bits << 16;
    switch (type) {
    case trncclFloat16:
        c->scalar.f32 = small_float((unsigned)bits, 5, 10, true);
        return;
    case trncclBfloat16:
        memcpy(&c->scalar.f32, &high, sizeof high);
        return;
    case trncclFloat8e4m3:
        c->scalar.f32 = small_float((unsigned)bits, 4, 3, false);
        return;
    case trncclFloat8e5m2:
        c->scalar.f32 = small_float((unsigned)bits, 5, 2, true);
        return;
    case trncclFloat32:
        memcpy(&c->scalar.f32, &bits, sizeof c->scalar.f32);
        return;
    default: /* float64 and integers; only the low bits of a product are kept */
        c->scalar.u64 = bits;
        return;
    }
}

trncclResult_t combine_init(struct combine *c, trncclDataType_t type, int op,
                            const void *scalar, int nranks)
{
    if (!type_valid((int)type))
        return error_set(trncclInvalidArgument, "data type %d: must be 0 to %d",
                         (int)type, trncclNumTypes - 1);
    if (!combine_op_name(op))
        return error_set(trncclInvalidArgument, "reduction %d: must be 0 to %d", op,
                         trncclNumOps - 1);
    if (nranks < 1)
        return error_set(trncclInvalidArgument, "%s of %d ranks: needs at least 1",
                         combine_op_name(op), nranks);
    if (op == COMBINE_PREMUL && !scalar)
        return error_set(trncclInvalidArgument, "pre-mul-sum without a scalar");
    TRY(combine_simd_load());
    combine_fn fn = combine_run_copy;
    if (op != COMBINE_COPY)
        fn = set_get()->run[type][op == COMBINE_PREMUL ? COMBINE_SET_PREMUL : op];
    if (!fn)
        return error_set(trncclInvalidArgument,
                         "reduction %s of %s: bitwise and logical operations take "
                         "integer types only",
                         combine_op_name(op), types[type].name);
    *c = (struct combine){
        .run = fn,
        .elem_nbytes = types[type].nbytes,
        .nranks = nranks,
        .premul = op == COMBINE_PREMUL,
        .final_scales = op == trncclAvg && nranks > 1,
        .type = (int)type,
        .op = op,
    };
    if (op == COMBINE_PREMUL)
        scalar_read(c, type, scalar);
    return trncclSuccess;
}

/* Up to 64 bytes: words and pairs of words that may overlap, all read before any is
 * written. */
INLINE void copy_small(char *out, const char *in, size_t nbytes)
{
    if (nbytes <= 8) {
        if (nbytes > 0)
            word_store(out, word_load(in, nbytes), nbytes);
        return;
    }
    if (nbytes <= 16) {
        uint64_t low = word_load(in, 8), high = word_load(in + nbytes - 8, 8);
        word_store(out, low, 8);
        word_store(out + nbytes - 8, high, 8);
        return;
    }
    struct {
        char bytes[16];
    } a, b, c, d;
    memcpy(&a, in, 16);
    memcpy(&b, in + nbytes - 16, 16);
    if (nbytes > 32) {
        memcpy(&c, in + 16, 16);
        memcpy(&d, in + nbytes - 32, 16);
        memcpy(out + 16, &c, 16);
        memcpy(out + nbytes - 32, &d, 16);
    }
    memcpy(out, &a, 16);
    memcpy(out + nbytes - 16, &b, 16);
}

void combine_copy(void *const *out, int nout, const void *in, size_t nbytes, bool stream)
{
    if (nbytes <= 64) {
        for (int j = 0; j < nout; j++)
            copy_small(out[j], in, nbytes);
        return;
    }
    if (nout > 1)
        set_get()->spread(out, nout, in, nbytes, stream);
    else if (out[0] != in)
        set_get()->copy(out[0], in, nbytes, stream);
}
