#include "sim/route.h"

#include <math.h>
#include <stdlib.h>

static const double BYTES_PER_US_OF_GBPS = 1e3; /* decimal GB/s */

/* ---- tables of a box ---- */

static void nic_fill(struct route_kind *k, const struct topo_net *net, int32_t nic)
{
    const struct topo_box *box = k->box;
    int32_t vertex = box->nics[nic];
    double out = 0, in = 0;
    for (int32_t l = 0; l < box->nlinks; l++) {
        if (box->links[l].to == vertex)
            out = fmax(out, box->links[l].bw_gbps);
        if (box->links[l].from == vertex)
            in = fmax(in, box->links[l].bw_gbps);
    }
    double rate = BYTES_PER_US_OF_GBPS * net->efficiency;
    struct route_server *s = &k->servers[box->nlinks + 2 * nic];
    s[0] = (struct route_server){out * rate, net->latency_us, net->message_us};
    s[1] = (struct route_server){in * rate, 0, 0};
}

/* The memories of the seats' chips become servers, in the order of the seats. */
static void memories_number(struct route_kind *k, int32_t *of_vertex)
{
    const struct topo_box *box = k->box;
    for (int32_t v = 0; v < box->nvertices; v++)
        of_vertex[v] = -1;
    int32_t next = box->nlinks + 2 * box->nnics;
    for (int32_t i = 0; i < box->nseats; i++) {
        int32_t chip = box->seats[i].chip;
        if (of_vertex[chip] < 0)
            of_vertex[chip] = next++;
        k->memory[i] = of_vertex[chip];
    }
    k->nservers = next;
    k->nmemories = next - box->nlinks - 2 * box->nnics;
}

static void links_in_fill(struct route_kind *k)
{
    const struct topo_box *box = k->box;
    for (int32_t l = 0; l < box->nlinks; l++)
        k->first_in[box->links[l].to + 1]++;
    for (int32_t v = 0; v < box->nvertices; v++)
        k->first_in[v + 1] += k->first_in[v];
    for (int32_t l = box->nlinks - 1; l >= 0; l--)
        k->in[--k->first_in[box->links[l].to + 1]] = l;
    for (int32_t v = 0; v < box->nvertices; v++)
        k->first_in[v] = k->first_in[v + 1];
    k->first_in[box->nvertices] = box->nlinks;
}

/* The widest link from a to b, the first of equals; -1: none. */
static int32_t link_between(const struct topo_box *box, int32_t a, int32_t b)
{
    int32_t best = -1;
    for (int32_t l = box->first_link[a]; l < box->first_link[a + 1]; l++)
        if (box->links[l].to == b &&
            (best < 0 || box->links[l].bw_gbps > box->links[best].bw_gbps))
            best = l;
    return best;
}

static void kind_fini(struct route_kind *k)
{
    for (int32_t v = 0; k->rows && v < k->box->nvertices; v++)
        free(k->rows[v]);
    free(k->servers);
    free(k->memory);
    free(k->down);
    free(k->rows);
    free(k->first_in);
    free(k->in);
}

