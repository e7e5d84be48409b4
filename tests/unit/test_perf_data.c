/* The oracle itself: number formats against published patterns, and the promise that
 * every order and grouping, rounding at every step, gives the one expected value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "perf/data.h"
#include "perf/names.h"
#include "perf/number.h"

static const int float_types[] = {trncclFloat16,    trncclBfloat16, trncclFloat8e4m3,
                                  trncclFloat8e5m2, trncclFloat32,  trncclFloat64};

/* IEEE 754-2019; OCP 8-bit Floating Point Specification 1.0, table 2. */
static void encode_of_published_values_gives_their_bits(void **state)
{
    static const struct {
        int type;
        double value;
        uint64_t bits;
    } cases[] = {
        {trncclFloat8e4m3, 448, 0x7e},
        {trncclFloat8e4m3, 0x1p-6, 0x08},
        {trncclFloat8e4m3, 0.875 * 0x1p-6, 0x07},
        {trncclFloat8e4m3, 0x1p-9, 0x01},
        {trncclFloat8e4m3, 464, 0x7e}, /* tie with 480, which does not exist: even */
        {trncclFloat8e4m3, 465, 0x7f},
        {trncclFloat8e4m3, -INFINITY, 0xff},
        {trncclFloat8e5m2, 57344, 0x7b},
        {trncclFloat8e5m2, 0x1p-14, 0x04},
        {trncclFloat8e5m2, 0.75 * 0x1p-14, 0x03},
        {trncclFloat8e5m2, 0x1p-16, 0x01},
        {trncclFloat8e5m2, 61440, 0x7c},
        {trncclFloat8e5m2, 61439, 0x7b},
        {trncclFloat16, 65504, 0x7bff},
        {trncclFloat16, 65520, 0x7c00},
        {trncclFloat16, 0x1p-24, 0x0001},
        {trncclFloat16, 0x1p-25, 0x0000},
        {trncclFloat16, -2, 0xc000},
        {trncclFloat16, 1 + 0x1p-11, 0x3c00},     /* tie to even, down */
        {trncclFloat16, 1 + 3 * 0x1p-11, 0x3c02}, /* tie to even, up */
        {trncclBfloat16, 1, 0x3f80},
        {trncclBfloat16, 0x1.fep127, 0x7f7f},
        {trncclBfloat16, 0x1.ffp127, 0x7f80},
        {trncclFloat32, -0.0, 0x80000000},
        {trncclFloat64, 1.5, 0x3ff8000000000000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(number_encode(cases[i].type, cases[i].value), cases[i].bits);
}

static void encode_of_decoded_pattern_is_the_pattern(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        int type = float_types[k];
        uint64_t end = UINT64_C(1) << (8 * names_type_nbytes(type));
        for (uint64_t bits = 0; bits < end; bits++) {
            double value = number_decode(type, bits);
            if (!isnan(value))
                assert_int_equal(number_encode(type, value), bits);
        }
    }
}

static void encode_float32_agrees_with_the_compiler(void **state)
{
    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        double value = ldexp((double)rand() / RAND_MAX - 0.5, rand() % 320 - 170) +
                       ldexp((double)rand() / RAND_MAX, rand() % 40 - 60);
        float narrow = (float)value;
        uint32_t bits;
        memcpy(&bits, &narrow, sizeof bits);
        assert_int_equal(number_encode(trncclFloat32, value), bits);
        uint64_t wide;
        memcpy(&wide, &value, sizeof wide);
        assert_int_equal(number_encode(trncclFloat64, value), wide);
        assert_true(number_decode(trncclFloat32, bits) == (double)narrow);
    }
}

/* Combines two partial results as a step does that stores every intermediate value. */
static uint64_t combine(const struct data *d, uint64_t a, uint64_t b)
{
    double x = number_decode(d->type, a), y = number_decode(d->type, b);
    switch (d->op) {
    case trncclProd:
        return number_encode(d->type, x * y);
    case trncclMin:
        return x < y || (x == y && signbit(x)) ? a : b;
    case trncclMax:
        return x > y || (x == y && !signbit(x)) ? a : b;
    default:
        return number_encode(d->type, x + y);
    }
}

/* A random binary tree over random pairs. */
static uint64_t reduce_randomly(const struct data *d, size_t index, uint64_t *values)
{
    int n = d->nranks;
    for (int r = 0; r < n; r++) {
        values[r] = data_element(d, r, index);
        if (d->op == NAMES_OP_MULSUM)
            values[r] = number_encode(
                d->type, number_decode(d->type, values[r]) *
                             number_decode(d->type, data_scalar(d->type, r)));
    }
    while (n > 1) {
        int i = rand() % n, j = rand() % (n - 1);
        j += j >= i;
        uint64_t both = combine(d, values[i], values[j]);
        values[i < j ? i : j] = both;
        values[i < j ? j : i] = values[n - 1];
        n--;
    }
    double total = number_decode(d->type, values[0]);
    if (d->op == trncclAvg && d->type == trncclFloat64)
        return number_encode(d->type, total / d->nranks);
    if (d->op == trncclAvg)
        return number_encode(d->type, (double)((float)total / (float)d->nranks));
    return values[0];
}

static void reduced_float_is_the_same_in_every_order(void **state)
{
    static const int ranks[] = {1, 2, 3, 7, 64, 300};
    static const int ops[] = {trncclSum, trncclProd, trncclMax,
                              trncclMin, trncclAvg,  NAMES_OP_MULSUM};
    uint64_t values[300];
    (void)state;
    srand(2);
    for (size_t t = 0; t < 6; t++) {
        for (size_t o = 0; o < 6; o++) {
            for (size_t k = 0; k < 6; k++) {
                struct data d;
                data_init(&d, float_types[t], ops[o], ranks[k], 7);
                for (size_t i = 0; i < 60; i++)
                    assert_int_equal(reduce_randomly(&d, i, values),
                                     data_element(&d, DATA_REDUCED, i));
                data_fini(&d);
            }
        }
    }
}

