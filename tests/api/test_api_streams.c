/* Streams and events: order, overlap, errors, and what becomes of queued work. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

/* ---- order
 * -------------------------------------------------------------------------------- */

/* Each call reads what the one before wrote: a wrong order gives a wrong number. */
static void chain(struct rank *r)
{
    enum { N = 100 };
    trncclStream_t s;
    int32_t x[2] = {1, 0};
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&s));
    for (int i = 0; i < N; i++) {
        OK(r, trncclAllReduce(&x[0], &x[1], 1, trncclInt32, trncclMax, r->comm, s));
        OK(r, trncclBroadcast(&x[1], &x[0], 1, trncclInt32, i % r->nranks, r->comm, s));
        OK(r, trncclAllReduce(&x[0], &x[0], 1, trncclInt32, trncclSum, r->comm, s));
        OK(r, trncclAllReduce(&x[0], &x[0], 1, trncclInt32, trncclBxor, r->comm, s));
        if (r->nranks % 2 == 0)
            OK(r, trncclStreamSynchronize(s));
        if (r->nranks % 2 == 0)
            x[0] = 1; /* an even number of equal words cancels */
    }
    OK(r, trncclStreamSynchronize(s));
    int32_t expected = 1;
    for (int i = 0; i < N && r->nranks % 2; i++)
        expected = (int32_t)((uint32_t)expected * (uint32_t)r->nranks);
    CHECK(r, x[0] == expected);
    OK(r, trncclStreamDestroy(s));
    rank_leave(r);
}

static void calls_of_one_stream_run_in_order(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, chain, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, chain, NULL), 0);
}

/* A call with a stream returns although another rank has not come. */
static void overlap(struct rank *r)
{
    trncclStream_t s;
    int32_t one = 1, sum = 0;
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&s));
    if (r->rank == 1)
        CHECK(r, wait_for_flag(&r->board->flag[0], 1));
    OK(r, trncclAllReduce(&one, &sum, 1, trncclInt32, trncclSum, r->comm, s));
    if (r->rank == 0) {
        CHECK(r, trncclStreamQuery(s) == trncclInProgress);
        CHECK(r, sum == 0);
        atomic_store(&r->board->flag[0], 1);
    }
    OK(r, trncclStreamSynchronize(s));
    CHECK(r, trncclStreamQuery(s) == trncclSuccess);
    CHECK(r, sum == r->nranks);
    OK(r, trncclStreamDestroy(s));
    rank_leave(r);
}

static void a_queued_call_does_not_wait_for_other_ranks(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, overlap, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, overlap, NULL), 0);
}

/* Blocking and queued calls of one communicator run in the order they were made, also on
 * several streams. */
static void mixture(struct rank *r)
{
    enum { NSTREAMS = 5, N = 60 };
    trncclStream_t s[NSTREAMS];
    int32_t in[N], out[N], blocking = 0;
    rank_join(r, 20000);
    for (int i = 0; i < NSTREAMS; i++)
        OK(r, trncclStreamCreate(&s[i]));
    for (int i = 0; i < N; i++) {
        in[i] = i + r->rank;
        trncclStream_t on = i % (NSTREAMS + 1) < NSTREAMS ? s[i % (NSTREAMS + 1)] : NULL;
        OK(r, trncclAllReduce(&in[i], &out[i], 1, trncclInt32, trncclMax, r->comm, on));
        if (i % 7 == 0) {
            OK(r, trncclAllReduce(&in[i], &blocking, 1, trncclInt32, trncclMin, r->comm,
                                  NULL));
            CHECK(r, blocking == i);
        }
    }
    for (int i = 0; i < NSTREAMS; i++)
        OK(r, trncclStreamSynchronize(s[i]));
    for (int i = 0; i < N; i++)
        CHECK(r, out[i] == i + r->nranks - 1);
    for (int i = 0; i < NSTREAMS; i++)
        OK(r, trncclStreamDestroy(s[i]));
    rank_leave(r);
}

static void blocking_and_queued_calls_mix(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, mixture, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, mixture, NULL), 0);
}

/* ---- what is queued belongs to the library
 * ------------------------------------------------ */

