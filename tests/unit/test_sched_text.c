/* Text form: print and parse are inverse, for every algorithm and for random schedules;
 * malformed text is refused with line and reason; mutated text never crashes; drawings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "algo/algo.h"
#include "sched/text.h"
#include "tests/support/random_sched.h"

enum { NRANDOM = 300, NMUTANTS = 20000, MAX_RANKS = 9 };

/* In tests/fuzz/fuzz_sched_text.c: aborts where parse and print are not inverse. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static char *text_of(struct sched *const *ranks, int32_t nranks,
                     trncclResult_t (*form)(FILE *, struct sched *const *, int32_t))
{
    char *text = NULL;
    size_t nbytes;
    FILE *file = open_memstream(&text, &nbytes);
    assert_non_null(file);
    if (form(file, ranks, nranks) != trncclSuccess)
        fail_msg("%s", error_text());
    fclose(file);
    return text;
}

static void destroy(struct sched **ranks, int32_t nranks)
{
    for (int32_t r = 0; r < nranks; r++)
        sched_destroy(ranks[r]);
}

static void assert_same(const struct sched *a, const struct sched *b)
{
    assert_int_equal(a->coll, b->coll);
    assert_string_equal(a->algo, b->algo);
    assert_int_equal(a->rank, b->rank);
    assert_int_equal(a->nranks, b->nranks);
    assert_int_equal(a->root, b->root);
    assert_int_equal(a->inplace, b->inplace);
    assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
    assert_int_equal(a->credits, b->credits);
    assert_int_equal(a->max_run, b->max_run);
    assert_int_equal(a->copies, b->copies);
    assert_int_equal(a->any_order, b->any_order);
    assert_int_equal(a->v_safe, b->v_safe);
    assert_int_equal(a->nchannels, b->nchannels);
    assert_int_equal(a->nrefs, b->nrefs);
    assert_int_equal(a->nsteps, b->nsteps);
    for (int32_t c = 0; c < a->nchannels; c++) {
        assert_int_equal(a->channels[c].first, b->channels[c].first);
        assert_int_equal(a->channels[c].nsteps, b->channels[c].nsteps);
    }
    for (int32_t i = 0; i < a->nrefs; i++) {
        assert_int_equal(a->refs[i].space, b->refs[i].space);
        assert_int_equal(a->refs[i].index, b->refs[i].index);
    }
    for (int32_t i = 0; i < a->nsteps; i++) {
        const struct sched_step *p = &a->steps[i], *q = &b->steps[i];
        assert_int_equal(p->first, q->first);
        assert_int_equal(p->nin, q->nin);
        assert_int_equal(p->nout, q->nout);
        assert_int_equal(p->flags, q->flags);
        assert_int_equal(p->in_link, q->in_link);
        assert_int_equal(p->out_link, q->out_link);
        assert_int_equal(p->span_space, q->span_space);
        assert_int_equal(p->span_chunk, q->span_chunk);
        assert_int_equal(p->span_n, q->span_n);
        assert_int_equal(p->after_channel, q->after_channel);
        assert_int_equal(p->after_step, q->after_step);
        assert_int_equal(p->drain, q->drain);
        assert_int_equal(p->after_drain, q->after_drain);
    }
}

static void assert_parses_back(struct sched *const *ranks, int32_t nranks)
{
    struct sched **back;
    int32_t nback;
    char *text = text_of(ranks, nranks, text_print);
    if (text_parse(text, strlen(text), &back, &nback) != trncclSuccess)
        fail_msg("%s in\n%s", error_text(), text);
    assert_int_equal(nback, nranks);
    for (int32_t r = 0; r < nranks; r++)
        assert_same(ranks[r], back[r]);
    destroy(back, nback);
    free(back);
    free(text);
}

/* ---- Inverse -------------------------------------------------------------------------
 */

