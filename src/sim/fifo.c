/* Links as servers that take messages in the order in which their first bytes arrive.
 *
 * A message holds each server of its route for bytes / bandwidth, from max(its first byte
 * arrives, the server is free) on. The first byte moves on after the latency
 * (cut-through) and the last byte arrives at the largest of the servers' ends plus the
 * latencies behind them. Queues between servers are unlimited: a message that waits on
 * its way does not hold the links behind it, and its sender is done when the last byte
 * could leave at the rate of the route's slowest link.
 *
 * Without sharing this is max-plus algebra, in which nothing gets later when something
 * gets faster. With it, it is not: a faster link may let a message in front of another
 * that matters more (Graham, Bounds on multiprocessing timing anomalies, SIAM J. Appl.
 * Math. 17, 1969). What does hold: times scale with all bandwidths and latencies, and
 * where each link serves one connection a faster link makes nothing later. */
#include "sim/machine.h"

static inline double later(double a, double b)
{
    return a > b ? a : b;
}

void fifo_work(struct machine *m, int32_t lane, const struct work *w, double *begin_us,
               double *end_us)
{
    const int32_t rank = lane_rank(m, lane);
    double *core = &m->core_free_us[lane / m->args->source->nchannels];
    double begin = m->now_us, memory_us = 0;
    struct server_use *memory = NULL;
    if (w->memory_nbytes > 0) {
        int32_t server = machine_memory(m, rank), box = m->routes.box[rank];
        memory = machine_server(m, box, server);
        memory_us = w->memory_nbytes / machine_server_class(m, box, server)->bytes_per_us;
        begin = later(begin, memory->free_us);
        memory->nbytes += (uint64_t)w->memory_nbytes;
    }
    if (w->core_us > 0) {
        begin = later(begin, *core);
        *core = begin + w->core_us;
    }
    if (memory)
        memory->free_us = begin + memory_us;
    *begin_us = begin;
    *end_us = begin + later(w->core_us, memory_us);
}

/* Passes the message's head through its next server, at which it arrives at head_us.
 * Returns when it is behind it. False: there is no server left. */
static inline bool head_pass(struct machine *m, struct message *x, double *head_us,
                             double *begin_us)
{
    int32_t box, server;
    if (!routes_next(&m->routes, &x->at, &box, &server)) {
        /* The last of all is the memory it is written to; once. */
        if (x->lent)
            return false;
        x->lent = true;
        box = m->routes.box[x->receiver];
        server = machine_memory(m, x->receiver);
    }
    const struct route_server *class = machine_server_class(m, box, server);
    struct server_use *use = machine_server(m, box, server);
    double begin = later(*head_us, use->free_us) + class->setup_us;
    double end = begin + (double)x->nbytes / class->bytes_per_us;
    use->free_us = end;
    use->nbytes += x->nbytes;
    use->nmessages++;
    x->tail_us = later(x->tail_us, end) + class->latency_us;
    x->nhops++;
    *begin_us = begin;
    *head_us = begin + class->latency_us;
    return true;
}

/* Goes on while no time passes. */
static trncclResult_t head_move(struct machine *m, int32_t message, double head_us)
{
    struct message *x = &m->messages[message];
    double begin;
    while (head_us <= m->now_us)
        if (!head_pass(m, x, &head_us, &begin))
            return machine_push_message(m, EVENT_ARRIVE, x->tail_us, message);
    return machine_push_message(m, EVENT_HEAD, head_us, message);
}

trncclResult_t fifo_send(struct machine *m, int32_t message, double begin_us,
                         double end_us, double *left_us)
{
    struct message *x = &m->messages[message];
    struct route_sum route;
    TRY(routes_sum(&m->routes, x->sender, x->receiver, &route));
    double head = begin_us, begin = begin_us;
    x->tail_us = end_us;
    if (route.nlinks > 0)
        head_pass(m, x, &head, &begin);
    *left_us = later(end_us, begin + (double)x->nbytes / route.bytes_per_us);
    return head_move(m, message, head);
}

trncclResult_t fifo_head(struct machine *m, int32_t message)
{
    return head_move(m, message, m->now_us);
}
