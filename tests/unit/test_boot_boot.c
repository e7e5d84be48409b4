/* The rendezvous with threads as ranks: what works, and what is said when it does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/time.h>
#include "boot/server.h"
#include "tests/support/boot_ranks.h"
#include "util/fork_guard.h"

static struct ranks_left before;
static struct ranks s;

static void make_ids(int nids)
{
    for (int i = 0; i < nids; i++)
        assert_int_equal(boot_unique_id(&s.ids[i]), trncclSuccess);
}

static void start(int n, int nids)
{
    ranks_init(&s, n, nids);
    make_ids(nids);
}

static void expect(int i, trncclResult_t rc, const char *part)
{
    if (s.rank[i].rc != rc || !strstr(s.rank[i].text, part))
        fail_msg("rank %d: result %d \"%s\", expected %d and \"%s\"", i, s.rank[i].rc,
                 s.rank[i].text, rc, part);
}

/* ---- What works */

static void allgather_manyRanks_deliversEveryPart(void **state)
{
    (void)state;
    const int n[] = {1, 2, 3, 8, 64};
    for (int i = 0; i < 5; i++) {
        start(n[i], 1);
        uint64_t t0 = clock_now_ns();
        ranks_run(&s);
        print_message("%d ranks: %.1f ms\n", n[i], (double)(clock_now_ns() - t0) / 1e6);
        assert_int_equal(ranks_wrong(&s), 0);
        /* every rank has left: so does the listener */
        assert_true(ranks_after(before, 2000));
    }
}

/* A rank in the listener's process waits for it to flush: for an answer, not for the
 * limit of half a second. The best of a few, since the machine may be busy. */
static void close_inTheListenersProcess_isAnswered(void **state)
{
    (void)state;
    uint64_t best_ms = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        start(1, 1);
        uint64_t t0 = clock_now_ns();
        ranks_run(&s);
        uint64_t ms = (clock_now_ns() - t0) / 1000000;
        best_ms = ms < best_ms ? ms : best_ms;
        assert_int_equal(ranks_wrong(&s), 0);
    }
    assert_true(best_ms < 400);
}

static void allgather_manySizes_deliversEveryPart(void **state)
{
    (void)state;
    const size_t nbytes[] = {0, 1, 4096, 1 << 20};
    for (int i = 0; i < 4; i++) {
        start(3, 1);
        s.nbytes = nbytes[i];
        ranks_run(&s);
        assert_int_equal(ranks_wrong(&s), 0);
    }
    start(2, 1);
    s.nbytes = (1 << 20) + 1;
    ranks_run(&s);
    expect(0, trncclInvalidArgument, "1048577 bytes per rank");
}

static void allgather_severalIds_deliversEveryPart(void **state)
{
    (void)state;
    const int shape[][2] = {{2, 2}, {9, 2}, {9, 4}, {8, 8}, {64, 5}};
    for (int i = 0; i < 5; i++) {
        start(shape[i][0], shape[i][1]);
        s.nbytes = i == 1 ? 100000 : 40;
        ranks_run(&s);
        assert_int_equal(ranks_wrong(&s), 0);
        assert_true(ranks_after(before, 2000));
    }
}

static atomic_int nalarms;

static void on_alarm(int signal)
{
    (void)signal;
    atomic_fetch_add(&nalarms, 1);
}

static void allgather_signalsArrive_isNotDisturbed(void **state)
{
    (void)state;
    struct sigaction act = {.sa_handler = on_alarm}, old; /* no SA_RESTART */
    sigaction(SIGALRM, &act, &old);
    unsigned left = alarm(0);
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    start(8, 2);
    s.ms = 40000;
    s.nbytes = 50000;
    s.exchanges = 8;
    ranks_run(&s);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &old, NULL);
    alarm(left);
    print_message("%d signals\n", nalarms);
    assert_int_equal(ranks_wrong(&s), 0);
    assert_true(nalarms > 0);
}

