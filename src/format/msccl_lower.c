#include "format/msccl_lower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/msccl_flow.h"
#include "sched/build.h"

struct lower {
    const struct msccl *m;
    const struct msccl_lower_args *args;
    struct msccl_links links;
    bool *alias; /* [nranks] */
    /* Steps that are connected by messages are cut alike: a forest over the steps. */
    int32_t *parent; /* [nsteps] */
    bool *cut;       /* [nsteps] of roots: into steps of one chunk */
    int32_t *tmp;    /* [nranks] chunks of TMP */
    int32_t max_run;
    struct build **builds;    /* [nranks] */
    struct build_mark *marks; /* [nsteps] last step of its channel when it was done */
    int32_t *channel;         /* [ntbs] among the tbs of its rank that have steps */
};

bool msccl_serves(const struct msccl *m, bool inplace)
{
    if (sched_coll_rooted(m->coll))
        return true;
    return inplace ? m->inplace : m->outofplace;
}

/* ---- First passes: which steps must be cut ------------------------------------------
 */

static int32_t group_of(struct lower *l, int32_t step)
{
    while (l->parent[step] != step) {
        l->parent[step] = l->parent[l->parent[step]];
        step = l->parent[step];
    }
    return step;
}

static void group_join(struct lower *l, int32_t a, int32_t b)
{
    a = group_of(l, a);
    b = group_of(l, b);
    l->parent[b] = a;
    l->cut[a] |= l->cut[b];
}

static bool is_run(const struct sched_ref *refs, int32_t n)
{
    for (int32_t k = 1; k < n; k++)
        if (refs[k].space != refs[0].space || refs[k].index != refs[0].index + k)
            return false;
    return true;
}

/* Whether what is written may overlap what is read at another place of the run. */
static bool runs_collide(const struct lower *l, const struct msccl_op *op)
{
    struct sched_ref a = op->src[0], b = op->to[0];
    if (op->same_place)
        return false;
    if (a.space == b.space)
        return abs(a.index - b.index) < op->step->cnt;
    return a.space != SCHED_TMP && b.space != SCHED_TMP && l->alias[op->gpu];
}

static bool must_cut(const struct lower *l, const struct msccl_op *op)
{
    const struct msccl_traits *t = &msccl_traits[op->step->type];
    int32_t n = op->step->cnt;
    bool reduces = op->step->type == MSCCL_REDUCE;
    for (int32_t k = 1; k < n; k++)
        if (op->final[k] != op->final[0])
            return true;
    return (t->reads && !is_run(op->src, n)) || (t->writes && !is_run(op->to, n)) ||
           (reduces && !is_run(op->dst, n)) ||
           (t->reads && t->writes && runs_collide(l, op));
}

static trncclResult_t visit_cut(void *context, const struct msccl_op *op)
{
    struct lower *l = context;
    if (op->step->type == MSCCL_NOP)
        return trncclSuccess;
    if (op->sent >= 0)
        group_join(l, op->sent, op->index);
    if (op->step->cnt > 1 && must_cut(l, op))
        l->cut[group_of(l, op->index)] = true;
    return trncclSuccess;
}

/* The file's input and output are one memory on a rank. A rank without the root does not
 * know whether the call is in place, so it must not depend on it. */
static void set_alias(struct lower *l, bool inplace)
{
    const struct msccl *m = l->m;
    for (int32_t r = 0; r < m->nranks; r++)
        l->alias[r] = sched_coll_rooted(m->coll)
                          ? m->inplace && (!m->outofplace || (inplace && r == m->root))
                          : inplace;
}

static trncclResult_t pass(struct lower *l, bool inplace, bool check,
                           trncclResult_t (*visit)(void *, const struct msccl_op *))
{
    set_alias(l, inplace);
    struct msccl_flow_args flow = {.m = l->m,
                                   .links = &l->links,
                                   .alias = l->alias,
                                   .check_races = check,
                                   .visit = visit,
                                   .context = l};
    return msccl_flow_run(&flow, l->tmp);
}

