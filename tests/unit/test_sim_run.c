/* Simulated times against closed forms, where there are any, to 1e-9; and what must hold
 * of every simulation: it ends, it is deterministic, links carry what messages bring. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "sim/route.h"
#include "tests/support/sim_models.h"

enum { MAX_RANKS = 17, MAX_MESSAGES = 65536 };

/* ---- one case ---- */

struct messages {
    int32_t n;
    double last_end_us;
    bool ordered;
    struct sim_event events[MAX_MESSAGES];
};

struct run {
    struct sim_box_spec spec;
    int32_t nboxes; /* 0: 1 */
    struct topo_net net;
    enum sched_coll coll;
    const char *algo;
    int32_t nranks, root;
    uint64_t nelems, slice_nbytes; /* of 1 byte; slice 0: one */
    int32_t credits;
    enum sim_links links;
    struct messages *messages;
    void (*link_use)(void *context, const struct sim_link_use *use);
    int32_t skip_rank; /* + 1: its last step is missing, as a planted fault */
};

static void note_message(void *context, const struct sim_event *event)
{
    struct messages *m = context;
    m->ordered &= event->end_us >= m->last_end_us;
    m->last_end_us = event->end_us;
    if (event->kind == SIM_MESSAGE && m->n < MAX_MESSAGES)
        m->events[m->n++] = *event;
}

/* False: the algorithm refuses these arguments. */
static bool schedules_build(const struct run *r, struct sched **out)
{
    int32_t pairs[2 * MAX_RANKS];
    for (int32_t i = 0; i < r->nranks; i++) {
        pairs[2 * i] = i;
        pairs[2 * i + 1] = (i + 1) % r->nranks;
    }
    const struct sched_args args = {
        .coll = r->coll,
        .nranks = r->nranks,
        .root = r->root,
        .pairs = pairs,
        .npairs = r->coll == SCHED_PERMUTE ? r->nranks : 0,
    };
    const struct algo *algo = algo_find(r->coll, r->algo);
    assert_non_null(algo);
    if (algo->refuse && algo->refuse(&args))
        return false;
    assert_int_equal(algo_build_all(algo, &args, out), trncclSuccess);
    return true;
}

static trncclResult_t run_on(const struct run *r, const struct topo_model *model,
                             const struct sim_source *source, struct sim_result *result)
{
    const struct sim_args args = {
        .model = model,
        .source = source,
        .nelems = r->nelems,
        .elem_nbytes = 1,
        .slice_nbytes = r->slice_nbytes ? r->slice_nbytes : UINT64_C(1) << 40,
        .credits = r->credits ? r->credits : 2,
        .links = r->links,
        .trace = r->messages ? note_message : NULL,
        .link_use = r->link_use,
        .trace_context = r->messages,
    };
    if (r->messages)
        *r->messages = (struct messages){.ordered = true};
    return sim_run(&args, result);
}

/* False: refused. */
static bool run_case(const struct run *r, trncclResult_t *result, struct sim_result *out)
{
    struct sched *ranks[MAX_RANKS] = {NULL};
    if (!schedules_build(r, ranks))
        return false;
    if (r->skip_rank) {
        struct sched *s = ranks[r->skip_rank - 1];
        s->channels[s->nchannels - 1].nsteps--;
    }
    struct topo_box *box = sim_box_create(&r->spec);
    struct topo_model *model = sim_model_create(box, r->nboxes ? r->nboxes : 1,
                                                r->net.efficiency > 0 ? &r->net : NULL);
    struct sim_source source;
    sim_source_schedules(ranks, r->nranks, &source);
    *result = run_on(r, model, &source, out);
    sim_model_destroy(model);
    sim_box_destroy(box);
    for (int32_t i = 0; i < r->nranks; i++)
        sched_destroy(ranks[i]);
    return true;
}

static struct sim_result run_ok(const struct run *r)
{
    struct sim_result out;
    trncclResult_t result;
    assert_true(run_case(r, &result, &out));
    if (result != trncclSuccess)
        fail_msg("%s", error_text());
    return out;
}

static void assert_close(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-9 * fabs(expected)))
        fail_msg("%.17g us; expected %.17g", found, expected);
}

static void assert_says(const char *words)
{
    if (!strstr(error_text(), words))
        fail_msg("'%s' lacks '%s'", error_text(), words);
}

/* ---- closed forms ---- */