static void open_ipv6Id_works(void **state)
{
    (void)state;
    struct boot_id id = {.address_len = sizeof(struct sockaddr_in6)};
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&id.address;
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    memset(id.secret, 7, sizeof(id.secret));
    fork_guard_enter();
    int fd =
        fork_guard_add(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (fd < 0 || bind(fd, (struct sockaddr *)in6, sizeof(*in6)) < 0) {
        fork_guard_close(fd);
        print_message("skipped: this host has no IPv6\n");
        skip();
    }
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&id.address, &id.address_len), 0);
    assert_int_equal(server_start(fd, &id, 10000), trncclSuccess);
    ranks_init(&s, 3, 1);
    boot_id_encode(&id, &s.ids[0]);
    ranks_run(&s);
    assert_int_equal(ranks_wrong(&s), 0);
}

/* ---- What does not */

static void open_ranksMissing_timesOutNamingThem(void **state)
{
    (void)state;
    start(16, 1);
    s.ms = 500;
    s.rank[3].absent = s.rank[5].absent = s.rank[6].absent = s.rank[7].absent = true;
    uint64_t t0 = clock_now_ns();
    ranks_run(&s);
    uint64_t ms = (clock_now_ns() - t0) / 1000000;
    assert_true(ms >= 490 && ms < 1500);
    for (int i = 0; i < 16; i++) {
        if (s.rank[i].absent)
            continue;
        expect(i, trncclTimeout, "ranks 3, 5-7 of 16 have not arrived within ");
        expect(i, trncclTimeout, " ms; rendezvous at 127.0.0.1:");
    }
}

static void open_ranksMissingOfSeveralIds_areNamedEverywhere(void **state)
{
    (void)state;
    start(9, 3);
    s.ms = 500;
    s.rank[1].absent = s.rank[5].absent = true;
    ranks_run(&s);
    for (int i = 0; i < 9; i++)
        if (!s.rank[i].absent)
            expect(i, trncclTimeout, "ranks 1, 5 of 9 have not arrived within ");
}

static void open_afterOthersGaveUp_isToldWhy(void **state)
{
    (void)state;
    start(2, 1);
    s.ms = 100;
    s.rank[1].absent = true;
    ranks_run(&s);
    s.rank[1].absent = false;
    s.rank[0].absent = true;
    ranks_run(&s);
    expect(1, trncclTimeout, "rank 1 of 2 has not arrived within");
}

static void open_ranksDisagreeOnNranks_namesBoth(void **state)
{
    (void)state;
    start(2, 1);
    s.rank[1].nranks = 3;
    uint64_t t0 = clock_now_ns();
    ranks_run(&s);
    assert_true(clock_now_ns() - t0 < 1000000000);
    for (int i = 0; i < 2; i++) {
        expect(i, trncclInvalidUsage, "disagree about their number: rank ");
        expect(i, trncclInvalidUsage, "nranks 2");
        expect(i, trncclInvalidUsage, "nranks 3");
    }
}

static void open_rankTwice_namesBoth(void **state)
{
    (void)state;
    start(3, 1);
    s.rank[2].rank = 1;
    ranks_run(&s);
    for (int i = 0; i < 3; i++)
        expect(i, trncclInvalidUsage, "rank 1 was given twice: by host ");
}

static void open_idsInOtherOrder_isRefused(void **state)
{
    (void)state;
    start(4, 2);
    struct ranks swapped = s;
    swapped.ids[0] = s.ids[1];
    swapped.ids[1] = s.ids[0];
    for (int i = 0; i < 4; i++) {
        swapped.rank[i].all = &swapped;
        swapped.rank[i].absent = i < 2; /* 2 and 3 go to ids[0], as 0 and 1 do */
        s.rank[i].absent = i >= 2;
    }
    ranks_start(&swapped);
    ranks_run(&s);
    ranks_join(&swapped);
    int refused = 0;
    for (int i = 0; i < 4; i++) {
        const struct rank_thread *t = i < 2 ? &s.rank[i] : &swapped.rank[i];
        assert_int_equal(t->rc, trncclInvalidUsage);
        refused += strstr(t->text, "disagree about the") != NULL;
    }
    assert_int_equal(refused, 4);
}

