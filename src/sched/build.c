#include "sched/build.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/derive.h"

/* Far beyond any algorithm; keeps every product of this file inside int32_t. */
enum { BUILD_MAX_CHUNKS = 1 << 24, BUILD_MAX_REFS = 1 << 28 };

/* A step as it was described: operands in the order of the calls. */
struct raw_step {
    int32_t first, nrefs; /* in build.refs */
    int32_t span_chunk, span_n;
    struct build_mark after;
    int32_t final; /* the step it became, or the last one before it, or -1 */
    uint8_t span_space, flags;
};

struct raw_ref {
    struct sched_ref ref;
    bool out;
};

struct raw_channel {
    struct raw_step *steps; /* owned */
    int32_t nsteps, capacity;
};

struct build {
    struct sched head; /* everything of the result but its arrays and channels */
    bool shaped;
    int32_t nchannels;
    struct raw_channel channels[SCHED_MAX_CHANNELS];
    struct raw_ref *refs; /* owned */
    int32_t nrefs, refs_capacity;
    int32_t open_channel; /* of the step being described; -1: none */
    trncclResult_t result;
    char text[400]; /* the first error's sentence */
};

/* Keeps the first error. Its sentence begins with the schedule's name. */
__attribute__((format(printf, 3, 4), cold)) static void
fail(struct build *b, trncclResult_t result, const char *format, ...)
{
    if (b->result != trncclSuccess)
        return;
    b->result = result;
    int n = snprintf(b->text, sizeof b->text,
                     "%s %s of %d ranks, rank %d: ", sched_coll_name(b->head.coll),
                     b->head.algo, b->head.nranks, b->head.rank);
    if (n < 0 || (size_t)n >= sizeof b->text)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(b->text + n, sizeof b->text - (size_t)n, format, args);
    va_end(args);
}

/* Makes room for one more item of `nbytes` in an owned array. */
static bool grow(struct build *b, void **array, int32_t *capacity, int32_t used,
                 size_t nbytes)
{
    if (used < *capacity)
        return true;
    int32_t more = used < 16 ? 16 : used * 2;
    void *bigger = used < BUILD_MAX_REFS ? realloc(*array, (size_t)more * nbytes) : NULL;
    if (!bigger) {
        fail(b, trncclSystemError, "no memory for more than %d steps or operands", used);
        return false;
    }
    *array = bigger;
    *capacity = more;
    return true;
}

static trncclResult_t pairs_check(const struct sched_args *args)
{
    if (args->npairs < 0 || args->npairs > args->nranks || (args->npairs && !args->pairs))
        return error_set(trncclInvalidArgument,
                         "permute: %d pairs; expected 0 to %d and a list of them",
                         args->npairs, args->nranks);
    unsigned char *seen = calloc((size_t)args->nranks, 1);
    if (!seen)
        return error_set(trncclSystemError, "permute: no memory for %d ranks",
                         args->nranks);
    trncclResult_t result = trncclSuccess;
    for (int32_t i = 0; i < 2 * args->npairs && result == trncclSuccess; i++) {
        const char *side = i % 2 ? "target" : "source";
        int32_t rank = args->pairs[i];
        if (rank < 0 || rank >= args->nranks)
            result = error_set(trncclInvalidArgument,
                               "permute: %s of pair %d is rank %d; expected 0 to %d",
                               side, i / 2, rank, args->nranks - 1);
        else if (seen[rank] & (1 << i % 2))
            result = error_set(trncclInvalidArgument,
                               "permute: rank %d is the %s of two pairs, the second is "
                               "pair %d; expected at most one",
                               rank, side, i / 2);
        else
            seen[rank] |= (unsigned char)(1 << i % 2);
    }
    free(seen);
    return result;
}

