#include "tests/suite/explain.h"

#include <stddef.h>

#include "tests/suite/closure.h"

const char *explain_name(enum explain_reason reason)
{
    static const char *const names[EXPLAIN_NREASONS] = {
        [EXPLAIN_NONE] = "UNEXPLAINED",
        [EXPLAIN_BARRIER] = "barrier: no bytes, entries still precede exits",
        [EXPLAIN_COMMUTE] = "steps commute",
        [EXPLAIN_DEAD] = "store that nobody reads",
        [EXPLAIN_EARLIER] = "order implied by others",
        [EXPLAIN_IDEMPOTENT] = "step may run twice",
        [EXPLAIN_LENGTH] = "chunk of the same length",
        [EXPLAIN_MEMORY] = "same memory",
        [EXPLAIN_PERMISSION] = "permission to post early",
        [EXPLAIN_REWRITE] = "store of what is there already",
        [EXPLAIN_SUM] = "same sum in another order for all",
        [EXPLAIN_VALUE] = "same value elsewhere",
    };
    return names[reason];
}

/* ---- Facts about operands ------------------------------------------------------------
 */

static const struct sched_ref *refs(const struct sched *s, int step)
{
    return sched_in(s, &s->steps[step]);
}

static int noperands(const struct sched *s, int step)
{
    return s->steps[step].nin + s->steps[step].nout;
}

/* Where a run lies: OUT chunks are called OUT, whatever name was used. */
static struct sched_ref canonical(const struct sched *s, struct sched_ref ref)
{
    int32_t alias = ref.space == SCHED_IN ? sched_alias(s, SCHED_IN, ref.index) : -1;
    return alias >= 0 ? (struct sched_ref){SCHED_OUT, alias} : ref;
}

static bool overlap(const struct sched *s, struct sched_ref a, int na, struct sched_ref b,
                    int nb)
{
    for (int i = 0; i < na; i++)
        for (int k = 0; k < nb; k++) {
            struct sched_ref x = {a.space, a.index + i}, y = {b.space, b.index + k};
            x = canonical(s, x);
            y = canonical(s, y);
            if (x.space == y.space && x.index == y.index)
                return true;
        }
    return false;
}

/* Whether operand x of step a and operand y of step b may not change places in time. */
static bool clash(const struct sched *s, int a, int x, int b, int y)
{
    struct sched_ref p = refs(s, a)[x], q = refs(s, b)[y];
    bool out_x = x >= s->steps[a].nin, out_y = y >= s->steps[b].nin;
    if (p.space == SCHED_PEER || q.space == SCHED_PEER)
        return p.space == q.space && p.index == q.index && out_x == out_y;
    return (out_x || out_y) && overlap(s, p, s->steps[a].span_n, q, s->steps[b].span_n);
}

static bool commute(const struct sched *s, int a, int b)
{
    for (int x = 0; x < noperands(s, a); x++)
        for (int y = 0; y < noperands(s, b); y++)
            if (clash(s, a, x, b, y))
                return false;
    return true;
}

static bool is_idempotent(const struct sched *s, int step)
{
    const struct sched_step *p = &s->steps[step];
    for (int x = 0; x < p->nin + p->nout; x++) {
        if (refs(s, step)[x].space == SCHED_PEER)
            return false;
        for (int y = p->nin; x < p->nin && y < p->nin + p->nout; y++)
            if (overlap(s, refs(s, step)[x], p->span_n, refs(s, step)[y], p->span_n))
                return false;
    }
    return true;
}

static bool same_memory(const struct sched *s, struct sched_ref a, struct sched_ref b,
                        int n)
{
    for (int k = 0; k < n; k++) {
        struct sched_ref x = canonical(s, (struct sched_ref){a.space, a.index + k});
        struct sched_ref y = canonical(s, (struct sched_ref){b.space, b.index + k});
        if (x.space != y.space || x.index != y.index)
            return false;
    }
    return true;
}

/* Two steps that differ in nothing but peers: to exchange the peers is to swap them. */
static bool alike_but_for_peers(const struct sched *s, int a, int b)
{
    const struct sched_step *p = &s->steps[a], *q = &s->steps[b];
    if (p->nin != q->nin || p->nout != q->nout || p->span_n != q->span_n)
        return false;
    for (int x = 0; x < p->nin + p->nout; x++) {
        struct sched_ref u = refs(s, a)[x], v = refs(s, b)[x];
        if (u.space != v.space || (u.space != SCHED_PEER && u.index != v.index))
            return false;
    }
    return true;
}

