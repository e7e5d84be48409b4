/* Machine files: saved and loaded a model is the same, names too; what is malformed is
 * refused with its line; a difference is seen and said; 20,000 mutants do no harm.
 * Planted: one changed number, which must be one line of difference. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>

#include "tests/support/topo_mutate.h"
#include "topo/snapshot.h"
#include "topo/spec.h"

enum { NMUTANTS = 20000 };

static struct topo_model *parsed(const char *text)
{
    struct topo_model *m;
    if (topo_spec_parse(text, &m) != trncclSuccess)
        fail_msg("%s", error_text());
    return m;
}

static char *saved(const struct topo_model *m)
{
    char *text;
    size_t nbytes;
    FILE *f = open_memstream(&text, &nbytes);
    assert_non_null(f);
    assert_int_equal(topo_snapshot_save(m, f), trncclSuccess);
    fclose(f);
    return text;
}

static char *difference(const struct topo_model *a, const struct topo_model *b,
                        int32_t *n)
{
    char *text;
    size_t nbytes;
    FILE *f = open_memstream(&text, &nbytes);
    assert_int_equal(topo_snapshot_diff(a, b, f, n), trncclSuccess);
    fclose(f);
    return text;
}

static void assert_round_trip(const struct topo_model *m)
{
    char *text = saved(m);
    struct topo_model *back;
    if (topo_snapshot_parse("saved", text, strlen(text), &back) != trncclSuccess)
        fail_msg("%s: %s", m->name, error_text());
    assert_string_equal(m->name, back->name);
    assert_int_equal(m->nboxes, back->nboxes);
    assert_true(topo_model_hash(m) == topo_model_hash(back));
    for (int32_t i = 0; i < m->nboxes; i++) {
        assert_string_equal(m->boxes[i]->name, back->boxes[i]->name);
        if (i == 0 || m->boxes[i] != m->boxes[i - 1])
            assert_true(topo_box_equal(m->boxes[i], back->boxes[i]));
    }
    char *again = saved(back);
    assert_string_equal(text, again);
    int32_t n;
    char *nothing = difference(m, back, &n);
    assert_int_equal(n, 0);
    assert_string_equal(nothing, "");
    free(nothing);
    free(again);
    free(text);
    topo_model_destroy(back);
}

static const char *const machines[] = {
    "trn1.2xlarge",
    "trn1.32xlarge:8 lnc=2",
    "inf2.24xlarge",
    "inf2.48xlarge core_gbps=123.456789012345678",
    "trn2",
    "trn2u:3 z_gbps=0.1",
    "trn3-gen1",
    "trn3-gen2 per_chip=1",
    "host:4 cores=2",
    "host cores=6 numa=3",
    "rainier",
    "trn2:4 dead_chip=5 box=2 dead_link=0-1 no_nic=3 ranks=0-11 box=3 slow_link=8-9:0.3",
};

static void save_of_every_machine_loads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        struct topo_model *m = parsed(machines[i]);
        assert_round_trip(m);
        topo_model_destroy(m);
    }
}

static void save_in_a_locale_with_commas_writes_points(void **state)
{
    (void)state;
    const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    for (int i = 0; i < 4; i++)
        if (setlocale(LC_ALL, names[i]) != NULL)
            break;
    struct topo_model *m = parsed("trn2u z_gbps=0.5");
    char *text = saved(m);
    assert_non_null(strstr(text, "\"gbps\": 0.5"));
    assert_round_trip(m);
    free(text);
    topo_model_destroy(m);
    setlocale(LC_ALL, "C");
}

static void load_of_the_example_makes_a_machine(void **state)
{
    (void)state;
    struct topo_model *m;
    if (topo_snapshot_load(EXAMPLES "/trainium4.json", &m) != trncclSuccess)
        fail_msg("%s", error_text());
    assert_int_equal(m->nboxes, 2);
    assert_int_equal(m->nranks, 16);
    assert_ptr_equal(m->boxes[0], m->boxes[1]);
    assert_true(m->boxes[0]->provisional);
    assert_true(box_stands(m->boxes[0]));
    assert_int_equal(m->boxes[0]->seats_per_chip, 1);
    assert_round_trip(m);
    topo_model_destroy(m);
}

static void load_of_no_file_is_an_error_of_the_system(void **state)
{
    (void)state;
    struct topo_model *m = NULL;
    assert_int_equal(topo_snapshot_load("no/such/file.json", &m), trncclSystemError);
    assert_non_null(strstr(error_text(), "no/such/file.json"));
    assert_int_equal(topo_snapshot_load(EXAMPLES, &m),
                     trncclSystemError); /* a directory */
    assert_null(m);
}

