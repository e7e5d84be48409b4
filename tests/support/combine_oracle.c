#include "combine_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Holds sums, products and quotients of float64 with enough bits that rounding a second
 * time, to float64, is harmless: at least 2 * 53 + 2. */
#if __LDBL_MANT_DIG__ >= 108
typedef long double wide;
#else
typedef __float128 wide;
#endif

enum { NFORMATS = 4, MAX_CODES = 1 << 15 };

/* The narrow formats by their published fields. */
static struct narrow {
    int type, exponent_nbits, mantissa_nbits, bias;
    unsigned max_finite; /* code of the largest finite value */
    unsigned overflow;   /* code of what lies beyond: infinity, or NaN */
    unsigned nan;        /* the canonical one */
    /* Value of every code up to max_finite + 1, the last as if exponents went on: half
     * way to it is where overflow begins. */
    double value[MAX_CODES];
} formats[NFORMATS] = {
    {trncclFloat16, 5, 10, 15, 0x7bff, 0x7c00, 0x7e00, {0}},
    {trncclBfloat16, 8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, {0}},
    {trncclFloat8e4m3, 4, 3, 7, 0x7e, 0x7f, 0x7f, {0}},
    {trncclFloat8e5m2, 5, 2, 15, 0x7b, 0x7c, 0x7e, {0}},
};

static const struct narrow *narrow_of(int type)
{
    for (int i = 0; i < NFORMATS; i++)
        if (formats[i].type == type)
            return &formats[i];
    return NULL;
}

static unsigned sign_bit(const struct narrow *f)
{
    return 1u << (f->exponent_nbits + f->mantissa_nbits);
}

void oracle_init(void)
{
    for (int i = 0; i < NFORMATS; i++) {
        struct narrow *f = &formats[i];
        for (unsigned code = 0; code <= f->max_finite + 1; code++) {
            int exponent = (int)(code >> f->mantissa_nbits);
            double mantissa = (double)(code % (1u << f->mantissa_nbits));
            if (exponent > 0)
                mantissa += (double)(1u << f->mantissa_nbits);
            else
                exponent = 1;
            f->value[code] = ldexp(mantissa, exponent - f->bias - f->mantissa_nbits);
        }
    }
}

double oracle_decode(int type, uint64_t bits)
{
    const struct narrow *f = narrow_of(type);
    unsigned magnitude = (unsigned)bits & (sign_bit(f) - 1);
    double value;
    if (magnitude <= f->max_finite)
        value = f->value[magnitude];
    else if (f->overflow != f->nan && magnitude == f->overflow)
        value = INFINITY;
    else
        return NAN;
    return bits & sign_bit(f) ? -value : value;
}

uint64_t oracle_encode(int type, float value)
{
    const struct narrow *f = narrow_of(type);
    if (isnan(value))
        return f->nan;
    double v = fabs((double)value);
    unsigned low = 0, high = f->max_finite + 1; /* value[low] <= v < value[high] */
    unsigned code = f->overflow;
    if (v < f->value[high]) {
        while (high - low > 1) {
            unsigned middle = (low + high) / 2;
            if (f->value[middle] <= v)
                low = middle;
            else
                high = middle;
        }
        double below = v - f->value[low], above = f->value[high] - v;
        code = below < above || (below == above && low % 2 == 0) ? low : high;
        if (code > f->max_finite)
            code = f->overflow;
    }
    if (code == f->nan)
        return code;
    return signbit(value) ? code | sign_bit(f) : code;
}

bool oracle_is_float(int type)
{
    return type == trncclFloat32 || type == trncclFloat64 || narrow_of(type);
}

