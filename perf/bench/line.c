#include "perf/bench/line.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "perf/bench/library.h"

enum { PAGE = 4096, ROUNDS = 9, TRIPS = 200, PATIENCE = 1 << 16 };

static void *map_page(int fd)
{
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return page == MAP_FAILED ? NULL : page;
}

void line_open(struct line *l, int rank, int nranks)
{
    int mine[2] = {(int)getpid(), -1};
    int(*all)[2] = malloc((size_t)nranks * sizeof *all);
    *l = (struct line){.rank = rank};
    if (rank == 0) {
        mine[1] = memfd_create("line", MFD_CLOEXEC);
        if (mine[1] >= 0 && ftruncate(mine[1], PAGE) == 0)
            l->page = map_page(mine[1]);
    }
    if (!all) {
        fprintf(stderr, "bench: out of memory\n");
        _exit(3);
    }
    library_gather(mine, all, sizeof mine);
    if (rank == 1) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/fd/%d", all[0][0], all[0][1]);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd >= 0) {
            l->page = map_page(fd);
            close(fd);
        }
    }
    int ok = rank > 1 || l->page != NULL;
    int *oks = (int *)(void *)all;
    library_gather(&ok, oks, sizeof ok);
    /* Without a page on both sides neither may wait for the other. */
    if (nranks < 2 || !oks[0] || !oks[1])
        line_close(l);
    free(all);
    if (mine[1] >= 0)
        close(mine[1]);
}

void line_close(struct line *l)
{
    if (l->page)
        munmap(l->page, PAGE);
    l->page = NULL;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Yields now and then: the two may share a core. */
static void await(const uint32_t *word, uint32_t value)
{
    for (int spins = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; spins++) {
        if (spins == PATIENCE) {
            struct timespec nothing = {0, 0};
            nanosleep(&nothing, NULL);
            spins = 0;
        }
    }
}

static double measure(struct line *l)
{
    double rounds[ROUNDS];
    uint32_t *ping = l->page, *pong = ping + 32; /* 128 bytes apart: two lines */
    uint32_t base = __atomic_load_n(l->rank == 0 ? ping : pong, __ATOMIC_RELAXED);
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int trip = 0; trip < TRIPS; trip++) {
            base++;
            if (l->rank == 0) { /* each store pairs with the other side's await */
                __atomic_store_n(ping, base, __ATOMIC_RELEASE);
                await(pong, base);
            } else {
                await(ping, base);
                __atomic_store_n(pong, base, __ATOMIC_RELEASE);
            }
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        double ns = (double)(end.tv_sec - start.tv_sec) * 1e9 +
                    (double)(end.tv_nsec - start.tv_nsec);
        rounds[round] = ns / (2.0 * TRIPS);
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], compare);
    return rounds[ROUNDS / 2];
}

double line_measure(struct line *l)
{
    cpu_set_t before, own;
    if (!l->page)
        return 0;
    /* On cores of their own meanwhile, also where ranks share cores. */
    bool moved = sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
                 sched_getaffinity(0, sizeof before, &before) == 0;
    CPU_ZERO(&own);
    CPU_SET(l->rank, &own);
    moved = moved && sched_setaffinity(0, sizeof own, &own) == 0;
    double ns = measure(l);
    if (moved)
        sched_setaffinity(0, sizeof before, &before);
    return ns;
}
