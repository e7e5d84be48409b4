#include "sched/rounds.h"

#include <stdlib.h>
#include <string.h>

/* One end of a message. */
struct end {
    int32_t link, source, target, step;
    int32_t channel; /* of its rank, for sentences */
};

struct walk {
    struct rounds *r;
    struct sched *const *ranks;
    struct end *sends, *recvs; /* owned */
    int32_t nsends, nrecvs;
    /* Messages by receiving step, as lists: first[step], then next[message]; -1 ends. */
    int32_t *first, *next; /* owned */
    int32_t nchannels;     /* the most of any rank */
    int32_t *at;           /* [nranks * nchannels] next step; owned */
};

static int end_compare(const void *pa, const void *pb)
{
    const struct end *a = pa, *b = pb;
    if (a->link != b->link)
        return a->link < b->link ? -1 : 1;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->step < b->step ? -1 : a->step > b->step;
}

static void collect_step(struct walk *w, int32_t rank, int32_t channel, int32_t step)
{
    const struct sched *s = w->ranks[rank];
    const struct sched_step *p = &s->steps[step];
    const struct sched_ref *refs = s->refs + p->first;
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        if (refs[i].space != SCHED_PEER)
            continue;
        int32_t link = sched_link(p, i >= p->nin, channel);
        if (i < p->nin)
            w->recvs[w->nrecvs++] =
                (struct end){link, refs[i].index, rank, step, channel};
        else
            w->sends[w->nsends++] =
                (struct end){link, rank, refs[i].index, step, channel};
    }
}

static trncclResult_t no_partner(const struct sched *s, const struct end *e, bool sends)
{
    return error_set(
        trncclInvalidUsage,
        "%s %s: rank %d channel %d step %d %s rank %d, which has no matching "
        "%s",
        sched_coll_name(s->coll), s->algo, sends ? e->source : e->target, e->channel,
        e->step - s->channels[e->channel].first, sends ? "sends to" : "receives from",
        sends ? e->target : e->source, sends ? "receive" : "send");
}

/* The k-th send a -> b on a link meets the k-th receive. */
static trncclResult_t pair(struct walk *w)
{
    struct rounds *r = w->r;
    qsort(w->sends, (size_t)w->nsends, sizeof *w->sends, end_compare);
    qsort(w->recvs, (size_t)w->nrecvs, sizeof *w->recvs, end_compare);
    for (int32_t i = 0; i < w->nsends || i < w->nrecvs; i++) {
        struct end send = i < w->nsends ? w->sends[i] : (struct end){.link = INT32_MAX};
        struct end recv = i < w->nrecvs ? w->recvs[i] : (struct end){.link = INT32_MAX};
        struct end key = recv;
        key.step = send.step;
        int order = end_compare(&send, &key);
        if (order < 0)
            return no_partner(w->ranks[send.source], &send, true);
        if (order > 0)
            return no_partner(w->ranks[recv.target], &recv, false);
        int32_t target = r->first_step[recv.target] + recv.step;
        r->messages[i] = (struct rounds_message){send.link, send.source, send.target,
                                                 send.step, recv.step};
        w->next[i] = w->first[target];
        w->first[target] = i;
    }
    r->nmessages = w->nsends;
    return trncclSuccess;
}

static inline void raise_to(int32_t *most, int32_t value)
{
    if (*most < value)
        *most = value;
}

/* Gives a step its round if all it waits for have theirs. */
static bool place_step(struct walk *w, int32_t rank, int32_t channel)
{
    struct rounds *r = w->r;
    const struct sched *s = w->ranks[rank];
    const struct sched_channel *ch = &s->channels[channel];
    int32_t step = ch->first + w->at[rank * w->nchannels + channel];
    const struct sched_step *p = &s->steps[step];
    int32_t round = step > ch->first ? rounds_of(r, rank, step - 1) : 0;
    if (p->after_step >= 0) {
        int32_t there =
            rounds_of(r, rank, s->channels[p->after_channel].first + p->after_step);
        if (there < 0)
            return false;
        raise_to(&round, there);
    }
    int32_t index = r->first_step[rank] + step;
    for (int32_t m = w->first[index]; m >= 0; m = w->next[m]) {
        int32_t sent = rounds_of(r, r->messages[m].source, r->messages[m].source_step);
        if (sent < 0)
            return false;
        raise_to(&round, sent + 1);
    }
    r->round[index] = round;
    raise_to(&r->nrounds, round + 1);
    return true;
}

