// What is held back is seen: deliveries whose time is over, and since when something is due at each endpoint.
#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr Millis kSecond{1000};

struct Held : Fixture {
  EndpointSeq endpoint = create().seq;

  DeliveryKey add(std::optional<Millis> ttl, const std::string& key = "", Millis delay = Millis(0)) {
    NewEvent e = new_event({endpoint});
    if (!key.empty()) e = keyed(std::move(e), key);
    if (ttl) e.event->expires_at = kNow + *ttl;
    e.endpoints[0].due_in = delay;
    return {accept_one(std::move(e)), endpoint};
  }
  OutcomeRecorded outcome_of(RecordOutcome outcome) {
    const auto recorded = only<OutcomeRecorded>(apply(std::move(outcome)).facts);
    REQUIRE(recorded.size() == 1);
    return recorded[0];
  }
  std::vector<EventSeq> expired(Millis after, const ExpiryPlace& place = {}, int limit = 100) {
    std::vector<EventSeq> events;
    for (const auto& delivery : reader->expired(kNow + after, place, limit))
      events.push_back(delivery.key.event);
    return events;
  }
  static RecordOutcome expire(DeliveryKey key) { return without_attempt(died(key, 1, DeadReason::kExpired)); }
  // For so long something has been due there; negative: it is in so long.
  std::optional<Millis> oldest(EndpointSeq wanted) {
    const auto found = reader->oldest_due(wanted - 1, 1);
    if (found.empty() || found[0].endpoint != wanted) return std::nullopt;
    return found[0].age;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Held, "what expires is found at its time, the earliest first, due or not, behind or not") {
  const auto head = add(std::nullopt, "a"), behind = add(kSecond, "a"), soon = add(kSecond / 2);
  const auto later = add(2 * kSecond, "", kSecond * 60);
  CHECK(expired(kSecond / 2 - Millis(1)).empty());
  CHECK(expired(kSecond / 2) == std::vector{soon.event});
  CHECK(expired(3 * kSecond) == std::vector{soon.event, behind.event, later.event});
  const auto found = reader->expired(kNow + kSecond, {kNow + kSecond / 2, soon}, 100);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == behind);
  CHECK(found[0].sequence_key == "a");
  CHECK(found[0].expires_at == kNow + kSecond);
  CHECK(found[0].event->type == "order.paid");
  CHECK(found[0].event->payload.empty());
  CHECK(expired(3 * kSecond, {}, 2) == std::vector{soon.event, behind.event});
  CHECK(due(endpoint) == std::vector{head.event, soon.event});
}

TEST_CASE_FIXTURE(Held, "what has left pending does not expire any more, and an event without expiry never") {
  const auto sent = add(kSecond), dead = add(kSecond), gone = add(kSecond);
  add(std::nullopt);
  apply(delivered(sent, 1));
  apply(expire(dead));
  apply(ChangeDelivery{gone, DeliveryState::kDiscarded, kNow});
  CHECK(expired(kDay).empty());
  CHECK(delivery(dead).reason == DeadReason::kExpired);
}

TEST_CASE_FIXTURE(Held, "one behind that expires leaves the others in order; an expired head makes room") {
  const auto first = add(kSecond, "a"), second = add(kSecond, "a"), third = add(std::nullopt, "a");
  CHECK_FALSE(outcome_of(expire(second)).promoted);
  CHECK(due(endpoint) == std::vector{first.event});
  CHECK(outcome_of(expire(first)).promoted);
  CHECK(due(endpoint) == std::vector{third.event});
}

TEST_CASE_FIXTURE(Held, "due deliveries say when they expire") {
  add(kSecond);
  CHECK(reader->due(endpoint, 10, 1000).deliveries[0].expires_at == kNow + kSecond);
}

TEST_CASE_FIXTURE(Held,
                  "what an operator's replay keeps from expiring is not expired by an older judgement") {
  NewEvent event = new_event();
  event.event->expires_at = kNow + kSecond;
  const EventId id = event.event->id;
  const DeliveryKey key{accept_one(event), endpoint};
  apply(ReplayEvent{id, {endpoint}, kNow});
  CHECK(expired(kDay).empty());
  OutcomeRecorded overruled = outcome_of(expire(key));
  CHECK_FALSE(overruled.now.moved);
  CHECK(overruled.now.state == DeliveryState::kPending);
  CHECK(overruled.due_in == Millis(0));
  CHECK(delivery(key).state == DeliveryState::kPending);
  CHECK(delivery(key).due_at == kNow);
  RecordOutcome attempted = died(key, 1, DeadReason::kExpired);
  attempted.due_in = kSecond;
  overruled = outcome_of(attempted);
  CHECK_FALSE(overruled.now.moved);
  CHECK(overruled.now.state == DeliveryState::kPending);
  CHECK(overruled.now.due_at == kNow + kSecond);
  CHECK(overruled.due_in == kSecond);
  CHECK(delivery(key).state == DeliveryState::kPending);
  CHECK(delivery(key).due_at == kNow + kSecond);
  CHECK(delivery(key).attempts == 1);
  CHECK(reader->attempts(key).size() == 1);
}

