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
  Moment now{from_unix_millis(1'785'000'000'000), MonotonicTime(1h)};
  EventSeq next_event = 1;

  explicit Bench(Scheduler::Options options = {}) : scheduler(std::move(options)) {}

  void pass(Millis time) {
    now.wall += time;
    now.mono += time;
  }
  std::shared_ptr<Endpoint> endpoint(EndpointSeq seq) {
    auto e = std::make_shared<Endpoint>();
    e->seq = seq;
    return e;
  }
  // An endpoint with nothing on disk.
  void add(const EndpointPtr& e) {
    scheduler.put_endpoint(e, now);
    for (const auto& fetch : scheduler.next(now).fetch) scheduler.fetched(fetch.endpoint, {}, now);
  }
  void add(EndpointSeq seq) { add(endpoint(seq)); }
  // One that has answered promptly before.
  void add_prompt(const EndpointPtr& e) {
    add(e);
    offer(e->seq);
    succeed(scheduler.next(now).send.at(0).delivery.key);
  }
  DueDelivery make(EndpointSeq endpoint_seq, int priority = 5, Millis delay = 0s) {
    auto event = std::make_shared<Event>();
    event->seq = next_event++;
    event->priority = priority;
    event->payload = "{}";
    return {.key = {event->seq, endpoint_seq},
            .due_at = now.wall + delay,
            .due_in = delay,
            .created_at = now.wall,
            .sequence_key = {},
            .event = event};
  }
  DueDelivery make_ordered(EndpointSeq endpoint_seq, std::string sequence_key) {
    DueDelivery delivery = make(endpoint_seq);
    delivery.sequence_key = std::move(sequence_key);
    return delivery;
  }
  void offer(EndpointSeq endpoint_seq, int count = 1) {
    for (int i = 0; i < count; ++i) scheduler.hear(DeliveryReady{make(endpoint_seq)}, now);
  }
  std::vector<Decisions::Send> sends() { return scheduler.next(now).send; }
  Scheduler::Ended end(DeliveryKey key, Outcome outcome, int status,
                       std::optional<std::string> retry_after = {}, Millis took = 0s) {
    return scheduler.attempt_ended(key, {outcome, status, std::move(retry_after), "", took}, now);
  }
  void committed(const RecordOutcome& record) {
    OutcomeRecorded fact{.key = record.key};
    if (record.state == DeliveryState::kPending) fact.due_in = record.due_in;
    scheduler.hear(fact, now);
  }
  Scheduler::Ended fail(DeliveryKey key) {
    auto ended = end(key, Outcome::kHttp5xx, 500);
    committed(ended.record);
    return ended;
  }
  void succeed(DeliveryKey key) {
    end(key, Outcome::kSuccess, 200);
    scheduler.hear(OutcomeRecorded{.key = key}, now);
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
  b.scheduler.put_endpoint(b.endpoint(1), b.now);
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
    b.scheduler.put_endpoint(b.endpoint(1), b.now);
    b.scheduler.next(b.now);
    const DueDelivery fresh = b.make(1);
    b.scheduler.hear(DeliveryReady{fresh}, b.now);
    DueWindow found;
    if (seen) found.deliveries.push_back(fresh);
    b.scheduler.fetched(1, found, b.now);
    CHECK(b.scheduler.next(b.now).send.size() == 1);
    CHECK(b.scheduler.next(b.now).send.empty());
  }
}

TEST_CASE("a fetch that was read before an outcome was committed does not bring the delivery back") {
  Bench b({.window = 4});
  b.add_prompt(b.endpoint(1));
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
  for (const auto& e : {narrow, b.endpoint(2), b.endpoint(3)}) b.add_prompt(e);
  for (const EndpointSeq seq : {1, 2, 3}) b.offer(seq, 20);
  std::map<EndpointSeq, int> sent;
  for (const auto& s : b.scheduler.next(b.now).send) ++sent[s.delivery.key.endpoint];
  CHECK(sent[1] == 2);
  CHECK(sent[1] + sent[2] + sent[3] == 10);
  CHECK(b.scheduler.in_flight() == 10);
}

