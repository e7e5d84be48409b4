/* Every algorithm on real data, ranks as processes, and as threads and groups of several
 * processes; small slices and early lending bring many rounds and every way a message can
 * travel into small calls. */
#include <stdlib.h>

#include "tests/support/conform_cases.h"

static const struct size {
    int nranks, nprocesses;
    bool one_thread, interleaved;
    enum cases_depth depth;
    const char *slice, *lend, *slots, *cma; /* settings; NULL: the default */
} sizes[] = {
    {2, 2, false, false, CASES_LARGE, NULL, NULL, NULL, NULL},
    {3, 3, false, false, CASES_LARGE, "4096", "256", "2", "0"},
    {4, 4, false, false, CASES_MANY, NULL, NULL, NULL, NULL},
    {5, 5, false, false, CASES_MANY, "4096", "512", "4", "0"},
    {8, 8, false, false, CASES_FEW, NULL, NULL, NULL, NULL},
    {4, 2, false, true, CASES_LARGE, "65536", "1024", "16", "0"},
    {5, 2, false, false, CASES_MANY, "4096", "256", "2", NULL},
    {6, 2, true, true, CASES_MANY, NULL, NULL, NULL, NULL},
    {7, 3, true, false, CASES_MANY, "4096", "256", "2", NULL},
};

static void set(const char *name, const char *value)
{
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

int main(void)
{
    uint64_t seed = conform_seed();
    setenv("TRNCCL_DEBUG", "ERROR", 0); /* no warnings of v-forms left to the default */
    if (!conform_catches_faults(3, false) || !conform_catches_faults(2, true))
        return 1;
    struct report *report = report_create();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct size *size = &sizes[i];
        /* Read by each rank's process when it makes its communicator. */
        set("TRNCCL_SLICE_BYTES", size->slice);
        set("TRNCCL_LEND_BYTES", size->lend);
        set("TRNCCL_SLOTS", size->slots);
        set("TRNCCL_CMA", size->cma);
        for (int layer = 0; layer < cases_layers(); layer++) {
            struct cases s;
            cases_init(&s, size->nranks, seed + i, layer);
            cases_fill(&s, layer, SUITE_SANITIZED ? CASES_FEW : size->depth);
            conform_run(&(struct conform_run){.nranks = size->nranks,
                                              .nprocesses = size->nprocesses,
                                              .one_thread = size->one_thread,
                                              .interleaved = size->interleaved,
                                              .algo = s.algo,
                                              .cases = s.list,
                                              .ncases = s.n,
                                              .flip = -1,
                                              .report = report});
            cases_fini(&s);
        }
        printf("%d ranks in %d processes%s: %ld checks\n", size->nranks, size->nprocesses,
               size->one_thread ? ", one thread each" : "", report->nchecks);
    }
    return report_print(report, "algorithms by processes");
}
