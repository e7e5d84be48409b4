#include "topo/path.h"

#include <stdlib.h>
#include <string.h>

#include "topo/path_box.h"

struct topo_paths {
    const struct topo_model *model; /* borrowed */
    int32_t uniform;                /* ranks of every box, or 0: they differ */
    int32_t max_hops;
    int32_t nparts;
    struct path_box **parts; /* [nparts] of the different boxes; owned */
    int32_t *part;           /* [nboxes] index into parts; owned */
};

static trncclResult_t add_part(struct topo_paths *p, const struct topo_box *box)
{
    struct path_box **larger =
        reallocarray(p->parts, (size_t)p->nparts + 1, sizeof *p->parts);
    if (larger == NULL)
        return error_set(trncclSystemError, "no memory for routes");
    p->parts = larger;
    TRY(path_box_create(box, &p->parts[p->nparts]));
    p->nparts++;
    return trncclSuccess;
}

/* Equal boxes are one pointer; the last different one is tried first. */
static trncclResult_t assign_parts(struct topo_paths *p)
{
    int32_t last = 0;
    for (int32_t i = 0; i < p->model->nboxes; i++) {
        const struct topo_box *box = p->model->boxes[i];
        if (p->nparts == 0 || p->parts[last]->box != box)
            for (last = 0; last < p->nparts; last++)
                if (p->parts[last]->box == box)
                    break;
        if (last == p->nparts)
            TRY(add_part(p, box));
        p->part[i] = last;
        if (box->nseats != p->uniform)
            p->uniform = i == 0 ? box->nseats : 0;
    }
    return trncclSuccess;
}

static void measure(struct topo_paths *p)
{
    int32_t out = -1, in = -1;
    for (int32_t i = 0; i < p->nparts; i++) {
        const struct path_box *part = p->parts[i];
        if (part->max_links > p->max_hops)
            p->max_hops = part->max_links;
        if (part->max_out > out)
            out = part->max_out;
        if (part->max_in > in)
            in = part->max_in;
    }
    if (out >= 0 && in >= 0 && out + in + 2 > p->max_hops)
        p->max_hops = out + in + 2;
}

trncclResult_t topo_paths_create(const struct topo_model *model, struct topo_paths **out)
{
    struct topo_paths *p = calloc(1, sizeof *p);
    if (p == NULL)
        return error_set(trncclSystemError, "no memory for routes");
    p->model = model;
    p->part = calloc((size_t)model->nboxes, sizeof *p->part);
    trncclResult_t result = p->part == NULL
                                ? error_set(trncclSystemError, "no memory for routes")
                                : assign_parts(p);
    if (result != trncclSuccess) {
        topo_paths_destroy(p);
        return result;
    }
    measure(p);
    *out = p;
    return trncclSuccess;
}

void topo_paths_destroy(struct topo_paths *p)
{
    if (p == NULL)
        return;
    for (int32_t i = 0; i < p->nparts; i++)
        path_box_destroy(p->parts[i]);
    free(p->parts);
    free(p->part);
    free(p);
}

int32_t topo_paths_max_hops(const struct topo_paths *p)
{
    return p->max_hops;
}

int32_t topo_path_seats(const struct topo_paths *p, int32_t box, int32_t from, int32_t to,
                        int32_t *links)
{
    return path_box_seats(p->parts[p->part[box]], from, to, links, 1);
}

int32_t topo_path_nic(const struct topo_paths *p, int32_t box, int32_t seat, bool outward,
                      int32_t *links)
{
    return path_box_nic(p->parts[p->part[box]], seat, outward, links, 1);
}

/* Links were written to the `link` fields of hops: what else a hop has is filled in. */
static void fill_hops(struct topo_hop *hops, int32_t n, int32_t box)
{
    for (int32_t i = 0; i < n; i++) {
        hops[i].box = box;
        hops[i].nic = -1;
        hops[i].outward = 0;
    }
}

_Static_assert(sizeof(struct topo_hop) % sizeof(int32_t) == 0, "hops are strided links");
enum { HOP_STRIDE = sizeof(struct topo_hop) / sizeof(int32_t) };

int32_t topo_path_find(const struct topo_paths *p, int32_t from, int32_t to,
                       struct topo_hop *hops)
{
    const struct topo_model *m = p->model;
    int32_t a = p->uniform > 0 ? from / p->uniform : topo_rank_box(m, from);
    int32_t b = p->uniform > 0 ? to / p->uniform : topo_rank_box(m, to);
    const struct path_box *pa = p->parts[p->part[a]], *pb = p->parts[p->part[b]];
    int32_t seat_a = from - m->first_rank[a], seat_b = to - m->first_rank[b];
    if (a == b) {
        int32_t n = path_box_seats(pa, seat_a, seat_b, &hops->link, HOP_STRIDE);
        fill_hops(hops, n, a);
        return n;
    }
    if (path_box_nic_links(pa, seat_a, true) < 0 ||
        path_box_nic_links(pb, seat_b, false) < 0)
        return -1;
    int32_t n = path_box_nic(pa, seat_a, true, &hops->link, HOP_STRIDE);
    fill_hops(hops, n, a);
    hops[n++] = (struct topo_hop){a, -1, pa->box->seats[seat_a].nic, 1};
    hops[n++] = (struct topo_hop){b, -1, pb->box->seats[seat_b].nic, 0};
    int32_t rest = path_box_nic(pb, seat_b, false, &hops[n].link, HOP_STRIDE);
    fill_hops(hops + n, rest, b);
    return n + rest;
}
