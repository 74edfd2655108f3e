// Event types that were seen: each event is counted once, whether CountTypes has come to it or not. (On a server that has
// other transactions under way it may come to an event only when it is called again.)
#include <chrono>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

using Counts = std::vector<std::pair<std::string, std::int64_t>>;  // "tenant/type", events

struct Types : Fixture {
  EventSeq accept_of(const std::string& type, const std::string& tenant = "", Time at = kNow) {
    NewEvent event = new_event({}, type);
    event.event->tenant = tenant;
    event.event->created_at = at;
    ManualClock clock(at);
    UuidGenerator generator(clock);
    event.event->id = EventId{generator.next()};
    return accept_one(std::move(event));
  }
  Counts counts(const std::optional<std::string>& tenant = std::nullopt, int per_page = 2) {
    Counts all;
    Page page{per_page, ""};
    for (int pages = 0; pages < 100; ++pages) {
      const auto rows = reader->event_types({tenant}, page);
      REQUIRE(rows);
      CHECK(rows->rows.size() <= static_cast<std::size_t>(per_page));
      for (const EventTypeRow& row : rows->rows) all.emplace_back(row.tenant + "/" + row.type, row.events);
      if (!rows->next) return all;
      page.after = *rows->next;
    }
    FAIL("a list without an end");
    return all;
  }
};

const Counts kAll = {{"/order.paid", 2}, {"/order.sent", 1}, {"acme/order.paid", 1}, {"acme/user.made", 3}};

}  // namespace

TEST_CASE_FIXTURE(Types, "types are listed by tenant and type, the same before and after they are counted") {
  accept_of("order.sent");
  accept_of("user.made", "acme");
  accept_of("order.paid");
  accept_of("user.made", "acme");
  CHECK_FALSE(apply(CountTypes{})->more);
  accept_of("order.paid", "acme");
  accept_of("order.paid");
  accept_of("user.made", "acme");
  CHECK(counts() == kAll);
  CHECK(counts({}, 100) == kAll);
  CHECK(counts("acme") == Counts{{"acme/order.paid", 1}, {"acme/user.made", 3}});
  CHECK(counts("nobody").empty());
  CHECK_FALSE(apply(CountTypes{})->more);
  CHECK(counts() == kAll);
  CHECK(counts("acme") == Counts{{"acme/order.paid", 1}, {"acme/user.made", 3}});
  reopen();
  CHECK(counts() == kAll);
}

TEST_CASE_FIXTURE(Types,
                  "a step counts a bounded number, the next one goes on, and a repeat counts nothing twice") {
  for (int i = 0; i < 5; ++i) accept_of("order.paid");
  CHECK(apply(CountTypes{.limit = 2})->more);
  CHECK(apply(CountTypes{.limit = 2})->more);
  CHECK_FALSE(apply(CountTypes{.limit = 2})->more);
  CHECK_FALSE(apply(CountTypes{.limit = 2}, true)->more);
  CHECK(counts() == Counts{{"/order.paid", 5}});
}

TEST_CASE_FIXTURE(Types, "the last time is that of the newest event, whatever the order") {
  const Time later = kNow + std::chrono::hours(1);
  accept_of("order.paid", "", later);
  accept_of("order.paid", "", kNow);
  CHECK(reader->event_types({}, {10, ""})->rows.at(0).last_at == later);
  apply(CountTypes{});
  CHECK(reader->event_types({}, {10, ""})->rows.at(0).last_at == later);
}

TEST_CASE_FIXTURE(Types, "what retention deletes was counted before, and duplicates are not events") {
  REQUIRE(accept({with_key(new_event(), "k", 'a')}));
  CHECK(accept({with_key(new_event(), "k", 'a')})->events.at(0).duplicate);
  for (int i = 0; i < 2; ++i) accept_of("order.paid");
  const Time later = kNow + kDay * 40;
  const auto pruned =
      apply(Prune{.delivered_before = later, .dead_before = later, .at = later, .limit = 256});
  CHECK(pruned->events == 3);
  CHECK(reader->status().events == 0);
  CHECK(counts() == Counts{{"/order.paid", 3}});
}

