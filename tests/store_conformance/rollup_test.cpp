// The roll-up (store/rollup.h) counts what happened: exactly, whatever goes wrong, and within its bounds.
#include <set>

#include "store_conformance/fixture.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

// An outcome that tells which event it is about, as all of the daemon's do.
RecordOutcome about(RecordOutcome outcome, const NewEvent& event, Millis after = 0ms) {
  auto subject = std::make_shared<OutcomeSubject>();
  subject->event = event.event->id;
  subject->type = event.event->type;
  outcome.subject = std::move(subject);
  outcome.at = kNow + after;
  return outcome;
}
RecordOutcome failing(RecordOutcome outcome, Outcome how, int status = 0) {
  Attempt attempt = *outcome.attempt;
  attempt.outcome = how;
  attempt.status = status;
  attempt.error = std::string(to_string(how)) + " it was";
  return with_attempt(std::move(outcome), std::move(attempt));
}

struct Rollup : Fixture {
  Endpoint shop = create(), other = create(new_endpoint("acme"));

  // Of the first hours by the minute, or of the first days, summed up.
  RollupCounts sum(const std::optional<EndpointId>& endpoint = {}, Millis step = kRollupMinute) {
    RollupCounts all;
    for (const RollupPoint& point : points(endpoint, step)) all += point.counts;
    return all;
  }
  std::vector<RollupPoint> points(const std::optional<EndpointId>& endpoint, Millis step) {
    if (step < 1h) return reader->series(endpoint, kNow - 1h, kNow + 6h, step);
    return reader->series(endpoint, kNow - 24h, kNow + 48h, step);
  }
  Failures failures(FailuresBy by, FailureQuery query = {}) {
    query.by = by;
    query.since = kNow - 40 * kDay;
    query.until = subject->clock().wall() + 1ms;
    return reader->failures(query);
  }
  // One event for each of the endpoints, of which nothing has become yet.
  std::pair<NewEvent, EventSeq> accepted(const std::vector<EndpointSeq>& endpoints,
                                         const std::string& type = "order.paid") {
    NewEvent event = new_event(endpoints, type);
    return {event, accept_one(event)};
  }
  // Lets time pass, and retention do its work, of which deleting events is no part here.
  void maintain_after(Millis time) {
    subject->clock().advance(time);
    const Time now = subject->clock().wall();
    std::optional<DeliveryKey> after = DeliveryKey{};
    int steps = 0;
    for (; after && steps < 10'000; ++steps) {
      const auto pruned = apply(Prune{.delivered_before = kNow - kDay,
                                      .dead_before = kNow - kDay,
                                      .at = now,
                                      .limit = 256,
                                      .after = *after});
      REQUIRE(pruned);
      after = pruned->next;
    }
    CHECK_FALSE(after);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rollup, "what happens is counted once, for its endpoint and for all together") {
  const auto [first, one] = accepted({shop.seq, other.seq});
  const auto [second, two] = accepted({shop.seq});
  accept({new_event()});
  apply(about(failed({one, shop.seq}, 1), first));
  apply(about(delivered({one, shop.seq}, 2), first, 40ms));
  apply(about(died({two, shop.seq}, 1), second));
  apply(about(without_attempt(died({one, other.seq}, 0, DeadReason::kTooLarge)), first));

  const RollupCounts at_shop = sum(shop.id);
  CHECK(at_shop.accepted == 2);
  CHECK(at_shop.attempts == 3);
  CHECK(at_shop.failed == 2);
  CHECK(at_shop.delivered == 1);
  CHECK(at_shop.dead == 1);
  CHECK(at_shop.latency.quantile(1) == 50ms);   // the bucket of 25 to 50 ms
  CHECK(at_shop.duration.quantile(1) == 25ms);  // each took 12 ms
  const RollupCounts all = sum();
  CHECK(all.accepted == 3);
  CHECK(all.attempts == 3);
  CHECK(all.failed == 2);
  CHECK(all.delivered == 1);
  CHECK(all.dead == 2);
  CHECK(sum(other.id).accepted == 1);
  CHECK(sum(EndpointId{ids().next()}) == RollupCounts{});
}

TEST_CASE_FIXTURE(Rollup, "failures are grouped as asked, the most dead first") {
  const auto [event, seq] = accepted({shop.seq, other.seq});
  const auto [refund, late] = accepted({shop.seq}, "order.refunded");
  apply(about(failing(failed({seq, shop.seq}, 1), Outcome::kTimeout), event, 1s));
  apply(about(failing(failed({seq, shop.seq}, 2), Outcome::kTimeout), event, 2s));
  apply(about(failing(died({seq, other.seq}, 1), Outcome::kHttp5xx, 503), event, 3s));
  apply(about(without_attempt(died({late, shop.seq}, 0, DeadReason::kTooLarge)), refund, 4s));

  const Failures by_error = failures(FailuresBy::kError);
  CHECK(by_error.all == 3);
  CHECK(by_error.attempts == 3);
  CHECK(by_error.dead == 2);
  REQUIRE(by_error.groups.size() == 3);
  const FailureGroup& unavailable = by_error.groups[0];
  CHECK(unavailable.outcome == Outcome::kHttp5xx);
  CHECK(unavailable.reason == DeadReason::kExhausted);
  CHECK(unavailable.dead == 1);
  CHECK(unavailable.attempts == 1);
  CHECK(unavailable.last_status == 503);
  CHECK(unavailable.last_error == "http_5xx it was");
  CHECK(unavailable.endpoints == std::vector{other.id});
  const FailureGroup& too_large = by_error.groups[1];
  CHECK_FALSE(too_large.outcome);
  CHECK(too_large.reason == DeadReason::kTooLarge);
  CHECK(too_large.attempts == 0);
  const FailureGroup& timeouts = by_error.groups[2];
  CHECK(timeouts.attempts == 2);
  CHECK(timeouts.dead == 0);
  CHECK(timeouts.first_at == kNow + 1s);
  CHECK(timeouts.last_at == kNow + 2s);

  const Failures by_endpoint = failures(FailuresBy::kEndpoint);
  REQUIRE(by_endpoint.groups.size() == 2);
  CHECK(by_endpoint.groups[0].endpoints == std::vector{shop.id});
  CHECK(by_endpoint.groups[0].attempts == 2);
  CHECK(by_endpoint.groups[0].dead == 1);
  CHECK_FALSE(by_endpoint.groups[0].type);
  const Failures by_type = failures(FailuresBy::kType);
  REQUIRE(by_type.groups.size() == 2);
  CHECK(by_type.groups[0].type == "order.paid");
  CHECK(by_type.groups[0].endpoint_count == 2);
  const Failures by_status = failures(FailuresBy::kStatus);
  REQUIRE(by_status.groups.size() == 2);
  CHECK(by_status.groups[0].status == 503);
  CHECK(by_status.groups[1].status == 0);
  const Failures by_reason = failures(FailuresBy::kReason);
  REQUIRE(by_reason.groups.size() == 2);
  CHECK(by_reason.dead == 2);
}

TEST_CASE_FIXTURE(Rollup,
                  "failures are those of an endpoint, of a tenant, of a time, and the worst of them") {
  const auto [event, seq] = accepted({shop.seq, other.seq});
  apply(about(failing(failed({seq, shop.seq}, 1), Outcome::kTimeout), event));
  apply(about(died({seq, other.seq}, 1), event));
  CHECK(failures(FailuresBy::kError, {.endpoint = shop.id}).groups.at(0).outcome == Outcome::kTimeout);
  CHECK(failures(FailuresBy::kError, {.endpoint = EndpointId{ids().next()}}).all == 0);
  CHECK(failures(FailuresBy::kEndpoint, {.tenant = "acme"}).groups.at(0).endpoints == std::vector{other.id});
  CHECK(failures(FailuresBy::kEndpoint, {.tenant = "nobody"}).all == 0);
  const Failures worst = failures(FailuresBy::kEndpoint, {.limit = 1});
  CHECK(worst.groups.size() == 1);
  CHECK(worst.all == 2);
  CHECK(worst.groups[0].endpoints == std::vector{other.id});
  subject->clock().advance(5min);
  CHECK(reader->failures({.since = kNow + 1min, .until = kNow + 6min}).all == 0);
  CHECK(reader->failures({.since = kNow - 1min, .until = kNow}).all == 0);
  CHECK(reader->failures({.since = kNow + 59s, .until = kNow + 6min}).attempts == 2);
}

TEST_CASE_FIXTURE(Rollup, "what was undone is not counted, and what was counted outlives a restart") {
  const auto [event, seq] = accepted({shop.seq});
  const NewEvent next = new_event({shop.seq});
  NewEvent illegal = new_event();
  illegal.event->type = "";
  // The whole transaction is rolled back twice, and applied without the two.
  apply_all({about(failed({seq, shop.seq}, 1), event), accepting({illegal}), accepting({next}),
             accepting({illegal})});
  const auto check = [&](std::int64_t attempts) {
    CHECK(sum().accepted == 2);
    CHECK(sum().attempts == attempts);
    CHECK(sum(shop.id).accepted == 2);
    CHECK(sum(shop.id).failed == attempts);
    CHECK(failures(FailuresBy::kError).attempts == attempts);
  };
  check(1);
  reopen();
  check(1);
  apply(about(failed({seq, shop.seq}, 2), event));
  check(2);
}

TEST_CASE_FIXTURE(Rollup,
                  "an outcome that comes too late counts as an attempt, and one of nothing not at all") {
  const auto [event, seq] = accepted({shop.seq});
  apply(ChangeDelivery{{seq, shop.seq}, DeliveryState::kDiscarded, kNow});
  apply(about(died({seq, shop.seq}, 1), event));
  apply(about(died({seq + 7, shop.seq}, 1), event));
  CHECK(sum().attempts == 1);
  CHECK(sum().dead == 0);
  CHECK(failures(FailuresBy::kReason).all == 0);
}

TEST_CASE_FIXTURE(Rollup, "minutes that are over are in their hours, and both go in their time") {
  const auto [event, seq] = accepted({shop.seq});
  apply(about(failing(failed({seq, shop.seq}, 1), Outcome::kTimeout), event, 1s));
  subject->clock().advance(10min);
  apply(about(failing(failed({seq, shop.seq}, 2), Outcome::kTimeout), event, 10min));
  maintain_after(50min);
  apply(about(died({seq, shop.seq}, 3), event, 1h));  // in the next hour, of which nothing is over
  maintain_after(0min);

  const auto check = [&](Millis step) {
    CAPTURE(step.count());
    CHECK(sum({}, step).attempts == 3);
    CHECK(sum(shop.id, step).failed == 3);
    CHECK(sum(shop.id, step).accepted == 1);
    CHECK(sum(shop.id, step).duration == sum(shop.id).duration);
    const Failures found = failures(FailuresBy::kError);
    CHECK(found.attempts == 3);
    CHECK(found.dead == 1);
    CHECK(found.groups.at(1).first_at == kNow + 1s);
    CHECK(found.groups.at(1).last_at == kNow + 10min);
    CHECK(found.groups.at(1).last_error == "timeout it was");
  };
  check(kRollupMinute);
  check(kRollupHour);
  reopen();
  check(kRollupMinute);
  check(24h);
  maintain_after(2h);
  maintain_after(0h);  // twice, and nothing twice
  check(kRollupMinute);
  check(kRollupHour);

  maintain_after(8 * kDay);
  CHECK(sum().attempts == 0);
  CHECK(sum({}, kRollupHour).attempts == 3);
  CHECK(sum(shop.id, 24h).attempts == 3);
  CHECK(failures(FailuresBy::kError).attempts == 3);
  maintain_after(23 * kDay);
  CHECK(sum({}, kRollupHour) == RollupCounts{});
  CHECK(failures(FailuresBy::kError).all == 0);
}

TEST_CASE_FIXTURE(
    Rollup,
    "what happens when the clock was set back to a minute that is in its hour already counts in both") {
  const auto [event, seq] = accepted({shop.seq});
  maintain_after(3h);
  subject->clock().step_wall(-179min);
  for (int number = 1; number <= 2; ++number) apply(about(failed({seq, shop.seq}, number), event));
  reopen();
  apply(about(died({seq, shop.seq}, 3), event));
  maintain_after(3h);
  for (const Millis step : {kRollupMinute, kRollupHour}) {
    CHECK(sum({}, step).attempts == 3);
    CHECK(sum(shop.id, step).dead == 1);
    CHECK(sum(shop.id, step).accepted == 1);
  }
  CHECK(failures(FailuresBy::kError).attempts == 3);
}

TEST_CASE_FIXTURE(Rollup, "more types than it tells apart in a minute are counted together") {
  std::vector<Command> batch;
  constexpr int kTypes = static_cast<int>(kMaxRollupTypes) + 20;
  for (int i = 0; i < kTypes; ++i) {
    const auto [event, seq] = accepted({shop.seq}, "type." + std::to_string(i));
    batch.emplace_back(about(died({seq, shop.seq}, 1), event));
  }
  apply_all(batch);
  const auto groups = [&] { return failures(FailuresBy::kType, {.limit = 1000}); };
  CHECK(groups().all == kMaxRollupTypes + 1);
  CHECK(groups().dead == kTypes);
  CHECK(groups().groups.at(0).type == kOtherTypes);
  CHECK(groups().groups.at(0).dead == 20);
  reopen();  // it still knows which it tells apart
  const auto [event, seq] = accepted({shop.seq}, "type.1000");
  apply(about(died({seq, shop.seq}, 1), event));
  CHECK(groups().groups.at(0).dead == 21);
  maintain_after(2h);
  CHECK(groups().all == kMaxRollupTypes + 1);
  CHECK(sum(shop.id, kRollupHour).dead == kTypes + 1);
  // In the next minute there is room again.
  const auto [fresh, last] = accepted({shop.seq}, "type.1000");
  apply(about(died({last, shop.seq}, 1), fresh));
  CHECK(groups().all == kMaxRollupTypes + 2);
}

TEST_CASE_FIXTURE(Rollup, "more groups than it keeps of a minute are counted together, and none is lost") {
  constexpr int kEndpoints = static_cast<int>(kMaxRollupGroups) + 50;
  NewEvent event = new_event();
  for (int i = 0; i < kEndpoints; ++i) event.endpoints.push_back({.endpoint = 1000 + i});
  const EventSeq seq = accept_one(event);
  std::vector<Command> batch;
  batch.reserve(kEndpoints);
  for (int i = 0; i < kEndpoints; ++i) batch.emplace_back(about(died({seq, 1000 + i}, 1), event));
  apply_all(batch);
  const Failures found = failures(FailuresBy::kEndpoint, {.limit = 2000});
  CHECK(found.dead == kEndpoints);
  CHECK(found.all == kMaxRollupGroups + 1);
  CHECK(found.groups.at(0).dead == 50);
  CHECK(found.groups.at(0).endpoints.empty());
  CHECK(sum().dead == kEndpoints);
  CHECK(sum().accepted == 1);
  maintain_after(2h);
  CHECK(failures(FailuresBy::kEndpoint).dead == kEndpoints);
  CHECK(sum({}, kRollupHour).dead == kEndpoints);
}

TEST_CASE_FIXTURE(Rollup, "the rates of an endpoint are those of its last minutes") {
  const auto [event, seq] = accepted({shop.seq});
  apply(about(failed({seq, shop.seq}, 1), event));
  apply(about(delivered({seq, shop.seq}, 2), event, 70ms));
  subject->clock().advance(1min);
  const EndpointRates rates = endpoint_rates(*reader, shop.id, subject->clock().wall());
  CHECK(rates.accepted_per_second == doctest::Approx(1.0 / 300));
  CHECK(rates.delivered_per_second == doctest::Approx(1.0 / 300));
  CHECK(rates.failed_per_second == doctest::Approx(1.0 / 300));
  CHECK(rates.latency_p50 == 75ms);
  CHECK(rates.latency_p95 == 98ms);
  subject->clock().advance(6min);
  const EndpointRates idle = endpoint_rates(*reader, shop.id, subject->clock().wall());
  CHECK(idle.accepted_per_second == 0);
  CHECK_FALSE(idle.latency_p95);
}

TEST_CASE("a histogram tells quantiles, adds up, and is read as it was written") {
  Histogram h;
  CHECK_FALSE(h.quantile(0.5));
  CHECK(h.encode().empty());
  for (int i = 0; i < 300; ++i) h.record(1ms);
  CHECK(h.quantile(0.5) == 1ms);
  h.record(26h);
  CHECK(h.quantile(1) == 1h);  // or longer
  Histogram twice = h;
  twice += h;
  for (const Histogram& some : {Histogram{}, h, twice}) CHECK(Histogram::decode(some.encode()) == some);
  CHECK(twice.quantile(0.25) == h.quantile(0.25));
  CHECK(h.encode().size() == 18);
  for (const std::string& broken :
       {std::string("\x80"), std::string(18, '\1'), std::string(9, '\xff') + '\1'})
    CHECK_FALSE(Histogram::decode(broken));
}

TEST_CASE("the text of an error is cut between characters") {
  RollupCounts counts;
  counts.note_failure(kNow, std::string(kMaxRollupError - 1, 'x') + "é");
  CHECK(counts.last_error == std::string(kMaxRollupError - 1, 'x'));
  counts.note_failure(kNow, "");
  CHECK_FALSE(counts.last_error.empty());
}
