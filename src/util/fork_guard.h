/* Descriptors that a forked child must not keep.
 *
 * A peer learns of this process's death when the kernel closes its sockets. A child made
 * by fork() holds duplicates of them, which would hide the death for as long as the child
 * lives. Every socket registered here is closed in the child by a pthread_atfork handler;
 * the owners must then not close those numbers again (they compare getpid()). exec is
 * covered by O_CLOEXEC. A raw clone() runs no handlers and is not covered. */
#ifndef TRNCCL_UTIL_FORK_GUARD_H
#define TRNCCL_UTIL_FORK_GUARD_H

/* Between enter and leave no fork() of another thread happens, so a descriptor opened and
 * added in between is never seen by a child. Short, non-blocking sections only. */
void fork_guard_enter(void);
void fork_guard_leave(void);
/* Registers fd (between enter and leave). Returns fd; closes it and returns -1 with errno
 * ENOMEM if there is no memory. A negative fd is handed through with errno kept. */
int fork_guard_add(int fd);
/* Unregisters and closes. Negative: nothing. */
void fork_guard_close(int fd);

#endif
