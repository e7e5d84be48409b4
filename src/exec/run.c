#include "exec/run.h"

#include <stdlib.h>
#include <string.h>

/* ---- storage ---- */

static trncclResult_t grow(void **array, size_t *capacity, size_t needed, size_t elem)
{
    if (needed <= *capacity)
        return trncclSuccess;
    void *p = realloc(*array, needed * elem);
    if (!p)
        return error_set(trncclSystemError,
                         "out of memory: %zu bytes of executor scratch", needed * elem);
    *array = p;
    *capacity = needed;
    return trncclSuccess;
}

trncclResult_t exec_run_reserve(struct exec_run *r, const struct exec_program *p)
{
    size_t channels = (size_t)p->sched->nchannels;
    TRY(grow((void **)&r->in, &r->in_capacity, channels * p->max_in, sizeof(void *)));
    TRY(grow((void **)&r->out, &r->out_capacity, channels * p->max_out, sizeof(void *)));
    size_t nlent = (size_t)p->noperands + p->nouts;
    TRY(grow((void **)&r->lent_at, &r->lent_capacity, nlent, sizeof(uint64_t)));
    return trncclSuccess;
}

void exec_run_fini(struct exec_run *r)
{
    free(r->in);
    free(r->out);
    free(r->lent_at);
    *r = (struct exec_run){0};
}

/* ---- small questions ---- */

/* Bytes of the step's message in this round; 0: the step has nothing to do. */
static inline size_t message_nbytes(const struct exec_program *p,
                                    const struct exec_step *s, size_t offset)
{
    if (__builtin_expect(s->npieces == 1, 1))
        return layout_share(s->nbytes, offset, p->slice);
    size_t total = 0;
    for (int i = 0; i < s->npieces; i++)
        total += layout_share(p->sizes[s->pieces + i], offset, p->slice);
    return total;
}

static inline char *local_address(const struct exec_run *r, const struct exec_operand *o,
                                  int piece, size_t offset)
{
    return r->base[o->space] + r->program->offsets[o->at + piece] + offset;
}

/* ---- conditions of a step ---- */

/* Whether the step that must come first, on another channel, has completed in this round.
 */
static inline bool after_met(const struct exec_run *r, const struct exec_channel *c,
                             const struct exec_step *s)
{
    const struct exec_channel *o = &r->channels[s->after_channel];
    return o->round > c->round || (o->round == c->round && o->step > s->after_step);
}

/* Whether the sends that steps [first, first + n) lent in this round have been read. */
static bool lends_returned(const struct exec_run *r, int32_t first, int32_t n)
{
    const struct exec_program *p = r->program;
    for (const struct exec_step *s = p->steps + first; s < p->steps + first + n; s++)
        for (int i = s->first + s->nin; i < s->first + s->nin + s->nout; i++) {
            struct transport_conn *conn = p->operands[i].conn;
            if (r->lent_at[i] && !conn->ops->drained(conn, (uint32_t)(r->lent_at[i] - 1)))
                return false;
            r->lent_at[i] = 0;
        }
    return true;
}

/* A channel whose lent buffers others ask about (program->holds) stays in its round until
 * they are back, so a later round means they are. */
static bool may_write(const struct exec_run *r, int channel, const struct exec_step *s)
{
    const struct sched_channel *channels = r->program->sched->channels;
    if (s->drain && r->channels[channel].lent &&
        !lends_returned(r, channels[channel].first, s->drain))
        return false;
    const struct exec_channel *other =
        &r->channels[s->after_drain ? s->after_channel : 0];
    if (s->after_drain && other->lent && other->round == r->channels[channel].round &&
        !lends_returned(r, channels[s->after_channel].first, s->after_step + 1))
        return false;
    return true;
}

/* ---- rounds ---- */

/* Names the landing places of all receives that may land before their step is reached. */
static void post_early(struct exec_run *r, int channel)
{
    const struct exec_program *p = r->program;
    const struct exec_channel *c = &r->channels[channel];
    const struct sched_channel *ch = &p->sched->channels[channel];
    size_t offset = (size_t)c->round * p->slice;
    for (int i = 0; i < ch->nsteps; i++) {
        const struct exec_step *s = &p->steps[ch->first + i];
        size_t nbytes = message_nbytes(p, s, offset);
        if (!s->post_early || s->npieces != 1 || !nbytes)
            continue;
        const struct exec_operand *o = &p->operands[s->first];
        /* Which message of its connection it will be: earlier steps take theirs first. */
        uint32_t message = o->conn->next;
        for (const struct exec_step *e = p->steps + ch->first; e < s; e++)
            for (int j = 0; j < e->nin; j++)
                message += p->operands[e->first + j].conn == o->conn &&
                           message_nbytes(p, e, offset) > 0;
        o->conn->ops->post(o->conn, message, local_address(r, o + 1, 0, offset), nbytes,
                           r->region[SCHED_OUT]);
    }
}