static void find_run(struct lower *l)
{
    l->max_run = 1;
    for (int32_t i = 0; i < l->m->nsteps; i++) {
        const struct msccl_step *step = &l->m->steps[i];
        const struct msccl_traits *t = &msccl_traits[step->type];
        if ((t->sends || t->receives) && !l->cut[group_of(l, i)] &&
            step->cnt > l->max_run)
            l->max_run = step->cnt;
    }
}

/* ---- Last pass: description to the builders -----------------------------------------
 */

static void add_local(struct build *b, const struct sched_ref *ref, bool out)
{
    (out ? build_local_out : build_local_in)(b, (enum sched_space)ref->space, ref->index);
}

/* One step of n chunks, from chunk k of the op's. */
static struct build_mark describe(struct lower *l, const struct msccl_op *op, int32_t k,
                                  int32_t n)
{
    struct build *b = l->builds[op->gpu];
    const struct msccl_tb *tb = &l->m->tbs[op->tb];
    const struct msccl_traits *t = &msccl_traits[op->step->type];
    struct build_mark mark = build_step(b, l->channel[op->tb]);
    if (t->reads && !op->message_first)
        add_local(b, &op->src[k], false);
    if (t->receives)
        build_from(b, tb->recv);
    if (op->step->type == MSCCL_REDUCE)
        add_local(b, &op->dst[k], false);
    if (t->reads && op->message_first)
        add_local(b, &op->src[k], false);
    if (t->writes)
        add_local(b, &op->to[k], true);
    if (t->sends)
        build_to(b, tb->send);
    const struct sched_ref *span = t->writes ? &op->to[k] : &op->src[k];
    build_span(b, (enum sched_space)span->space, span->index, n);
    build_links(b, t->receives ? l->links.in_link[op->tb] : -1,
                t->sends ? l->links.out_link[op->tb] : -1);
    if (op->final[k])
        build_final(b);
    if (l->args->staged && t->sends)
        build_staged(b);
    return mark;
}

/* The step to wait for, as it was described; step -1 if there is nothing to wait for. */
static struct build_mark dependency(const struct lower *l, const struct msccl_op *op)
{
    const struct msccl_step *step = op->step;
    if (step->dep_tb < 0)
        return (struct build_mark){-1, -1};
    int32_t tb = l->m->gpus[op->gpu].first + step->dep_tb;
    return l->marks[l->m->tbs[tb].first + step->dep_step];
}

/* A nop: in every round in which there is anything, that is, as long as the first chunk
 * of a block is. */
static struct build_mark describe_nop(struct lower *l, const struct msccl_op *op,
                                      struct build_mark last)
{
    struct build_mark after = dependency(l, op);
    if (after.step < 0 || after.channel == l->channel[op->tb])
        return last;
    struct sched_args args = {
        .coll = l->m->coll, .nranks = l->m->nranks, .rank = op->gpu, .root = l->m->root};
    int32_t in, out;
    sched_coll_blocks(&args, &in, &out);
    return build_wait(l->builds[op->gpu], l->channel[op->tb], after,
                      in > 0 ? SCHED_IN : SCHED_OUT, 0, 1);
}

static trncclResult_t visit_describe(void *context, const struct msccl_op *op)
{
    struct lower *l = context;
    struct build_mark last = {l->channel[op->tb], -1};
    if (op->index > l->m->tbs[op->tb].first)
        last = l->marks[op->index - 1];
    if (op->step->type == MSCCL_NOP) {
        l->marks[op->index] = describe_nop(l, op, last);
        return trncclSuccess;
    }
    bool cut = l->cut[group_of(l, op->index)];
    int32_t n = cut ? 1 : op->step->cnt;
    for (int32_t k = 0; k < op->step->cnt; k += n) {
        last = describe(l, op, k, n);
        if (k == 0)
            build_after(l->builds[op->gpu], dependency(l, op));
    }
    l->marks[op->index] = last;
    return trncclSuccess;
}

