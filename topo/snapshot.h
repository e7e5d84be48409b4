/* Machine files: a model as JSON that people can read, write and compare. The form is in
 * docs/machine-files.md; examples/trainium4.json is one written by hand. */
#ifndef TRNCCL_TOPO_SNAPSHOT_H
#define TRNCCL_TOPO_SNAPSHOT_H

#include <stdio.h>
#include "topo/model.h"

/* Writes a model; what is loaded from it is equal in everything, names too.
 * trncclSystemError if writing fails. */
trncclResult_t topo_snapshot_save(const struct topo_model *m, FILE *file);
/* Reads one from text of nbytes, of at most 64 MiB. trncclInvalidArgument with line and
 * reason; `where` names the text in errors. Work and memory are bounded by the text and
 * by the number of boxes it asks for. */
trncclResult_t topo_snapshot_parse(const char *where, const char *text, size_t nbytes,
                                   struct topo_model **out);
/* The same from a file. trncclSystemError if it cannot be read. */
trncclResult_t topo_snapshot_load(const char *path, struct topo_model **out);
/* Writes what differs between two models, a line each: "- " what only the first has, "+ "
 * what only the second has, "~ " what both have with other numbers. Boxes are compared
 * one by one in order, equal pairs once; their parts by name. *ndiffs: number of lines; 0
 * if the models are the same in everything but their own names and those of boxes.
 * trncclSystemError if writing fails. */
trncclResult_t topo_snapshot_diff(const struct topo_model *a, const struct topo_model *b,
                                  FILE *file, int32_t *ndiffs);

#endif
