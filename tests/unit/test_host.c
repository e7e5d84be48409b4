/* What a process shares between its ranks, in a child that was forked while other threads
 * were at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comm.h"
#include "util/clock.h"

/* A communicator of two ranks, both in this process. */
struct pair {
    struct host_hello hellos[2];
    struct transport_place places[2];
};

static void pair_init(struct pair *p)
{
    memset(p, 0, sizeof *p);
    for (int r = 0; r < 2; r++) {
        if (host_identify(&p->hellos[r]) != trncclSuccess)
            _exit(10);
        p->hellos[r].nranks = 2;
        p->hellos[r].rank = r;
        p->hellos[r].nchannels = 1;
        p->hellos[r].nslots = 2;
    }
}

static trncclResult_t pair_get(const struct pair *p, int rank, const atomic_int *abort,
                               struct host **out)
{
    struct host_args args = {.hellos = p->hellos,
                             .places = p->places,
                             .nranks = 2,
                             .rank = rank,
                             .deadline_ns = clock_deadline_ns(60000),
                             .abort = abort};
    return host_get(&args, NULL, out);
}

/* Runs fn in a child; returns how waitpid says it ended. */
static int in_child(int (*fn)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        _exit(fn());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

struct second {
    struct pair *pair;
    struct host *host;
};

static void *get_as_rank_1(void *argument)
{
    struct second *s = argument;
    (void)!pair_get(s->pair, 1, NULL, &s->host);
    return NULL;
}

/* Communicators whose rank 1 waits for rank 0, each on a thread. */
static int make_hosts(void)
{
    for (int i = 0; i < 10; i++) {
        struct pair p;
        struct second second = {.pair = &p};
        struct host *h = NULL;
        pthread_t thread;
        pair_init(&p);
        p.hellos[0].algo_digest = (uint32_t)i; /* each another communicator */
        if (pthread_create(&thread, NULL, get_as_rank_1, &second))
            return 1;
        sched_yield();
        if (pair_get(&p, 0, NULL, &h) != trncclSuccess)
            return 2;
        pthread_join(thread, NULL);
        if (second.host != h)
            return 3;
        host_put(h);
        host_put(h);
    }
    return 0;
}

static atomic_int stop;

/* Rank 1 of a communicator whose rank 0 does not come. */
static void *wait_for_rank_0(void *argument)
{
    struct pair p;
    struct host *h = NULL;
    pair_init(&p);
    if (pair_get(&p, 1, &stop, &h) != trncclTimeout)
        return "a host without its first rank";
    (void)argument;
    return NULL;
}

static void host_get_in_a_child_of_a_waiting_thread_succeeds(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* ThreadSanitizer allows a child of a threaded process no threads */
#endif
#ifdef __SANITIZE_ADDRESS__
    skip(); /* the thread may hold a lock of AddressSanitizer's allocator at the fork */
#endif
    pthread_t thread;
    atomic_store(&stop, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_rank_0, NULL), 0);
    int status = 0;
    /* By the time of the later children, at the latest, the thread waits. */
    for (int i = 0; i < 20 && status == 0; i++)
        status = in_child(make_hosts);
    atomic_store(&stop, 1);
    void *problem = NULL;
    pthread_join(thread, &problem);
    assert_null(problem);
    assert_int_equal(status, 0);
}

static trncclComm_t comm;

static int use_comm(void)
{
    if (trncclBarrier(comm, NULL) != trncclInvalidUsage ||
        !strstr(trncclGetLastError(comm), "forked"))
        return 1;
    return trncclCommDestroy(comm) == trncclInvalidUsage ? 0 : 2;
}

static void calls_in_a_child_do_not_wait_for_a_lock_of_the_parent(void **state)
{
    (void)state;
    assert_int_equal(trncclCommInitAll(&comm, 1, NULL), trncclSuccess);
    pthread_mutex_lock(&comm->error_lock); /* as another thread might */
    int status = in_child(use_comm);
    pthread_mutex_unlock(&comm->error_lock);
    assert_int_equal(trncclCommDestroy(comm), trncclSuccess);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_get_in_a_child_of_a_waiting_thread_succeeds),
        cmocka_unit_test(calls_in_a_child_do_not_wait_for_a_lock_of_the_parent),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
