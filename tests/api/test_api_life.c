/* Creation, split, finalize, destroy, abort: in every order and from every side. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

/* ---- creation
 * ------------------------------------------------------------------------------ */

static void plain(struct rank *r)
{
    int n = 0, me = -1, device = -1;
    const char *algo = NULL;
    rank_meet(r);
    OK(r, trncclCommInitRank(&r->comm, r->nranks, r->board->id, r->rank));
    OK(r, trncclCommCount(r->comm, &n));
    OK(r, trncclCommUserRank(r->comm, &me));
    OK(r, trncclCommDevice(r->comm, &device));
    OK(r, trncclCommGetAlgorithm(r->comm, &algo));
    CHECK(r, n == r->nranks && me == r->rank && device >= 0);
    CHECK(r, strcmp(algo, "") == 0);
    CHECK(r, strcmp(trncclGetLastError(r->comm), "") == 0);
    rank_prove(r, r->comm);
    OK(r, trncclCommGetAlgorithm(r->comm, &algo));
    CHECK(r, strcmp(algo, "") != 0);
    OK(r, trncclCommFinalize(r->comm));
    CHECK(r, trncclCommFinalize(r->comm) == trncclInvalidUsage);
    CHECK(r, trncclBarrier(r->comm, NULL) == trncclInvalidUsage);
    CHECK(r, strstr(trncclGetLastError(r->comm), "finalized"));
    OK(r, trncclCommDestroy(r->comm));
}

static void init_rank_makes_a_communicator(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, plain, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, plain, NULL), 0);
}

static void nonblocking(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    if (r->rank == 1) {
        CHECK(r, wait_for_flag(&r->board->id_ready, 1));
        CHECK(r, wait_for_flag(&r->board->flag[0], r->nranks - 1));
    }
    trncclResult_t state = rank_try_join(r, &config);
    CHECK(r, state == trncclInProgress && r->comm);
    if (r->rank != 1) {
        /* Cannot be ready: rank 1 has not begun. */
        OK(r, trncclCommGetAsyncError(r->comm, &state));
        CHECK(r, state == trncclInProgress);
        CHECK(r, trncclBarrier(r->comm, NULL) == trncclInvalidUsage);
        CHECK(r, strstr(trncclGetLastError(r->comm), "being created"));
        atomic_fetch_add(&r->board->flag[0], 1);
    }
    for (double end = now_ms() + 20000; state == trncclInProgress; sleep_ms(1)) {
        OK(r, trncclCommGetAsyncError(r->comm, &state));
        CHECK(r, now_ms() < end);
    }
    CHECK(r, state == trncclSuccess);
    rank_prove(r, r->comm);
    rank_leave(r);
}

static void nonblocking_creation_is_polled(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, nonblocking, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, nonblocking, NULL), 0);
}

static void nonblocking_failure(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.initTimeoutMs = 300;
    rank_meet(r);
    trncclResult_t state =
        trncclCommInitRankConfig(&r->comm, 2, r->board->id, 0, &config);
    CHECK(r, state == trncclInProgress);
    for (double end = now_ms() + 20000; state == trncclInProgress; sleep_ms(1)) {
        OK(r, trncclCommGetAsyncError(r->comm, &state));
        CHECK(r, now_ms() < end);
    }
    CHECK(r, state == trncclTimeout);
    CHECK(r, strstr(trncclGetLastError(r->comm), "rank 1"));
    CHECK(r, trncclBarrier(r->comm, NULL) != trncclSuccess);
    rank_leave(r);
}

static void nonblocking_creation_that_fails_says_who_is_missing(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 1, nonblocking_failure, NULL), 0);
}

static void late(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 500;
    rank_meet(r);
    if (r->rank == 2)
        return;
    r->seat->began_ms = now_ms();
    rank_note(r, rank_try_join(r, &config));
    double ms = r->seat->ended_ms - r->seat->began_ms;
    CHECK(r, r->comm == NULL);
    CHECK(r, r->seat->result == trncclTimeout);
    CHECK(r, strstr(r->seat->text, "rank 2"));
    CHECK(r, ms > 400 && ms < 1500);
}

static void creation_says_who_has_not_arrived(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, late, NULL), 0);
}

