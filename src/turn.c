#include "turn.h"

void turn_init(struct turns *t)
{
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
}

void turn_fini(struct turns *t)
{
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
}

void turn_wait_slow(struct turns *t, uint64_t ticket)
{
    pthread_mutex_lock(&t->lock);
    while (!turn_has_come(t, ticket))
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* The store is made under the lock: turn_settle sees it there, when nothing is left to do
 * but to unlock. */
void turn_pass_shared(struct turns *t, uint64_t ticket)
{
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->serving, ticket + 1);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void turn_settle(struct turns *t)
{
    pthread_mutex_lock(&t->lock);
    while (!turn_has_come(t, t->tickets))
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}