TEST_CASE("lanes take turns") {
  Bench b({.max_in_flight = 4});
  for (const EndpointSeq seq : {1, 2}) b.add_prompt(b.endpoint(seq));
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
  b.scheduler.hear(DeliveryReady{b.make(1, 5)}, b.now);
  b.scheduler.hear(DeliveryReady{b.make(1, 9)}, b.now);
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
  b.committed(ended.record);
  const Decisions waiting = b.scheduler.next(b.now);
  CHECK(waiting.send.empty());
  const Millis wait = ended.record.due_in;
  REQUIRE(waiting.wake_at == b.now.mono + wait);
  b.pass(wait);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("a lane told to slow down sends nothing until then, and then goes on") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1, 2);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  b.committed(b.end(sent.key, Outcome::kHttp5xx, 503, "30").record);
  const Decisions held = b.scheduler.next(b.now);
  CHECK(held.send.empty());
  REQUIRE(held.wake_at);
  CHECK(*held.wake_at == b.now.mono + 30s);
  b.pass(30s);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);  // memory was for those that could send
}

TEST_CASE("an endpoint is sent more at a time with each success, up to its limit") {
  Bench b({.max_in_flight_per_endpoint = 8, .window = 1000});
  b.add(1);
  b.offer(1, 10);
  auto sends = b.sends();
  CHECK(sends.size() == 5);
  for (const auto& s : sends) b.succeed(s.delivery.key);
  b.offer(1, 20);
  CHECK(b.sends().size() == 8);
}

TEST_CASE("with the breaker open there is one probe at a time, after a pause, until one succeeds") {
  Bench b({.retry_schedule = {0s, 1h}});
  b.add(1);
  b.offer(1, 10);
  for (const auto& s : b.sends()) b.fail(s.delivery.key);
  Decisions paused = b.scheduler.next(b.now);
  CHECK(paused.send.empty());
  REQUIRE(paused.wake_at);
  CHECK(*paused.wake_at - b.now.mono >= 900ms);
  CHECK(*paused.wake_at - b.now.mono <= 1100ms);
  b.pass(1100ms);
  const auto reread = b.scheduler.next(b.now).fetch;  // what waited was left on disk
  REQUIRE(reread.size() == 1);
  DueWindow found;
  for (int i = 0; i < 4; ++i) found.deliveries.push_back(b.make(1));
  b.scheduler.fetched(1, found, b.now);
  const auto probe = b.sends();
  REQUIRE(probe.size() == 1);
  CHECK(b.sends().empty());
  const auto ended = b.end(probe[0].delivery.key, Outcome::kSuccess, 200);
  CHECK(ended.recovered);
  CHECK(ended.failing_since == std::optional<std::optional<Time>>(std::optional<Time>()));
  CHECK(b.sends().size() > 1);
}

TEST_CASE("what the breaker holds back uses up nothing of a delivery's schedule") {
  Bench b({.retry_schedule = {0s, 1h, 1h}});
  b.add(1);
  b.offer(1, 5);
  for (const auto& s : b.sends()) b.fail(s.delivery.key);
  b.offer(1, 2);
  CHECK(b.sends().empty());
  b.pass(10min);
  REQUIRE(b.scheduler.next(b.now).fetch.size() == 1);
  DueWindow found;
  found.deliveries = {b.make(1), b.make(1)};
  b.scheduler.fetched(1, found, b.now);
  const auto probe = b.sends();
  REQUIRE(probe.size() == 1);
  CHECK(probe[0].delivery.attempts == 0);
  CHECK(b.end(probe[0].delivery.key, Outcome::kHttp5xx, 500).record.state == DeliveryState::kPending);
}

