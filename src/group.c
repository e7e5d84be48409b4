#include "group.h"

#include <stdio.h>
#include <stdlib.h>

#include "stream.h"

/* A kept call and where it will run. */
struct kept {
    struct call *call; /* owned until the end */
    trncclStream_t stream;
    struct kept *next;
};

/* The group this thread is in. */
static _Thread_local struct {
    int depth;
    struct kept *first, **last;
    trncclResult_t
        result; /* of the first call that was refused: the group then does nothing */
    char text[ERROR_TEXT_BYTES];
} group;

bool group_active(void)
{
    return group.depth > 0;
}

static trncclResult_t keep(const struct call *call, trncclStream_t stream)
{
    struct kept *k = malloc(sizeof *k);
    struct call *copy = malloc(sizeof *copy);
    if (!k || !copy) {
        free(k);
        free(copy);
        return error_set(trncclSystemError, "out of memory for a call in a group");
    }
    *copy = *call;
    copy->stream = stream;
    *k = (struct kept){copy, stream, NULL};
    if (!group.last)
        group.last = &group.first;
    *group.last = k;
    group.last = &k->next;
    return trncclSuccess;
}

static trncclResult_t submit_stream(struct call *list, trncclStream_t stream)
{
    for (struct call *c = list; c; c = c->next)
        atomic_store(&c->comm->turns.shared, true);
    call_issue(list);
    return stream_enqueue(stream, list);
}

trncclResult_t group_submit(struct call *call, trncclStream_t stream)
{
    if (__builtin_expect(group.depth == 0 && !stream, 1)) {
        call_issue(call);
        trncclResult_t result = call_run_one(call);
        call_fini(call);
        return result;
    }
    if (group.depth)
        return keep(call, stream);
    struct call *copy = malloc(sizeof *copy);
    if (!copy)
        return error_set(trncclSystemError, "out of memory for a queued call");
    *copy = *call;
    copy->stream = stream;
    return submit_stream(copy, stream);
}

trncclResult_t group_refuse(struct call *call, trncclResult_t result)
{
    call_fini(call);
    if (group.depth && group.result == trncclSuccess) {
        group.result = result;
        snprintf(group.text, sizeof group.text, "%s", error_text());
    }
    return result;
}

/* Takes the kept calls of one stream out of the group, in order. */
static struct call *take_stream(trncclStream_t stream)
{
    struct call *first = NULL, **last = &first;
    struct kept **at = &group.first;
    while (*at) {
        struct kept *k = *at;
        if (k->stream != stream) {
            at = &k->next;
            continue;
        }
        *last = k->call;
        k->call->next = NULL;
        last = &k->call->next;
        *at = k->next;
        free(k);
    }
    group.last = &group.first;
    while (*group.last)
        group.last = &(*group.last)->next;
    return first;
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
    trncclResult_t result = trncclSuccess;
    trncclResult_t created = group_create_comms(group.result != trncclSuccess);
    if (group.result != trncclSuccess) {
        while (group.first)
            stream_free_calls(take_stream(group.first->stream));
        return error_set(group.result, "the group was not run: %s", group.text);
    }
    if (created != trncclSuccess)
        result = created;
    struct call *now = take_stream(NULL);
    while (group.first) {
        trncclStream_t stream = group.first->stream;
        trncclResult_t queued = submit_stream(take_stream(stream), stream);
        if (result == trncclSuccess)
            result = queued;
    }
    if (!now)
        return result;
    call_issue(now);
    trncclResult_t ran = call_run_all(now);
    stream_free_calls(now);
    return result == trncclSuccess ? ran : result;
}
