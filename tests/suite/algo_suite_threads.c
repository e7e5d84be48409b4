/* Every algorithm on real data, ranks as threads and ranks driven by one thread. */
#include <stdlib.h>

#include "tests/support/conform_cases.h"

static const struct size {
    int nranks;
    bool one_thread;
    enum cases_depth depth;
} sizes[] = {
    {1, false, CASES_LARGE}, {2, false, CASES_LARGE}, {3, false, CASES_LARGE},
    {4, false, CASES_LARGE}, {5, false, CASES_MANY},  {7, false, CASES_MANY},
    {8, false, CASES_MANY},  {13, false, CASES_FEW},  {16, false, CASES_FEW},
    {32, false, CASES_FEW},  {1, true, CASES_MANY},   {2, true, CASES_LARGE},
    {3, true, CASES_LARGE},  {4, true, CASES_LARGE},  {5, true, CASES_LARGE},
    {7, true, CASES_LARGE},  {8, true, CASES_LARGE},  {13, true, CASES_MANY},
    {16, true, CASES_MANY},  {33, true, CASES_FEW},   {64, true, CASES_FEW},
};

/* The algorithms that follow a machine, on every machine of tests/support. */
static void run_machine(const struct graphs_entry *e, uint64_t seed,
                        struct report *report)
{
    int n = e->graph.nranks;
    for (int layer = 0; layer < cases_layers(); layer++) {
        struct cases s;
        cases_init(&s, n, seed, layer);
        s.machine = e;
        cases_fill_machine(&s, layer);
        if (s.n > 0)
            conform_run(&(struct conform_run){.nranks = n,
                                              .nprocesses = 1,
                                              .one_thread = n > 8,
                                              .algo = s.algo,
                                              .machine = e,
                                              .cases = s.list,
                                              .ncases = s.n,
                                              .flip = -1,
                                              .report = report});
        cases_fini(&s);
    }
}

static void run_machines(uint64_t seed, struct report *report)
{
    const struct graphs_entry *e;
    for (int i = 0; (e = graphs_get(i)); i++) {
        int most = SUITE_SANITIZED ? 8 : e->lanes ? 16 : CONFORM_MAX_RANKS;
        if (e->graph.nranks > most)
            continue;
        run_machine(e, seed, report);
        printf("%s, %s in groups, %s between them: %ld checks\n", e->name,
               e->intra ? e->intra : "its choice", e->inter ? e->inter : "the same",
               report->nchecks);
    }
}

int main(void)
{
    uint64_t seed = conform_seed();
    setenv("TRNCCL_DEBUG", "ERROR", 0); /* no warnings of v-forms left to the default */
    if (!conform_catches_faults(1, false) || !conform_catches_faults(1, true))
        return 1;
    struct report *report = report_create();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct size *size = &sizes[i];
        if (SUITE_SANITIZED && size->nranks > 8)
            continue;
        for (int layer = 0; layer < cases_layers(); layer++) {
            struct cases s;
            cases_init(&s, size->nranks, seed, layer);
            cases_fill(&s, layer, SUITE_SANITIZED ? CASES_FEW : size->depth);
            conform_run(&(struct conform_run){.nranks = size->nranks,
                                              .nprocesses = 1,
                                              .one_thread = size->one_thread,
                                              .algo = s.algo,
                                              .cases = s.list,
                                              .ncases = s.n,
                                              .flip = -1,
                                              .report = report});
            cases_fini(&s);
        }
        printf("%d ranks, %s: %ld checks\n", size->nranks,
               size->one_thread ? "one thread" : "a thread each", report->nchecks);
    }
    run_machines(seed, report);
    return report_print(report, "algorithms by threads");
}
