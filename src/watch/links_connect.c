/* How the mesh comes up: a process connects to those with a lower index and accepts those
 * with a higher one, all at once, in one poll loop. */
#include "watch/links_internal.h"

#include <errno.h>
#include <dirent.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/crypto.h"
#include "util/fork_guard.h"
#include "util/log.h"

#define POLL_MS 20        /* most time between two looks at the abort flag */
#define PROBE_NS 25000000 /* between two looks whether those still missing are alive */
#define RETRY_MS 2        /* while a listener's queue is full */
#define STRANGERS_MAX 64  /* accepted and not yet known; the oldest makes room */
#define SPARE_FDS 8       /* listener, epoll, eventfd and some that others open */

static socklen_t abstract_name(const struct links_address *address,
                               struct sockaddr_un *name)
{
    memset(name, 0, sizeof(*name));
    name->sun_family = AF_UNIX;
    size_t n = strnlen(address->name, sizeof(address->name));
    memcpy(name->sun_path + 1, address->name, n);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
}

static int open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return -1;
    int n = -3; /* ".", ".." and the one that reads the directory */
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static trncclResult_t fds_missing(int err, int nprocesses)
{
    struct rlimit limit;
    int used = open_fds();
    char usage[48] = "";
    getrlimit(RLIMIT_NOFILE, &limit);
    if (used >= 0)
        snprintf(usage, sizeof(usage), ", of which %d are in use", used);
    return error_set_errno(trncclSystemError, err,
                           "links between %d processes need %d file descriptors, the "
                           "limit is %llu%s; raise it with ulimit -n",
                           nprocesses, 2 * (nprocesses - 1) + SPARE_FDS,
                           (unsigned long long)limit.rlim_cur, usage);
}

