/* The steps by which one call runs, for call.c, which runs one, and call_list.c, which
 * runs many together. All of them in the call's turn. */
#ifndef TRNCCL_CALL_RUN_H
#define TRNCCL_CALL_RUN_H

#include "call.h"

/* Waits until the call's turn has come, unless its communicator ends before. */
trncclResult_t call_wait_turn(struct call *c);
/* Finds everything the call needs: program, kernel, run, scratch. */
trncclResult_t call_prepare(struct call *c);
/* A call as something to drive, which must be prepared when it begins. */
struct exec_task call_task(struct call *c);
/* The task's `end`. */
void call_end(struct exec_task *t);
/* The call ends with this result, whose text is this thread's. What its peers were sent
 * cannot be taken back, so the communicator ends with it. */
void call_fail(struct call *c, trncclResult_t result);
/* The call could not be prepared. What is wrong with its arguments is wrong on every
 * rank, and leaves the communicator as it was; but where only this rank failed the others
 * wait for it, and must be told. Returns result. */
trncclResult_t call_refused(struct call *c, trncclResult_t result);
/* All that a call still does to its communicator; then its turn may be passed, and the
 * communicator may be gone. */
void call_finish(struct call *c);

#endif
