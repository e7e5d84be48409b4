/* Drives runs to their end and waits kindly: poll, yield, sleep.
 *
 * Ranks outnumber cores in most tests and many laptops. A waiter polls for an instant
 * (longer if every rank has a core to itself), then gives its core away between polls,
 * and after TRNCCL_SPIN_US sleeps on its bell until a peer rings. Every wait has a
 * deadline, an abort check and a name: exec_run_blocked says for whom it waits. */
#ifndef TRNCCL_EXEC_WAIT_H
#define TRNCCL_EXEC_WAIT_H

#include "exec/run.h"
#include "transports/segment.h"

/* One run and what ends it early. A chain of tasks by `next` runs one after the other. */
struct exec_task {
    struct exec_run *run;
    struct segment_rank *bell; /* this rank's; peers ring it */
    const atomic_int *fault;   /* non-zero: ask `check` at once */
    /* Asked now and then while the task waits, and rarely while others of its thread
     * move: should it go on? waited_ns: how long nothing of it has moved. Fills the error
     * text when it does not return trncclSuccess; the task then ends with that result. */
    trncclResult_t (*check)(void *context, const struct exec_run *run,
                            uint64_t waited_ns);
    void *context;
    struct exec_task *next; /* begins when this one has succeeded; or NULL */
    /* NULL, or asked until the task may begin: trncclInProgress is not yet, an error ends
     * it as a check does. Not asked of a `next`. */
    trncclResult_t (*ready)(struct exec_task *t);
    /* Called when the task begins: exec_run_start and what else the caller notes. */
    void (*begin)(struct exec_task *t);
    /* Called when it has succeeded, or when a check has ended it (the error text of this
     * thread is then the check's). */
    void (*end)(struct exec_task *t);
    void (*failed)(struct exec_task *t); /* or NULL */
    trncclResult_t
        result; /* valid when it is done, also for a chain: its first bad one */
    bool begun, done;
    uint64_t idle_since_ns;
};

/* How long to poll before yielding (polls) and before sleeping (ns). */
struct exec_patience {
    int32_t polls;
    uint64_t spin_ns;
};

/* Patience for nranks ranks on this machine's cores. Once per communicator; also
 * registers the process for membarrier, which makes ringing a sleeper free of fences. */
struct exec_patience exec_patience_for(int nranks, int64_t spin_us);
/* Begins all tasks and advances them until each is done, or one has failed: then it
 * returns that one's result and text at once and leaves the others where they stand, for
 * the caller to give up. */
trncclResult_t exec_drive(struct exec_task *tasks, int ntasks,
                          const struct exec_patience *p);
/* The same for one task without `next` and `ready`: the fastest path. */
trncclResult_t exec_drive_one(struct exec_task *task, const struct exec_patience *p);

#endif
