/* NCCL's topology XML: a host of four GPUs, two CPUs and two NICs becomes a box; what is
 * malformed is refused with its line; 20,000 mutants do no harm. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/topo_mutate.h"
#include "topo/nccl_xml.h"
#include "topo/path.h"

enum { NMUTANTS = 20000 };

/* Line 4 is the PCI switch, 6 the first GPU. */
static const char host[] =
    "<system version=\"1\">\n"
    "<!-- written by hand -->\n"
    "<cpu numaid=\"0\" arch=\"x86_64\">\n"
    "<pci busid=\"0000:10:00.0\" class=\"0x060400\" link_speed=\"16.0 GT/s PCIe\" "
    "link_width=\"16\">\n"
    "<pci busid=\"0000:11:00.0\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\">\n"
    "<gpu dev=\"0\" sm=\"80\" rank=\"1\"><nvlink target=\"0000:12:00.0\" count=\"12\" "
    "tclass=\"0x030200\"/></gpu></pci>\n"
    "<pci busid=\"0000:12:00.0\" link_speed=\"16.0 GT/s PCIe\" link_width=\"16\">\n"
    "<gpu dev=\"1\" sm=\"80\" rank=\"0\"><nvlink target=\"0000:11:00.0\" count=\"12\" "
    "tclass=\"0x030200\"/></gpu></pci>\n"
    "<pci busid=\"0000:13:00.0\" link_speed=\"16.0 GT/s PCIe\" link_width=\"8\"><nic>\n"
    "<net name=\"a\" dev=\"0\" speed=\"100000\"/></nic></pci></pci></cpu>\n"
    "<cpu numaid=\"1\">\n"
    "<pci busid=\"0000:21:00.0\" link_speed=\"\" link_width=\"0\">\n"
    "<gpu dev=\"2\" sm=\"90\" rank=\"2\"><nvlink target=\"0000:30:00.0\" count=\"9\" "
    "tclass=\"0x068000\"/>\n"
    "<nvlink target=\"0000:31:00.0\" count=\"9\" tclass=\"0x068000\"/></gpu></pci>\n"
    "<pci busid=\"0000:22:00.0\">\n"
    "<gpu dev=\"3\" sm=\"90\" rank=\"3\"><nvlink target=\"0000:30:00.0\" count=\"18\" "
    "tclass=\"0x068000\"/></gpu></pci>\n"
    "<nic><net name=\"b\" dev=\"1\" speed=\"200000\"/></nic></cpu>\n"
    "</system>\n";

static trncclResult_t parse(const char *text, int32_t nboxes, struct topo_model **m)
{
    return topo_nccl_xml_parse("file", text, strlen(text), nboxes, m);
}

static double rate(const struct topo_box *box, int32_t from, int32_t to)
{
    double sum = 0;
    for (int32_t l = box->first_link[from]; l < box->first_link[from + 1]; l++)
        if (box->links[l].to == to)
            sum += box->links[l].bw_gbps;
    return sum;
}

