/* Unix-socket links between the processes of one communicator on one host: they carry
 * file descriptors (memfds) and tell at once when a process is gone.
 *
 * One link per pair of processes. Sockets live in the abstract namespace under a random
 * name, so nothing is left in a file system; both ends check SO_PEERCRED for the same uid
 * and a token from the rendezvous. One thread per `links` sleeps in epoll; a link that
 * closes without a goodbye is a death and is reported through the callback within
 * milliseconds, however many ranks spin on however few cores. */
#ifndef TRNCCL_WATCH_LINKS_H
#define TRNCCL_WATCH_LINKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "util/error.h"

struct links;

/* What one process publishes through the rendezvous. Plain bytes, fixed size. */
struct links_address {
    char name[32];     /* of the abstract socket, without the leading NUL */
    uint8_t token[16]; /* every process of the communicator knows every token */
};

enum links_event {
    LINKS_DIED,    /* the process is gone without a goodbye */
    LINKS_GOODBYE, /* it left in order */
    LINKS_ABORTED, /* it called links_abort: text holds its reason */
    LINKS_FULL,    /* it waits in links_send: take its messages, or it waits in vain */
};

/* Called from the links thread; must not block. Of links it may call links_pending,
 * links_abort, and links_recv while messages are pending. process: index into the array
 * given to links_connect; pid: as the kernel reported it. */
typedef void (*links_event_fn)(void *context, int process, pid_t pid,
                               enum links_event event, const char *text);

/* Opens the listening socket. */
trncclResult_t links_listen(struct links **out, struct links_address *address);
/* Connects the full mesh: addresses has nprocesses entries, mine is this process's index.
 * Blocks until every link is up, the deadline passes (the text names the missing ones) or
 * *abort becomes non-zero; then starts the thread. fn is borrowed until links_close. */
trncclResult_t links_connect(struct links *l, const struct links_address *addresses,
                             int nprocesses, int mine, uint64_t deadline_ns,
                             const atomic_int *abort, links_event_fn fn, void *context);
/* Sends a message of nbytes <= 256 and one descriptor (-1: none; stays the caller's).
 * Some 170 fit while the receiver takes none; then it is told (LINKS_FULL) and waited
 * for. */
trncclResult_t links_send(struct links *l, int process, const void *message,
                          size_t nbytes, int fd);
/* The next message from that process, in order; *fd is the caller's to close, or -1.
 * Waits until the deadline. The links thread does not consume these messages. nbytes in:
 * room; out: size. Death while waiting: trncclRemoteError. */
trncclResult_t links_recv(struct links *l, int process, void *message, size_t *nbytes,
                          int *fd, uint64_t deadline_ns);
/* Whether a whole message of that process is there to receive. */
bool links_pending(const struct links *l, int process);
/* Tells every other process that this one has given up, with a reason, which is cut
 * behind a word if it is longer than 255 bytes.
 * Never blocks; any thread. */
void links_abort(struct links *l, const char *reason);
pid_t links_pid(const struct links *l, int process);
/* Says goodbye, stops the thread, closes everything. NULL is allowed. */
void links_close(struct links *l);

#endif
