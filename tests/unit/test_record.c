/* The flight record: what it says, and what follows from comparing two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "record.h"

/* Two ranks as far as their records need them. */
static struct transport_place places[2];
static struct host host = {.hostname = "here"};
static struct trncclComm comms[2];

static int setup(void **state)
{
    (void)state;
    if (segment_create(2, 1, 2, &host.segment) != trncclSuccess)
        return -1;
    for (int r = 0; r < 2; r++) {
        places[r].local_index = r;
        places[r].pid = 100 + r;
        comms[r] = (struct trncclComm){.rank = r,
                                       .nranks = 2,
                                       .pid = 100 + r,
                                       .host = &host,
                                       .places = places,
                                       .mine = segment_rank(host.segment, r)};
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    segment_destroy(host.segment);
    return 0;
}

/* Rank r begins a broadcast. */
static void begin(int r, int root, uint32_t sig)
{
    struct call c = {.comm = &comms[r],
                     .kind = CALL_COLLECTIVE,
                     .coll = SCHED_BROADCAST,
                     .count = 5,
                     .type = trncclFloat32,
                     .op = COMBINE_COPY,
                     .root = root,
                     .sig = sig,
                     .seq = ++comms[r].seq};
    record_write(&c);
}

static void begin_alike(int n)
{
    for (int i = 0; i < n; i++) {
        begin(0, 0, 7);
        begin(1, 0, 7);
    }
}

static void describe_names_what_a_collective_has(void **state)
{
    (void)state;
    static const struct {
        struct record r;
        const char *text;
    } cases[] = {
        {{.coll = SCHED_ALL_REDUCE, .type = trncclFloat32, .op = trncclSum, .count = 5},
         "all_reduce of 5 float32, sum"},
        {{.coll = SCHED_REDUCE, .type = trncclInt8, .op = trncclMax, .root = 3},
         "reduce of 0 int8, max, root 3"},
        {{.coll = SCHED_BARRIER, .type = trncclUint8, .op = COMBINE_COPY, .count = 1},
         "barrier"},
        {{.coll = SCHED_ALL_TO_ALL, .type = trncclInt32, .op = COMBINE_COPY, .v = 1},
         "all_to_all_v of int32"},
        {{.coll = SCHED_ALL_GATHER,
          .type = trncclUint8,
          .op = COMBINE_COPY,
          .count = 8,
          .exchange = COMM_SPLIT_CHOICES},
         "an exchange of trncclCommSplit"},
        {{.coll = 255, .type = 255, .op = 255, .exchange = 99},
         "an exchange of unknown, unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[160];
        record_describe(text, sizeof text, &cases[i].r);
        assert_string_equal(text, cases[i].text);
    }
}

static void compare_of_equal_ranks_passes(void **state)
{
    (void)state;
    assert_int_equal(record_compare_all(&comms[0]), trncclSuccess);
    begin_alike(40);
    begin(0, 0, 7); /* one ahead */
    assert_int_equal(record_compare_all(&comms[0]), trncclSuccess);
    assert_int_equal(record_compare_all(&comms[1]), trncclSuccess);
}

static void compare_names_the_first_difference(void **state)
{
    (void)state;
    begin_alike(20);
    begin(0, 0, 7);
    begin(1, 1, 8);
    begin_alike(10);
    assert_int_equal(record_compare_all(&comms[0]), trncclInvalidUsage);
    assert_string_equal(error_text(),
                        "ranks disagree in root: collective #21 is broadcast of 5 "
                        "float32, root 0 on rank 0 (pid 100) and broadcast of 5 float32, "
                        "root 1 on rank 1 (host here, pid 101)");
}

static void compare_long_after_a_difference_says_that_it_was_before(void **state)
{
    (void)state;
    begin(0, 0, 7);
    begin(1, 1, 8);
    begin_alike(30);
    assert_int_equal(record_compare_all(&comms[1]), trncclInvalidUsage);
    assert_non_null(strstr(error_text(), "before #16, of which there is no record"));
    assert_non_null(strstr(error_text(), "rank 1 (pid 101) and rank 0 (host here"));
}

static void compare_reaches_as_far_as_the_records(void **state)
{
    (void)state;
    begin(0, 0, 7);
    begin(1, 1, 8);
    for (int i = 1; i < SEGMENT_RECORDS; i++)
        begin(0, 0, 7);
    assert_int_equal(record_compare_all(&comms[0]), trncclInvalidUsage);
    assert_int_equal(record_compare_all(&comms[1]), trncclInvalidUsage);
    begin(0, 0, 7); /* the only one in common is gone */
    assert_int_equal(record_compare_all(&comms[0]), trncclSuccess);
    assert_int_equal(record_compare_all(&comms[1]), trncclSuccess);
}

static void compare_with_a_damaged_page_is_harmless(void **state)
{
    (void)state;
    begin_alike(3);
    memset(segment_rank(host.segment, 1), 0xee, sizeof(struct segment_rank));
    assert_int_equal(record_compare_all(&comms[0]), trncclSuccess);
    atomic_store(&segment_rank(host.segment, 1)->records[3].mark, record_mark(3, 99));
    assert_int_equal(record_compare_all(&comms[0]), trncclInvalidUsage);
    assert_non_null(strstr(error_text(), "unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describe_names_what_a_collective_has),
        cmocka_unit_test_setup_teardown(compare_of_equal_ranks_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_names_the_first_difference, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            compare_long_after_a_difference_says_that_it_was_before, setup, teardown),
        cmocka_unit_test_setup_teardown(compare_reaches_as_far_as_the_records, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(compare_with_a_damaged_page_is_harmless, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
