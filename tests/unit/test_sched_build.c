/* The builder: what it refuses and with which words, what it drops, what it derives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "sched/build.h"

static struct build *builder(enum sched_coll coll, int32_t nranks, bool inplace)
{
    struct sched_args args = {
        .coll = coll, .nranks = nranks, .rank = 1, .inplace = inplace};
    struct build *b;
    assert_int_equal(build_create(&args, "test", &b), trncclSuccess);
    return b;
}

static struct sched *finished(struct build *b)
{
    struct sched *s = NULL;
    if (build_finish(b, &s) != trncclSuccess)
        fail_msg("%s", error_text());
    build_destroy(b);
    return s;
}

static const struct sched_step *step_of(const struct sched *s, int32_t channel,
                                        int32_t step)
{
    assert_true(step < s->channels[channel].nsteps);
    return &s->steps[s->channels[channel].first + step];
}

/* The schedule is refused in words that contain `why`. */
static void refused(struct build *b, trncclResult_t result, const char *why)
{
    struct sched *s = NULL;
    assert_int_equal(build_finish(b, &s), result);
    assert_null(s);
    if (!strstr(error_text(), why))
        fail_msg("\"%s\" does not contain \"%s\"", error_text(), why);
    build_destroy(b);
}

/* ---- Arguments ----------------------------------------------------------------------
 */

static void args_refused(struct sched_args args, const char *why)
{
    struct build *b = NULL;
    assert_int_equal(build_create(&args, "test", &b), trncclInvalidArgument);
    assert_null(b);
    if (!strstr(error_text(), why))
        fail_msg("\"%s\" does not contain \"%s\"", error_text(), why);
}

static void build_create_bad_args_are_named(void **state)
{
    (void)state;
    static const int32_t twice[] = {0, 1, 0, 2}, target[] = {0, 1, 2, 1}, far[] = {0, 3};
    struct sched_args args = {.coll = SCHED_BROADCAST, .nranks = 3};
    args.coll = SCHED_NCOLLS;
    args_refused(args, "collective 10");
    args.coll = SCHED_BROADCAST;
    args.nranks = 0;
    args_refused(args, "0 ranks; expected 1 to 65536");
    args.nranks = 3;
    args.rank = 3;
    args_refused(args, "rank 3; expected 0 to 2");
    args.rank = 0;
    args.root = 3;
    args_refused(args, "root 3; expected 0 to 2");
    args.coll = SCHED_ALL_REDUCE;
    args.root = 1;
    args_refused(args, "root 1; expected 0 to 0");
    args = (struct sched_args){.coll = SCHED_PERMUTE, .nranks = 3, .npairs = 2};
    args_refused(args, "2 pairs; expected 0 to 3 and a list");
    args.pairs = twice;
    args_refused(args, "rank 0 is the source of two pairs");
    args.pairs = target;
    args_refused(args, "rank 1 is the target of two pairs");
    args.pairs = far;
    args.npairs = 1;
    args_refused(args, "target of pair 0 is rank 3; expected 0 to 2");
}

/* ---- Refusals of steps ---------------------------------------------------------------
 */

enum { OF = SCHED_PEER }; /* shorthand in the table below */

struct bad_step {
    const char *why;
    enum sched_coll coll;
    bool inplace;
    int32_t nin, nrefs;
    struct sched_ref refs[4];
    struct sched_ref span;
    int32_t span_n;
};

