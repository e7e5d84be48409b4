#include "transports/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum ring_kind { RING_INLINE = 1, RING_SLOT, RING_LENT, RING_LANDED };

/* ---- what ThreadSanitizer cannot see ---- */

/* It sees this process only. Where a thread pushes into another process's buffer, and
 * that process lends it on to a second thread here, their accesses are ordered by what
 * happens elsewhere: told with every message that goes there, heard with every one that
 * comes. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char elsewhere;
static inline void ring_tell(const struct ring_conn *c)
{
    if (c->foreign)
        __tsan_release(&elsewhere);
}
static inline void ring_hear(const struct ring_conn *c)
{
    if (c->foreign)
        __tsan_acquire(&elsewhere);
}
#else
static inline void ring_tell(const struct ring_conn *c)
{
    (void)c;
}
static inline void ring_hear(const struct ring_conn *c)
{
    (void)c;
}
#endif

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
        .foreign = memcmp(t->env.places[t->env.rank].process, t->env.places[peer].process,
                          sizeof t->env.places[peer].process) != 0,
    };
    t->conns[t->nconns++] = c;
    *out = &c->base;
    return trncclSuccess;
}

/* ---- after an error ---- */

static void *broken_reserve(struct transport_conn *c, size_t nbytes,
                            const struct transport_source *src)
{
    (void)c, (void)nbytes, (void)src;
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
    ring_hear(c);
    return c->base.next - c->released_seen < room;
}

/* The landing place the receiver has posted for message c->next, or NULL. */
static void *ring_posted(struct ring_conn *c, size_t nbytes)
{
    struct segment_post *p = &c->shared->posts[c->base.next % SEGMENT_CELLS];
    /* Pairs with the store in ring_post. */
    if (atomic_load_explicit(&p->seq, memory_order_acquire) != c->base.next + 1)
        return NULL;
    ring_hear(c);
    return c->memory->find(c, p->region, p->offset, nbytes, NULL);
}

/* How many attempts a message that could be lent waits for the receiver to name a landing
 * place, if it named one for the last such message. Pushing into it saves a pass over the
 * data, and pushing and lending in turn would move the receiver's lines to and fro; but
 * the receiver may be late, or have another buffer by now, so the wait is short. */
#define RING_PATIENCE 128

/* Whether to ask again for a landing place of message c->next. */
static bool ring_await_post(struct ring_conn *c)
{
    if (c->waited >= RING_PATIENCE || !c->spread)
        return false;
    const struct segment_post *p = &c->shared->posts[(c->spread - 1) % SEGMENT_CELLS];
    /* A guess from the past: nothing is read on the strength of it. */
    uint32_t seq = atomic_load_explicit(&p->seq, memory_order_relaxed);
    if ((int32_t)(seq - c->spread) < 0)
        return false;
    c->waited++;
    return true;
}

/* The message's own place, if the peer can get at it there. */
static void *ring_lend(struct ring_conn *c, size_t nbytes,
                       const struct transport_source *src)
{
    if (!src || !c->memory->describe(c, src, nbytes, &c->region, &c->offset))
        return NULL;
    c->kind = RING_LENT;
    return (void *)src->at;
}

/* Without a copy in between: lent where the bytes are written for this message only and
 * the peer has them mapped; else written to where the receiver wants them; else lent.
 * NULL with *again: not yet. */
static void *ring_reserve_direct(struct ring_conn *c, size_t nbytes,
                                 const struct transport_source *src, bool *again)
{
    bool mapped = src && (src->region || c->base.ops->caps & TRANSPORT_ANY_MEMORY);
    void *place = NULL;
    if (mapped && !src->also_written)
        place = ring_lend(c, nbytes, src);
    if (place || c->base.error)
        return place;
    place = ring_posted(c, nbytes);
    if (place) {
        c->kind = RING_LANDED;
        c->base.staged = false;
    } else if (!c->base.error) {
        *again = mapped && src->also_written && ring_await_post(c);
        if (!*again)
            place = ring_lend(c, nbytes, src);
    }
    if (place && src && src->also_written) {
        c->spread = c->base.next + 1;
        c->waited = 0;
    }
    return place;
}

