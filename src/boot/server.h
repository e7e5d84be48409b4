/* The listener behind a unique id: one detached thread per id. */
#ifndef TRNCCL_BOOT_SERVER_H
#define TRNCCL_BOOT_SERVER_H

#include "boot/id.h"

/* Starts the thread. listen_fd: listening, non-blocking, registered with fork_guard; the
 * server owns it from here on, also on failure. The thread ends, and everything it had is
 * freed, once every rank has left, or lifetime_ms after now if no rank ever came
 * (<= 0: never). It never keeps a process alive. */
trncclResult_t server_start(int listen_fd, const struct boot_id *id, int64_t lifetime_ms);

#endif
