/* A schedule from a file of another tool: read, proved, and built for a rank. */
#ifndef TRNCCL_PLAN_IMPORTED_H
#define TRNCCL_PLAN_IMPORTED_H

#include "format/msccl.h"
#include "verify/verify.h"

/* How schedules must be made of a file so that they are right, for one place. */
struct imported_mode {
    uint8_t credits; /* messages in flight per link; 0: not proved, or not served */
    bool staged;     /* messages are copied out; see sched.h */
};

struct imported {
    char *path;                   /* owned */
    struct msccl *file;           /* owned */
    int32_t nlinks;               /* per pair of ranks */
    uint32_t digest;              /* of the file's bytes */
    struct imported_mode mode[2]; /* out of place, in place */
};

/* Reads MSCCL's XML. trncclInvalidArgument or trncclSystemError, beginning with the path;
 * *out is owned by the caller. */
trncclResult_t imported_open(const char *path, struct imported **out);
void imported_close(struct imported *f); /* NULL is allowed */

/* Proves all ranks' schedules for one place and settles its mode: first with messages
 * that may be lent, then with copies. trncclInvalidUsage with the reason if the file is
 * wrong or needs more than max_credits (>= 1); trncclInvalidArgument if it cannot be
 * followed or does not serve that place. report may be NULL. */
trncclResult_t imported_prove(struct imported *f, bool inplace, int max_credits,
                              struct verify_report *report);
/* All ranks' schedules in the mode that is settled; owned by the caller, f outlives them.
 */
trncclResult_t imported_build(const struct imported *f, bool inplace,
                              struct sched **ranks);

#endif
