#include "format/msccl_ops.h"

#include <stdlib.h>

/* One side of a link that a channel uses. */
struct side {
    int32_t peer, link;
    bool out;
    int32_t
        group;  /* the side it shares a thread block with, a forest; itself: the root */
    bool apart; /* of a root: its sides do not fit one thread block */
    int32_t tb; /* of a root, or of each if apart; -1: not made */
};

/* A channel while it is taken apart. */
struct walk {
    struct msccl_out *o;
    const struct sched *s;
    int32_t channel;
    struct side *sides; /* owned */
    int32_t nsides, capacity;
    int32_t local_tb;   /* for steps without peers before any other, -1: none */
    int32_t last;       /* the latest step of this channel, or -1 */
    int32_t pending[2]; /* steps to wait for before the next one, and how many */
    int32_t npending;
    int32_t *done; /* [s->nsteps] last step of MSCCL's of each, or -1; owned */
    bool failed;   /* no memory */
};

static bool grow(void **array, int32_t *capacity, int32_t used, size_t nbytes)
{
    if (used < *capacity)
        return true;
    int32_t more = used < 16 ? 16 : used * 2;
    void *bigger = realloc(*array, (size_t)more * nbytes);
    if (!bigger)
        return false;
    *array = bigger;
    *capacity = more;
    return true;
}

/* ---- Thread blocks ------------------------------------------------------------------
 */

static int32_t side_find(struct walk *w, int32_t peer, int32_t link, bool out)
{
    for (int32_t i = 0; i < w->nsides; i++)
        if (w->sides[i].peer == peer && w->sides[i].link == link &&
            w->sides[i].out == out)
            return i;
    void *array = w->sides;
    bool ok = grow(&array, &w->capacity, w->nsides, sizeof *w->sides);
    w->sides = array;
    if (!ok) {
        w->failed = true;
        return -1;
    }
    w->sides[w->nsides] = (struct side){peer, link, out, w->nsides, false, -1};
    return w->nsides++;
}

static int32_t side_root(const struct walk *w, int32_t side)
{
    while (w->sides[side].group != side)
        side = w->sides[side].group;
    return side;
}

static int32_t side_of(struct walk *w, const struct sched_step *p, int32_t operand)
{
    bool out = operand >= p->nin;
    return side_find(w, sched_in(w->s, p)[operand].index, sched_link(p, out, w->channel),
                     out);
}

/* The one peer operand among the inputs, or the first among the outputs, or -1. */
static int32_t peer_operand(const struct sched *s, const struct sched_step *p, bool out)
{
    const struct sched_ref *refs = sched_in(s, p);
    int32_t found = -1;
    for (int32_t i = out ? p->nin : 0; i < (out ? p->nin + p->nout : p->nin); i++)
        if (refs[i].space == SCHED_PEER) {
            if (found >= 0)
                return out ? found : -1;
            found = i;
        }
    return found;
}

/* Whether a step can receive and forward in one: a peer and at most one local input. */
static bool can_forward(const struct sched *s, const struct sched_step *p)
{
    return p->nin <= 2 && peer_operand(s, p, false) >= 0 && peer_operand(s, p, true) >= 0;
}

static void find_sides(struct walk *w)
{
    const struct sched_channel *ch = &w->s->channels[w->channel];
    for (int32_t i = 0; i < ch->nsteps && !w->failed; i++) {
        const struct sched_step *p = &w->s->steps[ch->first + i];
        for (int32_t k = 0; k < p->nin + p->nout; k++)
            if (sched_in(w->s, p)[k].space == SCHED_PEER)
                side_of(w, p, k);
        if (w->failed || !can_forward(w->s, p))
            continue;
        int32_t in = side_root(w, side_of(w, p, peer_operand(w->s, p, false)));
        int32_t out = side_root(w, side_of(w, p, peer_operand(w->s, p, true)));
        w->sides[out].group = in;
    }
    /* More than one side of a kind, or two channels: no thread block has that. */
    for (int32_t i = 0; i < w->nsides; i++)
        for (int32_t k = 0; k < i; k++)
            if (side_root(w, i) == side_root(w, k) &&
                (w->sides[i].out == w->sides[k].out ||
                 w->sides[i].link != w->sides[k].link))
                w->sides[side_root(w, i)].apart = true;
}