bool oracle_has(int type, int op)
{
    return !oracle_is_float(type) || op < trncclBand || op == COMBINE_PREMUL;
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return f;
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

/* IEEE 754-2019 minimum and maximum, by cases. */
static double extreme(double a, double b, bool want_max)
{
    if (isnan(a) || isnan(b))
        return NAN;
    if (a == 0 && b == 0)
        return (signbit(a) != 0) == !want_max ? a : b;
    return (a > b) == want_max ? a : b;
}

static float fold_float(int op, float a, float b)
{
    /* Exact or, rounded twice, still right: float64 has 2 * 24 + 2 bits and more. */
    switch (op) {
    case trncclProd:
        return (float)((double)a * (double)b);
    case trncclMin:
    case trncclMax:
        return (float)extreme(a, b, op == trncclMax);
    default:
        return (float)((double)a + (double)b);
    }
}

static double fold_double(int op, double a, double b)
{
    switch (op) {
    case trncclProd:
        return (double)((wide)a * (wide)b);
    case trncclMin:
    case trncclMax:
        return extreme(a, b, op == trncclMax);
    default:
        /* A sum whose exponents lie far apart is not exact in `wide` either, but then it
         * rounds to the larger operand's neighbourhood in one addition: let the machine's
         * scalar addition, IEEE's own, decide. */
        return a + b;
    }
}

static uint64_t combine_floats(int type, int op, int divisor, int raw, uint64_t scalar,
                               const uint64_t *in, int nin)
{
    const bool narrow = type != trncclFloat32;
    float s = narrow ? (float)oracle_decode(type, scalar) : float_of(scalar);
    float value = 0;
    for (int i = 0; i < nin; i++) {
        float x = narrow ? (float)oracle_decode(type, in[i]) : float_of(in[i]);
        if (i == raw)
            x = fold_float(trncclProd, x, s);
        value = i == 0 ? x : fold_float(op, value, x);
    }
    if (divisor)
        value = (float)((double)value / (double)(float)divisor);
    if (narrow)
        return oracle_encode(type, value);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fc00000 : bits;
}

static uint64_t combine_doubles(int op, int divisor, int raw, uint64_t scalar,
                                const uint64_t *in, int nin)
{
    double value = 0;
    for (int i = 0; i < nin; i++) {
        double x = double_of(in[i]);
        if (i == raw)
            x = fold_double(trncclProd, x, double_of(scalar));
        value = i == 0 ? x : fold_double(op, value, x);
    }
    if (divisor)
        value = (double)((wide)value / (wide)divisor);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7ff8000000000000 : bits;
}

static int integer_nbits(int type)
{
    switch (type) {
    case trncclInt8:
    case trncclUint8:
        return 8;
    case trncclInt16:
    case trncclUint16:
        return 16;
    case trncclInt32:
    case trncclUint32:
        return 32;
    default:
        return 64;
    }
}

/* The integer of `type` that is congruent to x. */
static __int128 wrap(int type, __int128 x)
{
    const __int128 modulus = (__int128)1 << integer_nbits(type);
    x %= modulus;
    if (x < 0)
        x += modulus;
    const bool is_signed = type == trncclInt8 || type == trncclInt16 ||
                           type == trncclInt32 || type == trncclInt64;
    return is_signed && x >= modulus / 2 ? x - modulus : x;
}

static __int128 fold_integer(int type, int op, __int128 a, __int128 b)
{
    switch (op) {
    case trncclProd: /* below 2^127 for signed; unsigned ones may wrap a multiple of 2^64
                      */
        return wrap(type, (__int128)((unsigned __int128)a * (unsigned __int128)b));
    case trncclMin:
        return a < b ? a : b;
    case trncclMax:
        return a > b ? a : b;
    case trncclBand:
        return wrap(type, a & b);
    case trncclBor:
        return wrap(type, a | b);
    case trncclBxor:
        return wrap(type, a ^ b);
    case trncclLand:
        return a && b;
    case trncclLor:
        return a || b;
    default:
        return wrap(type, a + b);
    }
}

static uint64_t combine_integers(int type, int op, int divisor, int raw, uint64_t scalar,
                                 const uint64_t *in, int nin)
{
    __int128 value = 0;
    for (int i = 0; i < nin; i++) {
        __int128 x = wrap(type, in[i]);
        if (i == raw)
            x = fold_integer(type, trncclProd, x, wrap(type, scalar));
        value = i == 0 ? x : fold_integer(type, op, value, x);
    }
    if (divisor)
        value /= divisor;
    uint64_t mask = ~0ull >> (64 - integer_nbits(type));
    return (uint64_t)value & mask;
}

uint64_t oracle_combine(int type, int op, bool final, int nranks, int raw,
                        uint64_t scalar, const uint64_t *in, int nin)
{
    if (op != COMBINE_PREMUL)
        raw = -1;
    int divisor = op == trncclAvg && final && nranks > 1 ? nranks : 0;
    if (nin == 1 && raw < 0 && !divisor)
        return in[0];
    if (!oracle_is_float(type))
        return combine_integers(type, op, divisor, raw, scalar, in, nin);
    if (type == trncclFloat64)
        return combine_doubles(op, divisor, raw, scalar, in, nin);
    return combine_floats(type, op, divisor, raw, scalar, in, nin);
}
