#include "topo/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/box.h"

enum { MAX_VERTICES = 1 << 20, MAX_LINKS = 1 << 24, FAULT_BYTES = 256 };

struct topo_builder {
    struct topo_box box; /* counts, name, torus and costs; the arrays are these: */
    struct topo_vertex *vertices;
    struct topo_link *links;
    struct topo_seat *seats;
    int32_t vertices_cap, links_cap, seats_cap;
    int32_t nof[TOPO_NKINDS]; /* vertices of each kind */
    trncclResult_t result;    /* of the first thing that went wrong */
    char fault[FAULT_BYTES];  /* its sentence */
};

static const char *const kind_names[TOPO_NKINDS] = {
    [TOPO_CORE] = "core", [TOPO_CHIP] = "chip",     [TOPO_SWITCH] = "switch",
    [TOPO_NIC] = "nic",   [TOPO_MEMORY] = "memory",
};

__attribute__((format(printf, 3, 4))) static int32_t
builder_fail(struct topo_builder *b, trncclResult_t result, const char *format, ...)
{
    if (b->result != trncclSuccess)
        return -1;
    b->result = result;
    va_list args;
    va_start(args, format);
    vsnprintf(b->fault, sizeof b->fault, format, args);
    va_end(args);
    return -1;
}

/* Makes room for one more of *n elements; false: no memory, or more than max. */
static bool builder_room(struct topo_builder *b, void **array, int32_t *cap, int32_t n,
                         size_t nbytes, int32_t max)
{
    if (b->result != trncclSuccess)
        return false;
    if (n < *cap)
        return true;
    if (n >= max) {
        builder_fail(b, trncclInvalidArgument, "box %s: more than %d parts", b->box.name,
                     (int)max);
        return false;
    }
    int32_t wanted = *cap == 0 ? 32 : *cap * 2;
    void *larger = reallocarray(*array, (size_t)wanted, nbytes);
    if (larger == NULL) {
        builder_fail(b, trncclSystemError, "box %s: no memory", b->box.name);
        return false;
    }
    *array = larger;
    *cap = wanted;
    return true;
}

static bool builder_vertex_is(struct topo_builder *b, int32_t v, const char *what)
{
    if (b->result == trncclSuccess && v >= 0 && v < b->box.nvertices)
        return true;
    builder_fail(b, trncclInvalidArgument, "box %s: %s is vertex %d, expected 0 to %d",
                 b->box.name, what, (int)v, (int)b->box.nvertices - 1);
    return false;
}

trncclResult_t topo_builder_create(const char *name, struct topo_builder **out)
{
    if (!box_name_valid(name, sizeof((struct topo_box *)0)->name - 1))
        return error_set(trncclInvalidArgument,
                         "the name of a box is 1 to 31 printable characters");
    struct topo_builder *b = calloc(1, sizeof *b);
    if (b == NULL)
        return error_set(trncclSystemError, "no memory for a box");
    snprintf(b->box.name, sizeof b->box.name, "%s", name);
    *out = b;
    return trncclSuccess;
}

void topo_builder_destroy(struct topo_builder *b)
{
    if (b == NULL)
        return;
    free(b->vertices);
    free(b->links);
    free(b->seats);
    free(b);
}

int32_t topo_add_vertex(struct topo_builder *b, enum topo_kind kind, int32_t instance,
                        int32_t numa, int32_t chip)
{
    if (!builder_room(b, (void **)&b->vertices, &b->vertices_cap, b->box.nvertices,
                      sizeof *b->vertices, MAX_VERTICES))
        return -1;
    if ((int)kind < 0 || kind >= TOPO_NKINDS)
        return builder_fail(b, trncclInvalidArgument, "box %s: vertex kind %d, of %d",
                            b->box.name, (int)kind, TOPO_NKINDS);
    if (instance < 0 || instance > INT16_MAX || numa < -1 || numa > INT16_MAX)
        return builder_fail(b, trncclInvalidArgument,
                            "box %s: %s in instance %d, NUMA node %d", b->box.name,
                            kind_names[kind], (int)instance, (int)numa);
    if (chip != -1) {
        if (!builder_vertex_is(b, chip, "the chip of a vertex"))
            return -1;
        int owner = b->vertices[chip].kind;
        if (owner != TOPO_CHIP && owner != TOPO_MEMORY)
            return builder_fail(b, trncclInvalidArgument,
                                "box %s: a %s belongs to %s, expected a chip",
                                b->box.name, kind_names[kind], b->vertices[chip].name);
    }
    struct topo_vertex *v = &b->vertices[b->box.nvertices];
    memset(v, 0, sizeof *v);
    v->kind = (uint8_t)kind;
    v->instance = (int16_t)instance;
    v->numa = (int16_t)numa;
    v->index = b->nof[kind]++;
    v->chip = chip;
    snprintf(v->name, sizeof v->name, "%s %d", kind_names[kind], (int)v->index);
    if (instance >= b->box.ninstances)
        b->box.ninstances = instance + 1;
    return b->box.nvertices++;
}