static int32_t tb_add(struct walk *w, int32_t send, int32_t recv, int32_t chan)
{
    struct msccl_out *o = w->o;
    void *array = o->tbs;
    bool ok = grow(&array, &o->tbs_capacity, o->ntbs, sizeof *o->tbs);
    o->tbs = array;
    if (!ok) {
        w->failed = true;
        return 0;
    }
    if (chan >= o->nchans)
        o->nchans = chan + 1;
    o->tbs[o->ntbs] = (struct msccl_out_tb){send, recv, chan, 0};
    return o->ntbs++;
}

/* The thread block of a side, made at first use. */
static int32_t tb_of_side(struct walk *w, int32_t side)
{
    int32_t root = side_root(w, side);
    bool apart = w->sides[root].apart;
    struct side *owner = &w->sides[apart ? side : root];
    if (owner->tb >= 0)
        return owner->tb;
    int32_t peers[2] = {-1, -1}; /* recv, send */
    for (int32_t i = 0; i < w->nsides; i++)
        if (apart ? i == side : side_root(w, i) == root)
            peers[w->sides[i].out] = w->sides[i].peer;
    owner->tb = tb_add(w, peers[1], peers[0], w->sides[side].link);
    return owner->tb;
}

static int32_t tb_of_peer(struct walk *w, const struct sched_step *p, int32_t operand)
{
    int32_t side = side_of(w, p, operand);
    return side < 0 ? 0 : tb_of_side(w, side);
}

/* Where a step without a peer goes: where the channel is already. */
static int32_t tb_local(struct walk *w)
{
    if (w->last >= 0)
        return w->o->steps[w->last].tb;
    if (w->local_tb < 0)
        w->local_tb = tb_add(w, -1, -1, w->channel);
    return w->local_tb;
}

/* ---- Steps --------------------------------------------------------------------------
 */

static void step_append(struct walk *w, struct msccl_out_step step)
{
    struct msccl_out *o = w->o;
    void *array = o->steps;
    bool ok = grow(&array, &o->steps_capacity, o->nsteps, sizeof *o->steps);
    o->steps = array;
    if (!ok || w->failed) {
        w->failed = true;
        return;
    }
    step.s = o->tbs[step.tb].nsteps++;
    if (step.dep >= 0)
        o->steps[step.dep].hasdep = true;
    o->steps[o->nsteps] = step;
    w->last = o->nsteps++;
}

/* Adds a step that comes after all before it on the channel and after what is pending;
 * each but the last of these needs a nop. */
static void step_add(struct walk *w, struct msccl_out_step step)
{
    int32_t deps[3], ndeps = 0;
    for (int32_t i = 0; i < w->npending; i++)
        deps[ndeps++] = w->pending[i];
    if (w->last >= 0)
        deps[ndeps++] = w->last;
    w->npending = 0;
    int32_t kept = 0;
    for (int32_t i = 0; i < ndeps && !w->failed; i++)
        if (w->o->steps[deps[i]].tb != step.tb)
            deps[kept++] = deps[i];
    for (int32_t i = 0; i + 1 < kept; i++)
        step_append(
            w, (struct msccl_out_step){.type = MSCCL_NOP, .tb = step.tb, .dep = deps[i]});
    step.dep = kept > 0 ? deps[kept - 1] : -1;
    step_append(w, step);
}

/* A step that only waits: held back until the next one, or a nop if there are too many.
 */
static void wait_add(struct walk *w, int32_t dep)
{
    if (dep < 0)
        return;
    if (w->npending == 2) {
        step_append(w, (struct msccl_out_step){
                           .type = MSCCL_NOP, .tb = tb_local(w), .dep = w->pending[0]});
        w->pending[0] = w->pending[--w->npending];
    }
    w->pending[w->npending++] = dep;
}

static bool same_place(const struct sched *s, struct sched_ref a, struct sched_ref b)
{
    if (a.space == SCHED_PEER || b.space == SCHED_PEER)
        return false;
    if (a.space == SCHED_IN && sched_alias(s, SCHED_IN, a.index) >= 0)
        a = (struct sched_ref){SCHED_OUT, sched_alias(s, SCHED_IN, a.index)};
    if (b.space == SCHED_IN && sched_alias(s, SCHED_IN, b.index) >= 0)
        b = (struct sched_ref){SCHED_OUT, sched_alias(s, SCHED_IN, b.index)};
    return a.space == b.space && a.index == b.index;
}

