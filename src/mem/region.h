/* Memory of this process that others can map: a memfd and where it is mapped here. */
#ifndef TRNCCL_MEM_REGION_H
#define TRNCCL_MEM_REGION_H

#include <stddef.h>
#include <stdint.h>

/* Owned by mem/alloc; borrowed by whoever sends from it or receives into it. */
struct mem_region {
    uint32_t id;    /* never reused within a process, >= 1 */
    uint32_t index; /* small: no two live regions share one, a freed one's is used again.
                       So whoever knows this region forgets the last of that index. */
    int owner; /* the process that allocated it; its forked children share the pages */
    int fd;
    char *base;
    size_t nbytes;
};

#endif
