// The days of the partitions (migrations/postgresql/0001): whole days since 1970, of an event's id.
#pragma once

#include <algorithm>

#include "common/id.h"
#include "common/time.h"

namespace outboxd::postgresql {

// What outlives its day is moved to this partition: its day is then kept_day(day). Those of before are less.
inline constexpr int kFirstKeptDay = 1'000'000;
inline constexpr int kept_day(int day) {
  return day + kFirstKeptDay;
}

inline int day_of(Time t) {
  const auto day = std::chrono::floor<std::chrono::days>(t).time_since_epoch().count();
  return static_cast<int>(std::clamp<std::int64_t>(day, 0, kFirstKeptDay - 1));
}
inline Time start_of_day(int day) {
  return Time(std::chrono::days(day));
}

// The day of an event that is accepted now. Later it may be that or kept_day() of it.
inline int day_of(const EventId& id) {
  return day_of(id.uuid.time());
}

}  // namespace outboxd::postgresql