TEST_CASE_FIXTURE(Types, "retention keeps what it has not counted yet for its next step") {
  std::vector<NewEvent> events;
  events.reserve(900);
  for (int i = 0; i < 900; ++i) events.push_back(new_event());
  accept(std::move(events));
  const Time later = kNow + kDay * 40;
  std::int64_t deleted = 0;
  std::optional<DeliveryKey> after = DeliveryKey{};
  while (after) {
    const auto pruned = apply(
        Prune{.delivered_before = later, .dead_before = later, .at = later, .limit = 5000, .after = *after});
    REQUIRE(pruned);
    deleted += pruned->events;
    after = pruned->next;
    CHECK(counts() == Counts{{"/order.paid", 900}});
  }
  CHECK(deleted == 900);
}

TEST_CASE_FIXTURE(Types, "cursors of other lists are refused") {
  accept_of("order.paid");
  accept_of("order.paid");
  const auto events = reader->events({}, {1, ""});
  REQUIRE(events->next);
  CHECK(reader->event_types({}, {1, *events->next}).error().code == ProblemCode::kInvalidParameter);
  for (const char* cursor : {"t", "ta b~c", "tacme", "t~", "t~a..b", "x~y"})
    CHECK(reader->event_types({}, {1, cursor}).error().code == ProblemCode::kInvalidParameter);
}

TEST_CASE_FIXTURE(Types, "types beyond the bound are counted together, within their tenant") {
  constexpr int kMax = 10'000;
  std::vector<NewEvent> events;
  events.reserve(kMax);
  for (int i = 0; i < kMax; ++i) events.push_back(new_event({}, "t" + std::to_string(i)));
  accept(std::move(events));
  while (apply(CountTypes{})->more) {
  }
  for (const char* type : {"one.more", "and.one.more"}) accept_of(type, "acme");
  accept_of("t7");
  const Counts together = {{"acme/*", 2}};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (counts("acme") != together && std::chrono::steady_clock::now() < end) apply(CountTypes{});
  CHECK(counts("acme") == together);
  const Counts named = counts("", 1000);
  CHECK(named.size() == kMax);
  CHECK(std::ranges::count(named, std::pair<std::string, std::int64_t>("/t7", 2)) == 1);
}

TEST_CASE_FIXTURE(Types, "events that no endpoint wanted are found, until a replay has sent them somewhere") {
  const Endpoint endpoint = create();
  std::vector<EventId> unmatched;
  for (int i = 0; i < 6; ++i) {
    NewEvent event = i % 2 == 0 ? new_event({}, i == 4 ? "a" : "b") : new_event({endpoint.seq});
    if (i % 2 == 0) unmatched.push_back(event.event->id);
    accept_one(std::move(event));
  }
  EventFilter filter;
  filter.unmatched = true;
  const auto seqs = [&](int limit) {
    std::vector<EventSeq> all;
    Page page{limit, ""};
    for (int pages = 0; pages < 10; ++pages) {
      const auto rows = reader->events(filter, page);
      REQUIRE(rows);
      for (const EventRow& row : rows->rows) all.push_back(row.event.seq);
      if (!rows->next) break;
      page.after = *rows->next;
    }
    return all;
  };
  CHECK(seqs(1) == std::vector<EventSeq>{5, 3, 1});
  CHECK(seqs(50) == std::vector<EventSeq>{5, 3, 1});
  REQUIRE(apply(ReplayEvent{unmatched[1], {endpoint.seq}, kNow}));
  CHECK(seqs(50) == std::vector<EventSeq>{5, 1});
  REQUIRE(apply(ReplayEvent{unmatched[0], {}, kNow}));
  filter.type = "b";
  CHECK(seqs(50) == std::vector<EventSeq>{1});
  filter.since = kNow + Millis(1);
  CHECK(seqs(50).empty());
}

TEST_CASE_FIXTURE(Types, "a fan-out that found nobody in the end leaves an event that nobody wanted") {
  const Endpoint endpoint = create();
  NewEvent event = new_event();
  event.more_after = 0;
  event.deliveries = 1;
  accept_one(std::move(event));
  EventFilter filter;
  filter.unmatched = true;
  CHECK(reader->events(filter, {10, ""})->rows.empty());
  apply(ExpandEvent{.event = reader->unfinished_fan_outs(0, 10).at(0).event,
                    .endpoints = {},
                    .more_after = std::nullopt,
                    .matched = reader->all_endpoints().version});
  CHECK(reader->events(filter, {10, ""})->rows.size() == 1);
}
