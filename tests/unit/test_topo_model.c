/* Boxes and models: what the builder accepts, refuses with a reason, freezes; which boxes
 * are equal, which models have one hash. Every change of one number must be noticed: the
 * planted faults. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "topo/model.h"

static const struct topo_costs costs = {1, 0.1, 3, 100, 50, 1000};
static const struct topo_net net = {15, 0, 1};

static struct topo_builder *builder(void)
{
    struct topo_builder *b;
    assert_int_equal(topo_builder_create("test", &b), trncclSuccess);
    topo_set_costs(b, &costs);
    return b;
}

/* A ring of n chips with a core each, and a NIC on the first. */
static struct topo_builder *ring(int32_t n, double bw_gbps)
{
    struct topo_builder *b = builder();
    int32_t chips[16], cores[16];
    for (int32_t i = 0; i < n; i++) {
        chips[i] = topo_add_vertex(b, TOPO_CHIP, 0, 0, -1);
        cores[i] = topo_add_vertex(b, TOPO_CORE, 0, 0, chips[i]);
        topo_add_link(b, cores[i], chips[i], TOPO_LINK_DIE, -1, 0, 300, 0);
    }
    int32_t nic = topo_add_vertex(b, TOPO_NIC, 0, 0, chips[0]);
    topo_add_link(b, chips[0], nic, TOPO_LINK_PCI, -1, 0, 25, 0);
    for (int32_t i = 0; i < n; i++) {
        topo_add_link(b, chips[i], chips[(i + 1) % n], TOPO_LINK_NEURON, 0, 1, bw_gbps,
                      0.2);
        topo_add_seat(b, cores[i], nic);
    }
    topo_set_torus(b, 1, &n);
    return b;
}

static const struct topo_box *finished(struct topo_builder *b)
{
    const struct topo_box *box;
    if (topo_box_finish(b, &box) != trncclSuccess)
        fail_msg("%s", error_text());
    topo_builder_destroy(b);
    return box;
}

static void assert_refused(struct topo_builder *b, const char *part)
{
    const struct topo_box *box = NULL;
    assert_int_equal(topo_box_finish(b, &box), trncclInvalidArgument);
    assert_null(box);
    if (strstr(error_text(), part) == NULL)
        fail_msg("expected '%s' in '%s'", part, error_text());
    topo_builder_destroy(b);
}

static void box_of_a_ring_is_indexed(void **state)
{
    (void)state;
    const struct topo_box *box = finished(ring(5, 100));
    assert_int_equal(box->nchips, 5);
    assert_int_equal(box->nseats, 5);
    assert_int_equal(box->nnics, 1);
    assert_int_equal(box->ninstances, 1);
    assert_int_equal(box->seats_per_chip, 1);
    assert_int_equal(box->nlinks, 2 * (5 + 5 + 1));
    for (int32_t v = 0; v < box->nvertices; v++)
        for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++)
            assert_int_equal(box->links[l].from, v);
    assert_int_equal(box->first_link[box->nvertices], box->nlinks);
    assert_string_equal(box->vertices[box->chips[3]].name, "chip 3");
    assert_true(box->vertices[box->nics[0]].bw_gbps == 25); /* its link's */
    topo_box_put(box);
}

static void box_of_a_wrong_torus_is_refused(void **state)
{
    (void)state;
    int32_t four = 4, six[] = {2, 3}, one = 1, huge[] = {5, INT32_MAX};
    struct topo_builder *b = ring(5, 100);
    topo_set_torus(b, 1, &four);
    assert_refused(b, "5 are there");
    b = ring(6, 100);
    topo_set_torus(b, 2, six);
    assert_refused(b, "is not step");
    b = ring(5, 100);
    topo_set_torus(b, 1, &one);
    assert_refused(b, "size 1");
    b = ring(5, 100);
    topo_set_torus(b, 2, huge);
    assert_refused(b, "expected 2 to 5");
    b = ring(5, 100);
    topo_set_torus(b, 5, huge);
    assert_refused(b, "5 dimensions");
}

