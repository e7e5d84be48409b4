/* Calls of several communicators that run together: the first that fails ends them all,
 * soon, and everybody learns why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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

/* Two ranks in this thread whose calls have a deadline. */
static void create(trncclComm_t *c, int timeout_ms)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclUniqueId id;
    config.timeoutMs = timeout_ms;
    OKAY(trncclGetUniqueId(&id));
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommInitRankConfig(&c[r], 2, id, r, &config));
    OKAY(trncclGroupEnd());
}

static void destroy(trncclComm_t *c)
{
    for (int r = 0; r < 2; r++)
        OKAY(trncclCommDestroy(c[r]));
}

/* Patient communicators wait longer than any test may take. */
enum { PATIENT_MS = 500000, HASTY_MS = 200 };

static int32_t in[2] = {1, 2}, out[2];

static trncclResult_t reduce(trncclComm_t c, trncclStream_t s)
{
    return trncclAllReduce(&in[0], &out[0], 1, trncclInt32, trncclSum, c, s);
}

/* A communicator that was given up says so, on every rank. */
static void was_given_up(trncclComm_t *c)
{
    for (int r = 0; r < 2; r++) {
        trncclResult_t state = trncclSuccess;
        OKAY(trncclCommGetAsyncError(c[r], &state));
        assert_int_equal(state, trncclRemoteError);
        assert_int_equal(reduce(c[r], NULL), trncclRemoteError);
        assert_non_null(strstr(trncclGetLastError(c[r]), "rank 0 was given up"));
        assert_non_null(strstr(trncclGetLastError(c[r]), "no progress for 200 ms"));
    }
}

static void deadline_of_one_ends_the_group(void **state)
{
    (void)state;
    for (int hasty_first = 0; hasty_first < 2; hasty_first++) {
        trncclComm_t patient[2], hasty[2];
        create(patient, PATIENT_MS);
        create(hasty, HASTY_MS);
        OKAY(trncclGroupStart());
        OKAY(reduce(hasty_first ? hasty[0] : patient[0], NULL));
        OKAY(reduce(hasty_first ? patient[0] : hasty[0], NULL));
        assert_int_equal(trncclGroupEnd(), trncclTimeout);
        assert_non_null(strstr(trncclGetLastError(NULL), "no progress for 200 ms"));
        assert_null(strstr(trncclGetLastError(NULL), "given up"));
        assert_non_null(strstr(trncclGetLastError(hasty[0]), "no progress for 200 ms"));
        was_given_up(patient);
        destroy(hasty);
        destroy(patient);
    }
}

static void deadline_of_one_ends_what_shares_its_stream(void **state)
{
    (void)state;
    trncclComm_t patient[2], hasty[2], apart[2];
    trncclStream_t s, other;
    trncclResult_t now = trncclSuccess;
    create(patient, PATIENT_MS);
    create(hasty, HASTY_MS);
    create(apart, PATIENT_MS);
    OKAY(trncclStreamCreate(&s));
    OKAY(trncclStreamCreate(&other));
    OKAY(trncclGroupStart());
    OKAY(reduce(patient[0], s));
    OKAY(reduce(hasty[0], s));
    OKAY(reduce(apart[0], other));
    OKAY(trncclGroupEnd());
    assert_int_equal(trncclStreamSynchronize(s), trncclTimeout);
    was_given_up(patient);
    OKAY(trncclCommGetAsyncError(hasty[0], &now));
    assert_int_equal(now, trncclTimeout);
    /* Calls of the group on another stream go on. */
    OKAY(trncclCommGetAsyncError(apart[0], &now));
    assert_int_equal(now, trncclSuccess);
    OKAY(trncclAllReduce(&in[1], &out[1], 1, trncclInt32, trncclSum, apart[1], NULL));
    OKAY(trncclStreamSynchronize(other));
    OKAY(trncclStreamDestroy(s));
    OKAY(trncclStreamDestroy(other));
    destroy(hasty);
    destroy(patient);
    destroy(apart);
}

