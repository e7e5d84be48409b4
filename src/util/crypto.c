#include "util/crypto.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/fork_guard.h"

trncclResult_t crypto_load(void)
{
    static atomic_bool loaded;
    /* Pairs with the store below: what sodium_init has set up. */
    if (atomic_load_explicit(&loaded, memory_order_acquire))
        return trncclSuccess;
    fork_guard_enter();
    int result = sodium_init();
    fork_guard_leave();
    if (result < 0)
        return error_set(trncclSystemError, "libsodium cannot be initialised: is there "
                                            "no source of random bytes?");
    atomic_store_explicit(&loaded, true, memory_order_release);
    return trncclSuccess;
}
