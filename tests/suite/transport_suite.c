/* What every transport of transport_list must do, at the level of transport.h: both ends
 * of its connections in this test, on one thread, on two, and in two processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/alloc.h"
#include "tests/support/report.h"
#include "transports/segment.h"
#include "transports/transport.h"

enum { NCHANNELS = 8, NSLOTS = 4, LEND = 4096, SIG = 0x5eed, MEMORY = 1 << 20 };
#define GONE UINT32_MAX /* id of a region whose peer has left */
#define NMESSAGES (SUITE_SANITIZED ? 10000 : 100000)

/* Two ranks and the memory each has registered. */
struct bench {
    const struct transport_ops *ops;
    struct segment *segment;
    struct transport_place places[2];
    struct transport_env env[2];
    struct transport *transports[2];
    uint8_t *memory[2];
    const struct mem_region *region[2];
    bool plain_readable;
};

static uint64_t seed;

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull; /* SplitMix64 */
    uint64_t x = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* ---- what a communicator would supply -----------------------------------------------
 */

static trncclResult_t publish(void *context, int process_index,
                              const struct mem_region *region)
{
    (void)context, (void)process_index;
    return region->id == GONE ? trncclRemoteError
           : region->id       ? trncclSuccess
                              : trncclInternalError;
}

static trncclResult_t resolve(void *context, int process_index, uint32_t id,
                              uint64_t offset, size_t nbytes, void **address)
{
    const struct bench *b = context;
    const struct mem_region *r = b->region[process_index];
    if (id != r->id || offset > r->nbytes || nbytes > r->nbytes - offset)
        return error_set(trncclInternalError, "no such memory: region %u, offset %llu",
                         id, (unsigned long long)offset);
    *address = r->base + offset;
    return trncclSuccess;
}

/* Whether the transport joins ranks of different processes. */
static bool crosses(const struct transport_ops *ops)
{
    struct transport_place a = {.process = {1}}, b = {.process = {2}};
    return ops->reach(&a, &b) >= 0;
}

static void bench_open(struct bench *b, const struct transport_ops *ops)
{
    *b = (struct bench){.ops = ops};
    assert_int_equal(segment_create(2, NCHANNELS, NSLOTS, &b->segment), trncclSuccess);
    for (int r = 0; r < 2; r++) {
        void *p = NULL;
        assert_int_equal(alloc_create(&p, MEMORY), trncclSuccess);
        b->memory[r] = p;
        b->region[r] = alloc_find(p, 1);
        b->places[r] = (struct transport_place){.pid = 100 + r, .local_index = r};
        if (crosses(ops)) {
            b->places[r].process[0] = (uint8_t)(r + 1);
            b->places[r].process_index = r;
        }
        b->env[r] = (struct transport_env){.rank = r,
                                           .nranks = 2,
                                           .places = b->places,
                                           .segment = b->segment,
                                           .lend_nbytes = LEND,
                                           .plain_readable = &b->plain_readable,
                                           .context = b,
                                           .publish = publish,
                                           .resolve = resolve};
        assert_int_equal(ops->open(&b->env[r], &b->transports[r]), trncclSuccess);
    }
}

static void bench_close(struct bench *b)
{
    for (int r = 0; r < 2; r++) {
        b->ops->close(b->transports[r]);
        assert_int_equal(alloc_destroy(b->memory[r]), trncclSuccess);
    }
    segment_destroy(b->segment);
}

static struct transport_conn *end_of(struct bench *b, int rank, int channel, bool out)
{
    struct transport_conn *c = NULL;
    assert_int_equal(b->ops->connect(b->transports[rank], 1 - rank, channel, out, &c),
                     trncclSuccess);
    assert_ptr_equal(c->ops, b->ops);
    assert_int_equal(c->peer, 1 - rank);
    assert_int_equal(c->channel, channel);
    assert_int_equal(c->outgoing, out);
    assert_int_equal(c->next, 0);
    return c;
}

/* ---- messages -----------------------------------------------------------------------
 */

