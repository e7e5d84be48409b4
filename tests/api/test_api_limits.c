/* What communicators take and give back, and what happens when there is no more: many
 * cycles, many ranks, no descriptors, no memory. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

/* ---- nothing grows
 * ----------------------------------------------------------------------------- */

struct footprint {
    int fds, threads, maps;
    long resident_kib;
};

static int entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static struct footprint footprint(void)
{
    struct footprint f = {.fds = entries("/proc/self/fd"),
                          .threads = entries("/proc/self/task")};
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        f.maps += strstr(line, "memfd") != NULL;
    if (maps)
        fclose(maps);
    FILE *status = fopen("/proc/self/status", "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmRSS: %ld", &f.resident_kib) == 1)
            break;
    if (status)
        fclose(status);
    return f;
}

/* Threads end a moment after they have been waited for. */
static bool back_to(const struct footprint *then, struct footprint *now)
{
    for (double end = now_ms() + 2000; now_ms() < end; sleep_ms(2)) {
        *now = footprint();
        if (now->fds <= then->fds && now->threads <= then->threads &&
            now->maps <= then->maps)
            return true;
    }
    return false;
}

static void cycle_once(struct rank *r)
{
    enum { N = 20000 };
    void *shared = NULL, *handle = NULL;
    trncclStream_t s;
    trncclComm_t half = NULL;
    rank_join(r, 20000);
    OK(r, trncclMemAlloc(&shared, N * sizeof(float)));
    memset(shared, 0, N * sizeof(float));
    OK(r, trncclCommRegister(r->comm, shared, N * sizeof(float), &handle));
    OK(r, trncclStreamCreate(&s));
    OK(r, trncclCommSplit(r->comm, r->rank % 2, 0, &half, NULL));
    OK(r, trncclAllReduce(shared, shared, N, trncclFloat32, trncclSum, r->comm, s));
    rank_prove(r, half);
    OK(r, trncclStreamDestroy(s));
    OK(r, trncclCommDestroy(half));
    OK(r, trncclCommDeregister(r->comm, handle));
    rank_leave(r);
    OK(r, trncclMemFree(shared));
}

/* All ranks start a cycle together, with a new id. */
static void cycle(struct rank *r)
{
    int cycles = team_sanitized() ? 20 : 50;
    struct footprint first = {0}, now;
    for (int i = 0; i < cycles; i++) {
        if (r->rank == 0)
            atomic_store(&r->board->id_ready, 0);
        atomic_fetch_add(&r->board->flag[0], 1);
        CHECK(r, wait_for_flag(&r->board->flag[0], r->nranks * (i + 1)));
        cycle_once(r);
        if (i == 3) { /* what is made once has been made; threads have ended */
            sleep_ms(50);
            first = footprint();
        }
        atomic_fetch_add(&r->board->flag[1], 1);
        CHECK(r, wait_for_flag(&r->board->flag[1], r->nranks * (i + 1)));
    }
    if (!back_to(&first, &now))
        rank_fail(r, __FILE__, __LINE__,
                  "after %d cycles: %d descriptors, %d threads, %d mappings; after 4: "
                  "%d, %d, %d",
                  cycles, now.fds, now.threads, now.maps, first.fds, first.threads,
                  first.maps);
    if (!team_sanitized() && now.resident_kib > first.resident_kib + 4096)
        rank_fail(r, __FILE__, __LINE__, "resident memory grew from %ld to %ld KiB",
                  first.resident_kib, now.resident_kib);
}

static void cycles_leave_nothing_behind(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, cycle, NULL), 0);
}

static void clean_cycles_in_one_process(void **state)
{
    (void)state;
    trncclComm_t c[4];
    struct footprint first = {0}, now;
    for (int i = 0; i < 30; i++) {
        assert_int_equal(trncclCommInitAll(c, 4, NULL), trncclSuccess);
        for (int r = 0; r < 4; r++)
            assert_int_equal(trncclCommDestroy(c[r]), trncclSuccess);
        if (i == 2) {
            sleep_ms(50);
            first = footprint();
        }
    }
    if (!back_to(&first, &now))
        print_error("descriptors %d -> %d, threads %d -> %d, mappings %d -> %d\n",
                    first.fds, now.fds, first.threads, now.threads, first.maps, now.maps);
    assert_true(now.fds <= first.fds && now.threads <= first.threads &&
                now.maps <= first.maps);
}

/* ---- no descriptors, no memory
 * --------------------------------------------------------------- */

