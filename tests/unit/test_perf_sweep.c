/* The whole tool on a stand-in library: right results pass in every collective, type and
 * reduction; each planted mistake is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/launch.h"
#include "perf/names.h"
#include "perf/options.h"
#include "perf/sweep.h"
#include "tests/perf/fake_trnccl.h"

struct outcome {
    int status, nhalves;
    long long nwrong;
};

/* Runs a command line with its output going to a file; the stand-in is set before. */
static struct outcome run(const char *command, enum fake_fault fault, unsigned order)
{
    char line[256], *argv[48];
    int argc = 0;
    const char *dir = getenv("TMPDIR");
    char in_dir[512];
    snprintf(in_dir, sizeof in_dir, "%s/perf_sweep_XXXXXX", dir ? dir : "/tmp");
    int fd = mkstemp(in_dir);
    assert_true(fd >= 0);
    close(fd);
    snprintf(line, sizeof line, "trn-collective-perf %s --csv", command);
    for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc++] = in_dir;
    argv[argc] = NULL;

    struct options o;
    struct launch l = {0};
    struct outcome out = {0};
    team_link_alone(&l.link);
    options_parse(argc, argv, &o);
    fake_set(fault, order);
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), saved_error = dup(STDERR_FILENO);
    assert_non_null(freopen("/dev/null", "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    out.status = sweep_run(&o, &l);
    fflush(stdout);
    fflush(stderr);
    dup2(saved, STDOUT_FILENO);
    dup2(saved_error, STDERR_FILENO);
    close(saved);
    close(saved_error);
    options_fini(&o);

    FILE *csv = fopen(in_dir, "r");
    char row[1024];
    assert_non_null(csv);
    while (fgets(row, sizeof row, csv)) {
        char *field = row;
        for (int i = 0; i < 15 && field; i++) {
            field = strchr(field, ',');
            field = field ? field + 1 : NULL;
        }
        if (!field || strncmp(row, "collective", 10) == 0)
            continue;
        out.nhalves++;
        out.nwrong += atoll(field);
    }
    fclose(csv);
    unlink(in_dir);
    return out;
}

static void assert_right(const char *command, int nhalves, unsigned order)
{
    struct outcome out = run(command, FAKE_NONE, order);
    if (out.status != PERF_EXIT_OK || out.nwrong != 0 || out.nhalves != nhalves)
        fail_msg("%s: status %d, %lld wrong, %d of %d halves", command, out.status,
                 out.nwrong, out.nhalves, nhalves);
}

static void assert_found(const char *command, enum fake_fault fault)
{
    struct outcome out = run(command, fault, 0);
    if (out.status != PERF_EXIT_WRONG || out.nwrong == 0)
        fail_msg("%s: fault %d was not found", command, fault);
}

static void sweep_of_every_collective_passes(void **state)
{
    char command[128];
    (void)state;
    for (const struct op *op = ops_table; op->name; op++) {
        bool sized = !(op->flags & OP_NO_DATA);
        int halves = (sized ? 3 : 1) * (op->flags & OP_IN_PLACE ? 2 : 1);
        snprintf(command, sizeof command, "%s -t 3 -b 8 -e 8K -f 32 -n 2 -w 1 -u 1",
                 op->name);
        assert_right(command, halves, 0);
        snprintf(command, sizeof command, "%s -t 2 -g 2 -b 40 -e 40 -n 2 -w 0 -m 2",
                 op->name);
        assert_right(command, halves / (sized ? 3 : 1), 1);
        snprintf(command, sizeof command, "%s -b 64 -e 64 -n 1 -w 0", op->name);
        assert_right(command, halves / (sized ? 3 : 1), 0);
    }
}

static void sweep_of_every_root_passes(void **state)
{
    (void)state;
    assert_right("broadcast -t 3 -r all -b 100 -e 100 -n 1", 6, 0);
    assert_right("reduce -t 3 -r all -b 100 -e 100 -n 1", 6, 0);
    assert_right("gather_v -t 3 -r all -b 100 -e 100 -n 1 --variable-size 0,1,2", 6, 0);
    assert_right("scatter -t 3 -r -1 -b 100 -e 100 -n 1", 6, 0);
}

/* 6 float types x 6 reductions + 8 integer types x 11, in and out of place. */
static void sweep_of_all_types_and_reductions_passes_in_any_order(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 3; order++)
        assert_right("all_reduce -t 5 -d all -o all -b 2K -e 2K -n 1 -w 0",
                     2 * (6 * 6 + 8 * 11), order);
    assert_right("reduce_scatter -t 3 -d all -o all -b 600 -e 600 -n 1 -w 0",
                 2 * (6 * 6 + 8 * 11), 2);
}

