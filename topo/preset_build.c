/* From the row of a preset and its numbers to a box. */
#include "topo/preset.h"

#include <sched.h>
#include <stdio.h>

enum { MAX_CHIPS = 256, MAX_NUMA = 256 };

struct build {
    const struct topo_preset *preset;
    const struct topo_params *params;
    struct topo_builder *b;
    int32_t nchips;
    int32_t chips[MAX_CHIPS]; /* vertices */
};

static void join(struct build *p, int32_t a, int32_t c, int dim, double bw_gbps)
{
    topo_add_link(p->b, a, c, TOPO_LINK_NEURON, dim, 1, bw_gbps,
                  p->params->neuronlink_latency_us);
}

static void wire_chain(struct build *p)
{
    for (int32_t i = 0; i + 1 < p->nchips; i++)
        join(p, p->chips[i], p->chips[i + 1], -1, p->params->neuronlink_gbps);
}

/* The last dimension joins instances where there are several. */
static void wire_torus(struct build *p)
{
    const struct topo_preset *preset = p->preset;
    int32_t stride = 1;
    for (int d = 0; d < preset->ndims; d++) {
        bool across = preset->instances > 1 && d == preset->ndims - 1;
        int32_t size = preset->dims[d];
        for (int32_t i = 0; i < p->nchips; i++) {
            int32_t x = i / stride % size;
            join(p, p->chips[i], p->chips[i + ((x + 1) % size - x) * stride], d,
                 across ? p->params->z_gbps : p->params->neuronlink_gbps);
        }
        stride *= size;
    }
    topo_set_torus(p->b, preset->ndims, preset->dims);
}

/* Switch A joins servers 0 and 1, switch B 2 and 3; chip i of 0 - 2 and of 1 - 3. */
static void wire_trn3_gen1(struct build *p)
{
    int32_t half = p->nchips / 2;
    for (int s = 0; s < 2; s++) {
        int32_t node = topo_add_vertex(p->b, TOPO_SWITCH, 2 * s, -1, -1);
        for (int32_t i = 0; i < half; i++)
            join(p, p->chips[s * half + i], node, -1, p->params->neuronlink_gbps);
    }
    for (int32_t i = 0; i < half; i++)
        join(p, p->chips[i], p->chips[half + i], -1, p->params->z_gbps);
}

/* A switch joins the chips of a server, another those of the half of the servers that is
 * in one rack; chip i of server s - chip i of server s + 18. */
static void wire_trn3_gen2(struct build *p)
{
    int32_t half = p->nchips / 2, each = p->preset->chips;
    for (int32_t s = 0; s < p->preset->instances; s++) {
        int32_t node = topo_add_vertex(p->b, TOPO_SWITCH, s, -1, -1);
        for (int32_t i = 0; i < each; i++)
            join(p, p->chips[s * each + i], node, -1, p->params->neuronlink_gbps);
    }
    for (int rack = 0; rack < 2; rack++) {
        int32_t node =
            topo_add_vertex(p->b, TOPO_SWITCH, rack * p->preset->instances / 2, -1, -1);
        for (int32_t i = 0; i < half; i++)
            join(p, p->chips[rack * half + i], node, -1, p->params->rack_gbps);
    }
    for (int32_t i = 0; i < half; i++)
        join(p, p->chips[i], p->chips[half + i], -1, p->params->z_gbps);
}

static int32_t numa_of(const struct topo_preset *preset, int32_t chip)
{
    return preset->numa_of_chip == NULL ? -1 : preset->numa_of_chip[chip];
}

/* The NICs of one instance; nic_of[chip] is filled for its chips. */
static void add_nics(struct build *p, int32_t instance, int32_t *nic_of)
{
    const struct topo_preset *preset = p->preset;
    for (int32_t c = 0; c < preset->chips; c++)
        nic_of[c] = -1;
    for (int32_t n = 0; n < preset->nics; n++) {
        int32_t each = preset->chips / preset->nics, first = n * each;
        const int32_t *chips = p->chips + instance * preset->chips;
        int32_t nic = topo_add_vertex(p->b, TOPO_NIC, instance, numa_of(preset, first),
                                      chips[first]);
        for (int32_t c = first; c < first + each; c++) {
            topo_add_link(p->b, chips[c], nic, TOPO_LINK_PCI, -1, 0, p->params->nic_gbps,
                          0);
            nic_of[c] = nic;
        }
        topo_set_nic_rate(p->b, nic, p->params->nic_gbps);
        if (preset->nic_bdf != NULL) {
            char name[sizeof((struct topo_vertex *)0)->name];
            snprintf(name, sizeof name, "nic %d %s", (int)(instance * preset->nics + n),
                     preset->nic_bdf[n]);
            topo_set_name(p->b, nic, name);
        }
    }
}