/* On rank 1 of 4, blocks of 2 chunks, 4 chunks of TMP like OUT. */
static const struct bad_step bad_steps[] = {
    {"receives from rank 4; expected 0 to 3",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{OF, 4}, {SCHED_OUT, 0}},
     {SCHED_OUT, 0},
     1},
    {"sends to rank -1",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{SCHED_IN, 0}, {OF, -1}},
     {SCHED_IN, 0},
     1},
    {"sends to rank 1, which is itself",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{SCHED_IN, 0}, {OF, 1}},
     {SCHED_IN, 0},
     1},
    {"receives from rank 2 twice",
     SCHED_ALL_REDUCE,
     false,
     2,
     3,
     {{OF, 2}, {OF, 2}, {SCHED_OUT, 0}},
     {SCHED_OUT, 0},
     1},
    {"sends to rank 0 twice",
     SCHED_ALL_REDUCE,
     false,
     1,
     3,
     {{SCHED_IN, 0}, {OF, 0}, {OF, 0}},
     {SCHED_IN, 0},
     1},
    {"has 2 inputs in IN",
     SCHED_REDUCE_SCATTER,
     false,
     2,
     3,
     {{SCHED_IN, 0}, {SCHED_IN, 2}, {OF, 0}},
     {SCHED_IN, 0},
     1},
    {"reads IN[2] + 1; this rank has 2",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{SCHED_IN, 2}, {OF, 0}},
     {SCHED_IN, 0},
     1},
    {"reads IN[1] + 2; this rank has 2",
     SCHED_ALL_GATHER,
     false,
     1,
     2,
     {{SCHED_IN, 1}, {OF, 0}},
     {SCHED_OUT, 1},
     2},
    {"writes OUT[-1]",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{OF, 0}, {SCHED_OUT, -1}},
     {SCHED_OUT, 0},
     1},
    {"writes TMP[4]",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{OF, 0}, {SCHED_TMP, 4}},
     {SCHED_TMP, 0},
     1},
    {"writes OUT[1] but its length is that of IN[0]",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{SCHED_IN, 0}, {SCHED_OUT, 1}},
     {SCHED_IN, 0},
     1},
    {"reads TMP[3] but its length is that of OUT[4]",
     SCHED_ALL_GATHER,
     false,
     1,
     2,
     {{SCHED_TMP, 3}, {OF, 0}},
     {SCHED_OUT, 4},
     1},
    {"has the length of OUT[8] + 1; this rank has 8",
     SCHED_ALL_GATHER,
     false,
     1,
     2,
     {{OF, 2}, {OF, 0}},
     {SCHED_OUT, 8},
     1},
    {"span of 0 chunks",
     SCHED_ALL_GATHER,
     false,
     1,
     2,
     {{OF, 2}, {OF, 0}},
     {SCHED_OUT, 0},
     0},
    {"of space peer", SCHED_ALL_GATHER, false, 1, 2, {{OF, 2}, {OF, 0}}, {OF, 0}, 1},
    {"IN is never written out of place",
     SCHED_ALL_REDUCE,
     false,
     1,
     2,
     {{OF, 0}, {SCHED_IN, 0}},
     {SCHED_IN, 0},
     1},
    {"writes OUT[0] twice",
     SCHED_ALL_REDUCE,
     true,
     1,
     3,
     {{OF, 0}, {SCHED_IN, 0}, {SCHED_OUT, 0}},
     {SCHED_IN, 0},
     1},
    {"reads it at another place of a run",
     SCHED_ALL_GATHER,
     false,
     1,
     2,
     {{SCHED_OUT, 0}, {SCHED_OUT, 2}},
     {SCHED_OUT, 0},
     4},
    {"has 0 inputs and 1 outputs",
     SCHED_ALL_REDUCE,
     false,
     0,
     1,
     {{OF, 0}},
     {SCHED_IN, 0},
     1},
    {"has 1 inputs and 0 outputs",
     SCHED_ALL_REDUCE,
     false,
     1,
     1,
     {{OF, 0}},
     {SCHED_IN, 0},
     1},
};

