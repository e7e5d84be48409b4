/* Ranks for the tests of the public interface: as processes or as threads, with a page
 * that all of them and the test share.
 *
 * A test calls team_run (or team_start ... team_finish to meddle in between); each rank
 * runs the function it was given, makes its calls, says what it saw in its own seat and
 * checks with CHECK, OK and REFUSED. The first check that fails is printed with rank and
 * line, and fails the test. Nothing here knows the inside of the library. */
#ifndef TRNCCL_TESTS_API_TEAM_H
#define TRNCCL_TESTS_API_TEAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "trnccl.h"

#define TEAM_MAX 64
#define TEAM_TEXT 1100

/* What one rank tells the test. In shared memory. */
struct seat {
    pid_t pid;
    atomic_int failed;
    atomic_int stage;      /* how far the rank is, in the test's own numbers */
    trncclResult_t result; /* of the call the test is about */
    char text[TEAM_TEXT];  /* its sentence */
    double began_ms, ended_ms;
    double value[4];
    int status; /* of waitpid */
};

/* Shared by all ranks and the test. */
struct board {
    atomic_int id_ready;
    atomic_int flag[4]; /* for the test's own use */
    double time_ms[4];
    trncclUniqueId id;
    struct seat seats[TEAM_MAX];
};

struct rank {
    int rank, nranks;
    bool thread;
    trncclComm_t comm;
    struct board *board;
    struct seat *seat; /* its own */
    void *context;
    void (*fn)(struct rank *r);
};

enum team_kind { TEAM_PROCESSES, TEAM_THREADS };

struct team {
    enum team_kind kind;
    int nranks;
    struct board *board;
    struct rank ranks[TEAM_MAX];
    pthread_t threads[TEAM_MAX];
};

/* Starts nranks ranks. In the test's process there must be no other thread then. */
void team_start(struct team *t, enum team_kind kind, int nranks,
                void (*fn)(struct rank *r), void *context);
/* Waits for all ranks at most limit_s seconds (then kills processes, fails), and returns
 * how many failed. A process that the test killed by SIGKILL is no failure if
 * `killed` says its rank (-1: none). Frees nothing: team_free. */
int team_finish(struct team *t, int limit_s, int killed);
void team_free(struct team *t);
/* All three; returns the number of ranks that failed. */
int team_run(enum team_kind kind, int nranks, void (*fn)(struct rank *r), void *context);

/* Ends the rank (or the thread) after a failed check; prints rank, place and text. */
void rank_fail(struct rank *r, const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

/* Rank 0 makes the unique id, the others wait for it. */
void rank_meet(struct rank *r);
/* r->comm by the unique id; the deadline of calls is timeout_ms. */
void rank_join(struct rank *r, int timeout_ms);
trncclResult_t rank_try_join(struct rank *r, trncclConfig_t *config);
void rank_leave(struct rank *r);
/* One all-reduce and one all-gather whose results are checked. */
void rank_prove(struct rank *r, trncclComm_t comm);
/* Keeps result, text and time of the call that the test is about. */
void rank_note(struct rank *r, trncclResult_t result);

double now_ms(void);
void sleep_ms(double ms);
/* Waits until *flag >= value, at most 20 s. */
bool wait_for_flag(atomic_int *flag, int value);
bool team_sanitized(void); /* AddressSanitizer or ThreadSanitizer is at work */

#define CHECK(r, condition)                                                              \
    do {                                                                                 \
        if (!(condition))                                                                \
            rank_fail(r, __FILE__, __LINE__, "%s", #condition);                          \
    } while (0)

#define OK(r, call)                                                                      \
    do {                                                                                 \
        trncclResult_t ok_result = (call);                                               \
        if (ok_result != trncclSuccess)                                                  \
            rank_fail(r, __FILE__, __LINE__, "%s: %s: %s", #call,                        \
                      trncclGetErrorString(ok_result), trncclGetLastError(NULL));        \
    } while (0)

#endif
