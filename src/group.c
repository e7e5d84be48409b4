#include "group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "stream.h"

/* The calls of one stream, in order, and room for them in its queue. */
struct batch {
    trncclStream_t stream;
    struct stream_item *item; /* owned until it is queued */
    struct call *first, **last;
    struct batch *next;
};

/* The group this thread is in. */
static _Thread_local struct {
    int depth;
    struct call *first, *last; /* kept calls, owned until the end; by `after` */
    trncclResult_t
        result; /* of the first call that was refused: the group then does nothing */
    char text[ERROR_TEXT_BYTES];
} group;

/* Groups are queued one at a time, so that any two that meet on several streams meet in
 * the same order on each: else each might wait for the other. */
static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;

bool group_active(void)
{
    return group.depth > 0;
}

/* Copies a call to keep it. */
static struct call *copy_call(const struct call *call, trncclStream_t stream)
{
    struct call *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *call;
    copy->stream = stream;
    return copy;
}

static trncclResult_t keep(const struct call *call, trncclStream_t stream)
{
    struct call *copy = copy_call(call, stream);
    if (!copy)
        return error_set(trncclSystemError, "out of memory for a call in a group");
    if (group.first)
        group.last->after = copy;
    else
        group.first = copy;
    group.last = copy;
    atomic_fetch_add(&copy->comm->kept, 1);
    if (stream)
        stream_keep(stream, 1);
    return trncclSuccess;
}

/* The group lets go of what its calls name: they have tickets, or will not run. */
static void let_go(const struct call *first)
{
    for (const struct call *c = first; c; c = c->after) {
        atomic_fetch_sub(&c->comm->kept, 1);
        if (c->stream)
            stream_keep(c->stream, -1);
    }
}

static trncclResult_t queue_one(const struct call *call, trncclStream_t stream)
{
    struct stream_item *item = stream_item_create();
    struct call *copy = copy_call(call, stream);
    if (!copy || !item) {
        free(copy);
        free(item);
        return error_set(trncclSystemError, "out of memory for a queued call");
    }
    atomic_store(&copy->comm->turns.shared, true);
    call_issue(copy);
    stream_enqueue(stream, item, copy);
    return trncclSuccess;
}

trncclResult_t group_submit(struct call *call, trncclStream_t stream)
{
    if (__builtin_expect(group.depth == 0 && call_to_itself(call), 0))
        /* Says that its other end is missing. */
        return group_refuse(call, call_join(call));
    if (__builtin_expect(group.depth == 0 && !stream, 1)) {
        call->ticket = turn_take(&call->comm->turns);
        trncclResult_t result = call_run_one(call);
        call_fini(call);
        return result;
    }
    trncclResult_t result = group.depth ? keep(call, stream) : queue_one(call, stream);
    return result == trncclSuccess ? result : group_refuse(call, result);
}

trncclResult_t group_spoil(trncclResult_t result)
{
    if (group.depth && group.result == trncclSuccess && result != trncclSuccess) {
        group.result = result;
        snprintf(group.text, sizeof group.text, "%s", error_text());
    }
    return result;
}

trncclResult_t group_refuse(struct call *call, trncclResult_t result)
{
    call_fini(call);
    return group_spoil(result);
}

/* ---- the end ---- */

/* The batch of a stream, made if there is none; NULL if out of memory. */
static struct batch *batch_of(struct batch **all, trncclStream_t stream)
{
    while (*all && (*all)->stream != stream)
        all = &(*all)->next;
    if (*all)
        return *all;
    struct batch *b = calloc(1, sizeof *b);
    struct stream_item *item = stream ? stream_item_create() : NULL;
    if (!b || (stream && !item)) {
        free(b);
        return NULL;
    }
    *b = (struct batch){.stream = stream, .item = item};
    b->last = &b->first;
    *all = b;
    return b;
}

static void free_batches(struct batch *b)
{
    while (b) {
        struct batch *next = b->next;
        free(b->item);
        free(b);
        b = next;
    }
}

static void drop_kept(struct call *first)
{
    let_go(first);
    while (first) {
        struct call *after = first->after;
        call_fini(first);
        free(first);
        first = after;
    }
}

/* Sorts calls by their streams. */
static trncclResult_t make_batches(struct call *first, struct batch **all)
{
    for (struct call *c = first; c; c = c->after) {
        struct batch *b = batch_of(all, c->stream);
        if (!b)
            return error_set(trncclSystemError, "out of memory for a group's streams");
        *b->last = c;
        b->last = &c->next;
    }
    return trncclSuccess;
}

/* Queues all batches that have a stream; returns the list of the one that has none. */
static struct call *queue_batches(struct batch *all)
{
    struct call *now = NULL;
    pthread_mutex_lock(&queue_lock);
    for (struct batch *b = all; b; b = b->next) {
        if (b->stream)
            stream_enqueue(b->stream, b->item, b->first);
        else
            now = b->first;
        b->item = NULL;
    }
    pthread_mutex_unlock(&queue_lock);
    return now;
}

/* Runs the calls that were kept, or queues them. */
static trncclResult_t run_kept(struct call *first)
{
    struct batch *all = NULL;
    trncclResult_t result = make_batches(first, &all);
    for (struct batch *b = all; b && result == trncclSuccess; b = b->next)
        result = call_join(b->first);
    if (result != trncclSuccess) {
        free_batches(all);
        drop_kept(first);
        return result;
    }
    for (struct call *c = first; c; c = c->after)
        if (c->stream)
            atomic_store(&c->comm->turns.shared, true);
    call_issue(first);
    let_go(first);
    struct call *now = queue_batches(all);
    free_batches(all);
    if (now)
        result = call_run_all(now);
    stream_free_calls(now);
    return result;
}

trncclResult_t trncclGroupStart(void)
{
    if (group.depth == 0)
        group.result = trncclSuccess;
    group.depth++;
    return trncclSuccess;
}

trncclResult_t trncclGroupEnd(void)
{
    if (group.depth == 0)
        return error_set(trncclInvalidUsage,
                         "trncclGroupEnd without trncclGroupStart in this thread");
    if (--group.depth > 0)
        return trncclSuccess;
    struct call *first = group.first;
    group.first = NULL;
    trncclResult_t created = group_create_comms(group.result != trncclSuccess);
    if (group.result != trncclSuccess) {
        drop_kept(first);
        return error_set(group.result, "the group was not run: %s", group.text);
    }
    char text[ERROR_TEXT_BYTES];
    snprintf(text, sizeof text, "%s", error_text());
    trncclResult_t ran = run_kept(first);
    if (created == trncclSuccess)
        return ran;
    return created == trncclInProgress ? created : error_set(created, "%s", text);
}