static void reduced_integers_match_plain_arithmetic(void **state)
{
    enum { N = 5 };
    struct data d;
    (void)state;
    data_init(&d, trncclInt8, trncclAvg, N, 3);
    for (size_t i = 0; i < 500; i++) {
        int8_t sum = 0;
        for (int r = 0; r < N; r++)
            sum = (int8_t)(sum + (int8_t)data_element(&d, r, i));
        assert_int_equal((int8_t)data_element(&d, DATA_REDUCED, i), sum / N);
    }
    data_init(&d, trncclUint32, trncclProd, N, 3);
    for (size_t i = 0; i < 500; i++) {
        uint32_t product = 1;
        for (int r = 0; r < N; r++)
            product *= (uint32_t)data_element(&d, r, i);
        assert_int_equal((uint32_t)data_element(&d, DATA_REDUCED, i), product);
    }
    data_init(&d, trncclInt16, trncclMin, N, 3);
    for (size_t i = 0; i < 500; i++) {
        int16_t least = INT16_MAX;
        for (int r = 0; r < N; r++)
            least = (int16_t)data_element(&d, r, i) < least
                        ? (int16_t)data_element(&d, r, i)
                        : least;
        assert_int_equal((int16_t)data_element(&d, DATA_REDUCED, i), least);
    }
    data_init(&d, trncclUint64, NAMES_OP_MULSUM, N, 3);
    for (size_t i = 0; i < 500; i++) {
        uint64_t sum = 0;
        for (int r = 0; r < N; r++)
            sum += data_element(&d, r, i) * data_scalar(trncclUint64, r);
        assert_int_equal(data_element(&d, DATA_REDUCED, i), sum);
    }
}

static void fill_writes_the_elements_wherever_it_starts(void **state)
{
    static const size_t starts[] = {0, 1, DATA_PERIOD - 1, DATA_PERIOD,
                                    3 * DATA_PERIOD + 5};
    enum { N = 3 * DATA_PERIOD };
    unsigned char *buffer = malloc((size_t)N * 8);
    (void)state;
    for (int type = 0; type < trncclNumTypes; type++) {
        struct data d;
        size_t esize = names_type_nbytes(type);
        data_init(&d, type, DATA_COPY, 4, 5);
        data_rep_set(&d, 9);
        for (size_t s = 0; s < 5; s++) {
            assert_true(data_fill(&d, 2, starts[s], N, buffer));
            for (size_t i = 0; i < N; i += 97)
                assert_int_equal(number_load(buffer + i * esize, esize),
                                 data_element(&d, 2, starts[s] + i));
            struct data_wrong wrong;
            assert_int_equal(data_count_wrong(&d, 2, starts[s], N, buffer, &wrong), 0);
        }
        data_fini(&d);
    }
    free(buffer);
}

static void count_wrong_finds_what_differs(void **state)
{
    enum { N = 2 * DATA_PERIOD + 17 };
    uint32_t *buffer = malloc(N * sizeof *buffer);
    struct data d;
    struct data_wrong wrong;
    (void)state;
    data_init(&d, trncclFloat32, trncclSum, 3, 5);
    assert_true(data_fill(&d, DATA_REDUCED, 10, N, buffer));
    buffer[4100] ^= 1;
    buffer[N - 1] ^= 0x80000000;
    assert_int_equal(data_count_wrong(&d, DATA_REDUCED, 10, N, buffer, &wrong), 2);
    assert_int_equal(wrong.index, 4100);
    /* A short range takes the other path. */
    buffer[3] ^= 2;
    assert_int_equal(data_count_wrong(&d, DATA_REDUCED, 10, 20, buffer, &wrong), 1);
    assert_int_equal(wrong.index, 3);
    data_fini(&d);
    free(buffer);
}

static void another_place_or_repetition_looks_wrong(void **state)
{
    enum { N = 3 * DATA_PERIOD };
    uint32_t *buffer = malloc(N * sizeof *buffer);
    struct data d;
    struct data_wrong wrong;
    (void)state;
    data_init(&d, trncclUint32, DATA_COPY, 3, 5);
    assert_true(data_fill(&d, 1, 0, N, buffer));
    static const size_t shifts[] = {1, 16, 1024, 4096, DATA_PERIOD, 2 * DATA_PERIOD};
    for (size_t i = 0; i < 6; i++)
        assert_true(data_count_wrong(&d, 1, shifts[i], N, buffer, &wrong) > N / 2);
    assert_true(data_count_wrong(&d, 2, 0, N, buffer, &wrong) > N / 2);
    data_rep_set(&d, 1);
    assert_true(data_count_wrong(&d, 1, 0, N, buffer, &wrong) > N / 2);
    data_fini(&d);
    free(buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_of_published_values_gives_their_bits),
        cmocka_unit_test(encode_of_decoded_pattern_is_the_pattern),
        cmocka_unit_test(encode_float32_agrees_with_the_compiler),
        cmocka_unit_test(reduced_float_is_the_same_in_every_order),
        cmocka_unit_test(reduced_integers_match_plain_arithmetic),
        cmocka_unit_test(fill_writes_the_elements_wherever_it_starts),
        cmocka_unit_test(count_wrong_finds_what_differs),
        cmocka_unit_test(another_place_or_repetition_looks_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