static trncclResult_t args_check(const struct sched_args *args, const char *algo)
{
    if ((unsigned)args->coll >= SCHED_NCOLLS)
        return error_set(trncclInvalidArgument,
                         "%s: collective %d is unknown; expected 0 to %d", algo,
                         (int)args->coll, SCHED_NCOLLS - 1);
    const char *name = sched_coll_name(args->coll);
    if (args->nranks < 1 || args->nranks > SCHED_MAX_RANKS)
        return error_set(trncclInvalidArgument, "%s %s: %d ranks; expected 1 to %d", name,
                         algo, args->nranks, SCHED_MAX_RANKS);
    if (args->rank < 0 || args->rank >= args->nranks)
        return error_set(trncclInvalidArgument, "%s %s: rank %d; expected 0 to %d", name,
                         algo, args->rank, args->nranks - 1);
    int32_t last_root = sched_coll_rooted(args->coll) ? args->nranks - 1 : 0;
    if (args->root < 0 || args->root > last_root)
        return error_set(trncclInvalidArgument, "%s %s: root %d; expected 0 to %d", name,
                         algo, args->root, last_root);
    return args->coll == SCHED_PERMUTE ? pairs_check(args) : trncclSuccess;
}

trncclResult_t build_create(const struct sched_args *args, const char *algo,
                            struct build **out)
{
    TRY(args_check(args, algo));
    struct build *b = calloc(1, sizeof *b);
    if (!b)
        return error_set(trncclSystemError, "%s: no memory for a schedule", algo);
    b->head = (struct sched){
        .coll = args->coll,
        .algo = algo,
        .nranks = args->nranks,
        .rank = args->rank,
        .root = args->root,
        .inplace = args->inplace,
        .shape = {.nsub = 1},
        .credits = 1,
    };
    sched_coll_blocks(args, &b->head.shape.in_blocks, &b->head.shape.out_blocks);
    b->open_channel = -1;
    *out = b;
    return trncclSuccess;
}

void build_destroy(struct build *b)
{
    if (!b)
        return;
    for (int c = 0; c < SCHED_MAX_CHANNELS; c++)
        free(b->channels[c].steps);
    free(b->refs);
    free(b);
}

void build_shape(struct build *b, int32_t nsub, int32_t tmp_chunks,
                 enum sched_space tmp_like)
{
    struct sched_shape *shape = &b->head.shape;
    if (b->shaped || b->nchannels > 0) {
        fail(b, trncclInvalidUsage, "the shape is given twice, or after a step");
        return;
    }
    int32_t most =
        shape->in_blocks > shape->out_blocks ? shape->in_blocks : shape->out_blocks;
    if (nsub < 1 || (int64_t)nsub * (most ? most : 1) > BUILD_MAX_CHUNKS) {
        fail(b, trncclInvalidArgument,
             "%d chunks per block; expected at least 1, and at most %d in all blocks",
             nsub, BUILD_MAX_CHUNKS);
        return;
    }
    int32_t like_blocks = tmp_like == SCHED_IN ? shape->in_blocks : shape->out_blocks;
    if (tmp_chunks < 0 || tmp_chunks > BUILD_MAX_CHUNKS ||
        (tmp_like != SCHED_IN && tmp_like != SCHED_OUT) ||
        (tmp_chunks > 0 && like_blocks == 0)) {
        fail(b, trncclInvalidArgument,
             "TMP of %d chunks like %s, which has %d blocks; expected 0 to %d chunks "
             "like a space that this rank has",
             tmp_chunks, tmp_like == SCHED_IN ? "IN" : "OUT", like_blocks,
             BUILD_MAX_CHUNKS);
        return;
    }
    b->shaped = true;
    shape->nsub = nsub;
    shape->tmp_chunks = tmp_chunks;
    shape->tmp_like = (uint8_t)tmp_like;
}

void build_credits(struct build *b, int32_t credits)
{
    if (credits < 1)
        fail(b, trncclInvalidArgument, "%d credits; expected at least 1", credits);
    else
        b->head.credits = credits;
}

struct build_mark build_step(struct build *b, int32_t channel)
{
    static const struct build_mark none = {-1, -1};
    b->open_channel = -1;
    if (channel < 0 || channel >= SCHED_MAX_CHANNELS) {
        fail(b, trncclInvalidArgument, "a step on channel %d; expected 0 to %d", channel,
             SCHED_MAX_CHANNELS - 1);
        return none;
    }
    struct raw_channel *ch = &b->channels[channel];
    void *array = ch->steps;
    bool ok = grow(b, &array, &ch->capacity, ch->nsteps, sizeof *ch->steps);
    ch->steps = array;
    if (!ok)
        return none;
    ch->steps[ch->nsteps] = (struct raw_step){.first = b->nrefs, .after = none};
    if (channel >= b->nchannels)
        b->nchannels = channel + 1;
    b->open_channel = channel;
    return (struct build_mark){channel, ch->nsteps++};
}

