/* Folded simulations equal unfolded ones to the last bit, and what is no symmetry is
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "sim/fold.h"
#include "tests/support/sim_models.h"

enum { MAX_RANKS = 96 };

/* Boxes of two chips with two cores each that share a NIC, with every cost. */
static const struct sim_box_spec box_spec = {
    .ndims = 1,
    .dims = {2},
    .per_chip = 2,
    .bw_gbps = {46},
    .latency_us = 0.7,
    .die_gbps = 210,
    .nic_gbps = 12.5,
    .chips_per_nic = 2,
    .costs = {.step_us = 0.31,
              .message_us = 0.13,
              .launch_us = 3.1,
              .copy_gbps = 90,
              .reduce_gbps = 70,
              .memory_gbps = 330},
};
enum { PER_BOX = 4 };
static const struct topo_net net = {
    .latency_us = 14.2, .message_us = 0.9, .efficiency = 0.93};

/* ---- one case ---- */

struct fixture {
    struct topo_box *box;
    struct topo_model *model;
    struct sched *ranks[MAX_RANKS];
    int32_t seats[MAX_RANKS];
    struct sim_source source;
    struct sim_args args;
};

/* False: the algorithm refuses the rank count. Ranks sit box by box. */
static bool fixture_init(struct fixture *f, enum sched_coll coll, const char *name,
                         int32_t nboxes, uint64_t nelems)
{
    *f = (struct fixture){0};
    const struct algo *algo = algo_find(coll, name);
    assert_non_null(algo);
    const struct sched_args args = {.coll = coll, .nranks = nboxes * PER_BOX};
    if (algo->refuse && algo->refuse(&args))
        return false;
    assert_int_equal(algo_build_all(algo, &args, f->ranks), trncclSuccess);
    f->box = sim_box_create(&box_spec);
    f->model = sim_model_create(f->box, nboxes, &net);
    sim_source_schedules(f->ranks, args.nranks, &f->source);
    for (int32_t i = 0; i < args.nranks; i++)
        f->seats[i] = i;
    f->args = (struct sim_args){
        .model = f->model,
        .seats = f->seats,
        .source = &f->source,
        .nelems = nelems,
        .elem_nbytes = 4,
        .slice_nbytes = 1 << 20,
        .credits = 2,
    };
    return true;
}

static void fixture_fini(struct fixture *f)
{
    sim_model_destroy(f->model);
    sim_box_destroy(f->box);
    for (int32_t i = 0; i < f->source.nranks; i++)
        sched_destroy(f->ranks[i]);
}

struct turn {
    int32_t nranks, by;
};

static int32_t turn_map(void *context, int32_t rank)
{
    const struct turn *t = context;
    return (rank + t->by) % t->nranks;
}

static int32_t flip_map(void *context, int32_t rank)
{
    return rank ^ *(int32_t *)context;
}

static void assert_same(const struct fixture *f, const struct sim_fold *fold,
                        const char *what)
{
    struct sim_result whole, folded;
    if (sim_run(&f->args, &whole) != trncclSuccess ||
        sim_run_folded(&f->args, fold, &folded) != trncclSuccess)
        fail_msg("%s: %s", what, error_text());
    if (memcmp(&whole.time_us, &folded.time_us, sizeof whole.time_us) != 0)
        fail_msg("%s, %d ranks: %.17g us; folded %.17g", what, f->source.nranks,
                 whole.time_us, folded.time_us);
    assert_int_equal(whole.nmessages, folded.nmessages);
    assert_int_equal(whole.nsteps, folded.nsteps);
    assert_int_equal(whole.nbytes, folded.nbytes);
    assert_true(whole.binding.busy_us == folded.binding.busy_us);
    assert_true(folded.nevents * (uint64_t)fold_size(fold) == whole.nevents);
}

/* ---- what folds ---- */

static const struct {
    enum sched_coll coll;
    const char *algo;
} turning[] = {
    {SCHED_ALL_GATHER, "ring"},       {SCHED_REDUCE_SCATTER, "ring"},
    {SCHED_ALL_REDUCE, "ring"},       {SCHED_ALL_GATHER, "direct"},
    {SCHED_REDUCE_SCATTER, "direct"}, {SCHED_ALL_REDUCE, "two_shot"},
    {SCHED_ALL_REDUCE, "one_shot"},   {SCHED_BARRIER, "dissemination"},
    {SCHED_ALL_GATHER, "pat"},        {SCHED_ALL_REDUCE, "two_shot_dual"},
};

static void sim_run_folded_by_turns_equals_unfolded(void **state)
{
    (void)state;
    int32_t ncases = 0;
    for (size_t k = 0; k < sizeof turning / sizeof turning[0]; k++)
        for (int32_t nboxes = 2; nboxes <= 9; nboxes++)
            for (int bits = 4; bits <= 20; bits += 8) {
                struct fixture f;
                uint64_t nelems = (uint64_t)nboxes << bits;
                if (turning[k].coll == SCHED_BARRIER)
                    nelems = 1;
                if (!fixture_init(&f, turning[k].coll, turning[k].algo, nboxes, nelems))
                    continue;
                if (f.source.shape.nsub > 1)
                    f.args.nelems *= (uint64_t)f.source.shape.nsub;
                struct turn turn = {nboxes * PER_BOX, PER_BOX};
                const struct sim_generator g = {nboxes, turn_map, &turn};
                struct sim_fold *fold;
                if (fold_create(&f.args, &g, 1, FOLD_CHECK_ALL, &fold) != trncclSuccess)
                    fail_msg("%s: %s", turning[k].algo, error_text());
                assert_int_equal(fold_size(fold), nboxes);
                assert_same(&f, fold, turning[k].algo);
                fold_destroy(fold);
                fixture_fini(&f);
                ncases++;
            }
    printf("%d cases\n", ncases);
}

