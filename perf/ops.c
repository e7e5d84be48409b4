#include "perf/ops.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/names.h"

static size_t sum_before(const size_t *counts, int end)
{
    size_t sum = 0;
    for (int i = 0; i < end; i++)
        sum += counts[i];
    return sum;
}

static void expect(struct op_layout *l, size_t at, size_t count, int from, size_t index)
{
    l->segments[l->nsegments++] = (struct op_segment){at, count, from, index};
}

/* ---- Layouts ------------------------------------------------------------------------
 */

static void layout_all_reduce(const struct op_case *c, int rank, bool in_place,
                              struct op_layout *l)
{
    (void)rank, (void)in_place;
    l->send_extent = l->send_count = l->recv_extent = c->count;
    expect(l, 0, c->count, OP_FROM_REDUCTION, 0);
}

static void layout_reduce(const struct op_case *c, int rank, bool in_place,
                          struct op_layout *l)
{
    (void)in_place;
    l->send_extent = l->send_count = l->recv_extent = c->count;
    if (rank == c->root)
        expect(l, 0, c->count, OP_FROM_REDUCTION, 0);
}

static void layout_broadcast(const struct op_case *c, int rank, bool in_place,
                             struct op_layout *l)
{
    (void)in_place;
    l->send_extent = l->recv_extent = c->count;
    l->send_count = rank == c->root ? c->count : 0;
    expect(l, 0, c->count, c->root, 0);
}

/* Gathers, with the same or with different counts: block r of the result is rank r's. */
static void gather_blocks(const struct op_case *c, bool varies, int rank, bool receives,
                          bool in_place, struct op_layout *l)
{
    size_t at = 0, total = 0;
    for (int r = 0; r < c->nranks; r++) {
        size_t count = varies ? c->counts[r] : c->count;
        if (receives)
            expect(l, total, count, r, 0);
        if (r < rank)
            at += count;
        total += count;
    }
    l->recv_extent = total;
    l->send_count = varies ? c->counts[rank] : c->count;
    l->send_extent = in_place ? total : l->send_count;
    l->send_at = in_place ? at : 0;
}

static void layout_all_gather(const struct op_case *c, int rank, bool in_place,
                              struct op_layout *l)
{
    gather_blocks(c, false, rank, true, in_place, l);
}

static void layout_all_gather_v(const struct op_case *c, int rank, bool in_place,
                                struct op_layout *l)
{
    gather_blocks(c, true, rank, true, in_place, l);
}

static void layout_gather(const struct op_case *c, int rank, bool in_place,
                          struct op_layout *l)
{
    gather_blocks(c, false, rank, rank == c->root, in_place, l);
}

static void layout_gather_v(const struct op_case *c, int rank, bool in_place,
                            struct op_layout *l)
{
    gather_blocks(c, true, rank, rank == c->root, in_place, l);
}

/* Scatters: this rank receives block `rank` of the root's data or of the reduction. */
static void scatter_block(const struct op_case *c, bool varies, int rank, int from,
                          bool in_place, struct op_layout *l)
{
    size_t at = varies ? sum_before(c->counts, rank) : (size_t)rank * c->count;
    size_t count = varies ? c->counts[rank] : c->count;
    size_t total =
        varies ? sum_before(c->counts, c->nranks) : (size_t)c->nranks * c->count;
    l->send_extent = total;
    l->send_count = from == OP_FROM_REDUCTION || from == rank ? total : 0;
    l->recv_at = in_place ? at : 0;
    l->recv_extent = in_place ? total : count;
    expect(l, l->recv_at, count, from, at);
}

static void layout_reduce_scatter(const struct op_case *c, int rank, bool in_place,
                                  struct op_layout *l)
{
    scatter_block(c, false, rank, OP_FROM_REDUCTION, in_place, l);
}

static void layout_reduce_scatter_v(const struct op_case *c, int rank, bool in_place,
                                    struct op_layout *l)
{
    scatter_block(c, true, rank, OP_FROM_REDUCTION, in_place, l);
}

