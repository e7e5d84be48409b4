/* One call: its arguments, copied, and how it is run.
 *
 * api.c fills a call, group.c or stream.c decides when it runs, call_run_all runs any
 * number of them together on one thread: the calls of one communicator in order,
 * different communicators and independent sends and receives side by side. */
#ifndef TRNCCL_CALL_H
#define TRNCCL_CALL_H

#include <stdlib.h>

#include "comm.h"

enum call_state { CALL_WAITS, CALL_REFUSED, CALL_BEGUN, CALL_ENDED };
enum call_kind { CALL_COLLECTIVE, CALL_SEND, CALL_RECV };

struct call {
    struct trncclComm *comm;
    enum call_kind kind;
    enum sched_coll coll;
    enum comm_exchange exchange;
    const char *name; /* "trncclAllReduce", for messages */
    bool v;
    const void *send;
    void *recv;
    size_t count; /* elements of one block */
    trncclDataType_t type;
    int op; /* combine's code: trncclRedOp_t, COMBINE_PREMUL or COMBINE_COPY */
    /* The pre-multiplied sum's scalar, as it was when the call was made: the operation
     * may be destroyed before the call runs. */
    const void *scalar_at; /* read when the call runs, or NULL: */
    uint8_t scalar[8];
    int root; /* or the peer of a send or receive */
    /* v: elements per block and displacements, in one allocation that `arrays` owns. */
    size_t *scounts, *sdispls, *rcounts, *rdispls;
    int32_t *pairs; /* permute: owned by arrays */
    int32_t npairs;
    void *arrays;
    trncclStream_t stream; /* or NULL: whoever made the call waits for it */
    struct call *next;     /* of its list: what one thread runs together */
    struct call *after;    /* the call made after it in its group */
    /* Its turn: what a list does to one communicator between calls of other lists. The
     * first call of a turn has its ticket. */
    struct call *turn, *turn_next;
    uint64_t ticket;
    int turn_left; /* calls of the turn that have not ended, while it is not passed */

    /* From here on: how it is run. */
    enum call_state state;
    trncclResult_t result; /* when it has ended, or was refused */
    bool inplace;
    bool left_seen; /* the peer waited for had left at the last check */
    uint32_t sig;
    uint64_t seq;
    struct exec_program *program;
    const struct combine *combine;
    struct call_entry *entry; /* of the cache, pinned while the call runs; or it owns: */
    struct call_owned *owned;
    struct exec_run *run;   /* the communicator's, or owned's */
    struct exec_task *task; /* the caller's, while it runs */
    bool joined;            /* a receive from itself that the send does as a copy */
    bool heads_queue;       /* no earlier call of its turn must come first */
    bool prepared;          /* the turn it leads is */
};

/* The calls bound before: schedule, program and kernel by shape. */
trncclResult_t call_cache_create(struct call_cache **out);
void call_cache_destroy(struct call_cache *c); /* NULL is allowed */

/* Whether a call sends to, or receives from, its own rank. */
static inline bool call_to_itself(const struct call *c)
{
    return c->kind != CALL_COLLECTIVE && c->root == c->comm->rank;
}

/* Neither end of a message of a rank to itself can wait for the other, so both must be in
 * one list. Joins the k-th send with the k-th receive, and refuses what is left over. */
trncclResult_t call_join(struct call *list);
/* Takes the tickets of calls, which are linked by `after` in the order in which they were
 * made and have their streams. Those of one stream must then be run as one list. */
void call_issue(struct call *first);
/* Runs a list of one or more calls until all have ended or one has
 * failed, and returns that one's result with its text; the others' communicators then
 * end, too. The calls stay the caller's, but have no more to do with their communicators,
 * which may be gone. */
trncclResult_t call_run_all(struct call *list);
/* The same for exactly one, without anything that a list needs: the fastest path. */
trncclResult_t call_run_one(struct call *c);
/* Frees what a call owns (not the call) once it has run, or if it never will. */
static inline void call_fini(struct call *c)
{
    free(c->arrays);
}

#endif
