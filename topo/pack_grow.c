/* Trees are grown one batch after another: a batch is some equal trees of one root; an
 * arc that only a part of them can take divides it. An arc may be taken if what remains
 * is still enough for all other batches, which one flow says. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/pack_internal.h"

struct batch {
    int32_t root, nmembers;
    int64_t weight;
    int32_t *members; /* [nranks] in the order they joined; owned, like all below */
    int32_t *by;      /* [nvertices] arc they joined by, -1: not in, or the root */
};

struct grow {
    struct pack_work *w;
    struct pack *p;
    int32_t tree_room, nranks;
    struct batch *waiting; /* of the root at hand, grown in part */
    int32_t nwaiting, waiting_room;
    bool *started;             /* [nvertices] roots whose trees are done or under way */
    int32_t *first, *outgoing; /* arcs by the vertex they leave */
    bool *tried;               /* [narcs] by the batch at hand */
};

static trncclResult_t batch_init(const struct grow *s, int32_t root, int64_t weight,
                                 struct batch *out)
{
    int32_t nv = s->w->g->nvertices;
    struct batch b = {.root = root, .weight = weight};
    b.members = malloc((size_t)nv * sizeof *b.members);
    b.by = malloc((size_t)nv * sizeof *b.by);
    if (!b.members || !b.by) {
        free(b.members);
        free(b.by);
        return error_set(trncclSystemError, "no memory for a tree of %" PRId32, nv);
    }
    for (int32_t v = 0; v < nv; v++)
        b.by[v] = -1;
    b.members[b.nmembers++] = root;
    *out = b;
    return trncclSuccess;
}

static void batch_fini(struct batch *b)
{
    free(b->members);
    free(b->by);
}

static bool is_member(const struct batch *b, int32_t v)
{
    return v == b->root || b->by[v] >= 0;
}

/* Keeps a part of a batch as it is, for later. */
static trncclResult_t set_aside(struct grow *s, const struct batch *b, int64_t weight)
{
    if (s->nwaiting == s->waiting_room) {
        int32_t room = 2 * s->waiting_room + 8;
        void *more = realloc(s->waiting, (size_t)room * sizeof *s->waiting);
        if (!more)
            return error_set(trncclSystemError, "no memory for %" PRId32 " trees", room);
        s->waiting = more;
        s->waiting_room = room;
    }
    struct batch copy;
    size_t nv = (size_t)s->w->g->nvertices;
    TRY(batch_init(s, b->root, weight, &copy));
    memcpy(copy.members, b->members, nv * sizeof *copy.members);
    memcpy(copy.by, b->by, nv * sizeof *copy.by);
    copy.nmembers = b->nmembers;
    s->waiting[s->nwaiting++] = copy;
    return trncclSuccess;
}

/* How many of the batch's trees can take an arc: what the smallest cut between its ends
 * has beyond what the other trees still need of it. A tree needs to leave a set of
 * vertices once if all it has reached is in there, so it stands behind a vertex of its
 * own that has to be cut off from the source otherwise. */
static trncclResult_t takeable(struct grow *s, const struct batch *b, int32_t arc,
                               int64_t *amount)
{
    struct pack_work *w = s->w;
    const struct pack_arc *taken = &w->arcs[arc];
    int32_t nv = w->g->nvertices, source = nv, own = nv + 1;
    int64_t others = 0, most = taken->left < b->weight ? taken->left : b->weight;
    TRY(pack_flow_open(w, own + s->nwaiting,
                       w->narcs + nv + 1 + s->nwaiting * (s->nranks + 1)));
    for (int32_t a = 0; a < w->narcs; a++)
        if (w->arcs[a].left > 0)
            flow_add(w->flow, w->arcs[a].hop.from, w->arcs[a].hop.to, w->arcs[a].left);
    flow_add(w->flow, source, taken->hop.from, FLOW_INFINITE);
    for (int32_t v = 0; v < nv; v++)
        if (!s->started[v] && w->demand[v] > 0) {
            flow_add(w->flow, source, v, w->demand[v]);
            others += w->demand[v];
        }
    for (int32_t i = 0; i < s->nwaiting; i++) {
        const struct batch *other = &s->waiting[i];
        flow_add(w->flow, source, own + i, other->weight);
        others += other->weight;
        for (int32_t k = 0; k < other->nmembers; k++)
            flow_add(w->flow, own + i, other->members[k], FLOW_INFINITE);
    }
    int64_t across = flow_run(w->flow, source, taken->hop.to, others + most);
    w->nflows++;
    *amount = across > others ? across - others : 0;
    return trncclSuccess;
}

/* The untried arc with the most left from a vertex out of the batch; -1: none. */
static int32_t widest_arc(const struct grow *s, const struct batch *b, int32_t from)
{
    int32_t best = -1;
    for (int32_t k = s->first[from]; k < s->first[from + 1]; k++) {
        int32_t a = s->outgoing[k];
        const struct pack_arc *arc = &s->w->arcs[a];
        if (arc->left > 0 && !s->tried[a] && !is_member(b, arc->hop.to) &&
            (best < 0 || arc->left > s->w->arcs[best].left))
            best = a;
    }
    return best;
}

