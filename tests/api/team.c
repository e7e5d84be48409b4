#include "tests/api/team.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

void sleep_ms(double ms)
{
    struct timespec ts = {(time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000};
    while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
        ;
}

bool wait_for_flag(atomic_int *flag, int value)
{
    for (double end = now_ms() + 20000; atomic_load(flag) < value; sleep_ms(0.2))
        if (now_ms() > end)
            return false;
    return true;
}

bool team_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    return true;
#endif
#endif
    return false;
}

void rank_fail(struct rank *r, const char *file, int line, const char *format, ...)
{
    char text[2 * TEAM_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "rank %d of %d: %s:%d: %s\n", r->rank, r->nranks, file, line, text);
    atomic_store(&r->seat->failed, 1);
    if (r->thread)
        pthread_exit(NULL);
    _exit(1);
}

/* ---- one rank
 * --------------------------------------------------------------------------- */

void rank_meet(struct rank *r)
{
    if (r->rank == 0 && !atomic_load(&r->board->id_ready)) {
        OK(r, trncclGetUniqueId(&r->board->id));
        atomic_store(&r->board->id_ready, 1);
    }
    CHECK(r, wait_for_flag(&r->board->id_ready, 1));
}

trncclResult_t rank_try_join(struct rank *r, trncclConfig_t *config)
{
    rank_meet(r);
    return trncclCommInitRankConfig(&r->comm, r->nranks, r->board->id, r->rank, config);
}

void rank_join(struct rank *r, int timeout_ms)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.timeoutMs = timeout_ms;
    config.initTimeoutMs = 60000;
    OK(r, rank_try_join(r, &config));
}

void rank_leave(struct rank *r)
{
    OK(r, trncclCommDestroy(r->comm));
    r->comm = NULL;
}

void rank_prove(struct rank *r, trncclComm_t comm)
{
    enum { N = 37 };
    int me = -1, n = 0;
    OK(r, trncclCommUserRank(comm, &me));
    OK(r, trncclCommCount(comm, &n));
    int32_t mine[N], sum[N], all[TEAM_MAX * N];
    for (int i = 0; i < N; i++)
        mine[i] = 1000 * me + i;
    OK(r, trncclAllReduce(mine, sum, N, trncclInt32, trncclSum, comm, NULL));
    for (int i = 0; i < N; i++)
        CHECK(r, sum[i] == 1000 * (n * (n - 1) / 2) + n * i);
    OK(r, trncclAllGather(mine, all, N, trncclInt32, comm, NULL));
    for (int i = 0; i < n * N; i++)
        CHECK(r, all[i] == 1000 * (i / N) + i % N);
}

void rank_note(struct rank *r, trncclResult_t result)
{
    r->seat->ended_ms = now_ms();
    r->seat->result = result;
    snprintf(r->seat->text, sizeof r->seat->text, "%s",
             result == trncclSuccess ? "" : trncclGetLastError(r->comm));
}

/* ---- the team
 * --------------------------------------------------------------------------- */

static void *thread_main(void *argument)
{
    struct rank *r = argument;
    r->fn(r);
    return NULL;
}

static void process_start(struct rank *r)
{
    fflush(NULL);
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(99);
    }
    if (pid > 0) {
        r->seat->pid = pid;
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    r->seat->pid = getpid();
    r->fn(r);
    /* Not _exit: a sanitizer looks for leaks in exit. */
    exit(0);
}

void team_start(struct team *t, enum team_kind kind, int nranks,
                void (*fn)(struct rank *r), void *context)
{
    memset(t, 0, sizeof *t);
    t->kind = kind;
    t->nranks = nranks;
    t->board = mmap(NULL, sizeof *t->board, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->board == MAP_FAILED) {
        perror("mmap");
        exit(99);
    }
    for (int i = 0; i < nranks; i++)
        t->ranks[i] = (struct rank){.rank = i,
                                    .nranks = nranks,
                                    .thread = kind == TEAM_THREADS,
                                    .board = t->board,
                                    .seat = &t->board->seats[i],
                                    .context = context,
                                    .fn = fn};
    for (int i = 0; i < nranks; i++) {
        if (kind == TEAM_PROCESSES)
            process_start(&t->ranks[i]);
        else if (pthread_create(&t->threads[i], NULL, thread_main, &t->ranks[i])) {
            perror("pthread_create");
            exit(99);
        }
    }
}

/* False if it did not end in time and had to be killed. */
static bool process_end(struct seat *s, double until_ms)
{
    while (waitpid(s->pid, &s->status, WNOHANG) == 0) {
        if (now_ms() > until_ms) {
            kill(s->pid, SIGKILL);
            waitpid(s->pid, &s->status, 0);
            return false;
        }
        sleep_ms(0.5);
    }
    return true;
}

static int processes_finish(struct team *t, int limit_s, int killed)
{
    int failed = 0;
    double until = now_ms() + limit_s * 1e3;
    for (int i = 0; i < t->nranks; i++) {
        struct seat *s = &t->board->seats[i];
        bool ended = process_end(s, until);
        bool good = WIFEXITED(s->status) ? WEXITSTATUS(s->status) == 0
                                         : WTERMSIG(s->status) == SIGKILL && i == killed;
        if (!ended)
            fprintf(stderr, "rank %d (pid %d) hung at stage %d\n", i, (int)s->pid,
                    atomic_load(&s->stage));
        else if (!good && !atomic_load(&s->failed))
            fprintf(stderr, "rank %d (pid %d) ended with wait status 0x%x at stage %d\n",
                    i, (int)s->pid, (unsigned)s->status, atomic_load(&s->stage));
        failed += !ended || !good || atomic_load(&s->failed);
    }
    return failed;
}

int team_finish(struct team *t, int limit_s, int killed)
{
    if (t->kind == TEAM_PROCESSES)
        return processes_finish(t, limit_s, killed);
    int failed = 0;
    for (int i = 0; i < t->nranks; i++) {
        pthread_join(t->threads[i], NULL);
        failed += atomic_load(&t->board->seats[i].failed);
    }
    return failed;
}

void team_free(struct team *t)
{
    munmap(t->board, sizeof *t->board);
    t->board = NULL;
}

int team_run(enum team_kind kind, int nranks, void (*fn)(struct rank *r), void *context)
{
    static struct team t;
    team_start(&t, kind, nranks, fn, context);
    int failed = team_finish(&t, 60, -1);
    team_free(&t);
    return failed;
}
