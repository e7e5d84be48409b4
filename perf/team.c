#include "perf/team.h"

#include <stdlib.h>
#include <string.h>
#include "perf/fail.h"

static void alone_allgather(void *context, const void *mine, void *all, size_t nbytes)
{
    (void)context;
    memcpy(all, mine, nbytes);
}

void team_link_alone(struct team_link *link)
{
    *link = (struct team_link){.nprocs = 1, .proc = 0, .allgather = alone_allgather};
}

void team_init(struct team *t, const struct team_link *link, int nlocal)
{
    *t = (struct team){.link = link, .nlocal = nlocal};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
}

void team_fini(struct team *t)
{
    free(t->mine);
    free(t->all);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
}

int team_size(const struct team *t)
{
    return t->link->nprocs * t->nlocal;
}

/* With the lock held, before the first record of a round is stored. */
static void reserve(struct team *t, size_t nbytes)
{
    if (nbytes <= t->capacity)
        return;
    free(t->mine);
    free(t->all);
    t->mine = fail_malloc(nbytes * (size_t)t->nlocal);
    t->all = fail_malloc(nbytes * (size_t)team_size(t));
    t->capacity = nbytes;
}

void team_allgather(struct team *t, int local, const void *mine, void *all, size_t nbytes)
{
    pthread_mutex_lock(&t->lock);
    while (t->leaving > 0) /* members still copy the previous round's records */
        pthread_cond_wait(&t->changed, &t->lock);
    if (t->arrived == 0)
        reserve(t, nbytes ? nbytes : 1);
    if (nbytes)
        memcpy(t->mine + (size_t)local * nbytes, mine, nbytes);
    if (++t->arrived == t->nlocal) {
        /* The last one speaks for the process; the others sleep meanwhile. */
        t->link->allgather(t->link->context, t->mine, t->all, nbytes * (size_t)t->nlocal);
        t->arrived = 0;
        t->leaving = t->nlocal;
        t->round++;
        pthread_cond_broadcast(&t->changed);
    } else {
        unsigned long round = t->round;
        while (t->round == round)
            pthread_cond_wait(&t->changed, &t->lock);
    }
    if (nbytes)
        memcpy(all, t->all, nbytes * (size_t)team_size(t));
    if (--t->leaving == 0)
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void team_barrier(struct team *t, int local)
{
    team_allgather(t, local, NULL, NULL, 0);
}