static void round_begin(struct exec_run *r, int channel)
{
    struct exec_channel *c = &r->channels[channel];
    const struct exec_program *p = r->program;
    const struct sched_channel *ch = &p->sched->channels[channel];
    c->step = c->nready = 0;
    c->posted = false;
    if (p->posts)
        post_early(r, channel);
    if (!c->lent)
        return;
    int first = p->steps[ch->first].first;
    const struct exec_step *last = &p->steps[ch->first + ch->nsteps - 1];
    memset(r->lent_at + first, 0,
           (last->first + last->nin + last->nout - first) * sizeof *r->lent_at);
    c->lent = false;
}

void exec_run_start(struct exec_run *r)
{
    const struct exec_program *p = r->program;
    r->lent_last = r->lent_at + p->noperands;
    r->nleft = 0;
    if (p->lends)
        memset(r->lent_at, 0, (p->noperands + p->nouts) * sizeof *r->lent_at);
    for (int i = 0; i < p->sched->nchannels; i++) {
        r->channels[i] = (struct exec_channel){0};
        if (p->sched->channels[i].nsteps == 0 || p->nrounds == 0) {
            r->channels[i].round = p->nrounds;
            continue;
        }
        r->nleft++;
        if (!p->plain)
            round_begin(r, i);
    }
}

/* ---- one step ---- */

/* Whether the step changes values even with one input. */
static inline bool step_scales(const struct exec_run *r, const struct exec_step *s)
{
    return (s->raw >= 0 && r->combine->premul) || (s->final && r->combine->final_scales);
}

/* Whether what the step sends lies ready in its one input. */
static inline bool step_sends_input(const struct exec_run *r, const struct exec_step *s)
{
    return s->copies_in && s->npieces == 1 && !step_scales(r, s);
}

/* Where the bytes of the step's messages lie, or will lie, if the transport could lend
 * them as they are; NULL if it cannot. */
static inline const void *step_source(const struct exec_run *r, const struct exec_step *s,
                                      size_t offset, struct transport_source *src)
{
    const struct exec_operand *o = r->program->operands + s->first;
    const struct exec_operand *from = NULL;
    if (step_sends_input(r, s))
        from = &o[0];
    else if (s->npieces == 1 && s->source >= 0)
        from = &o[s->nin + s->source];
    *src = (struct transport_source){
        .at = from ? local_address(r, from, 0, offset) : NULL,
        .region = from ? r->region[from->space] : NULL,
        .also_written = s->writes,
        .stored = s->stored,
    };
    return src->at;
}

/* Gets hold of every operand, going on where the last attempt stopped. False: not yet. */
static inline bool step_acquire(struct exec_run *r, struct exec_channel *c,
                                const struct exec_step *s, const void **in, void **out,
                                size_t nbytes, size_t offset)
{
    const struct exec_operand *o = r->program->operands + s->first;
    for (; c->nready < s->nin; c->nready++) {
        const struct exec_operand *x = &o[c->nready];
        if (x->space != SCHED_PEER)
            in[c->nready] = local_address(r, x, 0, offset);
        else if (!(in[c->nready] = x->conn->ops->peek(x->conn, nbytes, r->sig)))
            return false;
    }
    struct transport_source source;
    const struct transport_source *src =
        step_source(r, s, offset, &source) ? &source : NULL;
    for (; c->nready < s->nin + s->nout; c->nready++) {
        const struct exec_operand *x = &o[c->nready];
        void **place = &out[c->nready - s->nin];
        if (x->space != SCHED_PEER)
            *place = local_address(r, x, 0, offset);
        else if (!(*place = x->conn->ops->reserve(x->conn, nbytes, src)))
            return false;
    }
    return true;
}

/* Runs the kernel once from `in` to `out`; the first nstream outputs past the cache. */
static inline void step_combine(const struct exec_run *r, const struct exec_step *s,
                                const void *const *in, void *const *out, int nout,
                                int nstream, size_t nbytes)
{
    const struct combine *k = r->combine;
    if (s->nin == 1 && !step_scales(r, s)) {
        if (nstream)
            combine_copy(out, nstream, in[0], nbytes, true);
        if (nstream < nout)
            combine_copy(out + nstream, nout - nstream, in[0], nbytes, false);
        return;
    }
    struct combine_args args = {
        .in = in,
        .out = out,
        .nin = s->nin,
        .nout = nout,
        .nstream = nstream,
        .raw = k->premul ? s->raw : -1,
        .flags = (s->final ? COMBINE_FINAL : 0) | (nstream ? COMBINE_STREAM : 0),
        .nelems = nbytes / k->elem_nbytes,
    };
    combine_run(k, &args);
}

