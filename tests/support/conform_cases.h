/* Makes lists of cases: collective x algorithm x count, everything else by turns. */
#ifndef TRNCCL_TESTS_SUPPORT_CONFORM_CASES_H
#define TRNCCL_TESTS_SUPPORT_CONFORM_CASES_H

#include "conform_run.h"

/* How much is tried. Counts of slices and more are left out of the smaller ones. */
enum cases_depth { CASES_FEW, CASES_MANY, CASES_LARGE };

struct cases {
    struct conform_case *list; /* owned */
    int n, capacity;
    struct oracle oracles[trncclNumTypes][12]; /* made on first use */
    int nranks;
    uint64_t seed;
    const struct graphs_entry *machine; /* for algorithms that follow one, or NULL */
    char algo[1024];                    /* forces one algorithm of every collective */
};

/* Algorithms of the collective with the most: lists of layer 0 .. that - 1 try all. */
int cases_layers(void);
/* The algorithm of a collective in a layer; NULL if it has fewer. */
const struct algo *cases_algo(enum sched_coll coll, int layer);
void cases_init(struct cases *s, int nranks, uint64_t seed, int layer);
void cases_fini(struct cases *s);
/* Everything for one layer. Without a machine, only that algorithms that follow one say
 * so. */
void cases_fill(struct cases *s, int layer, enum cases_depth depth);
/* The algorithms of a layer that follow a machine, on s->machine, which has as many
 * ranks; none if they cannot. */
void cases_fill_machine(struct cases *s, int layer);
/* Every type with every operation that fits it, for the layer's reducing collectives. */
void cases_fill_types(struct cases *s, int layer, size_t count);

#endif
