/* The schedule: what one rank does in a collective, as data.
 *
 * A schedule is a set of channels. A channel is an array of steps that run in order;
 * channels run concurrently. One kind of step says everything:
 *
 *     inputs -> combine in listed order -> outputs
 *
 * where an operand is a peer (a message) or a run of local chunks:
 *
 *     copy             in: IN[2]                     out: OUT[2]
 *     send             in: IN[2]                     out: peer 3
 *     receive          in: peer 1                    out: OUT[2]
 *     ring hop         in: peer 1, IN[2]             out: peer 3
 *     last reduce hop  in: peer 1, IN[2]             out: OUT[2], peer 3
 *     forward          in: peer 1                    out: OUT[2], peer 3
 *     tree node        in: child a, child b, IN[*]   out: parent
 *     one-shot         in: peer 0, IN[*], peer 2, …  out: OUT[*]
 *     two-shot         in: peer 0, IN[r], peer 2, …  out: OUT[r], every peer
 *
 * Pairing: the k-th send a -> b on a link meets the k-th receive from a on b on the same
 * link. There are no tags. The link of a step's messages is numbered like its channel
 * unless the step names another; at either end one channel owns a link, so that its
 * messages have an order. A step has each peer at most once among its inputs and at most
 * once among its outputs, and at most one operand in IN among its inputs.
 *
 * A step without any operand waits for the step named by `after` and does nothing else;
 * several of them let the next step of the channel wait for several channels.
 *
 * Chunks are indices; layout.h turns them into byte ranges for any count. A schedule
 * holds no pointer, type or count, so one serves every call of its shape.
 *
 * Rounds: the executor runs the whole program once per slice. Round s moves the s-th
 * slice of every chunk; the slices of different rounds are disjoint in IN, OUT and TMP,
 * and a channel finishes its steps for round s before it starts round s + 1. So a program
 * that terminates with one message of credit per connection terminates for any size.
 *
 * Values: data in IN is one rank's raw contribution, anything else is a partial or final
 * result. A pre-multiplied sum scales an operand when it is read from IN; an average
 * divides in the step marked SCHED_FINAL. So an algorithm must read a contribution from
 * IN (never from the OUT that it may alias in place), and every path from contributions
 * to a result chunk passes exactly one SCHED_FINAL step: the one that combines the last
 * of them.
 */
#ifndef TRNCCL_SCHED_SCHED_H
#define TRNCCL_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include "util/error.h"

enum sched_coll {
    SCHED_ALL_REDUCE,
    SCHED_ALL_GATHER,
    SCHED_REDUCE_SCATTER,
    SCHED_BROADCAST,
    SCHED_REDUCE,
    SCHED_ALL_TO_ALL,
    SCHED_GATHER,
    SCHED_SCATTER,
    SCHED_BARRIER,
    SCHED_PERMUTE, /* send, receive and sendrecv are permutes of one pair */
    SCHED_NCOLLS
};

/* Where an operand lies. IN is the caller's send buffer (never written out of place), OUT
 * its receive buffer, TMP scratch owned by the executor (never lent to a peer). */
enum sched_space { SCHED_IN, SCHED_OUT, SCHED_TMP, SCHED_PEER };

#define SCHED_MAX_RANKS 65536
/* Channels of a rank, and links of a pair of ranks. As many as thread blocks of a GPU in
 * schedules of other tools; costs 1 KiB per schedule and 2 KiB per running collective. */
#define SCHED_MAX_CHANNELS 128
/* What algorithms keep to: a communicator has that many links per pair of ranks, and more
 * only for an imported schedule. */
#define SCHED_ALGO_CHANNELS 32

struct sched_ref {
    uint8_t space; /* enum sched_space */
    int32_t index; /* first chunk of the run, or the peer's rank */
};

enum sched_flags {
    SCHED_FINAL = 1,  /* its combined value is complete: apply the average's division */
    SCHED_STAGED = 4, /* what it sends is copied out, never lent: its source may be
                         overwritten at once */
    /* Derived by the builder, never set by an algorithm: */
    SCHED_POST_EARLY = 2, /* a pure receive whose landing place no other step of a round
                             touches before it: a peer may write there from the start */
};

/* Every operand of a step has the same number of chunks and the same length. */
struct sched_step {
    int32_t first; /* index of the first operand in sched.refs: inputs, then outputs */
    int16_t nin, nout;  /* both >= 1; or both 0: it only waits, see `after` */
    uint8_t span_space; /* IN, OUT or TMP: whose chunks give the length */
    uint8_t flags;      /* enum sched_flags */
    /* Link of the messages it receives, and sends, + 1; 0: numbered like its channel. */
    uint8_t in_link, out_link;
    int32_t span_chunk; /* first chunk of the span */
    int32_t span_n;     /* chunks per operand, >= 1 */
    int16_t
        after_channel;  /* this step starts after step after_step of that channel has */
    int32_t after_step; /*   completed in the same round; -1: none */
    /* Derived by the builder: sends of earlier steps of the same round that must have
     * left their source before this step starts, because it, or a step ordered after it,
     * overwrites that source. drain: of this channel, steps [0, drain). after_drain: of
     * after_channel, steps [0, after_step]. What a transport may lend, and so may still
     * read after the step: the input of a step with one input, if that is a local IN or
     * OUT; the IN or OUT outputs of a step that also sends. Never TMP. */
    int32_t drain;
    bool after_drain;
};

