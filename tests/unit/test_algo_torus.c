/* The torus as a hypercube: every bit is one hop, and the weights of the parts load the
 * links by their rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "algo/torus.h"

static struct sched_graph torus(int32_t x, int32_t y, int32_t z, int32_t rate_z)
{
    int32_t rate = rate_z > 1 ? rate_z : 2, n = x * y * z;
    struct sched_graph g = {.nranks = n,
                            .group_size = n,
                            .ndims = 3,
                            .dims = {x, y, z},
                            .rates = {rate, rate, rate_z},
                            .per_chip = 1};
    return g;
}

/* Hops between two chips along a dimension. */
static int32_t hops(const struct sched_graph *g, int32_t a, int32_t b, int32_t dim)
{
    int32_t d = abs(torus_coordinate(g, a, dim) - torus_coordinate(g, b, dim));
    return d < g->dims[dim] - d ? d : g->dims[dim] - d;
}

static void move_goes_round_and_back(void **state)
{
    (void)state;
    struct sched_graph g = torus(3, 4, 5, 2);
    for (int32_t chip = 0; chip < g.nranks; chip++)
        for (int32_t dim = 0; dim < 3; dim++) {
            int32_t to = torus_move(&g, chip, dim, 7);
            assert_int_equal(torus_move(&g, to, dim, -7), chip);
            assert_int_equal(torus_move(&g, chip, dim, g.dims[dim]), chip);
        }
    assert_int_equal(torus_move(&g, 0, 0, 1), 1);
    assert_int_equal(torus_move(&g, 0, 1, -1), 9);
    assert_int_equal(torus_move(&g, 0, 2, 1), 12);
}

static void flip_of_any_bit_is_one_hop(void **state)
{
    (void)state;
    struct sched_graph g = torus(4, 2, 4, 2);
    struct torus_cube cube;
    assert_null(torus_cube_init(&g, false, &cube));
    assert_int_equal(cube.nbits, 5);
    for (int32_t chip = 0; chip < g.nranks; chip++)
        for (int32_t p = 0; p < cube.nbits; p++) {
            int32_t to = torus_flip(&cube, chip, p), sum = 0;
            for (int32_t dim = 0; dim < 3; dim++)
                sum += hops(&g, chip, to, dim);
            assert_int_equal(sum, 1);
            assert_int_equal(torus_flip(&cube, to, p), chip);
            for (int32_t q = 0; q < cube.nbits; q++)
                assert_int_equal(torus_bit(&cube, chip, q) != torus_bit(&cube, to, q),
                                 p == q);
        }
}

/* What the parts send over each bit in all steps of halving, in units of 1 / 2^d. */
static void loads_of(const struct torus_cube *cube, int64_t *loads)
{
    memset(loads, 0, TORUS_MAX_BITS * sizeof *loads);
    for (int32_t j = 0; j < cube->nparts; j++)
        for (int32_t t = 0; t < cube->nbits; t++)
            loads[(cube->starts[j] + t) % cube->nbits] += (int64_t)cube->weights[j]
                                                          << (cube->nbits - 1 - t);
}

static bool loads_follow_rates(const struct torus_cube *cube)
{
    int64_t loads[TORUS_MAX_BITS];
    loads_of(cube, loads);
    for (int32_t p = 0; p < cube->nbits; p++)
        for (int32_t q = 0; q < cube->nbits; q++)
            if (loads[p] * cube->graph->rates[cube->bits[q].dim] !=
                loads[q] * cube->graph->rates[cube->bits[p].dim])
                return false;
    return true;
}

static void cube_weights_load_links_by_their_rates(void **state)
{
    (void)state;
    static const int32_t rates[][3] = {
        {2, 2, 2}, {2, 2, 1}, {3, 3, 2}, {1, 2, 2}, {5, 4, 3}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct sched_graph g = torus(4, 4, 4, 2);
        struct torus_cube cube;
        memcpy(g.rates, rates[i], sizeof rates[i]);
        assert_null(torus_cube_init(&g, false, &cube));
        assert_true(loads_follow_rates(&cube));
        cube.weights[0]++; /* a planted fault */
        assert_false(loads_follow_rates(&cube));
    }
}

static void cube_of_half_rate_z_has_four_parts(void **state)
{
    (void)state;
    struct sched_graph g = torus(4, 4, 4, 1);
    struct torus_cube cube;
    assert_null(torus_cube_init(&g, false, &cube));
    assert_int_equal(cube.nparts, 4);
    static const int32_t weights[] = {3, 2, 3, 2}, starts[] = {0, 1, 3, 4};
    assert_memory_equal(cube.weights, weights, sizeof weights);
    assert_memory_equal(cube.starts, starts, sizeof starts);
}

/* All planes together begin with every bit equally often. */
static void cube_planes_share_the_starts(void **state)
{
    (void)state;
    struct sched_graph g = torus(4, 4, 1, 2);
    g.ndims = 2;
    for (g.nplanes = 1; g.nplanes <= 8; g.nplanes++) {
        int32_t count[TORUS_MAX_BITS] = {0};
        for (g.plane = 0; g.plane < g.nplanes; g.plane++) {
            struct torus_cube cube;
            assert_null(torus_cube_init(&g, false, &cube));
            for (int32_t j = 0; j < cube.nparts; j++)
                count[cube.starts[j]]++;
        }
        for (int32_t p = 1; p < 4; p++)
            assert_int_equal(count[p], count[0]);
    }
}

static void cube_of_what_is_none_is_refused(void **state)
{
    (void)state;
    struct torus_cube cube;
    struct sched_graph g = torus(4, 3, 4, 2);
    assert_non_null(torus_cube_init(&g, false, &cube));
    g = torus(4, 4, 4, 2);
    g.per_chip = 2;
    assert_non_null(torus_cube_init(&g, false, &cube));
    g = torus(4, 4, 4, 2);
    g.nranks = 32;
    assert_non_null(torus_cube_init(&g, false, &cube));
    g = torus(4, 4, 4, 1);
    g.rates[0] = g.rates[1] = 3;
    assert_non_null(torus_cube_init(&g, false, &cube));
    assert_null(torus_cube_init(&g, true, &cube));
    g.rates[2] = 0;
    assert_non_null(torus_cube_init(&g, true, &cube));
    assert_non_null(torus_cube_init(NULL, true, &cube));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(move_goes_round_and_back),
        cmocka_unit_test(flip_of_any_bit_is_one_hop),
        cmocka_unit_test(cube_weights_load_links_by_their_rates),
        cmocka_unit_test(cube_of_half_rate_z_has_four_parts),
        cmocka_unit_test(cube_planes_share_the_starts),
        cmocka_unit_test(cube_of_what_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
