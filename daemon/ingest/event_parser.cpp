#include "ingest/event_parser.h"

#include "common/text.h"
#include "ingest/cloud_event_draft.h"
#include "ingest/event_reader.h"
#include "ingest/event_rules.h"

namespace outboxd {
namespace {

Problem malformed(const JsonFault& fault, std::string_view where) {
  return {ProblemCode::kMalformed, "the body is not valid JSON: " + std::string(where) + "at byte " +
                                       std::to_string(fault.offset) + ", " + std::string(fault.what)};
}

Problem too_many(const EventLimits& limits) {
  return {ProblemCode::kTooLarge,
          "more than " + std::to_string(limits.batch_events) + " events in one request"};
}

Problem too_large(std::size_t bytes, const EventLimits& limits, EventIndex index) {
  return {ProblemCode::kTooLarge,
          "an event takes " + std::to_string(bytes) + " bytes, more than the " +
              std::to_string(limits.event_bytes) + " that [limits] event_bytes allows",
          {{pointer_of(index, ""), "is too large"}}};
}

// Reads all events of one request, and holds what they have in common.
class BodyReader {
 public:
  BodyReader(EventBody kind, const std::optional<std::string>& header_key, const EventLimits& limits,
             std::optional<Time> now)
      : kind_(kind), header_key_(header_key), limits_(limits), now_(now) {}

  Result<std::vector<EventDraft>> json(std::string_view body) {
    JsonScanner scanner(body);
    const bool array = scanner.peek() == '[';
    if (array && kind_ != EventBody::kCloudEvent) {
      refuse_header_key();
      scanner.open_array();
      while (scanner.next_element() && !refusal_) event(scanner, drafts_.size());
    } else if (kind_ == EventBody::kCloudEventBatch) {
      if (scanner.value()) errors_.push_back({"", "must be an array of CloudEvents"});
      drafts_.emplace_back();
    } else {
      event(scanner, std::nullopt);
      if (header_key_ && !drafts_.empty()) take_header_key(drafts_.front());
    }
    if (!refusal_ && !scanner.finish()) refusal_ = malformed(*scanner.fault(), "");
    return result();
  }

  Result<std::vector<EventDraft>> ndjson(std::string_view body) {
    refuse_header_key();
    for (std::size_t line = 1; !body.empty() && !refusal_; ++line) {
      const std::size_t end = std::min(body.find('\n'), body.size());
      JsonScanner scanner(body.substr(0, end));
      body.remove_prefix(std::min(end + 1, body.size()));
      if (scanner.peek() == '\0' && scanner.finish()) continue;  // a blank line
      event(scanner, drafts_.size());
      if (!refusal_ && !scanner.finish())
        refusal_ = malformed(*scanner.fault(), "line " + std::to_string(line) + " ");
    }
    return result();
  }

  Result<std::vector<EventDraft>> binary(std::span<const HeaderField> headers, std::string_view body) {
    std::size_t bytes = body.size();
    for (const auto& [name, value] : headers)
      bytes += is_cloud_event_header(name) ? name.size() + value.size() : 0;
    if (bytes > limits_.event_bytes) return tl::unexpected(too_large(bytes, limits_, std::nullopt));
    const ReportFault report = [this](std::string_view attribute, std::string detail) {
      const bool header_of_http = attribute == "datacontenttype";
      add_error(header_of_http ? "Content-Type" : "ce-" + escape_control(excerpt(attribute)),
                std::move(detail));
    };
    drafts_.push_back(draft_of(read_binary_cloud_event(headers, body, report), limits_, report));
    const Event& event = drafts_.front().event;
    const auto fault = is_json_type(event.content_type) ? json_fault(event.payload) : std::nullopt;
    if (fault) refusal_ = malformed(*fault, "");
    if (header_key_) take_header_key(drafts_.front());
    return result();
  }

 private:
  void add_error(std::string pointer, std::string detail) {
    if (errors_.size() < kMaxReportedEventErrors) errors_.push_back({std::move(pointer), std::move(detail)});
  }

  bool of_cloud_events() const { return kind_ != EventBody::kJson && kind_ != EventBody::kNdjson; }

  EventDraft read(JsonScanner& scanner, EventIndex index) {
    if (!of_cloud_events()) return read_event_object(scanner, index, limits_, now_, errors_);
    const ReportFault report = [this, index](std::string_view attribute, std::string detail) {
      add_error(pointer_of(index, attribute), std::move(detail));
    };
    return draft_of(read_cloud_event(scanner, report), limits_, report);
  }