static trncclResult_t create_builds(struct lower *l)
{
    const struct msccl *m = l->m;
    for (int32_t r = 0; r < m->nranks; r++) {
        bool rooted = sched_coll_rooted(m->coll);
        struct sched_args args = {.coll = m->coll,
                                  .nranks = m->nranks,
                                  .rank = r,
                                  .root = m->root,
                                  .inplace =
                                      l->args->inplace && (!rooted || r == m->root)};
        TRY(build_create(&args, m->name, &l->builds[r]));
        int32_t in, out;
        sched_coll_blocks(&args, &in, &out);
        build_shape(l->builds[r], m->nsub, l->tmp[r], in > 0 ? SCHED_IN : SCHED_OUT);
        build_credits(l->builds[r], l->args->credits);
        build_run(l->builds[r], l->max_run);
        if (m->coll == SCHED_ALL_REDUCE)
            build_any_order(l->builds[r]);
    }
    return trncclSuccess;
}

static void number_channels(struct lower *l)
{
    for (int32_t r = 0; r < l->m->nranks; r++) {
        int32_t n = 0;
        for (int32_t i = 0; i < l->m->gpus[r].ntbs; i++) {
            int32_t tb = l->m->gpus[r].first + i;
            l->channel[tb] = n;
            n += l->m->tbs[tb].nsteps > 0;
        }
    }
}

static trncclResult_t lower_all(struct lower *l, struct sched **ranks)
{
    TRY(msccl_links_init(&l->links, l->m));
    number_channels(l);
    bool other = !l->args->inplace;
    if (msccl_serves(l->m, other))
        TRY(pass(l, other, false, visit_cut));
    TRY(pass(l, l->args->inplace, true, visit_cut)); /* last: it leaves its TMP */
    find_run(l);
    TRY(create_builds(l));
    TRY(pass(l, l->args->inplace, false, visit_describe));
    for (int32_t r = 0; r < l->m->nranks; r++)
        TRY(build_finish(l->builds[r], &ranks[r]));
    return trncclSuccess;
}

static bool lower_init(struct lower *l)
{
    size_t n = (size_t)l->m->nranks, nsteps = (size_t)l->m->nsteps + 1;
    l->alias = calloc(n, sizeof *l->alias);
    l->tmp = calloc(n, sizeof *l->tmp);
    l->builds = calloc(n, sizeof *l->builds);
    l->parent = malloc(nsteps * sizeof *l->parent);
    l->cut = calloc(nsteps, sizeof *l->cut);
    l->marks = malloc(nsteps * sizeof *l->marks);
    l->channel = malloc(((size_t)l->m->ntbs + 1) * sizeof *l->channel);
    for (int32_t i = 0; l->parent && i < l->m->nsteps; i++)
        l->parent[i] = i;
    return l->alias && l->tmp && l->builds && l->parent && l->cut && l->marks &&
           l->channel;
}

static void lower_fini(struct lower *l)
{
    msccl_links_fini(&l->links);
    for (int32_t r = 0; l->builds && r < l->m->nranks; r++)
        build_destroy(l->builds[r]);
    free(l->alias);
    free(l->tmp);
    free(l->builds);
    free(l->parent);
    free(l->cut);
    free(l->marks);
    free(l->channel);
}

trncclResult_t msccl_lower(const struct msccl *m, const struct msccl_lower_args *args,
                           struct sched **ranks)
{
    if (!msccl_serves(m, args->inplace))
        return error_set(trncclInvalidArgument,
                         "%s of %d ranks, %s, serves calls %s only", m->name, m->nranks,
                         sched_coll_name(m->coll),
                         args->inplace ? "out of place" : "in place");
    struct lower l = {.m = m, .args = args};
    memset(ranks, 0, (size_t)m->nranks * sizeof(struct sched *));
    trncclResult_t result =
        lower_init(&l)
            ? lower_all(&l, ranks)
            : error_set(trncclSystemError, "no memory to lower %d steps", m->nsteps);
    lower_fini(&l);
    for (int32_t r = 0; result != trncclSuccess && r < m->nranks; r++) {
        sched_destroy(ranks[r]);
        ranks[r] = NULL;
    }
    return result;
}
