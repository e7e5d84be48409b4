/* build_finish: checks every step, drops copies onto themselves, lays the steps out in
 * channel order and has the marks derived. */
#include "sched/raw.h"

#include <stdlib.h>

#include "sched/derive.h"

struct finish {
    struct build *b;
    struct sched *s;
    int32_t channel, step; /* as described, for sentences */
    /* Operands of the step being checked: who was seen by which step. */
    int32_t id;
    int32_t *peer_in, *peer_out;   /* [nranks] */
    int32_t *chunk_in, *chunk_out; /* [ncanon] */
    int32_t *chunk_at;             /* [ncanon] place within the input run, -1: several */
};

#define FAIL_STEP(f, format, ...)                                                        \
    build_fail((f)->b, trncclInvalidArgument, "channel %d step %d " format,              \
               (f)->channel, (f)->step, __VA_ARGS__)

static const char *space_name(unsigned space)
{
    static const char *const names[] = {"IN", "OUT", "TMP", "peer"};
    return space <= SCHED_PEER ? names[space] : "unknown";
}

static void check_peer(struct finish *f, const struct raw_ref *r)
{
    int32_t peer = r->ref.index;
    const char *verb = r->out ? "sends to" : "receives from";
    if (peer < 0 || peer >= f->s->nranks) {
        FAIL_STEP(f, "%s rank %d; expected 0 to %d", verb, peer, f->s->nranks - 1);
        return;
    }
    int32_t *seen = r->out ? f->peer_out : f->peer_in;
    if (peer == f->s->rank)
        FAIL_STEP(f, "%s rank %d, which is itself", verb, peer);
    else if (seen[peer] == f->id)
        FAIL_STEP(f, "%s rank %d twice", verb, peer);
    seen[peer] = f->id;
}

/* A run of the step's length, within its space, with the span's lengths whatever the
 * count: chunks of one index modulo nsub have one length. */
static bool check_run(struct finish *f, const struct raw_step *p, unsigned space,
                      int32_t chunk, const char *what)
{
    int32_t have = sched_nchunks(f->s, (enum sched_space)space);
    if (chunk < 0 || chunk > have - p->span_n) {
        FAIL_STEP(f, "%s %s[%d] + %d; this rank has %d chunks there", what,
                  space_name(space), chunk, p->span_n, have);
        return false;
    }
    int32_t nsub = f->s->shape.nsub;
    if (chunk % nsub != p->span_chunk % nsub) {
        FAIL_STEP(f,
                  "%s %s[%d] but its length is that of %s[%d]: chunks %d and %d of a "
                  "block of %d can differ in length",
                  what, space_name(space), chunk, space_name(p->span_space),
                  p->span_chunk, chunk % nsub, p->span_chunk % nsub, nsub);
        return false;
    }
    return true;
}

static void check_input(struct finish *f, const struct raw_step *p,
                        const struct raw_ref *r)
{
    if (!check_run(f, p, r->ref.space, r->ref.index, "reads"))
        return;
    for (int32_t i = 0; i < p->span_n; i++) {
        int32_t c = derive_canon(f->s, (enum sched_space)r->ref.space, r->ref.index + i);
        bool elsewhere = f->chunk_in[c] == f->id && f->chunk_at[c] != i;
        f->chunk_in[c] = f->id;
        f->chunk_at[c] = elsewhere ? -1 : i;
    }
}

static void check_output(struct finish *f, const struct raw_step *p,
                         const struct raw_ref *r)
{
    if (!check_run(f, p, r->ref.space, r->ref.index, "writes"))
        return;
    if (r->ref.space == SCHED_IN && !f->s->inplace) {
        FAIL_STEP(f, "writes IN[%d]; IN is never written out of place", r->ref.index);
        return;
    }
    for (int32_t i = 0; i < p->span_n; i++) {
        int32_t c = derive_canon(f->s, (enum sched_space)r->ref.space, r->ref.index + i);
        if (f->chunk_out[c] == f->id)
            FAIL_STEP(f, "writes %s[%d] twice", space_name(r->ref.space),
                      r->ref.index + i);
        else if (f->chunk_in[c] == f->id && f->chunk_at[c] != i)
            FAIL_STEP(f, "writes %s[%d] and reads it at another place of a run",
                      space_name(r->ref.space), r->ref.index + i);
        f->chunk_out[c] = f->id;
    }
}

