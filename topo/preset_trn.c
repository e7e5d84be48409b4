/* The rows. Sources:
 *
 *   SDK     aws-neuron-sdk,
 * about-neuron/arch/neuron-hardware/{trn1,inf2,trn2,trn3}-arch.rst and
 * trainium{,2,3}.rst; nki-dma-bandwidth-guide.rst; about/collectives.rst;
 *           neuron-runtime/explore/intranode-collective-comm.rst
 *   DRV     the Neuron driver's tables of connected devices and address maps, 2.25.4
 *   MAP     aws-neuron/connected-device-maps-over-efa-for-neuron, lookup/neuron/ *.json
 *   SA2/3   SemiAnalysis on Trainium2 (2024-12) and Trainium3 (2025-12)
 *   KILN    foxl-ai/kiln, measurements
 *   [I]     inferred here; the reason is given
 *
 * NeuronLink rates. AWS publishes sums of both directions. For Trn2 that is certain: SA2
 * counts 32 PCIe 5 lanes, 128 GB/s per direction, to each of four neighbours and 16
 * lanes, 64 GB/s, to each of two in other instances; doubled these are AWS's 1,024 + 256
 * GB/s. Trn1's 384 and Inf2's 192 GB/s are read in the same way [I]: 384 / 4 links / 2
 * = 48.
 *
 * Latency of a hop. Published is 1 to 2 us for a whole step of a ring between neighbours
 * (SDK intranode) and 1.3 us from a semaphore to the first byte of a DMA (SDK nki-dma).
 * So step_us is 1.3, a NeuronLink 0.2 and the way between core and chip 0: a step
 * takes 1.5 us [I: the middle of the range]. A switch is passed over two links of 0.2.
 *
 * A physical core has 16 DMA engines (SDK: 32 per chip of 2 cores, 128 per chip of 8),
 * each with 17, 23, 33 GB/s effective on Trn1, 2, 3 (SDK nki-dma). They are what moves a
 * core's bytes, so copy_gbps and core_gbps are 16 times that [I]. A sum reads two
 * operands for each byte of result: reduce_gbps is half of copy_gbps [I]. One pair of
 * Trn2 cores was measured at 96 to 104 GB/s (nccom sendrecv, one core per rank, 256 MiB);
 * that is one connection's software as well and was not taken; core_gbps overrides.
 *
 * launch_us 3, message_us 0.025 [I]: chosen so that the fastest published collective, an
 * all-gather of 1 KiB on 32 ranks in 6.16 us (SDK nccom-test), comes out for a mesh: 3
 * + 1.3
 * + 62 messages * 0.025 + 0.2 to 0.8 on the way.
 *
 * EFA. 15 us memory to memory is the smallest message on Trn2 (SDK about/collectives);
 * for Trn1, whose EFA takes 9 us for a packet where Trn2's takes 6.5 (SA2), 17.5 [I]; for
 * Trn3 Trn2's [I]. Nothing is published on cost per message and share of the rate that
 * data get: 0 and 1 [I]. A NIC's path to its chip is not slower than the NIC: 8 PCIe 5
 * lanes, 32 GB/s, on Trn2 (SA2), so the links have the NIC's rate. */
#include <stddef.h>

#include "topo/preset.h"

#define COSTS(copy, hbm)                                                                 \
    {                                                                                    \
        .step_us = 1.3, .message_us = 0.025, .launch_us = 3, .copy_gbps = (copy),        \
        .reduce_gbps = (copy) / 2.0, .memory_gbps = (hbm)                                \
    }

/* GB/s of a core's 16 DMA engines: see above. */
#define TRN1_CORE (16 * 17.0)
#define TRN2_CORE (16 * 23.0)
#define TRN3_CORE (16 * 33.0)

/* HBM: SDK arch pages, 820 GB/s, 2.9 TB/s, 4.9 TB/s. The NKI guide has 3.0 and 4.7 for
 * Trn2 and 3; the arch pages were taken, as they also give the sizes. */
#define TRN1_PARAMS(link, nic)                                                           \
    {                                                                                    \
        .lnc = 1, .neuronlink_gbps = (link), .neuronlink_latency_us = 0.2,               \
        .core_gbps = TRN1_CORE, .nic_gbps = (nic), .efa_latency_us = 17.5,               \
        .efa_efficiency = 1, .costs = COSTS(TRN1_CORE, 820)                              \
    }
#define TRN2_PARAMS                                                                      \
    {                                                                                    \
        .lnc = 2, .neuronlink_gbps = 128, .z_gbps = 64, .neuronlink_latency_us = 0.2,    \
        .core_gbps = TRN2_CORE, .nic_gbps = 25, .efa_latency_us = 15,                    \
        .efa_efficiency = 1, .costs = COSTS(TRN2_CORE, 2900)                             \
    }
#define TRN3_PARAMS(link, rack)                                                          \
    {                                                                                    \
        .lnc = 2, .neuronlink_gbps = (link), .z_gbps = 128, .rack_gbps = (rack),         \
        .neuronlink_latency_us = 0.2, .core_gbps = TRN3_CORE, .nic_gbps = 25,            \
        .efa_latency_us = 15, .efa_efficiency = 1, .costs = COSTS(TRN3_CORE, 4900)       \
    }