static void impostor(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 5000;
    rank_meet(r);
    /* Two ranks say that they are rank 0; or one counts wrongly. */
    bool twice = r->context != NULL;
    rank_note(r, trncclCommInitRankConfig(&r->comm, r->nranks + (!twice && r->rank),
                                          r->board->id, twice ? 0 : r->rank, &config));
    CHECK(r, r->comm == NULL);
    CHECK(r, r->seat->result == trncclInvalidUsage);
    if (!strstr(r->seat->text, "rank"))
        rank_fail(r, __FILE__, __LINE__, "no rank is named: %s", r->seat->text);
}

static void ranks_that_disagree_about_themselves_are_refused(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, impostor, NULL), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 2, impostor, "twice"), 0);
}

struct ids {
    atomic_int ready;
    trncclUniqueId id[3];
};

static void scalable(struct rank *r)
{
    struct ids *ids = r->context;
    int nids = r->nranks < 3 ? r->nranks : 3;
    if (r->rank < nids) {
        OK(r, trncclGetUniqueId(&ids->id[r->rank]));
        atomic_fetch_add(&ids->ready, 1);
    }
    CHECK(r, wait_for_flag(&ids->ready, nids));
    OK(r, trncclCommInitRankScalable(&r->comm, r->nranks, r->rank, nids, ids->id, NULL));
    rank_prove(r, r->comm);
    rank_leave(r);
}

static void scalable_creation_uses_several_ids(void **state)
{
    (void)state;
    for (int n = 1; n <= 5; n++) {
        struct ids *ids = mmap(NULL, sizeof *ids, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_int_equal(team_run(TEAM_PROCESSES, n, scalable, ids), 0);
        munmap(ids, sizeof *ids);
    }
}

/* An out-of-band bootstrap over the shared page. */
struct exchange {
    pthread_barrier_t barrier;
    char data[TEAM_MAX][4096];
};
struct oob {
    struct exchange *x;
    int rank, nranks, calls, fail_at;
};

static int oob_allgather(void *context, const void *mine, void *all, size_t nbytes)
{
    struct oob *o = context;
    if (o->calls++ == o->fail_at)
        return 42;
    for (size_t done = 0; done < nbytes; done += sizeof o->x->data[0]) {
        size_t part =
            nbytes - done < sizeof o->x->data[0] ? nbytes - done : sizeof o->x->data[0];
        memcpy(o->x->data[o->rank], (const char *)mine + done, part);
        pthread_barrier_wait(&o->x->barrier);
        for (int i = 0; i < o->nranks; i++)
            memcpy((char *)all + (size_t)i * nbytes + done, o->x->data[i], part);
        pthread_barrier_wait(&o->x->barrier);
    }
    return 0;
}

static void out_of_band(struct rank *r)
{
    struct oob o = {r->context, r->rank, r->nranks, 0, -1};
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclUniqueId unused = {{0}};
    config.oobAllgather = oob_allgather;
    config.oobContext = &o;
    OK(r, trncclCommInitRankConfig(&r->comm, r->nranks, unused, r->rank, &config));
    CHECK(r, o.calls > 0);
    int calls = o.calls;
    memset(&o, 0xee, sizeof o); /* borrowed until init returned, not longer */
    (void)calls;
    rank_prove(r, r->comm);
    rank_leave(r);
}

static void out_of_band_failure(struct rank *r)
{
    struct oob o = {r->context, r->rank, r->nranks, 0, 0};
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclUniqueId unused = {{0}};
    config.oobAllgather = oob_allgather;
    config.oobContext = &o;
    rank_note(r, trncclCommInitRankConfig(&r->comm, r->nranks, unused, r->rank, &config));
    CHECK(r, r->seat->result == trncclSystemError && !r->comm);
    CHECK(r, strstr(r->seat->text, "42"));
}

static void creation_by_an_out_of_band_callback(void **state)
{
    (void)state;
    for (int n = 1; n <= 4; n++) {
        struct exchange *x = mmap(NULL, sizeof *x, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pthread_barrierattr_t shared;
        pthread_barrierattr_init(&shared);
        pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(&x->barrier, &shared, (unsigned)n);
        assert_int_equal(team_run(TEAM_PROCESSES, n, out_of_band, x), 0);
        assert_int_equal(team_run(TEAM_PROCESSES, n, out_of_band_failure, x), 0);
        pthread_barrier_destroy(&x->barrier);
        munmap(x, sizeof *x);
    }
}

/* ---- several communicators and splits
 * ------------------------------------------------------ */

static void split(struct rank *r)
{
    trncclComm_t half = NULL, none = (trncclComm_t)r, turned = NULL, again = NULL;
    int me = -1, n = -1;
    rank_join(r, 20000);
    OK(r, trncclCommSplit(r->comm, r->rank % 2, 0, &half, NULL));
    OK(r, trncclCommUserRank(half, &me));
    OK(r, trncclCommCount(half, &n));
    CHECK(r, me == r->rank / 2 && n == (r->nranks + 1 - r->rank % 2) / 2);
    rank_prove(r, half);
    /* All in one, by falling key: the order is turned. */
    OK(r, trncclCommSplit(r->comm, 7, -r->rank, &turned, NULL));
    OK(r, trncclCommUserRank(turned, &me));
    CHECK(r, me == r->nranks - 1 - r->rank);
    rank_prove(r, turned);
    /* Rank 0 takes part and gets nothing; equal keys keep the order of ranks. */
    OK(r, trncclCommSplit(r->comm, r->rank ? 5 : TRNCCL_SPLIT_NOCOLOR, 3, &none, NULL));
    CHECK(r, (r->rank == 0) == (none == NULL));
    if (none) {
        OK(r, trncclCommUserRank(none, &me));
        CHECK(r, me == r->rank - 1);
        rank_prove(r, none);
        OK(r, trncclCommDestroy(none));
    }
    /* A split of a split, and the parent may go first. */
    OK(r, trncclCommSplit(turned, r->rank == 1, r->rank, &again, NULL));
    OK(r, trncclCommDestroy(turned));
    OK(r, trncclCommDestroy(r->comm));
    rank_prove(r, again);
    rank_prove(r, half);
    OK(r, trncclCommDestroy(half));
    OK(r, trncclCommDestroy(again));
}

static void split_makes_communicators_by_color_and_key(void **state)
{
    (void)state;
    for (int n = 2; n <= 5; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, split, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, split, NULL), 0);
}

static void several(struct rank *r)
{
    enum { K = 6 };
    trncclComm_t c[K];
    rank_join(r, 20000);
    for (int k = 0; k < K; k++)
        OK(r, trncclCommSplit(r->comm, 0, k % 2 ? -r->rank : r->rank, &c[k], NULL));
    for (int round = 0; round < 5; round++)
        for (int k = 0; k < K; k++)
            rank_prove(r, c[(k * 5 + round) % K]);
    /* Ranks end them in different orders: destroy waits for nobody. */
    for (int k = 0; k < K; k++)
        OK(r, trncclCommDestroy(c[(k + r->rank) % K]));
    rank_leave(r);
}

static void several_communicators_live_side_by_side(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, several, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 3, several, NULL), 0);
}

