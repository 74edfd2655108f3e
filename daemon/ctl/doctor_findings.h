// What `doctor` finds in the daemon's own figures: endpoints that nothing gets through to, certificates that are about to
// expire, sources that cannot be relayed, a clock that was set, a write-ahead log that grows, secrets in plain, and events
// that nobody gets. Pure.
#pragma once

#include <string>
#include <string_view>
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
// `events`: those of the last hour that matched no endpoint, up to a page; `more`: there are others. `endpoints`: rows of
// the list. One finding for each type that still matches none, or that would match now. At least one finding.
std::vector<Finding> findings_of_unmatched(const std::vector<Json>& events, bool more,
                                           const std::vector<Json>& endpoints);
// The pattern that comes nearest to this type without matching it, as a typing error might; "": none. "ordr.paid" is near
// to "order.*".
std::string nearest_pattern(std::string_view type, const std::vector<std::string>& patterns);
// `sources`: rows of GET /v1/sources. Empty: none is configured.
std::vector<Finding> findings_of_sources(const std::vector<Json>& sources, Time now);
Finding finding_of_log(const Json& status);
Finding finding_of_secrets(const Json& secrets);  // the answer of GET /v1/secrets

}  // namespace outboxd::ctl
