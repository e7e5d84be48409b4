/* What each collective promises, and the values that do not keep it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/verify_hand.h"
#include "verify/verify.h"

/* ---- Right schedules --------------------------------------------------------------- */

static void all_gather(struct hand *h)
{
    hand_init(h, SCHED_ALL_GATHER, 2, 0);
    hand_step_all(h, 0, "i0 > o^ p+");
    hand_step_all(h, 0, "p+ > o+");
}

static void reduce_scatter(struct hand *h)
{
    hand_init(h, SCHED_REDUCE_SCATTER, 2, 0);
    hand_step_all(h, 0, "i+ > p+");
    hand_step_all(h, 0, "p+ i^ > o0 F");
}

/* Rank 1 is the root. */
static void broadcast(struct hand *h)
{
    hand_init(h, SCHED_BROADCAST, 3, 1);
    hand_step(h, 1, 0, "i0 > o0 p0 p2");
    hand_step(h, 0, 0, "p1 > o0");
    hand_step(h, 2, 0, "p1 > o0");
}

static void reduce(struct hand *h)
{
    hand_init(h, SCHED_REDUCE, 3, 1);
    hand_step(h, 0, 0, "i0 > p2 @i0");
    hand_step(h, 2, 0, "p0 i0 > p1 @i0");
    hand_step(h, 1, 0, "i0 p2 > o0 F");
}

static void all_to_all(struct hand *h)
{
    hand_init(h, SCHED_ALL_TO_ALL, 2, 0);
    hand_step_all(h, 0, "i^ > o^");
    hand_step_all(h, 0, "i+ > p+");
    hand_step_all(h, 0, "p+ > o+");
}

static void gather(struct hand *h)
{
    hand_init(h, SCHED_GATHER, 2, 1);
    hand_step(h, 0, 0, "i0 > p1 @i0");
    hand_step(h, 1, 0, "i0 > o1");
    hand_step(h, 1, 0, "p0 > o0");
}

static void scatter(struct hand *h)
{
    hand_init(h, SCHED_SCATTER, 2, 1);
    hand_step(h, 1, 0, "i0 > p0");
    hand_step(h, 1, 0, "i1 > o0");
    hand_step(h, 0, 0, "p1 > o0");
}

static void barrier(struct hand *h)
{
    hand_init(h, SCHED_BARRIER, 3, 0);
    hand_step_all(h, 0, "i0 > p+");
    hand_step_all(h, 0, "p- > p+ @o0");
    hand_step_all(h, 0, "p- > o0");
    h->credits = 2;
}

/* 0 -> 2, 2 -> 0, 1 -> 1: every rank but 1 by message. */
static void permute(struct hand *h)
{
    static const int32_t pairs[] = {0, 2, 2, 0, 1, 1};
    hand_init(h, SCHED_PERMUTE, 3, 0);
    h->args.pairs = pairs;
    h->args.npairs = 3;
    hand_step(h, 0, 0, "i0 > p2");
    hand_step(h, 2, 0, "i0 > p0");
    hand_step(h, 0, 0, "p2 > o0");
    hand_step(h, 2, 0, "p0 > o0");
    hand_step(h, 1, 0, "i0 > o0");
}

static void promise_right_schedules_accepted(void **state)
{
    (void)state;
    void (*const makes[])(struct hand *) = {all_gather, reduce_scatter, broadcast,
                                            reduce,     all_to_all,     gather,
                                            scatter,    barrier,        permute};
    struct hand h;
    for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
        makes[i](&h);
        hand_accept(&h);
    }
}

/* In place the copies onto themselves are left out, and ranks may differ. */
static void promise_in_place_accepted(void **state)
{
    (void)state;
    struct hand h;
    broadcast(&h);
    h.inplace[1] = true;
    hand_accept(&h);
    gather(&h);
    h.inplace[1] = true;
    h.nsteps[1] = 0;
    hand_step(&h, 1, 0, "p0 > o0");
    hand_accept(&h);
    scatter(&h);
    h.inplace[1] = true;
    h.nsteps[1] = 1;
    hand_accept(&h);
    all_gather(&h);
    h.inplace[0] = true;
    h.nsteps[0] = 0;
    hand_step(&h, 0, 0, "o0 > p1"); /* no sum: IN may be read as the OUT that it is */
    hand_step(&h, 0, 0, "p1 > o1");
    hand_accept(&h);
    reduce_scatter(&h);
    h.inplace[0] = h.inplace[1] = true;
    hand_accept(&h);
    reduce(&h);
    h.inplace[1] = true;
    hand_accept(&h);
}

