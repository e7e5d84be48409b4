#include "tests/support/sim_models.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *zeroed(int32_t n, size_t nbytes)
{
    void *p = calloc((size_t)n + 1, nbytes);
    if (!p) {
        fprintf(stderr, "sim_models: no memory for %d entries\n", n);
        exit(99);
    }
    return p;
}

static double or_infinite(double rate)
{
    return rate > 0 ? rate : INFINITY;
}

/* What is being built; counts are known before. */
struct draft {
    struct topo_box *box;
    struct topo_vertex *vertices;
    struct topo_link *links; /* in any order */
};

static int32_t vertex_add(struct draft *d, enum topo_kind kind, const char *what,
                          int32_t index, int32_t chip)
{
    struct topo_vertex *v = &d->vertices[d->box->nvertices];
    *v = (struct topo_vertex){.kind = (uint8_t)kind, .index = index, .chip = chip};
    snprintf(v->name, sizeof v->name, "%s %d", what, index);
    return d->box->nvertices++;
}

static void link_add(struct draft *d, int32_t from, int32_t to, enum topo_link_kind kind,
                     double bw_gbps, double latency_us)
{
    d->links[d->box->nlinks++] = (struct topo_link){
        .from = from,
        .to = to,
        .kind = (uint8_t)kind,
        .dim = -1,
        .bw_gbps = bw_gbps,
        .latency_us = latency_us,
    };
}

static void pair_add(struct draft *d, int32_t a, int32_t b, enum topo_link_kind kind,
                     double bw_gbps, double latency_us)
{
    link_add(d, a, b, kind, bw_gbps, latency_us);
    link_add(d, b, a, kind, bw_gbps, latency_us);
}

/* All links of a chip along the torus; two chips along a dimension share one link. */
static void torus_add(struct draft *d, const struct sim_box_spec *spec, int32_t chip)
{
    for (int32_t k = 0, stride = 1; k < spec->ndims; stride *= spec->dims[k++]) {
        int32_t n = spec->dims[k], at = chip / stride % n;
        for (int step = -1; n > 1 && step <= 1; step += 2) {
            if (n == 2 && (at == 0) != (step == 1))
                continue;
            int32_t to = chip + ((at + step + n) % n - at) * stride;
            link_add(d, d->box->chips[chip], d->box->chips[to], TOPO_LINK_NEURON,
                     spec->bw_gbps[k], spec->latency_us);
            d->links[d->box->nlinks - 1].dim = (int8_t)k;
            d->links[d->box->nlinks - 1].step = (int8_t)step;
        }
    }
}

static void links_sort(struct draft *d)
{
    struct topo_box *b = d->box;
    struct topo_link *links = zeroed(b->nlinks, sizeof *links);
    int32_t *first = zeroed(b->nvertices + 1, sizeof *first);
    int32_t n = 0;
    for (int32_t v = 0; v < b->nvertices; v++) {
        first[v] = n;
        for (int32_t l = 0; l < b->nlinks; l++)
            if (d->links[l].from == v)
                links[n++] = d->links[l];
    }
    first[b->nvertices] = n;
    free(d->links);
    b->links = links;
    b->first_link = first;
}

static void seats_add(struct draft *d, const struct sim_box_spec *spec, int32_t nchips,
                      int32_t per_chip)
{
    struct topo_box *b = d->box;
    struct topo_seat *seats = zeroed(nchips * per_chip, sizeof *seats);
    int32_t per_nic = spec->chips_per_nic ? spec->chips_per_nic : 1;
    for (int32_t i = 0; i < nchips * per_chip; i++) {
        int32_t chip = b->chips[i / per_chip];
        int32_t core = vertex_add(d, TOPO_CORE, "core", i, chip);
        pair_add(d, core, chip, TOPO_LINK_DIE, or_infinite(spec->die_gbps), 0);
        int32_t nic = b->nnics ? b->nics[i / per_chip / per_nic] : -1;
        seats[i] = (struct topo_seat){.core = core, .chip = chip, .nic = nic};
    }
    b->seats = seats;
    b->nseats = nchips * per_chip;
    b->seats_per_chip = per_chip;
}

