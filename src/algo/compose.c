/* A phase runs on channels of its own and starts, in every round, when the one before has
 * ended that round; so the phases of following rounds overlap. */
#include "algo/compose.h"

#include <stdlib.h>
#include <string.h>

#include "algo/embed.h"
#include "algo/split.h"

/* ---- which algorithms ---------------------------------------------------------------
 */

static const struct algo *find(enum sched_coll coll, const char *name)
{
    const struct algo *a = algo_find(coll, name);
    if (a)
        return a;
    if (strcmp(name, "recursive") == 0)
        return algo_find(coll, coll == SCHED_REDUCE_SCATTER ? "recursive_halving"
                               : coll == SCHED_ALL_REDUCE   ? "halving_doubling"
                               : coll == SCHED_ALL_GATHER   ? "recursive_doubling"
                                                            : "direct");
    return coll == SCHED_ALL_REDUCE && strcmp(name, "direct") == 0
               ? algo_find(coll, "two_shot")
               : NULL;
}

/* The arguments of a phase inside the group, or between the groups. */
static struct sched_args phase_args(const struct compose *c,
                                    const struct sched_args *args, enum sched_coll coll,
                                    bool between)
{
    return (struct sched_args){
        .coll = coll,
        .nranks = between ? args->nranks / c->size : c->size,
        .rank = between ? args->rank / c->size : args->rank % c->size,
        .graph = between ? c->across : c->inside,
    };
}

/* Why an algorithm cannot serve a phase. In an all-reduce lengths inside the groups
 * follow shares of the vector, the last of which may be shorter. */
static const char *refuse_phase(const struct compose *c, const struct sched_args *args,
                                enum sched_coll coll, bool between,
                                const struct algo *algo)
{
    struct sched_args phase = phase_args(c, args, coll, between);
    if (!algo)
        return between ? "the algorithm between the groups does not exist"
                       : "the algorithm in the groups does not exist";
    if (args->coll == SCHED_ALL_REDUCE && !between &&
        !(algo->flags & (coll == SCHED_ALL_REDUCE ? ALGO_SPLITS : ALGO_V)))
        return "the algorithm in the groups neither splits nor serves blocks of "
               "different "
               "sizes";
    return algo->refuse ? algo->refuse(&phase) : NULL;
}

/* The algorithm of that name for a phase, if it can serve it; *reason says why not. */
static const struct algo *phase_find(const struct compose *c,
                                     const struct sched_args *args, enum sched_coll coll,
                                     const char *name, const char **reason)
{
    const struct algo *a = find(coll, name);
    const char *why = refuse_phase(c, args, coll, false, a);
    *reason = *reason ? *reason : why;
    return why ? NULL : a;
}

const char *compose_find(struct compose *c, const struct sched_args *args,
                         const char *inside, const char *between)
{
    enum sched_coll coll = args->coll;
    const char *reason = NULL, *whole_reason = NULL;
    c->whole = c->reduce = c->gather = c->exchange = NULL;
    if (coll == SCHED_ALL_REDUCE)
        c->whole = phase_find(c, args, coll, inside, &whole_reason);
    if (coll == SCHED_ALL_REDUCE || coll == SCHED_REDUCE_SCATTER)
        c->reduce = phase_find(c, args, SCHED_REDUCE_SCATTER, inside, &reason);
    if (coll == SCHED_ALL_REDUCE || coll == SCHED_ALL_GATHER)
        c->gather = phase_find(c, args, SCHED_ALL_GATHER, inside, &reason);
    if (coll == SCHED_ALL_TO_ALL)
        c->exchange = phase_find(c, args, SCHED_ALL_TO_ALL, inside, &reason);
    if (reason && c->whole)
        reason = NULL;
    c->between = find(coll, between);
    return reason ? reason : refuse_phase(c, args, coll, true, c->between);
}

/* ---- phases --------------------------------------------------------------------------
 */

struct sched *compose_part(struct build *b, const struct algo *algo,
                           const struct sched_args *args)
{
    struct sched *s = NULL;
    trncclResult_t result = algo_build(algo, args, &s);
    if (result != trncclSuccess)
        build_abort(b, result);
    return s;
}

enum { INSIDE, BETWEEN, BACK, NPHASES };

struct work {
    struct build *b;
    int32_t size, ngroups, mine, group; /* our number in our group; our group */
    struct sched *part[NPHASES];        /* owned, or NULL */
    int32_t channel[NPHASES];           /* each phase's first */
    int32_t q;                          /* chunks that a block of a phase is cut into */
    int32_t all;                        /* chunks of IN or OUT, whichever has more */
    bool in_step; /* all of a group do the same between the groups at the same time */
    bool packs;   /* blocks of several groups go in one message, between */
    int32_t tmp;  /* chunks of TMP that the phases described so far need */
};