static void arrays_freed(struct rank *r)
{
    trncclStream_t s;
    int n = r->nranks;
    int32_t in[64], out[TEAM_MAX * 4], moved[8];
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&s));
    if (r->rank == 0)
        sleep_ms(20); /* so that the others' calls wait in their queues */
    size_t *counts = malloc(sizeof *counts * (size_t)n);
    size_t *displs = malloc(sizeof *displs * (size_t)n);
    int *pairs = malloc(sizeof *pairs * 2);
    CHECK(r, counts && displs && pairs);
    for (int i = 0; i < n; i++) {
        counts[i] = (size_t)i + 1;
        displs[i] = 4 * (size_t)i;
    }
    pairs[0] = 0;
    pairs[1] = n - 1;
    for (int i = 0; i < 64; i++)
        in[i] = r->rank * 100 + i;
    OK(r, trncclAllGatherV(in, counts[r->rank], out, counts, displs, trncclInt32, r->comm,
                           s));
    OK(r, trncclPermute(in, moved, 8, trncclInt32, pairs, 1, r->comm, s));
    memset(counts, 0xee, sizeof *counts * (size_t)n);
    memset(displs, 0xee, sizeof *displs * (size_t)n);
    memset(pairs, 0xee, sizeof *pairs * 2);
    free(counts);
    free(displs);
    free(pairs);
    OK(r, trncclStreamSynchronize(s));
    for (int p = 0; p < n; p++)
        for (int i = 0; i <= p; i++)
            CHECK(r, out[4 * p + i] == p * 100 + i);
    for (int i = 0; i < 8 && r->rank == n - 1; i++)
        CHECK(r, moved[i] == i);
    OK(r, trncclStreamDestroy(s));
    rank_leave(r);
}

static void arrays_may_be_freed_at_once(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, arrays_freed, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, arrays_freed, NULL), 0);
}

static void leave_with_work(struct rank *r)
{
    enum { N = 40 };
    trncclStream_t s;
    int32_t in[N], out[N] = {0};
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&s));
    for (int i = 0; i < N; i++) {
        in[i] = i;
        OK(r, trncclAllReduce(&in[i], &out[i], 1, trncclInt32, trncclSum, r->comm, s));
    }
    /* Either end waits for what is queued; half of the ranks end in each order. */
    if (r->rank % 2) {
        OK(r, trncclCommDestroy(r->comm));
        OK(r, trncclStreamDestroy(s));
    } else {
        OK(r, trncclStreamDestroy(s));
        OK(r, trncclCommDestroy(r->comm));
    }
    for (int i = 0; i < N; i++)
        CHECK(r, out[i] == i * r->nranks);
}

static void destroying_completes_queued_calls(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, leave_with_work, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, leave_with_work, NULL), 0);
}

/* ---- events
 * ------------------------------------------------------------------------------- */

static void across_streams(struct rank *r)
{
    trncclStream_t a, b;
    trncclEvent_t filled, start, end;
    int32_t x = 0, y = 0, z[2] = {5, 0};
    float ms = -1;
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&a));
    OK(r, trncclStreamCreate(&b));
    OK(r, trncclEventCreate(&filled));
    OK(r, trncclEventCreate(&start));
    OK(r, trncclEventCreate(&end));
    CHECK(r, trncclEventQuery(filled) == trncclSuccess); /* nothing to wait for */
    OK(r, trncclEventRecord(start, a));
    if (r->rank == 0)
        CHECK(r, wait_for_flag(&r->board->flag[0], r->nranks - 1));
    /* Copies by broadcast of one's own number: a writes x, b may read it only then. */
    OK(r, trncclAllReduce(&z[0], &x, 1, trncclInt32, trncclSum, r->comm, a));
    OK(r, trncclEventRecord(filled, a));
    OK(r, trncclStreamWaitEvent(b, filled));
    OK(r, trncclAllReduce(&x, &y, 1, trncclInt32, trncclMax, r->comm, b));
    OK(r, trncclEventRecord(end, b));
    if (r->rank != 0) {
        CHECK(r, trncclEventQuery(end) == trncclInProgress);
        CHECK(r, trncclEventElapsedTime(&ms, start, end) == trncclInProgress && ms == -1);
        sleep_ms(30);
        atomic_fetch_add(&r->board->flag[0], 1);
    }
    OK(r, trncclEventSynchronize(end));
    CHECK(r, x == 5 * r->nranks && y == x);
    OK(r, trncclEventElapsedTime(&ms, start, end));
    CHECK(r, ms >= (r->rank ? 25 : 0) && ms < 20000);
    OK(r, trncclEventElapsedTime(&ms, end, start));
    CHECK(r, ms <= 0);
    /* An event may be destroyed while a stream still has to reach it. */
    OK(r, trncclEventRecord(filled, a));
    OK(r, trncclStreamWaitEvent(b, filled));
    OK(r, trncclEventDestroy(filled));
    OK(r, trncclStreamDestroy(b));
    OK(r, trncclStreamDestroy(a));
    OK(r, trncclEventDestroy(start));
    OK(r, trncclEventDestroy(end));
    rank_leave(r);
}

static void events_order_streams_and_tell_time(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, across_streams, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, across_streams, NULL), 0);
}