TEST_CASE("an endpoint that was failing when the daemon stopped begins with a probe") {
  Bench b;
  auto e = b.endpoint(1);
  e->failing_since = b.now.wall - 1h;
  b.add(e);
  b.offer(1, 10);
  CHECK(b.sends().size() == 1);
}

TEST_CASE(
    "five days without a success disable an endpoint, counted over a restart, but not by a clock set "
    "forward") {
  Bench b({.retry_schedule = {0s, 0s}});
  auto e = b.endpoint(1);
  e->failing_since = b.now.wall - 24h * 5 + 1min;
  b.add(e);
  b.offer(1, 1);
  b.now.wall += 24h * 400;
  CHECK_FALSE(b.fail(b.sends().at(0).delivery.key).disable);
  b.pass(1min);
  b.scheduler.hear(DeliveryReady{b.make(1)}, b.now);
  for (const auto& fetch : b.scheduler.next(b.now).fetch) {
    DueWindow found;
    found.deliveries.push_back(b.make(1));
    b.scheduler.fetched(fetch.endpoint, found, b.now);
  }
  CHECK(b.fail(b.sends().at(0).delivery.key).disable == "failing");
  CHECK(b.sends().empty());
}

TEST_CASE("endpoints that hang leave a quarter of the slots to those that answer") {
  Bench b({.max_in_flight = 16, .window = 100});
  b.add_prompt(b.endpoint(1));
  for (EndpointSeq seq = 2; seq < 20; ++seq) b.add(seq);
  for (EndpointSeq seq = 2; seq < 20; ++seq) b.offer(seq, 5);
  CHECK(b.sends().size() == 12);
  b.offer(1, 10);
  const auto healthy = b.sends();
  CHECK(healthy.size() == 4);
  CHECK(std::ranges::all_of(healthy, [](const auto& s) { return s.delivery.key.endpoint == 1; }));
}

TEST_CASE("an endpoint that begins to hang is found out after a second, before any request times out") {
  Bench b({.max_in_flight = 8, .window = 100});
  b.add_prompt(b.endpoint(1));
  b.add_prompt(b.endpoint(2));
  b.offer(1, 6);
  CHECK(b.sends().size() == 6);  // they hang
  b.pass(1s);
  b.offer(1, 6);
  b.offer(2, 6);
  const auto sends = b.sends();
  CHECK(sends.size() == 2);
  CHECK(std::ranges::all_of(sends, [](const auto& s) { return s.delivery.key.endpoint == 2; }));
}

TEST_CASE("a rate limit spaces requests evenly and wakes for the next") {
  Bench b;
  auto e = b.endpoint(1);
  e->rate_limit = RateLimit{10, 1s};
  b.add(e);
  b.offer(1, 3);
  CHECK(b.sends().size() == 1);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.wake_at);
  CHECK(*d.wake_at == b.now.mono + 100ms);
  b.pass(100ms);
  CHECK(b.sends().size() == 1);
}

TEST_CASE("deliveries of one sequence key go one at a time, those of others and of none beside them") {
  Bench b;
  b.add(1);
  const DueDelivery first = b.make_ordered(1, "a");
  const DueDelivery second = b.make_ordered(1, "a");  // it became the head while the first was under way
  b.scheduler.hear(DeliveryReady{first}, b.now);
  b.scheduler.hear(DeliveryReady{second}, b.now);
  b.scheduler.hear(DeliveryReady{b.make_ordered(1, "b")}, b.now);
  b.offer(1);
  CHECK(b.sends().size() == 3);
  b.end(first.key, Outcome::kSuccess, 200);
  CHECK(b.sends().empty());  // not before the outcome is committed
  b.scheduler.hear(OutcomeRecorded{.key = first.key}, b.now);
  const auto next = b.sends();
  REQUIRE(next.size() == 1);
  CHECK(next[0].delivery.key == second.key);
}

