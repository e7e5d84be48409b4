#include "verify/pair.h"

#include "verify/structure.h"

/* Links by (source, target, number): open addressing in a table of a power of two. */
struct link_table {
    int32_t *of; /* link + 1; 0: free */
    uint32_t mask;
};

static int32_t *table_find(const struct model *m, const struct link_table *t,
                           int32_t source, int32_t target, int32_t number)
{
    uint64_t key =
        ((uint64_t)source * SCHED_MAX_RANKS + (uint64_t)target) * SCHED_MAX_CHANNELS +
        (uint64_t)number;
    uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & t->mask;
    for (; t->of[at] != 0; at = (at + 1) & t->mask) {
        const struct model_link *l = &m->link[t->of[at] - 1];
        if (l->source == source && l->target == target && l->number == number)
            break;
    }
    return &t->of[at];
}

/* A peer operand of some step, as the walk over all steps meets it. */
struct pair_end {
    int32_t event, ref, link;
    int32_t source, target, number;
    int32_t proc, nchunks;
    bool output;
};

typedef trncclResult_t (*pair_visit)(struct model *m, const struct pair_end *end,
                                     void *context);

static trncclResult_t visit_step(struct model *m, int32_t event, pair_visit visit,
                                 void *context)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_proc *proc = &m->proc[m->event[event].proc];
    const struct model_rank *r = &m->rank[proc->rank];
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        const struct sched_ref *ref = &r->s->refs[p->first + i];
        if (ref->space != SCHED_PEER)
            continue;
        bool output = i >= p->nin;
        struct pair_end end = {
            .event = event,
            .ref = r->ref0 + p->first + i,
            .source = output ? proc->rank : ref->index,
            .target = output ? ref->index : proc->rank,
            .number = sched_link(p, output, proc->channel),
            .proc = m->event[event].proc,
            .nchunks = p->span_n,
            .output = output,
        };
        end.link = m->ref_message[end.ref];
        TRY(visit(m, &end, context));
    }
    return trncclSuccess;
}

static trncclResult_t visit_all(struct model *m, pair_visit visit, void *context)
{
    for (int32_t e = 0; e < m->nevents; e++)
        TRY(visit_step(m, e, visit, context));
    return trncclSuccess;
}

/* First walk: finds the links and leaves each operand's link in ref_message. */
static trncclResult_t count_end(struct model *m, const struct pair_end *end,
                                void *context)
{
    struct link_table *t = context;
    int32_t *at = table_find(m, t, end->source, end->target, end->number);
    if (*at == 0) {
        m->link[m->nlinks] = (struct model_link){
            .source = end->source,
            .target = end->target,
            .number = end->number,
            .sender = -1,
            .receiver = -1,
        };
        *at = ++m->nlinks;
    }
    struct model_link *l = &m->link[*at - 1];
    int32_t *owner = end->output ? &l->sender : &l->receiver;
    if (*owner >= 0 && *owner != end->proc)
        return model_refuse_at(m, end->event,
                               "it %s rank %d over link %d, as channel %d does: nothing "
                               "orders their messages",
                               end->output ? "sends to" : "receives from",
                               end->output ? end->target : end->source, end->number,
                               m->proc[*owner].channel);
    *owner = end->proc;
    *(end->output ? &l->nsends : &l->nreceives) += 1;
    m->ref_message[end->ref] = *at - 1;
    return trncclSuccess;
}

/* Second walk: the operand is the next of its link. */
static trncclResult_t place_end(struct model *m, const struct pair_end *end,
                                void *context)
{
    (void)context;
    struct model_link *l = &m->link[end->link];
    int32_t id = l->message0 + (end->output ? l->pushed++ : l->popped++);
    struct model_message *g = &m->message[id];
    g->link = end->link;
    if (end->output) {
        g->send = end->event;
        g->n = end->nchunks;
    } else {
        g->receive = end->event;
    }
    m->ref_message[end->ref] = id;
    return trncclSuccess;
}

static trncclResult_t check_message(struct model *m, int32_t id)
{
    const struct model_message *g = &m->message[id];
    const struct model_link *l = &m->link[g->link];
    const struct sched_step *send = model_step(m, g->send);
    const struct sched_step *receive = model_step(m, g->receive);
    if (send->span_n != receive->span_n ||
        send->span_chunk % m->nsub != receive->span_chunk % m->nsub)
        return model_refuse_at(m, g->send,
                               "message %d to rank %d has %d chunks from chunk %d of a "
                               "block, but step %d there expects %d from %d",
                               id - l->message0, l->target, send->span_n,
                               send->span_chunk % m->nsub, m->event[g->receive].step,
                               receive->span_n, receive->span_chunk % m->nsub);
    struct sched_ref a = {send->span_space, send->span_chunk};
    struct sched_ref b = {receive->span_space, receive->span_chunk};
    if (!structure_lengths_agree(m, &a, l->source, &b, l->target, send->span_n))
        m->any_blocks = false;
    return trncclSuccess;
}

static trncclResult_t find_links(struct model *m)
{
    int32_t nends = 0;
    for (int32_t i = 0; i < m->nranks; i++)
        for (int32_t k = 0; k < m->rank[i].s->nrefs; k++)
            nends += m->rank[i].s->refs[k].space == SCHED_PEER;
    struct link_table t = {.mask = 15};
    while (t.mask < 2 * (uint32_t)nends)
        t.mask = t.mask * 2 + 1;
    t.of = arena_alloc(&m->arena, (size_t)t.mask + 1, sizeof(*t.of));
    m->link = arena_alloc(&m->arena, (size_t)nends, sizeof(*m->link));
    if (!t.of || !m->link)
        return model_no_memory(m);
    return visit_all(m, count_end, &t);
}

static trncclResult_t number_messages(struct model *m)
{
    for (int32_t i = 0; i < m->nlinks; i++) {
        struct model_link *l = &m->link[i];
        if (l->nsends != l->nreceives)
            return model_refuse(m,
                                "rank %d sends %d messages to rank %d on link %d, "
                                "which receives %d",
                                l->source, l->nsends, l->target, l->number, l->nreceives);
        l->message0 = m->nmessages;
        m->nmessages += l->nsends;
    }
    m->message = arena_alloc(&m->arena, (size_t)m->nmessages, sizeof(*m->message));
    return m->message ? trncclSuccess : model_no_memory(m);
}

trncclResult_t pair_messages(struct model *m)
{
    TRY(find_links(m));
    TRY(number_messages(m));
    TRY(visit_all(m, place_end, NULL));
    for (int32_t i = 0; i < m->nlinks; i++)
        m->link[i].pushed = m->link[i].popped = 0;
    for (int32_t i = 0; i < m->nmessages; i++) {
        TRY(check_message(m, i));
        m->message[i].value0 = m->ncarried;
        m->ncarried += m->message[i].n;
    }
    m->carried = arena_alloc(&m->arena, (size_t)m->ncarried, sizeof(*m->carried));
    return m->carried ? trncclSuccess : model_no_memory(m);
}
