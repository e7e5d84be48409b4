/* One call of a collective on one rank, with buffers whose every byte is foretold.
 *
 * conform_begin lays the buffers out, fills them and computes the image that both must
 * show afterwards: results, untouched inputs, gaps between blocks and guard bytes around.
 * conform_issue makes the call; conform_check compares. The three are apart so that one
 * thread can drive several ranks in a group. */
#ifndef TRNCCL_TESTS_SUPPORT_CONFORM_H
#define TRNCCL_TESTS_SUPPORT_CONFORM_H

#include "oracle.h"
#include "report.h"
#include "sched/sched.h"

#define CONFORM_MAX_RANKS 64

enum conform_form {
    CONFORM_PLAIN,
    CONFORM_V,     /* blocks of different sizes, some empty, with gaps between */
    CONFORM_PAIRS, /* a permute written as sends and receives in a group */
};
enum conform_some { CONFORM_NONE, CONFORM_ALL, CONFORM_SOME };

struct conform_case {
    int id; /* seeds everything that varies without being said here */
    enum sched_coll coll;
    enum conform_form form;
    const char *algo; /* forced on the communicator; the call must have run by it */
    bool by_default;  /* that one has no v-form: the call must have run by another */
    bool refused;     /* the algorithm cannot: trncclInvalidArgument, nothing touched */
    const struct oracle *oracle;
    size_t count;
    int root;
    enum conform_some inplace; /* ranks whose call is in place */
    enum conform_some shared;  /* ranks whose buffers are from trncclMemAlloc */
    size_t shift;              /* bytes that buffers are off their alignment */
    bool stream;
};

/* Bytes of one buffer that a case may need on any rank. */
size_t conform_need(const struct conform_case *c, int nranks);

/* One of a rank's two buffers and what it must hold after the call. */
struct conform_buffer {
    uint8_t *memory[2]; /* owned: malloc, trncclMemAlloc */
    uint8_t *at;        /* the one in use */
    uint8_t *want;      /* owned */
    size_t nbytes;      /* in use */
};

struct conform_rank {
    int rank, nranks;
    trncclComm_t comm;
    trncclStream_t stream;
    trncclRedOp_t redop; /* while a pre-multiplied sum runs */
    struct conform_buffer send, recv;
    uint8_t *send_at, *recv_at; /* the call's arguments */
    /* Where blocks lie in them, in elements. */
    int nin, nout;
    size_t in_counts[CONFORM_MAX_RANKS], in_displs[CONFORM_MAX_RANKS];
    size_t out_counts[CONFORM_MAX_RANKS], out_displs[CONFORM_MAX_RANKS];
    bool packed; /* v: displacements are given as NULL */
    int pairs[2 * CONFORM_MAX_RANKS], npairs;
    atomic_int *entered; /* shared by all ranks: barriers entered so far */
    int barriers;        /* this rank's */
    long flip; /* planted fault: this byte of the receive buffer is flipped; -1: none */
    struct report *report;
};

/* Makes the buffers, `nbytes` each. False with a failure reported. */
bool conform_rank_init(struct conform_rank *r, size_t nbytes, bool shared);
void conform_rank_fini(struct conform_rank *r);
void conform_begin(struct conform_rank *r, const struct conform_case *c);
trncclResult_t conform_issue(struct conform_rank *r, const struct conform_case *c);
/* result: of the call, or of the group it was in. Returns false if the communicator
 * cannot go on. */
bool conform_check(struct conform_rank *r, const struct conform_case *c,
                   trncclResult_t result);

#endif