static void check_step(struct finish *f, const struct raw_step *p)
{
    int32_t nin = 0, nout = 0, nraw = 0;
    const struct raw_ref *refs = f->b->refs + p->first;
    if (p->span_n < 1 || p->span_space > SCHED_TMP) {
        FAIL_STEP(f,
                  "has a span of %d chunks of space %s; expected 1 or more of IN, OUT "
                  "or TMP",
                  p->span_n, space_name(p->span_space));
        return;
    }
    if (!check_run(f, p, p->span_space, p->span_chunk, "has the length of"))
        return;
    f->id++;
    for (int32_t i = 0; i < p->nrefs; i++) {
        bool out = refs[i].out;
        *(out ? &nout : &nin) += 1;
        if (refs[i].ref.space == SCHED_PEER)
            check_peer(f, &refs[i]);
        else if (!out)
            check_input(f, p, &refs[i]);
        if (!out && refs[i].ref.space == SCHED_IN)
            nraw++;
    }
    for (int32_t i = 0; i < p->nrefs; i++)
        if (refs[i].out && refs[i].ref.space != SCHED_PEER)
            check_output(f, p, &refs[i]);
    bool waits = p->nrefs == 0 && p->after.step >= 0;
    if (!waits && (nin < 1 || nout < 1 || nin > INT16_MAX || nout > INT16_MAX))
        FAIL_STEP(f, "has %d inputs and %d outputs; expected 1 to %d each", nin, nout,
                  INT16_MAX);
    if (nraw > 1)
        FAIL_STEP(f, "has %d inputs in IN; expected at most one", nraw);
}

/* Whether output r of a step writes what the step's only input already is. A contribution
 * of a reduction is never that: reading it from IN may scale it. */
static bool is_self_copy(const struct finish *f, const struct raw_step *p,
                         const struct raw_ref *r)
{
    const struct raw_ref *in = NULL;
    for (int32_t i = 0; i < p->nrefs; i++) {
        if (f->b->refs[p->first + i].out)
            continue;
        if (in)
            return false;
        in = &f->b->refs[p->first + i];
    }
    if (!in || in->ref.space == SCHED_PEER || r->ref.space == SCHED_PEER ||
        (in->ref.space == SCHED_IN && sched_coll_reduces(f->s->coll)))
        return false;
    for (int32_t i = 0; i < p->span_n; i++) {
        if (derive_canon(f->s, (enum sched_space)in->ref.space, in->ref.index + i) !=
            derive_canon(f->s, (enum sched_space)r->ref.space, r->ref.index + i))
            return false;
    }
    return true;
}

/* Checks all steps; the first that is wrong is the one to report. */
static void check_all(struct finish *f)
{
    struct build *b = f->b;
    for (f->channel = 0; f->channel < b->nchannels; f->channel++) {
        struct raw_channel *ch = &b->channels[f->channel];
        for (f->step = 0; f->step < ch->nsteps; f->step++) {
            check_step(f, &ch->steps[f->step]);
            if (b->result != trncclSuccess) {
                b->text_step = (struct build_mark){f->channel, f->step};
                return;
            }
        }
    }
}

/* Decides whether a step stays. One that has nothing to do but copies onto itself goes,
 * unless it waits for another channel: what follows it may rely on that. */
static void decide_step(const struct finish *f, struct raw_step *p, int32_t before)
{
    const struct raw_ref *refs = f->b->refs + p->first;
    int32_t kept = 0;
    for (int32_t i = 0; i < p->nrefs; i++)
        if (refs[i].out && !is_self_copy(f, p, &refs[i]))
            kept++;
    bool waits = p->after.step >= 0 &&
                 f->b->channels[p->after.channel].steps[p->after.step].final >= 0;
    p->whole = kept == 0 && waits;
    p->dropped = kept == 0 && !waits;
    p->final = before + !p->dropped;
}

/* Marks name steps that were described before, so some channel can always go on. */
static void decide_all(const struct finish *f)
{
    int32_t at[SCHED_MAX_CHANNELS] = {0};
    for (bool more = true; more;) {
        more = false;
        for (int32_t c = 0; c < f->b->nchannels; c++) {
            const struct raw_channel *ch = &f->b->channels[c];
            for (; at[c] < ch->nsteps; at[c]++, more = true) {
                struct raw_step *p = &ch->steps[at[c]];
                if (p->after.step >= 0 && at[p->after.channel] <= p->after.step)
                    break;
                decide_step(f, p, at[c] > 0 ? p[-1].final : -1);
            }
        }
    }
}

static void emit_ref(struct finish *f, const struct raw_ref *r)
{
    f->s->refs[f->s->nrefs++] = r->ref;
}

