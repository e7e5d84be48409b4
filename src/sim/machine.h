/* The state of one simulation, shared by the files that advance it: run.c (time), lane.c
 * (steps), fifo.c and fair.c (links).
 *
 * A *lane* is one channel of one simulated rank. What happens at a time is an event; its
 * label orders simultaneous ones by kind, channel, round, step and place on the route,
 * and then by seat within the box: by nothing that differs between ranks that are
 * equivalent. */
#ifndef TRNCCL_SIM_MACHINE_H
#define TRNCCL_SIM_MACHINE_H

#include "sim/conns.h"
#include "sim/fold.h"
#include "sim/heap.h"
#include "sim/route.h"
#include "sim/sim.h"
#include "sim/slices.h"

struct fair;

enum event_kind {
    EVENT_ARRIVE, /* message: its last byte is there */
    EVENT_END,    /* lane: its step has ended */
    EVENT_LOAD,   /* lane: the collective begins */
    EVENT_SEND,   /* lane: the first byte of its step may leave */
    EVENT_HEAD,   /* message: its first byte is at its next server */
    EVENT_FLOW,   /* flow of fair.c: it ends, unless its rate has changed since */
};

enum lane_state { LANE_WAITS, LANE_RUNS, LANE_DONE };

struct lane {
    int32_t step, round; /* that it waits for or runs */
    int32_t nmissing;    /* conditions of the step that are not met */
    int32_t nflows;      /* SIM_FAIR: of the step, that have not ended */
    int32_t held;        /* SIM_FAIR: its messages that have left before its work ended, a
                            list, -1: none */
    int32_t after_step;  /* with `after` */
    int8_t after;        /* channel whose step it waits for, -1: none */
    uint8_t state;       /* enum lane_state */
    bool works;          /* SIM_FAIR: its work has not ended */
    double begin_us;     /* of the step */
};

struct message {
    int32_t lane; /* the sender's */
    int32_t conn;
    int32_t sender, receiver; /* ranks, as the sender sees them */
    int32_t step, round;
    int16_t channel, output, nhops;
    bool lent;
    int32_t next; /* in a list, -1: last */
    struct route_cursor at;
    uint64_t nbytes;
    double begin_us;
    double tail_us;    /* SIM_FIFO: when the last byte is where the first one is */
    double latency_us; /* SIM_FAIR: of the whole route */
};

struct server_use {
    double free_us; /* SIM_FIFO: from when on */
    uint64_t nbytes, nmessages;
};

struct machine {
    const struct sim_args *args;
    const struct sim_fold *fold; /* NULL: every rank is simulated */
    struct slices slices;
    struct routes routes;
    int32_t nlocal;  /* simulated ranks */
    int32_t *ranks;  /* [nlocal], owned */
    int32_t *locals; /* [nranks] index in `ranks` of each rank's representative, owned */
    int64_t *first_server; /* [nboxes] of its representative, in `servers`, owned */
    int64_t nservers;
    struct server_use *servers; /* [nservers], owned */
    double *core_free_us;       /* [nlocal], owned */
    struct lane *lanes;         /* [nlocal * nchannels], owned */
    struct message *messages;   /* [message_capacity], owned; names are indices */
    int32_t nmessages, message_capacity, free_message;
    struct conns conns;
    struct heap heap;
    struct fair *fair; /* owned; NULL: SIM_FIFO */
    double now_us, end_us;
    int64_t nleft; /* lanes that are not done */
    uint64_t nsent, nsteps, nbytes;
    uint64_t nevents;
};

/* ---- small things ---- */

static inline int32_t lane_rank(const struct machine *m, int32_t lane)
{
    return m->ranks[lane / m->args->source->nchannels];
}
static inline int32_t lane_channel(const struct machine *m, int32_t lane)
{
    return lane % m->args->source->nchannels;
}
static inline struct server_use *machine_server(const struct machine *m, int32_t box,
                                                int32_t server)
{
    return &m->servers[m->first_server[box] + server];
}
static inline const struct route_server *machine_server_class(const struct machine *m,
                                                              int32_t box, int32_t server)
{
    return &routes_kind(&m->routes, box)->servers[server];
}
static inline const struct topo_costs *machine_costs(const struct machine *m,
                                                     int32_t rank)
{
    return &routes_kind(&m->routes, m->routes.box[rank])->box->costs;
}
static inline int32_t machine_memory(const struct machine *m, int32_t rank)
{
    const struct routes *r = &m->routes;
    return routes_kind(r, r->box[rank])->memory[r->seat[rank]];
}

trncclResult_t machine_push_lane(struct machine *m, enum event_kind kind, double time_us,
                                 int32_t lane);
trncclResult_t machine_push_message(struct machine *m, enum event_kind kind,
                                    double time_us, int32_t message);
/* Takes a message from the pool: pointers to messages end here. */
trncclResult_t machine_message_take(struct machine *m, int32_t *message);
/* The message's last byte has arrived. */
trncclResult_t machine_message_arrive(struct machine *m, int32_t message);

/* ---- lanes (lane.c) ---- */

/* A step as its lane sees it in this round; refs are valid until the next one is read. */
struct lane_step {
    struct sched_step step;
    const struct sched_ref *refs;
    uint64_t nbytes;
};

/* Goes to the first step at or after lane->step that moves bytes, and waits for it. */
trncclResult_t lane_load(struct machine *m, int32_t lane);
/* One more condition of the lane's step is met. */
trncclResult_t lane_condition_met(struct machine *m, int32_t lane);
/* The first byte of the lane's step may leave now. */
trncclResult_t lane_send(struct machine *m, int32_t lane);
/* The lane's step ends now. */
trncclResult_t lane_end(struct machine *m, int32_t lane);
/* trncclInvalidUsage, with a rank, its step and what it waits for. */
trncclResult_t lane_deadlock(struct machine *m);

/* ---- what a step's own work is (work.c) ---- */

struct work {
    double core_us;       /* of the rank's core */
    double memory_nbytes; /* read and written in its chip's memory */
    bool lends;           /* its messages stay where they are until they are read */
};
struct work work_of_step(const struct machine *m, int32_t lane,
                         const struct lane_step *s);

/* ---- links (fifo.c) ---- */

/* The work takes its turn at core and memory. */
void fifo_work(struct machine *m, int32_t lane, const struct work *w, double *begin_us,
               double *end_us);
/* Sends a message whose bytes exist from begin_us to end_us. *left_us: when its last byte
 * has left. */
trncclResult_t fifo_send(struct machine *m, int32_t message, double begin_us,
                         double end_us, double *left_us);
trncclResult_t fifo_head(struct machine *m, int32_t message);

/* ---- links (fair.c) ---- */

trncclResult_t fair_create(struct machine *m);
void fair_destroy(struct fair *f); /* NULL is allowed */
trncclResult_t fair_work(struct machine *m, int32_t lane, const struct lane_step *s,
                         const struct work *w);
trncclResult_t fair_send(struct machine *m, int32_t message);
trncclResult_t fair_head(struct machine *m, int32_t message);
trncclResult_t fair_flow_end(struct machine *m, int32_t flow, uint32_t version);
/* Whether rates have to be computed anew before time goes on, and doing so. */
bool fair_is_dirty(const struct fair *f);
trncclResult_t fair_settle(struct machine *m);

#endif
