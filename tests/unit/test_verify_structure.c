/* What is refused before anything runs: each case breaks one rule of a right schedule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/verify_hand.h"
#include "verify/verify.h"

/* Two ranks gather two blocks of two chunks, own block first. */
static void gather(struct hand *h)
{
    hand_init(h, SCHED_ALL_GATHER, 2, 0);
    h->nsub = 2;
    h->tmp_chunks = 4;
    hand_step(h, 0, 0, "i0 > o0 p1 *2");
    hand_step(h, 0, 0, "p1 > o2 *2");
    hand_step(h, 1, 0, "i0 > o2 p0 *2");
    hand_step(h, 1, 0, "p0 > o0 *2");
}

/* The same, with the first step of rank 0 replaced. */
static void refuse_step(const char *text, const char *reason)
{
    struct hand h, other;
    gather(&h);
    gather(&other);
    other.nsteps[0] = 0;
    hand_step(&other, 0, 0, text);
    h.steps[0][0] = other.steps[0][0];
    hand_refuse(&h, reason);
}

static void structure_gather_accepted(void **state)
{
    (void)state;
    struct hand h;
    gather(&h);
    hand_accept(&h);
}

static void structure_operands_refused(void **state)
{
    (void)state;
    refuse_step("i1 > o0 p1 *2 @o0", "IN[1] and 1 more, of 2 chunks");
    refuse_step("i0 > o3 p1 *2 @i0", "OUT[3] and 1 more, of 4 chunks");
    refuse_step("i0 > o-2 p1 *2", "OUT[-2] and 1 more");
    refuse_step("i0 > o0 p2 *2", "its peer is rank 2, expected another of 2");
    refuse_step("i0 > o0 p0 *2", "its peer is rank 0, expected another of 2");
    refuse_step("i0 > o0 p1 p1 *2", "rank 1 is twice among its outputs");
    refuse_step("p1 p1 > o0 *2", "rank 1 is twice among its inputs");
    refuse_step("i0 i0 > o0 p1 *2", "two inputs in IN");
    refuse_step("t0 > i0 p1 *2", "it writes IN[0], the caller's send buffer");
    refuse_step("i0 > o0 o0 p1 *2", "OUT[0] and OUT[0] overlap");
    refuse_step("> o0", "it has 0 inputs and 1 outputs");
    refuse_step("i0 >", "it has 1 inputs and 0 outputs");
}

static void structure_overlap_of_input_and_output_refused(void **state)
{
    (void)state;
    struct hand h;
    gather(&h);
    h.nsub = 1;
    h.tmp_chunks = 4;
    h.nsteps[0] = h.nsteps[1] = 0;
    hand_step_all(&h, 0, "i0 > t0");
    hand_step_all(&h, 0, "t0 > t1");
    hand_step_all(&h, 0, "t0 > t0 p+ *2"); /* exactly itself is allowed */
    hand_step_all(&h, 0, "p+ > o0 *2");
    hand_step_all(&h, 0, "t0 > t1 *2");
    hand_refuse(&h, "step 4: TMP[0] and TMP[1] overlap");
}

static void structure_spans_refused(void **state)
{
    (void)state;
    refuse_step("i0 > o0 p1 *2 @o3", "its span is 2 chunks from 3");
    refuse_step("i0 > o0 p1 *0", "its span is 0 chunks");
    refuse_step("i0 > o1 p1", "OUT[1] has not the length of its span, IN[0]");
    refuse_step("i0 > o0 p1", "message 0 to rank 1 has 1 chunks from chunk 0 of a block, "
                              "but step 1 there expects 2 from 0");
    refuse_step("i1 > o1 p1", "has 1 chunks from chunk 1 of a block");
}

static void structure_numbers_of_messages_refused(void **state)
{
    (void)state;
    refuse_step("i0 > o0 *2", "rank 0 sends 0 messages to rank 1 on link 0, which "
                              "receives 1");
    struct hand h;
    gather(&h);
    hand_step(&h, 1, 0, "o0 > p0");
    hand_refuse(&h, "rank 1 sends 2 messages to rank 0 on link 0, which receives 1");
}