static struct sched_args args_of(const struct algo *algo, int32_t nranks, bool inplace)
{
    static int32_t pairs[2 * MAX_RANKS];
    struct sched_args args = {.coll = algo->coll, .nranks = nranks, .inplace = inplace};
    if (sched_coll_rooted(algo->coll))
        args.root = nranks / 2;
    for (int32_t i = 0; algo->coll == SCHED_PERMUTE && i < nranks; i++) {
        pairs[2 * i] = i;
        pairs[2 * i + 1] = (i + 1) % nranks;
        args.npairs = nranks > 1 ? nranks - 1 : 1; /* the last rank is no source */
    }
    args.pairs = algo->coll == SCHED_PERMUTE ? pairs : NULL;
    return args;
}

static void text_of_every_algorithm_parses_back_and_draws(void **state)
{
    (void)state;
    int nbuilt = 0;
    for (int i = 0; algo_list[i]; i++) {
        for (int32_t nranks = 1; nranks <= MAX_RANKS; nranks++) {
            for (int inplace = 0; inplace < 2; inplace++) {
                struct sched_args args = args_of(algo_list[i], nranks, inplace);
                struct sched *ranks[MAX_RANKS];
                if (algo_list[i]->refuse && algo_list[i]->refuse(&args))
                    continue;
                if (algo_build_all(algo_list[i], &args, ranks) != trncclSuccess)
                    fail_msg("%s", error_text());
                assert_parses_back(ranks, nranks);
                free(text_of(ranks, nranks, text_draw));
                free(text_of(ranks, nranks, text_dot));
                destroy(ranks, nranks);
                nbuilt++;
            }
        }
    }
    assert_true(nbuilt > 0);
}

/* Random schedules of one rank, the others empty. */
static void random_collective(struct random *r, struct sched **ranks, int32_t *nranks)
{
    static struct random_plan plan;
    struct sched *s;
    if (random_sched(r, &plan, &s) != trncclSuccess)
        fail_msg("%s", error_text());
    *nranks = s->nranks;
    for (int32_t i = 0; i < s->nranks; i++) {
        struct sched_args args = plan.args;
        args.rank = i;
        struct build *b;
        assert_int_equal(build_create(&args, "random", &b), trncclSuccess);
        build_shape(b, s->shape.nsub, 0, SCHED_IN);
        if (i != s->rank)
            assert_int_equal(build_finish(b, &ranks[i]), trncclSuccess);
        build_destroy(b);
    }
    ranks[s->rank] = s;
}

static void text_of_random_schedules_parses_back(void **state)
{
    (void)state;
    struct random r = random_seeded(__func__);
    for (int i = 0; i < NRANDOM; i++) {
        struct sched *ranks[MAX_RANKS];
        int32_t nranks;
        random_collective(&r, ranks, &nranks);
        assert_parses_back(ranks, nranks);
        destroy(ranks, nranks);
    }
}

/* What no algorithm uses: links of their own, waits, staged sends, any order. */
static void text_of_imported_features_parses_back(void **state)
{
    (void)state;
    struct sched *ranks[2];
    for (int32_t r = 0; r < 2; r++) {
        struct sched_args args = {.coll = SCHED_ALL_REDUCE, .nranks = 2, .rank = r};
        struct build *b;
        assert_int_equal(build_create(&args, "features", &b), trncclSuccess);
        build_any_order(b);
        struct build_mark sent = build_send(b, 1, SCHED_IN, 0, 1, 1 - r);
        build_links(b, -1, 7);
        build_staged(b);
        build_wait(b, 0, sent, SCHED_OUT, 0, 1);
        build_step(b, 0);
        build_from(b, 1 - r);
        build_local_in(b, SCHED_IN, 0);
        build_local_out(b, SCHED_OUT, 0);
        build_span(b, SCHED_OUT, 0, 1);
        build_links(b, 7, -1);
        build_final(b);
        assert_int_equal(build_finish(b, &ranks[r]), trncclSuccess);
        build_destroy(b);
    }
    char *text = text_of(ranks, 2, text_print);
    assert_non_null(strstr(text, "any-order\n"));
    assert_non_null(strstr(text, "0: wait len OUT[0] after 1:0\n"));
    assert_non_null(strstr(text, "out peer 1 len IN[0] out-link 7 staged\n"));
    assert_non_null(strstr(text, "len OUT[0] in-link 7 final\n"));
    free(text);
    assert_parses_back(ranks, 2);
    assert_int_equal(sched_nlinks(ranks[0]), 8);
    destroy(ranks, 2);
}

