#include "topo/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

trncclResult_t topo_file_read(const char *path, size_t most, char **out, size_t *nbytes)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return error_set_errno(trncclSystemError, errno, "%.200s", path);
    char *text = NULL;
    size_t used = 0, cap = 0;
    trncclResult_t result = trncclSuccess;
    do {
        if (used == cap) {
            cap = cap == 0 ? 1 << 16 : 2 * cap;
            char *larger = realloc(text, cap);
            if (larger == NULL) {
                result = error_set(trncclSystemError, "%.200s: no memory", path);
                break;
            }
            text = larger;
        }
        used += fread(text + used, 1, cap - used, f);
    } while (!feof(f) && !ferror(f) && used <= most);
    if (result == trncclSuccess && ferror(f))
        result = error_set_errno(trncclSystemError, errno, "%.200s cannot be read", path);
    fclose(f);
    if (result != trncclSuccess) {
        free(text);
        return result;
    }
    *out = text;
    *nbytes = used;
    return trncclSuccess;
}
