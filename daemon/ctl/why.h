// Why something waits: what holds it, since when, what came back last, when it goes next, and which command helps. Pure,
// from what the API says.
#pragma once

#include <string>
#include <vector>

#include "common/json.h"

namespace outboxd::ctl {

struct Explanation {
  std::string text = {};                   // one paragraph; what came from outside is not escaped yet
  std::vector<std::string> details = {};   // a line each
  std::vector<std::string> commands = {};  // the next useful ones, the best first
};

// `delivery` with its attempt_list; `stats` are its endpoint's, null when that was removed.
Explanation explain_delivery(const Json& delivery, const Json& stats, Time now);
Explanation explain_endpoint(const Json& endpoint, const Json& stats, Time now);
// An event with its deliveries.
Explanation explain_event(const Json& event, Time now);

// The member "waiting" of a delivery as a word or two: "breaker, 12s", "in flight", "-".
std::string waiting_text(const Json& delivery, Time now);

}  // namespace outboxd::ctl
