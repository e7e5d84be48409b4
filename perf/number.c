#include "perf/number.h"

#include <math.h>
#include <string.h>
#include "trnccl.h"

struct format {
    int exponent_bits, fraction_bits;
    int no_infinity; /* OCP E4M3: the top exponent holds numbers, all ones is NaN */
};

static struct format format_of(int type)
{
    switch (type) {
    case trncclFloat16:
        return (struct format){5, 10, 0};
    case trncclBfloat16:
        return (struct format){8, 7, 0};
    case trncclFloat32:
        return (struct format){8, 23, 0};
    case trncclFloat64:
        return (struct format){11, 52, 0};
    case trncclFloat8e4m3:
        return (struct format){4, 3, 1};
    case trncclFloat8e5m2:
        return (struct format){5, 2, 0};
    default:
        return (struct format){0, -1, 0};
    }
}

int number_precision(int type)
{
    return format_of(type).fraction_bits + 1;
}

uint64_t number_encode(int type, double value)
{
    struct format f = format_of(type);
    int bias = (1 << (f.exponent_bits - 1)) - 1;
    int top = (1 << f.exponent_bits) - 1;
    uint64_t sign = (uint64_t)(signbit(value) != 0)
                    << (f.exponent_bits + f.fraction_bits);
    uint64_t all_ones = ((uint64_t)top << f.fraction_bits);
    uint64_t nan_bits = f.no_infinity ? all_ones | ((UINT64_C(1) << f.fraction_bits) - 1)
                                      : all_ones | (UINT64_C(1) << (f.fraction_bits - 1));
    uint64_t overflow = f.no_infinity ? nan_bits : all_ones;
    if (isnan(value))
        return sign | nan_bits;
    if (isinf(value))
        return sign | overflow;
    if (value == 0)
        return sign;

    /* |value| = units * 2^step exactly where step is the weight of the last place. */
    int exponent;
    frexp(value, &exponent);
    int normal = exponent - 1 < 1 - bias ? 1 - bias : exponent - 1;
    int step = normal - f.fraction_bits;
    uint64_t units = (uint64_t)nearbyint(ldexp(fabs(value), -step));
    if (units == 0)
        return sign;
    if (units >> (f.fraction_bits + 1)) { /* rounded up to the next power of two */
        units >>= 1;
        normal++;
    }
    uint64_t hidden = UINT64_C(1) << f.fraction_bits;
    if (units < hidden) /* subnormal */
        return sign | units;
    uint64_t bits = ((uint64_t)(normal + bias) << f.fraction_bits) | (units - hidden);
    uint64_t limit = f.no_infinity ? nan_bits : all_ones;
    return sign | (bits >= limit ? overflow : bits);
}

double number_decode(int type, uint64_t bits)
{
    struct format f = format_of(type);
    int bias = (1 << (f.exponent_bits - 1)) - 1;
    int top = (1 << f.exponent_bits) - 1;
    uint64_t fraction = bits & ((UINT64_C(1) << f.fraction_bits) - 1);
    int exponent = (int)(bits >> f.fraction_bits) & top;
    int negative = (int)(bits >> (f.fraction_bits + f.exponent_bits)) & 1;
    double magnitude;
    if (exponent == top && !f.no_infinity)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == top && fraction == (UINT64_C(1) << f.fraction_bits) - 1)
        magnitude = NAN;
    else if (exponent == 0)
        magnitude = ldexp((double)fraction, 1 - bias - f.fraction_bits);
    else
        magnitude = ldexp((double)(fraction | (UINT64_C(1) << f.fraction_bits)),
                          exponent - bias - f.fraction_bits);
    return negative ? -magnitude : magnitude;
}

void number_store(void *element, size_t nbytes, uint64_t bits)
{
    unsigned char *bytes = element;
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (unsigned char)(bits >> (8 * i));
}

uint64_t number_load(const void *element, size_t nbytes)
{
    const unsigned char *bytes = element;
    uint64_t bits = 0;
    for (size_t i = 0; i < nbytes; i++)
        bits |= (uint64_t)bytes[i] << (8 * i);
    return bits;
}

uint64_t number_extend(int type, uint64_t bits)
{
    switch (type) {
    case trncclInt8:
        return (uint64_t)(int64_t)(int8_t)bits;
    case trncclInt16:
        return (uint64_t)(int64_t)(int16_t)bits;
    case trncclInt32:
        return (uint64_t)(int64_t)(int32_t)bits;
    case trncclUint8:
        return (uint8_t)bits;
    case trncclUint16:
        return (uint16_t)bits;
    case trncclUint32:
        return (uint32_t)bits;
    default:
        return bits;
    }
}