static const double W = 50, L = 0.5, R = 100, STEP = 0.3, MESSAGE = 0.1;

static struct run ring_run(enum sched_coll coll, int32_t n, enum sim_links links)
{
    return (struct run){
        .spec = {.ndims = 1,
                 .dims = {n},
                 .bw_gbps = {W},
                 .latency_us = L,
                 .costs = {.step_us = STEP, .message_us = MESSAGE, .reduce_gbps = R}},
        .coll = coll,
        .algo = "ring",
        .nranks = n,
        .nelems = 64000,
        .links = links,
    };
}

static double us(double nbytes, double gbps)
{
    return nbytes / (gbps * 1e3);
}

/* Each of the hops takes the latency and the bytes; each message costs its sender and its
 * receiver; every step costs once. The sum of the last hop is written behind it. */
static void sim_run_rings_take_hops_times_latency_and_bytes(void **state)
{
    (void)state;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++)
        for (int32_t n = 3; n <= 16; n++) {
            double hops = n - 1;
            struct run r = ring_run(SCHED_ALL_GATHER, n, (enum sim_links)links);
            double hop = L + us(64000, W) + 2 * MESSAGE;
            assert_close(run_ok(&r).time_us, hops * hop + n * STEP);
            r.coll = SCHED_REDUCE_SCATTER;
            assert_close(run_ok(&r).time_us, hops * hop + n * STEP + us(64000, R));
            r.coll = SCHED_ALL_REDUCE;
            r.nelems = 64000 * (uint64_t)n;
            assert_close(run_ok(&r).time_us, 2 * hops * hop + (2 * n - 1) * STEP);
            r.slice_nbytes = 6400; /* rounds of a channel follow each other */
            hop = L + us(6400, W) + 2 * MESSAGE;
            assert_close(run_ok(&r).time_us, 10 * (2 * hops * hop + (2 * n - 1) * STEP));
        }
}

static void sim_run_launch_delays_the_start(void **state)
{
    (void)state;
    struct run r = ring_run(SCHED_ALL_GATHER, 5, SIM_FIFO);
    double before = run_ok(&r).time_us;
    r.spec.costs.launch_us = 7;
    assert_close(run_ok(&r).time_us, before + 7);
    r.nelems = 0;
    assert_close(run_ok(&r).time_us, 7);
}

/* Slice after slice; the first one passes all links, the others follow one by one. */
static void sim_run_chain_broadcast_is_a_pipeline(void **state)
{
    (void)state;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++)
        for (int32_t slices = 1; slices <= 20; slices++) {
            struct run r = ring_run(SCHED_BROADCAST, 7, (enum sim_links)links);
            r.algo = "chain";
            r.credits = 4;
            r.spec.costs = (struct topo_costs){0};
            r.slice_nbytes = 64000;
            r.nelems = 64000 * (uint64_t)slices;
            double wire = us(64000, W);
            assert_close(run_ok(&r).time_us, 6 * (L + wire) + (slices - 1) * wire);
        }
}

/* With one message of credit a sender waits until its message has been passed on. */
static void sim_run_one_credit_stops_the_pipeline(void **state)
{
    (void)state;
    struct run r = ring_run(SCHED_BROADCAST, 3, SIM_FIFO);
    r.algo = "chain";
    r.credits = 1;
    r.spec.costs = (struct topo_costs){0};
    r.slice_nbytes = 64000;
    r.nelems = 64000 * 10;
    double turn = L + 2 * us(64000, W);
    assert_close(run_ok(&r).time_us, 10 * turn + L);
}

/* Everybody sends to everybody in rotated order: no link is ever waited for. */
static void sim_run_direct_on_a_switch_fills_its_links(void **state)
{
    (void)state;
    struct run r = {
        .spec = {.nchips = 9, .bw_gbps = {W}, .latency_us = L},
        .coll = SCHED_ALL_GATHER,
        .algo = "direct",
        .nranks = 9,
        .nelems = 12345,
    };
    assert_close(run_ok(&r).time_us, 8 * us(12345, W) + 2 * L);
    r.links = SIM_FAIR;
    assert_close(run_ok(&r).time_us, 8 * us(12345, W) + 2 * L);
}

