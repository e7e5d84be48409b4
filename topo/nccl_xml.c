#include "topo/nccl_xml.h"

#include <libxml/tree.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "topo/file.h"
#include "topo/number.h"
#include "topo/xml_doc.h"

enum {
    MAX_NBYTES = 16 << 20,
    MAX_DEPTH = 24,
    MAX_CPUS = 64,
    MAX_GPUS = 1024,
    MAX_NICS = 1024,
    MAX_NVLINKS = 65536,
    BUSID_BYTES = 24
};

#define PCI_GBPS                                                                         \
    12.0              /* NCCL graph/topo.h: PCI_BW, also taken for a NIC without speed   \
                       */
#define CPU_GBPS 10.0 /* NCCL graph/topo.h: between sockets (SKL_QPI_BW) */

struct gpu {
    int32_t chip, core, rank;
    double nvlink_gbps; /* of one NVLink */
    char busid[BUSID_BYTES];
};

struct nvlink {
    int32_t gpu, count, line;
    bool to_switch;
    char target[BUSID_BYTES];
};

struct import {
    const char *where;
    struct topo_builder *b;
    int32_t ncpus, ngpus, nnics, nnvlinks;
    int32_t cpus[MAX_CPUS];
    struct gpu gpus[MAX_GPUS];
    int32_t nics[MAX_NICS];
    struct nvlink *nvlinks;    /* [MAX_NVLINKS] */
    int32_t nparents, *parent; /* of each vertex: what it hangs on; -1: nothing */
};

/* ---- elements and attributes ---- */

__attribute__((format(printf, 3, 4), cold)) static trncclResult_t
refuse(const struct import *im, long line, const char *format, ...)
{
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return error_set(trncclInvalidArgument, "%.200s:%ld: %s", im->where, line, reason);
}

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static bool has_inside(const xmlNode *node, const char *name)
{
    for (const xmlNode *child = node->children; child != NULL; child = child->next)
        if (is_element(child, name))
            return true;
    return false;
}

/* The value of an attribute, borrowed from the document: a single text, as there are no
 * entities; NULL if it is missing, "" if it is empty. */
static const char *attribute(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a != NULL; a = a->next)
        if (strcmp((const char *)a->name, name) == 0)
            return a->children != NULL && a->children->content != NULL
                       ? (const char *)a->children->content
                       : "";
    return NULL;
}

/* A count within limits; `missing` if it is not there, which is an error if that is -1.
 */
static trncclResult_t get_count(const struct import *im, xmlNode *node, const char *name,
                                int32_t most, int32_t missing, int32_t *out)
{
    const char *text = attribute(node, name), *end;
    int32_t value;
    if (text == NULL && missing >= 0) {
        *out = missing;
        return trncclSuccess;
    }
    if (text == NULL || !topo_count_parse(text, &end, &value) || *end != '\0' ||
        value > most)
        return refuse(im, xmlGetLineNo(node), "%s of <%s> is '%.40s', expected 0 to %d",
                      name, (const char *)node->name, text == NULL ? "missing" : text,
                      (int)most);
    *out = value;
    return trncclSuccess;
}

