/* The flight record: what each rank says about its latest collectives, in its page of the
 * segment, and what follows from comparing two of them.
 *
 * Every collective adds its signature to a hash of all those before it, the history.
 * Messages carry the history, so no message passes between two ranks that have ever
 * called different things; the records hold it too, so two ranks that exchange no message
 * can still be compared, and both be named. */
#ifndef TRNCCL_RECORD_H
#define TRNCCL_RECORD_H

#include "call_bind.h"

struct record {
    uint64_t seq, count;
    uint32_t sig, history;
    int coll, type, op, v, exchange, root;
};

/* A record's seq (the low half of it) and history in one word. */
static inline uint64_t record_mark(uint64_t seq, uint32_t history)
{
    return seq << 32 | history;
}

/* Notes that this rank begins collective c->seq; returns what its messages carry. */
static inline uint32_t record_write(const struct call *c)
{
    struct trncclComm *comm = c->comm;
    struct segment_rank *mine = comm->mine;
    struct segment_record *r = &mine->records[c->seq % SEGMENT_RECORDS];
    comm->history = call_mix(comm->history ^ record_mark(c->seq, c->sig));
    atomic_store_explicit(&r->count, c->count, memory_order_relaxed);
    atomic_store_explicit(&r->sig, c->sig, memory_order_relaxed);
    atomic_store_explicit(&r->root, c->root, memory_order_relaxed);
    atomic_store_explicit(&r->what,
                          (uint32_t)c->coll | (uint32_t)c->type << 8 |
                              (uint32_t)c->op << 16 | (uint32_t)c->v << 24 |
                              (uint32_t)c->exchange << 25,
                          memory_order_relaxed);
    /* Pairs with the load in record_read: the record is complete. */
    atomic_store_explicit(&r->mark, record_mark(c->seq, (uint32_t)comm->history),
                          memory_order_release);
    atomic_store_explicit(&mine->started, c->seq, memory_order_relaxed);
    return (uint32_t)comm->history;
}

/* Another rank of this host's page. */
static inline struct segment_rank *record_page(const struct trncclComm *c, int rank)
{
    return segment_rank(c->host->segment, c->places[rank].local_index);
}

/* A rank's record of collective `seq`; false if it is not there yet or any more. */
bool record_read(const struct segment_rank *page, uint64_t seq, struct record *out);
/* "all_reduce of 5 float32, sum" */
void record_describe(char *text, size_t nbytes, const struct record *r);
/* Whether this rank and `peer` have called the same collectives, up to the newest that
 * both have begun: trncclInvalidUsage with the first difference on record, both ranks
 * named. If the two are more than SEGMENT_RECORDS apart there is nothing to compare, and
 * they pass. */
trncclResult_t record_compare(const struct trncclComm *c, int peer);
/* The same with every rank of this host. Of two ranks that both call it after their last
 * collective, at least one sees what both have done. */
trncclResult_t record_compare_all(const struct trncclComm *c);

#endif