/* One chip with a core on line 10, links on 13 and 14, and so on. */
static const char small[] =
    "{\n"
    "\"format\": \"trnccl machine 1\",\n"
    "\"name\": \"small\",\n"
    "\"net\": {\"latency_us\": 15},\n"
    "\"types\": [{\n"
    "\"name\": \"box\",\n"
    "\"costs\": {\"step_us\": 1, \"message_us\": 0, \"launch_us\": 1,\n"
    "\"copy_gbps\": 1, \"reduce_gbps\": 1, \"memory_gbps\": 1},\n"
    "\"vertices\": [{\"kind\": \"chip\", \"name\": \"chip 0\"},\n"
    "{\"kind\": \"core\", \"name\": \"core 0\", \"chip\": \"chip 0\"},\n"
    "{\"kind\": \"nic\", \"name\": \"nic 0\", \"gbps\": 5}],\n"
    "\"links\": [\n"
    "{\"a\": \"core 0\", \"b\": \"chip 0\", \"kind\": \"die\", \"gbps\": 1},\n"
    "{\"from\": \"chip 0\", \"to\": \"nic 0\", \"kind\": \"pci\", \"gbps\": 5}],\n"
    "\"seats\": [\n"
    "{\"core\": \"core 0\", \"nic\": \"nic 0\"}]\n"
    "}],\n"
    "\"boxes\": [{\"type\": 0, \"count\": 2}]\n"
    "}\n";

/* `small` with the first `from` replaced by `to`; free it. */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(small, from);
    if (at == NULL)
        fail_msg("no '%s' to replace", from);
    char *text;
    assert_true(
        asprintf(&text, "%.*s%s%s", (int)(at - small), small, to, at + strlen(from)) > 0);
    return text;
}

static void load_of_malformed_text_says_line_and_reason(void **state)
{
    (void)state;
    const struct {
        const char *from, *to;
        int line;
        const char *part;
    } bad[] = {
        {"{\n", "[\n", 2, "expected near"},
        {"\"name\": \"small\",", "\"name\": \"small\"", 4, "expected near"},
        {"\"format\"", "format", 2, "expected near"},
        {"machine 1", "machine 2", 2, "expected 'trnccl machine 1'"},
        {"\"format\": \"trnccl machine 1\",", "", 1, "'format' is missing"},
        {"\"small\"", "\"\"", 3, "printable"},
        {"\"small\"", "\"sm\\u0001all\"", 3, "printable"},
        {"\"small\"", "7", 3, "expected a string"},
        {"\"net\"", "\"nett\"", 4, "did you mean 'net'"},
        {"{\"latency_us\": 15}", "[]", 4, "expected a network"},
        {"15}", "\"15\"}", 4, "'latency_us', expected a number"},
        {"15}", "-15}", 1, "expected at least 0"},
        {"15}", "15, \"efficiency\": 2}", 1, "at most 1"},
        {"15}", "15, \"latency_us\": 15}", 4, "duplicate"},
        {"\"types\": [{", "\"types\": [], \"more\": [{", 5, "unknown member 'more'"},
        {"\"costs\"", "\"cost\"", 7, "did you mean 'costs'"},
        {"\"step_us\": 1, ", "", 7, "'step_us' is missing"},
        {"\"step_us\": 1, ", "\"step_us\": -1, ", 5, "step_us is -1"},
        {"\"copy_gbps\": 1", "\"copy_gbps\": 0", 5, "copy_gbps is 0"},
        {"\"chip\", \"name\"", "\"chp\", \"name\"", 9, "did you mean 'chip'"},
        {"\"kind\": \"chip\", ", "", 9, "'kind' is missing"},
        {"\"name\": \"core 0\", ", "", 10, "'name' is missing"},
        {"\"name\": \"core 0\"", "\"name\": \"chip 0\"", 10, "a second vertex"},
        {"\"chip\": \"chip 0\"", "\"chip\": \"chip 1\"", 10, "no vertex 'chip 1'"},
        {"\"chip\": \"chip 0\"", "\"chip\": \"chip 0\", \"numa\": 99999", 10,
         "-1 to 32767"},
        {"\"chip\": \"chip 0\"", "\"chip\": \"chip 0\", \"numa\": 0.5", 10, "integer"},
        {"\"gbps\": 5}]", "\"gbps\": -5}]", 5, "more than 0"},
        {"\"gbps\": 5}]", "\"gbps\": 1e999}]", 11, "real number overflow"},
        {"\"gbps\": 5}]", "\"gbps\": NaN}]", 11, "invalid token"},
        {"{\"a\": \"core 0\"", "{\"a\": \"core 9\"", 13, "no vertex 'core 9'"},
        {"{\"a\": \"core 0\", ", "{", 13, "'a' is missing"},
        {"{\"a\": \"core 0\"", "{\"from\": \"core 0\"", 13, "a and b"},
        {"\"die\", \"gbps\": 1", "\"die\", \"gbps\": 0", 13, "0 GB/s"},
        {"\"die\", \"gbps\": 1", "\"die\"", 13, "'gbps' is missing"},
        {"\"die\", \"gbps\": 1", "\"dye\", \"gbps\": 1", 13, "did you mean 'die'"},
        {"\"die\", \"gbps\": 1", "\"die\", \"gbps\": 1, \"dim\": 0", 13,
         "without a step"},
        {"\"die\", \"gbps\": 1", "\"die\", \"gbps\": 1, \"dim\": 9", 13, "0 to 3"},
        {"{\"core\": \"core 0\"", "{\"core\": \"chip 0\"", 5, "expected a core"},
        {"{\"core\": \"core 0\", \"nic\": \"nic 0\"}", "", 5, "no seat"},
        {"{\"core\": \"core 0\"", "5, {\"core\": \"core 0\"", 16, "expected a seat"},
        {"\"seats\": [", "\"torus\": [1], \"seats\": [", 15, "at least 2"},
        {"\"seats\": [", "\"torus\": [2], \"seats\": [", 5, "torus"},
        {"\"type\": 0", "\"type\": 1", 18, "0 to 0"},
        {"\"type\": 0, ", "", 18, "'type' is missing"},
        {"\"count\": 2", "\"count\": 0", 18, "1 to 1048576"},
        {"\"count\": 2", "\"count\": 9999999", 18, "1 to 1048576"},
        {"\"count\": 2", "\"count\": 99999999999999999999", 18, "integer"},
        {"[{\"type\": 0, \"count\": 2}]", "[]", 1, "0 boxes"},
        {"[{\"type\": 0, \"count\": 2}]", "[[[[[[[]]]]]]]", 18, "more than 6 deep"},
        {"[{\"type\": 0, \"count\": 2}]", "{}", 18, "expected an array"},
    };
    assert_true(sizeof bad / sizeof bad[0] >= 40);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *text = edited(bad[i].from, bad[i].to), where[32];
        struct topo_model *m = NULL;
        snprintf(where, sizeof where, "file:%d: ", bad[i].line);
        if (topo_snapshot_parse("file", text, strlen(text), &m) != trncclInvalidArgument)
            fail_msg("%zu: '%s' was not refused", i, bad[i].to);
        if (strstr(error_text(), bad[i].part) == NULL ||
            strncmp(error_text(), where, strlen(where)) != 0)
            fail_msg("%zu: expected %s... %s in: %s", i, where, bad[i].part,
                     error_text());
        assert_null(m);
        free(text);
    }
}