static void fill(uint8_t *p, size_t nbytes, uint32_t message)
{
    for (size_t i = 0; i < nbytes; i++)
        p[i] = (uint8_t)(message * 31 + i * 7 + (i >> 8));
}

static bool is_filled(const uint8_t *p, size_t nbytes, uint32_t message)
{
    for (size_t i = 0; i < nbytes; i++)
        if (p[i] != (uint8_t)(message * 31 + i * 7 + (i >> 8)))
            return false;
    return true;
}

/* Sends one; its bytes lie in src by commit if src is not NULL. False: no credit. */
static bool try_send(struct transport_conn *c, size_t nbytes, uint8_t *src,
                     const struct mem_region *region)
{
    struct transport_source source = {.at = src, .region = region};
    uint8_t *p = c->ops->reserve(c, nbytes, src ? &source : NULL);
    if (!p)
        return false;
    if (src)
        fill(src, nbytes, c->next);
    if (p != src)
        fill(p, nbytes, c->next);
    c->ops->commit(c, nbytes, SIG);
    return true;
}

static const uint8_t *expect(struct transport_conn *c, size_t nbytes)
{
    const uint8_t *p = c->ops->peek(c, nbytes, SIG);
    assert_non_null(p);
    assert_true(is_filled(p, nbytes, c->next));
    return p;
}

/* ---- one thread ---------------------------------------------------------------------
 */

static void any_size_arrives_whole(struct bench *b)
{
    static const size_t sizes[] = {1,    2,    47,   48,    49,    50,    64, 255,
                                   4095, 4096, 4097, 16384, 65535, 65536, 48, 49};
    static uint8_t plain[65536];
    struct transport_conn *out = end_of(b, 0, 0, true), *in = end_of(b, 1, 0, false);
    for (int how = 0; how < 3; how++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            uint32_t message = out->next;
            assert_null(in->ops->peek(in, sizes[i], SIG));
            assert_true(try_send(out, sizes[i],
                                 how == 0   ? NULL
                                 : how == 1 ? plain
                                            : b->memory[0] + 13,
                                 how == 2 ? b->region[0] : NULL));
            assert_int_equal(out->next, message + 1);
            assert_false(out->ops->drained(out, message));
            expect(in, sizes[i]);
            expect(in, sizes[i]); /* looking changes nothing */
            in->ops->release(in);
            assert_true(out->ops->drained(out, message));
            assert_int_equal(in->next, message + 1);
        }
}

static void credit_ends_and_comes_back(struct bench *b)
{
    static const size_t sizes[] = {8, 1000, 65536};
    for (int i = 0; i < 3; i++) {
        struct transport_conn *out = end_of(b, 0, i, true), *in = end_of(b, 1, i, false);
        int n = 0;
        while (n < 1000 && try_send(out, sizes[i], NULL, NULL))
            n++;
        assert_in_range(n, 1, 999);
        assert_null(out->ops->reserve(out, sizes[i], NULL));
        assert_int_equal(out->error, trncclSuccess);
        for (int k = 0; k < 50; k++) {
            expect(in, sizes[i]);
            in->ops->release(in);
            assert_true(try_send(out, sizes[i], NULL, NULL));
            assert_false(try_send(out, sizes[i], NULL, NULL));
        }
    }
}

static void registered_memory_is_lent(struct bench *b)
{
    struct transport_conn *out = end_of(b, 1, 3, true), *in = end_of(b, 0, 3, false);
    if (!(b->ops->caps & TRANSPORT_ZERO_COPY))
        return;
    for (uint32_t m = 0; m < 40; m++) {
        uint8_t *src = b->memory[1] + 77 + m * 5;
        struct transport_source source = {.at = src, .region = b->region[1]};
        assert_ptr_equal(out->ops->reserve(out, 8192, &source), src);
        fill(src, 8192, m);
        out->ops->commit(out, 8192, SIG);
        const uint8_t *p = expect(in, 8192);
        src[5] ^= 0xff; /* the same memory: nothing was copied */
        assert_int_equal(p[5], src[5]);
        assert_false(out->ops->drained(out, m));
        in->ops->release(in);
        assert_true(out->ops->drained(out, m));
    }
    /* The end of a region, but not what lies beyond it. */
    uint8_t *last = b->memory[1] + MEMORY - 4096;
    assert_true(try_send(out, 4096, last, b->region[1]));
    expect(in, 4096);
    in->ops->release(in);
}

