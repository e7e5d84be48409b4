#include "verify/model.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "verify/pair.h"
#include "verify/promise.h"
#include "verify/structure.h"

trncclResult_t model_refuse(struct model *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(m->reason, sizeof(m->reason), format, args);
    va_end(args);
    return trncclInvalidUsage;
}

trncclResult_t model_refuse_at(struct model *m, int32_t event, const char *format, ...)
{
    const struct model_event *e = &m->event[event];
    const struct model_proc *p = &m->proc[e->proc];
    int n = snprintf(m->reason, sizeof(m->reason),
                     "rank %d channel %d step %d: ", p->rank, p->channel, e->step);
    va_list args;
    va_start(args, format);
    vsnprintf(m->reason + n, sizeof(m->reason) - (size_t)n, format, args);
    va_end(args);
    return trncclInvalidUsage;
}

trncclResult_t model_no_memory(struct model *m)
{
    snprintf(m->reason, sizeof(m->reason), "not enough memory to prove %d schedules",
             m->nranks);
    return trncclSystemError;
}

struct model_name model_slot_name(const struct model *m, int32_t rank, int64_t slot)
{
    static const char *const names[] = {"IN", "OUT", "TMP"};
    const struct model_rank *r = &m->rank[rank];
    struct model_name name = {"?"};
    /* A slot that IN and OUT share is called by the name under which it is written. */
    static const int order[] = {SCHED_OUT, SCHED_TMP, SCHED_IN};
    for (int i = 0; i < 3; i++) {
        int64_t chunk = slot - r->slot0 - r->offset[order[i]];
        if (chunk < 0 || chunk >= r->nchunks[order[i]])
            continue;
        snprintf(name.text, sizeof(name.text), "%s[%d]", names[order[i]], (int)chunk);
        break;
    }
    return name;
}

/* ---- Numbers ------------------------------------------------------------------------
 */

static trncclResult_t number_ranks(struct model *m)
{
    int64_t nevents = 0, nrefs = 0, nprocs = 0;
    m->rank = arena_alloc(&m->arena, (size_t)m->nranks, sizeof(*m->rank));
    if (!m->rank)
        return model_no_memory(m);
    for (int32_t i = 0; i < m->nranks; i++) {
        TRY(structure_check_shape(m, i));
        struct model_rank *r = &m->rank[i];
        const struct sched *s = m->ranks[i];
        r->s = s;
        r->event0 = (int32_t)nevents;
        r->ref0 = (int32_t)nrefs;
        r->proc0 = (int32_t)nprocs;
        r->slot0 = m->nslots;
        promise_place(m, i, r);
        nevents += s->nsteps;
        nrefs += s->nrefs;
        nprocs += s->nchannels;
        m->nslots += r->nslots;
        if (s->nchannels > m->nchannels)
            m->nchannels = s->nchannels;
        if (nevents > INT32_MAX / 2 || nrefs > INT32_MAX / 2)
            return model_refuse(m, "there are more than %d steps or operands",
                                INT32_MAX / 2);
    }
    m->nevents = (int32_t)nevents;
    m->nrefs = (int32_t)nrefs;
    m->nprocs = (int32_t)nprocs;
    return trncclSuccess;
}

static void number_events(struct model *m)
{
    for (int32_t i = 0; i < m->nranks; i++) {
        const struct model_rank *r = &m->rank[i];
        for (int32_t c = 0; c < r->s->nchannels; c++) {
            struct model_proc *p = &m->proc[r->proc0 + c];
            p->rank = i;
            p->channel = c;
            p->event0 = r->event0 + r->s->channels[c].first;
            p->nsteps = r->s->channels[c].nsteps;
            for (int32_t k = 0; k < p->nsteps; k++) {
                m->event[p->event0 + k].proc = r->proc0 + c;
                m->event[p->event0 + k].step = k;
            }
        }
    }
}

