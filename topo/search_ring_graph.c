/* Hamiltonian cycles of any graph, by rotation and extension of a path. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/search_hop.h"
#include "topo/search_internal.h"
#include "topo/search_random.h"
#include "topo/search_ring.h"

#define SEED UINT64_C(0x72696e67)
#define MAX_LEVELS                                                                       \
    8 /* different capacities that are tried as the narrowest of a cycle                 \
       */

struct ring_search {
    const struct digraph *g;
    struct search_hops *hops; /* owned, like all below */
    int32_t n;                /* terminals */
    int32_t *vertex;          /* [n] of the graph */
    int32_t *number;          /* [nvertices] 0 .. n - 1, -1: a switch */
    int64_t *left;            /* [nedges] capacity, times scale, that no cycle has */
    int32_t *uses;            /* [nedges] by the cycle at hand */
    int32_t *first, *next;    /* [n + 1], [nhops] neighbours both ways, by number */
    int32_t *path, *place;    /* [n] the path; where each is on it, -1: nowhere */
    uint8_t *colour;          /* [n] */
    int64_t levels[MAX_LEVELS];
    int32_t nlevels;
    int64_t scale, budget;
    uint64_t chance;
};

/* The widest hop between two terminals if the cycle took it once more: *share is what
 * each of its uses would get. -1 if there is no hop. */
static int32_t widest_hop(const struct ring_search *s, int32_t from, int32_t to,
                          int64_t *share)
{
    int32_t best = -1;
    *share = 0;
    for (int32_t h = s->hops->first[from]; h < s->hops->first[from + 1]; h++) {
        const struct search_hop *hop = &s->hops->hops[h];
        if (hop->to != to)
            continue;
        int64_t least = INT64_MAX;
        for (int32_t i = hop->first; i < hop->first + hop->nedges; i++) {
            int32_t e = s->hops->path[i];
            int64_t here = s->left[e] / (s->uses[e] + 1);
            least = here < least ? here : least;
        }
        if (least > *share) {
            best = h;
            *share = least;
        }
    }
    return best;
}

/* Neighbours are those with a hop of at least `level` each way. */
static void find_neighbours(struct ring_search *s, int64_t level)
{
    int32_t count = 0;
    memset(s->uses, 0, (size_t)s->g->nedges * sizeof *s->uses);
    for (int32_t i = 0; i < s->n; i++) {
        int32_t v = s->vertex[i];
        s->first[i] = count;
        for (int32_t h = s->hops->first[v]; h < s->hops->first[v + 1]; h++) {
            int32_t to = s->hops->hops[h].to, k = s->first[i];
            int64_t forth, back;
            while (k < count && s->next[k] != s->number[to])
                k++;
            widest_hop(s, v, to, &forth);
            widest_hop(s, to, v, &back);
            if (k == count && forth >= level && back >= level)
                s->next[count++] = s->number[to];
        }
        int32_t degree = s->hops->first[v + 1] - s->hops->first[v];
        s->budget -= 2 * (int64_t)degree * degree;
    }
    s->first[s->n] = count;
}

/* What no search needs to try: a vertex with less than two neighbours, or two colours
 * that alternate along every path and do not come out even. */
static bool is_hopeless(struct ring_search *s)
{
    int32_t difference = 0, count = 0, *queue = s->path;
    bool bipartite = true;
    memset(s->colour, 0, (size_t)s->n);
    for (int32_t start = 0; start < s->n; start++) {
        if (s->first[start + 1] - s->first[start] < (s->n > 2 ? 2 : 1))
            return true;
        if (s->colour[start])
            continue;
        if (start > 0)
            return true; /* in pieces */
        s->colour[start] = 1;
        queue[count++] = start;
        for (int32_t i = 0; i < count; i++) {
            int32_t v = queue[i];
            difference += s->colour[v] == 1 ? 1 : -1;
            for (int32_t k = s->first[v]; k < s->first[v + 1]; k++) {
                int32_t to = s->next[k];
                bipartite &= s->colour[to] != s->colour[v];
                if (s->colour[to] == 0) {
                    s->colour[to] = (uint8_t)(3 - s->colour[v]);
                    queue[count++] = to;
                }
            }
        }
    }
    return s->n > 2 && bipartite && difference != 0;
}

static bool adjacent(const struct ring_search *s, int32_t a, int32_t b)
{
    for (int32_t k = s->first[a]; k < s->first[a + 1]; k++)
        if (s->next[k] == b)
            return true;
    return false;
}

/* Lengthens the path by a neighbour of its end that is not on it, one that has the fewest
 * ways on; the choice among equals is random. */
