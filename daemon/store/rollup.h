// The roll-up: what happened, counted by minute, endpoint, event type, outcome, status and reason, so that nobody has to
// count in a large table. The store keeps it in the transactions that make things happen; this is what is kept and
// read. Pure.
//
// Every bound on it is here. Minutes are kept for a week; once over, they are added up to hours as well, which are kept
// for a month. One span of time, a minute or an hour, has at most kMaxRollupTypes types, and kMaxRollupGroups groups of what
// succeeded and as many of what failed; what goes beyond is counted together, as "other".
#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/id.h"
#include "common/time.h"

namespace outboxd {

inline constexpr Millis kRollupMinute = std::chrono::minutes(1), kRollupHour = std::chrono::hours(1);
inline constexpr Millis kRollupMinutesKept = std::chrono::days(7), kRollupHoursKept = std::chrono::days(30);
inline constexpr std::size_t kMaxRollupGroups = 1000, kMaxRollupTypes = 100;
inline constexpr std::size_t kMaxRollupError = 256;  // bytes of the last error's text

// The start of the span of this length that holds `t`.
constexpr Time start_of(Millis length, Time t) {
  return t - t.time_since_epoch() % length;
}

// Counts of durations in buckets that grow about logarithmically, from 2 ms to an hour.
class Histogram {
 public:
  void record(Millis duration);
  Histogram& operator+=(const Histogram& other);
  // The duration that this share (0 to 1) does not exceed, interpolated within its bucket; absent without durations.
  std::optional<Millis> quantile(double share) const;

  // As stored: the counts as LEB128 numbers, without the zeros at the end. nullopt: not that.
  std::string encode() const;
  static std::optional<Histogram> decode(std::string_view bytes);

  bool operator==(const Histogram&) const = default;

 private:
  // The longest duration of each bucket but the last, which has no limit.
  static constexpr std::array<std::int64_t, 16> kLimits{
      2, 5, 10, 25, 50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 30'000, 120'000, 600'000, 3'600'000};
  std::array<std::int64_t, kLimits.size() + 1> counts_{};
};

// A group: what is counted together. The default, with success, is the one of all endpoints together.
struct RollupKey {
  EndpointSeq endpoint = 0;
  std::string type;
  std::optional<Outcome> outcome;    // absent: deliveries that died without an attempt
  int status = 0;                    // of failed attempts
  std::optional<DeadReason> reason;  // of deliveries that died
  auto operator<=>(const RollupKey&) const = default;
};
// The type of events beyond kMaxRollupTypes; no event has it. With endpoint 0: of what is beyond kMaxRollupGroups.
inline constexpr std::string_view kOtherTypes = "*";

struct RollupCounts {
  std::int64_t accepted = 0;  // deliveries made of accepted events; of all endpoints together: events
  std::int64_t attempts = 0, failed = 0, delivered = 0, dead = 0;
  Histogram latency;   // from accepted to delivered
  Histogram duration;  // of attempts
  // Of what failed or died.
  std::optional<Time> first_at, last_at;
  std::string last_error;

  void note_failure(Time at, std::string_view error);
  RollupCounts& operator+=(const RollupCounts& other);
  bool operator==(const RollupCounts&) const = default;
};

struct RollupPoint {
  Time at{};  // when its step begins
  RollupCounts counts;
};

enum class FailuresBy { kError, kEndpoint, kType, kStatus, kReason };
std::string_view to_string(FailuresBy);
std::optional<FailuresBy> parse_failures_by(std::string_view);

struct FailureQuery {
  FailuresBy by = FailuresBy::kError;
  Time since{}, until{};  // by the minute; where minutes are no longer kept, by the hour
  std::optional<EndpointId> endpoint = {};
  std::optional<std::string> tenant = {};  // of the endpoints
  std::size_t limit = 50;                  // groups
};

struct FailureGroup {
  static constexpr std::size_t kMaxEndpoints = 10;

  std::int64_t attempts = 0;  // that failed
  std::int64_t dead = 0;      // deliveries
  std::optional<Time> first_at, last_at;
  std::string last_error;
  int last_status = 0;

  // What all of the group have in common; absent: they differ, or have none. By endpoint, `type` may be kOtherTypes.
  std::optional<std::string> type;
  std::optional<Outcome> outcome;
  std::optional<int> status;
  std::optional<DeadReason> reason;

  std::int64_t endpoint_count = 0;
  std::vector<EndpointId>
      endpoints;  // the first of them; without those that are gone, and those beyond the bound
};
struct Failures {
  std::vector<FailureGroup> groups;     // most dead first, then most failed attempts
  std::size_t all = 0;                  // how many groups there are
  std::int64_t attempts = 0, dead = 0;  // of all groups
  Time since{};                         // later than asked for when there was more than one call reads
};

// How an endpoint did in the last minutes, for its statistics.
struct EndpointRates {
  double accepted_per_second = 0, delivered_per_second = 0, failed_per_second = 0;
  std::optional<Millis> latency_p50, latency_p95;    // from accepted to delivered
  std::optional<Millis> duration_p50, duration_p95;  // of attempts
};
inline constexpr Millis kRatesOver = std::chrono::minutes(5);
class StoreReader;
EndpointRates endpoint_rates(StoreReader& reader, const EndpointId& endpoint, Time now);

}  // namespace outboxd
