#include "verify/structure.h"

#include "verify/promise.h"

static const char *const space_names[] = {"IN", "OUT", "TMP"};

static trncclResult_t check_channels(struct model *m, int32_t rank)
{
    const struct sched *s = m->ranks[rank];
    if (s->nchannels < 0 || s->nchannels > SCHED_MAX_CHANNELS)
        return model_refuse(m, "rank %d has %d channels, expected 0..%d", rank,
                            s->nchannels, SCHED_MAX_CHANNELS);
    int32_t next = 0;
    for (int32_t c = 0; c < s->nchannels; c++) {
        const struct sched_channel *ch = &s->channels[c];
        if (ch->first != next || ch->nsteps < 0 || ch->nsteps > s->nsteps - next)
            return model_refuse(m,
                                "rank %d channel %d has steps [%d, %d + %d), expected to "
                                "begin at %d and end by %d",
                                rank, c, ch->first, ch->first, ch->nsteps, next,
                                s->nsteps);
        next += ch->nsteps;
    }
    if (next != s->nsteps)
        return model_refuse(m, "rank %d has %d steps but its channels hold %d", rank,
                            s->nsteps, next);
    return trncclSuccess;
}

static trncclResult_t check_blocks(struct model *m, int32_t rank)
{
    const struct sched *s = m->ranks[rank];
    int32_t in, out;
    promise_blocks(m, rank, &in, &out);
    if (s->shape.in_blocks != in || s->shape.out_blocks != out)
        return model_refuse(m, "rank %d has %d IN and %d OUT blocks, expected %d and %d",
                            rank, s->shape.in_blocks, s->shape.out_blocks, in, out);
    if (s->shape.nsub < 1 || s->shape.nsub != m->nsub)
        return model_refuse(m, "rank %d cuts blocks into %d chunks, rank 0 into %d", rank,
                            s->shape.nsub, m->nsub);
    if (s->shape.tmp_chunks < 0 ||
        ((int64_t)in + out) * m->nsub + s->shape.tmp_chunks > STRUCTURE_MAX_CHUNKS)
        return model_refuse(m,
                            "rank %d has %lld chunks in IN and OUT and %d in TMP, a "
                            "proof takes up to %d",
                            rank, ((long long)in + out) * m->nsub, s->shape.tmp_chunks,
                            STRUCTURE_MAX_CHUNKS);
    if (s->shape.tmp_chunks > 0) {
        if (s->shape.tmp_like != SCHED_IN && s->shape.tmp_like != SCHED_OUT)
            return model_refuse(m, "rank %d shapes TMP like space %d, expected IN or OUT",
                                rank, s->shape.tmp_like);
        if ((s->shape.tmp_like == SCHED_IN ? in : out) == 0)
            return model_refuse(m, "rank %d shapes TMP like %s, which it does not have",
                                rank, space_names[s->shape.tmp_like]);
    }
    return trncclSuccess;
}

trncclResult_t structure_check_shape(struct model *m, int32_t rank)
{
    const struct sched *s = m->ranks[rank];
    if (s->coll != m->coll || s->nranks != m->nranks || s->rank != rank)
        return model_refuse(m,
                            "schedule %d is for %s rank %d of %d, expected %s rank %d of "
                            "%d",
                            rank, sched_coll_name(s->coll), s->rank, s->nranks,
                            sched_coll_name(m->coll), rank, m->nranks);
    if (s->root != m->root)
        return model_refuse(m, "rank %d has root %d, rank 0 has %d", rank, s->root,
                            m->root);
    if (s->credits < 1 || s->credits != m->credits)
        return model_refuse(m,
                            "rank %d declares %d messages of credit, rank 0 %d "
                            "(at least 1)",
                            rank, s->credits, m->credits);
    /* The executor cuts messages by it: ranks that differ would cut differently. */
    if (s->max_run < 1 || s->max_run != m->ranks[0]->max_run)
        return model_refuse(m,
                            "rank %d states a longest run of %d chunks, rank 0 %d "
                            "(at least 1)",
                            rank, s->max_run, m->ranks[0]->max_run);
    if (s->copies != m->ranks[0]->copies)
        return model_refuse(m, "rank %d states %s, rank 0 %s", rank,
                            s->copies ? "that it only copies" : "nothing about copies",
                            s->copies ? "does not" : "that it only copies");
    if (s->any_order != m->ranks[0]->any_order)
        return model_refuse(m, "rank %d states %s, rank 0 %s", rank,
                            s->any_order ? "any order" : "nothing about order",
                            s->any_order ? "does not" : "any order");
    if (s->nsteps < 0 || s->nrefs < 0 || (s->nsteps > 0 && !s->steps) ||
        (s->nrefs > 0 && !s->refs))
        return model_refuse(m, "rank %d has %d steps and %d operands, or no table", rank,
                            s->nsteps, s->nrefs);
    TRY(check_channels(m, rank));
    return check_blocks(m, rank);
}

/* ---- One step ---- */

