#include "boot/server.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "boot/server_internal.h"
#include "util/clock.h"
#include "util/fork_guard.h"
#include "util/log.h"

#define PENDING_MAX 256 /* connections that have not proved anything yet */
#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS 20 /* when the system has no descriptor to give */
#define UP_RETRY_MS 50
#define UP_TRIES 100

void server_pending_leave(struct server *s, struct conn *c)
{
    TAILQ_REMOVE(&s->pending, c, pending);
    s->npending--;
}

void server_stranger(struct server *s, struct conn *c, const char *why)
{
    /* Counted always, told of at 1, 2, 4, 8, ...: a flood must not fill the log. */
    s->nstrangers++;
    if ((s->nstrangers & (s->nstrangers - 1)) == 0)
        log_info("boot", "rendezvous %s dropped a stranger, %s (%lu so far): %s",
                 s->address, c->peer, s->nstrangers, why);
}

int64_t server_limit(const struct server *s, const struct conn *c, uint16_t type)
{
    int64_t all = s->rostered ? (int64_t)s->roster.nranks * WIRE_BLOB_MAX : 0;
    switch (c->state) {
    case CONN_HELLO:
        return type == WIRE_HELLO ? WIRE_NONCE : -1;
    case CONN_JOIN:
        return type == WIRE_JOIN ? WIRE_JOIN_BYTES : -1;
    case CONN_MEMBER:
        if (type == WIRE_GATHER)
            return WIRE_DATA_HEAD + (int64_t)WIRE_BLOB_MAX;
        return type == WIRE_LATE || type == WIRE_BYE ? 4 : -1;
    case CONN_HUB:
        if (type == WIRE_GATHER)
            return WIRE_DATA_HEAD + all;
        if (type == WIRE_FAIL)
            return 4 + WIRE_TEXT;
        if (type == WIRE_ARRIVED)
            return WIRE_ARRIVED_BYTES;
        return type == WIRE_LATE || type == WIRE_BYE ? 4 : -1;
    case CONN_UP_CHALLENGE:
        return type == WIRE_CHALLENGE ? WIRE_NONCE : -1;
    case CONN_UP_WELCOME:
        if (type == WIRE_FAIL)
            return 4 + WIRE_TEXT;
        return type == WIRE_WELCOME ? WIRE_WELCOME_BYTES : -1;
    case CONN_UP:
        if (type == WIRE_RESULT && s->roster.ngiven == s->roster.hi - s->roster.lo)
            return WIRE_DATA_HEAD + (int64_t)s->roster.nranks * s->round_nbytes;
        if (type == WIRE_FAIL)
            return 4 + WIRE_TEXT;
        return type == WIRE_READY || type == WIRE_BYE ? 4 : -1;
    default:
        return -1;
    }
}

static void take_hello(struct server *s, struct conn *c, const uint8_t *body,
                       size_t nbytes)
{
    if (nbytes != WIRE_NONCE) {
        c->dead = true;
        server_stranger(s, c, "a short HELLO");
        return;
    }
    randombytes_buf(c->nonce, sizeof(c->nonce));
    wire_session_init(&c->session, s->id.secret, body, c->nonce, false);
    c->state = CONN_JOIN;
    conn_send_bytes(s, c, WIRE_CHALLENGE, c->nonce, sizeof(c->nonce));
}

static void take_join(struct server *s, struct conn *c, const uint8_t *body,
                      size_t nbytes)
{
    struct wire_join join;
    if (nbytes != WIRE_JOIN_BYTES || !wire_join_unpack(&c->session, body, &join)) {
        c->dead = true;
        server_stranger(s, c, "a malformed JOIN");
        return;
    }
    round_join(s, c, &join);
    sodium_memzero(&join, sizeof(join));
}

/* Hub: the top has answered our HELLO. */
static void take_challenge(struct server *s, struct conn *c, const uint8_t *body,
                           size_t nbytes)
{
    struct boot_id top;
    bool good = nbytes == WIRE_NONCE && boot_id_decode(&s->top, &top) == trncclSuccess;
    if (good) {
        wire_session_init(&c->session, top.secret, c->nonce, body, true);
        good = wire_check(&c->session, c->header, body, nbytes);
    }
    if (!good) {
        c->dead = true;
        round_lost(s, c, "what listens there does not know the id's secret");
        return;
    }
    struct wire_join join = {.role = WIRE_HUB,
                             .nranks = (uint32_t)s->roster.nranks,
                             .rank = (uint32_t)s->roster.index,
                             .nids = (uint32_t)s->roster.nids,
                             .index = 0,
                             .pid = (uint32_t)getpid(),
                             .top = s->top};
    memcpy(join.host, s->host, WIRE_HOST);
    uint8_t bytes[WIRE_JOIN_BYTES];
    wire_join_pack(&c->session, &join, bytes);
    c->state = CONN_UP_WELCOME;
    conn_send_bytes(s, c, WIRE_JOIN, bytes, sizeof(bytes));
    sodium_memzero(&join, sizeof(join));
}

