/* Driving: tasks begin, end and fail in order; waits ask their check and can be woken. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "exec/wait.h"

/* A connection whose one message arrives when the test says so. */
static atomic_int arrived;
static char message[8];

static const void *peek(struct transport_conn *c, size_t nbytes, uint32_t sig)
{
    (void)nbytes;
    (void)sig;
    return atomic_load(&arrived) && c->next == 0 ? message : NULL;
}
static void release(struct transport_conn *c)
{
    c->next++;
}
static void post(struct transport_conn *c, uint32_t m, void *dst, size_t nbytes,
                 const struct mem_region *region)
{
    (void)c;
    (void)m;
    (void)dst;
    (void)nbytes;
    (void)region;
}
static const struct transport_ops late = {
    .name = "late", .peek = peek, .release = release, .post = post};
static struct transport_conn conn = {.ops = &late, .peer = 0};

static trncclResult_t connect_late(void *context, int peer, int channel, bool outgoing,
                                   struct transport_conn **out)
{
    (void)context;
    (void)peer;
    (void)channel;
    (void)outgoing;
    *out = &conn;
    return trncclSuccess;
}

struct fixture {
    struct sched *sched;
    struct exec_program *program;
    struct exec_run run;
    struct combine combine;
    struct segment_rank *bell;
    atomic_int fault;
    char out[8];
    int begun, ended, failed, checks, give_up_after;
    uint64_t longest_ns;
};
static struct fixture f;

/* Rank 1 of a permute 0 -> 1: one receive of 8 bytes. */
static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    static const int32_t pair[2] = {0, 1};
    struct sched_args args = {
        .coll = SCHED_PERMUTE, .nranks = 2, .rank = 1, .pairs = pair, .npairs = 1};
    assert_int_equal(algo_build(algo_find(SCHED_PERMUTE, "direct"), &args, &f.sched), 0);
    struct layout layout;
    layout_init(&layout, f.sched, 1, 8);
    struct exec_program_args p = {.sched = f.sched,
                                  .layout = &layout,
                                  .slice_nbytes = 65536,
                                  .lend_nbytes = 4096,
                                  .connect = connect_late};
    assert_int_equal(exec_program_create(&p, &f.program), 0);
    assert_int_equal(exec_run_reserve(&f.run, f.program), 0);
    assert_int_equal(combine_init(&f.combine, trncclInt8, COMBINE_COPY, NULL, 2), 0);
    f.bell = aligned_alloc(64, sizeof *f.bell);
    memset(f.bell, 0, sizeof *f.bell);
    conn.next = 0;
    atomic_store(&arrived, 0);
    memcpy(message, "trncclOK", 8);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    exec_run_fini(&f.run);
    exec_program_destroy(f.program);
    sched_destroy(f.sched);
    free(f.bell);
    return 0;
}

static void begin(struct exec_task *t)
{
    (void)t;
    f.begun++;
    conn.next = 0;
    f.run.program = f.program;
    f.run.combine = &f.combine;
    f.run.base[SCHED_OUT] = f.out;
    exec_run_start(&f.run);
}
static void end(struct exec_task *t)
{
    (void)t;
    f.ended++;
}
static void failed(struct exec_task *t)
{
    assert_int_equal(t->result, trncclTimeout);
    f.failed++;
}
static trncclResult_t check(void *context, const struct exec_run *run, uint64_t waited_ns)
{
    (void)context;
    struct exec_blocked b = exec_run_blocked(run);
    assert_int_equal(b.peer, 0);
    assert_string_equal(b.what, "a message from");
    f.longest_ns = waited_ns;
    if (++f.checks == f.give_up_after)
        return error_set(trncclTimeout, "given up");
    return trncclSuccess;
}

static struct exec_task task(void)
{
    return (struct exec_task){.run = &f.run,
                              .bell = f.bell,
                              .fault = &f.fault,
                              .check = check,
                              .begin = begin,
                              .end = end,
                              .failed = failed};
}

static const struct exec_patience eager = {.polls = 10, .spin_ns = 1000000};

static void driveOne_messageThere_endsWithoutCheck(void **state)
{
    (void)state;
    atomic_store(&arrived, 1);
    struct exec_task t = task();
    assert_int_equal(exec_drive_one(&t, &eager), trncclSuccess);
    assert_int_equal(f.begun + f.ended, 2);
    assert_int_equal(f.checks + f.failed, 0);
    assert_memory_equal(f.out, "trncclOK", 8);
}