void topo_add_link_oneway(struct topo_builder *b, int32_t from, int32_t to,
                          enum topo_link_kind kind, int dim, int step, double bw_gbps,
                          double latency_us)
{
    if (!builder_room(b, (void **)&b->links, &b->links_cap, b->box.nlinks,
                      sizeof *b->links, MAX_LINKS) ||
        !builder_vertex_is(b, from, "the start of a link") ||
        !builder_vertex_is(b, to, "the end of a link"))
        return;
    const char *a = b->vertices[from].name, *c = b->vertices[to].name;
    if (from == to)
        builder_fail(b, trncclInvalidArgument, "box %s: a link from %s to itself",
                     b->box.name, a);
    if ((int)kind < 0 || kind >= TOPO_LINK_NKINDS)
        builder_fail(b, trncclInvalidArgument, "box %s: link kind %d, of %d", b->box.name,
                     (int)kind, TOPO_LINK_NKINDS);
    if (dim < -1 || dim >= TOPO_MAX_DIMS || (dim >= 0 && step != 1 && step != -1))
        builder_fail(b, trncclInvalidArgument,
                     "box %s: link %s - %s along dimension %d, step %d", b->box.name, a,
                     c, dim, step);
    if (!isfinite(bw_gbps) || bw_gbps <= 0 || !isfinite(latency_us) || latency_us < 0)
        builder_fail(b, trncclInvalidArgument,
                     "box %s: link %s - %s has %g GB/s and %g us, expected more than 0 "
                     "and at least 0",
                     b->box.name, a, c, bw_gbps, latency_us);
    if (b->result != trncclSuccess)
        return;
    b->links[b->box.nlinks++] = (struct topo_link){
        .from = from,
        .to = to,
        .kind = (uint8_t)kind,
        .dim = (int8_t)dim,
        .step = (int8_t)(dim < 0 ? 0 : step),
        .bw_gbps = bw_gbps,
        .latency_us = latency_us + 0.0, /* no negative zero: bits are hashed */
    };
}

void topo_add_link(struct topo_builder *b, int32_t a, int32_t c, enum topo_link_kind kind,
                   int dim, int step, double bw_gbps, double latency_us)
{
    topo_add_link_oneway(b, a, c, kind, dim, step, bw_gbps, latency_us);
    topo_add_link_oneway(b, c, a, kind, dim, -step, bw_gbps, latency_us);
}

void topo_add_seat(struct topo_builder *b, int32_t core, int32_t nic)
{
    if (!builder_room(b, (void **)&b->seats, &b->seats_cap, b->box.nseats,
                      sizeof *b->seats, MAX_VERTICES) ||
        !builder_vertex_is(b, core, "the core of a seat") ||
        (nic != -1 && !builder_vertex_is(b, nic, "the NIC of a seat")))
        return;
    const struct topo_vertex *v = &b->vertices[core];
    if (v->kind != TOPO_CORE || v->chip < 0)
        builder_fail(b, trncclInvalidArgument,
                     "box %s: a seat on %s, expected a core that belongs to a chip",
                     b->box.name, v->name);
    else if (nic != -1 && b->vertices[nic].kind != TOPO_NIC)
        builder_fail(b, trncclInvalidArgument,
                     "box %s: %s serves the seat on %s, expected a NIC", b->box.name,
                     b->vertices[nic].name, v->name);
    else
        b->seats[b->box.nseats++] =
            (struct topo_seat){.core = core, .chip = v->chip, .nic = nic};
}

void topo_set_name(struct topo_builder *b, int32_t vertex, const char *name)
{
    if (!builder_vertex_is(b, vertex, "the vertex to name"))
        return;
    struct topo_vertex *v = &b->vertices[vertex];
    if (!box_name_valid(name, sizeof v->name - 1))
        builder_fail(b, trncclInvalidArgument,
                     "box %s: the name of %s, expected 1 to 23 printable characters "
                     "without quotes",
                     b->box.name, v->name);
    else
        snprintf(v->name, sizeof v->name, "%s", name);
}

void topo_set_nic_rate(struct topo_builder *b, int32_t nic, double bw_gbps)
{
    if (!builder_vertex_is(b, nic, "the NIC with a rate"))
        return;
    struct topo_vertex *v = &b->vertices[nic];
    if (v->kind != TOPO_NIC || !isfinite(bw_gbps) || bw_gbps <= 0)
        builder_fail(b, trncclInvalidArgument,
                     "box %s: %s gets a rate of %g GB/s, expected a NIC and more than 0",
                     b->box.name, v->name, bw_gbps);
    else
        v->bw_gbps = bw_gbps;
}