static bool extend(struct ring_search *s, int32_t length)
{
    int32_t end = s->path[length - 1], best = -1, fewest = INT32_MAX, ties = 0;
    for (int32_t k = s->first[end]; k < s->first[end + 1]; k++) {
        int32_t to = s->next[k], ways = 0;
        if (s->place[to] >= 0)
            continue;
        for (int32_t i = s->first[to]; i < s->first[to + 1]; i++)
            ways += s->place[s->next[i]] < 0;
        s->budget -= s->first[to + 1] - s->first[to];
        if (ways < fewest) {
            fewest = ways;
            ties = 0;
        }
        if (ways == fewest && search_random_below(&s->chance, ++ties) == 0)
            best = to;
    }
    if (best < 0)
        return false;
    s->path[length] = best;
    s->place[best] = length;
    return true;
}

/* A link from the end back into the path makes another end: what follows there is turned
 * round. */
static void rotate(struct ring_search *s, int32_t length)
{
    int32_t end = s->path[length - 1], degree = s->first[end + 1] - s->first[end];
    int32_t pivot = s->next[s->first[end] + search_random_below(&s->chance, degree)];
    int32_t low = s->place[pivot] + 1, high = length - 1;
    s->budget -= 1 + high - low;
    for (; low < high; low++, high--) {
        int32_t a = s->path[low], b = s->path[high];
        s->path[low] = b;
        s->path[high] = a;
        s->place[b] = low;
        s->place[a] = high;
    }
}

/* One Hamiltonian cycle among the neighbours, in s->path. */
static bool find_cycle(struct ring_search *s)
{
    if (is_hopeless(s))
        return false;
    int32_t length = 1, patience = 20 * s->n + 200;
    for (int32_t i = 0; i < s->n; i++)
        s->place[i] = -1;
    s->path[0] = search_random_below(&s->chance, s->n);
    s->place[s->path[0]] = 0;
    while (s->budget > 0) {
        s->budget--;
        if (length == s->n && adjacent(s, s->path[length - 1], s->path[0]))
            return true;
        if (length < s->n && extend(s, length)) {
            length++;
            continue;
        }
        if (patience-- == 0)
            return false;
        rotate(s, length); /* all neighbours of the end are on the path */
    }
    return false;
}

/* The hops of the cycle in s->path, both ways, are counted on their edges; returns the
 * most that each use can have. */
static int64_t count_uses(struct ring_search *s)
{
    memset(s->uses, 0, (size_t)s->g->nedges * sizeof *s->uses);
    for (int32_t i = 0; i < 2 * s->n; i++) {
        int32_t a = s->vertex[s->path[i / 2]], b = s->vertex[s->path[(i / 2 + 1) % s->n]];
        int64_t share;
        int32_t h = i % 2 ? widest_hop(s, b, a, &share) : widest_hop(s, a, b, &share);
        if (h < 0)
            return 0;
        const struct search_hop *hop = &s->hops->hops[h];
        for (int32_t k = hop->first; k < hop->first + hop->nedges; k++)
            s->uses[s->hops->path[k]]++;
    }
    int64_t weight = INT64_MAX;
    for (int32_t e = 0; e < s->g->nedges; e++)
        if (s->uses[e] && s->left[e] / s->uses[e] < weight)
            weight = s->left[e] / s->uses[e];
    return weight;
}

/* From its lowest vertex on, so that equal cycles look alike. */
static void store_cycle(const struct ring_search *s, struct search_rings *r,
                        int64_t weight)
{
    int32_t start = 0;
    while (s->path[start] != 0)
        start++;
    for (int32_t i = 0; i < s->n; i++)
        r->orders[r->ncycles * s->n + i] = s->vertex[s->path[(start + i) % s->n]];
    r->weights[r->ncycles++] = weight;
}

/* One set: cycle after cycle until none is found; returns its weight. */
static int64_t find_set(struct ring_search *s, int32_t max_cycles, struct search_rings *r)
{
    int64_t total = 0;
    r->ncycles = 0;
    for (int32_t e = 0; e < s->g->nedges; e++)
        s->left[e] = s->g->edges[e].capacity * s->scale;
    for (int32_t i = 0; i < s->nlevels; i++)
        while (r->ncycles < max_cycles && s->budget > 0) {
            find_neighbours(s, s->levels[i]);
            if (!find_cycle(s))
                break;
            int64_t weight = count_uses(s);
            if (weight == 0)
                break;
            for (int32_t e = 0; e < s->g->nedges; e++)
                s->left[e] -= weight * s->uses[e];
            store_cycle(s, r, weight);
            total += weight;
        }
    return total;
}