static void driveOne_checkGivesUp_failsWithItsResult(void **state)
{
    (void)state;
    f.give_up_after = 3;
    struct exec_task t = task();
    assert_int_equal(exec_drive_one(&t, &eager), trncclTimeout);
    assert_string_equal(error_text(), "given up");
    assert_int_equal(f.checks, 3);
    assert_int_equal(f.failed, 1);
    assert_int_equal(f.ended, 0);
}

/* With a fault set the check is asked at once, not after a number of yields. */
static void driveOne_fault_asksAtOnce(void **state)
{
    (void)state;
    atomic_store(&f.fault, 1);
    f.give_up_after = 1;
    struct exec_task t = task();
    assert_int_equal(exec_drive_one(&t, &eager), trncclTimeout);
    assert_int_equal(f.checks, 1);
}

static void drive_chain_runsOneAfterTheOther(void **state)
{
    (void)state;
    atomic_store(&arrived, 1);
    struct exec_task second = task(), first = task();
    first.next = &second;
    assert_int_equal(exec_drive(&first, 1, &eager), trncclSuccess);
    assert_int_equal(f.begun, 2);
    assert_int_equal(f.ended, 2);
}

static void drive_chainThatFails_stopsThere(void **state)
{
    (void)state;
    f.give_up_after = 1;
    struct exec_task second = task(), first = task();
    first.next = &second;
    assert_int_equal(exec_drive(&first, 1, &eager), trncclTimeout);
    assert_int_equal(f.begun, 1);
    assert_int_equal(f.failed, 1);
}

/* ---- tasks side by side ---- */

/* A connection from which nothing ever comes, and the run that waits for it. */
static const void *peek_never(struct transport_conn *c, size_t nbytes, uint32_t sig)
{
    (void)c;
    (void)nbytes;
    (void)sig;
    return NULL;
}
static const struct transport_ops never = {
    .name = "never", .peek = peek_never, .release = release, .post = post};
static struct transport_conn silent = {.ops = &never, .peer = 0};

static trncclResult_t connect_never(void *context, int peer, int channel, bool outgoing,
                                    struct transport_conn **out)
{
    TRY(connect_late(context, peer, channel, outgoing, out));
    *out = &silent;
    return trncclSuccess;
}

struct waiter {
    struct exec_program *program;
    struct exec_run run;
    int asked, give_up_after, failed;
    bool ended;
};

static void waiter_init(struct waiter *w, int give_up_after)
{
    struct layout layout;
    layout_init(&layout, f.sched, 1, 8);
    struct exec_program_args p = {.sched = f.sched,
                                  .layout = &layout,
                                  .slice_nbytes = 65536,
                                  .lend_nbytes = 4096,
                                  .connect = connect_never};
    *w = (struct waiter){.give_up_after = give_up_after};
    assert_int_equal(exec_program_create(&p, &w->program), 0);
    assert_int_equal(exec_run_reserve(&w->run, w->program), 0);
}

static void waiter_fini(struct waiter *w)
{
    exec_run_fini(&w->run);
    exec_program_destroy(w->program);
}

static void waiter_begin(struct exec_task *t)
{
    struct waiter *w = t->context;
    w->run.program = w->program;
    w->run.combine = &f.combine;
    w->run.base[SCHED_OUT] = f.out;
    exec_run_start(&w->run);
}
static void waiter_end(struct exec_task *t)
{
    struct waiter *w = t->context;
    w->ended = true;
}
static void waiter_failed(struct exec_task *t)
{
    struct waiter *w = t->context;
    w->failed++;
}
static trncclResult_t waiter_check(void *context, const struct exec_run *run,
                                   uint64_t waited_ns)
{
    struct waiter *w = context;
    (void)run;
    (void)waited_ns;
    return ++w->asked == w->give_up_after ? error_set(trncclAborted, "no more")
                                          : trncclSuccess;
}

static struct exec_task waiter_task(struct waiter *w)
{
    return (struct exec_task){.run = &w->run,
                              .bell = f.bell,
                              .fault = &f.fault,
                              .check = waiter_check,
                              .context = w,
                              .begin = waiter_begin,
                              .end = waiter_end,
                              .failed = waiter_failed};
}

/* The first of the list would wait for ever. */
static void drive_oneFails_returnsAtOnceAndLeavesTheOthers(void **state)
{
    (void)state;
    struct waiter patient, hasty;
    waiter_init(&patient, 0);
    waiter_init(&hasty, 3);
    struct exec_task tasks[2] = {waiter_task(&patient), waiter_task(&hasty)};
    assert_int_equal(exec_drive(tasks, 2, &eager), trncclAborted);
    assert_string_equal(error_text(), "no more");
    assert_true(!tasks[0].done && tasks[1].done);
    assert_int_equal(patient.failed, 0);
    assert_int_equal(hasty.failed, 1);
    assert_false(patient.ended || hasty.ended);
    waiter_fini(&patient);
    waiter_fini(&hasty);
}