void topo_set_torus(struct topo_builder *b, int32_t ndims, const int32_t *dims)
{
    if (ndims < 0 || ndims > TOPO_MAX_DIMS) {
        builder_fail(b, trncclInvalidArgument,
                     "box %s: a torus of %d dimensions, expected 0 to %d", b->box.name,
                     (int)ndims, TOPO_MAX_DIMS);
        return;
    }
    memset(b->box.dims, 0, sizeof b->box.dims);
    b->box.ndims = ndims;
    for (int32_t d = 0; d < ndims; d++)
        b->box.dims[d] = dims[d];
}

void topo_set_costs(struct topo_builder *b, const struct topo_costs *costs)
{
    b->box.costs = *costs;
}

void topo_set_provisional(struct topo_builder *b)
{
    b->box.provisional = true;
}

/* ---- freezing ---- */

static int link_compare(const void *p, const void *q)
{
    const struct topo_link *a = p, *b = q;
    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    if (a->to != b->to)
        return a->to < b->to ? -1 : 1;
    if (a->dim != b->dim)
        return a->dim - b->dim;
    if (a->step != b->step)
        return b->step - a->step;
    if (a->kind != b->kind)
        return a->kind - b->kind;
    return (a->bw_gbps < b->bw_gbps) - (a->bw_gbps > b->bw_gbps);
}

/* Sorts the links and fills first_link, chips and nics. */
static trncclResult_t builder_index(struct topo_builder *b)
{
    struct topo_box *box = &b->box;
    box->nchips = b->nof[TOPO_CHIP];
    box->nnics = b->nof[TOPO_NIC];
    int32_t *first_link = calloc((size_t)box->nvertices + 1, sizeof *first_link);
    int32_t *chips = calloc((size_t)box->nchips + 1, sizeof *chips);
    int32_t *nics = calloc((size_t)box->nnics + 1, sizeof *nics);
    box->first_link = first_link;
    box->chips = chips;
    box->nics = nics;
    if (first_link == NULL || chips == NULL || nics == NULL)
        return error_set(trncclSystemError, "box %s: no memory", box->name);
    if (box->nlinks > 0)
        qsort(b->links, (size_t)box->nlinks, sizeof *b->links, link_compare);
    for (int32_t l = 0; l < box->nlinks; l++)
        first_link[b->links[l].from + 1]++;
    for (int32_t v = 0; v < box->nvertices; v++) {
        first_link[v + 1] += first_link[v];
        if (b->vertices[v].kind == TOPO_CHIP)
            chips[b->vertices[v].index] = v;
        if (b->vertices[v].kind == TOPO_NIC)
            nics[b->vertices[v].index] = v;
    }
    for (int32_t i = 0; i < box->nnics; i++) {
        struct topo_vertex *nic = &b->vertices[nics[i]];
        if (nic->bw_gbps == 0)
            for (int32_t l = first_link[nics[i]]; l < first_link[nics[i] + 1]; l++)
                nic->bw_gbps = fmax(nic->bw_gbps, b->links[l].bw_gbps);
    }
    return trncclSuccess;
}

/* See struct topo_box. */
static int32_t builder_seats_per_chip(const struct topo_builder *b)
{
    int home = b->box.nchips > 0 ? TOPO_CHIP : TOPO_MEMORY;
    int32_t nhomes = b->nof[home];
    if (nhomes == 0 || b->box.nseats % nhomes != 0)
        return 0;
    int32_t each = b->box.nseats / nhomes;
    for (int32_t s = 0; s < b->box.nseats; s++) {
        const struct topo_vertex *chip = &b->vertices[b->seats[s].chip];
        if (chip->kind != home || chip->index != s / each)
            return 0;
    }
    return each;
}

trncclResult_t topo_box_finish(struct topo_builder *b, const struct topo_box **out)
{
    if (b->result != trncclSuccess)
        return error_set(b->result, "%s", b->fault);
    struct box_owned *owned = calloc(1, sizeof *owned);
    if (owned == NULL)
        return error_set(trncclSystemError, "box %s: no memory", b->box.name);
    trncclResult_t result = builder_index(b);
    if (result == trncclSuccess)
        b->box.seats_per_chip = builder_seats_per_chip(b);
    owned->box = b->box;
    owned->box.vertices = b->vertices;
    owned->box.links = b->links;
    owned->box.seats = b->seats;
    b->vertices = NULL;
    b->links = NULL;
    b->seats = NULL;
    builder_fail(b, trncclInvalidUsage, "box %s: its builder is spent", b->box.name);
    if (result == trncclSuccess)
        result = box_check(&owned->box);
    if (result != trncclSuccess) {
        box_fini(&owned->box);
        free(owned);
        return result;
    }
    owned->hash = box_hash(&owned->box);
    owned->references = 1;
    *out = &owned->box;
    return trncclSuccess;
}
