#include "oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a type is stored. sum: integers up to this magnitude are exact. */
static const struct format {
    const char *name;
    uint8_t nbytes;
    bool real, is_signed;
    uint8_t exponent_bits, mantissa_bits;
    int32_t exact;
} formats[trncclNumTypes] = {
    [trncclInt8] = {"int8", 1, false, true, 0, 0, 0},
    [trncclUint8] = {"uint8", 1, false, false, 0, 0, 0},
    [trncclInt16] = {"int16", 2, false, true, 0, 0, 0},
    [trncclUint16] = {"uint16", 2, false, false, 0, 0, 0},
    [trncclInt32] = {"int32", 4, false, true, 0, 0, 0},
    [trncclUint32] = {"uint32", 4, false, false, 0, 0, 0},
    [trncclInt64] = {"int64", 8, false, true, 0, 0, 0},
    [trncclUint64] = {"uint64", 8, false, false, 0, 0, 0},
    [trncclFloat16] = {"float16", 2, true, true, 5, 10, 2048},
    [trncclBfloat16] = {"bfloat16", 2, true, true, 8, 7, 256},
    [trncclFloat8e4m3] = {"float8e4m3", 1, true, true, 4, 3, 16},
    [trncclFloat8e5m2] = {"float8e5m2", 1, true, true, 5, 2, 8},
    [trncclFloat32] = {"float32", 4, true, true, 8, 23, 1 << 20},
    [trncclFloat64] = {"float64", 8, true, true, 11, 52, 1 << 20},
};

uint64_t oracle_hash(uint64_t seed, uint64_t a, uint64_t b)
{
    /* SplitMix64's finalizer (Steele, Lea, Flood 2014), once per argument. */
    uint64_t x = seed;
    for (int i = 0; i < 2; i++) {
        x += 0x9e3779b97f4a7c15ull + (i ? b : a) * 0xd1342543de82ef95ull;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ x >> 27) * 0x94d049bb133111ebull;
        x ^= x >> 31;
    }
    return x;
}

size_t oracle_type_nbytes(trncclDataType_t type)
{
    return formats[type].nbytes;
}

bool oracle_type_is_float(trncclDataType_t type)
{
    return formats[type].real;
}

const char *oracle_type_name(trncclDataType_t type)
{
    return formats[type].name;
}

const char *oracle_op_name(int op)
{
    static const char *const names[] = {"sum",  "prod", "max",  "min",  "avg",
                                        "band", "bor",  "bxor", "land", "lor"};
    return op == ORACLE_COPY ? "copy" : op == ORACLE_PREMUL ? "premul" : names[op];
}

bool oracle_op_fits(trncclDataType_t type, int op)
{
    return op < (int)trncclBand || !formats[type].real;
}

void oracle_encode(trncclDataType_t type, double x, void *element)
{
    const struct format *f = &formats[type];
    int bias = (1 << (f->exponent_bits - 1)) - 1, least = 1 - bias;
    uint64_t code = 0;
    if (x != 0) {
        int exponent = ilogb(x);
        if (exponent < least)
            exponent = least;
        /* In units of the last place; a carry runs into the exponent by itself. */
        double units = rint(ldexp(fabs(x), f->mantissa_bits - exponent));
        code = ((uint64_t)(exponent - least) << f->mantissa_bits) + (uint64_t)units;
    }
    code |= (uint64_t)(signbit(x) != 0) << (f->exponent_bits + f->mantissa_bits);
    memcpy(element, &code, f->nbytes); /* little-endian, like every host we know */
}

/* ---- contributions ------------------------------------------------------------------
 */

/* A 64-bit pattern as a value of an integer type. */
static int64_t as_integer(trncclDataType_t type, uint64_t bits)
{
    unsigned unused = 64 - 8 * formats[type].nbytes;
    return formats[type].is_signed ? (int64_t)(bits << unused) >> unused
                                   : (int64_t)(bits << unused >> unused);
}

static uint64_t integer_value(const struct oracle *o, int rank, int i, uint64_t seed)
{
    uint64_t h = oracle_hash(seed, (uint64_t)rank + 1, (uint64_t)i);
    switch (o->op) {
    case trncclProd:
        return h % 16 ? h | 1 : h; /* even factors soon leave nothing but 0 */
    case trncclBand:
        return h | oracle_hash(h, 1, 2) | oracle_hash(h, 3, 4);
    case trncclLand:
        return h % (2 * (uint64_t)o->nranks) ? h | 1 : 0;
    case trncclLor:
        return h % (uint64_t)o->nranks ? 0 : h;
    default:
        return h;
    }
}

/* An integer of at most `limit` / nranks; if that is less than 1, some ranks have 0. */
static double small_integer(int nranks, int rank, int32_t limit, uint64_t h,
                            uint64_t turn)
{
    if (limit >= nranks) {
        int64_t most = limit / nranks;
        return (double)((int64_t)(h % (uint64_t)(2 * most + 1)) - most);
    }
    if ((int64_t)(((uint64_t)rank + turn) % (uint64_t)nranks) >= limit)
        return 0;
    return h % 2 ? 1 : -1;
}