static trncclResult_t kind_init(struct route_kind *k, const struct topo_box *box,
                                const struct topo_net *net)
{
    size_t nvertices = (size_t)box->nvertices, nlinks = (size_t)box->nlinks;
    size_t nseats = (size_t)box->nseats;
    *k = (struct route_kind){
        .box = box,
        .servers = calloc(nlinks + 2 * (size_t)box->nnics + nseats, sizeof *k->servers),
        .memory = calloc(nseats, sizeof *k->memory),
        .down = calloc(nseats, sizeof *k->down),
        .rows = calloc(nvertices, sizeof *k->rows),
        .first_in = calloc(nvertices + 2, sizeof *k->first_in),
        .in = calloc(nlinks + 1, sizeof *k->in),
    };
    int32_t *of_vertex = calloc(nvertices + 1, sizeof *of_vertex);
    if (!k->servers || !k->memory || !k->down || !k->rows || !k->first_in || !k->in ||
        !of_vertex) {
        free(of_vertex);
        return error_set(trncclSystemError, "out of memory: routes of a box of %d links",
                         box->nlinks);
    }
    memories_number(k, of_vertex);
    free(of_vertex);
    for (int32_t l = 0; l < box->nlinks; l++)
        k->servers[l] = (struct route_server){
            .bytes_per_us = box->links[l].bw_gbps * BYTES_PER_US_OF_GBPS,
            .latency_us = box->links[l].latency_us,
        };
    for (int32_t i = 0; i < box->nnics; i++)
        nic_fill(k, net, i);
    for (int32_t s = k->nservers - k->nmemories; s < k->nservers; s++)
        k->servers[s].bytes_per_us = box->costs.memory_gbps * BYTES_PER_US_OF_GBPS;
    for (int32_t i = 0; i < box->nseats; i++)
        k->down[i] = link_between(box, box->seats[i].chip, box->seats[i].core);
    links_in_fill(k);
    return trncclSuccess;
}

/* ---- rows: next links towards one vertex ---- */

struct search {
    int32_t *dist, *queue; /* [nvertices] */
    double *width;
};

static bool forwards(const struct topo_box *box, int32_t vertex)
{
    uint8_t kind = box->vertices[vertex].kind;
    return kind != TOPO_CORE && kind != TOPO_NIC;
}

/* Fewest links first; among those the widest, then the link with the lowest number. A
 * vertex leaves the queue after all nearer ones, so its width is final then. */
static void row_search(const struct route_kind *k, int32_t goal, struct search *s,
                       int32_t *row)
{
    const struct topo_link *links = k->box->links;
    for (int32_t v = 0; v < k->box->nvertices; v++) {
        s->dist[v] = row[v] = -1;
        s->width[v] = 0;
    }
    int32_t head = 0, tail = 0;
    s->dist[goal] = 0;
    s->width[goal] = INFINITY;
    s->queue[tail++] = goal;
    while (head < tail) {
        int32_t u = s->queue[head++];
        if (u != goal && !forwards(k->box, u))
            continue;
        for (int32_t i = k->first_in[u]; i < k->first_in[u + 1]; i++) {
            int32_t l = k->in[i], v = links[l].from;
            if (s->dist[v] < 0) {
                s->dist[v] = s->dist[u] + 1;
                s->queue[tail++] = v;
            }
            double width = fmin(links[l].bw_gbps, s->width[u]);
            if (s->dist[v] != s->dist[u] + 1 || width < s->width[v] ||
                (width == s->width[v] && row[v] >= 0 && row[v] < l))
                continue;
            s->width[v] = width;
            row[v] = l;
        }
    }
}

/* The link from a chip one step along a dimension; -1: none. */
static int32_t torus_link(const struct topo_box *box, int32_t vertex, int32_t to, int dim,
                          int step)
{
    int32_t best = -1;
    for (int32_t l = box->first_link[vertex]; l < box->first_link[vertex + 1]; l++) {
        const struct topo_link *link = &box->links[l];
        if (link->to != to || link->dim != dim)
            continue;
        if (link->step == step)
            return l;
        best = l; /* two chips along it: one link may serve both ways round */
    }
    return best;
}

/* The next link from chip `from` towards chip `to` (indices), dimension by dimension. */
static int32_t torus_next(const struct topo_box *box, int32_t from, int32_t to)
{
    int32_t stride = 1;
    for (int d = 0; d < box->ndims; d++) {
        int32_t n = box->dims[d], a = from / stride % n, b = to / stride % n;
        if (a != b) {
            int32_t ahead = (b - a + n) % n;
            int step = ahead <= n - ahead ? 1 : -1;
            int32_t next = from + ((a + step + n) % n - a) * stride;
            return torus_link(box, box->chips[from], box->chips[next], d, step);
        }
        stride *= n;
    }
    return -1;
}

