/* text_parse: the inverse of text_print. It reads one rank's lines into plain arrays,
 * then describes them to the builder, which checks them as it checks any algorithm. */
#include "sched/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sched/build.h"
#include "sched/lines.h"

enum {
    PARSE_MAX_NBYTES = 1 << 28,
    PARSE_MAX_CHUNKS = 1 << 24, /* largest chunk index or number */
    /* Chunks that a text may imply, beyond its own length: a schedule that uses its
     * chunks has more text than that, and a small file must not make much work. */
    PARSE_FREE_CHUNKS = 1 << 16,
    PARSE_CHUNKS_PER_BYTE = 16,
};

/* A step as written. */
struct parsed_step {
    int32_t line, first, nin, nout; /* refs[first], inputs then outputs */
    uint8_t span_space;
    int32_t span_chunk, span_n;
    struct build_mark after;
    bool final, staged, after_drain, early;
    int32_t in_link, out_link; /* -1: not stated */
    int32_t drain;             /* -1: not stated */
};

struct parsed_ref {
    struct sched_ref ref;
    int32_t n; /* chunks; 0: a peer */
};

/* What the header gives and a rank may give otherwise. */
struct parsed_shape {
    int32_t nsub, tmp, credits;
    int32_t run; /* 0: not stated */
    uint8_t tmp_like;
    bool copies, any_order;
};

struct parser {
    struct lines in;
    struct sched_args args; /* of the rank being read */
    struct parsed_shape common, shape;
    int32_t pair[2];            /* PERMUTE: what the rank's blocks amount to */
    int32_t nsources, ntargets; /* PERMUTE: so far */
    int32_t rank_line, nchannels;
    int32_t channel_first[SCHED_MAX_CHANNELS + 1]; /* in steps */
    struct parsed_step *steps;                     /* owned; of this rank */
    struct parsed_ref *refs;                       /* owned; of this rank */
    int32_t nsteps, steps_capacity, nrefs, refs_capacity;
    int64_t nchunks, nchunks_most; /* implied so far; allowed */
    char algo[LINES_WORD_BYTES];
    struct sched **ranks; /* owned; followed by the name */
};

static trncclResult_t grow(void **array, int32_t *capacity, int32_t used, size_t nbytes)
{
    if (used < *capacity)
        return trncclSuccess;
    int32_t more = used < 16 ? 16 : used * 2;
    void *bigger = realloc(*array, (size_t)more * nbytes);
    if (!bigger)
        return error_set(trncclSystemError, "no memory to parse a schedule");
    *array = bigger;
    *capacity = more;
    return trncclSuccess;
}

static trncclResult_t parse_space(struct parser *p, uint8_t *space)
{
    char word[LINES_WORD_BYTES];
    TRY(lines_word(&p->in, "a space", word));
    if (strcmp(word, "IN") == 0)
        *space = SCHED_IN;
    else if (strcmp(word, "OUT") == 0)
        *space = SCHED_OUT;
    else if (strcmp(word, "TMP") == 0)
        *space = SCHED_TMP;
    else
        return lines_bad(p->in.line, "space \"%s\"; expected IN, OUT or TMP", word);
    return trncclSuccess;
}

/* [a] or [a..b] */
static trncclResult_t parse_range(struct parser *p, int32_t *chunk, int32_t *n)
{
    int32_t last;
    TRY(lines_expect(&p->in, "["));
    TRY(lines_number(&p->in, "a chunk", 0, PARSE_MAX_CHUNKS, chunk));
    last = *chunk;
    if (lines_accept(&p->in, ".."))
        TRY(lines_number(&p->in, "the last chunk", *chunk, PARSE_MAX_CHUNKS, &last));
    *n = last - *chunk + 1;
    return lines_expect(&p->in, "]");
}

static trncclResult_t parse_operand(struct parser *p, int32_t *count)
{
    void *array = p->refs;
    trncclResult_t grown = grow(&array, &p->refs_capacity, p->nrefs, sizeof *p->refs);
    p->refs = array;
    TRY(grown);
    struct parsed_ref r = {.ref = {.space = SCHED_PEER}};
    if (lines_accept_word(&p->in, "peer")) {
        TRY(lines_number(&p->in, "a rank", 0, SCHED_MAX_RANKS - 1, &r.ref.index));
    } else {
        TRY(parse_space(p, &r.ref.space));
        TRY(parse_range(p, &r.ref.index, &r.n));
    }
    p->refs[p->nrefs++] = r;
    ++*count;
    return trncclSuccess;
}

