#include "format/msccl_flow.h"

#include <stdlib.h>
#include <stdarg.h>
#include <stdio.h>

#include "format/msccl_place.h"
#include "format/msccl_race.h"

/* A thread block while it runs. */
struct thread {
    int32_t gpu, next, nsent, nreceived;
    int32_t sends; /* its sending steps: flow.sends[sends], in order */
};

struct flow {
    const struct msccl *m;
    const struct msccl_flow_args *args;
    struct msccl_place *places; /* [nranks] */
    struct thread *threads;     /* [ntbs] */
    struct msccl_race race;     /* in use if args->check_races */
    int64_t *slot0;             /* [nranks] first slot of each */
    int32_t *sends;             /* [nsteps] step indices, by tb */
    int64_t *carried_at;        /* [nsteps] first cell of the message it sends */
    struct msccl_cell *carried; /* of all messages */
    /* Of the step that runs, [cnt] each: */
    struct msccl_cell *cells;
    struct sched_ref *src, *dst, *to;
    bool *final;
    int32_t capacity;
};

static __attribute__((format(printf, 4, 5), cold)) trncclResult_t
refuse(const struct flow *f, int32_t tb, const struct msccl_step *step,
       const char *format, ...)
{
    char why[300];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return error_set(trncclInvalidArgument, "line %d: gpu %d tb %d step %d (%s) %s",
                     step->line, f->threads[tb].gpu, f->m->tbs[tb].id, step->s,
                     msccl_traits[step->type].name, why);
}

/* ---- Setting up ---------------------------------------------------------------------
 */

static trncclResult_t place_ranks(struct flow *f)
{
    int64_t nslots = 0;
    for (int32_t r = 0; r < f->m->nranks; r++) {
        TRY(msccl_place_init(&f->places[r], f->m, r, f->args->alias[r]));
        f->slot0[r] = nslots;
        nslots += f->places[r].nslots;
    }
    return f->args->check_races ? msccl_race_init(&f->race, f->m, nslots) : trncclSuccess;
}

/* Lists what each thread sends and counts the cells of all messages. */
static int64_t list_sends(struct flow *f)
{
    int64_t ncells = 0;
    int32_t n = 0;
    for (int32_t gpu = 0; gpu < f->m->nranks; gpu++)
        for (int32_t i = 0; i < f->m->gpus[gpu].ntbs; i++) {
            int32_t tb = f->m->gpus[gpu].first + i;
            const struct msccl_tb *t = &f->m->tbs[tb];
            f->threads[tb] = (struct thread){.gpu = gpu, .sends = n};
            for (int32_t k = t->first; k < t->first + t->nsteps; k++) {
                const struct msccl_step *step = &f->m->steps[k];
                if (step->cnt > f->capacity)
                    f->capacity = step->cnt;
                if (!msccl_traits[step->type].sends)
                    continue;
                f->sends[n++] = k;
                f->carried_at[k] = ncells;
                ncells += step->cnt;
            }
        }
    return ncells;
}

static trncclResult_t flow_init(struct flow *f)
{
    size_t nsteps = (size_t)f->m->nsteps + 1;
    f->places = calloc((size_t)f->m->nranks, sizeof *f->places);
    f->slot0 = calloc((size_t)f->m->nranks, sizeof *f->slot0);
    f->threads = calloc((size_t)f->m->ntbs + 1, sizeof *f->threads);
    f->sends = malloc(nsteps * sizeof *f->sends);
    f->carried_at = malloc(nsteps * sizeof *f->carried_at);
    if (!f->places || !f->slot0 || !f->threads || !f->sends || !f->carried_at)
        return error_set(trncclSystemError, "no memory for %d steps", f->m->nsteps);
    int64_t ncells = list_sends(f);
    if (ncells > MSCCL_MAX_CELLS)
        return error_set(trncclInvalidArgument,
                         "messages of %lld chunks in all; expected at most %d",
                         (long long)ncells, MSCCL_MAX_CELLS);
    size_t cnt = (size_t)f->capacity + 1;
    f->carried = malloc(((size_t)ncells + 1) * sizeof *f->carried);
    f->cells = malloc(cnt * sizeof *f->cells);
    f->src = malloc(cnt * sizeof *f->src);
    f->dst = malloc(cnt * sizeof *f->dst);
    f->to = malloc(cnt * sizeof *f->to);
    f->final = malloc(cnt * sizeof *f->final);
    if (!f->carried || !f->cells || !f->src || !f->dst || !f->to || !f->final)
        return error_set(trncclSystemError, "no memory for messages of %lld chunks",
                         (long long)ncells);
    return place_ranks(f);
}

