#include "algo/planes.h"

bool planes_needed(const struct sched_args *args)
{
    const struct sched_graph *g = args->graph;
    return g && g->per_chip > 1 && g->nranks == args->nranks &&
           g->group_size == g->nranks && g->nranks > g->per_chip &&
           g->nranks % g->per_chip == 0;
}

const char *planes_find(struct planes *p, const struct sched_args *args, const char *name)
{
    const struct sched_graph *g = args->graph;
    int32_t nchips = g->nranks / g->per_chip;
    p->across = *g;
    p->across.nranks = p->across.group_size = nchips;
    p->across.per_chip = 1;
    p->across.plane = g->plane * g->per_chip + args->rank % g->per_chip;
    p->across.nplanes = (g->nplanes > 1 ? g->nplanes : 1) * g->per_chip;
    p->across.ncycles = p->across.ntrees = 0;
    p->compose = (struct compose){.size = g->per_chip, .across = &p->across};
    return compose_find(&p->compose, args, "direct", name);
}
