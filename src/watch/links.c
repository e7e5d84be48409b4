#include "watch/links.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/fork_guard.h"
#include "util/log.h"
#include "watch/links_internal.h"

#define REASON_MAX (LINKS_MESSAGE_MAX - 1) /* of links_abort */
#define SEND_WAIT_MS 10000 /* for a peer that does not read though it was asked */
#define POLL_MS 20         /* most time between two looks at the abort flag */

int links_wait_ms(uint64_t deadline_ns, int most_ms)
{
    uint64_t now = clock_now_ns();
    if (deadline_ns <= now)
        return 0;
    uint64_t ms = (deadline_ns - now + 999999) / 1000000;
    return ms < (uint64_t)most_ms ? (int)ms : most_ms;
}

/* ---- Frames */

int links_frame_read(int fd, struct links_frame *f, size_t *have)
{
    while (*have < sizeof(*f)) {
        ssize_t k = recv(fd, (char *)f + *have, sizeof(*f) - *have, MSG_DONTWAIT);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return 0;
        if (k <= 0)
            return -1;
        *have += (size_t)k;
    }
    return 1;
}

static void frame_fill(struct links_frame *f, enum links_type type, const void *bytes,
                       size_t nbytes)
{
    memset(f, 0, sizeof(*f));
    f->magic = LINKS_MAGIC;
    f->type = type;
    f->nbytes = (uint32_t)nbytes;
    if (nbytes)
        memcpy(f->bytes, bytes, nbytes);
}

bool links_frame_write(int fd, enum links_type type, const void *bytes, size_t nbytes)
{
    struct links_frame f;
    frame_fill(&f, type, bytes, nbytes);
    ssize_t k;
    do
        k = send(fd, &f, sizeof(f), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (k < 0 && errno == EINTR);
    return k == (ssize_t)sizeof(f);
}

/* ---- The thread */

static void report(struct links *l, int process, enum links_event event, const char *text)
{
    static const char *const what[] = {[LINKS_DIED] = "died",
                                       [LINKS_GOODBYE] = "said goodbye",
                                       [LINKS_ABORTED] = "aborted: ",
                                       [LINKS_FULL] = "waits to send"};
    log_debug("links", "process %d (pid %d) %s%s", process, (int)l->peer[process].pid,
              what[event], event == LINKS_ABORTED ? text : "");
    if (l->fn)
        l->fn(l->context, process, l->peer[process].pid, event, text);
}

/* Nothing more is expected of this peer. Its sockets stay open until links_close, since
 * other threads may be using them. */
static void retire(struct links *l, int process, enum links_state state)
{
    struct links_peer *p = &l->peer[process];
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, p->fd[LINKS_WATCH], NULL);
    /* Pairs with the load in peer_end(). */
    atomic_store_explicit(&p->state, state, memory_order_release);
    report(l, process, state == LINKS_LEFT ? LINKS_GOODBYE : LINKS_DIED,
           state == LINKS_LEFT ? "it left in order"
                               : "its link closed without a goodbye");
}

static void watch_input(struct links *l, int process)
{
    struct links_peer *p = &l->peer[process];
    for (;;) {
        int rc = links_frame_read(p->fd[LINKS_WATCH], &p->in, &p->in_have);
        if (rc == 0)
            return;
        bool good = rc > 0 && p->in.magic == LINKS_MAGIC &&
                    (p->in.type == LINKS_BYE || p->in.type == LINKS_ABORT ||
                     p->in.type == LINKS_READ);
        if (!good) {
            if (rc > 0)
                log_error("links", "process %d (pid %d) sent what was not expected",
                          process, (int)p->pid);
            retire(l, process, LINKS_DEAD);
            return;
        }
        p->in_have = 0;
        if (p->in.type == LINKS_BYE) {
            retire(l, process, LINKS_LEFT);
            return;
        }
        if (p->in.type == LINKS_READ) {
            report(l, process, LINKS_FULL, "it waits to send");
            continue;
        }
        p->in.bytes[p->in.nbytes < REASON_MAX ? p->in.nbytes : REASON_MAX] = 0;
        report(l, process, LINKS_ABORTED, (const char *)p->in.bytes);
    }
}

