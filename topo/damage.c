#include "topo/damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/reach.h"

/* ---- saying it ---- */

void topo_damage_fini(struct topo_damage *d)
{
    free(d->dead);
    free(d->links);
    free(d->no_nics);
    free(d->kept);
    *d = (struct topo_damage){0};
}

static trncclResult_t range_add(struct topo_range **ranges, int32_t *n, int32_t first,
                                int32_t last)
{
    struct topo_range *larger = reallocarray(*ranges, (size_t)*n + 1, sizeof *larger);
    if (larger == NULL)
        return error_set(trncclSystemError, "no memory for damage");
    *ranges = larger;
    larger[(*n)++] = (struct topo_range){first, last};
    return trncclSuccess;
}

trncclResult_t topo_damage_chips(struct topo_damage *d, int32_t first, int32_t last)
{
    return range_add(&d->dead, &d->ndead, first, last);
}

trncclResult_t topo_damage_nics(struct topo_damage *d, int32_t first, int32_t last)
{
    return range_add(&d->no_nics, &d->nno_nics, first, last);
}

trncclResult_t topo_damage_keep(struct topo_damage *d, int32_t first, int32_t last)
{
    return range_add(&d->kept, &d->nkept, first, last);
}

trncclResult_t topo_damage_link(struct topo_damage *d, struct topo_end a,
                                struct topo_end b, double factor)
{
    struct topo_damage_link *larger =
        reallocarray(d->links, (size_t)d->nlinks + 1, sizeof *larger);
    if (larger == NULL)
        return error_set(trncclSystemError, "no memory for damage");
    d->links = larger;
    larger[d->nlinks++] = (struct topo_damage_link){a, b, factor};
    return trncclSuccess;
}

trncclResult_t topo_damage_merge(struct topo_damage *d, const struct topo_damage *from)
{
    for (int32_t i = 0; i < from->ndead; i++)
        TRY(topo_damage_chips(d, from->dead[i].first, from->dead[i].last));
    for (int32_t i = 0; i < from->nlinks; i++)
        TRY(topo_damage_link(d, from->links[i].a, from->links[i].b,
                             from->links[i].factor));
    for (int32_t i = 0; i < from->nno_nics; i++)
        TRY(topo_damage_nics(d, from->no_nics[i].first, from->no_nics[i].last));
    for (int32_t i = 0; i < from->nkept; i++)
        TRY(topo_damage_keep(d, from->kept[i].first, from->kept[i].last));
    return trncclSuccess;
}

bool topo_damage_none(const struct topo_damage *d)
{
    return d->ndead + d->nlinks + d->nno_nics + d->nkept == 0;
}

/* ---- doing it ---- */

struct patient {
    const struct topo_box *box;
    bool *gone;     /* [nvertices] */
    double *factor; /* [nlinks] 0: gone */
    bool *kept;     /* [nseats] */
    int32_t *nic;   /* [nseats] that serves the seat from now on, or -1 */
    int32_t *moved; /* [nvertices] vertex in the new box, -1: gone */
    bool torus;     /* still */
};

static void patient_fini(struct patient *p)
{
    free(p->gone);
    free(p->factor);
    free(p->kept);
    free(p->nic);
    free(p->moved);
}

static trncclResult_t patient_init(struct patient *p, const struct topo_box *box)
{
    *p = (struct patient){.box = box, .torus = true};
    p->gone = calloc((size_t)box->nvertices, sizeof *p->gone);
    p->factor = calloc((size_t)box->nlinks + 1, sizeof *p->factor);
    p->kept = calloc((size_t)box->nseats, sizeof *p->kept);
    p->nic = calloc((size_t)box->nseats, sizeof *p->nic);
    p->moved = calloc((size_t)box->nvertices, sizeof *p->moved);
    if (!p->gone || !p->factor || !p->kept || !p->nic || !p->moved) {
        patient_fini(p);
        return error_set(trncclSystemError, "no memory for the damaged box %s",
                         box->name);
    }
    for (int32_t l = 0; l < box->nlinks; l++)
        p->factor[l] = 1;
    for (int32_t s = 0; s < box->nseats; s++)
        p->nic[s] = box->seats[s].nic;
    return trncclSuccess;
}

static trncclResult_t check_range(const struct topo_box *box,
                                  const struct topo_range *range, const char *what,
                                  int32_t n)
{
    if (range->first < 0 || range->first > range->last || range->last >= n)
        return error_set(trncclInvalidArgument,
                         "box %s has no %s %d to %d: there are %d, from 0", box->name,
                         what, (int)range->first, (int)range->last, (int)n);
    return trncclSuccess;
}

