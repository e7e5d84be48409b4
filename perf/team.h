/* How ranks of one run talk about the measurement itself (never about its data): one
 * gather of equal records from every member, over threads and then over processes. */
#ifndef TRNCCL_PERF_TEAM_H
#define TRNCCL_PERF_TEAM_H

#include <pthread.h>
#include <stddef.h>

/* Between processes: gathers nbytes from each, in order. Blocking; one caller at a time.
 */
struct team_link {
    int nprocs, proc;
    void (*allgather)(void *context, const void *mine, void *all, size_t nbytes);
    void *context;
};

/* All members of a process share one. */
struct team {
    const struct team_link *link; /* borrowed */
    int nlocal;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    int arrived, leaving;
    unsigned long round;
    char *mine, *all; /* owned; one record per local member, per member of the team */
    size_t capacity;  /* of a record */
};

void team_init(struct team *t, const struct team_link *link, int nlocal);
void team_fini(struct team *t);
/* Members in all processes. */
int team_size(const struct team *t);
/* Every member gives nbytes; `all` receives team_size() records in the order of
 * (process, local). The same nbytes everywhere. */
void team_allgather(struct team *t, int local, const void *mine, void *all,
                    size_t nbytes);
void team_barrier(struct team *t, int local);

/* The link of a run in a single process. */
void team_link_alone(struct team_link *link);

#endif
