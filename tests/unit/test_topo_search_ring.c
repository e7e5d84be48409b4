#include "tests/support/rings.h"

static void assert_rings(const struct digraph *g, const struct search_rings *r, bool full)
{
    const char *fault = rings_fault(g, r, full);
    if (fault)
        print_message("%d cycles: %s\n", (int)r->ncycles, fault);
    assert_null(fault);
}

static void square_of_every_side_covers_all_links_twice_over(void **state)
{
    (void)state;
    for (int32_t k = 3; k <= 16; k++) {
        struct digraph *g =
            graphs_torus(2, (const int32_t[]){k, k}, (const int32_t[]){1, 1});
        struct search_rings *r;
        assert_int_equal(search_rings_square(k, &r), trncclSuccess);
        assert_int_equal(r->ncycles, 2);
        assert_rings(g, r, true);
        search_rings_destroy(r);
        digraph_destroy(g);
    }
}

/* The cycles of the 4x4 torus as they are published. */
static void square_of_side_4_is_the_known_one(void **state)
{
    (void)state;
    const int32_t known[] = {0, 1, 2, 3,  7,  4, 5, 6, 10, 11, 8, 9, 13, 14, 15, 12,
                             0, 4, 8, 12, 13, 1, 5, 9, 10, 14, 2, 6, 7,  11, 15, 3};
    struct search_rings *r;
    assert_int_equal(search_rings_square(4, &r), trncclSuccess);
    assert_memory_equal(r->orders, known, sizeof known);
    search_rings_destroy(r);
}

static void torus_of_any_dimensions_has_cycles_over_all_links(void **state)
{
    (void)state;
    const struct {
        int32_t ndims, dims[4], rates[4], ncycles;
    } tori[] = {
        {1, {7}, {3}, 1},
        {2, {4, 4}, {3, 3}, 2},
        {2, {3, 4}, {1, 1}, 2},
        {2, {4, 6}, {1, 1}, 2},
        {2, {4, 16}, {1, 1}, 2},
        {2, {5, 9}, {2, 1}, 3},
        {3, {4, 1, 4}, {1, 7, 1}, 2},
        {3, {4, 4, 4}, {1, 1, 1}, 3},
        {3, {4, 4, 4}, {2, 2, 1}, 5},
        {3, {4, 4, 4}, {4, 4, 2}, 5},
        {3, {3, 4, 5}, {1, 2, 3}, 6},
        {3, {3, 3, 3}, {1, 1, 1}, 3},
        {3, {4, 4, 8}, {2, 2, 1}, 5},
        {3, {8, 8, 8}, {1, 1, 1}, 3},
        {3, {4, 4, 4}, {4, 4, 1}, 9},
        {4, {4, 4, 4, 4}, {1, 1, 1, 1}, 4},
        {4, {3, 3, 3, 3}, {4, 4, 4, 4}, 4},
    };
    for (size_t i = 0; i < sizeof tori / sizeof *tori; i++) {
        struct digraph *g = graphs_torus(tori[i].ndims, tori[i].dims, tori[i].rates);
        struct search_rings *r;
        assert_int_equal(
            search_rings_torus(tori[i].ndims, tori[i].dims, tori[i].rates, &r),
            trncclSuccess);
        assert_int_equal(r->ncycles, tori[i].ncycles);
        assert_rings(g, r, true);
        search_rings_destroy(r);
        digraph_destroy(g);
    }
}

static void torus_beyond_annealing_gets_what_there_is(void **state)
{
    (void)state;
    const int32_t dims[][2] = {{4, 4}, {4, 5}, {3, 3}}, rates[] = {2, 1};
    for (int i = 0; i < 3; i++) {
        struct digraph *g = graphs_torus(2, dims[i], rates);
        struct search_rings *r;
        assert_int_equal(search_rings_torus(2, dims[i], rates, &r), trncclSuccess);
        assert_rings(g, r, false);
        assert_true(rings_weight(r) >= 2);
        search_rings_destroy(r);
        digraph_destroy(g);
    }
}