struct sched_channel {
    int32_t first; /* index of its first step in sched.steps */
    int32_t nsteps;
};

/* How many chunks each space is cut into. IN and OUT consist of blocks (one per rank
 * where the collective has one block per rank, else one); each block is cut into nsub
 * chunks; chunk index = block * nsub + sub. TMP repeats the shape of IN or OUT: its chunk
 * i has the length of chunk i % chunks(tmp_like) of tmp_like. */
struct sched_shape {
    int32_t in_blocks, out_blocks; /* set by the collective */
    int32_t nsub;                  /* >= 1 */
    int32_t tmp_chunks;            /* >= 0 */
    uint8_t tmp_like;              /* SCHED_IN or SCHED_OUT */
};

struct sched {
    enum sched_coll coll;
    const char *algo; /* name, static or owned by the caller */
    int32_t nranks, rank, root;
    bool inplace;
    struct sched_shape shape;
    int32_t nchannels, nsteps, nrefs;
    struct sched_channel channels[SCHED_MAX_CHANNELS];
    struct sched_step *steps; /* [nsteps], owned */
    struct sched_ref *refs;   /* [nrefs], owned */
    int32_t max_run; /* largest span_n of any rank's step with a peer operand, >= 1;
                        the same on all ranks */
    int32_t credits; /* messages of credit per connection it needs, >= 1 */
    bool copies; /* every message of every rank is copied from IN or OUT to OUT, and one
                    chunk: a transport that can lend them may move them whole */
    bool any_order; /* stated: ranks may combine the contributions to a chunk in different
                       orders, so that their results may differ in the last bits */
    bool v_safe;    /* derived: within every step lengths agree for blocks of any sizes */
};

struct sched_graph; /* sched/graph.h */

/* What a schedule is built for. */
struct sched_args {
    enum sched_coll coll;
    int32_t nranks, rank;
    int32_t root; /* 0 where the collective has none */
    /* IN and OUT alias as the collective defines in place. The messages a rank exchanges
     * must not depend on it: ranks may differ. */
    bool inplace;
    const int32_t *pairs; /* PERMUTE: 2 * npairs ranks, source then target */
    int32_t npairs;
    /* The rest is for algorithms that follow the machine; all ranks state the same. */
    const struct sched_graph *graph; /* NULL: nothing is known; borrowed while building */
    int32_t lanes; /* copies side by side, each on channels of its own with a share of
                      every chunk, so that messages of one overlap those of another; 0, 1:
                      one. Taken care of by algo_build */
    const char *intra, *inter; /* hierarchical: algorithms in and between the groups;
                                  NULL: its own choice */
};

const char *sched_coll_name(enum sched_coll coll); /* "all_reduce" */
/* The collective of that name; false if there is none. */
bool sched_coll_parse(const char *name, enum sched_coll *coll);
bool sched_coll_reduces(enum sched_coll coll);
bool sched_coll_rooted(enum sched_coll coll);
/* Number of blocks of IN and OUT on `rank`; a space that does not exist there has 0:
 *     ALL_REDUCE 1, 1          ALL_GATHER 1, n           REDUCE_SCATTER n, 1
 *     ALL_TO_ALL n, n          BROADCAST root ? 1 : 0, 1 REDUCE 1, root ? 1 : 0
 *     GATHER 1, root ? n : 0   SCATTER root ? n : 0, 1
 *     PERMUTE: IN 1 on a source, OUT 1 on a target
 *     BARRIER 1, 1: a token of one byte; a call of no elements would have no messages */
void sched_coll_blocks(const struct sched_args *args, int32_t *in_blocks,
                       int32_t *out_blocks);
/* In place: the chunk of the other space (OUT for IN, IN for OUT) that is the same memory
 * as `chunk` of `space` on this rank; -1 if there is none. The canonical name of an IN
 * chunk is its alias in OUT where it has one. */
int32_t sched_alias(const struct sched *s, enum sched_space space, int32_t chunk);
/* A number for the block that gives a chunk its length in the v-forms: chunks of one
 * collective, on whatever rank, that have the same class and the same index modulo nsub
 * have the same length for any sizes of the blocks. */
int64_t sched_block_class(const struct sched *s, enum sched_space space, int32_t chunk);

/* Whether the step obeys sched.copies. */
bool sched_step_copies(const struct sched *s, const struct sched_step *p);

/* The link of the messages that a step on `channel` receives or, if `out`, sends. */
static inline int32_t sched_link(const struct sched_step *p, bool out, int32_t channel)
{
    int32_t link = out ? p->out_link : p->in_link;
    return link ? link - 1 : channel;
}
/* One more than the highest link that a step names: connections per pair of ranks. */
int32_t sched_nlinks(const struct sched *s);
static inline int32_t sched_nchunks(const struct sched *s, enum sched_space space)
{
    return space == SCHED_IN    ? s->shape.in_blocks * s->shape.nsub
           : space == SCHED_OUT ? s->shape.out_blocks * s->shape.nsub
                                : s->shape.tmp_chunks;
}
static inline const struct sched_ref *sched_in(const struct sched *s,
                                               const struct sched_step *p)
{
    return s->refs + p->first;
}
static inline const struct sched_ref *sched_out(const struct sched *s,
                                                const struct sched_step *p)
{
    return s->refs + p->first + p->nin;
}

/* Thread: a finished schedule is immutable and may be shared. NULL is allowed. */
void sched_destroy(struct sched *s);

#endif