static void nics_add(struct draft *d, const struct sim_box_spec *spec, int32_t nchips)
{
    int32_t per_nic = spec->chips_per_nic ? spec->chips_per_nic : 1;
    int32_t *nics = zeroed(nchips, sizeof *nics);
    for (int32_t i = 0; spec->nic_gbps > 0 && i < nchips; i++) {
        if (i % per_nic == 0)
            nics[d->box->nnics++] = vertex_add(d, TOPO_NIC, "nic", i / per_nic, -1);
        pair_add(d, d->box->chips[i], nics[i / per_nic], TOPO_LINK_PCI, spec->nic_gbps,
                 0);
    }
    d->box->nics = nics;
}

struct topo_box *sim_box_create(const struct sim_box_spec *spec)
{
    int32_t nchips = spec->ndims ? 1 : spec->nchips;
    int32_t per_chip = spec->per_chip ? spec->per_chip : 1;
    for (int32_t k = 0; k < spec->ndims; k++)
        nchips *= spec->dims[k];
    struct topo_box *b = zeroed(1, sizeof *b);
    struct draft d = {
        .box = b,
        .vertices = zeroed(nchips * (per_chip + 2) + 1, sizeof *d.vertices),
        .links = zeroed(nchips * 2 * (TOPO_MAX_DIMS + per_chip + 2), sizeof *d.links),
    };
    snprintf(b->name, sizeof b->name, "test box");
    int32_t *chips = zeroed(nchips, sizeof *chips);
    b->chips = chips;
    b->nchips = nchips;
    b->ninstances = 1;
    for (int32_t i = 0; i < nchips; i++)
        chips[i] = vertex_add(&d, TOPO_CHIP, "chip", i, -1);
    int32_t hub = spec->ndims ? -1 : vertex_add(&d, TOPO_SWITCH, "switch", 0, -1);
    for (int32_t i = 0; i < nchips; i++)
        if (spec->ndims)
            torus_add(&d, spec, i);
        else
            pair_add(&d, chips[i], hub, TOPO_LINK_NEURON, spec->bw_gbps[0],
                     spec->latency_us);
    nics_add(&d, spec, nchips);
    seats_add(&d, spec, nchips, per_chip);
    links_sort(&d);
    b->vertices = d.vertices;
    b->ndims = spec->ndims;
    memcpy(b->dims, spec->dims, sizeof b->dims);
    b->costs = spec->costs;
    b->costs.copy_gbps = or_infinite(spec->costs.copy_gbps);
    b->costs.reduce_gbps = or_infinite(spec->costs.reduce_gbps);
    b->costs.memory_gbps = or_infinite(spec->costs.memory_gbps);
    return b;
}

void sim_box_destroy(struct topo_box *box)
{
    free((void *)box->vertices);
    free((void *)box->links);
    free((void *)box->first_link);
    free((void *)box->seats);
    free((void *)box->chips);
    free((void *)box->nics);
    free(box);
}

struct topo_model *sim_model_create(const struct topo_box *box, int32_t nboxes,
                                    const struct topo_net *net)
{
    struct topo_model *m = zeroed(1, sizeof *m);
    const struct topo_box **boxes = zeroed(nboxes, sizeof *boxes);
    int32_t *first = zeroed(nboxes + 1, sizeof *first);
    for (int32_t i = 0; i < nboxes; i++) {
        boxes[i] = box;
        first[i + 1] = first[i] + box->nseats;
    }
    snprintf(m->name, sizeof m->name, "test model");
    m->nboxes = nboxes;
    m->nranks = first[nboxes];
    m->boxes = boxes;
    m->first_rank = first;
    m->net = net ? *net : (struct topo_net){.efficiency = 1};
    return m;
}

void sim_model_destroy(struct topo_model *model)
{
    free((void *)model->boxes);
    free((void *)model->first_rank);
    free(model);
}
