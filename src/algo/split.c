#include "algo/split.h"

#include <stdlib.h>

#include "algo/embed.h"

/* One half of the schedule inside: its steps on one channel each, operands copied. */
struct half {
    struct sched sched;
    struct sched_step *steps; /* owned */
    struct sched_ref *refs;   /* owned */
};

struct cut {
    struct build *b;
    const struct split *s;
    struct half up, down;
    int32_t width;     /* chunks of the whole per chunk inside */
    int32_t nsub, tmp; /* of the whole; where scratch between begins */
};

bool split_suits(const struct split *s)
{
    for (int32_t i = 0; i < s->inside->nsteps; i++)
        if (s->inside->steps[i].after_step >= 0)
            return false;
    return s->inside->nchannels * (2 + s->between->nchannels) <= SCHED_ALGO_CHANNELS;
}

static bool half_alloc(struct half *h, const struct sched *inside)
{
    h->sched = *inside;
    h->steps = malloc(((size_t)inside->nsteps + 1) * sizeof *h->steps);
    h->refs =
        malloc(((size_t)inside->nrefs + (size_t)inside->nsteps + 1) * sizeof *h->refs);
    h->sched.steps = h->steps;
    h->sched.refs = h->refs;
    h->sched.nsteps = h->sched.nrefs = 0;
    return h->steps && h->refs;
}

/* Adds a step like p with these operands. */
static void half_add(struct half *h, const struct sched_step *p,
                     const struct sched_ref *in, int32_t nin, const struct sched_ref *out,
                     int32_t nout)
{
    struct sched_step *to = &h->steps[h->sched.nsteps];
    *to = *p;
    to->first = h->sched.nrefs;
    to->flags = 0;
    for (int32_t i = 0; i < nin; i++)
        h->refs[h->sched.nrefs++] = in[i];
    for (int32_t i = 0; i < nout; i++)
        h->refs[h->sched.nrefs++] = out[i];
    to->nin = (int16_t)nin;
    to->nout = (int16_t)nout;
    h->sched.nsteps++;
}

/* Data are final in what is sent from OUT and in what is received and only stored or
 * handed on; partial sums are received to be combined. Both ends of a message agree. */
static bool is_final(const struct sched *s, const struct sched_step *p)
{
    const struct sched_ref *in = sched_in(s, p);
    return p->nin == 1 && (in->space == SCHED_PEER || in->space == SCHED_OUT);
}

/* Where a completing step keeps the sum. */
static const struct sched_ref *result_of(const struct sched *s,
                                         const struct sched_step *p)
{
    const struct sched_ref *out = sched_out(s, p);
    for (int32_t i = 0; i < p->nout; i++)
        if (out[i].space == SCHED_OUT)
            return &out[i];
    return NULL;
}

/* A completing step keeps its sum; who got it from there gets it from OUT, later. */
static void cut_step(struct cut *c, const struct sched_step *p)
{
    const struct sched *s = c->s->inside;
    const struct sched_ref *in = sched_in(s, p), *out = sched_out(s, p);
    if (!(p->flags & SCHED_FINAL)) {
        half_add(is_final(s, p) ? &c->down : &c->up, p, in, p->nin, out, p->nout);
        return;
    }
    const struct sched_ref *kept = result_of(s, p);
    half_add(&c->up, p, in, p->nin, kept, 1);
    struct sched_ref peers[p->nout];
    int32_t n = 0;
    for (int32_t i = 0; i < p->nout; i++)
        if (out[i].space == SCHED_PEER)
            peers[n++] = out[i];
    if (n > 0)
        half_add(&c->down, p, kept, 1, peers, n);
}

static bool cut_all(struct cut *c)
{
    const struct sched *s = c->s->inside;
    if (!half_alloc(&c->up, s) || !half_alloc(&c->down, s))
        return false;
    for (int32_t k = 0; k < s->nchannels; k++) {
        int32_t up = c->up.sched.nsteps, down = c->down.sched.nsteps;
        for (int32_t i = 0; i < s->channels[k].nsteps; i++)
            cut_step(c, &s->steps[s->channels[k].first + i]);
        c->up.sched.channels[k] = (struct sched_channel){up, c->up.sched.nsteps - up};
        c->down.sched.channels[k] =
            (struct sched_channel){down, c->down.sched.nsteps - down};
    }
    return true;
}