static void structure_message_on_another_channel_refused(void **state)
{
    (void)state;
    struct hand h;
    gather(&h);
    h.steps[0][0].channel = 1;
    hand_refuse(&h, "rank 0 sends 1 messages to rank 1 on link 1, which receives 0");
}

static void structure_marks_refused(void **state)
{
    (void)state;
    refuse_step("i0 > o0 p1 *2 a1.0", "step 0 of channel 1, which does not exist");
    refuse_step("i0 > o0 p1 *2 a0.7", "step 7 of channel 0, which does not exist");
    refuse_step("i0 > o0 p1 *2 d1", "it drains steps [0, 1) of its channel");
    refuse_step("i0 > o0 p1 *2 D", "it drains another channel but waits for none");
    refuse_step("i0 > o0 p1 *2 F", "marked final, but all_gather does not reduce");
    refuse_step("i0 > o0 p1 *2 E", "not a pure receive into OUT");
}

static void edit_root(struct sched **ranks)
{
    ranks[1]->root = 1;
}
static void edit_rank(struct sched **ranks)
{
    ranks[1]->rank = 0;
}
static void edit_nranks(struct sched **ranks)
{
    ranks[1]->nranks = 3;
}
static void edit_coll(struct sched **ranks)
{
    ranks[1]->coll = SCHED_ALL_TO_ALL;
}
static void edit_credits(struct sched **ranks)
{
    ranks[1]->credits = 2;
}
static void edit_no_credits(struct sched **ranks)
{
    ranks[0]->credits = ranks[1]->credits = 0;
}
static void edit_blocks(struct sched **ranks)
{
    ranks[1]->shape.out_blocks = 1;
}
static void edit_nsub(struct sched **ranks)
{
    ranks[1]->shape.nsub = 1;
}
static void edit_tmp_chunks(struct sched **ranks)
{
    ranks[1]->shape.tmp_chunks = INT32_MAX;
}
static void edit_tmp_like(struct sched **ranks)
{
    ranks[1]->shape.tmp_like = SCHED_PEER;
}
static void edit_channels(struct sched **ranks)
{
    ranks[1]->nchannels = SCHED_MAX_CHANNELS + 1;
}
static void edit_channel_range(struct sched **ranks)
{
    ranks[1]->channels[0].nsteps = 3;
}
static void edit_steps_left(struct sched **ranks)
{
    ranks[1]->channels[0].nsteps = 1;
}
static void edit_max_run(struct sched **ranks)
{
    ranks[0]->max_run = ranks[1]->max_run = 1;
}
static void edit_one_copies(struct sched **ranks)
{
    ranks[1]->copies = true;
}
static void edit_copies(struct sched **ranks) /* its messages have two chunks */
{
    ranks[0]->copies = ranks[1]->copies = true;
}
static void edit_one_max_run(struct sched **ranks)
{
    ranks[1]->max_run = 3;
}
static void edit_operand_range(struct sched **ranks)
{
    ranks[1]->steps[1].first = ranks[1]->nrefs - 1;
}
static void edit_operand_shared(struct sched **ranks)
{
    ranks[1]->steps[1].first = 0;
}
static void edit_space(struct sched **ranks)
{
    ranks[1]->refs[0].space = 9;
}
static void edit_flags(struct sched **ranks)
{
    ranks[1]->steps[1].flags = 0x40;
}
static void edit_missing(struct sched **ranks)
{
    sched_destroy(ranks[1]);
    ranks[1] = NULL;
}