/* ---- Facts from runs ------------------------------------------------------------------
 */

/* Whether garbage instead of what an operand of the step writes, or one chunk of it,
 * changes no result; -1: every operand, every chunk. */
static bool is_dead(struct interp in, const struct mutant *m, int operand, int chunk)
{
    in.poison_chunk = chunk;
    in.poison_rank = m->rank;
    in.poison_step = m->step;
    in.poison_operand = operand;
    for (uint64_t seed = 0; seed < EXPLAIN_SEEDS; seed++)
        if (interp_run(&in, seed, -1, -1, NULL))
            return false;
    return true;
}

/* Whether what the step writes there is there already. */
static bool is_rewrite(struct interp in, const struct mutant *m, int operand, int chunk)
{
    in.poison_keeps = true;
    return is_dead(in, m, operand, chunk);
}

/* What may be stored, in chunks [first, last) of a run: a value that nobody reads, or
 * that is there already. */
static enum explain_reason explain_store(const struct explain *e, int operand, int first,
                                         int last)
{
    enum explain_reason reason = EXPLAIN_DEAD;
    for (int k = first; k < last; k++) {
        if (is_dead(e->in_mutant, e->mutant, operand, k))
            continue;
        reason = EXPLAIN_REWRITE;
        if (!is_rewrite(e->in_mutant, e->mutant, operand, k))
            return EXPLAIN_NONE;
    }
    return reason;
}

/* Whether step a of the mutant's rank reads in one run what step b reads in the other. */
static bool reads_the_same(const struct explain *e, const struct interp *in_a, int a,
                           const struct interp *in_b, int b)
{
    for (uint64_t seed = 0; seed < EXPLAIN_SEEDS; seed++) {
        uint64_t read_a, read_b;
        if (interp_run(in_a, seed, e->mutant->rank, a, &read_a) ||
            interp_run(in_b, seed, e->mutant->rank, b, &read_b) || read_a != read_b)
            return false;
    }
    return true;
}

/* ---- Reasons -------------------------------------------------------------------------
 */

/* Whether an output lies exactly on an input of the changed step. */
static bool is_onto_itself(const struct explain *e, int output)
{
    const struct sched_step *p = &e->changed->steps[e->mutant->step];
    const struct sched_ref *ref = refs(e->changed, e->mutant->step);
    for (int x = 0; x < p->nin; x++)
        if (ref[x].space != SCHED_PEER &&
            same_memory(e->base, ref[x], ref[output], p->span_n))
            return true;
    return false;
}

/* OFFSET and SPACE: one operand names another chunk. */
static enum explain_reason explain_moved(const struct explain *e)
{
    int step = e->mutant->step;
    const struct sched_step *p = &e->base->steps[step];
    if (same_memory(e->base, refs(e->base, step)[e->operand],
                    refs(e->changed, step)[e->operand], p->span_n))
        return EXPLAIN_MEMORY;
    if (e->operand < p->nin)
        return reads_the_same(e, &e->in_base, step, &e->in_mutant, step) ? EXPLAIN_VALUE
                                                                         : EXPLAIN_NONE;
    if (!is_dead(e->in_base, e->mutant, e->operand, -1))
        return EXPLAIN_NONE;
    bool harmless = (p->nin == 1 && is_onto_itself(e, e->operand)) ||
                    is_dead(e->in_mutant, e->mutant, e->operand, -1);
    return harmless ? EXPLAIN_DEAD : EXPLAIN_NONE;
}

/* TYPE: an operand more or less. Only an output can be spared or added: with another
 * input the step would make another value. */
static enum explain_reason explain_type(const struct explain *e)
{
    const struct sched_step *p = &e->base->steps[e->mutant->step];
    if (e->operand < 0) /* variant: which operand was removed */
        return e->mutant->variant >= p->nin &&
                       is_dead(e->in_base, e->mutant, e->mutant->variant, -1)
                   ? EXPLAIN_DEAD
                   : EXPLAIN_NONE;
    if (e->operand < e->changed->steps[e->mutant->step].nin)
        return EXPLAIN_NONE;
    if (p->nin == 1 && is_onto_itself(e, e->operand))
        return EXPLAIN_MEMORY;
    return explain_store(e, e->operand, 0, p->span_n);
}

