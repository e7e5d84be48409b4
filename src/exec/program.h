/* A schedule bound to one call's shape: chunks have become byte offsets, peers
 * connections.
 *
 * A program knows no buffer address, so it is kept and used again by every call of the
 * same schedule, count and type. It is cut into rounds: round s moves bytes [s * slice,
 * (s + 1) * slice) of every chunk, so that forwarding pipelines and every message fits a
 * slot. A message packs the slices of its run of chunks one behind the other; where the
 * whole run fits one round and is contiguous it is one piece, which is the same bytes. */
#ifndef TRNCCL_EXEC_PROGRAM_H
#define TRNCCL_EXEC_PROGRAM_H

#include "sched/layout.h"
#include "sched/sched.h"
#include "transports/transport.h"

struct exec_operand {
    uint8_t space; /* enum sched_space */
    int32_t at;    /* local: index of its npieces offsets; outgoing peer: index in outs */
    size_t offset; /* local: of its first piece */
    struct transport_conn *conn; /* peer; borrowed from the communicator */
};

struct exec_step {
    int32_t first; /* operands: inputs, then outputs */
    int16_t nin, nout;
    int16_t raw;    /* which input is read from IN, or -1 */
    int16_t source; /* output index of a local OUT output that may be lent, or -1 */
    int16_t lands;  /* output index of the OUT that the one input, a message, may land in,
                       or -1 */
    bool copies_in; /* one input, in IN or OUT: unless it scales, it may be lent */
    bool writes;    /* some output is local */
    bool stored;    /* nobody combines what it sends */
    bool final, post_early;
    bool after_drain;
    bool plain;            /* one piece, too small to be lent, waits for no other step */
    int16_t after_channel; /* -1: none */
    int32_t after_step, drain; /* steps of the channel, as in sched_step */
    int32_t npieces, pieces;   /* sizes: pieces .. pieces + npieces - 1 of `sizes` */
    size_t nbytes; /* largest piece: the step takes part in a round if it starts
                      below this */
};

struct exec_program {
    const struct sched *sched; /* borrowed, outlives the program */
    size_t slice;
    int32_t nrounds;
    int32_t nsteps, noperands, nouts;
    int32_t max_in, max_out; /* operands of the widest step */
    size_t tmp_nbytes;
    bool plain;        /* one round of plain steps: nothing to keep account of */
    bool lends, posts; /* whether some message may be lent, may land by itself */
    bool holds[SCHED_MAX_CHANNELS]; /* another channel waits for what this one has lent */
    size_t total_nbytes;     /* of the larger of IN and OUT: decides about streaming */
    struct exec_step *steps; /* [nsteps], in the order of sched->steps */
    struct exec_operand *operands; /* [noperands] */
    size_t *offsets;               /* of local operands' pieces */
    size_t *sizes;                 /* of steps' pieces */
    struct transport_conn **outs;  /* [nouts] distinct outgoing connections */
};

/* Supplies the connection to or from a peer over a link, making it on first use. */
typedef trncclResult_t (*exec_connect_fn)(void *context, int peer, int link,
                                          bool outgoing, struct transport_conn **conn);

struct exec_program_args {
    const struct sched *sched; /* borrowed for the life of the program */
    const struct layout *layout;
    size_t slice_nbytes; /* wanted bytes of a chunk per round, the same on all ranks;
                            fitted to TRANSPORT_MAX_MESSAGE */
    size_t copy_nbytes;  /* the same for schedules that only copy (sched.copies), fitted
                            to TRANSPORT_MAX_COPY; 0: slice_nbytes */
    size_t lend_nbytes;  /* smallest message a transport may lend */
    exec_connect_fn connect;
    void *context;
};

trncclResult_t exec_program_create(const struct exec_program_args *args,
                                   struct exec_program **out);
void exec_program_destroy(struct exec_program *p); /* NULL is allowed */

#endif