static void calls_that_had_completed_leave_their_communicator_usable(void **state)
{
    (void)state;
    trncclComm_t done[2], hasty[2];
    create(done, PATIENT_MS);
    create(hasty, HASTY_MS);
    OKAY(trncclGroupStart());
    OKAY(reduce(hasty[0], NULL));
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum, done[r], NULL));
    assert_int_equal(trncclGroupEnd(), trncclTimeout);
    assert_true(out[0] == 3 && out[1] == 3);
    OKAY(trncclGroupStart());
    for (int r = 0; r < 2; r++)
        OKAY(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclMax, done[r], NULL));
    OKAY(trncclGroupEnd());
    assert_true(out[0] == 2 && out[1] == 2);
    destroy(done);
    destroy(hasty);
}

struct aborter {
    trncclComm_t told, aborted;
    double at_ms;
    trncclResult_t result;
};

/* The message of the group says that the group runs. */
static void *abort_when_told(void *argument)
{
    struct aborter *a = argument;
    int32_t x;
    a->result = trncclRecv(&x, 1, trncclInt32, 0, a->told, NULL);
    a->at_ms = now_ms();
    if (a->result == trncclSuccess)
        a->result = trncclCommAbort(a->aborted);
    return NULL;
}

static void abort_of_one_ends_the_group(void **state)
{
    (void)state;
    trncclComm_t stuck[2], aborted[2];
    pthread_t thread;
    create(stuck, PATIENT_MS);
    create(aborted, PATIENT_MS);
    struct aborter a = {.told = stuck[1], .aborted = aborted[0]};
    OKAY(trncclGroupStart());
    OKAY(trncclSend(&in[0], 1, trncclInt32, 1, stuck[0], NULL));
    OKAY(trncclRecv(&out[0], 1, trncclInt32, 1, stuck[0], NULL));
    OKAY(reduce(aborted[0], NULL));
    assert_int_equal(pthread_create(&thread, NULL, abort_when_told, &a), 0);
    trncclResult_t result = trncclGroupEnd();
    double ended = now_ms();
    assert_int_equal(result, trncclAborted);
    assert_non_null(strstr(trncclGetLastError(NULL), "trncclCommAbort"));
    pthread_join(thread, NULL);
    assert_int_equal(a.result, trncclSuccess);
    assert_true(ended - a.at_ms < (team_sanitized() ? 1000 : 100));
    assert_int_equal(reduce(aborted[0], NULL), trncclAborted);
    assert_int_equal(reduce(stuck[1], NULL), trncclRemoteError);
    assert_non_null(strstr(trncclGetLastError(NULL), "trncclCommAbort"));
    destroy(stuck);
    destroy(aborted);
}

/* Between processes: rank 1 waits for what rank 0 gives up. */
static void give_up_over_links(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclComm_t hasty = NULL;
    int32_t x = 0;
    config.timeoutMs = HASTY_MS;
    rank_join(r, PATIENT_MS);
    OK(r, trncclCommSplit(r->comm, 0, r->rank, &hasty, &config));
    if (r->rank == 0) {
        OK(r, trncclGroupStart());
        OK(r, trncclRecv(&x, 1, trncclInt32, 1, r->comm, NULL));
        OK(r, trncclRecv(&x, 1, trncclInt32, 1, hasty, NULL));
        rank_note(r, trncclGroupEnd());
        CHECK(r, r->seat->result == trncclTimeout);
    } else {
        rank_note(r, trncclRecv(&x, 1, trncclInt32, 0, r->comm, NULL));
        CHECK(r, r->seat->result == trncclRemoteError);
        CHECK(r, strstr(r->seat->text, "rank 0"));
        CHECK(r, strstr(r->seat->text, "another call of its group failed"));
    }
    OK(r, trncclCommDestroy(hasty));
    rank_leave(r);
}

static void the_other_processes_learn_that_they_were_given_up(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, give_up_over_links, NULL), 0);
}

int main(void)
{
    /* Processes first: threads load the settings of this process. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_other_processes_learn_that_they_were_given_up),
        cmocka_unit_test(deadline_of_one_ends_the_group),
        cmocka_unit_test(deadline_of_one_ends_what_shares_its_stream),
        cmocka_unit_test(calls_that_had_completed_leave_their_communicator_usable),
        cmocka_unit_test(abort_of_one_ends_the_group),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
