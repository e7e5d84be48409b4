/* Links that all messages in flight share by max-min fairness.
 *
 * Whatever moves bytes is a *flow*: a message over the servers of its route, and a step's
 * own work over its core and memory. A flow of rate r uses share * r of each of its
 * servers. Rates are the max-min fair ones: progressive filling raises all of them at
 * once and stops those whose server is full (Bertsekas and Gallager, Data Networks, 2nd
 * ed., 1992, 6.5.2). When flows begin or end, only the flows and servers that are
 * connected with them are computed anew, once for all changes at one time. */
#include "sim/machine.h"

#include <math.h>
#include <stdlib.h>

enum { NONE = -1 };

struct flow {
    int32_t message; /* whose bytes they are, or NONE: the work of `lane` */
    int32_t lane;
    int32_t first_use; /* of its uses; of the next free flow, if it is free */
    uint32_t version;  /* counts changes of its rate: older events are void */
    bool seen;         /* while a component is collected */
    double left;       /* bytes, at since_us */
    double rate;       /* bytes/us; 0: not known yet */
    double since_us;
};

/* A flow at a server. */
struct use {
    int32_t flow;
    int64_t server;
    double share;
    int32_t next;          /* of the flow, or of the free ones */
    int32_t before, after; /* of the server */
};

struct queue {
    int32_t first; /* its uses */
    bool dirty, seen;
    double capacity;     /* bytes/us, or 1 for a core */
    double left, shares; /* while filling: capacity, and sum of shares that still rise */
    int32_t nrising;
};

struct fair {
    struct queue *queues; /* [nqueues] servers, then cores of simulated ranks; owned */
    int64_t nqueues;
    struct flow *flows; /* owned; names are indices */
    int32_t nflows, flow_capacity, free_flow;
    struct use *uses; /* owned */
    int32_t nuses, use_capacity, free_use;
    int64_t *dirty, *found; /* [nqueues] lists, owned */
    int64_t ndirty, nfound;
    int32_t *members; /* [flow_capacity] flows of the component, owned */
    int32_t nmembers;
};

/* ---- storage ---- */

static trncclResult_t no_memory(void)
{
    return error_set(trncclSystemError, "out of memory: flows of a simulation");
}

static void capacities_fill(struct machine *m, struct fair *f)
{
    for (int64_t i = 0; i < f->nqueues; i++) {
        f->queues[i].first = NONE;
        f->queues[i].capacity = 1;
    }
    for (int32_t b = 0; b < m->args->model->nboxes; b++)
        for (int32_t s = 0; s < routes_kind(&m->routes, b)->nservers; s++)
            f->queues[m->first_server[b] + s].capacity =
                machine_server_class(m, b, s)->bytes_per_us;
}

trncclResult_t fair_create(struct machine *m)
{
    struct fair *f = calloc(1, sizeof *f);
    if (!f)
        return no_memory();
    m->fair = f;
    f->free_flow = f->free_use = NONE;
    f->nqueues = m->nservers + m->nlocal;
    f->queues = calloc((size_t)f->nqueues, sizeof *f->queues);
    f->dirty = malloc((size_t)f->nqueues * sizeof *f->dirty);
    f->found = malloc((size_t)f->nqueues * sizeof *f->found);
    if (!f->queues || !f->dirty || !f->found)
        return no_memory();
    capacities_fill(m, f);
    return trncclSuccess;
}

void fair_destroy(struct fair *f)
{
    if (!f)
        return;
    free(f->queues);
    free(f->flows);
    free(f->uses);
    free(f->dirty);
    free(f->found);
    free(f->members);
    free(f);
}

static trncclResult_t flow_take(struct fair *f, int32_t *out)
{
    if (f->free_flow >= 0) {
        *out = f->free_flow;
        f->free_flow = f->flows[*out].first_use;
        return trncclSuccess;
    }
    if (f->nflows == f->flow_capacity) {
        int32_t capacity = f->flow_capacity ? 2 * f->flow_capacity : 256;
        struct flow *flows = realloc(f->flows, (size_t)capacity * sizeof *flows);
        f->flows = flows ? flows : f->flows;
        int32_t *members = realloc(f->members, (size_t)capacity * sizeof *members);
        f->members = members ? members : f->members;
        if (!flows || !members)
            return no_memory();
        f->flow_capacity = capacity;
    }
    f->flows[f->nflows].version = 0;
    *out = f->nflows++;
    return trncclSuccess;
}

static trncclResult_t use_take(struct fair *f, int32_t *out)
{
    if (f->free_use >= 0) {
        *out = f->free_use;
        f->free_use = f->uses[*out].next;
        return trncclSuccess;
    }
    if (f->nuses == f->use_capacity) {
        int32_t capacity = f->use_capacity ? 2 * f->use_capacity : 1024;
        struct use *uses = realloc(f->uses, (size_t)capacity * sizeof *uses);
        if (!uses)
            return no_memory();
        f->uses = uses;
        f->use_capacity = capacity;
    }
    *out = f->nuses++;
    return trncclSuccess;
}

