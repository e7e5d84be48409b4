/* libsodium, made ready once.
 *
 * sodium_init takes a lock of its own each time, which a thread may hold when another one
 * forks; the child would then wait for it for ever. */
#ifndef TRNCCL_UTIL_CRYPTO_H
#define TRNCCL_UTIL_CRYPTO_H

#include "util/error.h"

/* Before anything else of libsodium. Any thread, any number of times. */
trncclResult_t crypto_load(void);

#endif
