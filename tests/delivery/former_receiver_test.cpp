// What comes in for an endpoint's URL or secret that has meanwhile been changed counts for its delivery, and for nothing else.
#include <doctest/doctest.h>

#include "delivery/scheduler.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

// A lane with requests under way to an endpoint's first receiver.
struct Move {
  Scheduler scheduler{{}};
  Moment now{from_unix_millis(1'785'000'000'000), MonotonicTime(1h)};
  Endpoint endpoint;
  EventSeq next_event = 1;

  Move() {
    endpoint.seq = 1;
    endpoint.url = "https://old.example/";
    endpoint.secrets = {{"whsec_old", {}, {}}};
    tell();
    for (const auto& fetch : scheduler.next(now).fetch) scheduler.fetched(fetch.endpoint, {}, now);
  }
  void tell() { scheduler.put_endpoint(std::make_shared<const Endpoint>(endpoint), now); }
  void move() {
    endpoint.url = "https://new.example/";
    tell();
  }
  std::vector<DeliveryKey> send(int count) {
    for (int i = 0; i < count; ++i) {
      auto event = std::make_shared<Event>();
      event->seq = next_event++;
      scheduler.hear(DeliveryReady{{.key = {event->seq, 1},
                                    .due_at = now.wall,
                                    .created_at = now.wall,
                                    .sequence_key = {},
                                    .event = event}},
                     now);
    }
    std::vector<DeliveryKey> keys;
    for (const auto& sent : scheduler.next(now).send) keys.push_back(sent.delivery.key);
    return keys;
  }
  Scheduler::Ended end(DeliveryKey key, int status, std::optional<std::string> retry_after = {}) {
    const Outcome outcome = status == 0    ? Outcome::kTimeout
                            : status < 300 ? Outcome::kSuccess
                            : status < 500 ? Outcome::kHttp4xx
                                           : Outcome::kHttp5xx;
    auto ended = scheduler.attempt_ended(key, {outcome, status, std::move(retry_after), "", 0s}, now);
    scheduler.hear(OutcomeRecorded{.key = key}, now);
    return ended;
  }
};

}  // namespace

TEST_CASE("a late 410 of the old URL does not disable the endpoint, and its delivery goes to the new one") {
  Move m;
  const auto key = m.send(1).at(0);
  m.move();
  const auto ended = m.end(key, 410);
  CHECK_FALSE(ended.disable);
  CHECK(ended.record.state == DeliveryState::kPending);
  CHECK(m.send(1).size() == 1);
  CHECK(!m.scheduler.lanes(m.now).at(0).last_failure);
}

TEST_CASE("a late Retry-After of the old URL holds neither the new one nor the delivery") {
  Move m;
  const auto key = m.send(1).at(0);
  m.move();
  const auto ended = m.end(key, 429, "3600");
  CHECK(ended.record.due_in <= 6s);
  CHECK(m.send(1).size() == 1);
}

TEST_CASE("late failures of the old URL do not open the breaker, and a success of it is delivered") {
  Move m;
  const auto keys = m.send(kTripAfter);
  REQUIRE(keys.size() == kTripAfter);
  m.move();
  CHECK(m.end(keys.back(), 200).record.state == DeliveryState::kDelivered);
  for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
    const auto ended = m.end(keys[i], 0);
    CHECK(ended.record.state == DeliveryState::kPending);
    CHECK_FALSE(ended.failing_since);
  }
  CHECK(m.end(m.send(1).at(0), 500).record.state == DeliveryState::kPending);
  CHECK(m.scheduler.lanes(m.now).at(0).failures == 1);
}

TEST_CASE("what the old URL asked for before it was changed does not hold the new one") {
  Move m;
  m.end(m.send(1).at(0), 503, "3600");
  CHECK(m.send(1).empty());
  m.endpoint.name = "another name";  // the same receiver
  m.tell();
  CHECK(m.send(0).empty());
  m.move();
  for (const auto& fetch : m.scheduler.next(m.now).fetch) m.scheduler.fetched(fetch.endpoint, {}, m.now);
  CHECK(m.send(1).size() == 1);
}

TEST_CASE("secrets, headers, format and TLS are a receiver's too; names, limits and schedules are not") {
  const std::pair<void (*)(Endpoint&), bool> edits[] = {
      {[](Endpoint& e) {
         e.secrets.insert(e.secrets.begin(), {"whsec_new", {}, {}});
       },
       true},
      {[](Endpoint& e) {
         e.headers = {{"x-token", "new"}};
       },
       true},
      {[](Endpoint& e) { e.format = PayloadFormat::kStandard; }, true},
      {[](Endpoint& e) { e.tls.ca_file = "/etc/ca.pem"; }, true},
      {[](Endpoint& e) { e.name = "new"; }, false},
      {[](Endpoint& e) { e.max_in_flight = 7; }, false},
      {[](Endpoint& e) {
         e.retry_schedule = std::vector<Millis>{0s, 1s};
       },
       false}};
  for (const auto& [edit, is_receivers] : edits) {
    const bool moves = is_receivers;
    CAPTURE(moves);
    Move m;
    const auto key = m.send(1).at(0);
    edit(m.endpoint);
    m.tell();
    CHECK(m.end(key, 410).disable.has_value() == !moves);
  }
}

TEST_CASE("what is sent after the change is the new receiver's, also what was in memory before") {
  Move m;
  m.endpoint.max_in_flight = 1;
  m.tell();
  const auto old = m.send(2);
  REQUIRE(old.size() == 1);
  m.move();
  m.end(old[0], 410);
  const auto next = m.send(0);
  REQUIRE(next.size() == 1);
  CHECK(m.end(next[0], 410).disable == "gone");
}

TEST_CASE("a removed endpoint is not disabled, and says nothing of having recovered") {
  Move m;
  for (int i = 0; i < kTripAfter; ++i) m.end(m.send(1).at(0), 500);
  m.now.mono += 10s;
  m.now.wall += 10s;
  for (const auto& fetch : m.scheduler.next(m.now).fetch) m.scheduler.fetched(fetch.endpoint, {}, m.now);
  const auto probe = m.send(1);
  REQUIRE(probe.size() == 1);
  m.scheduler.drop_endpoint(1);
  const auto ended = m.end(probe[0], 200);
  CHECK(ended.record.state == DeliveryState::kDelivered);
  CHECK_FALSE(ended.recovered);
  CHECK_FALSE(ended.failing_since);
}

TEST_CASE("when the policy is read anew, what it refused is tried at once") {
  Move m;
  for (int i = 0; i < kTripAfter; ++i) {
    const auto key = m.send(1).at(0);
    m.scheduler.attempt_ended(key, {Outcome::kBlocked, 0, {}, "not allowed", 0s}, m.now);
    m.scheduler.hear(OutcomeRecorded{.key = key}, m.now);
  }
  CHECK(m.send(1).empty());
  m.scheduler.policy_changed(m.now);
  for (const auto& fetch : m.scheduler.next(m.now).fetch) m.scheduler.fetched(fetch.endpoint, {}, m.now);
  CHECK(m.send(1).size() == 1);
}
