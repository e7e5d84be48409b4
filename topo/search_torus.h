/* Tori by their numbers: vertex = mixed radix of the coordinates, the first dimension
 * fastest. */
#ifndef TRNCCL_TOPO_SEARCH_TORUS_H
#define TRNCCL_TOPO_SEARCH_TORUS_H

#include "topo/digraph.h"

#define SEARCH_MAX_DIMS 8

struct search_torus {
    int32_t ndims, nvertices;
    int32_t dims[SEARCH_MAX_DIMS], rates[SEARCH_MAX_DIMS];
    int32_t strides[SEARCH_MAX_DIMS]; /* what a step adds to the vertex's number */
};

/* Checks and completes.
 *   dims   [ndims] >= 1 chips in each dimension, at most 65,536 in all
 *   rates  [ndims] capacity of a link per direction, >= 1; NULL: 1 each
 * Returns trncclInvalidArgument with the dimension that is wrong. */
trncclResult_t search_torus_init(int32_t ndims, const int32_t *dims, const int32_t *rates,
                                 struct search_torus *out);
/* Both directions of every link; one link joins the two chips of a dimension of 2. */
trncclResult_t search_torus_graph(const struct search_torus *t, struct digraph **out);

static inline int32_t search_torus_coordinate(const struct search_torus *t, int32_t v,
                                              int32_t d)
{
    return v / t->strides[d] % t->dims[d];
}
/* The vertex `by` steps away along dimension d; -dims[d] <= by <= dims[d]. */
static inline int32_t search_torus_move(const struct search_torus *t, int32_t v,
                                        int32_t d, int32_t by)
{
    int32_t x = search_torus_coordinate(t, v, d), k = t->dims[d];
    return v + ((x + by + k) % k - x) * t->strides[d];
}
/* The vertex whose coordinates are the sums of those of two. */
static inline int32_t search_torus_add(const struct search_torus *t, int32_t v, int32_t w)
{
    for (int32_t d = 0; d < t->ndims; d++)
        v = search_torus_move(t, v, d, search_torus_coordinate(t, w, d));
    return v;
}
/* The vertex that added to w gives v. */
static inline int32_t search_torus_subtract(const struct search_torus *t, int32_t v,
                                            int32_t w)
{
    for (int32_t d = 0; d < t->ndims; d++)
        v = search_torus_move(t, v, d, -search_torus_coordinate(t, w, d));
    return v;
}

#endif
