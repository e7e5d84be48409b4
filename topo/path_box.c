#include "topo/path_box.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "topo/reach.h"

/* ---- the widest of the shortest ways to one vertex ---- */

/* Scratch of the search; arrays over vertices. */
struct widest {
    const struct topo_box *box;
    int32_t *first_in, *in; /* links that end at a vertex: in[first_in[v] ..] */
    int32_t *distance, *queue;
    int32_t *next; /* link to take; -1: no way, or the target itself */
    double *width;
};

static void widest_fini(struct widest *w)
{
    free(w->first_in);
    free(w->in);
    free(w->distance);
    free(w->queue);
    free(w->next);
    free(w->width);
}

static trncclResult_t widest_init(struct widest *w, const struct topo_box *box)
{
    size_t nv = (size_t)box->nvertices + 1;
    *w = (struct widest){.box = box};
    w->first_in = calloc(nv + 1, sizeof *w->first_in);
    w->in = calloc((size_t)box->nlinks + 1, sizeof *w->in);
    w->distance = calloc(nv, sizeof *w->distance);
    w->queue = calloc(nv, sizeof *w->queue);
    w->next = calloc(nv, sizeof *w->next);
    w->width = calloc(nv, sizeof *w->width);
    if (!w->first_in || !w->in || !w->distance || !w->queue || !w->next || !w->width) {
        widest_fini(w);
        return error_set(trncclSystemError, "no memory for the routes of box %s",
                         box->name);
    }
    /* first_in is filled one place too far and moves into place while `in` is filled. */
    for (int32_t l = 0; l < box->nlinks; l++)
        w->first_in[box->links[l].to + 2]++;
    for (int32_t v = 0; v < box->nvertices; v++)
        w->first_in[v + 2] += w->first_in[v + 1];
    for (int32_t l = 0; l < box->nlinks; l++)
        w->in[w->first_in[box->links[l].to + 1]++] = l;
    return trncclSuccess;
}

/* Among the links of v that lead one step nearer, the one with the widest way. */
static void widest_choose(struct widest *w, int32_t v, int32_t target)
{
    const struct topo_box *box = w->box;
    for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++) {
        int32_t to = box->links[l].to;
        if (w->distance[to] != w->distance[v] - 1 ||
            (to != target && !reach_forwards(box, to)))
            continue;
        double width = fmin(box->links[l].bw_gbps, w->width[to]);
        if (w->next[v] < 0 || width > w->width[v]) {
            w->next[v] = l;
            w->width[v] = width;
        }
    }
}

/* Fills next and distance (-1: no way) of all vertices towards the target. */
static void widest_run(struct widest *w, int32_t target)
{
    const struct topo_box *box = w->box;
    for (int32_t v = 0; v < box->nvertices; v++)
        w->distance[v] = w->next[v] = -1;
    int32_t head = 0, tail = 0;
    w->distance[target] = 0;
    w->width[target] = INFINITY;
    w->queue[tail++] = target;
    while (head < tail) {
        int32_t u = w->queue[head++];
        if (u != target) {
            widest_choose(w, u, target); /* all that is nearer has been chosen before */
            if (!reach_forwards(box, u))
                continue;
        }
        for (int32_t i = w->first_in[u]; i < w->first_in[u + 1]; i++) {
            int32_t v = box->links[w->in[i]].from;
            if (w->distance[v] < 0) {
                w->distance[v] = w->distance[u] + 1;
                w->queue[tail++] = v;
            }
        }
    }
}

/* ---- preparing ---- */

static int32_t direct_link(const struct topo_box *box, int32_t from, int32_t to)
{
    int32_t best = -1;
    for (int32_t l = box->first_link[from]; l < box->first_link[from + 1]; l++)
        if (box->links[l].to == to &&
            (best < 0 || box->links[l].bw_gbps > box->links[best].bw_gbps))
            best = l;
    return best;
}

/* Where a dimension has two chips only, the way along - may be the link along +. */
static void torus_fill(struct path_box *p)
{
    const struct topo_box *box = p->box;
    for (int32_t i = 0; i < 2 * box->ndims * box->nchips; i++)
        p->torus[i] = -1;
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        if (link->dim < 0)
            continue;
        int32_t at = 2 * (box->vertices[link->from].index * box->ndims + link->dim);
        p->torus[at + (link->step < 0)] = l;
        if (p->torus[at + (link->step > 0)] < 0 && box->dims[link->dim] == 2)
            p->torus[at + (link->step > 0)] = l;
    }
    for (int32_t d = 0; d < box->ndims; d++)
        p->max_links += box->dims[d] / 2;
}