static void layout_scatter(const struct op_case *c, int rank, bool in_place,
                           struct op_layout *l)
{
    scatter_block(c, false, rank, c->root, in_place, l);
}

static void layout_scatter_v(const struct op_case *c, int rank, bool in_place,
                             struct op_layout *l)
{
    scatter_block(c, true, rank, c->root, in_place, l);
}

static void layout_all_to_all(const struct op_case *c, int rank, bool in_place,
                              struct op_layout *l)
{
    (void)in_place;
    size_t total = (size_t)c->nranks * c->count;
    l->send_extent = l->send_count = l->recv_extent = total;
    for (int r = 0; r < c->nranks; r++)
        expect(l, (size_t)r * c->count, c->count, r, (size_t)rank * c->count);
}

static void layout_all_to_all_v(const struct op_case *c, int rank, bool in_place,
                                struct op_layout *l)
{
    (void)in_place;
    size_t n = (size_t)c->nranks, at = 0;
    for (int r = 0; r < c->nranks; r++) {
        const size_t *row = c->counts + (size_t)r * n;
        expect(l, at, row[rank], r, sum_before(row, rank));
        at += row[rank];
    }
    l->recv_extent = at;
    l->send_extent = l->send_count = sum_before(c->counts + (size_t)rank * n, c->nranks);
}

static void layout_pairs(const struct op_case *c, int rank, bool in_place,
                         struct op_layout *l)
{
    (void)in_place;
    l->send_extent = l->recv_extent = c->count;
    for (int i = 0; i < c->npairs; i++) {
        if (c->pairs[2 * i] == rank)
            l->send_count = c->count;
        if (c->pairs[2 * i + 1] == rank)
            expect(l, 0, c->count, c->pairs[2 * i], 0);
    }
}

static void layout_nothing(const struct op_case *c, int rank, bool in_place,
                           struct op_layout *l)
{
    (void)c, (void)rank, (void)in_place, (void)l;
}

/* ---- Calls --------------------------------------------------------------------------
 */

static trncclResult_t run_all_reduce(const struct op_call *c)
{
    return trncclAllReduce(c->send, c->recv, c->count, c->type, c->redop, c->comm,
                           c->stream);
}

static trncclResult_t run_all_gather(const struct op_call *c)
{
    return trncclAllGather(c->send, c->recv, c->count, c->type, c->comm, c->stream);
}

static trncclResult_t run_reduce_scatter(const struct op_call *c)
{
    return trncclReduceScatter(c->send, c->recv, c->count, c->type, c->redop, c->comm,
                               c->stream);
}

static trncclResult_t run_broadcast(const struct op_call *c)
{
    return trncclBroadcast(c->send, c->recv, c->count, c->type, c->root, c->comm,
                           c->stream);
}

static trncclResult_t run_reduce(const struct op_call *c)
{
    return trncclReduce(c->send, c->recv, c->count, c->type, c->redop, c->root, c->comm,
                        c->stream);
}

static trncclResult_t run_all_to_all(const struct op_call *c)
{
    return trncclAllToAll(c->send, c->recv, c->count, c->type, c->comm, c->stream);
}

static trncclResult_t run_gather(const struct op_call *c)
{
    return trncclGather(c->send, c->recv, c->count, c->type, c->root, c->comm, c->stream);
}

static trncclResult_t run_scatter(const struct op_call *c)
{
    return trncclScatter(c->send, c->recv, c->count, c->type, c->root, c->comm,
                         c->stream);
}

static trncclResult_t run_all_gather_v(const struct op_call *c)
{
    return trncclAllGatherV(c->send, c->send_count, c->recv, c->recv_counts, NULL,
                            c->type, c->comm, c->stream);
}

static trncclResult_t run_reduce_scatter_v(const struct op_call *c)
{
    return trncclReduceScatterV(c->send, c->recv_counts, NULL, c->recv, c->type, c->redop,
                                c->comm, c->stream);
}

static trncclResult_t run_all_to_all_v(const struct op_call *c)
{
    return trncclAllToAllV(c->send, c->send_counts, NULL, c->recv, c->recv_counts, NULL,
                           c->type, c->comm, c->stream);
}

