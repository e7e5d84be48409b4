/* What the heads of the algorithms that follow a machine claim, on machines of
 * tests/support: rounds, chunks sent by a rank, and which links carry how much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "algo/torus.h"
#include "tests/support/graphs.h"
#include "verify/verify.h"

enum { MAX_RANKS = 64 };

static const struct graphs_entry *machine(const char *name)
{
    for (int i = 0; graphs_get(i); i++)
        if (strcmp(graphs_get(i)->name, name) == 0)
            return graphs_get(i);
    fail_msg("no machine %s", name);
    return NULL;
}

/* A collective on a machine, and what its ranks send. */
struct subject {
    const struct sched_graph *graph;
    struct sched *ranks[MAX_RANKS];
    int32_t rounds;
    int64_t sent, most, least;                   /* chunks: all, of a rank */
    int64_t links[MAX_RANKS][SCHED_MAX_DIMS][2]; /* by chip, dimension, direction */
    bool far;                                    /* some message is more than one hop */
};

/* Charges a message to its link; both of a ring of two are one. */
static void charge(struct subject *s, int32_t from, int32_t to, int32_t n)
{
    const struct sched_graph *g = s->graph;
    int32_t a = from / g->per_chip, b = to / g->per_chip;
    if (a == b)
        return;
    for (int32_t dim = 0; dim < g->ndims; dim++)
        for (int32_t back = 0; back < 2; back++)
            if (torus_move(g, a, dim, back ? -1 : 1) == b) {
                s->links[a][dim][back] += n;
                return;
            }
    s->far = true;
}

static void subject_init(struct subject *s, enum sched_coll coll, const char *algo,
                         const char *name)
{
    const struct graphs_entry *e = machine(name);
    struct sched_args none = {.coll = coll}, args = graphs_args(e, &none);
    struct verify_report report;
    *s = (struct subject){.graph = &e->graph, .least = INT64_MAX};
    if (algo_build_all(algo_find(coll, algo), &args, s->ranks) != trncclSuccess)
        fail_msg("%s", error_text());
    if (verify_schedules(s->ranks, args.nranks, NULL, 0, &report) != trncclSuccess)
        fail_msg("%s", report.reason);
    s->rounds = report.depth;
    for (int32_t r = 0; r < args.nranks; r++) {
        int64_t sent = 0;
        for (int32_t i = 0; i < s->ranks[r]->nsteps; i++) {
            const struct sched_step *p = &s->ranks[r]->steps[i];
            const struct sched_ref *out = sched_out(s->ranks[r], p);
            for (int32_t k = 0; k < p->nout; k++) {
                if (out[k].space != SCHED_PEER)
                    continue;
                sent += p->span_n;
                charge(s, r, out[k].index, p->span_n);
            }
        }
        s->sent += sent;
        s->most = sent > s->most ? sent : s->most;
        s->least = sent < s->least ? sent : s->least;
    }
}

static void subject_fini(struct subject *s)
{
    for (int32_t r = 0; r < s->graph->nranks; r++)
        sched_destroy(s->ranks[r]);
}

/* Whether every link of the torus carries bytes by its rate. */
static bool links_are_even(const struct subject *s)
{
    const struct sched_graph *g = s->graph;
    int64_t one = s->links[0][0][0];
    for (int32_t chip = 0; chip < g->nranks / g->per_chip; chip++)
        for (int32_t dim = 0; dim < g->ndims; dim++)
            for (int32_t back = 0; back < (g->dims[dim] > 2 ? 2 : 1); back++)
                if (s->links[chip][dim][back] * g->rates[0] != one * g->rates[dim])
                    return false;
    return one > 0;
}

static const struct claim {
    enum sched_coll coll;
    const char *algo, *machine;
    int32_t rounds;
    double blocks;   /* sent by every rank: of the vector's, or of all blocks; 0: any */
    bool near, even; /* one hop only; links loaded by rate */
} claims[] = {
    {SCHED_ALL_REDUCE, "rotated_halving", "4x4", 8, 2 * 15 / 16.0, true, true},
    {SCHED_ALL_REDUCE, "rotated_halving", "4x4x4, Z at half rate", 12, 2 * 63 / 64.0,
     true, true},
    {SCHED_REDUCE_SCATTER, "rotated_halving", "4x4", 9, 15, true, true},
    {SCHED_ALL_GATHER, "rotated_halving", "4x4x4, Z at half rate", 36, 63, true, true},
    {SCHED_ALL_REDUCE, "rotated_halving", "4x4, 4 ranks per chip", 10, 2 * 63 / 64.0,
     true, true},
    {SCHED_ALL_REDUCE, "rotated_doubling", "4x4", 4, 4, true, true},
    {SCHED_ALL_REDUCE, "cycles", "4x4", 30, 2 * 15 / 16.0, true, true},
    {SCHED_ALL_GATHER, "cycles", "4x4x4, Z at half rate", 63, 63, true, false},
    {SCHED_ALL_REDUCE, "bucket", "3x3", 8, 2 * 8 / 9.0, true, true},
    {SCHED_ALL_REDUCE, "bucket", "5x5", 16, 2 * 24 / 25.0, true, true},
    {SCHED_ALL_REDUCE, "swing", "4x4", 8, 2 * 15 / 16.0, true, true},
    {SCHED_ALL_REDUCE, "swing", "a ring of 8", 6, 2 * 7 / 8.0, false, false},
    {SCHED_ALL_REDUCE, "kangaring", "3x3, 2 ranks per chip", 18, 0, true, true},
    {SCHED_ALL_GATHER, "kangaring", "4x4, 4 ranks per chip", 33, 0, true, true},
    {SCHED_ALL_REDUCE, "chip_mesh", "4x4, 4 ranks per chip", 4, 2 * 63 / 64.0, false,
     false},
    {SCHED_ALL_GATHER, "packed_trees", "4x4", 8, 0, true, false},
    {SCHED_ALL_REDUCE, "hierarchical", "2 groups of 4x4", 10, 0, false, false},
};

