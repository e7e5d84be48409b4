/* What topo_box_finish promises of a box. */
#include "topo/box.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool box_name_valid(const char *name, size_t max)
{
    size_t n = strlen(name);
    if (n == 0 || n > max)
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            return false;
    return true;
}

static int name_compare(const void *p, const void *q)
{
    return strcmp(*(const char *const *)p, *(const char *const *)q);
}

static trncclResult_t check_names(const struct topo_box *box)
{
    const char **names = calloc((size_t)box->nvertices + 1, sizeof *names);
    if (names == NULL)
        return error_set(trncclSystemError, "box %s: no memory", box->name);
    for (int32_t v = 0; v < box->nvertices; v++)
        names[v] = box->vertices[v].name;
    qsort(names, (size_t)box->nvertices, sizeof *names, name_compare);
    trncclResult_t result = trncclSuccess;
    for (int32_t v = 1; v < box->nvertices && result == trncclSuccess; v++)
        if (strcmp(names[v - 1], names[v]) == 0)
            result = error_set(trncclInvalidArgument, "box %s: two vertices named '%s'",
                               box->name, names[v]);
    free(names);
    return result;
}

static bool linked(const struct topo_box *box, int32_t from, int32_t to)
{
    for (int32_t l = box->first_link[from]; l < box->first_link[from + 1]; l++)
        if (box->links[l].to == to)
            return true;
    return false;
}

/* A core talks to its own chip only, so that a route begins and ends in one way. */
static trncclResult_t check_links(const struct topo_box *box)
{
    for (int32_t l = 0; l < box->nlinks; l++) {
        const struct topo_link *link = &box->links[l];
        const struct topo_vertex *from = &box->vertices[link->from];
        const struct topo_vertex *to = &box->vertices[link->to];
        if ((from->kind == TOPO_CORE && from->chip != link->to) ||
            (to->kind == TOPO_CORE && to->chip != link->from))
            return error_set(trncclInvalidArgument,
                             "box %s: a link from %s to %s; a core is linked with the "
                             "chip it belongs to and nothing else",
                             box->name, from->name, to->name);
    }
    return trncclSuccess;
}

static trncclResult_t check_seats(const struct topo_box *box)
{
    bool *taken = calloc((size_t)box->nvertices + 1, sizeof *taken);
    if (taken == NULL)
        return error_set(trncclSystemError, "box %s: no memory", box->name);
    trncclResult_t result = trncclSuccess;
    for (int32_t s = 0; s < box->nseats && result == trncclSuccess; s++) {
        const struct topo_seat *seat = &box->seats[s];
        const char *core = box->vertices[seat->core].name;
        if (taken[seat->core])
            result = error_set(trncclInvalidArgument, "box %s: %s has two seats",
                               box->name, core);
        else if (!linked(box, seat->core, seat->chip) ||
                 !linked(box, seat->chip, seat->core))
            result = error_set(trncclInvalidArgument,
                               "box %s: %s is not linked with %s both ways", box->name,
                               core, box->vertices[seat->chip].name);
        taken[seat->core] = true;
    }
    free(taken);
    return result;
}

static trncclResult_t check_nics(const struct topo_box *box)
{
    for (int32_t i = 0; i < box->nnics; i++)
        if (!(box->vertices[box->nics[i]].bw_gbps > 0))
            return error_set(trncclInvalidArgument,
                             "box %s: %s has neither a rate nor a link from it",
                             box->name, box->vertices[box->nics[i]].name);
    return trncclSuccess;
}

static trncclResult_t check_costs(const struct topo_box *box)
{
    const struct topo_costs *c = &box->costs;
    const struct {
        const char *name;
        double value;
        bool positive;
    } costs[] = {
        {"step_us", c->step_us, false},        {"message_us", c->message_us, false},
        {"launch_us", c->launch_us, false},    {"copy_gbps", c->copy_gbps, true},
        {"reduce_gbps", c->reduce_gbps, true}, {"memory_gbps", c->memory_gbps, true},
    };
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++)
        if (!isfinite(costs[i].value) || costs[i].value < 0 ||
            (costs[i].positive && costs[i].value == 0))
            return error_set(trncclInvalidArgument, "box %s: cost %s is %g, expected %s",
                             box->name, costs[i].name, costs[i].value,
                             costs[i].positive ? "more than 0" : "at least 0");
    return trncclSuccess;
}

