// What `doctor` finds in the daemon's own figures: endpoints that nothing gets through to, and a write-ahead log that grows.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

struct Finding {
  bool good = false;
  std::string what, found;
  std::string mend;  // "" for a good one
};

// `endpoints`: rows of the list, with their stats. At least one finding.
std::vector<Finding> findings_of_endpoints(const std::vector<Json>& endpoints, Time now);
Finding finding_of_log(const Json& status);

}  // namespace outboxd::ctl