static void errors_belong_to_their_communicator(void **state)
{
    (void)state;
    trncclComm_t a, b;
    assert_int_equal(trncclCommInitAll(&a, 1, NULL), trncclSuccess);
    assert_int_equal(trncclCommInitAll(&b, 1, NULL), trncclSuccess);
    assert_int_equal(trncclSend(NULL, 1, trncclInt8, 0, a, NULL), trncclInvalidArgument);
    assert_int_equal(trncclSend(NULL, 1, trncclInt8, 9, b, NULL), trncclInvalidArgument);
    assert_non_null(strstr(trncclGetLastError(a), "sendbuff"));
    assert_non_null(strstr(trncclGetLastError(b), "peer is 9"));
    assert_non_null(strstr(trncclGetLastError(NULL), "peer is 9"));
    assert_int_equal(trncclCommDestroy(a), trncclSuccess);
    assert_int_equal(trncclCommDestroy(b), trncclSuccess);
}

/* ---- abort
 * --------------------------------------------------------------------------------- */

static void *abort_later(void *argument)
{
    struct rank *r = argument;
    CHECK(r, wait_for_flag(&r->board->flag[0], r->nranks - 1));
    sleep_ms(50);
    r->board->time_ms[0] = now_ms();
    if (trncclCommAbort(r->comm) != trncclSuccess)
        atomic_store(&r->seat->failed, 1);
    return NULL;
}