static int32_t common_multiple(int32_t a, int32_t b)
{
    int32_t x = a, y = b;
    while (y) {
        int32_t r = x % y;
        x = y;
        y = r;
    }
    return a / x * b;
}

static struct sched *part_of(struct work *w, const struct compose *c,
                             const struct sched_args *args, int phase,
                             enum sched_coll coll, const struct algo *algo, bool inplace)
{
    struct sched_args phase_is = phase_args(c, args, coll, phase == BETWEEN);
    phase_is.inplace = inplace;
    w->part[phase] = compose_part(w->b, algo, &phase_is);
    if (w->part[phase])
        w->q = common_multiple(w->q, w->part[phase]->shape.nsub);
    return w->part[phase];
}

/* Channels one phase after the other, and what all ranks state. */
static void lay_out(struct work *w)
{
    int32_t channels = 0, credits = 1;
    for (int i = 0; i < NPHASES; i++) {
        w->channel[i] = channels;
        channels += w->part[i] ? w->part[i]->nchannels : 0;
        if (w->part[i] && w->part[i]->credits > credits)
            credits = w->part[i]->credits;
    }
    build_credits(w->b, credits);
}

/* What the map of a phase has in common whatever the collective. */
static struct embed map_of(const struct work *w, int phase, struct build_mark after)
{
    bool between = phase == BETWEEN;
    return (struct embed){.first_rank = between ? w->mine : w->group * w->size,
                          .rank_stride = between ? w->size : 1,
                          .width = w->q / w->part[phase]->shape.nsub,
                          .channel = w->channel[phase],
                          .after = after,
                          .join = true};
}

static struct embed_space at(enum sched_space space, int32_t first, int32_t stride)
{
    return (struct embed_space){.space = space, .first = first, .stride = stride};
}

/* Gives a phase its scratch. It is laid out like the whole space that it is like, so that
 * lengths agree for blocks of any sizes and what goes on for one group does not touch
 * what does for another; but where blocks are packed, like those. */
static void scratch(struct work *w, int phase, struct embed *e)
{
    e->tmp_origin = w->tmp;
    e->tmp_repeat = w->packs && phase == BETWEEN ? w->q : w->all;
    w->tmp += embed_tmp_chunks(w->part[phase], e);
}

static int32_t longest(const struct work *w, const struct embed maps[NPHASES])
{
    int32_t most = 1;
    for (int i = 0; i < NPHASES; i++) {
        int32_t run = w->part[i] ? embed_max_run(w->part[i], &maps[i]) : 0;
        most = run > most ? run : most;
    }
    return most;
}

static const struct build_mark at_once = {-1, -1};

static void all_reduce(struct work *w)
{
    int32_t q = w->q, own = w->mine * q;
    struct embed m[NPHASES];
    for (int i = 0; i < NPHASES; i++) {
        m[i] = map_of(w, i, at_once);
        m[i].in = m[i].out = at(SCHED_OUT, own, q);
    }
    m[INSIDE].in = at(SCHED_IN, 0, q);
    m[BETWEEN].final = true;
    m[BACK].out = at(SCHED_OUT, 0, q);
    for (int i = 0; i < NPHASES; i++)
        scratch(w, i, &m[i]);
    build_shape(w->b, w->all, w->tmp, SCHED_OUT);
    build_run(w->b, longest(w, m));
    m[BETWEEN].after = embed_emit(w->b, w->part[INSIDE], &m[INSIDE]);
    m[BACK].after = embed_emit(w->b, w->part[BETWEEN], &m[BETWEEN]);
    embed_emit(w->b, w->part[BACK], &m[BACK]);
}

/* A block of the group's gather, and the step after which it can go. */
struct arrival {
    int32_t group;
    struct build_mark mark;
};