/* ---- By hand -------------------------------------------------------------------------
 */

static const char ring_of_two[] =
    "# a comment, and an empty line\n"
    "\n"
    "collective all_reduce algo ring ranks 2 root 0 nsub 2 tmp 0 credits 1\n"
    "rank 0 in-place\r\n"
    "  channel 0\n"
    "    0: in IN[1] out peer 1 len IN[1] # first\n"
    "    1: in peer 1, IN[0] out OUT[0], peer 1 len IN[0] final\n"
    "    2: in peer 1 out OUT[1] len OUT[1] drain 1\n"
    "rank 1 out-of-place\n"
    "\tchannel 0\n"
    "    0:in IN[0] out peer 0 len IN[0]\n"
    "    1: in peer 0,IN[1] out OUT[1] , peer 0 len IN[1]\n"
    "    2: in peer 0 out OUT[0] len OUT[0] early";

static void text_parse_by_hand_is_read(void **state)
{
    (void)state;
    struct sched **ranks;
    int32_t nranks;
    if (text_parse(ring_of_two, strlen(ring_of_two), &ranks, &nranks) != trncclSuccess)
        fail_msg("%s", error_text());
    assert_int_equal(nranks, 2);
    assert_string_equal(ranks[1]->algo, "ring");
    assert_true(ranks[0]->inplace);
    assert_int_equal(ranks[0]->steps[1].flags, SCHED_FINAL);
    assert_int_equal(ranks[0]->steps[2].drain, 1);
    assert_int_equal(ranks[1]->steps[2].flags, SCHED_POST_EARLY);
    char *drawn = text_of(ranks, nranks, text_draw);
    assert_string_equal(
        drawn,
        "all_reduce ring, 2 ranks, root 0: 4 messages, 2 rounds\n"
        "c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch\n"
        "round  rank 0  rank 1\n"
        "    0  1>1     0>0\n"
        "    1  +0=>1   +1=>0\n"
        "    2  1=      0=\n");
    free(drawn);
    char *dot = text_of(ranks, nranks, text_dot);
    assert_non_null(strstr(dot, "digraph \"all_reduce ring, 2 ranks\""));
    assert_non_null(strstr(dot, "n0_0 -> n1_1 [constraint=false, label=\"1\"]"));
    assert_non_null(strstr(dot, "n1_1 -> n0_2 [constraint=false, label=\"+1\"]"));
    free(dot);
    destroy(ranks, nranks);
    free(ranks);
}

/* One line of ring_of_two changed, and what must be said of it. */
struct edit {
    const char *from, *to, *why;
};

