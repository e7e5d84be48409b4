#include "util/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NEAREST_MAX 64

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

size_t nearest_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    if (na >= NEAREST_MAX || nb >= NEAREST_MAX)
        return SIZE_MAX;
    /* rows[i % 3][j]: distance between the first i letters of a and the first j of b. */
    size_t rows[3][NEAREST_MAX];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = above[j - 1] + !same_letter(a[i - 1], b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]) && rows[(i - 2) % 3][j - 2] + 1 < best)
                best = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[na % 3][nb];
}

const char *nearest_name(const char *found, const char *const *names, size_t n)
{
    size_t limit = strlen(found) / 3;
    if (limit < 2)
        limit = 2;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t distance = names[i] == NULL ? SIZE_MAX : nearest_distance(found, names[i]);
        if (distance <= limit) {
            best = names[i];
            if (distance == 0)
                break;
            limit = distance - 1; /* only something closer replaces it */
        }
    }
    return best;
}
