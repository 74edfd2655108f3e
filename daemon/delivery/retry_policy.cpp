#include "delivery/retry_policy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "common/text.h"

namespace outboxd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kJitter = 0.1;

bool slows_lane(int status) {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

// IMF-fixdate, RFC 850 and asctime, as RFC 9110 5.6.7 asks of recipients.
std::optional<Time> parse_http_date(std::string_view value) {
  constexpr std::array kForms = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                 "%a %b %e %H:%M:%S %Y"};
  const std::string text(value);
  for (const char* form : kForms) {
    std::tm parts{};
    const char* end = strptime(text.c_str(), form, &parts);
    if (end != nullptr && *end == '\0') return Time(seconds(timegm(&parts)));
  }
  return std::nullopt;
}

}  // namespace

std::optional<Millis> parse_retry_after(std::string_view value, Time now) {
  if (!value.empty() && std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; })) {
    // A number too large to parse is simply a long time.
    const auto count = parse_int(value);
    if (!count || *count > std::chrono::duration_cast<seconds>(kMaxRetryAfter).count()) return kMaxRetryAfter;
    return seconds(*count);
  }
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  return std::clamp(*date - now, Millis(0), kMaxRetryAfter);
}

Verdict evaluate_attempt(const AttemptFacts& facts, std::span<const Millis> schedule, Time now,
                         double jitter) {
  Verdict verdict;
  const auto dead = [&verdict](DeadReason reason) {
    verdict.state = DeliveryState::kDead;
    verdict.reason = reason;
  };
  if (facts.outcome == Outcome::kSuccess) {
    verdict.state = DeliveryState::kDelivered;
    return verdict;
  }
  if (facts.status == 410 && !facts.by_former_receiver) {
    dead(DeadReason::kGone);
    verdict.gone = true;
    return verdict;
  }

  verdict.slow_down = slows_lane(facts.status) && !facts.by_former_receiver;
  if (verdict.slow_down && facts.retry_after)
    verdict.asked_pause = parse_retry_after(*facts.retry_after, now);
  if (facts.skip_on_failure) {
    dead(DeadReason::kSkipped);
    return verdict;
  }
  if (facts.attempts_made >= static_cast<int>(schedule.size())) {
    dead(facts.outcome == Outcome::kBlocked ? DeadReason::kBlocked : DeadReason::kExhausted);
    return verdict;
  }
  const double wait = static_cast<double>(schedule[facts.attempts_made].count()) * (1 + kJitter * jitter);
  verdict.due_in = std::max(verdict.asked_pause.value_or(Millis(0)), Millis(std::llround(wait)));
  if (facts.expires_at && now + verdict.due_in >= *facts.expires_at) dead(DeadReason::kExpired);
  return verdict;
}

// Damage is checked first: the times of a damaged event mean nothing.
std::optional<RecordOutcome> outcome_without_attempt(const DueDelivery& delivery, Time now) {
  RecordOutcome record;
  record.key = delivery.key;
  record.at = now;
  const auto deliver_at = delivery.event->deliver_at;
  if (delivery.event->damaged) {
    record.state = DeliveryState::kDead;
    record.reason = DeadReason::kDamaged;
  } else if (delivery.event->erased) {
    record.state = DeliveryState::kDiscarded;
  } else if (delivery.expires_at && *delivery.expires_at <= now) {
    record.state = DeliveryState::kDead;
    record.reason = DeadReason::kExpired;
  } else if (deliver_at && *deliver_at > now) {
    record.due_in = *deliver_at - now;
  } else {
    return std::nullopt;
  }
  return record;
}

}  // namespace outboxd
