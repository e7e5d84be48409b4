#include "sim/heap.h"

#include <stdlib.h>

enum { NCHILDREN = 4, FIRST_CAPACITY = 256 };

void heap_fini(struct heap *h)
{
    free(h->events);
    *h = (struct heap){0};
}

static inline bool event_before(const struct heap_event *a, const struct heap_event *b)
{
    if (a->time_us != b->time_us)
        return a->time_us < b->time_us;
    if (a->label != b->label)
        return a->label < b->label;
    return a->tie < b->tie;
}

static trncclResult_t heap_grow(struct heap *h)
{
    size_t capacity = h->capacity ? 2 * h->capacity : FIRST_CAPACITY;
    struct heap_event *events = realloc(h->events, capacity * sizeof *events);
    if (!events)
        return error_set(trncclSystemError, "out of memory: a queue of %zu events",
                         capacity);
    h->events = events;
    h->capacity = capacity;
    return trncclSuccess;
}

trncclResult_t heap_push(struct heap *h, const struct heap_event *event)
{
    if (h->nevents == h->capacity)
        TRY(heap_grow(h));
    size_t at = h->nevents++;
    while (at > 0) {
        size_t parent = (at - 1) / NCHILDREN;
        if (!event_before(event, &h->events[parent]))
            break;
        h->events[at] = h->events[parent];
        at = parent;
    }
    h->events[at] = *event;
    return trncclSuccess;
}

static size_t first_child(const struct heap *h, size_t at)
{
    size_t first = NCHILDREN * at + 1, end = first + NCHILDREN;
    if (end > h->nevents)
        end = h->nevents;
    size_t best = first;
    for (size_t i = first + 1; i < end; i++)
        if (event_before(&h->events[i], &h->events[best]))
            best = i;
    return best;
}

bool heap_pop(struct heap *h, struct heap_event *event)
{
    if (h->nevents == 0)
        return false;
    *event = h->events[0];
    const struct heap_event last = h->events[--h->nevents];
    size_t at = 0;
    while (NCHILDREN * at + 1 < h->nevents) {
        size_t child = first_child(h, at);
        if (!event_before(&h->events[child], &last))
            break;
        h->events[at] = h->events[child];
        at = child;
    }
    h->events[at] = last;
    return true;
}