/* Vertex number `index` of a kind, or -1. */
static int32_t vertex_of(const struct topo_box *box, struct topo_end end)
{
    for (int32_t v = 0; v < box->nvertices; v++)
        if (box->vertices[v].kind == end.kind && box->vertices[v].index == end.index)
            return v;
    return -1;
}

static trncclResult_t strike_link(struct patient *p,
                                  const struct topo_damage_link *damage)
{
    const struct topo_box *box = p->box;
    int32_t a = vertex_of(box, damage->a), b = vertex_of(box, damage->b), n = 0;
    static const char *const kinds[TOPO_NKINDS] = {
        [TOPO_CHIP] = "chip", [TOPO_SWITCH] = "switch", [TOPO_MEMORY] = "memory"};
    if (!(damage->factor >= 0 && damage->factor <= 1))
        return error_set(trncclInvalidArgument,
                         "a link's rate times %g, expected 0 (dead) to 1",
                         damage->factor);
    for (int32_t l = 0; a >= 0 && b >= 0 && l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        if ((link->from == a && link->to == b) || (link->from == b && link->to == a)) {
            p->factor[l] *= damage->factor;
            n++;
        }
    }
    if (n == 0)
        return error_set(trncclInvalidArgument, "box %s has no link %s %d - %s %d",
                         box->name, kinds[damage->a.kind], (int)damage->a.index,
                         kinds[damage->b.kind], (int)damage->b.index);
    if (damage->factor != 1)
        p->torus = false;
    return trncclSuccess;
}

/* What hangs on something that is gone: cores on chips, links on both, NICs on links. */
static void strike_dependents(struct patient *p)
{
    const struct topo_box *box = p->box;
    for (int32_t v = 0; v < box->nvertices; v++)
        if (box->vertices[v].kind == TOPO_CORE && box->vertices[v].chip >= 0 &&
            p->gone[box->vertices[v].chip])
            p->gone[v] = true;
    for (int32_t l = 0; l < box->nlinks; l++)
        if (p->gone[box->links[l].from] || p->gone[box->links[l].to])
            p->factor[l] = 0;
    for (int32_t i = 0; i < box->nnics; i++) {
        int32_t nic = box->nics[i], had = box->first_link[nic + 1] - box->first_link[nic];
        int32_t has = 0;
        for (int32_t l = box->first_link[nic]; l < box->first_link[nic + 1]; l++)
            has += p->factor[l] > 0;
        if (had > 0 && has == 0)
            p->gone[nic] = true;
    }
}

static trncclResult_t strike(struct patient *p, const struct topo_damage *d)
{
    const struct topo_box *box = p->box;
    for (int32_t i = 0; i < d->ndead; i++) {
        TRY(check_range(box, &d->dead[i], "chip", box->nchips));
        for (int32_t c = d->dead[i].first; c <= d->dead[i].last; c++)
            p->gone[box->chips[c]] = true;
        p->torus = false;
    }
    for (int32_t i = 0; i < d->nno_nics; i++) {
        TRY(check_range(box, &d->no_nics[i], "NIC", box->nnics));
        for (int32_t n = d->no_nics[i].first; n <= d->no_nics[i].last; n++)
            p->gone[box->nics[n]] = true;
    }
    for (int32_t i = 0; i < d->nlinks; i++)
        TRY(strike_link(p, &d->links[i]));
    for (int32_t i = 0; i < d->nkept; i++) {
        TRY(check_range(box, &d->kept[i], "rank", box->nseats));
        for (int32_t s = d->kept[i].first; s <= d->kept[i].last; s++)
            p->kept[s] = true;
    }
    strike_dependents(p);
    int32_t nseats = 0;
    for (int32_t s = 0; s < box->nseats; s++) {
        p->kept[s] = (d->nkept == 0 || p->kept[s]) && !p->gone[box->seats[s].core];
        nseats += p->kept[s];
    }
    if (nseats == 0)
        return error_set(trncclInvalidArgument, "box %s: no rank is left", box->name);
    return trncclSuccess;
}

/* Nearest first, then fewest seats, then lowest number. */
static void choose_nic(struct patient *p, int32_t seat, const int32_t *distance,
                       int32_t *nserved)
{
    const struct topo_box *box = p->box;
    int32_t best = -1;
    for (int32_t i = 0; i < box->nnics; i++) {
        int32_t nic = box->nics[i];
        if (p->gone[nic] || distance[nic] < 0)
            continue;
        if (best < 0 || distance[nic] < distance[best] ||
            (distance[nic] == distance[best] && nserved[nic] < nserved[best]))
            best = nic;
    }
    p->nic[seat] = best;
    if (best >= 0)
        nserved[best]++;
}

