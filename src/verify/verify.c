#include "verify/verify.h"

#include <stdio.h>
#include <string.h>

#include "verify/promise.h"
#include "verify/run.h"

static trncclResult_t prove(struct model *m, struct verify_report *report)
{
    TRY(model_init(m));
    report->nmessages = m->nmessages;
    report->nsteps = m->nevents;
    TRY(run_all(m, &report->credits));
    for (int32_t e = 0; e < m->nevents; e++)
        if (report->depth < m->event[e].depth)
            report->depth = m->event[e].depth;
    TRY(promise_check(m, &report->same_bits));
    report->any_blocks = m->any_blocks;
    return trncclSuccess;
}

/* "all_reduce ring, 4 ranks: ", as far as it is known. */
static trncclResult_t fail(const struct model *m, trncclResult_t result,
                           struct verify_report *report)
{
    const struct sched *s = m->ranks && m->nranks > 0 ? m->ranks[0] : NULL;
    char text[sizeof(report->reason) + 128] = "";
    if (s)
        snprintf(text, sizeof(text), "%s %.60s, %d ranks: %s", sched_coll_name(s->coll),
                 s->algo ? s->algo : "?", m->nranks, m->reason);
    else
        snprintf(text, sizeof(text), "%s", m->reason);
    memcpy(report->reason, text, sizeof(report->reason) - 1);
    report->reason[sizeof(report->reason) - 1] = '\0';
    return error_set(result, "%s", report->reason);
}

trncclResult_t verify_schedules(struct sched *const *ranks, int32_t nranks,
                                const int32_t *pairs, int32_t npairs,
                                struct verify_report *report)
{
    struct verify_report local;
    struct model m = {.ranks = ranks, .nranks = nranks, .pairs = pairs, .npairs = npairs};
    if (!report)
        report = &local;
    *report = (struct verify_report){0};
    trncclResult_t result = prove(&m, report);
    if (result != trncclSuccess)
        result = fail(&m, result, report);
    model_fini(&m);
    return result;
}
