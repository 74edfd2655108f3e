#include "ingest/outbox_row.h"

#include "common/json.h"
#include "common/json_span.h"
#include "common/text.h"
#include "ingest/event_rules.h"

namespace outboxd {
namespace {

// `deliver_at` and `expires_at` hold unix milliseconds or RFC 3339 text.
std::string time_member(const std::string& value) {
  const auto millis = parse_int(value);
  return millis ? format_time(from_unix_millis(*millis)) : value;
}

void add(std::string& body, std::string_view name, std::string_view json) {
  body.append(",\"").append(name).append("\":").append(json);
}

// One JSON value and nothing else, by the reader that will read it again.
bool is_json_value(std::string_view text) {
  JsonScanner scanner(text);
  return scanner.value() && scanner.finish();
}

void add_text(std::string& body, std::string_view name, const std::optional<std::string>& text) {
  if (text) add(body, name, dump(Json(*text)));
}

// SQLite keeps bytes that are no UTF-8 in a TEXT column. As JSON they would become U+FFFD, and two keys one.
std::optional<Problem> refuse_foreign_text(const OutboxRow& row) {
  const std::pair<const char*, const std::optional<std::string>*> texts[] = {
      {"/tenant", &row.tenant},
      {"/content_type", &row.content_type},
      {"/ordering_key", &row.ordering_key},
      {"/idempotency_key", &row.idempotency_key}};
  for (const auto& [pointer, text] : texts) {
    if (*text && !is_valid_utf8(**text))
      return Problem{
          ProblemCode::kInvalidEvent, "the row cannot become an event", {{pointer, "is not UTF-8"}}};
  }
  return std::nullopt;
}

}  // namespace

Result<EventDraft> draft_from_row(OutboxRow row, const EventLimits& limits) {
  if (auto refused = refuse_foreign_text(row)) return tl::unexpected(std::move(*refused));
  std::string body = "{\"type\":" + dump(Json(row.type));
  if (row.content_type) {
    add_text(body, "content_type", row.content_type);
    add(body, "payload_base64", '"' + base64_encode(row.payload) + '"');
  } else {
    // Spliced in as it is, to keep its bytes; so it has to be one complete JSON value by itself.
    if (!is_json_value(row.payload)) {
      return problem(ProblemCode::kInvalidEvent, "the row cannot become an event",
                     {{"/payload", "is no JSON; give its content_type if it is not meant to be"}});
    }
    add(body, "payload", row.payload);
  }
  if (row.headers) {
    if (!is_json_value(*row.headers)) {
      return problem(ProblemCode::kInvalidEvent, "the row cannot become an event",
                     {{"/headers", "is no JSON object of names and values"}});
    }
    add(body, "headers", *row.headers);
  }
  add_text(body, "tenant", row.tenant);
  add_text(body, "ordering_key", row.ordering_key);
  add_text(body, "idempotency_key", row.idempotency_key);
  if (row.deliver_at) add_text(body, "deliver_at", time_member(*row.deliver_at));
  if (row.expires_at) add_text(body, "expires_at", time_member(*row.expires_at));
  if (row.priority) add(body, "priority", std::to_string(*row.priority));
  body += '}';

  auto drafts = parse_events(EventBody::kJson, body, std::nullopt, limits);
  if (!drafts) return tl::unexpected(drafts.error());
  EventDraft draft = std::move(drafts->front());
  // W3C Trace Context: one that does not parse is as good as none.
  if (row.traceparent && is_traceparent(*row.traceparent))
    draft.event.traceparent = std::move(row.traceparent);
  return draft;
}

}  // namespace outboxd