static const struct edit edits[] = {
    {"collective all_reduce", "collectiv all_reduce", "line 3: \"collectiv\"; expected"},
    {"all_reduce algo", "all_redice algo", "line 3: collective \"all_redice\""},
    {"ranks 2", "ranks 0", "line 3: ranks is \"0\"; expected 1 to 65536"},
    {"ranks 2", "ranks 99999999999999999999",
     "line 3: ranks is \"99999999999999999999\""},
    {"ranks 2", "ranks x", "line 3: \"x\"; expected ranks"},
    {"ranks 2", "ranks 3", "line 13: the text ends after 2 of 3 ranks"},
    {"ranks 2", "ranks 1", "rank 0: channel 0 step 0 sends to rank 1; expected 0 to 0"},
    {"algo ring", "nsub 2", "line 3: the header lacks algo or ranks"},
    {"root 0", "root 1", "line 3: root 1 of 2 ranks in all_reduce"},
    {"nsub 2", "nsub 16000000", "line 4: 32000000 chunks in the ranks up to this one"},
    {"nsub 2", "frob 2", "line 3: \"frob\" is not expected here"},
    {"tmp 0", "tmp 1 like TMP", "line 3: tmp like TMP; expected IN or OUT"},
    {"rank 0 in-place", "rank 1 in-place", "line 4: rank 1; expected rank 0"},
    {"in-place", "inplace", "line 4: \"inplace\"; expected in-place or out-of-place"},
    {"in-place", "in-place blocks 1 1", "line 4: blocks are stated of a permute only"},
    {"channel 0", "channel 1", "line 5: channel 1; expected channel 0"},
    {"channel 0", "channel 128", "line 5: a channel is \"128\"; expected 0 to 127"},
    {"channel 0", "channel 0 0", "line 5: \"0\"; expected the end of the line"},
    {"  channel 0\n", "\n", "line 6: a step before any channel of rank 0"},
    {"    1: in peer 1, IN[0]", "    2: in peer 1, IN[0]",
     "line 7: step 2; expected step 1"},
    {"IN[1] out", "XX[1] out", "line 6: space \"XX\"; expected IN, OUT or TMP"},
    {"IN[1] out", "IN[1..0] out", "line 6: the last chunk is \"0\"; expected 1 to"},
    {"IN[1] out", "IN[1 out", "line 6: \"out\"; expected \"]\""},
    {"IN[1] out", "IN[0..1] out", "line 6: an operand of 2 chunks in a step of 1 (len)"},
    {"peer 1 len", "peer 9 len",
     "line 6: all_reduce ring of 2 ranks, rank 0: channel 0 "
     "step 0 sends to rank 9; expected 0 to 1"},
    {"peer 1 len", "peer 0 len", "step 0 sends to rank 0, which is itself"},
    {"len IN[1]", "ln IN[1]", "line 6: \"ln\"; expected \"len\""},
    {"len IN[1]", "len", "line 6: the end of the line; expected a space"},
    {"len IN[0] final", "len IN[0] finally",
     "line 7: \"finally\"; expected after, final"},
    {"len IN[0] final", "len IN[0] after 1:0", "line 7: waits for step 0 of channel 1"},
    {"len IN[0] final", "len IN[0] \x01", "line 7: byte 1; expected after"},
    {"drain 1", "drain 2", "line 8: drain 2; the steps imply 1"},
    {"drain 1", "drain 1 after-drain", "line 8: after-drain; the steps do not imply it"},
    {"drain 1", "early", "line 8: early; the steps do not allow it"},
    {"in peer 1 out OUT[1] len", "in OUT[1] out OUT[1] len",
     "line 8: states drain, after-drain or early, but steps of rank 0 only copy"},
};

static void text_parse_malformed_is_refused_with_line_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        char text[2 * sizeof ring_of_two];
        const char *at = strstr(ring_of_two, edits[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - ring_of_two), ring_of_two,
                 edits[i].to, at + strlen(edits[i].from));
        struct sched **ranks = NULL;
        int32_t nranks = -7;
        assert_int_equal(text_parse(text, strlen(text), &ranks, &nranks),
                         trncclInvalidArgument);
        if (!strstr(error_text(), edits[i].why))
            fail_msg("edit %zu: \"%s\" does not contain \"%s\"", i, error_text(),
                     edits[i].why);
        assert_null(ranks);
        assert_int_equal(nranks, -7);
    }
    struct sched **ranks;
    int32_t nranks;
    assert_int_equal(text_parse("", 0, &ranks, &nranks), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "no schedule"));
}