/* ---- Wrong ones ----------------------------------------------------------------------
 */

static void promise_wrong_places_refused(void **state)
{
    (void)state;
    struct hand h;
    all_gather(&h);
    for (int r = 0; r < 2; r++) {
        h.steps[r][0].ref[1].index ^= 1; /* swap the blocks */
        h.steps[r][1].ref[1].index ^= 1;
    }
    hand_refuse(&h, "rank 0 ends with chunk 0 of rank 1 in OUT[0], expected chunk 0 of "
                    "rank 0");
    all_gather(&h);
    h.nsteps[0] = 0;
    hand_step(&h, 0, 0, "i0 > o1 p1");
    hand_step(&h, 0, 0, "p1 > o1 d1");
    hand_refuse(&h, "rank 0 ends with nothing written in OUT[0]");
    all_to_all(&h);
    h.steps[0][1].ref[0].index = 0;
    hand_refuse(&h, "rank 1 ends with chunk 0 of rank 0 in OUT[0], expected chunk 1 of "
                    "rank 0");
    scatter(&h);
    h.steps[1][0].ref[0].index = 1;
    hand_refuse(&h, "rank 0 ends with chunk 1 of rank 1 in OUT[0]");
    permute(&h);
    h.args.pairs = (const int32_t[]){0, 0, 2, 2, 1, 1};
    hand_refuse(&h, "rank 0 ends with chunk 0 of rank 2 in OUT[0], expected chunk 0 of "
                    "rank 0");
}

static void promise_reductions_refused(void **state)
{
    (void)state;
    struct hand h;
    reduce(&h);
    h.nsteps[2] = 0;
    hand_step(&h, 2, 0, "p0 > p1 @i0");
    hand_refuse(&h, "marked final with 2 of 3 contributions; rank 2's is missing");
    h.steps[1][0].step.flags = 0;
    hand_refuse(&h, "rank 1 ends with 2 of 3 contributions in OUT[0]; rank 2's is "
                    "missing");
    reduce(&h);
    h.steps[1][0].step.flags = 0;
    hand_refuse(&h, "passed 0 steps marked final, expected 1");
    reduce(&h);
    hand_step(&h, 1, 0, "o0 > o0 F");
    hand_refuse(&h, "input 0 is a result that has passed a step marked final");
    reduce(&h);
    h.steps[2][0].step.flags = SCHED_FINAL;
    hand_refuse(&h, "rank 2 channel 0 step 0: it is marked final with 2 of 3");
    reduce_scatter(&h);
    for (int r = 0; r < 2; r++) {
        h.steps[r][0].ref[0].index ^= 1;
        h.steps[r][1].ref[1].index ^= 1;
    }
    hand_refuse(&h, "rank 0 ends with contributions to chunk 1 in OUT[0], expected to "
                    "chunk 0");
    h.steps[0][1].ref[1].index ^= 1;
    hand_refuse(&h, "it combines contributions to chunk 1 with some to chunk 0");
}

static void promise_counted_twice_refused(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_REDUCE, 2, 0);
    h.tmp_chunks = 2;
    hand_step_all(&h, 0, "i0 > t0");
    hand_step_all(&h, 0, "i0 > p+");
    hand_step_all(&h, 0, "p+ > t1");
    hand_step_all(&h, 0, "i0 t0 > o0");
    hand_step_all(&h, 0, "o0 t1 > o0 F");
    hand_refuse(&h, "step 3: it counts rank");
}

static void promise_unwritten_read_refused(void **state)
{
    (void)state;
    struct hand h;
    all_gather(&h);
    h.steps[0][0].ref[0] = (struct sched_ref){SCHED_OUT, 1};
    hand_refuse(&h, "rank 0 channel 0 step 0: it reads OUT[1], which nothing has "
                    "written");
    h.tmp_chunks = 1;
    h.steps[0][0].ref[0] = (struct sched_ref){SCHED_TMP, 0};
    hand_refuse(&h, "it reads TMP[0], which nothing has written");
}