/* The step being described, or NULL with the error kept. */
static struct raw_step *open_step(struct build *b)
{
    if (b->result != trncclSuccess)
        return NULL;
    if (b->open_channel < 0) {
        fail(b, trncclInvalidUsage, "an operand is described before any step");
        return NULL;
    }
    struct raw_channel *ch = &b->channels[b->open_channel];
    return &ch->steps[ch->nsteps - 1];
}

static void add_ref(struct build *b, enum sched_space space, int32_t index, bool out)
{
    struct raw_step *p = open_step(b);
    if (!p)
        return;
    void *array = b->refs;
    bool ok = grow(b, &array, &b->refs_capacity, b->nrefs, sizeof *b->refs);
    b->refs = array;
    if (!ok)
        return;
    b->refs[b->nrefs++] = (struct raw_ref){{(uint8_t)space, index}, out};
    p->nrefs++;
}

void build_from(struct build *b, int32_t peer)
{
    add_ref(b, SCHED_PEER, peer, false);
}

void build_to(struct build *b, int32_t peer)
{
    add_ref(b, SCHED_PEER, peer, true);
}

static void add_local(struct build *b, enum sched_space space, int32_t chunk, bool out)
{
    if (space != SCHED_IN && space != SCHED_OUT && space != SCHED_TMP)
        fail(b, trncclInvalidArgument,
             "a local operand in space %d; expected IN, OUT, TMP", (int)space);
    else
        add_ref(b, space, chunk, out);
}

void build_local_in(struct build *b, enum sched_space space, int32_t chunk)
{
    add_local(b, space, chunk, false);
}

void build_local_out(struct build *b, enum sched_space space, int32_t chunk)
{
    add_local(b, space, chunk, true);
}

void build_span(struct build *b, enum sched_space space, int32_t chunk, int32_t n)
{
    struct raw_step *p = open_step(b);
    if (!p)
        return;
    p->span_space = (uint8_t)space;
    p->span_chunk = chunk;
    p->span_n = n;
}

void build_final(struct build *b)
{
    struct raw_step *p = open_step(b);
    if (p)
        p->flags |= SCHED_FINAL;
}

void build_after(struct build *b, struct build_mark mark)
{
    struct raw_step *p = open_step(b);
    if (!p || mark.step < 0 || mark.channel == b->open_channel)
        return; /* none, or the channel's own order says it already */
    if (mark.channel < 0 || mark.channel >= b->nchannels ||
        mark.step >= b->channels[mark.channel].nsteps)
        fail(b, trncclInvalidArgument,
             "channel %d step %d is to start after step %d of channel %d, which does not "
             "exist",
             b->open_channel, b->channels[b->open_channel].nsteps - 1, mark.step,
             mark.channel);
    else if (p->after.step >= 0 && p->after.channel != mark.channel)
        fail(b, trncclInvalidArgument,
             "channel %d step %d is to start after steps of channels %d and %d; a step "
             "can "
             "wait for one other channel",
             b->open_channel, b->channels[b->open_channel].nsteps - 1, p->after.channel,
             mark.channel);
    else if (mark.step > p->after.step)
        p->after = mark;
}

struct build_mark build_copy(struct build *b, int32_t channel, enum sched_space from,
                             int32_t from_chunk, enum sched_space to, int32_t to_chunk,
                             int32_t n)
{
    struct build_mark mark = build_step(b, channel);
    build_local_in(b, from, from_chunk);
    build_local_out(b, to, to_chunk);
    build_span(b, to, to_chunk, n);
    return mark;
}

struct build_mark build_send(struct build *b, int32_t channel, enum sched_space from,
                             int32_t chunk, int32_t n, int32_t peer)
{
    struct build_mark mark = build_step(b, channel);
    build_local_in(b, from, chunk);
    build_to(b, peer);
    build_span(b, from, chunk, n);
    return mark;
}

