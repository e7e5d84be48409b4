#include "sim/sim.h"

static bool schedules_step(void *context, int32_t rank, int32_t channel, int32_t step,
                           struct sched_step *out, const struct sched_ref **refs)
{
    const struct sched *s = ((struct sched *const *)context)[rank];
    if (channel >= s->nchannels || step >= s->channels[channel].nsteps)
        return false;
    *out = s->steps[s->channels[channel].first + step];
    *refs = sched_in(s, out);
    return true;
}

void sim_source_schedules(struct sched *const *ranks, int32_t nranks,
                          struct sim_source *out)
{
    *out = (struct sim_source){
        .nranks = nranks,
        .shape = ranks[0]->shape,
        .coll = ranks[0]->coll,
        .max_run = ranks[0]->max_run,
        .context = (void *)ranks,
        .step = schedules_step,
    };
    for (int32_t i = 0; i < nranks; i++)
        if (ranks[i]->nchannels > out->nchannels)
            out->nchannels = ranks[i]->nchannels;
}