static void *links_main(void *arg)
{
    struct links *l = arg;
    struct epoll_event events[32];
    for (;;) {
        int n = epoll_wait(l->epoll, events, 32, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 == UINT32_MAX)
                return NULL;
            watch_input(l, (int)events[i].data.u32);
        }
    }
}

static trncclResult_t thread_spawn(struct links *l)
{
    /* The application's signals are for the application's threads. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&l->thread, NULL, links_main, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (err)
        return error_set_errno(trncclSystemError, err,
                               "cannot start the thread that watches the processes of "
                               "this host");
    atomic_store(&l->running, 1);
    if (atomic_load(&l->aborted))
        return error_set(trncclAborted, "aborted while linking the processes of this "
                                        "host");
    return trncclSuccess;
}

trncclResult_t links_thread_start(struct links *l)
{
    if (l->nprocesses == 1)
        return trncclSuccess; /* nobody to watch */
    fork_guard_enter();
    l->epoll = fork_guard_add(epoll_create1(EPOLL_CLOEXEC));
    if (l->epoll >= 0)
        l->stop = fork_guard_add(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    fork_guard_leave();
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    if (l->stop < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->stop, &ev) < 0)
        return error_set_errno(trncclSystemError, errno,
                               "cannot watch the processes of this host");
    for (int i = 0; i < l->nprocesses; i++) {
        if (i == l->mine)
            continue;
        ev =
            (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP, .data.u32 = (uint32_t)i};
        if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->peer[i].fd[LINKS_WATCH], &ev) < 0)
            return error_set_errno(trncclSystemError, errno,
                                   "cannot watch process %d of this host", i);
    }
    return thread_spawn(l);
}

/* ---- Messages */

static trncclResult_t check_use(const struct links *l, int process, const char *what)
{
    if (getpid() != l->owner)
        return error_set(trncclInvalidUsage,
                         "%s: the links belong to process %d and cannot be used by its "
                         "forked child %d",
                         what, (int)l->owner, (int)getpid());
    if (!atomic_load_explicit(&l->running, memory_order_relaxed) || process < 0 ||
        process >= l->nprocesses || process == l->mine)
        return error_set(trncclInternalError,
                         "%s: process %d of %d has no link (this is process %d)", what,
                         process, l->nprocesses, l->mine);
    return trncclSuccess;
}

/* The data socket has ended. Whether in order, the thread is about to know. */
static trncclResult_t peer_end(struct links *l, int process)
{
    struct links_peer *p = &l->peer[process];
    int state = LINKS_UP;
    for (int i = 0; i < 50 && state == LINKS_UP; i++) {
        /* Pairs with the store in retire(). */
        state = atomic_load_explicit(&p->state, memory_order_acquire);
        if (state == LINKS_UP)
            (void)poll(NULL, 0, 1);
    }
    return error_set(trncclRemoteError, "process %d of %d on this host (pid %d) %s",
                     process, l->nprocesses, (int)p->pid,
                     state == LINKS_LEFT ? "has left: it destroyed its communicator"
                                         : "has died");
}

static trncclResult_t wait_for(struct links *l, int process, short events,
                               uint64_t deadline_ns, const char *what)
{
    for (;;) {
        if (atomic_load_explicit(&l->aborted, memory_order_relaxed))
            return error_set(trncclAborted, "aborted while it waited to %s process %d",
                             what, process);
        struct pollfd p = {.fd = l->peer[process].fd[LINKS_DATA], .events = events};
        int n = poll(&p, 1, links_wait_ms(deadline_ns, POLL_MS));
        if (n > 0)
            return trncclSuccess;
        if (n < 0 && errno != EINTR)
            return error_set_errno(trncclSystemError, errno,
                                   "cannot wait to %s "
                                   "process %d",
                                   what, process);
        if (clock_now_ns() >= deadline_ns)
            return error_set(trncclTimeout,
                             "waited too long to %s process %d of %d on this host (pid "
                             "%d)",
                             what, process, l->nprocesses, (int)l->peer[process].pid);
    }
}

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* Sends what is left of a frame, as far as there is room; the descriptor (-1: none) goes
 * with its first byte. As sendmsg. */
