#include <stdio.h>
#include <stdlib.h>

#include "call_check.h"
#include "call_run.h"

/* ---- turns ---- */

void call_issue(struct call *first)
{
    for (struct call *c = first; c; c = c->after)
        c->comm->newest = NULL;
    for (struct call *c = first; c; c = c->after) {
        struct call *before = c->comm->newest;
        c->comm->newest = c;
        if (before && before->stream == c->stream) {
            c->turn = before->turn;
            before->turn_next = c;
            c->turn->turn_left++;
        } else {
            c->turn = c;
            c->ticket = turn_take(&c->comm->turns);
            c->turn_left = 1;
        }
    }
}

static bool turn_here(const struct call *c)
{
    return turn_has_come(&c->comm->turns, c->turn->ticket);
}

/* Nothing may touch the communicator afterwards. */
static void turn_end(struct call *leader)
{
    struct turns *turns = &leader->comm->turns;
    leader->turn_left = 0;
    for (struct call *c = leader; c; c = c->turn_next)
        call_finish(c);
    turn_pass(turns, leader->ticket);
}

/* Ends all turns that are left; those that have not come are not waited for. */
static void end_turns(struct call *list)
{
    for (struct call *c = list; c; c = c->next) {
        if (c->turn != c || !c->turn_left)
            continue;
        struct turns *turns = &c->comm->turns;
        for (struct call *d = c; d; d = d->turn_next)
            call_finish(d);
        turn_skip(turns, c->ticket);
    }
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
                             "itself in the same group and stream",
                             c->comm->rank);
        if (result != trncclSuccess)
            return comm_note(c->comm, result);
    }
    for (struct call *c = list; c; c = c->next)
        if (c->kind == CALL_RECV && call_to_itself(c) && !c->joined)
            return comm_note(
                c->comm, error_set(trncclInvalidUsage,
                                   "trncclRecv: rank %d receives from itself without a "
                                   "send to itself in the same group and stream",
                                   c->comm->rank));
    return trncclSuccess;
}

/* ---- preparing ---- */

/* A refusal is that of all calls of the turn; the communicator stays as it was. */
static trncclResult_t turn_prepare(struct call *leader)
{
    trncclResult_t result = trncclSuccess;
    if (leader->prepared)
        return result;
    leader->prepared = true;
    for (struct call *c = leader; c && result == trncclSuccess; c = c->turn_next) {
        result = call_prepare(c);
        if (result != trncclSuccess)
            call_refused(c, result);
    }
    for (struct call *c = leader; c && result != trncclSuccess; c = c->turn_next) {
        c->state = CALL_REFUSED;
        c->result = result;
    }
    return result;
}

/* What can be refused now is refused before anything begins. */
static trncclResult_t prepare_what_may_begin(struct call *list)
{
    for (struct call *c = list; c; c = c->next)
        if (c->turn == c && turn_here(c))
            TRY(turn_prepare(c));
    return trncclSuccess;
}

/* ---- tasks ---- */

static trncclResult_t task_ready(struct exec_task *t)
{
    struct call *c = t->context;
    if (turn_here(c))
        return turn_prepare(c->turn);
    TRY(comm_usable(c->comm));
    return trncclInProgress;
}

static void task_end(struct exec_task *t)
{
    struct call *c = t->context;
    call_end(t);
    if (--c->turn->turn_left == 0)
        turn_end(c->turn);
}

static void task_failed(struct exec_task *t)
{
    struct call *c = t->context;
    if (c->state != CALL_REFUSED)
        call_fail(c, t->result);
}

static struct exec_task task_of(struct call *c)
{
    struct exec_task t = call_task(c);
    t.ready = task_ready;
    t.end = task_end;
    t.failed = task_failed;
    return t;
}

/* Calls of a turn that must follow each other: collectives, sends to one peer, receives
 * from one peer. */
static bool same_queue(const struct call *a, const struct call *b)
{
    return a->kind == b->kind && (a->kind == CALL_COLLECTIVE || a->root == b->root);
}

/* Makes the calls' tasks and chains them into queues; the head of each becomes a task to
 * drive. Returns how many. */
static int make_queues(struct call *list, struct exec_task *tasks,
                       struct exec_task *heads)
{
    int n = 0;
    for (struct call *c = list; c; c = c->next) {
        struct call *before = NULL;
        c->task = tasks++;
        *c->task = task_of(c);
        for (struct call *b = c->turn; b != c; b = b->turn_next)
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

/* Nobody would wait any longer for the calls that have not ended. If nothing has begun
 * they are refused with the one that was, and their communicators stay as they were; else
 * they end, since what was sent cannot be taken back. Leaves the error text as it was. */
static void give_up(struct call *list, trncclResult_t result)
{
    char cause[ERROR_TEXT_BYTES];
    snprintf(cause, sizeof cause, "%s", error_text());
    bool begun = false;
    for (struct call *c = list; c; c = c->next)
        begun |= c->state >= CALL_BEGUN;
    for (struct call *c = list; c; c = c->next) {
        if (c->state == CALL_ENDED || c->state == CALL_REFUSED)
            continue;
        if (begun)
            call_fail(c, last_words(c, cause));
        else
            c->result = result;
    }
    error_set(result, "%s", cause);
}

/* ---- lists ---- */

/* tasks has room for one per call and as many again for the heads of queues. */
static trncclResult_t run_together(struct call *list, int ncalls, struct exec_task *tasks)
{
    TRY(prepare_what_may_begin(list));
    struct exec_task *heads = tasks + ncalls;
    /* Not that of the communicator, which may be gone before the list has ended. */
    struct exec_patience patience = list->comm->patience;
    return exec_drive(heads, make_queues(list, tasks, heads), &patience);
}

/* Counts the calls, and tells whether all are of one communicator. */
static bool of_one_comm(const struct call *list, int *ncalls)
{
    bool one = true;
    *ncalls = 0;
    for (const struct call *c = list; c; c = c->next, ++*ncalls)
        one &= c->comm == list->comm;
    return one;
}

trncclResult_t call_run_all(struct call *list)
{
    if (!list->next)
        return call_run_one(list);
    int ncalls;
    /* There is nothing to do before the first turn, so this need not be polled for. If it
     * does not come, that is found when the calls are asked whether they may begin. */
    if (of_one_comm(list, &ncalls) && !turn_here(list))
        (void)call_wait_turn(list);
    struct exec_task *tasks = calloc(2 * (size_t)ncalls, sizeof *tasks);
    trncclResult_t result = trncclSystemError;
    if (tasks)
        result = run_together(list, ncalls, tasks);
    else
        for (struct call *c = list; c; c = c->next)
            call_fail(c,
                      error_set(result, "out of memory for a group of %d calls", ncalls));
    if (result != trncclSuccess)
        give_up(list, result);
    end_turns(list);
    free(tasks);
    return result;
}
