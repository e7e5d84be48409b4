/* Calls between trncclGroupStart and trncclGroupEnd, and the way from a call to its run:
 * at once, with the group, or on a stream. */
#ifndef TRNCCL_GROUP_H
#define TRNCCL_GROUP_H

#include "call.h"

/* Whether this thread is inside a group. */
bool group_active(void);
/* Runs a checked call: blocking, queued on the stream, or kept for the end of the group.
 * Takes over what the call owns. */
trncclResult_t group_submit(struct call *call, trncclStream_t stream);
/* Returns result, which is that of a function that was to be part of a group: if it was
 * refused inside one, trncclGroupEnd will run nothing and say why. */
trncclResult_t group_spoil(trncclResult_t result);
/* The same for a call; frees what it owns. */
trncclResult_t group_refuse(struct call *call, trncclResult_t result);
/* Creates the communicators asked for inside the group, or forgets them; by
 * trncclGroupEnd (in api_comm.c). */
trncclResult_t group_create_comms(bool forget);

#endif