void server_frame(struct server *s, struct conn *c, const uint8_t *body, size_t nbytes)
{
    switch (c->state) {
    case CONN_HELLO:
        take_hello(s, c, body, nbytes);
        return;
    case CONN_JOIN:
        take_join(s, c, body, nbytes);
        return;
    case CONN_UP_CHALLENGE:
        take_challenge(s, c, body, nbytes);
        return;
    case CONN_UP_WELCOME:
        if (c->in.type == WIRE_WELCOME) {
            c->state = CONN_UP;
            c->end_ns = UINT64_MAX;
            round_up(s);
            return;
        }
        round_frame(s, c, body, nbytes);
        return;
    default:
        round_frame(s, c, body, nbytes);
    }
}

/* Hub: connects to the listener of ids[0] once a rank has told us where it is. */
static void up_connect(struct server *s)
{
    struct boot_id top;
    s->up_again_ns = UINT64_MAX;
    if (s->up_tries++ >= UP_TRIES || boot_id_decode(&s->top, &top) != trncclSuccess) {
        round_fail(s, trncclRemoteError,
                   "the rendezvous of the first unique id does not "
                   "answer; asked from %s",
                   s->address);
        return;
    }
    fork_guard_enter();
    int fd = fork_guard_add(
        socket(top.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (fd < 0) {
        s->up_again_ns = clock_deadline_ns(UP_RETRY_MS);
        return;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int rc = connect(fd, (struct sockaddr *)&top.address, top.address_len);
    struct conn *c =
        rc == 0 || errno == EINPROGRESS ? conn_create(s, fd, CONN_UP_CONNECTING) : NULL;
    if (!c) {
        fork_guard_close(fd);
        s->up_again_ns = clock_deadline_ns(UP_RETRY_MS);
        return;
    }
    boot_address_text((struct sockaddr *)&top.address, c->peer);
    c->end_ns = clock_deadline_ns(WIRE_HANDSHAKE_MS);
    s->up = c;
}

void server_up_retry(struct server *s, struct conn *c)
{
    c->dead = true;
    s->up = NULL;
    s->up_again_ns = clock_deadline_ns(UP_RETRY_MS);
}

static void up_connected(struct server *s, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err == ECONNREFUSED) {
        c->dead = true;
        round_lost(s, c, "nobody listens there");
        return;
    }
    if (err) {
        server_up_retry(s, c);
        return;
    }
    c->state = CONN_UP_CHALLENGE;
    randombytes_buf(c->nonce, sizeof(c->nonce));
    conn_send_bytes(s, c, WIRE_HELLO, c->nonce, sizeof(c->nonce));
    conn_flush(s, c);
}

static void drop_pending(struct server *s, struct conn *c, const char *why)
{
    c->dead = true;
    if (c->state != CONN_REFUSED)
        server_stranger(s, c, why);
}

/* Sets what makes the kernel notice a host that has vanished, within about 10 s. */
static void tune(int fd)
{
    int one = 1, idle = 5, interval = 2, count = 3, user_ms = 10000;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_ms, sizeof(user_ms));
}

/* The oldest connection that has proved nothing makes room: an honest one needs two round
 * trips, and tries again if a flood was faster. */
static bool evict(struct server *s)
{
    struct conn *c;
    TAILQ_FOREACH(c, &s->pending, pending)
    {
        if (c->dead)
            continue;
        drop_pending(s, c, "pushed out by newer connections");
        return true;
    }
    return false;
}

static void reap(struct server *s)
{
    for (struct conn *c = TAILQ_FIRST(&s->conns), *next; c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (!c->dead)
            continue;
        if (c->state <= CONN_REFUSED)
            server_pending_leave(s, c);
        conn_free(s, c);
    }
}

static void listen_poll(struct server *s, bool on)
{
    struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data.ptr = NULL};
    (void)epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listen, &ev);
    s->accept_again_ns = on ? UINT64_MAX : clock_deadline_ns(ACCEPT_PAUSE_MS);
}

