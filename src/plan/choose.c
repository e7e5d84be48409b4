#include "plan/choose.h"

/* All-reduce: measured, AMD EPYC 7003, 2 cores, Linux 6.18, float32 out of place, 2, 8 and
 * 32 ranks, each algorithm forced in turn, 2026-11; 32 ranks on a machine that had other
 * work. The limits of the other collectives follow from the same reasoning and have not
 * been measured.
 *
 * With a core per rank, two turns of the data (two-shot) cost more than one until copying
 * dominates. Where ranks outnumber cores, a round costs a turn of every rank on its core,
 * so few rounds win; from about 12 ranks on one-shot's messages (ranks squared) cost more
 * than recursive multiplying's second round; and in the end the connections that direct
 * algorithms use no longer fit the cache, and a ring's two do. */
#define ALONE_ONE_SHOT_NBYTES 32768
#define CROWDED_ONE_SHOT_NBYTES 4096
#define CROWDED_FEW_RANKS 12
#define CROWDED_MULTIPLYING_NBYTES 8192
#define CROWDED_TWO_SHOT_NBYTES 32768
#define CROWDED_HALVING_NBYTES ((size_t)512 << 10)
/* All-gather and reduce-scatter; not measured. */
#define DIRECT_RANKS 8
#define DIRECT_TOTAL_NBYTES ((size_t)1 << 20)
/* Broadcast and reduce: fewest rounds up to one slice, pipelining beyond; not measured. */
#define ROOTED_BINOMIAL_NBYTES 65536

static const char *choose_all_reduce(int nranks, int ncores, size_t nbytes)
{
    if (nranks <= ncores)
        return nbytes <= ALONE_ONE_SHOT_NBYTES ? "one_shot" : "two_shot";
    if (nranks <= CROWDED_FEW_RANKS)
        return nbytes <= CROWDED_ONE_SHOT_NBYTES ? "one_shot" : "two_shot";
    if (nbytes <= CROWDED_MULTIPLYING_NBYTES)
        return "recursive_multiplying";
    if (nbytes <= CROWDED_TWO_SHOT_NBYTES)
        return "two_shot";
    return nbytes <= CROWDED_HALVING_NBYTES ? "halving_doubling" : "ring";
}

const char *choose_algo(enum sched_coll coll, bool v, int nranks, int ncores,
                        size_t nbytes)
{
    (void)v; /* every algorithm named below serves blocks of different sizes */
    size_t total = nbytes * (size_t)nranks;
    bool direct = nranks <= DIRECT_RANKS || total <= DIRECT_TOTAL_NBYTES;
    switch (coll) {
    case SCHED_ALL_REDUCE:
        return choose_all_reduce(nranks, ncores, nbytes);
    case SCHED_ALL_GATHER:
    case SCHED_REDUCE_SCATTER:
        return direct ? "direct" : "ring";
    case SCHED_BROADCAST:
    case SCHED_REDUCE:
        return nbytes <= ROOTED_BINOMIAL_NBYTES ? "binomial" : "chain";
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
