/* The collectives: for each, its names, how a size becomes counts, which elements go
 * where, what bandwidth means, and the call. One table row per collective; everything
 * else in the tool is the same for all. */
#ifndef TRNCCL_PERF_OPS_H
#define TRNCCL_PERF_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include "trnccl.h"

enum op_flags {
    OP_REDUCES = 1,  /* takes a reduction */
    OP_ROOTED = 2,   /* takes a root */
    OP_IN_PLACE = 4, /* has an in-place form */
    OP_VARIES = 8,   /* counts differ between ranks */
    OP_PAIRS = 16,   /* takes source:target pairs */
    OP_NO_DATA = 32, /* moves nothing: one row, no size */
};

/* The arguments of one row, the same on every rank. */
struct op_case {
    int nranks, root;
    size_t count;         /* the count of the call: elements per rank or block */
    const size_t *counts; /* OP_VARIES: [nranks], or [nranks * nranks] for all-to-all */
    const int *pairs;     /* OP_PAIRS: 2 * npairs ranks */
    int npairs;
};

#define OP_FROM_REDUCTION (-1)
/* Elements that must appear in the receive buffer. */
struct op_segment {
    size_t at, count; /* where in the buffer's area */
    int from;         /* the rank whose send data it is, or OP_FROM_REDUCTION */
    size_t index;     /* of the first element in that rank's send data */
};

/* What one rank sends and must find, in elements. In place there is one area that serves
 * as both. Elements of an area outside what is described must stay as they were. */
struct op_layout {
    int rank;                        /* whose layout this is */
    size_t send_extent, recv_extent; /* size of the areas */
    size_t send_at, send_count;      /* this rank's data within the send area */
    size_t recv_at;                  /* where the call's recvbuff points */
    int nsegments;
    struct op_segment *segments; /* caller's, room for nranks entries */
};

/* One rank's call; everything the library needs. */
struct op_call {
    const void *send;
    void *recv;
    size_t count, send_count, recv_count; /* the latter two: v-forms with one scalar */
    const size_t *send_counts, *recv_counts;
    const int *pairs;
    int npairs, rank, nranks, root;
    trncclDataType_t type;
    trncclRedOp_t redop;
    trncclComm_t comm;
    trncclStream_t stream;
};

struct op {
    const char *name;    /* "all_reduce" */
    const char *aliases; /* "allr allreduce", space separated */
    unsigned flags;      /* enum op_flags */
    double bus_per_n;    /* busbw = algbw * (bus_constant + bus_per_n / n) */
    double bus_constant; /* e.g. all-reduce: 2 - 2/n */
    bool divides;        /* the size is that of all blocks together: count = size / n */
    /* Fills a layout that is zero but for rank and segments. */
    void (*layout)(const struct op_case *c, int rank, bool in_place, struct op_layout *l);
    trncclResult_t (*run)(const struct op_call *call);
};

/* All collectives, ended by an entry without name. */
extern const struct op ops_table[];

/* By name or short name, '-' and '_' alike, case ignored; NULL if unknown. */
const struct op *ops_find(const char *name);
/* Valid names, nearest to `wrong` first, comma separated, into text. */
void ops_list_near(const char *wrong, char *text, size_t text_nbytes);
/* The library's name of the collective whose algorithms serve the op: "all_gather" for
 * all_gather_v. false if there are none to choose from: for sends and receives. */
bool ops_collective(const struct op *op, char *text, size_t text_nbytes);
/* One rank's layout; segments has room for nranks entries. */
void ops_layout(const struct op *op, const struct op_case *c, int rank, bool in_place,
                struct op_segment *segments, struct op_layout *l);
/* Elements the algorithm bandwidth counts (S of nccl-tests): the whole of all blocks, or
 * the busiest rank's part in all_to_all_v. */
size_t ops_volume(const struct op *op, const struct op_case *c);
double ops_bus_factor(const struct op *op, int nranks);
/* Fills what of a call follows from the case; buffers, type, redop, comm and stream are
 * the caller's. scratch has room for 2 * nranks counts and outlives the call. */
void ops_call_init(const struct op *op, const struct op_case *c, int rank,
                   size_t *scratch, struct op_call *call);

#endif
