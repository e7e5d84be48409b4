#include "verify/run.h"

#include <stdio.h>

#include "verify/data.h"

struct run {
    struct model *m;
    int32_t *ready; /* processes that may be able to go on */
    int32_t nready;
    int32_t norder; /* events that have run */
    int32_t credits;
    char stall[MODEL_REASON_BYTES]; /* who waits for whom with the declared credit */
};

static const struct model_message *message_of(const struct model *m,
                                              const struct model_rank *r,
                                              const struct sched_step *p, int32_t operand)
{
    return &m->message[m->ref_message[r->ref0 + p->first + operand]];
}

static int32_t proc_at(const struct model *m, int32_t rank, int32_t channel)
{
    return m->rank[rank].proc0 + channel;
}

/* Whether the lent sends of its steps [0, upto) have been consumed; they have all run. */
static bool is_drained(struct model *m, struct model_proc *p, int32_t upto)
{
    while (p->drained < upto && m->event[p->event0 + p->drained].lent == 0)
        p->drained++;
    return p->drained >= upto;
}

/* The process that has yet to consume a lent message of step p->drained. */
static int32_t consumer_of(const struct model *m, const struct model_proc *p)
{
    const struct model_rank *r = &m->rank[p->rank];
    const struct sched_step *step = model_step(m, p->event0 + p->drained);
    for (int32_t i = step->nin; i < step->nin + step->nout; i++) {
        if (sched_in(r->s, step)[i].space != SCHED_PEER)
            continue;
        const struct model_message *g = message_of(m, r, step, i);
        const struct model_link *l = &m->link[g->link];
        if (g->lent && g - m->message - l->message0 >= l->popped)
            return m->event[g->receive].proc;
    }
    return 0; /* not reached: the step has a lent message */
}

static bool wait_for(struct model_proc *p, enum model_wait wait, int32_t proc)
{
    p->wait = wait;
    p->wait_proc = proc;
    return true;
}

static bool must_wait_local(struct model *m, struct model_proc *p,
                            const struct sched_step *step)
{
    if (step->after_step >= 0) {
        int32_t other = proc_at(m, p->rank, step->after_channel);
        if (m->proc[other].next <= step->after_step)
            return wait_for(p, MODEL_WAIT_AFTER, other);
        if (step->after_drain && !is_drained(m, &m->proc[other], step->after_step + 1))
            return wait_for(p, MODEL_WAIT_DRAIN, consumer_of(m, &m->proc[other]));
    }
    if (!is_drained(m, p, step->drain))
        return wait_for(p, MODEL_WAIT_DRAIN, consumer_of(m, p));
    return false;
}

static bool must_wait_peer(struct run *run, struct model_proc *p,
                           const struct sched_step *step)
{
    struct model *m = run->m;
    const struct model_rank *r = &m->rank[p->rank];
    const struct sched_ref *ref = sched_in(r->s, step);
    for (int32_t i = 0; i < step->nin + step->nout; i++) {
        if (ref[i].space != SCHED_PEER)
            continue;
        const struct model_message *g = message_of(m, r, step, i);
        const struct model_link *l = &m->link[g->link];
        if (i < step->nin && l->pushed == l->popped)
            return wait_for(p, MODEL_WAIT_MESSAGE, m->event[g->send].proc);
        if (i >= step->nin && l->pushed - l->popped >= run->credits)
            return wait_for(p, MODEL_WAIT_CREDIT, m->event[g->receive].proc);
    }
    return false;
}

/* ---- Progress -----------------------------------------------------------------------
 */

static void wake(struct run *run, int32_t proc)
{
    struct model_proc *p = &run->m->proc[proc];
    if (p->queued || p->next == p->nsteps)
        return;
    p->queued = true;
    run->ready[run->nready++] = proc;
}

/* Its other channels may wait for a step, or for a lent send, of this rank. */
static void wake_rank(struct run *run, int32_t rank)
{
    const struct model_rank *r = &run->m->rank[rank];
    for (int32_t c = 0; c < r->s->nchannels; c++)
        if (run->m->proc[r->proc0 + c].wait == MODEL_WAIT_AFTER ||
            run->m->proc[r->proc0 + c].wait == MODEL_WAIT_DRAIN)
            wake(run, r->proc0 + c);
}

static void take_message(struct run *run, struct model_message *g, int32_t event)
{
    struct model *m = run->m;
    struct model_event *e = &m->event[event], *send = &m->event[g->send];
    m->link[g->link].popped++;
    if (e->depth < send->depth + 1)
        e->depth = send->depth + 1;
    if (g->lent) {
        send->lent--;
        wake_rank(run, m->proc[send->proc].rank);
    }
    wake(run, send->proc);
}

static void put_message(struct run *run, struct model_message *g, int32_t event)
{
    struct model *m = run->m;
    m->link[g->link].pushed++;
    m->event[event].lent += g->lent;
    wake(run, m->event[g->receive].proc);
}

static void move_messages(struct run *run, const struct model_rank *r, int32_t event)
{
    struct model *m = run->m;
    const struct sched_step *step = model_step(m, event);
    for (int32_t i = 0; i < step->nin + step->nout; i++) {
        if (sched_in(r->s, step)[i].space != SCHED_PEER)
            continue;
        struct model_message *g = &m->message[m->ref_message[r->ref0 + step->first + i]];
        if (i < step->nin)
            take_message(run, g, event);
        else
            put_message(run, g, event);
    }
}

