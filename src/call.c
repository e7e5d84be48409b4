#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "call_bind.h"
#include "call_check.h"
#include "call_run.h"
#include "mem/alloc.h"
#include "record.h"

/* Results of this size and more are written past the cache; below it the next reader
 * finds them there. From the prototype's measurements on AMD EPYC 7003 with 32 MiB of
 * level 3; not swept with this library. */
#define STREAM_NBYTES ((size_t)8 << 20)

/* ---- running ---- */

static void call_begin(struct exec_task *t)
{
    struct call *c = t->context;
    struct trncclComm *comm = c->comm;
    struct exec_run *run = t->run = c->run;
    c->state = CALL_BEGUN;
    run->program = c->program;
    run->combine = c->combine;
    run->sig = c->sig;
    if (c->kind == CALL_COLLECTIVE) {
        c->seq = ++comm->seq;
        run->sig = record_write(c);
    }
    run->base[SCHED_IN] = (char *)(uintptr_t)c->send;
    run->base[SCHED_OUT] = c->recv;
    run->base[SCHED_TMP] = comm->scratch;
    run->region[SCHED_IN] = run->region[SCHED_OUT] = NULL;
    if (c->program->lends || c->program->posts) {
        size_t nbytes = c->program->total_nbytes;
        run->region[SCHED_IN] = c->send ? alloc_find(c->send, 1) : NULL;
        run->region[SCHED_OUT] = c->recv ? alloc_find(c->recv, 1) : NULL;
        run->stream = nbytes >= STREAM_NBYTES;
    } else {
        run->stream = false;
    }
    exec_run_start(run);
}

void call_end(struct exec_task *t)
{
    struct call *c = t->context;
    c->state = CALL_ENDED;
    if (c->kind != CALL_COLLECTIVE) {
        c->comm->last_algo = "";
        return;
    }
    c->comm->last_algo = c->coll == SCHED_PERMUTE ? "" : c->program->sched->algo;
    atomic_store_explicit(&c->comm->mine->completed, c->seq, memory_order_relaxed);
}

/* The fault is set before the caller can free what a peer may still be using:
 * host_memory.c relies on that. */
void call_fail(struct call *c, trncclResult_t result)
{
    c->state = CALL_ENDED;
    c->result = result;
    if (atomic_load(&c->comm->aborted))
        comm_tell_abort(c->comm);
    else
        host_fault(c->comm->host, result, true, error_text());
    comm_note(c->comm, result);
}

static void call_failed(struct exec_task *t)
{
    call_fail(t->context, t->result);
}

trncclResult_t call_refused(struct call *c, trncclResult_t result)
{
    c->result = result;
    if ((result == trncclSystemError || result == trncclInternalError) && c->comm->host)
        host_fault(c->comm->host, result, true, error_text());
    return comm_note(c->comm, result);
}

/* Grows TMP; the contents are of no further use. */
static trncclResult_t reserve_scratch(struct trncclComm *comm, size_t nbytes)
{
    char *p = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    if (!p)
        return error_set(trncclSystemError,
                         "out of memory: the algorithm needs %zu bytes of "
                         "scratch",
                         nbytes);
    free(comm->scratch);
    comm->scratch = p;
    comm->scratch_nbytes = nbytes;
    return trncclSuccess;
}

/* Inlined into call_run_one. */
static inline trncclResult_t prepare(struct call *c)
{
    struct trncclComm *comm = c->comm;
    TRY(comm_usable(comm));
    TRY(call_lookup(c));
    if (c->program->tmp_nbytes > comm->scratch_nbytes)
        TRY(reserve_scratch(comm, c->program->tmp_nbytes));
    c->run = &comm->run;
    if (c->kind != CALL_COLLECTIVE) {
        TRY(call_own(c));
        c->run = c->owned->run = calloc(1, sizeof *c->run);
        if (!c->run)
            return error_set(trncclSystemError, "out of memory for a %s", c->name);
    }
    return exec_run_fits(c->run, c->program) ? trncclSuccess
                                             : exec_run_reserve(c->run, c->program);
}

trncclResult_t call_prepare(struct call *c)
{
    return prepare(c);
}

/* Inlined into call_run_one. */
static inline struct exec_task task_of(struct call *c)
{
    return (struct exec_task){.bell = c->comm->mine,
                              .fault = &c->comm->host->fault,
                              .check = call_check,
                              .context = c,
                              .begin = call_begin,
                              .end = call_end,
                              .failed = call_failed};
}

struct exec_task call_task(struct call *c)
{
    return task_of(c);
}

/* Inlined into call_run_one. */
static inline void finish(struct call *c)
{
    int none = trncclSuccess;
    if (__builtin_expect(c->result != trncclSuccess && c->stream, 0))
        atomic_compare_exchange_strong(&c->comm->async_result, &none, (int)c->result);
    call_unbind(c);
}

void call_finish(struct call *c)
{
    finish(c);
}

/* How often a call that waits for its turn looks at the communicator. The calls before it
 * may be held up on their stream by what has nothing to do with the communicator. */
#define TURN_CHECK_NS 20000000

trncclResult_t call_wait_turn(struct call *c)
{
    while (!turn_wait(&c->comm->turns, c->ticket, TURN_CHECK_NS))
        TRY(comm_usable(c->comm));
    return trncclSuccess;
}

/* The turn of a call will not be waited for. */
static trncclResult_t call_leave(struct call *c, trncclResult_t result)
{
    struct turns *turns = &c->comm->turns;
    call_fail(c, result);
    finish(c);
    turn_skip(turns, c->ticket);
    return result;
}

trncclResult_t call_run_one(struct call *c)
{
    struct turns *turns = &c->comm->turns;
    trncclResult_t result = trncclSuccess;
    if (__builtin_expect(!turn_has_come(turns, c->ticket), 0)) {
        result = call_wait_turn(c);
        if (result != trncclSuccess)
            return call_leave(c, result);
    }
    result = prepare(c);
    if (__builtin_expect(result == trncclSuccess, 1)) {
        struct exec_task task = task_of(c);
        result = exec_drive_one(&task, &c->comm->patience);
    } else {
        result = call_refused(c, result);
    }
    finish(c);
    turn_pass(turns, c->ticket);
    return result;
}