/* Breadth first. An arc that cannot be taken now cannot be taken later: what the others
 * need of its cuts only grows, and what they have shrinks. */
static trncclResult_t grow_batch(struct grow *s, struct batch *b)
{
    memset(s->tried, 0, (size_t)s->w->narcs * sizeof *s->tried);
    for (int32_t i = 0; i < b->nmembers && b->nmembers < s->nranks; i++) {
        int32_t arc;
        while ((arc = widest_arc(s, b, b->members[i])) >= 0) {
            int64_t amount;
            s->tried[arc] = true;
            TRY(takeable(s, b, arc, &amount));
            if (amount == 0)
                continue;
            if (amount < b->weight) {
                TRY(set_aside(s, b, b->weight - amount));
                b->weight = amount;
            }
            int32_t to = s->w->arcs[arc].hop.to;
            s->w->arcs[arc].left -= amount;
            b->by[to] = arc;
            b->members[b->nmembers++] = to;
        }
    }
    if (b->nmembers < s->nranks)
        return error_set(trncclInternalError,
                         "a packed tree of vertex %" PRId32 " reached only %" PRId32
                         " of %" PRId32 " vertices",
                         b->root, b->nmembers, s->nranks);
    return trncclSuccess;
}

static trncclResult_t store_tree(struct grow *s, const struct batch *b)
{
    struct pack *p = s->p;
    if (p->ntrees == s->tree_room) {
        int32_t room = 2 * s->tree_room + 32;
        void *more = realloc(p->trees, (size_t)room * sizeof *p->trees);
        if (!more)
            return error_set(trncclSystemError, "no memory for %" PRId32 " trees", room);
        p->trees = more;
        s->tree_room = room;
    }
    size_t nv = (size_t)p->nvertices;
    struct pack_tree tree = {.root = b->root, .weight = b->weight};
    tree.parents = malloc(nv * sizeof *tree.parents);
    tree.hops = malloc(nv * sizeof *tree.hops);
    if (!tree.parents || !tree.hops) {
        free(tree.parents);
        free(tree.hops);
        return error_set(trncclSystemError, "no memory for a tree of %" PRId32,
                         p->nvertices);
    }
    for (int32_t v = 0; v < p->nvertices; v++) {
        tree.hops[v] = b->by[v];
        tree.parents[v] =
            b->by[v] >= 0 ? s->w->arcs[b->by[v]].hop.from : (v == b->root ? -1 : -2);
    }
    p->trees[p->ntrees++] = tree;
    return trncclSuccess;
}

static trncclResult_t grow_root(struct grow *s, int32_t root)
{
    struct batch b;
    s->started[root] = true;
    TRY(batch_init(s, root, s->w->demand[root], &b));
    for (;;) {
        trncclResult_t result = grow_batch(s, &b);
        if (result == trncclSuccess)
            result = store_tree(s, &b);
        batch_fini(&b);
        if (result != trncclSuccess || s->nwaiting == 0)
            return result;
        b = s->waiting[--s->nwaiting];
    }
}

static trncclResult_t grow_open(struct grow *s)
{
    const struct pack_work *w = s->w;
    int32_t nv = w->g->nvertices;
    s->started = calloc((size_t)nv, sizeof *s->started);
    s->first = calloc((size_t)nv + 2, sizeof *s->first);
    s->outgoing = malloc(((size_t)w->narcs + 1) * sizeof *s->outgoing);
    s->tried = malloc((size_t)w->narcs + 1);
    if (!s->started || !s->first || !s->outgoing || !s->tried)
        return error_set(trncclSystemError, "no memory to grow trees of %" PRId32, nv);
    for (int32_t a = 0; a < w->narcs; a++)
        s->first[w->arcs[a].hop.from + 2]++;
    for (int32_t v = 0; v < nv; v++)
        s->first[v + 1] += s->first[v];
    for (int32_t a = 0; a < w->narcs; a++)
        s->outgoing[s->first[w->arcs[a].hop.from + 1]++] = a;
    for (int32_t v = 0; v < nv; v++)
        s->nranks += w->demand[v] > 0;
    return trncclSuccess;
}

trncclResult_t pack_grow_trees(struct pack_work *w, struct pack *p)
{
    struct grow s = {.w = w, .p = p};
    trncclResult_t result = grow_open(&s);
    for (int32_t v = 0; v < w->g->nvertices && result == trncclSuccess; v++)
        if (w->demand[v] > 0)
            result = grow_root(&s, v);
    while (s.nwaiting > 0)
        batch_fini(&s.waiting[--s.nwaiting]);
    free(s.waiting);
    free(s.started);
    free(s.first);
    free(s.outgoing);
    free(s.tried);
    return result;
}
