/* Which of this host's addresses the rendezvous listens on. */
#ifndef TRNCCL_BOOT_IFNAME_H
#define TRNCCL_BOOT_IFNAME_H

#include <sys/socket.h>
#include "util/error.h"

/* Whether interface `name` passes `spec`, written as NCCL_SOCKET_IFNAME is: a comma
 * separated list of prefixes; a leading '^' turns it into a list of what to avoid; a
 * leading '=' (after '^' if both) asks for whole names. */
int ifname_match(const char *spec, const char *name);
/* Chooses an address, port 0. spec NULL: the first interface that is up and neither
 * loopback nor a container or virtual-machine bridge; then such a bridge; then loopback.
 * family NULL: IPv4 if the interface has it; else "AF_INET" or "AF_INET6". Link-local
 * addresses are passed over: their scope means nothing on another host.
 * trncclInvalidArgument names the interfaces there are if none passes. */
trncclResult_t ifname_choose(const char *spec, const char *family,
                             struct sockaddr_storage *address, socklen_t *len);

#endif
