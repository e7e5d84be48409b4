/* What the headers of the algorithms promise: rounds, and what a rank sends and receives
 * at most, for every rank count and a spread of roots. The counting itself is shown to
 * notice a promise that is not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "algo/algo.h"
#include "verify/verify.h"

enum { MAX_RANKS = 66, MAX_ROOTS = 5 };

/* Chunks that a rank may send and receive: bounds for n ranks and blocks of nsub chunks.
 */
typedef int32_t bound_fn(int32_t n, int32_t nsub);

struct claim {
    enum sched_coll coll;
    const char *name;
    bound_fn *rounds;               /* longest chain of messages */
    bound_fn *root_sent, *root_rcv; /* of the root; of every rank where there is none */
    bound_fn *sent, *rcv;           /* of the others; NULL where there is no root */
};

static int32_t log2_ceil(int32_t n)
{
    int32_t bits = 0;
    while ((1 << bits) < n)
        bits++;
    return bits;
}

static int32_t none(int32_t n, int32_t nsub)
{
    (void)n;
    (void)nsub;
    return 0;
}
static int32_t one(int32_t n, int32_t nsub)
{
    (void)n;
    (void)nsub;
    return 1;
}
static int32_t others(int32_t n, int32_t nsub)
{
    (void)nsub;
    return n - 1;
}
static int32_t half(int32_t n, int32_t nsub)
{
    (void)nsub;
    return n / 2;
}
static int32_t logarithm(int32_t n, int32_t nsub)
{
    (void)nsub;
    return log2_ceil(n);
}
static int32_t twice_logarithm(int32_t n, int32_t nsub)
{
    (void)nsub;
    return 2 * log2_ceil(n);
}
static int32_t log_halves(int32_t n, int32_t nsub)
{
    (void)nsub;
    return log2_ceil(n) * (n / 2);
}
static int32_t vector(int32_t n, int32_t nsub)
{
    (void)n;
    return nsub;
}
static int32_t log_vectors(int32_t n, int32_t nsub)
{
    return log2_ceil(n) * nsub;
}
static int32_t below_two_vectors(int32_t n, int32_t nsub)
{
    (void)n;
    return 2 * nsub - 1;
}

static int32_t two(int32_t n, int32_t nsub)
{
    (void)n;
    (void)nsub;
    return 2;
}
static int32_t twice_others(int32_t n, int32_t nsub)
{
    return 2 * others(n, nsub);
}
static int32_t others_vectors(int32_t n, int32_t nsub)
{
    return (n - 1) * nsub;
}
/* Twice all but one of n chunks; nsub is a multiple of n. */
static int32_t least(int32_t n, int32_t nsub)
{
    return 2 * (n - 1) * (nsub / n);
}
static int32_t two_vectors(int32_t n, int32_t nsub)
{
    (void)n;
    return 2 * nsub;
}
/* The folds: `core` is the largest power of two. */
static bool is_folded(int32_t n)
{
    return (n & (n - 1)) != 0;
}
static int32_t core_bits(int32_t n)
{
    return log2_ceil(n) - is_folded(n);
}
static int32_t fold_rounds(int32_t n, int32_t nsub)
{
    (void)nsub;
    return core_bits(n) + 2 * is_folded(n);
}
static int32_t twice_fold_rounds(int32_t n, int32_t nsub)
{
    (void)nsub;
    return 2 * core_bits(n) + 2 * is_folded(n);
}
static int32_t fold_vectors(int32_t n, int32_t nsub)
{
    return (core_bits(n) + is_folded(n)) * nsub;
}
/* The best product of k factors from 2 to 8, k as few as reach n (but two from 4 on), and
 * of the best the smallest sum. Written out for up to three factors. */
