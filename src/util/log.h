/* Logging: one line per event on stderr or TRNCCL_DEBUG_FILE, never per step.
 * Levels by TRNCCL_DEBUG: ERROR, WARN (default), INFO, DEBUG, TRACE (case ignored; NCCL's
 * VERSION is accepted as WARN). A line reads
 *     trnccl [host pid rank] level room: text
 * with "-" for the rank of a thread that has none. */
#ifndef TRNCCL_UTIL_LOG_H
#define TRNCCL_UTIL_LOG_H

#include <stdbool.h>
#include "trnccl.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Highest level that is written; set once, by log_open. */
extern enum log_level log_threshold;

/* Sets the threshold and, unless path is NULL, sends lines to that file from now on,
 * appended to what is there: %h becomes the host, %p the process id, %% a percent sign.
 * Called once, by settings_load. trncclSystemError if the file cannot be opened,
 * trncclInvalidArgument for another % or a path that is too long; the log stays as it
 * was. */
trncclResult_t log_open(enum log_level threshold, const char *path);
/* The level of that name (as in TRNCCL_DEBUG); false if there is none. */
bool log_level_parse(const char *name, enum log_level *level);

/* Shown in this thread's lines from now on; -1 for none. */
void log_rank_set(int rank);
void log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* Another thread may be in log_open; which of the two values a racing line sees is
 * immaterial, so relaxed (the store is in log_open). */
static inline enum log_level log_threshold_get(void)
{
    return __atomic_load_n(&log_threshold, __ATOMIC_RELAXED);
}

#define log_at(level, room, ...)                                                         \
    do {                                                                                 \
        if (__builtin_expect((level) <= log_threshold_get(), 0))                         \
            log_write((level), (room), __VA_ARGS__);                                     \
    } while (0)
#define log_error(room, ...) log_at(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_at(LOG_WARN, room, __VA_ARGS__)
#define log_info(room, ...) log_at(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_at(LOG_DEBUG, room, __VA_ARGS__)

#endif
