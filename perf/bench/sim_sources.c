#include "perf/bench/sim_sources.h"

/* ---- steps ---- */

/* The step being described. */
struct draft {
    struct sim_job *job;
    struct sched_step *step;
};

static void add_in(struct draft d, uint8_t space, int32_t index)
{
    d.job->refs[d.step->nin++] = (struct sched_ref){space, index};
}

/* After all inputs. */
static void add_out(struct draft d, uint8_t space, int32_t index)
{
    d.job->refs[d.step->nin + d.step->nout++] = (struct sched_ref){space, index};
}

static struct draft draft_begin(struct sim_job *job, struct sched_step *step, int32_t n)
{
    *step = (struct sched_step){.span_space = SCHED_OUT, .span_n = n, .after_step = -1};
    return (struct draft){job, step};
}

/* Step i of a ring's reduce-scatter and all-gather, 2 n - 1 steps in all. */
static void ring_step(struct draft d, int32_t i, int32_t n, int32_t prev, int32_t next)
{
    if (i > 0)
        add_in(d, SCHED_PEER, prev);
    if (i < n)
        add_in(d, SCHED_IN, 0);
    if (i >= n - 1)
        add_out(d, SCHED_OUT, 0);
    if (i < 2 * n - 2)
        add_out(d, SCHED_PEER, next);
}

/* A message to one peer, then one from another. */
static void swap_step(struct draft d, bool receives, bool sums, int32_t to, int32_t from)
{
    if (receives)
        add_in(d, SCHED_PEER, from);
    if (!receives || sums)
        add_in(d, SCHED_OUT, 0);
    if (receives)
        add_out(d, SCHED_OUT, 0);
    else
        add_out(d, SCHED_PEER, to);
}

/* ---- jobs ---- */

static bool ring_job_step(void *context, int32_t rank, int32_t channel, int32_t step,
                          struct sched_step *out, const struct sched_ref **refs)
{
    struct sim_job *j = context;
    (void)channel;
    if (step >= 2 * j->nranks - 1)
        return false;
    *refs = j->refs;
    ring_step(draft_begin(j, out, 1), step, j->nranks,
              rank == 0 ? j->nranks - 1 : rank - 1, rank == j->nranks - 1 ? 0 : rank + 1);
    return true;
}

static bool halving_step(void *context, int32_t rank, int32_t channel, int32_t step,
                         struct sched_step *out, const struct sched_ref **refs)
{
    struct sim_job *j = context;
    (void)channel;
    int32_t turn = step / 2;
    if (turn >= 2 * j->nbits)
        return false;
    bool sums = turn < j->nbits;
    int32_t bit = sums ? j->nbits - 1 - turn : turn - j->nbits;
    *refs = j->refs;
    swap_step(draft_begin(j, out, 1 << bit), step % 2, sums, rank ^ (1 << bit),
              rank ^ (1 << bit));
    return true;
}

static bool hierarchical_step(void *context, int32_t rank, int32_t channel, int32_t step,
                              struct sched_step *out, const struct sched_ref **refs)
{
    struct sim_job *j = context;
    (void)channel;
    const int32_t n = j->per_box, first = rank - rank % n;
    const int32_t p = j->position[rank % n], nswaps = 4 * j->nbits;
    *refs = j->refs;
    /* The ring's first half, n steps, ends with a sum; the second begins with a send. */
    if (step < n || (step >= n + nswaps && step < 2 * n + nswaps)) {
        struct draft d = draft_begin(j, out, 1 << j->nbits);
        int32_t prev = first + j->ring[p ? p - 1 : n - 1];
        int32_t next = first + j->ring[p < n - 1 ? p + 1 : 0];
        if (step == n - 1) {
            add_in(d, SCHED_PEER, prev);
            add_in(d, SCHED_IN, 0);
            add_out(d, SCHED_OUT, 0);
        } else if (step == n + nswaps) {
            add_in(d, SCHED_OUT, 0);
            add_out(d, SCHED_PEER, next);
        } else {
            ring_step(d, step < n ? step : step - nswaps - 1, n, prev, next);
        }
        return true;
    }
    if (step >= 2 * n + nswaps)
        return false;
    int32_t turn = (step - n) / 2;
    bool sums = turn < j->nbits;
    int32_t bit = sums ? turn : 2 * j->nbits - 1 - turn;
    int64_t distance = (int64_t)n << bit;
    swap_step(draft_begin(j, out, 1 << (j->nbits - 1 - bit)), (step - n) % 2, sums,
              (int32_t)((rank + distance) % j->nranks),
              (int32_t)((rank + j->nranks - distance % j->nranks) % j->nranks));
    return true;
}

static void job_source(struct sim_job *job, int32_t nsub, int32_t max_run,
                       struct sim_source *out)
{
    *out = (struct sim_source){
        .nranks = job->nranks,
        .nchannels = 1,
        .shape = {.in_blocks = 1, .out_blocks = 1, .nsub = nsub},
        .coll = SCHED_ALL_REDUCE,
        .max_run = max_run,
        .context = job,
    };
}

void sim_job_ring(struct sim_job *job, int32_t nranks, struct sim_source *out)
{
    *job = (struct sim_job){.nranks = nranks};
    job_source(job, nranks, 1, out);
    out->step = ring_job_step;
}

static int32_t log2_ceil(int32_t n)
{
    int32_t bits = 0;
    while (INT64_C(1) << bits < n)
        bits++;
    return bits;
}

void sim_job_halving(struct sim_job *job, int32_t nranks, struct sim_source *out)
{
    *job = (struct sim_job){.nranks = nranks, .nbits = log2_ceil(nranks)};
    job_source(job, nranks, nranks / 2, out);
    out->step = halving_step;
}

void sim_job_hierarchical(struct sim_job *job, int32_t nboxes, int32_t per_box,
                          const int32_t *ring, const int32_t *position,
                          struct sim_source *out)
{
    *job = (struct sim_job){
        .nranks = nboxes * per_box,
        .per_box = per_box,
        .ring = ring,
        .position = position,
        .nbits = log2_ceil(nboxes),
    };
    job_source(job, per_box << job->nbits, 1 << job->nbits, out);
    out->step = hierarchical_step;
}