static void build_finish_malformed_steps_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_steps / sizeof *bad_steps; i++) {
        const struct bad_step *bad = &bad_steps[i];
        struct build *b = builder(bad->coll, 4, bad->inplace);
        build_shape(b, 2, 4, SCHED_OUT);
        build_send(b, 0, SCHED_IN, 0, 1, 0); /* a good one before it */
        build_step(b, 0);
        for (int32_t r = 0; r < bad->nrefs; r++) {
            bool out = r >= bad->nin;
            if (bad->refs[r].space == SCHED_PEER)
                (out ? build_to : build_from)(b, bad->refs[r].index);
            else
                (out ? build_local_out : build_local_in)(
                    b, (enum sched_space)bad->refs[r].space, bad->refs[r].index);
        }
        build_span(b, (enum sched_space)bad->span.space, bad->span.index, bad->span_n);
        struct sched *s = NULL;
        assert_int_equal(build_finish(b, &s), trncclInvalidArgument);
        assert_int_equal(build_error_step(b).step, 1);
        assert_non_null(strstr(error_text(), "4 ranks, rank 1: channel 0 step 1"));
        refused(b, trncclInvalidArgument, bad->why);
    }
}

static void build_calls_out_of_order_are_refused(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    build_from(b, 0);
    refused(b, trncclInvalidUsage, "described before any step");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_send(b, 0, SCHED_IN, 0, 1, 0);
    build_shape(b, 2, 0, SCHED_OUT);
    refused(b, trncclInvalidUsage, "shape is given twice, or after a step");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_shape(b, 0, 0, SCHED_OUT);
    refused(b, trncclInvalidArgument, "0 chunks per block");
    b = builder(SCHED_ALL_TO_ALL, 4, false);
    build_shape(b, INT32_MAX, 0, SCHED_OUT);
    refused(b, trncclInvalidArgument, "2147483647 chunks per block");
    b = builder(SCHED_BROADCAST, 4, false); /* rank 1 is not the root */
    build_shape(b, 1, 2, SCHED_IN);
    refused(b, trncclInvalidArgument, "TMP of 2 chunks like IN, which has 0 blocks");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_credits(b, 0);
    refused(b, trncclInvalidArgument, "0 credits");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_step(b, SCHED_MAX_CHANNELS);
    refused(b, trncclInvalidArgument, "channel 128; expected 0 to 127");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_step(b, 0);
    build_local_in(b, SCHED_PEER, 0);
    refused(b, trncclInvalidArgument, "local operand in space 3");
}

static void build_errors_the_first_stays(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    build_step(b, -3);
    struct build_mark mark = build_step(b, -4);
    assert_int_equal(mark.step, -1);
    build_credits(b, -1);
    build_send(b, 0, SCHED_IN, 0, 1, 77);
    refused(b, trncclInvalidArgument, "a step on channel -3");
}

static void build_after_bad_marks_are_refused(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    build_send(b, 1, SCHED_IN, 0, 1, 0);
    build_send(b, 0, SCHED_IN, 0, 1, 0);
    build_after(b, (struct build_mark){1, 1});
    refused(b, trncclInvalidArgument, "after step 1 of channel 1, which does not exist");
    b = builder(SCHED_ALL_REDUCE, 4, false);
    build_send(b, 1, SCHED_IN, 0, 1, 0);
    build_send(b, 2, SCHED_IN, 0, 1, 0);
    build_send(b, 0, SCHED_IN, 0, 1, 0);
    build_after(b, (struct build_mark){1, 0});
    build_after(b, (struct build_mark){2, 0});
    refused(b, trncclInvalidArgument, "channels 1 and 2; a step can wait for one other");
}

/* ---- What is dropped -----------------------------------------------------------------
 */

static void build_copies_onto_aliases_are_dropped_in_place(void **state)
{
    (void)state;
    for (int inplace = 0; inplace < 2; inplace++) {
        struct build *b = builder(SCHED_ALL_GATHER, 4, inplace);
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 1, 1); /* rank 1's block */
        build_step(b, 0);
        build_local_in(b, SCHED_IN, 0);
        build_to(b, 2);
        build_local_out(b, SCHED_OUT, 1);
        build_to(b, 0);
        build_span(b, SCHED_IN, 0, 1);
        build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 2, 1); /* another block: stays */
        struct sched *s = finished(b);
        assert_int_equal(s->nsteps, inplace ? 2 : 3);
        const struct sched_step *p = step_of(s, 0, inplace ? 0 : 1);
        assert_int_equal(p->nin, 1);
        assert_int_equal(p->nout, inplace ? 2 : 3);
        assert_int_equal(sched_out(s, p)[0].index, 2);
        assert_int_equal(sched_out(s, p)[p->nout - 1].index, 0);
        sched_destroy(s);
    }
}