/* Before anything is opened: running out half way helps nobody. */
static trncclResult_t fds_check(int nprocesses)
{
    struct rlimit limit;
    int used = open_fds();
    if (used < 0 && errno == EMFILE)
        return fds_missing(EMFILE, nprocesses);
    if (used < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return trncclSuccess;
    if ((rlim_t)used + 2 * (rlim_t)(nprocesses - 1) + SPARE_FDS > limit.rlim_cur)
        return fds_missing(EMFILE, nprocesses);
    return trncclSuccess;
}

trncclResult_t links_listen(struct links **out, struct links_address *address)
{
    TRY(crypto_load());
    struct links *l = calloc(1, sizeof(*l));
    if (!l)
        return error_set(trncclSystemError, "no memory for links");
    l->owner = getpid();
    l->epoll = l->stop = -1;
    uint8_t random[10];
    char hex[2 * sizeof(random) + 1];
    randombytes_buf(random, sizeof(random));
    randombytes_buf(l->address.token, sizeof(l->address.token));
    sodium_bin2hex(hex, sizeof(hex), random, sizeof(random));
    snprintf(l->address.name, sizeof(l->address.name), "trnccl-%s", hex);
    struct sockaddr_un name;
    socklen_t len = abstract_name(&l->address, &name);
    fork_guard_enter();
    l->listen =
        fork_guard_add(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (l->listen < 0 || bind(l->listen, (struct sockaddr *)&name, len) < 0 ||
        listen(l->listen, 4096) < 0) {
        int err = errno;
        trncclResult_t rc =
            err == EMFILE || err == ENFILE
                ? fds_missing(err, 2)
                : error_set_errno(trncclSystemError, err,
                                  "cannot listen on a Unix socket for the processes of "
                                  "this host");
        fork_guard_close(l->listen);
        free(l);
        return rc;
    }
    *address = l->address;
    *out = l;
    return trncclSuccess;
}

/* ---- One connection */

/* An accepted connection that has not said who it is. */
struct stranger {
    int fd;
    pid_t pid;
    size_t have;
    struct links_frame in;
};

struct mesh {
    struct links *l;
    const struct links_address *addresses; /* borrowed */
    struct stranger stranger[STRANGERS_MAX];
    int nstrangers;
    int missing; /* sockets that are not up */
    bool retry;  /* a listener's queue was full */
    struct pollfd *poll;
};

static bool same_user(int fd, pid_t *pid)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
        return false;
    *pid = cred.pid;
    return cred.uid == geteuid();
}

static trncclResult_t peer_gone(struct mesh *m, int process, const char *how)
{
    char pid[32] = "";
    if (m->l->peer[process].pid)
        snprintf(pid, sizeof(pid), " (pid %d)", (int)m->l->peer[process].pid);
    return error_set(trncclRemoteError,
                     "process %d of %d%s on this host died or gave up while the links "
                     "were being made: %s",
                     process, m->l->nprocesses, pid, how);
}

static void fill_hello(const struct mesh *m, int process, enum links_kind kind,
                       struct links_hello *hello)
{
    memset(hello, 0, sizeof(*hello));
    hello->version = LINKS_VERSION;
    hello->process = (uint32_t)m->l->mine;
    hello->nprocesses = (uint32_t)m->l->nprocesses;
    hello->kind = kind;
    memcpy(hello->token, m->addresses[process].token, sizeof(hello->token));
    memcpy(hello->sender, m->l->address.token, sizeof(hello->sender));
}

static trncclResult_t connect_one(struct mesh *m, int process, enum links_kind kind)
{
    struct links_peer *p = &m->l->peer[process];
    struct sockaddr_un name;
    socklen_t len = abstract_name(&m->addresses[process], &name);
    fork_guard_enter();
    int fd =
        fork_guard_add(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (fd < 0)
        return fds_missing(errno, m->l->nprocesses);
    if (connect(fd, (struct sockaddr *)&name, len) < 0) {
        int err = errno;
        fork_guard_close(fd);
        if (err == EAGAIN || err == EINTR) {
            m->retry = true;
            return trncclSuccess;
        }
        return peer_gone(m, process, strerror(err));
    }
    pid_t pid = 0;
    if (!same_user(fd, &pid)) {
        fork_guard_close(fd);
        return error_set(trncclSystemError,
                         "the socket of process %d of %d on this host belongs to another "
                         "user (pid %d); all ranks must run as user %d",
                         process, m->l->nprocesses, (int)pid, (int)geteuid());
    }
    struct links_hello hello;
    fill_hello(m, process, kind, &hello);
    p->fd[kind] = fd;
    p->pid = pid;
    p->connecting[kind] = true;
    /* A fresh socket has room for it; if the other end is gone the poll tells. */
    (void)links_frame_write(fd, LINKS_HELLO, &hello, sizeof(hello));
    return trncclSuccess;
}

static bool hello_fits(const struct mesh *m, const struct links_frame *f,
                       const struct links_hello *h)
{
    if (f->magic != LINKS_MAGIC || f->nbytes != sizeof(*h) ||
        h->version != LINKS_VERSION || h->kind >= LINKS_KINDS ||
        h->nprocesses != (uint32_t)m->l->nprocesses || h->process >= h->nprocesses)
        return false;
    return sodium_memcmp(h->token, m->l->address.token, sizeof(h->token)) == 0 &&
           sodium_memcmp(h->sender, m->addresses[h->process].token, sizeof(h->sender)) ==
               0;
}

/* A stranger's HELLO is complete: takes its socket over if it is one we wait for. */
static bool admit(struct mesh *m, struct stranger *s)
{
    struct links_hello h, answer;
    memcpy(&h, s->in.bytes, sizeof(h));
    if (s->in.type != LINKS_HELLO || !hello_fits(m, &s->in, &h) ||
        h.process <= (uint32_t)m->l->mine)
        return false;
    struct links_peer *p = &m->l->peer[h.process];
    if (p->up[h.kind])
        return false;
    fill_hello(m, (int)h.process, (enum links_kind)h.kind, &answer);
    if (!links_frame_write(s->fd, LINKS_WELCOME, &answer, sizeof(answer)))
        return false;
    p->fd[h.kind] = s->fd;
    p->pid = s->pid;
    p->up[h.kind] = true;
    m->missing--;
    return true;
}

static void drop_stranger(struct mesh *m, int i, bool close_it)
{
    if (close_it)
        fork_guard_close(m->stranger[i].fd);
    m->nstrangers--;
    memmove(&m->stranger[i], &m->stranger[i + 1],
            (size_t)(m->nstrangers - i) * sizeof(m->stranger[0]));
}

static void read_strangers(struct mesh *m)
{
    for (int i = 0; i < m->nstrangers;) {
        struct stranger *s = &m->stranger[i];
        int rc = links_frame_read(s->fd, &s->in, &s->have);
        if (rc == 0) {
            i++;
            continue;
        }
        bool known = rc > 0 && admit(m, s);
        if (!known)
            log_info("links",
                     "dropped a connection of pid %d that is not of this "
                     "communicator",
                     (int)s->pid);
        drop_stranger(m, i, !known);
    }
}

static trncclResult_t accept_all(struct mesh *m)
{
    for (;;) {
        fork_guard_enter();
        int fd = fork_guard_add(
            accept4(m->l->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
        fork_guard_leave();
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return trncclSuccess;
        if (fd < 0)
            return fds_missing(errno, m->l->nprocesses);
        pid_t pid = 0;
        if (!same_user(fd, &pid)) {
            log_warn("links", "dropped a connection of another user's process, pid %d",
                     (int)pid);
            fork_guard_close(fd);
            continue;
        }
        if (m->nstrangers == STRANGERS_MAX)
            drop_stranger(m, 0, true);
        struct stranger *s = &m->stranger[m->nstrangers++];
        s->fd = fd;
        s->pid = pid;
        s->have = 0;
        read_strangers(m);
    }
}

/* A process that has to connect to this one and has not: its socket was open before its
 * address was known, so nobody listening there means that it is gone. */
static trncclResult_t probe_missing(struct mesh *m)
{
    for (int i = m->l->mine + 1; i < m->l->nprocesses; i++) {
        struct links_peer *p = &m->l->peer[i];
        if (p->up[LINKS_DATA] && p->up[LINKS_WATCH])
            continue;
        struct sockaddr_un name;
        socklen_t len = abstract_name(&m->addresses[i], &name);
        fork_guard_enter();
        int fd = fork_guard_add(
            socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        fork_guard_leave();
        if (fd < 0)
            return fds_missing(errno, m->l->nprocesses);
        bool gone =
            connect(fd, (struct sockaddr *)&name, len) < 0 && errno == ECONNREFUSED;
        fork_guard_close(fd);
        /* It may have connected and closed its socket since we looked. */
        TRY(accept_all(m));
        read_strangers(m);
        if (gone && !(p->up[LINKS_DATA] && p->up[LINKS_WATCH]))
            return peer_gone(m, i, "nobody listens at its socket");
    }
    return trncclSuccess;
}

static trncclResult_t read_welcome(struct mesh *m, int process, enum links_kind kind)
{
    /* The answer is one small frame, sent at once: the kernel hands it over whole. */
    struct links_peer *p = &m->l->peer[process];
    struct links_frame f = {0};
    size_t have = 0;
    int rc = links_frame_read(p->fd[kind], &f, &have);
    if (rc == 0 && have == 0)
        return trncclSuccess;
    struct links_hello h;
    memcpy(&h, f.bytes, sizeof(h));
    if (rc < 0)
        return peer_gone(m, process, "it refused or closed the link");
    if (rc == 0 || f.type != LINKS_WELCOME || !hello_fits(m, &f, &h) ||
        h.process != (uint32_t)process || h.kind != (uint32_t)kind)
        return error_set(trncclRemoteError,
                         "process %d of %d on this host answered what was not expected",
                         process, m->l->nprocesses);
    p->connecting[kind] = false;
    p->up[kind] = true;
    m->missing--;
    return trncclSuccess;
}

/* A watch socket that is up has something to say. A goodbye or abort stays for the
 * thread: that peer had its whole mesh up and was quick. */
static trncclResult_t check_death(struct mesh *m, int process)
{
    struct links_peer *p = &m->l->peer[process];
    char byte;
    ssize_t k = recv(p->fd[LINKS_WATCH], &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (k > 0) {
        p->in_have = 0;
        atomic_store_explicit(&p->state, LINKS_LEFT, memory_order_relaxed);
        return trncclSuccess;
    }
    if (k < 0 && (errno == EAGAIN || errno == EINTR))
        return trncclSuccess;
    return peer_gone(m, process, "its link closed");
}

/* ---- The loop */

static trncclResult_t start_missing(struct mesh *m)
{
    m->retry = false;
    for (int i = 0; i < m->l->mine; i++)
        for (int k = 0; k < LINKS_KINDS; k++)
            if (m->l->peer[i].fd[k] < 0)
                TRY(connect_one(m, i, (enum links_kind)k));
    return trncclSuccess;
}

static int fill_poll(struct mesh *m)
{
    int n = 0;
    m->poll[n++] = (struct pollfd){.fd = m->l->listen, .events = POLLIN};
    for (int i = 0; i < m->nstrangers; i++)
        m->poll[n++] = (struct pollfd){.fd = m->stranger[i].fd, .events = POLLIN};
    for (int i = 0; i < m->l->nprocesses; i++) {
        struct links_peer *p = &m->l->peer[i];
        if (p->connecting[LINKS_DATA])
            m->poll[n++] = (struct pollfd){.fd = p->fd[LINKS_DATA], .events = POLLIN};
        if (p->fd[LINKS_WATCH] >= 0 &&
            atomic_load_explicit(&p->state, memory_order_relaxed) == LINKS_UP)
            m->poll[n++] = (struct pollfd){.fd = p->fd[LINKS_WATCH], .events = POLLIN};
    }
    return n;
}

static trncclResult_t serve_peers(struct mesh *m)
{
    for (int i = 0; i < m->l->nprocesses; i++) {
        struct links_peer *p = &m->l->peer[i];
        for (int k = 0; k < LINKS_KINDS; k++)
            if (p->connecting[k])
                TRY(read_welcome(m, i, (enum links_kind)k));
        if (p->up[LINKS_WATCH] &&
            atomic_load_explicit(&p->state, memory_order_relaxed) == LINKS_UP)
            TRY(check_death(m, i));
    }
    return trncclSuccess;
}

static trncclResult_t missing_text(struct mesh *m, uint64_t started_ns)
{
    char list[256] = "";
    size_t n = 0;
    for (int i = 0; i < m->l->nprocesses && n < sizeof(list) - 16; i++) {
        struct links_peer *p = &m->l->peer[i];
        if (i != m->l->mine && !(p->up[LINKS_DATA] && p->up[LINKS_WATCH]))
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%d", n ? ", " : "", i);
    }
    return error_set(trncclTimeout,
                     "process %s of %d on this host made no link to process %d within "
                     "%llu ms",
                     list, m->l->nprocesses, m->l->mine,
                     (unsigned long long)((clock_now_ns() - started_ns) / 1000000));
}

static trncclResult_t mesh_run(struct mesh *m, uint64_t deadline_ns,
                               const atomic_int *abort)
{
    uint64_t started_ns = clock_now_ns(), probe_ns = started_ns + PROBE_NS;
    for (;;) {
        TRY(start_missing(m));
        TRY(accept_all(m));
        read_strangers(m);
        TRY(serve_peers(m));
        if (m->missing == 0)
            return trncclSuccess;
        if ((abort && atomic_load_explicit(abort, memory_order_relaxed)) ||
            atomic_load_explicit(&m->l->aborted, memory_order_relaxed))
            return error_set(trncclAborted, "aborted while linking the processes of this "
                                            "host");
        if (clock_now_ns() >= deadline_ns)
            return missing_text(m, started_ns);
        if (clock_now_ns() >= probe_ns) {
            TRY(probe_missing(m));
            probe_ns = clock_now_ns() + PROBE_NS;
        }
        int n = fill_poll(m);
        int ms = links_wait_ms(deadline_ns, m->retry ? RETRY_MS : POLL_MS);
        if (poll(m->poll, (nfds_t)n, ms) < 0 && errno != EINTR)
            return error_set_errno(trncclSystemError, errno, "cannot wait for links");
    }
}

static trncclResult_t mesh_init(struct links *l, const struct links_address *addresses,
                                struct mesh **out)
{
    int n = l->nprocesses;
    l->peer = calloc((size_t)n, sizeof(*l->peer));
    struct mesh *m = calloc(1, sizeof(*m));
    if (m)
        m->poll = calloc((size_t)(1 + STRANGERS_MAX + 2 * n), sizeof(*m->poll));
    if (!l->peer || !m || !m->poll) {
        free(m);
        free(l->peer);
        l->peer = NULL;
        return error_set(trncclSystemError, "no memory for links to %d processes", n);
    }
    for (int i = 0; i < n; i++)
        l->peer[i].fd[LINKS_DATA] = l->peer[i].fd[LINKS_WATCH] = -1;
    l->peer[l->mine].pid = getpid();
    m->l = l;
    m->addresses = addresses;
    m->missing = LINKS_KINDS * (n - 1);
    *out = m;
    return trncclSuccess;
}

trncclResult_t links_connect(struct links *l, const struct links_address *addresses,
                             int nprocesses, int mine, uint64_t deadline_ns,
                             const atomic_int *abort, links_event_fn fn, void *context)
{
    if (nprocesses < 1 || mine < 0 || mine >= nprocesses || l->peer)
        return error_set(trncclInternalError,
                         "links_connect: process %d of %d, or called twice", mine,
                         nprocesses);
    if (memcmp(&addresses[mine], &l->address, sizeof(l->address)) != 0)
        return error_set(trncclInternalError,
                         "links_connect: entry %d of the addresses is not this process's",
                         mine);
    TRY(fds_check(nprocesses));
    l->nprocesses = nprocesses;
    l->mine = mine;
    struct mesh *m = NULL;
    TRY(mesh_init(l, addresses, &m));
    trncclResult_t rc = mesh_run(m, deadline_ns, abort);
    while (m->nstrangers > 0)
        drop_stranger(m, 0, true);
    free(m->poll);
    free(m);
    l->fn = fn;
    l->context = context;
    if (rc == trncclSuccess) {
        for (int i = 0; i < nprocesses; i++)
            atomic_store_explicit(&l->peer[i].state, LINKS_UP, memory_order_relaxed);
        rc = links_thread_start(l);
    }
    fork_guard_close(l->listen);
    l->listen = -1;
    if (rc != trncclSuccess)
        links_disconnect(l);
    return rc;
}
