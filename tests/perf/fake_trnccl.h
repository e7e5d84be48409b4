/* A stand-in for the library: every rank a thread's, everything by brute force, and able
 * to make mistakes on purpose. Tests run trn-collective-perf on it to see that right
 * results pass, whatever the order of combining, and that each mistake is found. */
#ifndef TRNCCL_TESTS_PERF_FAKE_TRNCCL_H
#define TRNCCL_TESTS_PERF_FAKE_TRNCCL_H

enum fake_fault {
    FAKE_NONE,
    FAKE_FLIP_BIT,     /* one bit of the last element of rank 1's result */
    FAKE_WRITE_BEYOND, /* one byte behind rank 1's receive buffer */
    FAKE_CHANGE_SEND,  /* one byte of rank 1's send buffer */
    FAKE_STALE,        /* rank 1's result is not written */
    FAKE_SHIFT,        /* rank 1 gets its result one element late */
    FAKE_DROP_RANK,    /* the last rank's contribution is left out */
};

/* Before ranks exist. order_seed permutes the order in which contributions are combined.
 */
void fake_set(enum fake_fault fault, unsigned order_seed);

#endif
