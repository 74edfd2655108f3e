#include "store/postgresql/shares.h"

#include <algorithm>
#include <cstdint>

namespace outboxd::postgresql {
namespace {

// Daemons of different versions must agree on these two, so they never change. FNV-1a of the token, and the finaliser
// of SplitMix64, because FNV's high bits depend little on a token's last bytes.
std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 30;
  value *= 0xBF58476D1CE4E5B9u;
  value ^= value >> 27;
  value *= 0x94D049BB133111EBu;
  return value ^ (value >> 31);
}
std::uint64_t hash_of(std::string_view token) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char byte : token) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001B3u;
  }
  return mix(hash);
}
std::uint64_t score(std::uint64_t token_hash, Partition partition) {
  return mix(token_hash + 0x9E3779B97F4A7C15u * (static_cast<std::uint64_t>(partition) + 1));
}

struct Member {
  const MemberView* view;
  std::uint64_t hash;
  int held;
  int share = 0;

  int room() const { return share - held; }
};

// Ordered by token, so that all members see the same whatever order they read.
std::vector<Member> in_order(std::span<const MemberView> views) {
  std::vector<Member> members;
  members.reserve(views.size());
  for (const MemberView& view : views) {
    members.push_back({&view, hash_of(view.token), static_cast<int>(view.held.count())});
  }
  std::ranges::sort(members, {}, [](const Member& member) { return std::string_view(member.view->token); });
  return members;
}

void divide(std::vector<Member>& members) {
  std::vector<Member*> staying;
  staying.reserve(members.size());
  for (Member& member : members) {
    if (!member.view->leaving) staying.push_back(&member);
  }
  if (staying.empty()) return;
  const int count = static_cast<int>(staying.size());
  const int least = kPartitions / count;
  // Those who get one more: first who has more already, as each of these saves a move.
  std::ranges::sort(staying, [least](const Member* a, const Member* b) {
    if ((a->held > least) != (b->held > least)) return a->held > least;
    return a->hash != b->hash ? a->hash > b->hash : a->view->token < b->view->token;
  });
  const int one_more = kPartitions % count;
  for (int i = 0; i < count; ++i) staying[i]->share = least + (i < one_more ? 1 : 0);
}

// The highest hash among those with room; null if nobody has any.
Member* claimant(std::vector<Member>& members, Partition partition) {
  Member* best = nullptr;
  for (Member& member : members) {
    if (member.room() <= 0) continue;
    if (!best || score(member.hash, partition) > score(best->hash, partition)) best = &member;
  }
  return best;
}

std::vector<Partition> claims(std::vector<Member>& members, const MemberView& self) {
  PartitionSet held;
  for (const Member& member : members) held |= member.view->held;
  std::vector<Partition> claimed;
  for (Partition partition = 0; partition < kPartitions; ++partition) {
    if (held.test(partition)) continue;
    Member* const member = claimant(members, partition);
    if (!member) break;
    ++member->held;
    if (member->view == &self) claimed.push_back(partition);
  }
  return claimed;
}

// The partitions that rendezvous hashing would give to this member last.
std::vector<Partition> surplus(const Member& self) {
  std::vector<Partition> held;
  held.reserve(self.view->held.count());
  for (Partition partition = 0; partition < kPartitions; ++partition) {
    if (self.view->held.test(partition)) held.push_back(partition);
  }
  std::ranges::sort(held, {}, [&self](Partition partition) { return score(self.hash, partition); });
  held.resize(-self.room());
  return held;
}

}  // namespace

ShareChange next_share_change(std::string_view self, std::span<const MemberView> views) {
  std::vector<Member> members = in_order(views);
  divide(members);
  const auto found =
      std::ranges::find(members, self, [](const Member& m) { return std::string_view(m.view->token); });
  if (found == members.end()) return {};
  if (found->room() < 0) return {.claim = {}, .give_up = surplus(*found)};
  return {.claim = claims(members, *found->view), .give_up = {}};
}

}  // namespace outboxd::postgresql
