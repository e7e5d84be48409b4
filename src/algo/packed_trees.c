/* Packed trees: data flow down, sums up spanning trees that the machine's graph brings
 * along, packed so that together they load the links by rate.
 *
 * A tree carries a share by its weight: of its root's block, or of the vector. Where
 * trees are translations of one tree of shortest paths, it is the cheapest all-gather of
 * a torus of any sizes and rates; where they are a packing found by search, that of an
 * irregular machine.
 *
 *     c>r: chunk c to rank r   c=: stored   +: combined with others   tN: scratch
 *
 *     all_reduce packed_trees, 4 ranks, root 0: 48 messages, 4 rounds
 *     round  rank 0   rank 1   rank 2    rank 3
 *         0  9>1      6>0      3>3       0>2
 *            10-11>2  7-8>3    4-5>0     1-2>1
 *         1  +t6=     +t9=     +t0=      +t3=
 *            3>1      0>0      t0>0      t3>1
 *            t6>2     t9>3     9>3       6>2
 *            +t4-5=   +t1-2=   +t10-11=  +t7-8=
 *            t4-5>1   t1-2>0   1-2>0     4-5>1
 *            7-8>2    10-11>3  t10-11>3  t7-8>2
 *         2  +t0=     +t3=     +t6=      +t9=
 *            +0=      +3=      +6=       +9=
 *            +t1-2=   +t4-5=   +t7-8=    +t10-11=
 *            +1-2=    +4-5=    +7-8=     +10-11=
 *            0>1      3>0      6>0       9>1
 *            0>2      3>3      6>3       9>2
 *            1-2>1    4-5>0    7-8>0     10-11>1
 *            1-2>2    4-5>3    7-8>3     10-11>2
 *         3  3=       0=       0=        3=
 *            6=       9=       9=        6=
 *            6>1      9>0      0>3       3>2
 *            4-5=     1-2=     1-2=      4-5=
 *            7-8=     10-11=   10-11=    7-8=
 *            4-5>2    1-2>3    10-11>0   7-8>1
 *         4  9=       6=       3=        0=
 *            10-11=   7-8=     4-5=      1-2=
 *
 *     broadcast packed_trees, 4 ranks, root 0: 6 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0  0=
 *            0>1
 *            0>2
 *            1-2=
 *            1-2>1
 *            1-2>2
 *         1          0=      0=
 *                    1-2=    0>3
 *                    1-2>3   1-2=
 *         2                          0=
 *                                    1-2=
 *
 *     reduce packed_trees, 4 ranks, root 0: 6 messages, 2 rounds
 *     round  rank 0  rank 1  rank 2  rank 3
 *         0          0>0     1-2>0   0>2
 *                                    1-2>1
 *         1  +t0=    +t1-2=  +t0=
 *                    t1-2>0  t0>0
 *         2  +0=
 *            +t1-2=
 *            +1-2=
 *
 * Messages of a channel are in the order of their depth in the tree, and among those of
 * one depth first all first ones of each link, then all second ones: with this order one
 * message of credit is enough, whatever the trees.
 *
 * rounds   the depth of the deepest tree, twice that for all_reduce; and as many more as
 *          messages of one depth share a link
 * bytes    sent by a rank: a tree's share to each child, or to its parent; over all trees
 *          n - 1 blocks received in all_gather
 * limits   trees of one group; all_gather and reduce_scatter need trees from every root,
 *          broadcast and reduce from theirs. Trees of one root lie on up to 8 channels,
 *          twice that for all_reduce
 * source   Zhao et al., Efficient direct-connect topologies for collective
 *          communications, NSDI 2025 (arXiv 2202.03356), for trees by depth; ForestColl,
 *          Zhao et al., arXiv 2402.06787, for packed ones
 */
#include <stdlib.h>

#include "algo/algo.h"
#include "sched/graph.h"

