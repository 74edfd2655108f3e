// The results as one SVG: a curve of percentiles for each latency, bars for rates and CPU, the goals marked.
#pragma once

#include <string>
#include <vector>

#include "bench/report.h"

namespace outboxd::bench {

std::string plot(const std::vector<Result>& results, const Json& machine);

}  // namespace outboxd::bench