static trncclResult_t get_busid(const struct import *im, xmlNode *node, const char *name,
                                char out[BUSID_BYTES])
{
    const char *text = attribute(node, name);
    if (text == NULL || text[0] == '\0' || strlen(text) >= BUSID_BYTES ||
        strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
        return refuse(im, xmlGetLineNo(node),
                      "%s of <%s> is '%.40s', expected a PCI address as in 0000:10:1c.0",
                      name, (const char *)node->name, text == NULL ? "missing" : text);
    snprintf(out, BUSID_BYTES, "%s", text);
    return trncclSuccess;
}

/* GB/s of link_speed ("16.0 GT/s PCIe") times link_width: 128 of 130 bits are data from 8
 * GT/s up, 8 of 10 below. */
static double pci_gbps(const xmlNode *node)
{
    const char *speed = attribute(node, "link_speed"),
               *width = attribute(node, "link_width");
    const char *end;
    double rate;
    int32_t lanes;
    if (speed == NULL || width == NULL || !topo_number_parse(speed, &end, &rate) ||
        !topo_count_parse(width, &end, &lanes) || rate <= 0 || rate > 1000 || lanes < 1 ||
        lanes > 64)
        return PCI_GBPS;
    return rate * lanes / 8 * (rate >= 8 ? 128.0 / 130 : 0.8);
}

/* ---- vertices ---- */

/* Adds a vertex that hangs on `parent` (-1: on nothing) by a link of that rate. */
static trncclResult_t hang(struct import *im, enum topo_kind kind, int32_t numa,
                           int32_t parent, double gbps, int32_t *out)
{
    int32_t owner = kind == TOPO_CORE ? parent : -1;
    int32_t v = topo_add_vertex(im->b, kind, 0, numa, owner);
    int32_t *larger = reallocarray(im->parent, (size_t)im->nparents + 1, sizeof *larger);
    if (larger == NULL || v < 0) {
        im->parent = larger == NULL ? im->parent : larger;
        return error_set(trncclSystemError, "%.200s: no memory", im->where);
    }
    im->parent = larger;
    im->parent[im->nparents++] = parent;
    if (parent >= 0)
        topo_add_link(im->b, v, parent, kind == TOPO_CORE ? TOPO_LINK_DIE : TOPO_LINK_PCI,
                      -1, 0, gbps, 0);
    *out = v;
    return trncclSuccess;
}

/* NCCL graph/topo.h: ncclTopoNVLinkBw by compute capability. */
static double nvlink_gbps(int32_t sm)
{
    return sm >= 100 ? 40.1 : sm >= 90 ? 20.6 : sm == 86 ? 12 : sm >= 70 ? 20 : 18;
}

static trncclResult_t read_nvlink(struct import *im, xmlNode *node, int32_t gpu)
{
    const char *class = attribute(node, "tclass");
    if (im->nnvlinks == MAX_NVLINKS)
        return refuse(im, xmlGetLineNo(node), "more than %d <nvlink>", MAX_NVLINKS);
    struct nvlink *link = &im->nvlinks[im->nnvlinks];
    *link = (struct nvlink){.gpu = gpu,
                            .line = (int32_t)xmlGetLineNo(node),
                            .to_switch = class != NULL && strcmp(class, "0x068000") == 0};
    TRY(get_count(im, node, "count", 1000, -1, &link->count));
    if (class != NULL && strcmp(class, "0x068001") == 0)
        return trncclSuccess; /* to a POWER CPU: its PCI way stands for it */
    TRY(get_busid(im, node, "target", link->target));
    im->nnvlinks += link->count > 0;
    return trncclSuccess;
}

static trncclResult_t read_gpu(struct import *im, xmlNode *node, int32_t numa,
                               int32_t parent, double gbps)
{
    int32_t sm;
    if (im->ngpus == MAX_GPUS)
        return refuse(im, xmlGetLineNo(node), "more than %d <gpu>", MAX_GPUS);
    struct gpu *gpu = &im->gpus[im->ngpus];
    if (!is_element(node->parent, "pci"))
        return refuse(im, xmlGetLineNo(node), "a <gpu> outside of <pci>");
    TRY(get_busid(im, node->parent, "busid", gpu->busid));
    for (int32_t i = 0; i < im->ngpus; i++)
        if (strcasecmp(im->gpus[i].busid, gpu->busid) == 0)
            return refuse(im, xmlGetLineNo(node), "a second <gpu> at %s", gpu->busid);
    TRY(get_count(im, node, "sm", 1000, 80, &sm));
    TRY(get_count(im, node, "rank", 1 << 20, im->ngpus, &gpu->rank));
    gpu->nvlink_gbps = nvlink_gbps(sm);
    TRY(hang(im, TOPO_CHIP, numa, parent, gbps, &gpu->chip));
    TRY(hang(im, TOPO_CORE, numa, gpu->chip, 1000, &gpu->core));
    int32_t self = im->ngpus++;
    for (xmlNode *child = node->children; child != NULL; child = child->next)
        if (is_element(child, "nvlink"))
            TRY(read_nvlink(im, child, self));
    return trncclSuccess;
}

static trncclResult_t read_nic(struct import *im, xmlNode *node, int32_t numa,
                               int32_t parent, double gbps)
{
    for (xmlNode *net = node->children; net != NULL; net = net->next) {
        int32_t speed;
        if (!is_element(net, "net"))
            continue;
        if (im->nnics == MAX_NICS)
            return refuse(im, xmlGetLineNo(net), "more than %d <net>", MAX_NICS);
        TRY(get_count(im, net, "speed", 100000000, 0, &speed)); /* Mbit/s */
        double rate = speed > 0 ? speed / 8000.0 : PCI_GBPS;
        int32_t *nic = &im->nics[im->nnics];
        TRY(hang(im, TOPO_NIC, numa, parent, gbps > 0 ? gbps : rate, nic));
        topo_set_nic_rate(im->b, *nic, rate);
        im->nnics++;
    }
    return trncclSuccess;
}

/* What is inside a cpu or pci element. The depth is bounded, so recursion is. */
static trncclResult_t read_inside(struct import *im, xmlNode *node, int32_t numa,
                                  int32_t parent, double gbps, int depth)
{
    if (depth > MAX_DEPTH)
        return refuse(im, xmlGetLineNo(node), "elements more than %d deep", MAX_DEPTH);
    for (xmlNode *child = node->children; child != NULL; child = child->next) {
        if (is_element(child, "gpu"))
            TRY(read_gpu(im, child, numa, parent, gbps));
        else if (is_element(child, "nic"))
            TRY(read_nic(im, child, numa, parent, gbps));
        else if (is_element(child, "pci")) {
            double rate = pci_gbps(child);
            int32_t inner = parent;
            if (has_inside(child, "pci")) {
                TRY(hang(im, TOPO_SWITCH, numa, parent, rate, &inner));
            }
            TRY(read_inside(im, child, numa, inner, rate, depth + 1));
        }
    }
    return trncclSuccess;
}

static trncclResult_t read_cpu(struct import *im, xmlNode *node)
{
    int32_t numa;
    if (im->ncpus == MAX_CPUS)
        return refuse(im, xmlGetLineNo(node), "more than %d <cpu>", MAX_CPUS);
    const char *text = attribute(node, "numaid");
    if (text != NULL && strcmp(text, "-1") == 0)
        numa = -1;
    else
        TRY(get_count(im, node, "numaid", INT16_MAX, im->ncpus, &numa));
    int32_t *cpu = &im->cpus[im->ncpus];
    TRY(hang(im, TOPO_MEMORY, numa, -1, 0, cpu));
    for (int32_t i = 0; i < im->ncpus; i++)
        topo_add_link(im->b, im->cpus[i], *cpu, TOPO_LINK_SHM, -1, 0, CPU_GBPS, 0);
    im->ncpus++;
    return read_inside(im, node, numa, *cpu, 0, 2);
}

/* ---- NVLinks and seats ---- */

static int32_t gpu_at(const struct import *im, const char *busid)
{
    for (int32_t i = 0; i < im->ngpus; i++)
        if (strcasecmp(im->gpus[i].busid, busid) == 0)
            return i;
    return -1;
}

static trncclResult_t join_gpus(struct import *im)
{
    int32_t node = -1, counts[MAX_GPUS] = {0};
    for (int32_t i = 0; i < im->nnvlinks; i++) {
        const struct nvlink *link = &im->nvlinks[i];
        const struct gpu *gpu = &im->gpus[link->gpu];
        if (link->to_switch) {
            counts[link->gpu] += link->count;
            continue;
        }
        int32_t target = gpu_at(im, link->target);
        if (target < 0 || target == link->gpu)
            return refuse(im, link->line, "<nvlink> to %s, expected another <gpu>",
                          link->target);
        topo_add_link_oneway(im->b, gpu->chip, im->gpus[target].chip, TOPO_LINK_NEURON,
                             -1, 0, link->count * gpu->nvlink_gbps, 0);
    }
    for (int32_t g = 0; g < im->ngpus; g++) {
        if (counts[g] == 0)
            continue;
        if (node < 0) {
            TRY(hang(im, TOPO_SWITCH, -1, -1, 0, &node));
            topo_set_name(im->b, node, "nvswitch");
        }
        topo_add_link(im->b, im->gpus[g].chip, node, TOPO_LINK_NEURON, -1, 0,
                      counts[g] * im->gpus[g].nvlink_gbps, 0);
    }
    return trncclSuccess;
}

static int32_t depth_of(const struct import *im, int32_t v)
{
    int32_t depth = 0;
    while ((v = im->parent[v]) >= 0)
        depth++;
    return depth;
}

/* Steps in the PCI tree; from one CPU to another is one more. */
static int32_t pci_distance(const struct import *im, int32_t a, int32_t b)
{
    int32_t da = depth_of(im, a), db = depth_of(im, b), n = 0;
    for (; a != b; n++) {
        if (da == 0 && db == 0)
            return n + 1;
        if (da >= db) {
            a = im->parent[a];
            da--;
        } else {
            b = im->parent[b];
            db--;
        }
    }
    return n;
}

static int gpu_compare(const void *p, const void *q)
{
    const struct gpu *a = p, *b = q;
    return a->rank != b->rank ? (a->rank < b->rank ? -1 : 1) : a->chip - b->chip;
}

static void seat_gpus(struct import *im)
{
    int32_t served[MAX_NICS] = {0};
    qsort(im->gpus, (size_t)im->ngpus, sizeof *im->gpus, gpu_compare);
    for (int32_t g = 0; g < im->ngpus; g++) {
        int32_t best = -1, nearest = INT32_MAX;
        for (int32_t n = 0; n < im->nnics; n++) {
            int32_t distance = pci_distance(im, im->gpus[g].chip, im->nics[n]);
            if (distance < nearest || (distance == nearest && served[n] < served[best])) {
                best = n;
                nearest = distance;
            }
        }
        topo_add_seat(im->b, im->gpus[g].core, best < 0 ? -1 : im->nics[best]);
        if (best >= 0)
            served[best]++;
    }
}

/* ---- the whole ---- */

static trncclResult_t read_system(struct import *im, xmlNode *root,
                                  const struct topo_box **out)
{
    static const struct topo_costs costs = {.step_us = 3.4,
                                            .launch_us = 8.4,
                                            .copy_gbps = 500,
                                            .reduce_gbps = 300,
                                            .memory_gbps = 2000};
    if (root == NULL || !is_element(root, "system"))
        return refuse(im, root == NULL ? 1 : xmlGetLineNo(root), "expected <system>");
    topo_set_costs(im->b, &costs);
    for (xmlNode *child = root->children; child != NULL; child = child->next)
        if (is_element(child, "cpu"))
            TRY(read_cpu(im, child));
    if (im->ngpus == 0)
        return refuse(im, xmlGetLineNo(root), "no <gpu> inside of <cpu> and <pci>");
    TRY(join_gpus(im));
    seat_gpus(im);
    trncclResult_t result = topo_box_finish(im->b, out);
    return result == trncclInvalidArgument
               ? refuse(im, xmlGetLineNo(root), "%.400s", error_text())
               : result;
}

static trncclResult_t import_document(const char *where, xmlDoc *doc,
                                      const struct topo_box **out)
{
    struct import *im = calloc(1, sizeof *im);
    if (im != NULL)
        im->nvlinks = calloc(MAX_NVLINKS, sizeof *im->nvlinks);
    trncclResult_t result = im == NULL || im->nvlinks == NULL
                                ? error_set(trncclSystemError, "%.200s: no memory", where)
                                : topo_builder_create("nccl", &im->b);
    if (result == trncclSuccess) {
        im->where = where;
        result = read_system(im, xmlDocGetRootElement(doc), out);
    }
    if (im != NULL) {
        topo_builder_destroy(im->b);
        free(im->nvlinks);
        free(im->parent);
    }
    free(im);
    return result;
}

trncclResult_t topo_nccl_xml_parse(const char *where, const char *text, size_t nbytes,
                                   int32_t nboxes, struct topo_model **out)
{
    xmlDoc *doc;
    const struct topo_box *box;
    const struct topo_net net = {.latency_us = 14, .efficiency = 1};
    if (nbytes > MAX_NBYTES || nboxes < 1 || nboxes > 1 << 20)
        return error_set(
            trncclInvalidArgument,
            "%.200s: %zu bytes for %d hosts, expected at most %d for 1 to %d", where,
            nbytes, (int)nboxes, MAX_NBYTES, 1 << 20);
    TRY(xml_doc_parse(where, text, nbytes, &doc));
    trncclResult_t result = import_document(where, doc, &box);
    xmlFreeDoc(doc);
    if (result != trncclSuccess)
        return result;
    const struct topo_box **boxes = calloc((size_t)nboxes, sizeof *boxes);
    for (int32_t i = 0; boxes != NULL && i < nboxes; i++)
        boxes[i] = box;
    result = boxes == NULL ? error_set(trncclSystemError, "%.200s: no memory", where)
                           : topo_model_create("nccl", boxes, nboxes, &net, out);
    free(boxes);
    topo_box_put(box);
    return result;
}

trncclResult_t topo_nccl_xml_load(const char *path, int32_t nboxes,
                                  struct topo_model **out)
{
    char *text = NULL;
    size_t nbytes = 0;
    TRY(topo_file_read(path, MAX_NBYTES, &text, &nbytes));
    trncclResult_t result = topo_nccl_xml_parse(path, text, nbytes, nboxes, out);
    free(text);
    return result;
}