/* Transit of this size and more is written past the cache. Its lines were last read by
 * the peer, so a cached store fetches each of them back, and the peer's read fetches them
 * once more; memory in between costs less as soon as the processor can look ahead.
 * Measured: reduce-scatter of 2 ranks, AMD EPYC 9004 (Zen 4), bare loops, messages of 8,
 * 16, 512 KiB, cached and streamed: a line taking 58 ns one way 1.2 and 1.5, 2.5 and 2.5,
 * 65 and 58 us; taking 250 ns 17 and 4, 29 and 8, 690 and 50 us. */
#define STREAM_STAGED_NBYTES 16384

/* Whether an output should be written past the cache: nobody reads it soon, or somebody
 * on another core does. */
static inline bool output_streams(const struct exec_run *r, const struct exec_operand *o,
                                  bool lent, size_t nbytes)
{
    if (o->space == SCHED_PEER && o->conn->staged)
        return nbytes >= STREAM_STAGED_NBYTES;
    return r->stream && (o->space == SCHED_PEER || (o->space == SCHED_OUT && !lent));
}

/* What has to be written: not what is lent (the local output or the source already is
 * it), and not where a message has landed by itself. Returns how many; first come the
 * *nstream that are written past the cache. */
static inline int outputs_to_write(const struct exec_run *r, const struct exec_step *s,
                                   const void *const *in, void *const *out, void **write,
                                   int *nstream, size_t nbytes)
{
    const struct exec_operand *o = r->program->operands + s->first + s->nin;
    bool moves = s->nin == 1 && !step_scales(r, s);
    bool lends = false;
    for (int i = 0; i < s->nout; i++)
        lends |= s->source >= 0 && i != s->source && out[i] == out[s->source];
    int n = 0, later = 0;
    void *cached[s->nout];
    for (int i = 0; i < s->nout; i++) {
        bool lent = s->source >= 0 && i != s->source && out[i] == out[s->source];
        bool there = moves && out[i] == in[0];
        if (lent || there)
            continue;
        if (output_streams(r, &o[i], lends, nbytes))
            write[n++] = out[i];
        else
            cached[later++] = out[i];
    }
    *nstream = n;
    for (int i = 0; i < later; i++)
        write[n++] = cached[i];
    return n;
}

/* A message of several pieces lies packed; the local operands lie apart. */
static void step_combine_pieces(const struct exec_run *r, const struct exec_step *s,
                                const void **in, void **out, size_t offset)
{
    const struct exec_program *p = r->program;
    const struct exec_operand *o = p->operands + s->first;
    size_t packed = 0;
    for (int piece = 0; piece < s->npieces; piece++) {
        size_t nbytes = layout_share(p->sizes[s->pieces + piece], offset, p->slice);
        if (!nbytes)
            continue;
        const void *from[s->nin];
        void *to[s->nout];
        for (int i = 0; i < s->nin; i++)
            from[i] = o[i].space == SCHED_PEER ? (const char *)in[i] + packed
                                               : local_address(r, &o[i], piece, offset);
        for (int i = 0; i < s->nout; i++)
            to[i] = o[s->nin + i].space == SCHED_PEER
                        ? (char *)out[i] + packed
                        : local_address(r, &o[s->nin + i], piece, offset);
        step_combine(r, s, from, to, s->nout, 0, nbytes);
        packed += nbytes;
    }
}

/* Sends the outputs that are (`lent`) or are not where `source` is. */
static inline void step_send(struct exec_run *r, struct exec_channel *c,
                             const struct exec_step *s, const void *source, bool lent,
                             void *const *out, size_t nbytes)
{
    const struct exec_operand *o = r->program->operands + s->first + s->nin;
    for (int i = 0; i < s->nout; i++) {
        struct transport_conn *conn = o[i].conn;
        if (o[i].space != SCHED_PEER || (source && out[i] == source) != lent)
            continue;
        if (lent) {
            c->lent = true;
            r->lent_at[s->first + s->nin + i] = (uint64_t)conn->next + 1;
            r->lent_last[o[i].at] = (uint64_t)conn->next + 1;
        }
        conn->ops->commit(conn, nbytes, r->sig);
    }
}

