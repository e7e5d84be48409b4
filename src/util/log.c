#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "util/error.h"

#define LOG_LINE_BYTES 2048

enum log_level log_threshold = LOG_WARN;

/* Written by log_open only; relaxed for the reason given at log_threshold_get. */
static int log_fd = STDERR_FILENO;
static _Thread_local int log_rank = -1;

static char log_host[HOST_NAME_MAX + 1];
static pthread_once_t log_host_once = PTHREAD_ONCE_INIT;

static const char *const log_level_names[] = {
    [LOG_ERROR] = "error", [LOG_WARN] = "warn",   [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug", [LOG_TRACE] = "trace",
};

static void log_host_find(void)
{
    if (gethostname(log_host, sizeof log_host - 1) != 0)
        strcpy(log_host, "?");
    log_host[strcspn(log_host, ".")] = '\0';
}

bool log_level_parse(const char *name, enum log_level *level)
{
    if (strcasecmp(name, "VERSION") == 0) {
        *level = LOG_WARN;
        return true;
    }
    for (int i = LOG_ERROR; i <= LOG_TRACE; i++) {
        if (strcasecmp(name, log_level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Expands %h, %p and %% of pattern. */
static trncclResult_t log_path_expand(const char *pattern, char path[PATH_MAX])
{
    size_t used = 0;
    for (const char *p = pattern; *p != '\0'; p++) {
        int n;
        if (*p != '%')
            n = snprintf(path + used, PATH_MAX - used, "%c", *p);
        else if (*++p == 'h')
            n = snprintf(path + used, PATH_MAX - used, "%s", log_host);
        else if (*p == 'p')
            n = snprintf(path + used, PATH_MAX - used, "%d", (int)getpid());
        else if (*p == '%')
            n = snprintf(path + used, PATH_MAX - used, "%%");
        else
            return error_set(trncclInvalidArgument,
                             "log file '%s': '%%' must be followed by h (host), p "
                             "(process id) or %%",
                             pattern);
        used += (size_t)n;
        if (used >= PATH_MAX)
            return error_set(trncclInvalidArgument,
                             "log file '%.64s...': the path is longer than %d bytes",
                             pattern, PATH_MAX - 1);
    }
    return trncclSuccess;
}

trncclResult_t log_open(enum log_level threshold, const char *path)
{
    pthread_once(&log_host_once, log_host_find);
    if (path != NULL) {
        char expanded[PATH_MAX];
        TRY(log_path_expand(path, expanded));
        int fd = open(expanded, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        if (fd < 0)
            return error_set_errno(trncclSystemError, errno, "cannot open log file '%s'",
                                   expanded);
        int old = __atomic_exchange_n(&log_fd, fd, __ATOMIC_RELAXED);
        if (old != STDERR_FILENO)
            close(old);
    }
    __atomic_store_n(&log_threshold, threshold, __ATOMIC_RELAXED);
    return trncclSuccess;
}

void log_rank_set(int rank)
{
    log_rank = rank;
}

/* One write per line: lines of several processes do not mix in an appended file. */
static void log_emit(char *line, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    line[nbytes++] = '\n';
    size_t done = 0;
    while (done < nbytes) {
        ssize_t n =
            write(__atomic_load_n(&log_fd, __ATOMIC_RELAXED), line + done, nbytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* nowhere left to complain to */
            break;
        done += (size_t)n;
    }
}

void log_write(enum log_level level, const char *room, const char *format, ...)
{
    int saved = errno;
    pthread_once(&log_host_once, log_host_find);
    char rank[16] = "-";
    if (log_rank >= 0)
        snprintf(rank, sizeof rank, "%d", log_rank);

    char line[LOG_LINE_BYTES + 1]; /* one byte more for the newline */
    int n = snprintf(line, LOG_LINE_BYTES, "trnccl [%s %d %s] %s %s: ", log_host,
                     (int)getpid(), rank, log_level_names[level], room);
    size_t used = (size_t)n;
    if (used < LOG_LINE_BYTES) {
        va_list args;
        va_start(args, format);
        n = vsnprintf(line + used, LOG_LINE_BYTES - used, format, args);
        va_end(args);
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used >= LOG_LINE_BYTES) {
        used = LOG_LINE_BYTES - 1;
        memcpy(line + used - 3, "...", 3);
    }
    log_emit(line, used);
    errno = saved;
}
