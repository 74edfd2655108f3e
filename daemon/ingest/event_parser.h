// From the body of POST /v1/events to drafts of events, or to a Problem that names every bad field. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/problem.h"

namespace outboxd {

struct EventDraft {
  Event event;                       // everything but seq, id and created_at, which are given at acceptance
  std::optional<Millis> delay, ttl;  // relative forms of deliver_at and expires_at, resolved at acceptance
  std::optional<std::string> idempotency_key;
};

struct EventLimits {
  std::size_t event_bytes = 1u << 20;  // payload and everything else of one event
  std::size_t batch_events = 1000;
};

enum class EventBody {
  kJson,
  kNdjson
};  // application/json: an object or an array; application/x-ndjson: one object a line

// `now` is when the request came: expires_at must lie after it, and deliver_at at most kMaxEventDelay. Absent for a row
// of the SQL outbox, which was checked so when it was inserted.
//
// The payload's bytes are those of the JSON value in the body, found by position, never re-encoded. An object
// with the same member twice is refused, for the two readings would differ. `header_key` is the
// Idempotency-Key header and applies to a single event only. Pointers of errors start with the index in a
// batch ("/3/type").
Result<std::vector<EventDraft>> parse_events(EventBody kind, std::string_view body,
                                             const std::optional<std::string>& header_key,
                                             const EventLimits& limits,
                                             std::optional<Time> now = std::nullopt);

// SHA-256 over everything that makes two events the same for an idempotency key: all fields but the key
// itself, and but the traceparent, which differs each time a producer repeats a request.
std::string content_digest(const EventDraft& draft);

}  // namespace outboxd
