/* A collective as MSCCL's XML describes it, before it is a schedule: what other tools
 * (MSCCLang, TACCL, TE-CCL, ForestColl and the like) write and what NCCL's and RCCL's
 * MSCCL runtimes run.
 *
 *   gpu    a rank: chunks of scratch, and thread blocks
 *   tb     one thread: its steps run in order; it has at most one peer to send to and one
 *          to receive from, on one channel. The k-th send on (source, target, channel)
 *          meets the k-th receive
 *   step   one operation on `cnt` consecutive chunks; it may wait for a step of another
 *          tb of the same gpu
 *
 * A chunk is count * mult / nchunks elements, where mult is the number of ranks in
 * collectives that have a block per rank, else 1. All chunks have the same size there;
 * here the last ones of a block may be shorter.
 *
 * Source: what the steps mean follows RCCL's runtime (src/misc/msccl/msccl_parser.cc,
 * src/device/msccl_kernel_impl.h), also where emitters disagree with it. */
#ifndef TRNCCL_FORMAT_MSCCL_H
#define TRNCCL_FORMAT_MSCCL_H

#include <stdbool.h>
#include <stdint.h>
#include "sched/sched.h"

enum {
    MSCCL_MAX_NBYTES = 64 << 20, /* of a file */
    MSCCL_MAX_RANKS = 4096,
    MSCCL_MAX_TBS = SCHED_MAX_CHANNELS, /* per gpu; the runtimes take 64 */
    MSCCL_MAX_STEPS = 1 << 22,          /* of a file; the runtimes take 64 per tb */
    MSCCL_MAX_CHUNKS = 1 << 20,         /* of a buffer of a rank */
    MSCCL_MAX_CELLS = 1 << 26,          /* chunks of all buffers of all ranks */
    MSCCL_NAME_BYTES = 64,
};

enum msccl_type {
    MSCCL_SEND,                  /* s     src -> peer */
    MSCCL_RECV,                  /* r     peer -> dst */
    MSCCL_RECV_COPY_SEND,        /* rcs   peer -> dst and the next peer */
    MSCCL_RECV_REDUCE_SEND,      /* rrs   src + peer -> the next peer, not stored */
    MSCCL_RECV_REDUCE_COPY,      /* rrc   src + peer -> dst */
    MSCCL_RECV_REDUCE_COPY_SEND, /* rrcs  src + peer -> dst and the next peer */
    MSCCL_COPY,                  /* cpy   src -> dst */
    MSCCL_REDUCE,                /* re    dst + src -> dst */
    MSCCL_NOP,                   /* nop   only waits; holds up the step behind it */
    MSCCL_NTYPES
};

/* What a step of a type does; dst is read as well by MSCCL_REDUCE. */
struct msccl_traits {
    const char *name;
    bool receives, sends, reads, writes; /* reads: src; writes: dst */
};
extern const struct msccl_traits msccl_traits[MSCCL_NTYPES];

enum msccl_buffer { MSCCL_INPUT, MSCCL_OUTPUT, MSCCL_SCRATCH, MSCCL_NBUFFERS };

struct msccl_step {
    int32_t line, s; /* s: its number in the file, increasing within a tb */
    uint8_t type;    /* enum msccl_type */
    uint8_t src_buf, dst_buf;
    int8_t hasdep;            /* -1: not stated */
    int32_t src_off, dst_off; /* chunks; of no meaning where the type does not use it */
    int32_t cnt;              /* chunks, >= 1; 1 for a nop */
    int32_t dep_tb, dep_step; /* index of a tb of the gpu and of a step of it; -1: none */
};

struct msccl_tb {
    int32_t line, id;
    int32_t send, recv; /* ranks; -1: none */
    int32_t chan;
    int32_t first, nsteps; /* in msccl.steps */
};

struct msccl_gpu {
    int32_t line;        /* 0: none was read */
    int32_t nscratch;    /* chunks */
    int32_t first, ntbs; /* in msccl.tbs */
};

struct msccl {
    /* "msccl-" and the file's, of letters, digits, '_' and '-'. The beginning tells users
     * that no algorithm of this library has run. */
    char name[MSCCL_NAME_BYTES];
    enum sched_coll coll;
    int32_t nranks, root, nchunks;
    int32_t nsub;                   /* chunks per block */
    bool inplace, outofplace;       /* what it may be used for */
    int64_t min_nbytes, max_nbytes; /* sizes it was made for; max 0: no limit */
    struct msccl_gpu *gpus;         /* owned [nranks] */
    struct msccl_tb *tbs;           /* owned [ntbs] */
    struct msccl_step *steps;       /* owned [nsteps] */
    int32_t ntbs, nsteps;
};

/* Whether the collective has a block per rank, so that chunks are counted over all. */
bool msccl_coll_has_blocks(enum sched_coll coll);
/* Chunks of a buffer, enum msccl_buffer, of a gpu. A gpu that need not have the buffer
 * (the input where only the root has one) may still use it as scratch. */
int32_t msccl_nchunks(const struct msccl *m, int32_t gpu, int buffer);
void msccl_destroy(struct msccl *m); /* NULL is allowed */

#endif