static void raise_depth(struct model *m, const struct model_rank *r, int32_t event)
{
    const struct sched_step *step = model_step(m, event);
    struct model_event *e = &m->event[event];
    if (e->step > 0 && e->depth < m->event[event - 1].depth)
        e->depth = m->event[event - 1].depth;
    if (step->after_step < 0)
        return;
    int32_t after = m->proc[r->proc0 + step->after_channel].event0 + step->after_step;
    if (e->depth < m->event[after].depth)
        e->depth = m->event[after].depth;
}

static trncclResult_t run_event(struct run *run, struct model_proc *p)
{
    struct model *m = run->m;
    int32_t event = p->event0 + p->next;
    const struct model_rank *r = &m->rank[p->rank];
    m->event[event].order = ++run->norder;
    TRY(data_step(m, event));
    p->next++;
    raise_depth(m, r, event);
    move_messages(run, r, event);
    if (r->s->nchannels > 1)
        wake_rank(run, p->rank);
    return trncclSuccess;
}

static trncclResult_t run_proc(struct run *run, int32_t proc)
{
    struct model_proc *p = &run->m->proc[proc];
    p->queued = false;
    p->wait = MODEL_WAIT_NONE;
    while (p->next < p->nsteps) {
        const struct sched_step *step = model_step(run->m, p->event0 + p->next);
        if (must_wait_local(run->m, p, step) || must_wait_peer(run, p, step))
            break;
        TRY(run_event(run, p));
    }
    return trncclSuccess;
}

static trncclResult_t run_until_stall(struct run *run)
{
    while (run->nready > 0)
        TRY(run_proc(run, run->ready[--run->nready]));
    return trncclSuccess;
}

/* ---- Stalls -------------------------------------------------------------------------
 */

static int describe_wait(const struct model *m, const struct model_proc *p, char *text,
                         size_t nbytes)
{
    const struct model_proc *by = &m->proc[p->wait_proc];
    static const char *const what[] = {
        [MODEL_WAIT_NONE] = "nothing of",
        [MODEL_WAIT_AFTER] = "a step of",
        [MODEL_WAIT_DRAIN] = "a lent message to be consumed by",
        [MODEL_WAIT_MESSAGE] = "a message from",
        [MODEL_WAIT_CREDIT] = "credit to",
    };
    if (p->wait == MODEL_WAIT_AFTER)
        return snprintf(text, nbytes,
                        "rank %d channel %d step %d waits for a step of its "
                        "channel %d",
                        p->rank, p->channel, p->next, by->channel);
    return snprintf(text, nbytes, "rank %d channel %d step %d waits for %s rank %d",
                    p->rank, p->channel, p->next, what[p->wait], by->rank);
}

static int32_t first_unfinished(const struct model *m)
{
    int32_t proc = 0;
    while (proc < m->nprocs && m->proc[proc].next == m->proc[proc].nsteps)
        proc++;
    return proc;
}

/* Writes the cycle of waits, as much of it as fits. Whoever waits, waits for somebody who
 * waits as well: else it could go on. */
static void describe_cycle(const struct model *m, char *text, size_t nbytes)
{
    static const char more[] = "; ...";
    int32_t start = first_unfinished(m);
    for (int32_t i = 0; i < m->nprocs; i++)
        start = m->proc[start].wait_proc;
    size_t used = 0;
    int32_t proc = start;
    do {
        char one[128];
        int n = describe_wait(m, &m->proc[proc], one, sizeof(one));
        if (used + (size_t)n + 2 + sizeof(more) > nbytes) {
            snprintf(text + used, nbytes - used, "%s", more);
            return;
        }
        used +=
            (size_t)snprintf(text + used, nbytes - used, "%s%s", used ? "; " : "", one);
        proc = m->proc[proc].wait_proc;
    } while (proc != start);
}

/* Gives every process that lacks credit one message more. False if none does. */
static bool raise_credits(struct run *run)
{
    bool raised = false;
    for (int32_t i = 0; i < run->m->nprocs; i++) {
        if (run->m->proc[i].wait != MODEL_WAIT_CREDIT)
            continue;
        wake(run, i);
        raised = true;
    }
    run->credits += raised;
    return raised;
}

trncclResult_t run_all(struct model *m, int32_t *credits)
{
    struct run run = {.m = m, .credits = 1};
    run.ready = arena_alloc(&m->arena, (size_t)m->nprocs, sizeof(*run.ready));
    if (!run.ready)
        return model_no_memory(m);
    for (int32_t i = m->nprocs; i-- > 0;)
        wake(&run, i);
    TRY(run_until_stall(&run));
    while (run.norder < m->nevents) {
        char cycle[MODEL_REASON_BYTES - 64];
        describe_cycle(m, cycle, sizeof(cycle));
        if (run.credits == m->credits)
            snprintf(run.stall, sizeof(run.stall), "%s", cycle);
        if (!raise_credits(&run))
            return model_refuse(m, "deadlock: %s", cycle);
        TRY(run_until_stall(&run));
    }
    *credits = run.credits;
    if (run.credits > m->credits)
        return model_refuse(m,
                            "it needs %d messages of credit per connection but declares "
                            "%d: %.400s",
                            run.credits, m->credits, run.stall);
    return trncclSuccess;
}
