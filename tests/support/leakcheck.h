/* Descriptors and memfd mappings that a test program leaves open inside itself.
 *
 * For cmocka: pass leakcheck_setup and leakcheck_teardown to cmocka_run_group_tests (or
 * to single tests); teardown fails if there are more descriptors or memfd mappings than
 * at setup, and names them. What outlives a process is found by tests/support/leaks.c. */
#ifndef TRNCCL_TESTS_SUPPORT_LEAKCHECK_H
#define TRNCCL_TESTS_SUPPORT_LEAKCHECK_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAKCHECK_MAX_FDS 4096

struct leakcheck {
    bool open[LEAKCHECK_MAX_FDS];
    int nmemfds; /* mappings of memfds */
};

/* Number of mapped memfd segments; printed if `print`. */
static inline int leakcheck_memfds(bool print)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return 0;
    int n = 0;
    char line[PATH_MAX + 128];
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "/memfd:") == NULL)
            continue;
        n++;
        if (print)
            fprintf(stderr, "leakcheck: mapped: %s", line);
    }
    fclose(maps);
    return n;
}

/* Marks the open descriptors below LEAKCHECK_MAX_FDS. */
static inline void leakcheck_fds(bool open[LEAKCHECK_MAX_FDS])
{
    memset(open, 0, LEAKCHECK_MAX_FDS * sizeof *open);
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        int fd = atoi(e->d_name);
        if (e->d_name[0] != '.' && fd != dirfd(dir) && fd < LEAKCHECK_MAX_FDS)
            open[fd] = true;
    }
    closedir(dir);
}

static inline void leakcheck_begin(struct leakcheck *check)
{
    leakcheck_fds(check->open);
    check->nmemfds = leakcheck_memfds(false);
}

/* Number of leaks since leakcheck_begin, each named on stderr. */
static inline int leakcheck_end(const struct leakcheck *check)
{
    static bool open[LEAKCHECK_MAX_FDS];
    leakcheck_fds(open);
    int leaks = 0;
    for (int fd = 0; fd < LEAKCHECK_MAX_FDS; fd++) {
        if (!open[fd] || check->open[fd])
            continue;
        char path[64], target[PATH_MAX];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, target, sizeof target - 1);
        target[n > 0 ? n : 0] = '\0';
        fprintf(stderr, "leakcheck: descriptor %d left open: %s\n", fd, target);
        leaks++;
    }
    int nmemfds = leakcheck_memfds(false);
    if (nmemfds > check->nmemfds) {
        fprintf(stderr, "leakcheck: %d memfd mappings, %d at the start\n", nmemfds,
                check->nmemfds);
        leakcheck_memfds(true);
        leaks += nmemfds - check->nmemfds;
    }
    return leaks;
}

static inline int leakcheck_setup(void **state)
{
    struct leakcheck *check = malloc(sizeof *check);
    if (check == NULL)
        return -1;
    leakcheck_begin(check);
    *state = check;
    return 0;
}

static inline int leakcheck_teardown(void **state)
{
    struct leakcheck *check = *state;
    int leaks = leakcheck_end(check);
    free(check);
    *state = NULL;
    return leaks == 0 ? 0 : -1;
}

#endif
