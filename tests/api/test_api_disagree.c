/* Ranks that disagree, ranks that stop, and ranks that are only slow. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

/* ---- disagreement
 * --------------------------------------------------------------------------- */

#define N 4096
#define GUARD 64
struct quarrel {
    const char *name;
    /* What both texts must hold, besides both ranks. NULL: nothing more. */
    const char *fields;
    trncclResult_t (*call)(struct rank *r, int32_t *in, int32_t *out, bool odd);
};

#define QUARREL(name)                                                                    \
    static trncclResult_t name(struct rank *r, int32_t *in, int32_t *out, bool odd)

QUARREL(operation)
{
    return odd ? trncclAllGather(in, out, 512, trncclInt32, r->comm, NULL)
               : trncclAllReduce(in, out, 512, trncclInt32, trncclSum, r->comm, NULL);
}
QUARREL(count_small)
{
    return trncclAllReduce(in, out, odd ? 3 : 2, trncclInt32, trncclSum, r->comm, NULL);
}
QUARREL(count_large)
{
    return trncclAllReduce(in, out, odd ? N : N - 1, trncclInt32, trncclSum, r->comm,
                           NULL);
}
QUARREL(count_of_broadcast)
{
    return trncclBroadcast(in, out, odd ? 100 : 1000, trncclInt32, 0, r->comm, NULL);
}
QUARREL(type)
{
    return trncclAllReduce(in, out, 8, odd ? trncclFloat32 : trncclInt32, trncclSum,
                           r->comm, NULL);
}
QUARREL(reduction)
{
    return trncclAllReduce(in, out, 8, trncclInt32, odd ? trncclMax : trncclSum, r->comm,
                           NULL);
}
QUARREL(root)
{
    return trncclBroadcast(in, out, 8, trncclInt32, odd ? 1 : 0, r->comm, NULL);
}
QUARREL(order)
{
    trncclResult_t result =
        odd ? trncclAllToAll(in, out, 8, trncclInt32, r->comm, NULL)
            : trncclReduceScatter(in, out, 8, trncclInt32, trncclSum, r->comm, NULL);
    if (result != trncclSuccess)
        return result;
    return odd ? trncclReduceScatter(in, out, 8, trncclInt32, trncclSum, r->comm, NULL)
               : trncclAllToAll(in, out, 8, trncclInt32, r->comm, NULL);
}
QUARREL(counts_of_v)
{
    size_t counts[TEAM_MAX];
    for (int i = 0; i < r->nranks; i++)
        counts[i] = (size_t)(i == r->nranks - 1 && odd ? 5 : 4);
    return trncclAllGatherV(in, counts[r->rank], out, counts, NULL, trncclInt32, r->comm,
                            NULL);
}
QUARREL(counts_of_two)
{
    size_t sent[TEAM_MAX], received[TEAM_MAX];
    for (int i = 0; i < r->nranks; i++)
        sent[i] = received[i] = 4;
    if (odd) /* to a rank that expects 4 */
        sent[0] = 5;
    return trncclAllToAllV(in, sent, NULL, out, received, NULL, trncclInt32, r->comm,
                           NULL);
}
QUARREL(pairs)
{
    const int one[] = {0, 1, 1, 0}, other[] = {1, 0};
    return trncclPermute(in, out, 8, trncclInt32, odd ? other : one, odd ? 1 : 2, r->comm,
                         NULL);
}
/* The library's own exchange is an all-gather of 8 bytes. */
QUARREL(split)
{
    trncclComm_t part = NULL;
    return odd ? trncclAllGather(in, out, 8, trncclUint8, r->comm, NULL)
               : trncclCommSplit(r->comm, 0, 0, &part, NULL);
}
QUARREL(window)
{
    trncclWindow_t win;
    return odd ? trncclAllGather(in, out, 8, trncclUint8, r->comm, NULL)
               : trncclCommWindowRegister(r->comm, in, 64, &win, TRNCCL_WIN_DEFAULT);
}
QUARREL(sent_count)
{
    if (r->rank > 1)
        return trncclBarrier(r->comm, NULL);
    return odd ? trncclRecv(out, 8, trncclInt32, 0, r->comm, NULL)
               : trncclSend(in, 9, trncclInt32, 1, r->comm, NULL);
}

