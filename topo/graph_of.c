#include "topo/graph_of.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define KBPS_PER_GBPS 1e6
#define MAX_KBPS 1e12

struct make {
    const struct topo_box *box;
    bool network;
    double efficiency;
    int32_t
        *number;   /* [box nvertices] vertex of the graph, -1: none; owned, like below */
    int32_t *edge; /* [graph nvertices] edge from the vertex at hand, -1: none */
    struct graph_of *g;
};

void graph_of_destroy(struct graph_of *g)
{
    if (!g)
        return;
    digraph_destroy(g->graph);
    free(g->weights);
    free(g->box_vertex);
    free(g);
}

/* Numbers the vertices kind by kind; returns how many there are, the network last. */
static int32_t number_vertices(struct make *m)
{
    static const uint8_t kinds[] = {TOPO_CHIP, TOPO_MEMORY, TOPO_SWITCH, TOPO_NIC};
    int32_t count = 0, nkinds = m->network ? 4 : 3;
    for (int32_t v = 0; v < m->box->nvertices; v++)
        m->number[v] = -1;
    for (int32_t i = 0; i < m->box->nchips; i++)
        m->number[m->box->chips[i]] = count++;
    for (int32_t k = 1; k < nkinds; k++)
        for (int32_t v = 0; v < m->box->nvertices; v++)
            if (m->box->vertices[v].kind == kinds[k])
                m->number[v] = count++;
    return count + m->network;
}

static trncclResult_t allocate(struct make *m)
{
    size_t nv = (size_t)m->box->nvertices;
    m->number = malloc((nv + 1) * sizeof *m->number);
    m->edge = malloc((nv + 1) * sizeof *m->edge);
    m->g = calloc(1, sizeof *m->g);
    if (!m->number || !m->edge || !m->g)
        return error_set(trncclSystemError, "no memory for the graph of %s",
                         m->box->name);
    int32_t count = number_vertices(m), room = m->box->nlinks;
    if (m->network)
        room += 2 * m->box->nnics;
    if (count == 0 || m->box->nseats == 0)
        return error_set(trncclInvalidArgument,
                         "%s has no seat, so there is no graph of it", m->box->name);
    TRY(digraph_create(count, room, &m->g->graph));
    m->g->graph->nedges = 0; /* as many as turn out to be needed */
    m->g->weights = calloc((size_t)count, sizeof *m->g->weights);
    m->g->box_vertex = malloc((size_t)count * sizeof *m->g->box_vertex);
    if (!m->g->weights || !m->g->box_vertex)
        return error_set(trncclSystemError, "no memory for the graph of %s",
                         m->box->name);
    m->g->box_vertex[count - 1] = -1;
    for (int32_t v = 0; v < m->box->nvertices; v++)
        if (m->number[v] >= 0)
            m->g->box_vertex[m->number[v]] = v;
    return trncclSuccess;
}

/* Capacity in kB/s from a vertex of the graph to another, on top of what is there. */
static trncclResult_t add_edge(struct make *m, int32_t from, int32_t to, double bw_gbps)
{
    double kbps = round(bw_gbps * KBPS_PER_GBPS);
    if (!(kbps >= 1 && kbps <= MAX_KBPS))
        return error_set(trncclInvalidArgument,
                         "a link of %s has %g GB/s, expected 1 kB/s to 1 PB/s",
                         m->box->name, bw_gbps);
    struct digraph *g = m->g->graph;
    if (m->edge[to] < 0) {
        m->edge[to] = g->nedges;
        g->edges[g->nedges++] = (struct digraph_edge){.from = from, .to = to};
    }
    g->edges[m->edge[to]].capacity += (int64_t)kbps;
    return trncclSuccess;
}

static trncclResult_t add_edges_of(struct make *m, int32_t v)
{
    const struct topo_box *box = m->box;
    struct digraph *g = m->g->graph;
    for (int32_t i = 0; i < g->nvertices; i++)
        m->edge[i] = -1;
    for (int32_t i = box->first_link[v]; i < box->first_link[v + 1]; i++) {
        int32_t to = m->number[box->links[i].to];
        if (to >= 0)
            TRY(add_edge(m, m->number[v], to, box->links[i].bw_gbps));
    }
    if (m->network && box->vertices[v].kind == TOPO_NIC)
        TRY(add_edge(m, m->number[v], g->nvertices - 1,
                     box->vertices[v].bw_gbps * m->efficiency));
    return trncclSuccess;
}

static trncclResult_t add_edges(struct make *m)
{
    const struct topo_box *box = m->box;
    struct digraph *g = m->g->graph;
    for (int32_t v = 0; v < box->nvertices; v++)
        if (m->number[v] >= 0)
            TRY(add_edges_of(m, v));
    for (int32_t i = 0; i < g->nvertices; i++)
        m->edge[i] = -1;
    for (int32_t i = 0; m->network && i < box->nnics; i++)
        TRY(add_edge(m, g->nvertices - 1, m->number[box->nics[i]],
                     box->vertices[box->nics[i]].bw_gbps * m->efficiency));
    return trncclSuccess;
}

/* Divides all capacities by their common factor. */
static void choose_unit(struct make *m)
{
    struct digraph *g = m->g->graph;
    int64_t factor = 0;
    for (int32_t e = 0; e < g->nedges; e++)
        for (int64_t b = g->edges[e].capacity; b;) {
            int64_t rest = factor % b;
            factor = b;
            b = rest;
        }
    for (int32_t e = 0; e < g->nedges; e++)
        g->edges[e].capacity /= factor;
    m->g->unit_gbps = (double)(factor ? factor : 1) / KBPS_PER_GBPS;
}

static void place_ranks(struct make *m, int64_t others)
{
    struct digraph *g = m->g->graph;
    for (int32_t s = 0; s < m->box->nseats; s++)
        m->g->weights[m->number[m->box->seats[s].chip]]++;
    if (m->network)
        m->g->weights[g->nvertices - 1] = others;
    for (int32_t v = 0; v < g->nvertices; v++)
        g->terminal[v] = m->g->weights[v] > 0;
}

static trncclResult_t make_graph(struct make *m, int64_t others, struct graph_of **out)
{
    trncclResult_t result = allocate(m);
    if (result == trncclSuccess)
        result = add_edges(m);
    if (result == trncclSuccess) {
        choose_unit(m);
        place_ranks(m, others);
    }
    free(m->number);
    free(m->edge);
    if (result == trncclSuccess)
        *out = m->g;
    else
        graph_of_destroy(m->g);
    return result;
}

trncclResult_t graph_of_box(const struct topo_box *box, struct graph_of **out)
{
    struct make m = {.box = box};
    return make_graph(&m, 0, out);
}

trncclResult_t graph_of_box_in_cluster(const struct topo_box *box, int64_t others,
                                       double efficiency, struct graph_of **out)
{
    if (others < 0 || !(efficiency > 0 && efficiency <= 1))
        return error_set(trncclInvalidArgument,
                         "%s in a cluster: expected 0 or more other ranks and an "
                         "efficiency above 0 up to 1, found %" PRId64 " and %g",
                         box->name, others, efficiency);
    struct make m = {.box = box, .network = true, .efficiency = efficiency};
    return make_graph(&m, others, out);
}