/* Plain memory of a process that may be read: straight to where the receiver wants it, or
 * into a place of the transport's. */
static void readable_memory_is_read_once(struct bench *b)
{
    enum { LARGE = TRANSPORT_MAX_COPY };
    struct transport_conn *out = end_of(b, 0, 5, true), *in = end_of(b, 1, 5, false);
    uint8_t *from = test_malloc(LARGE), *to = test_malloc(LARGE);
    b->plain_readable = true;
    b->places[0].pid = b->places[1].pid = getpid();
    static const size_t sizes[] = {32768, TRANSPORT_MAX_MESSAGE, LARGE};
    for (int i = 0; i < 6; i++) {
        size_t nbytes = sizes[i % 3];
        bool post = i % 2 || nbytes > TRANSPORT_MAX_MESSAGE;
        if (post)
            in->ops->post(in, in->next, to, nbytes, NULL);
        struct transport_source source = {
            .at = from, .also_written = i < 3, .stored = true};
        uint8_t *p = out->ops->reserve(out, nbytes, &source);
        assert_true(p == from || (b->ops->caps & TRANSPORT_ANY_MEMORY && p == to));
        fill(p, nbytes, out->next);
        out->ops->commit(out, nbytes, SIG);
        const uint8_t *found = expect(in, nbytes);
        if (post && !(b->ops->caps & TRANSPORT_ANY_MEMORY))
            assert_ptr_equal(found, to);
        in->ops->release(in);
        assert_true(out->ops->drained(out, in->next - 1));
    }
    test_free(from);
    test_free(to);
}

/* A receiver that names its places is waited for a little by what is also written
 * elsewhere, and not for ever. */
static void late_landing_places_are_awaited_shortly(struct bench *b)
{
    if (!(b->ops->caps & TRANSPORT_ZERO_COPY))
        return;
    struct transport_conn *out = end_of(b, 0, 6, true), *in = end_of(b, 1, 6, false);
    struct transport_source source = {b->memory[0], b->region[0], true, true};
    uint8_t *to = b->memory[1] + 4096;
    in->ops->post(in, 0, to, 8192, b->region[1]);
    uint8_t *p = out->ops->reserve(out, 8192, &source);
    assert_non_null(p);
    assert_ptr_not_equal(p, source.at);
    fill(p, 8192, 0);
    out->ops->commit(out, 8192, SIG);
    assert_ptr_equal(expect(in, 8192), to);
    in->ops->release(in);
    int waited = 0;
    while (!(p = out->ops->reserve(out, 8192, &source)) && waited < 1000000)
        waited++;
    assert_in_range(waited, 1, 10000);
    assert_ptr_equal(p, source.at);
    fill(p, 8192, 1);
    out->ops->commit(out, 8192, SIG);
    expect(in, 8192);
    in->ops->release(in);
    /* It was not there in time, so the next message does not wait. */
    assert_non_null(out->ops->reserve(out, 8192, &source));
}

static void unreadable_memory_is_an_error(struct bench *b)
{
    if (b->ops->caps & TRANSPORT_ANY_MEMORY)
        return;
    b->plain_readable = true;
    const pid_t nobody = 0x3fffffff; /* beyond any kernel's pid_max */
    const trncclResult_t expected[] = {trncclSystemError, trncclRemoteError};
    for (int i = 0; i < 2; i++) {
        struct transport_conn *out = end_of(b, 0, i, true), *in = end_of(b, 1, i, false);
        b->places[0].pid = i == 0 ? getpid() : nobody;
        struct transport_source source = {.at = (void *)(uintptr_t)4096, .stored = true};
        assert_non_null(out->ops->reserve(out, 32768, &source));
        out->ops->commit(out, 32768, SIG);
        assert_null(in->ops->peek(in, 32768, SIG));
        assert_int_equal(in->error, expected[i]);
        assert_non_null(strstr(error_text(), "rank 0 (pid "));
    }
}