static void flow_fini(struct flow *f)
{
    for (int32_t r = 0; f->places && r < f->m->nranks; r++)
        msccl_place_fini(&f->places[r]);
    msccl_race_fini(&f->race);
    free(f->places);
    free(f->slot0);
    free(f->threads);
    free(f->sends);
    free(f->carried_at);
    free(f->carried);
    free(f->cells);
    free(f->src);
    free(f->dst);
    free(f->to);
    free(f->final);
}

/* ---- One step -----------------------------------------------------------------------
 */

/* The step whose message this one receives next. */
static int32_t message_of(const struct flow *f, int32_t tb)
{
    int32_t sender = f->args->links->sender[tb];
    return f->sends[f->threads[sender].sends + f->threads[tb].nreceived];
}

static trncclResult_t read_local(struct flow *f, int32_t tb,
                                 const struct msccl_step *step, int buffer, int32_t off,
                                 struct msccl_cell *cell)
{
    const struct msccl_place *p = &f->places[f->threads[tb].gpu];
    *cell = *msccl_place_cell(p, buffer, off);
    if (cell->chunk < 0)
        return refuse(f, tb, step, "reads %c[%d], which nothing has written",
                      "ios"[buffer], off);
    return trncclSuccess;
}

/* Adds an input to a combination; the first has all there is so far. */
static trncclResult_t combine(struct flow *f, int32_t tb, const struct msccl_step *step,
                              struct msccl_cell *all, const struct msccl_cell *by)
{
    if (!sched_coll_reduces(f->m->coll))
        return refuse(f, tb, step, "combines, but %s does not reduce",
                      sched_coll_name(f->m->coll));
    if (all->chunk != by->chunk)
        return refuse(f, tb, step,
                      "combines contributions to chunk %d with some to chunk %d",
                      all->chunk, by->chunk);
    all->count += by->count;
    all->final |= by->final;
    all->lowest = by->lowest < all->lowest ? by->lowest : all->lowest;
    return trncclSuccess;
}

/* Two accesses of a chunk must be ordered if one of them is a write. */
static trncclResult_t check_access(struct flow *f, int32_t tb, int32_t index, bool writes,
                                   int buffer, int32_t off)
{
    int32_t gpu = f->threads[tb].gpu, other;
    int64_t slot = f->slot0[gpu] + msccl_place_slot(&f->places[gpu], buffer, off);
    TRY((writes ? msccl_race_write : msccl_race_read)(&f->race, index, slot, &other));
    if (other < 0)
        return trncclSuccess;
    const struct msccl_step *o = &f->m->steps[other];
    return refuse(f, tb, &f->m->steps[index],
                  "%s %c[%d], and nothing orders that with step %d of tb %d (line %d)",
                  writes ? "writes" : "reads", "ios"[buffer], off, o -> s,
                  f -> m -> tbs[f->race.tb[other]].id, o->line);
}

static trncclResult_t check_accesses(struct flow *f, int32_t tb, int32_t index,
                                     int32_t sent)
{
    const struct msccl_step *step = &f->m->steps[index];
    const struct msccl_traits *t = &msccl_traits[step->type];
    msccl_race_enter(&f->race, index, sent);
    for (int32_t k = 0; k < step->cnt && t->reads; k++)
        TRY(check_access(f, tb, index, false, step->src_buf, step->src_off + k));
    for (int32_t k = 0; k < step->cnt && step->type == MSCCL_REDUCE; k++)
        TRY(check_access(f, tb, index, false, step->dst_buf, step->dst_off + k));
    for (int32_t k = 0; k < step->cnt && t->writes; k++)
        TRY(check_access(f, tb, index, true, step->dst_buf, step->dst_off + k));
    return trncclSuccess;
}

/* The value of chunk k of what the step computes; where its inputs lie. */
static trncclResult_t compute(struct flow *f, int32_t tb, const struct msccl_step *step,
                              int32_t sent, int32_t k, struct msccl_op *op)
{
    const struct msccl_traits *t = &msccl_traits[step->type];
    struct msccl_cell *cell = &f->cells[k], src = {0}, *first = NULL;
    if (t->receives) {
        *cell = f->carried[f->carried_at[sent] + k];
        first = cell;
    } else if (step->type == MSCCL_REDUCE) {
        TRY(read_local(f, tb, step, step->dst_buf, step->dst_off + k, cell));
        f->dst[k] = cell->at;
        first = cell;
    }
    if (t->reads) {
        TRY(read_local(f, tb, step, step->src_buf, step->src_off + k, &src));
        f->src[k] = src.at;
        if (k == 0 && first)
            op->message_first = first->lowest < src.lowest;
        if (first)
            TRY(combine(f, tb, step, cell, &src));
        else
            *cell = src;
    }
    f->final[k] =
        sched_coll_reduces(f->m->coll) && !cell->final && cell->count == f->m->nranks;
    cell->final |= f->final[k];
    return trncclSuccess;
}