/* Rank 0 and those after it wait for the last rank, which waits for their errors; another
 * thread of rank 0 aborts. */
static void abort_blocked(struct rank *r)
{
    pthread_t thread;
    int32_t x = 0;
    rank_join(r, 60000);
    rank_prove(r, r->comm);
    if (r->rank == r->nranks - 1) {
        CHECK(r, wait_for_flag(&r->board->flag[1], r->nranks - 1));
        /* What rank 0 had sent before may still complete a call. */
        trncclResult_t result;
        do
            result = trncclBarrier(r->comm, NULL);
        while (result == trncclSuccess);
        rank_note(r, result);
    } else {
        if (r->rank == 0)
            CHECK(r, pthread_create(&thread, NULL, abort_later, r) == 0);
        atomic_fetch_add(&r->board->flag[0], 1);
        trncclResult_t result =
            r->rank == 1 ? trncclRecv(&x, 1, trncclInt32, r->nranks - 1, r->comm, NULL)
                         : trncclBarrier(r->comm, NULL);
        rank_note(r, result);
        atomic_fetch_add(&r->board->flag[1], 1);
        if (r->rank == 0)
            pthread_join(thread, NULL);
        CHECK(r,
              r->seat->ended_ms - r->board->time_ms[0] < (team_sanitized() ? 1000 : 100));
    }
    trncclResult_t state = trncclSuccess;
    OK(r, trncclCommGetAsyncError(r->comm, &state));
    CHECK(r, state == r->seat->result);
    if (r->rank == 0) {
        CHECK(r, r->seat->result == trncclAborted);
        CHECK(r, trncclBarrier(r->comm, NULL) == trncclAborted);
    } else {
        CHECK(r, r->seat->result == trncclRemoteError);
        CHECK(r, strstr(r->seat->text, "rank 0"));
        CHECK(r, strstr(r->seat->text, "trncclCommAbort"));
    }
    rank_leave(r);
}

static void abort_from_another_thread_ends_blocked_calls(void **state)
{
    (void)state;
    for (int n = 2; n <= 8; n *= 2)
        assert_int_equal(team_run(TEAM_PROCESSES, n, abort_blocked, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 4, abort_blocked, NULL), 0);
}

static void abort_queued(struct rank *r)
{
    trncclStream_t s;
    rank_join(r, 60000);
    OK(r, trncclStreamCreate(&s));
    if (r->rank == 0) {
        for (int i = 0; i < 10; i++)
            OK(r, trncclBarrier(r->comm, s));
        sleep_ms(20);
        double began = now_ms();
        OK(r, trncclCommAbort(r->comm));
        CHECK(r, trncclStreamSynchronize(s) == trncclAborted);
        CHECK(r, now_ms() - began < (team_sanitized() ? 1000 : 100));
        OK(r, trncclCommAbort(r->comm)); /* again: nothing more */
        atomic_store(&r->board->flag[0], 1);
    }
    CHECK(r, wait_for_flag(&r->board->flag[0], 1));
    rank_leave(r);
    OK(r, trncclStreamDestroy(s));
}

static void abort_ends_queued_calls(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, abort_queued, NULL), 0);
    assert_int_equal(team_run(TEAM_THREADS, 2, abort_queued, NULL), 0);
}

static void abort_creation(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    trncclResult_t state = trncclSuccess;
    config.blocking = 0;
    rank_meet(r);
    CHECK(r, trncclCommInitRankConfig(&r->comm, 3, r->board->id, r->rank, &config) ==
                 trncclInProgress);
    sleep_ms(r->rank == 0 ? 0 : 30);
    double began = now_ms();
    OK(r, trncclCommAbort(r->comm));
    do {
        OK(r, trncclCommGetAsyncError(r->comm, &state));
        sleep_ms(1);
    } while (state == trncclInProgress && now_ms() - began < 5000);
    CHECK(r, now_ms() - began < (team_sanitized() ? 1000 : 100));
    CHECK(r, state == trncclAborted || state == trncclRemoteError);
    rank_leave(r);
}

static void abort_ends_creation(void **state)
{
    (void)state;
    for (int n = 1; n <= 2; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, abort_creation, NULL), 0);
}

/* ---- fork
 * ---------------------------------------------------------------------------------- */

