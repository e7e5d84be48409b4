/* Proves every algorithm of the list: every rank count up to 64 and some beyond, every
 * root, out of place, in place, and with ranks that differ in that; for permutes, a
 * family of pairs. Algorithms that follow a machine are proved for every graph of
 * tests/support that they accept. Prints how much was proved. A planted fault must be
 * refused first.
 *
 *     prove_all [MAX_RANKS [ALGORITHM]]     to look at a part
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/graphs.h"
#include "verify/verify.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
/* Here the sanitizer is what is being asked, and it is ten times slower. */
#define DEFAULT_LIMIT 20
#else
#define DEFAULT_LIMIT 256
#endif

enum { EVERY_UP_TO = 64, MAX_RANKS = 256, MAX_COMPLAINTS = 20 };

/* Beyond the sizes that are all tried: around powers of two, and plainly odd ones. */
static const int32_t beyond[] = {65, 96, 100, 127, 128, 129, 200, 255, 256};

struct tally {
    int64_t nproofs, nschedules, nmessages;
    int nrefused, nfailed;
};

/* Both forms of one rank's schedule. */
struct forms {
    struct sched *out[MAX_RANKS], *in[MAX_RANKS];
};

static void complain(struct tally *t, const struct algo *a, const struct sched_args *args,
                     const char *what, const char *reason)
{
    if (t->nfailed++ < MAX_COMPLAINTS)
        fprintf(stderr, "FAIL %s %s, %d ranks, root %d, %s: %s\n",
                sched_coll_name(a->coll), a->name, args->nranks, args->root, what,
                reason);
}

static bool moves(const struct sched *s, const struct sched_step *p)
{
    for (int i = 0; i < p->nin + p->nout; i++)
        if (s->refs[p->first + i].space == SCHED_PEER)
            return true;
    return false;
}

/* What the proof leaves to the algorithms: the executor cuts messages by max_run, so all
 * ranks must state the same, and no more than the longest there is. */
static bool runs_agree(struct sched *const *ranks, int32_t n)
{
    int32_t longest = 1;
    for (int32_t r = 0; r < n; r++) {
        const struct sched *s = ranks[r];
        for (int32_t i = 0; i < s->nsteps; i++)
            if (moves(s, &s->steps[i]) && s->steps[i].span_n > longest)
                longest = s->steps[i].span_n;
    }
    for (int32_t r = 0; r < n; r++)
        if (ranks[r]->max_run != longest)
            return false;
    return true;
}

/* Blocks to and from a rank may differ in size: an all-to-all of such blocks has no form
 * in place. */
static bool has_no_place(const struct sched_args *args, struct sched *const *ranks)
{
    bool inplace = false;
    for (int32_t r = 0; r < args->nranks; r++)
        inplace |= ranks[r]->inplace;
    return inplace && args->coll == SCHED_ALL_TO_ALL;
}

static void prove(struct tally *t, const struct algo *a, const struct sched_args *args,
                  struct sched *const *ranks, const char *what)
{
    struct verify_report report;
    trncclResult_t result =
        verify_schedules(ranks, args->nranks, args->pairs, args->npairs, &report);
    if (result != trncclSuccess)
        complain(t, a, args, what, report.reason);
    else if (!report.same_bits)
        complain(t, a, args, what, "ranks evaluate different expressions");
    else if ((a->flags & ALGO_V) && !report.any_blocks && !has_no_place(args, ranks))
        complain(t, a, args, what, "is marked ALGO_V but needs blocks of one size");
    else if (!runs_agree(ranks, args->nranks))
        complain(t, a, args, what, "max_run is not the longest run of all ranks");
    t->nproofs++;
    t->nschedules += args->nranks;
    t->nmessages += report.nmessages;
}

static void prove_args(struct tally *t, const struct algo *a, struct sched_args args,
                       struct forms *f)
{
    if (a->refuse && a->refuse(&args)) {
        t->nrefused++;
        return;
    }
    args.inplace = false;
    if (algo_build_all(a, &args, f->out) != trncclSuccess) {
        complain(t, a, &args, "out of place", error_text());
        return;
    }
    args.inplace = true;
    if (algo_build_all(a, &args, f->in) != trncclSuccess) {
        complain(t, a, &args, "in place", error_text());
    } else {
        struct sched *mixed[MAX_RANKS];
        for (int32_t r = 0; r < args.nranks; r++)
            mixed[r] = (r + args.nranks) % 3 ? f->in[r] : f->out[r];
        prove(t, a, &args, f->out, "out of place");
        prove(t, a, &args, f->in, "in place");
        prove(t, a, &args, mixed, "partly in place");
    }
    for (int32_t r = 0; r < args.nranks; r++) {
        sched_destroy(f->out[r]);
        sched_destroy(f->in[r]);
    }
}

/* Shifts by every distance, the reversal, one lone pair, none, and a half. */
static void prove_pairs(struct tally *t, const struct algo *a, struct sched_args args,
                        struct forms *f)
{
    int32_t n = args.nranks, pairs[2 * MAX_RANKS];
    args.pairs = pairs;
    for (int32_t shift = 0; shift <= n; shift++) {
        args.npairs = n;
        for (int32_t i = 0; i < n; i++) {
            pairs[2 * i] = i;
            pairs[2 * i + 1] = shift < n ? (i + shift) % n : n - 1 - i;
        }
        prove_args(t, a, args, f);
        args.npairs = shift < n ? shift : 1;
        prove_args(t, a, args, f);
    }
}

