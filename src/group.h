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
/* A call was refused: inside a group, trncclGroupEnd will run nothing and say why. Frees
 * what the call owns; returns result. */
trncclResult_t group_refuse(struct call *call, trncclResult_t result);
/* Creates the communicators asked for inside the group, or forgets them; by
 * trncclGroupEnd (in api_comm.c). */
trncclResult_t group_create_comms(bool forget);

#endif
