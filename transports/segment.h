/* The memory that the ranks of one communicator on one host share: a page per rank (who
 * sleeps, what it is doing) and a ring per (receiver, sender, channel).
 *
 * It is one memfd, made by the first process and passed to the others, sealed against
 * shrinking. It is sparse: only pages that are used exist, so connections cost nothing
 * until their first message. Everything read from it may be garbage from a broken peer:
 * indices are read once, range-checked, then used. */
#ifndef TRNCCL_TRANSPORTS_SEGMENT_H
#define TRNCCL_TRANSPORTS_SEGMENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "util/error.h"

#define SEGMENT_RECORDS 16
#define SEGMENT_LINE 64

/* What a rank is doing: one entry of its flight record. Written by its owner, read by
 * peers; record.h says how. */
struct segment_record {
    _Atomic uint64_t mark; /* number of the collective, from 1 (its low half), then a hash
                              of all up to it; stored last; 0: never used */
    _Atomic uint64_t count;
    _Atomic uint32_t sig;
    _Atomic int32_t root;
    _Atomic uint32_t what; /* collective, type, operation: a byte each; v and exchange */
};

struct segment_rank {
    /* The bell: a waiter sets `sleeping` and waits on `bell`; whoever gives it something
     * to do and sees `sleeping` rings. */
    _Alignas(SEGMENT_LINE) atomic_uint sleeping;
    atomic_uint bell;
    _Alignas(
        SEGMENT_LINE) _Atomic uint64_t started; /* collectives this rank has started */
    _Atomic uint64_t completed;                 /* and completed */
    atomic_uint left;                           /* it has destroyed its handle */
    _Alignas(SEGMENT_LINE) struct segment_record records[SEGMENT_RECORDS];
};

#define SEGMENT_CELLS 16
#define SEGMENT_INLINE 48

/* One message of a connection; a line of its own, so that a small message and the flag
 * that announces it travel together. */
struct segment_cell {
    _Alignas(SEGMENT_LINE) _Atomic uint32_t seq; /* message number + 1, stored last */
    uint32_t nbytes;
    uint32_t sig;
    uint32_t kind;
    union {
        uint8_t data[SEGMENT_INLINE];
        struct {
            uint64_t region, offset;
        } place;
    };
};

/* Where a receiver would like a message to land. */
struct segment_post {
    _Atomic uint32_t seq; /* message number + 1, stored last */
    uint32_t region;
    uint64_t offset;
};

struct segment_conn {
    _Alignas(SEGMENT_LINE) _Atomic uint32_t
        released; /* messages given back; by the receiver */
    _Alignas(SEGMENT_LINE) struct segment_post posts[SEGMENT_CELLS]; /* by the receiver */
    struct segment_cell cells[SEGMENT_CELLS];                        /* by the sender */
};

struct segment {
    int fd;
    char *base; /* owned mapping of nbytes */
    size_t nbytes;
    int nranks, nchannels; /* ranks of this host */
    int nslots;            /* staged slots per connection, power of two */
    size_t slots_nbytes;   /* from one connection's slots to the next one's */
    size_t conns_offset, slots_offset;
};

/* Makes a segment. trncclSystemError with needed and available if the system has no room.
 */
trncclResult_t segment_create(int nranks, int nchannels, int nslots,
                              struct segment **out);
/* Maps one that another process made; takes fd over (also on error). Its size is checked
 * against what the arguments imply. */
trncclResult_t segment_attach(int fd, int nranks, int nchannels, int nslots,
                              struct segment **out);
void segment_destroy(struct segment *s); /* NULL is allowed */

static inline struct segment_rank *segment_rank(const struct segment *s, int local)
{
    return (struct segment_rank *)(s->base + (size_t)local * sizeof(struct segment_rank));
}
/* Channel by channel: most calls use the first one only, and its memory lies together. */
static inline size_t segment_index(const struct segment *s, int to, int from, int channel)
{
    return ((size_t)channel * s->nranks + to) * s->nranks + from;
}
static inline struct segment_conn *segment_conn(const struct segment *s, size_t index)
{
    return (struct segment_conn *)(s->base + s->conns_offset) + index;
}
static inline char *segment_slots(const struct segment *s, size_t index)
{
    return s->base + s->slots_offset + index * s->slots_nbytes;
}

/* Slots come in four sizes that lie apart, so that small messages stay on few pages. A
 * connection moves on by a whole slot of each size per message, whatever its size. */
static inline size_t segment_slots_total(int nslots)
{
    return (size_t)nslots * ((1u << 10) + (1u << 12) + (1u << 14) + (1u << 16));
}
/* Where message number `message` of nbytes (at most 64 KiB) is staged. */
static inline char *segment_slot(char *slots, uint32_t nslots, uint32_t message,
                                 size_t nbytes)
{
    size_t at = message & (nslots - 1), before = 0, size = 1u << 10;
    for (; size < nbytes; size *= 4)
        before += size;
    return slots + before * nslots + at * size;
}

/* Rings a rank's bell if it sleeps. Called after everything it should see is stored.
 * No fence is needed between those stores and this load: a sleeper makes every other
 * thread pass a barrier (membarrier) between announcing its sleep and its last look;
 * where the kernel has no membarrier it sleeps in short naps instead. */
void segment_ring_slow(struct segment_rank *r);
static inline void segment_ring(struct segment_rank *r)
{
    if (__builtin_expect(atomic_load_explicit(&r->sleeping, memory_order_relaxed), 0))
        segment_ring_slow(r);
}

#endif
