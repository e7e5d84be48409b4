#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "perf/ops.h"
#include "perf/vsizes.h"

static void find_knows_names_and_short_names(void **state)
{
    static const char *const pairs[][2] = {
        {"all_reduce", "all_reduce"}, {"allr", "all_reduce"},
        {"AllReduce", "all_reduce"},  {"all-gather", "all_gather"},
        {"allg", "all_gather"},       {"redsct", "reduce_scatter"},
        {"bcast", "broadcast"},       {"a2a", "all_to_all"},
        {"alltoall", "all_to_all"},   {"alltoallv", "all_to_all_v"},
        {"allgv", "all_gather_v"},    {"reduce", "reduce"},
        {"sendrecv", "sendrecv"},     {"permute", "permute"},
        {"barrier", "barrier"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct op *op = ops_find(pairs[i][0]);
        assert_non_null(op);
        assert_string_equal(op->name, pairs[i][1]);
    }
    assert_null(ops_find("all_reduc"));
    assert_null(ops_find(""));
    assert_null(ops_find("allr allreduce"));
}

static void list_near_puts_the_meant_one_first(void **state)
{
    char text[512];
    (void)state;
    ops_list_near("all_redcue", text, sizeof text);
    assert_int_equal(strncmp(text, "all_reduce, ", 12), 0);
    ops_list_near("scater", text, sizeof text);
    assert_int_equal(strncmp(text, "scatter, ", 9), 0);
    for (const struct op *op = ops_table; op->name; op++)
        assert_non_null(strstr(text, op->name));
}

static struct op_layout layout(const char *name, const struct op_case *c, int rank,
                               bool in_place)
{
    static struct op_segment segments[16];
    struct op_layout l;
    ops_layout(ops_find(name), c, rank, in_place, segments, &l);
    return l;
}

static void layout_of_reduce_scatter_in_place_points_into_the_send_data(void **state)
{
    const struct op_case c = {.nranks = 4, .count = 10};
    (void)state;
    struct op_layout l = layout("reduce_scatter", &c, 2, true);
    assert_int_equal(l.send_extent, 40);
    assert_int_equal(l.recv_extent, 40);
    assert_int_equal(l.send_count, 40);
    assert_int_equal(l.recv_at, 20);
    assert_int_equal(l.nsegments, 1);
    assert_int_equal(l.segments[0].at, 20);
    assert_int_equal(l.segments[0].index, 20);
    assert_int_equal(l.segments[0].from, OP_FROM_REDUCTION);
    l = layout("reduce_scatter", &c, 2, false);
    assert_int_equal(l.recv_extent, 10);
    assert_int_equal(l.segments[0].at, 0);
    assert_int_equal(l.segments[0].index, 20);
}

static void layout_of_gather_expects_nothing_off_the_root(void **state)
{
    const struct op_case c = {.nranks = 3, .root = 1, .count = 5};
    (void)state;
    assert_int_equal(layout("gather", &c, 0, false).nsegments, 0);
    struct op_layout l = layout("gather", &c, 1, true);
    assert_int_equal(l.nsegments, 3);
    assert_int_equal(l.send_at, 5);
    assert_int_equal(l.segments[2].at, 10);
    assert_int_equal(l.segments[2].from, 2);
    assert_int_equal(l.segments[2].index, 0);
}

static void layout_of_all_to_all_v_follows_the_matrix(void **state)
{
    const size_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}; /* sender by receiver */
    const struct op_case c = {.nranks = 3, .counts = counts};
    (void)state;
    struct op_layout l = layout("all_to_all_v", &c, 1, false);
    assert_int_equal(l.send_extent, 4 + 5 + 6);
    assert_int_equal(l.recv_extent, 2 + 5 + 8);
    assert_int_equal(l.segments[2].at, 7);
    assert_int_equal(l.segments[2].count, 8);
    assert_int_equal(l.segments[2].index, 7);
    /* Rank 2 sends most, 24; the busiest receiver gets 18. */
    assert_int_equal(ops_volume(ops_find("all_to_all_v"), &c), 24);
    size_t scratch[6];
    struct op_call call = {0};
    ops_call_init(ops_find("all_to_all_v"), &c, 1, scratch, &call);
    assert_int_equal(call.send_counts[2], 6);
    assert_int_equal(call.recv_counts[2], 8);
}