static trncclResult_t parse_side(struct parser *p, const char *side, int32_t *count)
{
    TRY(lines_expect_word(&p->in, side));
    do
        TRY(parse_operand(p, count));
    while (lines_accept(&p->in, ","));
    return trncclSuccess;
}

static trncclResult_t parse_extras(struct parser *p, struct parsed_step *step)
{
    while (!lines_at_end(&p->in)) {
        char word[LINES_WORD_BYTES];
        TRY(lines_word(&p->in,
                       "after, final, in-link, out-link, staged, drain, after-drain or "
                       "early",
                       word));
        if (strcmp(word, "after") == 0) {
            TRY(lines_number(&p->in, "a channel", 0, SCHED_MAX_CHANNELS - 1,
                             &step->after.channel));
            TRY(lines_expect(&p->in, ":"));
            TRY(lines_number(&p->in, "a step", 0, INT32_MAX, &step->after.step));
        } else if (strcmp(word, "in-link") == 0 || strcmp(word, "out-link") == 0) {
            TRY(lines_number(&p->in, "a link", 0, SCHED_MAX_CHANNELS - 1,
                             word[0] == 'i' ? &step->in_link : &step->out_link));
        } else if (strcmp(word, "final") == 0) {
            step->final = true;
        } else if (strcmp(word, "staged") == 0) {
            step->staged = true;
        } else if (strcmp(word, "drain") == 0) {
            TRY(lines_number(&p->in, "a number of steps", 0, INT32_MAX, &step->drain));
        } else if (strcmp(word, "after-drain") == 0) {
            step->after_drain = true;
        } else if (strcmp(word, "early") == 0) {
            step->early = true;
        } else {
            return lines_bad(p->in.line,
                             "\"%s\"; expected after, final, in-link, out-link, staged, "
                             "drain, after-drain or early",
                             word);
        }
    }
    return trncclSuccess;
}

static trncclResult_t parse_step(struct parser *p)
{
    if (p->nchannels == 0)
        return lines_bad(p->in.line, "a step before any channel of rank %d",
                         p->args.rank);
    int32_t index, want = p->nsteps - p->channel_first[p->nchannels - 1];
    TRY(lines_number(&p->in, "the step's number", 0, INT32_MAX, &index));
    if (index != want)
        return lines_bad(p->in.line, "step %d; expected step %d", index, want);
    TRY(lines_expect(&p->in, ":"));
    void *array = p->steps;
    trncclResult_t grown = grow(&array, &p->steps_capacity, p->nsteps, sizeof *p->steps);
    p->steps = array;
    TRY(grown);
    struct parsed_step *step = &p->steps[p->nsteps];
    *step = (struct parsed_step){.line = p->in.line,
                                 .first = p->nrefs,
                                 .after = {-1, -1},
                                 .in_link = -1,
                                 .out_link = -1,
                                 .drain = -1};
    if (!lines_accept_word(&p->in, "wait")) {
        TRY(parse_side(p, "in", &step->nin));
        TRY(parse_side(p, "out", &step->nout));
    }
    TRY(lines_expect_word(&p->in, "len"));
    TRY(parse_space(p, &step->span_space));
    TRY(parse_range(p, &step->span_chunk, &step->span_n));
    for (int32_t i = step->first; i < p->nrefs; i++)
        if (p->refs[i].n != 0 && p->refs[i].n != step->span_n)
            return lines_bad(p->in.line, "an operand of %d chunks in a step of %d (len)",
                             p->refs[i].n, step->span_n);
    TRY(parse_extras(p, step));
    p->nsteps++;
    p->channel_first[p->nchannels] = p->nsteps;
    return trncclSuccess;
}

static trncclResult_t parse_channel(struct parser *p)
{
    int32_t channel;
    TRY(lines_number(&p->in, "a channel", 0, SCHED_MAX_CHANNELS - 1, &channel));
    if (p->rank_line == 0)
        return lines_bad(p->in.line, "a channel before any rank");
    if (channel != p->nchannels)
        return lines_bad(p->in.line, "channel %d; expected channel %d", channel,
                         p->nchannels);
    p->nchannels++;
    p->channel_first[p->nchannels] = p->nsteps;
    return lines_expect_end(&p->in);
}

/* ---- Describing a rank's steps to the builder ---------------------------------------
 */