static void build_contributions_to_a_reduction_are_not_dropped(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, true);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 0, 1); /* may scale */
    build_copy(b, 0, SCHED_OUT, 0, SCHED_OUT, 0, 1);
    build_step(b, 0); /* combines: never a copy */
    build_from(b, 2);
    build_local_in(b, SCHED_OUT, 0);
    build_local_out(b, SCHED_OUT, 0);
    build_span(b, SCHED_OUT, 0, 1);
    struct sched *s = finished(b);
    assert_int_equal(s->nsteps, 2);
    assert_int_equal(sched_in(s, step_of(s, 0, 0))->space, SCHED_IN);
    assert_int_equal(step_of(s, 0, 1)->nin, 2);
    sched_destroy(s);
}

static void build_after_dropped_steps_means_the_one_before(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_GATHER, 4, true);
    struct build_mark first =
        build_copy(b, 1, SCHED_IN, 0, SCHED_OUT, 1, 1); /* dropped */
    build_recv(b, 1, 0, SCHED_OUT, 0, 1);
    struct build_mark last = build_copy(b, 1, SCHED_IN, 0, SCHED_OUT, 1, 1); /* dropped */
    build_recv(b, 1, 0, SCHED_OUT, 3, 1);
    build_send(b, 0, SCHED_OUT, 1, 1, 2);
    build_after(b, first);
    build_send(b, 0, SCHED_OUT, 0, 1, 2);
    build_after(b, last);
    /* This one goes nowhere itself, but what follows may rely on what it waits for. */
    build_copy(b, 2, SCHED_IN, 0, SCHED_OUT, 1, 1);
    build_after(b, last);
    struct sched *s = finished(b);
    assert_int_equal(s->channels[1].nsteps, 2);
    assert_int_equal(step_of(s, 0, 0)->after_step, -1);
    assert_int_equal(step_of(s, 0, 1)->after_channel, 1);
    assert_int_equal(step_of(s, 0, 1)->after_step, 0);
    assert_int_equal(step_of(s, 2, 0)->after_step, 0);
    assert_int_equal(step_of(s, 2, 0)->nout, 1);
    sched_destroy(s);
}

static void build_after_keeps_the_later_of_one_channel(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    struct build_mark early = build_send(b, 1, SCHED_IN, 0, 1, 0);
    struct build_mark late = build_send(b, 1, SCHED_IN, 0, 1, 0);
    struct build_mark own = build_send(b, 0, SCHED_IN, 0, 1, 0);
    build_after(b, late);
    build_after(b, early);
    build_send(b, 0, SCHED_IN, 0, 1, 0);
    build_after(b, own);
    build_after(b, (struct build_mark){-1, -1});
    struct sched *s = finished(b);
    assert_int_equal(step_of(s, 0, 0)->after_step, 1);
    assert_int_equal(step_of(s, 0, 1)->after_step, -1);
    sched_destroy(s);
}

/* ---- What is derived -----------------------------------------------------------------
 */

