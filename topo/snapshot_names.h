/* Words that machine files use for kinds; in the order of the enums. */
#ifndef TRNCCL_TOPO_SNAPSHOT_NAMES_H
#define TRNCCL_TOPO_SNAPSHOT_NAMES_H

#define SNAPSHOT_FORMAT "trnccl machine 1"

static const char *const snapshot_kinds[] = {"core", "chip", "switch", "nic", "memory"};
static const char *const snapshot_link_kinds[] = {"die", "neuron", "pci", "shm"};

#endif