struct build_mark build_recv(struct build *b, int32_t channel, int32_t peer,
                             enum sched_space to, int32_t chunk, int32_t n)
{
    struct build_mark mark = build_step(b, channel);
    build_from(b, peer);
    build_local_out(b, to, chunk);
    build_span(b, to, chunk, n);
    return mark;
}

/* ---- Finishing: check, drop copies onto themselves, lay out in channel order ---------
 */

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
    fail((f)->b, trncclInvalidArgument, "channel %d step %d " format, (f)->channel,      \
         (f)->step, __VA_ARGS__)

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
    if (nin < 1 || nout < 1 || nin > INT16_MAX || nout > INT16_MAX)
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

static void emit_ref(struct finish *f, const struct raw_ref *r)
{
    f->s->refs[f->s->nrefs++] = r->ref;
}

/* Appends the step without its copies onto themselves. One that has nothing else to do
 * goes altogether, unless others may rely on what it waits for. */
static void emit_step(struct finish *f, struct raw_step *p)
{
    struct sched *s = f->s;
    struct sched_channel *ch = &s->channels[f->channel];
    const struct raw_ref *refs = f->b->refs + p->first;
    int32_t kept = 0;
    for (int32_t i = 0; i < p->nrefs; i++)
        if (refs[i].out && !is_self_copy(f, p, &refs[i]))
            kept++;
    bool whole = kept == 0 && p->after.step >= 0;
    p->final = ch->nsteps - 1;
    if (kept == 0 && !whole)
        return;
    struct sched_step *step = &s->steps[s->nsteps++];
    *step = (struct sched_step){
        .first = s->nrefs,
        .span_space = p->span_space,
        .span_chunk = p->span_chunk,
        .span_n = p->span_n,
        .flags = p->flags,
        .after_step = -1,
    };
    for (int32_t i = 0; i < p->nrefs; i++)
        if (!refs[i].out)
            emit_ref(f, &refs[i]);
    step->nin = (int16_t)(s->nrefs - step->first);
    for (int32_t i = 0; i < p->nrefs; i++)
        if (refs[i].out && (whole || !is_self_copy(f, p, &refs[i])))
            emit_ref(f, &refs[i]);
    step->nout = (int16_t)(s->nrefs - step->first - step->nin);
    p->final = ch->nsteps++;
}

static void emit_all(struct finish *f)
{
    struct build *b = f->b;
    f->s->nchannels = b->nchannels;
    for (f->channel = 0; f->channel < b->nchannels; f->channel++) {
        struct raw_channel *ch = &b->channels[f->channel];
        f->s->channels[f->channel] = (struct sched_channel){.first = f->s->nsteps};
        for (f->step = 0; f->step < ch->nsteps; f->step++) {
            check_step(f, &ch->steps[f->step]);
            if (b->result != trncclSuccess)
                return;
            emit_step(f, &ch->steps[f->step]);
        }
    }
}

/* Marks name steps as they were described; the schedule needs those they became. */
static void resolve_after(struct finish *f)
{
    for (int32_t c = 0; c < f->b->nchannels; c++) {
        const struct raw_channel *ch = &f->b->channels[c];
        for (int32_t i = 0; i < ch->nsteps; i++) {
            const struct raw_step *p = &ch->steps[i];
            if (p->after.step < 0)
                continue;
            const struct raw_channel *from = &f->b->channels[p->after.channel];
            struct sched_step *step = &f->s->steps[f->s->channels[c].first + p->final];
            step->after_step = from->steps[p->after.step].final;
            step->after_channel =
                step->after_step >= 0 ? (int16_t)p->after.channel : (int16_t)0;
        }
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

trncclResult_t build_finish(struct build *b, struct sched **out)
{
    if (b->result != trncclSuccess)
        return error_set(b->result, "%s", b->text);
    struct finish f = {0};
    if (finish_init(&f, b)) {
        emit_all(&f);
        if (b->result == trncclSuccess)
            resolve_after(&f);
    } else {
        fail(b, trncclSystemError, "no memory for the schedule");
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
        *out = f.s;
    else
        sched_destroy(f.s);
    return result;
}