static const struct quarrel quarrels[] = {
    {"operation", "operation", operation},
    {"count, small", "count", count_small},
    {"count, large", "count", count_large},
    {"count of a broadcast", "count", count_of_broadcast},
    {"type", "type", type},
    {"reduction", "reduction", reduction},
    {"root", "root", root},
    {"order of calls", "operation", order},
    {"counts of a v-form", "count", counts_of_v},
    {"counts of two ranks", "does not fit the counts", counts_of_two},
    {"pairs of a permute", "pairs", pairs},
    {"split", "exchange of trncclCommSplit", split},
    {"window", "exchange of trncclCommWindowRegister", window},
    {"count of a receive", "another count or type", sent_count},
};
#define NQUARRELS (int)(sizeof quarrels / sizeof quarrels[0])

static bool guards_whole(const int32_t *buffer)
{
    for (int i = 0; i < GUARD; i++)
        if (buffer[i] != 0x5a5a5a5a || buffer[GUARD + TEAM_MAX * N + i] != 0x5a5a5a5a)
            return false;
    return true;
}

static int32_t *guarded(struct rank *r)
{
    int32_t *p = malloc((2 * GUARD + TEAM_MAX * N) * sizeof *p);
    CHECK(r, p);
    memset(p, 0x5a, (2 * GUARD + TEAM_MAX * N) * sizeof *p);
    return p;
}

static void disagree(struct rank *r)
{
    const struct quarrel *q = r->context;
    bool odd = r->rank == r->nranks - 1;
    if (q->call == sent_count || q->call == pairs)
        odd = r->rank == 1;
    rank_join(r, 10000);
    rank_prove(r, r->comm);
    int32_t *in = guarded(r), *out = guarded(r);
    r->seat->began_ms = now_ms();
    trncclResult_t result = q->call(r, in + GUARD, out + GUARD, odd);
    /* Whoever could finish its part before the others looked is told by its next call. */
    if (result == trncclSuccess)
        result = trncclBarrier(r->comm, NULL);
    rank_note(r, result);
    CHECK(r, guards_whole(in) && guards_whole(out));
    free(in);
    free(out);
    rank_leave(r);
}

/* Everyone gets an error within a second; somebody InvalidUsage that shows both ranks and
 * the field. */
static int quarrel_judge(const struct team *t, const struct quarrel *q)
{
    int wrong = 0, exact = 0;
    for (int i = 0; i < t->nranks; i++) {
        const struct seat *s = &t->board->seats[i];
        double ms = s->ended_ms - s->began_ms;
        bool coded = s->result == trncclInvalidUsage || s->result == trncclRemoteError;
        if (!coded || ms > 1000 || !strstr(s->text, "rank")) {
            print_error("%s, rank %d of %d: %.0f ms, result %d: %s\n", q->name, i,
                        t->nranks, ms, s->result, s->text);
            wrong++;
        }
        exact += s->result == trncclInvalidUsage && strstr(s->text, "disagree") &&
                 (!q->fields || strstr(s->text, q->fields));
    }
    if (!exact)
        print_error("%s, %d ranks: nobody says what differs; rank 0: %s\n", q->name,
                    t->nranks, t->board->seats[0].text);
    return wrong + !exact;
}

static void disagree_as(enum team_kind kind, int nranks)
{
    int wrong = 0;
    for (int i = 0; i < NQUARRELS; i++) {
        static struct team t;
        team_start(&t, kind, nranks, disagree, (void *)&quarrels[i]);
        int failed = team_finish(&t, 30, -1);
        if (failed)
            print_error("%s, %d ranks: %d failed\n", quarrels[i].name, nranks, failed);
        wrong += failed + (failed ? 0 : quarrel_judge(&t, &quarrels[i]));
        team_free(&t);
    }
    assert_int_equal(wrong, 0);
}

static void two_processes_that_disagree_are_told(void **state)
{
    (void)state;
    disagree_as(TEAM_PROCESSES, 2);
}

static void four_processes_that_disagree_are_told(void **state)
{
    (void)state;
    disagree_as(TEAM_PROCESSES, 4);
}

static void threads_that_disagree_are_told(void **state)
{
    (void)state;
    disagree_as(TEAM_THREADS, 3);
}

/* ---- settings
 * ------------------------------------------------------------------------------- */

