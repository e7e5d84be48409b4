/* Facts about this host and process, from /proc and /sys. */
#ifndef TRNCCL_PERF_HOST_H
#define TRNCCL_PERF_HOST_H

#include <stddef.h>

/* Bytes that can still be used without swapping: the host's available memory, or less
 * where a cgroup limits this process. SIZE_MAX if unknown. */
size_t host_memory_available(void);
/* Largest cache of CPU 0 in bytes; 32 MiB if unknown. */
size_t host_cache_nbytes(void);
/* Resident bytes of this process, now and at most so far; 0 if unknown. */
size_t host_resident_nbytes(void);
size_t host_resident_peak_nbytes(void);
/* CPU model into `text`; "cpu" if unknown. */
void host_cpu_model(char *text, size_t text_nbytes);

#endif