static void messages_land_where_they_were_posted(struct bench *b)
{
    struct transport_conn *out = end_of(b, 0, 4, true), *in = end_of(b, 1, 4, false);
    if (!(b->ops->caps & TRANSPORT_ZERO_COPY))
        return;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t first = in->next;
        for (uint32_t k = 0; k < 3; k++) /* the middle one has no place of its own */
            if (k != 1)
                in->ops->post(in, first + k, b->memory[1] + k * 10000, 9000,
                              b->region[1]);
        for (uint32_t k = 0; k < 3; k++)
            assert_true(try_send(out, 9000, NULL, NULL));
        for (uint32_t k = 0; k < 3; k++) {
            const uint8_t *p = expect(in, 9000);
            assert_int_equal(p == b->memory[1] + k * 10000, k != 1);
            in->ops->release(in);
        }
    }
}

/* The communicator could not make the region known: the connection has failed. */
static void landing_place_that_cannot_be_named_is_an_error(struct bench *b)
{
    if (!crosses(b->ops))
        return;
    struct transport_conn *out = end_of(b, 0, 2, true), *in = end_of(b, 1, 2, false);
    struct mem_region unknown = *b->region[1];
    unknown.id = 0; /* which publish refuses */
    assert_true(try_send(out, 8192, NULL, NULL));
    in->ops->post(in, 0, b->memory[1], 8192, &unknown);
    assert_int_equal(in->error, trncclInternalError);
    assert_null(in->ops->peek(in, 8192, SIG));
}

/* It has sent what it had to send, and gone. */
static void message_of_a_peer_that_left_arrives(struct bench *b)
{
    if (!crosses(b->ops))
        return;
    struct transport_conn *out = end_of(b, 0, 2, true), *in = end_of(b, 1, 2, false);
    struct mem_region region = *b->region[1];
    region.id = GONE; /* publish finds nobody there */
    assert_true(try_send(out, 8192, NULL, NULL));
    in->ops->post(in, 0, b->memory[1], 8192, &region);
    expect(in, 8192);
    in->ops->release(in);
}

static void other_messages_are_refused_for_good(struct bench *b)
{
    static const size_t sizes[] = {8, 1000, 8192};
    for (int i = 0; i < 6; i++) {
        size_t nbytes = sizes[i / 2], wanted = i % 2 ? nbytes + 1 : nbytes;
        uint32_t sig = i % 2 ? SIG : SIG + 1;
        struct transport_conn *out = end_of(b, 0, i, true), *in = end_of(b, 1, i, false);
        assert_true(try_send(out, nbytes, NULL, NULL));
        assert_null(in->ops->peek(in, wanted, sig));
        assert_int_equal(in->error, trncclInvalidUsage);
        assert_int_equal(in->found_sig, SIG);
        assert_int_equal(in->found_nbytes, nbytes);
        assert_null(in->ops->peek(in, nbytes, SIG));
        assert_int_equal(in->error, trncclInvalidUsage);
    }
}

static void channels_and_directions_are_independent(struct bench *b)
{
    struct transport_conn *out[2][NCHANNELS], *in[2][NCHANNELS];
    uint64_t random = seed;
    for (int r = 0; r < 2; r++)
        for (int c = 0; c < NCHANNELS; c++) {
            out[r][c] = end_of(b, r, c, true);
            in[r][c] = end_of(b, r, c, false);
        }
    int nreceived = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t h = next_random(&random);
        int r = h & 1, c = (int)(h >> 1 & 7);
        size_t nbytes = 1 + (size_t)c * 700;
        if (h & 64) {
            try_send(out[r][c], nbytes, NULL, NULL);
        } else if (in[r][c]->next < out[1 - r][c]->next) {
            expect(in[r][c], nbytes);
            in[r][c]->ops->release(in[r][c]);
            nreceived++;
        } else {
            assert_null(in[r][c]->ops->peek(in[r][c], nbytes, SIG));
        }
    }
    assert_in_range(nreceived, 1000, 20000);
}

/* ---- a peer that writes garbage -----------------------------------------------------
 */

