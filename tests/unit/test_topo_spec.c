/* Machine strings: what they make, what they refuse and where, and 20,000 damaged ones
 * that must not do harm. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>

#include "tests/support/topo_mutate.h"
#include "topo/path.h"
#include "topo/preset.h"
#include "topo/spec.h"

enum { NMUTANTS = 20000 };

static struct topo_model *parsed(const char *text)
{
    struct topo_model *m;
    if (topo_spec_parse(text, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    return m;
}

static void spec_of_good_strings_makes_their_ranks(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int32_t nboxes, nranks;
    } good[] = {
        {"trn2", 1, 64},
        {"  trn2\t lnc=1 \n", 1, 128},
        {"TRN2.48XLarge", 1, 64},
        {"trn2u:4", 4, 1024},
        {"trn1.32xlarge:8 lnc=2", 8, 128},
        {"trn1.2xlarge", 1, 2},
        {"trn1n", 1, 32},
        {"inf2", 1, 24},
        {"inf2.24xlarge", 1, 12},
        {"trn2.3xlarge:3", 3, 12},
        {"trn3-gen1", 1, 256},
        {"trn3-gen2", 1, 576},
        {"trn2 per_chip=1", 1, 16},
        {"host:4 cores=2", 4, 8},
        {"host cores=3 numa=2", 1, 3},
        {"rainier", 7812, 7812 * 256},
        {"trn2 neuronlink_gbps=100 efa_latency_us=15", 1, 64},
        {"trn2u neuronlink_gbps=100 z_gbps=64 efa_latency_us=15", 1, 256},
        {"trn2 dead_chip=5", 1, 60},
        {"trn2 dead_chip=0,3-4", 1, 52},
        {"trn2 dead_chip=5 dead_link=0-1 slow_link=4-8:0.5 no_nic=3 ranks=0-11", 1, 12},
        {"trn2:4 box=2 ranks=0-11,20", 4, 3 * 64 + 13},
        {"trn2:4 dead_chip=1 box=2 dead_chip=2 box=0 ranks=0 box=all dead_link=0-4", 4,
         60 + 56 + 60 + 1},
        {"trn2:2 box=0 dead_chip=0 box=1 dead_chip=1", 2, 120},
        {"trn3-gen1 dead_link=0-s0", 1, 256},
        {"host:3 cores=2 box=1 ranks=1", 3, 5},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct topo_model *m = parsed(good[i].text);
        if (m->nboxes != good[i].nboxes || m->nranks != good[i].nranks)
            fail_msg("'%s': %d boxes, %d ranks", good[i].text, m->nboxes, m->nranks);
        for (int32_t b = 0; b < m->nboxes && b < 8; b++)
            assert_true(box_stands(m->boxes[b]));
        topo_model_destroy(m);
    }
}

static void spec_of_host_has_a_rank_per_processor(void **state)
{
    (void)state;
    struct topo_model *m = parsed("host");
    assert_true(m->nranks >= 1);
    topo_model_destroy(m);
}

static void spec_of_every_listed_name_parses(void **state)
{
    (void)state;
    int32_t n;
    const struct topo_preset *presets = topo_preset_list(&n);
    for (int32_t i = 0; i < n; i++) {
        topo_model_destroy(parsed(presets[i].name));
        for (int a = 0; a < 2; a++)
            if (presets[i].alias[a] != NULL)
                topo_model_destroy(parsed(presets[i].alias[a]));
    }
    const struct topo_cluster *clusters = topo_cluster_list(&n);
    for (int32_t i = 0; i < n; i++) {
        struct topo_model *m = parsed(clusters[i].name);
        assert_int_equal(m->nboxes, clusters[i].nboxes);
        assert_ptr_equal(m->boxes[0], m->boxes[m->nboxes - 1]);
        topo_model_destroy(m);
    }
}

static void settings_reach_the_model(void **state)
{
    (void)state;
    struct topo_model *m = parsed("trn2u neuronlink_gbps=100 z_gbps=6.5e1 nic_gbps=20 "
                                  "efa_latency_us=9 efa_efficiency=0.9 step_us=2 "
                                  "copy_gbps=10 lnc=4");
    const struct topo_box *box = m->boxes[0];
    assert_true(m->net.latency_us == 9 && m->net.efficiency == 0.9);
    assert_true(box->costs.step_us == 2 && box->costs.copy_gbps == 40);
    assert_true(box->vertices[box->nics[5]].bw_gbps == 20);
    for (int32_t l = 0; l < box->nlinks; l++)
        if (box->links[l].dim >= 0)
            assert_true(box->links[l].bw_gbps == (box->links[l].dim == 2 ? 65 : 100));
    topo_model_destroy(m);
}

static void spec_of_bad_strings_says_where_and_why(void **state)
{
    (void)state;
    const struct {
        const char *text;
        int column; /* 0: none is given */
        const char *part;
    } bad[] = {
        {"", 1, "expected the name"},
        {"   ", 1, "expected the name"},
        {"trn4", 1, "did you mean 'trn1"},
        {"trn2.48xlrage", 1, "did you mean 'trn2.48xlarge'"},
        {"reinier", 1, "did you mean 'rainier'"},
        {"  hots", 3, "did you mean 'host'"},
        {"completely-unknown-thing", 1, "no machine"},
        {":4", 1, "no machine"},
        {"trn2:", 6, "number of boxes"},
        {"trn2:0", 6, "number of boxes"},
        {"trn2:-1", 6, "number of boxes"},
        {"trn2:4x", 6, "number of boxes"},
        {"trn2:1048577", 6, "number of boxes"},
        {"trn2:99999999999999999999", 6, "number of boxes"},
        {"trn2:2:2", 6, "number of boxes"},
        {"rainier:2", 9, "of its own"},
        {"inf2:2", 1, "cannot be joined"},
        {"trn2:2 no_nic=0-15", 1, "cannot be joined"},
        {"host:1048576 cores=4096", 0, "more than 2147483647 seats"},
        {"trn2 lnc", 6, "SETTING=VALUE"},
        {"trn2 trn2", 6, "SETTING=VALUE"},
        {"trn2 =5", 6, "no setting"},
        {"trn2 lcn=2", 6, "did you mean 'lnc'"},
        {"trn2 lnc=1 neuronlink_gpbs=5", 12, "did you mean 'neuronlink_gbps'"},
        {"trn2 dead_chips=5", 6, "did you mean 'dead_chip'"},
        {"trn2 lnc=", 10, "expected a number"},
        {"trn2 lnc=two", 10, "expected a number"},
        {"trn2 lnc=3", 10, "divisor"},
        {"trn2 lnc=0", 10, "1 to 64"},
        {"trn2 lnc=1.5", 10, "integer"},
        {"trn2 per_chip=16", 15, "divisor"},
        {"trn2 cores=2", 12, "has no cores"},
        {"trn2 z_gbps=2", 13, "has no z_gbps"},
        {"inf2 nic_gbps=2", 15, "has no nic_gbps"},
        {"host lnc=2", 10, "has no lnc"},
        {"host cores=5000", 12, "1 to 4096"},
        {"trn2 neuronlink_gbps=0", 22, "above 0"},
        {"trn2 neuronlink_gbps=-1", 22, "above 0"},
        {"trn2 neuronlink_gbps=nan", 22, "expected a number"},
        {"trn2 neuronlink_gbps=inf", 22, "expected a number"},
        {"trn2 neuronlink_gbps=1e999", 22, "expected a number"},
        {"trn2 neuronlink_gbps=0x10", 22, "expected a number"},
        {"trn2 neuronlink_gbps=1,5", 22, "expected a number"},
        {"trn2 efa_efficiency=1.5", 21, "0 to 1"},
        {"trn2 dead_chip=16", 6, "there are 16"},
        {"trn2 dead_chip=", 16, "expected a number"},
        {"trn2 dead_chip=3-", 18, "end of a range"},
        {"trn2 dead_chip=4-3", 19, "down to"},
        {"trn2 dead_chip=1,", 18, "expected a number"},
        {"trn2 dead_chip=1;2", 17, "expected ','"},
        {"trn2 dead_chip=0-15", 6, "no rank is left"},
        {"trn2 dead_link=0", 17, "expected '-'"},
        {"trn2 dead_link=0-x", 18, "two chips"},
        {"trn2 dead_link=0-5", 6, "no link chip 0 - chip 5"},
        {"trn2 dead_link=0-s0", 6, "no link chip 0 - switch 0"},
        {"trn2 dead_link=0-1:0.5", 19, "expected ','"},
        {"trn2 slow_link=0-1", 19, "share of the rate"},
        {"trn2 slow_link=0-1:", 19, "share of the rate"},
        {"trn2 slow_link=0-1:0", 19, "above 0 to 1"},
        {"trn2 slow_link=0-1:2", 19, "above 0 to 1"},
        {"trn2 no_nic=16", 6, "no NIC 16"},
        {"trn2 ranks=64", 6, "no rank 64"},
        {"trn2 ranks=0-3 dead_chip=0", 16, "no rank is left"},
        {"trn2:2 box=2", 12, "expected 0 to 1"},
        {"trn2:2 box=x", 12, "number of a box"},
        {"trn2:2 box=1 lnc=2", 18, "all boxes"},
        {"trn2:2 box=1 dead_chip=99", 8, "there are 16"},
        {"inf2.24xlarge dead_link=2-3", 15, "do not reach each other"},
        {"trn2 \x01", 6, "byte 0x01"},
        {"trn2 \xff=1", 6, "byte 0xff"},
        {"trn2 \"", 6, "byte 0x22"},
    };
    assert_true(sizeof bad / sizeof bad[0] >= 40);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct topo_model *m = NULL;
        char column[32];
        snprintf(column, sizeof column, "column %d:", bad[i].column);
        if (topo_spec_parse(bad[i].text, &m) != trncclInvalidArgument || m != NULL)
            fail_msg("'%s' was not refused", bad[i].text);
        if (strstr(error_text(), bad[i].part) == NULL ||
            (bad[i].column > 0 && strstr(error_text(), column) == NULL))
            fail_msg("'%s': expected %s ... %s in: %s", bad[i].text, column, bad[i].part,
                     error_text());
    }
}