static void sim_run_recursive_doubling_on_a_hypercube_swaps_each_dimension(void **state)
{
    (void)state;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++)
        for (int32_t bits = 1; bits <= 4; bits++) {
            struct run r = {
                .spec = {.ndims = bits,
                         .dims = {2, 2, 2, 2},
                         .bw_gbps = {W, W, W, W},
                         .latency_us = L,
                         .costs = {.reduce_gbps = 10 * W}},
                .coll = SCHED_ALL_REDUCE,
                .algo = "recursive_doubling",
                .nranks = 1 << bits,
                .nelems = 50000,
                .links = (enum sim_links)links,
            };
            assert_close(run_ok(&r).time_us,
                         bits * (L + us(50000, W)) + us(50000, 10 * W));
        }
}

/* Ranks 0 and 1 send to rank 2 of a switch, one and three quarters of `nbytes`. */
static struct sim_result share_link(enum sim_links links, struct messages *messages)
{
    struct sched *ranks[3];
    for (int32_t i = 0; i < 3; i++) {
        struct build *b;
        const struct sched_args args = {
            .coll = SCHED_GATHER, .nranks = 3, .rank = i, .root = 2};
        assert_int_equal(build_create(&args, "two flows", &b), trncclSuccess);
        build_shape(b, 4, 0, SCHED_OUT);
        build_run(b, 3);
        if (i < 2) {
            build_send(b, 0, SCHED_IN, 0, 1 + 2 * i, 2);
        } else {
            build_recv(b, 0, 0, SCHED_OUT, 0, 1);
            build_recv(b, 0, 1, SCHED_OUT, 4, 3);
        }
        assert_int_equal(build_finish(b, &ranks[i]), trncclSuccess);
        build_destroy(b);
    }
    const struct run r = {
        .spec = {.nchips = 3, .bw_gbps = {W}, .latency_us = L},
        .nranks = 3,
        .nelems = 256000,
        .links = links,
        .messages = messages,
    };
    struct topo_box *box = sim_box_create(&r.spec);
    struct topo_model *model = sim_model_create(box, 1, NULL);
    struct sim_source source;
    sim_source_schedules(ranks, 3, &source);
    struct sim_result out;
    assert_int_equal(run_on(&r, model, &source, &out), trncclSuccess);
    sim_model_destroy(model);
    sim_box_destroy(box);
    for (int32_t i = 0; i < 3; i++)
        sched_destroy(ranks[i]);
    return out;
}

static void sim_run_two_flows_share_a_link_by_the_model(void **state)
{
    (void)state;
    struct messages *m = malloc(sizeof *m);
    assert_non_null(m);
    const double short_us = us(64000, W), long_us = us(192000, W);
    struct sim_result r = share_link(SIM_FIFO, m);
    assert_int_equal(m->n, 2);
    assert_close(m->events[0].end_us, short_us + 2 * L);
    assert_close(m->events[1].end_us, short_us + long_us + 2 * L);
    assert_close(r.binding.busy_us, short_us + long_us);
    r = share_link(SIM_FAIR, m);
    /* Both at half the rate; when the short one has ended, the long one at all of it. */
    assert_close(m->events[0].end_us, 2 * short_us + 2 * L);
    assert_close(m->events[1].end_us, short_us + long_us + 2 * L);
    assert_int_equal(r.binding.nbytes, 256000);
    free(m);
}

/* Between boxes: to the NIC, the fabric with its own costs, from the NIC. */
static void sim_run_between_boxes_the_nics_bind(void **state)
{
    (void)state;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++) {
        struct run r = {
            .spec = {.ndims = 1,
                     .dims = {2},
                     .bw_gbps = {W},
                     .latency_us = L,
                     .nic_gbps = 12.5,
                     .chips_per_nic = 2},
            .nboxes = 2,
            .net = {.latency_us = 15, .message_us = 1, .efficiency = 0.8},
            .coll = SCHED_PERMUTE,
            .algo = "direct",
            .nranks = 4,
            .nelems = 100000,
            .links = (enum sim_links)links,
        };
        struct sim_result out = run_ok(&r);
        assert_close(out.time_us, 15 + 1 + us(100000, 10));
        assert_int_equal(out.binding.link, -1);
        assert_int_equal(out.binding.nic, 0);
        assert_close(out.binding.busy_us, 1 + us(100000, 10));
    }
}

/* Rank 1 sums what rank 0 sends with its own: on one chip two reads and a write of the
 * shared memory; across chips a read there, and a write, two reads and a write here. */
