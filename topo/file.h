/* A file in memory. */
#ifndef TRNCCL_TOPO_FILE_H
#define TRNCCL_TOPO_FILE_H

#include <stddef.h>

#include "util/error.h"

/* Reads a file; free *out. Of one with more than `most` bytes only the beginning, but
 * more than `most` bytes, so that *nbytes says so. trncclSystemError with the path if it
 * cannot be read. */
trncclResult_t topo_file_read(const char *path, size_t most, char **out, size_t *nbytes);

#endif