static void few_descriptors(struct rank *r)
{
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.initTimeoutMs = 2000;
    int spare = (int)(intptr_t)r->context;
    struct rlimit limit, before;
    rank_meet(r);
    CHECK(r, getrlimit(RLIMIT_NOFILE, &before) == 0);
    if (r->rank == 1) {
        int top = dup(0);
        CHECK(r, top >= 0);
        close(top);
        limit = before;
        limit.rlim_cur = (rlim_t)(top + spare);
        CHECK(r, setrlimit(RLIMIT_NOFILE, &limit) == 0);
    }
    rank_note(r, rank_try_join(r, &config));
    if (r->comm) {
        rank_prove(r, r->comm); /* enough of them after all: then it must work */
        r->seat->value[0] = 1;
        rank_leave(r);
    }
    CHECK(r, setrlimit(RLIMIT_NOFILE, &before) == 0);
    if (r->seat->value[0] == 1)
        return;
    CHECK(r, r->seat->text[0]);
    if (r->rank == 1) {
        CHECK(r, r->seat->result == trncclSystemError);
        CHECK(r, strstr(r->seat->text, "open files"));
    } else {
        CHECK(r,
              r->seat->result == trncclRemoteError || r->seat->result == trncclTimeout);
        CHECK(r, strstr(r->seat->text, "rank 1"));
    }
}

static void descriptors_that_run_out_are_a_clean_error(void **state)
{
    (void)state;
    int made = 0, refused = 0;
    for (int spare = 0; spare <= 24; spare += 3) {
        static struct team t;
        team_start(&t, TEAM_PROCESSES, 2, few_descriptors, (void *)(intptr_t)spare);
        int failed = team_finish(&t, 30, -1);
        bool both = t.board->seats[0].value[0] == 1 && t.board->seats[1].value[0] == 1;
        bool none = t.board->seats[0].value[0] == 0 && t.board->seats[1].value[0] == 0;
        for (int i = 0; i < 2 && (failed || !(both || none)); i++)
            print_error("%d spare, rank %d: %d %s\n", spare, i, t.board->seats[i].result,
                        t.board->seats[i].text);
        made += both;
        refused += none;
        team_free(&t);
        assert_int_equal(failed, 0);
        assert_true(both || none);
    }
    print_message("%d limits were too low, %d were enough\n", refused, made);
    assert_true(refused > 0 && made > 0);
}

static void calls_without_descriptors_are_a_clean_error(void **state)
{
    (void)state;
    void *p = NULL;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int top = dup(0);
    close(top);
    none = before;
    none.rlim_cur = (rlim_t)top;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    trncclResult_t result = trncclMemAlloc(&p, 4096);
    trncclUniqueId id;
    trncclResult_t unmade = trncclGetUniqueId(&id);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, trncclSystemError);
    assert_null(p);
    assert_int_equal(unmade, trncclSystemError);
    assert_int_equal(trncclMemAlloc(&p, 4096), trncclSuccess);
    assert_int_equal(trncclMemFree(p), trncclSuccess);
}

static void memory_that_is_not_there_is_a_clean_error(void **state)
{
    (void)state;
    void *p = NULL;
    /* 64 TiB: no machine of today has that, but the address space does. */
    double began = now_ms();
    assert_int_equal(trncclMemAlloc(&p, (size_t)64 << 40), trncclSystemError);
    assert_null(p);
    assert_true(now_ms() - began < 1000);
    print_message("%s\n", trncclGetLastError(NULL));
    assert_non_null(strstr(trncclGetLastError(NULL), "70368744177664"));
    assert_non_null(strstr(trncclGetLastError(NULL), "available"));
}

/* ---- many ranks
 * --------------------------------------------------------------------------- */

static void crowd(struct rank *r)
{
    double began = now_ms();
    rank_join(r, 60000);
    double made = now_ms();
    for (int i = 0; i < 100; i++)
        OK(r, trncclBarrier(r->comm, NULL));
    double met = now_ms();
    int32_t x = r->rank, sum = 0;
    for (int i = 0; i < 100; i++) {
        OK(r, trncclAllReduce(&x, &sum, 1, trncclInt32, trncclSum, r->comm, NULL));
        CHECK(r, sum == r->nranks * (r->nranks - 1) / 2);
    }
    double ran = now_ms();
    r->seat->value[0] = made - began;
    r->seat->value[1] = met - made;
    r->seat->value[2] = ran - met;
    rank_leave(r);
}

static void sixty_four_processes_are_brisk(void **state)
{
    (void)state;
    static struct team t;
    double most[3] = {0};
    int n = 64;
    team_start(&t, TEAM_PROCESSES, n, crowd, NULL);
    int failed = team_finish(&t, 120, -1);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            most[k] = t.board->seats[i].value[k] > most[k] ? t.board->seats[i].value[k]
                                                           : most[k];
    team_free(&t);
    assert_int_equal(failed, 0);
    print_message("%d processes on %ld cores: made in %.0f ms, 100 barriers in %.0f ms, "
                  "100 all-reduces of 4 bytes in %.0f ms\n",
                  n, sysconf(_SC_NPROCESSORS_ONLN), most[0], most[1], most[2]);
    if (!team_sanitized())
        assert_true(most[0] < 10000 && most[1] < 5000 && most[2] < 5000);
}

int main(void)
{
    /* Processes first: threads load the settings of this process. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cycles_leave_nothing_behind),
        cmocka_unit_test(descriptors_that_run_out_are_a_clean_error),
        cmocka_unit_test(sixty_four_processes_are_brisk),
        cmocka_unit_test(clean_cycles_in_one_process),
        cmocka_unit_test(calls_without_descriptors_are_a_clean_error),
        cmocka_unit_test(memory_that_is_not_there_is_a_clean_error),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
