#include "conform_run.h"

#include "comm.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A call that makes no progress for this long fails: far beyond what a busy machine with
 * a sanitizer needs. */
#define TIMEOUT_MS 60000

/* What all ranks of a run share, also across processes. */
struct meeting {
    trncclUniqueId id;
    atomic_int has_id; /* -1: it could not be made */
    atomic_int entered;
};

struct worker {
    const struct conform_run *run;
    struct meeting *meeting;
    struct conform_rank rank;
    bool usable;
};

static bool case_wants_shared(const struct conform_run *run)
{
    for (int i = 0; i < run->ncases; i++)
        if (run->cases[i].shared != CONFORM_NONE)
            return true;
    return false;
}

static bool worker_init(struct worker *w)
{
    size_t nbytes = 1;
    for (int i = 0; i < w->run->ncases; i++) {
        size_t need = conform_need(&w->run->cases[i], w->run->nranks);
        nbytes = need > nbytes ? need : nbytes;
    }
    w->rank.nranks = w->run->nranks;
    w->rank.report = w->run->report;
    w->rank.entered = &w->meeting->entered;
    w->rank.flip = w->rank.rank == w->run->flip_rank ? w->run->flip : -1;
    if (trncclStreamCreate(&w->rank.stream) != trncclSuccess) {
        report_fail(w->run->report, "rank %d: trncclStreamCreate: %s", w->rank.rank,
                    trncclGetLastError(NULL));
        return false;
    }
    return conform_rank_init(&w->rank, nbytes, case_wants_shared(w->run));
}

/* Rank 0 makes the id in its own process, which serves the rendezvous. */
static bool meet(struct worker *w)
{
    struct meeting *m = w->meeting;
    if (w->rank.rank == 0) {
        bool made = trncclGetUniqueId(&m->id) == trncclSuccess;
        if (!made)
            report_fail(w->run->report, "trncclGetUniqueId: %s",
                        trncclGetLastError(NULL));
        atomic_store(&m->has_id, made ? 1 : -1);
    }
    while (atomic_load(&m->has_id) == 0)
        usleep(200);
    return atomic_load(&m->has_id) > 0;
}

static bool worker_connect(struct worker *w)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.algo = w->run->algo;
    config.timeoutMs = TIMEOUT_MS;
    config.commName = "suite";
    trncclResult_t result = trncclCommInitRankConfig(
        &w->rank.comm, w->run->nranks, w->meeting->id, w->rank.rank, &config);
    if (result == trncclSuccess)
        return true;
    report_fail(w->run->report, "rank %d of %d: trncclCommInitRankConfig: %.500s",
                w->rank.rank, w->run->nranks, trncclGetLastError(NULL));
    return false;
}

static void worker_fini(struct worker *w)
{
    if (w->rank.comm && trncclCommDestroy(w->rank.comm) != trncclSuccess)
        report_fail(w->run->report, "rank %d: trncclCommDestroy: %s", w->rank.rank,
                    trncclGetLastError(NULL));
    if (w->rank.stream && trncclStreamDestroy(w->rank.stream) != trncclSuccess)
        report_fail(w->run->report, "rank %d: trncclStreamDestroy: %s", w->rank.rank,
                    trncclGetLastError(NULL));
    conform_rank_fini(&w->rank);
}

/* The library learns of the machine as its planner would tell it. */
static void worker_place(struct worker *w)
{
    struct sched_args none = {0}, like;
    if (!w->run->machine)
        return;
    like = graphs_args(w->run->machine, &none);
    plan_follow(w->rank.comm->plan, &like);
}

/* ---- a thread per rank --------------------------------------------------------------
 */

static void *worker_main(void *argument)
{
    struct worker *w = argument;
    const struct conform_run *run = w->run;
    bool going = worker_init(w) && meet(w) && worker_connect(w);
    if (going)
        worker_place(w);
    for (int i = 0; going && i < run->ncases; i++) {
        conform_begin(&w->rank, &run->cases[i]);
        trncclResult_t result = conform_issue(&w->rank, &run->cases[i]);
        going = conform_check(&w->rank, &run->cases[i], result);
    }
    worker_fini(w);
    return NULL;
}

static void drive_by_threads(struct worker *workers, int n)
{
    pthread_t threads[CONFORM_MAX_RANKS];
    for (int i = 1; i < n; i++)
        if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0) {
            perror("suite: pthread_create");
            abort();
        }
    worker_main(&workers[0]);
    for (int i = 1; i < n; i++)
        pthread_join(threads[i], NULL);
}

/* ---- one thread for all -------------------------------------------------------------
 */

