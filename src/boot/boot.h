/* The rendezvous: how ranks that share a unique id (or an out-of-band callback) find each
 * other and exchange small blobs while a communicator is created.
 *
 * With a unique id: the process that made it listens (one detached thread per id, TCP);
 * each rank connects, both sides prove knowledge of the 128-bit secret
 * (challenge-response, keyed BLAKE2b by libsodium, constant-time compare), then every
 * allgather goes rank -> root -> ranks. Every message has a magic, version, type and
 * length that is checked before it is used; handshakes are bounded in time and number;
 * strangers are dropped and logged. When a deadline passes, the error names the ranks
 * that have not arrived. */
#ifndef TRNCCL_BOOT_BOOT_H
#define TRNCCL_BOOT_BOOT_H

#include <stdatomic.h>
#include <stdint.h>
#include "util/error.h"

struct boot;

struct boot_args {
    int nranks, rank;
    int nids;                  /* number of unique ids, >= 1; unused with oob */
    const trncclUniqueId *ids; /* [nids], borrowed during boot_open */
    trncclOobAllgather_t oob;  /* used instead of ids when not NULL */
    void *oob_context;         /* borrowed until boot_close */
    uint64_t deadline_ns;      /* clock_now_ns() scale; UINT64_MAX: none */
    const atomic_int
        *abort; /* non-zero ends every wait with trncclAborted; may be NULL */
};

/* Fills an id and starts its listener. The address is of TRNCCL_SOCKET_IFNAME /
 * TRNCCL_SOCKET_FAMILY if set, else loopback is avoided where another interface is up. */
trncclResult_t boot_unique_id(trncclUniqueId *id);

/* Joins; returns when this rank is authenticated. trncclInvalidArgument for an id that is
 * not one of ours or when ranks disagree on nranks or use a rank twice (both are named);
 * trncclTimeout with the missing ranks. With nids > 1 each id serves the ranks r with
 * r * nids / nranks == its index, and the listeners connect to the first one. */
trncclResult_t boot_open(const struct boot_args *args, struct boot **out);
/* all: nranks * nbytes, in rank order. nbytes must agree (checked) and be <= 1 MiB. */
trncclResult_t boot_allgather(struct boot *b, const void *mine, void *all, size_t nbytes);
/* NULL is allowed. The listener ends by itself once every rank has left or at its
 * deadline. */
void boot_close(struct boot *b);

#endif
