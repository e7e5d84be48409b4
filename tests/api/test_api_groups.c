/* Groups: sends and receives that depend on each other, several communicators driven by
 * one thread, nesting, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

#define OKAY(call)                                                                       \
    do {                                                                                 \
        trncclResult_t okay = (call);                                                    \
        if (okay != trncclSuccess)                                                       \
            print_error("%s: %s\n", #call, trncclGetLastError(NULL));                    \
        assert_int_equal(okay, trncclSuccess);                                           \
    } while (0)

/* ---- between processes
 * -------------------------------------------------------------------------- */

#define MOST (64 * 1024 + 3)

static void ring(struct rank *r)
{
    int to = (r->rank + 1) % r->nranks, from = (r->rank + r->nranks - 1) % r->nranks;
    int32_t *out = malloc(MOST * sizeof *out), *in = malloc(MOST * sizeof *in);
    CHECK(r, in && out);
    rank_join(r, 20000);
    for (size_t count = 1; count <= MOST; count = count < 4096 ? count * 7 : count * 4) {
        for (size_t i = 0; i < count; i++)
            out[i] = r->rank * 100000 + (int32_t)i;
        OK(r, trncclGroupStart());
        OK(r, trncclSend(out, count, trncclInt32, to, r->comm, NULL));
        OK(r, trncclRecv(in, count, trncclInt32, from, r->comm, NULL));
        OK(r, trncclGroupEnd());
        for (size_t i = 0; i < count; i++)
            CHECK(r, in[i] == from * 100000 + (int32_t)i);
    }
    free(in);
    free(out);
    rank_leave(r);
}

static void rings_of_sends_and_receives_complete(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++) /* 1: a send to itself */
        assert_int_equal(team_run(TEAM_PROCESSES, n, ring, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, ring, NULL), 0);
}

/* Everyone to everyone, itself included, several messages per pair, and in the same group
 * collectives. */
static void everyone(struct rank *r)
{
    enum { K = 3, N = 300 };
    int n = r->nranks;
    int32_t *out = malloc(sizeof *out * K * N * (size_t)n);
    int32_t *in = malloc(sizeof *in * K * N * (size_t)n);
    int32_t one = r->rank + 1, sum = 0, all[TEAM_MAX];
    CHECK(r, in && out);
    rank_join(r, 20000);
    for (int i = 0; i < K * N * n; i++)
        out[i] = r->rank * 1000000 + i;
    OK(r, trncclGroupStart());
    OK(r, trncclAllReduce(&one, &sum, 1, trncclInt32, trncclSum, r->comm, NULL));
    for (int k = 0; k < K; k++)
        for (int p = 0; p < n; p++) {
            size_t at = (size_t)(p * K + k) * N;
            OK(r, trncclSend(out + at, N, trncclInt32, p, r->comm, NULL));
        }
    /* Receives in another order of peers: only the order within a pair counts. */
    for (int p = n - 1; p >= 0; p--)
        for (int k = 0; k < K; k++) {
            size_t at = (size_t)(p * K + k) * N;
            OK(r, trncclRecv(in + at, N, trncclInt32, p, r->comm, NULL));
        }
    OK(r, trncclAllGather(&one, all, 1, trncclInt32, r->comm, NULL));
    OK(r, trncclGroupEnd());
    CHECK(r, sum == n * (n + 1) / 2);
    for (int p = 0; p < n; p++) {
        CHECK(r, all[p] == p + 1);
        for (int i = 0; i < K * N; i++)
            CHECK(r, in[p * K * N + i] == p * 1000000 + r->rank * K * N + i);
    }
    free(in);
    free(out);
    rank_leave(r);
}

static void all_pairs_and_collectives_share_a_group(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, everyone, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, everyone, NULL), 0);
}

/* ---- one thread
 * ---------------------------------------------------------------------------- */

#define NRANKS 4

static void create(trncclComm_t *comms, int n)
{
    OKAY(trncclCommInitAll(comms, n, NULL));
}

static void destroy(trncclComm_t *comms, int n)
{
    for (int r = 0; r < n; r++)
        OKAY(trncclCommDestroy(comms[r]));
}

static void one_thread_drives_several_communicators(void **state)
{
    (void)state;
    trncclComm_t a[NRANKS], b[2];
    int32_t in[NRANKS], out[NRANKS], two[2], ten[2] = {10, 20};
    create(a, NRANKS);
    create(b, 2);
    for (int round = 0; round < 5; round++) {
        OKAY(trncclGroupStart());
        for (int r = 0; r < NRANKS; r++) {
            in[r] = r + round;
            OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclMax, a[r], NULL));
            if (r < 2)
                OKAY(trncclAllReduce(&ten[r], &two[r], 1, trncclInt32, trncclSum, b[r],
                                     NULL));
        }
        OKAY(trncclGroupEnd());
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(out[r], NRANKS - 1 + round);
        assert_int_equal(two[0], 30);
        assert_int_equal(two[1], 30);
    }
    destroy(b, 2);
    destroy(a, NRANKS);
}