static void describe_step(const struct parser *p, struct build *b, int32_t channel,
                          const struct parsed_step *step)
{
    build_step(b, channel);
    for (int32_t i = 0; i < step->nin + step->nout; i++) {
        const struct sched_ref *r = &p->refs[step->first + i].ref;
        bool out = i >= step->nin;
        if (r->space == SCHED_PEER)
            (out ? build_to : build_from)(b, r->index);
        else
            (out ? build_local_out : build_local_in)(b, (enum sched_space)r->space,
                                                     r->index);
    }
    build_span(b, (enum sched_space)step->span_space, step->span_chunk, step->span_n);
    build_links(b, step->in_link, step->out_link);
    if (step->final)
        build_final(b);
    if (step->staged)
        build_staged(b);
    build_after(b, step->after);
}

/* The builder takes marks of steps it has seen, so channels advance as `after` lets them.
 */
static trncclResult_t describe_all(struct parser *p, struct build *b)
{
    int32_t at[SCHED_MAX_CHANNELS] = {0}, left = p->nsteps;
    const struct parsed_step *stuck = NULL;
    for (int32_t before = -1; left > 0 && before != left;) {
        before = left;
        for (int32_t c = 0; c < p->nchannels; c++) {
            int32_t n = p->channel_first[c + 1] - p->channel_first[c];
            for (; at[c] < n; at[c]++, left--) {
                const struct parsed_step *step = &p->steps[p->channel_first[c] + at[c]];
                stuck = step;
                if (step->after.step >= 0 && step->after.channel != c &&
                    at[step->after.channel] <= step->after.step)
                    break;
                describe_step(p, b, c, step);
            }
        }
    }
    if (left == 0)
        return trncclSuccess;
    return lines_bad(stuck->line,
                     "waits for step %d of channel %d, which does not exist or itself "
                     "waits for this step",
                     stuck->after.step, stuck->after.channel);
}

/* Marks that the text states must be those that follow from the steps. */
static trncclResult_t check_marks(const struct parser *p, const struct sched *s)
{
    for (int32_t i = 0; i < p->nsteps; i++) {
        const struct parsed_step *stated = &p->steps[i];
        if (stated->drain < 0 && !stated->after_drain && !stated->early)
            continue;
        if (s->nsteps != p->nsteps)
            return lines_bad(stated->line,
                             "states drain, after-drain or early, but steps of rank %d "
                             "only copy a chunk onto itself and are dropped",
                             s->rank);
        const struct sched_step *derived = &s->steps[i];
        if (stated->drain >= 0 && stated->drain != derived->drain)
            return lines_bad(stated->line, "drain %d; the steps imply %d", stated->drain,
                             derived->drain);
        if (stated->after_drain && !derived->after_drain)
            return lines_bad(stated->line, "after-drain; the steps do not imply it");
        if (stated->early && !(derived->flags & SCHED_POST_EARLY))
            return lines_bad(stated->line, "early; the steps do not allow it");
    }
    return trncclSuccess;
}

/* The builder's error, with the line it is about. */
static trncclResult_t build_failed(const struct parser *p, const struct build *b)
{
    struct build_mark at = build_error_step(b);
    int32_t line = at.step >= 0 ? p->steps[p->channel_first[at.channel] + at.step].line
                                : p->rank_line;
    char why[ERROR_TEXT_BYTES];
    snprintf(why, sizeof why, "%s", error_text());
    return lines_bad(line, "%s", why);
}

static trncclResult_t finish_rank(struct parser *p)
{
    if (p->rank_line == 0)
        return trncclSuccess;
    struct build *b;
    TRY(build_create(&p->args, p->algo, &b));
    build_shape(b, p->shape.nsub, p->shape.tmp, (enum sched_space)p->shape.tmp_like);
    build_credits(b, p->shape.credits);
    if (p->shape.run > 0)
        build_run(b, p->shape.run);
    if (p->shape.copies)
        build_copies(b);
    if (p->shape.any_order)
        build_any_order(b);
    struct sched *s = NULL;
    trncclResult_t result = describe_all(p, b);
    if (result == trncclSuccess) {
        result = build_finish(b, &s);
        if (result == trncclInvalidArgument || result == trncclInvalidUsage)
            result = build_failed(p, b);
    }
    build_destroy(b);
    if (result == trncclSuccess) {
        p->ranks[p->args.rank] = s; /* owned from here on, whatever comes */
        result = check_marks(p, s);
    }
    return result;
}

/* ---- Header and ranks ----------------------------------------------------------------
 */