static void structure_shapes_refused(void **state)
{
    (void)state;
    static const struct {
        void (*edit)(struct sched **ranks);
        const char *reason;
    } cases[] = {
        {edit_root, "rank 1 has root 1, rank 0 has 0"},
        {edit_rank,
         "schedule 1 is for all_gather rank 0 of 2, expected all_gather rank 1"},
        {edit_nranks, "rank 1 of 3, expected all_gather rank 1 of 2"},
        {edit_coll, "schedule 1 is for all_to_all"},
        {edit_credits, "rank 1 declares 2 messages of credit, rank 0 1"},
        {edit_no_credits, "rank 0 declares 0 messages of credit"},
        {edit_blocks, "rank 1 has 1 IN and 1 OUT blocks, expected 1 and 2"},
        {edit_nsub, "rank 1 cuts blocks into 1 chunks, rank 0 into 2"},
        {edit_tmp_chunks, "2147483647 in TMP, a proof takes up to"},
        {edit_tmp_like, "rank 1 shapes TMP like space 3"},
        {edit_channels, "rank 1 has 129 channels"},
        {edit_channel_range, "rank 1 channel 0 has steps [0, 0 + 3)"},
        {edit_steps_left, "rank 1 has 2 steps but its channels hold 1"},
        {edit_one_max_run,
         "rank 1 states a longest run of 3 chunks, rank 0 2 (at least 1)"},
        {edit_max_run, "it moves 2 chunks at once, more than the declared 1"},
        {edit_one_copies, "rank 1 states that it only copies, rank 0 does not"},
        {edit_copies, "it moves a message that is not a copy of one chunk"},
        {edit_operand_range, "its operands [4, 4 + 2) are not among 5"},
        {edit_operand_shared, "operand 0 belongs to an earlier step as well"},
        {edit_space, "operand 0 lies in space 9"},
        {edit_flags, "unknown flags 0x40"},
        {edit_missing, "rank 1 has no schedule"},
    };
    struct hand h;
    gather(&h);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        hand_refuse_edited(&h, cases[i].edit, cases[i].reason);
}

static void structure_tmp_like_absent_space_refused(void **state)
{
    (void)state;
    struct hand h;
    hand_init(&h, SCHED_BROADCAST, 2, 0);
    h.tmp_chunks = 1;
    h.tmp_like = SCHED_IN;
    hand_step(&h, 0, 0, "i0 > o0 p1");
    hand_step(&h, 1, 0, "p0 > o0");
    hand_refuse(&h, "rank 1 shapes TMP like IN, which it does not have");
}

static void structure_no_ranks_refused(void **state)
{
    (void)state;
    struct verify_report report;
    assert_int_equal(verify_schedules(NULL, 0, NULL, 0, &report), trncclInvalidUsage);
    assert_string_equal(report.reason, "there are 0 schedules, expected 1..65536");
    assert_int_equal(verify_schedules(NULL, 2, NULL, 0, NULL), trncclInvalidUsage);
}

/* Blocks of other sizes: lengths must agree by what a chunk is, not by its index. */
static void structure_any_blocks_is_told(void **state)
{
    (void)state;
    struct hand h;
    struct sched *ranks[2];
    struct verify_report report;
    gather(&h);
    for (int i = 0; i < 2; i++) {
        hand_make(&h, ranks);
        /* The length of rank 0's block for rank 1's: equal only if all blocks are. */
        if (i == 1)
            ranks[0]->steps[1].span_chunk = 0;
        assert_int_equal(verify_schedules(ranks, 2, NULL, 0, &report), trncclSuccess);
        assert_int_equal(report.any_blocks, i == 0);
        hand_free(&h, ranks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_gather_accepted),
        cmocka_unit_test(structure_operands_refused),
        cmocka_unit_test(structure_overlap_of_input_and_output_refused),
        cmocka_unit_test(structure_spans_refused),
        cmocka_unit_test(structure_numbers_of_messages_refused),
        cmocka_unit_test(structure_message_on_another_channel_refused),
        cmocka_unit_test(structure_marks_refused),
        cmocka_unit_test(structure_shapes_refused),
        cmocka_unit_test(structure_tmp_like_absent_space_refused),
        cmocka_unit_test(structure_no_ranks_refused),
        cmocka_unit_test(structure_any_blocks_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