static void sweep_options_of_measuring_pass(void **state)
{
    static const char *const options[] = {"-z 1",
                                          "-z 2 -I 1",
                                          "-z 3 -s p50,p99",
                                          "-y 0",
                                          "-y 0 -I 1 -K 1",
                                          "-p 1",
                                          "-R 1",
                                          "-R 2",
                                          "-a 0",
                                          "-a 3 -C 1",
                                          "-N 1 -M 1 -S 1 --show-algorithm",
                                          "--unique-buff",
                                          "-T 5",
                                          "--min-time 0.001",
                                          "-c 3",
                                          "--seed 99"};
    char command[128];
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        snprintf(command, sizeof command, "allg -t 3 -b 1K -e 1K -n 3 -w 1 %s",
                 options[i]);
        assert_right(command, 2, 0);
    }
    assert_right("all_to_all_v -t 3 -b 900 -e 900 -n 1 --variable-size "
                 "1,2,3,4,0,1,2,2,2",
                 1, 0);
    assert_right("permute -t 4 -b 900 -e 900 -n 1 --custom-src-target-pairs 0:2,3:0", 1,
                 0);
}

static void mistakes_are_found(void **state)
{
    static const char *const collectives[] = {
        "all_reduce", "all_gather",   "reduce_scatter", "broadcast", "all_to_all",
        "scatter",    "all_to_all_v", "all_gather_v",   "permute"};
    static const enum fake_fault faults[] = {FAKE_FLIP_BIT, FAKE_WRITE_BEYOND,
                                             FAKE_CHANGE_SEND, FAKE_STALE, FAKE_SHIFT};
    char command[128];
    (void)state;
    for (size_t c = 0; c < sizeof collectives / sizeof collectives[0]; c++) {
        for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++) {
            snprintf(command, sizeof command, "%s -t 3 -b 3000 -e 3000 -n 1 -w 0",
                     collectives[c]);
            /* Off the root, broadcast and scatter have no send data to change. */
            bool no_data = strcmp(collectives[c], "broadcast") == 0 ||
                           strcmp(collectives[c], "scatter") == 0;
            if (!(faults[f] == FAKE_CHANGE_SEND && no_data))
                assert_found(command, faults[f]);
        }
    }
}

static void one_wrong_bit_is_one_wrong_element(void **state)
{
    (void)state;
    struct outcome out = run("all_reduce -t 3 -b 40000 -e 40000 -n 1", FAKE_FLIP_BIT, 0);
    assert_int_equal(out.nwrong, 2); /* one out of place, one in place */
}

static void a_missing_contribution_is_found_in_every_reduction(void **state)
{
    char command[128];
    (void)state;
    for (int type = 0; type < trncclNumTypes; type++) {
        for (int op = 0; op < NAMES_NUM_OPS; op++) {
            if (!names_op_takes(op, type))
                continue;
            snprintf(command, sizeof command,
                     "all_reduce -t 4 -d %s -o %s -b 2K -e 2K -n 1", names_type(type),
                     names_op(op));
            assert_found(command, FAKE_DROP_RANK);
        }
    }
}

static void bandwidth_below_the_demand_fails(void **state)
{
    (void)state;
    assert_int_equal(
        run("all_reduce -t 2 -b 8 -e 8 -n 1 --min-bw 100000", FAKE_NONE, 0).status,
        PERF_EXIT_WRONG);
}

static void sizes_of_the_same_counts_are_one_row(void **state)
{
    (void)state;
    /* 1, 2, 4 and 8 bytes are nothing for three ranks, 16 is an element each; with every
     * byte from 8 to 16 there are three counts, 2, 3 and 4. */
    assert_right("all_gather -t 3 -b 1 -e 16 -f 2 -n 1", 2 * 2, 0);
    assert_right("all_reduce -t 3 -b 8 -e 16 -i 1 -n 1", 2 * 3, 0);
    assert_right("gather_v -t 3 -b 1 -e 2 -i 1 -n 1", 2, 0);
    assert_right("all_to_all_v -t 3 -b 1 -e 2 -i 1 -n 1", 1, 0);
    /* Each type, root and cycle has its own. */
    assert_right("broadcast -t 2 -r all -b 1 -e 3 -i 1 -n 1 -N 2", 2 * 2 * 2, 0);
}

static void first_size_beyond_memory_is_refused(void **state)
{
    (void)state;
    struct outcome out = run("all_reduce -t 2 -b 8000T -e 8000T -n 1", FAKE_NONE, 0);
    assert_int_equal(out.status, PERF_EXIT_USAGE);
    assert_int_equal(out.nhalves, 0);
    /* Nothing else is: a barrier has no buffers, */
    assert_right("barrier -t 2 -b 8000T -e 8000T -n 1", 1, 0);
    /* and a last size is reduced. */
    assert_right("all_reduce -t 2 -b 1M -e 8000T -f 2000000000 -n 1", 2, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_of_every_collective_passes),
        cmocka_unit_test(sweep_of_every_root_passes),
        cmocka_unit_test(sweep_of_all_types_and_reductions_passes_in_any_order),
        cmocka_unit_test(sweep_options_of_measuring_pass),
        cmocka_unit_test(mistakes_are_found),
        cmocka_unit_test(one_wrong_bit_is_one_wrong_element),
        cmocka_unit_test(a_missing_contribution_is_found_in_every_reduction),
        cmocka_unit_test(sizes_of_the_same_counts_are_one_row),
        cmocka_unit_test(first_size_beyond_memory_is_refused),
        cmocka_unit_test(bandwidth_below_the_demand_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
