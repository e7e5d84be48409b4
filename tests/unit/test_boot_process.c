/* The rendezvous with processes as ranks: deaths, and what fork() must not do. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "tests/support/boot_ranks.h"

/* Children of this test, forked while listeners run, start listeners of their own. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

static struct ranks_left before;

/* What parent and children share. */
struct shared {
    trncclUniqueId ids[RANKS_IDS];
    atomic_int nids_made;
    atomic_int open; /* ranks that boot_open has returned to */
    atomic_int go;
};

static struct shared *sh;

static int setup(void **state)
{
    (void)state;
    sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
              0);
    return sh == MAP_FAILED ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    munmap(sh, sizeof(*sh));
    return ranks_after(before, 3000) ? 0 : -1;
}

static void reap(pid_t pid, int expect)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(status, expect);
}

static void await(atomic_int *value, int wanted)
{
    for (int i = 0; i < 10000 && atomic_load(value) < wanted; i++)
        usleep(500);
    if (atomic_load(value) < wanted)
        fail_msg("waited in vain for a child");
}

static trncclResult_t open_rank(int rank, int nranks, int nids, struct boot **b)
{
    struct boot_args args = {.nranks = nranks,
                             .rank = rank,
                             .nids = nids,
                             .ids = sh->ids,
                             .deadline_ns = clock_deadline_ns(8000)};
    return boot_open(&args, b);
}

static int gather_once(struct boot *b, int rank, int nranks)
{
    int all[RANKS_MOST];
    if (boot_allgather(b, &rank, all, sizeof(rank)) != trncclSuccess)
        return 1;
    for (int i = 0; i < nranks; i++)
        if (all[i] != i)
            return 2;
    return 0;
}

/* A child never outlives a test that failed. */
static void child_bound(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(30);
}

/* A child that is a rank and, if it is to, serves id `serve`. It leaves at once after its
 * last exchange: what it still owes others as the server must have been sent by then. */
static void child_rank(int rank, int nranks, int nids, int serve, bool stay)
{
    struct boot *b;
    child_bound();
    if (serve >= 0 && boot_unique_id(&sh->ids[serve]) != trncclSuccess)
        _exit(10);
    if (serve >= 0)
        atomic_fetch_add(&sh->nids_made, 1);
    while (atomic_load(&sh->nids_made) < nids)
        usleep(200);
    if (open_rank(rank, nranks, nids, &b) != trncclSuccess) {
        fprintf(stderr, "child %d: %s\n", rank, error_text());
        _exit(11);
    }
    atomic_fetch_add(&sh->open, 1);
    while (stay && !atomic_load(&sh->go))
        usleep(500);
    if (gather_once(b, rank, nranks) != 0) {
        fprintf(stderr, "child %d: %s\n", rank, error_text());
        _exit(12);
    }
    boot_close(b);
    _exit(0);
}

static pid_t fork_rank(int rank, int nranks, int nids, int serve, bool stay)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_rank(rank, nranks, nids, serve, stay);
    return pid;
}

static void allgather_processes_deliversEveryPart(void **state)
{
    (void)state;
    for (int nids = 1; nids <= 4; nids += 3) {
        pid_t pid[8];
        atomic_store(&sh->nids_made, 0);
        for (int i = 0; i < 8; i++)
            pid[i] =
                fork_rank(i, 8, nids, i % 2 == 0 && i / 2 < nids ? i / 2 : -1, false);
        for (int i = 0; i < 8; i++)
            reap(pid[i], 0);
    }
}

static void allgather_idFromANonRank_works(void **state)
{
    (void)state;
    pid_t pid[3];
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    atomic_store(&sh->nids_made, 1);
    for (int i = 0; i < 3; i++)
        pid[i] = fork_rank(i, 3, 1, -1, false);
    for (int i = 0; i < 3; i++)
        reap(pid[i], 0);
}

static void expect_text(const char *part)
{
    if (!strstr(error_text(), part))
        fail_msg("\"%s\" lacks \"%s\"", error_text(), part);
}

static void allgather_rootKilled_failsAtOnceNamingIt(void **state)
{
    (void)state;
    pid_t root = fork_rank(0, 2, 1, 0, true);
    await(&sh->nids_made, 1);
    struct boot *b;
    assert_int_equal(open_rank(1, 2, 1, &b), trncclSuccess);
    await(&sh->open, 1);
    uint64_t t0 = clock_now_ns();
    kill(root, SIGKILL);
    int mine = 1, all[2];
    assert_int_equal(boot_allgather(b, &mine, all, sizeof(mine)), trncclRemoteError);
    uint64_t us = (clock_now_ns() - t0) / 1000;
    print_message("death of the root seen after %llu us\n", (unsigned long long)us);
    assert_true(us < 100000);
    char part[64];
    snprintf(part, sizeof(part), ", pid %d), has died", (int)root);
    expect_text("rank 0, the process that serves the rendezvous at 127.0.0.1:");
    expect_text(part);
    boot_close(b);
    reap(root, SIGKILL);
}

static void open_rootKilled_failsAtOnceNamingIt(void **state)
{
    (void)state;
    pid_t root = fork_rank(0, 3, 1, 0, true); /* rank 2 never comes */
    await(&sh->nids_made, 1);
    static struct ranks s;
    ranks_init(&s, 3, 1);
    s.ids[0] = sh->ids[0];
    s.rank[0].absent = s.rank[2].absent = true;
    ranks_start(&s);
    usleep(100000);
    uint64_t t0 = clock_now_ns();
    kill(root, SIGKILL);
    ranks_join(&s);
    assert_true(clock_now_ns() - t0 < 100000000);
    assert_int_equal(s.rank[1].rc, trncclRemoteError);
    char part[64];
    snprintf(part, sizeof(part), ", pid %d) has died", (int)root);
    assert_non_null(strstr(s.rank[1].text, part));
    reap(root, SIGKILL);
}

