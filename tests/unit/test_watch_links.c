/* Links between processes: threads and forked processes as ends. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "watch/links.h"

#define MOST 8
#define SHORT_MS 5000

static int count_dir(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;
    if (!d)
        return -1;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* Every case must leave as many descriptors and threads as it found. */
static int before_fds, before_threads;

static int remember(void **state)
{
    (void)state;
    before_fds = count_dir("/proc/self/fd");
    before_threads = count_dir("/proc/self/task");
    return 0;
}

static int compare(void **state)
{
    (void)state;
    int fds = count_dir("/proc/self/fd"), threads = 0;
    for (int i = 0; i < 100; i++) { /* a joined thread's entry goes a moment later */
        threads = count_dir("/proc/self/task");
        if (threads == before_threads)
            break;
        usleep(10000);
    }
    if (fds != before_fds || threads != before_threads) {
        fprintf(stderr, "descriptors %d -> %d, threads %d -> %d\n", before_fds, fds,
                before_threads, threads);
        return -1;
    }
    return 0;
}

/* What a callback has seen of one process. */
struct seen {
    atomic_int died, goodbye, aborted, full;
    atomic_int pid;
    _Atomic uint64_t when_ns;
    char text[256];
};

static void on_event(void *context, int process, pid_t pid, enum links_event event,
                     const char *text)
{
    struct seen *s = (struct seen *)context + process;
    atomic_store(&s->pid, (int)pid);
    if (event == LINKS_ABORTED)
        snprintf(s->text, sizeof(s->text), "%s", text);
    atomic_store(&s->when_ns, clock_now_ns());
    atomic_fetch_add(event == LINKS_DIED      ? &s->died
                     : event == LINKS_GOODBYE ? &s->goodbye
                     : event == LINKS_FULL    ? &s->full
                                              : &s->aborted,
                     1);
}

static bool wait_until(atomic_int *value, int wanted)
{
    for (int i = 0; i < 2000 && atomic_load(value) != wanted; i++)
        usleep(1000);
    return atomic_load(value) == wanted;
}

/* ---- A mesh whose ends are threads of this process */

struct end {
    struct links *links;
    struct seen seen[MOST];
    trncclResult_t rc;
    int nprocesses, mine;
    int64_t ms;
    const atomic_int *abort;
    char text[512];
};

static struct end ends[MOST];
static struct links_address addresses[MOST];

static void *connect_end(void *arg)
{
    struct end *e = arg;
    e->rc = links_connect(e->links, addresses, e->nprocesses, e->mine,
                          clock_deadline_ns(e->ms), e->abort, on_event, e->seen);
    snprintf(e->text, sizeof(e->text), "%s", e->rc ? error_text() : "");
    return NULL;
}

static void listen_ends(int n)
{
    memset(ends, 0, sizeof(ends));
    for (int i = 0; i < n; i++) {
        assert_int_equal(links_listen(&ends[i].links, &addresses[i]), trncclSuccess);
        ends[i].nprocesses = n;
        ends[i].mine = i;
        ends[i].ms = SHORT_MS;
    }
}

/* Connects all but `absent`. */
static void connect_ends(int n, int absent)
{
    pthread_t thread[MOST];
    for (int i = 0; i < n; i++)
        if (i != absent)
            pthread_create(&thread[i], NULL, connect_end, &ends[i]);
    for (int i = 0; i < n; i++)
        if (i != absent)
            pthread_join(thread[i], NULL);
}

static void close_ends(int n)
{
    for (int i = 0; i < n; i++)
        links_close(ends[i].links);
}

static void connect_threads_deliversEveryMessageInOrder(void **state)
{
    (void)state;
    for (int n = 1; n <= MOST; n++) {
        listen_ends(n);
        connect_ends(n, -1);
        for (int i = 0; i < n; i++)
            assert_int_equal(ends[i].rc, trncclSuccess);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = 0; i != j && k < 20; k++) {
                    int message[3] = {i, j, k};
                    assert_int_equal(
                        links_send(ends[i].links, j, message, sizeof(message), -1),
                        trncclSuccess);
                }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                for (int k = 0; i != j && k < 20; k++) {
                    int message[64], fd = 77;
                    size_t nbytes = sizeof(message);
                    assert_int_equal(links_recv(ends[j].links, i, message, &nbytes, &fd,
                                                clock_deadline_ns(SHORT_MS)),
                                     trncclSuccess);
                    assert_int_equal(nbytes, 3 * sizeof(int));
                    assert_int_equal(message[0], i);
                    assert_int_equal(message[1], j);
                    assert_int_equal(message[2], k);
                    assert_int_equal(fd, -1);
                    assert_int_equal(links_pid(ends[j].links, i), getpid());
                }
        close_ends(n);
    }
}

