#include "tests/suite/interp.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHANNELS = 8, /* of the algorithms that are interpreted, and links */
    LINKS = INTERP_MAX_RANKS * INTERP_MAX_RANKS * CHANNELS
};

/* One chunk: the sum of its contributions, and the expression that made it. */
struct cell {
    uint64_t sum, expression;
};

enum how { COPIED, LENT, LANDED };

struct letter {
    int source, send_step, operand; /* of the source, into its refs: what is lent */
    int target, receive_step;
    enum how how;
    struct cell *copy; /* [span_n] */
};

struct link {
    int first, pushed, popped, n; /* letters[first + k] */
};

struct fiber {
    int rank, channel, next, priority;
};

struct machine {
    const struct interp *in;
    uint64_t random;
    int style;   /* of sending: enum how, or 3: at random */
    bool scales; /* a pre-multiplied sum: contributions change when they are read */
    struct cell *memory[INTERP_MAX_RANKS];
    int *lent[INTERP_MAX_RANKS]; /* per step: letters that still read its chunks */
    struct link link[LINKS];
    struct letter *letters;
    struct cell *copies;
    struct fiber fiber[INTERP_MAX_RANKS * CHANNELS];
    int nfibers, late; /* late: a rank that must not start yet, or -1 */
    int watch_rank, watch_step;
    uint64_t read;
    bool changed; /* by the write that should keep its place as it is */
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static uint64_t draw(struct machine *m)
{
    m->random += 0x9e3779b97f4a7c15u;
    return mix(m->random);
}

static struct cell contribution(int rank, int chunk)
{
    uint64_t w = mix((uint64_t)rank * 1000003 + (uint64_t)chunk + 17);
    return (struct cell){w, mix(w + 1)};
}

static struct cell scaled(const struct machine *m, struct cell c)
{
    if (!m->scales)
        return c;
    return (struct cell){c.sum * 0x9e3779b97f4a7c15u, mix(c.expression + 2)};
}

static struct cell finished(struct cell c)
{
    return (struct cell){(c.sum << 23 | c.sum >> 41) * 0xc4ceb9fe1a85ec53u,
                         mix(c.expression + 3)};
}

/* ---- Places -------------------------------------------------------------------------
 */

static int cells_of(const struct sched *s)
{
    return sched_nchunks(s, SCHED_IN) + sched_nchunks(s, SCHED_OUT) + s->shape.tmp_chunks;
}

static int place(const struct sched *s, int space, int chunk)
{
    int nout = sched_nchunks(s, SCHED_OUT), nin = sched_nchunks(s, SCHED_IN);
    if (space == SCHED_OUT)
        return chunk;
    if (space == SCHED_TMP)
        return nout + nin + chunk;
    int alias = sched_alias(s, SCHED_IN, chunk);
    return alias >= 0 ? alias : nout + chunk;
}

static struct cell *cell_at(struct machine *m, int rank, struct sched_ref ref, int k)
{
    const struct sched *s = m->in->ranks[rank];
    return &m->memory[rank][place(s, ref.space, ref.index + k)];
}

static const struct sched_step *step_at(const struct machine *m, int rank, int step)
{
    return &m->in->ranks[rank]->steps[step];
}

static const struct sched_ref *refs_at(const struct machine *m, int rank, int step)
{
    return sched_in(m->in->ranks[rank], step_at(m, rank, step));
}

static struct link *link_at(struct machine *m, int source, int target, int number)
{
    return &m->link[(source * INTERP_MAX_RANKS + target) * CHANNELS + number];
}

/* ---- Setting up ---------------------------------------------------------------------
 */

typedef void (*visit_fn)(struct machine *m, int rank, int channel, int step, int operand);

static void visit_peers(struct machine *m, visit_fn visit)
{
    for (int r = 0; r < m->in->nranks; r++) {
        const struct sched *s = m->in->ranks[r];
        for (int c = 0; c < s->nchannels; c++)
            for (int i = 0; i < s->channels[c].nsteps; i++) {
                int step = s->channels[c].first + i;
                const struct sched_step *p = &s->steps[step];
                for (int o = 0; o < p->nin + p->nout; o++)
                    if (sched_in(s, p)[o].space == SCHED_PEER)
                        visit(m, r, c, step, o);
            }
    }
}

static bool is_output(const struct machine *m, int rank, int step, int operand)
{
    return operand >= step_at(m, rank, step)->nin;
}

static void count_letter(struct machine *m, int rank, int channel, int step, int operand)
{
    if (is_output(m, rank, step, operand))
        link_at(m, rank, refs_at(m, rank, step)[operand].index,
                sched_link(step_at(m, rank, step), true, channel))
            ->n++;
}

static void address_letter(struct machine *m, int rank, int channel, int step,
                           int operand)
{
    int peer = refs_at(m, rank, step)[operand].index;
    if (is_output(m, rank, step, operand)) {
        struct link *l =
            link_at(m, rank, peer, sched_link(step_at(m, rank, step), true, channel));
        struct letter *t = &m->letters[l->first + l->pushed++];
        t->source = rank;
        t->send_step = step;
    } else {
        struct link *l =
            link_at(m, peer, rank, sched_link(step_at(m, rank, step), false, channel));
        struct letter *t = &m->letters[l->first + l->popped++];
        t->target = rank;
        t->receive_step = step;
    }
}

static bool make_letters(struct machine *m)
{
    visit_peers(m, count_letter);
    int nletters = 0;
    for (int i = 0; i < LINKS; i++) {
        m->link[i].first = nletters;
        nletters += m->link[i].n;
    }
    m->letters = calloc((size_t)nletters + 1, sizeof(*m->letters));
    if (!m->letters)
        return false;
    visit_peers(m, address_letter);
    size_t ncopies = 0;
    for (int i = 0; i < nletters; i++)
        ncopies +=
            (size_t)step_at(m, m->letters[i].source, m->letters[i].send_step)->span_n;
    m->copies = calloc(ncopies + 1, sizeof(*m->copies));
    if (!m->copies)
        return false;
    struct cell *next = m->copies;
    for (int i = 0; i < nletters; i++) {
        m->letters[i].copy = next;
        next += step_at(m, m->letters[i].source, m->letters[i].send_step)->span_n;
    }
    for (int i = 0; i < LINKS; i++)
        m->link[i].pushed = m->link[i].popped = 0;
    return true;
}

static bool make_memory(struct machine *m)
{
    for (int r = 0; r < m->in->nranks; r++) {
        const struct sched *s = m->in->ranks[r];
        int ncells = cells_of(s);
        m->memory[r] = calloc((size_t)ncells + 1, sizeof(**m->memory));
        m->lent[r] = calloc((size_t)s->nsteps + 1, sizeof(**m->lent));
        if (!m->memory[r] || !m->lent[r])
            return false;
        for (int i = 0; i < ncells; i++)
            m->memory[r][i] = (struct cell){draw(m), draw(m)};
        for (int i = 0; i < sched_nchunks(s, SCHED_IN); i++)
            m->memory[r][place(s, SCHED_IN, i)] = contribution(r, i);
        for (int c = 0; c < s->nchannels; c++)
            m->fiber[m->nfibers++] = (struct fiber){r, c, 0, (int)(draw(m) % 1000)};
    }
    return true;
}

/* ---- Waiting ------------------------------------------------------------------------
 */

static int fiber_next(const struct machine *m, int rank, int channel)
{
    for (int i = 0; i < m->nfibers; i++)
        if (m->fiber[i].rank == rank && m->fiber[i].channel == channel)
            return m->fiber[i].next;
    return 0;
}

static bool is_drained(const struct machine *m, int rank, int channel, int upto)
{
    int first = m->in->ranks[rank]->channels[channel].first;
    for (int i = 0; i < upto; i++)
        if (m->lent[rank][first + i] > 0)
            return false;
    return true;
}

static bool may_start(const struct machine *m, const struct fiber *f)
{
    const struct sched *s = m->in->ranks[f->rank];
    const struct sched_step *p = &s->steps[s->channels[f->channel].first + f->next];
    if (f->rank == m->late)
        return false;
    if (p->after_step >= 0 && fiber_next(m, f->rank, p->after_channel) <= p->after_step)
        return false;
    if (p->after_drain && !is_drained(m, f->rank, p->after_channel, p->after_step + 1))
        return false;
    return is_drained(m, f->rank, f->channel, p->drain);
}

static bool is_runnable(struct machine *m, const struct fiber *f)
{
    const struct sched *s = m->in->ranks[f->rank];
    if (f->next == s->channels[f->channel].nsteps || !may_start(m, f))
        return false;
    const struct sched_step *p = &s->steps[s->channels[f->channel].first + f->next];
    for (int o = 0; o < p->nin + p->nout; o++) {
        struct sched_ref ref = sched_in(s, p)[o];
        if (ref.space != SCHED_PEER)
            continue;
        const struct link *in =
            link_at(m, ref.index, f->rank, sched_link(p, false, f->channel));
        const struct link *out =
            link_at(m, f->rank, ref.index, sched_link(p, true, f->channel));
        if (o < p->nin ? in->pushed == in->popped
                       : out->pushed - out->popped >= s->credits)
            return false;
    }
    return true;
}

/* ---- One step -----------------------------------------------------------------------
 */

/* The local output in IN or OUT of a pure receive, or -1. */
static int landing_operand(const struct sched *s, const struct sched_step *p)
{
    for (int o = p->nin; o < p->nin + p->nout; o++)
        if (p->nin == 1 && sched_in(s, p)[o].space <= SCHED_OUT)
            return o;
    return -1;
}

static bool is_posted(struct machine *m, const struct letter *t)
{
    const struct sched *s = m->in->ranks[t->target];
    const struct sched_step *p = &s->steps[t->receive_step];
    if (landing_operand(s, p) < 0)
        return false;
    if (p->flags & SCHED_POST_EARLY)
        return true;
    for (int i = 0; i < m->nfibers; i++) {
        const struct fiber *f = &m->fiber[i];
        const struct sched_channel *ch = &s->channels[f->channel];
        if (f->rank == t->target && f->next < ch->nsteps &&
            ch->first + f->next == t->receive_step)
            return may_start(m, f);
    }
    return false;
}

/* Whether a local chunk is a contribution to a reduction. */
static bool is_raw(const struct sched *s, struct sched_ref ref)
{
    return ref.space == SCHED_IN && sched_coll_reduces(s->coll);
}

/* What the letter may be read from instead of a copy, or -1. */
static int lent_operand(const struct machine *m, const struct sched *s,
                        const struct sched_step *p)
{
    const struct sched_ref *ref = sched_in(s, p);
    bool changed = (p->flags & SCHED_FINAL) || (m->scales && is_raw(s, ref[0]));
    bool poisoned = !m->in->poison_keeps && s->rank == m->in->poison_rank &&
                    p == &s->steps[m->in->poison_step];
    if (p->flags & SCHED_STAGED)
        return -1;
    if (p->nin == 1 && ref[0].space <= SCHED_OUT && !changed)
        return 0;
    for (int o = p->nin; o < p->nin + p->nout; o++)
        if (ref[o].space <= SCHED_OUT && !poisoned)
            return o;
    return -1;
}

static enum how choose_how(struct machine *m, const struct letter *t)
{
    const struct sched *s = m->in->ranks[t->source];
    int choice = m->style < 3 ? m->style : (int)(draw(m) % 3);
    if (choice == LENT && lent_operand(m, s, &s->steps[t->send_step]) < 0)
        choice = LANDED;
    if (choice == LANDED && !is_posted(m, t))
        choice = COPIED;
    return (enum how)choice;
}

static void send(struct machine *m, const struct fiber *f, int step, int operand,
                 const struct cell *values)
{
    const struct sched *s = m->in->ranks[f->rank];
    const struct sched_step *p = &s->steps[step];
    struct link *l = link_at(m, f->rank, sched_in(s, p)[operand].index,
                             sched_link(p, true, f->channel));
    struct letter *t = &m->letters[l->first + l->pushed++];
    t->how = choose_how(m, t);
    for (int k = 0; k < p->span_n; k++)
        t->copy[k] = values[k];
    if (t->how == LENT) {
        t->operand = lent_operand(m, s, p);
        m->lent[f->rank][step]++;
    } else if (t->how == LANDED) {
        const struct sched *there = m->in->ranks[t->target];
        const struct sched_step *q = &there->steps[t->receive_step];
        struct sched_ref to = sched_in(there, q)[landing_operand(there, q)];
        for (int k = 0; k < p->span_n; k++)
            *cell_at(m, t->target, to, k) = values[k];
    }
}

static struct cell read_local(struct machine *m, int rank, struct sched_ref ref, int k)
{
    struct cell c = *cell_at(m, rank, ref, k);
    return is_raw(m->in->ranks[rank], ref) ? scaled(m, c) : c;
}

static struct cell receive(struct machine *m, const struct letter *t, int k)
{
    if (t->how == LENT) {
        struct sched_ref from = refs_at(m, t->source, t->send_step)[t->operand];
        if (is_output(m, t->source, t->send_step, t->operand))
            return *cell_at(m, t->source, from, k);
        return read_local(m, t->source, from, k);
    }
    if (t->how == COPIED)
        return t->copy[k];
    const struct sched *s = m->in->ranks[t->target];
    const struct sched_step *q = &s->steps[t->receive_step];
    return *cell_at(m, t->target, sched_in(s, q)[landing_operand(s, q)], k);
}

static struct cell read_operand(struct machine *m, const struct fiber *f, int step,
                                int operand, int k)
{
    struct sched_ref ref = refs_at(m, f->rank, step)[operand];
    if (ref.space != SCHED_PEER)
        return read_local(m, f->rank, ref, k);
    const struct link *l = link_at(
        m, ref.index, f->rank, sched_link(step_at(m, f->rank, step), false, f->channel));
    return receive(m, &m->letters[l->first + l->popped], k);
}

static struct cell combine(struct machine *m, const struct fiber *f, int step, int k)
{
    const struct sched_step *p = step_at(m, f->rank, step);
    struct cell all = read_operand(m, f, step, 0, k);
    for (int o = 1; o < p->nin; o++) {
        struct cell c = read_operand(m, f, step, o, k);
        all.sum += c.sum;
        all.expression = mix(all.expression * 3 + (uint64_t)p->nin) + c.expression;
    }
    if (f->rank == m->watch_rank && step == m->watch_step)
        m->read = mix(m->read + all.sum) + all.expression;
    return p->flags & SCHED_FINAL ? finished(all) : all;
}

static void write_operand(struct machine *m, const struct fiber *f, int step, int operand,
                          const struct cell *values)
{
    const struct interp *in = m->in;
    struct sched_ref ref = refs_at(m, f->rank, step)[operand];
    bool poisoned = f->rank == in->poison_rank && step == in->poison_step &&
                    (in->poison_operand < 0 || in->poison_operand == operand);
    for (int k = 0; k < step_at(m, f->rank, step)->span_n; k++) {
        bool chosen = poisoned && (in->poison_chunk < 0 || in->poison_chunk == k);
        struct cell *cell = cell_at(m, f->rank, ref, k);
        m->changed |= chosen && cell->sum != values[k].sum;
        *cell = chosen && !in->poison_keeps ? (struct cell){draw(m), draw(m)} : values[k];
    }
}

static void take(struct machine *m, const struct fiber *f, int peer)
{
    struct link *l = link_at(m, peer, f->rank, f->channel);
    struct letter *t = &m->letters[l->first + l->popped++];
    if (t->how == LENT)
        m->lent[t->source][t->send_step]--;
}

static bool run_step(struct machine *m, struct fiber *f)
{
    int step = m->in->ranks[f->rank]->channels[f->channel].first + f->next;
    const struct sched_step *p = step_at(m, f->rank, step);
    const struct sched_ref *ref = refs_at(m, f->rank, step);
    struct cell *values = calloc((size_t)p->span_n, sizeof(*values));
    if (!values)
        return false;
    for (int k = 0; k < p->span_n; k++)
        values[k] = combine(m, f, step, k);
    for (int o = 0; o < p->nin; o++)
        if (ref[o].space == SCHED_PEER)
            take(m, f, ref[o].index);
    for (int o = p->nin; o < p->nin + p->nout; o++)
        if (ref[o].space != SCHED_PEER)
            write_operand(m, f, step, o, values);
    for (int o = p->nin; o < p->nin + p->nout; o++)
        if (ref[o].space == SCHED_PEER)
            send(m, f, step, o, values);
    f->next++;
    free(values);
    return true;
}

/* ---- A run --------------------------------------------------------------------------
 */

static struct fiber *choose(struct machine *m, bool by_priority)
{
    struct fiber *best = NULL;
    uint64_t turn = draw(m);
    for (int i = 0; i < m->nfibers; i++) {
        struct fiber *f = &m->fiber[(turn + (uint64_t)i) % (uint64_t)m->nfibers];
        if (!is_runnable(m, f))
            continue;
        if (!best || f->priority > best->priority)
            best = f;
        if (!by_priority)
            break;
    }
    return best;
}

static bool is_finished(const struct machine *m, int rank)
{
    for (int i = 0; i < m->nfibers; i++)
        if (m->fiber[i].rank == rank &&
            m->fiber[i].next < m->in->ranks[rank]->channels[m->fiber[i].channel].nsteps)
            return false;
    return true;
}

static const char *run_all(struct machine *m, bool by_priority)
{
    const struct interp *in = m->in;
    for (;;) {
        struct fiber *f = choose(m, by_priority);
        if (f) {
            if (!run_step(m, f))
                return "no memory";
        } else if (m->late >= 0) {
            for (int r = 0; r < in->nranks; r++)
                if (r != m->late && is_finished(m, r))
                    return "a rank left the barrier before another entered";
            m->late = -1;
        } else {
            break;
        }
    }
    for (int r = 0; r < in->nranks; r++)
        if (!is_finished(m, r))
            return "deadlock";
    return NULL;
}

/* Which rank's chunk an OUT chunk must be, or -1 for the sum over ranks, by definition of
 * the collectives; *chunk: of IN. */
static int wanted(const struct interp *in, int rank, int out, int *chunk)
{
    const struct sched *s = in->ranks[rank];
    int nsub = s->shape.nsub, block = out / nsub, sub = out % nsub;
    bool by_rank = s->coll == SCHED_REDUCE_SCATTER || s->coll == SCHED_SCATTER ||
                   s->coll == SCHED_ALL_TO_ALL;
    bool by_block = s->coll == SCHED_ALL_GATHER || s->coll == SCHED_GATHER ||
                    s->coll == SCHED_ALL_TO_ALL;
    *chunk = by_rank ? rank * nsub + sub : sub;
    if (by_block)
        return block;
    if (s->coll == SCHED_BROADCAST || s->coll == SCHED_SCATTER)
        return s->root;
    for (int i = 0; s->coll == SCHED_PERMUTE && i < in->npairs; i++)
        if (in->pairs[2 * i + 1] == rank)
            return in->pairs[2 * i];
    return -1;
}

static struct cell wanted_cell(const struct machine *m, int rank, int out)
{
    const struct interp *in = m->in;
    int chunk, source = wanted(in, rank, out, &chunk);
    if (source >= 0)
        return contribution(source, chunk);
    struct cell all = {0, 0};
    for (int r = 0; r < in->nranks; r++)
        all.sum += scaled(m, contribution(r, chunk)).sum;
    return finished(all);
}

static const char *check_results(struct machine *m)
{
    const struct interp *in = m->in;
    if (in->ranks[0]->coll == SCHED_BARRIER)
        return NULL;
    for (int r = 0; r < in->nranks; r++) {
        const struct sched *s = in->ranks[r];
        for (int i = 0; i < sched_nchunks(s, SCHED_OUT); i++) {
            struct cell got = m->memory[r][place(s, SCHED_OUT, i)];
            struct cell want = wanted_cell(m, r, i);
            if (got.sum != want.sum)
                return "a result chunk holds something else";
            if (s->coll == SCHED_ALL_REDUCE &&
                got.expression !=
                    m->memory[0][place(in->ranks[0], SCHED_OUT, i)].expression)
                return "ranks compute a result by different expressions";
        }
        for (int i = 0; i < sched_nchunks(s, SCHED_IN); i++)
            if (sched_alias(s, SCHED_IN, i) < 0 &&
                m->memory[r][place(s, SCHED_IN, i)].sum != contribution(r, i).sum)
                return "the send buffer was written";
    }
    return NULL;
}

const char *interp_run(const struct interp *in, uint64_t seed, int watch_rank,
                       int watch_step, uint64_t *read)
{
    struct machine *m = calloc(1, sizeof(*m));
    if (!m || in->nranks > INTERP_MAX_RANKS)
        abort();
    m->in = in;
    m->random = mix(seed);
    m->style = (int)(seed % 4);
    m->scales = seed / 8 % 2 == 1;
    m->watch_rank = watch_rank;
    m->watch_step = watch_step;
    m->late = in->ranks[0]->coll == SCHED_BARRIER && in->nranks > 1
                  ? (int)(seed % (uint64_t)in->nranks)
                  : -1;
    const char *wrong = make_memory(m) && make_letters(m) ? NULL : "no memory";
    if (!wrong)
        wrong = run_all(m, seed / 4 % 2 == 1);
    if (!wrong)
        wrong = check_results(m);
    if (!wrong && in->poison_keeps && m->changed)
        wrong = "a write changed its place";
    if (read)
        *read = m->read;
    for (int r = 0; r < in->nranks; r++) {
        free(m->memory[r]);
        free(m->lent[r]);
    }
    free(m->letters);
    free(m->copies);
    free(m);
    return wrong;
}
