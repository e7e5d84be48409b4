/* Calls that run later than they are made, on a stream or at the end of a group: they
 * keep their arguments, whatever becomes of what those came from. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/leakcheck.h"
#include "trnccl.h"

#define OKAY(call)                                                                       \
    do {                                                                                 \
        trncclResult_t okay = (call);                                                    \
        if (okay != trncclSuccess)                                                       \
            print_error("%s: %s\n", #call, trncclGetLastError(NULL));                    \
        assert_int_equal(okay, trncclSuccess);                                           \
    } while (0)

/* Two ranks and a stream for each, in this thread. */
static trncclComm_t c[2];
static trncclStream_t s[2];

static int setup(void **state)
{
    (void)state;
    if (trncclCommInitAll(c, 2, NULL) != trncclSuccess)
        return -1;
    for (int r = 0; r < 2; r++)
        if (trncclStreamCreate(&s[r]) != trncclSuccess)
            return -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int r = 0; r < 2; r++)
        if (trncclCommDestroy(c[r]) != trncclSuccess ||
            trncclStreamDestroy(s[r]) != trncclSuccess)
            return -1;
    return 0;
}

/* Holds a stream up until it is opened: a call whose other rank has not come. */
struct gate {
    trncclComm_t c[2];
    trncclStream_t stream;
    trncclEvent_t passed;
    int32_t in, out;
};

static void gate_create(struct gate *g)
{
    OKAY(trncclCommInitAll(g->c, 2, NULL));
    OKAY(trncclStreamCreate(&g->stream));
    OKAY(trncclEventCreate(&g->passed));
    OKAY(trncclAllReduce(&g->in, &g->out, 1, trncclInt32, trncclSum, g->c[0], g->stream));
    OKAY(trncclEventRecord(g->passed, g->stream));
}

static void gate_hold(struct gate *g, trncclStream_t stream)
{
    OKAY(trncclStreamWaitEvent(stream, g->passed));
}

static void gate_open(struct gate *g)
{
    int32_t out;
    OKAY(trncclAllReduce(&g->in, &out, 1, trncclInt32, trncclSum, g->c[1], NULL));
}

static void gate_destroy(struct gate *g)
{
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommDestroy(g->c[r]));
    OKAY(trncclStreamDestroy(g->stream));
    OKAY(trncclEventDestroy(g->passed));
}

/* ---- the scalar of a pre-multiplied sum
 * -------------------------------------------------------------------- */

static float two = 2, five = 5;

static trncclRedOp_t premul(int rank, float *by)
{
    trncclRedOp_t op = trncclSum;
    OKAY(trncclRedOpCreatePreMulSum(&op, by, trncclFloat32, trncclScalarHostImmediate,
                                    c[rank]));
    return op;
}

/* Each rank calls an all-reduce by 2, and then puts an operation by 5 in its place. */
static void reduce_and_replace(const float *in, float *out, trncclStream_t *streams)
{
    for (int r = 0; r < 2; r++) {
        trncclRedOp_t op = premul(r, &two);
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclFloat32, op, c[r],
                             streams ? streams[r] : NULL));
        OKAY(trncclRedOpDestroy(op, c[r]));
        premul(r, &five);
    }
}

static void premul_replaced_while_queued_keeps_its_scalar(void **state)
{
    (void)state;
    struct gate g = {.in = 0};
    float in[2] = {1, 2}, out[2] = {0, 0};
    gate_create(&g);
    for (int r = 0; r < 2; r++)
        gate_hold(&g, s[r]);
    reduce_and_replace(in, out, s);
    gate_open(&g);
    for (int r = 0; r < 2; r++) {
        OKAY(trncclStreamSynchronize(s[r]));
        assert_true(out[r] == 6);
    }
    gate_destroy(&g);
}

static void premul_replaced_in_a_group_keeps_its_scalar(void **state)
{
    (void)state;
    float in[2] = {1, 2}, out[2] = {0, 0};
    OKAY(trncclGroupStart());
    reduce_and_replace(in, out, NULL);
    OKAY(trncclGroupEnd());
    assert_true(out[0] == 6 && out[1] == 6);
}

/* The table of operations moves as it grows: a sanitizer sees who still looks at it. */
static void premul_queued_while_others_are_made_is_undisturbed(void **state)
{
    (void)state;
    enum { ROUNDS = 30, EACH = 4 };
    float in[2] = {1, 2}, out[2] = {0, 0};
    trncclRedOp_t op[2] = {premul(0, &two), premul(1, &two)};
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < EACH; i++)
            for (int r = 0; r < 2; r++) {
                OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclFloat32, op[r], c[r],
                                     s[r]));
                premul(r, &five);
            }
    for (int r = 0; r < 2; r++) {
        OKAY(trncclStreamSynchronize(s[r]));
        assert_true(out[r] == 6);
    }
}