TEST_CASE("what waited behind a delivery is asked for when that one's outcome is committed") {
  Bench b;
  b.add(1);
  const DueDelivery head = b.make_ordered(1, "a");
  const DueDelivery behind = b.make_ordered(1, "a");
  b.scheduler.hear(DeliveryReady{head}, b.now);
  b.sends();
  b.end(head.key, Outcome::kSuccess, 200);
  CHECK(b.scheduler.next(b.now).fetch.empty());
  b.scheduler.hear(OutcomeRecorded{.key = head.key, .promoted = true}, b.now);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("lower priorities get a turn now and then") {
  Bench b({.max_in_flight_per_endpoint = 1, .window = 100});
  b.add(1);
  b.add_prompt(b.endpoint(2));
  for (int i = 0; i < 40; ++i) b.scheduler.hear(DeliveryReady{b.make(2, 9)}, b.now);
  b.scheduler.hear(DeliveryReady{b.make(2, 0)}, b.now);
  for (int turn = 1;; ++turn) {
    REQUIRE(turn <= 8);
    const auto sent = b.sends().at(0).delivery;
    if (sent.event->priority == 0) break;
    b.succeed(sent.key);
  }
}

TEST_CASE("an operator's retry does not wait for a pause of the breaker") {
  Bench b({.retry_schedule = {0s, 1h}});
  b.add(1);
  b.offer(1, 5);
  for (const auto& s : b.sends()) b.fail(s.delivery.key);
  CHECK(b.scheduler.next(b.now).fetch.empty());
  b.scheduler.hear(DueOnDisk{1, 0ms, true}, b.now);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("a paused endpoint is not sent to, and asks disk when it is back") {
  Bench b;
  auto e = b.endpoint(1);
  b.add(e);
  auto paused = std::make_shared<Endpoint>(*e);
  paused->state = EndpointState::kPaused;
  b.scheduler.put_endpoint(paused, b.now);
  b.offer(1);
  CHECK(b.scheduler.next(b.now).send.empty());
  b.scheduler.put_endpoint(e, b.now);
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
  CHECK(ended.disable == "gone");
  CHECK(ended.record.reason == DeadReason::kGone);
  b.scheduler.hear(OutcomeRecorded{.key = sent.key}, b.now);
  CHECK(b.scheduler.next(b.now).send.empty());
  CHECK(b.scheduler.held() == 0);
}

TEST_CASE("an expired delivery becomes a dead letter without an attempt") {
  Bench b;
  b.add(1);
  DueDelivery delivery = b.make(1);
  delivery.expires_at = b.now.wall;
  b.scheduler.hear(DeliveryReady{delivery}, b.now);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.unsent.size() == 1);
  CHECK(d.unsent[0].record.reason == DeadReason::kExpired);
  b.scheduler.hear(OutcomeRecorded{.key = delivery.key}, b.now);
  CHECK(b.scheduler.held() == 0);
}

TEST_CASE("what has expired on disk becomes a dead letter at a lane that sends nothing") {
  Bench b({.max_expired = 2});
  auto paused = b.endpoint(1);
  paused->state = EndpointState::kPaused;
  b.scheduler.put_endpoint(paused, b.now);
  Decisions d = b.scheduler.next(b.now);
  REQUIRE(d.find_expired);
  CHECK(d.find_expired->limit == 2);
  std::vector<DueDelivery> found{b.make(1), b.make(1), b.make(7)};  // 7: an endpoint of another loop
  for (auto& delivery : found) delivery.expires_at = b.now.wall;
  b.scheduler.expired(found, b.now);
  d = b.scheduler.next(b.now);
  REQUIRE(d.unsent.size() == 2);
  CHECK(d.unsent[0].record.key == found[0].key);
  CHECK(d.unsent[0].record.state == DeliveryState::kDead);
  CHECK(d.unsent[0].record.reason == DeadReason::kExpired);
  CHECK(d.unsent[0].endpoint == paused);
  CHECK_FALSE(d.find_expired);  // not before these are recorded
  for (const auto& one : d.unsent) b.scheduler.hear(OutcomeRecorded{.key = one.record.key}, b.now);
  CHECK(b.scheduler.held() == 0);
  d = b.scheduler.next(b.now);
  REQUIRE(d.find_expired);  // at once, behind a page that was full
  CHECK(d.find_expired->after.key == found[2].key);
  b.scheduler.expired({}, b.now);
  d = b.scheduler.next(b.now);
  CHECK_FALSE(d.find_expired);
  CHECK(d.wake_at == b.now.mono + kExpiryInterval);
  b.pass(kExpiryInterval);
  d = b.scheduler.next(b.now);
  REQUIRE(d.find_expired);
  CHECK(d.find_expired->after.key == DeliveryKey{});
}

TEST_CASE("what is being sent when it expires is left to its outcome, what waits in memory is not sent") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.scheduler.next(b.now);
  DueDelivery sent = b.make(1), waiting = b.make(1);
  sent.expires_at = waiting.expires_at = b.now.wall + 1s;
  b.scheduler.hear(DeliveryReady{sent}, b.now);
  b.scheduler.hear(DeliveryReady{waiting}, b.now);
  REQUIRE(b.sends().size() == 1);
  b.pass(1s);
  b.scheduler.expired({sent, waiting}, b.now);
  const Decisions d = b.scheduler.next(b.now);
  REQUIRE(d.unsent.size() == 1);
  CHECK(d.unsent[0].record.key == waiting.key);
  CHECK(b.end(sent.key, Outcome::kSuccess, 200).record.state == DeliveryState::kDelivered);
  b.scheduler.hear(OutcomeRecorded{.key = sent.key}, b.now);
  b.scheduler.hear(OutcomeRecorded{.key = waiting.key}, b.now);
  CHECK(b.scheduler.next(b.now).send.empty());
  CHECK(b.scheduler.held() == 0);
}