static void only_the_outermost_end_runs_a_group(void **state)
{
    (void)state;
    trncclComm_t c[2];
    int32_t in[2] = {1, 2}, out[2] = {0, 0};
    create(c, 2);
    OKAY(trncclGroupStart());
    OKAY(trncclGroupStart());
    OKAY(trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c[0], NULL));
    OKAY(trncclGroupEnd());
    assert_int_equal(out[0], 0);
    OKAY(trncclGroupStart());
    OKAY(trncclAllReduce(&in[1], &out[1], 1, trncclInt32, trncclSum, c[1], NULL));
    OKAY(trncclGroupEnd());
    assert_int_equal(out[1], 0);
    OKAY(trncclGroupEnd());
    assert_int_equal(out[0], 3);
    assert_int_equal(out[1], 3);
    destroy(c, 2);
}

static void messages_of_nothing_are_not_counted(void **state)
{
    (void)state;
    const int devices[2] = {5, 5}; /* may repeat */
    trncclComm_t c[2];
    int32_t in[3] = {1, 2, 3}, out[3] = {0, 0, 0};
    int device = 0;
    OKAY(trncclCommInitAll(c, 2, devices));
    OKAY(trncclCommDevice(c[1], &device));
    assert_int_equal(device, 5);
    OKAY(trncclGroupStart());
    OKAY(trncclSend(in, 0, trncclInt32, 1, c[0], NULL)); /* has no receive */
    OKAY(trncclSend(in, 3, trncclInt32, 1, c[0], NULL));
    OKAY(trncclRecv(out, 3, trncclInt32, 0, c[1], NULL));
    OKAY(trncclRecv(out, 0, trncclInt8, 0, c[1], NULL)); /* has no send */
    OKAY(trncclGroupEnd());
    assert_memory_equal(in, out, sizeof in);
    destroy(c, 2);
}

static void an_empty_group_does_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        OKAY(trncclGroupStart());
        OKAY(trncclGroupEnd());
    }
}

static void a_group_with_an_error_runs_nothing_and_says_why(void **state)
{
    (void)state;
    trncclComm_t c[2];
    trncclStream_t stream;
    trncclEvent_t event;
    int32_t in[2] = {1, 2}, out[2] = {0, 0};
    create(c, 2);
    OKAY(trncclStreamCreate(&stream));
    OKAY(trncclEventCreate(&event));
    OKAY(trncclGroupStart());
    OKAY(trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c[0], NULL));
    OKAY(trncclAllReduce(&in[1], &out[1], 1, trncclInt32, trncclSum, c[1], stream));
    assert_int_equal(trncclSend(in, 1, trncclInt32, 7, c[0], NULL),
                     trncclInvalidArgument);
    OKAY(trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c[0], NULL));
    assert_int_equal(trncclGroupEnd(), trncclInvalidArgument);
    assert_non_null(strstr(trncclGetLastError(NULL), "trncclSend"));
    assert_non_null(strstr(trncclGetLastError(NULL), "peer is 7"));
    OKAY(trncclStreamSynchronize(stream));
    assert_int_equal(out[0] | out[1], 0);
    /* The next group is a new one. */
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r], NULL));
    OKAY(trncclGroupEnd());
    assert_int_equal(out[0], 3);
    OKAY(trncclEventDestroy(event));
    OKAY(trncclStreamDestroy(stream));
    destroy(c, 2);
}

static void a_group_spans_streams(void **state)
{
    (void)state;
    trncclComm_t c[NRANKS];
    trncclStream_t s[NRANKS];
    int32_t in[NRANKS], out[NRANKS] = {0};
    create(c, NRANKS);
    for (int r = 0; r < NRANKS; r++)
        OKAY(trncclStreamCreate(&s[r]));
    for (int round = 0; round < 20; round++) {
        OKAY(trncclGroupStart());
        for (int r = 0; r < NRANKS; r++) {
            in[r] = r * round;
            /* One rank without a stream: it completes inside GroupEnd. */
            OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r],
                                 r == 2 ? NULL : s[r]));
        }
        OKAY(trncclGroupEnd());
        assert_int_equal(out[2], 6 * round);
        for (int r = 0; r < NRANKS; r++)
            OKAY(trncclStreamSynchronize(s[r]));
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(out[r], 6 * round);
    }
    for (int r = 0; r < NRANKS; r++)
        OKAY(trncclStreamDestroy(s[r]));
    destroy(c, NRANKS);
}

