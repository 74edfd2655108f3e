// The settings as JSON shows them.
#pragma once

#include "common/json.h"
#include "config/config.h"

namespace outboxd::config {

// The texts, numbers, lists and booleans that the configuration has are written alike in TOML and JSON; what is not is
// given as text.
Json value_of(const Setting& setting);

}  // namespace outboxd::config