/* ---- flows come and go ---- */

static trncclResult_t flow_begin(struct machine *m, int32_t message, int32_t lane,
                                 double nbytes, int32_t *out)
{
    TRY(flow_take(m->fair, out));
    struct flow *x = &m->fair->flows[*out];
    uint32_t version = x->version;
    *x = (struct flow){
        .message = message,
        .lane = lane,
        .first_use = NONE,
        .version = version,
        .left = nbytes,
        .since_us = m->now_us,
    };
    return trncclSuccess;
}

static void queue_change(struct fair *f, int64_t server)
{
    if (f->queues[server].dirty)
        return;
    f->queues[server].dirty = true;
    f->dirty[f->ndirty++] = server;
}

/* The flow uses a server. One without end binds nobody. */
static trncclResult_t flow_use(struct fair *f, int32_t flow, int64_t server, double share)
{
    struct queue *q = &f->queues[server];
    if (isinf(q->capacity) || share <= 0)
        return trncclSuccess;
    int32_t use = NONE;
    TRY(use_take(f, &use));
    f->uses[use] = (struct use){
        .flow = flow,
        .server = server,
        .share = share,
        .next = f->flows[flow].first_use,
        .before = NONE,
        .after = q->first,
    };
    if (q->first >= 0)
        f->uses[q->first].before = use;
    q->first = use;
    f->flows[flow].first_use = use;
    queue_change(f, server);
    return trncclSuccess;
}

static trncclResult_t push_end(struct machine *m, int32_t flow, double time_us)
{
    struct flow *x = &m->fair->flows[flow];
    x->version++;
    const struct heap_event event = {
        .time_us = time_us,
        .label = (uint64_t)EVENT_FLOW << 61 | (uint32_t)flow,
        .id = flow,
        .version = x->version,
    };
    return heap_push(&m->heap, &event);
}

/* All its uses are there. */
static trncclResult_t flow_ready(struct machine *m, int32_t flow)
{
    return m->fair->flows[flow].first_use >= 0 ? trncclSuccess
                                               : push_end(m, flow, m->now_us);
}

static void flow_end(struct fair *f, int32_t flow)
{
    struct flow *x = &f->flows[flow];
    for (int32_t u = x->first_use, next; u >= 0; u = next) {
        struct use *use = &f->uses[u];
        struct queue *q = &f->queues[use->server];
        next = use->next;
        if (use->before >= 0)
            f->uses[use->before].after = use->after;
        else
            q->first = use->after;
        if (use->after >= 0)
            f->uses[use->after].before = use->before;
        queue_change(f, use->server);
        use->next = f->free_use;
        f->free_use = u;
    }
    x->version++;
    x->first_use = f->free_flow;
    f->free_flow = flow;
}

/* ---- steps and messages ---- */

trncclResult_t fair_work(struct machine *m, int32_t lane, const struct lane_step *s,
                         const struct work *w)
{
    struct fair *f = m->fair;
    m->lanes[lane].works = false;
    if (w->core_us <= 0 && w->memory_nbytes <= 0)
        return trncclSuccess;
    const int32_t rank = lane_rank(m, lane), box = m->routes.box[rank];
    int64_t memory = m->first_server[box] + machine_memory(m, rank);
    int32_t flow;
    TRY(flow_begin(m, NONE, lane, (double)s->nbytes, &flow));
    TRY(flow_use(f, flow, m->nservers + lane / m->args->source->nchannels,
                 w->core_us / (double)s->nbytes));
    TRY(flow_use(f, flow, memory, w->memory_nbytes / (double)s->nbytes));
    m->servers[memory].nbytes += (uint64_t)w->memory_nbytes;
    m->lanes[lane].works = true;
    m->lanes[lane].nflows++;
    return flow_ready(m, flow);
}

trncclResult_t fair_send(struct machine *m, int32_t message)
{
    struct message *x = &m->messages[message];
    struct route_sum route;
    TRY(routes_sum(&m->routes, x->sender, x->receiver, &route));
    x->latency_us = route.latency_us;
    m->lanes[x->lane].nflows++;
    return route.setup_us > 0
               ? machine_push_message(m, EVENT_HEAD, m->now_us + route.setup_us, message)
               : fair_head(m, message);
}

static trncclResult_t message_use(struct machine *m, const struct message *x,
                                  int32_t flow, int32_t box, int32_t server)
{
    struct server_use *use = machine_server(m, box, server);
    use->nbytes += x->nbytes;
    use->nmessages++;
    return flow_use(m->fair, flow, m->first_server[box] + server, 1);
}

