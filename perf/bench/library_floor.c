/* The floor of the comparison: two processes that share all their memory and do only the
 * loads, stores and flags that a collective cannot do without. No checks, names, errors
 * or choice; 2 ranks, float32. What a library takes more than this it spends on being
 * one.
 *
 *   up to 48 bytes   data and flag in one line, to the peer and from it
 *   more             both enter; each writes its half or block to both sides, reading the
 *                    peer's memory where it lies; both leave */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mem/combine.h"
#include "perf/bench/library.h"

const char library_name[] = "floor";

enum { LINE = 64, SMALL = 48, GATHER = 1024 };
#define ARENA_NBYTES ((size_t)2 << 30)
/* As the library: results of this size are written past the cache. */
#define STREAM_NBYTES ((size_t)8 << 20)

struct cell {
    _Alignas(LINE) _Atomic uint64_t seq;
    char data[SMALL];
};

/* Shared by both; a side writes its own. */
struct side {
    struct cell cells[2]; /* of even and odd calls: the peer is one call ahead at most */
    _Alignas(LINE) _Atomic uint64_t entered;
    _Alignas(LINE) _Atomic uint64_t left;
    char gather[GATHER];
};

static struct side *sides;
static char *arenas[2];
static size_t arena_used;
static int arena_live, me;
static uint64_t calls;
static struct combine sum;

static void die(const char *text)
{
    perror(text);
    _exit(3);
}

static void *share(size_t nbytes)
{
    void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        die("bench-floor: no shared memory");
    (void)madvise(p, nbytes, MADV_HUGEPAGE);
    return p;
}

int library_main(int argc, char **argv, bench_body body)
{
    if (argc < 3 || strcmp(argv[1], "-P") != 0 || strcmp(argv[2], "2") != 0) {
        fprintf(stderr, "usage: bench-floor -P 2 DRIVER-ARGUMENTS\n");
        return 2;
    }
    sides = share(2 * sizeof *sides);
    arenas[0] = share(ARENA_NBYTES);
    arenas[1] = share(ARENA_NBYTES);
    if (combine_init(&sum, trncclFloat32, trncclSum, NULL, 2) != trncclSuccess)
        die("bench-floor: no kernel");
    pid_t child = fork();
    if (child < 0)
        die("bench-floor: fork");
    me = child == 0;
    struct bench_team team = {.rank = me, .nranks = 2, .registered = true};
    int status = body(&team, argc - 2, argv + 2), theirs = 0;
    if (me)
        _exit(status);
    waitpid(child, &theirs, 0);
    return status || theirs ? 3 : 0;
}

/* ---- flags ---- */

static inline void await(_Atomic uint64_t *flag, uint64_t value)
{
    while (atomic_load_explicit(flag, memory_order_acquire) < value)
        ;
}

static inline void enter(void)
{
    atomic_store_explicit(&sides[me].entered, calls, memory_order_release);
    await(&sides[!me].entered, calls);
}

static inline void leave(void)
{
    atomic_store_explicit(&sides[me].left, calls, memory_order_release);
    await(&sides[!me].left, calls);
}

void library_barrier(void)
{
    calls++;
    enter();
    leave();
}

void library_gather(const void *mine, void *all, size_t nbytes)
{
    if (nbytes > GATHER)
        die("bench-floor: too much to gather");
    calls++;
    memcpy(sides[me].gather, mine, nbytes);
    enter();
    for (int r = 0; r < 2; r++)
        memcpy((char *)all + (size_t)r * nbytes, sides[r].gather, nbytes);
    leave();
}

/* ---- memory: both sides allocate alike, so a buffer has the same offset in both ---- */

void *library_alloc(size_t nbytes)
{
    char *p = arenas[me] + arena_used;
    arena_used += (nbytes + 4095) / 4096 * 4096;
    if (arena_used > ARENA_NBYTES)
        die("bench-floor: arena too small");
    arena_live++;
    return p;
}

void library_free(void *p)
{
    (void)p;
    if (--arena_live == 0)
        arena_used = 0;
}

static inline char *at_peer(const void *p)
{
    return arenas[!me] + ((const char *)p - arenas[me]);
}

/* ---- collectives ---- */

/* Reads `in` and the peer's, in order of rank, and writes the sum to n places. */
static inline void add(const char *in, const char *peer, void *const *out, int n,
                       size_t nbytes, bool stream)
{
    const void *both[2] = {me ? peer : in, me ? in : peer};
    struct combine_args a = {.in = both,
                             .out = out,
                             .nin = 2,
                             .nout = n,
                             .raw = -1,
                             .flags = stream ? COMBINE_STREAM : 0,
                             .nstream = stream ? n : 0,
                             .nelems = nbytes / sizeof(float)};
    combine_run(&sum, &a);
}

static inline void small(enum bench_op op, const char *send, char *recv, size_t nbytes)
{
    struct cell *mine = &sides[me].cells[calls % 2],
                *theirs = &sides[!me].cells[calls % 2];
    const char *away = op == BENCH_REDUCE_SCATTER ? send + (size_t)!me * nbytes : send;
    const char *own = op == BENCH_REDUCE_SCATTER ? send + (size_t)me * nbytes : send;
    memcpy(mine->data, away, nbytes);
    atomic_store_explicit(&mine->seq, calls, memory_order_release);
    if (op == BENCH_ALL_GATHER)
        memcpy(recv + (size_t)me * nbytes, own, nbytes);
    await(&theirs->seq, calls);
    if (op == BENCH_ALL_GATHER)
        memcpy(recv + (size_t)!me * nbytes, theirs->data, nbytes);
    else
        add(own, theirs->data, (void *[]){recv}, 1, nbytes, false);
}

static inline void large(enum bench_op op, const char *send, char *recv, size_t nbytes)
{
    size_t total = op == BENCH_ALL_REDUCE ? nbytes : 2 * nbytes;
    bool stream = total >= STREAM_NBYTES;
    size_t half = nbytes / 2 / LINE * LINE, at = me ? half : 0;
    size_t n = me ? nbytes - half : half;
    char *block = recv + (size_t)me * nbytes;
    enter();
    if (op == BENCH_ALL_GATHER)
        combine_copy((void *[]){block, at_peer(block)}, 2, send, nbytes, stream);
    else if (op == BENCH_REDUCE_SCATTER)
        add(send + (size_t)me * nbytes, at_peer(send + (size_t)me * nbytes),
            (void *[]){recv}, 1, nbytes, stream);
    else
        add(send + at, at_peer(send + at), (void *[]){recv + at, at_peer(recv + at)}, 2,
            n, stream);
    leave();
}

void library_run(enum bench_op op, const void *send, void *recv, size_t count)
{
    size_t nbytes = count * sizeof(float);
    calls++;
    if (nbytes <= SMALL)
        small(op, send, recv, nbytes);
    else
        large(op, send, recv, nbytes);
}