static void all_ranks_of_a_group_share_one_stream(void **state)
{
    (void)state;
    trncclComm_t c[NRANKS];
    trncclStream_t s;
    int32_t in[NRANKS], out[NRANKS] = {0};
    create(c, NRANKS);
    OKAY(trncclStreamCreate(&s));
    for (int round = 0; round < 20; round++) {
        OKAY(trncclGroupStart());
        for (int r = 0; r < NRANKS; r++) {
            in[r] = r + round;
            OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r], s));
        }
        OKAY(trncclGroupEnd());
        OKAY(trncclStreamSynchronize(s));
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(out[r], 6 + NRANKS * round);
    }
    OKAY(trncclStreamDestroy(s));
    destroy(c, NRANKS);
}

static void a_group_creates_communicators(void **state)
{
    (void)state;
    trncclComm_t c[NRANKS] = {NULL};
    trncclUniqueId id;
    int count, rank;
    OKAY(trncclGetUniqueId(&id));
    OKAY(trncclGroupStart());
    for (int r = 0; r < NRANKS; r++)
        OKAY(trncclCommInitRank(&c[r], NRANKS, id, r));
    assert_null(c[0]);
    OKAY(trncclGroupEnd());
    for (int r = 0; r < NRANKS; r++) {
        OKAY(trncclCommCount(c[r], &count));
        OKAY(trncclCommUserRank(c[r], &rank));
        assert_int_equal(count, NRANKS);
        assert_int_equal(rank, r);
    }
    destroy(c, NRANKS);
}

static void creation_in_a_group_copies_the_strings_of_its_config(void **state)
{
    (void)state;
    trncclComm_t c[2];
    trncclUniqueId id;
    int32_t in[2] = {1, 2}, out[2];
    char name[] = "a name", algo[] = "all_reduce=ring", transport[] = "shm,self";
    const char *used = "";
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.commName = name;
    config.algo = algo;
    config.transport = transport;
    OKAY(trncclGetUniqueId(&id));
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommInitRankConfig(&c[r], 2, id, r, &config));
    memset(name, 'x', sizeof name - 1);
    memset(algo, 'x', sizeof algo - 1);
    memset(transport, 'x', sizeof transport - 1);
    OKAY(trncclGroupEnd());
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r], NULL));
    OKAY(trncclGroupEnd());
    OKAY(trncclCommGetAlgorithm(c[0], &used));
    assert_string_equal(used, "ring");
    destroy(c, 2);
}

static void creation_in_a_group_with_an_error_makes_nothing(void **state)
{
    (void)state;
    trncclComm_t c[2] = {NULL, NULL};
    trncclUniqueId id;
    memset(&id, 7, sizeof id);
    OKAY(trncclGroupStart());
    OKAY(trncclCommInitRank(&c[0], 2, id, 0));
    assert_int_equal(trncclCommInitRank(&c[1], 2, id, 2), trncclInvalidArgument);
    assert_int_equal(trncclGroupEnd(), trncclInvalidArgument);
    assert_null(c[0]);
    assert_null(c[1]);
}

static void a_thread_drives_64_ranks(void **state)
{
    (void)state;
    enum { N = 64 };
    trncclComm_t c[N];
    int32_t in[N], out[N];
    double began = now_ms();
    create(c, N);
    double made = now_ms();
    for (int round = 0; round < 50; round++) {
        OKAY(trncclGroupStart());
        for (int r = 0; r < N; r++) {
            in[r] = r + round;
            OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r], NULL));
        }
        OKAY(trncclGroupEnd());
        for (int r = 0; r < N; r++)
            assert_int_equal(out[r], N * (N - 1) / 2 + N * round);
    }
    double ran = now_ms();
    print_message("64 ranks of one thread: made in %.0f ms, 50 all-reduces in %.0f ms\n",
                  made - began, ran - made);
    assert_true(ran - began < (team_sanitized() ? 60000 : 10000));
    destroy(c, N);
}

int main(void)
{
    /* Processes first: threads load the settings of this process. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rings_of_sends_and_receives_complete),
        cmocka_unit_test(all_pairs_and_collectives_share_a_group),
        cmocka_unit_test(one_thread_drives_several_communicators),
        cmocka_unit_test(only_the_outermost_end_runs_a_group),
        cmocka_unit_test(messages_of_nothing_are_not_counted),
        cmocka_unit_test(an_empty_group_does_nothing),
        cmocka_unit_test(a_group_with_an_error_runs_nothing_and_says_why),
        cmocka_unit_test(a_group_spans_streams),
        cmocka_unit_test(all_ranks_of_a_group_share_one_stream),
        cmocka_unit_test(a_group_creates_communicators),
        cmocka_unit_test(creation_in_a_group_copies_the_strings_of_its_config),
        cmocka_unit_test(creation_in_a_group_with_an_error_makes_nothing),
        cmocka_unit_test(a_thread_drives_64_ranks),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
