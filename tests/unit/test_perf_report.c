#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/report.h"

static const struct report_rank ranks[2] = {{0, 11, 0, "here", "a cpu"},
                                            {1, 12, 1, "here", "a \"cpu\""}};
static const double times[] = {10, 12, 11, 99};
static const double process_times[] = {10, 9, 8, 7, 6, 12, 11, 99};

static const struct report_row row = {
    .nbytes = 1048576,
    .count = 262144,
    .type = "float",
    .redop = "sum",
    .root = -1,
    .algorithm = "ring",
    .half = {{true, 123.456, 100, 8.4934, 12.7401, 0, 20, 0, NULL, NULL},
             {true, 1234567, 100, 0.00085, 0.00127, 3, 20, 0, NULL, NULL}},
};

static struct options options_basic(void)
{
    static char name[] = "trn-collective-perf", op[] = "allr";
    static char *argv[] = {name, op, NULL};
    return (struct options){.argc = 2,
                            .argv = argv,
                            .op = ops_find("all_reduce"),
                            .nthreads = 1,
                            .nper_thread = 1,
                            .min_nbytes = 8,
                            .max_nbytes = 1048576,
                            .step_factor = 4,
                            .iters = 20,
                            .warmup = 5,
                            .agg_iters = 1,
                            .check = 1,
                            .stream_null = true,
                            .seed = 1};
}

/* Runs begin, one row and end; the text is the caller's to free. */
static char *produce(const struct report_format *format, const struct options *o,
                     const struct report_row *r, int nbad)
{
    char *text = NULL;
    size_t nbytes = 0;
    struct report report = {.format = format, .file = open_memstream(&text, &nbytes)};
    const struct report_run run = {.o = o,
                                   .nprocs = 2,
                                   .nranks = 2,
                                   .ranks = ranks,
                                   .max_nbytes = o->max_nbytes,
                                   .library_version = 100};
    const struct report_end end = {.nbad = nbad, .bus_gbps = 6.37, .bandwidth_ok = false};
    format->begin(&report, &run);
    format->row(&report, &run, r);
    format->end(&report, &run, &end);
    fclose(report.file);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("missing:\n%s\nin:\n%s", part, text);
}

/* The lines that nccl-tests 2.19 prints for the same numbers (src/util.cu formats). */
static void text_has_nccl_tests_columns(void **state)
{
    (void)state;
    struct options o = options_basic();
    char *text = produce(&report_text, &o, &row, 1);
    assert_has(text, "\n#       size         count      type   redop    root     time   "
                     "algbw   busbw  #wrong     time   algbw   busbw  #wrong");
    assert_has(text, "\n#        (B)    (elements)                               (us)  "
                     "(GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)");
    assert_has(text, "\n     1048576        262144     float     sum      -1   123.46    "
                     "8.49   12.74       0  1234567    0.00    0.00       3\n");
    assert_has(text, "\n#  Rank  1 Group  0 Pid     12 on       here device  1 [host] "
                     "a \"cpu\"\n");
    assert_has(text, "\n# Out of bounds values : 1 FAILED\n");
    assert_has(text, "\n# Avg bus bandwidth    : 6.37 \n");
    free(text);
    o.min_bw_gbps = 10;
    text = produce(&report_text, &o, &row, 0);
    assert_has(text, "\n# Out of bounds values : 0 OK\n");
    assert_has(text, "\n# Avg bus bandwidth    : 6.37 FAILED\n");
    free(text);
}

static void text_shows_unchecked_and_absent_halves_as_na(void **state)
{
    (void)state;
    struct options o = options_basic();
    struct report_row r = row;
    r.half[0].nwrong = -1;
    r.half[1].present = false;
    char *text = produce(&report_text, &o, &r, 0);
    assert_has(text,
               "   123.46    8.49   12.74     N/A      N/A     N/A     N/A     N/A\n");
    free(text);
}

static void number_keeps_its_width(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "   0.00"},         {9999.994, "9999.99"}, {12345.67, "12345.7"},
                 {1234567.4, "1234567"}, {12345678, "1.2e+07"}, {0.004, "   0.00"}};
    char text[32];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(report_number(cases[i].value, 7, text, sizeof text),
                            cases[i].text);
}

static struct report_row row_with_times(void)
{
    struct report_row r = row;
    r.half[0].ntimes = 4;
    r.half[0].times_us = times;
    r.half[0].process_times_us = process_times;
    return r;
}