static void text_parse_circle_of_after_is_refused(void **state)
{
    (void)state;
    static const char text[] = "collective barrier algo a ranks 2\n"
                               "rank 0 out-of-place\n"
                               "channel 0\n"
                               "0: in IN[0] out peer 1 len IN[0] after 1:0\n"
                               "channel 1\n"
                               "0: in IN[0] out peer 1 len IN[0] after 0:0\n"
                               "rank 1 out-of-place\n";
    struct sched **ranks;
    int32_t nranks;
    assert_int_equal(text_parse(text, strlen(text), &ranks, &nranks),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "which does not exist or itself waits"));
}

static void text_draw_unmatched_or_stuck_schedules_are_refused(void **state)
{
    (void)state;
    static const struct edit wrong[] = {
        {"1: in peer 1, IN[0] out OUT[0], peer 1", "1: in peer 1, IN[0] out OUT[0]",
         "rank 1 channel 0 step 2 receives from rank 0, which has no matching send"},
        {"1: in peer 1, IN[0] out OUT[0], peer 1", "1: in IN[0] out OUT[0], peer 1",
         "rank 1 channel 0 step 1 sends to rank 0, which has no matching receive"},
    };
    for (size_t i = 0; i < 2; i++) {
        char text[2 * sizeof ring_of_two];
        const char *at = strstr(ring_of_two, wrong[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - ring_of_two), ring_of_two,
                 wrong[i].to, at + strlen(wrong[i].from));
        struct sched **ranks;
        int32_t nranks;
        assert_int_equal(text_parse(text, strlen(text), &ranks, &nranks), trncclSuccess);
        assert_int_equal(text_draw(stdout, ranks, nranks), trncclInvalidUsage);
        if (!strstr(error_text(), wrong[i].why))
            fail_msg("\"%s\" does not contain \"%s\"", error_text(), wrong[i].why);
        destroy(ranks, nranks);
        free(ranks);
    }
    static const char stuck[] = "collective barrier algo a ranks 2\n"
                                "rank 0 out-of-place\nchannel 0\n"
                                "0: in peer 1 out OUT[0] len OUT[0]\n"
                                "1: in IN[0] out peer 1 len IN[0]\n"
                                "rank 1 out-of-place\nchannel 0\n"
                                "0: in peer 0 out OUT[0] len OUT[0]\n"
                                "1: in IN[0] out peer 0 len IN[0]\n";
    struct sched **ranks;
    int32_t nranks;
    assert_int_equal(text_parse(stuck, strlen(stuck), &ranks, &nranks), trncclSuccess);
    assert_int_equal(text_dot(stdout, ranks, nranks), trncclInvalidUsage);
    assert_non_null(strstr(error_text(), "can never run"));
    destroy(ranks, nranks);
    free(ranks);
}

static void text_print_to_a_full_device_is_an_error(void **state)
{
    (void)state;
    struct sched **ranks;
    int32_t nranks;
    assert_int_equal(text_parse(ring_of_two, strlen(ring_of_two), &ranks, &nranks),
                     trncclSuccess);
    FILE *full = fopen("/dev/full", "w");
    if (full) {
        assert_int_equal(text_print(full, ranks, nranks), trncclSystemError);
        assert_int_equal(text_draw(full, ranks, nranks), trncclSystemError);
        fclose(full);
    }
    destroy(ranks, nranks);
    free(ranks);
}

/* ---- Mutations -----------------------------------------------------------------------
 */

/* Pieces that a mutation may put in: what the grammar knows, and what it does not. */
static const char *const pieces[] = {"peer 1",      "IN[0]",      "OUT[1]",
                                     "TMP[0]",      "in",         "out",
                                     "len",         "after 0:0",  "final",
                                     "drain 1",     "early",      "\n",
                                     "rank 2",      "[0..1]",     "..",
                                     "4294967296",  "-1",         "#",
                                     ",",           ":",          "tmp 2 like OUT",
                                     "nsub 3",      "blocks 1 0", "channel 1\n",
                                     "after-drain", "credits 2",  "\x00x",
                                     "permute",     "0",          "65535"};

