/* The proof of the proof: plants one fault at a time into schedules that are right, and
 * counts how many the verifier refuses.
 *
 * Every mutant of every algorithm at 2, 3, 4 and 5 ranks (all kinds, steps, operands),
 * and a random eighth of those at 8, in and out of place, with several roots. A mutant
 * that is accepted must be harmless: it is run on concrete numbers under adversarial
 * interleavings, and one of the reasons of explain.h must hold for it. The test fails if
 * a survivor runs wrong or has no reason, or if a kind is killed less often than stated.
 *
 * Then the test is tested: one check of the verifier at a time is disabled (by wrapping
 * the function at link time), and survivors that run wrong must appear.
 *
 *   mutate [-v] [seed]    -v: one line per survivor
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "algo/algo.h"
#include "tests/suite/explain.h"
#include "verify/order.h"
#include "verify/promise.h"
#include "verify/value.h"
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
#define MAX_SIZE 3
#else
#define MAX_SIZE 8
#endif

enum { MAX_RANKS = INTERP_MAX_RANKS };

struct tally {
    long total, killed, survived[EXPLAIN_NREASONS], wrong;
};

struct suite {
    struct tally kind[MUTANT_NKINDS];
    bool verbose, explain;
    int max_ranks;
    uint64_t random;
};

/* One collective of right schedules. */
struct subject {
    const struct algo *algo;
    struct sched_args args;
    struct sched *ranks[MAX_RANKS];
    struct verify_report report;
};

/* ---- Weakened verifiers --------------------------------------------------------------
 */

enum weakness { WEAK_NOT, WEAK_READS, WEAK_WRITES, WEAK_TWICE, WEAK_PROMISE, WEAK_COUNT };

static const char *const weakness_names[] = {
    "nothing", "order_read", "order_write", "values_combine_add", "promise_check",
};
static enum weakness weakness;

trncclResult_t __real_order_read(struct model *m, int32_t event, int64_t slot);
trncclResult_t __wrap_order_read(struct model *m, int32_t event, int64_t slot);
trncclResult_t __real_order_write(struct model *m, int32_t event, int64_t slot,
                                  bool early);
trncclResult_t __wrap_order_write(struct model *m, int32_t event, int64_t slot,
                                  bool early);
bool __real_values_combine_add(struct values *v, int32_t node, int32_t input,
                               int32_t *rank);
bool __wrap_values_combine_add(struct values *v, int32_t node, int32_t input,
                               int32_t *rank);
trncclResult_t __real_promise_check(struct model *m, bool *same_bits);
trncclResult_t __wrap_promise_check(struct model *m, bool *same_bits);

trncclResult_t __wrap_order_read(struct model *m, int32_t event, int64_t slot)
{
    trncclResult_t result = __real_order_read(m, event, slot);
    return weakness == WEAK_READS ? trncclSuccess : result;
}

trncclResult_t __wrap_order_write(struct model *m, int32_t event, int64_t slot,
                                  bool early)
{
    trncclResult_t result = __real_order_write(m, event, slot, early);
    if (weakness != WEAK_WRITES)
        return result;
    m->slot[slot].writer = event + 1;
    return trncclSuccess;
}

bool __wrap_values_combine_add(struct values *v, int32_t node, int32_t input,
                               int32_t *rank)
{
    bool good = __real_values_combine_add(v, node, input, rank);
    return weakness == WEAK_TWICE || good;
}

trncclResult_t __wrap_promise_check(struct model *m, bool *same_bits)
{
    trncclResult_t result = __real_promise_check(m, same_bits);
    return weakness == WEAK_PROMISE ? trncclSuccess : result;
}

/* ---- One mutant -----------------------------------------------------------------------
 */

static struct interp interp_of(const struct subject *s, struct sched *const *ranks)
{
    return (struct interp){.ranks = ranks,
                           .nranks = s->args.nranks,
                           .pairs = s->args.pairs,
                           .npairs = s->args.npairs,
                           .poison_rank = -1};
}

/* An algorithm that promises to serve blocks of any size must keep doing so. */
static bool is_killed(const struct subject *s, struct sched *const *ranks)
{
    struct verify_report report;
    if (verify_schedules(ranks, s->args.nranks, s->args.pairs, s->args.npairs, &report) !=
        trncclSuccess)
        return true;
    return (s->algo->flags & ALGO_V) && s->report.any_blocks && !report.any_blocks;
}

