/* What is broken, or left out, in a box: chips, links, NICs, ranks. All numbers are those
 * of the whole box. */
#ifndef TRNCCL_TOPO_DAMAGE_H
#define TRNCCL_TOPO_DAMAGE_H

#include "topo/model.h"

/* One end of a link: chip or switch number `index`. */
struct topo_end {
    enum topo_kind kind; /* TOPO_CHIP, TOPO_SWITCH or TOPO_MEMORY */
    int32_t index;
};

struct topo_damage_link {
    struct topo_end a, b;
    double factor; /* of the rate in both directions; 0: dead */
};

struct topo_range {
    int32_t first, last;
};

/* Zero-initialised: nothing is damaged. The arrays are owned. */
struct topo_damage {
    int32_t ndead, nlinks, nno_nics, nkept;
    struct topo_range *dead;        /* chips */
    struct topo_damage_link *links; /* */
    struct topo_range *no_nics;     /* NICs */
    struct topo_range *kept;        /* seats that stay, if there are any: else all */
};

void topo_damage_fini(struct topo_damage *d);
/* Adders; trncclSystemError without memory. Checked when applied. */
trncclResult_t topo_damage_chips(struct topo_damage *d, int32_t first, int32_t last);
trncclResult_t topo_damage_link(struct topo_damage *d, struct topo_end a,
                                struct topo_end b, double factor);
trncclResult_t topo_damage_nics(struct topo_damage *d, int32_t first, int32_t last);
trncclResult_t topo_damage_keep(struct topo_damage *d, int32_t first, int32_t last);
/* Adds all of `from`. */
trncclResult_t topo_damage_merge(struct topo_damage *d, const struct topo_damage *from);
bool topo_damage_none(const struct topo_damage *d);

/* The box with the damage; names stay, numbers close up. A chip's cores and seats go with
 * it, and so does a NIC that nothing else is linked with. Seats without a NIC turn to the
 * nearest that is left, among equally near ones to that with the fewest seats. Where
 * chips or links between them are affected the box is no torus any more.
 * trncclInvalidArgument if there is no such part, no seat is left, or seats cannot reach
 * each other any more. *out is counted. */
trncclResult_t topo_damage_apply(const struct topo_box *box, const struct topo_damage *d,
                                 const struct topo_box **out);

#endif
