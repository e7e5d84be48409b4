#include "tests/suite/mutant.h"

#include <stdlib.h>
#include <string.h>

#include "sched/derive.h"

enum { MAX_OPERANDS = 64 };

/* A step with operands of its own, so that it can be edited. */
struct loose_step {
    struct sched_step step;
    struct sched_ref ref[MAX_OPERANDS];
};

struct loose {
    struct sched head;
    struct loose_step *steps; /* [head.nsteps], room for one more */
};

const char *mutant_kind_name(enum mutant_kind kind)
{
    static const char *const names[MUTANT_NKINDS] = {
        [MUTANT_OFFSET] = "offset",       [MUTANT_SPACE] = "space",
        [MUTANT_TYPE] = "type",           [MUTANT_DELETE] = "delete",
        [MUTANT_DUPLICATE] = "duplicate", [MUTANT_SWAP] = "swap",
        [MUTANT_DEPEND] = "dependency",   [MUTANT_PEER] = "peer",
        [MUTANT_ORDER] = "order",         [MUTANT_FINAL] = "final",
        [MUTANT_SPAN] = "span",           [MUTANT_EARLY] = "early",
    };
    return names[kind];
}

static bool loosen(const struct sched *s, struct loose *l)
{
    l->head = *s;
    l->steps = calloc((size_t)s->nsteps + 1, sizeof(*l->steps));
    for (int i = 0; l->steps && i < s->nsteps; i++) {
        const struct sched_step *p = &s->steps[i];
        if (p->nin + p->nout + 1 > MAX_OPERANDS)
            abort();
        l->steps[i].step = *p;
        memcpy(l->steps[i].ref, sched_in(s, p),
               (size_t)(p->nin + p->nout) * sizeof(struct sched_ref));
    }
    return l->steps;
}

static struct sched *tighten(const struct loose *l)
{
    struct sched *s = malloc(sizeof(*s));
    if (!s)
        abort();
    *s = l->head;
    s->nrefs = 0;
    s->steps = calloc((size_t)s->nsteps + 1, sizeof(*s->steps));
    s->refs = calloc((size_t)(s->nsteps + 1) * MAX_OPERANDS, sizeof(*s->refs));
    if (!s->steps || !s->refs)
        abort();
    for (int i = 0; i < s->nsteps; i++) {
        const struct loose_step *from = &l->steps[i];
        s->steps[i] = from->step;
        s->steps[i].first = s->nrefs;
        for (int o = 0; o < from->step.nin + from->step.nout; o++)
            s->refs[s->nrefs++] = from->ref[o];
    }
    return s;
}

static int channel_of(const struct sched *s, int step)
{
    int c = 0;
    while (step >= s->channels[c].first + s->channels[c].nsteps)
        c++;
    return c;
}

/* ---- Editing operands ---------------------------------------------------------------
 */

static void operand_remove(struct loose_step *t, int operand)
{
    int n = t->step.nin + t->step.nout;
    memmove(&t->ref[operand], &t->ref[operand + 1],
            (size_t)(n - operand - 1) * sizeof(t->ref[0]));
    *(operand < t->step.nin ? &t->step.nin : &t->step.nout) -= 1;
}

static void operand_insert(struct loose_step *t, int at, struct sched_ref ref,
                           bool output)
{
    int n = t->step.nin + t->step.nout;
    memmove(&t->ref[at + 1], &t->ref[at], (size_t)(n - at) * sizeof(t->ref[0]));
    t->ref[at] = ref;
    *(output ? &t->step.nout : &t->step.nin) += 1;
}

static bool in_range(const struct sched *s, int space, int chunk, int n)
{
    return n >= 1 && chunk >= 0 && chunk + n <= sched_nchunks(s, (enum sched_space)space);
}

/* Each editor changes variant v of its kind and tells: DONE, NOTHING to change in this
 * one, or no such variant at all (END). */
enum edit { END, NOTHING, DONE };

static enum edit edit_offset(struct loose *l, int step, int v, int *operand)
{
    struct loose_step *t = &l->steps[step];
    int nsub = l->head.shape.nsub;
    const int deltas[] = {1, -1, nsub, -nsub};
    int o = v / 4, delta = deltas[v % 4];
    if (o >= t->step.nin + t->step.nout)
        return END;
    *operand = o;
    if (t->ref[o].space == SCHED_PEER || (v % 4 >= 2 && nsub == 1) ||
        !in_range(&l->head, t->ref[o].space, t->ref[o].index + delta, t->step.span_n))
        return NOTHING;
    t->ref[o].index += delta;
    return DONE;
}

