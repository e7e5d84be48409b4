#include "sched/raw.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void build_fail(struct build *b, trncclResult_t result, const char *format, ...)
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
        build_fail(b, trncclSystemError, "no memory for more than %d steps or operands",
                   used);
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
    b->text_step = (struct build_mark){-1, -1};
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
        build_fail(b, trncclInvalidUsage, "the shape is given twice, or after a step");
        return;
    }
    int32_t most =
        shape->in_blocks > shape->out_blocks ? shape->in_blocks : shape->out_blocks;
    if (nsub < 1 || (int64_t)nsub * (most ? most : 1) > BUILD_MAX_CHUNKS) {
        build_fail(
            b, trncclInvalidArgument,
            "%d chunks per block; expected at least 1, and at most %d in all blocks",
            nsub, BUILD_MAX_CHUNKS);
        return;
    }
    int32_t like_blocks = tmp_like == SCHED_IN ? shape->in_blocks : shape->out_blocks;
    if (tmp_chunks < 0 || tmp_chunks > BUILD_MAX_CHUNKS ||
        (tmp_like != SCHED_IN && tmp_like != SCHED_OUT) ||
        (tmp_chunks > 0 && like_blocks == 0)) {
        build_fail(
            b, trncclInvalidArgument,
            "TMP of %d chunks like %s, which has %d blocks; expected 0 to %d chunks "
            "like a space that this rank has",
            tmp_chunks, tmp_like == SCHED_IN ? "IN" : "OUT", like_blocks,
            BUILD_MAX_CHUNKS);
        return;
    }
    b->shaped = true;
    shape->nsub = nsub;
    shape->tmp_chunks = tmp_chunks;
    shape->tmp_like = tmp_chunks > 0 ? (uint8_t)tmp_like : (uint8_t)SCHED_IN;
}

void build_credits(struct build *b, int32_t credits)
{
    if (credits < 1)
        build_fail(b, trncclInvalidArgument, "%d credits; expected at least 1", credits);
    else
        b->head.credits = credits;
}

void build_run(struct build *b, int32_t max_run)
{
    if (max_run < 1)
        build_fail(b, trncclInvalidArgument,
                   "a longest run of %d chunks; expected 1 or more", max_run);
    else
        b->head.max_run = max_run;
}

void build_copies(struct build *b)
{
    b->head.copies = true;
}

void build_any_order(struct build *b)
{
    b->head.any_order = true;
}

struct build_mark build_step(struct build *b, int32_t channel)
{
    static const struct build_mark none = {-1, -1};
    b->open_channel = -1;
    if (channel < 0 || channel >= SCHED_MAX_CHANNELS) {
        build_fail(b, trncclInvalidArgument, "a step on channel %d; expected 0 to %d",
                   channel, SCHED_MAX_CHANNELS - 1);
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
        build_fail(b, trncclInvalidUsage, "an operand is described before any step");
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
        build_fail(b, trncclInvalidArgument,
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

void build_links(struct build *b, int32_t in, int32_t out)
{
    struct raw_step *p = open_step(b);
    if (!p)
        return;
    if (in < -1 || out < -1 || in >= SCHED_MAX_CHANNELS || out >= SCHED_MAX_CHANNELS) {
        build_fail(b, trncclInvalidArgument, "links %d and %d; expected -1 to %d", in,
                   out, SCHED_MAX_CHANNELS - 1);
        return;
    }
    p->in_link = (uint8_t)(in + 1);
    p->out_link = (uint8_t)(out + 1);
}

void build_final(struct build *b)
{
    struct raw_step *p = open_step(b);
    if (p)
        p->flags |= SCHED_FINAL;
}

void build_staged(struct build *b)
{
    struct raw_step *p = open_step(b);
    if (p)
        p->flags |= SCHED_STAGED;
}

void build_after(struct build *b, struct build_mark mark)
{
    struct raw_step *p = open_step(b);
    if (!p || mark.step < 0 || mark.channel == b->open_channel)
        return; /* none, or the channel's own order says it already */
    if (mark.channel < 0 || mark.channel >= b->nchannels ||
        mark.step >= b->channels[mark.channel].nsteps)
        build_fail(
            b, trncclInvalidArgument,
            "channel %d step %d is to start after step %d of channel %d, which does not "
            "exist",
            b->open_channel, b->channels[b->open_channel].nsteps - 1, mark.step,
            mark.channel);
    else if (p->after.step >= 0 && p->after.channel != mark.channel)
        build_fail(
            b, trncclInvalidArgument,
            "channel %d step %d is to start after steps of channels %d and %d; a step "
            "can "
            "wait for one other channel",
            b->open_channel, b->channels[b->open_channel].nsteps - 1, p->after.channel,
            mark.channel);
    else if (mark.step > p->after.step)
        p->after = mark;
}

struct build_mark build_wait(struct build *b, int32_t channel, struct build_mark mark,
                             enum sched_space space, int32_t chunk, int32_t n)
{
    struct build_mark wait = build_step(b, channel);
    build_span(b, space, chunk, n);
    build_after(b, mark);
    return wait;
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

void build_abort(struct build *b, trncclResult_t result)
{
    if (b->result != trncclSuccess)
        return;
    b->result = result;
    snprintf(b->text, sizeof b->text, "%s", error_text());
}

struct build_mark build_error_step(const struct build *b)
{
    return b->text_step;
}
