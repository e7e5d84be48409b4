/* NCCL's topology files (what NCCL_TOPO_DUMP_FILE writes and NCCL_TOPO_FILE reads) as a
 * machine.
 *
 *   cpu      a memory; all are linked with each other
 *   pci      a switch if it has pci elements inside, else the way to what is inside
 *   gpu      a chip with one core and one seat; seats are in order of `rank`
 *   nvlink   a link to the GPU at `target`, or, with tclass 0x068000, to the one switch
 *            that stands for all NVSwitches
 *   net      a NIC; seats get the nearest by PCI, of equally near ones the least used
 *
 * Other elements are passed over. Rates are those NCCL plans with (its graph/topo.h): per
 * NVLink by `sm` 18 (60), 20 (70, 80), 12 (86), 20.6 (90), 40.1 (100) GB/s, 10 between
 * CPUs, PCI by speed and width (12 where they are missing), NICs by speed. Costs are
 * NCCL's latencies of the Simple protocol (its tuning.cc): 8.4 us for a collective, 3.4
 * us for a step, 14 us between hosts; what a GPU copies and combines is an order of
 * magnitude only [inferred]. */
#ifndef TRNCCL_TOPO_NCCL_XML_H
#define TRNCCL_TOPO_NCCL_XML_H

#include "topo/model.h"

/* Reads text of nbytes, of at most 16 MiB and 24 levels; nothing else is opened, and
 * document types and entities are refused. `where` names the text in errors, nboxes hosts
 * of the kind are made. trncclInvalidArgument with line and reason. */
trncclResult_t topo_nccl_xml_parse(const char *where, const char *text, size_t nbytes,
                                   int32_t nboxes, struct topo_model **out);
/* The same from a file. trncclSystemError if it cannot be read. */
trncclResult_t topo_nccl_xml_load(const char *path, int32_t nboxes,
                                  struct topo_model **out);

#endif
