#include "topo/search_torus.h"

#include <inttypes.h>

#define MAX_CHIPS 65536

trncclResult_t search_torus_init(int32_t ndims, const int32_t *dims, const int32_t *rates,
                                 struct search_torus *out)
{
    if (ndims < 1 || ndims > SEARCH_MAX_DIMS)
        return error_set(trncclInvalidArgument,
                         "a torus must have 1 to %d dimensions, not %" PRId32,
                         SEARCH_MAX_DIMS, ndims);
    struct search_torus t = {.ndims = ndims, .nvertices = 1};
    for (int32_t d = 0; d < ndims; d++) {
        if (dims[d] < 1 || dims[d] > MAX_CHIPS / t.nvertices)
            return error_set(trncclInvalidArgument,
                             "dimension %" PRId32
                             " of a torus must have 1 or more chips, "
                             "%d in all, not %" PRId32,
                             d, MAX_CHIPS, dims[d]);
        if (rates && rates[d] < 1)
            return error_set(trncclInvalidArgument,
                             "dimension %" PRId32 " of a torus must have links of a "
                             "positive rate, not %" PRId32,
                             d, rates[d]);
        t.dims[d] = dims[d];
        t.rates[d] = rates ? rates[d] : 1;
        t.strides[d] = t.nvertices;
        t.nvertices *= dims[d];
    }
    *out = t;
    return trncclSuccess;
}

trncclResult_t search_torus_graph(const struct search_torus *t, struct digraph **out)
{
    int32_t links = 0;
    for (int32_t d = 0; d < t->ndims; d++)
        if (t->dims[d] > 1)
            links += t->dims[d] > 2 ? t->nvertices : t->nvertices / 2;
    struct digraph *g;
    TRY(digraph_create(t->nvertices, 2 * links, &g));
    int32_t e = 0;
    for (int32_t v = 0; v < t->nvertices; v++)
        for (int32_t d = 0; d < t->ndims; d++) {
            int32_t x = search_torus_coordinate(t, v, d);
            if (t->dims[d] == 1 || (t->dims[d] == 2 && x == 1))
                continue;
            int32_t to = search_torus_move(t, v, d, 1);
            g->edges[e++] = (struct digraph_edge){v, to, t->rates[d]};
            g->edges[e++] = (struct digraph_edge){to, v, t->rates[d]};
        }
    *out = g;
    return trncclSuccess;
}
