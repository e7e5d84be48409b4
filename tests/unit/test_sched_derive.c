/* Derived marks of random schedules against a slow oracle that works on byte addresses
 * and reachability, knowing nothing of canonical chunks or clocks; and the oracle itself
 * against planted faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "algo/algo.h"
#include "tests/support/random_sched.h"

enum { NRANDOM = 1500, MAX = RANDOM_MAX_STEPS };

/* Where a chunk lies if every chunk is one byte: as the public header defines in place.
 */
static int32_t address(const struct sched *s, unsigned space, int32_t chunk)
{
    enum { OUT_BASE = 1000, IN_BASE = 2000, TMP_BASE = 3000 };
    int32_t nsub = s->shape.nsub;
    if (space == SCHED_TMP)
        return TMP_BASE + chunk;
    if (space == SCHED_OUT)
        return OUT_BASE + chunk;
    if (!s->inplace)
        return IN_BASE + chunk;
    switch (s->coll) {
    case SCHED_ALL_GATHER: /* sendbuff == recvbuff + rank * sendcount */
        return OUT_BASE + s->rank * nsub + chunk;
    case SCHED_REDUCE_SCATTER: /* recvbuff == sendbuff + rank * recvcount */
        return OUT_BASE - s->rank * nsub + chunk;
    case SCHED_GATHER:
        return s->rank == s->root ? OUT_BASE + s->root * nsub + chunk : IN_BASE + chunk;
    case SCHED_SCATTER:
        return s->rank == s->root ? OUT_BASE - s->root * nsub + chunk : IN_BASE + chunk;
    case SCHED_BARRIER:
        return IN_BASE + chunk;
    default:
        return OUT_BASE + chunk;
    }
}

static bool overlaps(const struct sched *s, const struct sched_ref *a, int32_t na,
                     const struct sched_ref *b, int32_t nb)
{
    if (a->space == SCHED_PEER || b->space == SCHED_PEER)
        return false;
    for (int32_t i = 0; i < na; i++)
        for (int32_t j = 0; j < nb; j++)
            if (address(s, a->space, a->index + i) == address(s, b->space, b->index + j))
                return true;
    return false;
}

/* A schedule's steps in one row, and before[i][j]: i has completed when j starts. */
struct oracle {
    const struct sched *s;
    int32_t n, channel[MAX], index[MAX];
    bool before[MAX][MAX];
};

static void oracle_init(struct oracle *o, const struct sched *s)
{
    *o = (struct oracle){.s = s, .n = s->nsteps};
    for (int32_t c = 0; c < s->nchannels; c++) {
        for (int32_t i = 0; i < s->channels[c].nsteps; i++) {
            int32_t at = s->channels[c].first + i;
            const struct sched_step *p = &s->steps[at];
            o->channel[at] = c;
            o->index[at] = i;
            if (i > 0)
                o->before[at - 1][at] = true;
            if (p->after_step >= 0)
                o->before[s->channels[p->after_channel].first + p->after_step][at] = true;
        }
    }
    for (int32_t k = 0; k < o->n; k++)
        for (int32_t i = 0; i < o->n; i++)
            for (int32_t j = 0; j < o->n; j++)
                o->before[i][j] |= o->before[i][k] && o->before[k][j];
}

static bool touches(const struct sched *s, const struct sched_step *p,
                    const struct sched_ref *what, int32_t n)
{
    for (int32_t i = 0; i < p->nin + p->nout; i++)
        if (overlaps(s, &s->refs[p->first + i], p->span_n, what, n))
            return true;
    return false;
}

/* Whether a transport may still read something that step w writes after step p is done.
 */
static bool lends_what(const struct sched *s, const struct sched_step *p,
                       const struct sched_step *w)
{
    bool sends = false;
    for (int32_t i = 0; i < p->nout; i++)
        sends |= sched_out(s, p)[i].space == SCHED_PEER;
    for (int32_t j = 0; sends && j < w->nout; j++) {
        const struct sched_ref *written = &sched_out(s, w)[j];
        if (written->space == SCHED_TMP)
            continue;
        if (p->nin == 1 && overlaps(s, sched_in(s, p), p->span_n, written, w->span_n))
            return true;
        for (int32_t i = 0; i < p->nout; i++)
            if (overlaps(s, &sched_out(s, p)[i], p->span_n, written, w->span_n))
                return true;
    }
    return false;
}

/* Whether a step that is w or comes before it drains the other channel's send p. */
static bool drained_before(const struct oracle *o, int32_t p, int32_t w)
{
    for (int32_t e = 0; e < o->n; e++) {
        const struct sched_step *edge = &o->s->steps[e];
        if ((e == w || o->before[e][w]) && edge->after_drain &&
            edge->after_channel == o->channel[p] && edge->after_step >= o->index[p])
            return true;
    }
    return false;
}

/* Whether the drain that step e asks of another channel serves any write. */
static bool drain_is_needed(const struct oracle *o, int32_t e)
{
    const struct sched_step *edge = &o->s->steps[e];
    for (int32_t p = 0; p < o->n; p++) {
        if (o->channel[p] != edge->after_channel || o->index[p] > edge->after_step)
            continue;
        for (int32_t w = 0; w < o->n; w++)
            if ((w == e || o->before[e][w]) && o->channel[w] != o->channel[p] &&
                lends_what(o->s, &o->s->steps[p], &o->s->steps[w]))
                return true;
    }
    return false;
}

