/* Members of a rendezvous: arrival, exchanges, departure and failure.
 *
 * At the top, s->member[r] is the connection that speaks for rank r: its own, or that of
 * its hub. A hub treats its ranks as the top does, but passes the joined parts up and
 * results, readiness and failure down. */
#include "boot/server_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/log.h"

#define LINGER_MS 1000 /* how long ranks that come after a failure are told of it */

/* Once there is a roster. */
static bool is_top(const struct server *s)
{
    return s->roster.index == 0;
}

static void send_fail(struct server *s, struct conn *c, trncclResult_t code,
                      const char *text)
{
    uint8_t bytes[4 + WIRE_TEXT];
    size_t n = strnlen(text, WIRE_TEXT);
    wire_put32(bytes, (uint32_t)code);
    memcpy(bytes + 4, text, n);
    conn_send_bytes(s, c, WIRE_FAIL, bytes, 4 + n);
}

void round_fail(struct server *s, trncclResult_t code, const char *format, ...)
{
    if (s->failed)
        return;
    s->failed = true;
    s->fail_code = code;
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->fail_text, sizeof(s->fail_text), format, ap);
    va_end(ap);
    log_info("boot", "rendezvous %s failed: %s", s->address, s->fail_text);
    s->linger_end_ns = s->ready ? 0 : clock_deadline_ns(LINGER_MS);
    struct conn *c;
    TAILQ_FOREACH(c, &s->conns, link)
    if ((c->state == CONN_MEMBER || c->state == CONN_HUB || c->state == CONN_UP) &&
        !c->said_bye)
        send_fail(s, c, code, s->fail_text);
}

static void announce_ready(struct server *s)
{
    s->ready = true;
    uint32_t mine = UINT32_MAX;
    for (int r = s->roster.first; r < s->roster.end && mine == UINT32_MAX; r++)
        if (s->roster.member[r].pid == (uint32_t)getpid() &&
            strcmp(s->roster.member[r].host, s->host) == 0)
            mine = (uint32_t)r;
    uint8_t bytes[4];
    wire_put32(bytes, mine);
    struct conn *c;
    TAILQ_FOREACH(c, &s->conns, link)
    if (c->state == CONN_MEMBER || c->state == CONN_HUB)
        conn_send_bytes(s, c, WIRE_READY, bytes, sizeof(bytes));
    log_info("boot", "rendezvous %s: all %d ranks have arrived; %lu strangers dropped",
             s->address, s->roster.nranks, s->nstrangers);
}

static void tell_top_arrived(struct server *s, int rank)
{
    uint8_t bytes[WIRE_ARRIVED_BYTES] = {0};
    const struct roster_member *m = &s->roster.member[rank];
    wire_put32(bytes, (uint32_t)rank);
    wire_put32(bytes + 4, m->pid);
    memcpy(bytes + 8, m->host, strlen(m->host));
    conn_send_bytes(s, s->up, WIRE_ARRIVED, bytes, sizeof(bytes));
}

void round_up(struct server *s)
{
    for (int r = s->roster.first; r < s->roster.end; r++)
        if (s->roster.member[r].here)
            tell_top_arrived(s, r);
    if (s->failed)
        send_fail(s, s->up, s->fail_code, s->fail_text);
}

static void refuse(struct server *s, struct conn *c, trncclResult_t code, const char *why)
{
    log_warn("boot", "rendezvous %s refuses %s: %s", s->address, c->peer, why);
    c->state = CONN_REFUSED;
    send_fail(s, c, code, why);
}

/* The first JOIN says how large the communicator is; the others must agree. */
static trncclResult_t first_join(struct server *s, const struct wire_join *join,
                                 char *why, size_t size)
{
    if (s->rostered)
        return trncclSuccess;
    if (join->nranks < 1 || join->nranks > WIRE_RANKS_MAX || join->nids < 1 ||
        join->nids > WIRE_RANKS_MAX || join->index >= join->nids) {
        snprintf(why, size, "%u ranks and id %u of %u make no sense", join->nranks,
                 join->index, join->nids);
        return trncclInvalidArgument;
    }
    s->member = calloc(join->nranks, sizeof(*s->member));
    if (!s->member || !roster_init(&s->roster, (int)join->nranks, (int)join->nids,
                                   join->role == WIRE_HUB ? 0 : (int)join->index)) {
        free(s->member);
        s->member = NULL;
        snprintf(why, size, "the rendezvous has no memory for %u ranks", join->nranks);
        return trncclSystemError;
    }
    s->top = join->top;
    s->rostered = true;
    return trncclSuccess;
}

