#include "topo/reach.h"

#include <stdlib.h>

trncclResult_t reach_from(const struct topo_box *box, const double *factor, int32_t from,
                          int32_t *distance)
{
    int32_t *queue = calloc((size_t)box->nvertices, sizeof *queue);
    if (queue == NULL)
        return error_set(trncclSystemError, "no memory to search box %s", box->name);
    for (int32_t v = 0; v < box->nvertices; v++)
        distance[v] = -1;
    int32_t head = 0, tail = 0;
    distance[from] = 0;
    queue[tail++] = from;
    while (head < tail) {
        int32_t v = queue[head++];
        if (v != from && !reach_forwards(box, v))
            continue;
        for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++) {
            int32_t to = box->links[l].to;
            if ((factor == NULL || factor[l] > 0) && distance[to] < 0) {
                distance[to] = distance[v] + 1;
                queue[tail++] = to;
            }
        }
    }
    free(queue);
    return trncclSuccess;
}

/* Marks what reaches vertex `to`: the same search against the links, by relaxation until
 * nothing changes, which takes as many passes as the longest way is long. */
static void reach_back(const struct topo_box *box, const double *factor, int32_t to,
                       bool *reaches)
{
    reaches[to] = true;
    for (bool changed = true; changed;) {
        changed = false;
        for (int32_t l = 0; l < box->nlinks; l++) {
            const struct topo_link *link = &box->links[l];
            if ((factor != NULL && factor[l] == 0) || reaches[link->from] ||
                !reaches[link->to] || (link->to != to && !reach_forwards(box, link->to)))
                continue;
            reaches[link->from] = true;
            changed = true;
        }
    }
}

trncclResult_t reach_check(const struct topo_box *box, const double *factor,
                           const bool *kept)
{
    int32_t *distance = calloc((size_t)box->nvertices, sizeof *distance);
    bool *reaches = calloc((size_t)box->nvertices, sizeof *reaches);
    trncclResult_t result = trncclSuccess;
    if (distance == NULL || reaches == NULL)
        result = error_set(trncclSystemError, "no memory to search box %s", box->name);
    int32_t first = -1;
    for (int32_t s = 0; s < box->nseats && result == trncclSuccess; s++) {
        if (kept != NULL && !kept[s])
            continue;
        if (first < 0) {
            first = s;
            result = reach_from(box, factor, box->seats[s].chip, distance);
            if (result == trncclSuccess)
                reach_back(box, factor, box->seats[s].chip, reaches);
        } else if (distance[box->seats[s].chip] < 0 || !reaches[box->seats[s].chip]) {
            result = error_set(trncclInvalidArgument,
                               "box %s: %s and %s do not reach each other", box->name,
                               box->vertices[box->seats[first].core].name,
                               box->vertices[box->seats[s].core].name);
        }
    }
    free(distance);
    free(reaches);
    return result;
}
