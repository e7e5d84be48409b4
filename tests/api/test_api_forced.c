/* Forced algorithms and the collectives they cannot serve. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

#define NRANKS 3
static const size_t counts[NRANKS] = {2, 0, 5}; /* of the blocks of each rank */
#define TOTAL 7

/* Element i of what rank `from` has for rank `to`, or for everybody (to 0). */
static int32_t element(int from, int to, size_t i)
{
    return 1000 * from + 100 * to + (int32_t)i;
}

static void all_to_all_v(struct rank *r)
{
    int32_t in[NRANKS * TOTAL], out[NRANKS * TOTAL];
    size_t mine[NRANKS];
    /* Rank r sends everyone counts[r] elements. */
    for (int p = 0; p < NRANKS; p++) {
        mine[p] = counts[r->rank];
        for (size_t i = 0; i < mine[p]; i++)
            in[(size_t)p * mine[p] + i] = element(r->rank, p, i);
    }
    OK(r, trncclAllToAllV(in, mine, NULL, out, counts, NULL, trncclInt32, r->comm, NULL));
    const int32_t *at = out;
    for (int p = 0; p < NRANKS; p++)
        for (size_t i = 0; i < counts[p]; i++)
            CHECK(r, *at++ == element(p, r->rank, i));
}

static void all_gather_v(struct rank *r)
{
    int32_t in[TOTAL], out[TOTAL], *at = out;
    for (size_t i = 0; i < TOTAL; i++)
        in[i] = element(r->rank, 0, i);
    OK(r, trncclAllGatherV(in, counts[r->rank], out, counts, NULL, trncclInt32, r->comm,
                           NULL));
    for (int p = 0; p < NRANKS; p++)
        for (size_t i = 0; i < counts[p]; i++)
            CHECK(r, *at++ == element(p, 0, i));
}

static void reduce_scatter_v(struct rank *r)
{
    int32_t in[TOTAL], out[TOTAL];
    for (size_t i = 0; i < TOTAL; i++)
        in[i] = r->rank + (int32_t)i;
    OK(r, trncclReduceScatterV(in, counts, NULL, out, trncclInt32, trncclSum, r->comm,
                               NULL));
    size_t before = r->rank == 2 ? counts[0] + counts[1] : 0;
    for (size_t i = 0; i < counts[r->rank]; i++)
        CHECK(r, out[i] == 3 + 3 * (int32_t)(before + i));
}

static void gather_and_scatter_v(struct rank *r)
{
    int32_t in[TOTAL], all[TOTAL], *at = all, back[TOTAL];
    for (size_t i = 0; i < TOTAL; i++)
        in[i] = element(r->rank, 0, i);
    OK(r, trncclGatherV(in, counts[r->rank], all, counts, NULL, trncclInt32, 1, r->comm,
                        NULL));
    for (int p = 0; p < NRANKS && r->rank == 1; p++)
        for (size_t i = 0; i < counts[p]; i++)
            CHECK(r, *at++ == element(p, 0, i));
    OK(r, trncclScatterV(all, counts, NULL, back, counts[r->rank], trncclInt32, 1,
                         r->comm, NULL));
    CHECK(r, memcmp(in, back, counts[r->rank] * sizeof *in) == 0);
}

/* Warnings in the log that name the algorithm. */
static int warnings(struct rank *r, int fd, const char *algo)
{
    char text[8192], word[64];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    CHECK(r, n >= 0);
    text[n] = 0;
    snprintf(word, sizeof word, "%s was forced", algo);
    int found = 0;
    for (const char *at = text; (at = strstr(at, word)); at++)
        found++;
    return found;
}

struct force {
    const char *setting, *name;
    int nwarnings; /* v-forms that cannot have it */
};

static void run_all_v_forms(struct rank *r)
{
    const struct force *f = r->context;
    char path[256];
    const char *tmp = getenv("TMPDIR"), *algo = "";
    snprintf(path, sizeof path, "%.200s/forced-XXXXXX", tmp ? tmp : "/tmp");
    int fd = mkstemp(path);
    CHECK(r, fd >= 0);
    setenv("TRNCCL_DEBUG_FILE", path, 1);
    setenv("TRNCCL_ALGO", f->setting, 1);
    rank_join(r, 20000);
    unlink(path);
    for (int round = 0; round < 2; round++) { /* the second round warns no more */
        all_to_all_v(r);
        all_gather_v(r);
        reduce_scatter_v(r);
        gather_and_scatter_v(r);
    }
    CHECK(r, warnings(r, fd, f->name) == (r->rank == 0 ? f->nwarnings : 0));
    /* What it can serve it does serve. */
    int32_t in[NRANKS] = {0}, out[NRANKS];
    if (strstr(f->setting, "bruck")) {
        OK(r, trncclAllToAll(in, out, 1, trncclInt32, r->comm, NULL));
        OK(r, trncclCommGetAlgorithm(r->comm, &algo));
        CHECK(r, strcmp(algo, "bruck") == 0);
    }
    close(fd);
    rank_leave(r);
}

static void forced_algorithm_without_v_form_leaves_it_to_the_default(void **state)
{
    (void)state;
    static const struct force forced[] = {
        {"bruck", "bruck", 1},       /* all_to_all; the others of the name can */
        {"pat", "pat", 2},           /* all_gather, reduce_scatter */
        {"binomial", "binomial", 2}, /* gather, scatter */
        {"all_to_all=bruck", "bruck", 1},
        {"direct", "direct", 0},
    };
    for (size_t i = 0; i < sizeof forced / sizeof *forced; i++)
        assert_int_equal(
            team_run(TEAM_PROCESSES, NRANKS, run_all_v_forms, (void *)&forced[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forced_algorithm_without_v_form_leaves_it_to_the_default),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
