/* Memory that other processes can map: what trncclMemAlloc returns.
 *
 * Each allocation is a memfd of its own, mapped once here; a peer maps the same pages
 * when a message first names them. Freeing punches the pages out of the memfd, so the
 * memory is back at once even while peers still hold a mapping of it.
 *
 * A forked child shares what its parent has allocated, as it would any shared mapping,
 * and can allocate memory of its own.
 *
 * Thread: any thread at any time. */
#ifndef TRNCCL_MEM_ALLOC_H
#define TRNCCL_MEM_ALLOC_H

#include "mem/region.h"
#include "util/error.h"

/* Rounded up to pages (2 MiB pages where that fits). nbytes 0 gives a valid pointer too.
 * trncclSystemError with the size wanted and what the system has available. */
trncclResult_t alloc_create(void **ptr, size_t nbytes);
/* trncclInvalidArgument if ptr is not the start of an allocation, trncclInvalidUsage if
 * it is one of a process that this one was forked from: the child shares it and cannot
 * free it. */
trncclResult_t alloc_destroy(void *ptr);
/* The region that holds all of [ptr, ptr + nbytes), or NULL. Valid until it is freed,
 * which the caller of a collective on it must not do before the collective has ended. */
const struct mem_region *alloc_find(const void *ptr, size_t nbytes);

#endif
