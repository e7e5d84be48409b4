#include "algo/algo.h"

/* One line per algorithm, sorted by collective: algo_<collective>_<name>, defined in that
 * algorithm's file as `const struct algo algo_<collective>_<name> = {...};`. */
/* clang-format off */
#define ALGO_LIST(X) \
    X(all_gather_bruck) \
    X(all_gather_chip_mesh) \
    X(all_gather_cycles) \
    X(all_gather_direct) \
    X(all_gather_hierarchical) \
    X(all_gather_kangaring) \
    X(all_gather_packed_trees) \
    X(all_gather_pat) \
    X(all_gather_recursive_doubling) \
    X(all_gather_ring) \
    X(all_gather_rotated_halving) \
    X(all_gather_swing) \
    X(all_reduce_bucket) \
    X(all_reduce_chip_mesh) \
    X(all_reduce_cycles) \
    X(all_reduce_double_tree) \
    X(all_reduce_halving_doubling) \
    X(all_reduce_hierarchical) \
    X(all_reduce_kangaring) \
    X(all_reduce_one_shot) \
    X(all_reduce_packed_trees) \
    X(all_reduce_recursive_doubling) \
    X(all_reduce_recursive_multiplying) \
    X(all_reduce_ring) \
    X(all_reduce_rotated_doubling) \
    X(all_reduce_rotated_halving) \
    X(all_reduce_swing) \
    X(all_reduce_two_shot) \
    X(all_reduce_two_shot_dual) \
    X(all_to_all_bruck) \
    X(all_to_all_chip_mesh) \
    X(all_to_all_direct) \
    X(all_to_all_hierarchical) \
    X(barrier_dissemination) \
    X(broadcast_binomial) \
    X(broadcast_chain) \
    X(broadcast_double_tree) \
    X(broadcast_packed_trees) \
    X(broadcast_scatter_allgather) \
    X(gather_binomial) \
    X(gather_direct) \
    X(permute_direct) \
    X(reduce_binomial) \
    X(reduce_chain) \
    X(reduce_double_tree) \
    X(reduce_packed_trees) \
    X(reduce_scatter_gather) /* scatter_gather of reduce */ \
    X(reduce_scatter_bruck) \
    X(reduce_scatter_chip_mesh) \
    X(reduce_scatter_cycles) \
    X(reduce_scatter_direct) \
    X(reduce_scatter_hierarchical) \
    X(reduce_scatter_kangaring) \
    X(reduce_scatter_packed_trees) \
    X(reduce_scatter_pat) \
    X(reduce_scatter_recursive_halving) \
    X(reduce_scatter_ring) \
    X(reduce_scatter_rotated_halving) \
    X(reduce_scatter_swing) \
    X(scatter_binomial) \
    X(scatter_direct)
/* clang-format on */

#define DECLARE(name) extern const struct algo algo_##name;
ALGO_LIST(DECLARE)

#define ADDRESS(name) &algo_##name,
const struct algo *const algo_list[] = {ALGO_LIST(ADDRESS) NULL};
