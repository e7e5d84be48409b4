/* Hamiltonian cycles that share no link: rings for the largest messages.
 *
 * A ring is meant to be used in both directions at once. A set of rings whose weights
 * fill every link reaches the bandwidth bound. Chips joined by a switch are neighbours
 * too, each pair of them through the ports of both. */
#ifndef TRNCCL_TOPO_SEARCH_RING_H
#define TRNCCL_TOPO_SEARCH_RING_H

#include "topo/digraph.h"

struct search_rings {
    int32_t nvertices; /* of a cycle: the terminals */
    int32_t ncycles;   /* 0: none was found */
    int32_t *orders;   /* [ncycles][nvertices] vertices of the graph; owned */
    int64_t *weights;  /* [ncycles] capacity that a cycle takes of each of its links in
                          each direction, times `scale`; owned */
    int32_t scale; /* 1; 2 where half units are needed, since a chip's port to a switch
                      serves both neighbours of the chip */
};

void search_rings_destroy(struct search_rings *r); /* NULL is allowed */

/* k x k torus, k >= 3: two cycles that cover all links, weight 1.
 * Source: Bae and Bose, Edge disjoint Hamiltonian cycles in k-ary n-cubes and hypercubes,
 * IEEE Transactions on Computers 52, 2003. */
trncclResult_t search_rings_square(int32_t k, struct search_rings **out);

/* A torus of any dimensions. Where each dimension of more than 1 has at least 3, the
 * cycles cover all links, each link in as many cycles as its rate says (4x4x4 with rates
 * 2:2:1: five cycles, in two of which is every X and Y link, and in one every Z link):
 * one set of parallel cycles per unit of rate, then switches of opposite sides of squares
 * between two sets, annealed until each set is one cycle. That does not reach all: 2-D
 * tori of uneven rates (4x4 with 2:1) and dimensions of 2 are searched like any graph,
 * and if not all links could be covered, the heaviest set that was found is returned.
 *   dims, rates  as in search_torus_init; the rates, divided by their common factor, must
 *                sum to at most 16
 * The same arguments give the same cycles. Time: below 1 ms for 4x4x4 and 8x8x8; at most
 * about half a second where the links cannot be covered. */
trncclResult_t search_rings_torus(int32_t ndims, const int32_t *dims,
                                  const int32_t *rates, struct search_rings **out);

/* Work that search_rings_graph does at most where nothing else is asked for: vertices
 * looked at, about 10 ns each. */
#define SEARCH_RINGS_BUDGET INT64_C(4000000)

/* Any graph: cycles over its terminals one after another by rotation and extension, the
 * widest links first, from many beginnings; the set with the most weight is returned, and
 * it may be empty: not every graph has a cycle, and the search may miss one.
 *   max_cycles  >= 1
 *   budget      >= 0, see SEARCH_RINGS_BUDGET
 * Source: Posa, Hamiltonian circuits in random graphs, 1976 (rotation and extension). */
trncclResult_t search_rings_graph(const struct digraph *g, int32_t max_cycles,
                                  int64_t budget, struct search_rings **out);

#endif
