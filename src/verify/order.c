#include "verify/order.h"

static const struct model_proc *proc_of(const struct model *m, int32_t event)
{
    return &m->proc[m->event[event].proc];
}

static const struct model_rank *rank_of(const struct model *m, int32_t event)
{
    return &m->rank[proc_of(m, event)->rank];
}

static int32_t *row(const struct model *m, int32_t *table, int32_t event)
{
    return table + (int64_t)event * m->nchannels;
}

static void lift(int32_t *a, int32_t to)
{
    if (*a < to)
        *a = to;
}

static void row_join(const struct model *m, int32_t event, int32_t by)
{
    for (int32_t c = 0; c < m->nchannels; c++) {
        lift(&row(m, m->done, event)[c], row(m, m->done, by)[c]);
        lift(&row(m, m->drained, event)[c], row(m, m->drained, by)[c]);
    }
}

void order_enter(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_rank *r = rank_of(m, event);
    int32_t channel = proc_of(m, event)->channel;
    if (m->event[event].step > 0)
        row_join(m, event, event - 1);
    if (p->after_step >= 0) {
        row_join(m, event, m->proc[r->proc0 + p->after_channel].event0 + p->after_step);
        lift(&row(m, m->done, event)[p->after_channel], p->after_step + 1);
        if (p->after_drain)
            lift(&row(m, m->drained, event)[p->after_channel], p->after_step + 1);
    }
    lift(&row(m, m->done, event)[channel], m->event[event].step);
    lift(&row(m, m->drained, event)[channel], p->drain);
}

/* ---- Search -------------------------------------------------------------------------
 */

/* What is looked for among the events that happen before one: the event `target`, or any
 * event of its rank that has waited for step lent_step of lent_channel to be drained. */
struct order_goal {
    int32_t target;
    int32_t lent_rank, lent_channel, lent_step; /* lent_rank -1: no lent message */
    int32_t oldest; /* order of the oldest event worth visiting */
};

static bool goal_met(const struct model *m, const struct order_goal *g, int32_t event)
{
    const struct model_event *e = &m->event[event], *t = &m->event[g->target];
    if (e->proc == t->proc && e->step >= t->step)
        return true;
    return m->proc[e->proc].rank == g->lent_rank &&
           row(m, m->drained, event)[g->lent_channel] > g->lent_step;
}

static void visit(struct model *m, const struct order_goal *g, int32_t event,
                  int32_t *top)
{
    if (m->stamp[event] == m->nstamps || m->event[event].order < g->oldest)
        return;
    m->stamp[event] = m->nstamps;
    m->stack[(*top)++] = event;
}

static void visit_before(struct model *m, const struct order_goal *g, int32_t event,
                         int32_t *top)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_rank *r = rank_of(m, event);
    if (m->event[event].step > 0)
        visit(m, g, event - 1, top);
    if (p->after_step >= 0)
        visit(m, g, m->proc[r->proc0 + p->after_channel].event0 + p->after_step, top);
    for (int32_t i = 0; i < p->nin; i++)
        if (sched_in(r->s, p)[i].space == SCHED_PEER)
            visit(m, g, m->message[m->ref_message[r->ref0 + p->first + i]].send, top);
}

/* Whether the goal is met by an event that happens before `event`. */
static bool search(struct model *m, const struct order_goal *g, int32_t event)
{
    int32_t top = 0;
    m->nstamps++;
    visit_before(m, g, event, &top);
    while (top > 0) {
        int32_t e = m->stack[--top];
        if (goal_met(m, g, e))
            return true;
        visit_before(m, g, e, &top);
    }
    return false;
}

/* Whether an earlier access of the same rank happens before `event`. */
static bool is_before(struct model *m, int32_t earlier, int32_t event)
{
    const struct model_event *a = &m->event[earlier];
    if (row(m, m->done, event)[m->proc[a->proc].channel] > a->step)
        return true;
    if (a->proc == m->event[event].proc) /* the event itself */
        return true;
    struct order_goal g = {.target = earlier, .lent_rank = -1, .oldest = a->order};
    return search(m, &g, event);
}

static bool is_consumed_before(struct model *m, int32_t message, int32_t event)
{
    const struct model_message *g = &m->message[message];
    const struct model_event *lender = &m->event[g->send];
    if (m->event[g->receive].order == 0)
        return false;
    struct order_goal goal = {
        .target = g->receive,
        .lent_rank = m->proc[lender->proc].rank,
        .lent_channel = m->proc[lender->proc].channel,
        .lent_step = lender->step,
        .oldest = lender->order,
    };
    return search(m, &goal, event);
}

/* ---- Accesses -----------------------------------------------------------------------
 */

static trncclResult_t refuse_conflict(struct model *m, int32_t event, int64_t slot,
                                      const char *verb, int32_t other,
                                      const char *other_verb)
{
    const struct model_event *o = &m->event[other];
    struct model_name name = model_slot_name(m, proc_of(m, event)->rank, slot);
    return model_refuse_at(m, event,
                           "it %s %s, which channel %d step %d %s, and nothing orders "
                           "the two",
                           verb, name.text, m->proc[o->proc].channel, o->step,
                           other_verb);
}

