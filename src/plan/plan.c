#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/msccl_lower.h"
#include "plan/choose.h"
#include "util/log.h"
#include "verify/verify.h"

/* One schedule built before. */
struct plan_entry {
    const struct algo *algo; /* NULL: imported */
    int root;
    bool inplace;
    struct sched *sched; /* owned */
    struct plan_entry *next;
};

struct plan {
    int nranks, rank, ncores;
    bool prove;
    struct imported *imported; /* borrowed, may be NULL */
    const struct sched_graph *graph; /* borrowed, or NULL; as are: */
    const char *intra, *inter;
    int32_t lanes;
    const struct algo *forced[SCHED_NCOLLS];
    bool warned[SCHED_NCOLLS]; /* that the forced one cannot serve v-forms */
    struct plan_entry *entries;
};

/* ---- forced algorithms ---- */

static trncclResult_t unknown_algo(const char *coll, const char *name, size_t length)
{
    char names[768] = "";
    size_t used = 0;
    const char *last = "";
    for (int i = 0; algo_list[i] && used < sizeof names; i++) {
        const char *c = sched_coll_name(algo_list[i]->coll);
        if (coll && strcmp(c, coll) != 0)
            continue;
        if (coll || strcmp(last, c) == 0)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                     used ? ", " : "", algo_list[i]->name);
        else
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s: %s",
                                     used ? "; " : "", c, algo_list[i]->name);
        last = c;
    }
    return error_set(trncclInvalidArgument,
                     "there is no %s%salgorithm '%.*s'; valid names: %s",
                     coll ? coll : "", coll ? " " : "", (int)length, name, names);
}

/* "ring": for every collective that has it. */
static trncclResult_t force_everywhere(struct plan *p, const char *name, size_t length)
{
    bool found = false;
    for (int i = 0; algo_list[i]; i++)
        if (strlen(algo_list[i]->name) == length &&
            memcmp(algo_list[i]->name, name, length) == 0) {
            p->forced[algo_list[i]->coll] = algo_list[i];
            found = true;
        }
    return found ? trncclSuccess : unknown_algo(NULL, name, length);
}

/* "all_reduce=ring" */
static trncclResult_t force_one(struct plan *p, const char *coll, size_t coll_length,
                                const char *name, size_t length)
{
    char coll_name[64], algo_name[64];
    enum sched_coll which;
    snprintf(coll_name, sizeof coll_name, "%.*s", (int)coll_length, coll);
    snprintf(algo_name, sizeof algo_name, "%.*s", (int)length, name);
    if (!sched_coll_parse(coll_name, &which))
        return error_set(trncclInvalidArgument,
                         "there is no collective '%s' (in a forced algorithm '%s=%s'); "
                         "write names like all_reduce, broadcast",
                         coll_name, coll_name, algo_name);
    p->forced[which] = algo_find(which, algo_name);
    return p->forced[which] ? trncclSuccess : unknown_algo(coll_name, name, length);
}

static trncclResult_t parse_forced(struct plan *p, const char *text)
{
    while (text && *text) {
        size_t length = strcspn(text, ",");
        const char *equal = memchr(text, '=', length);
        if (equal)
            TRY(force_one(p, text, (size_t)(equal - text), equal + 1,
                          length - (size_t)(equal + 1 - text)));
        else if (length)
            TRY(force_everywhere(p, text, length));
        text += length;
        text += *text == ',';
    }
    return trncclSuccess;
}

trncclResult_t plan_check_names(const char *algo)
{
    struct plan p = {0};
    return parse_forced(&p, algo);
}

/* ---- an imported schedule ---- */

static trncclResult_t imported_fits(const struct plan *p)
{
    const struct msccl *m = p->imported->file;
    if (m->nranks == p->nranks)
        return trncclSuccess;
    return error_set(trncclInvalidArgument,
                     "the imported schedule %s is for %d ranks; the communicator has %d",
                     m->name, m->nranks, p->nranks);
}

trncclResult_t plan_prove_imported(struct plan *p, int max_credits)
{
    for (int place = 0; p->imported && place < 2; place++)
        if (msccl_serves(p->imported->file, place))
            TRY(imported_prove(p->imported, place, max_credits, NULL));
    return trncclSuccess;
}

/* Whether the imported schedule is for this call's collective. */
static bool is_imported(const struct plan *p, const struct plan_call *call)
{
    return p->imported && p->imported->file->coll == call->coll && !call->v;
}

static trncclResult_t build_imported(const struct plan *p, const struct plan_call *call,
                                     struct sched **out)
{
    const struct msccl *m = p->imported->file;
    if (call->root != m->root)
        return error_set(trncclInvalidUsage,
                         "the imported schedule %s serves root %d, not %d", m->name,
                         m->root, call->root);
    if (!msccl_serves(m, call->inplace))
        return error_set(trncclInvalidUsage,
                         "the imported schedule %s does not serve calls %s", m->name,
                         call->inplace ? "in place" : "out of place");
    struct sched **ranks = calloc((size_t)p->nranks, sizeof *ranks);
    if (!ranks)
        return error_set(trncclSystemError, "out of memory for a schedule");
    trncclResult_t result = imported_build(p->imported, call->inplace, ranks);
    for (int r = 0; result == trncclSuccess && r < p->nranks; r++) {
        if (r == p->rank)
            *out = ranks[r];
        else
            sched_destroy(ranks[r]);
    }
    free(ranks);
    return result;
}

