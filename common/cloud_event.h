// CloudEvents 1.0 (github.com/cloudevents/spec, v1.0.2): reads one in the JSON format or in the binary mode of the HTTP
// binding, and writes the JSON format. Pure.
//
// An event that came as a CloudEvent keeps its context attributes and extensions, and leaves with them. `data` is the
// payload. What the two models do not share:
// - An event without data has the payload `null`, or no bytes if its datacontenttype is not JSON.
// - Bytes without a datacontenttype are application/octet-stream, and leave as that.
// - What is not JSON leaves as `data_base64`, whatever it came as: a payload is bytes, and these are its bytes.
// - An attribute that is null is unset (JSON format, 2.2).
// - In binary mode there are no types: every attribute is a string.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/event.h"
#include "common/json_span.h"

namespace outboxd {

inline constexpr std::size_t kMaxAttributes = 100;
inline constexpr std::size_t kMaxAttributeName = 64;  // the spec asks for 20, and says only "should"
// Of all attributes together, as JSON. Nobody has to pass on more than 64 KiB (spec, "Size Limits").
inline constexpr std::size_t kMaxAttributeBytes = 64u << 10;

struct CloudEventAttribute {
  std::string name;
  JsonKind kind = JsonKind::kString;  // or kNumber (a whole one), kBoolean
  std::string text;                   // of a string, decoded; otherwise as it was written
};

struct CloudEvent {
  std::vector<CloudEventAttribute> attributes;  // all but datacontenttype; the spec's own first, then by name
  std::string content_type;                     // datacontenttype
  std::string data;

  const std::string* find(std::string_view attribute) const;  // its text; null: it has none
  std::string context() const;                                // Event::cloud_event
};

// Hears of everything that the spec forbids: which attribute, and why. "" stands for all attributes together.
using ReportFault = std::function<void(std::string_view attribute, std::string detail)>;

// The event counts only if nothing was reported, and the scanner, which stands at an object, met no fault. Data bytes
// are those of the JSON value, never re-encoded.
CloudEvent read_cloud_event(JsonScanner& scanner, const ReportFault& report);

// Whoever calls this checks that a body declared to be JSON is JSON.
CloudEvent read_binary_cloud_event(std::span<const HeaderField> headers, std::string_view body,
                                   const ReportFault& report);
bool is_cloud_event_header(std::string_view name);  // "ce-id"

// The event in the JSON format. One that came as something else gets attributes of outboxd's own.
std::string write_cloud_event(const Event& event);
// The payload as a member `data` or `data_base64`. JSON is spliced in unchanged. A payload that nobody has checked is
// checked now, because a row of an earlier version may claim to be JSON without being it, and spliced bytes must never
// add members of their own.
void append_data(std::string& json, const Event& event);

}  // namespace outboxd