/* Describes channel k of a half on a channel of the whole. */
static struct build_mark emit_half(const struct cut *c, const struct half *h, int32_t k,
                                   int32_t channel, struct build_mark after)
{
    struct sched one = h->sched;
    one.channels[0] = one.channels[k];
    one.nchannels = 1;
    struct embed e = {.first_rank = c->s->first_rank,
                      .rank_stride = 1,
                      .in = {.space = SCHED_IN},
                      .out = {.space = SCHED_OUT},
                      .width = c->width,
                      .tmp_repeat = c->nsub,
                      .channel = channel,
                      .after = after};
    return embed_emit(c->b, &one, &e);
}

static struct embed between_map(const struct cut *c, const struct sched_step *p,
                                int32_t k, struct build_mark after)
{
    const struct sched *inside = c->s->inside, *between = c->s->between;
    const struct sched_ref *kept = result_of(inside, p);
    return (struct embed){
        .first_rank = c->s->mine,
        .rank_stride = c->s->size,
        .in = {.space = SCHED_OUT, .first = kept->index * c->width},
        .out = {.space = SCHED_OUT, .first = kept->index * c->width},
        .width = p->span_n * c->width / between->shape.nsub,
        .tmp_origin = c->tmp,
        .tmp_repeat = c->nsub,
        .channel = 2 * inside->nchannels + k * between->nchannels,
        .final = true,
        .after = after,
        .join = true,
    };
}

/* Calls for every completing step of channel k; `after` is what it starts after, at
 * first. Returns what comes after the last. run: the longest run so far, or NULL to
 * describe the steps. */
static struct build_mark put_between(const struct cut *c, int32_t k,
                                     struct build_mark after, int32_t *run)
{
    const struct sched *s = c->s->inside;
    for (int32_t i = 0; i < s->channels[k].nsteps; i++) {
        const struct sched_step *p = &s->steps[s->channels[k].first + i];
        if (!(p->flags & SCHED_FINAL))
            continue;
        struct embed e = between_map(c, p, k, after);
        int32_t longest = embed_max_run(c->s->between, &e);
        if (!run)
            after = embed_emit(c->b, c->s->between, &e);
        else if (longest > *run)
            *run = longest;
    }
    return after;
}

static void emit_all(struct cut *c)
{
    static const struct build_mark at_once = {-1, -1};
    const struct sched *inside = c->s->inside, *between = c->s->between;
    struct embed map = {.width = c->width, .tmp_repeat = c->nsub};
    struct embed share = {.width = 1, .tmp_repeat = c->nsub};
    int32_t run = embed_max_run(inside, &map), n = inside->nchannels;
    for (int32_t k = 0; k < n; k++)
        put_between(c, k, at_once, &run);
    c->tmp = embed_tmp_chunks(inside, &map);
    build_shape(c->b, c->nsub, c->tmp + embed_tmp_chunks(between, &share), SCHED_OUT);
    build_run(c->b, run);
    build_credits(c->b, inside->credits > between->credits ? inside->credits
                                                           : between->credits);
    for (int32_t k = 0; k < n; k++) {
        struct build_mark sum = emit_half(c, &c->up, k, k, at_once);
        struct build_mark all = put_between(c, k, sum, NULL);
        emit_half(c, &c->down, k, n + k, all);
    }
}

void split_build(struct build *b, const struct split *s)
{
    struct cut c = {.b = b, .s = s, .width = s->between->shape.nsub};
    c.nsub = s->inside->shape.nsub * c.width;
    if (cut_all(&c))
        emit_all(&c);
    else
        build_abort(b, error_set(trncclSystemError, "no memory to cut %d steps",
                                 s->inside->nsteps));
    free(c.up.steps);
    free(c.up.refs);
    free(c.down.steps);
    free(c.down.refs);
}