static void spec_of_a_huge_string_is_refused(void **state)
{
    (void)state;
    static char text[10000];
    struct topo_model *m = NULL;
    memset(text, ' ', sizeof text - 1);
    memcpy(text, "trn2", 4);
    assert_int_equal(topo_spec_parse(text, &m), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "4096"));
}

static void spec_of_one_damaged_box_keeps_the_others_shared(void **state)
{
    (void)state;
    struct topo_model *m = parsed("trn2u:5 box=2 dead_link=0-1 box=4 dead_link=0-1");
    assert_ptr_equal(m->boxes[0], m->boxes[1]);
    assert_ptr_equal(m->boxes[0], m->boxes[3]);
    assert_ptr_not_equal(m->boxes[0], m->boxes[2]);
    assert_ptr_equal(m->boxes[2], m->boxes[4]);
    topo_model_destroy(m);
}

static void spec_of_mutated_strings_does_no_harm(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "trn2 dead_chip=5 dead_link=0-1 slow_link=4-5:0.5 no_nic=3 ranks=0-11",
        "trn1.32xlarge:8 lnc=2 box=3 dead_chip=1,4-5 box=all no_nic=2",
        "inf2.24xlarge slow_link=2-3:0.25 core_gbps=1e2",
        "host:4 cores=2 numa=2 numa_gbps=12.5 box=1 ranks=0",
        "trn3-gen1 dead_link=0-s0,16-s0 slow_link=1-33:0.5 z_gbps=100",
        "trn2u:2 neuronlink_gbps=100 z_gbps=64 efa_latency_us=15",
    };
    uint64_t random = mutate_seed();
    int nparsed = 0;
    for (int i = 0; i < NMUTANTS; i++) {
        char text[256];
        size_t n = strlen(seeds[i % 6]);
        memcpy(text, seeds[i % 6], n);
        mutate_text(&random, text, n);
        char *colon = strchr(text, ':');
        if (colon != NULL && strspn(colon + 1, "0123456789") > 3)
            continue; /* big clusters are right, and slow */
        struct topo_model *m = NULL;
        if (topo_spec_parse(text, &m) != trncclSuccess) {
            assert_null(m);
            assert_true(error_text()[0] != '\0');
            continue;
        }
        assert_true(box_stands(m->boxes[0]));
        topo_model_destroy(m);
        nparsed++;
    }
    printf("%d of %d mutants are machines\n", nparsed, NMUTANTS);
    assert_in_range(nparsed, NMUTANTS / 100, NMUTANTS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spec_of_good_strings_makes_their_ranks),
        cmocka_unit_test(spec_of_host_has_a_rank_per_processor),
        cmocka_unit_test(spec_of_every_listed_name_parses),
        cmocka_unit_test(settings_reach_the_model),
        cmocka_unit_test(spec_of_bad_strings_says_where_and_why),
        cmocka_unit_test(spec_of_a_huge_string_is_refused),
        cmocka_unit_test(spec_of_one_damaged_box_keeps_the_others_shared),
        cmocka_unit_test(spec_of_mutated_strings_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
