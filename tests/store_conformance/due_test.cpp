#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr std::size_t kPlenty = 1 << 20;

struct OneEndpoint : Fixture {
  EndpointSeq endpoint = create().seq;
  EventSeq add(int priority = kDefaultPriority, Millis after = Millis(0), const std::string& payload = "{}") {
    NewEvent e = new_event({endpoint});
    e.event->priority = priority;
    e.event->payload = payload;
    e.endpoints[0].due_in = after;
    return accept_one(std::move(e));
  }
};

}  // namespace

TEST_CASE_FIXTURE(OneEndpoint, "nothing pending: nothing due, and no time to look again") {
  const auto window = reader->due(endpoint, 10, kPlenty);
  CHECK(window.deliveries.empty());
  CHECK_FALSE(window.next_due_in);
}

TEST_CASE_FIXTURE(OneEndpoint, "due deliveries come with their event and what was attempted") {
  const EventSeq event = add(5, Millis(0), R"({"n":1.10})");
  apply(failed({event, endpoint}, 1));
  const auto window = reader->due(endpoint, 10, kPlenty);
  REQUIRE(window.deliveries.size() == 1);
  const DueDelivery& d = window.deliveries[0];
  CHECK(d.key == DeliveryKey{event, endpoint});
  CHECK(d.attempts == 1);
  CHECK(d.attempts_ever == 1);
  CHECK(d.due_at == kNow);
  CHECK(d.created_at == kNow);
  CHECK(d.event->seq == event);
  CHECK(d.event->payload == R"({"n":1.10})");
  CHECK_FALSE(window.next_due_in);
}

TEST_CASE_FIXTURE(OneEndpoint, "higher priority first, then earlier due, then earlier accepted") {
  const auto normal = add(5), normal2 = add(5), low = add(0), high = add(9), early = add(5, Millis(-1000));
  const auto window = reader->due(endpoint, 10, kPlenty);
  CHECK(events_of(window) == std::vector<EventSeq>{high, early, normal, normal2, low});
}

TEST_CASE_FIXTURE(OneEndpoint,
                  "what is due later is not returned, and the earliest of it says when to look again") {
  add(9, Millis(9000));
  add(5, Millis(4000));
  const auto now = add(5);
  add(0, Millis(7000));
  auto window = reader->due(endpoint, 10, kPlenty);
  CHECK(events_of(window) == std::vector<EventSeq>{now});
  CHECK(window.next_due_in == Millis(4000));
  wait_until(kNow + Millis(4000));
  window = reader->due(endpoint, 10, kPlenty);
  CHECK(window.deliveries.size() == 2);
  CHECK(window.next_due_in == Millis(3000));
}

TEST_CASE_FIXTURE(OneEndpoint, "a full window says to look again at once, an exactly full one does not") {
  const auto a = add(9), b = add(5);
  add(1);
  auto window = reader->due(endpoint, 2, kPlenty);
  CHECK(events_of(window) == std::vector<EventSeq>{a, b});
  CHECK(window.next_due_in == Millis(0));
  window = reader->due(endpoint, 3, kPlenty);
  CHECK(window.deliveries.size() == 3);
  CHECK_FALSE(window.next_due_in);
}

TEST_CASE_FIXTURE(OneEndpoint, "the bytes of payloads bound a window, but for its first one") {
  for (int i = 0; i < 3; ++i) add(5, Millis(0), '"' + std::string(100, 'x') + '"');
  CHECK(reader->due(endpoint, 10, 210).deliveries.size() == 2);
  CHECK(reader->due(endpoint, 10, 210).next_due_in == Millis(0));
  CHECK(reader->due(endpoint, 10, 5).deliveries.size() == 1);
}

