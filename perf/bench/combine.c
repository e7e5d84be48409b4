/* bench-combine: how fast the combine kernels are beside what memory allows.
 *
 *   bench-combine [-s set] [-r rounds] [-t type] [nbytes...]
 *
 * For every type, operation, shape (inputs, outputs, streaming) and size it prints the
 * median over rounds of decimal GB/s counted as bytes read plus bytes written, the
 * spread (10th and 90th percentile) and the ratio to the floor: plain memory traffic of
 * the same kind measured in the same round, a copy by memcpy for one output. Rounds of a
 * case and of its floor alternate, so that both see the same machine. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem/combine.h"
#include "util/clock.h"

enum { MAX_OPERANDS = 10, MAX_ROUNDS = 1000 };

struct shape {
    int nin, nout;
    bool stream;
};

static const struct shape shapes[] = {{2, 1, false}, {2, 1, true},  {2, 2, false},
                                      {1, 1, false}, {1, 1, true},  {1, 2, false},
                                      {4, 1, false}, {8, 1, false}, {8, 2, false}};

struct bench {
    int rounds, only_type;
    size_t nbytes;
    char *operand[MAX_OPERANDS]; /* owned; outputs after inputs */
};

struct spread {
    double low, median, high;
};

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct spread spread_of(double *v, int n)
{
    qsort(v, (size_t)n, sizeof *v, double_compare);
    return (struct spread){v[n / 10], v[n / 2], v[n - 1 - n / 10]};
}

/* Calls per measurement: about a millisecond at 10 GB/s, at least one. */
static int calls_for(size_t nbytes, int noperands)
{
    double calls = 1e7 / ((double)nbytes * noperands + 200);
    return calls < 1 ? 1 : (int)calls;
}

static double case_ns(const struct combine *c, const struct combine_args *a, int calls)
{
    uint64_t start = clock_now_ns();
    for (int i = 0; i < calls; i++) {
        combine_run(c, a);
        __asm__ volatile("" ::: "memory");
    }
    return (double)(clock_now_ns() - start) / calls;
}

static double floor_ns(const struct bench *b, int calls)
{
    uint64_t start = clock_now_ns();
    for (int i = 0; i < calls; i++) {
        memcpy(b->operand[1], b->operand[0], b->nbytes);
        __asm__ volatile("" ::: "memory");
    }
    return (double)(clock_now_ns() - start) / calls;
}

static void case_measure(const struct bench *b, int type, int op, struct shape s)
{
    /* A normal number in every floating-point format, whatever its width: no subnormals,
     * which some CPUs take longer over. */
    uint64_t scalar = 0x3c3c3c3c3c3c3c3c;
    struct combine c;
    if (combine_init(&c, (trncclDataType_t)type, op, &scalar, 3) != trncclSuccess)
        return; /* the pair has no meaning */
    const void *in[MAX_OPERANDS];
    void *out[MAX_OPERANDS];
    for (int i = 0; i < s.nin; i++)
        in[i] = b->operand[i];
    for (int j = 0; j < s.nout; j++)
        out[j] = b->operand[s.nin + j];
    const struct combine_args a = {
        .in = in,
        .out = out,
        .nin = s.nin,
        .nout = s.nout,
        .raw = op == COMBINE_PREMUL ? 0 : -1,
        .flags =
            (op == trncclAvg ? COMBINE_FINAL : 0u) | (s.stream ? COMBINE_STREAM : 0u),
        .nelems = b->nbytes / c.elem_nbytes,
        .nstream = s.nout,
    };
    const int calls = calls_for(b->nbytes, s.nin + s.nout);
    static double rate[MAX_ROUNDS], ratio[MAX_ROUNDS], ns[MAX_ROUNDS];
    case_ns(&c, &a, 1);
    for (int r = 0; r < b->rounds; r++) {
        ns[r] = case_ns(&c, &a, calls);
        rate[r] = (double)b->nbytes * (s.nin + s.nout) / ns[r];
        ratio[r] = rate[r] / ((double)b->nbytes * 2 / floor_ns(b, calls));
    }
    struct spread t = spread_of(ns, b->rounds), g = spread_of(rate, b->rounds),
                  f = spread_of(ratio, b->rounds);
    printf("%-11s %-11s %d->%d%s %10zu %12.1f %8.2f %8.2f-%-8.2f %6.2f\n",
           combine_type_name((trncclDataType_t)type), combine_op_name(op), s.nin, s.nout,
           s.stream ? "s" : " ", b->nbytes, t.median, g.median, g.low, g.high, f.median);
    fflush(stdout);
}