static bool run_in_range(const struct model_rank *r, int space, int32_t chunk, int32_t n)
{
    return chunk >= 0 && n >= 1 && n <= r->nchunks[space] &&
           chunk <= r->nchunks[space] - n;
}

static trncclResult_t check_peer(struct model *m, int32_t event, int32_t peer)
{
    int32_t rank = m->proc[m->event[event].proc].rank;
    if (peer < 0 || peer >= m->nranks || peer == rank)
        return model_refuse_at(m, event, "its peer is rank %d, expected another of %d",
                               peer, m->nranks);
    return trncclSuccess;
}

/* The block whose length a chunk has; TMP repeats the space that it is shaped like. */
static int32_t length_block(const struct model_rank *r, int space, int32_t chunk,
                            int *like)
{
    *like = space == SCHED_TMP ? r->s->shape.tmp_like : space;
    return chunk % r->nchunks[*like] / r->s->shape.nsub;
}

bool structure_lengths_agree(const struct model *m, const struct sched_ref *a,
                             int32_t rank_a, const struct sched_ref *b, int32_t rank_b,
                             int32_t n)
{
    int32_t nsub = m->nsub;
    for (int32_t k = 0; k < n; k += nsub - (a->index + k) % nsub) {
        int like_a, like_b;
        int32_t block_a = length_block(&m->rank[rank_a], a->space, a->index + k, &like_a);
        int32_t block_b = length_block(&m->rank[rank_b], b->space, b->index + k, &like_b);
        if (promise_length(m, rank_a, like_a, block_a) !=
            promise_length(m, rank_b, like_b, block_b))
            return false;
    }
    return true;
}

static trncclResult_t check_local(struct model *m, int32_t event, struct sched_ref ref,
                                  bool output)
{
    const struct sched_step *p = model_step(m, event);
    int32_t rank = m->proc[m->event[event].proc].rank;
    const struct model_rank *r = &m->rank[rank];
    if (!run_in_range(r, ref.space, ref.index, p->span_n))
        return model_refuse_at(m, event, "%s[%d] and %d more, of %d chunks",
                               space_names[ref.space], ref.index, p->span_n - 1,
                               r->nchunks[ref.space]);
    if (ref.index % m->nsub != p->span_chunk % m->nsub)
        return model_refuse_at(m, event, "%s[%d] has not the length of its span, %s[%d]",
                               space_names[ref.space], ref.index,
                               space_names[p->span_space], p->span_chunk);
    struct sched_ref span = {p->span_space, p->span_chunk};
    if (!structure_lengths_agree(m, &ref, rank, &span, rank, p->span_n))
        m->any_blocks = false;
    if (!output || ref.space != SCHED_IN)
        return trncclSuccess;
    int64_t slot = model_slot_of(r, SCHED_IN, ref.index);
    if (!r->s->inplace || !model_slot_writable(r, slot) ||
        !model_slot_writable(r, slot + p->span_n - 1))
        return model_refuse_at(m, event, "it writes IN[%d], the caller's send buffer",
                               ref.index);
    return trncclSuccess;
}

static trncclResult_t check_operands(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct sched *s = m->rank[m->proc[m->event[event].proc].rank].s;
    const struct sched_ref *ref = sched_in(s, p);
    int32_t *owner = m->ref_message + m->rank[s->rank].ref0 + p->first;
    int32_t nraw = 0;
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        bool output = i >= p->nin;
        if (owner[i] != 0)
            return model_refuse_at(m, event,
                                   "operand %d belongs to an earlier step as "
                                   "well",
                                   i);
        owner[i] = 1; /* replaced by its message later */
        if (ref[i].space > SCHED_PEER)
            return model_refuse_at(m, event, "operand %d lies in space %d, expected 0..3",
                                   i, ref[i].space);
        if (ref[i].space == SCHED_PEER)
            TRY(check_peer(m, event, ref[i].index));
        else
            TRY(check_local(m, event, ref[i], output));
        if (!output && ref[i].space == SCHED_IN && ++nraw > 1)
            return model_refuse_at(m, event, "it has two inputs in IN, expected one");
    }
    return trncclSuccess;
}

static bool runs_overlap(int64_t a, int64_t b, int32_t n)
{
    return a < b + n && b < a + n;
}

/* An output lies apart from the other outputs, and from the inputs unless it is exactly
 * one of them. */
static trncclResult_t check_output(struct model *m, int32_t event, int32_t out)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_rank *r = &m->rank[m->proc[m->event[event].proc].rank];
    const struct sched_ref *ref = sched_in(r->s, p);
    int64_t to = model_slot_of(r, ref[out].space, ref[out].index);
    for (int32_t i = 0; i < out; i++) {
        if (ref[i].space == SCHED_PEER)
            continue;
        int64_t slot = model_slot_of(r, ref[i].space, ref[i].index);
        if (runs_overlap(slot, to, p->span_n) && (i >= p->nin || slot != to))
            return model_refuse_at(m, event, "%s[%d] and %s[%d] overlap",
                                   space_names[ref[i].space], ref[i].index,
                                   space_names[ref[out].space], ref[out].index);
    }
    return trncclSuccess;
}

