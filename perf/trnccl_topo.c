/* trnccl topo: list, show, save, diff, bound. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "perf/names.h"
#include "perf/trnccl_command.h"
#include "topo/flow_bound.h"
#include "topo/graph_of.h"
#include "topo/nccl_xml.h"
#include "topo/preset.h"
#include "topo/snapshot.h"
#include "topo/spec.h"

static int explain(trncclResult_t result)
{
    fprintf(stderr, TOOL_NAME ": %s\n", error_text());
    return result == trncclSystemError ? TOOL_EXIT_FAILED : TOOL_EXIT_REFUSED;
}

/* Whether the command got between `least` and `most` arguments; else says how it is used.
 */
static bool usage(int argc, char **argv, int least, int most, const char *arguments,
                  int *status)
{
    bool help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (!help && argc - 1 >= least && argc - 1 <= most)
        return true;
    fprintf(help ? stdout : stderr,
            "Usage: %s %s\n"
            "MACHINE is a string such as trn2u:4 (quote it if it has blanks), a machine\n"
            "file (.json) or a topology file of NCCL (.xml); `" TOOL_NAME
            " topo list` knows the names.\n",
            argv[0], arguments);
    *status = help ? TOOL_EXIT_OK : TOOL_EXIT_USAGE;
    return false;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static trncclResult_t machine_open(const char *text, struct topo_model **out)
{
    if (ends_in(text, ".json"))
        return topo_snapshot_load(text, out);
    if (ends_in(text, ".xml"))
        return topo_nccl_xml_load(text, 1, out);
    return topo_spec_parse(text, out);
}

/* ---- list ---- */

static int run_list(int argc, char **argv)
{
    int status;
    if (!usage(argc, argv, 0, 0, "", &status))
        return status;
    int32_t n;
    const struct topo_preset *presets = topo_preset_list(&n);
    printf("Machines: NAME[:COUNT] [SETTING=VALUE ...]\n");
    for (int32_t i = 0; i < n; i++)
        printf("  %-16s %-10s %s%s\n", presets[i].name,
               presets[i].alias[0] ? presets[i].alias[0] : "", presets[i].about,
               presets[i].provisional ? " (provisional)" : "");
    const struct topo_cluster *clusters = topo_cluster_list(&n);
    for (int32_t i = 0; i < n; i++)
        printf("  %-16s %-10s %s\n", clusters[i].name, "", clusters[i].about);
    const struct topo_param *params = topo_param_list(&n);
    printf("Settings:\n");
    for (int32_t i = 0; i < n; i++)
        printf("  %-22s %s\n", params[i].name, params[i].about);
    return TOOL_EXIT_OK;
}

/* ---- show ---- */

/* Links of one kind and rate, counted once for both directions. */
static void show_links(const struct topo_box *b)
{
    static const char *const kinds[TOPO_LINK_NKINDS] = {[TOPO_LINK_DIE] = "core to chip",
                                                        [TOPO_LINK_NEURON] = "NeuronLink",
                                                        [TOPO_LINK_PCI] = "PCI",
                                                        [TOPO_LINK_SHM] = "memory"};
    bool *told = calloc((size_t)b->nlinks + 1, sizeof *told);
    for (int32_t i = 0; told && i < b->nlinks; i++) {
        const struct topo_link *l = &b->links[i];
        int32_t n = 0;
        for (int32_t j = i; !told[i] && j < b->nlinks; j++) {
            const struct topo_link *o = &b->links[j];
            if (o->kind != l->kind || o->bw_gbps != l->bw_gbps ||
                o->latency_us != l->latency_us)
                continue;
            told[j] = j > i;
            n++;
        }
        if (n)
            printf("    %5d links, %s, one direction: %g GB/s, %g us\n", n,
                   kinds[l->kind], l->bw_gbps, l->latency_us);
    }
    free(told);
}

static void show_box(const struct topo_box *b, int32_t n)
{
    printf("  %d x %s%s: %d instance%s, %d chips, %d ranks, %d NICs", n, b->name,
           b->provisional ? " (provisional)" : "", b->ninstances,
           b->ninstances == 1 ? "" : "s", b->nchips, b->nseats, b->nnics);
    for (int32_t d = 0; d < b->ndims; d++)
        printf("%s%d", d ? "x" : ", torus ", b->dims[d]);
    printf("\n");
    show_links(b);
    if (b->nnics > 0)
        printf("    %5d NICs: %g GB/s\n", b->nnics, b->vertices[b->nics[0]].bw_gbps);
    const struct topo_costs *c = &b->costs;
    printf("    costs: step %g us, message %g us, launch %g us; a core copies %g and "
           "reduces %g GB/s; memory %g GB/s\n",
           c->step_us, c->message_us, c->launch_us, c->copy_gbps, c->reduce_gbps,
           c->memory_gbps);
    const struct topo_preset *p = topo_preset_find(b->name);
    if (p)
        printf("    source: %s%s%s\n", p->source, p->taken ? "; " : "",
               p->taken ? p->taken : "");
}

/* Whether no box before it is of its kind. */
static bool first_of_kind(const struct topo_model *m, int32_t box)
{
    int32_t j = 0;
    while (m->boxes[j] != m->boxes[box])
        j++;
    return j == box;
}

/* Calls fn for each kind of box with how many there are. */
static void each_kind(const struct topo_model *m,
                      void (*fn)(const struct topo_box *, int32_t))
{
    for (int32_t i = 0; i < m->nboxes; i++) {
        if (!first_of_kind(m, i))
            continue;
        int32_t n = 0;
        for (int32_t j = i; j < m->nboxes; j++)
            n += m->boxes[j] == m->boxes[i];
        fn(m->boxes[i], n);
    }
}

static int run_show(int argc, char **argv)
{
    int status;
    struct topo_model *m;
    if (!usage(argc, argv, 1, 1, "MACHINE", &status))
        return status;
    trncclResult_t result = machine_open(argv[1], &m);
    if (result != trncclSuccess)
        return explain(result);
    printf("%s: %d box%s, %d ranks; network: %g us, %g of a NIC's rate\n", m->name,
           m->nboxes, m->nboxes == 1 ? "" : "es", m->nranks, m->net.latency_us,
           m->net.efficiency);
    each_kind(m, show_box);
    topo_model_destroy(m);
    return TOOL_EXIT_OK;
}

/* ---- save, diff ---- */

static int run_save(int argc, char **argv)
{
    int status;
    struct topo_model *m;
    if (!usage(argc, argv, 1, 2, "MACHINE [FILE.json]", &status))
        return status;
    trncclResult_t result = machine_open(argv[1], &m);
    if (result != trncclSuccess)
        return explain(result);
    FILE *file = argc > 2 ? fopen(argv[2], "we") : stdout;
    if (!file) {
        fprintf(stderr, TOOL_NAME ": cannot write %s: %s\n", argv[2], strerror(errno));
        topo_model_destroy(m);
        return TOOL_EXIT_FAILED;
    }
    result = topo_snapshot_save(m, file);
    if (file != stdout && fclose(file) != 0 && result == trncclSuccess)
        result = error_set_errno(trncclSystemError, errno, "writing %s failed", argv[2]);
    topo_model_destroy(m);
    return result == trncclSuccess ? TOOL_EXIT_OK : explain(result);
}

/* As diff(1): 0 the same, 1 different. */
static int run_diff(int argc, char **argv)
{
    int status;
    struct topo_model *a, *b = NULL;
    if (!usage(argc, argv, 2, 2, "MACHINE MACHINE", &status))
        return status;
    trncclResult_t result = machine_open(argv[1], &a);
    if (result != trncclSuccess)
        return explain(result);
    int32_t ndiffs = 0;
    result = machine_open(argv[2], &b);
    if (result == trncclSuccess)
        result = topo_snapshot_diff(a, b, stdout, &ndiffs);
    topo_model_destroy(a);
    topo_model_destroy(b);
    if (result != trncclSuccess)
        return explain(result);
    return ndiffs ? TOOL_EXIT_REFUSED : TOOL_EXIT_OK;
}

/* ---- bound ---- */

/* The least times of one byte, in ns, over all kinds of box. */
struct bounds {
    double all_gather, reduce_scatter;
};

static trncclResult_t bound_box(const struct topo_model *m, const struct topo_box *box,
                                struct bounds *b)
{
    struct graph_of *g = NULL;
    struct flow_bound gather, scatter;
    if (m->nboxes == 1)
        TRY(graph_of_box(box, &g));
    else
        TRY(graph_of_box_in_cluster(box, m->nranks - box->nseats, m->net.efficiency, &g));
    trncclResult_t result = flow_allgather_bound(g->graph, g->weights, &gather, NULL);
    if (result == trncclSuccess)
        result = flow_reduce_scatter_bound(g->graph, g->weights, &scatter, NULL);
    if (result == trncclSuccess) {
        double out = flow_ratio_value(gather.time) / g->unit_gbps;
        double in = flow_ratio_value(scatter.time) / g->unit_gbps;
        b->all_gather = out > b->all_gather ? out : b->all_gather;
        b->reduce_scatter = in > b->reduce_scatter ? in : b->reduce_scatter;
    }
    graph_of_destroy(g);
    return result;
}

static trncclResult_t bound_model(const struct topo_model *m, struct bounds *b)
{
    for (int32_t i = 0; i < m->nboxes; i++)
        if (first_of_kind(m, i))
            TRY(bound_box(m, m->boxes[i], b));
    return trncclSuccess;
}

static int run_bound(int argc, char **argv)
{
    int status;
    size_t nbytes;
    struct topo_model *m;
    if (!usage(argc, argv, 2, 2, "MACHINE SIZE (with K, M, G: powers of 1024)", &status))
        return status;
    if (names_size_parse(argv[2], &nbytes) != NAMES_SIZE_GOOD || !nbytes) {
        fprintf(stderr, TOOL_NAME ": expected a size such as 1G, found \"%s\"\n",
                argv[2]);
        return TOOL_EXIT_USAGE;
    }
    struct bounds b = {0, 0};
    trncclResult_t result = machine_open(argv[1], &m);
    if (result != trncclSuccess)
        return explain(result);
    result = bound_model(m, &b);
    if (result == trncclSuccess) {
        const char *names[] = {"all_gather", "reduce_scatter", "all_reduce"};
        double ns[] = {b.all_gather, b.reduce_scatter, b.all_gather + b.reduce_scatter};
        printf("%s, %d ranks, %zu bytes in all: no schedule is faster than\n", m->name,
               m->nranks, nbytes);
        for (int i = 0; i < 3; i++)
            printf("  %-15s %12.2f us, %10.2f GB/s\n", names[i],
                   ns[i] * (double)nbytes / 1e3, 1 / ns[i]);
    }
    topo_model_destroy(m);
    return result == trncclSuccess ? TOOL_EXIT_OK : explain(result);
}

const struct tool_command tool_topo_commands[] = {
    {"list", "machines and settings known by name", run_list},
    {"show", "what a machine is made of, and the sources of its numbers", run_show},
    {"save", "write a machine file", run_save},
    {"diff", "compare two machines; exit 1 if they differ", run_diff},
    {"bound", "the least time of collectives, from cuts", run_bound},
    {0},
};
