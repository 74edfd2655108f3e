// Lanes that wait for their turn, in one queue per ServiceClass, served in rotation. Worse classes may be passed over:
// Scheduler limits what each class and those below it may use together, so any number of hanging endpoints leaves room
// for those that answer.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "common/id.h"

namespace outboxd {

// How an endpoint has performed, from best to worst.
enum class ServiceClass : unsigned char {
  kPrompt,    // its attempts take less than a second
  kUnproven,  // they take longer, or there were none yet
  kFailing    // its circuit breaker is open
};
inline constexpr std::size_t kServiceClasses = 3;
// How much each class and those below it may use together, in quarters of the whole.
inline constexpr std::array<int, kServiceClasses> kQuarters = {4, 3, 2};

class ReadyQueue {
 public:
  using Place = std::optional<ServiceClass>;  // the queue that a lane stands in; stored in the lane

  // Queues a lane, or moves it if it stands in another queue.
  void push(EndpointSeq lane, Place& place, ServiceClass service_class) {
    if (place == service_class) return;
    place = service_class;
    queues_[static_cast<std::size_t>(service_class)].push_back(lane);
  }
  struct Entry {
    EndpointSeq lane;
    ServiceClass from;
  };
  // The next lane in turn whose class is `worst` or better. A lane that has moved to another queue still comes up from
  // its former one: its place shows that the entry is stale.
  std::optional<Entry> pop(ServiceClass worst) {
    const std::size_t count = static_cast<std::size_t>(worst) + 1;
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t i = (next_ + n) % count;
      if (queues_[i].empty()) continue;
      const Entry entry{queues_[i].front(), static_cast<ServiceClass>(i)};
      queues_[i].pop_front();
      next_ = (i + 1) % kServiceClasses;
      return entry;
    }
    return std::nullopt;
  }

 private:
  std::array<std::deque<EndpointSeq>, kServiceClasses> queues_;
  std::size_t next_ = 0;
};

}  // namespace outboxd