/* Gives back what was read. */
static inline void step_release(struct exec_run *r, const struct exec_step *s)
{
    const struct exec_operand *o = r->program->operands + s->first;
    for (int i = 0; i < s->nin; i++)
        if (o[i].space == SCHED_PEER)
            o[i].conn->ops->release(o[i].conn);
}

/* Whether what the step has to wait for on this rank's side has come to pass. Steps that
 * are ordered after it rely on that, so it holds for a step without data as well. */
static inline bool step_may_start(const struct exec_run *r, int channel,
                                  const struct exec_step *s)
{
    if (s->after_channel >= 0 && !after_met(r, &r->channels[channel], s))
        return false;
    return !(s->drain || s->after_drain) || may_write(r, channel, s);
}

/* True if the step was completed. */
static inline bool step_try(struct exec_run *r, int channel, const struct exec_step *s,
                            size_t nbytes, size_t offset)
{
    const struct exec_program *p = r->program;
    struct exec_channel *c = &r->channels[channel];
    if (!step_may_start(r, channel, s))
        return false;
    if (s->nin == 0) /* it only waited */
        return true;
    const void **in = r->in + (size_t)channel * p->max_in;
    void **out = r->out + (size_t)channel * p->max_out;
    if (s->lands >= 0 && !c->posted && !s->post_early && s->npieces == 1) {
        const struct exec_operand *o = p->operands + s->first;
        o->conn->ops->post(o->conn, o->conn->next,
                           local_address(r, o + 1 + s->lands, 0, offset), nbytes,
                           r->region[SCHED_OUT]);
        c->posted = true;
    }
    if (!step_acquire(r, c, s, in, out, nbytes, offset))
        return false;
    struct transport_source lent;
    const void *source = step_source(r, s, offset, &lent);
    /* What lies ready goes out before this rank writes its own copy. */
    if (step_sends_input(r, s))
        step_send(r, c, s, source, true, out, nbytes);
    if (__builtin_expect(s->npieces == 1, 1)) {
        void *write[s->nout];
        int nstream, nwrite = outputs_to_write(r, s, in, out, write, &nstream, nbytes);
        if (nwrite)
            step_combine(r, s, in, write, nwrite, nstream, nbytes);
    } else {
        step_combine_pieces(r, s, in, out, offset);
    }
    if (source && !step_sends_input(r, s))
        step_send(r, c, s, source, true, out, nbytes);
    step_send(r, c, s, source, false, out, nbytes);
    step_release(r, s);
    c->nready = 0;
    c->posted = false;
    return true;
}

/* ---- plain steps: what small messages come down to ---- */

/* A step that waits for nothing but its operands and lends nothing: most calls of
 * training and every latency test. Does what step_try does with all that left out. */
static inline bool plain_step_try(struct exec_run *r, struct exec_channel *c,
                                  const struct exec_step *s, const void **in, void **out)
{
    const struct exec_operand *o = r->program->operands + s->first;
    const size_t nbytes = s->nbytes;
    const int nin = s->nin, nout = s->nout;
    const uint32_t sig = r->sig;
    int k = c->nready;
    for (; k < nin; k++) {
        if (o[k].space != SCHED_PEER)
            in[k] = r->base[o[k].space] + o[k].offset;
        else if (!(in[k] = o[k].conn->ops->peek(o[k].conn, nbytes, sig)))
            break;
    }
    for (; k >= nin && k < nin + nout; k++) {
        if (o[k].space != SCHED_PEER)
            out[k - nin] = r->base[o[k].space] + o[k].offset;
        else if (!(out[k - nin] = o[k].conn->ops->reserve(o[k].conn, nbytes, NULL)))
            break;
    }
    c->nready = k;
    if (k < nin + nout)
        return false;
    step_combine(r, s, in, out, nout, 0, nbytes);
    for (int i = nin; i < nin + nout; i++)
        if (o[i].space == SCHED_PEER)
            o[i].conn->ops->commit(o[i].conn, nbytes, sig);
    for (int i = 0; i < nin; i++)
        if (o[i].space == SCHED_PEER)
            o[i].conn->ops->release(o[i].conn);
    c->nready = 0;
    return true;
}

static __attribute__((noinline)) bool plain_channel_advance(struct exec_run *r,
                                                            int channel)
{
    const struct exec_program *p = r->program;
    const struct sched_channel *ch = &p->sched->channels[channel];
    struct exec_channel *c = &r->channels[channel];
    const void **in = r->in + (size_t)channel * p->max_in;
    void **out = r->out + (size_t)channel * p->max_out;
    const int first = c->step;
    for (; c->step < ch->nsteps; c->step++) {
        const struct exec_step *s = &p->steps[ch->first + c->step];
        if (s->nbytes && !plain_step_try(r, c, s, in, out))
            return c->step > first;
    }
    c->round = 1;
    r->nleft--;
    return true;
}