static void host_with_gpus_becomes_a_box(void **state)
{
    (void)state;
    struct topo_model *m;
    if (parse(host, 3, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    const struct topo_box *box = m->boxes[0];
    assert_int_equal(m->nboxes, 3);
    assert_true(box_stands(box));
    assert_int_equal(box->nchips, 4);
    assert_int_equal(box->nnics, 2);
    assert_int_equal(box->nseats, 4);
    /* Ranks 0 and 1 are dev 1 and 0. */
    assert_int_equal(box->seats[0].chip, box->chips[1]);
    assert_int_equal(box->seats[1].chip, box->chips[0]);
    assert_true(rate(box, box->chips[0], box->chips[1]) == 12 * 20.0);
    int32_t node = -1;
    for (int32_t v = 0; v < box->nvertices; v++)
        if (strcmp(box->vertices[v].name, "nvswitch") == 0)
            node = v;
    assert_true(fabs(rate(box, box->chips[2], node) - 18 * 20.6) < 1e-9);
    assert_true(fabs(rate(box, node, box->chips[3]) - 18 * 20.6) < 1e-9);
    assert_true(box->vertices[box->nics[0]].bw_gbps == 12.5);
    assert_true(box->vertices[box->nics[1]].bw_gbps == 25);
    assert_int_equal(box->seats[0].nic, box->nics[0]); /* the nearer one each */
    assert_int_equal(box->seats[3].nic, box->nics[1]);
    topo_model_destroy(m);
}

static void host_with_gpus_routes_by_nvlink_and_pci(void **state)
{
    (void)state;
    struct topo_model *m;
    struct topo_paths *paths;
    assert_int_equal(parse(host, 2, &m), trncclSuccess);
    assert_int_equal(topo_paths_create(m, &paths), trncclSuccess);
    struct topo_hop *hops = calloc((size_t)topo_paths_max_hops(paths), sizeof *hops);
    assert_int_equal(topo_path_find(paths, 0, 1, hops), 3); /* core, NVLink, core */
    assert_int_equal(topo_path_find(paths, 2, 3, hops), 4); /* over the switch */
    /* chip, PCI switch, CPU, CPU, chip */
    assert_int_equal(topo_path_find(paths, 0, 2, hops), 6);
    for (int32_t a = 0; a < m->nranks; a++)
        for (int32_t b = 0; b < m->nranks; b++)
            assert_true(topo_path_find(paths, a, b, hops) >= 0);
    free(hops);
    topo_paths_destroy(paths);
    topo_model_destroy(m);
}

static void text_that_is_malformed_is_refused_with_its_line(void **state)
{
    (void)state;
    const struct {
        const char *from, *to, *part;
    } bad[] = {
        {host, "", "no XML"},
        {"</system>", "", "file:1"},
        {"</cpu>", "", "file:18: no XML: Opening and ending tag mismatch"},
        {"<system version=\"1\">", "<!DOCTYPE system><system>", "<!DOCTYPE"},
        {"<system version=\"1\">", "<!DOCTYPE s [<!ENTITY a \"b\">]><system>",
         "<!DOCTYPE"},
        {"written by hand", "xi:include", "xi:include"},
        {"numaid=\"0\"", "numaid=\"&lol;\"", "no XML"},
        {"numaid=\"0\"", "numaid=\"99999\"", "file:3: numaid"},
        {"numaid=\"0\"", "numaid=\"0\" numaid=\"1\"", "file:3: no XML"},
        {"busid=\"0000:11:00.0\" ", "", "file:5: busid of <pci> is 'missing'"},
        {"0000:11:00.0", "elephant", "file:5: busid"},
        {"0000:11:00.0", "0000:12:00.0", "a second <gpu>"},
        {"target=\"0000:12:00.0\"", "", "file:6: target of <nvlink>"},
        {"target=\"0000:12:00.0\"", "target=\"0000:99:00.0\"",
         "file:6: <nvlink> to 0000:99"},
        {"target=\"0000:12:00.0\"", "target=\"0000:11:00.0\"", "expected another"},
        {"count=\"12\"", "", "file:6: count"},
        {"count=\"12\"", "count=\"-1\"", "file:6: count"},
        {"count=\"12\"", "count=\"99999999999\"", "0 to 1000"},
        {"sm=\"80\"", "sm=\"eighty\"", "file:6: sm"},
        {"rank=\"1\"", "rank=\"1.5\"", "file:6: rank"},
        {"speed=\"100000\"", "speed=\"fast\"", "file:10: speed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *at = strstr(host, bad[i].from);
        char *text;
        struct topo_model *m = NULL;
        assert_non_null(at);
        assert_true(asprintf(&text, "%.*s%s%s", (int)(at - host), host, bad[i].to,
                             at + strlen(bad[i].from)) >= 0);
        if (parse(text, 1, &m) != trncclInvalidArgument)
            fail_msg("%zu: was not refused", i);
        if (strstr(error_text(), bad[i].part) == NULL)
            fail_msg("%zu: expected '%s' in: %s", i, bad[i].part, error_text());
        assert_null(m);
        free(text);
    }
}

static void text_of_other_things_is_refused(void **state)
{
    (void)state;
    struct topo_model *m = NULL;
    assert_int_equal(parse("<algo/>", 1, &m), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "expected <system>"));
    assert_int_equal(parse("<system/>", 1, &m), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "no <gpu>"));
    assert_int_equal(parse("<system><cpu><gpu/></cpu></system>", 1, &m),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "outside of <pci>"));
    assert_int_equal(parse(host, 0, &m), trncclInvalidArgument);
    assert_int_equal(topo_nccl_xml_load("no/such.xml", 1, &m), trncclSystemError);
}

static void text_that_is_deep_is_refused(void **state)
{
    (void)state;
    static char text[100000];
    for (int depth = 100; depth <= 3000; depth += 2900) { /* ours, libxml2's */
        struct topo_model *m = NULL;
        char *at = stpcpy(text, "<system><cpu>");
        for (int i = 0; i < depth; i++)
            at = stpcpy(at, "<pci busid=\"1\">");
        for (int i = 0; i < depth; i++)
            at = stpcpy(at, "</pci>");
        strcpy(at, "</cpu></system>");
        assert_int_equal(parse(text, 1, &m), trncclInvalidArgument);
        assert_null(m);
    }
}

static void text_that_is_mutated_does_no_harm(void **state)
{
    (void)state;
    uint64_t random = mutate_seed();
    int nparsed = 0;
    static char text[sizeof host + 64];
    for (int i = 0; i < NMUTANTS; i++) {
        memcpy(text, host, sizeof host);
        size_t n = mutate_text(&random, text, sizeof host - 1);
        struct topo_model *m = NULL;
        if (topo_nccl_xml_parse("mutant", text, n, 1, &m) != trncclSuccess) {
            assert_null(m);
            assert_int_equal(strncmp(error_text(), "mutant", 6), 0);
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
        cmocka_unit_test(host_with_gpus_becomes_a_box),
        cmocka_unit_test(host_with_gpus_routes_by_nvlink_and_pci),
        cmocka_unit_test(text_that_is_malformed_is_refused_with_its_line),
        cmocka_unit_test(text_of_other_things_is_refused),
        cmocka_unit_test(text_that_is_deep_is_refused),
        cmocka_unit_test(text_that_is_mutated_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