static void premul_by_device_reads_its_scalar_when_it_runs(void **state)
{
    (void)state;
    struct gate g = {.in = 0};
    float in[2] = {1, 2}, out[2] = {0, 0}, by = 2;
    gate_create(&g);
    for (int r = 0; r < 2; r++) {
        trncclRedOp_t op;
        gate_hold(&g, s[r]);
        OKAY(trncclRedOpCreatePreMulSum(&op, &by, trncclFloat32, trncclScalarDevice,
                                        c[r]));
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclFloat32, op, c[r], s[r]));
        OKAY(trncclRedOpDestroy(op, c[r]));
    }
    by = 7;
    gate_open(&g);
    for (int r = 0; r < 2; r++) {
        OKAY(trncclStreamSynchronize(s[r]));
        assert_true(out[r] == 21);
    }
    gate_destroy(&g);
}

/* ---- events
 * ----------------------------------------------------------------------------------------
 */

/* Nothing should happen: looks for a while whether it does. */
static void stays_in_progress(trncclEvent_t event)
{
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(trncclEventQuery(event), trncclInProgress);
        sched_yield();
    }
}

static void event_recorded_again_keeps_those_who_wait(void **state)
{
    (void)state;
    struct gate g = {.in = 0};
    trncclStream_t free_stream;
    trncclEvent_t event, after;
    gate_create(&g);
    OKAY(trncclStreamCreate(&free_stream));
    OKAY(trncclEventCreate(&event));
    OKAY(trncclEventCreate(&after));
    gate_hold(&g, s[0]);
    OKAY(trncclEventRecord(event, s[0]));
    OKAY(trncclStreamWaitEvent(s[1], event));
    OKAY(trncclEventRecord(after, s[1]));
    /* Again on a stream where it is reached at once, then on none. */
    OKAY(trncclEventRecord(event, free_stream));
    OKAY(trncclEventSynchronize(event));
    stays_in_progress(after);
    OKAY(trncclEventRecord(event, NULL));
    OKAY(trncclEventQuery(event));
    stays_in_progress(after);
    /* And back behind the gate: it waits anew, and the time asked for is this record's.
     */
    float ms = -1;
    OKAY(trncclEventRecord(event, s[1]));
    assert_int_equal(trncclEventQuery(event), trncclInProgress);
    assert_int_equal(trncclEventElapsedTime(&ms, event, event), trncclInProgress);
    gate_open(&g);
    OKAY(trncclEventSynchronize(event));
    OKAY(trncclEventQuery(after));
    OKAY(trncclEventElapsedTime(&ms, after, event));
    assert_true(ms >= 0);
    OKAY(trncclEventDestroy(after));
    OKAY(trncclEventDestroy(event));
    OKAY(trncclStreamDestroy(free_stream));
    gate_destroy(&g);
}

/* ---- communicators destroyed behind their last call
 * ------------------------------------------------------- */

/* Destroy waits until the streams have done with the communicator: a sanitizer sees a
 * stream that still touches it. */
enum { DESTROYS = 25 };

static void destroy_behind_queued_groups_waits_for_their_end(void **state)
{
    (void)state;
    enum { CALLS = 20 };
    int32_t in[CALLS], out[2][CALLS];
    for (int i = 0; i < CALLS; i++)
        in[i] = i;
    for (int round = 0; round < DESTROYS; round++) {
        trncclComm_t mine[2];
        OKAY(trncclCommInitAll(mine, 2, NULL));
        for (int k = 0; k < 2; k++) {
            OKAY(trncclGroupStart());
            for (int i = 0; i < CALLS; i++)
                for (int r = 0; r < 2; r++)
                    OKAY(trncclAllReduce(&in[i], &out[r][i], 1 + (size_t)(i % 2 && i < 9),
                                         trncclInt32, trncclSum, mine[r], s[r]));
            OKAY(trncclGroupEnd());
        }
        for (int r = 0; r < 2; r++)
            OKAY(trncclCommDestroy(mine[r]));
        assert_int_equal(out[0][CALLS - 1], 2 * (CALLS - 1));
        assert_int_equal(out[1][CALLS - 1], 2 * (CALLS - 1));
    }
}