static bool may_be_early(const struct oracle *o, int32_t w)
{
    const struct sched *s = o->s;
    const struct sched_step *p = &s->steps[w];
    if (p->nin != 1 || sched_in(s, p)->space != SCHED_PEER || p->nout != 1 ||
        sched_out(s, p)->space != SCHED_OUT || (p->flags & SCHED_FINAL))
        return false;
    for (int32_t t = 0; t < o->n; t++)
        if (t != w && !o->before[w][t] &&
            touches(s, &s->steps[t], sched_out(s, p), p->span_n))
            return false;
    return true;
}

/* NULL if every mark is right, else what is wrong. */
static const char *fault_of(const struct sched *s)
{
    static struct oracle o;
    oracle_init(&o, s);
    for (int32_t w = 0; w < o.n; w++) {
        const struct sched_step *write = &s->steps[w];
        int32_t drain = 0;
        for (int32_t p = 0; p < o.n; p++) {
            if (!o.before[p][w] || !lends_what(s, &s->steps[p], write))
                continue;
            if (o.channel[p] == o.channel[w])
                drain = o.index[p] + 1 > drain ? o.index[p] + 1 : drain;
            else if (!drained_before(&o, p, w))
                return "a write does not wait for another channel's send";
        }
        if (write->drain != drain)
            return "drain is not the least that is enough";
        if (write->after_drain && !drain_is_needed(&o, w))
            return "after_drain serves nothing";
        if (!!(write->flags & SCHED_POST_EARLY) != may_be_early(&o, w))
            return "a receive is early that must not be, or the other way round";
    }
    return NULL;
}

static int32_t longest_message(const struct sched *s)
{
    int32_t longest = 1;
    for (int32_t i = 0; i < s->nsteps; i++) {
        const struct sched_step *p = &s->steps[i];
        for (int32_t k = 0; k < p->nin + p->nout; k++)
            if (s->refs[p->first + k].space == SCHED_PEER && p->span_n > longest)
                longest = p->span_n;
    }
    return longest;
}

/* Faults of the kinds a wrong derivation would make; each must be noticed. */
static void plant_faults(struct sched *s, int noticed[4], int planted[4])
{
    for (int32_t i = 0; i < s->nsteps; i++) {
        struct sched_step *p = &s->steps[i], saved = *p;
        for (int kind = 0; kind < 4; kind++) {
            if (kind == 0 && p->drain > 0)
                p->drain--;
            else if (kind == 1 && p->after_drain)
                p->after_drain = false;
            else if (kind == 2 && p->drain == 0 && i > s->channels[0].first)
                p->drain++;
            else if (kind == 3)
                p->flags ^= SCHED_POST_EARLY;
            else
                continue;
            planted[kind]++;
            noticed[kind] += fault_of(s) != NULL;
            *p = saved;
        }
    }
}

static void derive_marks_of_random_schedules_are_the_oracles(void **state)
{
    (void)state;
    struct random r = random_seeded(__func__);
    int noticed[4] = {0}, planted[4] = {0};
    for (int i = 0; i < NRANDOM; i++) {
        static struct random_plan plan;
        struct sched *s;
        trncclResult_t result = random_sched(&r, &plan, &s);
        if (result != trncclSuccess)
            fail_msg("schedule %d: %s", i, error_text());
        const char *fault = fault_of(s);
        if (fault)
            fail_msg("schedule %d: %s", i, fault);
        assert_int_equal(s->max_run, longest_message(s));
        if (i % 4 == 0)
            plant_faults(s, noticed, planted);
        sched_destroy(s);
    }
    printf("planted and noticed: drain lowered %d/%d, after_drain cleared %d/%d, "
           "drain raised %d/%d, early flipped %d/%d\n",
           noticed[0], planted[0], noticed[1], planted[1], noticed[2], planted[2],
           noticed[3], planted[3]);
    for (int kind = 0; kind < 4; kind++)
        assert_true(planted[kind] > 20);
    assert_int_equal(noticed[0], planted[0]);
    assert_int_equal(noticed[2], planted[2]);
    assert_int_equal(noticed[3], planted[3]);
    /* Another marked step may cover for one that is cleared, but not often. */
    assert_true(noticed[1] * 2 > planted[1]);
}

/* What an algorithm says of itself must follow from its steps. In place there is no
 * all_to_all of blocks of different sizes. */
static void derive_v_safe_of_every_v_algorithm_holds(void **state)
{
    (void)state;
    int nbuilt = 0;
    for (int i = 0; algo_list[i]; i++) {
        for (int k = 0; k < 9 * 9 * 2; k++) {
            struct sched_args args = {.coll = algo_list[i]->coll,
                                      .nranks = 1 + k / 18,
                                      .rank = k / 2 % 9,
                                      .inplace = k % 2};
            if (!(algo_list[i]->flags & ALGO_V) || args.rank >= args.nranks ||
                (args.inplace && args.coll == SCHED_ALL_TO_ALL) ||
                (algo_list[i]->refuse && algo_list[i]->refuse(&args)))
                continue;
            struct sched *s;
            if (algo_build(algo_list[i], &args, &s) != trncclSuccess)
                fail_msg("%s", error_text());
            if (!s->v_safe)
                fail_msg("%s %s, rank %d of %d", sched_coll_name(args.coll),
                         algo_list[i]->name, args.rank, args.nranks);
            sched_destroy(s);
            nbuilt++;
        }
    }
    assert_true(nbuilt > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derive_marks_of_random_schedules_are_the_oracles),
        cmocka_unit_test(derive_v_safe_of_every_v_algorithm_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
