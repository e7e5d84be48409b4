/* The calls of one communicator run in the order in which they were made, whichever
 * streams they are on and whatever the group; and nobody waits for ever. Collectives of
 * one shape with different numbers: another order gives other sums, and no error. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

enum { NRANKS = 2, NSTREAMS = 4, MOST = 12 };

static trncclComm_t c[NRANKS];
static trncclStream_t s[NSTREAMS];

static int setup(void **state)
{
    (void)state;
    /* A wrong order may wait for ever. */
    setenv("TRNCCL_TIMEOUT_MS", "60000", 1);
    for (int i = 0; i < NSTREAMS; i++)
        if (trncclStreamCreate(&s[i]) != trncclSuccess)
            return -1;
    return trncclCommInitAll(c, NRANKS, NULL) == trncclSuccess ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (int r = 0; r < NRANKS; r++)
        if (trncclCommDestroy(c[r]) != trncclSuccess)
            return -1;
    for (int i = 0; i < NSTREAMS; i++)
        if (trncclStreamDestroy(s[i]) != trncclSuccess)
            return -1;
    return 0;
}

static void synchronize_all(void)
{
    for (int i = 0; i < NSTREAMS; i++)
        OKAY(trncclStreamSynchronize(s[i]));
}

/* The numbers of one sequence of all-reduces: call k sums to 30 * 10^k. */
struct numbers {
    int64_t in[NRANKS][MOST], out[NRANKS][MOST];
};

static void numbers_init(struct numbers *n)
{
    int64_t power = 1;
    memset(n, 0, sizeof *n);
    for (int k = 0; k < MOST; k++, power *= 10) {
        n->in[0][k] = 10 * power;
        n->in[1][k] = 20 * power;
    }
}

static void call(struct numbers *n, trncclComm_t *comms, int rank, int k,
                 trncclStream_t stream)
{
    OKAY(trncclAllReduce(&n->in[rank][k], &n->out[rank][k], 1, trncclInt64, trncclSum,
                         comms[rank], stream));
}

static void check(const struct numbers *n, int ncalls)
{
    for (int k = 0; k < ncalls; k++)
        for (int r = 0; r < NRANKS; r++)
            assert_int_equal(n->out[r][k], n->in[0][k] + n->in[1][k]);
}

/* ---- one communicator
 * ------------------------------------------------------------------------------------ */

static void group_that_comes_back_to_a_stream_keeps_the_order(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct numbers n;
        numbers_init(&n);
        OKAY(trncclGroupStart());
        for (int k = 0; k < 3; k++)
            call(&n, c, 0, k, k == 1 ? s[1] : s[0]);
        for (int k = 0; k < 3; k++)
            call(&n, c, 1, k, NULL);
        OKAY(trncclGroupEnd());
        synchronize_all();
        check(&n, 3);
    }
}

static void group_with_and_without_a_stream_keeps_the_order(void **state)
{
    (void)state;
    /* Which of the calls of rank 0 are on a stream; those of rank 1 are not. */
    for (unsigned streamed = 0; streamed < 16; streamed++) {
        struct numbers n;
        numbers_init(&n);
        OKAY(trncclGroupStart());
        for (int k = 0; k < 4; k++)
            call(&n, c, 0, k, streamed >> k & 1 ? s[0] : NULL);
        for (int k = 0; k < 4; k++)
            call(&n, c, 1, k, NULL);
        OKAY(trncclGroupEnd());
        synchronize_all();
        check(&n, 4);
    }
}

/* What was queued before the group comes first, what is called after it last. */
static void group_keeps_its_place_among_other_calls(void **state)
{
    (void)state;
    struct numbers n;
    numbers_init(&n);
    for (int r = 0; r < NRANKS; r++)
        call(&n, c, r, 0, s[r]);
    OKAY(trncclGroupStart());
    for (int r = 0; r < NRANKS; r++) {
        call(&n, c, r, 1, s[2]);
        call(&n, c, r, 2, s[3]);
        call(&n, c, r, 3, s[2]);
    }
    OKAY(trncclGroupEnd());
    for (int r = 0; r < NRANKS; r++)
        call(&n, c, r, 4, s[1 - r]);
    synchronize_all();
    check(&n, 5);
}

/* ---- several communicators, any streams
 * ------------------------------------------------------------------ */

static uint64_t random_state;