static void open_idInUse_isRefusedAndHarmsNobody(void **state)
{
    (void)state;
    start(2, 1);
    struct boot *b[2];
    struct boot_args args[2];
    /* One after the other needs a second thread: open waits for all ranks. */
    struct rank_thread *t = &s.rank[1];
    s.exchanges = 1;
    pthread_create(&t->thread, NULL, rank_main, t);
    args[0] = (struct boot_args){.nranks = 2,
                                 .rank = 0,
                                 .nids = 1,
                                 .ids = s.ids,
                                 .deadline_ns = clock_deadline_ns(5000)};
    assert_int_equal(boot_open(&args[0], &b[0]), trncclSuccess);
    args[1] = args[0];
    assert_int_equal(boot_open(&args[1], &b[1]), trncclInvalidUsage);
    assert_non_null(strstr(error_text(), "in use or used up"));
    uint8_t mine[40], all[80];
    for (size_t i = 0; i < 40; i++)
        mine[i] = ranks_byte(0, 0, i);
    assert_int_equal(boot_allgather(b[0], mine, all, 40), trncclSuccess);
    boot_close(b[0]);
    pthread_join(t->thread, NULL);
    assert_int_equal(t->rc, trncclSuccess);
    assert_false(t->wrong_data);
    assert_true(ranks_after(before, 3000));
    assert_int_equal(boot_open(&args[1], &b[1]), trncclRemoteError);
    assert_non_null(strstr(error_text(), "nobody listens at 127.0.0.1:"));
}

static void open_wrongSecret_isRefused(void **state)
{
    (void)state;
    start(1, 1);
    struct boot_id id;
    trncclUniqueId right = s.ids[0];
    assert_int_equal(boot_id_decode(&right, &id), trncclSuccess);
    id.secret[5] ^= 1;
    boot_id_encode(&id, &s.ids[0]);
    ranks_run(&s);
    expect(0, trncclInvalidArgument, "does not know the secret of this unique id");
    s.ids[0] = right;
    ranks_run(&s);
    assert_int_equal(ranks_wrong(&s), 0);
}

static void open_badArguments_areNamed(void **state)
{
    (void)state;
    struct boot *b;
    trncclUniqueId junk;
    memset(&junk, 0x5a, sizeof(junk));
    struct boot_args args = {.nranks = 2, .rank = 0, .nids = 1, .ids = &junk};
    assert_int_equal(boot_open(&args, &b), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "not made by trncclGetUniqueId"));
    args.rank = 2;
    assert_int_equal(boot_open(&args, &b), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "rank is 2, expected 0..1"));
    args.rank = -1;
    assert_int_equal(boot_open(&args, &b), trncclInvalidArgument);
    args.nranks = 0;
    assert_int_equal(boot_open(&args, &b), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "nranks is 0"));
    args = (struct boot_args){.nranks = 2, .nids = 3, .ids = &junk};
    assert_int_equal(boot_open(&args, &b), trncclInvalidArgument);
    assert_non_null(strstr(error_text(), "nids is 3"));
}

/* Rank 1 joins and then does what the case needs; rank 0 gathers. */
struct other {
    pthread_t thread;
    struct boot *b;
    struct boot_args args;
};

static void *other_open(void *arg)
{
    struct other *o = arg;
    if (boot_open(&o->args, &o->b) != trncclSuccess)
        o->b = NULL;
    return NULL;
}