static trncclResult_t run_gather_v(const struct op_call *c)
{
    return trncclGatherV(c->send, c->send_count, c->recv, c->recv_counts, NULL, c->type,
                         c->root, c->comm, c->stream);
}

static trncclResult_t run_scatter_v(const struct op_call *c)
{
    return trncclScatterV(c->send, c->send_counts, NULL, c->recv, c->recv_count, c->type,
                          c->root, c->comm, c->stream);
}

static trncclResult_t run_permute(const struct op_call *c)
{
    return trncclPermute(c->send, c->recv, c->count, c->type, c->pairs, c->npairs,
                         c->comm, c->stream);
}

static trncclResult_t run_sendrecv(const struct op_call *c)
{
    trncclResult_t result = trncclGroupStart();
    for (int i = 0; i < c->npairs && result == trncclSuccess; i++) {
        if (c->pairs[2 * i] == c->rank)
            result = trncclSend(c->send, c->count, c->type, c->pairs[2 * i + 1], c->comm,
                                c->stream);
        if (result == trncclSuccess && c->pairs[2 * i + 1] == c->rank)
            result = trncclRecv(c->recv, c->count, c->type, c->pairs[2 * i], c->comm,
                                c->stream);
    }
    trncclResult_t ended = trncclGroupEnd();
    return result != trncclSuccess ? result : ended;
}

static trncclResult_t run_barrier(const struct op_call *c)
{
    return trncclBarrier(c->comm, c->stream);
}

/* Bandwidth factors: nccl-tests' doc/PERFORMANCE.md. */
const struct op ops_table[] = {
    {"all_reduce", "allr allreduce", OP_REDUCES | OP_IN_PLACE, -2, 2, false,
     layout_all_reduce, run_all_reduce},
    {"all_gather", "allg allgather", OP_IN_PLACE, -1, 1, true, layout_all_gather,
     run_all_gather},
    {"reduce_scatter", "redsct reducescatter", OP_REDUCES | OP_IN_PLACE, -1, 1, true,
     layout_reduce_scatter, run_reduce_scatter},
    {"broadcast", "bcast", OP_ROOTED | OP_IN_PLACE, 0, 1, false, layout_broadcast,
     run_broadcast},
    {"reduce", "red", OP_REDUCES | OP_ROOTED | OP_IN_PLACE, 0, 1, false, layout_reduce,
     run_reduce},
    {"all_to_all", "alltoall a2a", OP_IN_PLACE, -1, 1, true, layout_all_to_all,
     run_all_to_all},
    {"gather", "", OP_ROOTED | OP_IN_PLACE, -1, 1, true, layout_gather, run_gather},
    {"scatter", "", OP_ROOTED | OP_IN_PLACE, -1, 1, true, layout_scatter, run_scatter},
    {"all_gather_v", "allgv allgatherv", OP_VARIES | OP_IN_PLACE, -1, 1, true,
     layout_all_gather_v, run_all_gather_v},
    {"reduce_scatter_v", "redsctv reducescatterv", OP_REDUCES | OP_VARIES | OP_IN_PLACE,
     -1, 1, true, layout_reduce_scatter_v, run_reduce_scatter_v},
    {"all_to_all_v", "alltoallv a2av", OP_VARIES, -1, 1, true, layout_all_to_all_v,
     run_all_to_all_v},
    {"gather_v", "gatherv", OP_ROOTED | OP_VARIES | OP_IN_PLACE, -1, 1, true,
     layout_gather_v, run_gather_v},
    {"scatter_v", "scatterv", OP_ROOTED | OP_VARIES | OP_IN_PLACE, -1, 1, true,
     layout_scatter_v, run_scatter_v},
    {"sendrecv", "send_recv", OP_PAIRS, 0, 1, false, layout_pairs, run_sendrecv},
    {"permute", "perm", OP_PAIRS, 0, 1, false, layout_pairs, run_permute},
    {"barrier", "", OP_NO_DATA, 0, 1, false, layout_nothing, run_barrier},
    {0},
};