/* Cores as ranks see them, lnc physical ones each. */
static void add_cores(struct build *p)
{
    const struct topo_preset *preset = p->preset;
    int32_t per_chip = preset->cores_per_chip / p->params->lnc;
    int32_t nic_of[MAX_CHIPS];
    for (int32_t i = 0; i < preset->instances; i++) {
        add_nics(p, i, nic_of);
        for (int32_t c = 0; c < preset->chips; c++) {
            int32_t chip = p->chips[i * preset->chips + c];
            for (int32_t k = 0; k < per_chip; k++) {
                int32_t core =
                    topo_add_vertex(p->b, TOPO_CORE, i, numa_of(preset, c), chip);
                topo_add_link(p->b, core, chip, TOPO_LINK_DIE, -1, 0,
                              p->params->lnc * p->params->core_gbps,
                              p->params->core_latency_us);
                topo_add_seat(p->b, core, nic_of[c]);
            }
        }
    }
}

static void build_chips(struct build *p)
{
    const struct topo_preset *preset = p->preset;
    for (int32_t i = 0; i < preset->instances; i++)
        for (int32_t c = 0; c < preset->chips; c++)
            p->chips[p->nchips++] =
                topo_add_vertex(p->b, TOPO_CHIP, i, numa_of(preset, c), -1);
    static void (*const wire[])(struct build *) = {
        [PRESET_TORUS] = wire_torus,
        [PRESET_CHAIN] = wire_chain,
        [PRESET_TRN3_GEN1] = wire_trn3_gen1,
        [PRESET_TRN3_GEN2] = wire_trn3_gen2,
    };
    wire[preset->wiring](p);
    add_cores(p);
}

static int32_t usable_processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}

/* Cores are dealt out to the NUMA nodes in blocks; the nodes are all linked with each
 * other; the NIC is on node 0. */
static void build_host(struct build *p)
{
    const struct topo_params *params = p->params;
    int32_t memories[MAX_NUMA];
    int32_t ncores = params->cores > 0 ? params->cores : usable_processors();
    for (int32_t m = 0; m < params->numa; m++) {
        memories[m] = topo_add_vertex(p->b, TOPO_MEMORY, 0, m, -1);
        for (int32_t other = 0; other < m; other++)
            topo_add_link(p->b, memories[other], memories[m], TOPO_LINK_SHM, -1, 0,
                          params->numa_gbps, params->core_latency_us);
    }
    int32_t nic = topo_add_vertex(p->b, TOPO_NIC, 0, 0, memories[0]);
    topo_add_link(p->b, memories[0], nic, TOPO_LINK_PCI, -1, 0, params->nic_gbps, 0);
    for (int32_t c = 0; c < ncores; c++) {
        int32_t m = (int32_t)((int64_t)c * params->numa / ncores);
        int32_t core = topo_add_vertex(p->b, TOPO_CORE, 0, m, memories[m]);
        topo_add_link(p->b, core, memories[m], TOPO_LINK_SHM, -1, 0, params->core_gbps,
                      params->core_latency_us);
        topo_add_seat(p->b, core, nic);
    }
}

trncclResult_t topo_preset_build(const struct topo_preset *preset,
                                 const struct topo_params *params,
                                 const struct topo_box **out)
{
    bool host = preset->wiring == PRESET_HOST;
    if (host && (params->cores < 0 || params->numa < 1 || params->numa > MAX_NUMA))
        return error_set(trncclInvalidArgument,
                         "%s of %d cores and %d NUMA nodes, expected at least 0 and 1 to "
                         "%d",
                         preset->name, (int)params->cores, (int)params->numa, MAX_NUMA);
    if (!host && (params->lnc < 1 || preset->cores_per_chip % params->lnc != 0))
        return error_set(trncclInvalidArgument,
                         "%s with lnc %d, expected a divisor of the %d cores of a chip",
                         preset->name, (int)params->lnc, (int)preset->cores_per_chip);
    struct build p = {.preset = preset, .params = params};
    TRY(topo_builder_create(preset->name, &p.b));
    struct topo_costs costs = params->costs;
    costs.copy_gbps *= host ? 1 : params->lnc;
    costs.reduce_gbps *= host ? 1 : params->lnc;
    topo_set_costs(p.b, &costs);
    if (preset->provisional)
        topo_set_provisional(p.b);
    if (host)
        build_host(&p);
    else
        build_chips(&p);
    trncclResult_t result = topo_box_finish(p.b, out);
    topo_builder_destroy(p.b);
    return result;
}