/* Numbers the nodes and the targets of the table. */
static void table_number(struct path_box *p)
{
    const struct topo_box *box = p->box;
    for (int32_t v = 0; v < box->nvertices; v++) {
        p->node[v] = reach_forwards(box, v) ? p->nnodes++ : -1;
        p->target[v] = -1;
    }
    for (int32_t s = 0; s < box->nseats; s++)
        if (p->target[box->seats[s].chip] < 0)
            p->target[box->seats[s].chip] = p->ntargets++;
}

static trncclResult_t table_fill(struct path_box *p, struct widest *w)
{
    const struct topo_box *box = p->box;
    table_number(p);
    p->next = calloc((size_t)p->ntargets * (size_t)p->nnodes, sizeof *p->next);
    if (p->next == NULL)
        return error_set(trncclSystemError, "no memory for the routes of box %s",
                         box->name);
    int32_t longest = 0;
    for (int32_t target = 0; target < box->nvertices; target++) {
        if (p->target[target] < 0)
            continue;
        widest_run(w, target);
        int32_t *row = p->next + (size_t)p->target[target] * (size_t)p->nnodes;
        for (int32_t v = 0; v < box->nvertices; v++) {
            if (p->node[v] < 0)
                continue;
            row[p->node[v]] = w->next[v];
            if (p->target[v] >= 0 && w->distance[v] > longest)
                longest = w->distance[v];
        }
    }
    p->max_links += longest;
    return trncclSuccess;
}

/* Appends the way from `from` to `to`; searched only where they are not neighbours.
 * `searched` is what w was last run for. False: no memory. */
static bool nic_append(struct path_box *p, struct widest *w, int32_t *searched,
                       int32_t way, int32_t from, int32_t to)
{
    int32_t n = p->nic_first[way], direct = direct_link(p->box, from, to);
    if (direct < 0 && *searched != to) {
        widest_run(w, to);
        *searched = to;
    }
    int32_t length = direct >= 0 ? 1 : w->distance[from];
    p->nic_reached[way] = length >= 0;
    if (length > 0) {
        int32_t *larger =
            reallocarray(p->nic_links, (size_t)n + (size_t)length, sizeof *p->nic_links);
        if (larger == NULL)
            return false;
        p->nic_links = larger;
        for (int32_t at = from; at != to; at = p->box->links[p->nic_links[n++]].to)
            p->nic_links[n] = direct >= 0 ? direct : w->next[at];
    }
    p->nic_first[way + 1] = n;
    int32_t *longest = way % 2 == 0 ? &p->max_out : &p->max_in;
    if (length >= 0 && length + 1 > *longest)
        *longest = length + 1;
    return true;
}

static trncclResult_t nics_fill(struct path_box *p, struct widest *w)
{
    int32_t searched = -1;
    for (int32_t s = 0; s < p->box->nseats; s++) {
        const struct topo_seat *seat = &p->box->seats[s];
        p->up[s] = direct_link(p->box, seat->core, seat->chip);
        p->down[s] = direct_link(p->box, seat->chip, seat->core);
        p->nic_first[2 * s + 1] = p->nic_first[2 * s + 2] = p->nic_first[2 * s];
        if (seat->nic < 0)
            continue;
        if (!nic_append(p, w, &searched, 2 * s, seat->chip, seat->nic) ||
            !nic_append(p, w, &searched, 2 * s + 1, seat->nic, seat->chip))
            return error_set(trncclSystemError, "no memory for the routes of box %s",
                             p->box->name);
    }
    return trncclSuccess;
}