/* What rank `to` reads of the connection from the other rank. */
static struct segment_conn *shared_of(struct bench *b, int to, int channel)
{
    return segment_conn(b->segment, segment_index(b->segment, to, 1 - to, channel));
}

/* Only transports that other processes use must not believe what they read. */
static bool is_suspicious(const struct bench *b)
{
    return crosses(b->ops);
}

static void wrong_cells_are_refused(struct bench *b)
{
    if (!is_suspicious(b))
        return;
    const struct {
        uint32_t kind;
        uint64_t region, offset;
    } wrong[] = {{3, 999999, 0},
                 {3, b->region[0]->id, MEMORY - 8191},
                 {3, b->region[0]->id, MEMORY + 1},
                 {3, b->region[0]->id, UINT64_MAX - 3},
                 {4, 0, 0}, /* landed, though nothing was posted */
                 {0, 0, 0},
                 {5, 0, 0},
                 {0xffffffff, 0, 0}};
    for (int i = 0; i < 8; i++) {
        struct transport_conn *in = end_of(b, 1, i, false);
        struct segment_cell *cell = &shared_of(b, 1, i)->cells[0];
        cell->nbytes = 8192;
        cell->sig = SIG;
        cell->kind = wrong[i].kind;
        cell->place.region = wrong[i].region;
        cell->place.offset = wrong[i].offset;
        atomic_store(&cell->seq, 1);
        assert_null(in->ops->peek(in, 8192, SIG));
        assert_int_equal(in->error, trncclInternalError);
        cell->kind = 2;
        assert_null(in->ops->peek(in, 8192, SIG));
    }
}

static void wrong_landing_places_are_refused(struct bench *b)
{
    if (!is_suspicious(b))
        return;
    const uint64_t wrong[][2] = {{999999, 0},
                                 {b->region[1]->id, MEMORY - 8191},
                                 {b->region[1]->id, UINT64_MAX - 3}};
    for (int i = 0; i < 3; i++) {
        struct transport_conn *out = end_of(b, 0, i, true);
        struct segment_post *post = &shared_of(b, 1, i)->posts[0];
        post->region = (uint32_t)wrong[i][0];
        post->offset = wrong[i][1];
        atomic_store(&post->seq, 1);
        struct transport_source source = {b->memory[0], b->region[0], true, true};
        assert_null(out->ops->reserve(out, 8192, &source));
        assert_int_equal(out->error, trncclInternalError);
        assert_null(out->ops->reserve(out, 8, NULL));
    }
}

/* Cells of random bytes, with the fields that gate the rest often right. Whatever peek
 * returns can be read, whatever reserve returns can be written. */
static void garbage_does_not_crash(struct bench *b)
{
    static const size_t sizes[] = {8, 48, 49, 4096, 65536};
    uint64_t random = seed;
    volatile uint8_t sum __attribute__((unused)) = 0; /* read everything, keep nothing */
    int found = 0, refused = 0;
    for (int i = 0; is_suspicious(b) && i < 20000; i++) {
        int channel = i % NCHANNELS;
        size_t nbytes = sizes[next_random(&random) % 5];
        struct segment_conn *shared = shared_of(b, 1, channel);
        uint64_t *words = (uint64_t *)shared;
        for (size_t k = 0; k < sizeof *shared / sizeof *words; k++)
            words[k] = next_random(&random);
        struct transport_conn *in = end_of(b, 1, channel, false);
        struct transport_conn *out = end_of(b, 0, channel, true);
        shared->cells[0].seq = 1;
        shared->cells[0].sig = SIG;
        shared->cells[0].nbytes = (uint32_t)nbytes;
        if (i % 4)
            shared->cells[0].kind %= 6;
        if (i % 3) {
            shared->cells[0].place.region = b->region[0]->id;
            shared->cells[0].place.offset %= 2 * MEMORY;
            shared->posts[0].region = b->region[1]->id;
            shared->posts[0].offset %= 2 * MEMORY;
        }
        shared->posts[0].seq = (uint32_t)(i & 1);
        const uint8_t *p = in->ops->peek(in, nbytes, SIG);
        for (size_t k = 0; p && k < nbytes; k += 64)
            sum ^= p[k];
        found += p != NULL;
        refused += in->error != trncclSuccess;
        uint8_t *q = out->ops->reserve(out, nbytes, NULL);
        for (size_t k = 0; q && k < nbytes; k += 64)
            q[k] = 1;
        (void)out->ops->drained(out, (uint32_t)next_random(&random));
        if (i % 64 == 63) { /* connections live as long as their transport */
            for (int r = 0; r < 2; r++) {
                b->ops->close(b->transports[r]);
                assert_int_equal(b->ops->open(&b->env[r], &b->transports[r]), 0);
            }
        }
    }
    if (is_suspicious(b)) {
        assert_in_range(found, 1000, 20000);
        assert_in_range(refused, 1000, 20000);
    }
}

