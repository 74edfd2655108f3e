#include "ingest/outbox_row.h"

#include "common/json.h"
#include "common/json_span.h"
#include "common/text.h"
#include "ingest/event_rules.h"

namespace outboxd {
namespace {

// SQLite writes times as "2026-11-28 15:21:00", in UTC, possibly with a fraction. RFC 3339 text may have the space too.
constexpr std::size_t kDateLength = 10, kSecondsEnd = 19;

// `deliver_at` and `expires_at` hold unix milliseconds, RFC 3339 text, or SQLite's own format.
std::string time_member(std::string value) {
  if (const auto millis = parse_int(value)) return format_time(from_unix_millis(*millis));
  if (value.size() < kSecondsEnd || value[kDateLength] != ' ') return value;
  value[kDateLength] = 'T';
  if (value.find_first_not_of("0123456789.", kSecondsEnd) == std::string::npos) value += 'Z';
  return value;
}

void add(std::string& body, std::string_view name, std::string_view json) {
  body.append(",\"").append(name).append("\":").append(json);
}

void add_text(std::string& body, std::string_view name, const std::optional<std::string>& text) {
  if (text) add(body, name, dump(Json(*text)));
}

tl::unexpected<Problem> refuse(ProblemCode code, std::string_view column, std::string detail) {
  return problem(code, "the row cannot become an event", {{"/" + std::string(column), std::move(detail)}});
}

// SQLite allows bytes that are not UTF-8 in a TEXT column. As JSON they would become U+FFFD, and two different keys
// could become one.
Result<void> refuse_foreign_text(const OutboxRow& row) {
  const std::pair<const char*, const std::optional<std::string>*> texts[] = {
      {"tenant", &row.tenant},
      {"content_type", &row.content_type},
      {"ordering_key", &row.ordering_key},
      {"idempotency_key", &row.idempotency_key}};
  for (const auto& [column, text] : texts) {
    if (*text && !is_valid_utf8(**text)) return refuse(ProblemCode::kInvalidEvent, column, "is not UTF-8");
  }
  return {};
}

// Checks the columns that are spliced into the parser's input and those that must be JSON.
Result<void> refuse_no_json(const OutboxRow& row) {
  const auto at = [](const JsonFault& fault) {
    return ": at byte " + std::to_string(fault.offset) + ", " + std::string(fault.what);
  };
  if (!row.content_type || is_json_type(*row.content_type)) {
    if (const auto fault = json_fault(row.payload))
      return refuse(ProblemCode::kInvalidEvent, "payload",
                    "is no JSON" + at(*fault) +
                        (row.content_type ? "" : "; give its content_type if it is not meant to be"));
  }
  if (row.headers) {
    if (const auto fault = json_fault(*row.headers))
      return refuse(ProblemCode::kInvalidEvent, "headers",
                    "is no JSON object of names and values" + at(*fault));
  }
  return {};
}

// The row as an event object. The payload is kept apart, because its exact bytes, including white space at both ends,
// are the event's.
std::string event_object(const OutboxRow& row) {
  std::string body = R"({"payload":null)";
  add(body, "type", dump(Json(row.type)));
  add_text(body, "content_type", row.content_type);
  if (row.headers) add(body, "headers", *row.headers);
  add_text(body, "tenant", row.tenant);
  add_text(body, "ordering_key", row.ordering_key);
  add_text(body, "idempotency_key", row.idempotency_key);
  if (row.deliver_at) add_text(body, "deliver_at", time_member(*row.deliver_at));
  if (row.expires_at) add_text(body, "expires_at", time_member(*row.expires_at));
  if (row.priority) add(body, "priority", std::to_string(*row.priority));
  return body + '}';
}

}  // namespace

Result<EventDraft> draft_from_row(OutboxRow row, const EventLimits& limits) {
  if (auto good = refuse_foreign_text(row); !good) return tl::unexpected(std::move(good.error()));
  if (auto good = refuse_no_json(row); !good) return tl::unexpected(std::move(good.error()));
  const std::string body = event_object(row);
  if (const std::size_t bytes = body.size() + row.payload.size(); bytes > limits.event_bytes) {
    return refuse(ProblemCode::kTooLarge, "payload",
                  "is too large: with the other columns it takes " + std::to_string(bytes) + " bytes, and " +
                      "[limits] event_bytes allows " + std::to_string(limits.event_bytes));
  }
  auto drafts = parse_events(EventBody::kJson, body, std::nullopt, limits);
  if (!drafts) return tl::unexpected(std::move(drafts.error()));
  EventDraft draft = std::move(drafts->front());
  draft.event.payload = std::move(row.payload);
  // W3C Trace Context: a header that does not parse is treated as absent.
  if (row.traceparent && is_traceparent(*row.traceparent))
    draft.event.traceparent = std::move(row.traceparent);
  return draft;
}

std::string rejection(const Problem& refused) {
  if (refused.code == ProblemCode::kIdempotencyConflict) return "idempotency_key: " + refused.detail;
  std::string text;
  for (const auto& [pointer, detail] : refused.errors) {
    if (!text.empty()) text += "; ";
    text += pointer.substr(pointer.starts_with('/') ? 1 : 0) + ": " + detail;
  }
  return text.empty() ? refused.detail : text;
}

}  // namespace outboxd