static double float_value(const struct oracle *o, int rank, int i, uint64_t seed)
{
    uint64_t h = oracle_hash(seed, (uint64_t)rank + 1, (uint64_t)i);
    uint64_t turn = oracle_hash(seed, 0, (uint64_t)i) >> 8;
    int32_t exact = formats[o->type].exact;
    double sign = h & 256 ? 1 : -1;
    switch (o->op) {
    case trncclProd:
        switch (((uint64_t)rank + turn) % (uint64_t)o->nranks) {
        case 0: /* a partial product is between 2^-3 and 2^5 */
        case 2:
        case 3:
        case 5:
        case 6:
            return h % 2 ? 2 * sign : sign;
        case 1:
        case 4:
        case 7:
            return h % 2 ? 0.5 * sign : sign;
        default:
            return sign;
        }
    case trncclMax:
    case trncclMin:
        return (double)((int64_t)(h % (uint64_t)(2 * exact + 1)) - exact);
    case ORACLE_PREMUL:
        return small_integer(o->nranks, rank, exact / 2, h, turn);
    default:
        return small_integer(o->nranks, rank, exact, h, turn);
    }
}

/* ---- results ------------------------------------------------------------------------
 */

static uint64_t integer_fold(const struct oracle *o, uint64_t a, uint64_t b)
{
    int64_t x = as_integer(o->type, a), y = as_integer(o->type, b);
    bool less = formats[o->type].is_signed ? x < y : (uint64_t)x < (uint64_t)y;
    switch (o->op) {
    case trncclProd:
        return a * b;
    case trncclMax:
        return less ? b : a;
    case trncclMin:
        return less ? a : b;
    case trncclBand:
        return a & b;
    case trncclBor:
        return a | b;
    case trncclBxor:
        return a ^ b;
    case trncclLand:
        return x && y;
    case trncclLor:
        return x || y;
    default:
        return a + b;
    }
}

static void integer_column(struct oracle *o, int i, uint64_t seed, uint64_t scalar)
{
    uint64_t result = 0;
    for (int r = 0; r < o->nranks; r++) {
        uint64_t v = integer_value(o, r, i, seed);
        memcpy(o->raw + ((size_t)r * ORACLE_PERIOD + (size_t)i) * o->elem, &v, o->elem);
        if (o->op == ORACLE_PREMUL)
            v *= scalar;
        result = r ? integer_fold(o, result, v) : v;
    }
    /* One rank alone: a logical operation has nothing to do and hands its value on. */
    int64_t value = as_integer(o->type, result);
    if (o->op == trncclAvg)
        result = formats[o->type].is_signed ? (uint64_t)(value / o->nranks)
                                            : (uint64_t)value / (uint64_t)o->nranks;
    memcpy(o->reduced + (size_t)i * o->elem, &result, o->elem);
}

static void float_store(trncclDataType_t type, double x, void *element)
{
    float narrow = (float)x;
    if (type == trncclFloat64)
        memcpy(element, &x, sizeof x);
    else if (type == trncclFloat32)
        memcpy(element, &narrow, sizeof narrow);
    else
        oracle_encode(type, x, element);
}

static void float_column(struct oracle *o, int i, uint64_t seed, double scalar)
{
    double result = 0;
    for (int r = 0; r < o->nranks; r++) {
        double v = float_value(o, r, i, seed);
        float_store(o->type, v,
                    o->raw + ((size_t)r * ORACLE_PERIOD + (size_t)i) * o->elem);
        if (o->op == ORACLE_PREMUL)
            v *= scalar;
        if (r == 0)
            result = v;
        else if (o->op == trncclProd)
            result *= v;
        else if (o->op == trncclMax)
            result = v > result ? v : result;
        else if (o->op == trncclMin)
            result = v < result ? v : result;
        else
            result += v;
    }
    if (o->op == trncclAvg)
        result = o->type == trncclFloat64 ? result / o->nranks
                                          : (float)result / (float)o->nranks;
    float_store(o->type, result, o->reduced + (size_t)i * o->elem);
}

void oracle_init(struct oracle *o, trncclDataType_t type, int op, int nranks,
                 uint64_t seed)
{
    *o = (struct oracle){
        .type = type, .op = op, .nranks = nranks, .elem = formats[type].nbytes};
    size_t nbytes = ORACLE_PERIOD * o->elem;
    o->raw = malloc(nbytes * (size_t)nranks);
    o->reduced = calloc(1, nbytes);
    if (!o->raw || !o->reduced) {
        fprintf(stderr, "oracle: out of memory\n");
        abort();
    }
    seed = oracle_hash(seed, (uint64_t)type, (uint64_t)(op + 8));
    uint64_t scalar = oracle_hash(seed, 77, 88) | 1;
    if (formats[type].real)
        float_store(type, 2, o->scalar);
    else
        memcpy(o->scalar, &scalar, o->elem);
    if (op == ORACLE_COPY) {
        for (size_t i = 0; i < nbytes * (size_t)nranks; i++)
            o->raw[i] = (uint8_t)(oracle_hash(seed, i / 8, 0) >> i % 8 * 8);
        return;
    }
    for (int i = 0; i < ORACLE_PERIOD; i++)
        if (formats[type].real)
            float_column(o, i, seed, 2);
        else
            integer_column(o, i, seed, scalar);
}

void oracle_fini(struct oracle *o)
{
    free(o->raw);
    free(o->reduced);
    *o = (struct oracle){0};
}

static void repeat(const uint8_t *table, size_t elem, size_t at, size_t count, void *to)
{
    uint8_t *p = to;
    at %= ORACLE_PERIOD;
    while (count) {
        size_t n = ORACLE_PERIOD - at < count ? ORACLE_PERIOD - at : count;
        memcpy(p, table + at * elem, n * elem);
        p += n * elem;
        count -= n;
        at = 0;
    }
}

void oracle_raw(const struct oracle *o, int rank, size_t at, size_t count, void *to)
{
    repeat(o->raw + (size_t)rank * ORACLE_PERIOD * o->elem, o->elem, at, count, to);
}

void oracle_reduced(const struct oracle *o, size_t at, size_t count, void *to)
{
    repeat(o->reduced, o->elem, at, count, to);
}
