// Reads one event object of a request into a draft, and reports every bad field. For event_parser.cpp, which reads the
// request around it. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/json_span.h"
#include "common/problem.h"
#include "ingest/event_parser.h"

namespace outboxd {

inline constexpr std::size_t kMaxReportedEventErrors = 100;

using EventIndex = std::optional<std::size_t>;  // the event's place in a batch; absent: it is alone

// The start of a name from outside, short enough to repeat.
std::string_view excerpt(std::string_view name);
// "/3/type", by RFC 6901.
std::string pointer_of(EventIndex index, std::string_view name);

// The next value is an object. The draft is valid only if nothing was added to `errors` and the scanner met no fault.
EventDraft read_event_object(JsonScanner& scanner, EventIndex index, const EventLimits& limits,
                             std::optional<Time> now, std::vector<FieldError>& errors);

}  // namespace outboxd