static void settle_apart(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 10000;
    if (r->rank == 1)
        setenv((const char *)r->context, "8192", 1);
    r->seat->began_ms = now_ms();
    rank_note(r, rank_try_join(r, &config));
    CHECK(r,
          r->seat->result == trncclInvalidUsage || r->seat->result == trncclRemoteError);
    CHECK(r, r->seat->ended_ms - r->seat->began_ms < 5000);
    CHECK(r, strstr(r->seat->text, "rank 0") && strstr(r->seat->text, "rank 1"));
    CHECK(r, strstr(r->seat->text, (const char *)r->context));
    CHECK(r, strstr(r->seat->text, "8192"));
    CHECK(r, r->comm == NULL);
}

static void different_settings_are_an_error_at_creation(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, settle_apart, "TRNCCL_SLICE_BYTES"), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 2, settle_apart, "TRNCCL_LEND_BYTES"), 0);
}

static void algo_apart(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 10000;
    config.algo = r->rank == 1 ? "ring" : NULL;
    rank_note(r, rank_try_join(r, &config));
    CHECK(r,
          r->seat->result == trncclInvalidUsage || r->seat->result == trncclRemoteError);
    CHECK(r, strstr(r->seat->text, "rank 0") && strstr(r->seat->text, "rank 1"));
    CHECK(r, strstr(r->seat->text, "algo is unset and ring"));
}

static void different_algorithms_are_an_error_at_creation(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, algo_apart, NULL), 0);
}

/* One rank splits with a wrong name: it is told so, the others whose it is, and nobody
 * waits for anybody. */
static void split_wrongly(struct rank *r)
{
    const bool algo = strcmp(r->context, "algo") == 0;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclComm_t part = NULL;
    if (r->rank == 1 && algo)
        config.algo = "rinq";
    else if (r->rank == 1)
        config.transport = "smh";
    rank_join(r, 10000);
    r->seat->began_ms = now_ms();
    rank_note(r, trncclCommSplit(r->comm, 0, 0, &part, &config));
    CHECK(r, r->seat->ended_ms - r->seat->began_ms < 10000);
    CHECK(r, part == NULL);
    CHECK(r, strstr(r->seat->text, algo ? "rinq" : "smh"));
    if (r->rank == 1) {
        CHECK(r, r->seat->result == trncclInvalidArgument);
        CHECK(r, strstr(r->seat->text, algo ? "ring" : "shm"));
    } else {
        CHECK(r, r->seat->result == trncclInvalidUsage);
        CHECK(r, strstr(r->seat->text, "rank 1 ("));
    }
    rank_prove(r, r->comm); /* which is as it was */
    rank_leave(r);
}

static void split_with_a_wrong_name_tells_the_others_whose(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, split_wrongly, "algo"), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 3, split_wrongly, "transport"), 0);
}

static void misspell(struct rank *r)
{
    char path[64] = "/tmp/trnccl-warn-XXXXXX", text[4096] = "";
    const char *tmp = getenv("TMPDIR");
    if (tmp && strlen(tmp) < 40)
        snprintf(path, sizeof path, "%s/warn-XXXXXX", tmp);
    int fd = mkstemp(path);
    CHECK(r, fd >= 0);
    setenv("TRNCCL_DEBUG_FILE", path, 1);
    setenv("TRNCCL_TIMEOUT_SM", "1", 1);
    trncclComm_t comm = NULL;
    OK(r, trncclCommInitAll(&comm, 1, NULL));
    OK(r, trncclCommDestroy(comm));
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    unlink(path);
    CHECK(r, n > 0);
    CHECK(r, strstr(text, "TRNCCL_TIMEOUT_SM"));
    CHECK(r, strstr(text, "TRNCCL_TIMEOUT_MS"));
}

static void misspelt_setting_is_warned_about(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 1, misspell, NULL), 0);
}

static void set_wrong(struct rank *r)
{
    setenv("TRNCCL_SLOTS", "17", 1);
    trncclComm_t comm = NULL;
    rank_note(r, trncclCommInitAll(&comm, 1, NULL));
    CHECK(r, r->seat->result == trncclInvalidArgument);
    CHECK(r, strstr(r->seat->text, "TRNCCL_SLOTS") && strstr(r->seat->text, "17"));
    CHECK(r, strstr(r->seat->text, "to 16"));
}

static void setting_out_of_range_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 1, set_wrong, NULL), 0);
}

