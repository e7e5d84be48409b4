/* Shared by the three files of the listener: server_conn.c (bytes and frames of one
 * connection), server_round.c (members: who is there, exchanges, failure), server.c (the
 * loop, strangers, timers). Everything here belongs to the listener's one thread. */
#ifndef TRNCCL_BOOT_SERVER_INTERNAL_H
#define TRNCCL_BOOT_SERVER_INTERNAL_H

#include <sys/queue.h>
#include "boot/roster.h"

enum conn_state {
    CONN_HELLO,   /* accepted, nothing known */
    CONN_JOIN,    /* challenged */
    CONN_REFUSED, /* authentic, but told to go away */
    CONN_MEMBER,  /* a rank */
    CONN_HUB,     /* the listener of another id; only at the top */
    /* our own connection to the top, only in a hub: */
    CONN_UP_CONNECTING,
    CONN_UP_CHALLENGE, /* HELLO sent */
    CONN_UP_WELCOME,   /* JOIN sent */
    CONN_UP,
};

/* A payload, shared by the connections that send it. */
struct blob {
    int refs;
    size_t nbytes;
    uint8_t hash[WIRE_HASH];
    uint8_t data[];
};

struct frame_out {
    STAILQ_ENTRY(frame_out) link;
    uint8_t header[WIRE_HEADER];
    struct blob *blob; /* counted */
    size_t sent;       /* of header and payload together */
};

struct conn {
    TAILQ_ENTRY(conn) link;    /* in server.conns, in order of arrival */
    TAILQ_ENTRY(conn) pending; /* in server.pending while state <= CONN_REFUSED */
    int fd;
    enum conn_state state;
    bool dead;      /* to be freed at the end of the turn */
    bool polls_out; /* EPOLLOUT is asked for */
    bool said_bye;
    bool wants_bye; /* answer BYE once every other connection is flushed */
    uint32_t rank;  /* CONN_MEMBER: rank; CONN_HUB: index of its id */
    uint64_t end_ns;
    uint8_t nonce[WIRE_NONCE]; /* ours */
    struct wire_session session;

    uint8_t header[WIRE_HEADER];
    struct wire_header in;
    size_t in_have; /* bytes of header and payload that have come */
    uint8_t *body;  /* small or an allocation of in.length bytes, owned */
    uint8_t small[WIRE_JOIN_BYTES];

    STAILQ_HEAD(, frame_out) out;
    char peer[BOOT_ADDRESS_TEXT];
};

TAILQ_HEAD(conn_list, conn);

struct server {
    int epoll, listen;
    struct boot_id id;
    trncclUniqueId id_bytes;
    char address[BOOT_ADDRESS_TEXT];
    char host[WIRE_HOST];
    struct conn_list conns, pending;
    int npending, nmembers; /* ranks and hubs connected */
    uint64_t idle_end_ns, linger_end_ns, accept_again_ns;
    unsigned long nstrangers, naccepted;

    bool rostered, ready;
    struct roster roster;
    struct conn **member; /* [nranks] connection of a rank, or of its hub at the top */

    uint32_t round, round_nbytes; /* the exchange under way, if roster.ngiven > 0 */
    int round_first;              /* a rank that gave first, for messages */
    struct blob *round_blob;      /* room for the parts of ranks [lo, hi) */

    bool failed;
    trncclResult_t fail_code;
    char fail_text[WIRE_TEXT];

    struct conn *up; /* hub: to the top */
    trncclUniqueId top;
    uint64_t up_again_ns;
    int up_tries;
};

/* ---- server_conn.c */
struct conn *conn_create(struct server *s, int fd, enum conn_state state);
void conn_free(struct server *s, struct conn *c);
/* Queues a frame and sends what the socket takes. s->tagged frames count. */
void conn_send(struct server *s, struct conn *c, enum wire_type type, struct blob *blob);
void conn_send_bytes(struct server *s, struct conn *c, enum wire_type type,
                     const void *bytes, size_t nbytes);
void conn_flush(struct server *s, struct conn *c);
/* Reads frames and gives them to server_frame(). Marks c dead when it has ended. */
void conn_input(struct server *s, struct conn *c);
bool conn_flushed(const struct conn *c);
struct blob *blob_create(size_t nbytes);
void blob_put(struct blob *b);

/* ---- server.c */
/* A connection that misbehaved or ended before it was authenticated. */
void server_stranger(struct server *s, struct conn *c, const char *why);
void server_pending_leave(struct server *s, struct conn *c);
/* Hub: the connection to the top ended before it was accepted; another will be tried. */
void server_up_retry(struct server *s, struct conn *c);
/* One whole frame of permitted type and length. */
void server_frame(struct server *s, struct conn *c, const uint8_t *body, size_t nbytes);
/* Most payload bytes a frame of this type may have now; -1: not now. Exact lengths are
 * checked by whoever takes the frame. */
int64_t server_limit(const struct server *s, const struct conn *c, uint16_t type);

/* ---- server_round.c */
void round_join(struct server *s, struct conn *c, const struct wire_join *join);
/* Frames of ranks, hubs and the top. */
void round_frame(struct server *s, struct conn *c, const uint8_t *body, size_t nbytes);
/* The connection is gone; c is a member, hub or the top. */
void round_lost(struct server *s, struct conn *c, const char *why);
void round_fail(struct server *s, trncclResult_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Connected to the top: tells it who is here. */
void round_up(struct server *s);
/* Answers BYEs that waited for others to be flushed. */
void round_byes(struct server *s);

#endif
