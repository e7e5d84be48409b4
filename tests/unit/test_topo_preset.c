/* Presets against the published tables. The neighbours and totals below are written out
 * from the publications, not computed by what is tested. A wrong neighbour planted in the
 * table must be seen. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "topo/preset.h"

static const struct topo_box *box_of(const char *name, int32_t lnc)
{
    const struct topo_preset *preset = topo_preset_find(name);
    assert_non_null(preset);
    struct topo_params params = preset->params;
    if (lnc > 0)
        params.lnc = lnc;
    if (preset->wiring == PRESET_HOST)
        params.cores = 6;
    const struct topo_box *box;
    if (topo_preset_build(preset, &params, &box) != trncclSuccess)
        fail_msg("%s: %s", name, error_text());
    return box;
}

/* The bit set of the chips that a chip is directly linked with, within its instance. */
static uint64_t neighbours(const struct topo_box *box, int32_t chip)
{
    uint64_t set = 0;
    int32_t v = box->chips[chip];
    for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++) {
        const struct topo_vertex *to = &box->vertices[box->links[l].to];
        if (to->kind == TOPO_CHIP && to->instance == box->vertices[v].instance)
            set |= UINT64_C(1) << (to->index % 16);
    }
    return set;
}

/* Neuron driver 2.25.4, table of connected devices, Trn1; Trn2's has the same sets. */
static const int8_t published[16][4] = {
    {12, 3, 4, 1},  {13, 0, 5, 2},  {14, 1, 6, 3},   {15, 2, 7, 0},
    {0, 7, 8, 5},   {1, 4, 9, 6},   {2, 5, 10, 7},   {3, 6, 11, 4},
    {4, 11, 12, 9}, {5, 8, 13, 10}, {6, 9, 14, 11},  {7, 10, 15, 8},
    {8, 15, 0, 13}, {9, 12, 1, 14}, {10, 13, 2, 15}, {11, 14, 3, 12},
};

static int mismatches(const struct topo_box *box, const int8_t table[16][4])
{
    int n = 0;
    for (int32_t chip = 0; chip < box->nchips; chip++) {
        uint64_t set = 0;
        for (int k = 0; k < 4; k++)
            set |= UINT64_C(1) << table[chip % 16][k];
        n += neighbours(box, chip) != set;
    }
    return n;
}

static void torus_of_16_chips_has_the_published_neighbours(void **state)
{
    (void)state;
    const char *const names[] = {"trn1.32xlarge", "trn1n.32xlarge", "trn2.48xlarge",
                                 "trn2u.48xlarge"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct topo_box *box = box_of(names[i], 0);
        assert_int_equal(mismatches(box, published), 0);
        int8_t planted[16][4];
        memcpy(planted, published, sizeof planted);
        planted[5][0] = 2;
        assert_int_equal(mismatches(box, planted), box->nchips / 16);
        topo_box_put(box);
    }
}

/* GB/s out of a chip over links of a kind, to the same or to other instances. */
static double rate_out(const struct topo_box *box, int32_t chip, int kind, bool across)
{
    double sum = 0;
    int32_t v = box->chips[chip];
    for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++)
        if (box->links[l].kind == kind && (box->vertices[box->links[l].to].instance !=
                                           box->vertices[v].instance) == across)
            sum += box->links[l].bw_gbps;
    return sum;
}