/* MAP: bus:device.function of the NICs, in order of the chips they serve; domain 0000. */
static const char *const trn1_nics[8] = {
    "10:1a.0", "a0:1a.0", "20:19.0", "90:19.0",
    "20:1a.0", "90:1a.0", "10:19.0", "a0:19.0",
};
static const char *const trn1n_nics[16] = {
    "10:17.0", "10:1a.0", "a0:17.0", "a0:1a.0", "20:19.0", "20:18.0",
    "90:19.0", "90:18.0", "20:17.0", "20:1a.0", "90:17.0", "90:1a.0",
    "10:19.0", "10:18.0", "a0:19.0", "a0:18.0",
};
static const char *const trn2_nics[16] = {
    "c9:00.0", "b4:00.0", "b3:00.0", "ca:00.0", "6c:00.0", "57:00.0",
    "56:00.0", "6d:00.0", "98:00.0", "83:00.0", "82:00.0", "99:00.0",
    "f5:00.0", "e0:00.0", "df:00.0", "f6:00.0",
};
static const char *const trn3_nics[16] = {
    "be:00.0", "a9:00.0", "a8:00.0", "bf:00.0", "61:00.0", "4c:00.0",
    "4b:00.0", "62:00.0", "8d:00.0", "78:00.0", "77:00.0", "8e:00.0",
    "ea:00.0", "d5:00.0", "d4:00.0", "eb:00.0",
};

/* [I] by analogy with p4d: PCI roots 10 and 20 are on node 0, 90 and a0 on node 1. */
static const int8_t trn1_numa[16] = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
/* SDK neuron-ls.rst: node 1 has devices 0 to 3 and 12 to 15. */
static const int8_t trn2_numa[16] = {1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};

#define TRN3_TAKEN                                                                       \
    "per chip AWS publishes 2,048 GiB/s (table), 2.56 TB/s (chip page) and levels of "   \
    "256, 320 and 128 GB/s that sum to 704; the levels were taken, as the only figures " \
    "that say where the bytes go, and read per direction: they are 4, 5 and 2 times 8 "  \
    "lanes of PCIe 6 at 64 GB/s [I]"

