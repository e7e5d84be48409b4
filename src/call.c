#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "call_bind.h"
#include "call_check.h"
#include "mem/alloc.h"
#include "record.h"

/* Results of this size and more are written past the cache; below it the next reader
 * finds them there. From the prototype's measurements on AMD EPYC 7003 with 32 MiB of
 * level 3; not swept with this library. */
#define STREAM_NBYTES ((size_t)8 << 20)

/* ---- running ---- */

static inline struct call *task_call(struct exec_task *t)
{
    return t->context;
}

static void call_begin(struct exec_task *t)
{
    struct call *c = task_call(t);
    struct trncclComm *comm = c->comm;
    struct exec_run *run = t->run;
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

static void call_end(struct exec_task *t)
{
    struct call *c = task_call(t);
    if (c->kind != CALL_COLLECTIVE) {
        c->comm->last_algo = "";
        return;
    }
    c->comm->last_algo = c->coll == SCHED_PERMUTE ? "" : c->program->sched->algo;
    atomic_store_explicit(&c->comm->mine->completed, c->seq, memory_order_relaxed);
}

/* A call that failed ends the communicator: what its peers were sent cannot be taken
 * back. (A refusal before anything was sent leaves it as it was.) The fault is set before
 * the caller can free what a peer may still be using: host_memory.c relies on that. */
static void call_failed(struct exec_task *t)
{
    struct call *c = task_call(t);
    if (atomic_load(&c->comm->aborted))
        comm_tell_abort(c->comm);
    else
        host_fault(c->comm->host, t->result, true, error_text());
    comm_note(c->comm, t->result);
}

/* A call that could not be prepared. What is wrong with its arguments is wrong on every
 * rank; but where only this rank failed the others wait for it, and must be told. */
static trncclResult_t call_refused(struct call *c, trncclResult_t result)
{
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

/* Finds everything the call needs; task is filled for exec_drive. */
static inline trncclResult_t call_prepare(struct call *c, struct exec_task *task)
{
    struct trncclComm *comm = c->comm;
    TRY(comm_usable(comm));
    TRY(call_lookup(c));
    if (c->program->tmp_nbytes > comm->scratch_nbytes)
        TRY(reserve_scratch(comm, c->program->tmp_nbytes));
    struct exec_run *run = &comm->run;
    if (c->kind != CALL_COLLECTIVE) {
        TRY(call_own(c));
        run = c->owned->run = calloc(1, sizeof *run);
        if (!run)
            return error_set(trncclSystemError, "out of memory for a %s", c->name);
    }
    if (!exec_run_fits(run, c->program))
        TRY(exec_run_reserve(run, c->program));
    c->task = task;
    *task = (struct exec_task){.run = run,
                               .bell = comm->mine,
                               .fault = &comm->host->fault,
                               .check = call_check,
                               .context = c,
                               .begin = call_begin,
                               .end = call_end,
                               .failed = call_failed};
    return trncclSuccess;
}

/* ---- turns ---- */

static bool first_of_comm(const struct call *list, const struct call *c)
{
    for (; list != c; list = list->next)
        if (list->comm == c->comm)
            return false;
    return true;
}

void call_issue(struct call *list)
{
    for (struct call *c = list; c; c = c->next)
        if ((c->leads = first_of_comm(list, c)))
            c->ticket = turn_take(&c->comm->turns);
}

/* All that a call still does to its communicator; then its turn may be passed, and the
 * communicator may be gone. */
static inline void call_finish(struct call *c, trncclResult_t result)
{
    int none = trncclSuccess;
    if (__builtin_expect(result != trncclSuccess && c->stream, 0))
        atomic_compare_exchange_strong(&c->comm->async_result, &none, (int)result);
    call_unbind(c);
}

/* ---- sends of a rank to itself ---- */

static inline bool to_itself(const struct call *c)
{
    return c->kind != CALL_COLLECTIVE && c->root == c->comm->rank;
}

static struct call *next_receive(struct call *list, const struct call *send)
{
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && c->comm == send->comm && to_itself(c) && !c->joined)
            return c;
    return NULL;
}

/* The send becomes a copy into the receive's buffer; nothing is left for the receive. */
static trncclResult_t join_pair(struct call *send, struct call *recv)
{
    if (send->count != recv->count || send->type != recv->type)
        return error_set(trncclInvalidUsage,
                         "rank %d sends itself %zu %s, but receives %zu %s",
                         send->comm->rank, send->count, combine_type_name(send->type),
                         recv->count, combine_type_name(recv->type));
    send->recv = recv->recv;
    recv->count = 0;
    recv->joined = true;
    return trncclSuccess;
}

/* Neither end of a message to oneself can wait for the other, so both must be in one
 * list. Joins the k-th send with the k-th receive. */
static trncclResult_t join_to_itself(struct call *list)
{
    for (struct call *c = list; c; c = c->next) {
        if (c->kind != CALL_SEND || !to_itself(c))
            continue;
        struct call *recv = next_receive(list, c);
        trncclResult_t result =
            recv ? join_pair(c, recv)
                 : error_set(trncclInvalidUsage,
                             "trncclSend: rank %d sends to itself without a receive from "
                             "itself in the same group",
                             c->comm->rank);
        if (result != trncclSuccess)
            return call_refused(c, result);
    }
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && to_itself(c) && !c->joined)
            return comm_note(
                c->comm, error_set(trncclInvalidUsage,
                                   "trncclRecv: rank %d receives from itself without a "
                                   "send to itself in the same group",
                                   c->comm->rank));
    return trncclSuccess;
}