trncclResult_t order_read(struct model *m, int32_t event, int64_t slot)
{
    const struct model_rank *r = rank_of(m, event);
    if (!model_slot_writable(r, slot))
        return trncclSuccess;
    int32_t writer = m->slot[slot].writer - 1;
    if (writer >= 0 && !is_before(m, writer, event))
        return refuse_conflict(m, event, slot, "reads", writer, "writes");
    m->reader[slot * m->nchannels + proc_of(m, event)->channel] =
        m->event[event].step + 1;
    return trncclSuccess;
}

bool order_lends(const struct sched *s, const struct sched_step *p, int32_t operand)
{
    const struct sched_ref *ref = sched_in(s, p);
    if (p->flags & SCHED_STAGED)
        return false;
    if (ref[operand].space != SCHED_IN && ref[operand].space != SCHED_OUT)
        return false;
    return operand >= p->nin || p->nin == 1;
}

void order_lend(struct model *m, int32_t event, int64_t slot)
{
    if (model_slot_writable(rank_of(m, event), slot))
        m->lender[slot * m->nchannels + proc_of(m, event)->channel] =
            m->event[event].step + 1;
}

static bool step_lends_slot(const struct model_rank *r, const struct sched_step *p,
                            int64_t slot)
{
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        if (!order_lends(r->s, p, i))
            continue;
        struct sched_ref ref = sched_in(r->s, p)[i];
        int64_t first = model_slot_of(r, ref.space, ref.index);
        if (slot >= first && slot < first + p->span_n)
            return true;
    }
    return false;
}

/* Every message of the step that may still be read in place is consumed before event. */
static trncclResult_t check_lent(struct model *m, int32_t event, int64_t slot,
                                 int32_t lender)
{
    const struct model_rank *r = rank_of(m, event);
    const struct sched_step *p = model_step(m, lender);
    if (!step_lends_slot(r, p, slot))
        return trncclSuccess;
    for (int32_t i = p->nin; i < p->nin + p->nout; i++) {
        if (sched_in(r->s, p)[i].space != SCHED_PEER)
            continue;
        if (is_consumed_before(m, m->ref_message[r->ref0 + p->first + i], event))
            continue;
        struct model_name name = model_slot_name(m, proc_of(m, event)->rank, slot);
        return model_refuse_at(m, event,
                               "it writes %s, which channel %d step %d may still be "
                               "sending to rank %d",
                               name.text, proc_of(m, lender)->channel,
                               m->event[lender].step, sched_in(r->s, p)[i].index);
    }
    return trncclSuccess;
}

/* Lent sends that no mark covers: the latest of the channel and, since it need not be the
 * last to be consumed, those before it. */
static trncclResult_t check_channel_lent(struct model *m, int32_t event, int64_t slot,
                                         int32_t channel)
{
    const struct model_rank *r = rank_of(m, event);
    int32_t last = m->lender[slot * m->nchannels + channel];
    int32_t first = row(m, m->drained, event)[channel];
    for (int32_t step = last - 1; step >= first; step--)
        TRY(check_lent(m, event, slot, m->proc[r->proc0 + channel].event0 + step));
    return trncclSuccess;
}

static trncclResult_t check_early(struct model *m, int32_t event, int64_t slot)
{
    bool touched = m->slot[slot].writer != 0;
    for (int32_t c = 0; c < m->nchannels; c++)
        touched |= m->reader[slot * m->nchannels + c] != 0 ||
                   m->lender[slot * m->nchannels + c] != 0;
    if (!touched)
        return trncclSuccess;
    struct model_name name = model_slot_name(m, proc_of(m, event)->rank, slot);
    return model_refuse_at(m, event,
                           "it is to be posted early, but another step touches %s first",
                           name.text);
}

trncclResult_t order_write(struct model *m, int32_t event, int64_t slot, bool early)
{
    const struct model_rank *r = rank_of(m, event);
    int32_t *reader = &m->reader[slot * m->nchannels];
    int32_t *lender = &m->lender[slot * m->nchannels];
    if (early)
        TRY(check_early(m, event, slot));
    int32_t writer = m->slot[slot].writer - 1;
    if (writer >= 0 && !is_before(m, writer, event))
        return refuse_conflict(m, event, slot, "writes", writer, "writes");
    for (int32_t c = 0; c < r->s->nchannels; c++) {
        int32_t read = m->proc[r->proc0 + c].event0 + reader[c] - 1;
        if (reader[c] > 0 && !is_before(m, read, event))
            return refuse_conflict(m, event, slot, "writes", read, "reads");
        if (lender[c] > 0)
            TRY(check_channel_lent(m, event, slot, c));
        reader[c] = lender[c] = 0;
    }
    m->slot[slot].writer = event + 1;
    return trncclSuccess;
}