static const struct topo_preset presets[] = {
    {
        .name = "trn1.2xlarge",
        .about = "1 Trainium chip, 2 cores",
        .source = "SDK trn1-arch.rst; network up to 25 Gbps",
        .wiring = PRESET_CHAIN,
        .instances = 1,
        .chips = 1,
        .cores_per_chip = 2,
        .nics = 1,
        .hbm_gib = 32,
        .params = TRN1_PARAMS(48, 25 / 8.0),
    },
    {
        .name = "trn1.32xlarge",
        .alias = {"trn1"},
        .about = "16 Trainium chips on a 4x4 torus, 2 cores each, 8 EFA of 100 Gbps",
        .source = "SDK trn1-arch.rst, 384 GB/s per chip, 800 Gbps; DRV v2; MAP trn1",
        .taken = "384 GB/s per chip is read as both directions of four links [I]",
        .wiring = PRESET_TORUS,
        .instances = 1,
        .chips = 16,
        .cores_per_chip = 2,
        .ndims = 2,
        .dims = {4, 4},
        .nics = 8,
        .hbm_gib = 32,
        .nic_bdf = trn1_nics,
        .numa_of_chip = trn1_numa,
        .params = TRN1_PARAMS(48, 12.5),
    },
    {
        .name = "trn1n.32xlarge",
        .alias = {"trn1n"},
        .about = "as trn1.32xlarge, with 16 EFA of 100 Gbps",
        .source = "SDK trn1-arch.rst, 1,600 Gbps; DRV v2; MAP trn1n",
        .taken =
            "the table's 768 GB/s per chip does not fit four links that are wired as "
            "on trn1.32xlarge; its 384 was taken",
        .wiring = PRESET_TORUS,
        .instances = 1,
        .chips = 16,
        .cores_per_chip = 2,
        .ndims = 2,
        .dims = {4, 4},
        .nics = 16,
        .hbm_gib = 32,
        .nic_bdf = trn1n_nics,
        .numa_of_chip = trn1_numa,
        .params = TRN1_PARAMS(48, 12.5),
    },
    {
        .name = "inf2.24xlarge",
        .about = "6 Inferentia2 chips in a row, 2 cores each; one box only",
        .source = "DRV v2 (the chain); SDK inf2-arch.rst, 192 GB/s per chip of two links",
        .wiring = PRESET_CHAIN,
        .instances = 1,
        .chips = 6,
        .cores_per_chip = 2,
        .hbm_gib = 32,
        .params = TRN1_PARAMS(48, 0),
    },
    {
        .name = "inf2.48xlarge",
        .alias = {"inf2"},
        .about = "12 Inferentia2 chips on a ring, 2 cores each; one box only",
        .source = "SDK inf2-arch.rst and images/inf2-topology.png, 192 GB/s per chip",
        .wiring = PRESET_TORUS,
        .instances = 1,
        .chips = 12,
        .cores_per_chip = 2,
        .ndims = 1,
        .dims = {12},
        .hbm_gib = 32,
        .params = TRN1_PARAMS(48, 0),
    },
    {
        .name = "trn2.3xlarge",
        .about = "1 Trainium2 chip, 8 cores, 1 EFA of 200 Gbps",
        .source = "KILN; SDK trn2-arch.rst for the chip",
        .wiring = PRESET_CHAIN,
        .instances = 1,
        .chips = 1,
        .cores_per_chip = 8,
        .nics = 1,
        .hbm_gib = 96,
        .params = TRN2_PARAMS,
    },
    {
        .name = "trn2.48xlarge",
        .alias = {"trn2"},
        .about = "16 Trainium2 chips on a 4x4 torus, 8 cores each, 16 EFA of 200 Gbps",
        .source = "SDK trn2-arch.rst, 1,024 GB/s per chip, 3,200 Gbps; DRV v3; MAP trn2; "
                  "SDK neuron-ls.rst",
        .taken = "SA2 has up to 800 Gbps of EFA per chip; AWS's 200 was taken",
        .wiring = PRESET_TORUS,
        .instances = 1,
        .chips = 16,
        .cores_per_chip = 8,
        .ndims = 2,
        .dims = {4, 4},
        .nics = 16,
        .hbm_gib = 96,
        .nic_bdf = trn2_nics,
        .numa_of_chip = trn2_numa,
        .params = TRN2_PARAMS,
    },
    {
        .name = "trn2u.48xlarge",
        .alias = {"trn2u"},
        .about =
            "Trn2 UltraServer: 4 instances, 64 chips on a 4x4x4 torus, z at half rate",
        .source = "SDK trn2-arch.rst and images/u-trn2x64.png, 1,024 + 256 GB/s per chip",
        .taken = "64 EFA of 200 Gbps: AWS has 3,200 Gbps per instance [I]",
        .wiring = PRESET_TORUS,
        .instances = 4,
        .chips = 16,
        .cores_per_chip = 8,
        .ndims = 3,
        .dims = {4, 4, 4},
        .nics = 16,
        .hbm_gib = 96,
        .nic_bdf = trn2_nics,
        .numa_of_chip = trn2_numa,
        .params = TRN2_PARAMS,
    },
    {
        .name = "trn3-gen1",
        .alias = {"trn3u-gen1"},
        .about = "Trn3 UltraServer Gen1: 4 servers of 16 chips, 2 switches; provisional",
        .source =
            "SDK trn3-arch.rst and trn3-ultraserver-gen1.png; 12,800 Gbps; MAP trn3",
        .taken = "SA3 draws two planes of 8 switches per rack and links between tray "
                 "neighbours; AWS's figure was taken. Its rates are Gen2's: 256 + 320 to "
                 "the switch, 128 across [I]; " TRN3_TAKEN,
        .wiring = PRESET_TRN3_GEN1,
        .provisional = true,
        .instances = 4,
        .chips = 16,
        .cores_per_chip = 8,
        .nics = 16,
        .hbm_gib = 144,
        .nic_bdf = trn3_nics,
        .params = TRN3_PARAMS(576, 0),
    },
    {
        .name = "trn3-gen2",
        .alias = {"trn3u-gen2"},
        .about = "Trn3 UltraServer Gen2: 36 servers of 4 chips, 38 switches; provisional",
        .source = "SDK trn3-arch.rst and trn3-ultraserver-gen2.png; 28,800 Gbps",
        .taken =
            "a chip has its own lanes to the rack's switch, not through its server's "
            "[I from lanes per chip]; " TRN3_TAKEN,
        .wiring = PRESET_TRN3_GEN2,
        .provisional = true,
        .instances = 36,
        .chips = 4,
        .cores_per_chip = 8,
        .nics = 4,
        .hbm_gib = 144,
        .params = TRN3_PARAMS(256, 320),
    },
    {
        .name = "host",
        .about = "processors and memories of a host; cores= and numa= say how many",
        .source = "[I] all of it: orders of magnitude, to be replaced by calibration; "
                  "between sockets NCCL's 10 GB/s (its graph/topo.h)",
        .wiring = PRESET_HOST,
        .instances = 1,
        .nics = 1,
        .params =
            {
                .lnc = 1,
                .numa = 1,
                .core_gbps = 10,
                .core_latency_us = 0.1,
                .numa_gbps = 10,
                .nic_gbps = 25 / 8.0,
                .efa_latency_us = 30,
                .efa_efficiency = 1,
                .costs = {.step_us = 0.2,
                          .message_us = 0.1,
                          .launch_us = 0.5,
                          .copy_gbps = 8,
                          .reduce_gbps = 6,
                          .memory_gbps = 20},
            },
    },
};

const struct topo_preset *topo_preset_list(int32_t *n)
{
    *n = (int32_t)(sizeof presets / sizeof presets[0]);
    return presets;
}
