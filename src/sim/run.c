/* Time: takes events in their order until there are none. */
#include "sim/machine.h"

#include <stdlib.h>

/* ---- events ---- */

/* The seat within the box comes last; see machine.h. */
static uint64_t label(enum event_kind kind, int32_t channel, int32_t round, int32_t step,
                      int32_t seat)
{
    return (uint64_t)kind << 61 | (uint64_t)(channel & 0x1f) << 56 |
           (uint64_t)(round & 0xff) << 48 | (uint64_t)(step & 0x3ffff) << 30 |
           (uint64_t)(seat & 0x3fff);
}

trncclResult_t machine_push_lane(struct machine *m, enum event_kind kind, double time_us,
                                 int32_t lane)
{
    const struct lane *l = &m->lanes[lane];
    const struct heap_event event = {
        .time_us = time_us,
        .label = label(kind, lane_channel(m, lane), l->round, l->step,
                       m->routes.seat[lane_rank(m, lane)]),
        .id = lane,
    };
    return heap_push(&m->heap, &event);
}

trncclResult_t machine_push_message(struct machine *m, enum event_kind kind,
                                    double time_us, int32_t message)
{
    const struct message *x = &m->messages[message];
    const struct heap_event event = {
        .time_us = time_us,
        .label = label(kind, x->channel, x->round, x->step, m->routes.seat[x->sender]) |
                 (uint64_t)(x->output & 0x3ff) << 20 | (uint64_t)(x->nhops & 0x3f) << 14,
        .id = message,
    };
    return heap_push(&m->heap, &event);
}

static trncclResult_t event_handle(struct machine *m, const struct heap_event *e)
{
    m->now_us = e->time_us;
    m->nevents++;
    switch ((enum event_kind)(e->label >> 61)) {
    case EVENT_ARRIVE:
        return machine_message_arrive(m, e->id);
    case EVENT_END:
        return lane_end(m, e->id);
    case EVENT_LOAD:
        return lane_load(m, e->id);
    case EVENT_SEND:
        return lane_send(m, e->id);
    case EVENT_HEAD:
        return m->fair ? fair_head(m, e->id) : fifo_head(m, e->id);
    case EVENT_FLOW:
        return fair_flow_end(m, e->id, e->version);
    }
    return trncclInternalError;
}

static trncclResult_t machine_advance(struct machine *m)
{
    struct heap_event e;
    for (;;) {
        bool pause = m->heap.nevents == 0 || m->heap.events[0].time_us > m->now_us;
        if (m->fair && pause && fair_is_dirty(m->fair))
            TRY(fair_settle(m));
        else if (heap_pop(&m->heap, &e))
            TRY(event_handle(m, &e));
        else
            return m->nleft == 0 ? trncclSuccess : lane_deadlock(m);
    }
}

/* ---- messages ---- */

trncclResult_t machine_message_take(struct machine *m, int32_t *message)
{
    if (m->free_message >= 0) {
        *message = m->free_message;
        m->free_message = m->messages[*message].next;
        return trncclSuccess;
    }
    if (m->nmessages == m->message_capacity) {
        int32_t capacity = m->message_capacity ? 2 * m->message_capacity : 256;
        struct message *messages =
            realloc(m->messages, (size_t)capacity * sizeof *messages);
        if (!messages)
            return error_set(trncclSystemError, "out of memory: %d messages in flight",
                             capacity);
        m->messages = messages;
        m->message_capacity = capacity;
    }
    *message = m->nmessages++;
    return trncclSuccess;
}

static void trace_message(const struct machine *m, const struct message *x)
{
    const struct sim_event event = {
        .kind = SIM_MESSAGE,
        .rank = x->sender,
        .channel = x->channel,
        .step = x->step,
        .round = x->round,
        .peer = x->receiver,
        .nbytes = x->nbytes,
        .begin_us = x->begin_us,
        .end_us = m->now_us,
    };
    m->args->trace(m->args->trace_context, &event);
}

