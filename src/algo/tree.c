#include "algo/tree.h"

void tree_inorder(int32_t nranks, int32_t label, struct tree_node *node)
{
    int32_t bit = tree_reach(nranks, label); /* the level of the label, leaves are 1 */
    node->parent = node->child[0] = node->child[1] = -1;
    if (label == 0) {
        if (nranks > 1)
            node->child[1] = bit >> 1;
        return;
    }
    /* Towards the only neighbour one level up that is a multiple of twice that level;
     * past the end of the ranks, towards the other. */
    int32_t up = (label ^ bit) | (bit << 1);
    node->parent = up < nranks ? up : label ^ bit;
    if (bit == 1)
        return;
    node->child[0] = label - (bit >> 1);
    /* Labels past the end are missing: the topmost that exists takes their place. */
    for (int32_t step = bit >> 1; step > 0 && node->child[1] < 0; step >>= 1) {
        if (label + step < nranks)
            node->child[1] = label + step;
    }
}

/* Applies a renaming of labels to a node's neighbours: mirror ? base - label : label + 1
 * within the `count` labels that start at `first`. */
static int32_t renamed(int32_t label, int32_t first, int32_t count, int32_t mirror)
{
    if (label < first)
        return label; /* -1, or a root outside of the renamed labels */
    int32_t place = label - first;
    return first + (mirror ? count - 1 - place : (place + 1) % count);
}

/* Fills node for `label` in the in-order tree, or in its image under the renaming of the
 * labels [first, nranks). */
static void image(int32_t nranks, int32_t first, int32_t which, int32_t label,
                  struct tree_node *node)
{
    int32_t count = nranks - first, mirror = count % 2 == 0;
    if (which == 0 || label < first || count < 1) {
        tree_inorder(nranks, label, node);
    } else {
        int32_t place = label - first;
        int32_t from = mirror ? count - 1 - place : (place + count - 1) % count;
        tree_inorder(nranks, first + from, node);
    }
    if (which == 0)
        return;
    node->parent = renamed(node->parent, first, count, mirror);
    for (int i = 0; i < 2; i++)
        node->child[i] = renamed(node->child[i], first, count, mirror);
}

void tree_double(int32_t nranks, int32_t which, int32_t rank, struct tree_node *node)
{
    image(nranks, 0, which, rank, node);
}

void tree_double_rooted(int32_t nranks, int32_t root, int32_t which, int32_t rank,
                        struct tree_node *node)
{
    image(nranks, 1, which, tree_label(nranks, root, rank), node);
    node->parent = node->parent < 0 ? -1 : tree_rank(nranks, root, node->parent);
    for (int i = 0; i < 2; i++) {
        if (node->child[i] >= 0)
            node->child[i] = tree_rank(nranks, root, node->child[i]);
    }
}