/* ---- two threads, two processes -----------------------------------------------------
 */

struct stress {
    struct bench *bench;
    struct report *report;
    int rank;
};

static size_t stress_nbytes(uint64_t h)
{
    return h % 50 == 0  ? 1 + (h >> 8) % 65536
           : h % 5 == 0 ? 1 + (h >> 8) % 5000
                        : 1 + (h >> 8) % 64;
}

/* One direction as both ends know it: sizes by seed, the rest by the end's own. */
struct stream {
    struct transport_conn *conn;
    uint64_t shared, own;
    size_t nbytes; /* of the next message */
    uint32_t lent; /* newest message that lent memory, + 1 */
};

static struct stream stream_open(struct stress *s, bool outgoing)
{
    struct stream x = {.shared = seed + (outgoing == (s->rank == 0)),
                       .own = seed * 3 + (uint64_t)s->rank + 7};
    x.conn = end_of(s->bench, s->rank, 2, outgoing);
    x.nbytes = stress_nbytes(next_random(&x.shared));
    return x;
}

static bool stress_send(struct stress *s, struct stream *x)
{
    uint64_t h = next_random(&x->own);
    uint8_t *src = h & 1 ? s->bench->memory[s->rank] + MEMORY / 2 : NULL;
    /* What is lent must not change before it has been read. */
    if (src && x->lent && !x->conn->ops->drained(x->conn, x->lent - 1))
        return false;
    struct transport_source source = {src, s->bench->region[s->rank], h & 2, h & 4};
    uint8_t *p = x->conn->ops->reserve(x->conn, x->nbytes, src ? &source : NULL);
    if (!p)
        return false;
    fill(p, x->nbytes, x->conn->next);
    if (p == src)
        x->lent = x->conn->next + 1;
    x->conn->ops->commit(x->conn, x->nbytes, SIG);
    x->nbytes = stress_nbytes(next_random(&x->shared));
    return true;
}

static bool stress_receive(struct stress *s, struct stream *x)
{
    uint64_t h = next_random(&x->own);
    if (h % 4 == 0)
        x->conn->ops->post(x->conn, x->conn->next, s->bench->memory[s->rank], x->nbytes,
                           s->bench->region[s->rank]);
    const uint8_t *p = x->conn->ops->peek(x->conn, x->nbytes, SIG);
    if (!p)
        return false;
    atomic_fetch_add(&s->report->nchecks, 1);
    if (!is_filled(p, x->nbytes, x->conn->next))
        report_fail(s->report, "%s, rank %d: message %u of %zu bytes is damaged",
                    s->bench->ops->name, s->rank, x->conn->next, x->nbytes);
    x->conn->ops->release(x->conn);
    x->nbytes = stress_nbytes(next_random(&x->shared));
    return true;
}