/* What a step of the schedule is being turned into. */
struct part {
    struct walk *w;
    const struct sched_step *p;
    const struct sched_ref *refs;
    struct sched_ref at; /* where the result is kept */
    int32_t start;       /* the input that lies there already, or -1 */
};

static void add(struct part *t, enum msccl_type type, int32_t tb, struct sched_ref src,
                struct sched_ref dst)
{
    step_add(t->w, (struct msccl_out_step){.type = (uint8_t)type,
                                           .src = src,
                                           .dst = dst,
                                           .cnt = t->p->span_n,
                                           .tb = tb});
}

/* Chooses where the result is kept: the first local output, or scratch of its own, which
 * begins where the span does within a block. */
static void choose_place(struct part *t)
{
    const struct sched *s = t->w->s;
    t->start = -1;
    t->at.space = SCHED_PEER;
    for (int32_t i = t->p->nin; i < t->p->nin + t->p->nout; i++)
        if (t->refs[i].space != SCHED_PEER) {
            t->at = t->refs[i];
            break;
        }
    if (t->at.space == SCHED_PEER) {
        int32_t nsub = s->shape.nsub, sub = t->p->span_chunk % nsub;
        int32_t first = (s->shape.tmp_chunks + nsub - 1) / nsub * nsub + sub;
        /* One place for each channel, so that channels do not meet. */
        int32_t stride = (s->max_run + nsub - 1) / nsub * nsub + nsub;
        t->at = (struct sched_ref){SCHED_TMP, first + t->w->channel * stride};
        if (t->at.index + t->p->span_n > t->w->o->nscratch)
            t->w->o->nscratch = t->at.index + t->p->span_n;
    }
    for (int32_t i = 0; i < t->p->nin; i++)
        if (same_place(s, t->refs[i], t->at))
            t->start = i;
}

/* Combines all inputs at t->at. */
static void combine(struct part *t)
{
    int32_t start = t->start, local = -1;
    for (int32_t i = 0; i < t->p->nin; i++)
        if (local < 0 && i != start && t->refs[i].space != SCHED_PEER)
            local = i;
    bool there = start >= 0;
    for (int32_t i = 0; i < t->p->nin;
         i++) { /* messages first: they can take one along */
        if (t->refs[i].space != SCHED_PEER)
            continue;
        int32_t tb = tb_of_peer(t->w, t->p, i);
        if (there) {
            add(t, MSCCL_RECV_REDUCE_COPY, tb, t->at, t->at);
        } else if (local >= 0) {
            add(t, MSCCL_RECV_REDUCE_COPY, tb, t->refs[local], t->at);
            start = local; /* it has been counted */
        } else {
            add(t, MSCCL_RECV, tb, t->at, t->at);
        }
        there = true;
    }
    for (int32_t i = 0; i < t->p->nin; i++) {
        if (t->refs[i].space == SCHED_PEER || i == start || i == t->start)
            continue;
        add(t, there ? MSCCL_REDUCE : MSCCL_COPY, tb_local(t->w), t->refs[i], t->at);
        there = true;
    }
}

/* Gives what lies at `from` to the outputs but `skip` and what is there. */
static void distribute(struct part *t, struct sched_ref from, int32_t skip)
{
    /* In place, too, a contribution becomes a partial result by a copy. */
    bool raw = from.space == SCHED_IN && sched_coll_reduces(t->w->s->coll);
    for (int32_t i = t->p->nin; i < t->p->nin + t->p->nout; i++)
        if (t->refs[i].space == SCHED_PEER && i != skip)
            add(t, MSCCL_SEND, tb_of_peer(t->w, t->p, i), from, from);
    for (int32_t i = t->p->nin; i < t->p->nin + t->p->nout; i++)
        if (t->refs[i].space != SCHED_PEER &&
            (raw || !same_place(t->w->s, t->refs[i], from)))
            add(t, MSCCL_COPY, tb_local(t->w), from, t->refs[i]);
}

