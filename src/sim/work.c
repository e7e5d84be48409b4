/* What a step costs its own core and its chip's memory.
 *
 * Bytes that arrive are written to the receiver's memory while they arrive; that is the
 * last server of a message's route. A step then reads each of its inputs once, however
 * many outputs it has, and writes its local outputs; what has landed in the one local
 * output of a step that only stores is not moved again.
 *
 * A step that only passes on what lies in its memory, to ranks of its own chip and nobody
 * else, lends it: nothing is read or written until the receiver reads it there. That is
 * what lets several cores of a chip share one memory's bandwidth better than a plain ring
 * does: a pair of ranks that combine what both hold with one message from outside reads
 * three times and writes once, where two ring hops read four times and write twice. */
#include "sim/machine.h"

/* Bytes of GB/s in a microsecond. */
static double us_of(uint64_t nbytes, double gbps)
{
    return (double)nbytes / (gbps * 1e3);
}

static bool input_is_lent(const struct machine *m, int32_t lane, int32_t peer)
{
    int32_t rank = lane_rank(m, lane);
    if (!routes_same_chip(&m->routes, rank, peer))
        return false;
    int32_t conn = conns_find(&m->conns, peer, lane / m->args->source->nchannels,
                              lane_channel(m, lane));
    return conn >= 0 && m->conns.conns[conn].lent & 1;
}

/* Whether all outputs are messages to ranks of the own chip. */
static bool stays_on_chip(const struct machine *m, int32_t rank,
                          const struct lane_step *s)
{
    for (int i = s->step.nin; i < s->step.nin + s->step.nout; i++)
        if (s->refs[i].space != SCHED_PEER ||
            !routes_same_chip(&m->routes, rank, s->refs[i].index))
            return false;
    return true;
}

struct work work_of_step(const struct machine *m, int32_t lane, const struct lane_step *s)
{
    const int32_t rank = lane_rank(m, lane);
    const struct topo_costs *costs = machine_costs(m, rank);
    const int nin = s->step.nin, nout = s->step.nout;
    int nlocal = 0;
    for (int i = nin; i < nin + nout; i++)
        nlocal += s->refs[i].space != SCHED_PEER;
    if (nin > 1)
        return (struct work){
            .core_us = us_of(s->nbytes, costs->reduce_gbps),
            .memory_nbytes = (double)s->nbytes * (nin + nlocal),
        };
    bool there = s->refs[0].space != SCHED_PEER;
    if (there && stays_on_chip(m, rank, s))
        return (struct work){.lends = true};
    bool landed = !there && nlocal > 0 && !input_is_lent(m, lane, s->refs[0].index);
    if (landed && nout == 1)
        return (struct work){0};
    return (struct work){
        .core_us = us_of(s->nbytes, costs->copy_gbps),
        .memory_nbytes = (double)s->nbytes * (1 + nlocal - landed),
    };
}
