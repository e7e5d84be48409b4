#include "boot/boot.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "boot/ifname.h"
#include "boot/server.h"
#include "boot/wire.h"
#include "util/clock.h"
#include "util/crypto.h"
#include "util/fork_guard.h"
#include "util/log.h"
#include "util/settings.h"

#define ABORT_POLL_MS 20
#define ANSWER_MS 250       /* for the rendezvous to say who is missing */
#define GOODBYE_MS 500      /* for a rendezvous in this process to flush */
#define RETRY_MS 20         /* before connecting again */
#define UNUSED_ID_MS 600000 /* an id nobody joins is served at least this long */
#define LISTEN_BACKLOG 4096

struct boot {
    int nranks, rank;
    pid_t owner; /* the process that opened it: a forked child may not use it */
    trncclOobAllgather_t oob;
    void *oob_context;
    int fd; /* to the rendezvous; -1 with oob */
    struct wire_session session;
    uint64_t opened_ns, deadline_ns;
    const atomic_int *abort; /* borrowed, may be NULL */
    uint32_t round;
    trncclResult_t failed; /* sticky */
    char address[BOOT_ADDRESS_TEXT];
    char server[192]; /* "the process that serves ... (host, pid)" */
    bool server_is_here;
};

/* ---- Making an id */

static trncclResult_t listen_open(struct boot_id *id, int *out)
{
    TRY(ifname_choose(settings_string(SETTINGS_SOCKET_IFNAME),
                      settings_string(SETTINGS_SOCKET_FAMILY), &id->address,
                      &id->address_len));
    fork_guard_enter();
    int fd = fork_guard_add(
        socket(id->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (fd < 0)
        return error_set_errno(trncclSystemError, errno,
                               "cannot open a socket for the rendezvous");
    if (bind(fd, (struct sockaddr *)&id->address, id->address_len) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&id->address, &id->address_len) < 0) {
        int err = errno;
        char text[BOOT_ADDRESS_TEXT];
        boot_address_text((struct sockaddr *)&id->address, text);
        fork_guard_close(fd);
        return error_set_errno(trncclSystemError, err,
                               "cannot listen on %s for the rendezvous", text);
    }
    *out = fd;
    return trncclSuccess;
}

trncclResult_t boot_unique_id(trncclUniqueId *out)
{
    TRY(crypto_load());
    TRY(settings_load());
    struct boot_id id = {0};
    int fd = -1;
    TRY(listen_open(&id, &fd));
    randombytes_buf(id.secret, sizeof(id.secret));
    int64_t lifetime_ms = settings_int(SETTINGS_INIT_TIMEOUT_MS);
    if (lifetime_ms > 0 && lifetime_ms < UNUSED_ID_MS)
        lifetime_ms = UNUSED_ID_MS;
    TRY(server_start(fd, &id, lifetime_ms));
    char text[BOOT_ADDRESS_TEXT];
    boot_address_text((struct sockaddr *)&id.address, text);
    log_info("boot", "serving a rendezvous at %s", text);
    boot_id_encode(&id, out);
    sodium_memzero(&id, sizeof(id));
    return trncclSuccess;
}

/* ---- Waiting */

enum wait_result { WAIT_READY, WAIT_DEADLINE, WAIT_ABORTED, WAIT_BROKEN };

/* Until fd is readable or writable, the deadline or an abort. */
static enum wait_result boot_wait(const struct boot *b, short events, uint64_t until_ns)
{
    for (;;) {
        if (b->abort && atomic_load_explicit(b->abort, memory_order_relaxed))
            return WAIT_ABORTED;
        uint64_t now = clock_now_ns();
        int ms = ABORT_POLL_MS;
        if (until_ns <= now)
            ms = 0;
        else if (until_ns - now < (uint64_t)ms * 1000000)
            ms = (int)((until_ns - now + 999999) / 1000000);
        struct pollfd p = {.fd = b->fd, .events = events};
        int n = poll(&p, b->fd < 0 ? 0 : 1, ms);
        if (n > 0)
            return WAIT_READY;
        if (n < 0 && errno != EINTR)
            return WAIT_BROKEN;
        if (clock_now_ns() >= until_ns)
            return WAIT_DEADLINE;
    }
}

/* All of them, or why not. errno after WAIT_BROKEN; 0 if the other end closed. */
static enum wait_result boot_read(const struct boot *b, void *bytes, size_t nbytes,
                                  uint64_t until_ns, size_t *have)
{
    while (*have < nbytes) {
        ssize_t k = recv(b->fd, (char *)bytes + *have, nbytes - *have, MSG_DONTWAIT);
        if (k > 0) {
            *have += (size_t)k;
            continue;
        }
        if (k == 0) {
            errno = 0;
            return WAIT_BROKEN;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return WAIT_BROKEN;
        enum wait_result w = boot_wait(b, POLLIN, until_ns);
        if (w != WAIT_READY)
            return w;
    }
    return WAIT_READY;
}

static enum wait_result boot_write(const struct boot *b, const void *bytes, size_t nbytes,
                                   uint64_t until_ns)
{
    for (size_t done = 0; done < nbytes;) {
        ssize_t k = send(b->fd, (const char *)bytes + done, nbytes - done,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k >= 0) {
            done += (size_t)k;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK)
            return WAIT_BROKEN;
        enum wait_result w = boot_wait(b, POLLOUT, until_ns);
        if (w != WAIT_READY)
            return w;
    }
    return WAIT_READY;
}

/* How long this rank was to wait, from boot_open to its deadline. */
static uint32_t boot_waited_ms(const struct boot *b)
{
    if (b->deadline_ns < b->opened_ns)
        return 0;
    return (uint32_t)((b->deadline_ns - b->opened_ns + 500000) / 1000000);
}

/* ---- Frames */

static enum wait_result frame_send(struct boot *b, enum wire_type type, const void *data,
                                   size_t nbytes, uint64_t until_ns)
{
    uint8_t header[WIRE_HEADER], hash[WIRE_HASH];
    wire_hash(data, nbytes, hash);
    wire_seal(type == WIRE_HELLO ? NULL : &b->session, type, (uint32_t)nbytes, hash,
              header);
    enum wait_result w = boot_write(b, header, sizeof(header), until_ns);
    return w == WAIT_READY ? boot_write(b, data, nbytes, until_ns) : w;
}

/* An incoming frame, kept between calls so that a wait can go on after its deadline. */
struct frame_in {
    uint8_t header[WIRE_HEADER];
    struct wire_header parsed;
    uint8_t *body; /* owned; parsed.length bytes */
    size_t header_have, body_have;
    const char *wrong; /* set if the frame breaks the protocol */
};

static void frame_fini(struct frame_in *f)
{
    free(f->body);
    memset(f, 0, sizeof(*f));
}

/* The next frame, which must be of type `expected` and of nbytes, or a FAIL. */
static enum wait_result frame_recv(struct boot *b, struct frame_in *f,
                                   enum wire_type expected, size_t nbytes,
                                   uint64_t until_ns)
{
    enum wait_result w = boot_read(b, f->header, WIRE_HEADER, until_ns, &f->header_have);
    if (w != WAIT_READY)
        return w;
    if (!f->body) {
        f->wrong = wire_parse(f->header, &f->parsed);
        bool fits = f->parsed.type == expected
                        ? f->parsed.length == nbytes
                        : f->parsed.type == WIRE_FAIL && f->parsed.length >= 4 &&
                              f->parsed.length <= 4 + WIRE_TEXT;
        if (!f->wrong && !fits)
            f->wrong = "a frame of another type or length";
        if (!f->wrong && !(f->body = malloc(f->parsed.length + 1)))
            f->wrong = "no memory for its frame";
        errno = 0;
        if (f->wrong)
            return WAIT_BROKEN;
    }
    w = boot_read(b, f->body, f->parsed.length, until_ns, &f->body_have);
    if (w == WAIT_READY && expected != WIRE_CHALLENGE &&
        !wire_check(&b->session, f->header, f->body, f->parsed.length)) {
        f->wrong = "a frame without proof of the secret";
        errno = 0;
        return WAIT_BROKEN;
    }
    return w;
}

/* The rendezvous said FAIL: its code and reason become this rank's. */
static trncclResult_t frame_failure(struct boot *b, const struct frame_in *f)
{
    char text[WIRE_TEXT];
    uint32_t code = wire_get32(f->body);
    wire_text(text, sizeof(text), f->body + 4, f->parsed.length - 4);
    if (code == trncclSuccess || code >= trncclNumResults)
        code = trncclRemoteError;
    b->failed = (trncclResult_t)code;
    return error_set(b->failed, "%s", text);
}

static trncclResult_t boot_broken(struct boot *b, enum wait_result w, const char *wrong)
{
    int err = errno;
    if (w == WAIT_ABORTED) {
        b->failed = trncclAborted;
        return error_set(b->failed,
                         "rank %d was aborted while it waited for the "
                         "rendezvous at %s",
                         b->rank, b->address);
    }
    if (w == WAIT_DEADLINE) {
        b->failed = trncclTimeout;
        return error_set(b->failed, "the rendezvous at %s gave no answer within %u ms",
                         b->address, boot_waited_ms(b));
    }
    b->failed = trncclRemoteError;
    if (wrong)
        return error_set(b->failed, "%s sent what was not expected: %s", b->server,
                         wrong);
    return error_set(b->failed, "%s has died: %s", b->server,
                     err ? strerror(err) : "its connection closed");
}

/* Waits for a frame; when the deadline passes, asks who is missing. */
static trncclResult_t boot_await(struct boot *b, struct frame_in *f,
                                 enum wire_type expected, size_t nbytes)
{
    enum wait_result w = frame_recv(b, f, expected, nbytes, b->deadline_ns);
    if (w == WAIT_DEADLINE) {
        uint64_t until_ns = clock_deadline_ns(ANSWER_MS);
        uint8_t bytes[4];
        wire_put32(bytes, boot_waited_ms(b));
        w = frame_send(b, WIRE_LATE, bytes, sizeof(bytes), until_ns);
        /* If it could not be sent, why the rendezvous closed may be there to read. */
        if (w == WAIT_READY || w == WAIT_BROKEN)
            w = frame_recv(b, f, expected, nbytes, until_ns);
    }
    if (w != WAIT_READY)
        return boot_broken(b, w, f->wrong);
    if (f->parsed.type == WIRE_FAIL && expected != WIRE_FAIL)
        return frame_failure(b, f);
    return trncclSuccess;
}

/* ---- Joining */

static void boot_disconnect(struct boot *b)
{
    fork_guard_close(b->fd);
    b->fd = -1;
}

/* Connects. *again: it did not work, but may later. */
static trncclResult_t join_connect(struct boot *b, const struct boot_id *id,
                                   uint64_t until_ns, bool *again)
{
    *again = false;
    fork_guard_enter();
    b->fd = fork_guard_add(
        socket(id->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    fork_guard_leave();
    if (b->fd < 0)
        return error_set_errno(trncclSystemError, errno,
                               "cannot open a socket to the rendezvous at %s",
                               b->address);
    int one = 1, idle = 5, interval = 2, count = 3;
    (void)setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(b->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(b->fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(b->fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(b->fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    int err = 0;
    if (connect(b->fd, (const struct sockaddr *)&id->address, id->address_len) < 0) {
        err = errno;
        if (err == EINPROGRESS || err == EINTR) {
            enum wait_result w = boot_wait(b, POLLOUT, until_ns);
            if (w == WAIT_ABORTED)
                return boot_broken(b, w, NULL);
            socklen_t len = sizeof(err);
            if (w != WAIT_READY)
                err = ETIMEDOUT;
            else if (getsockopt(b->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
                err = errno;
        }
    }
    if (err == ECONNREFUSED) {
        b->failed = trncclRemoteError;
        return error_set(b->failed,
                         "nobody listens at %s: the process that made the unique id has "
                         "ended, or the id was used up by an earlier communicator",
                         b->address);
    }
    *again = err != 0;
    return trncclSuccess;
}

static void join_fill(const struct boot *b, const struct boot_args *args, int index,
                      uint8_t bytes[WIRE_JOIN_BYTES])
{
    struct wire_join join = {.role = WIRE_RANK,
                             .nranks = (uint32_t)args->nranks,
                             .rank = (uint32_t)args->rank,
                             .nids = (uint32_t)args->nids,
                             .index = (uint32_t)index,
                             .pid = (uint32_t)getpid(),
                             .top = args->ids[0]};
    wire_host(join.host);
    wire_join_pack(&b->session, &join, bytes);
    sodium_memzero(&join, sizeof(join));
}

static void join_welcomed(struct boot *b, const struct frame_in *f)
{
    char host[WIRE_HOST], here[WIRE_HOST];
    uint32_t pid = wire_get32(f->body);
    wire_text(host, sizeof(host), f->body + 4, WIRE_HOST);
    wire_host(here);
    b->server_is_here = pid == (uint32_t)getpid() && strcmp(host, here) == 0;
    snprintf(b->server, sizeof(b->server),
             "the process that serves the rendezvous at %s (host %s, pid %u)", b->address,
             host, pid);
}

/* One attempt at the handshake. *again: the connection ended before we were a member, as
 * happens when a flood of strangers pushes us out. */
static trncclResult_t join_try(struct boot *b, const struct boot_args *args,
                               const struct boot_id *id, int index, bool *again)
{
    uint64_t until_ns = clock_deadline_ns(WIRE_HANDSHAKE_MS);
    if (b->deadline_ns < until_ns)
        until_ns = b->deadline_ns;
    struct frame_in f = {0};
    uint8_t nonce[WIRE_NONCE], join[WIRE_JOIN_BYTES];
    TRY(join_connect(b, id, until_ns, again));
    if (*again)
        return trncclSuccess;
    randombytes_buf(nonce, sizeof(nonce));
    enum wait_result w = frame_send(b, WIRE_HELLO, nonce, sizeof(nonce), until_ns);
    if (w == WAIT_READY)
        w = frame_recv(b, &f, WIRE_CHALLENGE, WIRE_NONCE, until_ns);
    if (w == WAIT_READY) {
        wire_session_init(&b->session, id->secret, nonce, f.body, true);
        if (f.parsed.type != WIRE_CHALLENGE ||
            !wire_check(&b->session, f.header, f.body, WIRE_NONCE)) {
            frame_fini(&f);
            b->failed = trncclInvalidArgument;
            return error_set(b->failed,
                             "what listens at %s does not know the secret of this unique "
                             "id: the id is of an earlier rendezvous, or altered",
                             b->address);
        }
        frame_fini(&f);
        join_fill(b, args, index, join);
        w = frame_send(b, WIRE_JOIN, join, sizeof(join), until_ns);
    }
    if (w == WAIT_READY)
        w = frame_recv(b, &f, WIRE_WELCOME, WIRE_WELCOME_BYTES, until_ns);
    trncclResult_t rc = trncclSuccess;
    if (w == WAIT_ABORTED || f.wrong)
        rc = boot_broken(b, w, f.wrong);
    else if (w != WAIT_READY)
        *again = true;
    else if (f.parsed.type == WIRE_FAIL)
        rc = frame_failure(b, &f);
    else
        join_welcomed(b, &f);
    frame_fini(&f);
    return rc;
}

static trncclResult_t boot_join(struct boot *b, const struct boot_args *args)
{
    int index = (int)((int64_t)args->rank * args->nids / args->nranks);
    struct boot_id id;
    for (int i = 0; i < args->nids; i++)
        TRY(boot_id_decode(&args->ids[i], &id));
    TRY(boot_id_decode(&args->ids[index], &id));
    boot_address_text((struct sockaddr *)&id.address, b->address);
    snprintf(b->server, sizeof(b->server), "the process that serves the rendezvous at %s",
             b->address);
    for (bool again = true; again;) {
        TRY(join_try(b, args, &id, index, &again));
        if (!again)
            break;
        boot_disconnect(b);
        uint64_t pause_ns = clock_deadline_ns(RETRY_MS);
        enum wait_result w =
            boot_wait(b, 0, pause_ns < b->deadline_ns ? pause_ns : b->deadline_ns);
        if (w == WAIT_ABORTED || clock_now_ns() >= b->deadline_ns)
            return boot_broken(b, w == WAIT_ABORTED ? w : WAIT_DEADLINE, NULL);
    }
    struct frame_in f = {0};
    trncclResult_t rc = boot_await(b, &f, WIRE_READY, 4);
    if (rc == trncclSuccess && wire_get32(f.body) < (uint32_t)b->nranks) {
        char where[sizeof(b->server)];
        snprintf(where, sizeof(where), "%s", b->server);
        snprintf(b->server, sizeof(b->server), "rank %u, %.160s,", wire_get32(f.body),
                 where);
    }
    frame_fini(&f);
    return rc;
}

/* ---- The out-of-band callback */

static trncclResult_t oob_gather(struct boot *b, const void *mine, void *all,
                                 size_t nbytes)
{
    if (b->abort && atomic_load_explicit(b->abort, memory_order_relaxed))
        return boot_broken(b, WAIT_ABORTED, NULL);
    int rc = b->oob(b->oob_context, mine, all, nbytes);
    if (rc != 0) {
        b->failed = trncclSystemError;
        return error_set(
            b->failed,
            "the out-of-band allgather of rank %d failed with %d in exchange "
            "%u of %zu bytes; expected 0",
            b->rank, rc, b->round, nbytes);
    }
    return trncclSuccess;
}

/* What every rank says about an exchange before it. */
struct oob_line {
    uint64_t nbytes;
    uint32_t magic, nranks, rank, round;
};

/* Another rank's line, or none, is in place r: either two ranks have the same number, or
 * the callback does not gather as it must. */
static trncclResult_t oob_misplaced(const struct oob_line *all, int nranks, int r,
                                    uint32_t magic)
{
    for (int i = 0; i < nranks; i++)
        if (i != r && all[i].magic == magic && all[r].magic == magic &&
            all[i].rank == all[r].rank)
            return error_set(trncclInvalidUsage,
                             "rank %u was given twice: the out-of-band allgather has its "
                             "line in places %d and %d",
                             all[r].rank, i < r ? i : r, i < r ? r : i);
    return error_set(trncclInvalidArgument,
                     "the out-of-band allgather put the line of rank %u in place %d: it "
                     "must gather in rank order",
                     all[r].rank, r);
}

/* Ranks that disagree would read each other's bytes as something else: the callback is
 * asked for a fixed-size line about the exchange first. */
static trncclResult_t oob_agree(struct boot *b, uint64_t nbytes)
{
    struct oob_line mine = {nbytes, 0x74726e6f, (uint32_t)b->nranks, (uint32_t)b->rank,
                            b->round};
    struct oob_line *all = calloc((size_t)b->nranks, sizeof(*all));
    if (!all)
        return error_set(trncclSystemError, "no memory for %d ranks", b->nranks);
    trncclResult_t rc = oob_gather(b, &mine, all, sizeof(mine));
    for (int r = 0; r < b->nranks && rc == trncclSuccess; r++) {
        if (all[r].magic != mine.magic || all[r].rank != (uint32_t)r)
            rc = oob_misplaced(all, b->nranks, r, mine.magic);
        else if (all[r].nranks != mine.nranks || all[r].nbytes != nbytes ||
                 all[r].round != mine.round)
            rc = error_set(trncclInvalidUsage,
                           "the ranks disagree: rank %d gives %llu bytes to exchange %u "
                           "of %u ranks, rank %d gives %llu bytes to exchange %u of %u "
                           "ranks",
                           r, (unsigned long long)all[r].nbytes, all[r].round,
                           all[r].nranks, b->rank, (unsigned long long)nbytes, b->round,
                           mine.nranks);
    }
    if (rc != trncclSuccess)
        b->failed = rc;
    free(all);
    return rc;
}

/* ---- The interface */

static trncclResult_t boot_check_args(const struct boot_args *args)
{
    if (args->nranks < 1 || args->nranks > WIRE_RANKS_MAX)
        return error_set(trncclInvalidArgument, "nranks is %d, expected 1..%d",
                         args->nranks, WIRE_RANKS_MAX);
    if (args->rank < 0 || args->rank >= args->nranks)
        return error_set(trncclInvalidArgument,
                         "rank is %d, expected 0..%d (nranks is %d)", args->rank,
                         args->nranks - 1, args->nranks);
    if (args->oob)
        return trncclSuccess;
    if (!args->ids || args->nids < 1)
        return error_set(trncclInvalidArgument,
                         "nids is %d, expected at least one unique id", args->nids);
    if (args->nids > args->nranks)
        return error_set(trncclInvalidArgument,
                         "nids is %d, expected at most nranks, which is %d", args->nids,
                         args->nranks);
    return trncclSuccess;
}

trncclResult_t boot_open(const struct boot_args *args, struct boot **out)
{
    TRY(boot_check_args(args));
    TRY(crypto_load());
    struct boot *b = calloc(1, sizeof(*b));
    if (!b)
        return error_set(trncclSystemError, "no memory for the bootstrap");
    b->nranks = args->nranks;
    b->rank = args->rank;
    b->owner = getpid();
    b->oob = args->oob;
    b->oob_context = args->oob_context;
    b->fd = -1;
    b->opened_ns = clock_now_ns();
    b->deadline_ns = args->deadline_ns;
    b->abort = args->abort;
    strcpy(b->address, "(out of band)");
    trncclResult_t rc = b->oob ? oob_agree(b, 0) : boot_join(b, args);
    if (rc != trncclSuccess) {
        boot_close(b);
        return rc;
    }
    *out = b;
    return trncclSuccess;
}

static trncclResult_t tcp_allgather(struct boot *b, const void *mine, void *all,
                                    size_t nbytes)
{
    size_t room = WIRE_DATA_HEAD + nbytes;
    uint8_t *part = malloc(room);
    if (!part)
        return error_set(trncclSystemError, "no memory for %zu bytes", room);
    wire_put32(part, b->round);
    wire_put32(part + 4, (uint32_t)nbytes);
    if (nbytes)
        memcpy(part + WIRE_DATA_HEAD, mine, nbytes);
    /* A failure to send is not looked at: why the rendezvous closed is yet to be read. */
    enum wait_result w = frame_send(b, WIRE_GATHER, part, room, b->deadline_ns);
    free(part);
    if (w == WAIT_ABORTED)
        return boot_broken(b, w, NULL);
    struct frame_in f = {0};
    size_t total = (size_t)b->nranks * nbytes;
    trncclResult_t rc = boot_await(b, &f, WIRE_RESULT, WIRE_DATA_HEAD + total);
    if (rc == trncclSuccess &&
        (wire_get32(f.body) != b->round || wire_get32(f.body + 4) != nbytes))
        rc = boot_broken(b, WAIT_BROKEN, "the result of another exchange");
    if (rc == trncclSuccess && total)
        memcpy(all, f.body + WIRE_DATA_HEAD, total);
    frame_fini(&f);
    return rc;
}

trncclResult_t boot_allgather(struct boot *b, const void *mine, void *all, size_t nbytes)
{
    if (getpid() != b->owner)
        return error_set(trncclInvalidUsage,
                         "the bootstrap was opened by process %d and cannot be used by "
                         "its forked child %d",
                         (int)b->owner, (int)getpid());
    if (b->failed != trncclSuccess)
        return error_set(b->failed, "the bootstrap of rank %d has failed before: %s",
                         b->rank, error_string(b->failed));
    if (nbytes > WIRE_BLOB_MAX)
        return error_set(trncclInvalidArgument,
                         "an exchange of %zu bytes per rank, expected at most %u", nbytes,
                         WIRE_BLOB_MAX);
    if (b->oob) {
        TRY(oob_agree(b, nbytes));
        if (nbytes)
            TRY(oob_gather(b, mine, all, nbytes));
    } else {
        TRY(tcp_allgather(b, mine, all, nbytes));
    }
    b->round++;
    return trncclSuccess;
}

/* Says goodbye. If the rendezvous is a thread of this process, waits until it has handed
 * everything to the kernel: this process may end right after, and it with us. */
static void boot_say_bye(struct boot *b)
{
    uint64_t until_ns = clock_deadline_ns(b->server_is_here ? GOODBYE_MS : ANSWER_MS);
    uint8_t bytes[4];
    b->abort = NULL;
    wire_put32(bytes, (uint32_t)b->failed);
    if (frame_send(b, WIRE_BYE, bytes, sizeof(bytes), until_ns) != WAIT_READY ||
        !b->server_is_here || b->failed == trncclAborted)
        return;
    struct frame_in f = {0};
    if (frame_recv(b, &f, WIRE_BYE, 4, until_ns) != WAIT_READY)
        log_debug("boot", "%s did not confirm the goodbye", b->server);
    frame_fini(&f);
}

void boot_close(struct boot *b)
{
    if (!b)
        return;
    /* In a forked child fork_guard has closed the socket already. */
    if (b->fd >= 0 && b->owner == getpid()) {
        boot_say_bye(b);
        boot_disconnect(b);
    }
    sodium_memzero(&b->session, sizeof(b->session));
    free(b);
}