static void send_descriptor_arrivesWithItsContent(void **state)
{
    (void)state;
    listen_ends(2);
    connect_ends(2, -1);
    int fd = memfd_create("links-test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "the content", 11), 11);
    /* the longest message, and a plain one after it */
    char longest[256], got[256];
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(links_send(ends[0].links, 1, longest, sizeof(longest), fd),
                     trncclSuccess);
    assert_int_equal(links_send(ends[0].links, 1, "next", 4, -1), trncclSuccess);
    close(fd);
    size_t nbytes = sizeof(got);
    int there = -1;
    assert_int_equal(
        links_recv(ends[1].links, 0, got, &nbytes, &there, clock_deadline_ns(SHORT_MS)),
        trncclSuccess);
    assert_int_equal(nbytes, sizeof(longest));
    assert_memory_equal(got, longest, sizeof(longest));
    assert_true(there >= 0);
    char content[16] = "";
    assert_int_equal(pread(there, content, sizeof(content), 0), 11);
    assert_string_equal(content, "the content");
    close(there);
    nbytes = sizeof(got);
    assert_int_equal(
        links_recv(ends[1].links, 0, got, &nbytes, &there, clock_deadline_ns(SHORT_MS)),
        trncclSuccess);
    assert_int_equal(nbytes, 4);
    assert_int_equal(there, -1);
    close_ends(2);
}

/* What the links thread takes when it is told that the other end waits. */
struct taker {
    struct links *links;
    pthread_mutex_t lock;
    atomic_int asked, taken, wrong;
};

static void take_all(void *context, int process, pid_t pid, enum links_event event,
                     const char *text)
{
    struct taker *t = context;
    int number, fd;
    (void)pid;
    (void)text;
    if (event != LINKS_FULL)
        return;
    atomic_fetch_add(&t->asked, 1);
    pthread_mutex_lock(&t->lock);
    while (links_pending(t->links, process)) {
        size_t nbytes = sizeof(number);
        trncclResult_t rc = links_recv(t->links, process, &number, &nbytes, &fd,
                                       clock_deadline_ns(SHORT_MS));
        atomic_fetch_add(&t->wrong, rc != trncclSuccess || nbytes != sizeof(number) ||
                                        number != atomic_load(&t->taken) || fd < 0);
        close(fd);
        atomic_fetch_add(&t->taken, 1);
    }
    pthread_mutex_unlock(&t->lock);
}

static void send_receiverDoesNotRead_asksIt(void **state)
{
    (void)state;
    enum { N = 2000 };
    listen_ends(2);
    struct taker taker = {.links = ends[1].links, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    pthread_create(&thread, NULL, connect_end, &ends[0]);
    assert_int_equal(links_connect(ends[1].links, addresses, 2, 1,
                                   clock_deadline_ns(SHORT_MS), NULL, take_all, &taker),
                     trncclSuccess);
    pthread_join(thread, NULL);
    int fd = memfd_create("links-test", MFD_CLOEXEC);
    for (int i = 0; i < N; i++)
        assert_int_equal(links_send(ends[0].links, 1, &i, sizeof(i), fd), trncclSuccess);
    close(fd);
    /* Asked when there was no room, not for every message; the rest is still there. */
    assert_in_range(taker.asked, 1, N / 10);
    take_all(&taker, 0, 0, LINKS_FULL, NULL);
    assert_int_equal(taker.taken, N);
    assert_int_equal(taker.wrong, 0);
    assert_false(links_pending(ends[1].links, 0));
    close_ends(2);
}

static void recv_nothingSent_timesOut(void **state)
{
    (void)state;
    listen_ends(2);
    connect_ends(2, -1);
    char got[8];
    size_t nbytes = sizeof(got);
    uint64_t t0 = clock_now_ns();
    assert_int_equal(
        links_recv(ends[0].links, 1, got, &nbytes, NULL, clock_deadline_ns(60)),
        trncclTimeout);
    uint64_t ms = (clock_now_ns() - t0) / 1000000;
    assert_true(ms >= 60 && ms < 500);
    /* too little room: an error, and the link lives on */
    assert_int_equal(links_send(ends[1].links, 0, "123456789", 9, -1), trncclSuccess);
    assert_int_equal(
        links_recv(ends[0].links, 1, got, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
        trncclInternalError);
    assert_int_equal(links_send(ends[1].links, 0, "12345678", 8, -1), trncclSuccess);
    assert_int_equal(
        links_recv(ends[0].links, 1, got, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
        trncclSuccess);
    assert_int_equal(nbytes, 8);
    close_ends(2);
}

static void close_inOrder_isGoodbyeNotDeath(void **state)
{
    (void)state;
    listen_ends(3);
    connect_ends(3, -1);
    assert_int_equal(links_send(ends[1].links, 0, "last", 4, -1), trncclSuccess);
    links_close(ends[1].links);
    ends[1].links = NULL;
    assert_true(wait_until(&ends[0].seen[1].goodbye, 1));
    assert_true(wait_until(&ends[2].seen[1].goodbye, 1));
    /* what was sent before is still there, then the end is told as what it is */
    char got[8];
    size_t nbytes = sizeof(got);
    assert_int_equal(
        links_recv(ends[0].links, 1, got, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
        trncclSuccess);
    assert_int_equal(
        links_recv(ends[0].links, 1, got, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
        trncclRemoteError);
    assert_non_null(strstr(error_text(), "has left"));
    assert_int_equal(links_send(ends[0].links, 1, "x", 1, -1), trncclRemoteError);
    usleep(20000);
    assert_int_equal(ends[0].seen[1].died, 0);
    assert_int_equal(ends[2].seen[1].died, 0);
    close_ends(3);
}

static void abort_called_isReportedWithItsReason(void **state)
{
    (void)state;
    listen_ends(3);
    connect_ends(3, -1);
    uint64_t t0 = clock_now_ns();
    links_abort(ends[2].links, "rank 2 gave up: disk full");
    assert_true(wait_until(&ends[0].seen[2].aborted, 1));
    assert_true(wait_until(&ends[1].seen[2].aborted, 1));
    assert_true(ends[0].seen[2].when_ns - t0 < 100000000);
    assert_string_equal(ends[0].seen[2].text, "rank 2 gave up: disk full");
    char byte;
    size_t nbytes = 1;
    assert_int_equal(
        links_recv(ends[2].links, 0, &byte, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
        trncclAborted);
    char longer[400];
    memset(longer, 'y', sizeof(longer) - 1);
    longer[399] = 0;
    links_abort(ends[1].links, longer);
    assert_true(wait_until(&ends[0].seen[1].aborted, 1));
    assert_int_equal(strlen(ends[0].seen[1].text), 255);
    assert_string_equal(ends[0].seen[1].text + 251, "y...");
    close_ends(3);
}

static void connect_processMissing_timesOutNamingIt(void **state)
{
    (void)state;
    for (int absent = 0; absent < 4; absent += 3) {
        listen_ends(4);
        for (int i = 0; i < 4; i++)
            ends[i].ms = 100;
        connect_ends(4, absent);
        char expect[32];
        snprintf(expect, sizeof(expect), "process %d of 4", absent);
        for (int i = 0; i < 4; i++) {
            if (i == absent)
                continue;
            /* one that is told by another's leaving is right too */
            assert_true(ends[i].rc == trncclTimeout || ends[i].rc == trncclRemoteError);
            if (ends[i].rc == trncclTimeout)
                assert_non_null(strstr(ends[i].text, expect));
        }
        close_ends(4);
    }
}

static void connect_abortFlag_endsTheWait(void **state)
{
    (void)state;
    atomic_int flag = 0;
    listen_ends(2);
    ends[1].abort = &flag;
    pthread_t thread;
    pthread_create(&thread, NULL, connect_end, &ends[1]);
    usleep(30000);
    uint64_t t0 = clock_now_ns();
    atomic_store(&flag, 1);
    pthread_join(thread, NULL);
    assert_int_equal(ends[1].rc, trncclAborted);
    assert_true(clock_now_ns() - t0 < 100000000);
    close_ends(2);
}

/* A process that knows the name but not the token must neither be let in nor hinder. */
static void connect_strangers_areDropped(void **state)
{
    (void)state;
    listen_ends(2);
    int fd[100];
    uint64_t seed = clock_now_ns();
    print_message("seed %llu\n", (unsigned long long)seed);
    srand((unsigned)seed);
    for (int i = 0; i < 100; i++) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        memcpy(name.sun_path + 1, addresses[0].name, strlen(addresses[0].name));
        fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd[i], (struct sockaddr *)&name,
                                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                             strlen(addresses[0].name))),
                         0);
        char junk[512];
        size_t n = (size_t)rand() % sizeof(junk);
        for (size_t k = 0; k < n; k++)
            junk[k] = (char)rand();
        assert_int_equal(write(fd[i], junk, n), n);
    }
    connect_ends(2, -1);
    assert_int_equal(ends[0].rc, trncclSuccess);
    assert_int_equal(ends[1].rc, trncclSuccess);
    for (int i = 0; i < 100; i++)
        close(fd[i]);
    close_ends(2);
}

static void connect_wrongToken_isRefused(void **state)
{
    (void)state;
    listen_ends(2);
    struct links_address right = addresses[0];
    addresses[0].token[3] ^= 1; /* what process 1 believes of process 0 */
    ends[1].ms = 1000;
    pthread_t thread;
    pthread_create(&thread, NULL, connect_end, &ends[1]);
    struct links_address table[2] = {right, addresses[1]};
    assert_int_equal(links_connect(ends[0].links, table, 2, 0, clock_deadline_ns(2000),
                                   NULL, on_event, ends[0].seen),
                     trncclRemoteError); /* process 1 has closed its socket */
    pthread_join(thread, NULL);
    assert_int_equal(ends[1].rc, trncclRemoteError);
    close_ends(2);
}

static void connect_descriptorsRunOut_saysHowMany(void **state)
{
    (void)state;
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    struct links *l;
    static struct links_address many[64];
    assert_int_equal(links_listen(&l, &many[0]), trncclSuccess);
    low = old;
    low.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &low);
    trncclResult_t rc =
        links_connect(l, many, 64, 0, clock_deadline_ns(SHORT_MS), NULL, on_event, NULL);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(rc, trncclSystemError);
    assert_non_null(strstr(error_text(), "need 134 file descriptors, the limit is 40"));
    links_close(l);
}

/* ---- Processes */

struct shared {
    struct links_address address[MOST];
    atomic_int listening, linked, go;
};

static struct shared *shared_create(void)
{
    struct shared *s =
        mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s != MAP_FAILED);
    return s;
}

/* A child never outlives a test that failed. */
static void child_bound(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(30);
}

/* A child: links up, then sleeps until it is killed or told to go, and leaves. */
static void child_run(struct shared *s, int n, int mine)
{
    static struct seen seen[MOST];
    struct links *l;
    child_bound();
    if (links_listen(&l, &s->address[mine]) != trncclSuccess)
        _exit(10);
    atomic_fetch_add(&s->listening, 1);
    while (atomic_load(&s->listening) < n)
        usleep(500);
    if (links_connect(l, s->address, n, mine, clock_deadline_ns(SHORT_MS), NULL, on_event,
                      seen) != trncclSuccess) {
        fprintf(stderr, "child %d: %s\n", mine, error_text());
        _exit(11);
    }
    atomic_fetch_add(&s->linked, 1);
    while (!atomic_load(&s->go))
        usleep(1000);
    links_close(l);
    _exit(0);
}

static void fork_children(struct shared *s, int n, pid_t pid[MOST])
{
    for (int i = 1; i < n; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0)
            child_run(s, n, i);
    }
}