static void tell_survivor(const struct subject *s, const struct mutant *m,
                          enum explain_reason reason, const char *wrong)
{
    printf(
        "%s %s, %d ranks, root %d, %s place: %s variant %d at rank %d step %d: %s%s%s\n",
        sched_coll_name(s->algo->coll), s->algo->name, s->args.nranks, s->args.root,
        s->args.inplace ? "in" : "out of", mutant_kind_name(m->kind), m->variant, m->rank,
        m->step, wrong ? "ACCEPTED BUT WRONG" : explain_name(reason), wrong ? ": " : "",
        wrong ? wrong : "");
}

static void judge(struct suite *t, const struct subject *s, const struct mutant *m,
                  struct sched *changed, int operand)
{
    struct sched *ranks[MAX_RANKS];
    struct tally *tally = &t->kind[m->kind];
    memcpy(ranks, s->ranks, sizeof(ranks));
    ranks[m->rank] = changed;
    tally->total++;
    if (is_killed(s, ranks)) {
        tally->killed++;
        return;
    }
    struct explain e = {
        .base = s->ranks[m->rank],
        .changed = changed,
        .mutant = m,
        .operand = operand,
        .in_base = interp_of(s, s->ranks),
        .in_mutant = interp_of(s, ranks),
    };
    const char *wrong;
    enum explain_reason reason = explain_survivor(&e, &wrong);
    tally->survived[reason]++;
    tally->wrong += wrong != NULL;
    if (t->verbose || (reason == EXPLAIN_NONE && t->explain))
        tell_survivor(s, m, reason, wrong);
}

/* ---- All mutants ----------------------------------------------------------------------
 */

static bool is_sampled(struct suite *t, const struct subject *s)
{
    t->random = t->random * 6364136223846793005u + 1442695040888963407u;
    return s->args.nranks < 8 || t->random >> 61 == 0;
}

static void mutate_step(struct suite *t, const struct subject *s, struct mutant m)
{
    struct sched *changed;
    int operand;
    for (m.variant = 0; mutant_make(s->ranks[m.rank], &m, &changed, &operand);
         m.variant++) {
        if (!changed)
            continue;
        if (is_sampled(t, s))
            judge(t, s, &m, changed, operand);
        sched_destroy(changed);
    }
}

static void mutate_subject(struct suite *t, const struct subject *s)
{
    for (int kind = 0; kind < MUTANT_NKINDS; kind++)
        for (int rank = 0; rank < s->args.nranks; rank++)
            for (int step = 0; step < s->ranks[rank]->nsteps; step++)
                mutate_step(t, s, (struct mutant){(enum mutant_kind)kind, rank, step, 0});
}

/* The schedules as they are: proved, and right when they are run. */
static bool check_subject(struct subject *s)
{
    struct interp in = interp_of(s, s->ranks);
    if (verify_schedules(s->ranks, s->args.nranks, s->args.pairs, s->args.npairs,
                         &s->report) != trncclSuccess) {
        printf("%s\n", s->report.reason);
        return false;
    }
    for (uint64_t seed = 0; seed < 4 * EXPLAIN_SEEDS; seed++) {
        const char *wrong = interp_run(&in, seed, -1, -1, NULL);
        if (wrong) {
            printf("%s %s, %d ranks, root %d, in place %d: proved, but run %d: %s\n",
                   sched_coll_name(s->algo->coll), s->algo->name, s->args.nranks,
                   s->args.root, s->args.inplace, (int)seed, wrong);
            return false;
        }
    }
    return true;
}

static bool run_subject(struct suite *t, const struct algo *algo, struct sched_args args)
{
    struct subject s = {.algo = algo, .args = args};
    if (algo->refuse && algo->refuse(&args))
        return true;
    if (algo_build_all(algo, &args, s.ranks) != trncclSuccess) {
        printf("%s\n", error_text());
        return false;
    }
    bool good = check_subject(&s);
    if (good)
        mutate_subject(t, &s);
    for (int r = 0; r < args.nranks; r++)
        sched_destroy(s.ranks[r]);
    return good;
}

/* A shift of all ranks but the last, which keeps its own. */
static void make_pairs(int32_t *pairs, int n)
{
    for (int i = 0; i < n; i++) {
        pairs[2 * i] = i;
        pairs[2 * i + 1] = i == n - 1 ? i : (i + 1) % (n - 1);
    }
}

