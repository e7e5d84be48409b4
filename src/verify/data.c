#include "verify/data.h"

#include "verify/order.h"

static const char *const space_names[] = {"IN", "OUT", "TMP"};

/* A step while it runs on one chunk of its span. */
struct data_at {
    int32_t event;
    const struct sched_step *p;
    const struct model_rank *r;
    const struct sched_ref *ref; /* its operands */
    int32_t k;                   /* chunk of the span */
};

static int32_t *carried(const struct model *m, const struct data_at *at, int32_t operand)
{
    int32_t id = m->ref_message[at->r->ref0 + at->p->first + operand];
    return &m->carried[m->message[id].value0 + at->k];
}

static int64_t local_slot(const struct data_at *at, int32_t operand)
{
    return model_slot_of(at->r, at->ref[operand].space, at->ref[operand].index) + at->k;
}

/* A reduction scales what it reads from IN and nothing else, so raw contributions are
 * read there and only there, whatever aliases what. */
static trncclResult_t check_raw(struct model *m, const struct data_at *at,
                                int32_t operand, int64_t slot)
{
    struct sched_ref ref = at->ref[operand];
    bool written = m->slot[slot].writer != 0;
    if (m->slot[slot].value == VALUE_NONE)
        return model_refuse_at(m, at->event, "it reads %s[%d], which nothing has written",
                               space_names[ref.space], ref.index + at->k);
    if (!sched_coll_reduces(m->coll))
        return trncclSuccess;
    if (ref.space == SCHED_IN && written)
        return model_refuse_at(m, at->event,
                               "it reads a contribution from IN[%d], where a result has "
                               "been written in place",
                               ref.index + at->k);
    if (ref.space != SCHED_IN && !written)
        return model_refuse_at(m, at->event,
                               "it reads a contribution from %s[%d], which only aliases "
                               "it; expected IN",
                               space_names[ref.space], ref.index + at->k);
    return trncclSuccess;
}

static trncclResult_t read_operand(struct model *m, const struct data_at *at,
                                   int32_t operand, int32_t *value)
{
    if (at->ref[operand].space == SCHED_PEER) {
        *value = *carried(m, at, operand);
        return trncclSuccess;
    }
    int64_t slot = local_slot(at, operand);
    TRY(order_read(m, at->event, slot));
    if (m->coll != SCHED_BARRIER) /* its messages carry no bytes */
        TRY(check_raw(m, at, operand, slot));
    *value = m->slot[slot].value;
    return trncclSuccess;
}

static trncclResult_t refuse_input(struct model *m, const struct data_at *at,
                                   int32_t node, int32_t input, int32_t twice)
{
    const struct value *to = &m->values.of[node], *by = &m->values.of[input];
    if (twice >= 0)
        return model_refuse_at(m, at->event, "it counts rank %d's chunk %d twice", twice,
                               by->chunk);
    return model_refuse_at(m, at->event,
                           "it combines contributions to chunk %d with some to chunk %d",
                           to->chunk, by->chunk);
}

static trncclResult_t combine(struct model *m, const struct data_at *at, int32_t *value)
{
    bool final = at->p->flags & SCHED_FINAL;
    int32_t node = values_combine_begin(&m->values, at->p->nin, final);
    for (int32_t i = 0; i < at->p->nin; i++) {
        int32_t input, twice;
        TRY(read_operand(m, at, i, &input));
        if (m->values.of[input].finals > 0)
            return model_refuse_at(m, at->event,
                                   "input %d is a result that has passed a "
                                   "step marked final",
                                   i);
        if (!values_combine_add(&m->values, node, input, &twice))
            return refuse_input(m, at, node, input, twice);
    }
    int32_t missing = final ? values_missing(&m->values, node, m->nranks) : -1;
    if (missing >= 0)
        return model_refuse_at(m, at->event,
                               "it is marked final with %d of %d contributions; rank "
                               "%d's is missing",
                               m->values.of[node].count, m->nranks, missing);
    *value = node;
    return trncclSuccess;
}

static trncclResult_t read_inputs(struct model *m, const struct data_at *at,
                                  int32_t *value)
{
    if (at->p->nin == 1 && !(at->p->flags & SCHED_FINAL))
        return read_operand(m, at, 0, value);
    if (sched_coll_reduces(m->coll))
        return combine(m, at, value);
    if (m->coll != SCHED_BARRIER)
        return model_refuse_at(m, at->event,
                               "it combines %d inputs, but %s does not "
                               "reduce",
                               at->p->nin, sched_coll_name(m->coll));
    for (int32_t i = 0; i < at->p->nin; i++)
        TRY(read_operand(m, at, i, value));
    return trncclSuccess;
}

static trncclResult_t write_outputs(struct model *m, const struct data_at *at,
                                    int32_t value)
{
    bool early = at->p->flags & SCHED_POST_EARLY;
    for (int32_t i = at->p->nin; i < at->p->nin + at->p->nout; i++) {
        if (at->ref[i].space == SCHED_PEER) {
            *carried(m, at, i) = value;
            continue;
        }
        int64_t slot = local_slot(at, i);
        TRY(order_write(m, at->event, slot, early && at->ref[i].space != SCHED_TMP));
        m->slot[slot].value = value;
    }
    return trncclSuccess;
}

/* Marks the messages of a step that may be read where its operands lie. */
static void lend(struct model *m, struct data_at *at)
{
    bool sends = false, lends = false;
    for (int32_t i = at->p->nin; i < at->p->nin + at->p->nout; i++)
        sends |= at->ref[i].space == SCHED_PEER;
    for (int32_t i = 0; sends && i < at->p->nin + at->p->nout; i++) {
        if (!order_lends(at->r->s, at->p, i))
            continue;
        lends = true;
        for (at->k = 0; at->k < at->p->span_n; at->k++)
            order_lend(m, at->event, local_slot(at, i));
    }
    for (int32_t i = at->p->nin; lends && i < at->p->nin + at->p->nout; i++)
        if (at->ref[i].space == SCHED_PEER)
            m->message[m->ref_message[at->r->ref0 + at->p->first + i]].lent = true;
}

trncclResult_t data_step(struct model *m, int32_t event)
{
    struct data_at at = {.event = event, .p = model_step(m, event)};
    at.r = &m->rank[m->proc[m->event[event].proc].rank];
    at.ref = sched_in(at.r->s, at.p);
    order_enter(m, event);
    for (at.k = 0; at.k < at.p->span_n && at.p->nin > 0; at.k++) {
        int32_t value = VALUE_NONE;
        TRY(read_inputs(m, &at, &value));
        TRY(write_outputs(m, &at, value));
    }
    lend(m, &at);
    return trncclSuccess;
}
