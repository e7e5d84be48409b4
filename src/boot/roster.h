/* Who has arrived at a rendezvous, who they say they are, and the sentences about it.
 * No I/O. */
#ifndef TRNCCL_BOOT_ROSTER_H
#define TRNCCL_BOOT_ROSTER_H

#include <stdbool.h>
#include "boot/wire.h"

struct roster_member {
    bool here; /* has arrived, even if it has left since */
    bool left;
    bool given; /* its part of the exchange under way is there */
    uint32_t pid;
    char host[WIRE_HOST];
};

struct roster {
    int nranks, nids, index;
    int first, end; /* ranks that connect to this listener */
    int lo, hi;     /* ranks that must arrive: all at the top, [first, end) elsewhere */
    int narrived, ngiven, nleft;
    struct roster_member *member; /* [nranks], owned */
};

/* The first rank that id `index` serves: the least r with r * nids / nranks == index. */
int roster_first(int nranks, int nids, int index);

/* False without memory. */
bool roster_init(struct roster *r, int nranks, int nids, int index);
void roster_fini(struct roster *r);

/* Checks a JOIN by itself and against those before it; false, with the reason. */
bool roster_admissible(const struct roster *r, const struct wire_join *join, char *why,
                       size_t size);
void roster_arrive(struct roster *r, int rank, uint32_t pid, const char *host);
void roster_leave(struct roster *r, int rank);
/* "rank 3 (host a, pid 77)" */
void roster_name(const struct roster *r, int rank, char *text, size_t size);

enum roster_what { ROSTER_ARRIVED, ROSTER_GIVEN };
/* "rank 3 of 4 has" or "ranks 3, 5-7 of 16 have": those for which `what` does not hold.
 */
void roster_missing(const struct roster *r, enum roster_what what, char *text,
                    size_t size);

#endif