static void destroy_behind_an_abort_waits_for_the_queued_calls(void **state)
{
    (void)state;
    int32_t in = 1, out = 0;
    for (int round = 0; round < DESTROYS; round++) {
        trncclComm_t mine[2];
        OKAY(trncclCommInitAll(mine, 2, NULL));
        for (int i = 0; i < 3; i++)
            OKAY(trncclAllReduce(&in, &out, 1, trncclInt32, trncclSum, mine[0], s[0]));
        OKAY(trncclCommAbort(mine[0]));
        for (int r = 0; r < 2; r++)
            OKAY(trncclCommDestroy(mine[r]));
        assert_int_equal(trncclStreamSynchronize(s[0]), trncclAborted);
    }
}

static void destroy_behind_a_call_that_fails_waits_for_it(void **state)
{
    (void)state;
    int32_t in[2] = {1, 2}, out[2] = {0, 0};
    for (int round = 0; round < DESTROYS; round++) {
        trncclComm_t mine[2];
        OKAY(trncclCommInitAll(mine, 2, NULL));
        OKAY(trncclAllReduce(in, out, 1, trncclInt32, trncclSum, mine[0], s[0]));
        /* Refused, if the other rank has found out already. */
        trncclResult_t second =
            trncclAllReduce(in, out, 2, trncclInt32, trncclSum, mine[1], s[1]);
        assert_true(second == trncclSuccess || second == trncclInvalidUsage);
        for (int r = 0; r < 2; r++)
            OKAY(trncclCommDestroy(mine[r]));
        assert_int_equal(trncclStreamSynchronize(s[0]), trncclInvalidUsage);
        (void)trncclStreamSynchronize(s[1]);
    }
}

/* The stream goes on to wait for others: nothing it then looks at may be gone. */
static void destroy_waits_only_for_calls_of_its_own(void **state)
{
    (void)state;
    int32_t in = 3, out[3] = {0, 0, 0}, last = 0;
    trncclComm_t mine[2];
    OKAY(trncclCommInitAll(mine, 2, NULL));
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in, &out[r], 1, trncclInt32, trncclSum, mine[r], s[0]));
    OKAY(trncclAllReduce(&in, &out[2], 1, trncclInt32, trncclSum, c[0], s[0]));
    OKAY(trncclGroupEnd());
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommDestroy(mine[r]));
    assert_true(out[0] == 6 && out[1] == 6);
    assert_int_equal(trncclStreamQuery(s[0]), trncclInProgress);
    OKAY(trncclAllReduce(&in, &last, 1, trncclInt32, trncclSum, c[1], s[1]));
    for (int r = 0; r < 2; r++)
        OKAY(trncclStreamSynchronize(s[r]));
    assert_true(out[2] == 6 && last == 6);
}

/* ---- what an open group holds
 * ---------------------------------------------------------------------------- */

static int32_t in[2] = {1, 2}, out[2];

static void open_group(trncclStream_t first)
{
    out[0] = out[1] = 0;
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, c[r],
                             r ? NULL : first));
}

static void held(trncclResult_t result, const char *function)
{
    assert_int_equal(result, trncclInvalidUsage);
    assert_non_null(strstr(trncclGetLastError(NULL), function));
    assert_non_null(strstr(trncclGetLastError(NULL), "open group holds 1 call"));
}

static void communicator_of_an_open_group_cannot_end(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        open_group(round ? s[0] : NULL);
        for (int r = 0; r < 2; r++) {
            held(trncclCommFinalize(c[r]), "trncclCommFinalize");
            held(trncclCommDestroy(c[r]), "trncclCommDestroy");
            assert_non_null(strstr(trncclGetLastError(c[r]), "open group"));
        }
        /* The group is not spoilt by it. */
        OKAY(trncclGroupEnd());
        OKAY(trncclStreamSynchronize(s[0]));
        assert_true(out[0] == 3 && out[1] == 3);
    }
}

static void stream_of_an_open_group_cannot_be_destroyed(void **state)
{
    (void)state;
    open_group(s[0]);
    held(trncclStreamDestroy(s[0]), "trncclStreamDestroy");
    OKAY(trncclStreamSynchronize(s[0])); /* nothing is queued yet */
    OKAY(trncclGroupEnd());
    OKAY(trncclStreamSynchronize(s[0]));
    assert_true(out[0] == 3 && out[1] == 3);
}

/* The teardown destroys all that it held. */
static void group_that_was_refused_holds_nothing(void **state)
{
    (void)state;
    open_group(s[0]);
    assert_int_equal(trncclSend(NULL, 1, trncclInt32, 0, c[0], NULL),
                     trncclInvalidArgument);
    held(trncclStreamDestroy(s[0]), "trncclStreamDestroy");
    assert_int_equal(trncclGroupEnd(), trncclInvalidArgument);
    assert_int_equal(out[0] | out[1], 0);
}