TEST_CASE("what was delivered after it was found to have expired does not expire") {
  Bench b;
  b.add(1);
  DueDelivery delivery = b.make(1);
  delivery.expires_at = b.now.wall + 1s;
  b.scheduler.hear(DeliveryReady{delivery}, b.now);
  b.sends();
  b.pass(1s);
  b.succeed(delivery.key);  // while the disk is being read
  b.scheduler.expired({delivery}, b.now);
  CHECK(b.scheduler.next(b.now).unsent.empty());
}

TEST_CASE("one behind that expires does not give way to a third while the head is under way") {
  Bench b;
  b.add(1);
  DueDelivery head = b.make_ordered(1, "a"), behind = b.make_ordered(1, "a"), third = b.make_ordered(1, "a");
  behind.expires_at = b.now.wall;
  b.scheduler.hear(DeliveryReady{head}, b.now);
  REQUIRE(b.sends().size() == 1);
  b.scheduler.expired({behind}, b.now);
  CHECK(b.scheduler.next(b.now).unsent.size() == 1);
  b.scheduler.hear(OutcomeRecorded{.key = behind.key}, b.now);
  b.scheduler.hear(DeliveryReady{third}, b.now);
  CHECK(b.sends().empty());
  b.succeed(head.key);
  CHECK(b.sends().size() == 1);
}

TEST_CASE(
    "a damaged event is a dead letter without an attempt, whatever its times say; those beside it go on") {
  Bench b;
  b.add(1);
  for (const bool expired : {false, true}) {
    DueDelivery delivery = b.make(1);
    auto event = std::make_shared<Event>(*delivery.event);
    event->damaged = true;
    if (expired) event->expires_at = b.now.wall;
    event->deliver_at = b.now.wall + 1h;
    delivery.event = event;
    b.scheduler.hear(DeliveryReady{delivery}, b.now);
    b.offer(1);
    const Decisions d = b.scheduler.next(b.now);
    CHECK(d.send.size() == 1);
    REQUIRE(d.unsent.size() == 1);
    CHECK(d.unsent[0].record.key == delivery.key);
    CHECK(d.unsent[0].record.state == DeliveryState::kDead);
    CHECK(d.unsent[0].record.reason == DeadReason::kDamaged);
  }
}

