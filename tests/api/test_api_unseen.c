/* Ranks that disagree in a collective that gives them no message from each other: what
 * tells them is a later message, or the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "tests/api/team.h"
#include "tests/support/leakcheck.h"

/* ---- by later messages
 * --------------------------------------------------------------------------- */

/* Rank 2 disagrees in a collective that gives it no message, and in which nobody waits
 * for it. `gap` collectives without any message follow. A rank that is slow may be told
 * already by one that is through with them. */
static trncclResult_t disagree_unseen(struct rank *r, int gap)
{
    const int pair[] = {0, 1};
    int32_t in[8] = {0}, out[8];
    trncclResult_t result =
        trncclPermute(in, out, 8, trncclInt32, pair, r->rank != 2, r->comm, NULL);
    for (int i = 0; i < gap && result == trncclSuccess; i++)
        result = trncclPermute(NULL, NULL, 8, trncclInt32, NULL, 0, r->comm, NULL);
    return result;
}

static void broadcast_after(struct rank *r)
{
    int32_t in[8] = {0}, out[8];
    bool forgotten = r->context != NULL;
    rank_join(r, 10000);
    trncclResult_t result = disagree_unseen(r, forgotten ? 40 : 3);
    if (result == trncclSuccess)
        result = trncclBroadcast(in, out, 8, trncclInt32, 0, r->comm, NULL);
    rank_note(r, result);
    if (r->rank == 2) {
        CHECK(r, r->seat->result == trncclInvalidUsage);
        CHECK(r, strstr(r->seat->text, "rank 0") && strstr(r->seat->text, "rank 2"));
        CHECK(r, strstr(r->seat->text, forgotten ? "no record" : "pairs"));
    }
    /* Rank 0 may be told here. */
    (void)trncclCommDestroy(r->comm);
}

static void message_after_an_unseen_disagreement_tells(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, broadcast_after, NULL), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 3, broadcast_after, "forgotten"), 0);
}

/* Nobody completes a barrier with a rank that has disagreed. */
static void barrier_after(struct rank *r)
{
    rank_join(r, 10000);
    trncclResult_t result = disagree_unseen(r, 20);
    if (result == trncclSuccess)
        result = trncclBarrier(r->comm, NULL);
    rank_note(r, result);
    CHECK(r,
          r->seat->result == trncclInvalidUsage || r->seat->result == trncclRemoteError);
    CHECK(r, strstr(r->seat->text, "disagree"));
    rank_leave(r);
}

static void barrier_after_an_unseen_disagreement_fails_everywhere(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 3, barrier_after, NULL), 0);
    assert_int_equal(team_run(TEAM_PROCESSES, 5, barrier_after, NULL), 0);
}

/* ---- at the end
 * --------------------------------------------------------------------------- */

/* Each rank has its own idea of the root, sends to the others and is done. */
static trncclResult_t broadcast_of_two_roots(struct rank *r)
{
    int32_t in[8] = {0}, out[8];
    return trncclBroadcast(in, out, 8, trncclInt32, r->rank == 1, r->comm, NULL);
}

static trncclResult_t scatter_of_two_roots(struct rank *r)
{
    int32_t in[8 * TEAM_MAX] = {0}, out[8];
    return trncclScatter(in, out, 8, trncclInt32, r->rank == 1, r->comm, NULL);
}

typedef trncclResult_t (*unseen_fn)(struct rank *r);

static void part_at_odds(struct rank *r)
{
    unseen_fn fn = *(unseen_fn *)r->context;
    rank_join(r, 10000);
    rank_prove(r, r->comm);
    OK(r, fn(r));
    trncclResult_t result = trncclCommDestroy(r->comm);
    r->comm = NULL;
    rank_note(r, result);
}

/* Rank 0 and 1 have nobody to wait for; the later one is told, and both are named. */
static int judge_parting(const struct team *t)
{
    int told = 0;
    for (int i = 0; i < 2; i++) {
        const struct seat *s = &t->board->seats[i];
        told += s->result == trncclInvalidUsage && strstr(s->text, "disagree in root") &&
                strstr(s->text, "rank 0 (") && strstr(s->text, "rank 1 (");
        if (s->result != trncclSuccess && s->result != trncclInvalidUsage)
            return 1;
    }
    if (!told)
        print_error("nobody was told: %d, %d\n", t->board->seats[0].result,
                    t->board->seats[1].result);
    return !told;
}

static void part_as(enum team_kind kind, int nranks, unseen_fn fn)
{
    static struct team t;
    team_start(&t, kind, nranks, part_at_odds, &fn);
    int failed = team_finish(&t, 30, -1);
    failed += failed ? 0 : judge_parting(&t);
    team_free(&t);
    assert_int_equal(failed, 0);
}

static void destroy_after_an_unseen_disagreement_tells(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        part_as(TEAM_PROCESSES, 2, broadcast_of_two_roots);
        part_as(TEAM_PROCESSES, 3, broadcast_of_two_roots);
        part_as(TEAM_PROCESSES, 3, scatter_of_two_roots);
    }
}

/* Finalize tells, and destroy does not repeat it. */
static void finalize_at_odds(struct rank *r)
{
    rank_join(r, 10000);
    rank_prove(r, r->comm);
    OK(r, broadcast_of_two_roots(r));
    if (r->rank == 1)
        CHECK(r, wait_for_flag(&r->board->flag[0], 1));
    rank_note(r, trncclCommFinalize(r->comm));
    if (r->rank == 1) {
        CHECK(r, r->seat->result == trncclInvalidUsage);
        CHECK(r, strstr(r->seat->text, "disagree in root"));
    }
    OK(r, trncclCommDestroy(r->comm));
    atomic_store(&r->board->flag[0], 1);
}

static void finalize_after_an_unseen_disagreement_tells(void **state)
{
    (void)state;
    assert_int_equal(team_run(TEAM_PROCESSES, 2, finalize_at_odds, NULL), 0);
}

static void destroy_by_threads_after_an_unseen_disagreement_tells(void **state)
{
    (void)state;
    part_as(TEAM_THREADS, 2, broadcast_of_two_roots);
    part_as(TEAM_THREADS, 3, scatter_of_two_roots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_after_an_unseen_disagreement_tells),
        cmocka_unit_test(barrier_after_an_unseen_disagreement_fails_everywhere),
        cmocka_unit_test(destroy_after_an_unseen_disagreement_tells),
        cmocka_unit_test(finalize_after_an_unseen_disagreement_tells),
        cmocka_unit_test(destroy_by_threads_after_an_unseen_disagreement_tells),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
