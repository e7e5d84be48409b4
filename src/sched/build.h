/* Builds a schedule step by step and derives what an algorithm should not have to know:
 * which steps must wait for a send to leave its source, and which receives may be posted
 * early. It drops copies of a chunk onto itself, which in place an IN chunk and its alias
 * in OUT are (also as one output of several); a mark of a step that is dropped altogether
 * stands for the last step before it. Two things are kept: a copy from IN in a collective
 * that reduces, because reading a contribution may scale it, and a step that waits for
 * another channel.
 *
 * An algorithm writes
 *
 *     build_shape(b, nranks, 0, SCHED_OUT);
 *     build_step(b, 0);                          // on channel 0
 *     build_from(b, prev); build_local_in(b, SCHED_IN, 2);
 *     build_to(b, next);
 *     build_span(b, SCHED_IN, 2, 1);
 *
 * or the one-line forms below. Errors are sticky: the first is returned by build_finish.
 */
#ifndef TRNCCL_SCHED_BUILD_H
#define TRNCCL_SCHED_BUILD_H

#include "sched/sched.h"

struct build;

/* Names a step for `after`. */
struct build_mark {
    int32_t channel, step;
};

/* algo is borrowed for the life of the schedule. Returns trncclInvalidArgument if args
 * are out of range (nranks, rank, root, pairs). */
trncclResult_t build_create(const struct sched_args *args, const char *algo,
                            struct build **out);
void build_destroy(struct build *b); /* NULL is allowed */

/* nsub chunks per block; tmp_chunks of scratch shaped like tmp_like. At most once, before
 * steps; without it one chunk per block and no TMP. */
void build_shape(struct build *b, int32_t nsub, int32_t tmp_chunks,
                 enum sched_space tmp_like);
/* Messages of credit per connection that the algorithm needs; default 1. */
void build_credits(struct build *b, int32_t credits);

/* The longest run of chunks in one message of any rank. Only where ranks differ: the
 * default is the longest of this rank's. All ranks must state the same (the executor
 * derives from it how messages are cut); the verifier checks that. */
void build_run(struct build *b, int32_t max_run);

/* States that every rank's messages are single chunks copied from IN or OUT to OUT: the
 * executor may then send large ones whole. All ranks must state the same. */
void build_copies(struct build *b);

/* States that ranks may combine contributions in different orders; see sched.h. */
void build_any_order(struct build *b);

/* Opens a step on a channel; the following calls describe it until the next build_step.
 */
struct build_mark build_step(struct build *b, int32_t channel);
void build_from(struct build *b, int32_t peer);                               /* input */
void build_local_in(struct build *b, enum sched_space space, int32_t chunk);  /* input */
void build_to(struct build *b, int32_t peer);                                 /* output */
void build_local_out(struct build *b, enum sched_space space, int32_t chunk); /* output */
/* The run of n chunks of `space` whose length all operands have. */
void build_span(struct build *b, enum sched_space space, int32_t chunk, int32_t n);
/* The links over which the step receives and sends; -1: the one numbered like its
 * channel.
 */
void build_links(struct build *b, int32_t in, int32_t out);
void build_final(struct build *b); /* SCHED_FINAL */
/* SCHED_STAGED: for steps whose source is overwritten before their receiver can have read
 * it. Costs a copy. */
void build_staged(struct build *b);
/* Start after that step. A mark of the own channel or with step -1 adds nothing; a step
 * can wait for one other channel (the later of its steps counts). */
void build_after(struct build *b, struct build_mark mark);

/* Opens a step that only waits for `mark`, which must be of another channel; the span (of
 * the step it holds up) says in which rounds. */
struct build_mark build_wait(struct build *b, int32_t channel, struct build_mark mark,
                             enum sched_space space, int32_t chunk, int32_t n);

/* One-line forms; each opens and describes one step of n chunks. */
struct build_mark build_copy(struct build *b, int32_t channel, enum sched_space from,
                             int32_t from_chunk, enum sched_space to, int32_t to_chunk,
                             int32_t n);
struct build_mark build_send(struct build *b, int32_t channel, enum sched_space from,
                             int32_t chunk, int32_t n, int32_t peer);
struct build_mark build_recv(struct build *b, int32_t channel, int32_t peer,
                             enum sched_space to, int32_t chunk, int32_t n);

/* Derives the marks, checks that every step is well formed (operands in range, one peer
 * once, one IN input, equal lengths), and hands the schedule over. b stays to be
 * destroyed. */
trncclResult_t build_finish(struct build *b, struct sched **out);
/* Something that an algorithm needs to describe its steps failed: build_finish returns
 * `result` with this thread's error text, unless there was an error before. */
void build_abort(struct build *b, trncclResult_t result);
/* The step that the error is about, as it was described; step -1 if it is about none. */
struct build_mark build_error_step(const struct build *b);

#endif