/* Takes some bytes out and may put a piece in. */
static size_t splice(struct random *r, char *text, size_t n, size_t capacity)
{
    size_t at = random_below(r, (uint32_t)n + 1);
    size_t gone = random_below(r, 3) ? random_below(r, 8) : random_below(r, 60);
    if (gone > n - at)
        gone = n - at;
    const char *piece =
        random_below(r, 2) ? pieces[random_below(r, sizeof pieces / sizeof *pieces)] : "";
    size_t more = strlen(piece);
    if (n - gone + more > capacity)
        return n;
    memmove(text + at + more, text + at + gone, n - at - gone);
    memcpy(text + at, piece, more);
    return n + more - gone;
}

static size_t mutate(struct random *r, char *text, size_t n, size_t capacity)
{
    uint32_t kind = random_below(r, 8);
    if (n == 0 || kind < 3)
        return splice(r, text, n, capacity);
    size_t k = random_below(r, (uint32_t)n);
    if (kind == 3) {
        text[k] = (char)random_below(r, 256);
        return n;
    }
    /* One digit for another: often still well formed. */
    while (k < n && (text[k] < '0' || text[k] > '9'))
        k++;
    if (k < n)
        text[k] = (char)('0' + random_below(r, 4));
    return n;
}

static void text_parse_mutated_never_crashes(void **state)
{
    (void)state;
    struct random r = random_seeded(__func__);
    enum { CAPACITY = 1 << 14 };
    char *text = malloc(CAPACITY), *seed = NULL;
    int nparsed = 0;
    assert_non_null(text);
    for (int i = 0; i < NMUTANTS; i++) {
        if (i % 50 == 0) {
            struct sched *ranks[MAX_RANKS];
            int32_t nranks;
            free(seed);
            random_collective(&r, ranks, &nranks);
            seed = text_of(ranks, nranks, text_print);
            destroy(ranks, nranks);
        }
        const char *from = i % 2 ? seed : ring_of_two;
        size_t n = strlen(from);
        if (n > CAPACITY)
            continue;
        memcpy(text, from, n);
        for (uint32_t k = 1 + random_below(&r, 3); k > 0; k--)
            n = mutate(&r, text, n, CAPACITY);
        /* An exact copy, so that a sanitizer sees a read beyond the end. */
        uint8_t *exact = malloc(n + (n == 0));
        assert_non_null(exact);
        memcpy(exact, text, n);
        assert_int_equal(LLVMFuzzerTestOneInput(exact, n), 0);
        struct sched **ranks;
        int32_t nranks;
        if (text_parse((const char *)exact, n, &ranks, &nranks) == trncclSuccess) {
            nparsed++;
            destroy(ranks, nranks);
            free(ranks);
        }
        free(exact);
    }
    printf("%d of %d mutants parsed\n", nparsed, NMUTANTS);
    /* Mutants of both kinds, or the mutations miss what they are for. */
    assert_true(nparsed > NMUTANTS / 50 && nparsed < NMUTANTS / 2);
    free(seed);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_of_every_algorithm_parses_back_and_draws),
        cmocka_unit_test(text_of_random_schedules_parses_back),
        cmocka_unit_test(text_of_imported_features_parses_back),
        cmocka_unit_test(text_parse_by_hand_is_read),
        cmocka_unit_test(text_parse_malformed_is_refused_with_line_and_reason),
        cmocka_unit_test(text_parse_circle_of_after_is_refused),
        cmocka_unit_test(text_draw_unmatched_or_stuck_schedules_are_refused),
        cmocka_unit_test(text_print_to_a_full_device_is_an_error),
        cmocka_unit_test(text_parse_mutated_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