static void text_per_iteration_columns_skip_what_was_asked(void **state)
{
    (void)state;
    struct options o = options_basic();
    struct report_row r = row_with_times();
    o.per_iter = true;
    char *text = produce(&report_text, &o, &r, 0);
    assert_has(text, "#wrong    i_min    i_max    i_p99    i_cv%     time");
    assert_has(text, "       0    10.00    99.00    99.00 ");
    free(text);
    o.per_iter_skip = 3;
    text = produce(&report_text, &o, &r, 0);
    assert_has(text, "       0    99.00    99.00    99.00     0.00 ");
    free(text);
}

static void csv_has_a_line_per_half(void **state)
{
    (void)state;
    struct options o = options_basic();
    struct report_row r = row_with_times();
    char *text = produce(&report_csv, &o, &r, 0);
    assert_has(text, "collective,ranks,size_bytes,count,type,redop,root,place,iterations,"
                     "time_us,cpu_time_us,algbw_gbps,busbw_gbps,algbw_gibps,busbw_gibps,"
                     "wrong,iter_min_us,iter_avg_us,iter_p50_us,iter_p95_us,iter_p99_us,"
                     "iter_max_us,iter_cv_pct,algorithm\n");
    assert_has(text,
               "\nall_reduce,2,1048576,262144,float,sum,-1,out_of_place,20,123.4560,"
               "100.0000,8.4934,12.7401,7.9101,11.8651,0,10.0000,33.0000,11.0000,");
    assert_has(text, "in_place,20,1234567.0000,100.0000,0.00085,0.00127,0.000791624,"
                     "0.00118278,3,,,,,,,,ring\n");
    /* Every line has as many fields as the first. */
    int fields[3] = {0}, line = 0;
    for (const char *p = text; *p; p++) {
        fields[line] += *p == ',';
        line += *p == '\n';
    }
    assert_int_equal(line, 3);
    assert_int_equal(fields[1], fields[0]);
    assert_int_equal(fields[2], fields[0]);
    free(text);
}

/* ---- JSON: a schema of paths and kinds -----------------------------------------------
 */

enum kind {
    INT = 'i',
    REAL = 'r',
    TEXT = 's',
    BOOL = 'b',
    LIST = 'l',
    OBJECT = 'o',
    NIL = 'n'
};

static bool is_kind(const json_t *j, char kind)
{
    switch (kind) {
    case INT:
        return json_is_integer(j);
    case REAL:
        return json_is_real(j);
    case TEXT:
        return json_is_string(j);
    case BOOL:
        return json_is_boolean(j);
    case LIST:
        return json_is_array(j);
    case OBJECT:
        return json_is_object(j);
    default:
        return json_is_null(j);
    }
}

/* Follows "results.0.size"; NULL if there is no such thing. */
static const json_t *at(const json_t *j, const char *path)
{
    char key[64];
    while (j && *path) {
        size_t length = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, path);
        j = json_is_array(j) ? json_array_get(j, (size_t)atoi(key))
                             : json_object_get(j, key);
        path += length + (path[length] == '.');
    }
    return j;
}

static json_t *produce_json(const struct options *o, const struct report_row *r)
{
    char *text = produce(&report_json, o, r, 1);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("not JSON: %s line %d:\n%s", error.text, error.line, text);
    free(text);
    return root;
}