static int random_below(int n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random_state >> 33) % (uint64_t)n);
}

static void seed(void)
{
    const char *text = getenv("TRNCCL_SUITE_SEED");
    random_state = text ? strtoull(text, NULL, 10) : 20261127;
    print_message("seed %llu (TRNCCL_SUITE_SEED)\n", (unsigned long long)random_state);
}

static trncclStream_t any_stream(void)
{
    int i = random_below(NSTREAMS + 1);
    return i < NSTREAMS ? s[i] : NULL;
}

/* All calls of both ranks of both communicators, each of these four in its own order,
 * mixed with the others at random. */
static void mixed_group(struct numbers *n, trncclComm_t comms[2][NRANKS], int ncalls)
{
    int made[2][NRANKS] = {{0, 0}, {0, 0}};
    OKAY(trncclGroupStart());
    for (int left = 2 * NRANKS * ncalls; left > 0;) {
        int which = random_below(2), r = random_below(NRANKS);
        if (made[which][r] == ncalls)
            continue;
        call(&n[which], comms[which], r, made[which][r]++, any_stream());
        left--;
    }
    OKAY(trncclGroupEnd());
}

static void any_mixture_of_streams_and_communicators_keeps_the_order(void **state)
{
    (void)state;
    trncclComm_t comms[2][NRANKS];
    enum { GROUPS = 4 };
    static struct numbers n[GROUPS][2];
    seed();
    for (int i = 0; i < 2; i++)
        OKAY(trncclCommInitAll(comms[i], NRANKS, NULL));
    for (int round = 0; round < 25; round++) {
        int ncalls[GROUPS];
        /* Several groups behind each other, without a pause. */
        for (int g = 0; g < GROUPS; g++) {
            ncalls[g] = 1 + random_below(MOST);
            numbers_init(&n[g][0]);
            numbers_init(&n[g][1]);
            mixed_group(n[g], comms, ncalls[g]);
        }
        synchronize_all();
        for (int g = 0; g < GROUPS; g++)
            for (int i = 0; i < 2; i++)
                check(&n[g][i], ncalls[g]);
    }
    for (int i = 0; i < 2; i++)
        for (int r = 0; r < NRANKS; r++)
            OKAY(trncclCommDestroy(comms[i][r]));
}

/* ---- several threads
 * -------------------------------------------------------------------------------------
 */

struct user {
    trncclComm_t comms[NRANKS];
    int turned; /* which of the streams comes first */
    trncclResult_t result;
    int wrong;
};

/* Two threads use the same two streams, in opposite orders: each group comes back to its
 * first stream, so that neither stream can be finished with a group before the other. */
static void *use_streams(void *argument)
{
    struct user *u = argument;
    for (int round = 0; round < 50 && u->result == trncclSuccess; round++) {
        struct numbers n;
        numbers_init(&n);
        trncclGroupStart();
        for (int r = 0; r < NRANKS; r++)
            for (int k = 0; k < 3; k++)
                trncclAllReduce(&n.in[r][k], &n.out[r][k], 1, trncclInt64, trncclSum,
                                u->comms[r], s[(k + u->turned) % 2]);
        u->result = trncclGroupEnd();
        for (int i = 0; i < 2 && u->result == trncclSuccess; i++)
            u->result = trncclStreamSynchronize(s[i]);
        for (int k = 0; k < 3; k++)
            for (int r = 0; r < NRANKS; r++)
                u->wrong += n.out[r][k] != n.in[0][k] + n.in[1][k];
    }
    return NULL;
}

static void groups_of_two_threads_share_streams(void **state)
{
    (void)state;
    struct user u[2] = {{.turned = 0}, {.turned = 1}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        OKAY(trncclCommInitAll(u[i].comms, NRANKS, NULL));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_streams, &u[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(u[i].result, trncclSuccess);
        assert_int_equal(u[i].wrong, 0);
        for (int r = 0; r < NRANKS; r++)
            OKAY(trncclCommDestroy(u[i].comms[r]));
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(group_that_comes_back_to_a_stream_keeps_the_order),
        CASE(group_with_and_without_a_stream_keeps_the_order),
        CASE(group_keeps_its_place_among_other_calls),
        CASE(any_mixture_of_streams_and_communicators_keeps_the_order),
        CASE(groups_of_two_threads_share_streams),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
