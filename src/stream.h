/* Streams: in-order queues, each with a thread of its own; events: points in them. */
#ifndef TRNCCL_STREAM_H
#define TRNCCL_STREAM_H

#include "call.h"

/* Room in a queue, which stream_enqueue takes over, or else free(); NULL: out of memory.
 * So that what has been issued is certain to be queued. */
struct stream_item;
struct stream_item *stream_item_create(void);
/* Queues a list of calls, issued already; takes the list over (freed when it has run). */
void stream_enqueue(trncclStream_t stream, struct stream_item *item, struct call *list);
/* Counts calls that an open group keeps for the stream: until they are queued or dropped
 * it cannot be destroyed. */
void stream_keep(trncclStream_t stream, int calls);
/* trncclSuccess if the handle is a live stream of this process. */
trncclResult_t stream_check(const char *name, trncclStream_t stream);
/* Frees a list of heap-allocated calls. */
void stream_free_calls(struct call *list);

#endif
