/* The life of a step: read, waiting, started, its first byte leaving, ended. */
#include "sim/machine.h"

static trncclResult_t lane_start(struct machine *m, int32_t lane,
                                 const struct lane_step *s);

/* ---- reading ---- */

static trncclResult_t step_check(const struct machine *m, int32_t lane,
                                 const struct lane_step *s)
{
    const struct sched_step *p = &s->step;
    const int32_t rank = lane_rank(m, lane), channel = lane_channel(m, lane);
    const int32_t step = m->lanes[lane].step;
    if (p->nin < 1 || p->nout < 1)
        return error_set(trncclInvalidArgument,
                         "rank %d, channel %d, step %d: %d inputs and %d outputs, but "
                         "every step has at least one of both",
                         rank, channel, step, p->nin, p->nout);
    if (p->in_link || p->out_link)
        return error_set(trncclInvalidUsage,
                         "rank %d, channel %d, step %d: its messages take a link that is "
                         "not its channel's, as imported schedules do; the simulator "
                         "pairs messages by channel",
                         rank, channel, step);
    for (int i = 0; i < p->nin + p->nout; i++)
        if (s->refs[i].space == SCHED_PEER &&
            (s->refs[i].index < 0 || s->refs[i].index >= m->args->source->nranks))
            return error_set(trncclInvalidArgument,
                             "rank %d, channel %d, step %d: peer %d, but there are ranks "
                             "0 to %d",
                             rank, channel, step, s->refs[i].index,
                             m->args->source->nranks - 1);
    return trncclSuccess;
}

static trncclResult_t peer_twice(const struct machine *m, int32_t lane, int32_t peer)
{
    return error_set(trncclInvalidArgument,
                     "rank %d, channel %d, step %d: rank %d twice among its inputs or "
                     "outputs",
                     lane_rank(m, lane), lane_channel(m, lane), m->lanes[lane].step,
                     peer);
}

/* False: the channel has no such step. */
static bool step_read(const struct machine *m, int32_t lane, struct lane_step *s)
{
    const struct sim_source *source = m->args->source;
    const struct lane *l = &m->lanes[lane];
    if (!source->step(source->context, lane_rank(m, lane), lane_channel(m, lane), l->step,
                      &s->step, &s->refs))
        return false;
    s->nbytes = slices_nbytes(&m->slices, &s->step, l->round);
    return true;
}

/* The lane that sends what this lane receives from `peer`, or the other way round, has
 * its end of the connection at a representative: `from` as that one sees it. */
static inline int32_t sender_seen(const struct machine *m, int32_t from, int32_t to)
{
    return m->fold ? fold_seen(m->fold, from, to) : from;
}

/* ---- steps of one rank that wait for each other ---- */

static bool after_met(const struct machine *m, int32_t lane, int32_t channel,
                      int32_t after_step)
{
    const struct lane *l = &m->lanes[lane];
    const struct lane *other = l - lane_channel(m, lane) + channel;
    return other->round > l->round ||
           (other->round == l->round && other->step > after_step);
}

/* The lane has gone on: lanes of the same rank may have waited for that. */
static trncclResult_t wake_followers(struct machine *m, int32_t lane)
{
    const int32_t nchannels = m->args->source->nchannels;
    const int32_t channel = lane_channel(m, lane), first = lane - channel;
    for (int32_t i = first; nchannels > 1 && i < first + nchannels; i++) {
        struct lane *l = &m->lanes[i];
        if (l->after != channel || !after_met(m, i, channel, l->after_step))
            continue;
        l->after = -1;
        TRY(lane_condition_met(m, i));
    }
    return trncclSuccess;
}

/* ---- waiting ---- */

static trncclResult_t wait_for_inputs(struct machine *m, int32_t lane,
                                      const struct lane_step *s)
{
    const int32_t local = lane / m->args->source->nchannels;
    for (int i = 0; i < s->step.nin; i++) {
        if (s->refs[i].space != SCHED_PEER)
            continue;
        int32_t conn;
        TRY(conns_get(&m->conns, s->refs[i].index, local, lane_channel(m, lane), &conn));
        struct conn *c = &m->conns.conns[conn];
        if (c->narrived > 0)
            continue;
        c->receiver_waits = true;
        m->lanes[lane].nmissing++;
    }
    return trncclSuccess;
}

static trncclResult_t wait_for_credit(struct machine *m, int32_t lane,
                                      const struct lane_step *s)
{
    const int32_t rank = lane_rank(m, lane);
    for (int i = s->step.nin; i < s->step.nin + s->step.nout; i++) {
        if (s->refs[i].space != SCHED_PEER)
            continue;
        int32_t peer = s->refs[i].index;
        int32_t conn = conns_find(&m->conns, sender_seen(m, rank, peer), m->locals[peer],
                                  lane_channel(m, lane));
        if (conn < 0)
            continue;
        struct conn *c = &m->conns.conns[conn];
        if (c->nunread < m->args->credits)
            continue;
        c->sender_waits = true;
        c->sender_lane = lane;
        m->lanes[lane].nmissing++;
    }
    return trncclSuccess;
}

