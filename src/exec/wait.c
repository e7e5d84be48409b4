#include "exec/wait.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

/* How long one sleep may last before the deadline and the abort flag are looked at again.
 * The short nap is for kernels without membarrier, where a ring can be missed, and for a
 * thread that drives several ranks but can listen to one bell only. */
#define SLEEP_NS 20000000
#define NAP_NS 500000
/* Polls between two looks at the clock, while yielding. */
#define CHECK_EVERY 32
/* While some tasks move, how often the others are asked: an abort must not wait for them.
 */
#define BUSY_CHECK_NS 10000000

static atomic_int membarrier_state; /* 0 unknown, 1 available, -1 not */

static bool membarrier_available(void)
{
    int state = atomic_load_explicit(&membarrier_state, memory_order_relaxed);
    if (state)
        return state > 0;
    long r = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
    atomic_store_explicit(&membarrier_state, r == 0 ? 1 : -1, memory_order_relaxed);
    return r == 0;
}

struct exec_patience exec_patience_for(int nranks, int64_t spin_us)
{
    cpu_set_t set;
    int ncores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    membarrier_available();
    /* With a core per rank a peer's answer is at most a few hundred polls away; without,
     * the peer may need this core to answer at all. */
    return (struct exec_patience){.polls = nranks <= ncores ? 4000 : 0,
                                  .spin_ns = (uint64_t)spin_us * 1000};
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Tasks that one thread drives. */
struct drive {
    struct exec_task *tasks;
    int ntasks;
    int left;                 /* not done, at the last look */
    struct exec_task *failed; /* the first, in time */
    int32_t idle;             /* looks since something moved */
    uint32_t moves;           /* looks at which something moved */
    uint64_t checked_ns;      /* when checks were asked last */
};

static void task_fails(struct drive *d, struct exec_task *t, trncclResult_t result)
{
    t->result = result;
    t->done = true;
    d->failed = t;
    if (t->failed)
        t->failed(t);
}

/* Begins a task if it is ready; it may fail at that. */
static bool task_begins(struct drive *d, struct exec_task *t)
{
    trncclResult_t result = t->ready ? t->ready(t) : trncclSuccess;
    if (result == trncclSuccess) {
        t->begin(t);
        t->begun = true;
        t->idle_since_ns = 0;
        return true;
    }
    if (result != trncclInProgress)
        task_fails(d, t, result);
    return false;
}

static void task_begins_next(struct exec_task *t)
{
    *t = *t->next;
    t->begin(t);
    t->begun = true;
}

/* One look at every task, up to one that fails; returns whether any moved and counts
 * those not done. */
static bool drive_once(struct drive *d)
{
    bool moved = false;
    d->left = 0;
    for (int i = 0; i < d->ntasks && !d->failed; i++) {
        struct exec_task *t = &d->tasks[i];
        if (t->done)
            continue;
        ++d->left;
        if (!t->begun && !task_begins(d, t))
            continue;
        enum exec_state state = exec_run_advance(t->run);
        if (state == EXEC_BLOCKED)
            continue;
        moved = true;
        t->idle_since_ns = 0;
        if (state == EXEC_MOVED)
            continue;
        t->end(t);
        if (t->next) {
            task_begins_next(t);
        } else {
            t->done = true;
            --d->left;
        }
    }
    return moved;
}

/* The same without beginning or ending any. */
static bool any_moves(struct drive *d)
{
    bool moved = false;
    for (int i = 0; i < d->ntasks; i++) {
        struct exec_task *t = &d->tasks[i];
        if (!t->begun || t->done || exec_run_advance(t->run) == EXEC_BLOCKED)
            continue;
        moved = true;
        t->idle_since_ns = 0;
    }
    return moved;
}

/* Asks every task whether it should go on, up to the first that should not. Returns how
 * long the task that moved last has waited. */
static uint64_t check_all(struct drive *d)
{
    uint64_t now = clock_now_ns(), least = UINT64_MAX;
    d->checked_ns = now;
    for (int i = 0; i < d->ntasks; i++) {
        struct exec_task *t = &d->tasks[i];
        if (t->done)
            continue;
        if (!t->idle_since_ns)
            t->idle_since_ns = now;
        uint64_t waited = now - t->idle_since_ns;
        trncclResult_t result = trncclSuccess;
        if (t->begun)
            result = t->check(t->context, t->run, waited);
        if (result != trncclSuccess) {
            task_fails(d, t, result);
            return 0;
        }
        if (waited < least)
            least = waited;
    }
    return least == UINT64_MAX ? 0 : least;
}

static bool any_fault(const struct drive *d)
{
    for (int i = 0; i < d->ntasks; i++)
        if (d->tasks[i].begun && !d->tasks[i].done &&
            atomic_load_explicit(d->tasks[i].fault, memory_order_acquire))
            return true;
    return false;
}

/* Sleeps until the bell of the first task that has begun rings, or a while. No task ends
 * meanwhile: whoever waits for its end may then take away the bell. */
static void sleep_on_bell(struct drive *d)
{
    struct exec_task *t = NULL;
    int waiting = 0;
    for (int i = d->ntasks - 1; i >= 0; i--) {
        if (d->tasks[i].done)
            continue;
        waiting++;
        if (d->tasks[i].begun)
            t = &d->tasks[i];
    }
    bool sure = membarrier_available();
    struct timespec ts = {.tv_nsec = sure && t && waiting == 1 ? SLEEP_NS : NAP_NS};
    if (!t) {
        nanosleep(&ts, NULL);
        return;
    }
    unsigned heard = atomic_load_explicit(&t->bell->bell, memory_order_relaxed);
    atomic_store_explicit(&t->bell->sleeping, 1, memory_order_relaxed);
    if (sure)
        /* Pairs with segment_ring: whoever stored something for us before this line
         * either sees `sleeping`, or the look below sees what it stored. */
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    else
        atomic_thread_fence(memory_order_seq_cst);
    if (!any_moves(d))
        syscall(SYS_futex, &t->bell->bell, FUTEX_WAIT, heard, &ts, NULL, 0);
    atomic_store_explicit(&t->bell->sleeping, 0, memory_order_relaxed);
}

/* Nothing moved: waits a little, longer and longer. */
static void wait_a_little(struct drive *d, const struct exec_patience *p)
{
    if (++d->idle <= p->polls) {
        relax();
        return;
    }
    bool fault = any_fault(d);
    if (fault || d->idle % CHECK_EVERY == 0) {
        uint64_t waited = check_all(d);
        if (!fault && waited > p->spin_ns) {
            sleep_on_bell(d);
            return;
        }
    }
    sched_yield();
}

/* Something moved: those that did not are looked at all the same, now and then. */
static void check_the_idle(struct drive *d)
{
    d->idle = 0;
    if (++d->moves % CHECK_EVERY == 0 && clock_now_ns() - d->checked_ns > BUSY_CHECK_NS)
        check_all(d);
}

trncclResult_t exec_drive(struct exec_task *tasks, int ntasks,
                          const struct exec_patience *p)
{
    struct drive d = {.tasks = tasks, .ntasks = ntasks};
    while (!d.failed) {
        bool moved = drive_once(&d);
        if (!d.left)
            return trncclSuccess;
        if (moved && !d.failed)
            check_the_idle(&d);
        else if (!d.failed)
            wait_a_little(&d, p);
    }
    return d.failed->result;
}

trncclResult_t exec_drive_one(struct exec_task *t, const struct exec_patience *p)
{
    struct drive d = {.tasks = t, .ntasks = 1};
    t->begin(t);
    t->begun = true;
    for (;;) {
        enum exec_state state = exec_run_advance(t->run);
        if (__builtin_expect(state == EXEC_DONE, 1)) {
            t->end(t);
            return trncclSuccess;
        }
        if (state == EXEC_MOVED) {
            t->idle_since_ns = 0;
            d.idle = 0;
            continue;
        }
        wait_a_little(&d, p);
        if (__builtin_expect(t->done, 0))
            return t->result; /* a check ended it */
    }
}
