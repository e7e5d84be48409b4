#include "algo/embed.h"

#include <stdlib.h>

struct emission {
    struct build *b;
    const struct sched *part;
    const struct embed *e;
    bool cuts;
    int32_t tmp_period;
    struct build_mark *marks; /* [nsteps] the last step that each became; owned */
    struct build_mark end;    /* of the channels that are done */
};

/* How many blocks the part's TMP is like, once round. */
static int32_t tmp_blocks(const struct sched *part)
{
    return part->shape.tmp_like == SCHED_IN ? part->shape.in_blocks
                                            : part->shape.out_blocks;
}

static const struct embed_space *tmp_like(const struct sched *part, const struct embed *e)
{
    return part->shape.tmp_like == SCHED_IN ? &e->in : &e->out;
}

static bool follows(const struct embed_space *s, int32_t nblocks, int32_t block)
{
    return nblocks <= 1 || (!s->order && s->stride == block);
}

/* Chunks of one turn of the part's TMP in the whole: all blocks of the space it is like.
 */
static int32_t tmp_period(const struct sched *part, const struct embed *e)
{
    const struct embed_space *s = tmp_like(part, e);
    int32_t last = 0;
    for (int32_t i = 0; i < tmp_blocks(part); i++)
        last = !s->order ? i : s->order[i] > last ? s->order[i] : last;
    int32_t end =
        s->first % e->tmp_repeat + last * s->stride + part->shape.nsub * e->width;
    return (end + e->tmp_repeat - 1) / e->tmp_repeat * e->tmp_repeat;
}

/* Whether runs that go beyond a block have to be cut. */
static bool must_cut(const struct sched *part, const struct embed *e)
{
    int32_t block = part->shape.nsub * e->width;
    return !follows(&e->in, part->shape.in_blocks, block) ||
           !follows(&e->out, part->shape.out_blocks, block);
}

int32_t embed_max_run(const struct sched *part, const struct embed *e)
{
    int32_t block = part->shape.nsub * e->width, run = part->max_run * e->width;
    return must_cut(part, e) && run > block ? block : run;
}

int32_t embed_tmp_chunks(const struct sched *part, const struct embed *e)
{
    if (part->shape.tmp_chunks == 0)
        return 0;
    int32_t turn = tmp_blocks(part) * part->shape.nsub;
    return (part->shape.tmp_chunks + turn - 1) / turn * tmp_period(part, e);
}

/* From the first chunk of the first block. */
static int32_t place(const struct embed *e, const struct embed_space *s, int32_t nsub,
                     int32_t chunk)
{
    int32_t block = chunk / nsub;
    return (s->order ? s->order[block] : block) * s->stride + chunk % nsub * e->width;
}

/* Where a chunk of the part begins in the whole. */
static struct sched_ref chunk_of(const struct emission *m, unsigned space, int32_t chunk)
{
    const struct embed *e = m->e;
    const struct sched_shape *shape = &m->part->shape;
    if (space != SCHED_TMP) {
        const struct embed_space *s = space == SCHED_IN ? &e->in : &e->out;
        return (struct sched_ref){(uint8_t)s->space,
                                  s->origin + s->first + place(e, s, shape->nsub, chunk)};
    }
    const struct embed_space *like = tmp_like(m->part, e);
    int32_t turn = tmp_blocks(m->part) * shape->nsub;
    return (struct sched_ref){SCHED_TMP, e->tmp_origin + chunk / turn * m->tmp_period +
                                             like->first % e->tmp_repeat +
                                             place(e, like, shape->nsub, chunk % turn)};
}

static int32_t rank_of(const struct embed *e, int32_t rank)
{
    return e->ranks ? e->ranks[rank] : e->first_rank + rank * e->rank_stride;
}

