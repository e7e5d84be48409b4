#include "perf/stats.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted_copy(const double *values, size_t n)
{
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted)
        return NULL;
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    return sorted;
}

double stats_percentile(const double *sorted, size_t n, double percent)
{
    /* The subtraction keeps 99.9 % of 1000 at rank 999 despite the binary fraction. */
    double rank = ceil((double)n * percent / 100 - 1e-9);
    if (rank < 1)
        rank = 1;
    size_t index = (size_t)rank - 1;
    return sorted[index < n ? index : n - 1];
}

static void summarise(const double *sorted, size_t n, struct stats *out)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += sorted[i];
    double avg = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (sorted[i] - avg) * (sorted[i] - avg);
    double stdev = sqrt(squares / (double)n);
    *out = (struct stats){
        .min = sorted[0],
        .max = sorted[n - 1],
        .avg = avg,
        .stdev = stdev,
        .p50 = stats_percentile(sorted, n, 50),
        .p95 = stats_percentile(sorted, n, 95),
        .p99 = stats_percentile(sorted, n, 99),
        .cv_pct = avg > 0 ? 100 * stdev / avg : 0,
    };
}

bool stats_compute(const double *values, size_t n, struct stats *out)
{
    double *sorted = sorted_copy(values, n);
    if (!sorted)
        return false;
    summarise(sorted, n, out);
    free(sorted);
    return true;
}

static bool column_parse(const char *word, struct stats_column *column)
{
    static const struct {
        const char *name;
        enum stats_kind kind;
    } kinds[] = {{"min", STATS_MIN},
                 {"max", STATS_MAX},
                 {"avg", STATS_AVG},
                 {"stdev", STATS_STDEV},
                 {"cv", STATS_CV}};
    if (strlen(word) >= sizeof column->name)
        return false;
    snprintf(column->name, sizeof column->name, "%.15s", word);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if (strcmp(word, kinds[k].name) == 0) {
            column->percent = -(double)kinds[k].kind;
            return true;
        }
    }
    if (word[0] != 'p' || word[1] < '0' || word[1] > '9')
        return false;
    char *end;
    column->percent = strtod(word + 1, &end);
    return *end == '\0' && column->percent >= 0 && column->percent <= 100;
}

int stats_columns_parse(const char *text, struct stats_column *columns, char *bad)
{
    char word[32];
    int n = 0;
    for (const char *p = text;; p++) {
        size_t length = strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < 31 ? length : 31), p);
        if (n == STATS_MAX_COLUMNS || !column_parse(word, &columns[n])) {
            snprintf(bad, 32, "%s", word);
            return -1;
        }
        n++;
        p += length;
        if (!*p)
            return n;
    }
}

bool stats_column_value(const struct stats_column *column, const double *values, size_t n,
                        double *value)
{
    double *sorted = sorted_copy(values, n);
    if (!sorted)
        return false;
    struct stats all;
    summarise(sorted, n, &all);
    if (column->percent >= 0) {
        *value = stats_percentile(sorted, n, column->percent);
    } else {
        switch ((enum stats_kind)(-column->percent)) {
        case STATS_MIN:
            *value = all.min;
            break;
        case STATS_MAX:
            *value = all.max;
            break;
        case STATS_AVG:
            *value = all.avg;
            break;
        case STATS_STDEV:
            *value = all.stdev;
            break;
        case STATS_CV:
            *value = all.cv_pct;
            break;
        }
    }
    free(sorted);
    return true;
}
