#include "util/fork_guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* marks[fd] is 1 for a registered descriptor; guarded by lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned char *marks;
static int nmarks;

static void fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* Only close() and memory writes: the child of a threaded process may do little else. */
static void fork_child(void)
{
    for (int fd = 0; fd < nmarks; fd++) {
        if (marks[fd])
            close(fd);
        marks[fd] = 0;
    }
    pthread_mutex_unlock(&lock);
}

static void fork_register(void)
{
    /* Fails only without memory; then children merely keep duplicates. */
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void fork_guard_enter(void)
{
    pthread_once(&once, fork_register);
    pthread_mutex_lock(&lock);
}

void fork_guard_leave(void)
{
    int err = errno;
    pthread_mutex_unlock(&lock);
    errno = err;
}

int fork_guard_add(int fd)
{
    if (fd < 0)
        return fd;
    if (fd >= nmarks) {
        int n = fd + 64;
        unsigned char *more = realloc(marks, (size_t)n);
        if (!more) {
            close(fd);
            errno = ENOMEM;
            return -1;
        }
        memset(more + nmarks, 0, (size_t)(n - nmarks));
        marks = more;
        nmarks = n;
    }
    marks[fd] = 1;
    return fd;
}

void fork_guard_close(int fd)
{
    if (fd < 0)
        return;
    fork_guard_enter();
    if (fd < nmarks)
        marks[fd] = 0;
    close(fd);
    fork_guard_leave();
}