/* Stores what was computed, after all of it has been read. */
static trncclResult_t store(struct flow *f, int32_t tb, int32_t index)
{
    const struct msccl_step *step = &f->m->steps[index];
    const struct msccl_traits *t = &msccl_traits[step->type];
    for (int32_t k = 0; k < step->cnt; k++) {
        if (t->writes) {
            struct msccl_place *p = &f->places[f->threads[tb].gpu];
            TRY(msccl_place_write(p, step->dst_buf, step->dst_off + k, &f->cells[k]));
            f->to[k] = f->cells[k].at;
        }
        if (t->sends)
            f->carried[f->carried_at[index] + k] = f->cells[k];
    }
    return trncclSuccess;
}

static trncclResult_t run_step(struct flow *f, int32_t tb)
{
    struct thread *t = &f->threads[tb];
    int32_t index = f->m->tbs[tb].first + t->next;
    const struct msccl_step *step = &f->m->steps[index];
    const struct msccl_traits *type = &msccl_traits[step->type];
    struct msccl_op op = {
        .gpu = t->gpu,
        .tb = tb,
        .index = index,
        .sent = type->receives ? message_of(f, tb) : -1,
        .step = step,
        .src = f->src,
        .dst = f->dst,
        .to = f->to,
        .final = f->final,
    };
    if (op.sent >= 0 && f->m->steps[op.sent].cnt != step->cnt)
        return refuse(f, tb, step,
                      "receives %d chunks, but message %d from gpu %d has %d (line %d)",
                      step->cnt, t->nreceived, f->m->tbs[tb].recv,
                      f->m->steps[op.sent].cnt, f->m->steps[op.sent].line);
    if (f->args->check_races)
        TRY(check_accesses(f, tb, index, op.sent));
    const struct msccl_place *place = &f->places[t->gpu];
    op.same_place = type->reads && type->writes &&
                    msccl_place_slot(place, step->src_buf, step->src_off) ==
                        msccl_place_slot(place, step->dst_buf, step->dst_off);
    if (step->type != MSCCL_NOP) {
        for (int32_t k = 0; k < step->cnt; k++)
            TRY(compute(f, tb, step, op.sent, k, &op));
        TRY(store(f, tb, index));
    }
    t->next++;
    t->nreceived += type->receives;
    t->nsent += type->sends;
    return f->args->visit(f->args->context, &op);
}

/* ---- The run ------------------------------------------------------------------------
 */

static bool may_run(const struct flow *f, int32_t tb)
{
    const struct thread *t = &f->threads[tb];
    const struct msccl_step *step = &f->m->steps[f->m->tbs[tb].first + t->next];
    if (step->dep_tb >= 0) {
        int32_t other = f->m->gpus[t->gpu].first + step->dep_tb;
        if (f->threads[other].next <= step->dep_step)
            return false;
    }
    int32_t sender = f->args->links->sender[tb];
    return !msccl_traits[step->type].receives || f->threads[sender].nsent > t->nreceived;
}

/* Says what a thread waits for that will never come. */
static trncclResult_t refuse_stall(const struct flow *f)
{
    int32_t tb = 0;
    while (f->threads[tb].next == f->m->tbs[tb].nsteps)
        tb++;
    const struct thread *t = &f->threads[tb];
    const struct msccl_step *step = &f->m->steps[f->m->tbs[tb].first + t->next];
    int32_t dep = f->m->gpus[t->gpu].first + step->dep_tb;
    if (step->dep_tb >= 0 && f->threads[dep].next <= step->dep_step)
        return refuse(f, tb, step,
                      "waits for step %d of tb %d, which itself waits: nobody can go on",
                      f->m->steps[f->m->tbs[dep].first + step->dep_step].s,
                      f->m->tbs[dep].id);
    return refuse(f, tb, step,
                  "waits for message %d of gpu %d, which itself waits: nobody can go on",
                  t->nreceived, f->m->tbs[tb].recv);
}

static trncclResult_t run_all(struct flow *f)
{
    int32_t left = f->m->nsteps;
    while (left > 0) {
        int32_t before = left;
        for (int32_t tb = 0; tb < f->m->ntbs; tb++)
            for (; f->threads[tb].next < f->m->tbs[tb].nsteps && may_run(f, tb); left--)
                TRY(run_step(f, tb));
        if (left == before)
            return refuse_stall(f);
    }
    return trncclSuccess;
}

trncclResult_t msccl_flow_run(const struct msccl_flow_args *args, int32_t *tmp_chunks)
{
    struct flow f = {.m = args->m, .args = args};
    trncclResult_t result = flow_init(&f);
    if (result == trncclSuccess)
        result = run_all(&f);
    for (int32_t r = 0; result == trncclSuccess && r < f.m->nranks; r++)
        tmp_chunks[r] = f.places[r].ntmp;
    flow_fini(&f);
    return result;
}
