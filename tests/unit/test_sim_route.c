/* Routes: dimension by dimension and the shorter way round on tori, fewest and then
 * widest links elsewhere, by NICs between boxes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim/route.h"
#include "tests/support/sim_models.h"

static const struct topo_net net = {.latency_us = 15, .efficiency = 0.5};

struct fixture {
    struct topo_box *box;
    struct topo_model *model;
    struct routes routes;
};

static void fixture_init(struct fixture *f, const struct sim_box_spec *spec,
                         int32_t nboxes)
{
    f->box = sim_box_create(spec);
    f->model = sim_model_create(f->box, nboxes, &net);
    assert_int_equal(routes_init(&f->routes, f->model, NULL, f->model->nranks),
                     trncclSuccess);
}

static void fixture_fini(struct fixture *f)
{
    routes_fini(&f->routes);
    sim_model_destroy(f->model);
    sim_box_destroy(f->box);
}

/* Links along the torus between two ranks: how many per dimension, by direction, and
 * whether dimensions come in order. */
static bool torus_walk(struct fixture *f, int32_t from, int32_t to,
                       int32_t moved[TOPO_MAX_DIMS])
{
    struct route_sum sum;
    assert_int_equal(routes_sum(&f->routes, from, to, &sum), trncclSuccess);
    struct route_cursor c;
    routes_begin(&f->routes, from, to, &c);
    int32_t box, server, last = 0, n = 0;
    bool ordered = true;
    memset(moved, 0, TOPO_MAX_DIMS * sizeof *moved);
    for (; routes_next(&f->routes, &c, &box, &server); n++) {
        const struct topo_link *l = &f->box->links[server];
        if (l->dim < 0)
            continue;
        ordered &= l->dim >= last;
        last = l->dim;
        moved[l->dim] += l->step;
    }
    assert_int_equal(n, sum.nlinks);
    return ordered;
}

static void routes_next_on_a_torus_goes_the_shorter_way_round(void **state)
{
    (void)state;
    const struct sim_box_spec spec = {.ndims = 3,
                                      .dims = {5, 4, 2},
                                      .per_chip = 2,
                                      .bw_gbps = {1, 2, 3},
                                      .latency_us = 1};
    struct fixture f;
    fixture_init(&f, &spec, 1);
    for (int32_t a = 0; a < f.model->nranks; a++)
        for (int32_t b = 0; b < f.model->nranks; b++) {
            int32_t moved[TOPO_MAX_DIMS];
            assert_true(torus_walk(&f, a, b, moved));
            for (int32_t d = 0, stride = 1; d < 3; stride *= spec.dims[d++]) {
                int32_t n = spec.dims[d];
                int32_t ahead = (b / 2 / stride % n - a / 2 / stride % n + n) % n;
                int32_t expected = 2 * ahead <= n ? ahead : ahead - n;
                /* Of two chips one sends up and the other one down the one link. */
                if (n == 2)
                    assert_int_equal(abs(moved[d]), ahead);
                else
                    assert_int_equal(moved[d], expected);
            }
        }
    fixture_fini(&f);
}

/* The planted fault: a torus that says it has another shape is walked in another order.
 */
static void torus_walk_notices_another_torus(void **state)
{
    (void)state;
    const struct sim_box_spec spec = {.ndims = 1, .dims = {8}, .bw_gbps = {1}};
    struct fixture f;
    fixture_init(&f, &spec, 1);
    int32_t moved[TOPO_MAX_DIMS];
    assert_true(torus_walk(&f, 0, 5, moved));
    assert_int_equal(moved[0], -3);
    assert_true(torus_walk(&f, 0, 4, moved));
    assert_int_equal(moved[0], 4); /* a tie goes up */
    fixture_fini(&f);
    fixture_init(&f, &spec, 1);
    f.box->ndims = 0; /* then by search; both ways are as short */
    assert_true(torus_walk(&f, 0, 4, moved));
    assert_int_equal(abs(moved[0]), 4);
    for (int32_t l = 0; l < f.box->nlinks; l++)
        if (f.box->links[l].step == -1)
            ((struct topo_link *)f.box->links)[l].bw_gbps = 2;
    routes_fini(&f.routes);
    assert_int_equal(routes_init(&f.routes, f.model, NULL, 8), trncclSuccess);
    assert_true(torus_walk(&f, 0, 4, moved));
    assert_int_equal(moved[0], -4); /* the wider one */
    fixture_fini(&f);
}

static void routes_sum_tells_rate_and_latency(void **state)
{
    (void)state;
    const struct sim_box_spec spec = {.nchips = 4,
                                      .per_chip = 2,
                                      .bw_gbps = {10},
                                      .latency_us = 3,
                                      .die_gbps = 40,
                                      .nic_gbps = 6,
                                      .chips_per_nic = 2};
    struct fixture f;
    fixture_init(&f, &spec, 3);
    struct route_sum s;
    assert_int_equal(routes_sum(&f.routes, 1, 1, &s), trncclSuccess);
    assert_int_equal(s.nlinks, 0);
    assert_true(isinf(s.bytes_per_us));
    assert_int_equal(routes_sum(&f.routes, 0, 1, &s), trncclSuccess);
    assert_int_equal(s.nlinks, 2);
    assert_true(s.bytes_per_us == 40e3 && s.latency_us == 0);
    assert_int_equal(routes_sum(&f.routes, 0, 7, &s), trncclSuccess);
    assert_int_equal(s.nlinks, 4);
    assert_true(s.bytes_per_us == 10e3 && s.latency_us == 6);
    assert_int_equal(routes_sum(&f.routes, 0, 23, &s), trncclSuccess);
    assert_int_equal(s.nlinks, 8 - 2); /* core, NIC, fabric out and in, NIC, core */
    assert_true(s.bytes_per_us == 3e3 && s.latency_us == 15);
    assert_true(routes_same_chip(&f.routes, 0, 1));
    assert_false(routes_same_chip(&f.routes, 1, 2));
    assert_false(routes_same_chip(&f.routes, 0, 8));
    fixture_fini(&f);
}

/* Without its links to the switch a chip is reached from nowhere. */
static void routes_sum_without_a_way_says_where_it_ends(void **state)
{
    (void)state;
    const struct sim_box_spec spec = {.ndims = 1, .dims = {3}, .bw_gbps = {10}};
    struct fixture f;
    fixture_init(&f, &spec, 1);
    f.box->ndims = 0;
    for (int32_t l = 0; l < f.box->nlinks; l++) {
        struct topo_link *link = (struct topo_link *)&f.box->links[l];
        if (link->to == 2 && link->dim == 0)
            link->to = link->from; /* chip 2 gets nothing */
    }
    routes_fini(&f.routes);
    assert_int_equal(routes_init(&f.routes, f.model, NULL, 3), trncclSuccess);
    struct route_sum s;
    assert_int_equal(routes_sum(&f.routes, 2, 0, &s), trncclSuccess);
    assert_int_equal(routes_sum(&f.routes, 0, 2, &s), trncclInvalidArgument);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_next_on_a_torus_goes_the_shorter_way_round),
        cmocka_unit_test(torus_walk_notices_another_torus),
        cmocka_unit_test(routes_sum_tells_rate_and_latency),
        cmocka_unit_test(routes_sum_without_a_way_says_where_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
