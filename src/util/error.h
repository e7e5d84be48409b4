/* Results and the sentence that goes with them.
 *
 * Whoever first knows a cause calls error_set(); callers pass the code up with TRY. The
 * sentence lives in thread-local storage; the API boundary copies it to the communicator.
 */
#ifndef TRNCCL_UTIL_ERROR_H
#define TRNCCL_UTIL_ERROR_H

#include "trnccl.h"

#define ERROR_TEXT_BYTES 1024

/* Returns from the enclosing function if x is not trncclSuccess. */
#define TRY(x)                                                                           \
    do {                                                                                 \
        trncclResult_t try_result_ = (x);                                                \
        if (__builtin_expect(try_result_ != trncclSuccess, 0))                           \
            return try_result_;                                                          \
    } while (0)

/* Stores a printf-style sentence for this thread, logs it at level info, and returns
 * `result`, so that `return error_set(...)` is the usual form. */
trncclResult_t error_set(trncclResult_t result, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
/* The same, followed by ": " and the text of errno value `err`. */
trncclResult_t error_set_errno(trncclResult_t result, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));
/* Copies a text into room for nbytes; one that does not fit ends behind a word, with
 * "...". Returns out. */
char *error_cut(char *out, size_t nbytes, const char *text);
/* This thread's sentence; "" if nothing went wrong yet. Valid until the next error_set.
 */
const char *error_text(void);
/* A constant sentence for a result code, and its name ("trncclTimeout"). */
const char *error_string(trncclResult_t result);
const char *error_name(trncclResult_t result);

#endif
