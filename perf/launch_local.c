#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/launch.h"
#include "perf/shmlink.h"

/* How long the others may take to report after the first failure: the first exit seen is
 * often only an echo of the cause. A killed rank is noticed by its peers within 100 ms.
 */
#define SETTLE_MS 150
/* Between SIGTERM and SIGKILL. */
#define GRACE_MS 1000

/* One process's last words, in shared memory. */
struct words {
    int said; /* written last, atomically */
    int status;
    bool secondary;
    char sentence[1536];
};

struct child {
    pid_t pid;
    bool ended;
    int status;
};

struct supervisor {
    const struct options *o;
    int n, nalive;
    struct child *children;
    struct words *words;           /* [n], shared with the children */
    struct shmlink_shared *shared; /* of the team link */
    sigset_t signals;              /* blocked, waited for */
    bool failed;                   /* some child ended badly */
};

struct child_sink {
    struct words *words;
};

static void say(void *context, const struct failure *f)
{
    struct words *w = ((struct child_sink *)context)->words;
    snprintf(w->sentence, sizeof w->sentence, "%s", f->sentence);
    w->status = (int)f->status;
    w->secondary = f->secondary;
    __atomic_store_n(&w->said, 1, __ATOMIC_RELEASE); /* pairs with told() */
    _exit(f->status);
}

static const char *told(const struct words *w)
{
    return __atomic_load_n(&w->said, __ATOMIC_ACQUIRE) ? w->sentence : NULL;
}

static int child_main(struct supervisor *s, int proc, const sigset_t *old_mask,
                      launch_body body)
{
    /* Ctrl-C reaches the whole process group; only the parent acts on it. */
    signal(SIGINT, SIG_IGN);
    sigprocmask(SIG_SETMASK, old_mask, NULL);
    struct child_sink sink = {&s->words[proc]};
    fail_sink_set(say, &sink);
    struct launch l = {0};
    struct shmlink end;
    shmlink_open(&end, s->shared, proc, &l.link);
    return body(s->o, &l);
}

static bool start(struct supervisor *s, launch_body body)
{
    sigset_t old_mask;
    pid_t parent = getpid();
    sigprocmask(SIG_BLOCK, &s->signals, &old_mask);
    fflush(NULL);
    for (int proc = 0; proc < s->n; proc++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent) /* it died before the prctl */
                _exit(PERF_EXIT_DIED);
            int status = child_main(s, proc, &old_mask, body);
            fflush(NULL);
            _exit(status);
        }
        if (pid < 0) {
            fprintf(stderr, PERF_NAME ": cannot start process %d of %d: %s\n", proc, s->n,
                    strerror(errno));
            return false;
        }
        s->children[proc].pid = pid;
        s->nalive++;
    }
    return true;
}

