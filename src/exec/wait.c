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

/* One look at every task; returns whether any moved and counts those not done. */
static bool drive_once(struct drive *d)
{
    bool moved = false;
    d->left = 0;
    for (int i = 0; i < d->ntasks; i++) {
        struct exec_task *t = &d->tasks[i];
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
        ++d->left;
        if (state == EXEC_MOVED) {
            moved = true;
            t->idle_since_ns = 0;
        }
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
        t->result = t->check(t->context, t->run, waited);
        if (t->result != trncclSuccess) {
            t->done = true;
            d->failed = t;
            if (t->failed)
                t->failed(t);
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
        if (!d->tasks[i].done &&
            atomic_load_explicit(d->tasks[i].fault, memory_order_acquire))
            return true;
    return false;
}

/* Sleeps until the first waiting task's bell rings, or a while. */
static void sleep_on_bell(struct drive *d)
{
    struct exec_task *t = d->tasks;
    int waiting = 0;
    for (int i = d->ntasks - 1; i >= 0; i--)
        if (!d->tasks[i].done) {
            t = &d->tasks[i];
            waiting++;
        }
    struct segment_rank *bell = t->bell;
    unsigned heard = atomic_load_explicit(&bell->bell, memory_order_relaxed);
    atomic_store_explicit(&bell->sleeping, 1, memory_order_relaxed);
    bool sure = membarrier_available();
    if (sure)
        /* Pairs with segment_ring: whoever stored something for us before this line
         * either sees `sleeping`, or the look below sees what it stored. */
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    else
        atomic_thread_fence(memory_order_seq_cst);
    if (!drive_once(d) && d->left) {
        struct timespec ts = {.tv_nsec = sure && waiting == 1 ? SLEEP_NS : NAP_NS};
        syscall(SYS_futex, &bell->bell, FUTEX_WAIT, heard, &ts, NULL, 0);
    }
    atomic_store_explicit(&bell->sleeping, 0, memory_order_relaxed);
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
    for (int i = 0; i < ntasks; i++)
        tasks[i].begin(&tasks[i]);
    for (;;) {
        bool moved = drive_once(&d);
        if (!d.left)
            return trncclSuccess;
        if (moved)
            check_the_idle(&d);
        else
            wait_a_little(&d, p);
        if (d.failed)
            return d.failed->result;
    }
}

trncclResult_t exec_drive_one(struct exec_task *t, const struct exec_patience *p)
{
    struct drive d = {.tasks = t, .ntasks = 1};
    t->begin(t);
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
            return t->result; /* a check ended it, or it was done on falling asleep */
    }
}