static bool one_case(struct worker *workers, int n, const struct conform_case *c)
{
    trncclResult_t issued = trncclSuccess;
    for (int i = 0; i < n; i++)
        conform_begin(&workers[i].rank, c);
    trncclResult_t result = trncclGroupStart();
    for (int i = 0; i < n; i++) {
        issued = conform_issue(&workers[i].rank, c);
        if (issued != trncclSuccess && result == trncclSuccess)
            result = issued;
    }
    issued = trncclGroupEnd();
    if (result == trncclSuccess)
        result = issued;
    bool going = true;
    for (int i = 0; i < n; i++)
        going &= conform_check(&workers[i].rank, c, result);
    return going;
}

static void drive_by_one(struct worker *workers, int n)
{
    const struct conform_run *run = workers[0].run;
    bool going = true;
    for (int i = 0; i < n; i++)
        going &= worker_init(&workers[i]) && meet(&workers[i]);
    trncclResult_t result = trncclGroupStart();
    for (int i = 0; going && i < n; i++)
        going &= worker_connect(&workers[i]);
    trncclResult_t ended = trncclGroupEnd();
    if (going && (result != trncclSuccess || ended != trncclSuccess)) {
        report_fail(run->report, "%d communicators in a group: %s", n,
                    trncclGetLastError(NULL));
        going = false;
    }
    for (int i = 0; going && i < n; i++)
        worker_place(&workers[i]);
    for (int i = 0; going && i < run->ncases; i++)
        going = one_case(workers, n, &run->cases[i]);
    for (int i = 0; i < n; i++)
        worker_fini(&workers[i]);
}

/* ---- processes ----------------------------------------------------------------------
 */

static int process_of(const struct conform_run *run, int rank)
{
    return run->interleaved ? rank % run->nprocesses
                            : (int)((long)rank * run->nprocesses / run->nranks);
}

static void run_process(const struct conform_run *run, struct meeting *m, int process)
{
    struct worker *workers = calloc(CONFORM_MAX_RANKS, sizeof *workers);
    int n = 0;
    for (int r = 0; workers && r < run->nranks; r++)
        if (process_of(run, r) == process)
            workers[n++] = (struct worker){.run = run, .meeting = m, .rank = {.rank = r}};
    if (!workers)
        abort();
    if (run->one_thread)
        drive_by_one(workers, n);
    else
        drive_by_threads(workers, n);
    free(workers);
}

static void run_processes(const struct conform_run *run, struct meeting *m)
{
    pid_t pids[CONFORM_MAX_RANKS];
    fflush(stdout);
    for (int p = 0; p < run->nprocesses; p++) {
        pids[p] = fork();
        if (pids[p] < 0) {
            perror("suite: fork");
            abort();
        }
        if (pids[p] == 0) {
            run_process(run, m, p);
            exit(0);
        }
    }
    for (int p = 0; p < run->nprocesses; p++) {
        int status = 0;
        if (waitpid(pids[p], &status, 0) != pids[p])
            perror("suite: waitpid");
        else if (status != 0)
            report_fail(run->report, "process %d of %d ended with status 0x%x", p,
                        run->nprocesses, (unsigned)status);
    }
}

void conform_run(const struct conform_run *run)
{
    struct meeting *m =
        mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m == MAP_FAILED) {
        perror("suite: mmap");
        abort();
    }
    if (run->nprocesses > 1)
        run_processes(run, m);
    else
        run_process(run, m, 0);
    munmap(m, sizeof *m);
}

/* ---- the suite's own test -----------------------------------------------------------
 */

static bool catches(const struct conform_run *template, long flip, const char *expected)
{
    struct conform_run run = *template;
    run.report = report_create();
    run.flip_rank = 1;
    run.flip = flip;
    conform_run(&run);
    bool caught = atomic_load(&run.report->nfailures) == 1 &&
                  strstr(run.report->texts[0], expected) &&
                  strstr(run.report->texts[0], "rank 1");
    printf("planted fault: %s\n", run.report->nfailures ? run.report->texts[0] : "none");
    report_destroy(run.report);
    return caught;
}

bool conform_catches_faults(int nprocesses, bool one_thread)
{
    struct oracle o;
    oracle_init(&o, trncclInt16, trncclSum, 3, 1);
    struct conform_case c = {
        .id = 1, .coll = SCHED_ALL_REDUCE, .algo = "ring", .oracle = &o, .count = 100};
    struct conform_run run = {.nranks = 3,
                              .nprocesses = nprocesses,
                              .one_thread = one_thread,
                              .algo = "ring",
                              .cases = &c,
                              .ncases = 1};
    bool caught = catches(&run, 64 + 2 * 41, "element 41 of block 0 of the result") &&
                  catches(&run, 3, "byte 3 of the receive buffer's");
    oracle_fini(&o);
    if (!caught)
        fprintf(stderr, "FAIL a planted fault was not caught\n");
    return caught;
}

uint64_t conform_seed(void)
{
    const char *text = getenv("TRNCCL_SUITE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 20260101;
    printf("seed %llu (TRNCCL_SUITE_SEED)\n", (unsigned long long)seed);
    return seed;
}
