// Members who all see the same view of each other, until nobody wants a change.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "store/postgresql/shares.h"

namespace outboxd::postgresql {

// How many partitions have to change hands, or be taken, until all shares are fair.
inline int least_moves(const std::vector<MemberView>& views) {
  const int count = static_cast<int>(views.size());
  std::vector<int> held;
  held.reserve(views.size());
  int free = kPartitions;
  for (const MemberView& view : views) {
    held.push_back(static_cast<int>(view.held.count()));
    free -= held.back();
  }
  std::ranges::sort(held, std::greater<>());
  int moves = free;
  for (int i = 0; i < count; ++i) {
    const int share = kPartitions / count + (i < kPartitions % count ? 1 : 0);
    moves += std::max(0, held[i] - share);
  }
  return moves;
}

inline bool owned_by_one_each(const std::vector<MemberView>& views) {
  PartitionSet all;
  for (const MemberView& view : views) {
    if ((all & view.held).any()) return false;
    all |= view.held;
  }
  return all.all();
}

// Lets each do what it should, in turn, until nobody has anything to do; returns how many partitions were claimed.
inline int settle(std::vector<MemberView>& views) {
  int moves = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (MemberView& view : views) {
      const ShareChange change = next_share_change(view.token, views);
      for (const Partition partition : change.give_up) view.held.reset(partition);
      for (const Partition partition : change.claim) view.held.set(partition);
      moves += static_cast<int>(change.claim.size());
      changed = changed || change != ShareChange{};
    }
  }
  return moves;
}

}  // namespace outboxd::postgresql