static bool same_top(struct server *s, const struct wire_join *join, char *why,
                     size_t size)
{
    const trncclUniqueId *expect = is_top(s) ? &s->id_bytes : &s->top;
    if (join->role == WIRE_HUB || memcmp(&join->top, expect, sizeof(*expect)) == 0)
        return true;
    snprintf(why, size,
             "the ranks disagree about the list of unique ids: rank %u (host %s, pid %u) "
             "was given another first id than %s",
             join->rank, join->host, join->pid,
             is_top(s) ? "this rendezvous, which it takes for the first"
                       : "the ranks before it");
    return false;
}

void round_join(struct server *s, struct conn *c, const struct wire_join *join)
{
    char why[WIRE_TEXT];
    if (s->failed && !s->ready) {
        c->state = CONN_REFUSED;
        send_fail(s, c, s->fail_code, s->fail_text);
        return;
    }
    trncclResult_t first = first_join(s, join, why, sizeof(why));
    if (first != trncclSuccess) {
        refuse(s, c, first, why);
        return;
    }
    if (!roster_admissible(&s->roster, join, why, sizeof(why)) ||
        !same_top(s, join, why, sizeof(why))) {
        /* Complete: a late second use of the id must not harm the first. Otherwise the
         * ranks that wait would wait in vain: tell them the reason, and before this one,
         * which may live in this process and end it. */
        if (!s->ready)
            round_fail(s, trncclInvalidUsage, "%s", why);
        refuse(s, c, trncclInvalidUsage, why);
        return;
    }
    server_pending_leave(s, c);
    c->state = join->role == WIRE_HUB ? CONN_HUB : CONN_MEMBER;
    c->rank = join->rank;
    s->nmembers++;
    uint8_t welcome[WIRE_WELCOME_BYTES] = {0};
    wire_put32(welcome, (uint32_t)getpid());
    memcpy(welcome + 4, s->host, strlen(s->host));
    conn_send_bytes(s, c, WIRE_WELCOME, welcome, sizeof(welcome));
    if (join->role == WIRE_HUB)
        return;
    s->member[join->rank] = c;
    roster_arrive(&s->roster, (int)join->rank, join->pid, join->host);
    if (s->up && s->up->state == CONN_UP)
        tell_top_arrived(s, (int)join->rank);
    if (is_top(s) && s->roster.narrived == s->roster.nranks)
        announce_ready(s);
}

static void hub_arrived(struct server *s, struct conn *c, const uint8_t *body,
                        size_t nbytes)
{
    uint32_t rank = nbytes == WIRE_ARRIVED_BYTES ? wire_get32(body) : UINT32_MAX;
    int nids = s->roster.nids, n = s->roster.nranks;
    if (rank >= (uint32_t)n || (int64_t)rank * nids / n != (int64_t)c->rank ||
        s->roster.member[rank].here) {
        round_fail(s, trncclInternalError, "the rendezvous of id %u announced rank %u",
                   c->rank, rank);
        return;
    }
    char host[WIRE_HOST];
    wire_text(host, sizeof(host), body + 8, WIRE_HOST);
    roster_arrive(&s->roster, (int)rank, wire_get32(body + 4), host);
    s->member[rank] = c;
    if (s->roster.narrived == n)
        announce_ready(s);
}

/* An exchange that a rank has left cannot complete. */
static void check_leavers(struct server *s)
{
    if (s->roster.ngiven == 0 || s->roster.nleft == 0 || s->failed)
        return;
    for (int r = s->roster.lo; r < s->roster.hi; r++) {
        if (!s->roster.member[r].left || s->roster.member[r].given)
            continue;
        char who[128];
        roster_name(&s->roster, r, who, sizeof(who));
        round_fail(s, trncclRemoteError, "%s left the rendezvous before exchange %u", who,
                   s->round);
        return;
    }
}

static void finish_round(struct server *s, struct blob *result)
{
    struct conn *c;
    TAILQ_FOREACH(c, &s->conns, link)
    if ((c->state == CONN_MEMBER || c->state == CONN_HUB) && !c->said_bye)
        conn_send(s, c, WIRE_RESULT, result);
    for (int r = s->roster.lo; r < s->roster.hi; r++)
        s->roster.member[r].given = false;
    s->roster.ngiven = 0;
    s->round++;
}

static bool start_round(struct server *s, int rank, uint32_t nbytes)
{
    int n = s->roster.hi - s->roster.lo;
    s->round_nbytes = nbytes;
    s->round_first = rank;
    s->round_blob = blob_create(WIRE_DATA_HEAD + (size_t)n * nbytes);
    if (!s->round_blob) {
        round_fail(s, trncclSystemError,
                   "the rendezvous has no memory for %d parts of %u bytes", n, nbytes);
        return false;
    }
    wire_put32(s->round_blob->data, s->round);
    wire_put32(s->round_blob->data + 4, nbytes);
    return true;
}

