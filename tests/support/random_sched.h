/* Random well-formed schedules of one rank, for tests of what must hold of any schedule.
 * They need not compute anything: operands are drawn at random and kept if the builder
 * takes the step. */
#ifndef TRNCCL_TESTS_SUPPORT_RANDOM_SCHED_H
#define TRNCCL_TESTS_SUPPORT_RANDOM_SCHED_H

#include <stdio.h>
#include <stdlib.h>

#include "sched/build.h"

/* xorshift64*, Vigna 2016: the same numbers everywhere. */
struct random {
    uint64_t state;
};

static inline uint32_t random_below(struct random *r, uint32_t n)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return (uint32_t)((r->state * UINT64_C(2685821657736338717)) >> 33) % n;
}

/* TRNCCL_TEST_SEED or a fixed seed; printed, so that a failure can be run again. */
static inline struct random random_seeded(const char *test)
{
    const char *given = getenv("TRNCCL_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 20161;
    printf("%s: TRNCCL_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct random){seed ? seed : 1};
}

enum { RANDOM_MAX_STEPS = 24, RANDOM_MAX_REFS = 6 };

struct random_step {
    int32_t channel, nin, nrefs, span_chunk, span_n;
    struct sched_ref refs[RANDOM_MAX_REFS];
    enum sched_space span_space;
    struct build_mark after;
    bool final;
};

struct random_plan {
    struct sched_args args;
    int32_t pairs[2 * 8];
    int32_t nsub, tmp, credits, nsteps, nchannels;
    enum sched_space tmp_like;
    struct random_step steps[RANDOM_MAX_STEPS];
};

/* Any collective of 2 to 5 ranks, any rank, root and placement. */
static inline void random_args(struct random *r, struct random_plan *plan)
{
    struct sched_args *a = &plan->args;
    *a = (struct sched_args){
        .coll = (enum sched_coll)random_below(r, SCHED_NCOLLS),
        .nranks = 2 + (int32_t)random_below(r, 4),
        .inplace = random_below(r, 2),
    };
    a->rank = (int32_t)random_below(r, (uint32_t)a->nranks);
    if (sched_coll_rooted(a->coll))
        a->root = (int32_t)random_below(r, (uint32_t)a->nranks);
    int32_t shift = (int32_t)random_below(r, (uint32_t)a->nranks);
    for (int32_t i = 0; a->coll == SCHED_PERMUTE && i < a->nranks; i++) {
        if (random_below(r, 4) == 0)
            continue;
        plan->pairs[2 * a->npairs] = i;
        plan->pairs[2 * a->npairs++ + 1] = (i + shift) % a->nranks;
    }
    a->pairs = plan->pairs;
}

static inline void random_shape(struct random *r, struct random_plan *plan)
{
    int32_t in, out;
    sched_coll_blocks(&plan->args, &in, &out);
    plan->nsub = 1 + (int32_t)random_below(r, 3);
    plan->credits = 1 + (int32_t)random_below(r, 3);
    plan->tmp = in + out > 0 && random_below(r, 2) ? (int32_t)random_below(r, 7) : 0;
    plan->tmp_like = in == 0 || (out > 0 && random_below(r, 2)) ? SCHED_OUT : SCHED_IN;
}

static inline void random_describe(const struct random_plan *plan, struct build *b,
                                   const struct random_step *p)
{
    build_step(b, p->channel);
    for (int32_t i = 0; i < p->nrefs; i++) {
        bool out = i >= p->nin;
        if (p->refs[i].space == SCHED_PEER)
            (out ? build_to : build_from)(b, p->refs[i].index);
        else
            (out ? build_local_out : build_local_in)(
                b, (enum sched_space)p->refs[i].space, p->refs[i].index);
    }
    build_span(b, p->span_space, p->span_chunk, p->span_n);
    if (p->final)
        build_final(b);
    if (p->after.step >= 0 && plan->nchannels > 1)
        build_after(b, p->after);
}

/* Builds the first nsteps of the plan, or only the step `only`, if that is not NULL. */
static inline trncclResult_t random_build(const struct random_plan *plan, int32_t nsteps,
                                          const struct random_step *only,
                                          struct sched **out)
{
    struct build *b;
    trncclResult_t result = build_create(&plan->args, "random", &b);
    if (result != trncclSuccess)
        return result;
    build_shape(b, plan->nsub, plan->tmp, plan->tmp_like);
    build_credits(b, plan->credits);
    for (int32_t i = 0; i < nsteps && !only; i++)
        random_describe(plan, b, &plan->steps[i]);
    if (only)
        random_describe(plan, b, only);
    result = build_finish(b, out);
    build_destroy(b);
    return result;
}

static inline struct sched_ref random_ref(struct random *r, const struct sched *shape)
{
    uint8_t space = (uint8_t)random_below(r, 4);
    int32_t n = space == SCHED_PEER ? shape->nranks
                                    : sched_nchunks(shape, (enum sched_space)space);
    return (struct sched_ref){space, n ? (int32_t)random_below(r, (uint32_t)n) : 0};
}

/* A step that the builder takes; false if 200 drawings gave none. */
static inline bool random_step(struct random *r, const struct random_plan *plan,
                               const struct sched *shape, struct random_step *p)
{
    for (int turn = 0; turn < 200; turn++) {
        struct sched_ref span = random_ref(r, shape);
        *p = (struct random_step){
            .channel = (int32_t)random_below(r, (uint32_t)plan->nchannels),
            .nin = 1 + (int32_t)random_below(r, 2),
            .span_space = (enum sched_space)span.space,
            .span_chunk = span.index,
            .span_n = 1 + (int32_t)(random_below(r, 3) == 0),
            .after = {-1, -1},
            .final = random_below(r, 8) == 0,
        };
        p->nrefs = p->nin + 1 + (int32_t)random_below(r, 2);
        for (int32_t i = 0; i < p->nrefs; i++)
            p->refs[i] = random_ref(r, shape);
        struct sched *s;
        struct random_step alone = *p;
        alone.channel = 0;
        if (random_build(plan, 0, &alone, &s) == trncclSuccess) {
            sched_destroy(s);
            return true;
        }
    }
    return false;
}

/* Fills a plan and builds it. */
static inline trncclResult_t random_sched(struct random *r, struct random_plan *plan,
                                          struct sched **out)
{
    struct sched *shape;
    *plan = (struct random_plan){.nchannels = 1 + (int32_t)random_below(r, 3)};
    random_args(r, plan);
    random_shape(r, plan);
    trncclResult_t result = random_build(plan, 0, NULL, &shape);
    if (result != trncclSuccess)
        return result;
    int32_t made[SCHED_MAX_CHANNELS] = {0};
    int32_t want = (int32_t)random_below(r, RANDOM_MAX_STEPS);
    while (plan->nsteps < want) {
        struct random_step *p = &plan->steps[plan->nsteps];
        if (!random_step(r, plan, shape, p))
            break;
        int32_t other = (int32_t)random_below(r, (uint32_t)plan->nchannels);
        if (made[other] > 0 && random_below(r, 2))
            p->after = (struct build_mark){
                other, (int32_t)random_below(r, (uint32_t)made[other])};
        made[p->channel]++;
        plan->nsteps++;
    }
    sched_destroy(shape);
    return random_build(plan, plan->nsteps, NULL, out);
}

#endif
