#include "boot/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include "util/fork_guard.h"
#include "util/log.h"

#define CONN_READS 64 /* frames taken per turn, so that no peer starves the others */

struct blob *blob_create(size_t nbytes)
{
    struct blob *b = malloc(sizeof(*b) + nbytes);
    if (!b)
        return NULL;
    b->refs = 1;
    b->nbytes = nbytes;
    return b;
}

void blob_put(struct blob *b)
{
    if (b && --b->refs == 0)
        free(b);
}

struct conn *conn_create(struct server *s, int fd, enum conn_state state)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->fd = fd;
    c->state = state;
    STAILQ_INIT(&c->out);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    if (state == CONN_UP_CONNECTING) {
        ev.events |= EPOLLOUT;
        c->polls_out = true;
    }
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
        free(c);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    return c;
}

static void conn_drop_out(struct conn *c)
{
    struct frame_out *f = STAILQ_FIRST(&c->out);
    STAILQ_REMOVE_HEAD(&c->out, link);
    blob_put(f->blob);
    free(f);
}

void conn_free(struct server *s, struct conn *c)
{
    TAILQ_REMOVE(&s->conns, c, link);
    while (!STAILQ_EMPTY(&c->out))
        conn_drop_out(c);
    if (c->body != c->small)
        free(c->body);
    fork_guard_close(c->fd);
    free(c);
}

bool conn_flushed(const struct conn *c)
{
    return c->dead || STAILQ_EMPTY(&c->out);
}

static void conn_poll_out(struct server *s, struct conn *c, bool want)
{
    if (c->polls_out == want)
        return;
    struct epoll_event ev = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0)
        c->polls_out = want;
}

void conn_flush(struct server *s, struct conn *c)
{
    while (!c->dead && !STAILQ_EMPTY(&c->out)) {
        struct frame_out *f = STAILQ_FIRST(&c->out);
        struct iovec iov[2];
        int n = 0;
        if (f->sent < WIRE_HEADER)
            iov[n++] = (struct iovec){f->header + f->sent, WIRE_HEADER - f->sent};
        size_t done = f->sent < WIRE_HEADER ? 0 : f->sent - WIRE_HEADER;
        if (f->blob && done < f->blob->nbytes)
            iov[n++] = (struct iovec){f->blob->data + done, f->blob->nbytes - done};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t k = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            conn_poll_out(s, c, true);
            return;
        }
        if (k < 0) {
            /* What the peer said last is still to be read: conn_input() sees the end. */
            while (!STAILQ_EMPTY(&c->out))
                conn_drop_out(c);
            break;
        }
        f->sent += (size_t)k;
        if (f->sent == WIRE_HEADER + (f->blob ? f->blob->nbytes : 0))
            conn_drop_out(c);
    }
    conn_poll_out(s, c, false);
}

/* Both ends see the end of the connection, and deal with it as with a death. */
static void conn_give_up(struct conn *c)
{
    log_error("boot", "no memory for a frame to %s; its connection ends", c->peer);
    shutdown(c->fd, SHUT_RDWR);
}

void conn_send(struct server *s, struct conn *c, enum wire_type type, struct blob *blob)
{
    if (c->dead)
        return;
    struct frame_out *f = calloc(1, sizeof(*f));
    if (!f) {
        conn_give_up(c);
        return;
    }
    uint8_t none[WIRE_HASH];
    if (blob)
        blob->refs++;
    else
        wire_hash(NULL, 0, none);
    f->blob = blob;
    wire_seal(type == WIRE_HELLO ? NULL : &c->session, type,
              blob ? (uint32_t)blob->nbytes : 0, blob ? blob->hash : none, f->header);
    bool first = STAILQ_EMPTY(&c->out);
    STAILQ_INSERT_TAIL(&c->out, f, link);
    if (first)
        conn_flush(s, c);
}

void conn_send_bytes(struct server *s, struct conn *c, enum wire_type type,
                     const void *bytes, size_t nbytes)
{
    struct blob *b = blob_create(nbytes);
    if (!b) {
        conn_give_up(c);
        return;
    }
    memcpy(b->data, bytes, nbytes);
    wire_hash(b->data, nbytes, b->hash);
    conn_send(s, c, type, b);
    blob_put(b);
}

/* The connection is over, in whatever state it was. */
static void conn_end(struct server *s, struct conn *c, const char *why)
{
    if (c->dead)
        return;
    c->dead = true;
    if (c->state <= CONN_REFUSED) {
        if (c->state != CONN_REFUSED)
            server_stranger(s, c, why);
    } else if (c->state < CONN_UP && c == s->up) {
        server_up_retry(s, c);
    } else {
        round_lost(s, c, why);
    }
}

/* Header complete: may this frame come now, and is there room? */
static bool conn_accept_header(struct server *s, struct conn *c)
{
    const char *wrong = wire_parse(c->header, &c->in);
    if (!wrong) {
        int64_t limit = server_limit(s, c, c->in.type);
        if (limit < 0)
            wrong = "a frame out of turn";
        else if ((int64_t)c->in.length > limit)
            wrong = "a frame that is too long";
    }
    if (!wrong && c->in.length > sizeof(c->small)) {
        c->body = malloc(c->in.length);
        if (!c->body)
            wrong = "no memory for its frame";
    } else {
        c->body = c->small;
    }
    if (wrong)
        conn_end(s, c, wrong);
    return !wrong;
}

static void conn_deliver(struct server *s, struct conn *c)
{
    uint8_t *body = c->body;
    c->body = NULL;
    c->in_have = 0;
    /* HELLO precedes the keys; so does CHALLENGE, whose nonce they are made from and
     * which is therefore checked where it is taken. */
    bool keyed = c->in.type != WIRE_HELLO && c->in.type != WIRE_CHALLENGE;
    if (keyed && !wire_check(&c->session, c->header, body, c->in.length))
        conn_end(s, c, "a frame without proof of the secret");
    else
        server_frame(s, c, body, c->in.length);
    if (body != c->small)
        free(body);
}

void conn_input(struct server *s, struct conn *c)
{
    for (int frames = 0; !c->dead && frames < CONN_READS;) {
        bool head = c->in_have < WIRE_HEADER;
        size_t done = head ? c->in_have : c->in_have - WIRE_HEADER;
        size_t want = (head ? WIRE_HEADER : c->in.length) - done;
        uint8_t *at = (head ? c->header : c->body) + done;
        ssize_t k = want ? recv(c->fd, at, want, MSG_DONTWAIT) : 0;
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (k < 0 || (k == 0 && want)) {
            conn_end(s, c, k < 0 ? strerror(errno) : "it closed the connection");
            return;
        }
        c->in_have += (size_t)k;
        if (c->in_have == WIRE_HEADER && want && !conn_accept_header(s, c))
            return;
        if (c->in_have >= WIRE_HEADER &&
            c->in_have == WIRE_HEADER + (size_t)c->in.length) {
            conn_deliver(s, c);
            frames++;
        }
    }
}
