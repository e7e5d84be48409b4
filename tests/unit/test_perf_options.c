#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/options.h"

enum { MAX_ARGS = 48 };

/* Splits `line` at blanks into argv; returns argc. */
static int split(char *line, char **argv)
{
    int argc = 0;
    argv[argc++] = (char *)(uintptr_t) "trn-collective-perf";
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return argc;
}

static void parse(const char *text, struct options *o)
{
    static char line[512];
    static char *argv[MAX_ARGS];
    snprintf(line, sizeof line, "%s", text);
    int argc = split(line, argv);
    options_parse(argc, argv, o);
}

/* Parses in a child; returns its exit status and what it wrote. */
static int parse_in_child(const char *text, char *output, size_t output_nbytes)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct options o;
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        parse(text, &o);
        _exit(99); /* it was accepted */
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], output + length, output_nbytes - 1 - length)) > 0;)
        length += (size_t)n;
    output[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void parse_nothing_gives_nccl_tests_defaults(void **state)
{
    struct options o;
    (void)state;
    parse("", &o);
    assert_string_equal(o.op->name, "all_reduce");
    assert_int_equal(o.min_nbytes, 32 << 20);
    assert_int_equal(o.max_nbytes, 32 << 20);
    assert_int_equal(o.step_nbytes, 1 << 20);
    assert_int_equal(o.iters, 20);
    assert_int_equal(o.type, trncclFloat32);
    assert_int_equal(o.redop, trncclSum);
    assert_int_equal(o.average, OPTIONS_AVG);
    assert_int_equal(o.check, 1);
    options_fini(&o);
}

static void parse_letters_and_long_forms_agree(void **state)
{
    static const char *const lines[] = {
        "allg -P 4 -t 2 -g 3 -b 8 -e 1G -f 4 -n 7 -w 2 -m 3 -o max -d half",
        "-P4 -t2 -g3 -b8 -e1G -f4 -n7 -w2 -m3 -omax -dhalf all_gather",
        ("all_gather --nprocs=4 --nthreads 2 --ngpus 3 --minbytes 8 --maxbytes=1024M "
         "--stepfactor 4 --iters 7 --warmup_iters 2"),
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct options o;
        parse(lines[i], &o);
        assert_string_equal(o.op->name, "all_gather");
        assert_int_equal(o.nprocs, 4);
        assert_int_equal(o.nthreads, 2);
        assert_int_equal(o.nper_thread, 3);
        assert_int_equal(o.min_nbytes, 8);
        assert_int_equal(o.max_nbytes, 1 << 30);
        assert_int_equal(o.step_factor, 4);
        assert_int_equal(o.iters, 7);
        if (i < 2) {
            assert_int_equal(o.redop, trncclMax);
            assert_int_equal(o.type, trncclFloat16);
            assert_int_equal(o.agg_iters, 3);
        }
        assert_string_equal(o.argv[1], i == 0 ? "allg" : i == 1 ? "-P4" : "all_gather");
        options_fini(&o);
    }
}

static void parse_all_pairs_stats_and_files(void **state)
{
    struct options o;
    (void)state;
    parse("permute -d all -r all -s p50,p99 --custom-src-target-pairs 0:1,1:2,2:0 "
          "-J out.json",
          &o);
    assert_int_equal(o.type, OPTIONS_ALL);
    assert_int_equal(o.root, OPTIONS_ALL);
    assert_true(o.per_iter);
    assert_int_equal(o.nstats, 2);
    assert_int_equal(o.npairs, 3);
    assert_int_equal(o.pairs[5], 0);
    assert_string_equal(o.json_path, "out.json");
    char why[256];
    assert_null(options_misfit(&o, 3, why, sizeof why));
    assert_non_null(options_misfit(&o, 2, why, sizeof why));
    options_fini(&o);
}

static void parse_algo_is_for_the_collective(void **state)
{
    static const struct {
        const char *line, *setting;
    } cases[] = {
        {"--algo ring", "all_reduce=ring"},
        {"all_gather_v --algo ring", "all_gather=ring"},
        {"barrier --algo dissemination", "barrier=dissemination"},
        {"bcast --algo all_reduce=ring,broadcast=chain",
         "all_reduce=ring,broadcast=chain"},
        {"bcast --algo all_reduce=ring,chain", "all_reduce=ring,chain"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options o;
        parse(cases[i].line, &o);
        assert_string_equal(o.algo_setting, cases[i].setting);
        options_fini(&o);
    }
}

static void misfit_names_root_and_duplicate_pairs(void **state)
{
    struct options o;
    char why[256];
    (void)state;
    parse("broadcast -r 4", &o);
    assert_null(options_misfit(&o, 5, why, sizeof why));
    assert_non_null(strstr(options_misfit(&o, 4, why, sizeof why), "0 to 3"));
    options_fini(&o);
    parse("permute --custom-src-target-pairs 0:1,2:1", &o);
    assert_non_null(strstr(options_misfit(&o, 3, why, sizeof why), "target of two"));
    options_fini(&o);
}

static void parse_wrong_usage_explains_and_exits_2(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"all_redcue", "all_reduce, "},
        {"all_reduce reduce", "one collective per run"},
        {"-d flaot", "there are float, "},
        {"-o summ", "there are sum, "},
        {"-b 3x", "found \"3x\""},
        {"-b 99999999T", "99999999T is too large"},
        {"-b 2M -e 1M", "is more than"},
        {"-b 0 -e 1M -f 2", "never reaches"},
        {"-b 1 -e 1M -i 0", "never reach"},
        {"-n 0", "from 1 to"},
        {"-c x", "whole number"},
        {"-G 3", "no CUDA graphs on hosts"},
        {"-x 1", "CTA policy"},
        {"-D 1", "GPU kernel"},
        {"-V 4", "CTAs of -D"},
        {"-z 4", "from 0 to 3"},
        {"-R 3", "from 0 to 2"},
        {"-K 1", "-I 1"},
        {"-I 1 -K 20", "leaves none"},
        {"-s p50,foo", "\"foo\""},
        {"-o band", "integer type"},
        {"-J out.txt", ".json or .csv"},
        {"-O xml", "text, json or csv"},
        {"--custom-src-target-pairs 0:1", "permute and sendrecv"},
        {"permute --custom-src-target-pairs 0-1", "pairs such as"},
        {"allgv --variable-size 7", "between 0 and 1"},
        {"sendrecv --algo direct", "no algorithms"},
        {"--algo broadcast=chain,all_gather=ring", "forces nothing for all_reduce"},
        {"--cold --unique-buff", "exclude each other"},
        {"--nonsense", "unrecognized option"},
    };
    char output[8192];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse_in_child(cases[i].line, output, sizeof output),
                         PERF_EXIT_USAGE);
        if (!strstr(output, cases[i].says))
            fail_msg("%s: expected \"%s\" in: %s", cases[i].line, cases[i].says, output);
    }
}

static void parse_help_and_version_exit_0(void **state)
{
    char output[16384];
    (void)state;
    assert_int_equal(parse_in_child("-h", output, sizeof output), 0);
    assert_non_null(strstr(output, "--minbytes"));
    assert_int_equal(parse_in_child("--help", output, sizeof output), 0);
    assert_int_equal(parse_in_child("--version", output, sizeof output), 0);
    assert_int_equal(parse_in_child("-G 0 -D 0 -n 0", output, sizeof output),
                     PERF_EXIT_USAGE);
    assert_non_null(strstr(output, "-n:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_nothing_gives_nccl_tests_defaults),
        cmocka_unit_test(parse_letters_and_long_forms_agree),
        cmocka_unit_test(parse_all_pairs_stats_and_files),
        cmocka_unit_test(parse_algo_is_for_the_collective),
        cmocka_unit_test(misfit_names_root_and_duplicate_pairs),
        cmocka_unit_test(parse_wrong_usage_explains_and_exits_2),
        cmocka_unit_test(parse_help_and_version_exit_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