static void totals_of_presets_are_the_published_ones(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int32_t chips, ranks[2]; /* lnc 1, 2 */
        double inside, across;   /* GB/s per chip, both directions */
        double efa_gbps;         /* all NICs, Gbit/s */
        double hbm_gbps, hbm_gib;
    } rows[] = {
        {"trn1.2xlarge", 1, {2, 1}, 0, 0, 25, 820, 32},
        {"trn1.32xlarge", 16, {32, 16}, 384, 0, 800, 820, 32},
        {"trn1n.32xlarge", 16, {32, 16}, 384, 0, 1600, 820, 32},
        {"inf2.48xlarge", 12, {24, 12}, 192, 0, 0, 820, 32},
        {"trn2.3xlarge", 1, {8, 4}, 0, 0, 200, 2900, 96},
        {"trn2.48xlarge", 16, {128, 64}, 1024, 0, 3200, 2900, 96},
        {"trn2u.48xlarge", 64, {512, 256}, 1024, 256, 4 * 3200, 2900, 96},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int lnc = 1; lnc <= 2; lnc++) {
            const struct topo_box *box = box_of(rows[i].name, lnc);
            assert_int_equal(box->nchips, rows[i].chips);
            assert_int_equal(box->nseats, rows[i].ranks[lnc - 1]);
            assert_int_equal(box->seats_per_chip, box->nseats / box->nchips);
            double nics = 0;
            for (int32_t n = 0; n < box->nnics; n++)
                nics += box->vertices[box->nics[n]].bw_gbps;
            assert_true(fabs(8 * nics - rows[i].efa_gbps) < 1e-9);
            for (int32_t c = 0; c < box->nchips; c++) {
                assert_true(2 * rate_out(box, c, TOPO_LINK_NEURON, false) ==
                            rows[i].inside);
                assert_true(2 * rate_out(box, c, TOPO_LINK_NEURON, true) ==
                            rows[i].across);
            }
            assert_true(box->costs.memory_gbps == rows[i].hbm_gbps);
            assert_true(topo_preset_find(rows[i].name)->hbm_gib == rows[i].hbm_gib);
            topo_box_put(box);
        }
    }
}

static void ultraserver_joins_equal_chips_of_instances_in_rings(void **state)
{
    (void)state;
    const struct topo_box *box = box_of("trn2u", 0);
    assert_int_equal(box->ninstances, 4);
    int nz = 0;
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        if (link->dim != 2)
            continue;
        const struct topo_vertex *a = &box->vertices[link->from];
        const struct topo_vertex *b = &box->vertices[link->to];
        assert_int_equal(a->index % 16, b->index % 16);
        assert_int_equal((a->instance + link->step + 4) % 4, b->instance);
        assert_true(link->bw_gbps == 64);
        nz++;
    }
    assert_int_equal(nz, 64 * 2);
    topo_box_put(box);
}

static void inf2_chain_is_open_and_has_no_nics(void **state)
{
    (void)state;
    const struct topo_box *box = box_of("inf2.24xlarge", 0);
    assert_int_equal(box->nchips, 6);
    assert_int_equal(box->nnics, 0);
    assert_int_equal(box->seats[0].nic, -1);
    for (int32_t c = 0; c < 6; c++)
        assert_true(2 * rate_out(box, c, TOPO_LINK_NEURON, false) ==
                    (c == 0 || c == 5 ? 96 : 192));
    topo_box_put(box);
}

static void trn3_boxes_have_the_published_levels(void **state)
{
    (void)state;
    const struct topo_box *gen1 = box_of("trn3-gen1", 0), *gen2 = box_of("trn3-gen2", 0);
    assert_true(gen1->provisional && gen2->provisional);
    assert_int_equal(gen1->nchips, 64);
    assert_int_equal(gen1->nnics * 200, 12800);
    assert_int_equal(gen2->nchips, 144);
    assert_int_equal(gen2->nnics * 200, 28800);
    int32_t v = gen2->chips[77], levels[3] = {0};
    for (int32_t l = gen2->first_link[v]; l < gen2->first_link[v + 1]; l++) {
        const struct topo_link *link = &gen2->links[l];
        levels[0] += link->bw_gbps == 256; /* SDK trn3-arch.rst: server, rack, across */
        levels[1] += link->bw_gbps == 320;
        levels[2] += link->bw_gbps == 128;
        if (link->bw_gbps == 128) /* chip i of server s and s + 18 */
            assert_int_equal(gen2->vertices[link->to].index, 77 - 72);
    }
    for (int k = 0; k < 3; k++)
        assert_int_equal(levels[k], 1);
    assert_true(gen2->costs.memory_gbps == 4900);
    topo_box_put(gen1);
    topo_box_put(gen2);
}