/* ---- the run ---- */

/* Advances one channel as far as it goes. */
static __attribute__((noinline)) bool channel_advance(struct exec_run *r, int channel)
{
    const struct exec_program *p = r->program;
    const struct sched_channel *ch = &p->sched->channels[channel];
    struct exec_channel *c = &r->channels[channel];
    bool moved = false;
    while (c->round < p->nrounds) {
        size_t offset = (size_t)c->round * p->slice;
        for (; c->step < ch->nsteps; c->step++) {
            const struct exec_step *s = &p->steps[ch->first + c->step];
            size_t nbytes = message_nbytes(p, s, offset);
            if (!nbytes && step_may_start(r, channel, s))
                continue;
            if (!nbytes || !step_try(r, channel, s, nbytes, offset))
                return moved;
            moved = true;
        }
        /* Another channel may still have to ask about this round's lent buffers. */
        if (p->holds[channel] && c->lent && !lends_returned(r, ch->first, ch->nsteps))
            return moved;
        if (++c->round < p->nrounds)
            round_begin(r, channel);
    }
    r->nleft--;
    return true;
}

/* Whether every buffer that was lent has been given back. */
static bool all_returned(struct exec_run *r)
{
    const struct exec_program *p = r->program;
    for (int i = 0; i < p->nouts; i++) {
        if (!r->lent_last[i])
            continue;
        if (!p->outs[i]->ops->drained(p->outs[i], (uint32_t)(r->lent_last[i] - 1)))
            return false;
        r->lent_last[i] = 0;
    }
    return true;
}

enum exec_state exec_run_advance(struct exec_run *r)
{
    const struct exec_program *p = r->program;
    bool moved = false;
    if (r->nleft) {
        for (int i = 0; i < p->sched->nchannels; i++)
            if (r->channels[i].round < p->nrounds)
                moved |= p->plain ? plain_channel_advance(r, i) : channel_advance(r, i);
    }
    if (r->nleft)
        return moved ? EXEC_MOVED : EXEC_BLOCKED;
    if (!p->lends || all_returned(r))
        return EXEC_DONE;
    return moved ? EXEC_MOVED : EXEC_BLOCKED;
}

/* ---- what it waits for ---- */

static struct exec_blocked blocked_step(const struct exec_run *r, int channel)
{
    const struct exec_program *p = r->program;
    const struct exec_channel *c = &r->channels[channel];
    const struct exec_step *s = &p->steps[p->sched->channels[channel].first + c->step];
    struct exec_blocked b = {-1, "another channel", channel, c->step, c->round, NULL};
    bool in_step = c->step < p->sched->channels[channel].nsteps; /* or at a round's end */
    if (in_step && s->after_channel >= 0 && !after_met(r, c, s))
        return b;
    const struct exec_operand *o = p->operands + (in_step ? s->first : 0);
    if (in_step && c->nready < s->nin) {
        b.what = "a message from";
        b.conn = o[c->nready].conn;
    } else if (in_step && c->nready < s->nin + s->nout) {
        b.what = "room for a message to";
        b.conn = o[c->nready].conn;
    }
    for (int i = 0; p->lends && !b.conn && i < p->nouts; i++)
        if (r->lent_last[i] &&
            !p->outs[i]->ops->drained(p->outs[i], (uint32_t)(r->lent_last[i] - 1))) {
            b.what = "its buffer to be read by";
            b.conn = p->outs[i];
        }
    if (b.conn)
        b.peer = b.conn->peer;
    return b;
}

struct exec_blocked exec_run_blocked(const struct exec_run *r)
{
    const struct exec_program *p = r->program;
    struct exec_blocked first = {-1, "nothing", 0, 0, 0, NULL};
    for (int i = 0; i < p->sched->nchannels; i++) {
        if (r->channels[i].round >= p->nrounds)
            continue;
        struct exec_blocked b = blocked_step(r, i);
        if (b.conn && b.conn->error)
            return b;
        if (first.peer < 0)
            first = b;
    }
    for (int i = 0; !r->nleft && p->lends && i < p->nouts; i++)
        if (r->lent_last[i] &&
            !p->outs[i]->ops->drained(p->outs[i], (uint32_t)(r->lent_last[i] - 1)))
            return (struct exec_blocked){
                p->outs[i]->peer, "its buffer to be read by", 0, 0, p->nrounds,
                p->outs[i]};
    return first;
}