/* A pre-multiplied sum scales exactly what is read from IN. */
static void promise_raw_through_the_wrong_space_refused(void **state)
{
    (void)state;
    struct hand h;
    reduce_scatter(&h);
    h.inplace[0] = true;
    h.steps[0][1].ref[1] = (struct sched_ref){SCHED_OUT, 0};
    hand_refuse(&h, "it reads a contribution from OUT[0], which only aliases it");
    reduce(&h);
    h.inplace[1] = true;
    h.nsteps[1] = 0;
    hand_step(&h, 1, 0, "p2 > o0");
    hand_step(&h, 1, 0, "o0 i0 > o0 F");
    hand_refuse(&h,
                "it reads a contribution from IN[0], where a result has been written");
}

static void promise_sum_where_nothing_is_summed_refused(void **state)
{
    (void)state;
    struct hand h;
    all_gather(&h);
    h.nsteps[0] = 1;
    hand_step(&h, 0, 0, "p1 i0 > o1");
    hand_refuse(&h, "it combines 2 inputs, but all_gather does not reduce");
}

static void promise_different_bits_refused(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_ALL_REDUCE, 2, 0);
    hand_step_all(&h, 0, "i0 > p+");
    hand_step_all(&h, 0, "i0 p+ > o0 F");
    hand_refuse(&h, "ranks 0 and 1 compute OUT[0] by different expressions");
    /* One step of three inputs rounds 16-bit floats once, two steps twice. */
    hand_init(&h, SCHED_ALL_REDUCE, 3, 0);
    h.tmp_chunks = 1;
    hand_step_all(&h, 0, "i0 > p+ p-");
    hand_step(&h, 0, 0, "i0 p1 p2 > o0 F");
    hand_step(&h, 1, 0, "p0 i0 p2 > o0 F");
    hand_step(&h, 2, 0, "p0 p1 i0 > o0 F");
    hand_accept(&h);
    h.nsteps[2] = 1;
    hand_step(&h, 2, 0, "p0 p1 > t0");
    hand_step(&h, 2, 0, "t0 i0 > o0 F");
    hand_refuse(&h, "ranks 0 and 2 compute OUT[0] by different expressions");
}

static void promise_barrier_left_early_refused(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_BARRIER, 3, 0);
    hand_step_all(&h, 0, "i0 > p+");
    hand_step_all(&h, 0, "p- > o0");
    hand_refuse(&h, "rank 0 may leave before rank 1 has entered");
    /* A send on another channel need not come after what was received. */
    barrier(&h);
    hand_accept(&h);
    for (int r = 0; r < 3; r++)
        h.nsteps[r] = 1;
    hand_step_all(&h, 1, "i0 > p+");
    hand_step_all(&h, 1, "p- > o0");
    hand_step_all(&h, 0, "p- > o0 a1.1");
    hand_refuse(&h, "rank 0 may leave before rank 1 has entered");
}

static void promise_bad_pairs_refused(void **state)
{
    (void)state;
    struct hand h;
    permute(&h);
    static const int32_t twice[] = {0, 2, 2, 2, 1, 1};
    h.args.pairs = twice;
    hand_refuse(&h, "rank 2 is the target of two pairs");
    static const int32_t beyond[] = {0, 2, 2, 3, 1, 1};
    h.args.pairs = beyond;
    hand_refuse(&h, "pair 1 names rank 3 of 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promise_right_schedules_accepted),
        cmocka_unit_test(promise_in_place_accepted),
        cmocka_unit_test(promise_wrong_places_refused),
        cmocka_unit_test(promise_reductions_refused),
        cmocka_unit_test(promise_counted_twice_refused),
        cmocka_unit_test(promise_unwritten_read_refused),
        cmocka_unit_test(promise_raw_through_the_wrong_space_refused),
        cmocka_unit_test(promise_sum_where_nothing_is_summed_refused),
        cmocka_unit_test(promise_different_bits_refused),
        cmocka_unit_test(promise_barrier_left_early_refused),
        cmocka_unit_test(promise_bad_pairs_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
