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

/* One look at every task; returns whether any moved and counts those not done. */
static bool drive_once(struct exec_task *tasks, int ntasks, int *left)
{
    bool moved = false;
    *left = 0;
    for (int i = 0; i < ntasks; i++) {
        struct exec_task *t = &tasks[i];
        if (t->done)
            continue;
        enum exec_state state = exec_run_advance(t->run);
        if (state == EXEC_DONE) {
            moved = true;
            t->end(t);
            if (!t->next) {
                t->done = true;
                continue;
            }
            *t = *t->next;
            t->begin(t);
        }
        ++*left;
        if (state == EXEC_MOVED) {
            moved = true;
            t->idle_since_ns = 0;
        }
    }
    return moved;
}

/* Asks every waiting task whether it should go on. Returns how long the most patient
 * waits. */
static uint64_t check_all(struct exec_task *tasks, int ntasks)
{
    uint64_t now = clock_now_ns(), least = UINT64_MAX;
    for (int i = 0; i < ntasks; i++) {
        struct exec_task *t = &tasks[i];
        if (t->done)
            continue;
        if (!t->idle_since_ns)
            t->idle_since_ns = now;
        uint64_t waited = now - t->idle_since_ns;
        t->result = t->check(t->context, t->run, waited);
        if (t->result != trncclSuccess) {
            t->done = true;
            if (t->failed)
                t->failed(t);
        } else if (waited < least) {
            least = waited;
        }
    }
    return least == UINT64_MAX ? 0 : least;
}

static bool any_fault(const struct exec_task *tasks, int ntasks)
{
    for (int i = 0; i < ntasks; i++)
        if (!tasks[i].done && atomic_load_explicit(tasks[i].fault, memory_order_acquire))
            return true;
    return false;
}

/* Sleeps until the first waiting task's bell rings, or a while. */
static void sleep_on_bell(struct exec_task *tasks, int ntasks)
{
    struct exec_task *t = tasks;
    int left, waiting = 0;
    for (int i = ntasks - 1; i >= 0; i--)
        if (!tasks[i].done) {
            t = &tasks[i];
            waiting++;
        }
    unsigned heard = atomic_load_explicit(&t->bell->bell, memory_order_relaxed);
    atomic_store_explicit(&t->bell->sleeping, 1, memory_order_relaxed);
    bool sure = membarrier_available();
    if (sure)
        /* Pairs with segment_ring: whoever stored something for us before this line
         * either sees `sleeping`, or the look below sees what it stored. */
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    else
        atomic_thread_fence(memory_order_seq_cst);
    if (!drive_once(tasks, ntasks, &left) && left) {
        struct timespec ts = {.tv_nsec = sure && waiting == 1 ? SLEEP_NS : NAP_NS};
        syscall(SYS_futex, &t->bell->bell, FUTEX_WAIT, heard, &ts, NULL, 0);
    }
    atomic_store_explicit(&t->bell->sleeping, 0, memory_order_relaxed);
}

static trncclResult_t first_bad(const struct exec_task *tasks, int ntasks)
{
    for (int i = 0; i < ntasks; i++)
        if (tasks[i].result != trncclSuccess)
            return tasks[i].result;
    return trncclSuccess;
}

/* Nothing moved: waits a little, longer and longer. */
static void wait_a_little(struct exec_task *tasks, int ntasks,
                          const struct exec_patience *p, int32_t *idle)
{
    if (++*idle <= p->polls) {
        relax();
        return;
    }
    bool fault = any_fault(tasks, ntasks);
    if (fault || *idle % CHECK_EVERY == 0) {
        uint64_t waited = check_all(tasks, ntasks);
        if (!fault && waited > p->spin_ns) {
            sleep_on_bell(tasks, ntasks);
            return;
        }
    }
    sched_yield();
}

trncclResult_t exec_drive(struct exec_task *tasks, int ntasks,
                          const struct exec_patience *p)
{
    int32_t idle = 0;
    for (int i = 0; i < ntasks; i++)
        tasks[i].begin(&tasks[i]);
    for (;;) {
        int left;
        bool moved = drive_once(tasks, ntasks, &left);
        if (!left)
            return first_bad(tasks, ntasks);
        if (moved)
            idle = 0;
        else
            wait_a_little(tasks, ntasks, p, &idle);
    }
}

trncclResult_t exec_drive_one(struct exec_task *t, const struct exec_patience *p)
{
    int32_t idle = 0;
    t->begin(t);
    for (;;) {
        enum exec_state state = exec_run_advance(t->run);
        if (__builtin_expect(state == EXEC_DONE, 1)) {
            t->end(t);
            return trncclSuccess;
        }
        if (state == EXEC_MOVED) {
            t->idle_since_ns = 0;
            idle = 0;
            continue;
        }
        wait_a_little(t, 1, p, &idle);
        if (__builtin_expect(t->done, 0))
            return t->result; /* a check ended it, or it was done on falling asleep */
    }
}
