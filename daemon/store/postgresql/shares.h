// Which partitions a member of the cluster should claim or give up next. Pure: the caller reads who takes part and who
// holds what, and takes and frees the locks. Every member computes this for itself, and nobody coordinates them. When
// they see the same, no two of them want the same partition; when they do not, the lock decides.
//
//   fair      a member's share is the number of partitions divided by that of members, rounded down or up
//   minimal   nobody gives up more than what exceeds its share, so a member that joins causes as many moves as its
//             share is large, and one that leaves or dies as many as it held
//   decided   which free partition goes to whom is rendezvous hashing among those with room: the member whose token
//             and the partition give the highest hash
//
// Plain rendezvous hashing moves as little, but with 100 members some would have nine of 256 partitions and others
// none. Bounding its loads, as is usual, makes more move than has to when a bound changes. Hence it decides here only
// about what is free, and who holds a partition keeps it while that is fair.
//
// Give up what exceeds the share as soon as nothing is under way for it. Claim only what is free: leave a member out of
// the view, as soon as its session is known to be lost, or what it held counts as held.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/partition.h"

namespace outboxd::postgresql {

struct MemberView {
  std::string token;
  PartitionSet held;
  bool leaving = false;  // it keeps what it holds until it gives that up, but has no share any more
};

struct ShareChange {
  std::vector<Partition> claim;    // free ones, in this order
  std::vector<Partition> give_up;  // held ones, in this order
  bool operator==(const ShareChange&) const = default;
};

// `members` in any order, each token once. Nothing if `self` is not among them. At least one of the lists is empty.
// Costs one hash per member for every free partition.
ShareChange next_share_change(std::string_view self, std::span<const MemberView> members);

}  // namespace outboxd::postgresql
