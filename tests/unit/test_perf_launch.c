/* Processes: gathers between them, and that none outlives the reason to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "perf/fail.h"
#include "perf/launch.h"
#include "perf/shmlink.h"

enum { NPROCS = 5, BIG = 3 * SHMLINK_CHUNK + 11 };

/* Pids of the processes of a run, seen by the test. */
static volatile pid_t *pids;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int gather_body(const struct options *o, const struct launch *l)
{
    (void)o;
    const struct team_link *link = &l->link;
    unsigned char *mine = malloc(BIG), *all = malloc((size_t)BIG * NPROCS);
    int bad = link->nprocs != NPROCS;
    for (int round = 0; round < 20 && !bad; round++) {
        size_t nbytes = round % 3 == 0 ? 0 : round % 3 == 1 ? 7 : BIG;
        memset(mine, link->proc * 16 + round, BIG);
        link->allgather(link->context, mine, all, nbytes);
        for (size_t p = 0; p < NPROCS; p++)
            for (size_t i = 0; i < nbytes; i += 13)
                bad |= all[p * nbytes + i] != (unsigned char)((int)p * 16 + round);
    }
    free(mine);
    free(all);
    return bad ? PERF_EXIT_WRONG : PERF_EXIT_OK;
}

static struct options options_for(int nprocs)
{
    return (struct options){
        .nprocs = nprocs, .nthreads = 1, .nper_thread = 1, .nprocs_given = true};
}

static void local_processes_gather_from_each_other(void **state)
{
    (void)state;
    struct options o = options_for(NPROCS);
    assert_int_equal(launch_local(&o, gather_body), PERF_EXIT_OK);
}

static int wait_for_ever(void)
{
    while (pause() == -1)
        continue;
    return 0;
}

/* What the third rank does in a body where the others wait for ever. */
static int (*third)(void);

static int waiting_body(const struct options *o, const struct launch *l)
{
    (void)o;
    pids[l->link.proc] = getpid();
    if (l->link.proc == 2)
        return third();
    return wait_for_ever();
}

/* Runs launch_local in a child, so that its stderr can be read; returns its exit status
 * and in *took_s how long it ran. `interrupt` is sent to it once all ranks exist. */