static trncclResult_t place_all(struct walk *w)
{
    int32_t nranks = w->r->nranks, left = w->r->first_step[nranks];
    while (left > 0) {
        int32_t before = left, stuck_rank = -1, stuck_channel = -1;
        for (int32_t i = 0; i < nranks * w->nchannels; i++) {
            int32_t rank = i / w->nchannels, c = i % w->nchannels;
            const struct sched *s = w->ranks[rank];
            int32_t n = c < s->nchannels ? s->channels[c].nsteps : 0;
            for (; w->at[i] < n && place_step(w, rank, c); w->at[i]++)
                left--;
            if (w->at[i] < n) {
                stuck_rank = rank;
                stuck_channel = c;
            }
        }
        if (left == before)
            return error_set(trncclInvalidUsage,
                             "%s %s: rank %d channel %d step %d can never run: it and "
                             "others wait for each other",
                             sched_coll_name(w->ranks[0]->coll), w->ranks[0]->algo,
                             stuck_rank, stuck_channel,
                             w->at[stuck_rank * w->nchannels + stuck_channel]);
    }
    return trncclSuccess;
}

static trncclResult_t walk_init(struct walk *w)
{
    struct rounds *r = w->r;
    int64_t nrefs = 0, nsteps = 0;
    for (int32_t i = 0; i < r->nranks; i++) {
        nsteps += w->ranks[i]->nsteps;
        nrefs += w->ranks[i]->nrefs;
        raise_to(&w->nchannels, w->ranks[i]->nchannels);
    }
    if (nsteps > INT32_MAX / 2 || nrefs > INT32_MAX / 2)
        return error_set(trncclInvalidArgument, "%lld steps are too many to draw",
                         (long long)nsteps);
    r->first_step = calloc((size_t)r->nranks + 1, sizeof *r->first_step);
    r->round = malloc(((size_t)nsteps + 1) * sizeof *r->round);
    r->messages = calloc((size_t)nrefs + 1, sizeof *r->messages);
    w->sends = calloc((size_t)nrefs + 1, sizeof *w->sends);
    w->recvs = calloc((size_t)nrefs + 1, sizeof *w->recvs);
    w->first = malloc(((size_t)nsteps + 1) * sizeof *w->first);
    w->next = malloc(((size_t)nrefs + 1) * sizeof *w->next);
    w->at = calloc((size_t)r->nranks * (size_t)w->nchannels + 1, sizeof *w->at);
    if (!r->first_step || !r->round || !r->messages || !w->sends || !w->recvs ||
        !w->first || !w->next || !w->at)
        return error_set(trncclSystemError, "no memory to draw %lld steps",
                         (long long)nsteps);
    for (int32_t i = 0; i < r->nranks; i++)
        r->first_step[i + 1] = r->first_step[i] + w->ranks[i]->nsteps;
    memset(r->round, -1, (size_t)nsteps * sizeof *r->round);
    memset(w->first, -1, (size_t)nsteps * sizeof *w->first);
    return trncclSuccess;
}

trncclResult_t rounds_init(struct rounds *r, struct sched *const *ranks, int32_t nranks)
{
    *r = (struct rounds){.nranks = nranks};
    struct walk w = {.r = r, .ranks = ranks};
    for (int32_t i = 0; i < nranks; i++)
        if (ranks[i]->nranks != nranks || ranks[i]->rank != i)
            return error_set(trncclInvalidArgument,
                             "entry %d of %d schedules is of rank %d of %d", i, nranks,
                             ranks[i]->rank, ranks[i]->nranks);
    trncclResult_t result = walk_init(&w);
    for (int32_t i = 0; result == trncclSuccess && i < nranks; i++)
        for (int32_t c = 0; c < ranks[i]->nchannels; c++)
            for (int32_t k = 0; k < ranks[i]->channels[c].nsteps; k++)
                collect_step(&w, i, c, ranks[i]->channels[c].first + k);
    if (result == trncclSuccess)
        result = pair(&w);
    if (result == trncclSuccess)
        result = place_all(&w);
    free(w.sends);
    free(w.recvs);
    free(w.first);
    free(w.next);
    free(w.at);
    if (result != trncclSuccess)
        rounds_fini(r);
    return result;
}

void rounds_fini(struct rounds *r)
{
    free(r->first_step);
    free(r->round);
    free(r->messages);
    *r = (struct rounds){0};
}
