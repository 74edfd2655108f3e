#include "delivery/scheduler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

// A scheduler, a time, and short ways to tell it things.
struct Bench {
  Scheduler scheduler;
  Time now = from_unix_millis(1'785'000'000'000);
  EventSeq next_event = 1;

  explicit Bench(Scheduler::Options options = {}) : scheduler(std::move(options)) {}

  std::shared_ptr<Endpoint> endpoint(EndpointSeq seq) {
    auto e = std::make_shared<Endpoint>();
    e->seq = seq;
    return e;
  }
  // An endpoint with nothing on disk.
  void add(const EndpointPtr& e) {
    scheduler.put_endpoint(e);
    for (const auto& fetch : scheduler.next(now).fetch) scheduler.fetched(fetch.endpoint, {}, now);
  }
  void add(EndpointSeq seq) { add(endpoint(seq)); }
  DueDelivery make(EndpointSeq endpoint_seq, int priority = 5, Millis delay = 0s) {
    auto event = std::make_shared<Event>();
    event->seq = next_event++;
    event->priority = priority;
    event->payload = "{}";
    return {.key = {event->seq, endpoint_seq}, .due_at = now + delay, .created_at = now, .event = event};
  }
  void offer(EndpointSeq endpoint_seq, int count = 1) {
    for (int i = 0; i < count; ++i) scheduler.offer(make(endpoint_seq), now);
  }
  Scheduler::Ended end(DeliveryKey key, Outcome outcome, int status,
                       std::optional<std::string> retry_after = {}) {
    return scheduler.attempt_ended(key, {outcome, status, std::move(retry_after), ""}, now);
  }
  void succeed(DeliveryKey key) {
    end(key, Outcome::kSuccess, 200);
    scheduler.recorded(key);
  }
};

}  // namespace

TEST_CASE("a fresh delivery of a lane that has caught up is sent without a fetch") {
  Bench b;
  b.add(1);
  b.offer(1);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.size() == 1);
  CHECK(d.fetch.empty());
}

TEST_CASE("a lane whose backlog is unknown asks disk before it sends anything fresh") {
  Bench b;
  b.scheduler.put_endpoint(b.endpoint(1));
  b.offer(1);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.fetch.size() == 1);
  CHECK(d.fetch[0].endpoint == 1);
}

TEST_CASE(
    "a delivery offered while its lane is being fetched is sent once, whether or not the fetch saw it") {
  for (const bool seen : {false, true}) {
    Bench b;
    b.scheduler.put_endpoint(b.endpoint(1));
    b.scheduler.next(b.now);
    const DueDelivery fresh = b.make(1);
    b.scheduler.offer(fresh, b.now);
    DueWindow found;
    if (seen) found.deliveries.push_back(fresh);
    b.scheduler.fetched(1, found, b.now);
    CHECK(b.scheduler.next(b.now).send.size() == 1);
    CHECK(b.scheduler.next(b.now).send.empty());
  }
}

TEST_CASE("a fetch that was read before an outcome was committed does not bring the delivery back") {
  Bench b({.window = 4});
  b.add(1);
  b.offer(1, 5);  // one more than the window takes: it is left on disk
  const Decisions first = b.scheduler.next(b.now);
  REQUIRE(first.send.size() == 4);
  REQUIRE(first.fetch.size() == 1);
  DueWindow stale;  // read now, all five still pending
  for (const auto& sent : first.send) stale.deliveries.push_back(sent.delivery);
  for (const auto& sent : first.send) b.succeed(sent.delivery.key);
  b.scheduler.fetched(1, stale, b.now);
  CHECK(b.scheduler.next(b.now).send.empty());
}

TEST_CASE("an endpoint's own limit and the limit over all are never exceeded") {
  Bench b({.max_in_flight = 10});
  auto narrow = b.endpoint(1);
  narrow->max_in_flight = 2;
  b.add(narrow);
  b.add(2);
  b.add(3);
  for (const EndpointSeq seq : {1, 2, 3}) b.offer(seq, 20);
  std::map<EndpointSeq, int> sent;
  for (const auto& s : b.scheduler.next(b.now).send) ++sent[s.delivery.key.endpoint];
  CHECK(sent[1] == 2);
  CHECK(sent[1] + sent[2] + sent[3] == 10);
  CHECK(b.scheduler.in_flight() == 10);
}

TEST_CASE("lanes take turns") {
  Bench b({.max_in_flight = 4});
  for (const EndpointSeq seq : {1, 2}) b.add(seq);
  b.offer(1, 10);
  b.offer(2, 10);
  std::map<EndpointSeq, int> sent;
  for (const auto& s : b.scheduler.next(b.now).send) ++sent[s.delivery.key.endpoint];
  CHECK(sent[1] == 2);
  CHECK(sent[2] == 2);
}

TEST_CASE("within one endpoint the higher priority goes first, then the earlier") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.scheduler.offer(b.make(1, 5), b.now);
  b.scheduler.offer(b.make(1, 9), b.now);
  const auto first = b.scheduler.next(b.now).send;
  REQUIRE(first.size() == 1);
  CHECK(first[0].delivery.event->priority == 9);
}

