/* Maximum flow, for whoever asks how much fits through a graph.
 *
 * A network is built arc by arc, run, reset or cleared and used again. Nothing here knows
 * of collectives; bounds are in topo/flow_bound.h. */
#ifndef TRNCCL_TOPO_FLOW_H
#define TRNCCL_TOPO_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

/* More than any sum of capacities that a graph may have. */
#define FLOW_INFINITE (INT64_MAX / 4)

struct flow;

/* Room for that many arcs. Thread: one user at a time. */
trncclResult_t flow_create(int32_t nvertices, int32_t max_arcs, struct flow **out);
void flow_destroy(struct flow *f); /* NULL is allowed */

void flow_clear(struct flow *f); /* no arcs again */
/* Returns the arc's number. from, to and the room are taken as valid (asserted).
 *   capacity  0 .. FLOW_INFINITE */
int32_t flow_add(struct flow *f, int32_t from, int32_t to, int64_t capacity);
/* Changes a capacity; the flow on every arc must be zero: before flow_run, or after
 * flow_reset. */
void flow_set(struct flow *f, int32_t arc, int64_t capacity);
void flow_reset(struct flow *f); /* every arc's flow is zero again */

/* The largest flow from source to sink, or `limit` if there is more; source != sink.
 * From zero, or on top of what is there since the last reset.
 * Source: Dinic, Algorithm for solution of a problem of maximum flow in networks with
 * power estimation, 1970. */
int64_t flow_run(struct flow *f, int32_t source, int32_t sink, int64_t limit);
int64_t flow_on(const struct flow *f, int32_t arc); /* what flow_run sent over it */
/* After a flow_run that did not meet its limit: the source's side of the smallest cut
 * that lies closest to the source. side  [nvertices] */
void flow_cut(struct flow *f, int32_t source, bool *side);

#endif
