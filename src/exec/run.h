/* One rank's collective in progress: a resumable program, never a blocking function.
 *
 * exec_run_start() names the call's buffers; exec_run_advance() does all that can be done
 * now and returns. It allocates nothing, logs nothing and takes no lock. One thread may
 * advance many runs in turn; that is how it drives several ranks. */
#ifndef TRNCCL_EXEC_RUN_H
#define TRNCCL_EXEC_RUN_H

#include "exec/program.h"
#include "mem/combine.h"

/* Where a channel stands. */
struct exec_channel {
    int32_t round, step; /* step: index within the channel */
    int32_t nready;      /* operands of the current step that are at hand */
    bool posted;         /* the current step's landing place has been named */
    bool lent;           /* this round lent something: lent_at holds what */
};

enum exec_state { EXEC_DONE, EXEC_BLOCKED, EXEC_MOVED };

struct exec_run {
    const struct exec_program *program;
    const struct combine *combine;
    char *base[3];                      /* by enum sched_space; caller's, TMP ours */
    const struct mem_region *region[3]; /* registered memory around it, or NULL */
    uint32_t sig;
    bool stream;   /* results are large: write them past the cache, too */
    int32_t nleft; /* channels still running */
    struct exec_channel channels[SCHED_MAX_CHANNELS];
    /* Scratch, grown by exec_run_reserve and kept. */
    const void **in; /* [max_in] per channel */
    void **out;      /* [max_out] per channel */
    uint64_t
        *lent_at; /* [noperands] message + 1 lent by an output in this round, 0: none */
    uint64_t *lent_last; /* [nouts] newest lent message + 1, 0: none */
    size_t in_capacity, out_capacity, lent_capacity;
};

/* What a blocked run waits for, for messages about it. */
struct exec_blocked {
    int peer;         /* rank, or -1: another channel of this rank */
    const char *what; /* "a message from", "room for a message to", ... */
    int channel, step, round;
    const struct transport_conn *conn; /* may be NULL */
};

/* Whether there is room for the program already. */
static inline bool exec_run_fits(const struct exec_run *r, const struct exec_program *p)
{
    size_t channels = (size_t)p->sched->nchannels;
    return r->in_capacity >= channels * p->max_in &&
           r->out_capacity >= channels * p->max_out &&
           r->lent_capacity >= (size_t)p->noperands + p->nouts;
}
/* Makes room for a program of this size; the run must not be active. */
trncclResult_t exec_run_reserve(struct exec_run *r, const struct exec_program *p);
void exec_run_fini(struct exec_run *r);
/* Begins a call: program, combine, base, region, sig, stream are set by the caller. */
void exec_run_start(struct exec_run *r);
/* EXEC_DONE when everything is done and every lent buffer has been given back. On a
 * transport error it stays EXEC_BLOCKED; the wait loop finds the error through
 * exec_run_blocked. */
enum exec_state exec_run_advance(struct exec_run *r);
/* The first thing the run waits for. */
struct exec_blocked exec_run_blocked(const struct exec_run *r);

#endif
