#include "ingest/event_reader.h"

#include <algorithm>
#include <array>

#include "common/json_words.h"
#include "common/media_type.h"
#include "common/text.h"
#include "common/words.h"
#include "ingest/event_rules.h"

namespace outboxd {

namespace {
constexpr std::size_t kMaxReportedName = 64;  // bytes of an unknown member's name
}  // namespace

std::string_view excerpt(std::string_view name) {
  if (name.size() <= kMaxReportedName) return name;
  std::size_t length = kMaxReportedName;
  while ((static_cast<unsigned char>(name[length]) & 0xC0) == 0x80) --length;  // not within a character
  return name.substr(0, length);
}

std::string pointer_of(EventIndex index, std::string_view name) {
  std::string pointer;
  if (index) pointer += '/' + std::to_string(*index);
  if (!name.empty()) pointer += pointer_to(excerpt(name));
  return pointer;
}

namespace {

// Reads one event object and reports every bad field.
class EventReader {
 public:
  EventReader(EventIndex index, std::vector<FieldError>& errors, const EventLimits& limits,
              std::optional<Time> now)
      : index_(index), errors_(errors), limits_(limits), now_(now) {}

  // The draft is valid only if nothing was reported and the scanner met no fault.
  EventDraft read(JsonScanner& scanner) {
    scanner.open_object();
    while (const auto name = scanner.next_member()) {
      if (const auto value = scanner.value()) take_member(*name, *value);
    }
    if (!scanner.fault()) check_together();
    draft_.event.json_checked = true;
    return std::move(draft_);
  }

 private:
  using Take = void (EventReader::*)(const JsonSpan&);
  struct Field {
    std::string_view name;
    Take take;
  };
  static constexpr std::size_t kFieldCount = 13;
  static const std::array<Field, kFieldCount> kFields;

  void report(std::string_view field, std::string detail) {
    if (errors_.size() < kMaxReportedEventErrors)
      errors_.push_back({pointer_of(index_, field), std::move(detail)});
  }

  void take_member(const JsonSpan& raw_name, const JsonSpan& value) {
    const auto name = json_string(raw_name);
    const auto field =
        std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) { return name && f.name == *name; });
    if (field == kFields.end()) return report_unknown(name.value_or("?"));
    field_ = field->name;
    bool& seen = seen_[static_cast<std::size_t>(field - kFields.begin())];
    if (seen) return report(field_, "appears more than once");
    seen = true;
    const std::size_t before = errors_.size();
    (this->*field->take)(value);
    if (field_ == "headers") return;  // errors already name the header at fault, and its value may be secret
    if (field_ == "type" && type_refused_) return;  // the error names it
    for (std::size_t i = before; i < errors_.size(); ++i) errors_[i].detail += got(value);
  }

  void report_unknown(const std::string& name) {
    if (errors_.size() >= kMaxReportedEventErrors) return;  // finding the nearest name takes time
    std::array<std::string_view, kFieldCount> names;
    std::ranges::transform(kFields, names.begin(), &Field::name);
    report(name, "is not a field of an event" + did_you_mean(name, names));
  }

