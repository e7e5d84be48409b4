/* Logging: one line per event on stderr or TRNCCL_DEBUG_FILE, never per step.
 * Levels by TRNCCL_DEBUG: ERROR, WARN (default), INFO, DEBUG, TRACE (case ignored; NCCL's
 * VERSION is accepted as WARN). A line reads
 *     trnccl [host pid rank] level room: text                                          */
#ifndef TRNCCL_UTIL_LOG_H
#define TRNCCL_UTIL_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Highest level that is written; set once from the settings. */
extern enum log_level log_threshold;

/* Shown in this thread's lines from now on; -1 for none. */
void log_rank_set(int rank);
void log_write(enum log_level level, const char *room, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#define log_at(level, room, ...)                                                         \
    do {                                                                                 \
        if (__builtin_expect((level) <= log_threshold, 0))                               \
            log_write((level), (room), __VA_ARGS__);                                     \
    } while (0)
#define log_error(room, ...) log_at(LOG_ERROR, room, __VA_ARGS__)
#define log_warn(room, ...) log_at(LOG_WARN, room, __VA_ARGS__)
#define log_info(room, ...) log_at(LOG_INFO, room, __VA_ARGS__)
#define log_debug(room, ...) log_at(LOG_DEBUG, room, __VA_ARGS__)

#endif