/* ---- the cache ---- */

trncclResult_t plan_create(const struct plan_args *args, struct plan **out)
{
    struct plan *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(trncclSystemError, "out of memory for a plan");
    p->nranks = args->nranks;
    p->rank = args->rank;
    p->ncores = args->ncores;
    p->prove = args->prove;
    p->imported = args->imported;
    p->graph = args->graph;
    trncclResult_t result = parse_forced(p, args->algo);
    if (result == trncclSuccess && p->imported)
        result = imported_fits(p);
    if (result != trncclSuccess) {
        plan_destroy(p);
        return result;
    }
    *out = p;
    return trncclSuccess;
}

void plan_follow(struct plan *p, const struct sched_args *like)
{
    p->graph = like->graph;
    p->lanes = like->lanes;
    p->intra = like->intra;
    p->inter = like->inter;
}

void plan_destroy(struct plan *p)
{
    if (!p)
        return;
    while (p->entries) {
        struct plan_entry *e = p->entries;
        p->entries = e->next;
        sched_destroy(e->sched);
        free(e);
    }
    free(p);
}

static bool serves(const struct algo *a, const struct plan_call *call)
{
    return a && (!call->v || a->flags & ALGO_V);
}

const struct algo *plan_algo(const struct plan *p, const struct plan_call *call)
{
    if (serves(p->forced[call->coll], call))
        return p->forced[call->coll];
    return algo_find(
        call->coll, choose_algo(call->coll, call->v, p->nranks, p->ncores, call->nbytes));
}

/* Once per collective, by one rank of the communicator. */
static void warn_unforced(struct plan *p, const struct plan_call *call,
                          const struct algo *chosen)
{
    const struct algo *forced = p->forced[call->coll];
    if (!forced || forced == chosen || p->warned[call->coll] || p->rank != 0)
        return;
    p->warned[call->coll] = true;
    log_warn("plan",
             "%s was forced for %s, but cannot serve blocks of different sizes: %s_v "
             "uses the default, now %s",
             forced->name, sched_coll_name(call->coll), sched_coll_name(call->coll),
             chosen->name);
}

/* Proves the whole collective that this rank's schedule is part of. */
static trncclResult_t prove(const struct algo *algo, const struct sched_args *args)
{
    struct sched **ranks = calloc((size_t)args->nranks, sizeof *ranks);
    if (!ranks)
        return error_set(trncclSystemError, "out of memory for a proof");
    trncclResult_t result = algo_build_all(algo, args, ranks);
    if (result == trncclSuccess) {
        result = verify_schedules(ranks, args->nranks, args->pairs, args->npairs, NULL);
        if (result == trncclInvalidUsage) { /* our bug, not the caller's */
            char reason[512];
            snprintf(reason, sizeof reason, "%s", error_text());
            result = error_set(
                trncclInternalError, "%s of %s for %d ranks was refused by its proof: %s",
                algo->name, sched_coll_name(args->coll), args->nranks, reason);
        }
        for (int r = 0; r < args->nranks; r++)
            sched_destroy(ranks[r]);
    }
    free(ranks);
    return result;
}

static trncclResult_t plan_build(struct plan *p, const struct algo *algo,
                                 const struct plan_call *call, struct sched **out)
{
    struct sched_args args = {.coll = call->coll,
                              .nranks = p->nranks,
                              .rank = p->rank,
                              .root = call->root,
                              .inplace = call->inplace,
                              .pairs = call->pairs,
                              .npairs = call->npairs,
                              .graph = p->graph,
                              .lanes = p->lanes,
                              .intra = p->intra,
                              .inter = p->inter};
    if (p->prove && p->rank == 0)
        TRY(prove(algo, &args));
    return algo_build(algo, &args, out);
}

trncclResult_t plan_schedule(struct plan *p, const struct plan_call *call,
                             const struct sched **out)
{
    const struct algo *algo = is_imported(p, call) ? NULL : plan_algo(p, call);
    if (algo)
        warn_unforced(p, call, algo);
    struct sched *sched = NULL;
    if (call->coll == SCHED_PERMUTE) {
        TRY(plan_build(p, algo, call, &sched));
        *out = sched;
        return trncclSuccess;
    }
    for (struct plan_entry *e = p->entries; e; e = e->next)
        if (e->algo == algo && e->root == call->root && e->inplace == call->inplace) {
            *out = e->sched;
            return trncclSuccess;
        }
    struct plan_entry *e = malloc(sizeof *e);
    if (!e)
        return error_set(trncclSystemError, "out of memory for a schedule");
    trncclResult_t result =
        algo ? plan_build(p, algo, call, &sched) : build_imported(p, call, &sched);
    if (result != trncclSuccess) {
        free(e);
        return result;
    }
    *e = (struct plan_entry){algo, call->root, call->inplace, sched, p->entries};
    p->entries = e;
    *out = sched;
    return trncclSuccess;
}