  bool seen(std::string_view name) const {
    const auto field =
        std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) { return f.name == name; });
    return seen_[static_cast<std::size_t>(field - kFields.begin())];
  }

  std::optional<std::string> string(const JsonSpan& value) {
    if (value.kind != JsonKind::kString) {
      report(field_, "must be a string");
      return std::nullopt;
    }
    auto text = json_string(value);
    if (!text) report(field_, "must be text: it holds a lone surrogate");
    return text;
  }

  std::optional<std::string> key(const JsonSpan& value) {
    auto text = string(value);
    if (text && !is_key(*text)) {
      report(field_, std::string(kKeyRule));
      text.reset();
    }
    return text;
  }

  std::optional<Time> time(const JsonSpan& value) {
    const auto text = string(value);
    if (!text) return std::nullopt;
    const auto time = parse_time(*text);
    if (!time) report(field_, "must be a time such as \"2026-11-23T15:21:00Z\" (RFC 3339)");
    return time;
  }

  std::optional<Millis> duration(const JsonSpan& value, Millis min) {
    const auto text = string(value);
    if (!text) return std::nullopt;
    const auto duration = parse_duration(*text);
    if (duration && *duration >= min && *duration <= kMaxEventDelay) return duration;
    report(field_,
           duration ? "must be " + std::string(min == Millis{0} ? "at" : "more than 0s and at") + " most 365d"
                    : "must be a duration such as \"90s\", \"5m\" or \"2h30m\"");
    return std::nullopt;
  }

  void take_type(const JsonSpan& value) {
    auto text = string(value);
    if (!text) return;
    if (!is_event_type(*text)) {
      return report(field_, std::string(kEventTypeRule));
    }
    if (limits_.types) {
      if (auto why = why_type_refused(*text, *limits_.types)) {
        type_refused_ = true;
        return report(field_, std::move(*why));
      }
    }
    draft_.event.type = std::move(*text);
  }
  void take_payload(const JsonSpan& value) { draft_.event.payload.assign(value.text); }
  void take_payload_base64(const JsonSpan& value) {
    const auto text = string(value);
    if (!text) return;
    auto bytes = base64_decode(*text);
    if (!bytes) return report(field_, "must be base64 (RFC 4648, section 4)");
    draft_.event.payload = std::move(*bytes);
    decoded_ = true;
  }
  void take_content_type(const JsonSpan& value) {
    auto text = string(value);
    if (!text) return;
    if (!is_media_type(*text)) return report(field_, std::string(kMediaTypeRule));
    draft_.event.content_type = std::move(*text);
    content_type_taken_ = true;
  }
  void take_tenant(const JsonSpan& value) {
    auto text = string(value);
    if (!text) return;
    if (const auto wrong = why_tenant_refused(*text); !wrong.empty())
      return report(field_, std::string(wrong));
    draft_.event.tenant = std::move(*text);
  }
  void take_ordering_key(const JsonSpan& value) { draft_.event.ordering_key = key(value); }
  void take_idempotency_key(const JsonSpan& value) { draft_.idempotency_key = key(value); }
  void take_deliver_at(const JsonSpan& value) { draft_.event.deliver_at = time(value); }
  void take_expires_at(const JsonSpan& value) { draft_.event.expires_at = time(value); }
  void take_delay(const JsonSpan& value) { draft_.delay = duration(value, Millis{0}); }
  void take_ttl(const JsonSpan& value) { draft_.ttl = duration(value, Millis{1}); }
  void take_priority(const JsonSpan& value) {
    if (value.kind != JsonKind::kNumber || value.text.size() != 1)
      return report(field_, "must be a whole number from 0 to 9");
    draft_.event.priority = value.text[0] - '0';
  }
  void take_headers(const JsonSpan& value);
  void take_header(const JsonSpan& raw_name, const JsonSpan& value);

  void check_together() {
    auto both = [&](std::string_view one, std::string_view other) {
      if (seen(one) && seen(other)) report(other, "cannot be given together with " + std::string(one));
    };
    both("payload", "payload_base64");
    both("deliver_at", "delay");
    both("expires_at", "ttl");
    if (!seen("type")) report("type", "is required");
    if (!seen("payload") && !seen("payload_base64")) report("payload", "is required (or payload_base64)");
    if (seen("payload_base64") && !seen("content_type"))
      report("content_type", "is required with payload_base64");
    check_json();
    check_times();
  }

  // A `payload` member is JSON by construction. Bytes from payload_base64 that are declared to be JSON must be JSON
  // too, because subscribers parse them and the formats that wrap a payload splice them in.
  void check_json() {
    if (!decoded_ || !content_type_taken_ || !is_json_type(draft_.event.content_type)) return;
    if (const auto fault = json_fault(draft_.event.payload))
      report("payload_base64", "is not the JSON that content_type says it is: at byte " +
                                   std::to_string(fault->offset) + ", " + std::string(fault->what));
  }

  // Relative times count from `now`; without it they are compared only with each other.
  void check_times() {
    const Event& event = draft_.event;
    const Time now = now_.value_or(Time{});
    const auto from = draft_.delay ? std::optional(now + *draft_.delay) : event.deliver_at;
    const auto until = draft_.ttl ? std::optional(now + *draft_.ttl) : event.expires_at;
    const bool comparable = now_ || draft_.delay.has_value() == draft_.ttl.has_value();
    if (from && until && comparable && *until <= *from) {
      report(draft_.ttl ? "ttl" : "expires_at",
             std::string(draft_.ttl ? "must be longer than " : "must be later than ") +
                 (draft_.delay ? "delay" : "deliver_at"));
    }
    if (!now_) return;
    if (event.expires_at && *event.expires_at <= *now_) {
      report("expires_at", "must lie in the future: " + format_time(*event.expires_at) +
                               " has passed, it is " + format_time(*now_) + " now");
    }
    if (event.deliver_at && *event.deliver_at > *now_ + kMaxEventDelay) {
      report("deliver_at",
             "must be at most 365d ahead, no later than " + format_time(*now_ + kMaxEventDelay));
    }
  }

  EventIndex index_;
  std::vector<FieldError>& errors_;
  const EventLimits& limits_;
  EventDraft draft_;
  std::string_view field_;  // the field being read
  std::array<bool, kFieldCount> seen_{};
  std::optional<Time> now_;
  bool decoded_ = false, content_type_taken_ = false;  // payload_base64, content_type: given and valid
  bool type_refused_ = false;                          // well-formed, but not accepted here
};

