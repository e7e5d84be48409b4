/* Binding: offsets, rounds and what a program need not keep account of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "exec/program.h"

enum { N = 4, LEND = 4096 };

static struct transport_conn ends[2][N];
static int nconnects;

static trncclResult_t connect_end(void *context, int peer, int channel, bool outgoing,
                                  struct transport_conn **out)
{
    (void)channel;
    nconnects++;
    if (context)
        return error_set(trncclSystemError, "no more connections");
    *out = &ends[outgoing][peer];
    return trncclSuccess;
}

struct bound {
    struct sched *sched;
    struct exec_program *program;
};

static struct bound bind_copies(enum sched_coll coll, const char *algo, size_t count,
                                size_t slice, size_t copy)
{
    struct bound b = {0};
    struct sched_args args = {.coll = coll, .nranks = N, .rank = 1};
    assert_int_equal(algo_build(algo_find(coll, algo), &args, &b.sched), trncclSuccess);
    struct layout layout;
    layout_init(&layout, b.sched, 4, count);
    struct exec_program_args p = {.sched = b.sched,
                                  .layout = &layout,
                                  .slice_nbytes = slice,
                                  .copy_nbytes = copy,
                                  .lend_nbytes = LEND,
                                  .connect = connect_end};
    assert_int_equal(exec_program_create(&p, &b.program), trncclSuccess);
    return b;
}

static struct bound bind(enum sched_coll coll, const char *algo, size_t count,
                         size_t slice)
{
    return bind_copies(coll, algo, count, slice, 0);
}

static void unbind(struct bound *b)
{
    exec_program_destroy(b->program);
    sched_destroy(b->sched);
}

static void create_smallCall_isPlain(void **state)
{
    (void)state;
    struct bound b = bind(SCHED_ALL_REDUCE, "one_shot", 2, 65536);
    assert_int_equal(b.program->nrounds, 1);
    assert_true(b.program->plain && !b.program->lends && !b.program->posts);
    assert_int_equal(b.program->nouts, N - 1);
    assert_int_equal(b.program->steps[1].nbytes, 8);
    assert_int_equal(b.program->max_in, N);
    unbind(&b);
}

static void create_countZero_hasNoRounds(void **state)
{
    (void)state;
    struct bound b = bind(SCHED_ALL_REDUCE, "ring", 0, 65536);
    assert_int_equal(b.program->nrounds, 0);
    unbind(&b);
}

static void create_largeCall_isCutIntoSlices(void **state)
{
    (void)state;
    struct bound b = bind(SCHED_ALL_REDUCE, "two_shot", 1 << 20, 16384);
    assert_int_equal(b.program->slice, 16384);
    assert_int_equal(b.program->nrounds, (1 << 20) / N * 4 / 16384);
    assert_true(!b.program->plain && b.program->lends);
    assert_int_equal(b.program->total_nbytes, 4 << 20);
    unbind(&b);
}

/* What is only copied may travel whole, if the transports agree. */
static void create_copies_areCutByTheirOwnLimit(void **state)
{
    (void)state;
    const struct {
        enum sched_coll coll;
        const char *algo;
        size_t copy, slice;
    } cases[] = {{SCHED_ALL_GATHER, "direct", 0, 16384},
                 {SCHED_ALL_GATHER, "direct", 1 << 20, 1 << 20},
                 {SCHED_ALL_GATHER, "direct", (size_t)1 << 40, TRANSPORT_MAX_COPY},
                 {SCHED_ALL_GATHER, "ring", 1 << 20, 16384},
                 {SCHED_ALL_REDUCE, "two_shot", 1 << 20, 16384}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bound b =
            bind_copies(cases[i].coll, cases[i].algo, 8 << 20, 16384, cases[i].copy);
        assert_int_equal(b.program->slice, cases[i].slice);
        unbind(&b);
    }
}

/* Messages of several chunks share the largest message among them. */
static void create_runsOfChunks_shrinkTheSlice(void **state)
{
    (void)state;
    struct bound b = bind(SCHED_ALL_REDUCE, "halving_doubling", 1 << 20, 65536);
    assert_true(b.sched->max_run > 1);
    assert_true(b.program->slice * (size_t)b.sched->max_run <= 65536);
    assert_int_equal(b.program->slice % 64, 0);
    unbind(&b);
    b = bind(SCHED_ALL_REDUCE, "halving_doubling", 64, 65536);
    assert_int_equal(b.program->nrounds, 1);
    for (int i = 0; i < b.program->nsteps; i++)
        assert_int_equal(b.program->steps[i].npieces, 1);
    unbind(&b);
}

static void create_localOperands_lieWhereTheLayoutSays(void **state)
{
    (void)state;
    struct bound b = bind(SCHED_ALL_GATHER, "ring", 100, 65536);
    int nlocal = 0;
    for (int i = 0; i < b.program->noperands; i++) {
        const struct sched_ref *r = &b.sched->refs[i];
        if (r->space != SCHED_OUT)
            continue;
        nlocal++;
        assert_int_equal(b.program->operands[i].offset, (size_t)r->index * 400);
    }
    assert_true(nlocal >= N);
    unbind(&b);
}

static void create_withoutConnection_failsWithItsReason(void **state)
{
    (void)state;
    struct sched *sched = NULL;
    struct exec_program *program = NULL;
    struct sched_args args = {.coll = SCHED_ALL_REDUCE, .nranks = N};
    assert_int_equal(algo_build(algo_find(SCHED_ALL_REDUCE, "ring"), &args, &sched), 0);
    struct layout layout;
    layout_init(&layout, sched, 4, 100);
    struct exec_program_args p = {.sched = sched,
                                  .layout = &layout,
                                  .slice_nbytes = 65536,
                                  .lend_nbytes = LEND,
                                  .connect = connect_end,
                                  .context = &args};
    nconnects = 0;
    assert_int_equal(exec_program_create(&p, &program), trncclSystemError);
    assert_int_equal(nconnects, 1);
    assert_string_equal(error_text(), "no more connections");
    assert_null(program);
    sched_destroy(sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_smallCall_isPlain),
        cmocka_unit_test(create_countZero_hasNoRounds),
        cmocka_unit_test(create_largeCall_isCutIntoSlices),
        cmocka_unit_test(create_copies_areCutByTheirOwnLimit),
        cmocka_unit_test(create_runsOfChunks_shrinkTheSlice),
        cmocka_unit_test(create_localOperands_lieWhereTheLayoutSays),
        cmocka_unit_test(create_withoutConnection_failsWithItsReason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