/* The step with which the mutant's exchanged a peer. */
static int exchanged_with(const struct explain *e)
{
    for (int b = e->mutant->step + 1; b < e->base->nsteps; b++)
        for (int x = 0; x < noperands(e->base, b); x++)
            if (refs(e->base, b)[x].index != refs(e->changed, b)[x].index)
                return b;
    return -1;
}

/* PEER: only exchanges keep the numbers of messages. Steps that are alike but for their
 * peers are swapped by it; senders of one value may exchange whom they serve, summands of
 * one sum where they come in. */
static enum explain_reason explain_peer(const struct explain *e)
{
    int a = e->mutant->step, b = exchanged_with(e);
    if (b < 0)
        return EXPLAIN_NONE;
    if (alike_but_for_peers(e->base, a, b))
        return EXPLAIN_COMMUTE;
    if (e->operand < e->base->steps[a].nin)
        return sched_coll_reduces(e->base->coll) ? EXPLAIN_SUM : EXPLAIN_NONE;
    return reads_the_same(e, &e->in_base, a, &e->in_base, b) ? EXPLAIN_VALUE
                                                             : EXPLAIN_NONE;
}

/* SPAN: the step's own length by another chunk's name, or one chunk more of a copy. */
static enum explain_reason explain_span(const struct explain *e)
{
    const struct sched_step *p = &e->base->steps[e->mutant->step];
    const struct sched_step *q = &e->changed->steps[e->mutant->step];
    int nsub = e->base->shape.nsub;
    if (p->span_n == q->span_n)
        return p->span_chunk % nsub == q->span_chunk % nsub ? EXPLAIN_LENGTH
                                                            : EXPLAIN_NONE;
    return q->span_n > p->span_n ? explain_store(e, -1, p->span_n, q->span_n)
                                 : EXPLAIN_NONE;
}

static enum explain_reason explain(const struct explain *e)
{
    const struct mutant *m = e->mutant;
    if (e->base->coll == SCHED_BARRIER && m->kind != MUTANT_DEPEND)
        return EXPLAIN_BARRIER;
    switch (m->kind) {
    case MUTANT_OFFSET:
    case MUTANT_SPACE:
        return explain_moved(e);
    case MUTANT_TYPE:
        return explain_type(e);
    case MUTANT_DELETE:
        return is_dead(e->in_base, m, -1, -1) ? EXPLAIN_DEAD : EXPLAIN_NONE;
    case MUTANT_DUPLICATE:
        return is_idempotent(e->base, m->step) ? EXPLAIN_IDEMPOTENT : EXPLAIN_NONE;
    case MUTANT_SWAP:
        return commute(e->base, m->step, m->step + 1) ? EXPLAIN_COMMUTE : EXPLAIN_NONE;
    case MUTANT_DEPEND:
        return closure_orders_all(e->in_mutant.ranks, e->in_mutant.nranks, m->rank)
                   ? EXPLAIN_EARLIER
                   : EXPLAIN_NONE;
    case MUTANT_PEER:
        return explain_peer(e);
    case MUTANT_ORDER:
        return EXPLAIN_SUM;
    case MUTANT_SPAN:
        return explain_span(e);
    case MUTANT_EARLY:
        return EXPLAIN_PERMISSION;
    case MUTANT_FINAL:
    case MUTANT_NKINDS:
        break;
    }
    return EXPLAIN_NONE;
}

enum explain_reason explain_survivor(const struct explain *e, const char **wrong)
{
    /* A mark that is wrong shows in few interleavings. */
    bool of_marks = e->mutant->kind == MUTANT_DEPEND || e->mutant->kind == MUTANT_EARLY;
    uint64_t nseeds = of_marks ? 8 * EXPLAIN_SEEDS : EXPLAIN_SEEDS;
    *wrong = NULL;
    for (uint64_t seed = 0; seed < nseeds && !*wrong; seed++)
        *wrong = interp_run(&e->in_mutant, seed, -1, -1, NULL);
    return *wrong ? EXPLAIN_NONE : explain(e);
}