static void sim_run_memory_carries_what_is_read_and_written(void **state)
{
    (void)state;
    const double M = 5;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++) {
        struct run r = {
            .spec = {.nchips = 1, .per_chip = 2, .costs = {.memory_gbps = M}},
            .coll = SCHED_REDUCE,
            .algo = "chain",
            .nranks = 2,
            .nelems = 10000,
            .links = (enum sim_links)links,
        };
        r.spec.bw_gbps[0] = INFINITY;
        assert_close(run_ok(&r).time_us, 3 * us(10000, M));
        r.spec.nchips = 2;
        r.spec.per_chip = 1;
        assert_close(run_ok(&r).time_us, us(10000, M) + 3 * us(10000, M));
    }
}

/* To the last bit. */
static void assert_same(const struct sim_result *a, const struct sim_result *b)
{
    assert_memory_equal(&a->time_us, &b->time_us, sizeof a->time_us);
    assert_int_equal(a->nmessages, b->nmessages);
    assert_int_equal(a->nsteps, b->nsteps);
    assert_int_equal(a->nbytes, b->nbytes);
    assert_int_equal(a->nevents, b->nevents);
    assert_int_equal(a->binding.box, b->binding.box);
    assert_int_equal(a->binding.link, b->binding.link);
    assert_int_equal(a->binding.nic, b->binding.nic);
    assert_int_equal(a->binding.outward, b->binding.outward);
    assert_int_equal(a->binding.nbytes, b->binding.nbytes);
    assert_memory_equal(&a->binding.busy_us, &b->binding.busy_us,
                        sizeof a->binding.busy_us);
}

/* ---- what must hold of every simulation ---- */

static void every_algo_terminates_on_a_switch(void **state)
{
    (void)state;
    struct messages *m = malloc(sizeof *m);
    assert_non_null(m);
    int32_t ncases = 0;
    for (const struct algo *const *a = algo_list; *a; a++)
        for (int32_t n = 2; n <= MAX_RANKS; n++)
            for (int links = SIM_FIFO; links <= SIM_FAIR; links++) {
                struct run r = {
                    .spec = {.nchips = n,
                             .bw_gbps = {W},
                             .latency_us = L,
                             .costs = {.step_us = STEP,
                                       .message_us = MESSAGE,
                                       .copy_gbps = R,
                                       .reduce_gbps = R,
                                       .memory_gbps = 4 * R}},
                    .coll = (*a)->coll,
                    .algo = (*a)->name,
                    .nranks = n,
                    .root = sched_coll_rooted((*a)->coll) ? n / 2 : 0,
                    .nelems = (*a)->coll == SCHED_BARRIER ? 1 : 1000,
                    .slice_nbytes = 64 * MAX_RANKS,
                    .links = (enum sim_links)links,
                    .messages = m,
                };
                struct sim_result out, again;
                trncclResult_t result;
                if (!run_case(&r, &result, &out))
                    continue;
                if (result != trncclSuccess)
                    fail_msg("%s %s, %d ranks: %s", sched_coll_name(r.coll), r.algo, n,
                             error_text());
                assert_true(m->ordered);
                assert_true(out.time_us > 0 && isfinite(out.time_us));
                uint64_t nbytes = 0;
                for (int32_t i = 0; i < m->n; i++)
                    nbytes += m->events[i].nbytes;
                assert_int_equal(nbytes, out.nbytes);
                assert_int_equal(m->n, out.nmessages);
                assert_true(run_case(&r, &result, &again));
                assert_same(&out, &again);
                ncases++;
            }
    printf("%d cases\n", ncases);
    assert_true(ncases > 700);
    free(m);
}

static uint64_t carried; /* by all links */

static void add_use(void *context, const struct sim_link_use *use)
{
    (void)context;
    carried += use->nbytes;
}