TEST_CASE("a failed attempt is due again after the schedule's wait, from disk") {
  Bench b({.retry_schedule = {0s, 10s}});
  b.add(1);
  b.offer(1);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  const auto ended = b.end(sent.key, Outcome::kHttp5xx, 500);
  CHECK(ended.record.state == DeliveryState::kPending);
  b.scheduler.recorded(sent.key);
  const Decisions waiting = b.scheduler.next(b.now);
  CHECK(waiting.send.empty());
  REQUIRE(waiting.wake_at == ended.record.due_at);
  b.now = ended.record.due_at;
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("a lane told to slow down sends nothing until then, and then goes on") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1, 2);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  b.end(sent.key, Outcome::kHttp5xx, 503, "30");
  b.scheduler.recorded(sent.key);
  const Decisions held = b.scheduler.next(b.now);
  CHECK(held.send.empty());
  REQUIRE(held.wake_at);
  CHECK(*held.wake_at == b.now + 30s);
  b.now += 30s;
  CHECK(b.scheduler.next(b.now).send.size() == 1);
}

TEST_CASE("a failing endpoint earns fewer requests at a time, a succeeding one more, up to its limit") {
  Bench b({.max_in_flight_per_endpoint = 8, .window = 1000});
  b.add(1);
  for (int round = 0; round < 6; ++round) {
    b.offer(1, 20);
    const auto sends = b.scheduler.next(b.now).send;
    for (const auto& s : sends) b.end(s.delivery.key, Outcome::kTimeout, 0);
    for (const auto& s : sends) b.scheduler.recorded(s.delivery.key);
  }
  b.offer(1, 20);
  auto sends = b.scheduler.next(b.now).send;
  CHECK(sends.size() == 1);
  for (int round = 0; round < 10; ++round) {
    for (const auto& s : sends) b.succeed(s.delivery.key);
    b.offer(1, 20);
    sends = b.scheduler.next(b.now).send;
  }
  CHECK(sends.size() == 8);
}

TEST_CASE("a paused endpoint is not sent to, and asks disk when it is back") {
  Bench b;
  auto e = b.endpoint(1);
  b.add(e);
  auto paused = std::make_shared<Endpoint>(*e);
  paused->state = EndpointState::kPaused;
  b.scheduler.put_endpoint(paused);
  b.offer(1);
  CHECK(b.scheduler.next(b.now).send.empty());
  b.scheduler.put_endpoint(e);
  const Decisions back = b.scheduler.next(b.now);
  CHECK(back.send.empty());
  CHECK(back.fetch.size() == 1);
}

TEST_CASE("410 stops the lane at once, before the endpoint's stored state follows") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1, 2);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  const auto ended = b.end(sent.key, Outcome::kHttp4xx, 410);
  CHECK(ended.disable_endpoint);
  CHECK(ended.record.reason == DeadReason::kGone);
  b.scheduler.recorded(sent.key);
  CHECK(b.scheduler.next(b.now).send.empty());
  CHECK(b.scheduler.held() == 0);
}

TEST_CASE("an expired delivery becomes a dead letter without an attempt") {
  Bench b;
  b.add(1);
  DueDelivery delivery = b.make(1);
  auto event = std::make_shared<Event>(*delivery.event);
  event->expires_at = b.now;
  delivery.event = event;
  b.scheduler.offer(delivery, b.now);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.record.size() == 1);
  CHECK(d.record[0].reason == DeadReason::kExpired);
  b.scheduler.recorded(delivery.key);
  CHECK(b.scheduler.held() == 0);
}

TEST_CASE("a discarded delivery that waits in memory is not sent") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  const DueDelivery waiting = b.make(1);
  b.scheduler.offer(waiting, b.now);
  b.scheduler.next(b.now);
  b.scheduler.withdraw(waiting.key);
  b.succeed(sent.key);
  CHECK(b.scheduler.next(b.now).send.empty());
}

TEST_CASE("a removed endpoint's lane goes when its last request has ended") {
  Bench b;
  b.add(1);
  b.offer(1);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  b.scheduler.remove_endpoint(1);
  b.offer(1);
  CHECK(b.scheduler.next(b.now).send.empty());
  b.succeed(sent.key);
  b.scheduler.next(b.now);
  CHECK(b.scheduler.held() == 0);
  CHECK(b.scheduler.in_flight() == 0);
}

TEST_CASE("payloads in memory stay within their bound, and every lane still gets one delivery at a time") {
  Bench b({.max_held_bytes = 10});
  for (const EndpointSeq seq : {1, 2}) b.add(seq);
  for (const EndpointSeq seq : {1, 2}) b.offer(seq, 100);
  const auto sends = b.scheduler.next(b.now).send;
  CHECK(b.scheduler.held_bytes() <= 12);
  CHECK(std::ranges::any_of(sends, [](const auto& s) { return s.delivery.key.endpoint == 2; }));
}

TEST_CASE("draining sends nothing new, and an aborted request leaves its delivery on disk") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1, 2);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  b.scheduler.drain();
  b.scheduler.abandoned(sent.key);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  CHECK(d.fetch.empty());
  CHECK(b.scheduler.in_flight() == 0);
}