/* One of the keywords that header and rank lines share. */
static trncclResult_t parse_shape_word(struct parser *p, const char *word,
                                       struct parsed_shape *shape)
{
    if (strcmp(word, "nsub") == 0)
        return lines_number(&p->in, "chunks per block", 1, PARSE_MAX_CHUNKS,
                            &shape->nsub);
    if (strcmp(word, "credits") == 0)
        return lines_number(&p->in, "credits", 1, PARSE_MAX_CHUNKS, &shape->credits);
    if (strcmp(word, "run") == 0)
        return lines_number(&p->in, "the longest run", 1, PARSE_MAX_CHUNKS, &shape->run);
    if (strcmp(word, "any-order") == 0) {
        shape->any_order = true;
        return trncclSuccess;
    }
    if (strcmp(word, "copies") == 0) {
        shape->copies = true;
        return trncclSuccess;
    }
    if (strcmp(word, "tmp") != 0)
        return lines_bad(p->in.line, "\"%s\" is not expected here", word);
    TRY(lines_number(&p->in, "chunks of TMP", 0, PARSE_MAX_CHUNKS, &shape->tmp));
    shape->tmp_like = SCHED_IN;
    if (lines_accept_word(&p->in, "like")) {
        TRY(parse_space(p, &shape->tmp_like));
        if (shape->tmp_like == SCHED_TMP)
            return lines_bad(p->in.line, "tmp like TMP; expected IN or OUT");
    }
    return trncclSuccess;
}

static trncclResult_t parse_header(struct parser *p)
{
    char word[LINES_WORD_BYTES];
    if (!lines_next(&p->in))
        return lines_bad(p->in.line, "no schedule: expected a line \"collective ...\"");
    TRY(lines_expect_word(&p->in, "collective"));
    TRY(lines_word(&p->in, "a collective", word));
    if (!sched_coll_parse(word, &p->args.coll))
        return lines_bad(p->in.line, "collective \"%s\" is unknown", word);
    p->common = (struct parsed_shape){.nsub = 1, .credits = 1};
    while (!lines_at_end(&p->in)) {
        TRY(lines_word(&p->in, "a keyword", word));
        if (strcmp(word, "algo") == 0)
            TRY(lines_word(&p->in, "an algorithm's name", p->algo));
        else if (strcmp(word, "ranks") == 0)
            TRY(lines_number(&p->in, "ranks", 1, SCHED_MAX_RANKS, &p->args.nranks));
        else if (strcmp(word, "root") == 0)
            TRY(lines_number(&p->in, "a root", 0, SCHED_MAX_RANKS - 1, &p->args.root));
        else
            TRY(parse_shape_word(p, word, &p->common));
    }
    if (p->algo[0] == '\0' || p->args.nranks == 0)
        return lines_bad(p->in.line, "the header lacks algo or ranks");
    if (p->args.root >= (sched_coll_rooted(p->args.coll) ? p->args.nranks : 1))
        return lines_bad(p->in.line, "root %d of %d ranks in %s", p->args.root,
                         p->args.nranks, sched_coll_name(p->args.coll));
    size_t array = (size_t)p->args.nranks * sizeof *p->ranks;
    p->ranks = calloc(1, array + sizeof p->algo);
    if (!p->ranks)
        return error_set(trncclSystemError, "no memory for %d schedules", p->args.nranks);
    memcpy((char *)p->ranks + array, p->algo, sizeof p->algo);
    return trncclSuccess;
}

/* PERMUTE: any pairs that give this rank the blocks it states will do, since a schedule
 * depends on its pairs through its blocks alone. */
static trncclResult_t parse_blocks(struct parser *p)
{
    int32_t in, out, rank = p->args.rank, other = (rank + 1) % p->args.nranks;
    TRY(lines_number(&p->in, "blocks of IN", 0, 1, &in));
    TRY(lines_number(&p->in, "blocks of OUT", 0, 1, &out));
    if (p->args.coll != SCHED_PERMUTE)
        return lines_bad(p->in.line, "blocks are stated of a permute only");
    if (in != out && p->args.nranks == 1)
        return lines_bad(p->in.line, "blocks %d %d of the only rank", in, out);
    p->pair[0] = in ? rank : other;
    p->pair[1] = out ? rank : other;
    p->args.pairs = p->pair;
    p->args.npairs = in || out;
    p->nsources += in;
    p->ntargets += out;
    return trncclSuccess;
}