TEST_CASE_FIXTURE(Held, "the oldest due of an endpoint is that of all its priorities, and of those behind") {
  CHECK_FALSE(oldest(endpoint));
  NewEvent low = new_event({endpoint});
  low.event->priority = 0;
  low.endpoints[0].due_in = kSecond;
  accept_one(std::move(low));
  add(std::nullopt, "", 2 * kSecond);
  CHECK(oldest(endpoint) == -kSecond);
  const auto head = add(std::nullopt, "a", Millis(-3000)), behind = add(std::nullopt, "a", Millis(-2000));
  CHECK(oldest(endpoint) == Millis(3000));
  apply(failed(head, 1, 60 * kSecond));  // it waits for its next attempt, and the one behind for it
  CHECK(oldest(endpoint) == Millis(2000));
  apply(delivered(head, 2));
  apply(delivered(behind, 1));
  CHECK(oldest(endpoint) == -kSecond);
}

TEST_CASE_FIXTURE(Held, "endpoints with something pending are listed in pages, each once") {
  const auto second = create().seq, empty = create().seq, fourth = create().seq;
  add(std::nullopt);
  accept_one(new_event({second, fourth}));
  // Alone behind: its head was attempted and waits.
  const auto head = accept_one(keyed(new_event({empty}), "a"));
  accept_one(keyed(new_event({empty}), "a"));
  apply(ChangeDelivery{{head, empty}, DeliveryState::kDiscarded, kNow});
  std::vector<EndpointSeq> seen;
  for (EndpointSeq after = 0;;) {
    const auto page = reader->oldest_due(after, 3);
    for (const auto& one : page) seen.push_back(one.endpoint);
    if (page.size() < 3) break;
    after = page.back().endpoint;
  }
  CHECK(seen == std::vector{endpoint, second, empty, fourth});
}

TEST_CASE_FIXTURE(Held, "what an endpoint has is counted exactly, what of it waits up to a limit") {
  CHECK(reader->counts(endpoint, 100).deliveries == DeliveryCounts{});
  const auto head = add(std::nullopt, "a", Millis(-3000));
  for (int i = 0; i < 3; ++i) add(std::nullopt, "a", Millis(-1000));
  const auto later = add(std::nullopt, "", kDay);
  add(std::nullopt, "", kSecond);
  auto counts = reader->counts(endpoint, 100);
  CHECK(counts.deliveries == DeliveryCounts{.pending = 6});
  CHECK(counts.blocked == 3);
  CHECK(counts.later == 2);
  CHECK(counts.oldest_due == Millis(3000));
  CHECK(reader->counts(endpoint, 1).deliveries.pending == 6);
  CHECK(reader->counts(endpoint, 1).blocked == 1);
  CHECK(reader->counts(endpoint, 1).later == 1);
  apply(delivered(head, 1));
  apply(ChangeDelivery{later, DeliveryState::kDiscarded, kNow});
  counts = reader->counts(endpoint, 100);
  CHECK(counts.deliveries == DeliveryCounts{.pending = 4, .delivered = 1, .discarded = 1});
  CHECK(counts.blocked == 2);
  CHECK(counts.later == 1);
  apply(ChangeDelivery{later, DeliveryState::kPending, kNow});
  CHECK(reader->counts(endpoint, 100).deliveries == DeliveryCounts{.pending = 5, .delivered = 1});
  CHECK(reader->counts(endpoint + 1, 100).deliveries == DeliveryCounts{});
}

TEST_CASE_FIXTURE(Held, "what is refused is not counted") {
  add(std::nullopt);
  apply_all({ChangeDelivery{{1, endpoint}, DeliveryState::kDiscarded, kNow},
             ChangeDelivery{{1000, endpoint}, DeliveryState::kDiscarded, kNow}});
  CHECK(reader->counts(endpoint, 100).deliveries == DeliveryCounts{.discarded = 1});
}

TEST_CASE_FIXTURE(Held, "the deliveries of all endpoints are told by state, a page of endpoints at a time") {
  const auto first = add(std::nullopt), second = add(kSecond);
  const EndpointSeq other = create().seq, idle = create().seq;
  accept_one(new_event({other}));
  apply(expire(second));
  const auto all = reader->delivery_counts(0, 100);
  REQUIRE(all.size() == 2);
  CHECK(all[0].endpoint == endpoint);
  CHECK(all[0].counts == DeliveryCounts{.pending = 1, .dead = 1});
  CHECK(all[1].endpoint == other);
  CHECK(all[1].counts == DeliveryCounts{.pending = 1});
  CHECK(reader->delivery_counts(0, 1).size() == 1);
  REQUIRE(reader->delivery_counts(first.endpoint, 1).size() == 1);
  CHECK(reader->delivery_counts(first.endpoint, 1)[0].endpoint == other);
  CHECK(reader->delivery_counts(idle, 100).empty());
}