static int32_t mixed_radix(int32_t n, int32_t *sum, int32_t *nfactors)
{
    int32_t best = 0;
    *nfactors = n <= 3 ? 1 : n <= 64 ? 2 : 3;
    for (int32_t a = 2; a <= 8; a++)
        for (int32_t b = *nfactors > 1 ? 2 : 1; b <= (*nfactors > 1 ? 8 : 1); b++)
            for (int32_t c = *nfactors > 2 ? 2 : 1; c <= (*nfactors > 2 ? 8 : 1); c++) {
                int32_t product = a * b * c, total = a + b + c - 3;
                if (product > n || product < best || (product == best && total >= *sum))
                    continue;
                best = product;
                *sum = total;
            }
    return best;
}
static int32_t multiply_rounds(int32_t n, int32_t nsub)
{
    int32_t sum = 0, nfactors, product = mixed_radix(n, &sum, &nfactors);
    (void)nsub;
    return nfactors + (product < n ? 2 : 0);
}
static int32_t multiply_vectors(int32_t n, int32_t nsub)
{
    int32_t sum = 0, nfactors, product = mixed_radix(n, &sum, &nfactors);
    return (sum + (product < n)) * nsub;
}
static int32_t fold_chunks(int32_t n, int32_t nsub)
{
    return 2 * (nsub - 1) + (is_folded(n) ? nsub : 0);
}
static int32_t fold_blocks(int32_t n, int32_t nsub)
{
    (void)nsub;
    return is_folded(n) ? 5 * n / 2 : n - 1;
}
/* Up to 8 blocks in a message: the logarithmic phase, then the linear one. */
static int32_t pat_rounds(int32_t n, int32_t nsub)
{
    (void)nsub;
    int32_t stride = 1;
    while ((n - 1) / stride + 1 > 8)
        stride *= 2;
    return log2_ceil((n - 1) / stride + 1) + stride / 2;
}

static const struct claim claims[] = {
    {SCHED_ALL_REDUCE, "ring", twice_others, least, least, NULL, NULL},
    {SCHED_ALL_REDUCE, "double_tree", twice_logarithm, two_vectors, two_vectors, NULL,
     NULL},
    {SCHED_ALL_REDUCE, "one_shot", one, others_vectors, others_vectors, NULL, NULL},
    {SCHED_ALL_REDUCE, "two_shot", two, least, least, NULL, NULL},
    {SCHED_ALL_REDUCE, "two_shot_dual", two, least, least, NULL, NULL},
    {SCHED_ALL_REDUCE, "recursive_doubling", fold_rounds, fold_vectors, fold_vectors,
     NULL, NULL},
    {SCHED_ALL_REDUCE, "recursive_multiplying", multiply_rounds, multiply_vectors,
     multiply_vectors, NULL, NULL},
    {SCHED_ALL_REDUCE, "halving_doubling", twice_fold_rounds, fold_chunks, fold_chunks,
     NULL, NULL},
    {SCHED_ALL_GATHER, "ring", others, others, others, NULL, NULL},
    {SCHED_ALL_GATHER, "direct", one, others, others, NULL, NULL},
    {SCHED_ALL_GATHER, "recursive_doubling", fold_rounds, fold_blocks, others, NULL,
     NULL},
    {SCHED_ALL_GATHER, "bruck", logarithm, others, others, NULL, NULL},
    {SCHED_ALL_GATHER, "pat", pat_rounds, others, others, NULL, NULL},
    {SCHED_REDUCE_SCATTER, "ring", others, others, others, NULL, NULL},
    {SCHED_REDUCE_SCATTER, "direct", one, others, others, NULL, NULL},
    {SCHED_REDUCE_SCATTER, "recursive_halving", fold_rounds, fold_blocks, fold_blocks,
     NULL, NULL},
    {SCHED_REDUCE_SCATTER, "bruck", logarithm, others, others, NULL, NULL},
    {SCHED_REDUCE_SCATTER, "pat", pat_rounds, others, others, NULL, NULL},
    {SCHED_BROADCAST, "chain", others, vector, none, vector, vector},
    {SCHED_BROADCAST, "binomial", logarithm, log_vectors, none, log_vectors, vector},
    {SCHED_BROADCAST, "double_tree", logarithm, vector, none, vector, vector},
    {SCHED_BROADCAST, "scatter_allgather", twice_logarithm, below_two_vectors, none,
     below_two_vectors, vector},
    {SCHED_REDUCE, "chain", others, none, vector, vector, vector},
    {SCHED_REDUCE, "binomial", logarithm, none, log_vectors, vector, log_vectors},
    {SCHED_REDUCE, "double_tree", logarithm, none, vector, vector, vector},
    {SCHED_REDUCE, "scatter_gather", twice_logarithm, none, below_two_vectors, vector,
     below_two_vectors},
    {SCHED_GATHER, "direct", one, none, others, one, none},
    {SCHED_GATHER, "binomial", logarithm, none, others, half, half},
    {SCHED_SCATTER, "direct", one, others, none, none, one},
    {SCHED_SCATTER, "binomial", logarithm, others, none, half, half},
    {SCHED_ALL_TO_ALL, "direct", half, others, others, NULL, NULL},
    {SCHED_ALL_TO_ALL, "bruck", logarithm, log_halves, log_halves, NULL, NULL},
    {SCHED_BARRIER, "dissemination", logarithm, logarithm, logarithm, NULL, NULL},
};