static void layout_of_permute_touches_targets_only(void **state)
{
    const int pairs[] = {0, 2, 2, 0};
    const struct op_case c = {.nranks = 3, .count = 4, .pairs = pairs, .npairs = 2};
    (void)state;
    assert_int_equal(layout("permute", &c, 1, false).nsegments, 0);
    assert_int_equal(layout("permute", &c, 1, false).send_count, 0);
    struct op_layout l = layout("permute", &c, 2, false);
    assert_int_equal(l.segments[0].from, 0);
}

/* nccl-tests, doc/PERFORMANCE.md. */
static void volume_and_factor_are_those_of_nccl_tests(void **state)
{
    static const struct {
        const char *name;
        size_t volume;
        double factor;
    } cases[] = {{"all_reduce", 100, 1.5},     {"all_gather", 400, 0.75},
                 {"reduce_scatter", 400, .75}, {"broadcast", 100, 1},
                 {"reduce", 100, 1},           {"all_to_all", 400, 0.75},
                 {"gather", 400, 0.75},        {"scatter", 400, 0.75},
                 {"sendrecv", 100, 1},         {"permute", 100, 1}};
    const struct op_case c = {.nranks = 4, .count = 100};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct op *op = ops_find(cases[i].name);
        assert_int_equal(ops_volume(op, &c), cases[i].volume);
        assert_float_equal(ops_bus_factor(op, 4), cases[i].factor, 1e-12);
    }
}

static void vsizes_spread_weights_and_matrix_scale_to_the_total(void **state)
{
    struct vsizes v;
    char why[160];
    size_t counts[4], matrix[9];
    (void)state;
    assert_true(vsizes_parse("0.5", &v, why, sizeof why));
    vsizes_counts(&v, 3, 300, counts);
    assert_int_equal(counts[0], 50);
    assert_int_equal(counts[1], 100);
    assert_int_equal(counts[2], 150);

    assert_true(vsizes_parse("1,0,3", &v, why, sizeof why));
    vsizes_counts(&v, 3, 100, counts);
    assert_int_equal(counts[0], 25);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 75);
    vsizes_matrix(&v, 3, 100, matrix);
    assert_int_equal(matrix[0], 25);         /* 0 to itself */
    assert_int_equal(matrix[2 * 3 + 1], 75); /* 2 to 1: two places on */
    assert_null(vsizes_misfit(&v, 3, false, why, sizeof why));
    assert_non_null(vsizes_misfit(&v, 4, true, why, sizeof why));
    vsizes_fini(&v);

    assert_true(vsizes_parse("0,2,4,1", &v, why, sizeof why));
    assert_null(vsizes_misfit(&v, 2, true, why, sizeof why));
    assert_non_null(vsizes_misfit(&v, 2, false, why, sizeof why));
    vsizes_matrix(&v, 2, 50, matrix);
    assert_int_equal(matrix[1], 20);
    assert_int_equal(matrix[2], 40);
    vsizes_fini(&v);
}

static void vsizes_invalid_says_why(void **state)
{
    static const char *const bad[] = {"1.5", "-1", "1,x", "1,-2", "no-such-file", ""};
    struct vsizes v;
    char why[160];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = '\0';
        assert_false(vsizes_parse(bad[i], &v, why, sizeof why));
        assert_true(why[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_knows_names_and_short_names),
        cmocka_unit_test(list_near_puts_the_meant_one_first),
        cmocka_unit_test(layout_of_reduce_scatter_in_place_points_into_the_send_data),
        cmocka_unit_test(layout_of_gather_expects_nothing_off_the_root),
        cmocka_unit_test(layout_of_all_to_all_v_follows_the_matrix),
        cmocka_unit_test(layout_of_permute_touches_targets_only),
        cmocka_unit_test(volume_and_factor_are_those_of_nccl_tests),
        cmocka_unit_test(vsizes_spread_weights_and_matrix_scale_to_the_total),
        cmocka_unit_test(vsizes_invalid_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