static void emit_step(struct finish *f, const struct raw_step *p)
{
    struct sched *s = f->s;
    const struct raw_ref *refs = f->b->refs + p->first;
    struct sched_step *step = &s->steps[s->nsteps++];
    *step = (struct sched_step){
        .first = s->nrefs,
        .span_space = p->span_space,
        .span_chunk = p->span_chunk,
        .span_n = p->span_n,
        .flags = p->flags,
        .in_link = p->in_link,
        .out_link = p->out_link,
        .after_step = -1,
    };
    if (p->after.step >= 0)
        step->after_step = f->b->channels[p->after.channel].steps[p->after.step].final;
    if (step->after_step >= 0)
        step->after_channel = (int16_t)p->after.channel;
    for (int32_t i = 0; i < p->nrefs; i++)
        if (!refs[i].out)
            emit_ref(f, &refs[i]);
    step->nin = (int16_t)(s->nrefs - step->first);
    for (int32_t i = 0; i < p->nrefs; i++)
        if (refs[i].out && (p->whole || !is_self_copy(f, p, &refs[i])))
            emit_ref(f, &refs[i]);
    step->nout = (int16_t)(s->nrefs - step->first - step->nin);
}

/* Lays out what stays; channels behind the last one with a step do not exist. */
static void emit_all(struct finish *f)
{
    for (int32_t c = 0; c < f->b->nchannels; c++) {
        const struct raw_channel *ch = &f->b->channels[c];
        int32_t nsteps = ch->nsteps > 0 ? ch->steps[ch->nsteps - 1].final + 1 : 0;
        f->s->channels[c] = (struct sched_channel){f->s->nsteps, nsteps};
        if (nsteps > 0)
            f->s->nchannels = c + 1;
        for (int32_t i = 0; i < ch->nsteps; i++)
            if (!ch->steps[i].dropped)
                emit_step(f, &ch->steps[i]);
    }
}

static bool finish_init(struct finish *f, struct build *b)
{
    struct sched *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    *s = b->head;
    int32_t nsteps = 0;
    for (int32_t c = 0; c < b->nchannels; c++)
        nsteps += b->channels[c].nsteps;
    size_t ncanon = (size_t)derive_ncanon(s) + 1, nranks = (size_t)s->nranks;
    *f = (struct finish){
        .b = b,
        .s = s,
        .peer_in = calloc(nranks, sizeof(int32_t)),
        .peer_out = calloc(nranks, sizeof(int32_t)),
        .chunk_in = calloc(ncanon, sizeof(int32_t)),
        .chunk_out = calloc(ncanon, sizeof(int32_t)),
        .chunk_at = calloc(ncanon, sizeof(int32_t)),
    };
    s->steps = calloc((size_t)nsteps + 1, sizeof *s->steps);
    s->refs = calloc((size_t)b->nrefs + 1, sizeof *s->refs);
    return s->steps && s->refs && f->peer_in && f->peer_out && f->chunk_in &&
           f->chunk_out && f->chunk_at;
}

/* What the algorithm stated for all ranks replaces what this rank's steps would say. */
static trncclResult_t state_run(const struct build *b, struct sched *s)
{
    int32_t stated = b->head.max_run;
    if (stated > 0 && stated < s->max_run)
        return error_set(
            trncclInvalidArgument,
            "%s %s of %d ranks, rank %d: a message of %d chunks; the longest "
            "run was stated as %d",
            sched_coll_name(s->coll), s->algo, s->nranks, s->rank, s->max_run, stated);
    if (stated > 0)
        s->max_run = stated;
    return trncclSuccess;
}

/* What was stated of all ranks must hold of this one. */
static trncclResult_t state_copies(const struct sched *s)
{
    for (int32_t i = 0; s->copies && i < s->nsteps; i++)
        if (!sched_step_copies(s, &s->steps[i]))
            return error_set(trncclInvalidArgument,
                             "%s %s of %d ranks, rank %d: stated to copy single chunks "
                             "from IN or OUT to OUT, but a message does not",
                             sched_coll_name(s->coll), s->algo, s->nranks, s->rank);
    return trncclSuccess;
}

trncclResult_t build_finish(struct build *b, struct sched **out)
{
    if (b->result != trncclSuccess)
        return error_set(b->result, "%s", b->text);
    struct finish f = {0};
    if (finish_init(&f, b)) {
        check_all(&f);
        if (b->result == trncclSuccess) {
            decide_all(&f);
            emit_all(&f);
        }
    } else {
        build_fail(b, trncclSystemError, "no memory for the schedule");
    }
    free(f.peer_in);
    free(f.peer_out);
    free(f.chunk_in);
    free(f.chunk_out);
    free(f.chunk_at);
    trncclResult_t result = b->result == trncclSuccess
                                ? derive_marks(f.s)
                                : error_set(b->result, "%s", b->text);
    if (result == trncclSuccess)
        result = state_run(b, f.s);
    if (result == trncclSuccess)
        result = state_copies(f.s);
    if (result == trncclSuccess)
        *out = f.s;
    else
        sched_destroy(f.s);
    return result;
}