/* A task that never rests, since it is its own successor, beside one that should end. */
static void drive_othersMove_asksThoseThatWait(void **state)
{
    (void)state;
    struct waiter w;
    waiter_init(&w, 2);
    atomic_store(&arrived, 1);
    struct exec_task restless = task();
    restless.check = waiter_check;
    restless.context = &(struct waiter){0};
    restless.next = &restless;
    struct exec_task tasks[2] = {restless, waiter_task(&w)};
    assert_int_equal(exec_drive(tasks, 2, &eager), trncclAborted);
    assert_int_equal(w.failed, 1);
    assert_true(f.ended > 0);
    waiter_fini(&w);
}

static int asked_ready;

/* Ready when the waiter before it has ended. */
static trncclResult_t ready_afterwards(struct exec_task *t)
{
    (void)t;
    asked_ready++;
    return f.ended ? trncclSuccess : trncclInProgress;
}
static trncclResult_t ready_never(struct exec_task *t)
{
    (void)t;
    return ++asked_ready < 5 ? trncclInProgress
                             : error_set(trncclSystemError, "no room to begin");
}

static void drive_notReady_beginsWhenItIs(void **state)
{
    (void)state;
    asked_ready = 0;
    atomic_store(&arrived, 1);
    struct exec_task tasks[2] = {task(), task()};
    tasks[0].ready = ready_afterwards; /* before the one it waits for */
    assert_int_equal(exec_drive(tasks, 2, &eager), trncclSuccess);
    assert_int_equal(f.begun, 2);
    assert_int_equal(f.ended, 2);
    assert_int_equal(asked_ready, 2);
}

/* Nothing has begun: there is no bell to sleep on, and nobody to ask. */
static void drive_neverReady_failsWithoutBeginning(void **state)
{
    (void)state;
    struct exec_patience hasty = {.polls = 0, .spin_ns = 1};
    struct waiter w;
    waiter_init(&w, 1);
    asked_ready = 0;
    struct exec_task t = waiter_task(&w);
    t.ready = ready_never;
    assert_int_equal(exec_drive(&t, 1, &hasty), trncclSystemError);
    assert_string_equal(error_text(), "no room to begin");
    assert_false(t.begun);
    assert_int_equal(w.failed, 1);
    assert_int_equal(w.asked, 0);
    waiter_fini(&w);
}

/* Delivers the message once the waiter sleeps, and rings. */
static void *deliver(void *argument)
{
    (void)argument;
    while (!atomic_load(&f.bell->sleeping))
        usleep(100);
    atomic_store(&arrived, 1);
    segment_ring_slow(f.bell);
    return NULL;
}

static void driveOne_longWait_sleepsUntilTheBellRings(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, deliver, NULL), 0);
    struct exec_task t = task();
    assert_int_equal(exec_drive_one(&t, &eager), trncclSuccess);
    pthread_join(thread, NULL);
    assert_true(f.longest_ns > eager.spin_ns);
    assert_int_equal(atomic_load(&f.bell->sleeping), 0);
    assert_int_equal(f.ended, 1);
    assert_memory_equal(f.out, "trncclOK", 8);
}

static void patience_moreRanksThanCores_doesNotPoll(void **state)
{
    (void)state;
    assert_true(exec_patience_for(1, 50).polls > 0);
    assert_int_equal(exec_patience_for(1 << 20, 50).polls, 0);
    assert_int_equal(exec_patience_for(1, 50).spin_ns, 50000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(driveOne_messageThere_endsWithoutCheck),
        TEST(driveOne_checkGivesUp_failsWithItsResult),
        TEST(driveOne_fault_asksAtOnce),
        TEST(drive_chain_runsOneAfterTheOther),
        TEST(drive_chainThatFails_stopsThere),
        TEST(drive_oneFails_returnsAtOnceAndLeavesTheOthers),
        TEST(drive_othersMove_asksThoseThatWait),
        TEST(drive_notReady_beginsWhenItIs),
        TEST(drive_neverReady_failsWithoutBeginning),
        TEST(driveOne_longWait_sleepsUntilTheBellRings),
        TEST(patience_moreRanksThanCores_doesNotPoll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