/* A message too large for its cell. */
static void *ring_reserve_large(struct ring_conn *c, size_t nbytes,
                                const struct transport_source *src)
{
    if (!ring_has_room(c, SEGMENT_CELLS))
        return NULL;
    if (nbytes >= c->env->lend_nbytes) {
        bool again = false;
        void *place = ring_reserve_direct(c, nbytes, src, &again);
        if (c->base.error)
            return ring_break(c);
        if (place || again)
            return place;
    }
    assert(nbytes <= TRANSPORT_MAX_MESSAGE); /* longer ones can always be lent */
    if (!ring_has_room(c, c->nslots))
        return NULL;
    c->kind = RING_SLOT;
    c->base.staged = true;
    return segment_slot(c->slots, c->nslots, c->base.next, nbytes);
}

void *ring_reserve(struct transport_conn *base, size_t nbytes,
                   const struct transport_source *src)
{
    struct ring_conn *c = (struct ring_conn *)base;
    if (__builtin_expect(nbytes > SEGMENT_INLINE, 0))
        return ring_reserve_large(c, nbytes, src);
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
    ring_tell(c);
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
    ring_hear(c);
    return (int32_t)(c->released_seen - message) > 0;
}

/* ---- receiving ---- */

void ring_post(struct transport_conn *base, uint32_t message, void *dst, size_t nbytes,
               const struct mem_region *region)
{
    struct ring_conn *c = (struct ring_conn *)base;
    if (nbytes < c->env->lend_nbytes || message - base->next >= SEGMENT_CELLS)
        return;
    if (c->landing[message % SEGMENT_CELLS].message == message + 1)
        return; /* named already, and the sender may be reading the name */
    c->landing[message % SEGMENT_CELLS].dst = dst;
    c->landing[message % SEGMENT_CELLS].message = message + 1;
    /* A peer can write only where it can map. */
    if (!region && !(base->ops->caps & TRANSPORT_ANY_MEMORY))
        return;
    uint64_t id, offset;
    const struct transport_source landing = {.at = dst, .region = region};
    if (!c->memory->describe(c, &landing, nbytes, &id, &offset)) {
        /* A peer that has left needs no name: what it had to send is here. Whether it is,
         * peek finds out. */
        if (c->base.error == trncclRemoteError)
            c->base.error = trncclSuccess;
        else if (c->base.error)
            ring_break(c);
        return;
    }
    struct segment_post *p = &c->shared->posts[message % SEGMENT_CELLS];
    p->region = (uint32_t)id;
    p->offset = offset;
    ring_tell(c);
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

/* Where this rank wants the next message, or NULL. */
static void *ring_landing(const struct ring_conn *c)
{
    uint32_t i = c->base.next % SEGMENT_CELLS;
    return c->landing[i].message == c->base.next + 1 ? c->landing[i].dst : NULL;
}

static const void *ring_find_large(struct ring_conn *c, const struct segment_cell *cell,
                                   size_t nbytes)
{
    switch (cell->kind) {
    case RING_SLOT:
        return segment_slot(c->slots, c->nslots, c->base.next, nbytes);
    case RING_LENT: {
        uint64_t region = cell->place.region, offset = cell->place.offset;
        void *p = c->memory->find(c, region, offset, nbytes, ring_landing(c));
        return p ? p : ring_break(c);
    }
    case RING_LANDED:
        if (ring_landing(c))
            return ring_landing(c);
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
    ring_hear(c);
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
    ring_tell(c);
    /* Pairs with the loads in ring_has_room and ring_drained: this rank has read it. */
    atomic_store_explicit(&c->shared->released, base->next, memory_order_release);
    segment_ring(c->peer_rank);
}
