// Lanes that wait for their turn, in a queue for each Standing, served in rotation. The worse ones may be passed over: Scheduler
// gives each standing and those below it a share of what there is, so any number of endpoints that hang leaves room for those
// that answer.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "common/id.h"

namespace outboxd {

// What an endpoint has shown of itself, from the best to the worst.
enum class Standing : unsigned char {
  kPrompt,    // its attempts come back within a second
  kUnproven,  // they take longer, or there were none yet
  kFailing    // its circuit breaker is open
};
inline constexpr std::size_t kStandings = 3;
// What those of a standing and all below it may use together, in quarters.
inline constexpr std::array<int, kStandings> kQuarters = {4, 3, 2};

class ReadyQueue {
 public:
  using Place = std::optional<Standing>;  // the queue a lane stands in; kept by the lane

  // Queues a lane, or moves it when it stands in another queue.
  void push(EndpointSeq lane, Place& place, Standing standing) {
    if (place == standing) return;
    place = standing;
    queues_[static_cast<std::size_t>(standing)].push_back(lane);
  }
  struct Entry {
    EndpointSeq lane;
    Standing from;
  };
  // The next in turn whose standing is `worst` or better. An entry whose lane has moved to another queue meanwhile still
  // comes up: the lane's place tells.
  std::optional<Entry> pop(Standing worst) {
    const std::size_t count = static_cast<std::size_t>(worst) + 1;
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t i = (next_ + n) % count;
      if (queues_[i].empty()) continue;
      const Entry entry{queues_[i].front(), static_cast<Standing>(i)};
      queues_[i].pop_front();
      next_ = (i + 1) % kStandings;
      return entry;
    }
    return std::nullopt;
  }

 private:
  std::array<std::deque<EndpointSeq>, kStandings> queues_;
  std::size_t next_ = 0;
};

}  // namespace outboxd
