#include "algo/torus.h"

#include "algo/ranks.h"

static int32_t scale_of(const struct sched_graph *g, int32_t dim)
{
    int32_t scale = 1;
    for (int32_t k = 0; k < dim; k++)
        scale *= g->dims[k];
    return scale;
}

int32_t torus_coordinate(const struct sched_graph *g, int32_t chip, int32_t dim)
{
    return chip / scale_of(g, dim) % g->dims[dim];
}

int32_t torus_move(const struct sched_graph *g, int32_t chip, int32_t dim, int32_t step)
{
    int32_t at = torus_coordinate(g, chip, dim);
    return chip +
           (ranks_mod(at + step % g->dims[dim], g->dims[dim]) - at) * scale_of(g, dim);
}

int32_t torus_nchips(const struct sched_graph *g)
{
    if (!g || g->ndims < 1 || g->ndims > SCHED_MAX_DIMS || g->per_chip < 1 ||
        g->group_size != g->nranks)
        return 0;
    int64_t n = 1;
    for (int32_t k = 0; k < g->ndims; k++) {
        if (g->dims[k] < 1 || n > SCHED_MAX_RANKS)
            return 0;
        n *= g->dims[k];
    }
    return n * g->per_chip == g->nranks ? (int32_t)n : 0;
}

/* Lays out the bits: those of the fastest dimensions in order, the others spread evenly
 * among them, so that each follows a fast one. */
static void order_bits(struct torus_cube *c)
{
    const struct sched_graph *g = c->graph;
    int32_t most = 0, nfast = 0, nslow = 0;
    for (int32_t k = 0; k < g->ndims; k++)
        most = g->rates[k] > most ? g->rates[k] : most;
    int8_t slow[TORUS_MAX_BITS][2], fast[TORUS_MAX_BITS][2];
    for (int8_t k = 0; k < g->ndims; k++)
        for (int8_t bit = 0; 1 << bit < g->dims[k]; bit++) {
            bool is_fast = g->rates[k] == most;
            int8_t *at = is_fast ? fast[nfast++] : slow[nslow++];
            at[0] = k;
            at[1] = bit;
        }
    c->nbits = 0;
    for (int32_t i = 0, placed = 0; i < nfast; i++) {
        c->bits[c->nbits].dim = fast[i][0];
        c->bits[c->nbits++].bit = fast[i][1];
        for (; placed < nslow && (placed + 1) * nfast <= (i + 1) * nslow; placed++) {
            c->bits[c->nbits].dim = slow[placed][0];
            c->bits[c->nbits++].bit = slow[placed][1];
        }
    }
}

static int32_t common_divisor(int32_t a, int32_t b)
{
    while (b) {
        int32_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static bool rates_equal(const struct sched_graph *g)
{
    for (int32_t k = 1; k < g->ndims; k++)
        if (g->rates[k] != g->rates[0])
            return false;
    return true;
}

/* Parts of one weight. Where several planes share the torus, each takes its share of the
 * starts: as few parts as give every bit the same number of them. */
static void parts_even(struct torus_cube *c)
{
    const struct sched_graph *g = c->graph;
    int32_t nplanes = g->nplanes > 1 ? g->nplanes : 1;
    c->nparts = c->nbits / common_divisor(c->nbits, nplanes);
    for (int32_t j = 0; j < c->nparts; j++) {
        c->starts[j] = (g->plane * c->nparts + j) % c->nbits;
        c->weights[j] = 1;
    }
    c->weight = c->nparts;
}

static const char *parts_weighted(struct torus_cube *c)
{
    int32_t d = c->nbits, divisor = 0;
    c->nparts = c->weight = 0;
    for (int32_t p = 0; p < d; p++) {
        int32_t mine = c->graph->rates[c->bits[p].dim];
        int32_t before = c->graph->rates[c->bits[(p + d - 1) % d].dim];
        if (2 * mine < before)
            return "needs links of which the slow ones have half the rate or more";
        if (2 * mine == before)
            continue;
        c->starts[c->nparts] = p;
        c->weights[c->nparts++] = 2 * mine - before;
        divisor = common_divisor(2 * mine - before, divisor);
    }
    for (int32_t j = 0; j < c->nparts; j++)
        c->weight += c->weights[j] /= divisor;
    return c->weight > 64 ? "needs links whose rates are in small proportions" : NULL;
}

const char *torus_cube_init(const struct sched_graph *g, bool even,
                            struct torus_cube *cube)
{
    static const char *const no =
        "needs a torus of one group of ranks, one per chip, with "
        "2 or 4 chips in every dimension";
    int32_t nchips = torus_nchips(g);
    if (nchips < 2 || g->per_chip != 1)
        return no;
    for (int32_t k = 0; k < g->ndims; k++)
        if ((g->dims[k] != 2 && g->dims[k] != 4) || g->rates[k] < 1 || g->rates[k] > 1024)
            return no;
    cube->graph = g;
    order_bits(cube);
    if (!even && !rates_equal(g))
        return parts_weighted(cube);
    parts_even(cube);
    return NULL;
}

/* Gray code and its inverse are the same map on two bits. */
static int32_t gray(int32_t x)
{
    return x ^ (x >> 1);
}

int32_t torus_bit(const struct torus_cube *cube, int32_t chip, int32_t p)
{
    return gray(torus_coordinate(cube->graph, chip, cube->bits[p].dim)) >>
               cube->bits[p].bit &
           1;
}

int32_t torus_flip(const struct torus_cube *cube, int32_t chip, int32_t p)
{
    int32_t dim = cube->bits[p].dim, at = torus_coordinate(cube->graph, chip, dim);
    int32_t to = gray(gray(at) ^ 1 << cube->bits[p].bit);
    return torus_move(cube->graph, chip, dim, to - at);
}
