// The retry schedule of endpoints without one of their own, unless [delivery] retry_schedule sets another.
#pragma once

#include <vector>

#include "common/time.h"

namespace outboxd {

// The waits before the 1st, 2nd … attempt; its length is the number of attempts. As Standard Webhooks recommends.
inline std::vector<Millis> default_retry_schedule() {
  using std::chrono::hours, std::chrono::minutes, std::chrono::seconds;
  return {seconds(0), seconds(5), minutes(5), minutes(30), hours(2),
          hours(5),   hours(10),  hours(14),  hours(20),   hours(24)};
}

}  // namespace outboxd
