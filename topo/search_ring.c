#include "topo/search_ring.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/search_internal.h"
#include "topo/search_random.h"
#include "topo/search_torus.h"

#define MAX_FACTORS 16
#define SEED UINT64_C(0x7472616e)
/* Vertices relabelled at most: about a quarter of a second. Tori that are covered at all
 * need less than a hundredth of it up to 512 chips, a third at 4,096. */
#define ANNEAL_BUDGET INT64_C(40000000)

trncclResult_t search_rings_create(int32_t nvertices, int32_t room,
                                   struct search_rings **out)
{
    struct search_rings *r = calloc(1, sizeof *r);
    if (r) {
        r->nvertices = nvertices;
        r->scale = 1;
        r->orders = malloc(((size_t)room * (size_t)nvertices + 1) * sizeof *r->orders);
        r->weights = malloc(((size_t)room + 1) * sizeof *r->weights);
    }
    if (!r || !r->orders || !r->weights) {
        search_rings_destroy(r);
        return error_set(trncclSystemError,
                         "no memory for %" PRId32 " cycles of %" PRId32 " vertices", room,
                         nvertices);
    }
    *out = r;
    return trncclSuccess;
}

void search_rings_destroy(struct search_rings *r)
{
    if (!r)
        return;
    free(r->orders);
    free(r->weights);
    free(r);
}

trncclResult_t search_rings_square(int32_t k, struct search_rings **out)
{
    if (k < 3 || k > 256)
        return error_set(trncclInvalidArgument,
                         "a square torus must have sides of 3 to 256, not %" PRId32, k);
    struct search_rings *r;
    TRY(search_rings_create(k * k, 2, &r));
    r->ncycles = 2;
    for (int32_t i = 0; i < k * k; i++) {
        int32_t x1 = i / k, x0 = ((i % k - x1) % k + k) % k;
        r->orders[i] = x1 * k + x0;
        r->orders[k * k + i] = x0 * k + x1;
    }
    r->weights[0] = r->weights[1] = 1;
    *out = r;
    return trncclSuccess;
}

/* A 2-factor: two links at every vertex, so some cycles. */
struct factor {
    int32_t (*ends)[2]; /* [nvertices] the neighbours; owned, like all below */
    int32_t *cycle;     /* [nvertices] which cycle it is on */
    int32_t *place;     /* [nvertices] where on it */
    int32_t *length;    /* [nvertices] of each cycle */
    int32_t ncycles;
};

struct anneal {
    struct search_torus torus;
    int32_t nfactors;
    struct factor factors[MAX_FACTORS];
    /* [nvertices * ndims] bit f: the link from the vertex up along the dimension is in
     * factor f; owned */
    uint32_t *members;
    int64_t budget;
    uint64_t chance;
};

static uint32_t *members_of(struct anneal *a, int32_t v, int32_t d)
{
    return &a->members[v * a->torus.ndims + d];
}

/* Walks all cycles of a factor. */
static void label_cycles(struct anneal *a, struct factor *f)
{
    int32_t n = a->torus.nvertices;
    a->budget -= n;
    memset(f->cycle, -1, (size_t)n * sizeof *f->cycle);
    f->ncycles = 0;
    for (int32_t start = 0; start < n; start++) {
        if (f->cycle[start] >= 0)
            continue;
        int32_t before = f->ends[start][0], v = start, place = 0;
        do {
            f->cycle[v] = f->ncycles;
            f->place[v] = place++;
            int32_t after = f->ends[v][0] == before ? f->ends[v][1] : f->ends[v][0];
            before = v;
            v = after;
        } while (v != start);
        f->length[f->ncycles++] = place;
    }
}

static bool follows(const struct factor *f, int32_t v, int32_t next)
{
    return (f->place[v] + 1) % f->length[f->cycle[v]] == f->place[next];
}

/* How many cycles more there are when links pq and rs give way to pr and qs. */
static int change(const struct factor *f, const int32_t square[4])
{
    int32_t p = square[0], q = square[1], r = square[2], s = square[3];
    if (f->cycle[p] != f->cycle[r])
        return -1;
    return follows(f, p, q) == follows(f, r, s) ? 0 : 1;
}

static void replace(struct factor *f, int32_t v, int32_t old, int32_t by)
{
    f->ends[v][f->ends[v][0] == old ? 0 : 1] = by;
}

