// Parses the body of POST /v1/events into drafts of events, or into a Problem that names every bad field. Pure.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/problem.h"

namespace outboxd {

struct EventDraft {
  Event event;  // everything but seq, id and created_at, which are assigned at acceptance
  std::optional<Millis> delay, ttl;  // relative forms of deliver_at and expires_at, resolved at acceptance
  std::optional<std::string> idempotency_key;
};

struct EventLimits {
  std::size_t event_bytes = 1u << 20;  // for one event, payload and everything else
  std::size_t batch_events = 1000;
  std::shared_ptr<const std::vector<std::string>> types = {};  // patterns of those accepted; null: any
};

// kJson: application/json, an object or an array. kNdjson: application/x-ndjson, one object per line. kCloudEvent,
// kCloudEventBatch: application/cloudevents+json, an object, and application/cloudevents-batch+json, an array of them.
// kBinaryCloudEvent: the payload of a CloudEvent whose attributes are headers, see parse_binary_cloud_event().
enum class EventBody { kJson, kNdjson, kCloudEvent, kCloudEventBatch, kBinaryCloudEvent };

// `now` is the time of the request: expires_at must lie after it, and deliver_at at most kMaxEventDelay ahead. Absent
// for a row of the SQL outbox, where this was checked when it was inserted.
//
// The payload keeps the exact bytes of the JSON value in the body, found by position and never re-encoded. An object
// with the same member twice is refused, because parsers disagree on which one counts. `header_key` is the
// Idempotency-Key header and applies to a single event only; a CloudEvent has one of its source and id without it
// (ingest/cloud_event_draft.h). In a batch the pointers of errors start with the index
// ("/3/type").
Result<std::vector<EventDraft>> parse_events(EventBody kind, std::string_view body,
                                             const std::optional<std::string>& header_key,
                                             const EventLimits& limits,
                                             std::optional<Time> now = std::nullopt);

// One CloudEvent in binary mode: `headers` are those of the request. Errors name the header ("ce-time").
Result<std::vector<EventDraft>> parse_binary_cloud_event(std::span<const HeaderField> headers,
                                                         std::string_view body,
                                                         const std::optional<std::string>& header_key,
                                                         const EventLimits& limits);

// SHA-256 over everything that makes two events the same for an idempotency key: all fields except the key itself and
// the traceparent, which differs each time a producer repeats a request; so do a CloudEvent's traceparent and tracestate.
std::string content_digest(const EventDraft& draft);

}  // namespace outboxd
