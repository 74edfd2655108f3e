#include "delivery/retry_policy.h"

#include <doctest/doctest.h>

#include "common/retry_schedule.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

const Time kNow = from_unix_millis(1'785'000'000'000);
const std::vector<Millis> kSchedule = {0s, 10s, 1min};

Verdict judge_status(int status, int attempts_made, std::optional<std::string> retry_after = {}) {
  const Outcome outcome = status < 300    ? Outcome::kSuccess
                          : status >= 500 ? Outcome::kHttp5xx
                                          : Outcome::kHttp4xx;
  return evaluate_attempt({outcome, status, std::move(retry_after), attempts_made, {}}, kSchedule, kNow, 0);
}

}  // namespace

TEST_CASE("the default schedule makes ten attempts, the last one three days after the first") {
  const auto schedule = default_retry_schedule();
  CHECK(schedule.size() == 10);
  Millis sum{0};
  for (const Millis wait : schedule) sum += wait;
  CHECK(sum == 75h + 35min + 5s);
}

TEST_CASE("a success ends the delivery") {
  CHECK(judge_status(204, 1).state == DeliveryState::kDelivered);
}

TEST_CASE("a failure waits for the schedule's next entry, with jitter of a tenth either way") {
  CHECK(judge_status(500, 1).due_in == 10s);
  CHECK(judge_status(404, 2).due_in == 1min);
  const AttemptFacts facts{Outcome::kTimeout, 0, {}, 1, {}};
  CHECK(evaluate_attempt(facts, kSchedule, kNow, 1).due_in == 11s);
  CHECK(evaluate_attempt(facts, kSchedule, kNow, -1).due_in == 9s);
}

TEST_CASE("after the last attempt of the schedule the delivery is a dead letter") {
  const Verdict verdict = judge_status(500, 3);
  CHECK(verdict.state == DeliveryState::kDead);
  CHECK(verdict.reason == DeadReason::kExhausted);
}

TEST_CASE("410 ends the delivery and disables the endpoint") {
  const Verdict verdict = judge_status(410, 1);
  CHECK(verdict.reason == DeadReason::kGone);
  CHECK(verdict.gone);
}

TEST_CASE(
    "what the address policy refused is retried like any failure, and dead as blocked only at the end") {
  const AttemptFacts first{Outcome::kBlocked, 0, {}, 1, {}};
  CHECK(evaluate_attempt(first, kSchedule, kNow, 0).state == DeliveryState::kPending);
  CHECK(evaluate_attempt(first, kSchedule, kNow, 0).due_in == 10s);
  CHECK(evaluate_attempt({Outcome::kBlocked, 0, {}, 3, {}}, kSchedule, kNow, 0).reason ==
        DeadReason::kBlocked);
  CHECK(evaluate_attempt({Outcome::kBlocked, 0, {}, 1, kNow + 5s}, kSchedule, kNow, 0).reason ==
        DeadReason::kExpired);
  CHECK(evaluate_attempt({Outcome::kBlocked, 0, {}, 1, {}, true}, kSchedule, kNow, 0).reason ==
        DeadReason::kSkipped);
}

TEST_CASE(
    "what a former receiver answers decides about its own delivery only, and not that no other may try") {
  const auto judge_former = [](Outcome outcome, int status, int attempts_made,
                               std::optional<std::string> retry_after = {}) {
    return evaluate_attempt({outcome, status, std::move(retry_after), attempts_made, {}, false, true},
                            kSchedule, kNow, 0);
  };
  CHECK(judge_former(Outcome::kHttp4xx, 410, 1).due_in == 10s);
  CHECK_FALSE(judge_former(Outcome::kHttp4xx, 410, 1).gone);
  CHECK(judge_former(Outcome::kHttp4xx, 410, 3).reason == DeadReason::kExhausted);
  const Verdict slowed = judge_former(Outcome::kHttp4xx, 429, 1, "3600");
  CHECK(slowed.due_in == 10s);
  CHECK_FALSE(slowed.slow_down);
  CHECK_FALSE(slowed.asked_pause);
  CHECK(judge_former(Outcome::kSuccess, 200, 1).state == DeliveryState::kDelivered);
}

TEST_CASE("a retry that would come too late expires the delivery instead") {
  const AttemptFacts facts{Outcome::kHttp5xx, 500, {}, 1, kNow + 5s};
  CHECK(evaluate_attempt(facts, kSchedule, kNow, 0).reason == DeadReason::kExpired);
}

TEST_CASE("429, 502, 503 and 504 slow the whole lane, for Retry-After where it is given") {
  for (const int status : {429, 502, 503, 504}) {
    CHECK(judge_status(status, 1, "30").asked_pause == 30s);
    CHECK(judge_status(status, 1, "30").due_in == 30s);
    CHECK(judge_status(status, 1).slow_down);
    CHECK_FALSE(judge_status(status, 1).asked_pause);
  }
  CHECK(judge_status(503, 2, "5").due_in == 1min);  // the schedule is longer
  CHECK_FALSE(judge_status(500, 1, "30").slow_down);
  CHECK_FALSE(judge_status(500, 1, "30").asked_pause);
}

TEST_CASE("where those behind a failing delivery shall not wait, it is skipped at its first failure") {
  const AttemptFacts failed{Outcome::kHttp5xx, 500, {}, 1, {}, true};
  CHECK(evaluate_attempt(failed, kSchedule, kNow, 0).reason == DeadReason::kSkipped);
  const AttemptFacts gone{Outcome::kHttp4xx, 410, {}, 1, {}, true};
  CHECK(evaluate_attempt(gone, kSchedule, kNow, 0).reason == DeadReason::kGone);
}

TEST_CASE("Retry-After is read as seconds or as any HTTP date, never negative, at most a day") {
  CHECK(parse_retry_after("120", kNow) == 120s);
  CHECK(parse_retry_after("0", kNow) == 0s);
  CHECK(parse_retry_after("99999999999999999999999", kNow) == 24h);
  const Time noon = *parse_time("2026-11-06T08:49:37Z");
  CHECK(parse_retry_after("Fri, 06 Nov 2026 08:50:37 GMT", noon) == 60s);
  CHECK(parse_retry_after("Friday, 06-Nov-26 08:50:37 GMT", noon) == 60s);
  CHECK(parse_retry_after("Fri Nov  6 08:50:37 2026", noon) == 60s);
  CHECK(parse_retry_after("Fri, 06 Nov 2020 08:50:37 GMT", noon) == 0s);
  CHECK(parse_retry_after("Fri, 06 Nov 2099 08:50:37 GMT", noon) == 24h);
  for (const char* bad : {"", "-1", "1.5", "soon", "10 s", "+5", "Fri, 06 Nov 2026"})
    CHECK_FALSE(parse_retry_after(bad, noon));
}