/* What is known of each tree before any step. */
struct branch {
    const struct sched_graph_tree *tree;
    int32_t
        chunk; /* the first of its `weight` chunks; in a block of the root, or in all */
    int32_t lane;           /* its number among the trees of its root */
    int32_t children;       /* ours whose sums have not come yet */
    bool begun;             /* our contribution is in TMP */
    struct build_mark done; /* at the root: the last sum */
};

/* One message that we send or receive. In a channel these are in the order of (level,
 * turn, sends first): turn k is the k-th message of that level on its link. With this
 * order one message of credit is enough: of all steps that wait the least one could only
 * wait for a lesser one. */
struct event {
    int32_t level, turn, tree, peer;
    bool receives;
};

struct forest {
    struct build *b;
    const struct sched_args *args;
    int32_t ntrees, height, nlanes;
    int32_t weight;          /* of the trees of one root (all_reduce: of all) */
    struct branch *branches; /* owned [ntrees] */
    int32_t *depth;          /* owned [ntrees][nranks] */
    struct event *events;    /* owned */
    int32_t nevents;
};

enum { MAX_LANES = 8 };

/* ---- what is refused -----------------------------------------------------------------
 */

static bool uses(const struct sched_args *args, const struct sched_graph_tree *t)
{
    return !sched_coll_rooted(args->coll) || t->root == args->root;
}

/* Depth of every rank; false if it is no spanning tree. */
static bool measure(const struct sched_graph_tree *t, int32_t n, int32_t *depth)
{
    if (t->root < 0 || t->root >= n || t->parent[t->root] != -1 || t->weight < 1)
        return false;
    for (int32_t r = 0; r < n; r++) {
        int32_t d = 0;
        for (int32_t at = r; at != t->root; at = t->parent[at])
            if (++d >= n || t->parent[at] < 0 || t->parent[at] >= n)
                return false;
        depth[r] = d;
    }
    return true;
}

static int32_t weight_of_root(const struct sched_graph *g, int32_t root)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < g->ntrees; i++)
        sum += g->trees[i].root == root ? g->trees[i].weight : 0;
    return sum;
}

static const char *refuse(const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    if (!g || g->nranks != args->nranks || g->group_size != args->nranks ||
        args->nranks < 2 || g->ntrees < 1)
        return "needs spanning trees of all ranks";
    bool rooted = sched_coll_rooted(args->coll);
    if (rooted && weight_of_root(g, args->root) == 0)
        return "needs a spanning tree from that root";
    bool blocks = args->coll == SCHED_ALL_GATHER || args->coll == SCHED_REDUCE_SCATTER;
    int32_t weight = weight_of_root(g, 0);
    for (int32_t r = 0; blocks && r < args->nranks; r++)
        if (weight == 0 || weight_of_root(g, r) != weight)
            return "needs spanning trees from every root, of the same weight for each";
    return NULL;
}

/* ---- the forest ----------------------------------------------------------------------
 */

static bool forest_alloc(struct forest *f)
{
    const struct sched_graph *g = f->args->graph;
    size_t n = (size_t)f->args->nranks, ntrees = (size_t)g->ntrees;
    f->branches = calloc(ntrees, sizeof *f->branches);
    f->depth = calloc(ntrees * n, sizeof *f->depth);
    f->events = calloc(2 * ntrees * n, sizeof *f->events);
    return f->branches && f->depth && f->events;
}

static void forest_free(struct forest *f)
{
    free(f->branches);
    free(f->depth);
    free(f->events);
}