/* Receives and forwards in one. */
static void forward(struct part *t, int32_t in, int32_t out)
{
    int32_t tb = tb_of_peer(t->w, t->p, in);
    bool reduces = t->p->nin == 2, only = t->p->nout == 1;
    struct sched_ref local = t->refs[in == 0 && reduces ? 1 : 0];
    if (!reduces)
        add(t, MSCCL_RECV_COPY_SEND, tb, t->at, t->at);
    else
        add(t, only ? MSCCL_RECV_REDUCE_SEND : MSCCL_RECV_REDUCE_COPY_SEND, tb, local,
            only ? local : t->at);
    if (!only)
        distribute(t, t->at, out);
}

static void take_apart(struct walk *w, const struct sched_step *p)
{
    struct part t = {.w = w, .p = p, .refs = sched_in(w->s, p)};
    if (p->nin == 1 && t.refs[0].space != SCHED_PEER) {
        distribute(&t, t.refs[0], -1);
        return;
    }
    choose_place(&t);
    int32_t in = peer_operand(w->s, p, false), out = peer_operand(w->s, p, true);
    if (can_forward(w->s, p) && !w->sides[side_root(w, side_of(w, p, in))].apart) {
        forward(&t, in, out);
        return;
    }
    combine(&t);
    distribute(&t, t.at, -1);
}

/* ---- The rank -----------------------------------------------------------------------
 */

static void walk_step(struct walk *w, int32_t index)
{
    const struct sched_step *p = &w->s->steps[index];
    if (p->after_step >= 0)
        wait_add(w, w->done[w->s->channels[p->after_channel].first + p->after_step]);
    if (p->nin > 0)
        take_apart(w, p);
    else if (w->npending > 0) { /* others may wait for it */
        int32_t dep = w->pending[--w->npending];
        step_append(
            w, (struct msccl_out_step){.type = MSCCL_NOP, .tb = tb_local(w), .dep = dep});
    }
    w->done[index] = w->last;
}

/* All channels, as far as `after` lets them: what a step waits for has its steps before.
 */
static trncclResult_t walk_all(struct walk *walks, const struct sched *s)
{
    int32_t at[SCHED_MAX_CHANNELS] = {0}, left = s->nsteps;
    while (left > 0) {
        int32_t before = left;
        for (int32_t c = 0; c < s->nchannels; c++)
            for (; at[c] < s->channels[c].nsteps; at[c]++, left--) {
                const struct sched_step *p = &s->steps[s->channels[c].first + at[c]];
                if (p->after_step >= 0 && at[p->after_channel] <= p->after_step)
                    break;
                walk_step(&walks[c], s->channels[c].first + at[c]);
            }
        if (left == before)
            return error_set(trncclInvalidArgument,
                             "%s %s rank %d: %d steps wait for each other",
                             sched_coll_name(s->coll), s->algo, s->rank, left);
    }
    return trncclSuccess;
}

trncclResult_t msccl_out_init(struct msccl_out *o, const struct sched *s)
{
    *o = (struct msccl_out){.s = s, .nscratch = s->shape.tmp_chunks};
    struct walk *walks = calloc((size_t)s->nchannels + 1, sizeof *walks);
    int32_t *done = malloc(((size_t)s->nsteps + 1) * sizeof *done);
    bool ok = walks && done;
    for (int32_t c = 0; ok && c < s->nchannels; c++) {
        walks[c] = (struct walk){
            .o = o, .s = s, .channel = c, .local_tb = -1, .last = -1, .done = done};
        find_sides(&walks[c]);
    }
    trncclResult_t result = ok ? walk_all(walks, s) : trncclSystemError;
    for (int32_t c = 0; ok && c < s->nchannels; c++) {
        if (walks[c].failed)
            result = trncclSystemError;
        free(walks[c].sides);
    }
    free(walks);
    free(done);
    if (result == trncclSystemError)
        result = error_set(result, "no memory to export %d steps", s->nsteps);
    if (result != trncclSuccess)
        msccl_out_fini(o);
    return result;
}

void msccl_out_fini(struct msccl_out *o)
{
    free(o->tbs);
    free(o->steps);
    *o = (struct msccl_out){0};
}