static int run(int (*third_does)(void), int interrupt, char *text, size_t text_nbytes,
               double *took_s)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    third = third_does;
    for (int i = 0; i < NPROCS; i++)
        pids[i] = 0;
    double start = now_s();
    pid_t supervisor = fork();
    if (supervisor == 0) {
        struct options o = options_for(NPROCS);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(launch_local(&o, waiting_body));
    }
    close(ends[1]);
    for (int i = 0; interrupt && i < NPROCS; i++)
        while (!pids[i])
            sched_yield();
    if (interrupt)
        kill(supervisor, interrupt);
    size_t length = 0;
    for (ssize_t n; (n = read(ends[0], text + length, text_nbytes - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    *took_s = now_s() - start;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* Whether all are gone within two seconds; a zombie of init's counts as gone. */
static int all_gone(void)
{
    for (double end = now_s() + 2; now_s() < end; sched_yield()) {
        int alive = 0;
        for (int i = 0; i < NPROCS; i++)
            alive += pids[i] && kill(pids[i], 0) == 0;
        if (!alive)
            return 1;
    }
    return 0;
}

static int count_lines(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static int kill_self(void)
{
    raise(SIGKILL);
    return 0;
}

static void rank_killed_ends_all_and_is_named_once(void **state)
{
    char text[1024], expected[128];
    double took_s;
    (void)state;
    assert_int_equal(run(kill_self, 0, text, sizeof text, &took_s), PERF_EXIT_DIED);
    snprintf(expected, sizeof expected, "rank 2 (pid %d) was killed by signal 9",
             (int)pids[2]);
    assert_non_null(strstr(text, expected));
    assert_int_equal(count_lines(text), 1);
    assert_true(took_s < 5);
    assert_true(all_gone());
}

static int complain(void)
{
    fail_with("rank 2: the disk is on fire");
}

static void rank_failed_is_quoted_once(void **state)
{
    char text[1024];
    double took_s;
    (void)state;
    assert_int_equal(run(complain, 0, text, sizeof text, &took_s), PERF_EXIT_FAILED);
    assert_string_equal(text, "trn-collective-perf: rank 2: the disk is on fire\n");
    assert_true(all_gone());
}

static int vanish(void)
{
    _exit(7);
}

static void rank_exited_is_reported_with_its_status(void **state)
{
    char text[1024];
    double took_s;
    (void)state;
    assert_int_equal(run(vanish, 0, text, sizeof text, &took_s), PERF_EXIT_DIED);
    assert_non_null(strstr(text, "exited with status 7"));
    assert_true(all_gone());
}

static int ignore_and_wait(void)
{
    signal(SIGTERM, SIG_IGN);
    return wait_for_ever();
}

static void interrupted_ends_even_a_rank_that_ignores_it(void **state)
{
    char text[1024];
    double took_s;
    (void)state;
    assert_int_equal(run(ignore_and_wait, SIGINT, text, sizeof text, &took_s),
                     128 + SIGINT);
    assert_non_null(strstr(text, "interrupted by signal 2"));
    assert_int_equal(count_lines(text), 1);
    assert_true(took_s < 5);
    assert_true(all_gone());
}

static int stop_self(void)
{
    raise(SIGSTOP);
    return wait_for_ever();
}

static void interrupted_ends_a_stopped_rank(void **state)
{
    char text[1024];
    double took_s;
    (void)state;
    assert_int_equal(run(stop_self, SIGTERM, text, sizeof text, &took_s), 128 + SIGTERM);
    assert_true(all_gone());
}

static void supervisor_killed_leaves_no_ranks(void **state)
{
    char text[1024];
    double took_s;
    (void)state;
    assert_int_equal(run(ignore_and_wait, SIGKILL, text, sizeof text, &took_s),
                     1000 + SIGKILL);
    assert_true(all_gone());
}

/* Two failures at once: an echo of another rank's end is not the reason given. */
static int echo_body(const struct options *o, const struct launch *l)
{
    (void)o;
    if (l->link.proc == 0)
        fail_unless(trncclRemoteError, "trncclAllReduce", 0, NULL);
    struct timespec t = {0, 30000000};
    nanosleep(&t, NULL);
    fail_with("rank %d: the cause", l->link.proc);
}

static void echo_is_not_taken_for_the_cause(void **state)
{
    int ends[2];
    char text[1024] = "";
    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid_t supervisor = fork();
    if (supervisor == 0) {
        struct options o = options_for(2);
        dup2(ends[1], STDERR_FILENO);
        _exit(launch_local(&o, echo_body));
    }
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_string_equal(text, "trn-collective-perf: rank 1: the cause\n");
}

/* ---- Threads ------------------------------------------------------------------------
 */

enum { NTHREADS = 6, ROUNDS = 300 };
static struct team threads_team;

static void *team_thread(void *arg)
{
    int me = (int)(intptr_t)arg, all[NTHREADS];
    for (int round = 0; round < ROUNDS; round++) {
        int mine = me * ROUNDS + round;
        team_allgather(&threads_team, me, &mine, all, sizeof mine);
        for (int i = 0; i < NTHREADS; i++)
            if (all[i] != i * ROUNDS + round)
                return (void *)1;
        if (round % 7 == 0)
            team_barrier(&threads_team, me);
    }
    return NULL;
}

static void team_of_threads_gathers_every_round(void **state)
{
    struct team_link link;
    pthread_t threads[NTHREADS];
    (void)state;
    team_link_alone(&link);
    team_init(&threads_team, &link, NTHREADS);
    for (int i = 0; i < NTHREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, team_thread, (void *)(intptr_t)i), 0);
    for (int i = 0; i < NTHREADS; i++) {
        void *bad;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    team_fini(&threads_team);
}

/* ---- MPI's environment --------------------------------------------------------------
 */

static void mpi_size_reads_the_launchers_variables(void **state)
{
    const char *name = NULL;
    (void)state;
    unsetenv("OMPI_COMM_WORLD_SIZE");
    unsetenv("PMI_SIZE");
    unsetenv("PMIX_RANK");
    assert_int_equal(launch_mpi_size(&name), 0);
    setenv("PMI_SIZE", "3", 1);
    assert_int_equal(launch_mpi_size(&name), 3);
    assert_string_equal(name, "PMI_SIZE");
    setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
    assert_int_equal(launch_mpi_size(&name), 4);
    struct options o = options_for(2);
    assert_int_equal(launch_run(&o, gather_body), PERF_EXIT_USAGE);
    unsetenv("OMPI_COMM_WORLD_SIZE");
    unsetenv("PMI_SIZE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_processes_gather_from_each_other),
        cmocka_unit_test(rank_killed_ends_all_and_is_named_once),
        cmocka_unit_test(rank_failed_is_quoted_once),
        cmocka_unit_test(rank_exited_is_reported_with_its_status),
        cmocka_unit_test(interrupted_ends_even_a_rank_that_ignores_it),
        cmocka_unit_test(interrupted_ends_a_stopped_rank),
        cmocka_unit_test(supervisor_killed_leaves_no_ranks),
        cmocka_unit_test(echo_is_not_taken_for_the_cause),
        cmocka_unit_test(team_of_threads_gathers_every_round),
        cmocka_unit_test(mpi_size_reads_the_launchers_variables),
    };
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
    pids = page;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
