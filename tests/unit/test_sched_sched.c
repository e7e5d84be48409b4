/* Collectives' names, blocks, aliases and block classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "sched/sched.h"

static void sched_coll_names_parse_back(void **state)
{
    (void)state;
    for (int i = 0; i < SCHED_NCOLLS; i++) {
        enum sched_coll coll = SCHED_NCOLLS;
        assert_true(sched_coll_parse(sched_coll_name((enum sched_coll)i), &coll));
        assert_int_equal(coll, i);
    }
    enum sched_coll coll = SCHED_SCATTER;
    assert_false(sched_coll_parse("all_reduc", &coll));
    assert_int_equal(coll, SCHED_SCATTER); /* outputs only on success */
    assert_string_equal(sched_coll_name(SCHED_NCOLLS), "unknown");
    assert_false(sched_coll_reduces(SCHED_NCOLLS));
    assert_true(sched_coll_reduces(SCHED_REDUCE_SCATTER));
    assert_false(sched_coll_reduces(SCHED_GATHER));
    assert_true(sched_coll_rooted(SCHED_BROADCAST));
    assert_false(sched_coll_rooted(SCHED_ALL_TO_ALL));
}

static void sched_coll_blocks_of_every_collective(void **state)
{
    (void)state;
    static const int32_t pairs[] = {0, 2, 2, 1};
    /* of 5 ranks with root 2: IN and OUT on the root, then on rank 1 */
    static const int32_t want[SCHED_NCOLLS][4] = {
        [SCHED_ALL_REDUCE] = {1, 1, 1, 1},     [SCHED_ALL_GATHER] = {1, 5, 1, 5},
        [SCHED_REDUCE_SCATTER] = {5, 1, 5, 1}, [SCHED_BROADCAST] = {1, 1, 0, 1},
        [SCHED_REDUCE] = {1, 1, 1, 0},         [SCHED_ALL_TO_ALL] = {5, 5, 5, 5},
        [SCHED_GATHER] = {1, 5, 1, 0},         [SCHED_SCATTER] = {5, 1, 0, 1},
        [SCHED_BARRIER] = {1, 1, 1, 1},        [SCHED_PERMUTE] = {1, 1, 0, 1},
    };
    for (int i = 0; i < SCHED_NCOLLS; i++) {
        for (int k = 0; k < 2; k++) {
            struct sched_args args = {.coll = (enum sched_coll)i,
                                      .nranks = 5,
                                      .rank = k ? 1 : 2,
                                      .root = 2,
                                      .pairs = pairs,
                                      .npairs = 2};
            int32_t in = -1, out = -1;
            sched_coll_blocks(&args, &in, &out);
            assert_int_equal(in, want[i][2 * k]);
            assert_int_equal(out, want[i][2 * k + 1]);
        }
    }
}

static struct sched sched_of(enum sched_coll coll, int32_t rank, bool inplace)
{
    static const int32_t pairs[] = {0, 1, 1, 2, 2, 0};
    struct sched_args args = {
        .coll = coll, .nranks = 3, .rank = rank, .root = 1, .pairs = pairs, .npairs = 3};
    struct sched s = {.coll = coll, .nranks = 3, .rank = rank, .root = 1};
    s.inplace = inplace;
    s.shape.nsub = 2;
    sched_coll_blocks(&args, &s.shape.in_blocks, &s.shape.out_blocks);
    return s;
}

static void sched_alias_in_place_is_the_public_definition(void **state)
{
    (void)state;
    struct sched s = sched_of(SCHED_ALL_REDUCE, 2, true);
    assert_int_equal(sched_alias(&s, SCHED_IN, 1), 1);
    s = sched_of(SCHED_ALL_GATHER, 2, true);
    assert_int_equal(sched_alias(&s, SCHED_IN, 1), 5);
    assert_int_equal(sched_alias(&s, SCHED_OUT, 4), 0);
    assert_int_equal(sched_alias(&s, SCHED_OUT, 3), -1);
    s = sched_of(SCHED_REDUCE_SCATTER, 2, true);
    assert_int_equal(sched_alias(&s, SCHED_OUT, 1), 5);
    assert_int_equal(sched_alias(&s, SCHED_IN, 5), 1);
    assert_int_equal(sched_alias(&s, SCHED_IN, 3), -1);
    s = sched_of(SCHED_GATHER, 1, true);
    assert_int_equal(sched_alias(&s, SCHED_IN, 0), 2);
    s = sched_of(SCHED_GATHER, 2, true);
    assert_int_equal(sched_alias(&s, SCHED_IN, 0), -1);
    s = sched_of(SCHED_SCATTER, 1, true);
    assert_int_equal(sched_alias(&s, SCHED_OUT, 1), 3);
    s = sched_of(SCHED_REDUCE, 2, true); /* no OUT here */
    assert_int_equal(sched_alias(&s, SCHED_IN, 0), -1);
    s = sched_of(SCHED_PERMUTE, 0, true);
    assert_int_equal(sched_alias(&s, SCHED_IN, 1), 1);
}

static void sched_alias_is_its_own_inverse(void **state)
{
    (void)state;
    int nfound = 0;
    for (int i = 0; i < SCHED_NCOLLS * 6; i++) {
        struct sched s = sched_of((enum sched_coll)(i / 6), i % 3, i % 6 < 3);
        for (int32_t c = -1; c <= sched_nchunks(&s, SCHED_IN); c++) {
            int32_t there = sched_alias(&s, SCHED_IN, c);
            if (there < 0)
                continue;
            assert_true(s.inplace);
            assert_int_equal(sched_alias(&s, SCHED_OUT, there), c);
            nfound++;
        }
        assert_int_equal(sched_alias(&s, SCHED_TMP, 0), -1);
    }
    assert_true(nfound > 20);
}

static void sched_block_class_is_the_same_where_sizes_are(void **state)
{
    (void)state;
    struct sched a = sched_of(SCHED_ALL_TO_ALL, 0, false);
    struct sched b = sched_of(SCHED_ALL_TO_ALL, 2, false);
    /* What 0 sends to 2 is what 2 receives from 0, and nothing else is. */
    assert_int_equal(sched_block_class(&a, SCHED_IN, 2 * 2 + 1),
                     sched_block_class(&b, SCHED_OUT, 0));
    assert_int_not_equal(sched_block_class(&a, SCHED_IN, 4),
                         sched_block_class(&a, SCHED_OUT, 4));
    struct sched g = sched_of(SCHED_ALL_GATHER, 2, false);
    assert_int_equal(sched_block_class(&g, SCHED_IN, 1),
                     sched_block_class(&g, SCHED_OUT, 5));
    assert_int_not_equal(sched_block_class(&g, SCHED_IN, 1),
                         sched_block_class(&g, SCHED_OUT, 3));
    g.shape.tmp_chunks = 9;
    g.shape.tmp_like = SCHED_OUT;
    assert_int_equal(sched_block_class(&g, SCHED_TMP, 6 + 3),
                     sched_block_class(&g, SCHED_OUT, 3));
    struct sched r = sched_of(SCHED_SCATTER, 1, false);
    assert_int_equal(sched_block_class(&r, SCHED_OUT, 0),
                     sched_block_class(&r, SCHED_IN, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sched_coll_names_parse_back),
        cmocka_unit_test(sched_coll_blocks_of_every_collective),
        cmocka_unit_test(sched_alias_in_place_is_the_public_definition),
        cmocka_unit_test(sched_alias_is_its_own_inverse),
        cmocka_unit_test(sched_block_class_is_the_same_where_sizes_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
