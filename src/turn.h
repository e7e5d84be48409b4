/* Whose turn it is: the calls of one communicator run in the order of their tickets,
 * whichever threads run them.
 *
 * A ticket is taken by the thread that makes the call, and passed when everything that
 * touches the communicator is done: whoever waits for all tickets (trncclCommDestroy) may
 * free it at once. */
#ifndef TRNCCL_TURN_H
#define TRNCCL_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct turns {
    uint64_t tickets; /* taken; by the caller's thread only */
    _Atomic uint64_t serving;
    atomic_bool shared; /* other threads than the caller's may wait or be waited for */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Guarded by lock: tickets given up before their turn came. */
    uint64_t *skipped; /* owned */
    int nskipped, capacity;
};

void turn_init(struct turns *t);
void turn_fini(struct turns *t);

static inline uint64_t turn_take(struct turns *t)
{
    return t->tickets++;
}

/* Whether the turn has come; it stays so until turn_pass. */
static inline bool turn_has_come(const struct turns *t, uint64_t ticket)
{
    /* Pairs with turn_pass: everything the call before did is done. */
    return atomic_load_explicit(&t->serving, memory_order_acquire) == ticket;
}

/* Waits for the turn, at most so long; returns whether it has come. */
bool turn_wait(struct turns *t, uint64_t ticket, int64_t most_ns);

void turn_pass_shared(struct turns *t, uint64_t ticket);
/* Ends a turn that had come. Nothing may touch what it guarded afterwards. */
static inline void turn_pass(struct turns *t, uint64_t ticket)
{
    if (__builtin_expect(atomic_load_explicit(&t->shared, memory_order_relaxed), 0))
        turn_pass_shared(t, ticket);
    else
        /* Pairs with turn_has_come. */
        atomic_store_explicit(&t->serving, ticket + 1, memory_order_release);
}

/* Ends a turn that may not have come: then it is passed over when it comes. Nothing may
 * touch what it guards afterwards, nor may it have before. */
void turn_skip(struct turns *t, uint64_t ticket);

/* Waits until every ticket taken has been passed. By the thread that takes them. */
void turn_settle(struct turns *t);

#endif