/* ---- torus ---- */

/* The chip `step` away along a dimension. */
static int32_t neighbour(const struct topo_box *box, int32_t chip, int dim, int step)
{
    int32_t stride = 1;
    for (int d = 0; d < dim; d++)
        stride *= box->dims[d];
    int32_t size = box->dims[dim], x = chip / stride % size;
    return chip + ((x + step + size) % size - x) * stride;
}

static trncclResult_t check_torus_link(const struct topo_box *box, int32_t l,
                                       double rate[TOPO_MAX_DIMS])
{
    const struct topo_link *link = &box->links[l];
    const struct topo_vertex *from = &box->vertices[link->from];
    const struct topo_vertex *to = &box->vertices[link->to];
    if (link->dim < 0)
        return trncclSuccess;
    if (link->dim >= box->ndims || from->kind != TOPO_CHIP || to->kind != TOPO_CHIP ||
        neighbour(box, from->index, link->dim, link->step) != to->index)
        return error_set(trncclInvalidArgument,
                         "box %s: link %s - %s is not step %d along dimension %d of its "
                         "torus",
                         box->name, from->name, to->name, link->step, link->dim);
    if (rate[link->dim] != 0 && rate[link->dim] != link->bw_gbps)
        return error_set(trncclInvalidArgument,
                         "box %s: link %s - %s has %g GB/s, others along dimension %d "
                         "%g; a box with uneven links is not a torus",
                         box->name, from->name, to->name, link->bw_gbps, link->dim,
                         rate[link->dim]);
    rate[link->dim] = link->bw_gbps;
    return trncclSuccess;
}

static bool torus_linked(const struct topo_box *box, int32_t chip, int dim, int32_t to)
{
    int32_t v = box->chips[chip];
    for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++)
        if (box->links[l].dim == dim && box->links[l].to == box->chips[to])
            return true;
    return false;
}

static trncclResult_t check_torus(const struct topo_box *box)
{
    if (box->ndims == 0)
        return trncclSuccess;
    int64_t product = 1;
    for (int d = 0; d < box->ndims; d++) {
        if (box->dims[d] < 2 || box->dims[d] > box->nchips)
            return error_set(trncclInvalidArgument,
                             "box %s: torus dimension %d has size %d, expected 2 to %d",
                             box->name, d, (int)box->dims[d], (int)box->nchips);
        product *= box->dims[d];
        if (product > box->nchips)
            break;
    }
    if (product != box->nchips)
        return error_set(trncclInvalidArgument,
                         "box %s: a torus of %lld chips or more, but %d are there",
                         box->name, (long long)product, (int)box->nchips);
    double rate[TOPO_MAX_DIMS] = {0};
    for (int32_t l = 0; l < box->nlinks; l++)
        TRY(check_torus_link(box, l, rate));
    for (int32_t chip = 0; chip < box->nchips; chip++)
        for (int d = 0; d < box->ndims; d++)
            for (int step = -1; step <= 1; step += 2)
                if (!torus_linked(box, chip, d, neighbour(box, chip, d, step)))
                    return error_set(
                        trncclInvalidArgument,
                        "box %s: the torus has no link from %s along dimension %d, step "
                        "%d",
                        box->name, box->vertices[box->chips[chip]].name, d, step);
    return trncclSuccess;
}

trncclResult_t box_check(const struct topo_box *box)
{
    if (box->nseats == 0)
        return error_set(trncclInvalidArgument, "box %s: no seat for any rank",
                         box->name);
    TRY(check_names(box));
    TRY(check_links(box));
    TRY(check_seats(box));
    TRY(check_nics(box));
    TRY(check_costs(box));
    return check_torus(box);
}