static struct links *join_as_zero(struct shared *s, int n, struct seen *seen)
{
    struct links *l;
    assert_int_equal(links_listen(&l, &s->address[0]), trncclSuccess);
    atomic_fetch_add(&s->listening, 1);
    while (atomic_load(&s->listening) < n)
        usleep(500);
    assert_int_equal(links_connect(l, s->address, n, 0, clock_deadline_ns(SHORT_MS), NULL,
                                   on_event, seen),
                     trncclSuccess);
    while (atomic_load(&s->linked) < n - 1)
        usleep(500);
    return l;
}

static void reap(pid_t pid, int expect)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    assert_int_equal(status, expect);
}

static void process_killed_isReportedWithin100ms(void **state)
{
    (void)state;
    struct shared *s = shared_create();
    static struct seen seen[MOST];
    memset(seen, 0, sizeof(seen));
    pid_t pid[MOST];
    fork_children(s, MOST, pid);
    struct links *l = join_as_zero(s, MOST, seen);
    for (int i = 1; i < MOST; i++)
        assert_int_equal(links_pid(l, i), pid[i]);
    uint64_t t0 = clock_now_ns();
    kill(pid[3], SIGKILL);
    assert_true(wait_until(&seen[3].died, 1));
    print_message("death seen after %.2f ms\n", (double)(seen[3].when_ns - t0) / 1e6);
    assert_true(seen[3].when_ns - t0 < 100000000);
    assert_int_equal(seen[3].pid, pid[3]);
    char byte;
    size_t nbytes = 1;
    assert_int_equal(links_recv(l, 3, &byte, &nbytes, NULL, clock_deadline_ns(SHORT_MS)),
                     trncclRemoteError);
    char expect[32];
    snprintf(expect, sizeof(expect), "pid %d) has died", (int)pid[3]);
    assert_non_null(strstr(error_text(), expect));
    reap(pid[3], SIGKILL);
    atomic_store(&s->go, 1);
    for (int i = 1; i < MOST; i++) {
        if (i == 3)
            continue;
        assert_true(wait_until(&seen[i].goodbye, 1));
        reap(pid[i], 0);
        assert_int_equal(seen[i].died, 0);
    }
    links_close(l);
    munmap(s, sizeof(*s));
}