static bool run_algo(struct suite *t, const struct algo *algo, int n)
{
    int32_t pairs[2 * MAX_RANKS];
    int roots[] = {0, n / 2, n - 1};
    bool good = true;
    make_pairs(pairs, n);
    for (int i = 0; i < (sched_coll_rooted(algo->coll) ? 3 : 1); i++)
        for (int inplace = 0; inplace < 2; inplace++) {
            if (i > 0 && roots[i] == roots[i - 1])
                continue;
            struct sched_args args = {
                .coll = algo->coll, .nranks = n, .root = roots[i], .inplace = inplace};
            if (algo->coll == SCHED_PERMUTE) {
                args.pairs = pairs;
                args.npairs = n;
            }
            good &= run_subject(t, algo, args);
        }
    return good;
}

static bool run_suite(struct suite *t)
{
    static const int sizes[] = {2, 3, 4, 5, 8};
    bool good = true;
    for (int i = 0; algo_list[i]; i++)
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++)
            if (sizes[k] <= t->max_ranks)
                good &= run_algo(t, algo_list[i], sizes[k]);
    return good;
}

/* ---- Report ---------------------------------------------------------------------------
 */

/* Least percentage of all mutants of a kind, harmless ones included, that is refused.
 * They are what was reached when this was written, rounded down; a new algorithm with
 * more harmless mutants may lower them, a weaker proof may not. */
static const int least_killed[MUTANT_NKINDS] = {
    [MUTANT_OFFSET] = 99, [MUTANT_SPACE] = 84,     [MUTANT_TYPE] = 85,
    [MUTANT_DELETE] = 99, [MUTANT_DUPLICATE] = 88, [MUTANT_SWAP] = 30,
    [MUTANT_DEPEND] = 15, [MUTANT_PEER] = 96,      [MUTANT_ORDER] = 7,
    [MUTANT_FINAL] = 100, [MUTANT_SPAN] = 84,      [MUTANT_EARLY] = 75,
};

static bool report(const struct suite *t)
{
    struct tally all = {0};
    bool good = true;
    printf("%-10s %9s %9s %9s  survivors\n", "fault", "mutants", "killed", "");
    for (int k = 0; k < MUTANT_NKINDS; k++) {
        const struct tally *y = &t->kind[k];
        double percent = y->total ? 100.0 * (double)y->killed / (double)y->total : 100;
        printf("%-10s %9ld %9ld %8.2f%%", mutant_kind_name((enum mutant_kind)k), y->total,
               y->killed, percent);
        const char *separator = "  ";
        for (int r = 0; r < EXPLAIN_NREASONS; r++) {
            all.survived[r] += y->survived[r];
            if (y->survived[r] == 0)
                continue;
            printf("%s%ld %s", separator, y->survived[r],
                   explain_name((enum explain_reason)r));
            separator = ", ";
        }
        printf("\n");
        all.total += y->total;
        all.killed += y->killed;
        all.wrong += y->wrong;
        if (y->total == 0 || percent < least_killed[k]) {
            printf("  FAILED: expected at least %d%% of some\n", least_killed[k]);
            good = false;
        }
    }
    long harmful = all.killed + all.survived[EXPLAIN_NONE];
    printf("%-10s %9ld %9ld; of %ld that are not shown harmless %ld are killed; %ld "
           "accepted but wrong\n",
           "all", all.total, all.killed, harmful, all.killed, all.wrong);
    return good && all.survived[EXPLAIN_NONE] == 0;
}

/* With one check disabled, mutants must get through that run wrong. */
static bool run_weakened(enum weakness weak)
{
    struct suite t = {.max_ranks = MAX_SIZE < 4 ? MAX_SIZE : 4, .random = 1};
    long killed = 0, wrong = 0, total = 0;
    weakness = weak;
    bool good = run_suite(&t);
    weakness = WEAK_NOT;
    for (int k = 0; k < MUTANT_NKINDS; k++) {
        total += t.kind[k].total;
        killed += t.kind[k].killed;
        wrong += t.kind[k].wrong;
    }
    printf("without %-20s %ld of %ld killed, %ld accepted but wrong\n",
           weakness_names[weak], killed, total, wrong);
    return good && wrong > 0;
}

int main(int argc, char **argv)
{
    struct suite t = {.explain = true, .max_ranks = MAX_SIZE, .random = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            t.verbose = true;
        else
            t.random = strtoull(argv[i], NULL, 0);
    }
    printf("seed %llu\n", (unsigned long long)t.random);
    bool good = run_suite(&t);
    good &= report(&t);
    for (int weak = WEAK_READS; weak < WEAK_COUNT; weak++)
        good &= run_weakened((enum weakness)weak);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
