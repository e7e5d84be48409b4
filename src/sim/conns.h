/* Connections that have something to remember: messages under way or waiting to be read,
 * or a channel that waits for one or for credit. The others do not exist, so memory is
 * for what is in flight, not for all pairs. */
#ifndef TRNCCL_SIM_CONNS_H
#define TRNCCL_SIM_CONNS_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

enum { CONN_MAX_CREDITS = 64 };

struct conn {
    int32_t sender;   /* rank */
    int32_t receiver; /* simulated rank */
    int32_t channel;
    int32_t next;        /* in its bucket, or in the list of free ones */
    int32_t sender_lane; /* who waits for credit */
    int32_t nunread;     /* sent and not yet consumed by a step of the receiver */
    int32_t narrived;    /* of those */
    bool receiver_waits, sender_waits;
    uint64_t lent; /* bit i: the i-th unread message lies in the sender's memory */
};

struct conns {
    struct conn *conns;             /* [capacity], owned; names are indices */
    int32_t *buckets;               /* [nbuckets], owned; first of each, -1: none */
    int32_t capacity, nconns, free; /* nconns: ever used; free: list of unused, -1 */
    int32_t nlive, nbuckets;
};

trncclResult_t conns_init(struct conns *c);
void conns_fini(struct conns *c); /* of zeroed ones too */
/* The connection, or -1. */
int32_t conns_find(const struct conns *c, int32_t sender, int32_t receiver,
                   int32_t channel);
/* The connection, made if need be. Pointers into conns end here. */
trncclResult_t conns_get(struct conns *c, int32_t sender, int32_t receiver,
                         int32_t channel, int32_t *out);
/* Forgets it if it has nothing to remember. */
void conns_settle(struct conns *c, int32_t conn);

#endif
