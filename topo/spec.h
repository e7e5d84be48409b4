/* Machines as strings:
 *
 *     NAME[:COUNT] [SETTING=VALUE ...] [DAMAGE=VALUE ...]
 *
 *     trn2                         one box of a preset (topo/preset.h)
 *     trn1.32xlarge:8 lnc=2        eight of them, one rank for two cores
 *     trn2u:4 z_gbps=128           four UltraServers with other links
 *     host:4 cores=2 numa=1        four hosts of two ranks
 *     rainier                      a cluster that has a name
 *     trn2 per_chip=1 dead_chip=5 dead_link=0-1,8-12 slow_link=4-5:0.5 no_nic=3
 *     trn2:4 box=2 ranks=0-11,20   only in the third box, only these ranks
 *
 * Settings are those of topo_param_list and hold for all boxes. Damage (topo/damage.h)
 * holds for all boxes too, or, after box=N, for that one, until box=all or another N.
 * Lists have commas, ranges a hyphen; ends of a link are chips, or switches written s0,
 * s1. All numbers begin with 0 and are those of the whole box. */
#ifndef TRNCCL_TOPO_SPEC_H
#define TRNCCL_TOPO_SPEC_H

#include "topo/model.h"

/* A cluster with a name of its own. */
struct topo_cluster {
    const char *name;
    const char *preset;
    int32_t nboxes;
    const char *about; /* how it is made up */
};

const struct topo_cluster *topo_cluster_list(int32_t *n);

/* Makes the model that a string describes. `host` without cores= has as many ranks as
 * this process may use processors, on one NUMA node: discovery knows more. Returns
 * trncclInvalidArgument with the column (from 1), the reason and, for names, the nearest
 * one. The work is bounded by the text and by the model it asks for. */
trncclResult_t topo_spec_parse(const char *text, struct topo_model **out);

#endif