/* Gives trees their chunks, in the order of the list. */
static bool forest_plant(struct forest *f)
{
    const struct sched_args *args = f->args;
    const struct sched_graph *g = args->graph;
    int32_t n = args->nranks;
    for (int32_t i = 0; i < g->ntrees; i++) {
        const struct sched_graph_tree *t = &g->trees[i];
        if (!uses(args, t))
            continue;
        int32_t *depth = f->depth + (size_t)f->ntrees * (size_t)n;
        if (!measure(t, n, depth))
            return false;
        struct branch *mine = &f->branches[f->ntrees];
        *mine = (struct branch){.tree = t, .done = {-1, -1}};
        for (int32_t k = 0; k < f->ntrees; k++) {
            bool same = f->branches[k].tree->root == t->root;
            mine->lane += same;
            if (same || args->coll == SCHED_ALL_REDUCE)
                mine->chunk += f->branches[k].tree->weight;
        }
        mine->lane %= MAX_LANES;
        for (int32_t r = 0; r < n; r++) {
            mine->children += t->parent[r] == args->rank;
            f->height = depth[r] > f->height ? depth[r] : f->height;
        }
        f->nlanes = mine->lane + 1 > f->nlanes ? mine->lane + 1 : f->nlanes;
        if (args->coll == SCHED_ALL_REDUCE || t->root == g->trees[0].root ||
            sched_coll_rooted(args->coll))
            f->weight += t->weight;
        f->ntrees++;
    }
    return true;
}

/* The chunk of a tree in a space that has a block per root, or one. */
static int32_t chunk_of(const struct forest *f, const struct branch *t, bool by_root)
{
    return (by_root ? t->tree->root * f->weight : 0) + t->chunk;
}

/* ---- the order of messages -----------------------------------------------------------
 */

/* The level of the message between a rank and its parent: outward by depth, inward the
 * other way. */
static int32_t level_of(const struct forest *f, int32_t tree, int32_t child, bool inward)
{
    int32_t depth = f->depth[(size_t)tree * (size_t)f->args->nranks + (size_t)child];
    return inward ? f->height - depth : depth;
}

/* How many messages of that level and lane on that link come from trees before. */
static int32_t turn_of(const struct forest *f, int32_t tree, int32_t child, bool inward)
{
    int32_t parent = f->branches[tree].tree->parent[child], turn = 0;
    for (int32_t k = 0; k < tree; k++)
        turn += f->branches[k].lane == f->branches[tree].lane &&
                f->branches[k].tree->parent[child] == parent &&
                level_of(f, k, child, inward) == level_of(f, tree, child, inward);
    return turn;
}

static int event_compare(const void *pa, const void *pb)
{
    const struct event *a = pa, *b = pb;
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    if (a->turn != b->turn)
        return a->turn < b->turn ? -1 : 1;
    if (a->receives != b->receives)
        return a->receives ? 1 : -1;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    return a->peer < b->peer ? -1 : a->peer > b->peer;
}

/* All our messages of one direction, sorted. */
static void list_events(struct forest *f, bool inward)
{
    int32_t me = f->args->rank;
    f->nevents = 0;
    for (int32_t t = 0; t < f->ntrees; t++)
        for (int32_t r = 0; r < f->args->nranks; r++) {
            int32_t parent = f->branches[t].tree->parent[r];
            if (parent < 0 || (r != me && parent != me))
                continue;
            f->events[f->nevents++] =
                (struct event){.level = level_of(f, t, r, inward),
                               .turn = turn_of(f, t, r, inward),
                               .tree = t,
                               .peer = r == me ? parent : r,
                               .receives = inward == (parent == me)};
        }
    qsort(f->events, (size_t)f->nevents, sizeof *f->events, event_compare);
}

/* ---- steps ---------------------------------------------------------------------------
 */

/* Adds a child's sum to ours; at the root the last of them is the result. */
static void add(const struct forest *f, struct branch *t, int32_t peer)
{
    bool by_root = f->args->coll == SCHED_REDUCE_SCATTER;
    int32_t chunk = chunk_of(f, t, by_root);
    bool result = --t->children == 0 && t->tree->root == f->args->rank;
    struct build_mark mark = build_step(f->b, t->lane);
    build_local_in(f->b, t->begun ? SCHED_TMP : SCHED_IN, chunk);
    build_from(f->b, peer);
    build_local_out(f->b, result ? SCHED_OUT : SCHED_TMP, result ? t->chunk : chunk);
    build_span(f->b, SCHED_IN, chunk, t->tree->weight);
    t->begun = true;
    if (!result)
        return;
    build_final(f->b);
    t->done = mark;
}

