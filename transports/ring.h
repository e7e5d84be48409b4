/* A connection over shared memory: sixteen cells, a few staged slots. The code that
 * `self` (same process) and `shm` (same host) share; they differ in how a lent address is
 * named.
 *
 *   up to 48 bytes   in the cell itself: flag and data are one cache line
 *   up to a slot     copied into slot (message % nslots), announced by a cell
 *   lent             the cell names the sender's own memory; the receiver reads it there
 *   landed           the sender wrote to where the receiver had posted
 *
 * Flow: a cell is free again when the receiver's `released` has passed its last message;
 * the sender rereads `released` only when its remembered value gives no room. */
#ifndef TRNCCL_TRANSPORTS_RING_H
#define TRNCCL_TRANSPORTS_RING_H

#include "transports/segment.h"
#include "transports/transport.h"

struct ring_conn;

/* How addresses are named to the other side. */
struct ring_memory {
    /* Names [p, p + nbytes); false if the peer cannot reach it. */
    bool (*describe)(struct ring_conn *c, const struct transport_source *src,
                     size_t nbytes, uint64_t *id, uint64_t *offset);
    /* The peer's memory of that name, here; NULL with c->base.error set if it is not
     * valid. Where it cannot be mapped it is copied: to `landing`, if that is not NULL.
     */
    void *(*find)(struct ring_conn *c, uint64_t id, uint64_t offset, size_t nbytes,
                  void *landing);
};

struct ring_conn {
    struct transport_conn base;
    struct segment_conn *shared;
    struct segment_rank *peer_rank; /* whose bell to ring */
    char *slots;
    uint32_t nslots;
    uint32_t released_seen;  /* outgoing: last value read of shared->released */
    uint32_t kind;           /* outgoing: of the reserved message */
    uint64_t region, offset; /* outgoing: of a lent one */
    /* Outgoing: the newest message whose bytes were also written elsewhere, number + 1,
     * and how often the next one has waited for a landing place. */
    uint32_t spread, waited;
    struct {
        uint32_t message; /* number + 1; 0: never */
        void *dst;
    } landing[SEGMENT_CELLS]; /* incoming: where message m was posted, by m % 16 */
    char *bounce; /* incoming: owned; where a transport that must copy puts a lent message
                   */
    const struct ring_memory *memory;
    struct transport *transport;
    const struct transport_env *env;
    bool foreign; /* the peer is in another process */
};

/* A transport whose connections are rings: the table of both. */
struct ring_transport {
    struct transport_env env;
    const struct transport_ops *ops;
    const struct ring_memory *memory;
    int nconns, capacity;
    struct ring_conn **conns; /* owned */
};

trncclResult_t ring_open(const struct transport_env *env, const struct transport_ops *ops,
                         const struct ring_memory *memory, struct transport **out);
void ring_close(struct transport *t);
trncclResult_t ring_connect(struct transport *t, int peer, int channel, bool outgoing,
                            struct transport_conn **out);
void *ring_reserve(struct transport_conn *c, size_t nbytes,
                   const struct transport_source *src);
void ring_commit(struct transport_conn *c, size_t nbytes, uint32_t sig);
bool ring_drained(struct transport_conn *c, uint32_t message);
void ring_post(struct transport_conn *c, uint32_t message, void *dst, size_t nbytes,
               const struct mem_region *region);
const void *ring_peek(struct transport_conn *c, size_t nbytes, uint32_t sig);
void ring_release(struct transport_conn *c);

#endif
