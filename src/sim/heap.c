#include "sim/heap.h"

#include <stdlib.h>
#include <string.h>

enum { NCHILDREN = 4, FIRST_CAPACITY = 256 };

void heap_fini(struct heap *h)
{
    free(h->events);
    *h = (struct heap){0};
}

/* Bits of numbers from 0 on are ordered as the numbers are, so time and label compare as
 * one integer, without branches. */
static inline unsigned __int128 event_key(const struct heap_event *e)
{
    uint64_t bits;
    memcpy(&bits, &e->time_us, sizeof bits);
    return (unsigned __int128)bits << 64 | e->label;
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

/* Puts the event at a place or where it belongs above it. */
static inline void heap_rise(struct heap *h, size_t at, const struct heap_event *event)
{
    const unsigned __int128 key = event_key(event);
    while (at > 0) {
        size_t parent = (at - 1) / NCHILDREN;
        if (key >= event_key(&h->events[parent]))
            break;
        h->events[at] = h->events[parent];
        at = parent;
    }
    h->events[at] = *event;
}

trncclResult_t heap_push(struct heap *h, const struct heap_event *event)
{
    if (h->nevents == h->capacity)
        TRY(heap_grow(h));
    size_t at = h->nevents++;
    heap_rise(h, at, event);
    return trncclSuccess;
}

static inline size_t first_child(const struct heap *h, size_t at)
{
    size_t first = NCHILDREN * at + 1, best = first;
    unsigned __int128 key = event_key(&h->events[first]);
    size_t end = first + NCHILDREN < h->nevents ? first + NCHILDREN : h->nevents;
    for (size_t i = first + 1; i < end; i++) {
        unsigned __int128 k = event_key(&h->events[i]);
        best = k < key ? i : best;
        key = k < key ? k : key;
    }
    return best;
}

/* The gap goes down to a leaf, and the last event rises from there: it was a leaf, and
 * seldom rises far. */
bool heap_pop(struct heap *h, struct heap_event *event)
{
    if (h->nevents == 0)
        return false;
    *event = h->events[0];
    const struct heap_event last = h->events[--h->nevents];
    size_t at = 0;
    while (NCHILDREN * at + 1 < h->nevents) {
        size_t child = first_child(h, at);
        h->events[at] = h->events[child];
        at = child;
    }
    heap_rise(h, at, &last);
    return true;
}
