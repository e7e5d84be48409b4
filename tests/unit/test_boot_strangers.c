/* Strangers at the rendezvous, and a member that has the secret but not the manners. The
 * seed is printed; TRNCCL_TEST_SEED gives it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <sys/socket.h>
#include "boot/wire.h"
#include "tests/support/boot_ranks.h"

#define JUNK 10000
#define HELD 400 /* more than the listener keeps pending */

static struct ranks_left before;
static struct ranks s;
static uint64_t seed;

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)
 */
static uint64_t next(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)next();
}

static void connect_to(const struct boot_id *id, int *fd)
{
    *fd = socket(id->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*fd >= 0);
    struct timeval limit = {5, 0};
    setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    while (connect(*fd, (const struct sockaddr *)&id->address, id->address_len) < 0)
        assert_int_equal(errno, EINTR);
}

/* Ends in a reset, so that no port is left waiting. */
static void drop(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static void put(int fd, const void *bytes, size_t n)
{
    (void)!send(fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hello(int fd)
{
    uint8_t frame[WIRE_HEADER + WIRE_NONCE], hash[WIRE_HASH] = {0};
    wire_seal(NULL, WIRE_HELLO, WIRE_NONCE, hash, frame);
    fill(frame + WIRE_HEADER, WIRE_NONCE);
    put(fd, frame, sizeof(frame));
}

/* One of the ways in which a stranger can be a nuisance. */
static void nuisance(int fd, int kind)
{
    uint8_t bytes[600], hash[WIRE_HASH] = {0};
    struct wire_session none = {0};
    fill(bytes, sizeof(bytes));
    switch (kind % 6) {
    case 0: /* noise */
        put(fd, bytes, next() % sizeof(bytes));
        return;
    case 1: /* a HELLO that claims 4 GiB */
        wire_seal(NULL, WIRE_HELLO, UINT32_MAX, hash, bytes);
        put(fd, bytes, sizeof(bytes));
        return;
    case 2: /* a frame out of turn */
        wire_seal(NULL, (enum wire_type)(2 + next() % 10), 8, hash, bytes);
        put(fd, bytes, WIRE_HEADER + 8);
        return;
    case 3: /* a JOIN without the secret */
        hello(fd);
        none.tx_seq = 0;
        wire_seal(&none, WIRE_JOIN, WIRE_JOIN_BYTES, hash, bytes);
        put(fd, bytes, WIRE_HEADER + WIRE_JOIN_BYTES);
        return;
    case 4: /* half a HELLO */
        wire_seal(NULL, WIRE_HELLO, WIRE_NONCE, hash, bytes);
        put(fd, bytes, 1 + next() % (WIRE_HEADER + WIRE_NONCE - 1));
        return;
    default: /* nothing at all */
        return;
    }
}

static double run_ranks_ms(void)
{
    uint64_t t0 = clock_now_ns();
    ranks_run(&s);
    assert_int_equal(ranks_wrong(&s), 0);
    return (double)(clock_now_ns() - t0) / 1e6;
}

static void start(int n)
{
    ranks_init(&s, n, 1);
    assert_int_equal(boot_unique_id(&s.ids[0]), trncclSuccess);
}

static void open_tenThousandStrangers_doesNotCare(void **state)
{
    (void)state;
    start(8);
    double quiet_ms = run_ranks_ms();
    start(8);
    struct boot_id id;
    assert_int_equal(boot_id_decode(&s.ids[0], &id), trncclSuccess);
    int held[HELD];
    for (int i = 0; i < HELD; i++) { /* these stay */
        connect_to(&id, &held[i]);
        nuisance(held[i], i);
    }
    uint64_t t0 = clock_now_ns();
    for (int i = 0; i < JUNK; i++) {
        int fd;
        connect_to(&id, &fd);
        nuisance(fd, i);
        drop(fd);
    }
    double junk_ms = (double)(clock_now_ns() - t0) / 1e6;
    double ms = run_ranks_ms();
    print_message("%d strangers in %.0f ms; 8 ranks: %.1f ms before, %.1f ms among %d "
                  "that stay\n",
                  JUNK, junk_ms, quiet_ms, ms, HELD);
    assert_true(ms < quiet_ms + 500);
    for (int i = 0; i < HELD; i++)
        drop(held[i]);
}

struct flood {
    pthread_t thread;
    struct boot_id id;
    atomic_int stop, n;
};

static void *flood_main(void *arg)
{
    struct flood *f = arg;
    while (!atomic_load(&f->stop)) {
        int fd;
        connect_to(&f->id, &fd);
        put(fd, "GET / HTTP/1.1\r\n\r\n", 18);
        drop(fd);
        atomic_fetch_add(&f->n, 1);
    }
    return NULL;
}

static void open_duringAFlood_succeeds(void **state)
{
    (void)state;
    start(16);
    struct flood f = {0};
    assert_int_equal(boot_id_decode(&s.ids[0], &f.id), trncclSuccess);
    pthread_create(&f.thread, NULL, flood_main, &f);
    while (atomic_load(&f.n) < 100)
        usleep(1000);
    /* Until the ranks have left: then nobody listens, and the flood must end first. */
    struct rank_thread *last = &s.rank[15];
    last->absent = true;
    ranks_start(&s);
    usleep(50000);
    atomic_store(&f.stop, 1);
    last->absent = false;
    pthread_create(&last->thread, NULL, rank_main, last);
    pthread_join(f.thread, NULL);
    ranks_join(&s);
    assert_int_equal(ranks_wrong(&s), 0);
    print_message("%d strangers meanwhile\n", f.n);
}

/* ---- A member without manners */

struct rude {
    int fd;
    struct wire_session session;
};

static bool take(struct rude *r, uint8_t *header, uint8_t *body, size_t room)
{
    struct wire_header h;
    if (recv(r->fd, header, WIRE_HEADER, MSG_WAITALL) != WIRE_HEADER ||
        wire_parse(header, &h) || h.length > room)
        return false;
    return h.length == 0 || recv(r->fd, body, h.length, MSG_WAITALL) == (ssize_t)h.length;
}

static void tagged(struct rude *r, enum wire_type type, const void *body, size_t n)
{
    uint8_t header[WIRE_HEADER], hash[WIRE_HASH];
    wire_hash(body, n, hash);
    wire_seal(&r->session, type, (uint32_t)n, hash, header);
    put(r->fd, header, sizeof(header));
    if (n)
        put(r->fd, body, n);
}

/* Joins as rank 1 of 2, by the book. */
static void rude_join(struct rude *r, const struct boot_id *id, struct wire_join join)
{
    uint8_t header[WIRE_HEADER], body[1024], nonce[WIRE_NONCE], hash[WIRE_HASH] = {0};
    connect_to(id, &r->fd);
    fill(nonce, sizeof(nonce));
    wire_seal(NULL, WIRE_HELLO, WIRE_NONCE, hash, header);
    put(r->fd, header, sizeof(header));
    put(r->fd, nonce, sizeof(nonce));
    assert_true(take(r, header, body, sizeof(body)));
    wire_session_init(&r->session, id->secret, nonce, body, true);
    assert_true(wire_check(&r->session, header, body, WIRE_NONCE));
    wire_join_pack(&r->session, &join, body);
    tagged(r, WIRE_JOIN, body, WIRE_JOIN_BYTES);
}

static void allgather_memberSendsNonsense_failsForAll(void **state)
{
    (void)state;
    for (int kind = 0; kind < 7; kind++) {
        start(2);
        s.rank[1].absent = true;
        struct boot_id id;
        struct rude r;
        assert_int_equal(boot_id_decode(&s.ids[0], &id), trncclSuccess);
        ranks_start(&s);
        rude_join(&r, &id,
                  (struct wire_join){WIRE_RANK, 2, 1, 1, 0, 99, "rude", s.ids[0]});
        uint8_t junk[300], header[WIRE_HEADER], hash[WIRE_HASH] = {0};
        /* WELCOME and READY */
        assert_true(take(&r, header, junk, sizeof(junk)));
        assert_true(take(&r, header, junk, sizeof(junk)));
        fill(junk, sizeof(junk));
        switch (kind) {
        case 0: /* nothing but noise */
            put(r.fd, junk, sizeof(junk));
            break;
        case 1: /* the payload does not fit what its head says */
            wire_put32(junk, 0);
            wire_put32(junk + 4, 40);
            tagged(&r, WIRE_GATHER, junk, 47);
            break;
        case 2: /* a size near 2^32 */
            wire_put32(junk, 0);
            wire_put32(junk + 4, UINT32_MAX - 7);
            tagged(&r, WIRE_GATHER, junk, 8);
            break;
        case 3: /* no head */
            tagged(&r, WIRE_GATHER, NULL, 0);
            break;
        case 4: /* an untagged frame */
            wire_seal(NULL, WIRE_GATHER, 48, hash, header);
            put(r.fd, header, sizeof(header));
            put(r.fd, junk, 48);
            break;
        case 5: /* its part twice */
            wire_put32(junk, 0);
            wire_put32(junk + 4, 40);
            tagged(&r, WIRE_GATHER, junk, 48);
            tagged(&r, WIRE_GATHER, junk, 48);
            break;
        default: /* what only a hub may say */
            tagged(&r, WIRE_ARRIVED, junk, WIRE_ARRIVED_BYTES);
            break;
        }
        ranks_join(&s);
        assert_true(s.rank[0].rc != trncclSuccess || s.rank[0].wrong_data);
        if (kind != 5) { /* there the noise may have passed as data of exchange 0 */
            assert_true(s.rank[0].rc == trncclInternalError ||
                        s.rank[0].rc == trncclRemoteError);
            assert_non_null(strstr(s.rank[0].text, "rank 1 (host rude, pid 99)"));
        }
        drop(r.fd);
    }
}

static void join_wildNumbers_areRefused(void **state)
{
    (void)state;
    const uint32_t wild[][5] = {
        /* role, nranks, rank, nids, index */
        {WIRE_RANK, 0, 0, 1, 0},
        {WIRE_RANK, UINT32_MAX, 0, 1, 0},
        {WIRE_RANK, 2, UINT32_MAX, 1, 0},
        {WIRE_RANK, 2, 0, 0, 0},
        {WIRE_RANK, 2, 0, 1, 7},
        {WIRE_RANK, 2, 0, UINT32_MAX, UINT32_MAX - 1},
        {WIRE_HUB, 2, 9, 2, 0},
        {WIRE_HUB, 0, 0, 0, 0},
        {77, 2, 5, 1, 0},
    };
    for (size_t i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
        start(1);
        struct boot_id id;
        struct rude r;
        uint8_t header[WIRE_HEADER], body[1024];
        struct wire_header h;
        assert_int_equal(boot_id_decode(&s.ids[0], &id), trncclSuccess);
        rude_join(&r, &id,
                  (struct wire_join){wild[i][0], wild[i][1], wild[i][2], wild[i][3],
                                     wild[i][4], 99, "rude", s.ids[0]});
        bool answered = take(&r, header, body, sizeof(body));
        assert_int_equal(answered, wild[i][0] <= WIRE_HUB);
        if (answered && (wire_parse(header, &h) || h.type != WIRE_FAIL))
            fail_msg("row %zu: frame type %d", i, h.type);
        drop(r.fd);
        /* What could not even be a first JOIN leaves no trace, the rest fails the id. */
        ranks_run(&s);
        assert_true(s.rank[0].rc == trncclSuccess ||
                    s.rank[0].rc == trncclInvalidArgument ||
                    s.rank[0].rc == trncclInvalidUsage);
    }
}

/* Random frames with right tags: any answer but a crash or a stuck rank. */
static void allgather_randomMember_neverSticks(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        start(2);
        s.rank[1].absent = true;
        s.ms = 2000;
        struct boot_id id;
        struct rude r;
        assert_int_equal(boot_id_decode(&s.ids[0], &id), trncclSuccess);
        ranks_start(&s);
        struct wire_join join = {next() % 4 == 0, 2, 1, 1, 0, 99, "rude", s.ids[0]};
        rude_join(&r, &id, join);
        uint8_t header[WIRE_HEADER], answer[1024];
        assert_true(take(&r, header, answer, sizeof(answer)));
        for (int k = 0; k < 20; k++) {
            uint8_t junk[256];
            fill(junk, sizeof(junk));
            if (next() % 2)
                wire_put32(junk, (uint32_t)(next() % 3));
            if (next() % 2)
                wire_put32(junk + 4, (uint32_t)(next() % 64));
            tagged(&r, (enum wire_type)(next() % 13), junk, next() % sizeof(junk));
        }
        drop(r.fd);
        uint64_t t0 = clock_now_ns();
        ranks_join(&s);
        assert_true(clock_now_ns() - t0 < 3000000000u);
    }
}

static int group_setup(void **state)
{
    (void)state;
    const char *given = getenv("TRNCCL_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : clock_now_ns();
    print_message("seed %llu\n", (unsigned long long)seed);
    before = ranks_before();
    return sodium_init() < 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return ranks_after(before, 4000) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_tenThousandStrangers_doesNotCare),
        cmocka_unit_test(open_duringAFlood_succeeds),
        cmocka_unit_test(allgather_memberSendsNonsense_failsForAll),
        cmocka_unit_test(allgather_randomMember_neverSticks),
        cmocka_unit_test(join_wildNumbers_areRefused),
    };
    setenv("TRNCCL_SOCKET_IFNAME", "=lo", 1);
    setenv("TRNCCL_SOCKET_FAMILY", "AF_INET", 1);
    setenv("TRNCCL_DEBUG", "ERROR", 1); /* refusals are warnings, and many */
    alarm(120);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
