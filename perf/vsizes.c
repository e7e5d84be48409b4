#include "perf/vsizes.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WEIGHTS = 1 << 20, MAX_FILE_BYTES = 32 << 20 };

/* Reads numbers separated by blanks and commas into v->weights. */
static bool read_numbers(const char *text, struct vsizes *v, char *why, size_t why_nbytes)
{
    size_t capacity = 0;
    for (const char *p = text;;) {
        p += strspn(p, " \t\r\n,");
        if (!*p)
            break;
        char *end;
        double weight = strtod(p, &end);
        if (end == p || !(weight >= 0) || !isfinite(weight)) {
            snprintf(why, why_nbytes, "expected a number >= 0, found \"%.20s\"", p);
            return false;
        }
        if (v->nweights == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            double *more = capacity <= MAX_WEIGHTS
                               ? realloc(v->weights, capacity * sizeof *more)
                               : NULL;
            if (!more) {
                snprintf(why, why_nbytes, "more than %d numbers", MAX_WEIGHTS);
                return false;
            }
            v->weights = more;
        }
        v->weights[v->nweights++] = weight;
        p = end;
    }
    if (v->nweights == 0) {
        snprintf(why, why_nbytes, "no numbers found");
        return false;
    }
    return true;
}

static bool read_file(const char *path, struct vsizes *v, char *why, size_t why_nbytes)
{
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(why, why_nbytes,
                 "neither a spread, a list of weights, nor a file that opens (%s)",
                 strerror(errno));
        return false;
    }
    char *text = malloc(MAX_FILE_BYTES + 1);
    bool ok = false;
    if (!text) {
        snprintf(why, why_nbytes, "out of memory");
    } else {
        size_t n = fread(text, 1, MAX_FILE_BYTES + 1, file);
        if (n > MAX_FILE_BYTES) {
            snprintf(why, why_nbytes, "the file is larger than %d MiB",
                     MAX_FILE_BYTES >> 20);
        } else {
            text[n] = '\0';
            ok = read_numbers(text, v, why, why_nbytes);
        }
    }
    free(text);
    fclose(file);
    return ok;
}

bool vsizes_parse(const char *text, struct vsizes *v, char *why, size_t why_nbytes)
{
    *v = (struct vsizes){.spread = VSIZES_DEFAULT_SPREAD};
    char *end;
    double number = strtod(text, &end);
    if (end != text && *end == '\0') {
        if (number >= 0 && number <= 1) {
            v->spread = number;
            return true;
        }
        snprintf(why, why_nbytes, "a spread is between 0 and 1, found %s", text);
        return false;
    }
    bool ok = end != text && *end == ',' ? read_numbers(text, v, why, why_nbytes)
                                         : read_file(text, v, why, why_nbytes);
    if (!ok)
        vsizes_fini(v);
    return ok;
}

void vsizes_fini(struct vsizes *v)
{
    free(v->weights);
    v->weights = NULL;
    v->nweights = 0;
}

const char *vsizes_misfit(const struct vsizes *v, int n, bool matrix_allowed, char *why,
                          size_t why_nbytes)
{
    size_t vector = (size_t)n, matrix = vector * vector;
    if (!v->weights || v->nweights == vector || (matrix_allowed && v->nweights == matrix))
        return NULL;
    if (matrix_allowed)
        snprintf(why, why_nbytes,
                 "%d ranks need %zu weights or a matrix of %zu, found %zu", n, vector,
                 matrix, v->nweights);
    else
        snprintf(why, why_nbytes, "%d ranks need %zu weights, found %zu", n, vector,
                 v->nweights);
    return why;
}

static double weight(const struct vsizes *v, int n, int i)
{
    if (v->weights)
        return v->weights[i];
    return n == 1 ? 1 : 1 - v->spread + 2 * v->spread * i / (n - 1);
}

static size_t share(size_t total, double part, double whole)
{
    double elements = whole > 0 ? floor((double)total * part / whole + 1e-9) : 0;
    return elements > 0 ? (size_t)elements : 0;
}

void vsizes_counts(const struct vsizes *v, int n, size_t total, size_t *counts)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += weight(v, n, i);
    for (int i = 0; i < n; i++)
        counts[i] = share(total, weight(v, n, i), sum);
}

void vsizes_matrix(const struct vsizes *v, int n, size_t total, size_t *matrix)
{
    size_t stride = (size_t)n;
    bool full = v->weights && v->nweights == stride * stride && n > 1;
    double busiest = 0;
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++)
            sum += full ? v->weights[(size_t)i * stride + (size_t)j] : weight(v, n, j);
        busiest = sum > busiest ? sum : busiest;
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            size_t at = (size_t)i * stride + (size_t)j;
            double part = full ? v->weights[at] : weight(v, n, (j - i + n) % n);
            matrix[at] = share(total, part, busiest);
        }
    }
}