static void box_with_bad_links_is_refused(void **state)
{
    (void)state;
    const struct {
        int32_t from, to;
        int kind, dim, step;
        double bw, latency;
        const char *part;
    } bad[] = {
        {0, 0, TOPO_LINK_NEURON, -1, 0, 1, 1, "to itself"},
        {0, 99, TOPO_LINK_NEURON, -1, 0, 1, 1, "expected 0 to"},
        {-1, 0, TOPO_LINK_NEURON, -1, 0, 1, 1, "expected 0 to"},
        {0, 2, 77, -1, 0, 1, 1, "link kind 77"},
        {0, 2, TOPO_LINK_NEURON, 4, 1, 1, 1, "dimension 4"},
        {0, 2, TOPO_LINK_NEURON, 0, 2, 1, 1, "step 2"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, 0, 1, "0 GB/s"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, -1, 1, "-1 GB/s"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, NAN, 1, "GB/s"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, INFINITY, 1, "inf GB/s"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, 1, -1, "-1 us"},
        {0, 2, TOPO_LINK_NEURON, -1, 0, 1, NAN, "us"},
        {1, 2, TOPO_LINK_DIE, -1, 0, 1, 1, "a core is linked with"},
        {0, 2, TOPO_LINK_NEURON, 0, 1, 99, 1, "uneven links"},
        {0, 4, TOPO_LINK_NEURON, 0, 1, 100, 1, "is not step"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct topo_builder *b = ring(5, 100);
        topo_add_link_oneway(b, bad[i].from, bad[i].to, (enum topo_link_kind)bad[i].kind,
                             bad[i].dim, bad[i].step, bad[i].bw, bad[i].latency);
        assert_refused(b, bad[i].part);
    }
}

static void box_with_bad_vertices_is_refused(void **state)
{
    (void)state;
    struct topo_builder *b = ring(3, 100);
    assert_int_equal(topo_add_vertex(b, (enum topo_kind)9, 0, 0, -1), -1);
    assert_int_equal(topo_add_vertex(b, TOPO_CHIP, 0, 0, -1), -1); /* from now on */
    assert_refused(b, "vertex kind 9");
    b = ring(3, 100);
    topo_add_vertex(b, TOPO_CHIP, 40000, 0, -1);
    assert_refused(b, "instance 40000");
    b = ring(3, 100);
    topo_add_vertex(b, TOPO_CORE, 0, 0, 1); /* a core of a core */
    assert_refused(b, "expected a chip");
    b = ring(3, 100);
    topo_set_name(b, 2, "chip 0");
    assert_refused(b, "two vertices named 'chip 0'");
    b = ring(3, 100);
    topo_set_name(b, 2, "a name of far too many letters");
    assert_refused(b, "1 to 23");
    b = ring(3, 100);
    topo_set_nic_rate(b, 0, 5);
    assert_refused(b, "expected a NIC");
    b = ring(3, 100);
    topo_add_vertex(b, TOPO_NIC, 0, 0, -1);
    assert_refused(b, "neither a rate nor a link");
}

static void box_with_bad_seats_is_refused(void **state)
{
    (void)state;
    struct topo_builder *b = ring(3, 100);
    topo_add_seat(b, 0, -1);
    assert_refused(b, "expected a core");
    b = ring(3, 100);
    topo_add_seat(b, 1, -1);
    assert_refused(b, "two seats");
    b = ring(3, 100);
    topo_add_seat(b, topo_add_vertex(b, TOPO_CORE, 0, 0, 0), 0);
    assert_refused(b, "expected a NIC");
    b = ring(3, 100);
    topo_add_seat(b, topo_add_vertex(b, TOPO_CORE, 0, 0, 0), -1);
    assert_refused(b, "both ways");
    assert_refused(builder(), "no seat");
    b = ring(3, 100);
    struct topo_costs bad = costs;
    bad.reduce_gbps = 0;
    topo_set_costs(b, &bad);
    assert_refused(b, "reduce_gbps");
}

static void builder_is_spent_after_finish(void **state)
{
    (void)state;
    struct topo_builder *b = ring(3, 100);
    const struct topo_box *box, *again = NULL;
    assert_int_equal(topo_box_finish(b, &box), trncclSuccess);
    assert_int_equal(topo_add_vertex(b, TOPO_CHIP, 0, 0, -1), -1);
    assert_int_equal(topo_box_finish(b, &again), trncclInvalidUsage);
    assert_null(again);
    topo_builder_destroy(b);
    topo_box_put(box);
}

static void seats_per_chip_of_uneven_seats_is_0(void **state)
{
    (void)state;
    struct topo_builder *b = builder();
    int32_t chips[2], cores[4];
    for (int i = 0; i < 2; i++)
        chips[i] = topo_add_vertex(b, TOPO_CHIP, 0, -1, -1);
    for (int i = 0; i < 4; i++) {
        cores[i] = topo_add_vertex(b, TOPO_CORE, 0, -1, chips[i / 2]);
        topo_add_link(b, cores[i], chips[i / 2], TOPO_LINK_DIE, -1, 0, 1, 0);
    }
    topo_add_seat(b, cores[0], -1);
    topo_add_seat(b, cores[2], -1);
    topo_add_seat(b, cores[1], -1); /* even in number, but not in order */
    topo_add_seat(b, cores[3], -1);
    const struct topo_box *box = finished(b);
    assert_int_equal(box->seats_per_chip, 0);
    topo_box_put(box);
}

static struct topo_model *model(const struct topo_box *const *boxes, int32_t n)
{
    struct topo_model *m;
    if (topo_model_create("m", boxes, n, &net, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    return m;
}

static void model_of_equal_boxes_shares_one(void **state)
{
    (void)state;
    const struct topo_box *a = finished(ring(4, 100)), *b = finished(ring(4, 100));
    const struct topo_box *c = finished(ring(5, 100));
    const struct topo_box *boxes[] = {a, c, b, c, a};
    assert_ptr_not_equal(a, b);
    assert_true(topo_box_equal(a, b));
    assert_false(topo_box_equal(a, c));
    struct topo_model *m = model(boxes, 5);
    assert_ptr_equal(m->boxes[2], a);
    assert_ptr_equal(m->boxes[4], a);
    assert_ptr_equal(m->boxes[3], c);
    assert_int_equal(m->nranks, 4 + 5 + 4 + 5 + 4);
    for (int32_t r = 0; r < m->nranks; r++) {
        int32_t box = topo_rank_box(m, r);
        assert_in_range(r, m->first_rank[box], m->first_rank[box + 1] - 1);
    }
    topo_box_put(a);
    topo_box_put(b);
    topo_box_put(c);
    assert_int_equal(m->boxes[1]->nchips, 5); /* still there */
    topo_model_destroy(m);
}

static void model_with_bad_numbers_is_refused(void **state)
{
    (void)state;
    const struct topo_box *a = finished(ring(4, 100));
    const struct topo_net bad[] = {
        {-1, 0, 1}, {NAN, 0, 1}, {1, -1, 1}, {1, 0, 0}, {1, 0, 2}};
    struct topo_model *m = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(topo_model_create("m", &a, 1, &bad[i], &m),
                         trncclInvalidArgument);
    assert_int_equal(topo_model_create("m", &a, 0, &net, &m), trncclInvalidArgument);
    assert_int_equal(topo_model_create("", &a, 1, &net, &m), trncclInvalidArgument);
    assert_null(m);
    topo_box_put(a);
}

static uint64_t hash_of(const struct topo_box *box)
{
    struct topo_model *m = model(&box, 1);
    uint64_t hash = topo_model_hash(m);
    topo_model_destroy(m);
    topo_box_put(box);
    return hash;
}

static void hash_of_any_change_differs_but_for_names(void **state)
{
    (void)state;
    uint64_t hash = hash_of(finished(ring(4, 100)));
    assert_true(hash == hash_of(finished(ring(4, 100))));
    struct topo_builder *b = ring(4, 100);
    topo_set_name(b, 0, "another");
    assert_true(hash == hash_of(finished(b)));
    assert_true(hash != hash_of(finished(ring(4, 100.0000001))));
    assert_true(hash != hash_of(finished(ring(5, 100))));
    b = ring(4, 100);
    topo_set_nic_rate(b, 8, 24);
    assert_true(hash != hash_of(finished(b)));
    b = ring(4, 100);
    topo_set_torus(b, 0, NULL);
    assert_true(hash != hash_of(finished(b)));
    for (size_t i = 0; i < sizeof costs / sizeof(double); i++) {
        struct topo_costs other = costs;
        ((double *)&other)[i] *= 1.01;
        b = ring(4, 100);
        topo_set_costs(b, &other);
        assert_true(hash != hash_of(finished(b)));
    }
}

static void hash_of_another_order_of_boxes_differs(void **state)
{
    (void)state;
    const struct topo_box *a = finished(ring(4, 100)), *b = finished(ring(5, 100));
    const struct topo_box *ab[] = {a, b}, *ba[] = {b, a};
    struct topo_model *p = model(ab, 2), *q = model(ba, 2);
    assert_true(topo_model_hash(p) != topo_model_hash(q));
    topo_model_destroy(p);
    topo_model_destroy(q);
    topo_box_put(a);
    topo_box_put(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(box_of_a_ring_is_indexed),
        cmocka_unit_test(box_of_a_wrong_torus_is_refused),
        cmocka_unit_test(box_with_bad_links_is_refused),
        cmocka_unit_test(box_with_bad_vertices_is_refused),
        cmocka_unit_test(box_with_bad_seats_is_refused),
        cmocka_unit_test(builder_is_spent_after_finish),
        cmocka_unit_test(seats_per_chip_of_uneven_seats_is_0),
        cmocka_unit_test(model_of_equal_boxes_shares_one),
        cmocka_unit_test(model_with_bad_numbers_is_refused),
        cmocka_unit_test(hash_of_any_change_differs_but_for_names),
        cmocka_unit_test(hash_of_another_order_of_boxes_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
