#include "transports/ring.h"

#include <stdlib.h>

enum ring_kind { RING_INLINE = 1, RING_SLOT, RING_LENT, RING_LANDED };

/* ---- making connections ---- */

trncclResult_t ring_open(const struct transport_env *env, const struct transport_ops *ops,
                         const struct ring_memory *memory, struct transport **out)
{
    struct ring_transport *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(trncclSystemError, "out of memory for transport %s", ops->name);
    t->env = *env;
    t->ops = ops;
    t->memory = memory;
    *out = (struct transport *)t;
    return trncclSuccess;
}

void ring_close(struct transport *transport)
{
    struct ring_transport *t = (struct ring_transport *)transport;
    if (!t)
        return;
    for (int i = 0; i < t->nconns; i++) {
        free(t->conns[i]->bounce);
        free(t->conns[i]);
    }
    free(t->conns);
    free(t);
}

trncclResult_t ring_connect(struct transport *transport, int peer, int channel,
                            bool outgoing, struct transport_conn **out)
{
    struct ring_transport *t = (struct ring_transport *)transport;
    if (t->nconns == t->capacity) {
        int capacity = t->capacity ? 2 * t->capacity : 16;
        struct ring_conn **conns = realloc(t->conns, capacity * sizeof *conns);
        if (!conns)
            return error_set(trncclSystemError,
                             "out of memory for a connection to rank %d", peer);
        t->conns = conns;
        t->capacity = capacity;
    }
    struct ring_conn *c = aligned_alloc(64, (sizeof *c + 63) / 64 * 64);
    if (!c)
        return error_set(trncclSystemError, "out of memory for a connection to rank %d",
                         peer);
    struct segment *s = t->env.segment;
    int mine = t->env.places[t->env.rank].local_index;
    int other = t->env.places[peer].local_index;
    size_t index =
        segment_index(s, outgoing ? other : mine, outgoing ? mine : other, channel);
    *c = (struct ring_conn){
        .base = {.ops = t->ops, .peer = peer, .channel = channel, .outgoing = outgoing},
        .shared = segment_conn(s, index),
        .peer_rank = segment_rank(s, other),
        .slots = segment_slots(s, index),
        .nslots = (uint32_t)s->nslots,
        .memory = t->memory,
        .transport = transport,
        .env = &t->env,
    };
    t->conns[t->nconns++] = c;
    *out = &c->base;
    return trncclSuccess;
}

/* ---- after an error ---- */

static void *broken_reserve(struct transport_conn *c, size_t nbytes, const void *src,
                            const struct mem_region *region)
{
    (void)c, (void)nbytes, (void)src, (void)region;
    return NULL;
}

static void broken_post(struct transport_conn *c, uint32_t message, void *dst,
                        size_t nbytes, const struct mem_region *region)
{
    (void)c, (void)message, (void)dst, (void)nbytes, (void)region;
}

static const void *broken_peek(struct transport_conn *c, size_t nbytes, uint32_t sig)
{
    (void)c, (void)nbytes, (void)sig;
    return NULL;
}

static const struct transport_ops ring_broken = {
    .name = "broken",
    .reserve = broken_reserve,
    .commit = ring_commit,
    .drained = ring_drained,
    .post = broken_post,
    .peek = broken_peek,
    .release = ring_release,
};

/* The error is set: a connection that has one gives nothing any more, whatever its peer
 * writes from now on. A table of its own says so, which costs good ones no question. */
static void *ring_break(struct ring_conn *c)
{
    c->base.ops = &ring_broken;
    return NULL;
}

/* ---- sending ---- */

/* Whether message c->next may be in flight with `room` messages ahead of it unreleased.
 */
static inline bool ring_has_room(struct ring_conn *c, uint32_t room)
{
    if (c->base.next - c->released_seen < room)
        return true;
    /* Pairs with the store in ring_release: what the receiver read is read. */
    c->released_seen = atomic_load_explicit(&c->shared->released, memory_order_acquire);
    return c->base.next - c->released_seen < room;
}

/* The landing place the receiver has posted for message c->next, or NULL. */
static void *ring_posted(struct ring_conn *c, size_t nbytes)
{
    struct segment_post *p = &c->shared->posts[c->base.next % SEGMENT_CELLS];
    /* Pairs with the store in ring_post. */
    if (atomic_load_explicit(&p->seq, memory_order_acquire) != c->base.next + 1)
        return NULL;
    return c->memory->find(c, p->region, p->offset, nbytes);
}

/* A message too large for its cell: lent if it can be and lies ready, else written to
 * where the receiver wants it, else staged. */
static void *ring_reserve_large(struct ring_conn *c, size_t nbytes, const void *src,
                                const struct mem_region *region)
{
    if (!ring_has_room(c, SEGMENT_CELLS))
        return NULL;
    if (nbytes >= c->env->lend_nbytes) {
        void *landing = ring_posted(c, nbytes);
        if (landing) {
            c->kind = RING_LANDED;
            c->base.staged = false;
            return landing;
        }
        if (c->base.error) /* it is not a place of this rank's */
            return ring_break(c);
        if (src && c->memory->describe(c, src, nbytes, region, &c->region, &c->offset)) {
            c->kind = RING_LENT;
            return (void *)src;
        }
        if (c->base.error)
            return ring_break(c);
    }
    if (!ring_has_room(c, c->nslots))
        return NULL;
    c->kind = RING_SLOT;
    c->base.staged = true;
    return segment_slot(c->slots, c->nslots, c->base.next, nbytes);
}