static void build_drain_in_place_waits_for_the_lent_chunk(void **state)
{
    (void)state;
    for (int inplace = 0; inplace < 2; inplace++) {
        struct build *b = builder(SCHED_ALL_REDUCE, 4, inplace);
        build_shape(b, 3, 3, SCHED_OUT);
        build_send(b, 0, SCHED_IN, 0, 1, 0);
        build_send(b, 0, SCHED_IN, 1, 1, 0);
        build_send(b, 0, SCHED_TMP, 2, 1, 0); /* never lent */
        build_recv(b, 0, 2, SCHED_OUT, 2, 1);
        build_recv(b, 0, 2, SCHED_OUT, 0, 1);
        build_recv(b, 0, 2, SCHED_OUT, 1, 1);
        build_recv(b, 0, 2, SCHED_OUT, 0, 3);
        build_recv(b, 0, 2, SCHED_TMP, 2, 1);
        struct sched *s = finished(b);
        static const int32_t want[] = {0, 0, 0, 0, 1, 2, 2, 0};
        for (int32_t i = 0; i < 8; i++)
            assert_int_equal(step_of(s, 0, i)->drain, inplace ? want[i] : 0);
        assert_int_equal(s->max_run, 3);
        sched_destroy(s);
    }
}

static void build_drain_covers_the_output_a_send_may_lend(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    build_shape(b, 2, 2, SCHED_OUT);
    build_step(b, 0); /* forward: OUT[0] may be what peer 3 is shown */
    build_from(b, 2);
    build_local_out(b, SCHED_OUT, 0);
    build_to(b, 3);
    build_span(b, SCHED_OUT, 0, 1);
    build_step(b, 0); /* two inputs, no local output: nothing is lent */
    build_from(b, 2);
    build_local_in(b, SCHED_OUT, 1);
    build_to(b, 3);
    build_span(b, SCHED_OUT, 1, 1);
    build_recv(b, 0, 2, SCHED_OUT, 1, 1);
    build_recv(b, 0, 2, SCHED_OUT, 0, 1);
    struct sched *s = finished(b);
    assert_int_equal(step_of(s, 0, 2)->drain, 0);
    assert_int_equal(step_of(s, 0, 3)->drain, 1);
    sched_destroy(s);
}

static void build_after_drain_stands_on_the_edge_between_channels(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_REDUCE, 4, true);
    build_shape(b, 2, 0, SCHED_OUT);
    struct build_mark sent = build_send(b, 0, SCHED_IN, 0, 1, 0);
    /* Channel 1 waits, channel 2 waits for channel 1 and overwrites. */
    struct build_mark middle = build_send(b, 1, SCHED_IN, 1, 1, 0);
    build_after(b, sent);
    build_recv(b, 2, 3, SCHED_OUT, 0, 1);
    build_after(b, middle);
    /* Channel 3 waits for the same send and overwrites nothing of it. */
    build_send(b, 3, SCHED_IN, 0, 1, 2);
    build_after(b, sent);
    struct sched *s = finished(b);
    assert_true(step_of(s, 1, 0)->after_drain);
    assert_false(step_of(s, 2, 0)->after_drain);
    assert_false(step_of(s, 3, 0)->after_drain);
    sched_destroy(s);
}

static bool early(const struct sched *s, int32_t channel, int32_t step)
{
    return step_of(s, channel, step)->flags & SCHED_POST_EARLY;
}

static void build_post_early_needs_an_untouched_landing_place(void **state)
{
    (void)state;
    for (int inplace = 0; inplace < 2; inplace++) {
        struct build *b = builder(SCHED_ALL_REDUCE, 4, inplace);
        build_shape(b, 4, 1, SCHED_OUT);
        build_send(b, 0, SCHED_IN, 0, 1, 0);
        build_recv(b, 0, 2, SCHED_OUT, 0, 1); /* IN[0] was read, in place the same */
        build_recv(b, 0, 2, SCHED_OUT, 1, 1); /* first use */
        build_recv(b, 0, 2, SCHED_OUT, 1, 1); /* second */
        build_recv(b, 0, 2, SCHED_TMP, 0, 1); /* not OUT */
        build_recv(b, 0, 3, SCHED_OUT, 2, 1); /* channel 1 may read it at any time */
        build_send(b, 1, SCHED_OUT, 2, 1, 3);
        struct build_mark last = build_recv(b, 0, 3, SCHED_OUT, 3, 1);
        build_send(b, 1, SCHED_OUT, 3, 1, 3); /* ordered after it */
        build_after(b, last);
        struct sched *s = finished(b);
        assert_int_equal(early(s, 0, 1), !inplace);
        assert_true(early(s, 0, 2));
        assert_false(early(s, 0, 3));
        assert_false(early(s, 0, 4));
        assert_false(early(s, 0, 5));
        assert_true(early(s, 0, 6));
        sched_destroy(s);
    }
}