static struct boot *open_two(struct other *o, int64_t ms)
{
    struct boot *b = NULL;
    start(2, 1);
    o->args = (struct boot_args){.nranks = 2,
                                 .rank = 1,
                                 .nids = 1,
                                 .ids = s.ids,
                                 .deadline_ns = clock_deadline_ns(5000)};
    struct boot_args mine = o->args;
    mine.rank = 0;
    mine.deadline_ns = clock_deadline_ns(ms);
    pthread_create(&o->thread, NULL, other_open, o);
    assert_int_equal(boot_open(&mine, &b), trncclSuccess);
    pthread_join(o->thread, NULL);
    assert_non_null(o->b);
    return b;
}

static void allgather_rankDoesNotCome_timesOutNamingIt(void **state)
{
    (void)state;
    struct other o;
    struct boot *b = open_two(&o, 200);
    char all[2];
    assert_int_equal(boot_allgather(b, "x", all, 1), trncclTimeout);
    assert_non_null(
        strstr(error_text(), "rank 1 of 2 has not come to exchange 0 within"));
    /* and the other is told when it comes at last */
    assert_int_equal(boot_allgather(o.b, "x", all, 1), trncclTimeout);
    assert_int_equal(boot_allgather(b, "x", all, 1), trncclTimeout);
    assert_non_null(strstr(error_text(), "has failed before"));
    boot_close(b);
    boot_close(o.b);
}

static void allgather_rankLeftInOrder_isNamed(void **state)
{
    (void)state;
    struct other o;
    struct boot *b = open_two(&o, 5000);
    char all[2];
    boot_close(o.b);
    assert_int_equal(boot_allgather(b, "x", all, 1), trncclRemoteError);
    assert_non_null(strstr(error_text(), "rank 1 (host "));
    assert_non_null(strstr(error_text(), "left the rendezvous before exchange 0"));
    boot_close(b);
}

static void *other_gather(void *arg)
{
    struct other *o = arg;
    char mine[9] = {0}, all[18];
    trncclResult_t rc = boot_allgather(o->b, mine, all, sizeof(mine));
    return rc == trncclInvalidUsage ? o : NULL;
}

static void allgather_sizesDiffer_namesBoth(void **state)
{
    (void)state;
    struct other o;
    struct boot *b = open_two(&o, 5000);
    char mine[4] = {0}, all[8];
    pthread_create(&o.thread, NULL, other_gather, &o);
    assert_int_equal(boot_allgather(b, mine, all, 4), trncclInvalidUsage);
    assert_non_null(strstr(error_text(), "rank 0 (host "));
    assert_non_null(strstr(error_text(), "rank 1 (host "));
    assert_non_null(strstr(error_text(), "gives 4 bytes to exchange 0"));
    assert_non_null(strstr(error_text(), "gives 9 bytes to exchange 0"));
    void *agreed;
    pthread_join(o.thread, &agreed);
    assert_non_null(agreed);
    boot_close(b);
    boot_close(o.b);
}

static void open_abortFlag_endsTheWaitAndTellsOthers(void **state)
{
    (void)state;
    static atomic_int flag;
    atomic_store(&flag, 0);
    start(3, 1);
    s.rank[2].absent = true;
    struct ranks aborting = s; /* rank 1 watches the flag, rank 0 does not */
    aborting.abort = &flag;
    s.rank[1].absent = true;
    aborting.rank[0].absent = true;
    aborting.rank[1].all = &aborting;
    ranks_start(&s);
    ranks_start(&aborting);
    usleep(100000);
    uint64_t t0 = clock_now_ns();
    atomic_store(&flag, 1);
    ranks_join(&aborting);
    ranks_join(&s);
    assert_true(aborting.rank[1].ended_ns - t0 < 100000000);
    assert_true(s.rank[0].ended_ns - t0 < 100000000);
    assert_int_equal(aborting.rank[1].rc, trncclAborted);
    expect(0, trncclRemoteError, "rank 1 (host ");
    expect(0, trncclRemoteError, "gave up while the communicator was being created");
}

/* ---- Out of band */

static pthread_barrier_t oob_barrier;
static uint8_t oob_room[RANKS_MOST * 4096];
static int oob_fails; /* rank whose callback fails; -1: none */