/* Room for what every step and chunk needs; the messages follow when they are paired. */
static bool alloc_tables(struct model *m)
{
    struct arena *a = &m->arena;
    size_t nevents = (size_t)m->nevents, nslots = (size_t)m->nslots;
    size_t nchannels = (size_t)m->nchannels;
    m->proc = arena_alloc(a, (size_t)m->nprocs, sizeof(*m->proc));
    m->event = arena_alloc(a, nevents, sizeof(*m->event));
    m->ref_message = arena_alloc(a, (size_t)m->nrefs, sizeof(*m->ref_message));
    m->seen = arena_alloc(a, 2 * (size_t)m->nranks, sizeof(*m->seen));
    m->slot = arena_alloc(a, nslots, sizeof(*m->slot));
    m->reader = arena_alloc(a, nslots * nchannels, sizeof(*m->reader));
    m->lender = arena_alloc(a, nslots * nchannels, sizeof(*m->lender));
    m->done = arena_alloc(a, nevents * nchannels, sizeof(*m->done));
    m->drained = arena_alloc(a, nevents * nchannels, sizeof(*m->drained));
    m->stamp = arena_alloc(a, nevents, sizeof(*m->stamp));
    m->stack = arena_alloc(a, nevents, sizeof(*m->stack));
    return m->proc && m->event && m->ref_message && m->seen && m->slot && m->reader &&
           m->lender && m->done && m->drained && m->stamp && m->stack;
}

/* One value per contribution, and one per chunk of every step that combines. */
static trncclResult_t init_values(struct model *m)
{
    int64_t leaves = 0, nodes = 0;
    for (int32_t i = 0; i < m->nranks; i++)
        leaves += m->rank[i].nchunks[SCHED_IN];
    for (int32_t e = 0; e < m->nevents; e++) {
        const struct sched_step *p = model_step(m, e);
        if (p->nin > 1 || (p->flags & SCHED_FINAL))
            nodes += p->span_n;
    }
    if (leaves + nodes >= INT32_MAX)
        return model_refuse(m, "a proof would hold more than %d values", INT32_MAX);
    if (!values_init(&m->values, &m->arena, m->nranks, leaves, nodes))
        return model_no_memory(m);
    for (int32_t i = 0; i < m->nranks; i++) {
        const struct model_rank *r = &m->rank[i];
        for (int32_t k = 0; k < r->nchunks[SCHED_IN]; k++)
            m->slot[model_slot_of(r, SCHED_IN, k)].value = values_leaf(&m->values, i, k);
    }
    return trncclSuccess;
}

static trncclResult_t check_arguments(struct model *m)
{
    if (!m->ranks || m->nranks < 1 || m->nranks > SCHED_MAX_RANKS)
        return model_refuse(m, "there are %d schedules, expected 1..%d", m->nranks,
                            SCHED_MAX_RANKS);
    for (int32_t i = 0; i < m->nranks; i++)
        if (!m->ranks[i])
            return model_refuse(m, "rank %d has no schedule", i);
    const struct sched *s = m->ranks[0];
    m->coll = s->coll;
    m->root = s->root;
    m->nsub = s->shape.nsub;
    m->credits = s->credits;
    m->any_blocks = true;
    if ((unsigned)m->coll >= SCHED_NCOLLS || m->root < 0 || m->root >= m->nranks)
        return model_refuse(m, "collective %d with root %d of %d ranks does not exist",
                            (int)m->coll, m->root, m->nranks);
    return trncclSuccess;
}

static trncclResult_t check_permute_pairs(struct model *m)
{
    if (m->coll != SCHED_PERMUTE)
        return trncclSuccess;
    if (m->npairs < 0 || (m->npairs > 0 && !m->pairs))
        return model_refuse(m, "there are %d pairs, or no table", m->npairs);
    bool *taken = arena_alloc(&m->arena, 2 * (size_t)m->nranks, sizeof(*taken));
    if (!taken)
        return model_no_memory(m);
    for (int32_t i = 0; i < 2 * m->npairs; i++) {
        int32_t rank = m->pairs[i];
        if (rank < 0 || rank >= m->nranks)
            return model_refuse(m, "pair %d names rank %d of %d", i / 2, rank, m->nranks);
        if (taken[2 * rank + i % 2])
            return model_refuse(m, "rank %d is the %s of two pairs", rank,
                                i % 2 ? "target" : "source");
        taken[2 * rank + i % 2] = true;
    }
    return trncclSuccess;
}

trncclResult_t model_init(struct model *m)
{
    TRY(check_arguments(m));
    TRY(check_permute_pairs(m));
    TRY(number_ranks(m));
    if (!alloc_tables(m))
        return model_no_memory(m);
    number_events(m);
    for (int32_t e = 0; e < m->nevents; e++)
        TRY(structure_check_step(m, e));
    TRY(pair_messages(m));
    return init_values(m);
}

void model_fini(struct model *m)
{
    arena_fini(&m->arena);
}