/* Ranks [first, end) gave their parts, which follow each other at data. */
static void give(struct server *s, int first, int end, const uint8_t *data)
{
    struct roster *ro = &s->roster;
    memcpy(s->round_blob->data + WIRE_DATA_HEAD +
               (size_t)(first - ro->lo) * s->round_nbytes,
           data, (size_t)(end - first) * s->round_nbytes);
    for (int r = first; r < end; r++)
        ro->member[r].given = true;
    ro->ngiven += end - first;
    if (ro->ngiven < ro->hi - ro->lo) {
        check_leavers(s);
        return;
    }
    struct blob *b = s->round_blob;
    s->round_blob = NULL;
    wire_hash(b->data, b->nbytes, b->hash);
    if (is_top(s)) {
        finish_round(s, b);
    } else if (s->up && s->up->state == CONN_UP) {
        conn_send(s, s->up, WIRE_GATHER, b);
    }
    blob_put(b);
}

static void gather(struct server *s, struct conn *c, const uint8_t *body, size_t nbytes)
{
    int first = (int)c->rank, end = first + 1;
    if (c->state == CONN_HUB) {
        first = roster_first(s->roster.nranks, s->roster.nids, (int)c->rank);
        end = roster_first(s->roster.nranks, s->roster.nids, (int)c->rank + 1);
    }
    uint32_t round = nbytes >= WIRE_DATA_HEAD ? wire_get32(body) : 0;
    uint32_t each = nbytes >= WIRE_DATA_HEAD ? wire_get32(body + 4) : UINT32_MAX;
    char who[128];
    roster_name(&s->roster, first, who, sizeof(who));
    if (!s->ready || each > WIRE_BLOB_MAX ||
        nbytes != WIRE_DATA_HEAD + (size_t)(end - first) * each ||
        s->roster.member[first].given) {
        round_fail(s, trncclInternalError, "a malformed part of an exchange from %s",
                   who);
        return;
    }
    if (s->roster.ngiven == 0 && !start_round(s, first, each))
        return;
    if (round != s->round || each != s->round_nbytes) {
        char other[128];
        roster_name(&s->roster, s->round_first, other, sizeof(other));
        round_fail(s, trncclInvalidUsage,
                   "the ranks disagree: %s gives %u bytes to exchange %u, %s gives %u "
                   "bytes to exchange %u",
                   who, each, round, other, s->round_nbytes, s->round);
        return;
    }
    give(s, first, end, body + WIRE_DATA_HEAD);
}

static void pass_late(struct server *s, uint32_t waited_ms)
{
    uint8_t bytes[4];
    wire_put32(bytes, waited_ms);
    conn_send_bytes(s, s->up, WIRE_LATE, bytes, sizeof(bytes));
}

/* Somebody's deadline has passed: say who is missing, if anybody is. A hub leaves the
 * answer to the top, which knows of every rank, unless the fault is its own ranks'. */
static void late(struct server *s, struct conn *c, uint32_t waited_ms)
{
    char missing[640];
    const struct roster *ro = &s->roster;
    int all = ro->hi - ro->lo;
    bool up = s->up && s->up->state == CONN_UP;
    int first = c->state == CONN_HUB ? roster_first(ro->nranks, ro->nids, (int)c->rank)
                                     : (int)c->rank;
    if (!s->ready && up) {
        pass_late(s, waited_ms);
    } else if (!s->ready && ro->narrived < all) {
        roster_missing(ro, ROSTER_ARRIVED, missing, sizeof(missing));
        round_fail(s, trncclTimeout, "%s not arrived within %u ms; rendezvous at %s",
                   missing, waited_ms, s->address);
    } else if (!s->ready) {
        round_fail(s, trncclTimeout,
                   "the rendezvous of the first unique id did not answer that at %s "
                   "within %u ms",
                   s->address, waited_ms);
    } else if (ro->member[first].given && ro->ngiven < all) {
        roster_missing(ro, ROSTER_GIVEN, missing, sizeof(missing));
        round_fail(s, trncclTimeout,
                   "%s not come to exchange %u within %u ms; rendezvous at %s", missing,
                   s->round, waited_ms, s->address);
    } else if (ro->member[first].given && up) {
        pass_late(s, waited_ms);
    }
}

/* In a hub whose own ranks are complete for the exchange, the parts have gone up; the
 * roster's marks stay until the result comes. */
