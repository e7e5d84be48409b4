/* Sends of a rank to itself, and how a group of ranks on one thread ends badly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "trnccl.h"
#include "util/clock.h"

#define NRANKS 3

static trncclComm_t comms[NRANKS];

static int setup(void **state)
{
    (void)state;
    return trncclCommInitAll(comms, NRANKS, NULL) == trncclSuccess ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (int r = 0; r < NRANKS; r++)
        if (trncclCommDestroy(comms[r]) != trncclSuccess)
            return -1;
    return 0;
}

static void send_to_itself_in_a_group_copies(void **state)
{
    (void)state;
    const size_t counts[] = {0, 1, 1000, 100000};
    static int32_t from[100000], to[100000], second[2] = {7, 8}, copy[2];
    for (size_t i = 0; i < 100000; i++)
        from[i] = (int32_t)(i * 31 + 5);
    for (size_t i = 0; i < 4; i++) {
        memset(to, 0, sizeof to);
        memset(copy, 0, sizeof copy);
        size_t n = counts[i];
        assert_int_equal(trncclGroupStart(), trncclSuccess);
        assert_int_equal(trncclRecv(n ? to : NULL, n, trncclInt32, 1, comms[1], NULL), 0);
        assert_int_equal(trncclSend(n ? from : NULL, n, trncclInt32, 1, comms[1], NULL),
                         0);
        assert_int_equal(trncclSend(second, 2, trncclInt32, 1, comms[1], NULL), 0);
        assert_int_equal(trncclRecv(copy, 2, trncclInt32, 1, comms[1], NULL), 0);
        assert_int_equal(trncclGroupEnd(), trncclSuccess);
        assert_memory_equal(from, to, n * sizeof *to);
        assert_memory_equal(second, copy, sizeof copy);
    }
}

static void send_to_itself_without_a_receive_is_refused(void **state)
{
    (void)state;
    int32_t value = 1, other = 2;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(trncclSend(&value, 1, trncclInt32, 0, comms[0], NULL),
                         trncclInvalidUsage);
        assert_non_null(strstr(trncclGetLastError(comms[0]), "sends to itself"));
        assert_int_equal(trncclRecv(&value, 1, trncclInt32, 0, comms[0], NULL),
                         trncclInvalidUsage);
        assert_non_null(strstr(trncclGetLastError(comms[0]), "receives from itself"));
        /* The refusal leaves the communicator as it was, with this shape bound. */
        assert_int_equal(trncclGroupStart(), trncclSuccess);
        assert_int_equal(trncclSend(&value, 1, trncclInt32, 0, comms[0], NULL), 0);
        assert_int_equal(trncclRecv(&other, 1, trncclInt32, 0, comms[0], NULL), 0);
        assert_int_equal(trncclGroupEnd(), trncclSuccess);
        assert_int_equal(other, value);
    }
}

static void send_to_itself_of_another_size_is_refused(void **state)
{
    (void)state;
    int32_t from[4] = {1, 2, 3, 4}, to[4] = {0};
    assert_int_equal(trncclGroupStart(), trncclSuccess);
    assert_int_equal(trncclSend(from, 4, trncclInt32, 2, comms[2], NULL), 0);
    assert_int_equal(trncclRecv(to, 3, trncclInt32, 2, comms[2], NULL), 0);
    assert_int_equal(trncclGroupEnd(), trncclInvalidUsage);
    assert_non_null(strstr(trncclGetLastError(comms[2]), "4 int32"));
    assert_int_equal(to[0], 0);
}

/* Known before anything is queued: nothing of the group runs, on any stream. */
static void send_to_itself_without_a_receive_spoils_its_group(void **state)
{
    (void)state;
    trncclStream_t stream;
    int32_t in[NRANKS] = {1, 2, 3}, out[NRANKS] = {0}, other = 0;
    assert_int_equal(trncclStreamCreate(&stream), trncclSuccess);
    assert_int_equal(trncclSend(in, 1, trncclInt32, 0, comms[0], stream),
                     trncclInvalidUsage);
    for (int good = 0; good < 2; good++) {
        assert_int_equal(trncclGroupStart(), trncclSuccess);
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(trncclAllReduce(&in[r], &out[r], 1, trncclInt32, trncclSum,
                                             comms[r], r ? NULL : stream),
                             trncclSuccess);
        /* The other end is on another stream, and then on the same. */
        assert_int_equal(trncclSend(in, 1, trncclInt32, 0, comms[0], stream), 0);
        assert_int_equal(
            trncclRecv(&other, 1, trncclInt32, 0, comms[0], good ? stream : NULL), 0);
        assert_int_equal(trncclGroupEnd(), good ? trncclSuccess : trncclInvalidUsage);
        assert_int_equal(trncclStreamSynchronize(stream), trncclSuccess);
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(out[r], good ? 6 : 0);
        assert_int_equal(other, good);
    }
    assert_int_equal(trncclStreamDestroy(stream), trncclSuccess);
}

static void ranks_of_one_thread_that_disagree_end_at_once(void **state)
{
    (void)state;
    float send[NRANKS][64] = {{0}}, recv[NRANKS][64];
    uint64_t start = clock_now_ns();
    assert_int_equal(trncclGroupStart(), trncclSuccess);
    for (int r = 0; r < NRANKS; r++)
        assert_int_equal(trncclAllReduce(send[r], recv[r], r == 0 ? 60 : 64,
                                         trncclFloat32, trncclSum, comms[r], NULL),
                         trncclSuccess);
    assert_int_equal(trncclGroupEnd(), trncclInvalidUsage);
    /* Far from the deadline of the calls, which is ten minutes. */
    assert_true(clock_now_ns() - start < 20000000000u);
    for (int r = 0; r < NRANKS; r++)
        assert_non_null(strstr(trncclGetLastError(comms[r]), "disagree"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(send_to_itself_in_a_group_copies, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(send_to_itself_without_a_receive_is_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(send_to_itself_of_another_size_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(send_to_itself_without_a_receive_spoils_its_group,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(ranks_of_one_thread_that_disagree_end_at_once,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("call", tests, NULL, NULL);
}