TEST_CASE("what is read of an erased event is discarded and not sent") {
  Bench b;
  b.add(1);
  DueDelivery delivery = b.make(1);
  auto event = std::make_shared<Event>(*delivery.event);
  event->erased = true;
  delivery.event = event;
  b.scheduler.hear(DeliveryReady{delivery}, b.now);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.unsent.size() == 1);
  CHECK(d.unsent[0].record.state == DeliveryState::kDiscarded);
  CHECK_FALSE(d.unsent[0].record.reason);
}

TEST_CASE("a test that the endpoint answers ends the breaker's pause") {
  Bench b;
  b.add(1);
  b.offer(1, kTripAfter);
  for (const auto& sent : b.sends()) b.fail(sent.delivery.key);
  b.offer(1);
  const Decisions held = b.scheduler.next(b.now);
  CHECK(held.send.empty());
  CHECK(held.fetch.empty());
  b.scheduler.try_now(1, b.now);
  const Decisions on = b.scheduler.next(b.now);  // what was held may have been left on disk
  CHECK(on.send.size() + on.fetch.size() == 1);
  b.scheduler.try_now(2, b.now);  // nobody
}

TEST_CASE("a delivery that is due before its event's deliver_at is put off to that, not sent") {
  Bench b;
  b.add(1);
  DueDelivery delivery = b.make(1);
  auto event = std::make_shared<Event>(*delivery.event);
  event->deliver_at = b.now.wall + 1h;
  delivery.event = event;
  b.scheduler.hear(DeliveryReady{delivery}, b.now);
  const Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  REQUIRE(d.unsent.size() == 1);
  CHECK(d.unsent[0].record.state == DeliveryState::kPending);
  CHECK(d.unsent[0].record.due_in == *event->deliver_at - b.now.wall);
  b.committed(d.unsent[0].record);
  CHECK(b.scheduler.held() == 0);
  CHECK(b.scheduler.next(b.now).fetch.empty());
  b.pass(1h);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("a discarded delivery that waits in memory is not sent") {
  Bench b({.max_in_flight = 1});
  b.add(1);
  b.offer(1);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  const DueDelivery waiting = b.make(1);
  b.scheduler.hear(DeliveryReady{waiting}, b.now);
  b.scheduler.next(b.now);
  b.scheduler.hear(DeliveryWithdrawn{waiting.key});
  b.succeed(sent.key);
  CHECK(b.scheduler.next(b.now).send.empty());
}

TEST_CASE("a removed endpoint's lane goes when its last request has ended") {
  Bench b;
  b.add(1);
  b.offer(1);
  const DueDelivery sent = b.scheduler.next(b.now).send.at(0).delivery;
  b.scheduler.drop_endpoint(1);
  b.offer(1);
  CHECK(b.scheduler.next(b.now).send.empty());
  b.succeed(sent.key);
  b.scheduler.next(b.now);
  CHECK(b.scheduler.held() == 0);
  CHECK(b.scheduler.in_flight() == 0);
}

TEST_CASE("without room in memory deliveries stay on disk, and are read when there is room again") {
  Bench b({.max_held_bytes = 10});
  for (const EndpointSeq seq : {1, 2}) b.add_prompt(b.endpoint(seq));
  b.offer(1, 100);
  b.offer(2, 100);
  const auto sends = b.sends();
  CHECK(b.scheduler.held_bytes() <= 12);
  for (const auto& s : sends) b.succeed(s.delivery.key);
  const auto fetches = b.scheduler.next(b.now).fetch;
  CHECK(std::ranges::any_of(fetches, [](const auto& f) { return f.endpoint == 2; }));
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

TEST_CASE("waits are told by the monotonic clock: a wall clock that is set changes none") {
  for (const Millis step : {Millis(-24h), Millis(24h)}) {
    Bench b;
    b.add(1);
    b.scheduler.hear(DueOnDisk{1, 10s, false}, b.now);
    b.now.wall += step;
    CHECK(b.scheduler.next(b.now).fetch.empty());
    b.pass(10s);
    CHECK(b.scheduler.next(b.now).fetch.size() == 1);
  }
}

TEST_CASE("when due times have moved, every lane looks at the disk again") {
  Bench b;
  for (const EndpointSeq seq : {1, 2}) b.add(seq);
  b.scheduler.hear(DueOnDisk{1, 1h, false}, b.now);
  b.scheduler.hear(DueTimesMoved{});
  CHECK(b.scheduler.next(b.now).fetch.size() == 2);
}

TEST_CASE("an endpoint older than the one that is known changes nothing") {
  Bench b;
  const auto newer = b.endpoint(1), older = b.endpoint(1);
  newer->updated_at = from_unix_millis(2);
  older->updated_at = from_unix_millis(1);
  older->state = EndpointState::kPaused;
  b.add(newer);
  b.scheduler.hear(EndpointChanged{.endpoint = 1, .now = older}, b.now);
  b.offer(1);
  CHECK(b.sends().size() == 1);
}

TEST_CASE("a lane that is given up ends with what it holds, and begins anew when it is owned again") {
  Bench b;
  const auto endpoint = b.endpoint(1);
  b.add(endpoint);
  PartitionSet mine;
  mine.set(1);
  b.offer(1, 2);
  const auto sent = b.sends();
  REQUIRE(sent.size() == 2);
  b.offer(1);  // waits in memory, and is the other owner's
  b.scheduler.drop_endpoint(1);
  CHECK_FALSE(b.scheduler.is_rid_of(mine));
  for (const auto& one : sent) b.succeed(one.delivery.key);
  CHECK(b.scheduler.is_rid_of(mine));
  CHECK(b.scheduler.next(b.now).fetch.empty());
  b.scheduler.put_endpoint(endpoint, b.now);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}

TEST_CASE("after an unclean takeover what is in order waits, and nothing else does") {
  Bench b;
  b.add(1);
  b.add(257);  // the same partition
  b.add(2);
  b.scheduler.hold_ordered(PartitionSet().set(1), b.now.mono + 4s);
  b.scheduler.hear(DeliveryReady{b.make_ordered(1, "a")}, b.now);
  b.scheduler.hear(DeliveryReady{b.make_ordered(2, "a")}, b.now);
  b.offer(257);
  std::vector<EventSeq> sent;
  for (const auto& send : b.sends()) sent.push_back(send.delivery.key.endpoint);
  std::ranges::sort(sent);
  CHECK(sent == std::vector<EventSeq>{2, 257});
  CHECK(b.scheduler.held() == 2);
  b.pass(3999ms);
  Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.empty());
  CHECK(d.fetch.empty());
  CHECK(d.wake_at == b.now.mono + 1ms);
  b.pass(1ms);
  d = b.scheduler.next(b.now);
  REQUIRE(d.fetch.size() == 1);
  b.scheduler.fetched(1, {{b.make_ordered(1, "a")}, {}}, b.now);
  CHECK(b.sends().size() == 1);
}

TEST_CASE("what is read from disk while order has to wait stays there, and asks for no second read") {
  Bench b;
  b.scheduler.hold_ordered(PartitionSet().set(1), b.now.mono + 4s);
  b.scheduler.put_endpoint(b.endpoint(1), b.now);
  REQUIRE(b.scheduler.next(b.now).fetch.size() == 1);
  b.scheduler.fetched(1, {{b.make_ordered(1, "a"), b.make(1)}, {}}, b.now);
  Decisions d = b.scheduler.next(b.now);
  CHECK(d.send.size() == 1);
  CHECK(d.fetch.empty());
  b.pass(4s);
  CHECK(b.scheduler.next(b.now).fetch.size() == 1);
}
