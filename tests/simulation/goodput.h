// How much an endpoint gets done when a share of its answers are failures: one lane of the real scheduler with an
// endless backlog, in simulated time. A broken promise is a Violation.
#pragma once

#include <cstdint>
#include <string>

#include "simulation/world.h"

namespace outboxd::simulation {

// One share and one kind of failure, chosen by the seed, compared with endpoints that answer 500 as often, and never.
void check_goodput(std::uint64_t seed);

// The table of all shares and kinds, to look at.
std::string goodput_table();

}  // namespace outboxd::simulation
