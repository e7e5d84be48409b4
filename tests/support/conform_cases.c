#include "conform_cases.h"

#include <stdlib.h>

#include "algo/algo.h"

/* What TRNCCL_SLICE_BYTES is unless set: the bytes of a chunk that travel per round. */
#define SLICE_NBYTES 16384

/* ---- algorithms ---------------------------------------------------------------------
 */

const struct algo *cases_algo(enum sched_coll coll, int layer)
{
    for (const struct algo *const *a = algo_list; *a; a++)
        if ((*a)->coll == coll && layer-- == 0)
            return *a;
    return NULL;
}

int cases_layers(void)
{
    int layers = 0;
    for (int coll = 0; coll < SCHED_NCOLLS; coll++)
        while (cases_algo((enum sched_coll)coll, layers))
            layers++;
    return layers;
}

static bool refuses(const struct cases *s, const struct algo *a, int root)
{
    struct sched_args args = {.coll = a->coll, .nranks = s->nranks, .root = root};
    if (s->machine)
        args = graphs_args(s->machine, &args);
    return a->refuse && a->refuse(&args);
}

/* ---- lists --------------------------------------------------------------------------
 */

void cases_init(struct cases *s, int nranks, uint64_t seed, int layer)
{
    *s = (struct cases){.nranks = nranks, .seed = seed};
    size_t used = 0;
    for (int coll = 0; coll < SCHED_NCOLLS; coll++) {
        const struct algo *a = cases_algo((enum sched_coll)coll, layer);
        if (a)
            used += (size_t)snprintf(s->algo + used, sizeof s->algo - used, "%s%s=%s",
                                     used ? "," : "", sched_coll_name(a->coll), a->name);
    }
}

void cases_fini(struct cases *s)
{
    for (int t = 0; t < trncclNumTypes; t++)
        for (int i = 0; i < 12; i++)
            oracle_fini(&s->oracles[t][i]);
    free(s->list);
}

static const struct oracle *oracle_of(struct cases *s, trncclDataType_t type, int op)
{
    struct oracle *o = &s->oracles[type][op + 2];
    if (!o->raw)
        oracle_init(o, type, op, s->nranks, s->seed);
    return o;
}

static struct conform_case *add(struct cases *s, const struct conform_case *c)
{
    if (s->n == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 256;
        s->list = realloc(s->list, (size_t)s->capacity * sizeof *s->list);
        if (!s->list)
            abort();
    }
    s->list[s->n] = *c;
    s->list[s->n].id = s->n;
    return &s->list[s->n++];
}

/* An operation that fits the type: by turns all of them. */
static int op_by_turns(trncclDataType_t type, int turn)
{
    for (;; turn++) {
        int op = turn % 11;
        op = op == 10 ? ORACLE_PREMUL : op;
        if (oracle_op_fits(type, op))
            return op;
    }
}

/* Fills in what varies by turns, so that neighbours differ in everything. */
static void add_varied(struct cases *s, const struct algo *a, enum conform_form form,
                       size_t nbytes, size_t count, int root)
{
    uint64_t h = oracle_hash(s->seed, (uint64_t)s->n, (uint64_t)s->nranks);
    trncclDataType_t type = (trncclDataType_t)(h % trncclNumTypes);
    int op = sched_coll_reduces(a->coll) ? op_by_turns(type, (int)(h >> 8 & 255))
                                         : ORACLE_COPY;
    struct conform_case c = {
        .coll = a->coll,
        .form = form,
        .algo = a->name,
        .oracle = oracle_of(s, type, op),
        .count = count + nbytes / oracle_type_nbytes(type),
        .root = root,
        .inplace = (enum conform_some)((h >> 16) % 3),
        .shared = (enum conform_some)((h >> 24) % 3),
        .shift = h >> 32 & 1 ? 0 : (h >> 33) % 64,
        .stream = (h >> 40) % 8 == 0,
    };
    c.by_default = form == CONFORM_V && !(a->flags & ALGO_V);
    c.refused = !c.by_default && refuses(s, a, root);
    if (c.refused) /* without a group and a stream it is this call that says so */
        c.stream = false;
    add(s, &c);
}

/* One count with some or all roots. */
static void add_roots(struct cases *s, const struct algo *a, enum conform_form form,
                      size_t nbytes, size_t count, bool all)
{
    int n = s->nranks;
    if (!sched_coll_rooted(a->coll)) {
        add_varied(s, a, form, nbytes, count, 0);
    } else if (all) {
        for (int root = 0; root < n; root++)
            add_varied(s, a, form, nbytes, count, root);
    } else {
        add_varied(s, a, form, nbytes, count,
                   (int)(oracle_hash(s->seed, (uint64_t)s->n, 5) % (uint64_t)n));
    }
}

