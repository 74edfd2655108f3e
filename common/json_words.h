// What an error says of a JSON value that it refuses. Pure.
#pragma once

#include <string>

#include "common/json_span.h"

namespace outboxd {

// "; got \"abc\"", "; got 7", "; got an object": added to an error to show the value that was found instead.
std::string got(const JsonSpan& span);

}  // namespace outboxd