static void build_v_safe_says_whether_lengths_agree(void **state)
{
    (void)state;
    struct build *b = builder(SCHED_ALL_GATHER, 4, false);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 1, 1); /* rank 1's own block */
    struct sched *s = finished(b);
    assert_true(s->v_safe);
    sched_destroy(s);
    b = builder(SCHED_ALL_GATHER, 4, false);
    build_copy(b, 0, SCHED_IN, 0, SCHED_OUT, 2, 1);
    s = finished(b);
    assert_false(s->v_safe);
    sched_destroy(s);
}

static void build_copies_is_held_to_every_message(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct build *b = builder(SCHED_ALL_GATHER, 4, false);
        struct sched *s = NULL;
        build_shape(b, 2, 1, SCHED_IN);
        build_copies(b);
        build_copy(b, 0, SCHED_IN, 0, SCHED_TMP, 0, 1); /* no message: nothing to ask */
        build_send(b, 0, how == 1 ? SCHED_TMP : SCHED_IN, 0, how == 2 ? 2 : 1, 3);
        build_recv(b, 0, 2, how == 3 ? SCHED_TMP : SCHED_OUT, 0, 1);
        trncclResult_t expected = how == 0 ? trncclSuccess : trncclInvalidArgument;
        assert_int_equal(build_finish(b, &s), expected);
        assert_true(how > 0 || s->copies);
        sched_destroy(s);
        build_destroy(b);
    }
}

static void build_finish_empty_and_gappy_schedules_are_fine(void **state)
{
    (void)state;
    struct sched *s = finished(builder(SCHED_ALL_REDUCE, 4, false));
    assert_int_equal(s->nsteps, 0);
    assert_int_equal(s->nchannels, 0);
    assert_int_equal(s->max_run, 1);
    assert_int_equal(s->credits, 1);
    sched_destroy(s);
    struct build *b = builder(SCHED_ALL_REDUCE, 4, false);
    build_credits(b, 3);
    build_send(b, 2, SCHED_IN, 0, 1, 0);
    s = finished(b);
    assert_int_equal(s->nchannels, 3);
    assert_int_equal(s->channels[1].nsteps, 0);
    assert_int_equal(s->credits, 3);
    sched_destroy(s);
    build_destroy(NULL);
    sched_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(build_create_bad_args_are_named),
        cmocka_unit_test(build_finish_malformed_steps_are_refused),
        cmocka_unit_test(build_calls_out_of_order_are_refused),
        cmocka_unit_test(build_errors_the_first_stays),
        cmocka_unit_test(build_after_bad_marks_are_refused),
        cmocka_unit_test(build_copies_onto_aliases_are_dropped_in_place),
        cmocka_unit_test(build_contributions_to_a_reduction_are_not_dropped),
        cmocka_unit_test(build_after_dropped_steps_means_the_one_before),
        cmocka_unit_test(build_after_keeps_the_later_of_one_channel),
        cmocka_unit_test(build_drain_in_place_waits_for_the_lent_chunk),
        cmocka_unit_test(build_drain_covers_the_output_a_send_may_lend),
        cmocka_unit_test(build_after_drain_stands_on_the_edge_between_channels),
        cmocka_unit_test(build_post_early_needs_an_untouched_landing_place),
        cmocka_unit_test(build_v_safe_says_whether_lengths_agree),
        cmocka_unit_test(build_copies_is_held_to_every_message),
        cmocka_unit_test(build_finish_empty_and_gappy_schedules_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
