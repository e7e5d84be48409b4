/* What a suite found: counted and kept in memory that threads and forked processes share.
 */
#ifndef TRNCCL_TESTS_SUPPORT_REPORT_H
#define TRNCCL_TESTS_SUPPORT_REPORT_H

#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SUITE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SUITE_SANITIZED 1
#endif
#endif
#ifndef SUITE_SANITIZED
#define SUITE_SANITIZED 0
#endif

#define REPORT_TEXTS 20
#define REPORT_TEXT_BYTES 700

struct report {
    _Atomic long nchecks, nbytes;
    atomic_int nfailures;
    char texts[REPORT_TEXTS][REPORT_TEXT_BYTES];
};

static inline struct report *report_create(void)
{
    struct report *r =
        mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED) {
        perror("report: mmap");
        exit(1);
    }
    return r;
}

static inline void report_destroy(struct report *r)
{
    munmap(r, sizeof *r);
}

/* Counts a failure; the first ones are kept in words. Any thread, any process. */
__attribute__((format(printf, 2, 3))) static inline void
report_fail(struct report *r, const char *format, ...)
{
    int at = atomic_fetch_add(&r->nfailures, 1);
    if (at >= REPORT_TEXTS)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->texts[at], REPORT_TEXT_BYTES, format, args);
    va_end(args);
}

/* Prints the failures, and one line of counts. Returns the exit status of a test. */
static inline int report_print(const struct report *r, const char *title)
{
    int n = atomic_load(&r->nfailures);
    for (int i = 0; i < n && i < REPORT_TEXTS; i++)
        fprintf(stderr, "FAIL %s\n", r->texts[i]);
    printf("%s: %ld checks, %ld bytes compared, %d failed\n", title,
           atomic_load(&r->nchecks), atomic_load(&r->nbytes), n);
    fflush(stdout);
    return n == 0 && atomic_load(&r->nchecks) > 0 ? 0 : 1;
}

#endif