static void process_forkedChildLives_deathIsStillSeen(void **state)
{
    (void)state;
    struct shared *s = shared_create();
    static struct seen seen[MOST];
    memset(seen, 0, sizeof(seen));
    int alive[2];
    assert_int_equal(pipe(alive), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct links *l;
        static struct seen its[MOST];
        child_bound();
        if (links_listen(&l, &s->address[1]) != trncclSuccess)
            _exit(10);
        atomic_fetch_add(&s->listening, 1);
        while (atomic_load(&s->listening) < 2)
            usleep(500);
        if (links_connect(l, s->address, 2, 1, clock_deadline_ns(SHORT_MS), NULL,
                          on_event, its) != trncclSuccess)
            _exit(11);
        close(alive[1]);
        if (fork() == 0) { /* outlives its parent, until the test closes the pipe */
            char byte;
            if (links_send(l, 0, "x", 1, -1) != trncclInvalidUsage)
                _exit(12);
            links_abort(l, "a child must not reach the parent's peers");
            links_close(l);
            (void)!read(alive[0], &byte, 1);
            _exit(0);
        }
        atomic_fetch_add(&s->linked, 1);
        for (;;)
            pause();
    }
    struct links *l = join_as_zero(s, 2, seen);
    usleep(50000); /* the grandchild's attempts */
    assert_int_equal(seen[1].aborted + seen[1].goodbye + seen[1].died, 0);
    uint64_t t0 = clock_now_ns();
    kill(pid, SIGKILL);
    assert_true(wait_until(&seen[1].died, 1));
    assert_true(seen[1].when_ns - t0 < 100000000);
    reap(pid, SIGKILL);
    links_close(l);
    close(alive[0]);
    close(alive[1]);
    munmap(s, sizeof(*s));
}