static void ranks_of_a_chip_share_its_nic(void **state)
{
    (void)state;
    const struct topo_box *trn1 = box_of("trn1", 1), *trn2 = box_of("trn2", 2);
    for (int32_t s = 0; s < trn1->nseats; s++) { /* MAP: a NIC for two chips of 2 cores */
        assert_int_equal(trn1->vertices[trn1->seats[s].chip].index, s / 2);
        assert_int_equal(trn1->vertices[trn1->seats[s].nic].index, s / 4);
    }
    for (int32_t s = 0; s < trn2->nseats; s++) {
        assert_int_equal(trn2->vertices[trn2->seats[s].chip].index, s / 4);
        assert_int_equal(trn2->vertices[trn2->seats[s].nic].index, s / 4);
    }
    /* MAP and neuron-ls.rst: device 9 has the NIC at 83:00.0, node 0; device 13 node 1.
     */
    assert_string_equal(trn2->vertices[trn2->nics[9]].name, "nic 9 83:00.0");
    assert_int_equal(trn2->vertices[trn2->nics[9]].numa, 0);
    assert_int_equal(trn2->vertices[trn2->chips[13]].numa, 1);
    topo_box_put(trn1);
    topo_box_put(trn2);
}

static void host_deals_cores_to_nodes(void **state)
{
    (void)state;
    const struct topo_preset *preset = topo_preset_find("host");
    struct topo_params params = preset->params;
    params.cores = 5;
    params.numa = 2;
    const struct topo_box *box;
    assert_int_equal(topo_preset_build(preset, &params, &box), trncclSuccess);
    assert_int_equal(box->nseats, 5);
    assert_int_equal(box->nchips, 0);
    assert_int_equal(box->vertices[box->seats[2].chip].numa, 0);
    assert_int_equal(box->vertices[box->seats[3].chip].numa, 1);
    topo_box_put(box);
    params.cores = 0;
    assert_int_equal(topo_preset_build(preset, &params, &box), trncclSuccess);
    assert_true(box->nseats >= 1);
    topo_box_put(box);
}

static void param_of_every_preset_is_set_or_refused(void **state)
{
    (void)state;
    int32_t npresets, nparams;
    const struct topo_preset *presets = topo_preset_list(&npresets);
    const struct topo_param *params = topo_param_list(&nparams);
    for (int32_t i = 0; i < npresets; i++) {
        assert_non_null(presets[i].source);
        int nset = 0;
        for (int32_t k = 0; k < nparams; k++) {
            struct topo_params changed = presets[i].params;
            assert_ptr_equal(topo_param_find(params[k].name), &params[k]);
            assert_int_not_equal(
                topo_param_set(&presets[i], &changed, &params[k], params[k].most * 2),
                trncclSuccess);
            assert_int_not_equal(topo_param_set(&presets[i], &changed, &params[k], NAN),
                                 trncclSuccess);
            assert_memory_equal(&changed, &presets[i].params, sizeof changed);
            if (topo_param_set(&presets[i], &changed, &params[k], 1) != trncclSuccess)
                continue;
            const struct topo_box *box;
            assert_int_equal(topo_preset_build(&presets[i], &changed, &box),
                             trncclSuccess);
            topo_box_put(box);
            nset++;
        }
        assert_true(nset >= 12);
    }
}

static void preset_with_a_wrong_lnc_is_refused(void **state)
{
    (void)state;
    const struct topo_preset *preset = topo_preset_find("TRN2");
    struct topo_params params = preset->params;
    const struct topo_box *box = NULL;
    params.lnc = 3;
    assert_int_equal(topo_preset_build(preset, &params, &box), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "divisor"));
    assert_null(box);
    assert_null(topo_preset_find("trn4"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torus_of_16_chips_has_the_published_neighbours),
        cmocka_unit_test(totals_of_presets_are_the_published_ones),
        cmocka_unit_test(ultraserver_joins_equal_chips_of_instances_in_rings),
        cmocka_unit_test(inf2_chain_is_open_and_has_no_nics),
        cmocka_unit_test(trn3_boxes_have_the_published_levels),
        cmocka_unit_test(ranks_of_a_chip_share_its_nic),
        cmocka_unit_test(host_deals_cores_to_nodes),
        cmocka_unit_test(param_of_every_preset_is_set_or_refused),
        cmocka_unit_test(preset_with_a_wrong_lnc_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
