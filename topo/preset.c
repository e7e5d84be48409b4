#include "topo/preset.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

const struct topo_preset *topo_preset_find(const char *name)
{
    int32_t n;
    const struct topo_preset *list = topo_preset_list(&n);
    for (int32_t i = 0; i < n; i++) {
        if (strcasecmp(list[i].name, name) == 0)
            return &list[i];
        for (int a = 0; a < 2; a++)
            if (list[i].alias[a] != NULL && strcasecmp(list[i].alias[a], name) == 0)
                return &list[i];
    }
    return NULL;
}

void topo_preset_net(const struct topo_params *params, struct topo_net *out)
{
    *out = (struct topo_net){.latency_us = params->efa_latency_us,
                             .message_us = params->efa_message_us,
                             .efficiency = params->efa_efficiency};
}

/* ---- overriding by name ---- */

#define BIT(wiring) (1u << (wiring))
#define ALL 0xff
#define CHIPS (ALL & ~BIT(PRESET_HOST))
#define HOST BIT(PRESET_HOST)

#define INTEGER(field) .integer = true, .offset = offsetof(struct topo_params, field)
#define RATE(field)                                                                      \
    .offset = offsetof(struct topo_params, field), .most = 1e6, .zero_excluded = true
#define TIME(field) .offset = offsetof(struct topo_params, field), .most = 1e9

static const struct topo_param param_table[] = {
    {"lnc", "physical cores that make one rank", CHIPS, INTEGER(lnc), 1, 64, false},
    {"per_chip", "ranks on each chip, which share its cores", CHIPS, INTEGER(lnc), 1, 64,
     false},
    {"cores", "ranks of a host", HOST, INTEGER(cores), 1, 4096, false},
    {"numa", "NUMA nodes of a host", HOST, INTEGER(numa), 1, 256, false},
    {"neuronlink_gbps", "GB/s per direction between chips, or chip and nearest switch",
     CHIPS, RATE(neuronlink_gbps)},
    {"z_gbps", "GB/s per direction between instances",
     BIT(PRESET_TORUS) | BIT(PRESET_TRN3_GEN1) | BIT(PRESET_TRN3_GEN2), RATE(z_gbps)},
    {"rack_gbps", "GB/s per direction between a chip and the switch of its rack",
     BIT(PRESET_TRN3_GEN2), RATE(rack_gbps)},
    {"neuronlink_latency_us", "us along a NeuronLink", CHIPS,
     TIME(neuronlink_latency_us)},
    {"core_gbps", "GB/s per direction between a physical core and its chip (or memory)",
     ALL, RATE(core_gbps)},
    {"core_latency_us", "us between a core and its chip (or memory)", ALL,
     TIME(core_latency_us)},
    {"numa_gbps", "GB/s per direction between two NUMA nodes", HOST, RATE(numa_gbps)},
    {"nic_gbps", "GB/s per direction of a NIC", ALL, RATE(nic_gbps)},
    {"efa_latency_us", "us from memory to memory between boxes", ALL,
     TIME(efa_latency_us)},
    {"efa_message_us", "us per message between boxes", ALL, TIME(efa_message_us)},
    {"efa_efficiency", "share of a NIC's rate that data get", ALL,
     .offset = offsetof(struct topo_params, efa_efficiency), .most = 1,
     .zero_excluded = true},
    {"step_us", "us from inputs to the first byte", ALL, TIME(costs.step_us)},
    {"message_us", "us for each message sent or received", ALL, TIME(costs.message_us)},
    {"launch_us", "us for each collective", ALL, TIME(costs.launch_us)},
    {"copy_gbps", "GB/s at which a physical core copies", ALL, RATE(costs.copy_gbps)},
    {"reduce_gbps", "GB/s of result at which a physical core combines", ALL,
     RATE(costs.reduce_gbps)},
    {"memory_gbps", "GB/s of a chip's (or NUMA node's) memory, reads and writes", ALL,
     RATE(costs.memory_gbps)},
};

const struct topo_param *topo_param_list(int32_t *n)
{
    *n = (int32_t)(sizeof param_table / sizeof param_table[0]);
    return param_table;
}

const struct topo_param *topo_param_find(const char *name)
{
    for (size_t i = 0; i < sizeof param_table / sizeof param_table[0]; i++)
        if (strcmp(param_table[i].name, name) == 0)
            return &param_table[i];
    return NULL;
}

/* Whether a preset has what the setting is about. */
static bool param_applies(const struct topo_preset *preset,
                          const struct topo_param *param)
{
    if (!(param->wirings & BIT(preset->wiring)))
        return false;
    if (param->offset == offsetof(struct topo_params, z_gbps))
        return preset->instances > 1;
    if (preset->nics == 0)
        return strncmp(param->name, "nic_", 4) != 0 &&
               strncmp(param->name, "efa_", 4) != 0;
    return true;
}

trncclResult_t topo_param_set(const struct topo_preset *preset,
                              struct topo_params *params, const struct topo_param *param,
                              double value)
{
    if (!param_applies(preset, param))
        return error_set(trncclInvalidArgument, "%s has no %s", preset->name,
                         param->name);
    if (!isfinite(value) || value < param->least || value > param->most ||
        (param->zero_excluded && value == 0) || (param->integer && value != floor(value)))
        return error_set(trncclInvalidArgument, "%s is %g, expected %s%s%g to %g",
                         param->name, value, param->integer ? "an integer, " : "",
                         param->zero_excluded ? "above " : "", param->least, param->most);
    void *field = (char *)params + param->offset;
    if (!param->integer) {
        *(double *)field = value;
        return trncclSuccess;
    }
    int32_t number = (int32_t)value;
    if (strcmp(param->name, "per_chip") == 0 || strcmp(param->name, "lnc") == 0) {
        if (number > preset->cores_per_chip || preset->cores_per_chip % number != 0)
            return error_set(trncclInvalidArgument,
                             "%s is %d, expected a divisor of the %d cores of a chip",
                             param->name, (int)number, (int)preset->cores_per_chip);
        if (param->name[0] == 'p')
            number = preset->cores_per_chip / number;
    }
    *(int32_t *)field = number;
    return trncclSuccess;
}