static void process_diesWhileLinking_isNamed(void **state)
{
    (void)state;
    struct shared *s = shared_create();
    pid_t pid = fork();
    if (pid == 0) { /* publishes an address and is gone */
        struct links *l;
        child_bound();
        if (links_listen(&l, &s->address[0]) != trncclSuccess)
            _exit(10);
        atomic_store(&s->listening, 1);
        for (;;)
            pause();
    }
    struct links *l;
    assert_int_equal(links_listen(&l, &s->address[1]), trncclSuccess);
    while (!atomic_load(&s->listening))
        usleep(500);
    kill(pid, SIGKILL);
    reap(pid, SIGKILL);
    uint64_t t0 = clock_now_ns();
    assert_int_equal(links_connect(l, s->address, 2, 1, clock_deadline_ns(SHORT_MS), NULL,
                                   on_event, NULL),
                     trncclRemoteError);
    assert_true(clock_now_ns() - t0 < 100000000);
    assert_non_null(strstr(error_text(), "process 0 of 2"));
    links_close(l);
    munmap(s, sizeof(*s));
}

static void *nothing(void *arg)
{
    return arg;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, remember, compare)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(connect_threads_deliversEveryMessageInOrder),
        CASE(send_descriptor_arrivesWithItsContent),
        CASE(send_receiverDoesNotRead_asksIt),
        CASE(recv_nothingSent_timesOut),
        CASE(close_inOrder_isGoodbyeNotDeath),
        CASE(abort_called_isReportedWithItsReason),
        CASE(connect_processMissing_timesOutNamingIt),
        CASE(connect_abortFlag_endsTheWait),
        CASE(connect_strangers_areDropped),
        CASE(connect_wrongToken_isRefused),
        CASE(connect_descriptorsRunOut_saysHowMany),
        CASE(process_killed_isReportedWithin100ms),
        CASE(process_forkedChildLives_deathIsStillSeen),
        CASE(process_diesWhileLinking_isNamed),
    };
    /* A sanitizer's own thread starts with the first of ours: before we count. */
    pthread_t first;
    pthread_create(&first, NULL, nothing, NULL);
    pthread_join(first, NULL);
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