void *ring_reserve(struct transport_conn *base, size_t nbytes, const void *src,
                   const struct mem_region *region)
{
    struct ring_conn *c = (struct ring_conn *)base;
    if (__builtin_expect(nbytes > SEGMENT_INLINE, 0))
        return ring_reserve_large(c, nbytes, src, region);
    if (!ring_has_room(c, SEGMENT_CELLS))
        return NULL;
    c->kind = RING_INLINE;
    base->staged = true;
    return c->shared->cells[base->next % SEGMENT_CELLS].data;
}

void ring_commit(struct transport_conn *base, size_t nbytes, uint32_t sig)
{
    struct ring_conn *c = (struct ring_conn *)base;
    struct segment_cell *cell = &c->shared->cells[base->next % SEGMENT_CELLS];
    cell->nbytes = (uint32_t)nbytes;
    cell->sig = sig;
    cell->kind = c->kind;
    if (c->kind == RING_LENT) {
        cell->place.region = c->region;
        cell->place.offset = c->offset;
    }
    base->next++;
    /* Pairs with the load in ring_peek: the message and its header are written. */
    atomic_store_explicit(&cell->seq, base->next, memory_order_release);
    segment_ring(c->peer_rank);
}

bool ring_drained(struct transport_conn *base, uint32_t message)
{
    struct ring_conn *c = (struct ring_conn *)base;
    if ((int32_t)(c->released_seen - message) > 0)
        return true;
    c->released_seen = atomic_load_explicit(&c->shared->released, memory_order_acquire);
    return (int32_t)(c->released_seen - message) > 0;
}

/* ---- receiving ---- */

void ring_post(struct transport_conn *base, uint32_t message, void *dst, size_t nbytes,
               const struct mem_region *region)
{
    struct ring_conn *c = (struct ring_conn *)base;
    if (nbytes < c->env->lend_nbytes || message - base->next >= SEGMENT_CELLS)
        return;
    /* A peer can write only where it can map. */
    if (!region && !(base->ops->caps & TRANSPORT_ANY_MEMORY))
        return;
    uint64_t id, offset;
    if (!c->memory->describe(c, dst, nbytes, region, &id, &offset))
        return;
    if (c->landing[message % SEGMENT_CELLS].message == message + 1)
        return; /* named already, and the sender may be reading the name */
    struct segment_post *p = &c->shared->posts[message % SEGMENT_CELLS];
    p->region = (uint32_t)id;
    p->offset = offset;
    c->landing[message % SEGMENT_CELLS].dst = dst;
    c->landing[message % SEGMENT_CELLS].message = message + 1;
    /* Pairs with the load in ring_posted: the landing place is named, and whoever read it
     * before is done with it. */
    atomic_store_explicit(&p->seq, message + 1, memory_order_release);
}

/* A message that is not what this rank expects next: remembered for the error text. */
static const void *ring_refuse(struct ring_conn *c, uint32_t sig, uint32_t nbytes)
{
    c->base.error = trncclInvalidUsage;
    c->base.found_sig = sig;
    c->base.found_nbytes = nbytes;
    return ring_break(c);
}

static const void *ring_find_large(struct ring_conn *c, const struct segment_cell *cell,
                                   size_t nbytes)
{
    switch (cell->kind) {
    case RING_SLOT:
        return segment_slot(c->slots, c->nslots, c->base.next, nbytes);
    case RING_LENT: {
        uint64_t region = cell->place.region, offset = cell->place.offset;
        void *p = c->memory->find(c, region, offset, nbytes);
        return p ? p : ring_break(c);
    }
    case RING_LANDED:
        if (c->landing[c->base.next % SEGMENT_CELLS].message == c->base.next + 1)
            return c->landing[c->base.next % SEGMENT_CELLS].dst;
    }
    c->base.error = error_set(trncclInternalError,
                              "rank %d sent a message of unknown kind %u: its memory is "
                              "damaged or its version differs",
                              c->base.peer, cell->kind);
    return ring_break(c);
}

const void *ring_peek(struct transport_conn *base, size_t nbytes, uint32_t sig)
{
    struct ring_conn *c = (struct ring_conn *)base;
    struct segment_cell *cell = &c->shared->cells[base->next % SEGMENT_CELLS];
    /* Pairs with the store in ring_commit. */
    if (atomic_load_explicit(&cell->seq, memory_order_acquire) != base->next + 1)
        return NULL;
    if (__builtin_expect(cell->sig != sig || cell->nbytes != nbytes, 0))
        return ring_refuse(c, cell->sig, cell->nbytes);
    if (nbytes <= SEGMENT_INLINE)
        return cell->data;
    return ring_find_large(c, cell, nbytes);
}

void ring_release(struct transport_conn *base)
{
    struct ring_conn *c = (struct ring_conn *)base;
    base->next++;
    /* Pairs with the loads in ring_has_room and ring_drained: this rank has read it. */
    atomic_store_explicit(&c->shared->released, base->next, memory_order_release);
    segment_ring(c->peer_rank);
}
