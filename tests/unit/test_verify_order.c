/* Conflicts between channels, and lent sends whose source is overwritten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/verify_hand.h"

/* One rank copies through TMP with one channel and reads TMP with another. */
static void two_channels(struct hand *h, const char *reader)
{
    hand_init(h, SCHED_ALL_GATHER, 1, 0);
    h->tmp_chunks = 1;
    hand_step(h, 0, 0, "i0 > t0");
    hand_step(h, 0, 1, reader);
}

static void order_read_after_write_needs_after(void **state)
{
    (void)state;
    struct hand h;
    two_channels(&h, "t0 > o0 a0.0");
    hand_accept(&h);
    /* Channel 0 happens to run first here; nothing says that it must. */
    two_channels(&h, "t0 > o0");
    hand_refuse(&h, "rank 0 channel 1 step 0: it reads TMP[0], which channel 0 step 0 "
                    "writes, and nothing orders the two");
}

static void order_write_after_read_needs_after(void **state)
{
    (void)state;
    struct hand h;
    for (int i = 0; i < 2; i++) {
        hand_init(&h, SCHED_ALL_TO_ALL, 1, 0);
        h.tmp_chunks = 2;
        hand_step(&h, 0, 0, "i0 > t0 t1");
        hand_step(&h, 0, 0, "t0 > o0");
        hand_step(&h, 0, 1, i == 0 ? "t1 > t0 a0.1" : "t1 > t0 a0.0");
        if (i == 0)
            hand_accept(&h);
        else
            hand_refuse(&h, "channel 1 step 0: it writes TMP[0], which channel 0 step 1 "
                            "reads");
    }
}

static void order_write_after_write_needs_after(void **state)
{
    (void)state;
    struct hand h;
    two_channels(&h, "i0 > o0");
    hand_step(&h, 0, 0, "t0 > o0");
    hand_refuse(&h, "writes OUT[0], which channel");
}

/* The order goes through a third channel, or through another rank. */
static void order_is_transitive(void **state)
{
    (void)state;
    struct hand h;
    two_channels(&h, "i0 > o0 a0.0");
    hand_step(&h, 0, 2, "t0 > o0 a1.0");
    hand_accept(&h);

    hand_init(&h, SCHED_BROADCAST, 2, 0);
    h.tmp_chunks = 1;
    h.tmp_like = SCHED_OUT;
    hand_step(&h, 0, 0, "i0 > t0");
    hand_step(&h, 0, 0, "t0 > p1");
    hand_step(&h, 0, 1, "p1 > o0");
    hand_step(&h, 0, 1, "t0 > o0");
    hand_step(&h, 1, 0, "p0 > o0");
    hand_step(&h, 1, 1, "o0 > p0 a0.0");
    hand_accept(&h);
    h.steps[1][1].step.after_step = -1;
    hand_refuse(&h, "rank 1 channel 1 step 0: it reads OUT[0]");
}

/* Credit orders nothing: rank 0's second send waits for rank 1 only if credit is scarce.
 */
static void order_credit_is_none(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    h.tmp_chunks = 2;
    hand_step(&h, 0, 0, "i0 > o0 p1");
    hand_step(&h, 0, 0, "t0 > p1 @o0");
    hand_step(&h, 0, 0, "p1 > o1");
    hand_step(&h, 0, 1, "i0 > t0");
    hand_step(&h, 1, 0, "i0 > o1 p0");
    hand_step(&h, 1, 0, "p0 > o0");
    hand_step(&h, 1, 0, "p0 > t0");
    hand_refuse(&h, "it reads TMP[0]");
}

/* Rank 0 sends from OUT and overwrites it; what is in between decides. */
static void lend(struct hand *h, const char *overwrite)
{
    hand_init(h, SCHED_ALL_GATHER, 2, 0);
    hand_step(h, 0, 0, "i0 > o1");
    hand_step(h, 0, 0, "o1 > p1");
    hand_step(h, 0, 0, overwrite);
    hand_step(h, 0, 0, "i0 > o0");
    hand_step(h, 1, 0, "p0 > o0");
    hand_step(h, 1, 0, "i0 > o1 p0");
}

