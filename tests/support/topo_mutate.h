/* Random changes of valid texts, and the checks that what was made of them stands. */
#ifndef TRNCCL_TESTS_SUPPORT_TOPO_MUTATE_H
#define TRNCCL_TESTS_SUPPORT_TOPO_MUTATE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topo/model.h"

/* TRNCCL_TEST_SEED or 1; printed, so that a failure can be repeated. */
static inline uint64_t mutate_seed(void)
{
    const char *text = getenv("TRNCCL_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;
    printf("seed %llu (TRNCCL_TEST_SEED)\n", (unsigned long long)seed);
    return seed * 2 + 1;
}

static inline uint32_t mutate_random(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

/* Changes, removes, doubles or exchanges a few bytes of text[n]; room for n + 16 more.
 * The result ends with a zero byte, which it does not contain elsewhere. Returns its
 * length. */
static inline size_t mutate_text(uint64_t *state, char *text, size_t n)
{
    static const char letters[] = "0123456789:=-,. sexinf{}[]<>\"/trn2_\n\x7f\xff";
    int changes = (int)mutate_random(state, 4); /* now and then none */
    for (int i = 0; i < changes; i++) {
        size_t at = n > 0 ? mutate_random(state, (uint32_t)n) : 0;
        size_t run = 1 + mutate_random(state, 4);
        if (run > n - at)
            run = n - at;
        switch (mutate_random(state, 4)) {
        case 0:
            if (n > 0)
                text[at] = letters[mutate_random(state, sizeof letters - 1)];
            break;
        case 1:
            memmove(text + at, text + at + run, n - at - run);
            n -= run;
            break;
        case 2: /* doubles a run */
            memmove(text + at + run, text + at, n - at);
            n += run;
            break;
        default:
            if (n > 0) {
                size_t other = mutate_random(state, (uint32_t)n);
                char c = text[at];
                text[at] = text[other];
                text[other] = c;
            }
        }
    }
    text[n] = '\0';
    return n;
}

/* Whether a box keeps what topo/model.h promises; the first thing that is wrong is
 * printed. */
static inline bool box_stands(const struct topo_box *box)
{
    bool good = box->nseats > 0 && box->first_link[box->nvertices] == box->nlinks;
    int32_t product = 1;
    for (int32_t v = 0; v < box->nvertices; v++)
        for (int32_t l = box->first_link[v]; l < box->first_link[v + 1]; l++)
            good = good && box->links[l].from == v && box->links[l].to >= 0 &&
                   box->links[l].to < box->nvertices && box->links[l].bw_gbps > 0 &&
                   isfinite(box->links[l].bw_gbps);
    for (int32_t c = 0; c < box->nchips; c++)
        good = good && box->vertices[box->chips[c]].kind == TOPO_CHIP &&
               box->vertices[box->chips[c]].index == c;
    for (int32_t s = 0; s < box->nseats; s++) {
        const struct topo_seat *seat = &box->seats[s];
        good = good && box->vertices[seat->core].kind == TOPO_CORE &&
               box->vertices[seat->core].chip == seat->chip &&
               (seat->nic < 0 || box->vertices[seat->nic].kind == TOPO_NIC);
    }
    for (int32_t d = 0; d < box->ndims; d++)
        product *= box->dims[d];
    good = good && (box->ndims == 0 || product == box->nchips);
    if (!good)
        printf("box %s does not stand\n", box->name);
    return good;
}

#endif
