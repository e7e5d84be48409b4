#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "perf/stats.h"

static void compute_of_known_values_is_exact(void **state)
{
    /* Mean 5, population variance 4: a textbook example. */
    const double values[] = {9, 2, 4, 5, 4, 7, 4, 5};
    struct stats s;
    (void)state;
    assert_true(stats_compute(values, 8, &s));
    assert_float_equal(s.min, 2, 0);
    assert_float_equal(s.max, 9, 0);
    assert_float_equal(s.avg, 5, 0);
    assert_float_equal(s.stdev, 2, 1e-12);
    assert_float_equal(s.cv_pct, 40, 1e-9);
    assert_float_equal(s.p50, 4, 0);
    assert_float_equal(s.p99, 9, 0);
    assert_float_equal(values[0], 9, 0);
}

static void compute_of_one_value_has_no_spread(void **state)
{
    const double value = 3.5;
    struct stats s;
    (void)state;
    assert_true(stats_compute(&value, 1, &s));
    assert_float_equal(s.p50, 3.5, 0);
    assert_float_equal(s.p99, 3.5, 0);
    assert_float_equal(s.stdev, 0, 0);
}

static void percentile_takes_the_nearest_rank(void **state)
{
    double sorted[1000];
    (void)state;
    for (int i = 0; i < 1000; i++)
        sorted[i] = i + 1;
    assert_float_equal(stats_percentile(sorted, 1000, 0), 1, 0);
    assert_float_equal(stats_percentile(sorted, 1000, 50), 500, 0);
    assert_float_equal(stats_percentile(sorted, 1000, 99.9), 999, 0);
    assert_float_equal(stats_percentile(sorted, 1000, 99.91), 1000, 0);
    assert_float_equal(stats_percentile(sorted, 1000, 100), 1000, 0);
    assert_float_equal(stats_percentile(sorted, 20, 95), 19, 0);
}

static void columns_parse_valid_list_gives_values(void **state)
{
    struct stats_column columns[STATS_MAX_COLUMNS];
    const double values[] = {4, 1, 3, 2};
    const double expected[] = {2.5, 2, 4, 1};
    char bad[32];
    (void)state;
    assert_int_equal(stats_columns_parse("avg,p50,max,min", columns, bad), 4);
    for (int i = 0; i < 4; i++) {
        double value = -1;
        assert_true(stats_column_value(&columns[i], values, 4, &value));
        assert_float_equal(value, expected[i], 1e-12);
    }
    assert_int_equal(stats_columns_parse("p99.9,cv,stdev", columns, bad), 3);
    assert_string_equal(columns[0].name, "p99.9");
}

static void columns_parse_invalid_names_the_word(void **state)
{
    static const char *const lists[][2] = {
        {"p101", "p101"},
        {"avg,foo,p50", "foo"},
        {"", ""},
        {"avg,", ""},
        {"p", "p"},
        {"p5x", "p5x"},
        {"p-1", "p-1"},
        {"p1,p2,p3,p4,p5,p6,p7,p8,p9,p10,p11,p12,p13,p14,p15,p16,p17", "p17"}};
    struct stats_column columns[STATS_MAX_COLUMNS];
    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char bad[32] = "?";
        assert_int_equal(stats_columns_parse(lists[i][0], columns, bad), -1);
        assert_string_equal(bad, lists[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compute_of_known_values_is_exact),
        cmocka_unit_test(compute_of_one_value_has_no_spread),
        cmocka_unit_test(percentile_takes_the_nearest_rank),
        cmocka_unit_test(columns_parse_valid_list_gives_values),
        cmocka_unit_test(columns_parse_invalid_names_the_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
