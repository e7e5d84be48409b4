/* Should a waiting call go on waiting? Finds what went wrong and says it with names. */
#ifndef TRNCCL_CALL_CHECK_H
#define TRNCCL_CALL_CHECK_H

#include "call.h"

/* exec_task.check; context is the call. In order: abort, a fault of the communicator, a
 * message that is not what was expected, a peer that runs another operation under the
 * same number, a peer that has left, the deadline. */
trncclResult_t call_check(void *context, const struct exec_run *run, uint64_t waited_ns);

#endif