static ssize_t frame_send(int socket, const struct links_frame *f, size_t done, int fd)
{
    union fd_control control = {0};
    struct iovec iov = {(char *)f + done, sizeof(*f) - done};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0 && done == 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    return sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* There is no room for a message: asks its receiver to read. ETOOMANYREFS: this user has
 * too many descriptors in flight, and any receiver may be the one that leaves them there.
 * Once per message: a process that is stopped must keep room for an abort. */
static void ask_to_read(struct links *l, int process, int err)
{
    for (int i = 0; i < l->nprocesses; i++)
        if (i == process || (err == ETOOMANYREFS && i != l->mine))
            (void)links_frame_write(l->peer[i].fd[LINKS_WATCH], LINKS_READ, NULL, 0);
}

trncclResult_t links_send(struct links *l, int process, const void *message,
                          size_t nbytes, int fd)
{
    TRY(check_use(l, process, "links_send"));
    if (nbytes > LINKS_MESSAGE_MAX)
        return error_set(trncclInternalError, "links_send: %zu bytes, expected <= %d",
                         nbytes, LINKS_MESSAGE_MAX);
    struct links_frame f;
    frame_fill(&f, LINKS_MESSAGE, message, nbytes);
    uint64_t deadline_ns = clock_deadline_ns(SEND_WAIT_MS);
    bool asked = false;
    for (size_t done = 0; done < sizeof(f);) {
        ssize_t k = frame_send(l->peer[process].fd[LINKS_DATA], &f, done, fd);
        int err = k < 0 ? errno : 0;
        if (k >= 0)
            done += (size_t)k;
        if (k >= 0 || err == EINTR)
            continue;
        if (err == EPIPE || err == ECONNRESET)
            return peer_end(l, process);
        if (err != EAGAIN && err != EWOULDBLOCK && err != ETOOMANYREFS)
            return error_set_errno(trncclSystemError, err, "cannot send %s to process %d",
                                   fd >= 0 ? "a descriptor" : "a message", process);
        if (!asked)
            ask_to_read(l, process, err);
        asked = true;
        if (err == ETOOMANYREFS)
            (void)poll(NULL, 0, 1);
        TRY(wait_for(l, process, POLLOUT, deadline_ns, "send to"));
    }
    return trncclSuccess;
}

/* The descriptor that came along, -1 for none, -2 if the kernel could not give it to us.
 */
static int take_fd(struct msghdr *msg)
{
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            c->cmsg_len == CMSG_LEN(sizeof(int)))
            memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd < 0 && (msg->msg_flags & MSG_CTRUNC) ? -2 : fd;
}