static int arrival_compare(const void *pa, const void *pb)
{
    const struct arrival *a = pa, *b = pb;
    if (a->mark.step != b->mark.step)
        return a->mark.step < b->mark.step ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

/* What our rank got from each group goes round the group by itself, in the order in which
 * it came if that is the same for the whole group. */
static void gather_back(struct work *w, struct embed m, const struct build_mark *wrote,
                        struct build_mark all)
{
    struct arrival *blocks = calloc((size_t)w->ngroups, sizeof *blocks);
    if (!blocks) {
        build_abort(w->b,
                    error_set(trncclSystemError, "no memory for %d groups", w->ngroups));
        return;
    }
    bool one_channel = w->part[BETWEEN]->nchannels == 1;
    for (int32_t g = 0; g < w->ngroups; g++)
        blocks[g] = (struct arrival){g, one_channel ? wrote[g] : all};
    if (w->in_step)
        qsort(blocks, (size_t)w->ngroups, sizeof *blocks, arrival_compare);
    for (int32_t i = 0; i < w->ngroups; i++) {
        int32_t first = blocks[i].group * w->size;
        m.in = w->packs ? at(SCHED_TMP, blocks[i].group * w->q, w->q)
                        : at(SCHED_OUT, (first + w->mine) * w->q, w->q);
        m.out = at(SCHED_OUT, first * w->q, w->q);
        m.after = blocks[i].mark;
        embed_emit(w->b, w->part[BACK], &m);
    }
    free(blocks);
}

/* Where messages hold several groups' blocks these must lie together: the phase between
 * works in scratch then. */
static void all_gather(struct work *w)
{
    int32_t q = w->q;
    struct build_mark *wrote = calloc((size_t)w->ngroups, sizeof *wrote);
    if (!wrote) {
        build_abort(w->b,
                    error_set(trncclSystemError, "no memory for %d groups", w->ngroups));
        return;
    }
    for (int32_t g = 0; g < w->ngroups; g++)
        wrote[g] = at_once;
    struct embed m[NPHASES] = {
        [BETWEEN] = map_of(w, BETWEEN, at_once), [BACK] = map_of(w, BACK, at_once)};
    m[BETWEEN].in = at(SCHED_IN, 0, q);
    m[BETWEEN].out =
        w->packs ? at(SCHED_TMP, 0, q) : at(SCHED_OUT, w->mine * q, w->size * q);
    m[BETWEEN].wrote = wrote;
    m[BACK].in = m[BACK].out = at(SCHED_OUT, 0, q);
    m[BACK].join = false;
    w->tmp = w->packs ? w->ngroups * q : 0;
    scratch(w, BETWEEN, &m[BETWEEN]);
    scratch(w, BACK, &m[BACK]);
    build_shape(w->b, q, w->tmp, SCHED_OUT);
    build_run(w->b, longest(w, m));
    struct build_mark end = embed_emit(w->b, w->part[BETWEEN], &m[BETWEEN]);
    gather_back(w, m[BACK], wrote, end);
    free(wrote);
}

/* The groups' blocks are reduced inside our group one after the other; what is left to us
 * of each lies in scratch: where it lies in IN, or one behind the other. */
static void reduce_scatter(struct work *w)
{
    int32_t q = w->q, first = w->packs ? 0 : w->mine, stride = w->packs ? 1 : w->size;
    struct embed m[NPHASES] = {
        [INSIDE] = map_of(w, INSIDE, at_once), [BETWEEN] = map_of(w, BETWEEN, at_once)};
    m[INSIDE].in = at(SCHED_IN, 0, q);
    m[INSIDE].out = at(SCHED_TMP, 0, q);
    m[BETWEEN].in = at(SCHED_TMP, first * q, stride * q);
    m[BETWEEN].out = at(SCHED_OUT, 0, q);
    m[BETWEEN].final = true;
    w->tmp = w->ngroups * (w->packs ? 1 : w->size) * q;
    scratch(w, INSIDE, &m[INSIDE]);
    scratch(w, BETWEEN, &m[BETWEEN]);
    build_shape(w->b, q, w->tmp, SCHED_IN);
    build_run(w->b, longest(w, m));
    for (int32_t g = 0; g < w->ngroups; g++) {
        m[INSIDE].in.first = g * w->size * q;
        m[INSIDE].out.first = (first + g * stride) * q;
        m[INSIDE].join = g == w->ngroups - 1;
        m[BETWEEN].after = embed_emit(w->b, w->part[INSIDE], &m[INSIDE]);
    }
    embed_emit(w->b, w->part[BETWEEN], &m[BETWEEN]);
}

/* Inside the group each rank gets what is meant for its number in any group; then a
 * group's blocks go there in one message. */
static void all_to_all(struct work *w)
{
    int32_t q = w->q, group = w->size * q;
    struct embed m[NPHASES] = {
        [INSIDE] = map_of(w, INSIDE, at_once), [BETWEEN] = map_of(w, BETWEEN, at_once)};
    m[INSIDE].in = at(SCHED_IN, 0, q);
    m[INSIDE].out = at(SCHED_TMP, 0, q);
    m[BETWEEN].in = at(SCHED_TMP, 0, group);
    m[BETWEEN].out = at(SCHED_OUT, 0, group);
    m[BETWEEN].width *= w->size;
    w->tmp = w->all;
    scratch(w, INSIDE, &m[INSIDE]);
    scratch(w, BETWEEN, &m[BETWEEN]);
    build_shape(w->b, q, w->tmp, SCHED_IN);
    build_run(w->b, longest(w, m));
    for (int32_t i = 1; i <= w->ngroups; i++) {
        int32_t g = (w->group + i) % w->ngroups;
        m[INSIDE].in.first = m[INSIDE].out.first = g * group;
        m[INSIDE].join = i == w->ngroups;
        m[BETWEEN].after = embed_emit(w->b, w->part[INSIDE], &m[INSIDE]);
    }
    embed_emit(w->b, w->part[BETWEEN], &m[BETWEEN]);
}

/* The phase between the groups; in place only where it works in OUT. */
static bool make_between(struct work *w, const struct compose *c,
                         const struct sched_args *args)
{
    bool all = args->coll == SCHED_ALL_REDUCE;
    struct sched *s = part_of(w, c, args, BETWEEN, args->coll, c->between, all);
    w->packs = s && !all && s->max_run > s->shape.nsub;
    if (!s || args->coll != SCHED_ALL_GATHER || !args->inplace || w->packs)
        return s;
    sched_destroy(s);
    return part_of(w, c, args, BETWEEN, args->coll, c->between, true);
}

static bool make_parts(struct work *w, const struct compose *c,
                       const struct sched_args *args)
{
    bool inplace = args->coll == SCHED_ALL_REDUCE && args->inplace;
    if (!make_between(w, c, args))
        return false;
    if (c->reduce &&
        !part_of(w, c, args, INSIDE, SCHED_REDUCE_SCATTER, c->reduce, inplace))
        return false;
    if (c->exchange && !part_of(w, c, args, INSIDE, SCHED_ALL_TO_ALL, c->exchange, false))
        return false;
    return !c->gather ||
           part_of(w, c, args, BACK, SCHED_ALL_GATHER, c->gather, !w->packs);
}

/* An all-reduce by cutting one. False: what is in the groups cannot be cut after all, or
 * there are too few channels to do it for each of its own. */
static bool try_split(struct build *b, const struct sched_args *args,
                      const struct compose *c)
{
    struct sched_args in = phase_args(c, args, SCHED_ALL_REDUCE, false),
                      between = phase_args(c, args, SCHED_ALL_REDUCE, true);
    in.inplace = args->inplace;
    between.inplace = true;
    struct split s = {.inside = compose_part(b, c->whole, &in),
                      .first_rank = args->rank / c->size * c->size,
                      .mine = args->rank % c->size,
                      .size = c->size};
    if (s.inside)
        s.between = compose_part(b, c->between, &between);
    bool suits = !s.between || split_suits(&s);
    if (s.between && suits)
        split_build(b, &s);
    sched_destroy((struct sched *)s.inside);
    sched_destroy((struct sched *)s.between);
    return suits;
}

static void phases_build(struct build *b, const struct sched_args *args,
                         const struct compose *c)
{
    struct work w = {.b = b,
                     .size = c->size,
                     .ngroups = args->nranks / c->size,
                     .mine = args->rank % c->size,
                     .group = args->rank / c->size,
                     .q = 1,
                     .in_step = !c->across || c->across->nplanes < 2};
    if (make_parts(&w, c, args)) {
        w.all = (args->coll == SCHED_ALL_REDUCE ? w.size : args->nranks) * w.q;
        lay_out(&w);
        if (args->coll == SCHED_ALL_REDUCE)
            all_reduce(&w);
        else if (args->coll == SCHED_ALL_GATHER)
            all_gather(&w);
        else if (args->coll == SCHED_REDUCE_SCATTER)
            reduce_scatter(&w);
        else
            all_to_all(&w);
    }
    for (int i = 0; i < NPHASES; i++)
        sched_destroy(w.part[i]);
}

void compose_build(struct build *b, const struct sched_args *args,
                   const struct compose *c)
{
    if (c->whole && try_split(b, args, c))
        return;
    if (args->coll == SCHED_ALL_REDUCE && !(c->reduce && c->gather))
        build_abort(b, error_set(trncclInvalidArgument,
                                 "%s in groups needs too many channels, or cannot be cut",
                                 c->whole->name));
    else
        phases_build(b, args, c);
}
