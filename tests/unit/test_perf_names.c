#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "perf/names.h"

static void size_parse_valid_gives_bytes(void **state)
{
    static const struct {
        const char *text;
        size_t nbytes;
    } cases[] = {{"0", 0},
                 {"8", 8},
                 {"8B", 8},
                 {"1k", 1024},
                 {"64K", 65536},
                 {"64KB", 65536},
                 {"64KiB", 65536},
                 {"1.5M", 1572864},
                 {" 2G", (size_t)2 << 30},
                 {"1T", (size_t)1 << 40},
                 {"9007199254740993", 9007199254740993u}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t nbytes = 1;
        assert_int_equal(names_size_parse(cases[i].text, &nbytes), NAMES_SIZE_GOOD);
        assert_int_equal(nbytes, cases[i].nbytes);
    }
}

static void size_parse_invalid_is_refused(void **state)
{
    static const char *const bad[] = {"",     "-1",  "x",         "3x",  "1KK",
                                      "nan",  "inf", "K",         "--8", "8 8",
                                      "8iBs", "8iB", "99999999Tx"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t nbytes = 77;
        assert_int_equal(names_size_parse(bad[i], &nbytes), NAMES_SIZE_NONE);
        assert_int_equal(nbytes, 77);
    }
}

static void size_parse_huge_is_told_apart(void **state)
{
    static const char *const huge[] = {"1e30", "99999999T", "1e999", "9000000000000000K"};
    (void)state;
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        size_t nbytes = 77;
        assert_int_equal(names_size_parse(huge[i], &nbytes), NAMES_SIZE_HUGE);
        assert_int_equal(nbytes, 77);
    }
}

static void size_format_is_parsed_back(void **state)
{
    static const size_t sizes[] = {0, 8, 1023, 1024, 65536, 1572864, (size_t)1 << 30};
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t back;
        assert_int_equal(
            names_size_parse(names_size_format(sizes[i], text, sizeof text), &back),
            NAMES_SIZE_GOOD);
        assert_int_equal(back, sizes[i]);
    }
    assert_string_equal(names_size_format(65536, text, sizeof text), "64K");
}

static void find_knows_every_printed_name_and_synonyms(void **state)
{
    (void)state;
    for (int type = 0; type < trncclNumTypes; type++)
        assert_int_equal(names_type_find(names_type(type)), type);
    for (int op = 0; op < NAMES_NUM_OPS; op++)
        assert_int_equal(names_op_find(names_op(op)), op);
    assert_int_equal(names_type_find("F32"), trncclFloat32);
    assert_int_equal(names_type_find("bf16"), trncclBfloat16);
    assert_int_equal(names_type_find("e4m3"), trncclFloat8e4m3);
    assert_int_equal(names_type_find("flaot"), -1);
    assert_int_equal(names_op_find("summ"), -1);
    assert_string_equal(names_type(-1), "none");
    assert_string_equal(names_op(99), "none");
}

static void op_takes_refuses_bitwise_on_floats_only(void **state)
{
    (void)state;
    assert_false(names_op_takes(trncclBand, trncclFloat32));
    assert_false(names_op_takes(trncclLor, trncclFloat8e5m2));
    assert_true(names_op_takes(trncclBxor, trncclUint16));
    assert_true(names_op_takes(NAMES_OP_MULSUM, trncclFloat16));
}

static void distance_counts_edits(void **state)
{
    (void)state;
    assert_int_equal(names_distance("all_reduce", "all_reduce"), 0);
    assert_int_equal(names_distance("ALL_REDUCE", "all_reduce"), 0);
    assert_int_equal(names_distance("all_redcue", "all_reduce"), 1);
    assert_int_equal(names_distance("", "abc"), 3);
    assert_int_equal(names_distance("kitten", "sitting"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_parse_valid_gives_bytes),
        cmocka_unit_test(size_parse_invalid_is_refused),
        cmocka_unit_test(size_parse_huge_is_told_apart),
        cmocka_unit_test(size_format_is_parsed_back),
        cmocka_unit_test(find_knows_every_printed_name_and_synonyms),
        cmocka_unit_test(op_takes_refuses_bitwise_on_floats_only),
        cmocka_unit_test(distance_counts_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