/* ---- lists of calls ---- */

trncclResult_t call_run_one(struct call *c)
{
    struct turns *turns = &c->comm->turns;
    turn_wait(turns, c->ticket);
    struct exec_task task;
    trncclResult_t result = trncclSuccess;
    if (__builtin_expect(to_itself(c), 0))
        result = join_to_itself(c); /* which says that its other end is missing */
    if (__builtin_expect(result == trncclSuccess, 1))
        result = call_prepare(c, &task);
    if (__builtin_expect(result == trncclSuccess, 1))
        result = exec_drive_one(&task, &c->comm->patience);
    else
        result = call_refused(c, result);
    call_finish(c, result);
    turn_pass(turns, c->ticket);
    return result;
}

/* Calls that must follow each other: collectives of one communicator, sends to one peer,
 * receives from one peer. */
static bool same_queue(const struct call *a, const struct call *b)
{
    return a->comm == b->comm && a->kind == b->kind &&
           (a->kind == CALL_COLLECTIVE || a->root == b->root);
}

/* Chains the calls into queues; the head of each becomes a task to drive. */
static int make_queues(struct call *list, struct exec_task *heads)
{
    int n = 0;
    for (struct call *c = list; c; c = c->next) {
        struct call *before = NULL;
        for (struct call *b = list; b != c; b = b->next)
            if (same_queue(b, c))
                before = b;
        if (before)
            before->task->next = c->task;
        else
            c->heads_queue = true;
    }
    for (struct call *c = list; c; c = c->next)
        if (c->heads_queue)
            heads[n++] = *c->task;
    return n;
}

/* tasks has room for one per call and as many again for the heads of queues. */
static trncclResult_t run_together(struct call *list, int ncalls, struct exec_task *tasks)
{
    int n = 0;
    TRY(join_to_itself(list));
    for (struct call *c = list; c; c = c->next) {
        trncclResult_t result = call_prepare(c, &tasks[n++]);
        if (result != trncclSuccess)
            return comm_note(c->comm, result);
    }
    struct exec_task *heads = tasks + ncalls;
    n = make_queues(list, heads);
    return exec_drive(heads, n, &list->comm->patience);
}

trncclResult_t call_run_all(struct call *list)
{
    if (list && !list->next)
        return call_run_one(list);
    int ncalls = 0;
    trncclResult_t result = trncclSuccess;
    for (struct call *c = list; c; c = c->next) {
        if (c->leads)
            turn_wait(&c->comm->turns, c->ticket);
        ncalls++;
    }
    struct exec_task *tasks = calloc(2 * (size_t)ncalls + 1, sizeof *tasks);
    if (!tasks)
        result =
            error_set(trncclSystemError, "out of memory for a group of %d calls", ncalls);
    else if (ncalls)
        result = run_together(list, ncalls, tasks);
    free(tasks);
    for (struct call *c = list; c; c = c->next)
        call_finish(c, result);
    for (struct call *c = list; c; c = c->next)
        if (c->leads)
            turn_pass(&c->comm->turns, c->ticket);
    return result;
}