static enum edit edit_space(struct loose *l, int step, int v, int *operand)
{
    struct loose_step *t = &l->steps[step];
    int o = v / 3, space = v % 3;
    if (o >= t->step.nin + t->step.nout)
        return END;
    *operand = o;
    if (t->ref[o].space == SCHED_PEER || t->ref[o].space == space ||
        !in_range(&l->head, space, t->ref[o].index, t->step.span_n))
        return NOTHING;
    t->ref[o].space = (uint8_t)space;
    return DONE;
}

/* First the operands are removed in turn, then one is added: an input or an output in
 * IN, OUT or TMP at the place of the span. */
static enum edit edit_type(struct loose *l, int step, int v, int *operand)
{
    struct loose_step *t = &l->steps[step];
    int n = t->step.nin + t->step.nout;
    *operand = -1;
    if (v < n) {
        if ((v < t->step.nin ? t->step.nin : t->step.nout) == 1)
            return NOTHING;
        operand_remove(t, v);
        return DONE;
    }
    bool output = (v - n) / 3 == 1;
    struct sched_ref ref = {(uint8_t)((v - n) % 3), t->step.span_chunk};
    if (v - n >= 6)
        return END;
    if (!in_range(&l->head, ref.space, ref.index, t->step.span_n))
        return NOTHING;
    *operand = output ? n : t->step.nin;
    operand_insert(t, *operand, ref, output);
    return DONE;
}

static enum edit edit_peer(struct loose *l, int step, int v, int *operand)
{
    struct loose_step *t = &l->steps[step];
    const struct sched *s = &l->head;
    int n = t->step.nin + t->step.nout, o = v / 2;
    if (o >= n)
        return END;
    *operand = o;
    if (t->ref[o].space != SCHED_PEER)
        return NOTHING;
    if (v % 2 == 0) {
        int peer = (t->ref[o].index + 1) % s->nranks;
        if (peer == s->rank)
            peer = (peer + 1) % s->nranks;
        if (peer == t->ref[o].index)
            return NOTHING;
        t->ref[o].index = peer;
        return DONE;
    }
    /* Exchange with the next step of the channel that has another one: numbers of
     * messages stay right. */
    const struct sched_channel *ch = &s->channels[channel_of(s, step)];
    for (int i = step + 1; i < ch->first + ch->nsteps; i++) {
        struct loose_step *u = &l->steps[i];
        for (int k = 0; k < u->step.nin + u->step.nout; k++) {
            if (u->ref[k].space != SCHED_PEER || u->ref[k].index == t->ref[o].index ||
                (k < u->step.nin) != (o < t->step.nin))
                continue;
            struct sched_ref other = u->ref[k];
            u->ref[k] = t->ref[o];
            t->ref[o] = other;
            return DONE;
        }
    }
    return NOTHING;
}

static enum edit edit_order(struct loose *l, int step, int v, int *operand)
{
    struct loose_step *t = &l->steps[step];
    *operand = -1;
    if (v + 1 >= t->step.nin)
        return END;
    struct sched_ref first = t->ref[v];
    t->ref[v] = t->ref[v + 1];
    t->ref[v + 1] = first;
    return DONE;
}

static enum edit edit_span(struct loose *l, int step, int v, int *operand)
{
    struct sched_step *p = &l->steps[step].step;
    *operand = -1;
    if (v >= 4)
        return END;
    int delta = v % 2 ? -1 : 1;
    if (v < 2) {
        if (p->span_n + delta < 1)
            return NOTHING;
        p->span_n += delta;
    } else {
        if (!in_range(&l->head, p->span_space, p->span_chunk + delta, p->span_n))
            return NOTHING;
        p->span_chunk += delta;
    }
    return DONE;
}

static enum edit edit_flag(struct loose *l, int step, int v, int flag)
{
    if (v > 0)
        return END;
    l->steps[step].step.flags ^= (uint8_t)flag;
    return DONE;
}

static enum edit edit_depend(struct loose *l, int step, int v)
{
    struct sched_step *p = &l->steps[step].step;
    if (v == 0 && p->after_step >= 0) {
        p->after_step = -1;
        p->after_channel = 0;
        p->after_drain = false;
    } else if (v == 1 && p->after_step > 0) {
        p->after_step--;
    } else if (v == 2 && p->after_drain) {
        p->after_drain = false;
    } else if (v == 3 && p->drain > 0) {
        p->drain = 0;
    } else if (v == 4 && p->drain > 1) {
        p->drain--;
    } else {
        return v > 4 ? END : NOTHING;
    }
    return DONE;
}

