#include "sched/derive.h"

#include <stdlib.h>

int32_t derive_ncanon(const struct sched *s)
{
    return sched_nchunks(s, SCHED_OUT) + sched_nchunks(s, SCHED_IN) + s->shape.tmp_chunks;
}

int32_t derive_canon(const struct sched *s, enum sched_space space, int32_t chunk)
{
    int32_t nout = sched_nchunks(s, SCHED_OUT);
    if (space == SCHED_OUT)
        return chunk;
    if (space == SCHED_TMP)
        return nout + sched_nchunks(s, SCHED_IN) + chunk;
    int32_t alias = sched_alias(s, SCHED_IN, chunk);
    return alias >= 0 ? alias : nout + chunk;
}

/* The sends of one channel that may still read a chunk after their step: for canonical
 * chunk c, steps[start[c]] up to steps[start[c + 1] - 1], ascending. */
struct lent {
    int32_t *start, *steps;
};

struct derive {
    struct sched *s;
    int32_t ncanon, nchannels;
    int32_t *first_touch; /* [nchannels * ncanon] 1 + first step that uses it; 0: none */
    int32_t *known; /* [nsteps * nchannels] leading steps of a channel done before it */
    struct lent lent[SCHED_MAX_CHANNELS];
};

static bool has_peer(const struct sched_ref *refs, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        if (refs[i].space == SCHED_PEER)
            return true;
    return false;
}

static bool in_user_memory(const struct sched_ref *ref)
{
    return ref->space == SCHED_IN || ref->space == SCHED_OUT;
}

/* Calls visit(d, channel, step, canonical chunk) for every chunk of a local operand. */
typedef void visit_fn(struct derive *d, int32_t channel, int32_t step, int32_t canon);

static void visit_ref(struct derive *d, int32_t channel, int32_t step,
                      const struct sched_ref *ref, int32_t n, visit_fn *visit)
{
    if (ref->space == SCHED_PEER)
        return;
    for (int32_t i = 0; i < n; i++)
        visit(d, channel, step,
              derive_canon(d->s, (enum sched_space)ref->space, ref->index + i));
}

/* Visits what step `step` of `channel` may lend: see sched_step.drain. */
static void visit_lent(struct derive *d, int32_t channel, int32_t step, visit_fn *visit)
{
    const struct sched_step *p = &d->s->steps[d->s->channels[channel].first + step];
    const struct sched_ref *in = sched_in(d->s, p), *out = sched_out(d->s, p);
    if (!has_peer(out, p->nout) || (p->flags & SCHED_STAGED))
        return;
    if (p->nin == 1 && in_user_memory(in))
        visit_ref(d, channel, step, in, p->span_n, visit);
    for (int32_t i = 0; i < p->nout; i++)
        if (in_user_memory(&out[i]))
            visit_ref(d, channel, step, &out[i], p->span_n, visit);
}

static void count_lent(struct derive *d, int32_t channel, int32_t step, int32_t canon)
{
    (void)step;
    d->lent[channel].start[canon + 1]++;
}

/* start[c] is the next free place of c while the lists are filled. */
static void list_lent(struct derive *d, int32_t channel, int32_t step, int32_t canon)
{
    struct lent *l = &d->lent[channel];
    l->steps[l->start[canon]++] = step;
}

static bool lent_init(struct derive *d, int32_t channel)
{
    struct lent *l = &d->lent[channel];
    int32_t nsteps = d->s->channels[channel].nsteps;
    l->start = calloc((size_t)d->ncanon + 2, sizeof *l->start);
    if (!l->start)
        return false;
    for (int32_t i = 0; i < nsteps; i++)
        visit_lent(d, channel, i, count_lent);
    for (int32_t c = 0; c < d->ncanon; c++)
        l->start[c + 1] += l->start[c];
    l->steps = malloc(((size_t)l->start[d->ncanon] + 1) * sizeof *l->steps);
    if (!l->steps)
        return false;
    for (int32_t i = 0; i < nsteps; i++)
        visit_lent(d, channel, i, list_lent);
    /* Filling moved every start to the next one's place: move them back. */
    for (int32_t c = d->ncanon; c > 0; c--)
        l->start[c] = l->start[c - 1];
    l->start[0] = 0;
    return true;
}

