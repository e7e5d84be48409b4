/* Every type with every operation by every algorithm; and results of floats whose sums
 * are not exact: the same bits on every rank and in every run. */
#include <math.h>
#include <stdlib.h>

#include "tests/support/conform_cases.h"

#include "algo/algo.h"

/* ---- exact values -------------------------------------------------------------------
 */

static void exact(int nranks, size_t count, uint64_t seed, struct report *report)
{
    for (int layer = 0; layer < cases_layers(); layer++) {
        struct cases s;
        cases_init(&s, nranks, seed, layer);
        cases_fill_types(&s, layer, count);
        conform_run(&(struct conform_run){.nranks = nranks,
                                          .nprocesses = 1,
                                          .one_thread = true,
                                          .algo = s.algo,
                                          .cases = s.list,
                                          .ncases = s.n,
                                          .flip = -1,
                                          .report = report});
        cases_fini(&s);
    }
}

/* ---- inexact values -----------------------------------------------------------------
 */

#define MAX_RANKS 8
#define COUNT 5003

struct bits {
    int nranks;
    trncclDataType_t type;
    trncclRedOp_t op;
    uint8_t *send[MAX_RANKS], *recv[MAX_RANKS], *first;
    trncclComm_t comms[MAX_RANKS];
    const char *algo;
    struct report *report;
};

/* Of differing magnitude and sign, so that the order of additions shows. */
static void fill_inexact(struct bits *b, uint64_t seed)
{
    size_t elem = oracle_type_nbytes(b->type);
    for (int r = 0; r < b->nranks; r++)
        for (size_t i = 0; i < COUNT; i++) {
            uint64_t h = oracle_hash(seed, (uint64_t)r + 1, i);
            double x = ldexp((double)(h >> 40) / (1 << 24) + 0.5, (int)(h % 4) - 2);
            x = h & 16 ? -x : x;
            float narrow = (float)x;
            if (b->type == trncclFloat64)
                memcpy(b->send[r] + i * elem, &x, elem);
            else if (b->type == trncclFloat32)
                memcpy(b->send[r] + i * elem, &narrow, elem);
            else
                oracle_encode(b->type, x, b->send[r] + i * elem);
        }
}

static void reduce_once(struct bits *b, int run)
{
    size_t nbytes = COUNT * oracle_type_nbytes(b->type);
    trncclResult_t result = trncclGroupStart();
    for (int i = 0; i < b->nranks && result == trncclSuccess; i++) {
        int r = run ? b->nranks - 1 - i : i; /* another order must not show */
        memset(b->recv[r], 0xee, nbytes);
        result = trncclAllReduce(b->send[r], b->recv[r], COUNT, b->type, b->op,
                                 b->comms[r], NULL);
    }
    trncclResult_t ended = trncclGroupEnd();
    if (result != trncclSuccess || ended != trncclSuccess)
        report_fail(b->report, "all_reduce by %s: %s", b->algo,
                    trncclGetLastError(b->comms[0]));
}

static void compare_bits(struct bits *b, int run, const uint8_t *with)
{
    size_t elem = oracle_type_nbytes(b->type);
    for (int r = 0; r < b->nranks; r++) {
        atomic_fetch_add(&b->report->nchecks, 1);
        for (size_t i = 0; i < COUNT; i++)
            if (memcmp(b->recv[r] + i * elem, with + i * elem, elem) != 0) {
                report_fail(b->report,
                            "all_reduce by %s, %d ranks, %s %s, run %d: rank %d has "
                            "other bits than rank 0 of run 0 in element %zu",
                            b->algo, b->nranks, oracle_type_name(b->type),
                            oracle_op_name((int)b->op), run, r, i);
                break;
            }
    }
}

static void same_bits_of_type(struct bits *b, uint64_t seed)
{
    size_t nbytes = COUNT * oracle_type_nbytes(b->type);
    fill_inexact(b, seed);
    for (int run = 0; run < 2; run++) {
        reduce_once(b, run);
        if (run == 0)
            memcpy(b->first, b->recv[0], nbytes);
        compare_bits(b, run, b->first);
    }
}

static void same_bits(int nranks, const struct algo *a, uint64_t seed,
                      struct report *report)
{
    static const trncclDataType_t types[] = {trncclFloat16,    trncclBfloat16,
                                             trncclFloat8e4m3, trncclFloat8e5m2,
                                             trncclFloat32,    trncclFloat64};
    static const trncclRedOp_t ops[] = {trncclSum, trncclProd, trncclAvg};
    struct bits b = {.nranks = nranks, .algo = a->name, .report = report};
    struct sched_args args = {.coll = a->coll, .nranks = nranks};
    if (a->refuse && a->refuse(&args))
        return;
    trncclUniqueId id;
    trncclConfig_t config = TRNCCL_CONFIG_INITIALIZER;
    config.algo = a->name;
    trncclResult_t result = trncclGetUniqueId(&id);
    trncclGroupStart();
    for (int r = 0; r < nranks && result == trncclSuccess; r++)
        result = trncclCommInitRankConfig(&b.comms[r], nranks, id, r, &config);
    trncclResult_t ended = trncclGroupEnd();
    b.first = malloc(COUNT * 8);
    for (int r = 0; r < nranks; r++) {
        b.send[r] = malloc(COUNT * 8);
        b.recv[r] = malloc(COUNT * 8);
    }
    if (result != trncclSuccess || ended != trncclSuccess)
        report_fail(report, "%d communicators: %s", nranks, trncclGetLastError(NULL));
    else
        for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
            for (size_t o = 0; o < sizeof ops / sizeof ops[0]; o++) {
                b.type = types[t];
                b.op = ops[o];
                same_bits_of_type(&b, seed + t);
            }
    for (int r = 0; r < nranks; r++) {
        if (b.comms[r] && trncclCommDestroy(b.comms[r]) != trncclSuccess)
            report_fail(report, "trncclCommDestroy: %s", trncclGetLastError(NULL));
        free(b.send[r]);
        free(b.recv[r]);
    }
    free(b.first);
}

/* Whether one rank's odd bit would be seen. */
static bool bits_are_compared(void)
{
    uint8_t data[COUNT * 4] = {0}, odd[COUNT * 4] = {0};
    odd[4 * 4000 + 1] = 1;
    struct bits b = {.nranks = 2,
                     .type = trncclFloat32,
                     .recv = {data, odd},
                     .algo = "planted",
                     .report = report_create()};
    compare_bits(&b, 0, data);
    bool seen = b.report->nfailures == 1 && strstr(b.report->texts[0], "element 4000");
    printf("planted fault: %s\n", b.report->texts[0]);
    report_destroy(b.report);
    return seen;
}

int main(void)
{
    uint64_t seed = conform_seed();
    if (!conform_catches_faults(1, true) || !bits_are_compared())
        return 1;
    struct report *report = report_create();
    exact(3, 211, seed, report);
    if (!SUITE_SANITIZED) {
        exact(2, 5, seed, report);
        exact(8, 1009, seed, report);
        exact(13, 64, seed, report);
    }
    printf("exact values: %ld checks\n", report->nchecks);
    const int sizes[] = {2, 3, 5, 7, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int layer = 0; cases_algo(SCHED_ALL_REDUCE, layer); layer++)
            same_bits(sizes[i], cases_algo(SCHED_ALL_REDUCE, layer), seed, report);
    return report_print(report, "types and bits");
}