static void torus_asked_twice_gives_the_same_cycles(void **state)
{
    (void)state;
    const int32_t dims[] = {4, 4, 4}, rates[] = {2, 2, 1};
    struct search_rings *a, *b;
    assert_int_equal(search_rings_torus(3, dims, rates, &a), trncclSuccess);
    assert_int_equal(search_rings_torus(3, dims, rates, &b), trncclSuccess);
    assert_memory_equal(a->orders, b->orders, 5 * 64 * sizeof *a->orders);
    search_rings_destroy(a);
    search_rings_destroy(b);
}

static void torus_of_one_or_two_chips_is_no_trouble(void **state)
{
    (void)state;
    struct search_rings *r;
    assert_int_equal(search_rings_torus(2, (const int32_t[]){1, 1}, NULL, &r), 0);
    assert_int_equal(r->ncycles, 0);
    search_rings_destroy(r);
    assert_int_equal(search_rings_torus(1, (const int32_t[]){2}, NULL, &r), 0);
    assert_int_equal(r->ncycles, 1);
    assert_int_equal(r->weights[0] * 2, r->scale); /* both ways at once: half each */
    search_rings_destroy(r);
    const int32_t dims[] = {2, 4}, rates[] = {1, 1};
    struct digraph *g = graphs_torus(2, dims, rates);
    assert_int_equal(search_rings_torus(2, dims, rates, &r), trncclSuccess);
    assert_int_equal(r->ncycles, 1); /* three links at every chip */
    assert_rings(g, r, false);
    search_rings_destroy(r);
    digraph_destroy(g);
}

static void torus_of_impossible_numbers_is_refused(void **state)
{
    (void)state;
    struct search_rings *r = NULL;
    const int32_t fours[] = {4, 4, 4};
    assert_int_equal(search_rings_square(2, &r), trncclInvalidArgument);
    assert_int_equal(search_rings_torus(0, fours, NULL, &r), trncclInvalidArgument);
    assert_int_equal(search_rings_torus(9, fours, NULL, &r), trncclInvalidArgument);
    assert_int_equal(search_rings_torus(2, (const int32_t[]){4, 0}, NULL, &r),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "dimension 1"));
    assert_int_equal(search_rings_torus(2, (const int32_t[]){4, 1 << 30}, NULL, &r),
                     trncclInvalidArgument);
    assert_int_equal(search_rings_torus(3, fours, (const int32_t[]){1, -1, 1}, &r),
                     trncclInvalidArgument);
    assert_int_equal(search_rings_torus(3, fours, (const int32_t[]){9, 8, 1}, &r),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "at most 16"));
    assert_null(r);
}

/* The planted faults: each breaks one promise of a sound set. */
static void fault_of_spoilt_rings_is_found(void **state)
{
    (void)state;
    struct digraph *g = graphs_torus_4x4();
    struct search_rings *r;
    assert_int_equal(search_rings_square(4, &r), trncclSuccess);
    r->weights[1] = 2;
    assert_string_equal(rings_fault(g, r, true), "a link is in too many cycles");
    r->weights[1] = 0;
    assert_string_equal(rings_fault(g, r, true), "a cycle has no weight");
    r->weights[1] = 1;
    r->ncycles = 1;
    assert_null(rings_fault(g, r, false));
    assert_string_equal(rings_fault(g, r, true), "a link is not used up");
    r->orders[5] = 10;
    assert_string_equal(rings_fault(g, r, false), "a cycle goes where there is no link");
    r->orders[5] = r->orders[3];
    assert_string_equal(rings_fault(g, r, false),
                        "a cycle does not have every vertex once");
    search_rings_destroy(r);
    digraph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(square_of_every_side_covers_all_links_twice_over),
        cmocka_unit_test(square_of_side_4_is_the_known_one),
        cmocka_unit_test(torus_of_any_dimensions_has_cycles_over_all_links),
        cmocka_unit_test(torus_beyond_annealing_gets_what_there_is),
        cmocka_unit_test(torus_asked_twice_gives_the_same_cycles),
        cmocka_unit_test(torus_of_one_or_two_chips_is_no_trouble),
        cmocka_unit_test(torus_of_impossible_numbers_is_refused),
        cmocka_unit_test(fault_of_spoilt_rings_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