const std::array<EventReader::Field, EventReader::kFieldCount> EventReader::kFields = {{
    {"type", &EventReader::take_type},
    {"payload", &EventReader::take_payload},
    {"tenant", &EventReader::take_tenant},
    {"idempotency_key", &EventReader::take_idempotency_key},
    {"ordering_key", &EventReader::take_ordering_key},
    {"priority", &EventReader::take_priority},
    {"headers", &EventReader::take_headers},
    {"deliver_at", &EventReader::take_deliver_at},
    {"delay", &EventReader::take_delay},
    {"expires_at", &EventReader::take_expires_at},
    {"ttl", &EventReader::take_ttl},
    {"content_type", &EventReader::take_content_type},
    {"payload_base64", &EventReader::take_payload_base64},
}};

void EventReader::take_headers(const JsonSpan& value) {
  if (value.kind != JsonKind::kObject) return report(field_, "must be an object of header names and values");
  JsonScanner scanner(value.text);
  scanner.open_object();
  while (const auto name = scanner.next_member()) {
    const auto header = scanner.value();
    if (draft_.event.headers.size() == kMaxExtraHeaders) {
      return report("headers", "holds more than " + std::to_string(kMaxExtraHeaders) + " headers");
    }
    take_header(*name, *header);
  }
  std::size_t bytes = 0;
  for (const auto& header : draft_.event.headers) bytes += header.name.size() + header.value.size();
  if (bytes > kMaxExtraHeaderBytes) {
    report("headers",
           "take " + std::to_string(bytes) + " bytes, more than " + std::to_string(kMaxExtraHeaderBytes));
  }
}

void EventReader::take_header(const JsonSpan& raw_name, const JsonSpan& raw_value) {
  auto name = json_string(raw_name);
  auto value = raw_value.kind == JsonKind::kString ? json_string(raw_value) : std::nullopt;
  const std::string label = '"' + std::string(excerpt(name.value_or("?"))) + "\": ";
  if (!name || !value) return report("headers", label + "must be a string");
  if (auto why = why_header_refused(*name, *value)) return report("headers", label + *why);
  auto& headers = draft_.event.headers;
  if (std::ranges::any_of(headers,
                          [&](const HeaderField& other) { return ascii_iequals(other.name, *name); })) {
    return report("headers", label + "appears more than once");
  }
  headers.push_back({std::move(*name), std::move(*value)});
}

}  // namespace

EventDraft read_event_object(JsonScanner& scanner, EventIndex index, const EventLimits& limits,
                             std::optional<Time> now, std::vector<FieldError>& errors) {
  return EventReader(index, errors, limits, now).read(scanner);
}

}  // namespace outboxd
