/* The transport contract: a transport lends memory, the executor computes in it.
 *
 * The executor never copies into or out of a transport. It asks where an outgoing message
 * must be written (reserve) and where an incoming one can be read (peek), runs the
 * combine kernel once between those places, and gives them back (commit, release). Zero
 * copy is then the transport's affair: the lent place may be the peer's own buffer, a
 * slot of a ring, a registered bounce buffer, or the user's buffer into which the network
 * has already written.
 *
 * A connection is unidirectional, ordered, and belongs to one (peer, channel); both ends
 * make theirs on first use, without waiting for each other. Its messages are numbered
 * from 0.
 *
 * To add a transport: one file that defines a table, one line in registry.c. It then has
 * to pass tests/suite/transport_suite, which is the same for all.
 *
 * Thread: everything of one `struct transport` is used by one thread at a time. */
#ifndef TRNCCL_TRANSPORTS_TRANSPORT_H
#define TRNCCL_TRANSPORTS_TRANSPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mem/region.h"
#include "util/error.h"

/* Largest message a transport must accept; the executor cuts longer chunks into rounds.
 */
#define TRANSPORT_MAX_MESSAGE (64u << 10)
/* The same for messages that only copy between the buffers of callers, on communicators
 * whose transports can all lend or read any memory (transport_env.plain_readable). */
#define TRANSPORT_MAX_COPY (4u << 20)

struct transport;
struct segment;

/* Where a rank lives. */
struct transport_place {
    uint8_t host[16];    /* equal on ranks that share a kernel and its memory */
    uint8_t process[16]; /* equal on ranks of one process */
    int pid;
    int process_index; /* of the communicator's processes on this host */
    int local_index;   /* of the communicator's ranks on this host */
};

/* What a transport may use of its communicator. All borrowed until close. */
struct transport_env {
    int rank, nranks;
    const struct transport_place *places; /* [nranks] */
    struct segment *segment;              /* shared by the ranks of this host */
    size_t lend_nbytes; /* smallest message worth sending without a copy */
    /* Whether every process of the communicator may read any memory of every other; may
     * be NULL: no. Settled when the communicator is ready. */
    const bool *plain_readable;
    void *context;
    /* Makes `region` known to another process of this host before a message names it. */
    trncclResult_t (*publish)(void *context, int process_index,
                              const struct mem_region *region);
    /* Where region `id` of another process is mapped here, mapping it if need be; checks
     * that [offset, offset + nbytes) lies inside. */
    trncclResult_t (*resolve)(void *context, int process_index, uint32_t id,
                              uint64_t offset, size_t nbytes, void **address);
};

/* One end of a connection. Transports embed it as their first member. */
struct transport_conn {
    const struct transport_ops *ops;
    int peer, channel;
    bool outgoing;
    uint32_t next;        /* number of the next message to commit (outgoing) or release */
    trncclResult_t error; /* sticky; reserve and peek return NULL from then on */
    bool staged;        /* the reserved place is transit that the peer reads at once, not
                           its final place: keep it in the cache */
    uint32_t found_sig; /* when peek refused a message: its signature and size */
    uint32_t found_nbytes;
};

enum transport_caps {
    TRANSPORT_ZERO_COPY = 1, /* can lend registered memory */
    TRANSPORT_ANY_MEMORY = 2 /* can lend memory that is not registered */
};

/* Where the bytes of an outgoing message lie, or will lie by commit. */
struct transport_source {
    const void *at;
    const struct mem_region *region; /* registered memory around it, or NULL */
    bool also_written; /* the step writes them elsewhere too: a landing place at the peer
                          saves a pass over the data, lending saves nothing */
    bool stored;       /* nobody combines it: reading it straight to its place may be
                          worth a call into the system */
};

struct transport_ops {
    const char *name;
    unsigned caps;
    /* Relative cost of reaching a peer, smaller is better; negative: cannot. */
    int (*reach)(const struct transport_place *mine, const struct transport_place *peer);
    trncclResult_t (*open)(const struct transport_env *env, struct transport **out);
    void (*close)(struct transport *t); /* closes its connections too */
    /* One end of the connection to or from `peer` on `channel`; owned by the transport.
     */
    trncclResult_t (*connect)(struct transport *t, int peer, int channel, bool outgoing,
                              struct transport_conn **out);

    /* Outgoing: the place where the next message of nbytes must be written, or NULL if
     * there is no credit yet (ask again). src may be NULL. Returning src->at means the
     * transport lends it: it must stay unchanged until drained. Asking again before
     * commit is allowed and may give another place. */
    void *(*reserve)(struct transport_conn *c, size_t nbytes,
                     const struct transport_source *src);
    /* The reserved message is written: send it. sig is checked by the receiver's peek. */
    void (*commit)(struct transport_conn *c, size_t nbytes, uint32_t sig);
    /* Whether the receiver has released message number `message`. */
    bool (*drained)(struct transport_conn *c, uint32_t message);

    /* Incoming: a hint, `message` (>= next) of nbytes may be written straight to dst
     * inside region. The first word for a message counts; may be ignored. */
    void (*post)(struct transport_conn *c, uint32_t message, void *dst, size_t nbytes,
                 const struct mem_region *region);
    /* Where the next message can be read, or NULL if it has not come (or error is set:
     * its signature or size is not what was expected). A posted address means it landed
     * there. */
    const void *(*peek)(struct transport_conn *c, size_t nbytes, uint32_t sig);
    void (*release)(struct transport_conn *c);

    /* Moves data that needs a hand; NULL if nothing does. */
    void (*progress)(struct transport *t);
};

/* All transports, cheapest first, NULL-terminated. */
extern const struct transport_ops *const transport_list[];

const struct transport_ops *transport_find(const char *name);
/* The cheapest transport that reaches `peer` and that `allowed` admits. allowed: NULL, or
 * names separated by commas, or ^ and names to exclude. NULL if there is none. */
const struct transport_ops *transport_choose(const struct transport_place *mine,
                                             const struct transport_place *peer,
                                             const char *allowed);
/* trncclInvalidArgument with the list of names if `allowed` names what does not exist. */
trncclResult_t transport_check_names(const char *allowed);

#endif
