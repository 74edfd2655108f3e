// What `tail` shows: from lists of deliveries taken again and again, those on which an attempt was made or
// that came to an end since the list before. Pure.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

class AttemptFeed {
 public:
  static constexpr std::size_t kRemembered = 20'000;  // deliveries; a forgotten one would only show again

  // The changed ones, oldest first; of one delivery the latest change alone.
  std::vector<Json> changed(std::span<const Json> newest_first);

 private:
  std::unordered_map<std::string, std::string> seen_;  // id -> state and attempts
  std::deque<std::string> order_;                      // ids as they came, to forget the oldest
};

}  // namespace outboxd::ctl