/* No set can have more: every cycle leaves each terminal twice. */
static int64_t most_weight(struct ring_search *s)
{
    int64_t most = INT64_MAX;
    for (int32_t i = 0; i < s->n; i++) {
        int64_t out = 0;
        for (int32_t e = 0; e < s->g->nedges; e++)
            if (s->g->edges[e].from == s->vertex[i])
                out += s->g->edges[e].capacity;
        most = out * s->scale / 2 < most ? out * s->scale / 2 : most;
    }
    return most;
}

/* The different capacities, the largest first, times scale; if there are many, the
 * largest and the very least. */
static void find_levels(struct ring_search *s)
{
    int64_t below = INT64_MAX;
    while (s->nlevels < MAX_LEVELS) {
        int64_t next = 0;
        for (int32_t e = 0; e < s->g->nedges; e++)
            if (s->g->edges[e].capacity < below && s->g->edges[e].capacity > next)
                next = s->g->edges[e].capacity;
        if (next == 0)
            break;
        s->levels[s->nlevels++] = next * s->scale;
        below = next;
    }
    if (s->nlevels == MAX_LEVELS || (s->nlevels && s->scale > 1))
        s->levels[s->nlevels == MAX_LEVELS ? MAX_LEVELS - 1 : s->nlevels++] = s->scale;
}

static trncclResult_t open_search(struct ring_search *s)
{
    const struct digraph *g = s->g;
    size_t n = (size_t)s->n, nv = (size_t)g->nvertices, ne = (size_t)g->nedges + 1;
    TRY(search_hops_create(g, &s->hops));
    s->vertex = malloc(n * sizeof *s->vertex);
    s->number = malloc(nv * sizeof *s->number);
    s->left = malloc(ne * sizeof *s->left);
    s->uses = malloc(ne * sizeof *s->uses);
    s->first = malloc((n + 1) * sizeof *s->first);
    s->next = malloc(((size_t)s->hops->nhops + 1) * sizeof *s->next);
    s->path = malloc(n * sizeof *s->path);
    s->place = malloc(n * sizeof *s->place);
    s->colour = malloc(n);
    if (!s->vertex || !s->number || !s->left || !s->uses || !s->first || !s->next ||
        !s->path || !s->place || !s->colour)
        return error_set(trncclSystemError,
                         "no memory to search cycles of %" PRId32 " vertices", s->n);
    int32_t count = 0;
    for (int32_t v = 0; v < g->nvertices; v++) {
        s->number[v] = g->terminal[v] ? count : -1;
        if (g->terminal[v])
            s->vertex[count++] = v;
    }
    find_levels(s);
    return trncclSuccess;
}

static void close_search(struct ring_search *s)
{
    search_hops_destroy(s->hops);
    free(s->vertex);
    free(s->number);
    free(s->left);
    free(s->uses);
    free(s->first);
    free(s->next);
    free(s->path);
    free(s->place);
    free(s->colour);
}

/* Sets from many beginnings; the best one is swapped into *best. */
static void find_sets(struct ring_search *s, int32_t max_cycles,
                      struct search_rings **best, struct search_rings **scratch)
{
    int64_t most = most_weight(s), have = 0;
    while (s->budget > 0 && have < most) {
        uint64_t before = s->chance;
        int64_t total = find_set(s, max_cycles, *scratch);
        if (total > have) {
            struct search_rings *better = *scratch;
            *scratch = *best;
            *best = better;
            have = total;
        }
        if ((*best)->ncycles == max_cycles || s->chance == before)
            break; /* enough, or nothing was left to chance: it would come out the same */
    }
    (*best)->scale = (int32_t)s->scale;
}

trncclResult_t search_rings_graph(const struct digraph *g, int32_t max_cycles,
                                  int64_t budget, struct search_rings **out)
{
    TRY(digraph_check(g));
    if (max_cycles < 1 || budget < 0)
        return error_set(trncclInvalidArgument,
                         "a search for cycles must want at least 1 and have a budget of "
                         "0 or more, not %" PRId32 " and %" PRId64,
                         max_cycles, budget);
    struct ring_search s = {.g = g, .budget = budget, .chance = SEED};
    s.n = digraph_terminals(g);
    s.scale = s.n == g->nvertices && s.n > 2 ? 1 : 2;
    struct search_rings *best = NULL, *scratch = NULL;
    int32_t room = max_cycles;
    if (room > g->nedges * 2)
        room = g->nedges * 2 + 1;
    trncclResult_t result = open_search(&s);
    if (result == trncclSuccess)
        result = search_rings_create(s.n, room, &best);
    if (result == trncclSuccess)
        result = search_rings_create(s.n, room, &scratch);
    if (result == trncclSuccess && s.n > 1)
        find_sets(&s, room, &best, &scratch);
    close_search(&s);
    search_rings_destroy(scratch);
    if (result == trncclSuccess)
        *out = best;
    else
        search_rings_destroy(best);
    return result;
}
