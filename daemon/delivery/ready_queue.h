// Lanes that wait for their turn, in a queue for each ServiceClass, served in rotation. The worse ones may be passed over: Scheduler
// gives each service_class and those below it a share of what there is, so any number of endpoints that hang leaves room for those
// that answer.
#pragma once

#include <array>
#include <deque>
#include <optional>

#include "common/id.h"

namespace outboxd {

// What an endpoint has shown of itself, from the best to the worst.
enum class ServiceClass : unsigned char {
  kPrompt,    // its attempts come back within a second
  kUnproven,  // they take longer, or there were none yet
  kFailing    // its circuit breaker is open
};
inline constexpr std::size_t kServiceClasses = 3;
// What those of a service_class and all below it may use together, in quarters.
inline constexpr std::array<int, kServiceClasses> kQuarters = {4, 3, 2};

class ReadyQueue {
 public:
  using Place = std::optional<ServiceClass>;  // the queue a lane stands in; kept by the lane

  // Queues a lane, or moves it when it stands in another queue.
  void push(EndpointSeq lane, Place& place, ServiceClass service_class) {
    if (place == service_class) return;
    place = service_class;
    queues_[static_cast<std::size_t>(service_class)].push_back(lane);
  }
  struct Entry {
    EndpointSeq lane;
    ServiceClass from;
  };
  // The next in turn whose service_class is `worst` or better. An entry whose lane has moved to another queue meanwhile still
  // comes up: the lane's place tells.
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
