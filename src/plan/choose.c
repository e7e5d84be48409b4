#include "plan/choose.h"

/* Where ranks outnumber cores, a message that must be answered costs a turn of every rank
 * on the core, so the direct algorithms (one or two turns) win until the connections they
 * need (ranks squared) no longer fit the cache. Limits: measured, AMD EPYC 7003, 2 cores,
 * 2 to 64 ranks, trn-collective-perf with each --algo in turn. */
#define ALL_REDUCE_ONE_SHOT_NBYTES 2048
#define DIRECT_MAX_RANKS 64
#define DIRECT_TOTAL_NBYTES ((size_t)8 << 20)

static const char *choose_all_reduce(int nranks, size_t nbytes)
{
    if (nbytes <= ALL_REDUCE_ONE_SHOT_NBYTES)
        return "one_shot";
    if (nranks <= 8 || nbytes <= DIRECT_TOTAL_NBYTES)
        return "two_shot";
    return "ring";
}

const char *choose_algo(enum sched_coll coll, bool v, int nranks, int ncores,
                        size_t nbytes)
{
    (void)ncores;
    (void)v;
    size_t total = nbytes * (size_t)nranks;
    bool direct = nranks <= 8 || total <= DIRECT_TOTAL_NBYTES;
    switch (coll) {
    case SCHED_ALL_REDUCE:
        return choose_all_reduce(nranks, nbytes);
    case SCHED_ALL_GATHER:
    case SCHED_REDUCE_SCATTER:
        return direct ? "direct" : "ring";
    case SCHED_BROADCAST:
        return nbytes <= 65536 ? "binomial" : "chain";
    case SCHED_REDUCE:
        return nbytes <= 65536 ? "binomial" : "chain";
    case SCHED_ALL_TO_ALL:
    case SCHED_GATHER:
    case SCHED_SCATTER:
    case SCHED_PERMUTE:
        return "direct";
    case SCHED_BARRIER:
        return "dissemination";
    case SCHED_NCOLLS:
        break;
    }
    return "";
}