static void order_lent_source_overwritten_after_the_reply(void **state)
{
    (void)state;
    struct hand h;
    lend(&h, "p1 > o1"); /* rank 1 replies after it has consumed the message */
    hand_accept(&h);
    struct hand_step first = h.steps[1][0];
    h.steps[1][0] = h.steps[1][1]; /* rank 1 sends before */
    h.steps[1][1] = first;
    hand_refuse(&h, "rank 0 channel 0 step 2: it writes OUT[1], which channel 0 step 1 "
                    "may still be sending to rank 1");
    h.steps[0][2].step.drain = 2;
    hand_accept(&h);
    h.steps[0][2].step.drain = 1; /* not far enough */
    hand_refuse(&h, "may still be sending");
}

static void order_tmp_is_never_lent(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    h.tmp_chunks = 1;
    hand_step_all(&h, 0, "i0 > o^ t0");
    hand_step_all(&h, 0, "t0 > p+");
    hand_step_all(&h, 0, "p+ > t0");
    hand_step_all(&h, 0, "t0 > o+");
    hand_accept(&h);
}

static void order_written_output_is_lent(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_TO_ALL, 1, 0);
    hand_init(&h, SCHED_BROADCAST, 3, 0);
    hand_step(&h, 0, 0, "i0 > o0 p1");
    hand_step(&h, 0, 0, "i0 > p1");
    hand_step(&h, 1, 0, "p0 > o0 p2");
    hand_step(&h, 1, 0, "p0 > o0"); /* the same value, but torn while rank 2 reads it */
    hand_step(&h, 2, 0, "p1 > o0");
    hand_refuse(&h, "rank 1 channel 0 step 1: it writes OUT[0], which channel 0 step 0 "
                    "may still be sending to rank 2");
    h.steps[1][1].step.drain = 1;
    hand_accept(&h);
}

/* The overwriting step is on another channel: after alone waits for the step, not for
 * its message. */
static void order_lent_across_channels_needs_after_drain(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_BROADCAST, 2, 0);
    hand_step(&h, 0, 0, "i0 > o0");
    hand_step(&h, 0, 0, "o0 > p1");
    hand_step(&h, 0, 1, "i0 > o0 a0.1");
    hand_step(&h, 1, 0, "p0 > o0");
    hand_refuse(&h,
                "channel 1 step 0: it writes OUT[0], which channel 0 step 1 may still "
                "be sending to rank 1");
    h.steps[0][2].step.after_drain = true;
    hand_accept(&h);
}

/* A drain that another channel has waited for counts for whoever comes after it. */
static void order_drain_is_passed_on(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_BROADCAST, 2, 0);
    h.tmp_chunks = 1;
    hand_step(&h, 0, 0, "i0 > o0");
    hand_step(&h, 0, 0, "o0 > p1");
    hand_step(&h, 0, 1, "i0 > t0 a0.1 D");
    hand_step(&h, 0, 2, "i0 > o0 a1.0");
    hand_step(&h, 1, 0, "p0 > o0");
    hand_accept(&h);
    h.steps[0][2].step.after_drain = false;
    hand_refuse(&h, "may still be sending");
}

static void order_posted_early_must_be_first(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > o^ p+");
    hand_step_all(&h, 0, "p+ > o+ E");
    hand_accept(&h);
    hand_init(&h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(&h, 0, "i0 > p+");
    hand_step_all(&h, 0, "i0 > o0 o1"); /* the peer's block may have landed already */
    hand_step_all(&h, 0, "p+ > o+ E");
    hand_refuse(&h, "it is to be posted early, but another step touches OUT[");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_read_after_write_needs_after),
        cmocka_unit_test(order_write_after_read_needs_after),
        cmocka_unit_test(order_write_after_write_needs_after),
        cmocka_unit_test(order_is_transitive),
        cmocka_unit_test(order_credit_is_none),
        cmocka_unit_test(order_lent_source_overwritten_after_the_reply),
        cmocka_unit_test(order_tmp_is_never_lent),
        cmocka_unit_test(order_written_output_is_lent),
        cmocka_unit_test(order_lent_across_channels_needs_after_drain),
        cmocka_unit_test(order_drain_is_passed_on),
        cmocka_unit_test(order_posted_early_must_be_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