static void allgather_rankKilled_failsAtOnceNamingIt(void **state)
{
    (void)state;
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    atomic_store(&sh->nids_made, 1);
    pid_t victim = fork_rank(2, 3, 1, -1, true), other = fork_rank(1, 3, 1, -1, true);
    struct boot *b;
    assert_int_equal(open_rank(0, 3, 1, &b), trncclSuccess);
    await(&sh->open, 2);
    uint64_t t0 = clock_now_ns();
    kill(victim, SIGKILL);
    int mine = 0, all[3];
    assert_int_equal(boot_allgather(b, &mine, all, sizeof(mine)), trncclRemoteError);
    assert_true(clock_now_ns() - t0 < 100000000);
    char part[64];
    snprintf(part, sizeof(part), ", pid %d) has died", (int)victim);
    expect_text("rank 2 (host ");
    expect_text(part);
    boot_close(b);
    atomic_store(&sh->go, 1); /* the other is told as well: exit status 12 */
    reap(victim, SIGKILL);
    reap(other, 12 << 8);
}

static void allgather_hubKilled_failsAtOnceEverywhere(void **state)
{
    (void)state;
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    atomic_store(&sh->nids_made, 1);
    pid_t hub = fork_rank(2, 4, 2, 1, true), below = fork_rank(3, 4, 2, -1, true);
    pid_t mate = fork_rank(1, 4, 2, -1, true);
    await(&sh->nids_made, 2);
    struct boot *b;
    assert_int_equal(open_rank(0, 4, 2, &b), trncclSuccess);
    await(&sh->open, 3);
    uint64_t t0 = clock_now_ns();
    kill(hub, SIGKILL);
    int mine = 0, all[4];
    assert_int_equal(boot_allgather(b, &mine, all, sizeof(mine)), trncclRemoteError);
    assert_true(clock_now_ns() - t0 < 100000000);
    expect_text("the process that serves unique id 1 of 2");
    boot_close(b);
    atomic_store(&sh->go, 1);
    reap(hub, SIGKILL);
    reap(below, 12 << 8);
    reap(mate, 12 << 8);
}

static void fork_childUsesHandle_isRefusedAndHarmsNobody(void **state)
{
    (void)state;
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    atomic_store(&sh->nids_made, 1);
    pid_t other = fork_rank(1, 2, 1, -1, true);
    struct boot *b;
    assert_int_equal(open_rank(0, 2, 1, &b), trncclSuccess);
    await(&sh->open, 1);
    pid_t child = fork();
    if (child == 0) {
        char all[8];
        if (boot_allgather(b, "abcd", all, 4) != trncclInvalidUsage)
            _exit(1);
        boot_close(b);
        _exit(0);
    }
    reap(child, 0);
    atomic_store(&sh->go, 1);
    assert_int_equal(gather_once(b, 0, 2), 0);
    boot_close(b);
    reap(other, 0);
}

static void fork_childOutlivesRank_deathIsStillSeen(void **state)
{
    (void)state;
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    atomic_store(&sh->nids_made, 1);
    int alive[2];
    assert_int_equal(pipe(alive), 0);
    pid_t rank = fork();
    if (rank == 0) {
        struct boot *b;
        child_bound();
        close(alive[1]);
        if (open_rank(1, 2, 1, &b) != trncclSuccess)
            _exit(10);
        if (fork() == 0) {
            char byte;
            (void)!read(alive[0], &byte, 1);
            _exit(0);
        }
        atomic_fetch_add(&sh->open, 1);
        for (;;)
            pause();
    }
    struct boot *b;
    assert_int_equal(open_rank(0, 2, 1, &b), trncclSuccess);
    await(&sh->open, 1);
    kill(rank, SIGKILL);
    uint64_t t0 = clock_now_ns();
    int mine = 0, all[2];
    assert_int_equal(boot_allgather(b, &mine, all, sizeof(mine)), trncclRemoteError);
    assert_true(clock_now_ns() - t0 < 100000000);
    boot_close(b);
    reap(rank, SIGKILL);
    close(alive[0]);
    close(alive[1]);
}

static void id_madeAfterFork_differs(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) /* fork_guard has closed our listeners in it; it makes its own */
        _exit(boot_unique_id(&sh->ids[1]) == trncclSuccess ? 0 : 1);
    reap(child, 0);
    assert_int_equal(boot_unique_id(&sh->ids[0]), trncclSuccess);
    /* the secrets: bytes 16 to 31 */
    assert_memory_not_equal(sh->ids[0].internal + 16, sh->ids[1].internal + 16, 16);
    atomic_store(&sh->nids_made, 1);
    struct boot *b; /* used up, so that its listener ends */
    assert_int_equal(open_rank(0, 1, 1, &b), trncclSuccess);
    boot_close(b);
}

static int group_setup(void **state)
{
    (void)state;
    before = ranks_before();
    return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(allgather_processes_deliversEveryPart),
        CASE(allgather_idFromANonRank_works),
        CASE(allgather_rootKilled_failsAtOnceNamingIt),
        CASE(open_rootKilled_failsAtOnceNamingIt),
        CASE(allgather_rankKilled_failsAtOnceNamingIt),
        CASE(allgather_hubKilled_failsAtOnceEverywhere),
        CASE(fork_childUsesHandle_isRefusedAndHarmsNobody),
        CASE(fork_childOutlivesRank_deathIsStillSeen),
        CASE(id_madeAfterFork_differs),
    };
    setenv("TRNCCL_SOCKET_IFNAME", "=lo", 1);
    setenv("TRNCCL_SOCKET_FAMILY", "AF_INET", 1);
    alarm(60);
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
