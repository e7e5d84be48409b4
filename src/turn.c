#include "turn.h"

#include <stdlib.h>
#include <time.h>

void turn_init(struct turns *t)
{
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void turn_fini(struct turns *t)
{
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    free(t->skipped);
}

bool turn_wait(struct turns *t, uint64_t ticket, int64_t most_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += most_ns;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&t->lock);
    while (!turn_has_come(t, ticket) &&
           pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
        ;
    bool here = turn_has_come(t, ticket);
    pthread_mutex_unlock(&t->lock);
    return here;
}

/* Whether a ticket was given up; forgets it. */
static bool take_skipped(struct turns *t, uint64_t ticket)
{
    for (int i = 0; i < t->nskipped; i++)
        if (t->skipped[i] == ticket) {
            t->skipped[i] = t->skipped[--t->nskipped];
            return true;
        }
    return false;
}

/* Under the lock. The store is made there, so that turn_settle sees it when nothing is
 * left to do but to unlock. */
static void serve_next(struct turns *t, uint64_t next)
{
    while (take_skipped(t, next))
        next++;
    atomic_store(&t->serving, next);
    pthread_cond_broadcast(&t->changed);
}

void turn_pass_shared(struct turns *t, uint64_t ticket)
{
    pthread_mutex_lock(&t->lock);
    serve_next(t, ticket + 1);
    pthread_mutex_unlock(&t->lock);
}

/* Room for one more ticket; without memory there may be none. */
static bool reserve_skipped(struct turns *t)
{
    if (t->nskipped < t->capacity)
        return true;
    int capacity = 2 * t->capacity + 8;
    uint64_t *grown = realloc(t->skipped, (size_t)capacity * sizeof *grown);
    if (!grown)
        return false;
    t->skipped = grown;
    t->capacity = capacity;
    return true;
}

void turn_skip(struct turns *t, uint64_t ticket)
{
    pthread_mutex_lock(&t->lock);
    if (!turn_has_come(t, ticket) && reserve_skipped(t)) {
        t->skipped[t->nskipped++] = ticket;
    } else {
        while (!turn_has_come(t, ticket))
            pthread_cond_wait(&t->changed, &t->lock);
        serve_next(t, ticket + 1);
    }
    pthread_mutex_unlock(&t->lock);
}

void turn_settle(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    while (!turn_has_come(t, t->tickets))
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}