static void bench_size(struct bench *b, size_t nbytes)
{
    b->nbytes = nbytes;
    for (int i = 0; i < MAX_OPERANDS; i++) {
        void *p = NULL;
        if (posix_memalign(&p, 4096, nbytes + 64) != 0) {
            fprintf(stderr, "bench-combine: no memory for %d times %zu bytes\n",
                    MAX_OPERANDS, nbytes);
            exit(1);
        }
        b->operand[i] = p;
        memset(b->operand[i], 0,
               nbytes + 64); /* zero: a sum stays one of ordinary values */
    }
    for (int type = 0; type < trncclNumTypes; type++) {
        if (b->only_type >= 0 && type != b->only_type)
            continue;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            if (shapes[s].nin == 1) {
                case_measure(b, type, COMBINE_COPY, shapes[s]);
                continue;
            }
            const bool common = shapes[s].nin == 2 && shapes[s].nout == 1;
            for (int op = 0; op < (common ? trncclNumOps : 1); op++)
                case_measure(b, type, op, shapes[s]);
            if (common)
                case_measure(b, type, COMBINE_PREMUL, shapes[s]);
        }
    }
    for (int i = 0; i < MAX_OPERANDS; i++)
        free(b->operand[i]);
}

static int type_find(const char *name)
{
    for (int t = 0; t < trncclNumTypes; t++)
        if (strcmp(combine_type_name((trncclDataType_t)t), name) == 0)
            return t;
    fprintf(stderr, "bench-combine: no type \"%s\"; there is", name);
    for (int t = 0; t < trncclNumTypes; t++)
        fprintf(stderr, " %s", combine_type_name((trncclDataType_t)t));
    fprintf(stderr, "\n");
    exit(2);
}

static size_t size_parse(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    end += shift > 0;
    if (n == 0 || *end || (n << shift) % 8 || n > (1ull << 32) >> shift) {
        fprintf(
            stderr,
            "bench-combine: size \"%s\": a multiple of 8, suffix K or M, at most 4096M\n",
            text);
        exit(2);
    }
    return (size_t)n << shift;
}

int main(int argc, char **argv)
{
    struct bench b = {.rounds = 15, .only_type = -1};
    int option;
    while ((option = getopt(argc, argv, "s:r:t:")) != -1) {
        if (option == 's') {
            if (combine_simd_select(optarg) != trncclSuccess) {
                fprintf(stderr, "bench-combine: %s\n", error_text());
                return 2;
            }
        } else if (option == 't') {
            b.only_type = type_find(optarg);
        } else if (option == 'r' && atoi(optarg) > 0 && atoi(optarg) <= MAX_ROUNDS) {
            b.rounds = atoi(optarg);
        } else {
            fprintf(stderr,
                    "usage: bench-combine [-s set] [-r rounds 1..%d] [-t type] "
                    "[nbytes...]\n",
                    MAX_ROUNDS);
            return 2;
        }
    }
    printf("set %s; GB/s (10^9) of bytes read + written, median of %d; s: streaming; "
           "ratio: to memcpy\n",
           combine_simd_name(), b.rounds);
    printf("%-11s %-11s %-5s %10s %12s %8s %-17s %6s\n", "type", "operation", "shape",
           "bytes", "ns", "GB/s", "p10-p90", "ratio");
    static const size_t presets[] = {8, 1024, 16384, 1 << 20, 16 << 20};
    if (optind == argc)
        for (int i = 0; i < 5; i++)
            bench_size(&b, presets[i]);
    for (int i = optind; i < argc; i++)
        bench_size(&b, size_parse(argv[i]));
    return 0;
}
