#include "format/msccl_race.h"

#include <stdlib.h>

enum { RACE_WORK = 1 << 30 };

static void fill_steps(struct msccl_race *r)
{
    const struct msccl *m = r->m;
    for (int32_t g = 0; g < m->nranks; g++)
        for (int32_t t = m->gpus[g].first; t < m->gpus[g].first + m->gpus[g].ntbs; t++)
            for (int32_t i = m->tbs[t].first; i < m->tbs[t].first + m->tbs[t].nsteps;
                 i++) {
                r->gpu[i] = g;
                r->tb[i] = t;
            }
}

trncclResult_t msccl_race_init(struct msccl_race *r, const struct msccl *m,
                               int64_t nslots)
{
    size_t n = (size_t)m->nsteps + 1, slots = (size_t)nslots + 1;
    *r = (struct msccl_race){
        .m = m,
        .gpu = malloc(n * sizeof(int32_t)),
        .tb = malloc(n * sizeof(int32_t)),
        .order = calloc(n, sizeof(int32_t)),
        .sent = malloc(n * sizeof(int32_t)),
        .writer = malloc(slots * sizeof(int32_t)),
        .reader = malloc(slots * sizeof(int32_t)),
        .stamp = calloc(n, sizeof(int32_t)),
        .stack = malloc(n * sizeof(int32_t)),
        .free = -1,
        .work = RACE_WORK,
    };
    if (!r->gpu || !r->tb || !r->order || !r->sent || !r->writer || !r->reader ||
        !r->stamp || !r->stack)
        return error_set(trncclSystemError, "no memory for %lld chunks",
                         (long long)nslots);
    for (int64_t i = 0; i < nslots; i++)
        r->writer[i] = r->reader[i] = -1;
    fill_steps(r);
    return trncclSuccess;
}

void msccl_race_fini(struct msccl_race *r)
{
    free(r->gpu);
    free(r->tb);
    free(r->order);
    free(r->sent);
    free(r->writer);
    free(r->reader);
    free(r->readers);
    free(r->stamp);
    free(r->stack);
    *r = (struct msccl_race){0};
}

void msccl_race_enter(struct msccl_race *r, int32_t step, int32_t sent)
{
    r->order[step] = ++r->norder;
    r->sent[step] = sent;
}

/* ---- Search -------------------------------------------------------------------------
 */

static void visit(struct msccl_race *r, int32_t step, int32_t oldest, int32_t *top)
{
    if (step < 0 || r->stamp[step] == r->nstamps || r->order[step] < oldest)
        return;
    r->stamp[step] = r->nstamps; /* so each is on the stack once */
    r->stack[(*top)++] = step;
}

/* What a step waits for by depid and deps, or -1. */
static int32_t dep_of(const struct msccl_race *r, int32_t step)
{
    const struct msccl_step *s = &r->m->steps[step];
    if (s->dep_tb < 0)
        return -1;
    return r->m->tbs[r->m->gpus[r->gpu[step]].first + s->dep_tb].first + s->dep_step;
}

static void visit_before(struct msccl_race *r, int32_t step, int32_t oldest, int32_t *top)
{
    visit(r, r->sent[step], oldest, top);
    if (step > r->m->tbs[r->tb[step]].first)
        visit(r, step - 1, oldest, top);
    visit(r, dep_of(r, step), oldest, top); /* last in, first looked at: the usual way */
}

/* Whether `earlier`, of the same gpu, happens before `step`. */
static trncclResult_t is_before(struct msccl_race *r, int32_t earlier, int32_t step,
                                bool *before)
{
    *before = r->tb[earlier] == r->tb[step];
    if (*before)
        return trncclSuccess;
    int32_t top = 0, oldest = r->order[earlier];
    r->nstamps++;
    visit_before(r, step, oldest, &top);
    while (top > 0 && !*before) {
        int32_t at = r->stack[--top];
        *before = r->tb[at] == r->tb[earlier] && at >= earlier;
        visit_before(r, at, oldest, &top);
        if (--r->work < 0)
            return error_set(trncclInvalidArgument,
                             "line %d: the steps are too entangled to find out whether "
                             "they race",
                             r->m->steps[step].line);
    }
    return trncclSuccess;
}

/* ---- Accesses -----------------------------------------------------------------------
 */

static int32_t reader_new(struct msccl_race *r)
{
    if (r->free >= 0) {
        int32_t i = r->free;
        r->free = r->readers[i].next;
        return i;
    }
    if (r->nreaders == r->capacity) {
        int32_t more = r->capacity ? r->capacity * 2 : 256;
        void *bigger = realloc(r->readers, (size_t)more * sizeof *r->readers);
        if (!bigger)
            return -1;
        r->readers = bigger;
        r->capacity = more;
    }
    return r->nreaders++;
}

trncclResult_t msccl_race_read(struct msccl_race *r, int32_t step, int64_t slot,
                               int32_t *other)
{
    bool before = true;
    *other = -1;
    if (r->writer[slot] >= 0)
        TRY(is_before(r, r->writer[slot], step, &before));
    if (!before)
        *other = r->writer[slot];
    /* Of one thread block the latest reader stands for all. */
    for (int32_t i = r->reader[slot]; i >= 0; i = r->readers[i].next)
        if (r->tb[r->readers[i].step] == r->tb[step]) {
            r->readers[i].step = step;
            return trncclSuccess;
        }
    int32_t i = reader_new(r);
    if (i < 0)
        return error_set(trncclSystemError, "no memory for the readers of chunks");
    r->readers[i] = (struct msccl_reader){step, r->reader[slot]};
    r->reader[slot] = i;
    return trncclSuccess;
}

trncclResult_t msccl_race_write(struct msccl_race *r, int32_t step, int64_t slot,
                                int32_t *other)
{
    bool before = true;
    *other = -1;
    if (r->writer[slot] >= 0)
        TRY(is_before(r, r->writer[slot], step, &before));
    if (!before)
        *other = r->writer[slot];
    for (int32_t i = r->reader[slot]; i >= 0;) {
        int32_t next = r->readers[i].next;
        if (*other < 0) {
            TRY(is_before(r, r->readers[i].step, step, &before));
            if (!before)
                *other = r->readers[i].step;
        }
        r->readers[i].next = r->free;
        r->free = i;
        i = next;
    }
    r->reader[slot] = -1;
    r->writer[slot] = step;
    return trncclSuccess;
}