/* ---- Look-up and arithmetic ---------------------------------------------------------
 */

/* Equal up to case, '-' and '_'. */
static bool same_name(const char *a, const char *b, size_t b_length)
{
    const char *end = b + b_length;
    for (;; a++, b++) {
        while (*a == '-' || *a == '_')
            a++;
        while (b < end && (*b == '-' || *b == '_'))
            b++;
        if (b == end || !*a)
            return b == end && !*a;
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
    }
}

const struct op *ops_find(const char *name)
{
    for (const struct op *op = ops_table; op->name; op++) {
        if (same_name(name, op->name, strlen(op->name)))
            return op;
        for (const char *p = op->aliases; *p;) {
            size_t length = strcspn(p, " ");
            if (same_name(name, p, length))
                return op;
            p += length;
            p += strspn(p, " ");
        }
    }
    return NULL;
}

void ops_list_near(const char *wrong, char *text, size_t text_nbytes)
{
    bool used[sizeof ops_table / sizeof ops_table[0]] = {false};
    size_t length = 0;
    text[0] = '\0';
    for (;;) {
        int best = -1, best_distance = 0;
        for (int i = 0; ops_table[i].name; i++) {
            int distance = names_distance(wrong, ops_table[i].name);
            if (!used[i] && (best < 0 || distance < best_distance)) {
                best = i;
                best_distance = distance;
            }
        }
        if (best < 0 || length + 32 > text_nbytes)
            return;
        used[best] = true;
        length += (size_t)snprintf(text + length, text_nbytes - length, "%s%s",
                                   length ? ", " : "", ops_table[best].name);
    }
}

bool ops_collective(const struct op *op, char *text, size_t text_nbytes)
{
    size_t length = strlen(op->name) - (op->flags & OP_VARIES ? strlen("_v") : 0);
    snprintf(text, text_nbytes, "%.*s", (int)length, op->name);
    return op->run != run_sendrecv;
}

void ops_layout(const struct op *op, const struct op_case *c, int rank, bool in_place,
                struct op_segment *segments, struct op_layout *l)
{
    *l = (struct op_layout){.rank = rank, .segments = segments};
    op->layout(c, rank, in_place, l);
}

size_t ops_volume(const struct op *op, const struct op_case *c)
{
    size_t n = (size_t)c->nranks;
    if (!(op->flags & OP_VARIES))
        return op->divides ? c->count * n : c->count;
    if (op->layout != layout_all_to_all_v)
        return sum_before(c->counts, c->nranks);
    size_t busiest = 0;
    for (size_t r = 0; r < n; r++) {
        size_t sent = sum_before(c->counts + r * n, c->nranks), received = 0;
        for (size_t s = 0; s < n; s++)
            received += c->counts[s * n + r];
        busiest = sent > busiest ? sent : busiest;
        busiest = received > busiest ? received : busiest;
    }
    return busiest;
}

double ops_bus_factor(const struct op *op, int nranks)
{
    return op->bus_constant + op->bus_per_n / nranks;
}

void ops_call_init(const struct op *op, const struct op_case *c, int rank,
                   size_t *scratch, struct op_call *call)
{
    size_t n = (size_t)c->nranks;
    call->count = c->count;
    call->pairs = c->pairs;
    call->npairs = c->npairs;
    call->rank = rank;
    call->nranks = c->nranks;
    call->root = c->root;
    if (!(op->flags & OP_VARIES))
        return;
    call->send_counts = scratch;
    call->recv_counts = scratch + n;
    if (op->layout == layout_all_to_all_v) {
        for (size_t r = 0; r < n; r++) {
            scratch[r] = c->counts[(size_t)rank * n + r];
            scratch[n + r] = c->counts[r * n + (size_t)rank];
        }
        return;
    }
    for (size_t r = 0; r < n; r++)
        scratch[r] = scratch[n + r] = c->counts[r];
    call->send_count = call->recv_count = c->counts[rank];
}