static void accept_some(struct server *s)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        fork_guard_enter();
        int fd = fork_guard_add(accept4(s->listen, (struct sockaddr *)&from, &len,
                                        SOCK_NONBLOCK | SOCK_CLOEXEC));
        fork_guard_leave();
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK)
                return;
            log_warn("boot", "rendezvous %s cannot accept: %s", s->address,
                     strerror(errno));
            /* No descriptor or memory: free one, or wait until there may be one. */
            if (!evict(s))
                listen_poll(s, false);
            return;
        }
        struct conn *c = conn_create(s, fd, CONN_HELLO);
        if (!c) {
            fork_guard_close(fd);
            return;
        }
        s->naccepted++;
        tune(fd);
        boot_address_text((struct sockaddr *)&from, c->peer);
        c->end_ns = clock_deadline_ns(WIRE_HANDSHAKE_MS);
        TAILQ_INSERT_TAIL(&s->pending, c, pending);
        s->npending++;
        /* What came with the connection is looked at before anybody is pushed out. */
        conn_input(s, c);
        if (s->npending > PENDING_MAX)
            reap(s);
        if (s->npending > PENDING_MAX && evict(s))
            reap(s);
    }
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Does what is due; returns when the next thing is. */
static uint64_t timers(struct server *s)
{
    uint64_t now = clock_now_ns(), next = UINT64_MAX;
    struct conn *c;
    TAILQ_FOREACH(c, &s->pending, pending)
    {
        if (c->dead)
            continue;
        if (c->end_ns > now) { /* in order of arrival, hence of deadline */
            next = c->end_ns;
            break;
        }
        drop_pending(s, c, "it did not prove itself in time");
    }
    if (s->up && s->up->state < CONN_UP && s->up->end_ns <= now)
        server_up_retry(s, s->up);
    bool is_hub = s->rostered && s->roster.index > 0;
    /* Also after a failure: the ranks elsewhere are to be told of it. */
    bool may_go_up = is_hub && (!s->failed || !s->ready);
    if (may_go_up && !s->up && s->up_again_ns <= now)
        up_connect(s);
    if (may_go_up)
        next = earliest(next, s->up ? s->up->end_ns : s->up_again_ns);
    if (s->accept_again_ns <= now)
        listen_poll(s, true);
    next = earliest(next, s->accept_again_ns);
    if (!s->rostered)
        next = earliest(next, s->idle_end_ns);
    if (s->failed && !s->ready)
        next = earliest(next, s->linger_end_ns);
    return next;
}

/* Whether nobody needs this listener any more. */
static bool finished(const struct server *s)
{
    uint64_t now = clock_now_ns();
    if (s->nmembers > 0)
        return false;
    if (!s->rostered)
        return now >= s->idle_end_ns;
    if (s->failed && !s->ready)
        return now >= s->linger_end_ns || s->roster.narrived == s->roster.nranks;
    return s->ready;
}

/* The last words to whoever still listens, then everything goes. */
static void server_end(struct server *s)
{
    struct conn *c;
    if (s->up && s->up->state == CONN_UP) {
        uint8_t bytes[4] = {0};
        conn_send_bytes(s, s->up, WIRE_BYE, bytes, sizeof(bytes));
    }
    TAILQ_FOREACH(c, &s->conns, link)
    conn_flush(s, c);
    if (s->nstrangers > 0)
        log_info("boot", "rendezvous %s ends; %lu of %lu connections were strangers",
                 s->address, s->nstrangers, s->naccepted);
    while ((c = TAILQ_FIRST(&s->conns)))
        conn_free(s, c);
    fork_guard_close(s->listen);
    fork_guard_close(s->epoll);
    roster_fini(&s->roster);
    free(s->member);
    blob_put(s->round_blob);
    sodium_memzero(s, sizeof(*s));
    free(s);
}

static int wait_ms(uint64_t until_ns)
{
    if (until_ns == UINT64_MAX)
        return -1;
    uint64_t now = clock_now_ns();
    uint64_t ms = until_ns <= now ? 0 : (until_ns - now + 999999) / 1000000;
    return ms > 60000 ? 60000 : (int)ms;
}

static void *server_main(void *arg)
{
    struct server *s = arg;
    struct epoll_event events[64];
    for (;;) {
        uint64_t next = timers(s);
        reap(s);
        if (finished(s))
            break;
        int n = epoll_wait(s->epoll, events, 64, wait_ms(next));
        bool knock = false;
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                knock = true;
                continue;
            }
            if (c->dead)
                continue;
            if (c->state == CONN_UP_CONNECTING) {
                up_connected(s, c);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                conn_flush(s, c);
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                conn_input(s, c);
        }
        /* Last, because it may free connections that events[] points to. */
        if (knock)
            accept_some(s);
        round_byes(s);
    }
    server_end(s);
    return NULL;
}

static trncclResult_t server_spawn(struct server *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&thread, &attr, server_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (err)
        return error_set_errno(trncclSystemError, err,
                               "cannot start the thread of the rendezvous");
    return trncclSuccess;
}

trncclResult_t server_start(int listen_fd, const struct boot_id *id, int64_t lifetime_ms)
{
    struct server *s = calloc(1, sizeof(*s));
    if (!s) {
        fork_guard_close(listen_fd);
        return error_set(trncclSystemError, "no memory for the rendezvous");
    }
    TAILQ_INIT(&s->conns);
    TAILQ_INIT(&s->pending);
    s->listen = listen_fd;
    s->id = *id;
    boot_id_encode(id, &s->id_bytes);
    boot_address_text((const struct sockaddr *)&id->address, s->address);
    wire_host(s->host);
    s->idle_end_ns = clock_deadline_ns(lifetime_ms);
    s->accept_again_ns = UINT64_MAX;
    fork_guard_enter();
    s->epoll = fork_guard_add(epoll_create1(EPOLL_CLOEXEC));
    fork_guard_leave();
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    trncclResult_t rc = trncclSuccess;
    if (s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, listen_fd, &ev) < 0)
        rc = error_set_errno(trncclSystemError, errno, "cannot set up the rendezvous");
    if (rc == trncclSuccess)
        rc = server_spawn(s);
    if (rc != trncclSuccess) {
        fork_guard_close(s->epoll);
        fork_guard_close(listen_fd);
        free(s);
    }
    return rc;
}
