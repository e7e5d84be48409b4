/* Shared by links.c (messages, the thread) and links_connect.c (how the mesh comes up).
 *
 * A link is two sockets. The data socket is read only by links_recv, the watch socket
 * only by the thread, so neither can take what is the other's, and a peer that never
 * reads its messages cannot keep an abort from being seen.
 *
 * SOCK_STREAM with frames of one size, not SOCK_SEQPACKET: the latter lets only
 * net.unix.max_dgram_qlen (10 by default) messages wait, the former some 170. */
#ifndef TRNCCL_WATCH_LINKS_INTERNAL_H
#define TRNCCL_WATCH_LINKS_INTERNAL_H

#include <pthread.h>
#include "watch/links.h"

#define LINKS_MESSAGE_MAX 256
#define LINKS_MAGIC 0x74726e6cu /* "trnl" */
#define LINKS_VERSION 2

enum links_kind { LINKS_DATA, LINKS_WATCH, LINKS_KINDS };

enum links_type {
    LINKS_HELLO = 1, /* first frame of the connecting side */
    LINKS_WELCOME,   /* the answer */
    LINKS_MESSAGE,   /* links_send */
    LINKS_BYE,
    LINKS_ABORT,
    LINKS_READ, /* on the watch socket: the data socket is full, read it */
};

struct links_frame {
    uint32_t magic, type, nbytes;
    uint8_t bytes[LINKS_MESSAGE_MAX];
};

/* bytes of LINKS_HELLO and, with the first four members alike, of LINKS_WELCOME. */
struct links_hello {
    uint32_t version, process, nprocesses, kind;
    uint8_t token[16];  /* of the receiver: proves the sender was at the rendezvous */
    uint8_t sender[16]; /* of the sender: fits the table of addresses */
};

enum links_state { LINKS_UP, LINKS_LEFT, LINKS_DEAD };

struct links_peer {
    int fd[LINKS_KINDS];
    bool connecting[LINKS_KINDS]; /* connected, waits for WELCOME; links_connect only */
    bool up[LINKS_KINDS];
    pid_t pid;
    atomic_int state;      /* enum links_state; written by the thread */
    struct links_frame in; /* of the watch socket; the thread's */
    size_t in_have;
};

struct links {
    int listen; /* -1 once the mesh is up */
    pid_t owner;
    struct links_address address;
    int nprocesses, mine;
    struct links_peer *peer; /* [nprocesses], owned */
    /* Whichever of links_abort and links_connect comes second sees the other's (both
     * seq_cst), so an abort is either sent or ends links_connect. */
    atomic_int aborted, running;
    pthread_t thread;
    int epoll, stop; /* stop: eventfd that ends the thread */
    links_event_fn fn;
    void *context;
};

/* Reads what is there of a frame into *have bytes. 1: complete; 0: not yet; -1: the other
 * end closed or errno. */
int links_frame_read(int fd, struct links_frame *f, size_t *have);
/* Non-blocking; true if all of it went. */
bool links_frame_write(int fd, enum links_type type, const void *bytes, size_t nbytes);
int links_wait_ms(uint64_t deadline_ns, int most_ms);
void links_disconnect(struct links *l);

/* links.c: the thread, after the mesh is up. */
trncclResult_t links_thread_start(struct links *l);

#endif
