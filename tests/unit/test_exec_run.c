/* Runs of several ranks in one thread, advanced in random order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "exec/run.h"
#include "transports/segment.h"

enum { MAX_RANKS = 8, LINKS = 8, MAX_COUNT = 60000, SLICE = 4096, LEND = 256 };

struct world {
    int n;
    struct segment *segment;
    struct transport_place places[MAX_RANKS];
    struct transport *transports[MAX_RANKS];
    struct sched *scheds[MAX_RANKS];
    struct exec_program *programs[MAX_RANKS];
    struct exec_run runs[MAX_RANKS];
    struct combine combine;
    int32_t *in[MAX_RANKS], *out[MAX_RANKS];
    char *tmp[MAX_RANKS];
    /* One end per (rank, outgoing, peer, channel), made on first use. */
    struct transport_conn *conns[MAX_RANKS][2][MAX_RANKS][LINKS];
};

struct who {
    struct world *world;
    int rank;
};

static trncclResult_t connect_ranks(void *context, int peer, int channel, bool outgoing,
                                    struct transport_conn **out)
{
    struct who *w = context;
    struct transport_conn **at = &w->world->conns[w->rank][outgoing][peer][channel];
    if (!*at)
        TRY(transport_list[0]->connect(w->world->transports[w->rank], peer, channel,
                                       outgoing, at));
    *out = *at;
    return trncclSuccess;
}

static struct world *world_create(int n, const struct algo *algo, size_t count)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->n = n;
    assert_int_equal(segment_create(n, LINKS, 2, &w->segment), 0);
    assert_int_equal(combine_init(&w->combine, trncclInt32, trncclSum, NULL, n), 0);
    struct sched_args args = {.coll = algo->coll, .nranks = n};
    assert_int_equal(algo_build_all(algo, &args, w->scheds), 0);
    for (int r = 0; r < n; r++)
        w->places[r].local_index = r;
    for (int r = 0; r < n; r++) {
        struct transport_env env = {.rank = r,
                                    .nranks = n,
                                    .places = w->places,
                                    .segment = w->segment,
                                    .lend_nbytes = LEND};
        struct layout layout;
        struct who who = {w, r};
        struct exec_program_args p = {.sched = w->scheds[r],
                                      .layout = &layout,
                                      .slice_nbytes = SLICE,
                                      .lend_nbytes = LEND,
                                      .connect = connect_ranks,
                                      .context = &who};
        assert_int_equal(transport_list[0]->open(&env, &w->transports[r]), 0);
        layout_init(&layout, w->scheds[r], 4, count);
        assert_int_equal(exec_program_create(&p, &w->programs[r]), 0);
        assert_int_equal(exec_run_reserve(&w->runs[r], w->programs[r]), 0);
        w->in[r] = malloc(count * 4 + 4);
        w->out[r] = malloc(count * 4 + 4);
        w->tmp[r] = malloc(w->programs[r]->tmp_nbytes + 64);
    }
    return w;
}

static void world_start(struct world *w, size_t count, int turn)
{
    for (int r = 0; r < w->n; r++) {
        for (size_t i = 0; i < count; i++)
            w->in[r][i] = (int32_t)(i * 13 + (size_t)r * 1000003 + (size_t)turn);
        w->out[r][count] = 0x5a5a5a5a;
        struct exec_run *x = &w->runs[r];
        x->program = w->programs[r];
        x->combine = &w->combine;
        x->base[SCHED_IN] = (char *)w->in[r];
        x->base[SCHED_OUT] = (char *)w->out[r];
        x->base[SCHED_TMP] = w->tmp[r];
        x->sig = 7 + (uint32_t)turn;
        exec_run_start(x);
    }
}

/* A run that waits names somebody and something. */
static void check_blocked(const struct world *w, int rank)
{
    struct exec_blocked b = exec_run_blocked(&w->runs[rank]);
    assert_in_range(b.peer + 1, 0, w->n);
    assert_int_not_equal(b.peer, rank);
    assert_true(b.what[0] != 0);
    assert_true(!b.conn || b.conn->peer == b.peer);
    assert_true(!b.conn || b.conn->error == trncclSuccess);
}

static void world_run(struct world *w, unsigned *random)
{
    bool done[MAX_RANKS] = {false};
    int left = w->n;
    for (long i = 0; left && i < 10000000; i++) {
        int r = rand_r(random) % w->n;
        if (done[r])
            continue;
        enum exec_state state = exec_run_advance(&w->runs[r]);
        if (state == EXEC_BLOCKED)
            check_blocked(w, r);
        done[r] = state == EXEC_DONE;
        left -= done[r];
    }
    assert_int_equal(left, 0);
}