trncclResult_t fair_head(struct machine *m, int32_t message)
{
    struct message *x = &m->messages[message];
    int32_t flow, box, server;
    TRY(flow_begin(m, message, x->lane, (double)x->nbytes, &flow));
    while (routes_next(&m->routes, &x->at, &box, &server))
        TRY(message_use(m, x, flow, box, server));
    if (!x->lent)
        TRY(message_use(m, x, flow, m->routes.box[x->receiver],
                        machine_memory(m, x->receiver)));
    return flow_ready(m, flow);
}

/* The last byte of the message has left, as far as links go. */
static trncclResult_t message_left(struct machine *m, int32_t message)
{
    struct message *x = &m->messages[message];
    struct lane *l = &m->lanes[x->lane];
    if (!l->works)
        return machine_push_message(m, EVENT_ARRIVE, m->now_us + x->latency_us, message);
    x->next = l->held;
    l->held = message;
    return trncclSuccess;
}

static trncclResult_t work_end(struct machine *m, int32_t lane)
{
    struct lane *l = &m->lanes[lane];
    l->works = false;
    for (int32_t i = l->held, next; i >= 0; i = next) {
        next = m->messages[i].next;
        TRY(message_left(m, i));
    }
    l->held = NONE;
    return trncclSuccess;
}

trncclResult_t fair_flow_end(struct machine *m, int32_t flow, uint32_t version)
{
    const struct flow x = m->fair->flows[flow];
    if (x.version != version)
        return trncclSuccess;
    flow_end(m->fair, flow);
    TRY(x.message >= 0 ? message_left(m, x.message) : work_end(m, x.lane));
    if (--m->lanes[x.lane].nflows > 0)
        return trncclSuccess;
    return machine_push_lane(m, EVENT_END, m->now_us, x.lane);
}

/* ---- rates ---- */

bool fair_is_dirty(const struct fair *f)
{
    return f->ndirty > 0;
}

static void find_queue(struct fair *f, int64_t server)
{
    struct queue *q = &f->queues[server];
    if (q->seen)
        return;
    q->seen = true;
    q->left = q->capacity;
    q->shares = 0;
    q->nrising = 0;
    f->found[f->nfound++] = server;
}

/* All servers and flows that are connected with a server that has changed. */
static void component_collect(struct fair *f)
{
    f->nfound = f->nmembers = 0;
    for (int64_t i = 0; i < f->ndirty; i++) {
        f->queues[f->dirty[i]].dirty = false;
        find_queue(f, f->dirty[i]);
    }
    f->ndirty = 0;
    for (int64_t i = 0; i < f->nfound; i++)
        for (int32_t u = f->queues[f->found[i]].first; u >= 0; u = f->uses[u].after) {
            struct queue *q = &f->queues[f->found[i]];
            struct flow *x = &f->flows[f->uses[u].flow];
            q->shares += f->uses[u].share;
            q->nrising++;
            if (x->seen)
                continue;
            x->seen = true;
            f->members[f->nmembers++] = f->uses[u].flow;
            for (int32_t v = x->first_use; v >= 0; v = f->uses[v].next)
                find_queue(f, f->uses[v].server);
        }
}

/* The flow stops rising: its events so far are void if that is another rate. */
static trncclResult_t flow_stop(struct machine *m, int32_t flow, double rate)
{
    struct fair *f = m->fair;
    struct flow *x = &f->flows[flow];
    x->seen = false;
    for (int32_t u = x->first_use; u >= 0; u = f->uses[u].next) {
        struct queue *q = &f->queues[f->uses[u].server];
        q->left -= f->uses[u].share * rate;
        q->shares -= f->uses[u].share;
        q->nrising--;
    }
    if (rate == x->rate)
        return trncclSuccess;
    x->left -= x->rate * (m->now_us - x->since_us);
    x->left = x->left > 0 ? x->left : 0;
    x->since_us = m->now_us;
    x->rate = rate;
    return push_end(m, flow, m->now_us + x->left / rate);
}

static double lowest_level(const struct fair *f)
{
    double level = INFINITY;
    for (int64_t i = 0; i < f->nfound; i++) {
        const struct queue *q = &f->queues[f->found[i]];
        if (q->nrising > 0 && q->left / q->shares < level)
            level = q->left / q->shares;
    }
    return level;
}

trncclResult_t fair_settle(struct machine *m)
{
    /* Servers that are full at the same level but for rounding fill together. */
    const double same = 1 + 1e-12;
    struct fair *f = m->fair;
    component_collect(f);
    for (int32_t left = f->nmembers; left > 0;) {
        double level = lowest_level(f);
        for (int64_t i = 0; i < f->nfound; i++) {
            struct queue *q = &f->queues[f->found[i]];
            if (q->nrising == 0 || q->left / q->shares > level * same)
                continue;
            for (int32_t u = q->first; u >= 0; u = f->uses[u].after) {
                if (!f->flows[f->uses[u].flow].seen)
                    continue;
                TRY(flow_stop(m, f->uses[u].flow, level));
                left--;
            }
        }
    }
    for (int64_t i = 0; i < f->nfound; i++)
        f->queues[f->found[i]].seen = false;
    return trncclSuccess;
}