trncclResult_t machine_message_arrive(struct machine *m, int32_t message)
{
    struct message *x = &m->messages[message];
    if (m->args->trace)
        trace_message(m, x);
    struct conn *c = &m->conns.conns[x->conn];
    x->next = m->free_message;
    m->free_message = message;
    c->narrived++;
    if (!c->receiver_waits)
        return trncclSuccess;
    c->receiver_waits = false;
    return lane_condition_met(m, c->receiver * m->args->source->nchannels + c->channel);
}

/* ---- setting up ---- */

static trncclResult_t args_check(const struct sim_args *a)
{
    const struct sim_source *s = a->source;
    if (s->nranks < 1 || s->nchannels < 0 || s->shape.nsub < 1 || s->max_run < 1)
        return error_set(
            trncclInvalidArgument,
            "a source of %d ranks, %d channels, %d chunks per block and runs "
            "of %d; expected at least 1, 0, 1 and 1",
            s->nranks, s->nchannels, s->shape.nsub, s->max_run);
    if (a->credits < 1 || a->credits > CONN_MAX_CREDITS)
        return error_set(trncclInvalidArgument, "%d messages of credit; expected 1 to %d",
                         a->credits, CONN_MAX_CREDITS);
    if (a->elem_nbytes < 1)
        return error_set(trncclInvalidArgument,
                         "elements of 0 bytes; expected 1 or more");
    if (a->model->nboxes < 1)
        return error_set(trncclInvalidArgument, "model %s has no boxes", a->model->name);
    return trncclSuccess;
}

static trncclResult_t no_memory(const struct machine *m)
{
    return error_set(trncclSystemError,
                     "out of memory: a simulation of %d ranks with %d channels",
                     m->nlocal, m->args->source->nchannels);
}

/* Which ranks are simulated: one of each orbit, or all. */
static trncclResult_t locals_init(struct machine *m)
{
    const int32_t nranks = m->args->source->nranks;
    m->ranks = malloc((size_t)nranks * sizeof *m->ranks);
    m->locals = malloc((size_t)nranks * sizeof *m->locals);
    if (!m->ranks || !m->locals)
        return no_memory(m);
    for (int32_t i = 0; i < nranks; i++)
        if (!m->fold || fold_representative(m->fold, i) == i) {
            m->locals[i] = m->nlocal;
            m->ranks[m->nlocal++] = i;
        }
    for (int32_t i = 0; m->fold && i < nranks; i++)
        m->locals[i] = m->locals[fold_representative(m->fold, i)];
    return trncclSuccess;
}

/* Servers exist for the boxes of simulated ranks; other boxes name those. */
static trncclResult_t servers_init(struct machine *m)
{
    const int32_t nboxes = m->args->model->nboxes;
    m->first_server = malloc((size_t)nboxes * sizeof *m->first_server);
    if (!m->first_server)
        return no_memory(m);
    for (int32_t b = 0; b < nboxes; b++)
        if (!m->fold || fold_representative_box(m->fold, b) == b) {
            m->first_server[b] = m->nservers;
            m->nservers += routes_kind(&m->routes, b)->nservers;
        }
    for (int32_t b = 0; m->fold && b < nboxes; b++)
        m->first_server[b] = m->first_server[fold_representative_box(m->fold, b)];
    m->servers = calloc((size_t)m->nservers + 1, sizeof *m->servers);
    return m->servers ? trncclSuccess : no_memory(m);
}

static trncclResult_t lanes_init(struct machine *m)
{
    const int32_t nlanes = m->nlocal * m->args->source->nchannels;
    m->core_free_us = calloc((size_t)m->nlocal + 1, sizeof *m->core_free_us);
    m->lanes = calloc((size_t)nlanes + 1, sizeof *m->lanes);
    if (!m->core_free_us || !m->lanes)
        return no_memory(m);
    m->nleft = nlanes;
    for (int32_t i = 0; i < nlanes; i++) {
        m->lanes[i].after = -1;
        m->lanes[i].held = -1;
        double launch = machine_costs(m, lane_rank(m, i))->launch_us;
        m->end_us = launch > m->end_us ? launch : m->end_us;
        TRY(machine_push_lane(m, EVENT_LOAD, launch, i));
    }
    return trncclSuccess;
}

