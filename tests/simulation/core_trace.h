// Describes in words what happens in a simulated world, for whoever looks into a seed that failed.
#pragma once

#include <string>

#include "store/store.h"

namespace outboxd::simulation {

std::string describe(const Command& command, const Result<AnyAnswer>& answer);
std::string describe(const Facts& facts);
std::string describe(DeliveryKey key);

}  // namespace outboxd::simulation
