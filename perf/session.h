/* One process's share of a run: its ranks with communicators, streams and buffers. */
#ifndef TRNCCL_PERF_SESSION_H
#define TRNCCL_PERF_SESSION_H

#include "perf/check.h"
#include "perf/launch.h"
#include "perf/options.h"
#include "perf/report.h"
#include "perf/team.h"

/* A rank's two regions. Each has `nslots` slots; a slot is a guard zone, an area and a
 * guard zone, the area at the start of a page unless -u moves it. */
struct session_buffers {
    unsigned char *send, *recv; /* owned */
    size_t send_nbytes, recv_nbytes;
    void *send_handle, *recv_handle;         /* -R 1 */
    trncclWindow_t send_window, recv_window; /* -R 2 */
};

struct session_rank {
    struct session *session;
    int rank, local;
    trncclComm_t comm;
    trncclStream_t stream; /* NULL with -y 1 */
    struct session_buffers buffers;
};

struct session {
    const struct options *o;
    const struct launch *l;
    int nranks, nlocal;
    trncclUniqueId id;
    struct team rank_team;         /* members: ranks; the library's out-of-band gather */
    struct team thread_team;       /* members: measuring threads */
    struct session_rank *ranks;    /* [nlocal] */
    struct report_rank *all_ranks; /* [nranks] */
    size_t max_nbytes;             /* largest size that fits into memory */
    size_t send_region, recv_region; /* bytes per rank */
    size_t comm_nbytes;              /* growth of resident memory by creation */
};

/* Everything but communicators and buffers. Collective over processes. */
void session_init(struct session *s, const struct options *o, const struct launch *l);
/* What can be checked only when the memory is known, the same on all processes. NULL, or
 * a sentence in `why`. */
const char *session_misfit(const struct session *s, char *why, size_t why_nbytes);
/* Creates communicators and buffers of local ranks [first, first + n): collective over
 * all ranks; returns when all n are ready. */
void session_open_ranks(struct session *s, int first, int n);
void session_close_ranks(struct session *s, int first, int n);
void session_fini(struct session *s);

/* What a size of the sweep means for a type: the call's count, and counts of the v-forms
 * in `counts` (room for nranks * nranks). `c` gets everything but root. */
void session_case(const struct session *s, size_t nbytes, int type, size_t *counts,
                  struct op_case *c);
/* The next size of the sweep after `nbytes`; 0 when it is over. */
size_t session_next_size(const struct session *s, size_t nbytes);

/* Bytes from one slot to the next for an area of `nbytes`, and how many slots there are
 * when both areas have these sizes. */
size_t session_slot_stride(const struct options *o, size_t nbytes);
int session_nslots(const struct options *o, size_t send_nbytes, size_t recv_nbytes);
/* Start of a slot's area. */
unsigned char *session_area(const struct options *o, unsigned char *region, size_t stride,
                            int slot, size_t elem_nbytes);

#endif
