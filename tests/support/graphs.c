#include "graphs.h"

#include <stdlib.h>
#include <string.h>

enum { CYCLES_MOST = 5 };

/* How an entry is made. */
struct recipe {
    const char *name;
    int32_t ngroups, dims[3], rates[3], per_chip;
    int32_t nchips; /* of a group without a torus */
    bool cycles, trees;
    const char *intra, *inter;
    int32_t lanes;
};

/* clang-format off */
static const struct recipe recipes[] = {
    {"2x2", 1, {2, 2}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"2 chips of 2", 1, {2}, {1}, 2, 0, true, false, NULL, NULL, 0},
    {"2 groups of 2", 2, {0}, {0}, 1, 2, false, false, NULL, NULL, 0},
    {"a ring of 8", 1, {8}, {1}, 1, 0, true, true, NULL, NULL, 0},
    {"4x2", 1, {4, 2}, {1, 1}, 1, 0, false, true, NULL, NULL, 0},
    {"3x3", 1, {3, 3}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"4x4", 1, {4, 4}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"4x4, one dimension slow", 1, {4, 4}, {2, 1}, 1, 0, false, true, NULL, NULL, 0},
    {"8x4", 1, {8, 4}, {1, 1}, 1, 0, false, false, NULL, NULL, 0},
    {"5x5", 1, {5, 5}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"2x2x2", 1, {2, 2, 2}, {1, 1, 1}, 1, 0, false, true, NULL, NULL, 0},
    {"3x2x4", 1, {3, 2, 4}, {1, 1, 1}, 1, 0, false, true, NULL, NULL, 0},
    {"4x4x4, Z at half rate", 1, {4, 4, 4}, {2, 2, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"2x2, 2 ranks per chip", 1, {2, 2}, {1, 1}, 2, 0, true, false, NULL, NULL, 0},
    {"2x2, 3 ranks per chip", 1, {2, 2}, {1, 1}, 3, 0, false, false, NULL, NULL, 0},
    {"4x4, 4 ranks per chip", 1, {4, 4}, {1, 1}, 4, 0, true, false, NULL, NULL, 0},
    {"3x3, 2 ranks per chip", 1, {3, 3}, {1, 1}, 2, 0, true, false, NULL, NULL, 0},
    {"5 chips of 3", 1, {0}, {0}, 3, 5, false, false, NULL, NULL, 0},
    {"3 groups of 4", 3, {0}, {0}, 1, 4, false, false, NULL, NULL, 0},
    {"2 groups of 2x2", 2, {2, 2}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"3 groups of 2x2, 2 ranks per chip", 3, {2, 2}, {1, 1}, 2, 0, true, false, NULL, NULL, 0},
    {"2 groups of 4x4", 2, {4, 4}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"5 groups of 3x3", 5, {3, 3}, {1, 1}, 1, 0, true, true, NULL, NULL, 0},
    {"2 groups of 4x4, 4 ranks per chip", 2, {4, 4}, {1, 1}, 4, 0, true, false, NULL, NULL, 0},
    {"2x2, 3 lanes", 1, {2, 2}, {1, 1}, 1, 0, true, true, NULL, NULL, 3},
    {"4x4, 2 lanes", 1, {4, 4}, {1, 1}, 1, 0, true, true, NULL, NULL, 2},
    {"4x4x4, Z at half rate, 3 lanes", 1, {4, 4, 4}, {2, 2, 1}, 1, 0, true, true, NULL, NULL, 3},
    {"3 groups of 4", 3, {0}, {0}, 1, 4, false, false, "ring", "ring", 0},
    {"3 groups of 4", 3, {0}, {0}, 1, 4, false, false, "recursive", "ring", 0},
    {"3 groups of 4", 3, {0}, {0}, 1, 4, false, false, "bruck", "direct", 0},
    {"5 groups of 3", 5, {0}, {0}, 1, 3, false, false, "pat", "pat", 0},
    {"5 groups of 3", 5, {0}, {0}, 1, 3, false, false, "direct", "bruck", 0},
    {"7 groups of 3", 7, {0}, {0}, 1, 3, false, false, "ring", "recursive", 0},
    {"4 groups of 3", 4, {0}, {0}, 1, 3, false, false, "direct", "double_tree", 0},
    {"5 groups of 4", 5, {0}, {0}, 1, 4, false, false, "recursive", "two_shot_dual", 0},
    {"5 groups of 4", 5, {0}, {0}, 1, 4, false, false, "ring", "one_shot", 0},
    {"3 groups of 2x2", 3, {2, 2}, {1, 1}, 1, 0, true, false, "cycles", "ring", 0},
    {"3 groups of 2x2", 3, {2, 2}, {1, 1}, 1, 0, true, true, "packed_trees", "double_tree", 0},
};
/* clang-format on */

static int32_t product(const struct recipe *r)
{
    if (r->nchips)
        return r->nchips;
    int32_t n = 1;
    for (int i = 0; i < 3 && r->dims[i]; i++)
        n *= r->dims[i];
    return n;
}

/* ---- cycles -------------------------------------------------------------------------
 */

/* Five cycles of 4x4x4 that use every X and Y link twice and every Z link once, as moves
 * from chip 0: x is one on, X one back. Found by a search that began with one cycle per
 * line and joined them by switching squares. */
static const char *const cube_cycles[CYCLES_MOST] = {
    "XyXXXyZXXYZXyyyXZYzYYXYZXzzXXXyxxyyxxxzXYXzYxxyXzXyxZXXyyyZyxyXX",
    "xzzyxyXXYYYXYYYXYXZYxyyyXXYXyyxyXZXyZyXYXYxxYXXYXyyyzyyxyxYxYXXY",
    "YYxYYYxZyxZYzYZXZxyyXYzyyZXXzxYYXyzYxyyyxzxyyXyZxZZZxZyZxZXyxyXZ",
    "XXXZxYZYXyXYXyyxxxyxxxzXYXyXyxzzYxyZxYzyyxYYYXXXYxZxZYXyXzXYYxxY",
    "YXyzyXZYzXyzyzzxyzxYXXXzXYXyzyxyXyXzYYzXyyZyXYZyxyZXXXzyZxxxyzYz",
};

static void follow(const char *moves, int32_t *cycle)
{
    int32_t at[3] = {0};
    for (int32_t i = 0; i < 64; i++) {
        cycle[i] = at[0] + 4 * at[1] + 16 * at[2];
        int dim = (moves[i] | 32) - 'x', step = moves[i] & 32 ? 1 : 3;
        at[dim] = (at[dim] + step) % 4;
    }
}

/* Chips of cycle number c; returns how many cycles there are. Two edge-disjoint ones on a
 * k x k torus: Bae and Bose, IEEE Trans. Comput. 52 (2003). */
static int32_t chip_cycle(const struct recipe *r, int32_t c, int32_t *cycle)
{
    int32_t n = product(r), k = r->dims[0];
    if (n == 64) {
        follow(cube_cycles[c], cycle);
        return CYCLES_MOST;
    }
    if (r->dims[1] == 0 || k == 2) {
        for (int32_t i = 0; i < n; i++)
            cycle[i] = r->dims[1] && i / 2 ? 5 - i : i;
        return 1;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t row = i / k, column = (i % k - row + k) % k;
        cycle[i] = c ? column * k + row : row * k + column;
    }
    return 2;
}

static void make_cycles(const struct recipe *r, struct sched_graph *g)
{
    int32_t chips[64], n = g->group_size;
    g->ncycles = chip_cycle(r, 0, chips);
    int32_t *cycles = calloc((size_t)g->ncycles * (size_t)n, sizeof *cycles);
    int32_t *weights = calloc((size_t)g->ncycles, sizeof *weights);
    if (!cycles || !weights)
        abort();
    for (int32_t c = 0; c < g->ncycles; c++) {
        chip_cycle(r, c, chips);
        weights[c] = n == 9 ? 1 + c : 1;
        for (int32_t i = 0; i < n; i++)
            cycles[c * n + i] = chips[i / r->per_chip] * r->per_chip + i % r->per_chip;
    }
    g->cycles = cycles;
    g->cycle_weights = weights;
}

/* ---- trees --------------------------------------------------------------------------
 */

/* Shortest paths: the first (by turns the last) dimension in which a chip differs from
 * the root leads one step nearer. */
static int32_t parent_of(const struct sched_graph *g, int32_t root, int32_t chip,
                         bool last)
{
    int32_t scale[SCHED_MAX_DIMS], s = 1, parent = -1;
    for (int32_t k = 0; k < g->ndims; s *= g->dims[k++])
        scale[k] = s;
    for (int32_t k = 0; k < g->ndims; k++) {
        int32_t d = g->dims[k], c = chip / scale[k] % d;
        int32_t away = (c - root / scale[k] % d + d) % d;
        if (!away || (parent >= 0 && !last))
            continue;
        int32_t to = (c + (2 * away <= d ? d - 1 : 1)) % d;
        parent = chip + (to - c) * scale[k];
    }
    return parent;
}

static void make_trees(struct sched_graph *g)
{
    int32_t n = g->group_size;
    g->ntrees = 2 * n;
    struct sched_graph_tree *trees = calloc((size_t)g->ntrees, sizeof *trees);
    int32_t *parents = calloc((size_t)g->ntrees * (size_t)n, sizeof *parents);
    if (!trees || !parents)
        abort();
    for (int32_t t = 0; t < g->ntrees; t++) {
        int32_t *parent = parents + t * n;
        trees[t] = (struct sched_graph_tree){t / 2, n == 16 ? 1 : 1 + t % 2, parent};
        for (int32_t i = 0; i < n; i++)
            parent[i] = parent_of(g, t / 2, i, t % 2);
    }
    g->trees = trees;
}

/* ---- the list -----------------------------------------------------------------------
 */

static void make(const struct recipe *r, struct graphs_entry *e)
{
    struct sched_graph *g = &e->graph;
    e->name = r->name;
    e->intra = r->intra;
    e->inter = r->inter;
    e->lanes = r->lanes;
    g->per_chip = r->per_chip;
    g->group_size = product(r) * r->per_chip;
    g->nranks = r->ngroups * g->group_size;
    for (; g->ndims < 3 && r->dims[g->ndims]; g->ndims++) {
        g->dims[g->ndims] = r->dims[g->ndims];
        g->rates[g->ndims] = r->rates[g->ndims];
    }
    if (r->cycles)
        make_cycles(r, g);
    if (r->trees)
        make_trees(g);
}

const struct graphs_entry *graphs_get(int i)
{
    enum { N = sizeof recipes / sizeof recipes[0] };
    static struct graphs_entry entries[N];
    if (!entries[0].name)
        for (int k = 0; k < N; k++)
            make(&recipes[k], &entries[k]);
    return i < N ? &entries[i] : NULL;
}

struct sched_args graphs_args(const struct graphs_entry *e, const struct sched_args *args)
{
    struct sched_args with = *args;
    with.nranks = e->graph.nranks;
    with.graph = &e->graph;
    with.intra = e->intra;
    with.inter = e->inter;
    with.lanes = e->lanes;
    return with;
}

bool graphs_wanted(const struct algo *a, int32_t nranks)
{
    struct sched_args args = {.coll = a->coll, .nranks = nranks};
    return a->refuse && a->refuse(&args);
}

const struct graphs_entry *graphs_next(const struct algo *a, int32_t nranks, int *i)
{
    for (const struct graphs_entry *e; (e = graphs_get(*i));) {
        ++*i;
        struct sched_args none = {.coll = a->coll}, args = graphs_args(e, &none);
        if ((nranks && args.nranks != nranks) || !a->refuse || a->refuse(&args) ||
            (e->intra && strcmp(a->name, "hierarchical") != 0))
            continue;
        return e;
    }
    return NULL;
}

bool graphs_suit(const struct algo *a, struct sched_args *args)
{
    int i = 0;
    if (!graphs_wanted(a, args->nranks))
        return true;
    const struct graphs_entry *e = graphs_next(a, args->nranks, &i);
    if (e)
        *args = graphs_args(e, args);
    return e;
}