/* Bytes on links are those of the messages times the links of their routes. */
static void sim_run_conserves_bytes(void **state)
{
    (void)state;
    struct messages *m = malloc(sizeof *m);
    assert_non_null(m);
    struct run r = {
        .spec = {.ndims = 2,
                 .dims = {3, 2},
                 .per_chip = 2,
                 .bw_gbps = {W, 2 * W},
                 .latency_us = L,
                 .nic_gbps = 12,
                 .chips_per_nic = 2},
        .nboxes = 2,
        .net = {.latency_us = 15, .efficiency = 1},
        .coll = SCHED_ALL_TO_ALL,
        .algo = "direct",
        .nranks = 17,
        .nelems = 777,
        .messages = m,
        .link_use = add_use,
    };
    struct topo_box *box = sim_box_create(&r.spec);
    struct topo_model *model = sim_model_create(box, 2, &r.net);
    struct routes routes;
    assert_int_equal(routes_init(&routes, model, NULL, 17), trncclSuccess);
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++) {
        r.links = (enum sim_links)links;
        carried = 0;
        struct sim_result out = run_ok(&r);
        assert_int_equal(out.nmessages, 17 * 16);
        uint64_t expected = 0;
        for (int32_t i = 0; i < m->n; i++) {
            struct route_sum sum;
            assert_int_equal(
                routes_sum(&routes, m->events[i].rank, m->events[i].peer, &sum),
                trncclSuccess);
            expected += (uint64_t)sum.nlinks * m->events[i].nbytes;
        }
        assert_int_equal(carried, expected);
    }
    routes_fini(&routes);
    sim_model_destroy(model);
    sim_box_destroy(box);
    free(m);
}

/* Where each link serves one connection, nothing gets later when a link gets faster; and
 * times scale with rates and latencies whatever is shared. */
static void sim_run_faster_links_make_rings_no_slower(void **state)
{
    (void)state;
    for (int32_t n = 3; n <= 8; n++) {
        struct run r = ring_run(SCHED_ALL_REDUCE, n, SIM_FIFO);
        r.spec.costs.memory_gbps = 1e6;
        double last = INFINITY;
        for (double bw = 1; bw < 400; bw *= 1.3) {
            r.spec.bw_gbps[0] = bw;
            double now = run_ok(&r).time_us;
            assert_true(now <= last);
            last = now;
        }
    }
    struct run r = {
        .spec = {.nchips = 13, .bw_gbps = {W}, .latency_us = 1},
        .coll = SCHED_ALL_TO_ALL,
        .algo = "bruck",
        .nranks = 13,
        .nelems = 1000,
    };
    double slow = run_ok(&r).time_us;
    r.spec.bw_gbps[0] *= 4;
    r.spec.latency_us /= 4;
    assert_close(run_ok(&r).time_us, slow / 4);
}

/* Where nothing is shared both models say the same: rings, with every cost but the memory
 * that reading and arriving share. The planted fault: two flows that do share. */
static void sim_run_fifo_and_fair_agree_where_nothing_is_shared(void **state)
{
    (void)state;
    const enum sched_coll colls[] = {SCHED_ALL_GATHER, SCHED_REDUCE_SCATTER,
                                     SCHED_ALL_REDUCE};
    for (size_t k = 0; k < 3; k++)
        for (int32_t n = 3; n <= MAX_RANKS; n++)
            for (double copy = 5; copy < 500; copy *= 3) {
                struct run r = ring_run(colls[k], n, SIM_FIFO);
                r.nelems = 100003;
                r.slice_nbytes = 4096;
                r.credits = 3;
                r.spec.die_gbps = 70;
                r.spec.costs.copy_gbps = copy;
                double fifo = run_ok(&r).time_us;
                r.links = SIM_FAIR;
                assert_close(run_ok(&r).time_us, fifo);
            }
    struct messages *m = malloc(sizeof *m);
    assert_non_null(m);
    share_link(SIM_FIFO, m);
    double fifo = m->events[0].end_us;
    share_link(SIM_FAIR, m);
    assert_true(m->events[0].end_us > 1.5 * fifo);
    free(m);
}

static void sim_run_missing_step_is_reported_with_rank_and_step(void **state)
{
    (void)state;
    for (int links = SIM_FIFO; links <= SIM_FAIR; links++) {
        struct run r = ring_run(SCHED_ALL_GATHER, 5, (enum sim_links)links);
        struct sim_result out;
        trncclResult_t result;
        r.credits = 1; /* ring.c: each rank holds what it received until it can send */
        assert_true(run_case(&r, &result, &out));
        assert_int_equal(result, trncclInvalidUsage);
        assert_says("rank 0 waits in step 1 of channel 0, round 0, for credit to send to "
                    "rank 1");
        r.coll = SCHED_REDUCE;
        r.algo = "binomial";
        r.skip_rank = 2; /* rank 1 only sends to rank 0 */
        assert_true(run_case(&r, &result, &out));
        assert_int_equal(result, trncclInvalidUsage);
        assert_says("rank 0 waits in step 0");
        assert_says("a message from rank 1");
    }
}

