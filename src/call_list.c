#include <stdio.h>
#include <stdlib.h>

#include "call_check.h"
#include "call_run.h"

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

/* ---- sends of a rank to itself ---- */

static struct call *next_receive(struct call *list, const struct call *send)
{
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && c->comm == send->comm && call_to_itself(c) &&
            !c->joined)
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

trncclResult_t call_join(struct call *list)
{
    for (struct call *c = list; c; c = c->next) {
        if (c->kind != CALL_SEND || !call_to_itself(c))
            continue;
        struct call *recv = next_receive(list, c);
        trncclResult_t result =
            recv ? join_pair(c, recv)
                 : error_set(trncclInvalidUsage,
                             "trncclSend: rank %d sends to itself without a receive from "
                             "itself in the same group",
                             c->comm->rank);
        if (result != trncclSuccess)
            return comm_note(c->comm, result);
    }
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && call_to_itself(c) && !c->joined)
            return comm_note(
                c->comm, error_set(trncclInvalidUsage,
                                   "trncclRecv: rank %d receives from itself without a "
                                   "send to itself in the same group",
                                   c->comm->rank));
    return trncclSuccess;
}

/* ---- running together ---- */

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

/* All of them, before the first begins: a refusal then leaves every communicator as it
 * was. */
static trncclResult_t prepare_all(struct call *list, struct exec_task *tasks)
{
    TRY(call_join(list));
    for (struct call *c = list; c; c = c->next) {
        trncclResult_t result = call_prepare(c);
        if (result != trncclSuccess)
            return call_refused(c, result);
        c->task = tasks++;
        *c->task = call_task(c);
    }
    return trncclSuccess;
}

/* ---- when one has failed ---- */

/* Why a call that has not ended should not go on: what it knows itself, or else what the
 * call that failed said. */
static trncclResult_t last_words(struct call *c, const char *cause)
{
    TRY(c->state == CALL_BEGUN ? call_check(c, c->run, 0) : comm_usable(c->comm));
    return error_set(
        trncclRemoteError,
        "%s of rank %d was given up because another call of its group failed: "
        "%.800s",
        c->name, c->comm->rank, cause);
}

/* Nobody would wait for these calls any longer, and what they have sent cannot be taken
 * back: their communicators end, too. Leaves the error text as it was. */
static void give_up(struct call *list, trncclResult_t result)
{
    char cause[ERROR_TEXT_BYTES];
    snprintf(cause, sizeof cause, "%s", error_text());
    for (struct call *c = list; c; c = c->next)
        if (c->state != CALL_ENDED)
            call_fail(c, last_words(c, cause));
    error_set(result, "%s", cause);
}

/* tasks has room for one per call and as many again for the heads of queues. */
static trncclResult_t run_together(struct call *list, int ncalls, struct exec_task *tasks)
{
    trncclResult_t result = prepare_all(list, tasks);
    for (struct call *c = list; c; c = c->next)
        c->result = result;
    if (result != trncclSuccess)
        return result;
    struct exec_task *heads = tasks + ncalls;
    result = exec_drive(heads, make_queues(list, heads), &list->comm->patience);
    if (result != trncclSuccess)
        give_up(list, result);
    return result;
}

trncclResult_t call_run_all(struct call *list)
{
    if (!list->next)
        return call_run_one(list);
    int ncalls = 0;
    for (struct call *c = list; c; c = c->next) {
        if (c->leads)
            turn_wait(&c->comm->turns, c->ticket);
        ncalls++;
    }
    struct exec_task *tasks = calloc(2 * (size_t)ncalls, sizeof *tasks);
    trncclResult_t result = trncclSystemError;
    if (tasks)
        result = run_together(list, ncalls, tasks);
    else
        for (struct call *c = list; c; c = c->next)
            call_refused(
                c, error_set(result, "out of memory for a group of %d calls", ncalls));
    free(tasks);
    for (struct call *c = list; c; c = c->next)
        call_finish(c);
    for (struct call *c = list; c; c = c->next)
        if (c->leads)
            turn_pass(&c->comm->turns, c->ticket);
    return result;
}
