/* Combine kernels: values. All pairs of 8-bit floats and integers, all 16-bit floats
 * against partners, and all pairs of special values of the wide types, with every
 * operation and every SIMD set of this CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/support/combine_oracle.h"
#include "tests/support/combine_sets.h"

/* Pairs (x, y) of one type to combine, and room for the answers. */
struct pairs {
    int type;
    size_t n, size;
    unsigned char *x, *y, *got, *want;
};

static struct pairs pairs_new(int type, size_t n)
{
    struct pairs p = {type, n, combine_type_nbytes((trncclDataType_t)type), 0, 0, 0, 0};
    p.x = malloc(n * p.size);
    p.y = malloc(n * p.size);
    p.got = malloc(n * p.size);
    p.want = malloc(n * p.size);
    assert_true(p.x && p.y && p.got && p.want);
    return p;
}

static void pairs_free(struct pairs *p)
{
    free(p->x);
    free(p->y);
    free(p->got);
    free(p->want);
}

static void pair_put(struct pairs *p, size_t i, uint64_t x, uint64_t y)
{
    element_put(p->x, i, p->size, x);
    element_put(p->y, i, p->size, y);
}

static void pairs_compare(const struct pairs *p, int op, int nranks, uint64_t scalar)
{
    if (memcmp(p->got, p->want, p->n * p->size) == 0)
        return;
    size_t i = 0;
    while (element_get(p->got, i, p->size) == element_get(p->want, i, p->size))
        i++;
    fail_msg("%s %s %s: %llx with %llx (%d ranks, scalar %llx) gave %llx, not %llx",
             combine_simd_name(), combine_type_name((trncclDataType_t)p->type),
             combine_op_name(op), (unsigned long long)element_get(p->x, i, p->size),
             (unsigned long long)element_get(p->y, i, p->size), nranks,
             (unsigned long long)scalar,
             (unsigned long long)element_get(p->got, i, p->size),
             (unsigned long long)element_get(p->want, i, p->size));
}

/* One operation on all pairs, by every set. The second input is the raw one. */
static void pairs_check_op(struct pairs *p, int op, int nranks, uint64_t scalar)
{
    const int raw = op == COMBINE_PREMUL ? 1 : -1;
    for (size_t i = 0; i < p->n; i++) {
        uint64_t in[2] = {element_get(p->x, i, p->size), element_get(p->y, i, p->size)};
        element_put(p->want, i, p->size,
                    oracle_combine(p->type, op, true, nranks, raw, scalar, in, 2));
    }
    for (int s = 0; s < NSIMD; s++) {
        if (combine_simd_select(simd_names[s]) != trncclSuccess)
            continue; /* test_mem_combine says so */
        struct combine c;
        assert_int_equal(combine_init(&c, (trncclDataType_t)p->type, op, &scalar, nranks),
                         0);
        const void *in[2] = {p->x, p->y};
        void *out[1] = {p->got};
        memset(p->got, 0xa5, p->n * p->size);
        combine_run(&c,
                    &(struct combine_args){in, out, 2, 1, raw, COMBINE_FINAL, p->n, 0});
        pairs_compare(p, op, nranks, scalar);
    }
}

static void pairs_check(struct pairs *p)
{
    static const int nranks[] = {2, 3, 127, 255, 65537, 2147483647};
    for (int o = 0; o < NOPS; o++) {
        if (!oracle_has(p->type, all_ops[o]))
            continue;
        if (all_ops[o] == trncclAvg)
            for (int i = 0; i < 6; i++)
                pairs_check_op(p, trncclAvg, nranks[i], 0);
        else if (all_ops[o] == COMBINE_PREMUL)
            for (unsigned i = 0; i < NSPECIALS; i += 5)
                pairs_check_op(p, COMBINE_PREMUL, 2, special_bits(p->type, i));
        else
            pairs_check_op(p, all_ops[o], 2, 0);
    }
}

static void all_pairs_of_8_bits_match_oracle(void **state)
{
    (void)state;
    static const int types[] = {trncclFloat8e4m3, trncclFloat8e5m2, trncclInt8,
                                trncclUint8};
    for (int k = 0; k < 4; k++) {
        struct pairs p = pairs_new(types[k], 65536);
        for (unsigned i = 0; i < 65536; i++)
            pair_put(&p, i, i / 256, i % 256);
        pairs_check(&p);
        pairs_free(&p);
    }
}

/* Every value with every special one, and with one random partner. */
static void all_values_of_16_bits_match_oracle(void **state)
{
    (void)state;
    static const int types[] = {trncclFloat16, trncclBfloat16, trncclInt16, trncclUint16};
    struct random r = random_seeded(__func__);
    for (int k = 0; k < 4; k++) {
        struct pairs p = pairs_new(types[k], 65536);
        /* The oracle's search is slow; specials take turns, shifted from type to type. */
        for (unsigned turn = 0; turn < 3; turn++) {
            for (unsigned i = 0; i < 65536; i++)
                pair_put(&p, i, i,
                         turn == 0   ? random_bits(&r, types[k])
                         : turn == 1 ? special_bits(types[k], i / 7)
                                     : i ^ (1u << random_below(&r, 16)));
            pairs_check(&p);
        }
        pairs_free(&p);
    }
}

/* x + 0 and 0 + x for all x: widening and narrowing lose nothing; only -0 + +0 is +0, and
 * NaNs become canonical. */