static void result(struct server *s, const uint8_t *body, size_t nbytes)
{
    if (nbytes != WIRE_DATA_HEAD + (size_t)s->roster.nranks * s->round_nbytes ||
        wire_get32(body) != s->round || wire_get32(body + 4) != s->round_nbytes) {
        round_fail(s, trncclInternalError, "a malformed result of exchange %u", s->round);
        return;
    }
    struct blob *b = blob_create(nbytes);
    if (!b) {
        round_fail(s, trncclSystemError,
                   "the rendezvous at %s has no memory for %zu bytes", s->address,
                   nbytes);
        return;
    }
    memcpy(b->data, body, nbytes);
    wire_hash(b->data, nbytes, b->hash);
    finish_round(s, b);
    blob_put(b);
}

static trncclResult_t result_code(uint32_t code)
{
    return code > trncclSuccess && code < trncclNumResults ? (trncclResult_t)code
                                                           : trncclRemoteError;
}

/* A rank, or at the top a hub with its ranks, takes part no longer. */
static void leave(struct server *s, struct conn *c)
{
    for (int r = 0; r < s->roster.nranks; r++) {
        if (s->member[r] != c)
            continue;
        s->member[r] = NULL;
        roster_leave(&s->roster, r);
    }
    s->nmembers--;
}

static void bye(struct server *s, struct conn *c, uint32_t code)
{
    if (c->said_bye)
        return;
    c->said_bye = true;
    leave(s, c);
    char who[128];
    if (c->state == CONN_MEMBER)
        roster_name(&s->roster, (int)c->rank, who, sizeof(who));
    else
        snprintf(who, sizeof(who), "the rendezvous of id %u", c->rank);
    if (code != trncclSuccess || !s->ready)
        round_fail(s, trncclRemoteError,
                   "%s gave up while the communicator was being created: %s", who,
                   code == trncclSuccess ? "it closed its handle"
                                         : error_string(result_code(code)));
    check_leavers(s);
    c->wants_bye = true;
    round_byes(s);
}

void round_byes(struct server *s)
{
    struct conn *c, *other;
    TAILQ_FOREACH(c, &s->conns, link)
    {
        if (!c->wants_bye || c->dead)
            continue;
        bool flushed = true;
        TAILQ_FOREACH(other, &s->conns, link)
        flushed &= other == c || other->state < CONN_MEMBER || conn_flushed(other);
        if (!flushed)
            return;
        uint8_t bytes[4] = {0};
        c->wants_bye = false;
        conn_send_bytes(s, c, WIRE_BYE, bytes, sizeof(bytes));
    }
}

void round_lost(struct server *s, struct conn *c, const char *why)
{
    if (c == s->up) {
        s->up = NULL;
        char top[BOOT_ADDRESS_TEXT] = "?";
        struct boot_id id;
        if (boot_id_decode(&s->top, &id) == trncclSuccess)
            boot_address_text((struct sockaddr *)&id.address, top);
        round_fail(s, trncclRemoteError,
                   "the process that serves the first unique id, at %s, has died (%s)",
                   top, why);
        return;
    }
    if (c->said_bye)
        return;
    leave(s, c);
    char who[128];
    if (c->state == CONN_MEMBER)
        roster_name(&s->roster, (int)c->rank, who, sizeof(who));
    else
        snprintf(who, sizeof(who), "the process that serves unique id %u of %d, %s,",
                 c->rank, s->roster.nids, c->peer);
    round_fail(s, trncclRemoteError, "%s has died (%s)", who, why);
}

void round_frame(struct server *s, struct conn *c, const uint8_t *body, size_t nbytes)
{
    switch ((enum wire_type)c->in.type) {
    case WIRE_GATHER:
        if (!s->failed)
            gather(s, c, body, nbytes);
        return;
    case WIRE_RESULT:
        if (!s->failed)
            result(s, body, nbytes);
        return;
    case WIRE_READY:
        announce_ready(s);
        return;
    case WIRE_ARRIVED:
        if (!s->failed)
            hub_arrived(s, c, body, nbytes);
        return;
    case WIRE_LATE:
        if (!s->failed)
            late(s, c, nbytes >= 4 ? wire_get32(body) : 0);
        return;
    case WIRE_FAIL: {
        char text[WIRE_TEXT];
        if (nbytes < 4)
            return;
        wire_text(text, sizeof(text), body + 4, nbytes - 4);
        round_fail(s, result_code(wire_get32(body)), "%s", text);
        return;
    }
    case WIRE_BYE:
        if (c->state == CONN_MEMBER || c->state == CONN_HUB)
            bye(s, c, nbytes >= 4 ? wire_get32(body) : 0);
        return;
    default:
        return;
    }
}