static trncclResult_t machine_init(struct machine *m)
{
    TRY(args_check(m->args));
    TRY(slices_init(&m->slices, m->args));
    TRY(routes_init(&m->routes, m->args->model, m->args->seats, m->args->source->nranks));
    TRY(locals_init(m));
    TRY(servers_init(m));
    TRY(conns_init(&m->conns));
    if (m->args->links == SIM_FAIR)
        TRY(fair_create(m));
    return lanes_init(m);
}

static void machine_fini(struct machine *m)
{
    fair_destroy(m->fair);
    heap_fini(&m->heap);
    conns_fini(&m->conns);
    routes_fini(&m->routes);
    free(m->ranks);
    free(m->locals);
    free(m->first_server);
    free(m->servers);
    free(m->core_free_us);
    free(m->lanes);
    free(m->messages);
}

/* ---- what came out ---- */

static struct sim_link_use link_use(const struct machine *m, int32_t box, int32_t server)
{
    const struct route_kind *k = routes_kind(&m->routes, box);
    const struct server_use *u = machine_server(m, box, server);
    const int32_t nic = (server - k->box->nlinks) / 2;
    const bool is_link = server < k->box->nlinks;
    return (struct sim_link_use){
        .box = box,
        .link = is_link ? server : -1,
        .nic = is_link ? -1 : nic,
        .outward = !is_link && (server - k->box->nlinks) % 2 == 0,
        .nbytes = u->nbytes,
        .busy_us = (double)u->nbytes / k->servers[server].bytes_per_us +
                   (double)u->nmessages * k->servers[server].setup_us,
    };
}

static void links_report(const struct machine *m, struct sim_result *out)
{
    out->binding = (struct sim_link_use){.box = -1, .link = -1, .nic = -1};
    for (int32_t b = 0; b < m->args->model->nboxes; b++) {
        if (m->fold && fold_representative_box(m->fold, b) != b)
            continue;
        const struct route_kind *k = routes_kind(&m->routes, b);
        for (int32_t s = 0; s < k->nservers - k->nmemories; s++) {
            if (machine_server(m, b, s)->nbytes == 0)
                continue;
            const struct sim_link_use use = link_use(m, b, s);
            if (m->args->link_use)
                m->args->link_use(m->args->trace_context, &use);
            if (use.busy_us > out->binding.busy_us)
                out->binding = use;
        }
    }
}

static void machine_report(const struct machine *m, struct sim_result *out)
{
    const uint64_t copies = m->fold ? (uint64_t)fold_size(m->fold) : 1;
    *out = (struct sim_result){
        .time_us = m->end_us,
        .nmessages = m->nsent * copies,
        .nsteps = m->nsteps * copies,
        .nbytes = m->nbytes * copies,
        .nevents = m->nevents,
    };
    links_report(m, out);
}

static trncclResult_t run(const struct sim_args *args, const struct sim_fold *fold,
                          struct sim_result *out)
{
    struct machine m = {.args = args, .fold = fold, .free_message = -1};
    trncclResult_t result = machine_init(&m);
    if (result == trncclSuccess)
        result = machine_advance(&m);
    if (result == trncclSuccess)
        machine_report(&m, out);
    machine_fini(&m);
    return result;
}

trncclResult_t sim_run(const struct sim_args *args, struct sim_result *out)
{
    return run(args, NULL, out);
}

trncclResult_t sim_run_folded(const struct sim_args *args, const struct sim_fold *fold,
                              struct sim_result *out)
{
    if (args->links != SIM_FIFO)
        return error_set(trncclInvalidArgument,
                         "folding with fair links; expected FIFO links");
    if (fold_nranks(fold) != args->source->nranks)
        return error_set(trncclInvalidArgument,
                         "symmetries of %d ranks for a source of %d", fold_nranks(fold),
                         args->source->nranks);
    return run(args, fold, out);
}
