/* Binding a call: its schedule, the program made of it for this shape, and its kernel;
 * and the cache that keeps them for the next call like it. */
#ifndef TRNCCL_CALL_BIND_H
#define TRNCCL_CALL_BIND_H

#include "call.h"

/* What a call has that the cache does not keep for it. */
struct call_owned {
    struct exec_program *program;
    struct sched *sched;
    struct exec_run *run; /* sends and receives have a run each */
    struct combine combine;
};

/* Makes room for what the call owns, if that was not done. */
trncclResult_t call_own(struct call *c);
/* Finds the program, kernel and signature of a call that was bound before, or binds it
 * and keeps that for the next one like it. The cache's entry stays pinned until
 * call_unbind. */
trncclResult_t call_lookup(struct call *c);
/* Gives back all of it, while it is still the call's turn. */
void call_unbind(struct call *c);

/* A hash in which every input bit reaches every output bit. */
static inline uint64_t call_mix(uint64_t x)
{
    /* The finalizer of MurmurHash3 (Appleby 2011): every input bit reaches every output
     * bit. */
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    return x ^ x >> 33;
}

#endif
