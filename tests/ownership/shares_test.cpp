#include "store/postgresql/shares.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>

#include "ownership/shared_view.h"

using namespace outboxd;
using namespace outboxd::postgresql;

namespace {

using Views = std::vector<MemberView>;

Views joined(int count) {
  Views views;
  views.reserve(count);
  for (int i = 0; i < count; ++i) views.push_back({"member-" + std::to_string(i), {}, false});
  return views;
}
Views settled(int count) {
  Views views = joined(count);
  settle(views);
  return views;
}

}  // namespace

TEST_CASE("a member that is alone claims everything") {
  const Views views = joined(1);
  const ShareChange change = next_share_change(views[0].token, views);
  CHECK(change.claim.size() == kPartitions);
  CHECK(change.give_up.empty());
}

TEST_CASE("who is not a member claims nothing and gives up nothing") {
  CHECK(next_share_change("stranger", joined(3)) == ShareChange{});
  CHECK(next_share_change("stranger", {}) == ShareChange{});
}

TEST_CASE("members who see the same claim each partition once") {
  const Views views = joined(7);
  PartitionSet claimed;
  std::size_t claims = 0;
  for (const MemberView& view : views) {
    const ShareChange change = next_share_change(view.token, views);
    for (const Partition partition : change.claim) claimed.set(partition);
    claims += change.claim.size();
  }
  CHECK(claimed.all());
  CHECK(claims == kPartitions);
}

TEST_CASE("the order in which members are read does not matter") {
  Views views = settled(9);
  views[4].held.reset();
  const ShareChange before = next_share_change("member-4", views);
  std::ranges::reverse(views);
  CHECK(next_share_change("member-4", views) == before);
  CHECK(before.claim.size() >= 28);
}

TEST_CASE("shares differ by one at most, for every number of members") {
  for (const int count : {1, 2, 3, 5, 17, 100, 128, 200, 255, 256, 257, 300}) {
    CAPTURE(count);
    const Views views = settled(count);
    const auto [least, most] =
        std::ranges::minmax(views, {}, [](const MemberView& v) { return v.held.count(); });
    CHECK(most.held.count() - least.held.count() <= 1);
    CHECK(owned_by_one_each(views));
  }
}

TEST_CASE("one who joins causes as many moves as its share is large") {
  for (const int count : {1, 2, 3, 10, 37, 64, 100}) {
    CAPTURE(count);
    Views views = settled(count);
    views.push_back({"newcomer", {}, false});
    const int moves = settle(views);
    CHECK(moves == static_cast<int>(views.back().held.count()));
    CHECK(moves <= kPartitions / (count + 1) + 1);
  }
}

TEST_CASE("one who dies causes as many moves as it held") {
  for (const int count : {2, 3, 10, 37, 64, 100}) {
    CAPTURE(count);
    Views views = settled(count);
    const int held = static_cast<int>(views.back().held.count());
    views.pop_back();
    CHECK(settle(views) == held);
  }
}

TEST_CASE("one who leaves gives up all, keeps it until then, and is given nothing") {
  Views views = settled(4);
  views[2].leaving = true;
  CHECK(next_share_change("member-2", views).give_up.size() == views[2].held.count());
  CHECK(next_share_change("member-1", views) == ShareChange{});  // nothing is free yet
  CHECK(settle(views) == 64);
  CHECK(views[2].held.none());
}

TEST_CASE("when all leave, nobody claims") {
  Views views = settled(2);
  for (MemberView& view : views) view.leaving = true;
  CHECK(next_share_change("member-0", views).give_up.size() == 128);
  settle(views);
  CHECK(next_share_change("member-0", views) == ShareChange{});
}

TEST_CASE("nobody gives up what nobody else has room for") {
  Views views = settled(3);  // 86, 85, 85
  for (const MemberView& view : views) CHECK(next_share_change(view.token, views) == ShareChange{});
}

TEST_CASE("what a free partition goes to is the same in every version") {
  // Values of this implementation: other values mean that daemons of two versions contend for partitions.
  Views views = joined(3);
  std::string firsts;
  for (const MemberView& view : views) {
    const std::vector<Partition> claim = next_share_change(view.token, views).claim;
    for (std::size_t i = 0; i < 4; ++i) firsts += std::to_string(claim[i]) + ' ';
  }
  CHECK(firsts == "2 5 10 11 0 1 3 7 4 6 8 17 ");
}

TEST_CASE("from any state all members come to fair shares, and move nothing that need not move") {
  CHECK(rc::check([] {
    Views views = joined(*rc::gen::inRange(1, 40));
    for (Partition partition = 0; partition < kPartitions; ++partition) {
      const auto owner = *rc::gen::inRange<std::size_t>(0, views.size() + 1);
      if (owner < views.size()) views[owner].held.set(partition);
    }
    const int needed = least_moves(views);
    RC_ASSERT(settle(views) == needed);
    RC_ASSERT(owned_by_one_each(views));
    RC_ASSERT(least_moves(views) == 0);
  }));
}
