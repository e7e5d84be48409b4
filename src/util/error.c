#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

static _Thread_local char error_sentence[ERROR_TEXT_BYTES];

static const struct {
    const char *name, *text;
} error_table[trncclNumResults] = {
    [trncclSuccess] = {"trncclSuccess", "no error"},
    [trncclUnhandledDeviceError] = {"trncclUnhandledDeviceError", "a device call failed"},
    [trncclSystemError] = {"trncclSystemError", "the operating system refused a request"},
    [trncclInternalError] = {"trncclInternalError", "internal error: a bug in trnccl"},
    [trncclInvalidArgument] = {"trncclInvalidArgument", "invalid argument"},
    [trncclInvalidUsage] = {"trncclInvalidUsage",
                            "invalid usage: wrong time, or ranks disagree"},
    [trncclRemoteError] = {"trncclRemoteError", "another rank died or failed"},
    [trncclInProgress] = {"trncclInProgress", "operation in progress"},
    [trncclTimeout] = {"trncclTimeout", "the deadline passed"},
    [trncclAborted] = {"trncclAborted", "the communicator was aborted"},
};

#define CUT_WORD_BYTES 40 /* a word longer than this is cut itself */

/* Where to cut a text of which only n bytes may stay. */
static size_t cut_at(const char *text, size_t n)
{
    for (size_t i = n; i > 0 && n - i < CUT_WORD_BYTES; i--)
        if (text[i] == ' ')
            return i + 1;
    return n;
}

char *error_cut(char *out, size_t nbytes, const char *text)
{
    size_t n = strnlen(text, nbytes);
    if (n == nbytes) {
        n = cut_at(text, nbytes - 4);
        memmove(out, text, n);
        memcpy(out + n, "...", 4);
    } else {
        memmove(out, text, n + 1);
    }
    return out;
}

/* The arguments may point into the old sentence ("%s: %s", name, error_text()), so the
 * new one is made beside it. */
static void error_store(trncclResult_t result, int err, const char *format, va_list args)
{
    char text[ERROR_TEXT_BYTES];
    int n = vsnprintf(text, sizeof text, format, args);
    size_t used = n < 0 ? 0 : (size_t)n;
    text[n < 0 ? 0 : sizeof text - 1] = '\0';
    if (err != 0 && used < sizeof text) {
        char buffer[128];
        n = snprintf(text + used, sizeof text - used, ": %s",
                     strerror_r(err, buffer, sizeof buffer));
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used >= sizeof text)
        memcpy(text + cut_at(text, sizeof text - 4), "...", 4);
    memcpy(error_sentence, text, sizeof error_sentence);
    log_info("error", "%s: %s", error_name(result), error_sentence);
}

trncclResult_t error_set(trncclResult_t result, const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    error_store(result, 0, format, args);
    va_end(args);
    errno = saved;
    return result;
}

trncclResult_t error_set_errno(trncclResult_t result, int err, const char *format, ...)
{
    int saved = errno;
    va_list args;
    va_start(args, format);
    error_store(result, err, format, args);
    va_end(args);
    errno = saved;
    return result;
}

const char *error_text(void)
{
    return error_sentence;
}

const char *error_string(trncclResult_t result)
{
    if ((unsigned)result >= trncclNumResults)
        return "unknown result code";
    return error_table[result].text;
}

const char *error_name(trncclResult_t result)
{
    if ((unsigned)result >= trncclNumResults)
        return "unknown result code";
    return error_table[result].name;
}