static void lack_kernels(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 10000;
    if (r->rank == r->nranks - 1)
        setenv("TRNCCL_SIMD", "sse9", 1);
    r->seat->began_ms = now_ms();
    rank_note(r, rank_try_join(r, &config));
    bool mine = r->rank == r->nranks - 1;
    CHECK(r, r->seat->result == (mine ? trncclInvalidArgument : trncclRemoteError));
    CHECK(r, r->seat->ended_ms - r->seat->began_ms < 5000);
    CHECK(r, strstr(r->seat->text, "TRNCCL_SIMD") && strstr(r->seat->text, "sse9"));
    CHECK(r, strstr(r->seat->text, "portable")); /* what there is */
    CHECK(r, mine || strstr(r->seat->text, "rank 2"));
    CHECK(r, r->comm == NULL);
}

static void unknown_kernels_are_an_error_at_creation(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 1, lack_kernels, NULL), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 3, lack_kernels, NULL), 0);
}

/* ---- late and slow
 * -------------------------------------------------------------------------- */

#define TIMEOUT_MS 1000

static void wait_for_the_stopped(struct rank *r)
{
    rank_join(r, r->rank == 1 ? 60000 : TIMEOUT_MS);
    rank_prove(r, r->comm);
    atomic_store(&r->seat->stage, 1);
    if (r->rank == 1) {
        /* Stopped here by the test, and killed at its end. */
        for (;;)
            pause();
    }
    CHECK(r, wait_for_flag(&r->board->flag[0], 1));
    r->seat->began_ms = now_ms();
    rank_note(r, trncclBarrier(r->comm, NULL));
    rank_leave(r);
}

static void stopped_rank_is_named_when_the_time_is_up(void **state)
{
    (void)state;
    static struct team t;
    for (int n = 2; n <= 4; n += 2) {
        int first = -1, failed = 0;
        team_start(&t, TEAM_PROCESSES, n, wait_for_the_stopped, NULL);
        for (int i = 0; i < n; i++)
            assert_true(wait_for_flag(&t.board->seats[i].stage, 1));
        kill(t.board->seats[1].pid, SIGSTOP);
        atomic_store(&t.board->flag[0], 1);
        for (int i = 0; i < n; i++)
            while (i != 1 && t.board->seats[i].ended_ms == 0)
                sleep_ms(1);
        kill(t.board->seats[1].pid, SIGKILL);
        failed = team_finish(&t, 30, 1);
        for (int i = 0; i < n && !failed; i++) {
            const struct seat *s = &t.board->seats[i];
            double ms = s->ended_ms - s->began_ms;
            if (i == 1)
                continue;
            if (s->result == trncclTimeout)
                first = i;
            bool said = strstr(s->text, "rank 1 (") && strstr(s->text, "all_gather");
            /* Waiting ranks may be told by whoever gives up first. */
            if ((s->result != trncclTimeout && s->result != trncclRemoteError) || !said ||
                ms > 1.1 * TIMEOUT_MS + (team_sanitized() ? 200 : 0) ||
                ms < 0.9 * TIMEOUT_MS) {
                print_error("rank %d: %.0f ms: %d %s\n", i, ms, s->result, s->text);
                failed++;
            }
            print_message("%d ranks: rank %d gave up after %.0f ms\n", n, i, ms);
        }
        failed += first < 0;
        team_free(&t);
        assert_int_equal(failed, 0);
    }
}

static void be_slow(struct rank *r)
{
    rank_join(r, TIMEOUT_MS);
    for (int i = 0; i < 3; i++) {
        if (r->rank == i % r->nranks)
            sleep_ms(0.7 * TIMEOUT_MS);
        OK(r, trncclBarrier(r->comm, NULL));
    }
    rank_prove(r, r->comm);
    rank_leave(r);
}

static void slow_ranks_inside_the_limit_raise_no_alarm(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, be_slow, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, be_slow, NULL), 0);
}

int main(void)
{
    /* Threads last: they load the settings of this process, which later ranks would
     * inherit. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_that_disagree_are_told),
        cmocka_unit_test(four_processes_that_disagree_are_told),
        cmocka_unit_test(different_settings_are_an_error_at_creation),
        cmocka_unit_test(different_algorithms_are_an_error_at_creation),
        cmocka_unit_test(split_with_a_wrong_name_tells_the_others_whose),
        cmocka_unit_test(misspelt_setting_is_warned_about),
        cmocka_unit_test(setting_out_of_range_is_an_error),
        cmocka_unit_test(unknown_kernels_are_an_error_at_creation),
        cmocka_unit_test(stopped_rank_is_named_when_the_time_is_up),
        cmocka_unit_test(slow_ranks_inside_the_limit_raise_no_alarm),
        cmocka_unit_test(threads_that_disagree_are_told),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
