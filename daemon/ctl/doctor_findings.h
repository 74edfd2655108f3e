// What `doctor` finds in the daemon's own figures: endpoints that nothing gets through to, certificates that are about to
// expire, a clock that was set, a write-ahead log that grows, and secrets in plain. Pure.
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
// The same rows. Empty: no endpoint has shown a certificate since the daemon started.
std::vector<Finding> findings_of_certificates(const std::vector<Json>& endpoints, Time now);
// `synchronised`: what the kernel says. `status`: null when the daemon does not answer. At least one finding.
std::vector<Finding> findings_of_clock(bool synchronised, const Json& status, Time now);
Finding finding_of_log(const Json& status);
Finding finding_of_secrets(const Json& secrets);  // the answer of GET /v1/secrets

}  // namespace outboxd::ctl
