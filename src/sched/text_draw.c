/* text_draw and text_dot: pictures of a collective. */
#include "sched/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rounds.h"

enum { DRAW_MAX_WIDTH = 100 };

/* The name of a run of chunks that is the same on every rank where the collective has
 * one: rank 2's contribution to an all_gather is 2 wherever it goes. TMP has names of its
 * own. */
static void print_chunks(FILE *file, const struct sched *s, unsigned space, int32_t chunk,
                         int32_t n)
{
    int32_t here = s->rank * s->shape.nsub;
    if (space == SCHED_TMP)
        fputc('t', file);
    else if ((space == SCHED_IN &&
              (s->coll == SCHED_ALL_GATHER || s->coll == SCHED_GATHER)) ||
             (space == SCHED_OUT &&
              (s->coll == SCHED_REDUCE_SCATTER || s->coll == SCHED_SCATTER)))
        chunk += here;
    fprintf(file, "%d", chunk);
    if (n > 1)
        fprintf(file, "-%d", chunk + n - 1);
}

/* What a step does, in a few signs: "+2=>3" combines chunk 2, stores it, sends it to 3.
 */
static void print_act(FILE *file, const struct sched *s, const struct sched_step *p)
{
    const struct sched_ref *in = sched_in(s, p), *out = sched_out(s, p), *name = NULL;
    bool stores = false;
    for (int32_t i = 0; i < p->nout; i++)
        if (out[i].space != SCHED_PEER) {
            stores = true;
            name = &out[i];
        }
    for (int32_t i = 0; i < p->nin && !name; i++)
        if (in[i].space != SCHED_PEER)
            name = &in[i];
    if (p->nin > 1)
        fputc('+', file);
    if (name)
        print_chunks(file, s, name->space, name->index, p->span_n);
    else
        print_chunks(file, s, p->span_space, p->span_chunk, p->span_n);
    if (stores)
        fputc('=', file);
    const char *before = ">";
    for (int32_t i = 0; i < p->nout; i++) {
        if (out[i].space != SCHED_PEER)
            continue;
        fprintf(file, "%s%d", before, out[i].index);
        before = ",";
    }
}

/* The steps of each rank in the order of the table: by round, then channel, then step. */
struct table {
    struct sched *const *ranks;
    const struct rounds *rounds;
    char **cells;    /* [steps of all ranks] what each does; owned, as are its strings */
    int32_t *order;  /* [steps of all ranks] each rank's steps by round; owned */
    int32_t *widths; /* [nranks] owned */
};

static trncclResult_t table_cells(struct table *t)
{
    const struct rounds *r = t->rounds;
    for (int32_t rank = 0; rank < r->nranks; rank++) {
        const struct sched *s = t->ranks[rank];
        for (int32_t i = 0; i < s->nsteps; i++) {
            size_t nbytes;
            char **cell = &t->cells[r->first_step[rank] + i];
            FILE *file = open_memstream(cell, &nbytes);
            if (!file)
                return error_set(trncclSystemError, "no memory to draw a step");
            print_act(file, s, &s->steps[i]);
            if (fclose(file) != 0)
                return error_set(trncclSystemError, "no memory to draw a step");
            if ((int32_t)nbytes > t->widths[rank])
                t->widths[rank] = (int32_t)nbytes;
        }
    }
    return trncclSuccess;
}

/* Counting sort of one rank's steps by round; stable, so channels and steps stay in
 * order.
 */
static trncclResult_t table_order(struct table *t, int32_t rank)
{
    const struct rounds *r = t->rounds;
    int32_t *next = calloc((size_t)r->nrounds + 2, sizeof *next);
    if (!next)
        return error_set(trncclSystemError, "no memory to draw %d rounds", r->nrounds);
    int32_t nsteps = t->ranks[rank]->nsteps;
    for (int32_t i = 0; i < nsteps; i++)
        next[rounds_of(r, rank, i) + 1]++;
    for (int32_t k = 0; k < r->nrounds; k++)
        next[k + 1] += next[k];
    for (int32_t i = 0; i < nsteps; i++)
        t->order[r->first_step[rank] + next[rounds_of(r, rank, i)]++] = i;
    free(next);
    return trncclSuccess;
}

/* One round of the ranks [from, to): a line for each step of the busiest. at[rank] is the
 * place in `order` where the rank's steps of this round begin; it is moved past them. */
static void print_round(FILE *file, const struct table *t, int32_t round, int32_t from,
                        int32_t to, int32_t *at)
{
    const struct rounds *r = t->rounds;
    bool more = true;
    for (int32_t line = 0; more; line++) {
        more = false;
        if (line == 0)
            fprintf(file, "%5d", round);
        else
            fputs("     ", file);
        int32_t blank = 0;
        for (int32_t rank = from; rank < to; rank++) {
            int32_t base = r->first_step[rank], nsteps = t->ranks[rank]->nsteps;
            blank += 2;
            const char *cell = "";
            if (at[rank] < nsteps &&
                rounds_of(r, rank, t->order[base + at[rank]]) == round) {
                cell = t->cells[base + t->order[base + at[rank]++]];
                more |= at[rank] < nsteps &&
                        rounds_of(r, rank, t->order[base + at[rank]]) == round;
                fprintf(file, "%*s%s", blank, "", cell);
                blank = 0;
            }
            blank += t->widths[rank] - (int32_t)strlen(cell);
        }
        fputc('\n', file);
    }
}