static bool has_v(enum sched_coll coll)
{
    return coll == SCHED_ALL_GATHER || coll == SCHED_REDUCE_SCATTER ||
           coll == SCHED_ALL_TO_ALL || coll == SCHED_GATHER || coll == SCHED_SCATTER;
}

static void fill_form(struct cases *s, const struct algo *a, enum conform_form form,
                      enum cases_depth depth)
{
    size_t n = (size_t)s->nranks;
    const size_t small[] = {0, 1, n - 1, n, n + 1, 7, 97, 1000};
    bool all = n <= 5;
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        if (depth > CASES_FEW || i % 3 == 1 || i == 0)
            add_roots(s, a, form, 0, small[i], all && i % 3 == 1);
    if (depth == CASES_FEW)
        return;
    add_roots(s, a, form, SLICE_NBYTES - 64, 7, false);
    add_roots(s, a, form, SLICE_NBYTES, 0, false);
    add_roots(s, a, form, SLICE_NBYTES, 1, false);
    if (depth < CASES_LARGE)
        return;
    add_roots(s, a, form, 3 * SLICE_NBYTES, 5, n <= 3);
    add_roots(s, a, form, n * SLICE_NBYTES, 1, false);
    add_roots(s, a, form, 2 * n * SLICE_NBYTES, 131, false);
    if (n <= 4)
        add_roots(s, a, form, (size_t)1 << 20, 3, false);
}

void cases_fill(struct cases *s, int layer, enum cases_depth depth)
{
    for (int coll = 0; coll < SCHED_NCOLLS; coll++) {
        const struct algo *a = cases_algo((enum sched_coll)coll, layer);
        if (!a)
            continue;
        if (s->nranks > 1 && refuses(s, a, 0)) {
            add_varied(s, a, CONFORM_PLAIN, 0, 7, 0);
            continue;
        }
        if (a->coll == SCHED_BARRIER) {
            for (int i = 0; i < 10; i++)
                add_varied(s, a, CONFORM_PLAIN, 0, 0, 0);
            continue;
        }
        fill_form(s, a, CONFORM_PLAIN, depth);
        if (a->coll == SCHED_PERMUTE)
            fill_form(s, a, CONFORM_PAIRS, depth);
        if (has_v(a->coll) && (a->flags & ALGO_V))
            fill_form(s, a, CONFORM_V, depth);
        else if (has_v(a->coll))
            add_varied(s, a, CONFORM_V, 0, 7, 0);
    }
}

void cases_fill_machine(struct cases *s, int layer)
{
    for (int coll = 0; coll < SCHED_NCOLLS; coll++) {
        const struct algo *a = cases_algo((enum sched_coll)coll, layer);
        if (!a || !graphs_wanted(a, s->nranks) || refuses(s, a, 0))
            continue;
        fill_form(s, a, CONFORM_PLAIN, CASES_FEW);
        if (a->flags & ALGO_V)
            fill_form(s, a, CONFORM_V, CASES_FEW);
        if (s->nranks <= 16) { /* several rounds */
            size_t chunks = a->coll == SCHED_ALL_REDUCE ? 6 * (size_t)s->nranks : 6;
            add_roots(s, a, CONFORM_PLAIN, chunks * SLICE_NBYTES, 13, false);
        }
    }
}

void cases_fill_types(struct cases *s, int layer, size_t count)
{
    for (int coll = 0; coll < SCHED_NCOLLS; coll++) {
        const struct algo *a = cases_algo((enum sched_coll)coll, layer);
        for (int t = 0; a && t < trncclNumTypes; t++)
            for (int op = ORACLE_PREMUL; op < (int)trncclNumOps; op++) {
                trncclDataType_t type = (trncclDataType_t)t;
                if (!oracle_op_fits(type, op) || a->coll == SCHED_BARRIER ||
                    sched_coll_reduces(a->coll) == (op == ORACLE_COPY))
                    continue;
                struct conform_case c = {.coll = a->coll,
                                         .algo = a->name,
                                         .oracle = oracle_of(s, type, op),
                                         .count = count,
                                         .root = (t + op + 2) % s->nranks,
                                         .inplace = (enum conform_some)((t + op + 2) % 3),
                                         .refused = refuses(s, a, 0),
                                         .shift = (size_t)(t % 3)};
                add(s, &c);
            }
    }
}
