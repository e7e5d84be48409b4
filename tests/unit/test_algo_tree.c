/* Tree geometry: every family, every size up to 130 ranks, every root up to 20 ranks, is
 * a tree of the promised depth; pairs of trees share the work; and the checker itself
 * notices a broken tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "algo/tree.h"

enum { MAX_RANKS = 130 };

/* The neighbours of every rank of one tree. */
struct forest {
    int32_t nranks, root;
    struct tree_node node[MAX_RANKS];
};

static int32_t log2_ceil(int32_t n)
{
    int32_t bits = 0;
    while ((1 << bits) < n)
        bits++;
    return bits;
}

static int32_t children(const struct tree_node *node)
{
    return (node->child[0] >= 0) + (node->child[1] >= 0);
}

/* NULL if f is one tree under f->root that is at most ceil(log2 n) deep, else what is
 * wrong with it. */
static const char *fault_of(const struct forest *f)
{
    int32_t nlinks = 0;
    for (int32_t r = 0; r < f->nranks; r++) {
        const struct tree_node *node = &f->node[r];
        if ((node->parent < 0) != (r == f->root))
            return "only the root has no parent";
        for (int i = 0; i < 2; i++) {
            int32_t child = node->child[i];
            if (child >= f->nranks)
                return "a child is out of range";
            if (child >= 0 && f->node[child].parent != r)
                return "a child names another parent";
            nlinks += child >= 0;
        }
        if (node->child[0] >= 0 && node->child[0] == node->child[1])
            return "one child twice";
        int32_t depth = 0, up = r;
        while (up != f->root && up >= 0 && depth <= f->nranks) {
            up = f->node[up].parent;
            depth++;
        }
        if (up != f->root || depth > log2_ceil(f->nranks))
            return "too deep, or not connected";
    }
    return nlinks == f->nranks - 1 ? NULL : "a rank is nobody's child";
}

static struct forest inorder(int32_t nranks)
{
    struct forest f = {.nranks = nranks, .root = 0};
    for (int32_t r = 0; r < nranks; r++)
        tree_inorder(nranks, r, &f.node[r]);
    return f;
}

static struct forest dual(int32_t nranks, int32_t which)
{
    struct forest f = {.nranks = nranks};
    for (int32_t r = 0; r < nranks; r++)
        tree_double(nranks, which, r, &f.node[r]);
    f.root = which == 0 ? 0 : nranks % 2 == 0 ? nranks - 1 : 1 % nranks;
    return f;
}

static struct forest rooted(int32_t nranks, int32_t root, int32_t which)
{
    struct forest f = {.nranks = nranks, .root = root};
    for (int32_t r = 0; r < nranks; r++)
        tree_double_rooted(nranks, root, which, r, &f.node[r]);
    return f;
}

static void assert_sound(const struct forest *f)
{
    const char *fault = fault_of(f);
    if (fault)
        fail_msg("%d ranks, root %d: %s", f->nranks, f->root, fault);
}

static void inorder_every_size_is_a_tree_with_odd_leaves(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= MAX_RANKS; n++) {
        struct forest f = inorder(n);
        assert_sound(&f);
        for (int32_t r = 1; r < n; r += 2)
            assert_int_equal(children(&f.node[r]), 0);
    }
}

static void inorder_fourteen_ranks_is_nccls_drawing(void **state)
{
    (void)state;
    static const int32_t parents[14] = {-1, 2, 4, 2, 8, 6, 4, 6, 0, 10, 12, 10, 8, 12};
    struct forest f = inorder(14);
    for (int32_t r = 0; r < 14; r++)
        assert_int_equal(f.node[r].parent, parents[r]);
}

static void double_every_size_shares_the_inner_nodes(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= MAX_RANKS; n++) {
        struct forest a = dual(n, 0), b = dual(n, 1);
        assert_sound(&a);
        assert_sound(&b);
        for (int32_t r = 0; r < n; r++) {
            int32_t ca = children(&a.node[r]), cb = children(&b.node[r]);
            assert_true(ca + cb <= 2);
        }
    }
}

static void double_rooted_every_root_leaves_each_rank_a_leaf_once(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= MAX_RANKS; n++) {
        int32_t step = n <= 20 ? 1 : n / 7;
        for (int32_t root = 0; root < n; root += step) {
            struct forest a = rooted(n, root, 0), b = rooted(n, root, 1);
            assert_sound(&a);
            assert_sound(&b);
            for (int32_t r = 0; r < n; r++) {
                int32_t ca = children(&a.node[r]), cb = children(&b.node[r]);
                if (r == root)
                    assert_true(ca <= 1 && cb <= 1);
                else
                    assert_true(ca == 0 || cb == 0);
            }
        }
    }
}

static void binomial_every_size_covers_runs_of_labels(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= MAX_RANKS; n++) {
        assert_int_equal(tree_size(n, 0), n);
        for (int32_t v = 0; v < n; v++) {
            /* The children's runs fill the label's own run, in order. */
            int32_t next = v + 1;
            for (int32_t d = 1; d < tree_reach(n, v) && v + d < n; d <<= 1) {
                assert_int_equal(tree_parent(v + d), v);
                assert_int_equal(v + d, next);
                next += tree_size(n, v + d);
            }
            assert_int_equal(next, v + tree_size(n, v));
        }
    }
}

static void label_every_root_is_undone_by_rank(void **state)
{
    (void)state;
    for (int32_t n = 1; n <= 20; n++) {
        for (int32_t root = 0; root < n; root++) {
            assert_int_equal(tree_label(n, root, root), 0);
            for (int32_t r = 0; r < n; r++)
                assert_int_equal(tree_rank(n, root, tree_label(n, root, r)), r);
        }
    }
}

/* The suite can fail: every single wrong link is noticed. */
static void checker_planted_wrong_links_are_noticed(void **state)
{
    (void)state;
    for (int32_t n = 2; n <= 33; n++) {
        struct forest good = rooted(n, n / 3, 1);
        for (int32_t r = 0; r < n; r++) {
            for (int32_t other = -1; other < n; other++) {
                struct forest bad = good;
                bad.node[r].parent = other;
                if (other != good.node[r].parent)
                    assert_non_null(fault_of(&bad));
                bad = good;
                bad.node[r].child[0] = other;
                if (other != good.node[r].child[0])
                    assert_non_null(fault_of(&bad));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inorder_every_size_is_a_tree_with_odd_leaves),
        cmocka_unit_test(inorder_fourteen_ranks_is_nccls_drawing),
        cmocka_unit_test(double_every_size_shares_the_inner_nodes),
        cmocka_unit_test(double_rooted_every_root_leaves_each_rank_a_leaf_once),
        cmocka_unit_test(binomial_every_size_covers_runs_of_labels),
        cmocka_unit_test(label_every_root_is_undone_by_rank),
        cmocka_unit_test(checker_planted_wrong_links_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