static trncclResult_t wait_for_step(struct machine *m, int32_t lane,
                                    const struct lane_step *s)
{
    struct lane *l = &m->lanes[lane];
    l->after = -1;
    if (s->step.after_step < 0)
        return trncclSuccess;
    int32_t channel = s->step.after_channel;
    if (channel < 0 || channel >= m->args->source->nchannels)
        return error_set(trncclInvalidArgument,
                         "rank %d, channel %d, step %d: after a step of channel %d, but "
                         "there are channels 0 to %d",
                         lane_rank(m, lane), lane_channel(m, lane), l->step, channel,
                         m->args->source->nchannels - 1);
    if (after_met(m, lane, channel, s->step.after_step))
        return trncclSuccess;
    l->after = (int8_t)channel;
    l->after_step = s->step.after_step;
    l->nmissing++;
    return trncclSuccess;
}

trncclResult_t lane_load(struct machine *m, int32_t lane)
{
    struct lane *l = &m->lanes[lane];
    l->state = LANE_WAITS;
    struct lane_step s;
    for (;;) {
        bool read = step_read(m, lane, &s);
        if (read && s.nbytes > 0)
            break;
        bool empty = !read && l->step == 0;
        l->step = read ? l->step + 1 : 0;
        l->round = empty ? m->slices.nrounds : l->round + !read;
        /* Whoever waits for this lane must see it as done, too. */
        bool done = l->round >= m->slices.nrounds;
        if (done)
            l->state = LANE_DONE;
        TRY(wake_followers(m, lane));
        if (!done)
            continue;
        m->nleft--;
        return trncclSuccess;
    }
    TRY(step_check(m, lane, &s));
    l->nmissing = 0;
    TRY(wait_for_inputs(m, lane, &s));
    TRY(wait_for_credit(m, lane, &s));
    TRY(wait_for_step(m, lane, &s));
    return l->nmissing == 0 ? lane_start(m, lane, &s) : trncclSuccess;
}

trncclResult_t lane_condition_met(struct machine *m, int32_t lane)
{
    if (--m->lanes[lane].nmissing > 0)
        return trncclSuccess;
    struct lane_step s;
    step_read(m, lane, &s);
    return lane_start(m, lane, &s);
}

/* ---- running ---- */

/* By way of an event even if it takes no time, so that steps of equivalent ranks that
 * start at one time take their turns at shared servers in the same order. */
static trncclResult_t lane_start(struct machine *m, int32_t lane,
                                 const struct lane_step *s)
{
    const struct topo_costs *costs = machine_costs(m, lane_rank(m, lane));
    struct lane *l = &m->lanes[lane];
    l->state = LANE_RUNS;
    l->begin_us = m->now_us;
    int nmessages = 0;
    for (int i = 0; i < s->step.nin + s->step.nout; i++)
        nmessages += s->refs[i].space == SCHED_PEER;
    double delay = costs->step_us + costs->message_us * nmessages;
    return machine_push_lane(m, EVENT_SEND, m->now_us + delay, lane);
}

static trncclResult_t message_create(struct machine *m, int32_t lane,
                                     const struct lane_step *s, int output, bool lent,
                                     int32_t *message)
{
    const struct lane *l = &m->lanes[lane];
    const int32_t rank = lane_rank(m, lane), peer = s->refs[output].index;
    int32_t conn;
    TRY(conns_get(&m->conns, sender_seen(m, rank, peer), m->locals[peer],
                  lane_channel(m, lane), &conn));
    struct conn *c = &m->conns.conns[conn];
    if (c->nunread >= m->args->credits)
        return peer_twice(m, lane, peer);
    c->sender_lane = lane;
    c->lent |= (uint64_t)lent << c->nunread++;
    TRY(machine_message_take(m, message));
    struct message *x = &m->messages[*message];
    *x = (struct message){
        .lane = lane,
        .conn = conn,
        .sender = rank,
        .receiver = peer,
        .step = l->step,
        .round = l->round,
        .channel = (int16_t)lane_channel(m, lane),
        .output = (int16_t)(output - s->step.nin),
        .lent = lent,
        .next = -1,
        .nbytes = s->nbytes,
        .begin_us = m->now_us,
    };
    routes_begin(&m->routes, rank, peer, &x->at);
    m->nsent++;
    m->nbytes += s->nbytes;
    return trncclSuccess;
}