/* Seats that lost their NIC get another; seats that cannot reach each other are an error.
 */
static trncclResult_t settle(struct patient *p)
{
    const struct topo_box *box = p->box;
    int32_t *distance = calloc((size_t)box->nvertices, sizeof *distance);
    int32_t *nserved = calloc((size_t)box->nvertices, sizeof *nserved);
    trncclResult_t result = trncclSuccess;
    if (distance == NULL || nserved == NULL)
        result =
            error_set(trncclSystemError, "no memory for the damaged box %s", box->name);
    for (int32_t s = 0; s < box->nseats && result == trncclSuccess; s++)
        if (p->kept[s] && p->nic[s] >= 0 && !p->gone[p->nic[s]])
            nserved[p->nic[s]]++;
    int32_t from = -1; /* what distance was last filled for */
    for (int32_t s = 0; s < box->nseats && result == trncclSuccess; s++) {
        int32_t chip = box->seats[s].chip;
        if (!p->kept[s] || p->nic[s] < 0 || !p->gone[p->nic[s]])
            continue;
        if (from != chip)
            result = reach_from(box, p->factor, chip, distance);
        from = chip;
        if (result == trncclSuccess)
            choose_nic(p, s, distance, nserved);
    }
    free(distance);
    free(nserved);
    return result == trncclSuccess ? reach_check(box, p->factor, p->kept) : result;
}

/* ---- the new box ---- */

/* The chip a vertex belongs to; a NIC whose chip is gone belongs to another it is linked
 * with. */
static int32_t owner_of(const struct patient *p, int32_t v)
{
    const struct topo_box *box = p->box;
    int32_t chip = box->vertices[v].chip;
    if (chip < 0 || !p->gone[chip])
        return chip < 0 ? -1 : p->moved[chip];
    for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++)
        if (p->factor[l] > 0 && box->vertices[box->links[l].to].kind == TOPO_CHIP)
            return p->moved[box->links[l].to];
    return -1;
}

static void rebuild_vertices(struct patient *p, struct topo_builder *b)
{
    const struct topo_box *box = p->box;
    for (int pass = 0; pass < 2; pass++) /* owners first: chips and memories */
        for (int32_t v = 0; v < box->nvertices; v++) {
            const struct topo_vertex *old = &box->vertices[v];
            bool owner = old->kind == TOPO_CHIP || old->kind == TOPO_MEMORY;
            if (owner != (pass == 0) || p->gone[v])
                continue;
            p->moved[v] = topo_add_vertex(b, (enum topo_kind)old->kind, old->instance,
                                          old->numa, owner ? -1 : owner_of(p, v));
            topo_set_name(b, p->moved[v], old->name);
            if (old->kind == TOPO_NIC)
                topo_set_nic_rate(b, p->moved[v], old->bw_gbps);
        }
}

static void rebuild(struct patient *p, struct topo_builder *b)
{
    const struct topo_box *box = p->box;
    rebuild_vertices(p, b);
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        if (p->factor[l] > 0)
            topo_add_link_oneway(b, p->moved[link->from], p->moved[link->to],
                                 (enum topo_link_kind)link->kind, link->dim, link->step,
                                 link->bw_gbps * p->factor[l], link->latency_us);
    }
    for (int32_t s = 0; s < box->nseats; s++)
        if (p->kept[s])
            topo_add_seat(b, p->moved[box->seats[s].core],
                          p->nic[s] < 0 ? -1 : p->moved[p->nic[s]]);
    if (p->torus)
        topo_set_torus(b, box->ndims, box->dims);
    if (box->provisional)
        topo_set_provisional(b);
    topo_set_costs(b, &box->costs);
}

trncclResult_t topo_damage_apply(const struct topo_box *box, const struct topo_damage *d,
                                 const struct topo_box **out)
{
    struct patient p;
    struct topo_builder *b = NULL;
    TRY(patient_init(&p, box));
    trncclResult_t result = strike(&p, d);
    if (result == trncclSuccess)
        result = settle(&p);
    if (result == trncclSuccess)
        result = topo_builder_create(box->name, &b);
    if (result == trncclSuccess) {
        rebuild(&p, b);
        result = topo_box_finish(b, out);
    }
    topo_builder_destroy(b);
    patient_fini(&p);
    return result;
}