/* ---- Editing steps --------------------------------------------------------------------
 */

/* Steps of `channel` from `at` on have moved by delta: who waits for them moves along. */
static void shift_marks(struct loose *l, int channel, int at, int delta)
{
    for (int i = 0; i < l->head.nsteps; i++) {
        struct sched_step *p = &l->steps[i].step;
        if (p->after_step >= at && p->after_channel == channel)
            p->after_step += delta;
    }
    l->head.channels[channel].nsteps += delta;
    for (int c = channel + 1; c < l->head.nchannels; c++)
        l->head.channels[c].first += delta;
}

static enum edit edit_delete(struct loose *l, int step, int v)
{
    if (v > 0)
        return END;
    int channel = channel_of(&l->head, step);
    int at = step - l->head.channels[channel].first;
    memmove(&l->steps[step], &l->steps[step + 1],
            (size_t)(l->head.nsteps - step - 1) * sizeof(l->steps[0]));
    l->head.nsteps--;
    shift_marks(l, channel, at, -1);
    return DONE;
}

static enum edit edit_duplicate(struct loose *l, int step, int v)
{
    if (v > 0)
        return END;
    int channel = channel_of(&l->head, step);
    int at = step - l->head.channels[channel].first;
    memmove(&l->steps[step + 1], &l->steps[step],
            (size_t)(l->head.nsteps - step) * sizeof(l->steps[0]));
    l->head.nsteps++;
    shift_marks(l, channel, at + 1, 1);
    return DONE;
}

static enum edit edit_swap(struct loose *l, int step, int v)
{
    const struct sched_channel *ch = &l->head.channels[channel_of(&l->head, step)];
    if (v > 0)
        return END;
    if (step + 1 == ch->first + ch->nsteps)
        return NOTHING;
    struct loose_step first = l->steps[step];
    l->steps[step] = l->steps[step + 1];
    l->steps[step + 1] = first;
    return DONE;
}

/* ---- Mutants ------------------------------------------------------------------------
 */

static enum edit edit(struct loose *l, const struct mutant *m, int *operand)
{
    *operand = -1;
    switch (m->kind) {
    case MUTANT_OFFSET:
        return edit_offset(l, m->step, m->variant, operand);
    case MUTANT_SPACE:
        return edit_space(l, m->step, m->variant, operand);
    case MUTANT_TYPE:
        return edit_type(l, m->step, m->variant, operand);
    case MUTANT_DELETE:
        return edit_delete(l, m->step, m->variant);
    case MUTANT_DUPLICATE:
        return edit_duplicate(l, m->step, m->variant);
    case MUTANT_SWAP:
        return edit_swap(l, m->step, m->variant);
    case MUTANT_DEPEND:
        return edit_depend(l, m->step, m->variant);
    case MUTANT_PEER:
        return edit_peer(l, m->step, m->variant, operand);
    case MUTANT_ORDER:
        return edit_order(l, m->step, m->variant, operand);
    case MUTANT_FINAL:
        return edit_flag(l, m->step, m->variant, SCHED_FINAL);
    case MUTANT_SPAN:
        return edit_span(l, m->step, m->variant, operand);
    case MUTANT_EARLY:
        return edit_flag(l, m->step, m->variant, SCHED_POST_EARLY);
    case MUTANT_NKINDS:
        break;
    }
    return END;
}

/* The builder's derivation takes operands in range for granted. */
static bool can_derive(const struct sched *s)
{
    for (int i = 0; i < s->nsteps; i++) {
        const struct sched_step *p = &s->steps[i];
        if (!in_range(s, p->span_space, p->span_chunk, p->span_n))
            return false;
        for (int o = 0; o < p->nin + p->nout; o++) {
            struct sched_ref ref = sched_in(s, p)[o];
            if (ref.space != SCHED_PEER && !in_range(s, ref.space, ref.index, p->span_n))
                return false;
        }
        if (p->after_step >= 0 && p->after_step >= s->channels[p->after_channel].nsteps)
            return false;
    }
    return true;
}

bool mutant_make(const struct sched *s, const struct mutant *m, struct sched **out,
                 int *operand)
{
    struct loose l;
    if (!loosen(s, &l))
        abort();
    enum edit done = edit(&l, m, operand);
    *out = done == DONE ? tighten(&l) : NULL;
    free(l.steps);
    bool of_marks = m->kind == MUTANT_DEPEND || m->kind == MUTANT_EARLY;
    if (*out && !of_marks && can_derive(*out)) {
        trncclResult_t result = derive_marks(*out);
        (void)result; /* `after` in a circle: the proof must say so */
    }
    return done != END;
}