static void reap(struct supervisor *s)
{
    for (int proc = 0; proc < s->n; proc++) {
        struct child *c = &s->children[proc];
        if (c->pid <= 0 || c->ended || waitpid(c->pid, &c->status, WNOHANG) != c->pid)
            continue;
        c->ended = true;
        s->nalive--;
        bool fine = WIFEXITED(c->status) && (WEXITSTATUS(c->status) == PERF_EXIT_OK ||
                                             WEXITSTATUS(c->status) == PERF_EXIT_WRONG);
        s->failed = s->failed || !fine;
    }
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Waits for one signal, at most `ms` (negative: for ever). 0 if none came. */
static int next_signal(const struct supervisor *s, double ms)
{
    siginfo_t info;
    if (ms < 0)
        return sigwaitinfo(&s->signals, &info) > 0 ? info.si_signo : 0;
    struct timespec t = {(time_t)(ms / 1e3), (long)(1e6 * (ms - 1e3 * (long)(ms / 1e3)))};
    return sigtimedwait(&s->signals, &info, &t) > 0 ? info.si_signo : 0;
}

/* Until all have ended or `ms` have passed; other signals are of no interest here. */
static void reap_for(struct supervisor *s, double ms)
{
    double end = now_ms() + ms;
    for (reap(s); s->nalive > 0; reap(s)) {
        double left = end - now_ms();
        if (left <= 0)
            return;
        next_signal(s, left);
    }
}

static void signal_all(const struct supervisor *s, int number)
{
    for (int proc = 0; proc < s->n; proc++) {
        const struct child *c = &s->children[proc];
        if (c->pid > 0 && !c->ended)
            kill(c->pid, number);
    }
}

static void end_all(struct supervisor *s)
{
    signal_all(s, SIGTERM);
    signal_all(s, SIGCONT); /* a stopped rank would not get the first one */
    reap_for(s, GRACE_MS);
    signal_all(s, SIGKILL);
    reap_for(s, 10 * GRACE_MS);
}

/* "rank 3" or "ranks 6 to 7", of process `proc`. */
static const char *ranks_of(const struct supervisor *s, int proc, char *text,
                            size_t nbytes)
{
    int each = s->o->nthreads * s->o->nper_thread;
    if (each == 1)
        snprintf(text, nbytes, "rank %d", proc);
    else
        snprintf(text, nbytes, "ranks %d to %d", proc * each, (proc + 1) * each - 1);
    return text;
}

static bool was_killed(const struct child *c)
{
    return c->ended && WIFSIGNALED(c->status);
}

/* The cause: a killed process before one that complains, a complaint of its own before
 * one about another rank, an exit without words last. Prints it; returns the status. */
static int explain(const struct supervisor *s)
{
    char ranks[48];
    for (int proc = 0; proc < s->n; proc++) {
        const struct child *c = &s->children[proc];
        if (!was_killed(c))
            continue;
        int number = WTERMSIG(c->status);
        fprintf(stderr, PERF_NAME ": %s (pid %d) was killed by signal %d (%s)%s\n",
                ranks_of(s, proc, ranks, sizeof ranks), (int)c->pid, number,
                strsignal(number), WCOREDUMP(c->status) ? ", core dumped" : "");
        return PERF_EXIT_DIED;
    }
    for (int echo = 0; echo < 2; echo++) {
        for (int proc = 0; proc < s->n; proc++) {
            const char *sentence = told(&s->words[proc]);
            if (!sentence || (s->words[proc].secondary && !echo))
                continue;
            fprintf(stderr, PERF_NAME ": %s\n", sentence);
            return s->words[proc].status;
        }
    }
    for (int proc = 0; proc < s->n; proc++) {
        const struct child *c = &s->children[proc];
        if (!c->ended || WEXITSTATUS(c->status) <= PERF_EXIT_WRONG)
            continue;
        int status = WEXITSTATUS(c->status);
        if (status != PERF_EXIT_USAGE) /* which has explained itself */
            fprintf(stderr, PERF_NAME ": %s (pid %d) exited with status %d\n",
                    ranks_of(s, proc, ranks, sizeof ranks), (int)c->pid, status);
        return status == PERF_EXIT_USAGE ? status : PERF_EXIT_DIED;
    }
    return PERF_EXIT_DIED;
}

static int supervise(struct supervisor *s)
{
    while (s->nalive > 0 && !s->failed) {
        int number = next_signal(s, -1);
        if (number == SIGINT || number == SIGTERM || number == SIGHUP) {
            fprintf(stderr,
                    PERF_NAME ": interrupted by signal %d (%s), ending %d ranks\n",
                    number, strsignal(number), s->n * s->o->nthreads * s->o->nper_thread);
            end_all(s);
            return 128 + number;
        }
        reap(s);
    }
    if (s->failed) {
        reap_for(s, SETTLE_MS);
        int status = explain(s);
        end_all(s);
        return status;
    }
    int status = PERF_EXIT_OK;
    for (int proc = 0; proc < s->n; proc++) {
        int one = WEXITSTATUS(s->children[proc].status);
        status = one > status ? one : status;
    }
    return status;
}

int launch_local(const struct options *o, launch_body body)
{
    struct supervisor s = {.o = o, .n = o->nprocs};
    size_t link_nbytes = (shmlink_shared_nbytes(s.n) + 63) & ~(size_t)63;
    size_t nbytes = link_nbytes + (size_t)s.n * sizeof *s.words;
    char *shared =
        mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail_with("cannot map %zu bytes to share between %d processes: %s", nbytes, s.n,
                  strerror(errno));
    s.shared = (struct shmlink_shared *)(void *)shared;
    s.words = (struct words *)(void *)(shared + link_nbytes);
    shmlink_shared_init(s.shared, s.n);
    s.children = fail_calloc((size_t)s.n, sizeof *s.children);
    sigemptyset(&s.signals);
    sigaddset(&s.signals, SIGCHLD);
    sigaddset(&s.signals, SIGINT);
    sigaddset(&s.signals, SIGTERM);
    sigaddset(&s.signals, SIGHUP);

    int status;
    if (start(&s, body)) {
        status = supervise(&s);
    } else {
        end_all(&s);
        status = PERF_EXIT_FAILED;
    }
    free(s.children);
    munmap(shared, nbytes);
    return status;
}