/* A peer appears at most once on each side; m->seen remembers the step it was last on. */
static trncclResult_t check_apart(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct sched *s = m->rank[m->proc[m->event[event].proc].rank].s;
    const struct sched_ref *ref = sched_in(s, p);
    for (int32_t i = 0; i < p->nin + p->nout; i++) {
        bool output = i >= p->nin;
        if (ref[i].space == SCHED_PEER) {
            int32_t *seen = &m->seen[2 * ref[i].index + output];
            if (*seen == event + 1)
                return model_refuse_at(m, event, "rank %d is twice among its %s",
                                       ref[i].index, output ? "outputs" : "inputs");
            *seen = event + 1;
        } else if (output) {
            TRY(check_output(m, event, i));
        }
    }
    return trncclSuccess;
}

static trncclResult_t check_marks(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_event *e = &m->event[event];
    const struct sched *s = m->rank[m->proc[e->proc].rank].s;
    if (p->after_step >= 0 && (p->after_channel < 0 || p->after_channel >= s->nchannels ||
                               p->after_step >= s->channels[p->after_channel].nsteps))
        return model_refuse_at(m, event,
                               "it waits for step %d of channel %d, which does "
                               "not exist",
                               p->after_step, p->after_channel);
    if (p->drain < 0 || p->drain > e->step)
        return model_refuse_at(m, event,
                               "it drains steps [0, %d) of its channel, "
                               "expected at most [0, %d)",
                               p->drain, e->step);
    if (p->after_drain && p->after_step < 0)
        return model_refuse_at(m, event, "it drains another channel but waits for none");
    if (p->in_link > SCHED_MAX_CHANNELS || p->out_link > SCHED_MAX_CHANNELS)
        return model_refuse_at(m, event, "its links are %d and %d, expected 0..%d",
                               p->in_link - 1, p->out_link - 1, SCHED_MAX_CHANNELS - 1);
    if (p->flags & ~(SCHED_FINAL | SCHED_POST_EARLY | SCHED_STAGED))
        return model_refuse_at(m, event, "it has unknown flags %#x", p->flags);
    if ((p->flags & SCHED_FINAL) && !sched_coll_reduces(m->coll))
        return model_refuse_at(m, event, "it is marked final, but %s does not reduce",
                               sched_coll_name(m->coll));
    return trncclSuccess;
}

static trncclResult_t check_early(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct sched *s = m->rank[m->proc[m->event[event].proc].rank].s;
    const struct sched_ref *ref = sched_in(s, p);
    bool lands = false;
    for (int32_t i = p->nin; i < p->nin + p->nout; i++)
        lands |= ref[i].space == SCHED_IN || ref[i].space == SCHED_OUT;
    if (p->nin != 1 || ref[0].space != SCHED_PEER || !lands)
        return model_refuse_at(m, event,
                               "it is to be posted early, but it is not a pure "
                               "receive into OUT");
    return trncclSuccess;
}

trncclResult_t structure_check_step(struct model *m, int32_t event)
{
    const struct sched_step *p = model_step(m, event);
    const struct model_rank *r = &m->rank[m->proc[m->event[event].proc].rank];
    bool waits = p->nin == 0 && p->nout == 0 && p->after_step >= 0;
    if (!waits && (p->nin < 1 || p->nout < 1))
        return model_refuse_at(m, event,
                               "it has %d inputs and %d outputs, expected at "
                               "least one of each, or none and a step to wait for",
                               p->nin, p->nout);
    if (p->first < 0 || p->first > r->s->nrefs - p->nin - p->nout)
        return model_refuse_at(m, event, "its operands [%d, %d + %d) are not among %d",
                               p->first, p->first, p->nin + p->nout, r->s->nrefs);
    if (p->span_space > SCHED_TMP ||
        !run_in_range(r, p->span_space, p->span_chunk, p->span_n))
        return model_refuse_at(m, event,
                               "its span is %d chunks from %d in space %d, "
                               "which are not there",
                               p->span_n, p->span_chunk, p->span_space);
    TRY(check_operands(m, event));
    if (r->s->copies && !sched_step_copies(r->s, p))
        return model_refuse_at(m, event,
                               "it moves a message that is not a copy of one "
                               "chunk from IN or OUT to OUT, as was stated");
    TRY(check_apart(m, event));
    TRY(check_marks(m, event));
    if (p->flags & SCHED_POST_EARLY)
        TRY(check_early(m, event));
    for (int32_t i = 0; i < p->nin + p->nout; i++)
        if (sched_in(r->s, p)[i].space == SCHED_PEER && p->span_n > r->s->max_run)
            return model_refuse_at(m, event,
                                   "it moves %d chunks at once, more than the "
                                   "declared %d",
                                   p->span_n, r->s->max_run);
    return trncclSuccess;
}