static trncclResult_t path_box_fill(struct path_box *p)
{
    const struct topo_box *box = p->box;
    size_t nseats = (size_t)box->nseats, nv = (size_t)box->nvertices;
    p->up = calloc(nseats, sizeof *p->up);
    p->down = calloc(nseats, sizeof *p->down);
    p->node = calloc(nv, sizeof *p->node);
    p->target = calloc(nv, sizeof *p->target);
    p->nic_first = calloc(2 * nseats + 1, sizeof *p->nic_first);
    p->nic_reached = calloc(2 * nseats, sizeof *p->nic_reached);
    p->torus = calloc(2 * (size_t)box->ndims * (size_t)box->nchips + 1, sizeof *p->torus);
    if (!p->up || !p->down || !p->node || !p->target || !p->nic_first ||
        !p->nic_reached || !p->torus)
        return error_set(trncclSystemError, "no memory for the routes of box %s",
                         box->name);
    struct widest w;
    TRY(widest_init(&w, box));
    p->max_links = 2;
    p->max_out = p->max_in = -1;
    trncclResult_t result = trncclSuccess;
    if (box->ndims > 0)
        torus_fill(p);
    else
        result = table_fill(p, &w);
    if (result == trncclSuccess)
        result = nics_fill(p, &w);
    widest_fini(&w);
    return result;
}

trncclResult_t path_box_create(const struct topo_box *box, struct path_box **out)
{
    struct path_box *p = calloc(1, sizeof *p);
    if (p == NULL)
        return error_set(trncclSystemError, "no memory for the routes of box %s",
                         box->name);
    p->box = box;
    trncclResult_t result = path_box_fill(p);
    if (result != trncclSuccess)
        path_box_destroy(p);
    else
        *out = p;
    return result;
}

void path_box_destroy(struct path_box *p)
{
    if (p == NULL)
        return;
    free(p->up);
    free(p->down);
    free(p->torus);
    free(p->next);
    free(p->node);
    free(p->target);
    free(p->nic_first);
    free(p->nic_links);
    free(p->nic_reached);
    free(p);
}

/* ---- asking ---- */

static int32_t torus_route(const struct path_box *p, int32_t from, int32_t to,
                           int32_t *links, int32_t stride)
{
    const struct topo_box *box = p->box;
    int32_t a = box->vertices[from].index, b = box->vertices[to].index, n = 0;
    int32_t above = 1; /* product of the sizes of the dimensions before */
    for (int32_t d = 0; d < box->ndims; d++) {
        int32_t size = box->dims[d], x = a / above % size;
        int32_t ahead = (b / above % size - x + size) % size;
        int32_t step = 2 * ahead <= size ? 1 : -1;
        for (int32_t left = step > 0 ? ahead : size - ahead; left > 0; left--) {
            links[n++ * stride] = p->torus[2 * (a * box->ndims + d) + (step < 0)];
            int32_t y = (x + step + size) % size;
            a += (y - x) * above;
            x = y;
        }
        above *= size;
    }
    return n;
}

static int32_t table_route(const struct path_box *p, int32_t from, int32_t to,
                           int32_t *links, int32_t stride)
{
    const int32_t *row = p->next + (size_t)p->target[to] * (size_t)p->nnodes;
    int32_t n = 0;
    while (from != to) {
        int32_t link = row[p->node[from]];
        if (link < 0)
            return -1;
        links[n++ * stride] = link;
        from = p->box->links[link].to;
    }
    return n;
}

int32_t path_box_seats(const struct path_box *p, int32_t from, int32_t to, int32_t *links,
                       int32_t stride)
{
    if (from == to)
        return 0;
    int32_t a = p->box->seats[from].chip, b = p->box->seats[to].chip;
    links[0] = p->up[from];
    int32_t n = p->box->ndims > 0 ? torus_route(p, a, b, links + stride, stride)
                                  : table_route(p, a, b, links + stride, stride);
    if (n < 0)
        return -1;
    links[(n + 1) * stride] = p->down[to];
    return n + 2;
}

int32_t path_box_nic_links(const struct path_box *p, int32_t seat, bool outward)
{
    int32_t way = 2 * seat + !outward;
    return p->nic_reached[way] ? p->nic_first[way + 1] - p->nic_first[way] + 1 : -1;
}

int32_t path_box_nic(const struct path_box *p, int32_t seat, bool outward, int32_t *links,
                     int32_t stride)
{
    int32_t n = path_box_nic_links(p, seat, outward);
    if (n < 0)
        return -1;
    const int32_t *way = p->nic_links + p->nic_first[2 * seat + !outward];
    if (!outward)
        links[(n - 1) * stride] = p->down[seat];
    else
        links[0] = p->up[seat];
    for (int32_t i = 0; i < n - 1; i++)
        links[(i + outward) * stride] = way[i];
    return n;
}