static void an_event_without_a_stream_is_reached_at_once(void **state)
{
    (void)state;
    trncclEvent_t a, b;
    float ms = -1;
    assert_int_equal(trncclEventCreate(&a), trncclSuccess);
    assert_int_equal(trncclEventCreate(&b), trncclSuccess);
    assert_int_equal(trncclEventRecord(a, NULL), trncclSuccess);
    sleep_ms(5);
    assert_int_equal(trncclEventRecord(b, NULL), trncclSuccess);
    assert_int_equal(trncclEventQuery(b), trncclSuccess);
    assert_int_equal(trncclEventSynchronize(b), trncclSuccess);
    assert_int_equal(trncclEventElapsedTime(&ms, a, b), trncclSuccess);
    assert_true(ms >= 4.9 && ms < 5000);
    assert_int_equal(trncclEventDestroy(a), trncclSuccess);
    assert_int_equal(trncclEventDestroy(b), trncclSuccess);
}

/* ---- errors
 * ------------------------------------------------------------------------------- */

static void fail_later(struct rank *r)
{
    trncclStream_t s;
    trncclEvent_t after;
    trncclResult_t state = trncclSuccess;
    int32_t x = 1, y = 0;
    rank_join(r, 20000);
    OK(r, trncclStreamCreate(&s));
    OK(r, trncclEventCreate(&after));
    /* Counts differ: nobody can know before the calls run. */
    trncclResult_t first =
        trncclAllReduce(&x, &y, r->rank == 0, trncclInt32, trncclSum, r->comm, s);
    /* A rank that comes late is refused at once: the others have found the mismatch. */
    if (first != trncclSuccess) {
        rank_note(r, first);
        CHECK(r, first == trncclInvalidUsage || first == trncclRemoteError);
        CHECK(r, strstr(trncclGetLastError(r->comm), "rank"));
        OK(r, trncclStreamDestroy(s));
        OK(r, trncclEventDestroy(after));
        rank_leave(r);
        return;
    }
    trncclResult_t queued =
        trncclAllReduce(&x, &y, 1, trncclInt32, trncclSum, r->comm, s);
    CHECK(r, queued == trncclSuccess || trncclGetLastError(r->comm)[0]);
    OK(r, trncclEventRecord(after, s));
    OK(r, trncclEventSynchronize(after)); /* is passed although the call has failed */
    rank_note(r, trncclStreamSynchronize(s));
    CHECK(r,
          r->seat->result == trncclInvalidUsage || r->seat->result == trncclRemoteError);
    CHECK(r, strstr(trncclGetLastError(NULL), "rank"));
    CHECK(r, strstr(trncclGetLastError(r->comm), "rank"));
    OK(r, trncclCommGetAsyncError(r->comm, &state));
    CHECK(r, state == trncclInvalidUsage || state == trncclRemoteError);
    OK(r, trncclStreamSynchronize(s)); /* told once */
    CHECK(r, trncclBarrier(r->comm, NULL) != trncclSuccess);
    OK(r, trncclStreamDestroy(s));
    OK(r, trncclEventDestroy(after));
    rank_leave(r);
}

static void errors_of_queued_calls_come_out_at_synchronize(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, fail_later, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, fail_later, NULL), 0);
}

static void many(struct rank *r)
{
    enum { NSTREAMS = 40 };
    trncclStream_t s[NSTREAMS];
    int32_t in[NSTREAMS], out[NSTREAMS];
    rank_join(r, 20000);
    for (int i = 0; i < NSTREAMS; i++) {
        OK(r, trncclStreamCreate(&s[i]));
        in[i] = i;
    }
    /* The order in which the communicator is used is the same on every rank. */
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < NSTREAMS; i++)
            OK(r, trncclAllReduce(&in[i], &out[i], 1, trncclInt32, trncclSum, r->comm,
                                  s[i]));
    for (int i = 0; i < NSTREAMS; i++) {
        OK(r, trncclStreamSynchronize(s[i]));
        CHECK(r, out[i] == i * r->nranks);
        OK(r, trncclStreamDestroy(s[i]));
    }
    rank_leave(r);
}

static void many_streams_share_a_communicator(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, many, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 2, many, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_one_stream_run_in_order),
        cmocka_unit_test(a_queued_call_does_not_wait_for_other_ranks),
        cmocka_unit_test(blocking_and_queued_calls_mix),
        cmocka_unit_test(arrays_may_be_freed_at_once),
        cmocka_unit_test(destroying_completes_queued_calls),
        cmocka_unit_test(events_order_streams_and_tell_time),
        cmocka_unit_test(an_event_without_a_stream_is_reached_at_once),
        cmocka_unit_test(errors_of_queued_calls_come_out_at_synchronize),
        cmocka_unit_test(many_streams_share_a_communicator),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