static void fork_after(struct rank *r)
{
    rank_join(r, 20000);
    rank_prove(r, r->comm);
    fflush(NULL);
    pid_t child = fork();
    CHECK(r, child >= 0);
    if (child == 0) {
        int32_t x = 0;
        trncclStream_t none = NULL;
        bool good = trncclBarrier(r->comm, none) == trncclInvalidUsage;
        good &= strstr(trncclGetLastError(r->comm), "fork") != NULL;
        good &= trncclAllReduce(&x, &x, 1, trncclInt32, trncclSum, r->comm, NULL) ==
                trncclInvalidUsage;
        good &= trncclCommFinalize(r->comm) == trncclInvalidUsage;
        good &= trncclCommDestroy(r->comm) == trncclInvalidUsage;
        good &= trncclCommAbort(r->comm) == trncclInvalidUsage;
        if (!good)
            fprintf(stderr, "forked child: %s\n", trncclGetLastError(NULL));
        /* Alive until the parent has worked on: its copies of sockets must not matter. */
        bool told = wait_for_flag(&r->board->flag[0], r->nranks);
        _exit(good && told ? 0 : 1);
    }
    rank_prove(r, r->comm);
    rank_leave(r);
    atomic_fetch_add(&r->board->flag[0], 1);
    int status = -1;
    CHECK(r, waitpid(child, &status, 0) == child);
    CHECK(r, status == 0);
}

static void forked_child_is_refused_and_harms_nobody(void **state)
{
    (void)state;
    for (int n = 1; n <= 3; n++)
        assert_int_equal(team_run(TEAM_PROCESSES, n, fork_after, NULL), 0);
}

/* 0 if every call on the parent's stream and event is refused; none may wait. */
static int use_streams(trncclStream_t s, trncclEvent_t e)
{
    const trncclResult_t bad = trncclInvalidUsage;
    float ms;
    alarm(20);
    if (trncclStreamQuery(s) != bad || trncclStreamSynchronize(s) != bad ||
        trncclStreamWaitEvent(s, e) != bad || trncclStreamDestroy(s) != bad)
        return 1;
    if (!strstr(trncclGetLastError(NULL), "forked"))
        return 2;
    if (trncclEventRecord(e, s) != bad || trncclEventRecord(e, NULL) != bad ||
        trncclEventQuery(e) != bad || trncclEventSynchronize(e) != bad ||
        trncclEventElapsedTime(&ms, e, e) != bad || trncclEventDestroy(e) != bad)
        return 3;
    return strstr(trncclGetLastError(NULL), "forked") ? 0 : 4;
}

static void forked_child_cannot_use_streams_and_events(void **state)
{
    (void)state;
    trncclStream_t s;
    trncclEvent_t e;
    assert_int_equal(trncclStreamCreate(&s), trncclSuccess);
    assert_int_equal(trncclEventCreate(&e), trncclSuccess);
    assert_int_equal(trncclEventRecord(e, s), trncclSuccess);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(use_streams(s, e));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(trncclStreamSynchronize(s), trncclSuccess);
    assert_int_equal(trncclEventQuery(e), trncclSuccess);
    assert_int_equal(trncclStreamDestroy(s), trncclSuccess);
    assert_int_equal(trncclEventDestroy(e), trncclSuccess);
}

int main(void)
{
    /* Processes first: threads load the settings of this process. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_rank_makes_a_communicator),
        cmocka_unit_test(nonblocking_creation_is_polled),
        cmocka_unit_test(nonblocking_creation_that_fails_says_who_is_missing),
        cmocka_unit_test(creation_says_who_has_not_arrived),
        cmocka_unit_test(ranks_that_disagree_about_themselves_are_refused),
        cmocka_unit_test(scalable_creation_uses_several_ids),
        cmocka_unit_test(creation_by_an_out_of_band_callback),
        cmocka_unit_test(split_makes_communicators_by_color_and_key),
        cmocka_unit_test(several_communicators_live_side_by_side),
        cmocka_unit_test(errors_belong_to_their_communicator),
        cmocka_unit_test(abort_from_another_thread_ends_blocked_calls),
        cmocka_unit_test(abort_ends_queued_calls),
        cmocka_unit_test(abort_ends_creation),
        cmocka_unit_test(forked_child_is_refused_and_harms_nobody),
        cmocka_unit_test(forked_child_cannot_use_streams_and_events),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