static void sim_run_bad_arguments_are_refused(void **state)
{
    (void)state;
    struct run r = ring_run(SCHED_ALL_GATHER, 5, SIM_FIFO);
    struct sim_result out;
    trncclResult_t result;
    r.spec.dims[0] = 4;
    assert_true(run_case(&r, &result, &out));
    assert_int_equal(result, trncclInvalidArgument);
    assert_says("rank 4 has no seat");
    r.spec.dims[0] = 5;
    r.credits = 65;
    assert_true(run_case(&r, &result, &out));
    assert_int_equal(result, trncclInvalidArgument);
    r.credits = 2;
    r.slice_nbytes = 63;
    assert_true(run_case(&r, &result, &out));
    assert_int_equal(result, trncclInvalidUsage);
    r.slice_nbytes = 0;
    r.spec.dims[0] = 1;
    r.nboxes = 5; /* without NICs */
    assert_true(run_case(&r, &result, &out));
    assert_int_equal(result, trncclInvalidArgument);
    assert_says("no route from rank");
}

/* A source can say anything: wrong peers are named, not followed. */
static int32_t wrong_peer;

static bool wrong_step(void *context, int32_t rank, int32_t channel, int32_t step,
                       struct sched_step *out, const struct sched_ref **refs)
{
    static struct sched_ref r[3];
    (void)context;
    (void)channel;
    *out = (struct sched_step){
        .nin = 1, .nout = 2, .span_space = SCHED_IN, .span_n = 1, .after_step = -1};
    r[0] = (struct sched_ref){SCHED_IN, 0};
    r[1] = (struct sched_ref){SCHED_PEER, wrong_peer};
    r[2] = (struct sched_ref){SCHED_PEER, 1};
    *refs = r;
    return rank == 0 && step == 0;
}

static void sim_run_wrong_peers_of_a_source_are_refused(void **state)
{
    (void)state;
    const struct run r = {
        .spec = {.nchips = 2, .bw_gbps = {W}}, .nranks = 2, .nelems = 8, .credits = 1};
    struct topo_box *box = sim_box_create(&r.spec);
    struct topo_model *model = sim_model_create(box, 1, NULL);
    const struct sim_source source = {.nranks = 2,
                                      .nchannels = 1,
                                      .shape = {1, 1, 1, 0, SCHED_OUT},
                                      .max_run = 1,
                                      .step = wrong_step};
    struct sim_result out;
    wrong_peer = 2;
    assert_int_equal(run_on(&r, model, &source, &out), trncclInvalidArgument);
    assert_says("peer 2");
    wrong_peer = 1;
    assert_int_equal(run_on(&r, model, &source, &out), trncclInvalidArgument);
    assert_says("rank 1 twice");
    wrong_peer = 0;
    assert_int_equal(run_on(&r, model, &source, &out), trncclSuccess);
    sim_model_destroy(model);
    sim_box_destroy(box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sim_run_rings_take_hops_times_latency_and_bytes),
        cmocka_unit_test(sim_run_launch_delays_the_start),
        cmocka_unit_test(sim_run_chain_broadcast_is_a_pipeline),
        cmocka_unit_test(sim_run_one_credit_stops_the_pipeline),
        cmocka_unit_test(sim_run_direct_on_a_switch_fills_its_links),
        cmocka_unit_test(sim_run_recursive_doubling_on_a_hypercube_swaps_each_dimension),
        cmocka_unit_test(sim_run_two_flows_share_a_link_by_the_model),
        cmocka_unit_test(sim_run_between_boxes_the_nics_bind),
        cmocka_unit_test(sim_run_memory_carries_what_is_read_and_written),
        cmocka_unit_test(every_algo_terminates_on_a_switch),
        cmocka_unit_test(sim_run_conserves_bytes),
        cmocka_unit_test(sim_run_faster_links_make_rings_no_slower),
        cmocka_unit_test(sim_run_fifo_and_fair_agree_where_nothing_is_shared),
        cmocka_unit_test(sim_run_missing_step_is_reported_with_rank_and_step),
        cmocka_unit_test(sim_run_bad_arguments_are_refused),
        cmocka_unit_test(sim_run_wrong_peers_of_a_source_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