  void event(JsonScanner& scanner, EventIndex index) {
    if (drafts_.size() == limits_.batch_events) {
      refusal_ = too_many(limits_);
      return;
    }
    if (scanner.peek() != '{') {
      if (scanner.value())
        errors_.push_back({pointer_of(index, ""), of_cloud_events() ? "must be a CloudEvent: a JSON object"
                                                                    : "must be an event: a JSON object"});
      drafts_.emplace_back();
      return;
    }
    const std::size_t start = scanner.offset();
    drafts_.push_back(read(scanner, index));
    const std::size_t bytes = scanner.offset() - start;
    if (!scanner.fault() && bytes > limits_.event_bytes) refusal_ = too_large(bytes, limits_, index);
  }

  void refuse_header_key() {
    if (!header_key_) return;
    errors_.push_back(
        {"Idempotency-Key", of_cloud_events()
                                ? "applies to a single event: those of a batch have their source and id"
                                : "applies to a single event: give each of a batch its idempotency_key"});
  }

  void take_header_key(EventDraft& draft) {
    if (!is_key(*header_key_)) {
      errors_.push_back({"Idempotency-Key", std::string(kKeyRule)});
    } else if (!of_cloud_events() && draft.idempotency_key && *draft.idempotency_key != *header_key_) {
      errors_.push_back({"/idempotency_key", "differs from the Idempotency-Key header"});
    } else {
      draft.idempotency_key = header_key_;
    }
  }

  Result<std::vector<EventDraft>> result() {
    if (refusal_) return tl::unexpected(std::move(*refusal_));
    if (drafts_.empty()) return problem(ProblemCode::kInvalidEvent, "the body holds no event");
    if (errors_.empty()) return std::move(drafts_);
    if (errors_.size() > kMaxReportedEventErrors) errors_.resize(kMaxReportedEventErrors);
    std::string detail = summary_of(errors_);
    return problem(ProblemCode::kInvalidEvent, std::move(detail), std::move(errors_));
  }

  const EventBody kind_;
  const std::optional<std::string>& header_key_;
  const EventLimits& limits_;
  const std::optional<Time> now_;
  std::vector<EventDraft> drafts_;
  std::vector<FieldError> errors_;
  std::optional<Problem> refusal_;
};

}  // namespace

Result<std::vector<EventDraft>> parse_events(EventBody kind, std::string_view body,
                                             const std::optional<std::string>& header_key,
                                             const EventLimits& limits, std::optional<Time> now) {
  BodyReader reader(kind, header_key, limits, now);
  return kind == EventBody::kNdjson ? reader.ndjson(body) : reader.json(body);
}

Result<std::vector<EventDraft>> parse_binary_cloud_event(std::span<const HeaderField> headers,
                                                         std::string_view body,
                                                         const std::optional<std::string>& header_key,
                                                         const EventLimits& limits) {
  return BodyReader(EventBody::kBinaryCloudEvent, header_key, limits, std::nullopt).binary(headers, body);
}

namespace {

// What is digested besides the payload and the attributes; more takes more.
constexpr std::size_t kUsualDigested = 256;

bool is_of_trace(std::string_view quoted_name) {
  return quoted_name == "\"traceparent\"" || quoted_name == "\"tracestate\"";
}

}  // namespace

std::string content_digest(const EventDraft& draft) {
  const Event& event = draft.event;
  std::string text;
  // Each part is preceded by its length, and an absent part differs from an empty one, so no two contents give the same
  // text.
  text.reserve(event.payload.size() + (event.cloud_event ? event.cloud_event->size() : 0) + kUsualDigested);
  auto add = [&](std::string_view part) {
    text.append(std::to_string(part.size())).append(1, ':').append(part);
  };
  auto add_number = [&](const std::optional<std::int64_t>& number) {
    add(number ? std::to_string(*number) : "");
  };
  auto millis = [](const std::optional<Time>& time) {
    return time ? std::optional(unix_millis(*time)) : std::nullopt;
  };
  auto count = [](const std::optional<Millis>& d) {
    return d ? std::optional<std::int64_t>(d->count()) : std::nullopt;
  };
  add(event.type);
  add(event.tenant);
  add(event.content_type);
  add(event.ordering_key.value_or(""));  // a key is never empty
  add_number(event.priority);
  add_number(millis(event.deliver_at));
  add_number(millis(event.expires_at));
  add_number(count(draft.delay));
  add_number(count(draft.ttl));
  add_number(static_cast<std::int64_t>(event.headers.size()));
  for (const auto& header : event.headers) {
    add(header.name);
    add(header.value);
  }
  add(event.payload);
  JsonScanner attributes(event.cloud_event ? std::string_view(*event.cloud_event) : "{}");
  attributes.open_object();
  while (const auto name = attributes.next_member()) {
    const auto value = attributes.value();
    if (!value || is_of_trace(name->text)) continue;
    add(name->text);
    add(value->text);
  }
  return sha256(text);
}

}  // namespace outboxd
