#include "topo/flow.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* Arcs a and a ^ 1 are the two directions of one; the second starts with nothing. */
struct flow_arc {
    int32_t to;
    int32_t next; /* of the same vertex, -1: last */
    int64_t residual, capacity;
};

struct flow {
    int32_t nvertices, narcs, room;
    struct flow_arc *arcs; /* [room]; owned, like all below */
    int32_t *head;         /* [nvertices] first arc, -1: none */
    int32_t *level;        /* [nvertices] distance from the source, -1: out of reach */
    int32_t *cursor;       /* [nvertices] the arc to try next */
    int32_t *stack;        /* [nvertices] queue of the levels; then the path's arcs */
};

trncclResult_t flow_create(int32_t nvertices, int32_t max_arcs, struct flow **out)
{
    if (nvertices < 1 || max_arcs < 0 || max_arcs > INT32_MAX / 2)
        return error_set(trncclInvalidArgument,
                         "a flow network needs at least 1 vertex and 0 arcs, not %" PRId32
                         " and %" PRId32,
                         nvertices, max_arcs);
    struct flow *f = calloc(1, sizeof *f);
    if (!f)
        return error_set(trncclSystemError, "no memory for a flow network");
    size_t n = (size_t)nvertices;
    f->nvertices = nvertices;
    f->room = 2 * max_arcs;
    f->arcs = malloc(((size_t)f->room + 1) * sizeof *f->arcs);
    f->head = malloc(n * sizeof *f->head);
    f->level = malloc(n * sizeof *f->level);
    f->cursor = malloc(n * sizeof *f->cursor);
    f->stack = malloc(n * sizeof *f->stack);
    if (!f->arcs || !f->head || !f->level || !f->cursor || !f->stack) {
        flow_destroy(f);
        return error_set(trncclSystemError,
                         "no memory for a flow network of %" PRId32
                         " vertices and %" PRId32 " arcs",
                         nvertices, max_arcs);
    }
    flow_clear(f);
    *out = f;
    return trncclSuccess;
}

void flow_destroy(struct flow *f)
{
    if (!f)
        return;
    free(f->arcs);
    free(f->head);
    free(f->level);
    free(f->cursor);
    free(f->stack);
    free(f);
}

void flow_clear(struct flow *f)
{
    f->narcs = 0;
    for (int32_t v = 0; v < f->nvertices; v++)
        f->head[v] = -1;
}

static void add_half(struct flow *f, int32_t from, int32_t to, int64_t capacity)
{
    f->arcs[f->narcs] = (struct flow_arc){
        .to = to, .next = f->head[from], .residual = capacity, .capacity = capacity};
    f->head[from] = f->narcs++;
}

int32_t flow_add(struct flow *f, int32_t from, int32_t to, int64_t capacity)
{
    assert(f->narcs + 2 <= f->room);
    assert(from >= 0 && from < f->nvertices && to >= 0 && to < f->nvertices);
    assert(capacity >= 0 && capacity <= FLOW_INFINITE);
    add_half(f, from, to, capacity);
    add_half(f, to, from, 0);
    return f->narcs / 2 - 1;
}

void flow_set(struct flow *f, int32_t arc, int64_t capacity)
{
    assert(arc >= 0 && arc < f->narcs / 2 && capacity >= 0 && capacity <= FLOW_INFINITE);
    struct flow_arc *a = &f->arcs[2 * arc];
    assert(a->residual == a->capacity);
    a->residual = a->capacity = capacity;
}

void flow_reset(struct flow *f)
{
    for (int32_t a = 0; a < f->narcs; a++)
        f->arcs[a].residual = f->arcs[a].capacity;
}

int64_t flow_on(const struct flow *f, int32_t arc)
{
    return f->arcs[2 * arc].capacity - f->arcs[2 * arc].residual;
}

/* Distances from the source over arcs with something left, until the sink has one. */
static bool find_levels(struct flow *f, int32_t source, int32_t sink)
{
    for (int32_t v = 0; v < f->nvertices; v++) {
        f->level[v] = -1;
        f->cursor[v] = f->head[v];
    }
    int32_t *queue = f->stack;
    int32_t count = 0;
    f->level[source] = 0;
    queue[count++] = source;
    for (int32_t i = 0; i < count; i++) {
        int32_t v = queue[i];
        if (v == sink)
            return true;
        for (int32_t a = f->head[v]; a >= 0; a = f->arcs[a].next) {
            int32_t to = f->arcs[a].to;
            if (f->arcs[a].residual > 0 && f->level[to] < 0) {
                f->level[to] = f->level[v] + 1;
                queue[count++] = to;
            }
        }
    }
    return false;
}

/* Sends as much as the path on the stack takes; returns how much, and in *depth how many
 * arcs of the path, from the source on, still have something left. */
static int64_t send_along(struct flow *f, int64_t limit, int32_t *depth)
{
    int64_t amount = limit;
    for (int32_t i = 0; i < *depth; i++)
        if (f->arcs[f->stack[i]].residual < amount)
            amount = f->arcs[f->stack[i]].residual;
    int32_t keep = *depth;
    for (int32_t i = *depth - 1; i >= 0; i--) {
        f->arcs[f->stack[i]].residual -= amount;
        f->arcs[f->stack[i] ^ 1].residual += amount;
        if (f->arcs[f->stack[i]].residual == 0)
            keep = i;
    }
    *depth = keep;
    return amount;
}

/* All shortest paths of this round, found by walking forward and back: no recursion,
 * since a graph may be deep. */
static int64_t send_shortest(struct flow *f, int32_t source, int32_t sink, int64_t limit)
{
    int64_t sent = 0;
    int32_t depth = 0, v = source;
    while (sent < limit) {
        if (v == sink) {
            sent += send_along(f, limit - sent, &depth);
            v = depth ? f->arcs[f->stack[depth - 1]].to : source;
            continue;
        }
        int32_t a = f->cursor[v];
        while (a >= 0 &&
               !(f->arcs[a].residual > 0 && f->level[f->arcs[a].to] == f->level[v] + 1))
            a = f->arcs[a].next;
        f->cursor[v] = a;
        if (a >= 0) {
            f->stack[depth++] = a;
            v = f->arcs[a].to;
        } else if (depth > 0) {
            f->level[v] = -1; /* a dead end for the rest of this round */
            a = f->stack[--depth];
            v = f->arcs[a ^ 1].to;
        } else {
            break;
        }
    }
    return sent;
}

int64_t flow_run(struct flow *f, int32_t source, int32_t sink, int64_t limit)
{
    assert(source != sink);
    int64_t sent = 0;
    while (sent < limit && find_levels(f, source, sink))
        sent += send_shortest(f, source, sink, limit - sent);
    return sent;
}

void flow_cut(struct flow *f, int32_t source, bool *side)
{
    find_levels(f, source, -1);
    for (int32_t v = 0; v < f->nvertices; v++)
        side[v] = f->level[v] >= 0;
}