/* Describes chunks [at, at + n) of a step's operands. */
static struct build_mark emit_piece(const struct emission *m, int32_t channel,
                                    const struct sched_step *p, int32_t at, int32_t n)
{
    struct build_mark mark = build_step(m->b, m->e->channel + channel);
    const struct sched_ref *refs = m->part->refs + p->first;
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        bool out = i >= p->nin;
        if (refs[i].space == SCHED_PEER) {
            (out ? build_to : build_from)(m->b, rank_of(m->e, refs[i].index));
            continue;
        }
        struct sched_ref r = chunk_of(m, refs[i].space, refs[i].index + at);
        (out ? build_local_out : build_local_in)(m->b, (enum sched_space)r.space,
                                                 r.index);
    }
    struct sched_ref span = chunk_of(m, p->span_space, p->span_chunk + at);
    build_span(m->b, (enum sched_space)span.space, span.index, n * m->e->width);
    if ((p->flags & SCHED_FINAL) && m->e->final)
        build_final(m->b);
    return mark;
}

/* Remembers which blocks of OUT a step was the last to write. */
static void note_writes(const struct emission *m, const struct sched_step *p,
                        struct build_mark mark)
{
    const struct sched_ref *out = sched_out(m->part, p);
    for (int32_t i = 0; i < p->nout; i++)
        for (int32_t k = 0; k < p->span_n && out[i].space == SCHED_OUT; k++)
            m->e->wrote[(out[i].index + k) / m->part->shape.nsub] = mark;
}

/* What the last step of a channel waits for, besides: the channels before it. The first
 * step of a channel waits for `after`, and a channel's end so for it as well. */
static void emit_waits(const struct emission *m, int32_t channel, int32_t step)
{
    const struct sched_channel *ch = &m->part->channels[channel];
    const struct sched_step *p = &m->part->steps[ch->first + step];
    bool joins = m->e->join && step == ch->nsteps - 1 && m->end.step >= 0;
    if (p->after_step >= 0)
        build_after(m->b,
                    m->marks[m->part->channels[p->after_channel].first + p->after_step]);
    if (joins)
        build_after(m->b, m->end);
    else if (step == 0 && p->after_step < 0)
        build_after(m->b, m->e->after);
}

static void emit_step(struct emission *m, int32_t channel, int32_t step)
{
    const struct sched_channel *ch = &m->part->channels[channel];
    const struct sched_step *p = &m->part->steps[ch->first + step];
    struct build_mark mark = {-1, -1};
    for (int32_t at = 0, n; at < p->span_n; at += n) {
        int32_t nsub = m->part->shape.nsub, left = p->span_n - at;
        n = nsub - (p->span_chunk + at) % nsub;
        n = !m->cuts || n > left ? left : n;
        mark = emit_piece(m, channel, p, at, n);
        /* The first piece waits for what the step waits for; so does the last one, for
         * what only the end of a channel does. */
        if (at == 0 || at + n == p->span_n)
            emit_waits(m, channel, step);
    }
    m->marks[ch->first + step] = mark;
    if (m->e->wrote)
        note_writes(m, p, mark);
    if (step == ch->nsteps - 1)
        m->end = mark;
}

/* Whether the steps that (channel, step) waits for have been described. */
static bool can_emit(const struct emission *m, const int32_t *at, int32_t channel)
{
    const struct sched_channel *ch = &m->part->channels[channel];
    const struct sched_step *p = &m->part->steps[ch->first + at[channel]];
    return p->after_step < 0 || at[p->after_channel] > p->after_step;
}

struct build_mark embed_emit(struct build *b, const struct sched *part,
                             const struct embed *e)
{
    static const struct build_mark at_once = {-1, -1};
    struct emission m = {
        .b = b,
        .part = part,
        .e = e,
        .cuts = must_cut(part, e),
        .tmp_period = part->shape.tmp_chunks > 0 ? tmp_period(part, e) : 0,
        .end = e->join ? at_once : e->after,
    };
    int32_t at[SCHED_MAX_CHANNELS] = {0};
    m.marks = calloc((size_t)part->nsteps + 1, sizeof *m.marks);
    if (!m.marks) {
        build_abort(b, error_set(trncclSystemError, "no memory for %d steps of a part",
                                 part->nsteps));
        return e->after;
    }
    for (bool more = true; more;) {
        more = false;
        for (int32_t c = 0; c < part->nchannels; c++)
            for (; at[c] < part->channels[c].nsteps && can_emit(&m, at, c); more = true)
                emit_step(&m, c, at[c]++);
    }
    free(m.marks);
    return m.end.step >= 0 ? m.end : e->after;
}
