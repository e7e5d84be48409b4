#include "perf/fail.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The process's one way out; set before threads exist, then only read. */
static fail_sink the_sink;
static void *the_context;
/* Taken by the first thread that fails and never given back. */
static pthread_mutex_t failing = PTHREAD_MUTEX_INITIALIZER;

void fail_sink_set(fail_sink sink, void *context)
{
    the_sink = sink;
    the_context = context;
}

static noreturn void end(const char *sentence, enum perf_exit status, bool secondary)
{
    const struct failure f = {sentence, status, secondary};
    pthread_mutex_lock(&failing);
    fflush(stdout);
    if (the_sink)
        the_sink(the_context, &f);
    else
        fprintf(stderr, PERF_NAME ": %s\n", sentence);
    /* Not exit(): other threads are inside the library. */
    _exit(status);
}

static noreturn void end_format(enum perf_exit status, const char *format, va_list args)
{
    char sentence[1536];
    vsnprintf(sentence, sizeof sentence, format, args);
    end(sentence, status, false);
}

void fail_with(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    end_format(PERF_EXIT_FAILED, format, args);
}

void fail_usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    end_format(PERF_EXIT_USAGE, format, args);
}

void fail_unless(trncclResult_t result, const char *call, int rank, trncclComm_t comm)
{
    if (__builtin_expect(result == trncclSuccess, 1))
        return;
    char sentence[1536];
    const char *text = trncclGetLastError(comm);
    snprintf(sentence, sizeof sentence, "rank %d: %s: %s%s%s", rank, call, text,
             *text ? ": " : "", trncclGetErrorString(result));
    end(sentence, PERF_EXIT_FAILED,
        result == trncclRemoteError || result == trncclAborted);
}

void *fail_malloc(size_t nbytes)
{
    void *p = malloc(nbytes ? nbytes : 1);
    if (!p)
        fail_with("out of memory (%zu bytes)", nbytes);
    return p;
}

void *fail_calloc(size_t n, size_t nbytes)
{
    void *p = calloc(n ? n : 1, nbytes ? nbytes : 1);
    if (!p)
        fail_with("out of memory (%zu bytes)", n * nbytes);
    return p;
}
