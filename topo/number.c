#include "topo/number.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 63 };

bool topo_number_parse(const char *text, const char **end, double *out)
{
    char copy[MAX_DIGITS + 1];
    size_t n = strspn(text, "0123456789.eE+-");
    if (n == 0 || n > MAX_DIGITS)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0)
        return false;
    char *stop;
    double value = strtod_l(copy, &stop, c);
    freelocale(c);
    if (stop == copy || !isfinite(value))
        return false;
    *end = text + (stop - copy);
    *out = value;
    return true;
}

bool topo_count_parse(const char *text, const char **end, int32_t *out)
{
    int64_t value = 0;
    const char *c = text;
    for (; *c >= '0' && *c <= '9'; c++) {
        value = 10 * value + (*c - '0');
        if (value > INT32_MAX)
            return false;
    }
    if (c == text)
        return false;
    *end = c;
    *out = (int32_t)value;
    return true;
}

const char *topo_number_print(char text[TOPO_NUMBER_BYTES], double value)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), old = (locale_t)0;
    if (c != (locale_t)0)
        old = uselocale(c);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, TOPO_NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (c != (locale_t)0) {
        uselocale(old);
        freelocale(c);
    }
    return text;
}