static void world_check(const struct world *w, size_t count, int turn)
{
    for (int r = 0; r < w->n; r++) {
        for (size_t i = 0; i < count; i++) {
            int64_t want = w->n * ((int64_t)i * 13 + turn) +
                           (int64_t)w->n * (w->n - 1) / 2 * 1000003;
            if (w->out[r][i] != (int32_t)want)
                fail_msg("%s, %d ranks, count %zu, turn %d: rank %d, element %zu is %d, "
                         "expected %d",
                         w->scheds[r]->algo, w->n, count, turn, r, i, w->out[r][i],
                         (int32_t)want);
        }
        assert_int_equal(w->out[r][count], 0x5a5a5a5a);
    }
}

static void world_destroy(struct world *w)
{
    for (int r = 0; r < w->n; r++) {
        transport_list[0]->close(w->transports[r]);
        exec_program_destroy(w->programs[r]);
        exec_run_fini(&w->runs[r]);
        sched_destroy(w->scheds[r]);
        free(w->in[r]);
        free(w->out[r]);
        free(w->tmp[r]);
    }
    segment_destroy(w->segment);
    free(w);
}

static unsigned seed;

static void exec_run_in_any_order_gives_the_sum(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 13, 1000, 1025, 9001, MAX_COUNT};
    unsigned random = seed;
    for (int i = 0; algo_list[i]; i++)
        for (int n = 2; n <= MAX_RANKS; n += 1 + n / 4) {
            const struct algo *a = algo_list[i];
            struct sched_args args = {.coll = a->coll, .nranks = n};
            if (a->coll != SCHED_ALL_REDUCE || (a->refuse && a->refuse(&args)))
                continue;
            for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
                struct world *w = world_create(n, a, counts[c]);
                for (int turn = 0; turn < 3; turn++) {
                    world_start(w, counts[c], turn);
                    world_run(w, &random);
                    world_check(w, counts[c], turn);
                }
                world_destroy(w);
            }
        }
}

/* The sum of channel 0 goes to OUT on channel 2, which waits for channel 0 by way of a
 * step of channel 1 only; that one moves a chunk which a single element leaves empty. */
static void build_by_way_of_nothing(struct build *b, const struct sched_args *args)
{
    int32_t peer = 1 - args->rank;
    build_shape(b, 2, 4, SCHED_OUT);
    build_send(b, 0, SCHED_IN, 0, 1, peer);
    struct build_mark sum = build_step(b, 0);
    build_from(b, peer);
    build_local_in(b, SCHED_IN, 0);
    build_local_out(b, SCHED_TMP, 0);
    build_span(b, SCHED_IN, 0, 1);
    struct build_mark way = build_copy(b, 1, SCHED_IN, 1, SCHED_TMP, 3, 1);
    build_after(b, sum);
    build_copy(b, 2, SCHED_TMP, 0, SCHED_OUT, 0, 1);
    build_after(b, way);
}

static void exec_run_step_without_data_waits_for_what_it_comes_after(void **state)
{
    (void)state;
    static const struct algo hand = {
        .name = "hand", .coll = SCHED_ALL_REDUCE, .build = build_by_way_of_nothing};
    unsigned random = seed;
    struct world *w = world_create(2, &hand, 1);
    for (int turn = 0; turn < 20; turn++) {
        world_start(w, 1, turn);
        world_run(w, &random);
        world_check(w, 1, turn);
    }
    world_destroy(w);
}

static void exec_run_that_meets_another_call_stays_blocked(void **state)
{
    (void)state;
    struct world *w = world_create(2, algo_find(SCHED_ALL_REDUCE, "ring"), 1000);
    world_start(w, 1000, 0);
    w->runs[1].sig = 99;
    for (int i = 0; i < 100; i++)
        for (int r = 0; r < 2; r++)
            assert_int_not_equal(exec_run_advance(&w->runs[r]), EXEC_DONE);
    struct exec_blocked b = exec_run_blocked(&w->runs[0]);
    assert_int_equal(b.peer, 1);
    assert_string_equal(b.what, "a message from");
    assert_non_null(b.conn);
    assert_int_equal(b.conn->error, trncclInvalidUsage);
    assert_int_equal(b.conn->found_sig, 99);
    world_destroy(w);
}

int main(void)
{
    const char *text = getenv("TRNCCL_SUITE_SEED");
    seed = text ? (unsigned)strtoul(text, NULL, 0) : 20260103;
    printf("seed %u (TRNCCL_SUITE_SEED)\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_run_in_any_order_gives_the_sum),
        cmocka_unit_test(exec_run_step_without_data_waits_for_what_it_comes_after),
        cmocka_unit_test(exec_run_that_meets_another_call_stays_blocked),
    };
    return cmocka_run_group_tests_name("exec run", tests, NULL, NULL);
}