/* Links pq and rs of one factor against pr and qs of the other. */
static void switch_square(struct anneal *a, struct factor *f, const int32_t square[4])
{
    int32_t p = square[0], q = square[1], r = square[2], s = square[3];
    replace(f, p, q, r);
    replace(f, q, p, s);
    replace(f, r, s, p);
    replace(f, s, r, q);
    label_cycles(a, f);
}

static int32_t pick_bit(struct anneal *a, uint32_t bits)
{
    int32_t skip = search_random_below(&a->chance, __builtin_popcount(bits));
    while (skip--)
        bits &= bits - 1;
    return __builtin_ctz(bits);
}

/* One random square of which one factor has two opposite sides and another the other two.
 * One cycle more is accepted one time in 256, two more practically never: enough to leave
 * dead ends on the tori of the tests, and little enough to end with 4,096 chips, where
 * one in 16 did not. */
static void try_square(struct anneal *a)
{
    const struct search_torus *t = &a->torus;
    int32_t p = search_random_below(&a->chance, t->nvertices);
    int32_t along = search_random_below(&a->chance, t->ndims);
    int32_t across =
        (along + 1 + search_random_below(&a->chance, t->ndims - 1)) % t->ndims;
    int32_t q = search_torus_move(t, p, along, 1), r = search_torus_move(t, p, across, 1);
    int32_t s = search_torus_move(t, q, across, 1);
    uint32_t *pq = members_of(a, p, along), *rs = members_of(a, r, along);
    uint32_t *pr = members_of(a, p, across), *qs = members_of(a, q, across);
    uint32_t one = *pq & *rs & ~*pr & ~*qs, other = *pr & *qs & ~*pq & ~*rs;
    a->budget--;
    if (!one || !other)
        return;
    int32_t x = pick_bit(a, one), y = pick_bit(a, other);
    const int32_t forth[4] = {p, q, r, s}, back[4] = {p, r, q, s};
    int more = change(&a->factors[x], forth) + change(&a->factors[y], back);
    if (more > 0 && search_random(&a->chance) >> (64 - 8 * more))
        return;
    switch_square(a, &a->factors[x], forth);
    switch_square(a, &a->factors[y], back);
    uint32_t both = UINT32_C(1) << x | UINT32_C(1) << y;
    *pq ^= both;
    *rs ^= both;
    *pr ^= both;
    *qs ^= both;
}

static int32_t count_cycles(const struct anneal *a)
{
    int32_t count = 0;
    for (int32_t f = 0; f < a->nfactors; f++)
        count += a->factors[f].ncycles;
    return count;
}

/* Factor f is all cycles along dimension d. */
static trncclResult_t start_factor(struct anneal *a, int32_t f, int32_t d)
{
    const struct search_torus *t = &a->torus;
    struct factor *factor = &a->factors[f];
    size_t n = (size_t)t->nvertices;
    factor->ends = malloc(n * sizeof *factor->ends);
    factor->cycle = malloc(n * sizeof *factor->cycle);
    factor->place = malloc(n * sizeof *factor->place);
    factor->length = malloc(n * sizeof *factor->length);
    if (!factor->ends || !factor->cycle || !factor->place || !factor->length)
        return error_set(trncclSystemError, "no memory for cycles of %" PRId32,
                         t->nvertices);
    for (int32_t v = 0; v < t->nvertices; v++) {
        factor->ends[v][0] = search_torus_move(t, v, d, -1);
        factor->ends[v][1] = search_torus_move(t, v, d, 1);
        *members_of(a, v, d) |= UINT32_C(1) << f;
    }
    label_cycles(a, factor);
    return trncclSuccess;
}

static trncclResult_t anneal_factors(struct anneal *a)
{
    const struct search_torus *t = &a->torus;
    a->members = calloc((size_t)t->nvertices * (size_t)t->ndims, sizeof *a->members);
    if (!a->members)
        return error_set(trncclSystemError, "no memory for links of %" PRId32,
                         t->nvertices);
    for (int32_t d = 0; d < t->ndims; d++)
        for (int32_t i = 0; i < t->rates[d]; i++)
            TRY(start_factor(a, a->nfactors++, d));
    /* Late, all but one whole is good enough: some tori are not covered this way. */
    while (a->budget > 0 &&
           count_cycles(a) > a->nfactors + (a->budget < ANNEAL_BUDGET / 2))
        try_square(a);
    return trncclSuccess;
}