/* The last step before `bound` of a channel that lends the chunk, or -1. */
static int32_t lent_last(const struct derive *d, int32_t channel, int32_t canon,
                         int32_t bound)
{
    const struct lent *l = &d->lent[channel];
    int32_t low = l->start[canon], high = l->start[canon + 1];
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (l->steps[middle] < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low > l->start[canon] ? l->steps[low - 1] : -1;
}

static void touch(struct derive *d, int32_t channel, int32_t step, int32_t canon)
{
    int32_t *first = &d->first_touch[(size_t)channel * d->ncanon + canon];
    if (*first == 0)
        *first = step + 1;
}

static int32_t *known_of(const struct derive *d, int32_t channel, int32_t step)
{
    size_t at = (size_t)d->s->channels[channel].first + step;
    return &d->known[at * d->nchannels];
}

/* What is done when this step starts: all that was when the step before it started, and
 * when the step named by `after` did, and these two steps. */
static void know_step(struct derive *d, int32_t channel, int32_t step)
{
    const struct sched_step *p = &d->s->steps[d->s->channels[channel].first + step];
    int32_t *known = known_of(d, channel, step);
    for (int32_t c = 0; c < d->nchannels; c++) {
        int32_t most = step > 0 ? known_of(d, channel, step - 1)[c] : 0;
        if (p->after_step >= 0) {
            int32_t there = known_of(d, p->after_channel, p->after_step)[c];
            most = there > most ? there : most;
        }
        known[c] = most;
    }
    known[channel] = step;
    if (p->after_step >= 0 && known[p->after_channel] <= p->after_step)
        known[p->after_channel] = p->after_step + 1;
}

/* Walks all channels in an order that respects `after`. */
static trncclResult_t know_all(struct derive *d)
{
    int32_t at[SCHED_MAX_CHANNELS] = {0}, left = d->s->nsteps;
    while (left > 0) {
        int32_t before = left;
        for (int32_t c = 0; c < d->nchannels; c++) {
            const struct sched_channel *ch = &d->s->channels[c];
            for (; at[c] < ch->nsteps; at[c]++, left--) {
                const struct sched_step *p = &d->s->steps[ch->first + at[c]];
                if (p->after_step >= 0 && at[p->after_channel] <= p->after_step)
                    break;
                know_step(d, c, at[c]);
            }
        }
        if (left == before)
            return error_set(trncclInvalidArgument,
                             "%s %s rank %d: `after` waits in a circle: %d steps can "
                             "never start",
                             sched_coll_name(d->s->coll), d->s->algo, d->s->rank, left);
    }
    return trncclSuccess;
}

/* The step through which (channel, step) knows that step `sent` of channel `from` is
 * done: the last one of its own channel that waits for it, else of the lowest channel
 * that has one. Where another channel's send is overwritten, that step must wait for the
 * drain. */
static struct sched_step *edge_find(struct derive *d, int32_t channel, int32_t step,
                                    int32_t from, int32_t sent)
{
    const int32_t *known = known_of(d, channel, step);
    for (int32_t turn = -1; turn < d->nchannels; turn++) {
        int32_t c = turn < 0 ? channel : turn;
        int32_t last = c == channel ? step : known[c] - 1;
        struct sched_step *steps = &d->s->steps[d->s->channels[c].first];
        for (int32_t i = last; i >= 0 && c != from; i--)
            if (steps[i].after_step >= sent && steps[i].after_channel == from)
                return &steps[i];
    }
    return NULL;
}

static void mark_write(struct derive *d, int32_t channel, int32_t step, int32_t canon)
{
    struct sched_step *p = &d->s->steps[d->s->channels[channel].first + step];
    const int32_t *known = known_of(d, channel, step);
    for (int32_t c = 0; c < d->nchannels; c++) {
        int32_t sent = lent_last(d, c, canon, known[c]);
        if (sent < 0)
            continue;
        if (c == channel) {
            if (p->drain <= sent)
                p->drain = sent + 1;
            continue;
        }
        struct sched_step *edge = edge_find(d, channel, step, c, sent);
        if (edge)
            edge->after_drain = true;
    }
}

/* Whether (channel, step), a use of its chunk, is ordered before every other use. */
static bool is_first_use(const struct derive *d, int32_t channel, int32_t step,
                         int32_t canon)
{
    for (int32_t c = 0; c < d->nchannels; c++) {
        int32_t first = d->first_touch[(size_t)c * d->ncanon + canon] - 1;
        if (first < 0)
            continue;
        if (c == channel ? first != step : known_of(d, c, first)[channel] <= step)
            return false;
    }
    return true;
}

static bool can_post_early(const struct derive *d, int32_t channel, int32_t step)
{
    const struct sched_step *p = &d->s->steps[d->s->channels[channel].first + step];
    const struct sched_ref *in = sched_in(d->s, p), *out = sched_out(d->s, p);
    if (p->nin != 1 || in->space != SCHED_PEER || p->nout != 1 ||
        out->space != SCHED_OUT || (p->flags & SCHED_FINAL))
        return false;
    for (int32_t i = 0; i < p->span_n; i++)
        if (!is_first_use(d, channel, step,
                          derive_canon(d->s, SCHED_OUT, out->index + i)))
            return false;
    return true;
}

/* Whether every local operand's chunks belong to blocks of the span's sizes. */
static bool step_is_v_safe(const struct sched *s, const struct sched_step *p)
{
    const struct sched_ref *refs = s->refs + p->first;
    for (int32_t r = 0; r < p->nin + p->nout; r++) {
        if (refs[r].space == SCHED_PEER)
            continue;
        for (int32_t i = 0; i < p->span_n; i++)
            if (sched_block_class(s, (enum sched_space)refs[r].space,
                                  refs[r].index + i) !=
                sched_block_class(s, (enum sched_space)p->span_space, p->span_chunk + i))
                return false;
    }
    return true;
}

static void mark_step(struct derive *d, int32_t channel, int32_t step)
{
    struct sched *s = d->s;
    struct sched_step *p = &s->steps[s->channels[channel].first + step];
    const struct sched_ref *out = sched_out(s, p);
    for (int32_t i = 0; i < p->nout; i++)
        if (in_user_memory(&out[i]))
            visit_ref(d, channel, step, &out[i], p->span_n, mark_write);
    if (can_post_early(d, channel, step))
        p->flags |= SCHED_POST_EARLY;
    if (has_peer(s->refs + p->first, p->nin + p->nout) && p->span_n > s->max_run)
        s->max_run = p->span_n;
    if (!step_is_v_safe(s, p))
        s->v_safe = false;
}

static trncclResult_t derive_init(struct derive *d)
{
    struct sched *s = d->s;
    d->first_touch = calloc((size_t)d->nchannels * d->ncanon + 1, sizeof *d->first_touch);
    d->known = calloc((size_t)s->nsteps * d->nchannels + 1, sizeof *d->known);
    bool ok = d->first_touch && d->known;
    for (int32_t c = 0; ok && c < d->nchannels; c++)
        ok = lent_init(d, c);
    if (!ok)
        return error_set(trncclSystemError,
                         "%s %s rank %d: no memory to derive the marks of %d steps",
                         sched_coll_name(s->coll), s->algo, s->rank, s->nsteps);
    for (int32_t c = 0; c < d->nchannels; c++) {
        for (int32_t i = 0; i < s->channels[c].nsteps; i++) {
            struct sched_step *p = &s->steps[s->channels[c].first + i];
            p->drain = 0;
            p->after_drain = false;
            p->flags &= (uint8_t)~SCHED_POST_EARLY;
            for (int32_t r = 0; r < p->nin + p->nout; r++)
                visit_ref(d, c, i, &s->refs[p->first + r], p->span_n, touch);
        }
    }
    return trncclSuccess;
}

trncclResult_t derive_marks(struct sched *s)
{
    struct derive d = {.s = s, .ncanon = derive_ncanon(s), .nchannels = s->nchannels};
    s->max_run = 1;
    s->v_safe = true;
    trncclResult_t result = derive_init(&d);
    if (result == trncclSuccess)
        result = know_all(&d);
    for (int32_t c = 0; result == trncclSuccess && c < d.nchannels; c++)
        for (int32_t i = 0; i < s->channels[c].nsteps; i++)
            mark_step(&d, c, i);
    for (int32_t c = 0; c < d.nchannels; c++) {
        free(d.lent[c].start);
        free(d.lent[c].steps);
    }
    free(d.first_touch);
    free(d.known);
    return result;
}