static void sim_run_folded_by_flips_equals_unfolded(void **state)
{
    (void)state;
    const char *const algos[] = {"recursive_doubling", "halving_doubling"};
    for (size_t k = 0; k < sizeof algos / sizeof algos[0]; k++)
        for (int32_t bits = 1; bits <= 4; bits++) {
            struct fixture f;
            assert_true(fixture_init(&f, SCHED_ALL_REDUCE, algos[k], 1 << bits, 1 << 18));
            int32_t flips[4];
            struct sim_generator g[4];
            for (int32_t i = 0; i < bits; i++) {
                flips[i] = PER_BOX << i;
                g[i] = (struct sim_generator){2, flip_map, &flips[i]};
            }
            struct sim_fold *fold;
            if (fold_create(&f.args, g, bits, FOLD_CHECK_ALL, &fold) != trncclSuccess)
                fail_msg("%s: %s", algos[k], error_text());
            assert_int_equal(fold_size(fold), 1 << bits);
            assert_same(&f, fold, algos[k]);
            fold_destroy(fold);
            fixture_fini(&f);
        }
}

/* Boxes and their seats from behind: representatives are where the first ranks sit. */
static void sim_run_folded_with_ranks_from_behind_equals_unfolded(void **state)
{
    (void)state;
    for (int32_t nboxes = 2; nboxes <= 9; nboxes++) {
        struct fixture f;
        assert_true(fixture_init(&f, SCHED_ALL_GATHER, "ring", nboxes, 100000));
        for (int32_t i = 0; i < nboxes * PER_BOX; i++)
            f.seats[i] = nboxes * PER_BOX - 1 - i;
        struct turn turn = {nboxes * PER_BOX, PER_BOX};
        const struct sim_generator g = {nboxes, turn_map, &turn};
        struct sim_fold *fold;
        assert_int_equal(fold_create(&f.args, &g, 1, FOLD_CHECK_SOME, &fold),
                         trncclSuccess);
        assert_int_equal(fold_representative(fold, nboxes * PER_BOX - 1), PER_BOX - 1);
        assert_same(&f, fold, "ring from behind");
        fold_destroy(fold);
        fixture_fini(&f);
    }
}

/* ---- what does not ---- */

static void assert_refused(struct fixture *f, const struct sim_generator *g, int32_t n,
                           const char *words)
{
    struct sim_fold *fold = NULL;
    assert_int_equal(fold_create(&f->args, g, n, FOLD_CHECK_ALL, &fold),
                     trncclInvalidArgument);
    assert_null(fold);
    if (!strstr(error_text(), words))
        fail_msg("'%s' lacks '%s'", error_text(), words);
}

static void fold_create_what_is_no_symmetry_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    assert_true(fixture_init(&f, SCHED_ALL_GATHER, "ring", 4, 1000));
    struct turn box = {16, 4}, seat = {16, 1}, two = {16, 8}, beyond = {100, 4};
    struct sim_generator g = {16, turn_map, &seat};
    assert_refused(&f, &g, 1, "expected the same seat");
    g = (struct sim_generator){2, turn_map, &box}; /* its order is 4 */
    assert_refused(&f, &g, 1, "if its order is 2");
    g = (struct sim_generator){8, turn_map, &box};
    assert_refused(&f, &g, 1, "in two ways");
    g = (struct sim_generator){4, turn_map, &beyond};
    assert_refused(&f, &g, 1, "maps rank 12 to 16");
    struct sim_generator both[2] = {{4, turn_map, &box}, {2, turn_map, &two}};
    assert_refused(&f, both, 2, "in two ways");
    int32_t flip = 4; /* moves boxes, but not along the ring */
    g = (struct sim_generator){2, flip_map, &flip};
    assert_refused(&f, &g, 1, "a peer it receives from differs");
    g = (struct sim_generator){1, turn_map, &box};
    assert_refused(&f, &g, 1, "order 1");
    g = (struct sim_generator){4, turn_map, &box};
    struct sim_fold *fold;
    assert_int_equal(fold_create(&f.args, &g, 1, FOLD_CHECK_ALL, &fold), trncclSuccess);
    struct sim_result out;
    f.args.links = SIM_FAIR;
    assert_int_equal(sim_run_folded(&f.args, fold, &out), trncclInvalidArgument);
    fold_destroy(fold);
    fixture_fini(&f);
}

/* A step too few, a chunk that is shorter, a root: found where they are. */
static void fold_create_steps_that_differ_are_named(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn = {16, 4};
    const struct sim_generator g = {4, turn_map, &turn};
    assert_true(fixture_init(&f, SCHED_ALL_GATHER, "ring", 4, 1000));
    f.ranks[9]->channels[0].nsteps--; /* the planted fault */
    assert_refused(&f, &g, 1, "step 15 of channel 0 is not mapped: the number of steps");
    f.ranks[9]->channels[0].nsteps++;
    fixture_fini(&f);
    assert_true(fixture_init(&f, SCHED_ALL_REDUCE, "ring", 4, 16 * 1000 - 1));
    assert_refused(&f, &g, 1, "the length differs");
    fixture_fini(&f);
    assert_true(fixture_init(&f, SCHED_BROADCAST, "binomial", 4, 1000));
    assert_refused(&f, &g, 1, "is not mapped");
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sim_run_folded_by_turns_equals_unfolded),
        cmocka_unit_test(sim_run_folded_by_flips_equals_unfolded),
        cmocka_unit_test(sim_run_folded_with_ranks_from_behind_equals_unfolded),
        cmocka_unit_test(fold_create_what_is_no_symmetry_is_refused),
        cmocka_unit_test(fold_create_steps_that_differ_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