static void prove_size(struct tally *t, const struct algo *a, int32_t n, bool all_roots,
                       struct forms *f)
{
    struct sched_args args = {.coll = a->coll, .nranks = n};
    if (a->coll == SCHED_PERMUTE) {
        if (all_roots)
            prove_pairs(t, a, args, f);
        return;
    }
    int32_t last = sched_coll_rooted(a->coll) ? n - 1 : 0;
    int32_t stride = all_roots || last < 3 ? 1 : last / 3;
    for (args.root = 0; args.root <= last; args.root += stride)
        prove_args(t, a, args, f);
}

/* Two and three copies side by side, of some sizes, where that is possible. */
static void prove_lanes(struct tally *t, const struct algo *a, int32_t limit,
                        struct forms *f)
{
    static const int32_t sizes[] = {2, 3, 4, 5, 8, 13};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sched_args args = {.coll = a->coll, .nranks = sizes[i]};
        if (sizes[i] > limit || a->coll == SCHED_PERMUTE || !graphs_suit(a, &args))
            continue;
        args.root = sched_coll_rooted(a->coll) ? sizes[i] / 2 : 0;
        args.lanes = 2 + (int32_t)i % 2;
        struct sched *first;
        trncclResult_t result = algo_build(a, &args, &first);
        if (result == trncclSuccess) {
            sched_destroy(first);
            prove_args(t, a, args, f);
        } else if (strstr(error_text(), "of several blocks")) {
            t->nrefused++;
        } else {
            complain(t, a, &args, "in lanes", error_text());
        }
    }
}

/* Every root of every graph that the algorithm accepts. */
static void prove_graphs(struct tally *t, const struct algo *a, int32_t limit,
                         struct forms *f)
{
    const struct graphs_entry *e;
    for (int i = 0; (e = graphs_next(a, 0, &i));) {
        struct sched_args none = {.coll = a->coll}, args = graphs_args(e, &none);
        int nfailed = t->nfailed;
        if (args.nranks > limit || !graphs_wanted(a, args.nranks))
            continue;
        int32_t last = sched_coll_rooted(a->coll) ? args.nranks - 1 : 0;
        for (args.root = 0; args.root <= last; args.root++)
            prove_args(t, a, args, f);
        if (t->nfailed > nfailed)
            fprintf(stderr, "  on %s, %s in groups, %s between them\n", e->name,
                    e->intra ? e->intra : "its choice", e->inter ? e->inter : "the same");
    }
}

/* A block is received into the next one's place. Returns whether the proof notices. */
static bool fault_is_refused(void)
{
    struct sched_args args = {.coll = SCHED_ALL_GATHER, .nranks = 4};
    struct sched *ranks[4];
    if (algo_build_all(algo_find(args.coll, "ring"), &args, ranks) != trncclSuccess)
        return false;
    const struct sched_step *last = &ranks[2]->steps[ranks[2]->nsteps - 1];
    struct sched_ref *to = &ranks[2]->refs[last->first + last->nin];
    bool sound = verify_schedules(ranks, 4, NULL, 0, NULL) == trncclSuccess;
    to->index = (to->index + 1) % 4;
    struct verify_report report;
    bool refused = verify_schedules(ranks, 4, NULL, 0, &report) != trncclSuccess;
    printf("planted fault: %s\n", refused ? report.reason : "NOT NOTICED");
    for (int r = 0; r < 4; r++)
        sched_destroy(ranks[r]);
    return sound && refused;
}

int main(int argc, char **argv)
{
    static struct forms forms;
    int32_t limit = argc > 1 ? atoi(argv[1]) : DEFAULT_LIMIT;
    struct tally all = {0};
    if (!fault_is_refused())
        return 1;
    for (const struct algo *const *a = algo_list; *a; a++) {
        struct tally t = {0};
        if (argc > 2 && strcmp((*a)->name, argv[2]) != 0)
            continue;
        for (int32_t n = 1; n <= EVERY_UP_TO && n <= limit; n++)
            prove_size(&t, *a, n, true, &forms);
        for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++)
            if (beyond[i] <= limit)
                prove_size(&t, *a, beyond[i], false, &forms);
        prove_graphs(&t, *a, limit, &forms);
        prove_lanes(&t, *a, limit, &forms);
        printf("%-15s %-20s %7lld proofs of %9lld schedules, %10lld messages; "
               "%d refused, %d failed\n",
               sched_coll_name((*a)->coll), (*a)->name, (long long)t.nproofs,
               (long long)t.nschedules, (long long)t.nmessages, t.nrefused, t.nfailed);
        all.nproofs += t.nproofs;
        all.nschedules += t.nschedules;
        all.nmessages += t.nmessages;
        all.nrefused += t.nrefused;
        all.nfailed += t.nfailed;
    }
    printf("all: %lld proofs of %lld schedules, %lld messages; %d refused, %d failed\n",
           (long long)all.nproofs, (long long)all.nschedules, (long long)all.nmessages,
           all.nrefused, all.nfailed);
    return all.nfailed == 0 && all.nproofs > 0 ? 0 : 1;
}