/* Chunks in messages of one rank. */
static int32_t volume(const struct sched *s, bool sent)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < s->nsteps; i++) {
        const struct sched_step *p = &s->steps[i];
        const struct sched_ref *refs = sent ? sched_out(s, p) : sched_in(s, p);
        for (int32_t k = 0; k < (sent ? p->nout : p->nin); k++)
            sum += refs[k].space == SCHED_PEER ? p->span_n : 0;
    }
    return sum;
}

/* "" if the schedules keep the claim, else which part they do not. */
static void break_of(const struct claim *c, struct sched *const *ranks, int32_t n,
                     int32_t root, char text[160])
{
    struct verify_report report;
    text[0] = '\0';
    assert_int_equal(verify_schedules(ranks, n, NULL, 0, &report), trncclSuccess);
    if (report.depth > c->rounds(n, 1))
        snprintf(text, 160, "%d rounds", report.depth);
    for (int32_t r = 0; r < n; r++) {
        bool other = c->sent && r != root;
        int32_t nsub = ranks[r]->shape.nsub, sent = volume(ranks[r], true),
                rcv = volume(ranks[r], false);
        if (sent > (other ? c->sent : c->root_sent)(n, nsub))
            snprintf(text, 160, "rank %d sends %d chunks", r, sent);
        if (rcv > (other ? c->rcv : c->root_rcv)(n, nsub))
            snprintf(text, 160, "rank %d receives %d chunks", r, rcv);
    }
}

/* Whether every size and root keeps the claim; prints the first that does not. */
static bool is_kept(const struct claim *c, bool print)
{
    const struct algo *algo = algo_find(c->coll, c->name);
    assert_non_null(algo);
    for (int32_t n = 2; n <= MAX_RANKS; n++) {
        int32_t nroots = c->sent ? (n < MAX_ROOTS ? n : MAX_ROOTS) : 1;
        for (int32_t i = 0; i < nroots; i++) {
            int32_t root = i * (n - 1) / (nroots > 1 ? nroots - 1 : 1);
            struct sched *ranks[MAX_RANKS];
            struct sched_args args = {.coll = c->coll, .nranks = n, .root = root};
            char text[160];
            assert_int_equal(algo_build_all(algo, &args, ranks), trncclSuccess);
            break_of(c, ranks, n, root, text);
            for (int32_t r = 0; r < n; r++)
                sched_destroy(ranks[r]);
            if (text[0] == '\0')
                continue;
            if (print)
                print_error("%s %s, %d ranks, root %d: %s\n", sched_coll_name(c->coll),
                            c->name, n, root, text);
            return false;
        }
    }
    return true;
}

static void headers_every_claim_is_kept(void **state)
{
    (void)state;
    int nbroken = 0;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++)
        nbroken += !is_kept(&claims[i], true);
    assert_int_equal(nbroken, 0);
}

/* Bounds that are one too small. */
static int32_t fewer_rounds(int32_t n, int32_t nsub)
{
    (void)nsub;
    return log2_ceil(n) - 1;
}
static int32_t less_than_vector(int32_t n, int32_t nsub)
{
    (void)n;
    return nsub - 1;
}
static int32_t fewer_than_others(int32_t n, int32_t nsub)
{
    return others(n, nsub) - 1;
}

static void headers_planted_false_claims_are_noticed(void **state)
{
    (void)state;
    static const struct claim lies[] = {
        {SCHED_ALL_REDUCE, "ring", twice_others, others, least, NULL, NULL},
        {SCHED_ALL_GATHER, "pat", pat_rounds, others, fewer_than_others, NULL, NULL},
        {SCHED_REDUCE_SCATTER, "bruck", fewer_rounds, others, others, NULL, NULL},
        {SCHED_BROADCAST, "binomial", fewer_rounds, log_vectors, none, log_vectors,
         vector},
        {SCHED_BROADCAST, "scatter_allgather", twice_logarithm, below_two_vectors, none,
         below_two_vectors, less_than_vector},
        {SCHED_REDUCE, "scatter_gather", twice_logarithm, none, below_two_vectors,
         less_than_vector, below_two_vectors},
        {SCHED_REDUCE, "double_tree", logarithm, none, less_than_vector, vector, vector},
        {SCHED_SCATTER, "binomial", logarithm, fewer_than_others, none, half, half},
        {SCHED_BARRIER, "dissemination", logarithm, fewer_rounds, logarithm, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
        assert_false(is_kept(&lies[i], false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_every_claim_is_kept),
        cmocka_unit_test(headers_planted_false_claims_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