static void reduce(struct forest *f)
{
    bool by_root = f->args->coll == SCHED_REDUCE_SCATTER;
    list_events(f, true);
    for (int32_t i = 0; i < f->nevents; i++) {
        const struct event *e = &f->events[i];
        struct branch *t = &f->branches[e->tree];
        if (e->receives)
            add(f, t, e->peer);
        else
            build_send(f->b, t->lane, t->begun ? SCHED_TMP : SCHED_IN,
                       chunk_of(f, t, by_root), t->tree->weight, e->peer);
    }
}

/* From the root outwards, on channels from `first` on. */
static void spread(struct forest *f, int32_t first)
{
    int32_t me = f->args->rank;
    bool by_root = f->args->coll == SCHED_ALL_GATHER,
         all = f->args->coll == SCHED_ALL_REDUCE;
    for (int32_t i = 0; i < f->ntrees && !all; i++) {
        const struct branch *t = &f->branches[i];
        if (t->tree->root == me)
            build_copy(f->b, first + t->lane, SCHED_IN, t->chunk, SCHED_OUT,
                       chunk_of(f, t, by_root), t->tree->weight);
    }
    list_events(f, false);
    for (int32_t i = 0; i < f->nevents; i++) {
        const struct event *e = &f->events[i];
        const struct branch *t = &f->branches[e->tree];
        int32_t chunk = chunk_of(f, t, by_root);
        bool own = !all && t->tree->root == me;
        if (e->receives) {
            build_recv(f->b, first + t->lane, e->peer, SCHED_OUT, chunk, t->tree->weight);
            continue;
        }
        build_send(f->b, first + t->lane, own ? SCHED_IN : SCHED_OUT,
                   own ? t->chunk : chunk, t->tree->weight, e->peer);
        build_after(f->b, t->done);
    }
}

static void build(struct build *b, const struct sched_args *args)
{
    struct forest f = {.b = b, .args = args};
    enum sched_coll coll = args->coll;
    bool sums = sched_coll_reduces(coll), by_root = coll == SCHED_REDUCE_SCATTER;
    if (!forest_alloc(&f)) {
        build_abort(b, error_set(trncclSystemError, "no memory for %d trees",
                                 args->graph->ntrees));
    } else if (!forest_plant(&f)) {
        build_abort(b,
                    error_set(trncclInvalidArgument,
                              "packed_trees: tree %d of the graph does not span its %d "
                              "ranks from its root",
                              f.ntrees, args->nranks));
    } else {
        int32_t tmp = by_root ? args->nranks * f.weight : f.weight;
        build_shape(b, f.weight, sums ? tmp : 0, sums ? SCHED_IN : SCHED_OUT);
        if (sums)
            reduce(&f);
        if (coll != SCHED_REDUCE && coll != SCHED_REDUCE_SCATTER)
            spread(&f, sums ? f.nlanes : 0);
    }
    forest_free(&f);
}

const struct algo algo_all_gather_packed_trees = {
    .name = "packed_trees",
    .coll = SCHED_ALL_GATHER,
    .flags = ALGO_V,
    .summary = "every block down the machine's trees from its rank: depth rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_all_reduce_packed_trees = {
    .name = "packed_trees",
    .coll = SCHED_ALL_REDUCE,
    .summary = "up and down the machine's trees, a share on each: twice their depth",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_broadcast_packed_trees = {
    .name = "packed_trees",
    .coll = SCHED_BROADCAST,
    .summary = "a share down each of the machine's trees from the root: depth rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_packed_trees = {
    .name = "packed_trees",
    .coll = SCHED_REDUCE,
    .summary = "a share up each of the machine's trees to the root: depth rounds",
    .build = build,
    .refuse = refuse,
};
const struct algo algo_reduce_scatter_packed_trees = {
    .name = "packed_trees",
    .coll = SCHED_REDUCE_SCATTER,
    .flags = ALGO_V,
    .summary = "every block up the machine's trees to its rank: depth rounds",
    .build = build,
    .refuse = refuse,
};