/* The table of as many ranks as fit the width, from rank `from`; returns the next. */
static int32_t print_panel(FILE *file, const struct table *t, int32_t from, int32_t *at)
{
    int32_t to = from, width = 5;
    while (to < t->rounds->nranks &&
           (to == from || width + 2 + t->widths[to] <= DRAW_MAX_WIDTH))
        width += 2 + t->widths[to++];
    fputs("round", file);
    for (int32_t rank = from; rank < to; rank++) {
        char name[24];
        snprintf(name, sizeof name, "rank %d", rank);
        if (rank + 1 < to)
            fprintf(file, "  %-*s", t->widths[rank], name);
        else
            fprintf(file, "  %s", name);
    }
    fputc('\n', file);
    for (int32_t round = 0; round < t->rounds->nrounds; round++)
        print_round(file, t, round, from, to, at);
    return to;
}

static trncclResult_t written(FILE *file)
{
    if (fflush(file) != 0 || ferror(file))
        return error_set_errno(trncclSystemError, errno, "cannot write a drawing");
    return trncclSuccess;
}

static trncclResult_t table_print(FILE *file, struct table *t)
{
    const struct rounds *r = t->rounds;
    const struct sched *first = t->ranks[0];
    for (int32_t rank = 0; rank < r->nranks; rank++) {
        char name[24];
        t->widths[rank] = snprintf(name, sizeof name, "rank %d", rank);
        TRY(table_order(t, rank));
    }
    TRY(table_cells(t));
    int32_t *at = calloc((size_t)r->nranks, sizeof *at);
    if (!at)
        return error_set(trncclSystemError, "no memory to draw %d ranks", r->nranks);
    fprintf(file, "%s %s, %d ranks, root %d: %d messages, %d rounds\n",
            sched_coll_name(first->coll), first->algo, r->nranks, first->root,
            r->nmessages, r->nrounds > 0 ? r->nrounds - 1 : 0);
    fputs("c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch\n",
          file);
    for (int32_t from = 0; from < r->nranks;)
        from = print_panel(file, t, from, at);
    free(at);
    return written(file);
}

static trncclResult_t draw_check(int32_t nranks)
{
    return nranks >= 1 ? trncclSuccess
                       : error_set(trncclInvalidArgument, "no schedule to draw");
}

trncclResult_t text_draw(FILE *file, struct sched *const *ranks, int32_t nranks)
{
    struct rounds r;
    TRY(draw_check(nranks));
    TRY(rounds_init(&r, ranks, nranks));
    size_t nsteps = (size_t)r.first_step[nranks];
    struct table t = {
        .ranks = ranks,
        .rounds = &r,
        .cells = calloc(nsteps + 1, sizeof *t.cells),
        .order = calloc(nsteps + 1, sizeof *t.order),
        .widths = calloc((size_t)nranks, sizeof *t.widths),
    };
    trncclResult_t result =
        t.cells && t.order && t.widths
            ? table_print(file, &t)
            : error_set(trncclSystemError, "no memory to draw %zu steps", nsteps);
    for (size_t i = 0; t.cells && i < nsteps; i++)
        free(t.cells[i]);
    free(t.cells);
    free(t.order);
    free(t.widths);
    rounds_fini(&r);
    return result;
}

/* The ranks stand side by side, as in the table: a row of nodes per round, invisible
 * edges down each rank's column. */
static void dot_nodes(FILE *file, const struct rounds *r)
{
    for (int32_t round = 0; round < r->nrounds; round++) {
        fputs("  { rank=same;", file);
        for (int32_t rank = 0; rank < r->nranks; rank++)
            fprintf(file, " n%d_%d [label=\"%d\"];", rank, round, rank);
        fputs(" }\n", file);
    }
    for (int32_t rank = 0; rank < r->nranks && r->nrounds > 1; rank++) {
        fputs(" ", file);
        for (int32_t round = 0; round < r->nrounds; round++)
            fprintf(file, "%s n%d_%d", round ? " ->" : "", rank, round);
        fputs(" [style=dotted, arrowhead=none, weight=100];\n", file);
    }
}

trncclResult_t text_dot(FILE *file, struct sched *const *ranks, int32_t nranks)
{
    struct rounds r;
    TRY(draw_check(nranks));
    TRY(rounds_init(&r, ranks, nranks));
    fprintf(file, "digraph \"%s %s, %d ranks\" {\n", sched_coll_name(ranks[0]->coll),
            ranks[0]->algo, nranks);
    fputs("  node [shape=circle, fixedsize=true, width=0.4];\n  edge [fontsize=10];\n",
          file);
    dot_nodes(file, &r);
    for (int32_t i = 0; i < r.nmessages; i++) {
        const struct rounds_message *m = &r.messages[i];
        const struct sched *s = ranks[m->source];
        const struct sched_step *p = &s->steps[m->source_step];
        fprintf(file, "  n%d_%d -> n%d_%d [constraint=false, label=\"%s", m->source,
                rounds_of(&r, m->source, m->source_step), m->target,
                rounds_of(&r, m->target, m->target_step), p->nin > 1 ? "+" : "");
        print_chunks(file, s, p->span_space, p->span_chunk, p->span_n);
        fputs("\"];\n", file);
    }
    fputs("}\n", file);
    trncclResult_t result = written(file);
    rounds_fini(&r);
    return result;
}