static void row_torus(const struct topo_box *box, int32_t goal, int32_t *row)
{
    for (int32_t i = 0; i < box->nchips; i++) {
        if (box->chips[i] == goal)
            continue;
        int32_t l = torus_next(box, i, box->vertices[goal].index);
        if (l >= 0)
            row[box->chips[i]] = l;
    }
}

static trncclResult_t row_create(struct route_kind *k, int32_t goal)
{
    size_t n = (size_t)k->box->nvertices;
    struct search s = {
        .dist = malloc(n * sizeof *s.dist),
        .queue = malloc(n * sizeof *s.queue),
        .width = malloc(n * sizeof *s.width),
    };
    int32_t *row = malloc(n * sizeof *row);
    trncclResult_t result = trncclSuccess;
    if (s.dist && s.queue && s.width && row) {
        row_search(k, goal, &s, row);
        if (k->box->ndims > 0 && k->box->vertices[goal].kind == TOPO_CHIP)
            row_torus(k->box, goal, row);
        k->rows[goal] = row;
    } else {
        free(row);
        result = error_set(trncclSystemError, "out of memory: routes to %s of %s",
                           k->box->vertices[goal].name, k->box->name);
    }
    free(s.dist);
    free(s.queue);
    free(s.width);
    return result;
}

/* ---- all boxes ---- */

static int32_t kind_find(const struct routes *r, const struct topo_box *box)
{
    for (int32_t i = r->nkinds - 1; i >= 0; i--)
        if (r->kinds[i].box == box)
            return i;
    return -1;
}

static trncclResult_t kinds_init(struct routes *r)
{
    const struct topo_model *m = r->model;
    for (int32_t b = 0; b < m->nboxes; b++) {
        int32_t kind = kind_find(r, m->boxes[b]);
        if (kind < 0) {
            kind = r->nkinds;
            struct route_kind *kinds =
                realloc(r->kinds, ((size_t)kind + 1) * sizeof *kinds);
            if (!kinds)
                return error_set(trncclSystemError, "out of memory: %d kinds of boxes",
                                 kind + 1);
            r->kinds = kinds;
            r->nkinds++;
            TRY(kind_init(&kinds[kind], m->boxes[b], &m->net));
        }
        r->kind[b] = kind;
    }
    return trncclSuccess;
}

trncclResult_t routes_init(struct routes *r, const struct topo_model *model,
                           const int32_t *seats, int32_t nranks)
{
    *r = (struct routes){
        .model = model,
        .nranks = nranks,
        .kind = calloc((size_t)model->nboxes + 1, sizeof *r->kind),
        .box = malloc((size_t)nranks * sizeof *r->box),
        .seat = malloc((size_t)nranks * sizeof *r->seat),
    };
    if (!r->kind || !r->box || !r->seat)
        return error_set(trncclSystemError, "out of memory: seats of %d ranks", nranks);
    TRY(kinds_init(r));
    for (int32_t i = 0; i < nranks; i++) {
        int32_t seat = seats ? seats[i] : i;
        if (seat < 0 || seat >= model->nranks)
            return error_set(trncclInvalidArgument,
                             "rank %d has no seat: %d, but %s has seats 0 to %d", i, seat,
                             model->name, model->nranks - 1);
        r->box[i] = topo_rank_box(model, seat);
        r->seat[i] = seat - model->first_rank[r->box[i]];
    }
    return trncclSuccess;
}

void routes_fini(struct routes *r)
{
    for (int32_t i = 0; i < r->nkinds; i++)
        kind_fini(&r->kinds[i]);
    free(r->kinds);
    free(r->kind);
    free(r->box);
    free(r->seat);
    *r = (struct routes){0};
}

/* ---- walking ---- */

/* Where the walk in the last box leads: the chip, if a link goes from it to the core. */
static inline int32_t last_goal(const struct routes *r, int32_t to)
{
    const struct topo_seat *seat = routes_seat(r, to);
    return routes_kind(r, r->box[to])->down[r->seat[to]] >= 0 ? seat->chip : seat->core;
}

