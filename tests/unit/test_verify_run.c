/* Termination: credit, drained sends, deadlocks that name their cycle, and the report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/verify_hand.h"
#include "verify/verify.h"

/* Two ranks exchange their vectors and each sums both, in rank order. */
static void exchange(struct hand *h)
{
    hand_init(h, SCHED_ALL_REDUCE, 2, 0);
    hand_step(h, 0, 0, "i0 > p1");
    hand_step(h, 0, 0, "i0 p1 > o0 F");
    hand_step(h, 1, 0, "i0 > p0");
    hand_step(h, 1, 0, "p0 i0 > o0 F");
}

static void run_exchange_accepted(void **state)
{
    (void)state;
    struct hand h;
    exchange(&h);
    hand_accept(&h);
}

/* In place both sums must wait until the other rank has consumed what they overwrite, so
 * neither can run: a deadlock only where memory is lent, which no test of small messages
 * would meet. */
static void run_exchange_in_place_deadlocks(void **state)
{
    (void)state;
    struct hand h;
    exchange(&h);
    h.inplace[0] = h.inplace[1] = true;
    for (int r = 0; r < 2; r++)
        h.steps[r][1].step.drain = 1;
    hand_refuse(&h,
                "deadlock: rank 0 channel 0 step 1 waits for a lent message to be "
                "consumed by rank 1; rank 1 channel 0 step 1 waits for a lent message "
                "to be consumed by rank 0");
}

/* What is copied out need not be waited for. */
static void run_exchange_in_place_staged_accepted(void **state)
{
    (void)state;
    struct hand h;
    exchange(&h);
    h.inplace[0] = h.inplace[1] = true;
    for (int r = 0; r < 2; r++)
        h.steps[r][0].step.flags |= SCHED_STAGED;
    hand_accept(&h);
}

/* A channel sends and another receives, over a link that is numbered like neither. */
static void run_links_are_apart_from_channels(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > o^ p+ K5");
    hand_step_all(&h, 1, "p+ > o+ L5");
    hand_accept(&h);
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > o^ p+ K5");
    hand_step_all(&h, 1, "p+ > o+ L4");
    hand_refuse(&h, "rank 0 sends 1 messages to rank 1 on link 5, which receives 0");
}

static void run_link_of_two_channels_refused(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > o^ p+");
    hand_step_all(&h, 1, "i0 > p+ K0");
    hand_step_all(&h, 2, "p+ > o+ L0");
    hand_refuse(&h, "it sends to rank 1 over link 0, as channel 0 does");
}

/* The wait is what orders the read after the write: without it the proof fails. */
static void run_wait_orders(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        struct hand h;
        hand_init(&h, SCHED_ALL_GATHER, 2, 0);
        h.tmp_chunks = 1;
        hand_step_all(&h, 0, "i0 > t0");
        hand_step_all(&h, 2, "i0 > p+");
        hand_step_all(&h, 2, "p+ > o+");
        if (waits)
            hand_step_all(&h, 1, "> a0.0");
        hand_step_all(&h, 1, "t0 > o^");
        if (waits)
            hand_accept(&h);
        else
            hand_refuse(&h, "nothing orders the two");
    }
}

static void run_exchange_through_tmp_accepted(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_REDUCE, 2, 0);
    h.tmp_chunks = 1;
    h.inplace[0] = h.inplace[1] = true;
    hand_step(&h, 0, 0, "i0 > p1");
    hand_step(&h, 0, 0, "i0 p1 > t0 F");
    hand_step(&h, 0, 0, "t0 > o0 d1");
    hand_step(&h, 1, 0, "i0 > p0");
    hand_step(&h, 1, 0, "p0 i0 > t0 F");
    hand_step(&h, 1, 0, "t0 > o0 d1");
    hand_accept(&h);
}