static void load_of_the_small_machine_is_good(void **state)
{
    (void)state;
    struct topo_model *m;
    if (topo_snapshot_parse("small", small, strlen(small), &m) != trncclSuccess)
        fail_msg("%s", error_text());
    assert_int_equal(m->nranks, 2);
    assert_round_trip(m);
    topo_model_destroy(m);
}

static void diff_says_what_is_not_the_same(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        int32_t n; /* -1: many */
        const char *part;
    } pairs[] = {
        {"trn2:4", "trn2:4", 0, ""},
        {"trn2:4", "trn2:5", 1, "~ boxes: 4, second 5"},
        {"trn2", "trn2 efa_latency_us=16", 1, "~ net latency_us: 15, second 16"},
        {"trn2:3", "trn2:3 step_us=2", 1, "~ boxes 0 to 2: cost step_us: 1.3, second 2"},
        {"trn2:3", "trn2:3 box=1 slow_link=0-1:0.5", 3,
         "~ box 1: link chip 0 > chip 1 (neuron, dimension 0 +1): 128 GB/s, 0.2 us; "
         "second "
         "64 GB/s, 0.2 us"},
        {"trn2", "trn2 dead_chip=5", -1, "- box 0: chip 5: chip of none"},
        {"trn2 dead_chip=5", "trn2", -1, "+ box 0: chip 5: chip of none"},
        {"trn2", "trn2 no_nic=3", -1,
         "~ box 0: seat on core 12: number 12, served by nic 3"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct topo_model *a = parsed(pairs[i].a), *b = parsed(pairs[i].b);
        int32_t n;
        char *text = difference(a, b, &n);
        if (strstr(text, pairs[i].part) == NULL || (pairs[i].n >= 0 && n != pairs[i].n))
            fail_msg("'%s', '%s': %d lines: %.500s", pairs[i].a, pairs[i].b, n, text);
        int32_t lines = 0;
        for (const char *c = text; *c != '\0'; c++)
            lines += *c == '\n';
        assert_int_equal(lines, n);
        free(text);
        topo_model_destroy(a);
        topo_model_destroy(b);
    }
}

static void load_of_mutated_text_does_no_harm(void **state)
{
    (void)state;
    uint64_t random = mutate_seed();
    int nparsed = 0;
    static char text[sizeof small + 64];
    for (int i = 0; i < NMUTANTS; i++) {
        memcpy(text, small, sizeof small);
        size_t n = mutate_text(&random, text, sizeof small - 1);
        struct topo_model *m = NULL;
        if (topo_snapshot_parse("mutant", text, n, &m) != trncclSuccess) {
            assert_null(m);
            assert_int_equal(strncmp(error_text(), "mutant:", 7), 0);
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
        cmocka_unit_test(save_of_every_machine_loads_the_same),
        cmocka_unit_test(save_in_a_locale_with_commas_writes_points),
        cmocka_unit_test(load_of_the_example_makes_a_machine),
        cmocka_unit_test(load_of_no_file_is_an_error_of_the_system),
        cmocka_unit_test(load_of_the_small_machine_is_good),
        cmocka_unit_test(load_of_malformed_text_says_line_and_reason),
        cmocka_unit_test(diff_says_what_is_not_the_same),
        cmocka_unit_test(load_of_mutated_text_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