static void adding_zero_keeps_every_narrow_value(void **state)
{
    (void)state;
    static const int types[] = {trncclFloat16, trncclBfloat16, trncclFloat8e4m3,
                                trncclFloat8e5m2};
    for (int k = 0; k < 4; k++) {
        unsigned n =
            types[k] == trncclFloat16 || types[k] == trncclBfloat16 ? 65536 : 256;
        struct pairs p = pairs_new(types[k], n);
        uint64_t negative_zero = n / 2;
        for (unsigned i = 0; i < n; i++)
            pair_put(&p, i, i, negative_zero);
        pairs_check_op(&p, trncclSum, 1, 0);
        for (unsigned i = 0; i < n; i++) {
            double value = oracle_decode(types[k], i);
            if (value == value)
                assert_int_equal(element_get(p.got, i, p.size), i);
        }
        pairs_free(&p);
    }
}

/* All narrow types are rounded at random between any two neighbours: the sum of several
 * inputs, scaled, has float32 bits below the type's last place. */
static void narrowing_of_long_sums_matches_oracle(void **state)
{
    (void)state;
    static const int types[] = {trncclFloat16, trncclBfloat16, trncclFloat8e4m3,
                                trncclFloat8e5m2};
    enum { NIN = 3, N = 40000 };
    struct random r = random_seeded(__func__);
    for (int k = 0; k < 4; k++) {
        struct pairs p = pairs_new(types[k], N);
        unsigned char *z = malloc(N * p.size);
        for (size_t i = 0; i < N; i++) {
            pair_put(&p, i, random_bits(&r, types[k]), random_u64(&r));
            element_put(z, i, p.size, random_u64(&r));
            uint64_t in[NIN] = {element_get(p.x, i, p.size), element_get(p.y, i, p.size),
                                element_get(z, i, p.size)};
            element_put(p.want, i, p.size,
                        oracle_combine(types[k], trncclAvg, true, 3, -1, 0, in, NIN));
        }
        for (int s = 0; s < NSIMD; s++) {
            if (combine_simd_select(simd_names[s]) != trncclSuccess)
                continue;
            struct combine c;
            assert_int_equal(
                combine_init(&c, (trncclDataType_t)types[k], trncclAvg, NULL, 3), 0);
            const void *in[NIN] = {p.x, p.y, z};
            void *out[1] = {p.got};
            combine_run(&c,
                        &(struct combine_args){in, out, NIN, 1, -1, COMBINE_FINAL, N, 0});
            pairs_compare(&p, trncclAvg, 3, 0);
        }
        free(z);
        pairs_free(&p);
    }
}

static void special_pairs_of_wide_types_match_oracle(void **state)
{
    (void)state;
    static const int types[] = {trncclFloat32, trncclFloat64, trncclInt32,
                                trncclUint32,  trncclInt64,   trncclUint64};
    enum { RANDOM = 4000 };
    struct random r = random_seeded(__func__);
    for (int k = 0; k < 6; k++) {
        struct pairs p = pairs_new(types[k], NSPECIALS * NSPECIALS + RANDOM);
        unsigned i = 0;
        for (; i < NSPECIALS * NSPECIALS; i++)
            pair_put(&p, i, special_bits(types[k], i / NSPECIALS),
                     special_bits(types[k], i % NSPECIALS));
        for (; i < p.n; i++)
            pair_put(&p, i, random_bits(&r, types[k]), random_bits(&r, types[k]));
        pairs_check(&p);
        pairs_free(&p);
    }
}

/* An oracle whose rounding were off by one tie would have to be noticed: 1 + 2^-11 lies
 * half way between two float16 values and must go to the even one, 1 + 3 * 2^-11 too. */
static void oracle_ties_go_to_even(void **state)
{
    (void)state;
    assert_int_equal(oracle_encode(trncclFloat16, 1.0f + 0x1p-11f), 0x3c00);
    assert_int_equal(oracle_encode(trncclFloat16, 1.0f + 3 * 0x1p-11f), 0x3c02);
    assert_int_equal(oracle_encode(trncclFloat16, 65519.996f), 0x7bff);
    assert_int_equal(oracle_encode(trncclFloat16, 65520.0f), 0x7c00);
    assert_int_equal(oracle_encode(trncclBfloat16, 1.0f + 0x1p-8f), 0x3f80);
    assert_int_equal(oracle_encode(trncclFloat8e4m3, 464.0f), 0x7e);
    assert_int_equal(oracle_encode(trncclFloat8e4m3, 464.1f), 0x7f);
    assert_int_equal(oracle_encode(trncclFloat8e4m3, 0x1p-10f), 0);
    assert_int_equal(oracle_encode(trncclFloat8e5m2, -61439.9f), 0xfb);
    assert_int_equal(oracle_encode(trncclFloat8e5m2, -61440.0f), 0xfc);
    assert_true(oracle_decode(trncclFloat8e4m3, 0x7e) == 448);
    assert_true(oracle_decode(trncclFloat8e5m2, 0x7b) == 57344);
}

int main(void)
{
    oracle_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oracle_ties_go_to_even),
        cmocka_unit_test(all_pairs_of_8_bits_match_oracle),
        cmocka_unit_test(all_values_of_16_bits_match_oracle),
        cmocka_unit_test(adding_zero_keeps_every_narrow_value),
        cmocka_unit_test(narrowing_of_long_sums_matches_oracle),
        cmocka_unit_test(special_pairs_of_wide_types_match_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