void routes_begin(const struct routes *r, int32_t from, int32_t to,
                  struct route_cursor *c)
{
    const struct topo_seat *a = routes_seat(r, from), *b = routes_seat(r, to);
    bool stays = r->box[from] == r->box[to];
    *c = (struct route_cursor){
        .to = to,
        .box = r->box[from],
        .at = a->core,
        .nic = stays ? -1 : a->nic,
        .goal = stays ? last_goal(r, to) : a->nic,
    };
    if (stays && a->core == b->core)
        c->goal = a->core;
}

/* The cursor has reached its goal: the fabric, the last link, or the end. */
static inline bool goal_reached(const struct routes *r, struct route_cursor *c,
                                int32_t *box, int32_t *server)
{
    const struct route_kind *k = routes_kind(r, c->box);
    const struct topo_seat *seat = routes_seat(r, c->to);
    *box = c->box;
    if (c->in_fabric) {
        *server = k->box->nlinks + 2 * k->box->vertices[c->at].index + 1;
        c->in_fabric = false;
        c->goal = last_goal(r, c->to);
        return true;
    }
    if (c->nic >= 0) {
        *server = k->box->nlinks + 2 * k->box->vertices[c->at].index;
        c->nic = -1;
        c->in_fabric = true;
        c->box = r->box[c->to];
        c->at = c->goal = seat->nic;
        return true;
    }
    if (c->at == seat->core)
        return false;
    *server = k->down[r->seat[c->to]];
    c->at = c->goal = seat->core;
    return true;
}

bool routes_next(const struct routes *r, struct route_cursor *c, int32_t *box,
                 int32_t *server)
{
    if (c->at == c->goal)
        return goal_reached(r, c, box, server);
    const struct route_kind *k = routes_kind(r, c->box);
    int32_t link = k->rows[c->goal][c->at];
    *box = c->box;
    *server = link;
    c->at = k->box->links[link].to;
    return true;
}

static trncclResult_t no_route(const struct routes *r, int32_t from,
                               const struct route_cursor *c)
{
    const struct topo_box *box = routes_kind(r, c->box)->box;
    return error_set(trncclInvalidArgument,
                     "no route from rank %d to rank %d: no way from %s to %s of box %d "
                     "(%s)",
                     from, c->to, box->vertices[c->at].name, box->vertices[c->goal].name,
                     c->box, box->name);
}

trncclResult_t routes_sum(struct routes *r, int32_t from, int32_t to,
                          struct route_sum *out)
{
    bool stays = r->box[from] == r->box[to];
    if (!stays && (routes_seat(r, from)->nic < 0 || routes_seat(r, to)->nic < 0))
        return error_set(trncclInvalidArgument,
                         "no route from rank %d to rank %d: they sit in boxes %d and %d, "
                         "and rank %d has no NIC",
                         from, to, r->box[from], r->box[to],
                         routes_seat(r, from)->nic < 0 ? from : to);
    struct route_cursor c;
    routes_begin(r, from, to, &c);
    struct route_sum sum = {.bytes_per_us = INFINITY};
    int32_t box, server;
    for (;;) {
        struct route_kind *k = &r->kinds[r->kind[c.box]];
        if (c.at != c.goal && !k->rows[c.goal])
            TRY(row_create(k, c.goal));
        if (c.at != c.goal && k->rows[c.goal][c.at] < 0)
            return no_route(r, from, &c);
        if (!routes_next(r, &c, &box, &server))
            break;
        const struct route_server *s = &routes_kind(r, box)->servers[server];
        sum.nlinks++;
        sum.bytes_per_us =
            s->bytes_per_us < sum.bytes_per_us ? s->bytes_per_us : sum.bytes_per_us;
        sum.latency_us += s->latency_us;
        sum.setup_us += s->setup_us;
    }
    *out = sum;
    return trncclSuccess;
}