static trncclResult_t send_messages(struct machine *m, int32_t lane,
                                    const struct lane_step *s, const struct work *w)
{
    double begin = m->now_us, left = m->now_us, end = m->now_us;
    if (m->fair)
        TRY(fair_work(m, lane, s, w));
    else
        fifo_work(m, lane, w, &begin, &end);
    left = end;
    for (int i = s->step.nin; i < s->step.nin + s->step.nout; i++) {
        if (s->refs[i].space != SCHED_PEER)
            continue;
        int32_t message;
        double message_left;
        TRY(message_create(m, lane, s, i, w->lends, &message));
        if (m->fair) {
            TRY(fair_send(m, message));
            continue;
        }
        TRY(fifo_send(m, message, begin, end, &message_left));
        left = message_left > left ? message_left : left;
    }
    if (!m->fair)
        return machine_push_lane(m, EVENT_END, left, lane);
    return m->lanes[lane].nflows > 0 ? trncclSuccess
                                     : machine_push_lane(m, EVENT_END, m->now_us, lane);
}

trncclResult_t lane_send(struct machine *m, int32_t lane)
{
    struct lane_step s;
    step_read(m, lane, &s);
    const struct work w = work_of_step(m, lane, &s);
    return send_messages(m, lane, &s, &w);
}

/* ---- ending ---- */

static trncclResult_t release_inputs(struct machine *m, int32_t lane,
                                     const struct lane_step *s)
{
    const int32_t local = lane / m->args->source->nchannels;
    int32_t senders[s->step.nin];
    int n = 0;
    for (int i = 0; i < s->step.nin; i++) {
        if (s->refs[i].space != SCHED_PEER)
            continue;
        int32_t conn =
            conns_find(&m->conns, s->refs[i].index, local, lane_channel(m, lane));
        if (conn < 0 || m->conns.conns[conn].narrived == 0)
            return peer_twice(m, lane, s->refs[i].index);
        struct conn *c = &m->conns.conns[conn];
        c->nunread--;
        c->narrived--;
        c->lent >>= 1;
        if (c->sender_waits)
            senders[n++] = c->sender_lane;
        c->sender_waits = false;
        conns_settle(&m->conns, conn);
    }
    /* After the last use of refs: whoever goes on reads another step. */
    for (int i = 0; i < n; i++)
        TRY(lane_condition_met(m, senders[i]));
    return trncclSuccess;
}

static void trace_step(const struct machine *m, int32_t lane, const struct lane_step *s)
{
    const struct lane *l = &m->lanes[lane];
    const struct sim_event event = {
        .kind = SIM_STEP,
        .rank = lane_rank(m, lane),
        .channel = lane_channel(m, lane),
        .step = l->step,
        .round = l->round,
        .peer = -1,
        .nbytes = s->nbytes,
        .begin_us = l->begin_us,
        .end_us = m->now_us,
    };
    m->args->trace(m->args->trace_context, &event);
}

trncclResult_t lane_end(struct machine *m, int32_t lane)
{
    struct lane_step s;
    step_read(m, lane, &s);
    if (m->args->trace)
        trace_step(m, lane, &s);
    m->nsteps++;
    m->end_us = m->now_us;
    TRY(release_inputs(m, lane, &s));
    m->lanes[lane].step++;
    TRY(wake_followers(m, lane));
    return lane_load(m, lane);
}

/* ---- who waits for what, when nothing moves ---- */

static trncclResult_t deadlock_report(const struct machine *m, int32_t lane)
{
    const struct lane *l = &m->lanes[lane];
    const int32_t rank = lane_rank(m, lane), channel = lane_channel(m, lane);
    struct lane_step s = {0};
    step_read(m, lane, &s);
    const char *what = l->after >= 0 ? "a step of channel" : "nothing";
    int32_t who = l->after;
    for (int i = 0; i < s.step.nin + s.step.nout; i++) {
        if (s.refs[i].space != SCHED_PEER)
            continue;
        bool in = i < s.step.nin;
        int32_t peer = s.refs[i].index;
        int32_t conn =
            in ? conns_find(&m->conns, peer, lane / m->args->source->nchannels, channel)
               : conns_find(&m->conns, sender_seen(m, rank, peer), m->locals[peer],
                            channel);
        const struct conn *c = conn < 0 ? NULL : &m->conns.conns[conn];
        if (!c || (in ? c->narrived > 0 : c->nunread < m->args->credits))
            continue;
        what = in ? "a message from rank" : "credit to send to rank";
        who = peer;
        break;
    }
    return error_set(trncclInvalidUsage,
                     "the schedules do not terminate: after %g us nothing moves, and "
                     "%lld channels have not ended; rank %d waits in step %d of channel "
                     "%d, round %d, for %s %d",
                     m->now_us, (long long)m->nleft, rank, l->step, channel, l->round,
                     what, who);
}

trncclResult_t lane_deadlock(struct machine *m)
{
    int32_t lane = 0;
    while (m->lanes[lane].state != LANE_WAITS)
        lane++;
    return deadlock_report(m, lane);
}