/* A whole frame and its descriptor. On error the descriptor has been closed. */
static trncclResult_t frame_take(struct links *l, int process, struct links_frame *f,
                                 int *fd, uint64_t deadline_ns)
{
    *fd = -1;
    for (size_t have = 0; have < sizeof(*f);) {
        union fd_control control;
        struct iovec iov = {(char *)f + have, sizeof(*f) - have};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
        ssize_t k = recvmsg(l->peer[process].fd[LINKS_DATA], &msg,
                            MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (k > 0) {
            have += (size_t)k;
            int got = take_fd(&msg);
            if (got != -1)
                *fd = got;
            continue;
        }
        trncclResult_t rc = trncclSuccess;
        if (k == 0 || errno == ECONNRESET)
            rc = peer_end(l, process);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            rc = wait_for(l, process, POLLIN, deadline_ns, "receive from");
        else if (errno != EINTR)
            rc = error_set_errno(trncclSystemError, errno,
                                 "cannot receive from process %d", process);
        if (rc != trncclSuccess) {
            if (*fd >= 0)
                close(*fd);
            return rc;
        }
    }
    return trncclSuccess;
}

trncclResult_t links_recv(struct links *l, int process, void *message, size_t *nbytes,
                          int *fd, uint64_t deadline_ns)
{
    TRY(check_use(l, process, "links_recv"));
    struct links_frame f;
    int got;
    TRY(frame_take(l, process, &f, &got, deadline_ns));
    trncclResult_t rc = trncclSuccess;
    if (got == -2)
        rc = error_set(trncclSystemError,
                       "a descriptor from process %d could not be received: the limit of "
                       "open files (ulimit -n) is reached",
                       process);
    else if (f.magic != LINKS_MAGIC || f.type != LINKS_MESSAGE ||
             f.nbytes > LINKS_MESSAGE_MAX)
        rc =
            error_set(trncclRemoteError, "process %d (pid %d) sent what was not expected",
                      process, (int)l->peer[process].pid);
    else if (f.nbytes > *nbytes)
        rc = error_set(trncclInternalError,
                       "links_recv: a message of %u bytes from process %d, room for %zu",
                       f.nbytes, process, *nbytes);
    if (rc != trncclSuccess) {
        if (got >= 0)
            close(got);
        return rc;
    }
    memcpy(message, f.bytes, f.nbytes);
    *nbytes = f.nbytes;
    if (fd)
        *fd = got;
    else if (got >= 0)
        close(got);
    return trncclSuccess;
}

bool links_pending(const struct links *l, int process)
{
    int nbytes = 0;
    return ioctl(l->peer[process].fd[LINKS_DATA], FIONREAD, &nbytes) == 0 &&
           (size_t)nbytes >= sizeof(struct links_frame);
}

void links_abort(struct links *l, const char *reason)
{
    if (!l || getpid() != l->owner || atomic_exchange(&l->aborted, 1) ||
        !atomic_load(&l->running))
        return;
    char text[REASON_MAX + 1];
    size_t n = strlen(error_cut(text, sizeof(text), reason ? reason : ""));
    for (int i = 0; i < l->nprocesses; i++)
        if (i != l->mine)
            (void)links_frame_write(l->peer[i].fd[LINKS_WATCH], LINKS_ABORT, text, n);
}

pid_t links_pid(const struct links *l, int process)
{
    return l->peer && process >= 0 && process < l->nprocesses ? l->peer[process].pid : 0;
}

/* ---- The end */

static void thread_stop(struct links *l)
{
    uint64_t one = 1;
    while (write(l->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(l->thread, NULL);
    atomic_store(&l->running, 0);
}

void links_disconnect(struct links *l)
{
    if (atomic_load_explicit(&l->running, memory_order_relaxed))
        thread_stop(l);
    for (int i = 0; l->peer && i < l->nprocesses; i++)
        for (int k = 0; k < LINKS_KINDS; k++) {
            fork_guard_close(l->peer[i].fd[k]);
            l->peer[i].fd[k] = -1;
        }
    fork_guard_close(l->epoll);
    fork_guard_close(l->stop);
    l->epoll = l->stop = -1;
}

void links_close(struct links *l)
{
    if (!l)
        return;
    /* In a forked child there is no thread, and fork_guard has closed the sockets. */
    if (l->owner == getpid()) {
        bool up = atomic_load_explicit(&l->running, memory_order_relaxed);
        for (int i = 0; up && i < l->nprocesses; i++)
            if (i != l->mine)
                (void)links_frame_write(l->peer[i].fd[LINKS_WATCH], LINKS_BYE, NULL, 0);
        links_disconnect(l);
        fork_guard_close(l->listen);
    }
    free(l->peer);
    free(l);
}
