/* Switches are taken out by splitting: an arc into a switch and an arc out of it give up
 * some capacity, and an arc that passes by the switch gets it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "topo/pack_internal.h"

/* In- and outgoing arcs of a switch with up to this many neighbours are mixed evenly,
 * which keeps trees flat; beyond it takes too many flows. */
#define SPREAD_DEGREE 8

/* How much more than all trees gets across the smallest cut with both sources on one side
 * and all sinks on the other, at most `most`. */
static int64_t spare(struct pack_work *w, const int32_t sources[2],
                     const int32_t sinks[3], int64_t most)
{
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            if (sources[i] >= 0 && sources[i] == sinks[k])
                return most; /* there is no such cut */
    return pack_net_flow(w, sources, sinks, w->total + most) - w->total;
}

/* How much of arcs `in` and `out` of a switch can be replaced: less is left of cuts with
 * the switch on one side and the arcs' other ends on the other side, so these must have
 * it to spare, whichever terminal they part from the trees. *first is the terminal to try
 * first, the last that said no. */
static int64_t splittable(struct pack_work *w, const struct pack_arc *in,
                          const struct pack_arc *out, int64_t most, int32_t *first)
{
    int32_t nv = w->g->nvertices, hub = in->hop.to;
    int32_t from = in->hop.from, to = out->hop.to;
    for (int32_t i = 0; i < nv && most > 0; i++) {
        int32_t v = (*first + i) % nv;
        if (w->demand[v] == 0)
            continue;
        int64_t with_ends =
            spare(w, (int32_t[]){from, to}, (int32_t[]){v, hub, -1}, most);
        most = with_ends < most ? with_ends : most;
        int64_t with_hub =
            most > 0 ? spare(w, (int32_t[]){hub, -1}, (int32_t[]){v, from, to}, most) : 0;
        most = with_hub < most ? with_hub : most;
        if (most <= 0) {
            *first = v;
            return 0;
        }
    }
    return most;
}

/* Adds to an arc that takes the same way, or makes one. */
static trncclResult_t add_around(struct pack_work *w, int32_t in, int32_t out,
                                 int64_t amount)
{
    int32_t nin = w->arcs[in].hop.nedges, nout = w->arcs[out].hop.nedges;
    int32_t n = nin + nout;
    int32_t *edges = malloc((size_t)n * sizeof *edges);
    if (!edges)
        return error_set(trncclSystemError, "no memory for a hop of %" PRId32 " edges",
                         n);
    memcpy(edges, w->arcs[in].hop.edges, (size_t)nin * sizeof *edges);
    memcpy(edges + nin, w->arcs[out].hop.edges, (size_t)nout * sizeof *edges);
    trncclResult_t result = trncclSuccess;
    int32_t same = 0;
    while (same < w->narcs &&
           (w->arcs[same].hop.nedges != n ||
            memcmp(w->arcs[same].hop.edges, edges, (size_t)n * sizeof *edges) != 0))
        same++;
    if (same < w->narcs)
        w->arcs[same].left += amount;
    else
        result =
            pack_arc_add(w, w->arcs[in].hop.from, w->arcs[out].hop.to, amount, edges, n);
    free(edges);
    return result;
}

struct hub {
    int32_t vertex, nin, nout;
    int32_t *in, *out; /* arcs; owned */
    int32_t first;     /* see splittable */
};

static trncclResult_t hub_open(const struct pack_work *w, int32_t vertex, struct hub *h)
{
    *h = (struct hub){.vertex = vertex};
    h->in = malloc(((size_t)w->narcs + 1) * sizeof *h->in);
    h->out = malloc(((size_t)w->narcs + 1) * sizeof *h->out);
    if (!h->in || !h->out) {
        free(h->in);
        free(h->out);
        return error_set(trncclSystemError, "no memory for %" PRId32 " arcs", w->narcs);
    }
    for (int32_t a = 0; a < w->narcs; a++) {
        if (w->arcs[a].left == 0)
            continue;
        if (w->arcs[a].hop.to == vertex)
            h->in[h->nin++] = a;
        if (w->arcs[a].hop.from == vertex)
            h->out[h->nout++] = a;
    }
    return trncclSuccess;
}

/* Replaces what can be of one pair, at most `share` of it. */
static trncclResult_t split_pair(struct pack_work *w, struct hub *h, int32_t in,
                                 int32_t out, int64_t share)
{
    int64_t most =
        w->arcs[in].left < w->arcs[out].left ? w->arcs[in].left : w->arcs[out].left;
    most = share < most ? share : most;
    if (most == 0)
        return trncclSuccess;
    int64_t amount = splittable(w, &w->arcs[in], &w->arcs[out], most, &h->first);
    if (amount == 0)
        return trncclSuccess;
    w->arcs[in].left -= amount;
    w->arcs[out].left -= amount;
    if (w->arcs[in].hop.from != w->arcs[out].hop.to) /* there and back is of no use */
        TRY(add_around(w, in, out, amount));
    return pack_net_build(w);
}

/* Passes over all pairs: first with even shares where there are few, then with all that
 * can be had, then there and back to the same neighbour, which only uses capacity up. */
static trncclResult_t split_hub(struct pack_work *w, struct hub *h)
{
    for (int pass = h->nin <= SPREAD_DEGREE ? 0 : 1; pass < 3; pass++)
        for (int32_t j = 0; j < h->nout; j++)
            for (int32_t i = 0; i < h->nin; i++) {
                int32_t out = h->out[j], in = h->in[(j + 1 + i) % h->nin];
                bool back = w->arcs[in].hop.from == w->arcs[out].hop.to;
                int64_t share = INT64_MAX;
                if (pass == 0 && h->nin > 1)
                    share = (w->arcs[in].left + h->nin - 2) / (h->nin - 1);
                if (back == (pass == 2))
                    TRY(split_pair(w, h, in, out, share));
            }
    return trncclSuccess;
}

trncclResult_t pack_split_switches(struct pack_work *w, bool *whole)
{
    TRY(pack_net_build(w));
    for (int32_t v = 0; v < w->g->nvertices; v++) {
        if (w->demand[v] > 0)
            continue;
        struct hub h;
        TRY(hub_open(w, v, &h));
        trncclResult_t result = split_hub(w, &h);
        for (int32_t i = 0; i < h.nin; i++)
            w->arcs[h.in[i]].left = 0;
        for (int32_t i = 0; i < h.nout; i++)
            w->arcs[h.out[i]].left = 0;
        free(h.in);
        free(h.out);
        TRY(result);
        TRY(pack_net_build(w));
    }
    *whole = pack_net_unreached(w) < 0;
    return trncclSuccess;
}