static void *stress_main(void *argument)
{
    struct stress *s = argument;
    struct stream out = stream_open(s, true), in = stream_open(s, false);
    uint64_t random = seed + 100 + (uint64_t)s->rank;
    long idle = 0;
    while (out.conn->next < NMESSAGES / 2 || in.conn->next < NMESSAGES / 2 ||
           (out.lent && !out.conn->ops->drained(out.conn, out.lent - 1))) {
        uint64_t h = next_random(&random);
        bool moved = out.conn->next < NMESSAGES / 2 && h & 3 && stress_send(s, &out);
        moved |= in.conn->next < NMESSAGES / 2 && h & 12 && stress_receive(s, &in);
        if (out.conn->error || in.conn->error ||
            (idle = moved ? 0 : idle + 1) > 20000000) {
            report_fail(s->report,
                        "%s, rank %d stuck: sent %u, received %u, errors %d %d",
                        s->bench->ops->name, s->rank, out.conn->next, in.conn->next,
                        (int)out.conn->error, (int)in.conn->error);
            break;
        }
        if (!moved || h % 64 == 0)
            sched_yield();
        if (h % 8192 == 0)
            usleep(500);
    }
    return NULL;
}

static void stress_finish(struct report *report)
{
    if (report->nfailures)
        fail_msg("%s", report->texts[0]);
    assert_int_equal(report->nchecks, NMESSAGES / 2 * 2);
    report_destroy(report);
}

static void many_messages_between_threads(struct bench *b)
{
    struct report *report = report_create();
    struct stress s[2] = {{b, report, 0}, {b, report, 1}};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stress_main, &s[1]), 0);
    stress_main(&s[0]);
    pthread_join(thread, NULL);
    stress_finish(report);
}

static void many_messages_between_processes(struct bench *b)
{
    if (!crosses(b->ops))
        return;
    struct report *report = report_create();
    struct stress s[2] = {{b, report, 0}, {b, report, 1}};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        stress_main(&s[1]);
        _exit(0);
    }
    stress_main(&s[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    stress_finish(report);
}

/* ---- every test for every transport -------------------------------------------------
 */

/* A damaged byte must be noticed by the check that all of these rely on. */
static void planted_fault_is_noticed(struct bench *b)
{
    struct transport_conn *out = end_of(b, 0, 0, true), *in = end_of(b, 1, 0, false);
    assert_true(try_send(out, 60000, NULL, NULL));
    uint8_t *p = (uint8_t *)(uintptr_t)in->ops->peek(in, 60000, SIG);
    assert_true(is_filled(p, 60000, 0));
    p[59999] ^= 1;
    assert_false(is_filled(p, 60000, 0));
}

#define EVERY(X)                                                                         \
    X(planted_fault_is_noticed)                                                          \
    X(any_size_arrives_whole)                                                            \
    X(credit_ends_and_comes_back)                                                        \
    X(registered_memory_is_lent)                                                         \
    X(readable_memory_is_read_once)                                                      \
    X(unreadable_memory_is_an_error)                                                     \
    X(late_landing_places_are_awaited_shortly)                                           \
    X(messages_land_where_they_were_posted)                                              \
    X(landing_place_that_cannot_be_named_is_an_error)                                    \
    X(message_of_a_peer_that_left_arrives)                                               \
    X(other_messages_are_refused_for_good)                                               \
    X(channels_and_directions_are_independent)                                           \
    X(wrong_cells_are_refused)                                                           \
    X(wrong_landing_places_are_refused)                                                  \
    X(garbage_does_not_crash)                                                            \
    X(many_messages_between_threads)                                                     \
    X(many_messages_between_processes)

#define RUN(name)                                                                        \
    static void test_##name(void **state)                                                \
    {                                                                                    \
        struct bench b;                                                                  \
        bench_open(&b, *state);                                                          \
        name(&b);                                                                        \
        bench_close(&b);                                                                 \
    }
EVERY(RUN)

int main(void)
{
    const char *text = getenv("TRNCCL_SUITE_SEED");
    seed = text ? strtoull(text, NULL, 0) : 20260102;
    printf("seed %llu (TRNCCL_SUITE_SEED)\n", (unsigned long long)seed);
    int failed = 0;
    for (int i = 0; transport_list[i]; i++) {
        void *ops = (void *)(uintptr_t)transport_list[i];
#define LIST(name) cmocka_unit_test_prestate(test_##name, ops),
        const struct CMUnitTest tests[] = {EVERY(LIST)};
        failed += cmocka_run_group_tests_name(transport_list[i]->name, tests, NULL, NULL);
    }
    return failed ? 1 : 0;
}
