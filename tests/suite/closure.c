#include "tests/suite/closure.h"

#include <stdlib.h>

enum { MAX_RANKS = 64 };

struct closure {
    struct sched *const *ranks;
    int nranks, n;        /* n: steps of all ranks */
    int first[MAX_RANKS]; /* number of each rank's first step */
    bool *before;         /* [n * n]: row happens before column */
};

static const struct sched_ref *refs(const struct sched *s, int step)
{
    return sched_in(s, &s->steps[step]);
}

static int noperands(const struct sched *s, int step)
{
    return s->steps[step].nin + s->steps[step].nout;
}

static int channel_of(const struct sched *s, int step)
{
    int c = 0;
    while (step >= s->channels[c].first + s->channels[c].nsteps)
        c++;
    return c;
}

/* Whether the step has that peer among its outputs, or among its inputs. */
static bool talks_to(const struct sched *s, int step, int peer, bool output)
{
    for (int o = 0; o < noperands(s, step); o++)
        if (refs(s, step)[o].space == SCHED_PEER && refs(s, step)[o].index == peer &&
            (o >= s->steps[step].nin) == output)
            return true;
    return false;
}

/* The step of `peer` that receives what `step` sends it. */
static int receiver_of(const struct closure *c, int rank, int step, int peer)
{
    const struct sched *s = c->ranks[rank], *to = c->ranks[peer];
    int channel = channel_of(s, step), turn = 0;
    for (int i = s->channels[channel].first; i < step; i++)
        turn += talks_to(s, i, peer, true);
    int i = to->channels[channel].first;
    while (!talks_to(to, i, rank, false) || turn-- > 0)
        i++;
    return i;
}

static bool *edge(const struct closure *c, int a, int b)
{
    return &c->before[(size_t)a * (size_t)c->n + (size_t)b];
}

static void add_edges(struct closure *c, int rank, int step)
{
    const struct sched *s = c->ranks[rank];
    const struct sched_step *p = &s->steps[step];
    int me = c->first[rank] + step;
    if (step > s->channels[channel_of(s, step)].first)
        *edge(c, me - 1, me) = true;
    if (p->after_step >= 0)
        *edge(c, c->first[rank] + s->channels[p->after_channel].first + p->after_step,
              me) = true;
    for (int o = p->nin; o < noperands(s, step); o++) {
        int peer = refs(s, step)[o].index;
        if (refs(s, step)[o].space == SCHED_PEER)
            *edge(c, me, c->first[peer] + receiver_of(c, rank, step, peer)) = true;
    }
}

/* Warshall, "A theorem on Boolean matrices", 1962. */
static void close_edges(struct closure *c)
{
    for (int k = 0; k < c->n; k++)
        for (int a = 0; a < c->n; a++)
            for (int b = 0; *edge(c, a, k) && b < c->n; b++)
                *edge(c, a, b) |= *edge(c, k, b);
}

static bool same_place(const struct sched *s, struct sched_ref a, struct sched_ref b)
{
    if (a.space == b.space)
        return a.index == b.index;
    if (a.space == SCHED_TMP || b.space == SCHED_TMP)
        return false;
    return sched_alias(s, (enum sched_space)a.space, a.index) == b.index;
}

static bool overlap(const struct sched *s, int a, int x, int b, int y)
{
    struct sched_ref p = refs(s, a)[x], q = refs(s, b)[y];
    if (p.space == SCHED_PEER || q.space == SCHED_PEER)
        return false;
    for (int i = 0; i < s->steps[a].span_n; i++)
        for (int k = 0; k < s->steps[b].span_n; k++)
            if (same_place(s, (struct sched_ref){p.space, p.index + i},
                           (struct sched_ref){q.space, q.index + k}))
                return true;
    return false;
}

/* Whether step w has waited, itself or through steps before it, until what step a lent
 * was drained. */
static bool is_drained(const struct closure *c, int rank, int a, int w)
{
    const struct sched *s = c->ranks[rank];
    int channel = channel_of(s, a), at = a - s->channels[channel].first;
    for (int d = 0; d < s->nsteps; d++) {
        const struct sched_step *p = &s->steps[d];
        bool own = channel_of(s, d) == channel && p->drain > at;
        bool other = p->after_drain && p->after_channel == channel && p->after_step >= at;
        if ((own || other) &&
            (d == w || *edge(c, c->first[rank] + d, c->first[rank] + w)))
            return true;
    }
    return false;
}

/* Operand x of step a may be read by receivers after a; step w writes the same place. */
static bool lent_is_over(const struct closure *c, int rank, int a, int x, int w)
{
    const struct sched *s = c->ranks[rank];
    const struct sched_step *p = &s->steps[a];
    bool lends = refs(s, a)[x].space <= SCHED_OUT && (x >= p->nin || p->nin == 1);
    if (!lends || is_drained(c, rank, a, w))
        return true;
    for (int o = p->nin; o < noperands(s, a); o++) {
        int peer = refs(s, a)[o].index;
        if (refs(s, a)[o].space == SCHED_PEER &&
            !*edge(c, c->first[peer] + receiver_of(c, rank, a, peer), c->first[rank] + w))
            return false;
    }
    return true;
}

/* Operand x of step a, and what operand y of step w writes. */
static bool is_ordered(const struct closure *c, int rank, int a, int x, int w, int y)
{
    if (a == w || !overlap(c->ranks[rank], a, x, w, y))
        return true;
    if (*edge(c, c->first[rank] + a, c->first[rank] + w))
        return lent_is_over(c, rank, a, x, w);
    return *edge(c, c->first[rank] + w, c->first[rank] + a);
}

static bool check_rank(const struct closure *c, int rank)
{
    const struct sched *s = c->ranks[rank];
    for (int w = 0; w < s->nsteps; w++)
        for (int y = s->steps[w].nin; y < noperands(s, w); y++)
            for (int a = 0; a < s->nsteps; a++)
                for (int x = 0; x < noperands(s, a); x++)
                    if (!is_ordered(c, rank, a, x, w, y))
                        return false;
    return true;
}

bool closure_orders_all(struct sched *const *ranks, int nranks, int rank)
{
    struct closure c = {.ranks = ranks, .nranks = nranks};
    if (nranks > MAX_RANKS)
        abort();
    for (int r = 0; r < nranks; r++) {
        c.first[r] = c.n;
        c.n += ranks[r]->nsteps;
    }
    c.before = calloc((size_t)c.n * (size_t)c.n + 1, sizeof(*c.before));
    if (!c.before)
        abort();
    for (int r = 0; r < nranks; r++)
        for (int i = 0; i < ranks[r]->nsteps; i++)
            add_edges(&c, r, i);
    close_edges(&c);
    bool good = check_rank(&c, rank);
    free(c.before);
    return good;
}