static void abort_of_a_communicator_of_an_open_group_ends_the_group(void **state)
{
    (void)state;
    trncclComm_t mine[2];
    int32_t sum[2] = {0, 0};
    OKAY(trncclCommInitAll(mine, 2, NULL));
    open_group(NULL);
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &sum[r], 1, trncclInt32, trncclSum, mine[r], NULL));
    OKAY(trncclCommAbort(mine[0]));
    assert_int_equal(trncclGroupEnd(), trncclAborted);
    assert_int_equal(out[0] | out[1] | sum[0] | sum[1], 0);
    /* Nothing had begun: the other communicator is as it was. */
    open_group(NULL);
    OKAY(trncclGroupEnd());
    assert_true(out[0] == 3 && out[1] == 3);
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommDestroy(mine[r]));
}

/* ---- calls that wait for their turn
 * -------------------------------------------------------------------------- */

static void *abort_soon(void *argument)
{
    /* Lets the other thread go ahead; if it has not, its call is refused, which is as
     * good.
     */
    for (int i = 0; i < 2000; i++)
        sched_yield();
    return (void *)(uintptr_t)trncclCommAbort(argument);
}

/* The call before is held up on its stream by what an abort does not end. */
static void abort_ends_a_call_that_waits_for_a_queued_one(void **state)
{
    (void)state;
    struct gate g = {.in = 0};
    pthread_t thread;
    void *aborted;
    gate_create(&g);
    gate_hold(&g, s[0]);
    OKAY(trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c[0], s[0]));
    assert_int_equal(pthread_create(&thread, NULL, abort_soon, c[0]), 0);
    assert_int_equal(trncclBarrier(c[0], NULL), trncclAborted);
    pthread_join(thread, &aborted);
    assert_null(aborted);
    gate_open(&g);
    assert_int_equal(trncclStreamSynchronize(s[0]), trncclAborted);
    gate_destroy(&g);
}

static void abort_ends_a_group_that_waits_for_a_queued_call(void **state)
{
    (void)state;
    struct gate g = {.in = 0};
    trncclComm_t mine[2];
    int32_t unused;
    pthread_t thread;
    void *aborted;
    gate_create(&g);
    gate_hold(&g, s[0]);
    OKAY(trncclCommInitAll(mine, 2, NULL));
    OKAY(trncclGroupStart());
    OKAY(trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c[0], s[0]));
    OKAY(trncclAllReduce(&in[0], &unused, 1, trncclInt32, trncclSum, c[0], NULL));
    OKAY(trncclAllReduce(&in[0], &unused, 1, trncclInt32, trncclSum, mine[0], NULL));
    assert_int_equal(pthread_create(&thread, NULL, abort_soon, mine[0]), 0);
    assert_int_equal(trncclGroupEnd(), trncclAborted);
    pthread_join(thread, &aborted);
    assert_null(aborted);
    /* Its turn passed over, the stream goes on; how depends on what had begun. */
    gate_open(&g);
    if (trncclAllReduce(&in[1], &out[1], 1, trncclInt32, trncclSum, c[1], s[1]) == 0)
        (void)trncclStreamSynchronize(s[1]);
    (void)trncclStreamSynchronize(s[0]);
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommDestroy(mine[r]));
    gate_destroy(&g);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(premul_replaced_while_queued_keeps_its_scalar),
        CASE(premul_replaced_in_a_group_keeps_its_scalar),
        CASE(premul_queued_while_others_are_made_is_undisturbed),
        CASE(premul_by_device_reads_its_scalar_when_it_runs),
        CASE(event_recorded_again_keeps_those_who_wait),
        CASE(destroy_behind_queued_groups_waits_for_their_end),
        CASE(destroy_behind_an_abort_waits_for_the_queued_calls),
        CASE(destroy_behind_a_call_that_fails_waits_for_it),
        CASE(destroy_waits_only_for_calls_of_its_own),
        CASE(communicator_of_an_open_group_cannot_end),
        CASE(stream_of_an_open_group_cannot_be_destroyed),
        CASE(group_that_was_refused_holds_nothing),
        CASE(abort_of_a_communicator_of_an_open_group_ends_the_group),
        CASE(abort_ends_a_call_that_waits_for_a_queued_one),
        CASE(abort_ends_a_group_that_waits_for_a_queued_call),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