/* Refuses a text that implies far more chunks than it has words for. */
static trncclResult_t count_chunks(struct parser *p)
{
    int32_t in, out;
    sched_coll_blocks(&p->args, &in, &out);
    p->nchunks += ((int64_t)in + out) * p->shape.nsub + p->shape.tmp;
    if (p->nchunks > p->nchunks_most)
        return lines_bad(p->in.line,
                         "%lld chunks in the ranks up to this one; a text of this length "
                         "may have %lld",
                         (long long)p->nchunks, (long long)p->nchunks_most);
    return trncclSuccess;
}

static trncclResult_t parse_rank(struct parser *p)
{
    int32_t rank, want = p->rank_line ? p->args.rank + 1 : 0;
    TRY(finish_rank(p));
    p->rank_line = p->in.line;
    p->nsteps = p->nrefs = p->nchannels = 0;
    p->shape = p->common;
    TRY(lines_number(&p->in, "a rank", 0, SCHED_MAX_RANKS - 1, &rank));
    if (rank != want || rank >= p->args.nranks)
        return lines_bad(p->in.line, "rank %d; expected %s %d", rank,
                         want < p->args.nranks ? "rank" : "no rank after",
                         want < p->args.nranks ? want : want - 1);
    p->args.rank = rank;
    p->args.pairs = NULL;
    p->args.npairs = 0;
    char word[LINES_WORD_BYTES];
    TRY(lines_word(&p->in, "in-place or out-of-place", word));
    p->args.inplace = strcmp(word, "in-place") == 0;
    if (!p->args.inplace && strcmp(word, "out-of-place") != 0)
        return lines_bad(p->in.line, "\"%s\"; expected in-place or out-of-place", word);
    while (!lines_at_end(&p->in)) {
        TRY(lines_word(&p->in, "a keyword", word));
        if (strcmp(word, "blocks") == 0)
            TRY(parse_blocks(p));
        else
            TRY(parse_shape_word(p, word, &p->shape));
    }
    return count_chunks(p);
}

static trncclResult_t parse_all(struct parser *p)
{
    TRY(parse_header(p));
    while (lines_next(&p->in)) {
        if (lines_accept_word(&p->in, "rank"))
            TRY(parse_rank(p));
        else if (lines_accept_word(&p->in, "channel"))
            TRY(parse_channel(p));
        else
            TRY(parse_step(p));
    }
    TRY(finish_rank(p));
    int32_t have = p->rank_line ? p->args.rank + 1 : 0;
    if (have != p->args.nranks)
        return lines_bad(p->in.line, "the text ends after %d of %d ranks", have,
                         p->args.nranks);
    if (p->nsources != p->ntargets)
        return lines_bad(p->in.line, "a permute of %d sources and %d targets",
                         p->nsources, p->ntargets);
    return trncclSuccess;
}

/* The longest run must be one number on all ranks: where none is stated, the largest. */
static void agree_run(struct parser *p)
{
    int32_t run = 1;
    if (p->common.run > 0)
        return;
    for (int32_t r = 0; r < p->args.nranks; r++)
        if (p->ranks[r]->max_run > run)
            run = p->ranks[r]->max_run;
    for (int32_t r = 0; r < p->args.nranks; r++)
        p->ranks[r]->max_run = run;
}

trncclResult_t text_parse(const char *text, size_t nbytes, struct sched ***ranks,
                          int32_t *nranks)
{
    if (nbytes > PARSE_MAX_NBYTES)
        return error_set(trncclInvalidArgument,
                         "a schedule of %zu bytes; expected at most %d", nbytes,
                         PARSE_MAX_NBYTES);
    struct parser p = {
        .in = {.at = text, .end = text + nbytes},
        .nchunks_most = PARSE_FREE_CHUNKS + PARSE_CHUNKS_PER_BYTE * (int64_t)nbytes,
    };
    trncclResult_t result = parse_all(&p);
    free(p.steps);
    free(p.refs);
    if (result == trncclSuccess) {
        agree_run(&p);
        const char *name = (const char *)(p.ranks + p.args.nranks);
        for (int32_t r = 0; r < p.args.nranks; r++)
            p.ranks[r]->algo = name;
        *ranks = p.ranks;
        *nranks = p.args.nranks;
        return trncclSuccess;
    }
    for (int32_t r = 0; p.ranks && r < p.args.nranks; r++)
        sched_destroy(p.ranks[r]);
    free(p.ranks);
    return result;
}