static void run_both_receive_first_deadlocks(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_REDUCE, 2, 0);
    hand_step(&h, 0, 0, "i0 p1 > o0 F");
    hand_step(&h, 0, 0, "i0 > p1");
    hand_step(&h, 1, 0, "p0 i0 > o0 F");
    hand_step(&h, 1, 0, "i0 > p0");
    hand_refuse(&h, "deadlock: rank 0 channel 0 step 0 waits for a message from rank 1; "
                    "rank 1 channel 0 step 0 waits for a message from rank 0");
}

static void run_after_in_a_circle_deadlocks(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > o^ p+ a1.0");
    hand_step_all(&h, 1, "o^ > p+ a0.0");
    hand_step_all(&h, 1, "p+ > o+");
    hand_step_all(&h, 0, "p+ > o+");
    hand_refuse(&h,
                "deadlock: rank 0 channel 0 step 0 waits for a step of its channel 1");
}

/* A fused ring: every hop holds what it receives until it can send. */
static void ring(struct hand *h, int credits)
{
    hand_init(h, SCHED_ALL_REDUCE, 3, 0);
    h->nsub = 3;
    h->credits = credits;
    static const char *const steps[3][5] = {
        {"i2 > p1", "p2 i1 > p1", "p2 i0 > o0 p1 F", "p2 > o2 p1", "p2 > o1"},
        {"i0 > p2", "p0 i2 > p2", "p0 i1 > o1 p2 F", "p0 > o0 p2", "p0 > o2"},
        {"i1 > p0", "p1 i0 > p0", "p1 i2 > o2 p0 F", "p1 > o1 p0", "p1 > o0"},
    };
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 5; i++)
            hand_step(h, r, 0, steps[r][i]);
}

static void run_ring_reports_credits_and_depth(void **state)
{
    (void)state;
    struct hand h;
    struct sched *ranks[3];
    struct verify_report report;
    ring(&h, 3);
    hand_make(&h, ranks);
    assert_int_equal(verify_schedules(ranks, 3, NULL, 0, &report), trncclSuccess);
    hand_free(&h, ranks);
    assert_int_equal(report.credits, 2);
    assert_int_equal(report.depth, 4);
    assert_int_equal(report.nmessages, 12);
    assert_int_equal(report.nsteps, 15);
    assert_true(report.same_bits);
    assert_true(report.any_blocks);
}

static void run_ring_with_one_credit_refused(void **state)
{
    (void)state;
    struct hand h;
    ring(&h, 1);
    hand_refuse(&h, "needs 2 messages of credit per connection but declares 1: rank 0 "
                    "channel 0 step 1 waits for credit to rank 1");
}

/* Two rounds back to back, as the executor runs slices: the same program again on other
 * chunks, over the same links, with the same credit. */
static void run_two_rounds_need_no_more_credit(void **state)
{
    (void)state;
    struct hand h;
    ring(&h, 2);
    h.nsub = 6;
    for (int r = 0; r < 3; r++)
        for (int i = 0; i < 5; i++) {
            struct hand_step *again = &h.steps[r][h.nsteps[r]++];
            *again = h.steps[r][i];
            again->step.span_chunk += 3;
            for (int o = 0; o < again->step.nin + again->step.nout; o++)
                if (again->ref[o].space != SCHED_PEER)
                    again->ref[o].index += 3;
        }
    hand_accept(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_exchange_accepted),
        cmocka_unit_test(run_exchange_in_place_deadlocks),
        cmocka_unit_test(run_exchange_in_place_staged_accepted),
        cmocka_unit_test(run_links_are_apart_from_channels),
        cmocka_unit_test(run_link_of_two_channels_refused),
        cmocka_unit_test(run_wait_orders),
        cmocka_unit_test(run_exchange_through_tmp_accepted),
        cmocka_unit_test(run_both_receive_first_deadlocks),
        cmocka_unit_test(run_after_in_a_circle_deadlocks),
        cmocka_unit_test(run_ring_reports_credits_and_depth),
        cmocka_unit_test(run_ring_with_one_credit_refused),
        cmocka_unit_test(run_two_rounds_need_no_more_credit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