static void json_has_the_shape_of_version_3(void **state)
{
    static const struct {
        const char *path;
        enum kind kind;
    } schema[] = {
        {"version", INT},
        {"start_time", TEXT},
        {"end_time", TEXT},
        {"args", LIST},
        {"args.1", TEXT},
        {"env", LIST},
        {"trnccl_version", INT},
        {"config", OBJECT},
        {"config.nthreads", INT},
        {"config.ngpus", INT},
        {"config.minimum_bytes", INT},
        {"config.maximum_bytes", INT},
        {"config.step_factor", INT},
        {"config.warmup_iters", INT},
        {"config.iterations", INT},
        {"config.aggregated_iterations", INT},
        {"config.validation", INT},
        {"config.graph", INT},
        {"config.blocking_collectives", BOOL},
        {"config.per_iter_timing", BOOL},
        {"config.per_iter_skip", INT},
        {"config.parallel_init", BOOL},
        {"config.devices", LIST},
        {"config.devices.1.rank", INT},
        {"config.devices.1.group", INT},
        {"config.devices.1.pid", INT},
        {"config.devices.1.hostname", TEXT},
        {"config.devices.1.device", INT},
        {"config.devices.1.device_info", TEXT},
        {"results", LIST},
        {"results.0.size", INT},
        {"results.0.count", INT},
        {"results.0.type", TEXT},
        {"results.0.redop", TEXT},
        {"results.0.root", INT},
        {"results.0.out_of_place.time", REAL},
        {"results.0.out_of_place.alg_bw", REAL},
        {"results.0.out_of_place.bus_bw", REAL},
        {"results.0.out_of_place.nwrong", INT},
        {"results.0.in_place", OBJECT},
        {"results.0.out_of_place_per_iter.skipped_iterations", INT},
        {"results.0.out_of_place_per_iter.min_us", REAL},
        {"results.0.out_of_place_per_iter.max_us", REAL},
        {"results.0.out_of_place_per_iter.avg_us", REAL},
        {"results.0.out_of_place_per_iter.p50_us", REAL},
        {"results.0.out_of_place_per_iter.p95_us", REAL},
        {"results.0.out_of_place_per_iter.p99_us", REAL},
        {"results.0.out_of_place_per_iter.stdev_us", REAL},
        {"results.0.out_of_place_per_iter.cv_pct", REAL},
        {"results.0.out_of_place_per_iter.times_us.3", REAL},
        {"results.0.out_of_place_per_iter.per_process_max_times_us.1.3", REAL},
        {"results.0.actual_iterations", INT},
        {"results.0.experiment_name", TEXT},
        {"out_of_bounds.count", INT},
        {"out_of_bounds.okay", BOOL},
        {"average_bus_bandwidth.bandwidth", REAL},
        {"average_bus_bandwidth.okay", NIL},
        {"errors", LIST},
    };
    (void)state;
    struct options o = options_basic();
    struct report_row r = row_with_times();
    o.per_iter = true;
    json_t *root = produce_json(&o, &r);
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++) {
        const json_t *j = at(root, schema[i].path);
        if (!j || !is_kind(j, (char)schema[i].kind))
            fail_msg("%s: missing, or not of kind '%c'", schema[i].path, schema[i].kind);
    }
    assert_int_equal(json_integer_value(at(root, "version")), 3);
    assert_int_equal(json_integer_value(at(root, "results.0.root")), -1);
    assert_true(json_is_false(at(root, "out_of_bounds.okay")));
    assert_float_equal(
        json_real_value(
            at(root, "results.0.out_of_place_per_iter.per_process_max_times_us.1.3")),
        99, 0);
    json_decref(root);
}

static void json_of_unchecked_and_absent_is_null(void **state)
{
    (void)state;
    struct options o = options_basic();
    struct report_row r = row;
    r.half[0].nwrong = -1;
    r.half[1].present = false;
    json_t *root = produce_json(&o, &r);
    assert_true(json_is_null(at(root, "results.0.out_of_place.nwrong")));
    assert_true(json_is_null(at(root, "results.0.in_place")));
    assert_null(at(root, "results.0.out_of_place_per_iter"));
    json_decref(root);
}

static void json_shows_only_the_librarys_environment(void **state)
{
    (void)state;
    setenv("TRNCCL_ALGO", "ring", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "hush-hush", 1);
    struct options o = options_basic();
    char *text = produce(&report_json, &o, &row, 0);
    assert_has(text, "\"TRNCCL_ALGO=ring\"");
    assert_null(strstr(text, "hush-hush"));
    assert_null(strstr(text, "PATH="));
    free(text);
    unsetenv("TRNCCL_ALGO");
    unsetenv("AWS_SECRET_ACCESS_KEY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_nccl_tests_columns),
        cmocka_unit_test(text_shows_unchecked_and_absent_halves_as_na),
        cmocka_unit_test(number_keeps_its_width),
        cmocka_unit_test(text_per_iteration_columns_skip_what_was_asked),
        cmocka_unit_test(csv_has_a_line_per_half),
        cmocka_unit_test(json_has_the_shape_of_version_3),
        cmocka_unit_test(json_of_unchecked_and_absent_is_null),
        cmocka_unit_test(json_shows_only_the_librarys_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
