#include <stdlib.h>

#include "conform.h"

static void describe(const struct conform_rank *r, const struct conform_case *c,
                     char *text, size_t nbytes)
{
    static const char *const forms[] = {"", "_v", " (sends and receives)"};
    static const char *const which[] = {"no rank", "every rank", "some ranks"};
    snprintf(text, nbytes,
             "case %d: %s%s by %s, %d ranks, count %zu, %s %s, root %d, in place on %s, "
             "trncclMemAlloc on %s, shift %zu%s",
             c->id, sched_coll_name(c->coll), forms[c->form], c->algo, r->nranks,
             c->count, oracle_type_name(c->oracle->type), oracle_op_name(c->oracle->op),
             c->root, which[c->inplace], which[c->shared], c->shift,
             c->stream ? ", on a stream" : "");
}

/* The block and element that a byte belongs to; false if to none. */
static bool find_element(const uint8_t *byte, const uint8_t *base, int nblocks,
                         const size_t *counts, const size_t *displs, size_t elem,
                         int *block, size_t *element)
{
    for (int b = 0; base && b < nblocks; b++) {
        const uint8_t *first = base + displs[b] * elem;
        if (byte < first || byte >= first + counts[b] * elem)
            continue;
        *block = b;
        *element = (size_t)(byte - first) / elem;
        return true;
    }
    return false;
}

static void hex(char *text, const uint8_t *p, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        sprintf(text + 2 * i, "%02x", p[i]);
}

static void differs(struct conform_rank *r, const struct conform_case *c,
                    const struct conform_buffer *b, size_t at)
{
    char what[400], found[40] = "", want[40] = "", where[120];
    size_t elem = c->oracle->elem, element = 0, first = at;
    int block = 0;
    const uint8_t *byte = b->at + at, *base = NULL;
    describe(r, c, what, sizeof what);
    if (find_element(byte, r->recv_at, r->nout, r->out_counts, r->out_displs, elem,
                     &block, &element)) {
        base = r->recv_at + (r->out_displs[block] + element) * elem;
        snprintf(where, sizeof where, "element %zu of block %d of the result", element,
                 block);
    } else if (find_element(byte, r->send_at, r->nin, r->in_counts, r->in_displs, elem,
                            &block, &element)) {
        base = r->send_at + (r->in_displs[block] + element) * elem;
        snprintf(where, sizeof where,
                 "element %zu of block %d of sendbuff, which changed", element, block);
    } else {
        elem = 1;
        snprintf(where, sizeof where,
                 "byte %zu of the %s buffer's %zu, outside any block", at,
                 b == &r->send ? "send" : "receive", b->nbytes);
    }
    if (base)
        first = (size_t)(base - b->at);
    hex(found, b->at + first, elem);
    hex(want, b->want + first, elem);
    report_fail(r->report, "%s; rank %d, %s: expected %s, found %s (bytes in order)",
                what, r->rank, where, want, found);
}

static void compare(struct conform_rank *r, const struct conform_case *c,
                    const struct conform_buffer *b)
{
    atomic_fetch_add(&r->report->nbytes, (long)b->nbytes);
    if (memcmp(b->at, b->want, b->nbytes) == 0)
        return;
    size_t at = 0;
    while (b->at[at] == b->want[at])
        at++;
    differs(r, c, b, at);
}

static void check_algorithm(struct conform_rank *r, const struct conform_case *c)
{
    const char *name = NULL, *want = c->coll == SCHED_PERMUTE ? "" : c->algo;
    char what[400];
    if (trncclCommGetAlgorithm(r->comm, &name) == trncclSuccess &&
        (strcmp(name, want) == 0) != c->by_default)
        return;
    describe(r, c, what, sizeof what);
    report_fail(r->report, "%s; rank %d ran by '%s'", what, r->rank, name ? name : "?");
}

/* Whether the call ended as it must. */
static bool check_result(struct conform_rank *r, const struct conform_case *c,
                         trncclResult_t result)
{
    char what[400];
    if (result == (c->refused ? trncclInvalidArgument : trncclSuccess))
        return true;
    describe(r, c, what, sizeof what);
    report_fail(r->report, "%s; rank %d: expected %s, found result %d: %.240s", what,
                r->rank, c->refused ? "a refusal" : "success", (int)result,
                trncclGetLastError(r->comm));
    return false;
}

bool conform_check(struct conform_rank *r, const struct conform_case *c,
                   trncclResult_t result)
{
    if (c->stream && result == trncclSuccess)
        result = trncclStreamSynchronize(r->stream);
    if (c->coll == SCHED_BARRIER && result == trncclSuccess &&
        atomic_load(r->entered) < r->nranks * r->barriers)
        report_fail(r->report,
                    "case %d: barrier by %s: rank %d of %d left barrier %d when only %d "
                    "entries had been made",
                    c->id, c->algo, r->rank, r->nranks, r->barriers,
                    atomic_load(r->entered));
    if (c->oracle->op == ORACLE_PREMUL && trncclRedOpDestroy(r->redop, r->comm) != 0)
        report_fail(r->report, "rank %d: trncclRedOpDestroy: %s", r->rank,
                    trncclGetLastError(r->comm));
    atomic_fetch_add(&r->report->nchecks, 1);
    if (!check_result(r, c, result))
        return false;
    if (r->flip >= 0 && (size_t)r->flip < r->recv.nbytes)
        r->recv.at[r->flip] ^= 1;
    if (!c->refused)
        check_algorithm(r, c);
    compare(r, c, &r->send);
    compare(r, c, &r->recv);
    return true;
}
