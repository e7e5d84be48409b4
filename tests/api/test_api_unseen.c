/* Ranks that disagree in a collective that gives them no message from each other: what
 * tells them is a later message. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_after_an_unseen_disagreement_tells),
        cmocka_unit_test(barrier_after_an_unseen_disagreement_fails_everywhere),
    };
    return cmocka_run_group_tests(tests, leakcheck_setup, leakcheck_teardown);
}
