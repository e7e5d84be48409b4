#include "sim/conns.h"

#include <stdlib.h>

enum { FIRST_BUCKETS = 256 };

static int32_t *buckets_create(int32_t n)
{
    int32_t *buckets = malloc((size_t)n * sizeof *buckets);
    for (int32_t i = 0; buckets && i < n; i++)
        buckets[i] = -1;
    return buckets;
}

static trncclResult_t no_memory(int32_t n)
{
    return error_set(trncclSystemError, "out of memory: %d connections in use", n);
}

trncclResult_t conns_init(struct conns *c)
{
    *c = (struct conns){.free = -1, .nbuckets = FIRST_BUCKETS};
    c->buckets = buckets_create(FIRST_BUCKETS);
    return c->buckets ? trncclSuccess : no_memory(FIRST_BUCKETS);
}

void conns_fini(struct conns *c)
{
    free(c->conns);
    free(c->buckets);
    *c = (struct conns){0};
}

/* Multiplicative hashing, Knuth, The Art of Computer Programming 3, 6.4. */
static inline int32_t bucket_of(const struct conns *c, int32_t sender, int32_t receiver,
                                int32_t channel)
{
    uint64_t key = ((uint64_t)(uint32_t)sender << 32 | (uint32_t)receiver) +
                   ((uint64_t)channel << 58);
    return (int32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (c->nbuckets - 1);
}

static inline int32_t bucket_of_conn(const struct conns *c, const struct conn *x)
{
    return bucket_of(c, x->sender, x->receiver, x->channel);
}

int32_t conns_find(const struct conns *c, int32_t sender, int32_t receiver,
                   int32_t channel)
{
    int32_t i = c->buckets[bucket_of(c, sender, receiver, channel)];
    while (i >= 0 && (c->conns[i].sender != sender || c->conns[i].receiver != receiver ||
                      c->conns[i].channel != channel))
        i = c->conns[i].next;
    return i;
}

static void conn_link(struct conns *c, int32_t conn)
{
    int32_t bucket = bucket_of_conn(c, &c->conns[conn]);
    c->conns[conn].next = c->buckets[bucket];
    c->buckets[bucket] = conn;
}

static void conn_unlink(struct conns *c, int32_t conn)
{
    int32_t *at = &c->buckets[bucket_of_conn(c, &c->conns[conn])];
    while (*at != conn)
        at = &c->conns[*at].next;
    *at = c->conns[conn].next;
}

/* Twice the buckets. Only live connections are linked, and those are moved. */
static trncclResult_t buckets_grow(struct conns *c)
{
    int32_t nold = c->nbuckets, *old = c->buckets;
    int32_t *buckets = buckets_create(2 * nold);
    if (!buckets)
        return no_memory(c->nlive);
    c->buckets = buckets;
    c->nbuckets = 2 * nold;
    for (int32_t b = 0; b < nold; b++)
        for (int32_t i = old[b], next; i >= 0; i = next) {
            next = c->conns[i].next;
            conn_link(c, i);
        }
    free(old);
    return trncclSuccess;
}

static trncclResult_t conn_take(struct conns *c, int32_t *out)
{
    if (c->free >= 0) {
        *out = c->free;
        c->free = c->conns[c->free].next;
        return trncclSuccess;
    }
    if (c->nconns == c->capacity) {
        int32_t capacity = c->capacity ? 2 * c->capacity : FIRST_BUCKETS;
        struct conn *conns = realloc(c->conns, (size_t)capacity * sizeof *conns);
        if (!conns)
            return no_memory(capacity);
        c->conns = conns;
        c->capacity = capacity;
    }
    *out = c->nconns++;
    return trncclSuccess;
}

trncclResult_t conns_get(struct conns *c, int32_t sender, int32_t receiver,
                         int32_t channel, int32_t *out)
{
    *out = conns_find(c, sender, receiver, channel);
    if (*out >= 0)
        return trncclSuccess;
    if (c->nlive == c->nbuckets)
        TRY(buckets_grow(c));
    TRY(conn_take(c, out));
    c->conns[*out] =
        (struct conn){.sender = sender, .receiver = receiver, .channel = channel};
    conn_link(c, *out);
    c->nlive++;
    return trncclSuccess;
}

void conns_settle(struct conns *c, int32_t conn)
{
    struct conn *x = &c->conns[conn];
    if (x->nunread > 0 || x->receiver_waits || x->sender_waits)
        return;
    conn_unlink(c, conn);
    x->next = c->free;
    c->free = conn;
    c->nlive--;
}
