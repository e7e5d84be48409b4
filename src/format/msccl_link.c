#include "format/msccl_link.h"

#include <stdlib.h>

/* One end of a link: what a tb does with its peer. */
struct end {
    int32_t source, target, chan;
    bool receives;
    int32_t gpu, tb, nmessages;
};

static int end_compare(const void *pa, const void *pb)
{
    const struct end *a = pa, *b = pb;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    if (a->chan != b->chan)
        return a->chan < b->chan ? -1 : 1;
    if (a->receives != b->receives)
        return a->receives ? 1 : -1;
    return a->tb < b->tb ? -1 : a->tb > b->tb;
}

static bool same_pair(const struct end *a, const struct end *b)
{
    return a->source == b->source && a->target == b->target;
}

static bool same_link(const struct end *a, const struct end *b)
{
    return same_pair(a, b) && a->chan == b->chan;
}

static struct end end_of(const struct msccl *m, int32_t gpu, int32_t tb, bool receives)
{
    const struct msccl_tb *t = &m->tbs[tb];
    struct end e = {
        .source = receives ? t->recv : gpu,
        .target = receives ? gpu : t->send,
        .chan = t->chan,
        .receives = receives,
        .gpu = gpu,
        .tb = tb,
    };
    for (int32_t i = t->first; i < t->first + t->nsteps; i++) {
        const struct msccl_traits *type = &msccl_traits[m->steps[i].type];
        e.nmessages += receives ? type->receives : type->sends;
    }
    return e;
}

static int32_t ends_collect(const struct msccl *m, struct end *ends)
{
    int32_t n = 0;
    for (int32_t gpu = 0; gpu < m->nranks; gpu++)
        for (int32_t i = 0; i < m->gpus[gpu].ntbs; i++)
            for (int receives = 0; receives < 2; receives++) {
                ends[n] = end_of(m, gpu, m->gpus[gpu].first + i, receives);
                n += ends[n].nmessages > 0;
            }
    qsort(ends, (size_t)n, sizeof *ends, end_compare);
    return n;
}

static trncclResult_t end_shared(const struct msccl *m, const struct end *a,
                                 const struct end *b)
{
    const char *verb = a->receives ? "receive from" : "send to";
    return error_set(trncclInvalidArgument,
                     "line %d: tbs %d and %d of gpu %d both %s gpu %d on channel %d: "
                     "nothing orders their messages",
                     m->tbs[b->tb].line, m->tbs[a->tb].id, m->tbs[b->tb].id, a->gpu, verb,
                     a->receives ? a->source : a->target, a->chan);
}

/* The one or two ends of a link, from `at` of n. */
static trncclResult_t link_pair(struct msccl_links *l, const struct msccl *m,
                                const struct end *at, int32_t n, int32_t number)
{
    int32_t same = 1;
    while (same < n && same_link(at, at + same))
        same++;
    for (int32_t i = 1; i < same; i++)
        if (at[i].receives == at[i - 1].receives)
            return end_shared(m, &at[i - 1], &at[i]);
    int32_t sent = at->receives ? 0 : at->nmessages;
    int32_t received = at[same - 1].receives ? at[same - 1].nmessages : 0;
    if (sent != received)
        return error_set(trncclInvalidArgument,
                         "line %d: gpu %d sends %d messages to gpu %d on channel %d, "
                         "which receives %d",
                         m->tbs[at->tb].line, at->source, sent, at->target, at->chan,
                         received);
    if (number >= SCHED_MAX_CHANNELS)
        return error_set(trncclInvalidArgument,
                         "line %d: gpu %d sends to gpu %d on more than %d channels",
                         m->tbs[at->tb].line, at->source, at->target, SCHED_MAX_CHANNELS);
    l->out_link[at[0].tb] = l->in_link[at[1].tb] = number;
    l->sender[at[1].tb] = at[0].tb;
    return trncclSuccess;
}

static trncclResult_t links_number(struct msccl_links *l, const struct msccl *m,
                                   const struct end *ends, int32_t n)
{
    int32_t number = 0;
    for (int32_t i = 0; i < n; i++) {
        if (i > 0 && same_link(&ends[i - 1], &ends[i]))
            continue;
        number = i > 0 && same_pair(&ends[i - 1], &ends[i]) ? number + 1 : 0;
        TRY(link_pair(l, m, &ends[i], n - i, number));
    }
    return trncclSuccess;
}

trncclResult_t msccl_links_init(struct msccl_links *l, const struct msccl *m)
{
    size_t ntbs = (size_t)m->ntbs + 1;
    *l = (struct msccl_links){
        .sender = malloc(ntbs * sizeof *l->sender),
        .in_link = malloc(ntbs * sizeof *l->in_link),
        .out_link = malloc(ntbs * sizeof *l->out_link),
    };
    struct end *ends = malloc(2 * ntbs * sizeof *ends);
    trncclResult_t result;
    if (!l->sender || !l->in_link || !l->out_link || !ends) {
        result = error_set(trncclSystemError, "no memory for %d thread blocks", m->ntbs);
    } else {
        for (int32_t i = 0; i < m->ntbs; i++)
            l->sender[i] = l->in_link[i] = l->out_link[i] = -1;
        result = links_number(l, m, ends, ends_collect(m, ends));
    }
    free(ends);
    if (result != trncclSuccess)
        msccl_links_fini(l);
    return result;
}

void msccl_links_fini(struct msccl_links *l)
{
    free(l->sender);
    free(l->in_link);
    free(l->out_link);
    *l = (struct msccl_links){0};
}
