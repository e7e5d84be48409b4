#include "boot/roster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROSTER_RANGES 24 /* ranges listed before the rest is only counted */

int roster_first(int nranks, int nids, int index)
{
    return (int)(((int64_t)index * nranks + nids - 1) / nids);
}

bool roster_init(struct roster *r, int nranks, int nids, int index)
{
    memset(r, 0, sizeof(*r));
    r->member = calloc((size_t)nranks, sizeof(*r->member));
    if (!r->member)
        return false;
    r->nranks = nranks;
    r->nids = nids;
    r->index = index;
    r->first = roster_first(nranks, nids, index);
    r->end = roster_first(nranks, nids, index + 1);
    r->lo = index == 0 ? 0 : r->first;
    r->hi = index == 0 ? nranks : r->end;
    return true;
}

void roster_fini(struct roster *r)
{
    free(r->member);
    r->member = NULL;
}

void roster_name(const struct roster *r, int rank, char *text, size_t size)
{
    const struct roster_member *m = &r->member[rank];
    snprintf(text, size, "rank %d (host %s, pid %u)", rank, m->host, m->pid);
}

static bool roster_check_counts(const struct roster *r, const struct wire_join *join,
                                const char *who, char *why, size_t size)
{
    if (join->nranks == (uint32_t)r->nranks && join->nids == (uint32_t)r->nids &&
        join->index == (uint32_t)r->index)
        return true;
    char first[128] = "an earlier rank";
    for (int i = 0; i < r->nranks; i++) {
        if (!r->member[i].here)
            continue;
        roster_name(r, i, first, sizeof(first));
        break;
    }
    if (join->nranks != (uint32_t)r->nranks)
        snprintf(why, size,
                 "the ranks disagree about their number: %s says nranks %u, %s says "
                 "nranks %d",
                 who, join->nranks, first, r->nranks);
    else
        snprintf(why, size,
                 "the ranks disagree about the unique ids: %s was given %u and finds "
                 "this one at index %u, %s was given %d and finds it at index %d",
                 who, join->nids, join->index, first, r->nids, r->index);
    return false;
}

bool roster_admissible(const struct roster *r, const struct wire_join *join, char *why,
                       size_t size)
{
    char who[128];
    snprintf(who, sizeof(who), "%s %u (host %s, pid %u)",
             join->role == WIRE_HUB ? "the rendezvous of id" : "rank", join->rank,
             join->host, join->pid);
    if (join->role == WIRE_HUB) {
        if (join->nranks == (uint32_t)r->nranks && join->nids == (uint32_t)r->nids &&
            join->rank > 0 && join->rank < join->nids && r->index == 0)
            return true;
        struct wire_join as_rank = *join;
        as_rank.index = 0;
        if (roster_check_counts(r, &as_rank, who, why, size))
            snprintf(why, size, "%s has an index outside 1..%d", who, r->nids - 1);
        return false;
    }
    if (!roster_check_counts(r, join, who, why, size))
        return false;
    if (join->rank < (uint32_t)r->first || join->rank >= (uint32_t)r->end) {
        snprintf(why, size, "%s came to id %d of %d, which serves ranks %d-%d of %d", who,
                 r->index, r->nids, r->first, r->end - 1, r->nranks);
        return false;
    }
    const struct roster_member *m = &r->member[join->rank];
    if (!m->here)
        return true;
    if (r->narrived == r->hi - r->lo)
        snprintf(why, size,
                 "%s came with a unique id that is in use or used up: rank %u joined it "
                 "before (host %s, pid %u); every communicator needs its own id",
                 who, join->rank, m->host, m->pid);
    else
        snprintf(why, size,
                 "rank %u was given twice: by host %s, pid %u and by host %s, pid %u",
                 join->rank, m->host, m->pid, join->host, join->pid);
    return false;
}

void roster_arrive(struct roster *r, int rank, uint32_t pid, const char *host)
{
    struct roster_member *m = &r->member[rank];
    m->here = true;
    m->pid = pid;
    snprintf(m->host, sizeof(m->host), "%s", host);
    r->narrived++;
}

void roster_leave(struct roster *r, int rank)
{
    if (!r->member[rank].left)
        r->nleft++;
    r->member[rank].left = true;
}

static bool roster_lacks(const struct roster *r, int rank, enum roster_what what)
{
    const struct roster_member *m = &r->member[rank];
    return what == ROSTER_ARRIVED ? !m->here : !m->given;
}

void roster_missing(const struct roster *r, enum roster_what what, char *text,
                    size_t size)
{
    char list[512] = "";
    size_t n = 0;
    int missing = 0, listed = 0, ranges = 0;
    for (int a = r->lo; a < r->hi; a++) {
        if (!roster_lacks(r, a, what))
            continue;
        int b = a;
        while (b + 1 < r->hi && roster_lacks(r, b + 1, what))
            b++;
        missing += b - a + 1;
        if (ranges++ < ROSTER_RANGES) {
            /* 24 ranges of at most 2 * 7 + 3 characters fit */
            n += (size_t)snprintf(list + n, sizeof(list) - n, ranges > 1 ? ", %d" : "%d",
                                  a);
            if (b > a)
                n += (size_t)snprintf(list + n, sizeof(list) - n, "-%d", b);
            listed = missing;
        }
        a = b;
    }
    char more[48] = "";
    if (listed < missing)
        snprintf(more, sizeof(more), " and %d more", missing - listed);
    snprintf(text, size, "rank%s %s%s of %d %s", missing == 1 ? "" : "s", list, more,
             r->nranks, missing == 1 ? "has" : "have");
}
