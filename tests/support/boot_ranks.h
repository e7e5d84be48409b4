/* Ranks as threads of a test of the rendezvous, and counts that show what they leave.
 *
 * A test fills struct ranks, calls ranks_run, and looks at each rank's result and text.
 */
#ifndef TRNCCL_TESTS_SUPPORT_BOOT_RANKS_H
#define TRNCCL_TESTS_SUPPORT_BOOT_RANKS_H

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "boot/boot.h"
#include "util/clock.h"

#define RANKS_MOST 64
#define RANKS_IDS 8

struct ranks;

struct rank_thread {
    struct ranks *all;
    pthread_t thread;
    int index;  /* of the thread */
    int rank;   /* what it says it is */
    int nranks; /* what it says there are */
    bool absent;
    bool wrong_data;
    trncclResult_t rc; /* of the first call that failed */
    char text[1100];
    uint64_t ended_ns;
};

struct ranks {
    int n, nids;
    trncclUniqueId ids[RANKS_IDS];
    int64_t ms;    /* deadline */
    int exchanges; /* allgathers of nbytes each */
    size_t nbytes;
    trncclOobAllgather_t oob;
    const atomic_int *abort;
    struct rank_thread rank[RANKS_MOST];
};

static inline void ranks_init(struct ranks *s, int n, int nids)
{
    memset(s, 0, sizeof(*s));
    s->n = n;
    s->nids = nids;
    s->ms = 10000;
    s->exchanges = 3;
    s->nbytes = 40;
    for (int i = 0; i < n; i++) {
        s->rank[i].all = s;
        s->rank[i].index = s->rank[i].rank = i;
        s->rank[i].nranks = n;
    }
}

/* A byte that depends on everything it should depend on. */
static inline uint8_t ranks_byte(int rank, int exchange, size_t at)
{
    return (uint8_t)(rank * 37 + exchange * 11 + (int)(at % 251) + 1);
}

static inline trncclResult_t rank_exchange(struct rank_thread *t, struct boot *b, int k)
{
    size_t n = t->all->nbytes;
    uint8_t *mine = malloc(n + 1), *all = malloc((size_t)t->nranks * n + 1);
    for (size_t i = 0; i < n; i++)
        mine[i] = ranks_byte(t->rank, k, i);
    trncclResult_t rc = boot_allgather(b, mine, all, n);
    for (int r = 0; r < t->nranks && rc == trncclSuccess; r++)
        for (size_t i = 0; i < n; i++)
            t->wrong_data |= all[(size_t)r * n + i] != ranks_byte(r, k, i);
    free(mine);
    free(all);
    return rc;
}

static inline void *rank_main(void *arg)
{
    struct rank_thread *t = arg;
    struct boot *b = NULL;
    struct boot_args args = {.nranks = t->nranks,
                             .rank = t->rank,
                             .nids = t->all->nids,
                             .ids = t->all->ids,
                             .oob = t->all->oob,
                             .oob_context = t,
                             .deadline_ns = clock_deadline_ns(t->all->ms),
                             .abort = t->all->abort};
    t->rc = boot_open(&args, &b);
    for (int k = 0; k < t->all->exchanges && t->rc == trncclSuccess; k++)
        t->rc = rank_exchange(t, b, k);
    if (t->rc != trncclSuccess)
        snprintf(t->text, sizeof(t->text), "%s", error_text());
    t->ended_ns = clock_now_ns();
    boot_close(b);
    return NULL;
}

static inline void ranks_start(struct ranks *s)
{
    for (int i = 0; i < s->n; i++)
        if (!s->rank[i].absent)
            pthread_create(&s->rank[i].thread, NULL, rank_main, &s->rank[i]);
}

static inline void ranks_join(struct ranks *s)
{
    for (int i = 0; i < s->n; i++)
        if (!s->rank[i].absent)
            pthread_join(s->rank[i].thread, NULL);
}

static inline void ranks_run(struct ranks *s)
{
    ranks_start(s);
    ranks_join(s);
}

/* Number of ranks that did not succeed with the right data; the first is printed. */
static inline int ranks_wrong(const struct ranks *s)
{
    int wrong = 0;
    for (int i = 0; i < s->n; i++) {
        const struct rank_thread *t = &s->rank[i];
        if (t->absent || (t->rc == trncclSuccess && !t->wrong_data))
            continue;
        if (wrong++ == 0)
            fprintf(stderr, "rank %d: result %d, %s: %s\n", t->rank, t->rc,
                    t->wrong_data ? "wrong data" : "no data", t->text);
    }
    return wrong;
}

/* ---- What is left behind */

static inline int ranks_count(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

struct ranks_left {
    int fds, threads;
};

static inline void *ranks_nothing(void *arg)
{
    return arg;
}

static inline struct ranks_left ranks_before(void)
{
    /* A sanitizer's own thread starts with the first of ours: before we count. */
    pthread_t first;
    pthread_create(&first, NULL, ranks_nothing, NULL);
    pthread_join(first, NULL);
    usleep(10000);
    return (struct ranks_left){ranks_count("/proc/self/fd"),
                               ranks_count("/proc/self/task")};
}

/* Whether descriptors and threads are back to what they were, within ms. */
static inline bool ranks_after(struct ranks_left before, int ms)
{
    struct ranks_left now = {0, 0};
    for (int i = 0; i < ms; i += 5) {
        now.fds = ranks_count("/proc/self/fd");
        now.threads = ranks_count("/proc/self/task");
        if (now.fds == before.fds && now.threads == before.threads)
            return true;
        usleep(5000);
    }
    fprintf(stderr, "descriptors %d -> %d, threads %d -> %d\n", before.fds, now.fds,
            before.threads, now.threads);
    return false;
}

#endif