/* "" or what is broken. */
static void break_of(const struct claim *c, char text[160])
{
    struct subject s;
    subject_init(&s, c->coll, c->algo, c->machine);
    double blocks = (double)s.most / s.ranks[0]->shape.nsub;
    text[0] = '\0';
    if (s.rounds > c->rounds)
        snprintf(text, 160, "%d rounds", s.rounds);
    else if (c->blocks > 0 && (s.most != s.least || blocks > c->blocks + 1e-9))
        snprintf(text, 160, "a rank sends %g blocks, another one %g", blocks,
                 (double)s.least / s.ranks[0]->shape.nsub);
    else if (c->near && s.far)
        snprintf(text, 160, "a message of several hops");
    else if (c->even && !links_are_even(&s))
        snprintf(text, 160, "links are not loaded by their rates");
    subject_fini(&s);
}

static void heads_claims_on_machines_are_kept(void **state)
{
    (void)state;
    int nbroken = 0;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        char text[160];
        break_of(&claims[i], text);
        if (text[0])
            print_error("%s %s on %s: %s\n", sched_coll_name(claims[i].coll),
                        claims[i].algo, claims[i].machine, text);
        nbroken += text[0] != '\0';
    }
    assert_int_equal(nbroken, 0);
}

static void heads_planted_false_claims_are_noticed(void **state)
{
    (void)state;
    static const struct claim lies[] = {
        {SCHED_ALL_REDUCE, "rotated_halving", "4x4", 7, 0, false, false},
        {SCHED_ALL_REDUCE, "rotated_doubling", "4x4", 4, 3.9, false, false},
        {SCHED_ALL_REDUCE, "swing", "a ring of 8", 6, 0, true, false},
        {SCHED_ALL_REDUCE, "rotated_doubling", "4x4, one dimension slow", 4, 0, true,
         true},
        {SCHED_ALL_GATHER, "kangaring", "2 chips of 2", 1, 0, false, false},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        char text[160];
        break_of(&lies[i], text);
        if (!text[0])
            fail_msg("lie %zu was believed", i);
    }
}

static void build_without_a_machine_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct sched_args args = {.coll = SCHED_ALL_REDUCE, .nranks = 16};
    struct sched *out = NULL;
    assert_int_equal(algo_build(algo_find(args.coll, "rotated_halving"), &args, &out),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "needs a torus"));
    assert_null(out);
}

static void build_of_too_many_lanes_is_refused(void **state)
{
    (void)state;
    struct sched_args args = {.coll = SCHED_ALL_REDUCE, .nranks = 4, .lanes = 33};
    struct sched *out = NULL;
    assert_int_equal(algo_build(algo_find(args.coll, "ring"), &args, &out),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "33 lanes"));
    args.lanes = 32;
    assert_int_equal(algo_build(algo_find(args.coll, "ring"), &args, &out),
                     trncclSuccess);
    assert_int_equal(out->nchannels, 32);
    sched_destroy(out);
}

static void build_in_lanes_of_messages_of_several_blocks_is_refused(void **state)
{
    (void)state;
    struct sched_args args = {.coll = SCHED_ALL_GATHER, .nranks = 8, .lanes = 2};
    struct sched *out = NULL;
    assert_int_equal(algo_build(algo_find(args.coll, "bruck"), &args, &out),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "several blocks"));
}

static void hierarchical_names_an_unknown_algorithm_is_refused(void **state)
{
    (void)state;
    const struct graphs_entry *e = machine("2 groups of 2");
    struct sched_args none = {.coll = SCHED_ALL_REDUCE}, args = graphs_args(e, &none);
    struct sched *out = NULL;
    args.inter = "rign";
    assert_int_equal(algo_build(algo_find(args.coll, "hierarchical"), &args, &out),
                     trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "between the groups"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_claims_on_machines_are_kept),
        cmocka_unit_test(heads_planted_false_claims_are_noticed),
        cmocka_unit_test(build_without_a_machine_is_refused_with_the_reason),
        cmocka_unit_test(build_of_too_many_lanes_is_refused),
        cmocka_unit_test(build_in_lanes_of_messages_of_several_blocks_is_refused),
        cmocka_unit_test(hierarchical_names_an_unknown_algorithm_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