TEST_CASE_FIXTURE(OneEndpoint,
                  "when more are due than asked for, no priority is left out, and the order is the same") {
  std::vector<EventSeq> high, middle, low;
  for (int i = 0; i < 40; ++i) high.push_back(add(9));
  for (int i = 0; i < 40; ++i) middle.push_back(add(5));
  for (int i = 0; i < 40; ++i) low.push_back(add(0, Millis(-1000)));
  const auto first = [](const std::vector<EventSeq>& events, std::size_t count) {
    return std::vector<EventSeq>(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const auto window = [&](std::size_t highs, std::size_t middles, std::size_t lows) {
    std::vector<EventSeq> all = first(high, highs);
    for (const auto& part : {first(middle, middles), first(low, lows)})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  };
  const auto read = [&](int limit) {
    const auto found = reader->due(endpoint, limit, kPlenty);
    CHECK(found.next_due_in == (limit < 120 ? std::optional(Millis(0)) : std::nullopt));
    return events_of(found);
  };
  CHECK(read(32) == window(28, 2, 2));
  CHECK(read(64) == window(40, 20, 4));
  CHECK(read(100) == window(40, 40, 20));
  CHECK(read(120) == window(40, 40, 40));
  CHECK(read(3) == window(1, 1, 1));
  CHECK(read(2) == window(1, 1, 0));
  CHECK(read(1) == window(1, 0, 0));
}

TEST_CASE_FIXTURE(OneEndpoint, "a low priority with little due leaves the rest of its share to the others") {
  const auto late = add(9, Millis(1000));
  std::vector<EventSeq> expected;
  for (int i = 0; i < 40; ++i) {
    const auto event = add(7);
    if (i < 31) expected.push_back(event);
  }
  expected.push_back(add(2));
  CHECK(events_of(reader->due(endpoint, 32, kPlenty)) == expected);
  CHECK(reader->due(endpoint, 32, kPlenty).next_due_in == Millis(0));
  CHECK(reader->due(endpoint, 41, kPlenty).next_due_in == Millis(1000));
  wait_until(kNow + Millis(1000));
  CHECK(events_of(reader->due(endpoint, 1, kPlenty)) == std::vector<EventSeq>{late});
}

TEST_CASE_FIXTURE(OneEndpoint,
                  "large payloads of a high priority leave the first of each lower one its place") {
  const std::string large = '"' + std::string(1000, 'x') + '"';
  std::vector<EventSeq> high;
  for (int i = 0; i < 4; ++i) high.push_back(add(9, Millis(0), large));
  const auto low = add(1, Millis(0), large), low2 = add(1);
  const auto window = reader->due(endpoint, 10, 2500);
  CHECK(events_of(window) == std::vector<EventSeq>{high[0], high[1], low});
  CHECK(window.next_due_in == Millis(0));
  for (const EventSeq event : high) apply(delivered({event, endpoint}, 1));
  CHECK(events_of(reader->due(endpoint, 10, 2500)) == std::vector<EventSeq>{low, low2});
}

TEST_CASE_FIXTURE(OneEndpoint, "endpoints have windows of their own; finished deliveries are in none") {
  const auto other = create().seq;
  const auto event = accept_one(new_event({endpoint, other}));
  apply(delivered({event, endpoint}, 1));
  CHECK(reader->due(endpoint, 10, kPlenty).deliveries.empty());
  CHECK(reader->due(other, 10, kPlenty).deliveries.size() == 1);
}

TEST_CASE_FIXTURE(OneEndpoint, "everything unfinished is due again after a restart") {
  add();
  add();
  reopen();
  CHECK(reader->due(endpoint, 10, kPlenty).deliveries.size() == 2);
}

TEST_CASE_FIXTURE(OneEndpoint,
                  "what the caller holds is passed over, and counts neither as a row nor in bytes") {
  const std::string large = '"' + std::string(1000, 'x') + '"';
  std::vector<EventSeq> held, others;
  for (int i = 0; i < 5; ++i) held.push_back(add(5, Millis(0), large));
  for (int i = 0; i < 3; ++i) others.push_back(add(5, Millis(0), large));
  const auto low = add(1);
  auto window = reader->due(endpoint, 3, 2500, held);
  CHECK(events_of(window) == std::vector<EventSeq>{others[0], others[1], low});
  CHECK(window.next_due_in == Millis(0));
  held.insert(held.end(), others.begin(), others.end());
  held.push_back(low);
  window = reader->due(endpoint, 1, kPlenty, held);
  CHECK(window.deliveries.empty());
  CHECK_FALSE(window.next_due_in);
}