static int oob_allgather(void *context, const void *mine, void *all, size_t nbytes)
{
    struct rank_thread *t = context;
    if (nbytes > 4096)
        return 22;
    memcpy(oob_room + (size_t)t->index * nbytes, mine, nbytes);
    pthread_barrier_wait(&oob_barrier);
    memcpy(all, oob_room, (size_t)t->all->n * nbytes);
    pthread_barrier_wait(&oob_barrier);
    return t->index == oob_fails ? 5 : 0;
}

static void run_oob(int n)
{
    s.oob = oob_allgather;
    pthread_barrier_init(&oob_barrier, NULL, (unsigned)n);
    ranks_run(&s);
    pthread_barrier_destroy(&oob_barrier);
}

static void oob_callback_isUsedInsteadOfIds(void **state)
{
    (void)state;
    oob_fails = -1;
    ranks_init(&s, 5, 0);
    run_oob(5);
    assert_int_equal(ranks_wrong(&s), 0);
    ranks_init(&s, 2, 0);
    oob_fails = 1;
    s.exchanges = 0;
    run_oob(2);
    expect(1, trncclSystemError, "out-of-band allgather of rank 1 failed with 5");
    oob_fails = -1;
    ranks_init(&s, 2, 0);
    s.rank[1].nranks = 3; /* too large for what the barrier gathers: caught at open */
    s.exchanges = 0;
    run_oob(2);
    expect(0, trncclInvalidUsage, "rank 1 gives 0 bytes to exchange 0 of 3 ranks");
    ranks_init(&s, 2, 0);
    s.rank[0].rank = 1;
    s.exchanges = 0;
    run_oob(2);
    expect(1, trncclInvalidUsage, "rank 1 was given twice");
    expect(1, trncclInvalidUsage, "places 0 and 1");
    ranks_init(&s, 2, 0);
    s.rank[0].rank = 1;
    s.rank[1].rank = 0;
    s.exchanges = 0;
    run_oob(2);
    expect(1, trncclInvalidArgument, "the line of rank 1 in place 0");
}

static int group_setup(void **state)
{
    (void)state;
    before = ranks_before();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return ranks_after(before, 3000) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allgather_manyRanks_deliversEveryPart),
        cmocka_unit_test(close_inTheListenersProcess_isAnswered),
        cmocka_unit_test(allgather_manySizes_deliversEveryPart),
        cmocka_unit_test(allgather_severalIds_deliversEveryPart),
        cmocka_unit_test(allgather_signalsArrive_isNotDisturbed),
        cmocka_unit_test(open_ipv6Id_works),
        cmocka_unit_test(open_idInUse_isRefusedAndHarmsNobody),
        cmocka_unit_test(open_ranksMissing_timesOutNamingThem),
        cmocka_unit_test(open_ranksMissingOfSeveralIds_areNamedEverywhere),
        cmocka_unit_test(open_afterOthersGaveUp_isToldWhy),
        cmocka_unit_test(open_ranksDisagreeOnNranks_namesBoth),
        cmocka_unit_test(open_rankTwice_namesBoth),
        cmocka_unit_test(open_idsInOtherOrder_isRefused),
        cmocka_unit_test(open_wrongSecret_isRefused),
        cmocka_unit_test(open_badArguments_areNamed),
        cmocka_unit_test(allgather_rankDoesNotCome_timesOutNamingIt),
        cmocka_unit_test(allgather_rankLeftInOrder_isNamed),
        cmocka_unit_test(allgather_sizesDiffer_namesBoth),
        cmocka_unit_test(open_abortFlag_endsTheWaitAndTellsOthers),
        cmocka_unit_test(oob_callback_isUsedInsteadOfIds),
    };
    setenv("TRNCCL_SOCKET_IFNAME", "=lo", 1);
    setenv("TRNCCL_SOCKET_FAMILY", "AF_INET", 1);
    alarm(120);
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