/* The factors that are one cycle each, from vertex 0 on. */
static trncclResult_t take_cycles(const struct anneal *a, struct search_rings **out)
{
    struct search_rings *r;
    TRY(search_rings_create(a->torus.nvertices, a->nfactors, &r));
    for (int32_t f = 0; f < a->nfactors; f++) {
        const struct factor *factor = &a->factors[f];
        if (factor->ncycles != 1)
            continue;
        for (int32_t v = 0; v < r->nvertices; v++)
            r->orders[r->ncycles * r->nvertices + factor->place[v]] = v;
        r->weights[r->ncycles++] = 1;
    }
    *out = r;
    return trncclSuccess;
}

static trncclResult_t rings_by_annealing(const struct search_torus *t,
                                         struct search_rings **out)
{
    struct anneal a = {.torus = *t, .budget = ANNEAL_BUDGET, .chance = SEED};
    trncclResult_t result = anneal_factors(&a);
    if (result == trncclSuccess)
        result = take_cycles(&a, out);
    for (int32_t f = 0; f < a.nfactors; f++) {
        free(a.factors[f].ends);
        free(a.factors[f].cycle);
        free(a.factors[f].place);
        free(a.factors[f].length);
    }
    free(a.members);
    return result;
}

static trncclResult_t rings_by_search(const struct search_torus *t,
                                      struct search_rings **out)
{
    struct digraph *g;
    TRY(search_torus_graph(t, &g));
    int32_t most = 0;
    for (int32_t d = 0; d < t->ndims; d++)
        most += t->rates[d];
    trncclResult_t result = search_rings_graph(g, most, SEARCH_RINGS_BUDGET, out);
    digraph_destroy(g);
    return result;
}

/* Dimensions of 1 are left out, which changes no vertex's number; rates are divided by
 * their common factor, which is returned. */
static int32_t simplify(struct search_torus *t)
{
    int32_t kept = 0, factor = 0;
    for (int32_t d = 0; d < t->ndims; d++) {
        if (t->dims[d] == 1)
            continue;
        t->dims[kept] = t->dims[d];
        t->strides[kept] = t->strides[d];
        t->rates[kept++] = t->rates[d];
    }
    t->ndims = kept;
    for (int32_t d = 0; d < kept; d++)
        for (int32_t b = t->rates[d]; b;) {
            int32_t rest = factor % b;
            factor = b;
            b = rest;
        }
    for (int32_t d = 0; d < kept; d++)
        t->rates[d] /= factor;
    return factor;
}

static int64_t total_weight(const struct search_rings *r)
{
    int64_t sum = 0;
    for (int32_t c = 0; c < r->ncycles; c++)
        sum += r->weights[c];
    return sum / r->scale;
}

/* By annealing; where that does not cover the torus, the better of what it found and what
 * the search finds. */
static trncclResult_t rings_by_either(const struct search_torus *t, int32_t most,
                                      struct search_rings **out)
{
    struct search_rings *annealed = NULL, *searched = NULL;
    TRY(rings_by_annealing(t, &annealed));
    if (annealed->ncycles == most) {
        *out = annealed;
        return trncclSuccess;
    }
    trncclResult_t result = rings_by_search(t, &searched);
    if (result != trncclSuccess) {
        search_rings_destroy(annealed);
        return result;
    }
    bool better = total_weight(searched) > total_weight(annealed);
    *out = better ? searched : annealed;
    search_rings_destroy(better ? annealed : searched);
    return trncclSuccess;
}

trncclResult_t search_rings_torus(int32_t ndims, const int32_t *dims,
                                  const int32_t *rates, struct search_rings **out)
{
    struct search_torus t;
    TRY(search_torus_init(ndims, dims, rates, &t));
    int32_t weight = simplify(&t), sum = 0;
    bool pairs = false;
    for (int32_t d = 0; d < t.ndims; d++) {
        sum = t.rates[d] > MAX_FACTORS - sum ? MAX_FACTORS + 1 : sum + t.rates[d];
        pairs |= t.dims[d] == 2;
        if (sum > MAX_FACTORS)
            return error_set(trncclInvalidArgument,
                             "the rates of a torus's links, without common factor, must "
                             "sum to at most %d; dimension %" PRId32 " goes beyond",
                             MAX_FACTORS, d);
    }
    if (t.ndims == 0)
        return search_rings_create(1, 0, out);
    struct search_rings *r;
    if (pairs)
        TRY(rings_by_search(&t, &r));
    else if (t.ndims == 2 && t.dims[0] == t.dims[1] && t.rates[0] == t.rates[1])
        TRY(search_rings_square(t.dims[0], &r));
    else
        TRY(rings_by_either(&t, sum, &r));
    for (int32_t c = 0; c < r->ncycles; c++)
        r->weights[c] *= weight;
    *out = r;
    return trncclSuccess;
}
