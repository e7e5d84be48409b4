/* Cross-memory attach: reading the plain memory of another process of this host with
 * process_vm_readv, one copy where staging takes two.
 *
 * The system decides whether that is permitted (same user, Yama's ptrace_scope, seccomp),
 * so processes try it when a communicator is created: each tells the others where its
 * random identity lies, and reads theirs. The identity also shows that the pid means the
 * same process on both sides, which across pid namespaces it may not.
 * Thread: any. */
#ifndef TRNCCL_TRANSPORTS_CMA_H
#define TRNCCL_TRANSPORTS_CMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Gives the other processes of this user leave to read this one, where Yama guards it. */
void cma_permit(void);

/* Whether the `nbytes` <= 64 at `address` of that process can be read and are
 * `expected`. */
bool cma_probe(pid_t pid, uint64_t address, const void *expected, size_t nbytes);

/* Reads nbytes at `address` of that process to dst. 0, or an errno value: ESRCH if the
 * process is gone, EFAULT if the memory is not there. */
int cma_read(pid_t pid, void *dst, uint64_t address, size_t nbytes);

#endif
