#include <algorithm>
#include <array>

#include "common/endpoint_reading.h"
#include "common/endpoint_url.h"
#include "common/json.h"
#include "common/secret_file.h"
#include "common/signature.h"
#include "common/text.h"
#include "common/words.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxNameLength = 128;  // characters
constexpr std::size_t kMaxMetadataBytes = 4096;
constexpr int kMaxMetadataDepth = 32;  // because writing JSON recurses
constexpr Millis kMinTimeout{100};
constexpr Millis kMaxTimeout = std::chrono::minutes(5);
constexpr Millis kMaxWait = std::chrono::days(30);
constexpr int kMaxInFlight = 1000;

void read_url(EndpointReading& in, const Json& value) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto url = parse_endpoint_url(*text);
  if (!url) return in.refuse(url.error().detail);
  in.endpoint.url = url->text;
}

void read_name(EndpointReading& in, const Json& value) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto characters =
      std::count_if(text->begin(), text->end(), [](char c) { return (c & 0xC0) != 0x80; });
  if (static_cast<std::size_t>(characters) > kMaxNameLength || escape_control(*text) != *text) {
    return in.refuse("must be at most 128 printable characters");
  }
  if (text->starts_with("ep_"))
    return in.refuse("must not begin with \"ep_\": so do ids, and a name stands for one");
  in.endpoint.name = *text;
}

void read_tenant(EndpointReading& in, const Json& value) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  if (!is_tenant(*text)) return in.refuse("must be at most 128 letters, digits or characters of _.:-");
  in.endpoint.tenant = *text;
}

void read_types(EndpointReading& in, const Json& value) {
  if (!value.is_array() || value.empty() || value.size() > kMaxEndpointTypes) {
    return in.refuse("must be an array of 1 to 64 patterns");
  }
  in.endpoint.types.clear();
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string below = "/" + std::to_string(i);
    const std::string* pattern = in.text(value[i], below);
    if (pattern == nullptr) continue;
    if (!is_type_pattern(*pattern)) {
      in.refuse(
          "must be an event type, or one that ends in * (one segment) or ** (any depth): order.paid, order.*",
          below);
    }
    in.endpoint.types.push_back(*pattern);
  }
}

// Of the text that it is stored as: its numbers have not changed on the way (json_body() looks at that).
void read_filter(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.filter.reset();
  if (!value.is_object()) return in.refuse("must be an object of JSON Pointers and conditions, or null");
  auto filter = PayloadFilter::parse(dump(value), "");
  if (filter) {
    in.endpoint.filter = std::move(*filter);
    return;
  }
  for (FieldError& error : filter.error()) in.refuse(std::move(error.detail), error.pointer);
}

void read_secret(EndpointReading& in, const Json& value) {
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto key = SigningKey::parse(*text);
  if (!key) return in.refuse(key.error().detail);
  in.endpoint.secrets = {EndpointSecret{.text = *text, .created_at = {}, .expires_at = {}}};
}

void read_headers(EndpointReading& in, const Json& value) {
  if (!value.is_object() || value.size() > kMaxExtraHeaders) {
    return in.refuse("must be an object of at most 32 header names and values");
  }
  auto& headers = in.endpoint.headers;
  headers.clear();
  std::size_t bytes = 0;
  for (const auto& item : value.items()) {
    const std::string& name = item.key();
    const std::string below = pointer_to(name);
    const std::string* text = in.text(item.value(), below);
    if (text == nullptr) continue;
    if (auto why = why_header_refused(name, *text)) in.refuse(std::move(*why), below);
    const bool repeated = std::any_of(headers.begin(), headers.end(),
                                      [&](const HeaderField& h) { return ascii_iequals(h.name, name); });
    if (repeated) in.refuse("is given twice; header names are the same in upper and lower case", below);
    headers.push_back({name, *text});
    bytes += name.size() + text->size();
  }
  if (bytes > kMaxExtraHeaderBytes) in.refuse("must have at most 8192 bytes, names and values together");
}

void read_format(EndpointReading& in, const Json& value) {
  read_word(in, value, parse_payload_format, in.endpoint.format, {"raw", "standard", "cloudevents"});
}

void read_ordering(EndpointReading& in, const Json& value) {
  read_word(in, value, parse_ordering, in.endpoint.ordering, {"none", "key", "endpoint"});
}

void read_on_failure_in_order(EndpointReading& in, const Json& value) {
  read_word(in, value, parse_on_failure_in_order, in.endpoint.on_failure_in_order, {"block", "skip"});
}

void read_timeout(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.timeout.reset();
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto timeout = parse_duration(*text);
  if (!timeout || *timeout < kMinTimeout || *timeout > kMaxTimeout) {
    return in.refuse("must be a duration from 100ms to 5m, such as \"20s\"");
  }
  in.endpoint.timeout = timeout;
}

void read_schedule(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.retry_schedule.reset();
  if (!value.is_array()) return in.refuse("must be an array of durations, such as [\"0s\", \"5s\", \"5m\"]");
  std::vector<std::string> waits;
  for (std::size_t i = 0; i < value.size() && i <= kMaxRetrySchedule; ++i) {
    const std::string* wait = in.text(value[i], "/" + std::to_string(i));
    // If it is not text, that was reported; a stand-in keeps the indexes of the others.
    waits.push_back(wait == nullptr ? "0s" : *wait);
  }
  auto schedule = parse_retry_schedule(waits);
  if (schedule) {
    in.endpoint.retry_schedule = std::move(*schedule);
    return;
  }
  if (schedule.error().errors.empty()) return in.refuse(schedule.error().detail);
  for (FieldError& error : schedule.error().errors) in.refuse(std::move(error.detail), error.pointer);
}

void read_max_in_flight(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.max_in_flight.reset();
  const std::int64_t number = value.is_number_integer() ? value.get<std::int64_t>() : 0;
  if (number < 1 || number > kMaxInFlight) return in.refuse("must be an integer from 1 to 1000");
  in.endpoint.max_in_flight = static_cast<int>(number);
}

void read_rate_limit(EndpointReading& in, const Json& value) {
  if (value.is_null()) return in.endpoint.rate_limit.reset();
  const std::string* text = in.text(value);
  if (text == nullptr) return;
  const auto limit = parse_rate_limit(*text);
  if (!limit) return in.refuse("must be 1 to 1000000 requests in an s, m, h or d, such as \"100/s\"");
  in.endpoint.rate_limit = limit;
}

void read_state(EndpointReading& in, const Json& value) {
  EndpointState state = in.endpoint.state;
  read_word(in, value, parse_endpoint_state, state, {"active", "paused", "disabled"});
  if (state == in.endpoint.state) return;
  in.endpoint.state = state;
  in.endpoint.disabled_reason = state == EndpointState::kDisabled ? "operator" : "";
}

// File names only, never contents: whatever an API call carries also ends up in logs and shell history.
void read_tls(EndpointReading& in, const Json& value) {
  in.endpoint.tls = {};
  if (value.is_null()) return;
  if (!value.is_object())
    return in.refuse("must be an object of ca_file, client_cert and client_key, or null");
  EndpointTls& tls = in.endpoint.tls;
  constexpr std::array<std::string_view, 3> kMembers = {"ca_file", "client_cert", "client_key"};
  const std::array<std::string*, 3> texts = {&tls.ca_file, &tls.client_cert, &tls.client_key};
  for (const auto& item : value.items()) {
    const std::string below = pointer_to(item.key());
    const auto* const member = std::ranges::find(kMembers, item.key());
    if (member == kMembers.end()) {
      if (in.errors.size() < kMaxReportedErrors)
        in.refuse("is not a field of tls" + did_you_mean(item.key(), kMembers), below);
      continue;
    }
    if (item.value().is_null()) continue;
    const std::string* text = in.text(item.value(), below);
    if (text == nullptr) continue;
    if (!is_secret_file(*text)) {
      in.refuse(
          "must name a file, by an absolute path or as credential:NAME; certificates and keys are never "
          "given inline",
          below);
      continue;
    }
    *texts.at(static_cast<std::size_t>(member - kMembers.begin())) = *text;
  }
  if (tls.client_cert.empty() != tls.client_key.empty()) {
    in.refuse("must have client_cert and client_key together, or neither");
  }
}

bool nests_deeper(const Json& value, int levels) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::any_of(value.begin(), value.end(),
                                    [levels](const Json& below) { return nests_deeper(below, levels - 1); });
}

void read_metadata(EndpointReading& in, const Json& value) {
  if (!value.is_object()) return in.refuse("must be a JSON object");
  if (nests_deeper(value, kMaxMetadataDepth)) return in.refuse("must be nested at most 32 levels deep");
  std::string text = dump(value);
  if (text.size() > kMaxMetadataBytes) return in.refuse("must have at most 4096 bytes as JSON");
  in.endpoint.metadata = std::move(text);
}

void refuse_read_only(EndpointReading& in, const Json&) {
  in.refuse("is set by outboxd and cannot be given");
}

struct Field {
  std::string_view name;
  void (*read)(EndpointReading&, const Json&);
};
constexpr std::array kFields = {
    Field{"url", read_url},
    Field{"name", read_name},
    Field{"tenant", read_tenant},
    Field{"types", read_types},
    Field{"filter", read_filter},
    Field{"secret", read_secret},
    Field{"headers", read_headers},
    Field{"auth", read_auth},
    Field{"signatures", read_signatures},
    Field{"format", read_format},
    Field{"body_template", read_body_template},
    Field{"content_type", read_content_type},
    Field{"timeout", read_timeout},
    Field{"retry_schedule", read_schedule},
    Field{"max_in_flight", read_max_in_flight},
    Field{"rate_limit", read_rate_limit},
    Field{"ordering", read_ordering},
    Field{"on_failure_in_order", read_on_failure_in_order},
    Field{"disable_after", read_disable_after},
    Field{"state", read_state},
    Field{"metadata", read_metadata},
    Field{"tls", read_tls},
    Field{"id", refuse_read_only},
    Field{"disabled_reason", refuse_read_only},
    Field{"failing_since", refuse_read_only},
    Field{"created_at", refuse_read_only},
    Field{"updated_at", refuse_read_only},
};

// Fields whose values may be secret, or long, and are never repeated in an answer. tls is one of them because people paste
// a key where its file name belongs.
constexpr std::array<std::string_view, 6> kNeverRepeated = {"/secret", "/headers",    "/tls",
                                                            "/auth",   "/signatures", "/body_template"};

// Adds the offending value to the errors of the field just read. Not where the error is that no value is accepted ("is
// not a field …"), nor where the value may hold a password.
void say_what_came(EndpointReading& in, std::size_t first, const Json& value) {
  if (std::ranges::find(kNeverRepeated, in.field) != kNeverRepeated.end()) return;
  for (std::size_t i = first; i < in.errors.size(); ++i) {
    const Json::json_pointer below(in.errors[i].pointer.substr(in.field.size()));
    if (!value.contains(below)) continue;
    const Json& it = value[below];
    const auto* const text = it.get_ptr<const std::string*>();
    if (it.is_structured() || (text != nullptr && text->find('@') != std::string::npos)) continue;
    std::string& detail = in.errors[i].detail;
    if (detail.starts_with("is ")) continue;
    const auto suggestion = std::min(detail.find("; did you mean"), detail.size());
    detail.insert(suggestion, got(it));
  }
}

std::string unknown_field(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Field& field : kFields) {
    if (field.read != refuse_read_only) names.push_back(field.name);
  }
  return "is not a field of an endpoint" + did_you_mean(name, names);
}

}  // namespace

Result<Endpoint> endpoint_from_json(const Json& body, const Endpoint& base) {
  if (!body.is_object()) {
    return problem(ProblemCode::kInvalidEndpoint, "the endpoint must be a JSON object" + got(body),
                   {{"", "must be a JSON object"}});
  }
  EndpointReading in{.endpoint = base};
  for (const auto& item : body.items()) {
    in.field = pointer_to(item.key());
    const auto field =
        std::find_if(kFields.begin(), kFields.end(), [&](const Field& f) { return f.name == item.key(); });
    if (field == kFields.end()) {
      // Finding the nearest name takes time, and a body may have any number of unknown fields.
      if (in.errors.size() < kMaxReportedErrors) in.refuse(unknown_field(item.key()));
      continue;
    }
    const std::size_t before = in.errors.size();
    field->read(in, item.value());
    say_what_came(in, before, item.value());
  }
  if (in.endpoint.url.empty() && !body.contains("url")) {
    in.field = "/url";
    in.refuse("is required");
  }
  check_shape(in);
  if (in.errors.empty()) return std::move(in.endpoint);
  std::string detail = summary_of(in.errors);
  return problem(ProblemCode::kInvalidEndpoint, std::move(detail), std::move(in.errors));
}

Result<std::vector<Millis>> parse_retry_schedule(std::span<const std::string> waits) {
  if (waits.empty() || waits.size() > kMaxRetrySchedule) {
    return problem(ProblemCode::kInvalidParameter, "must have 1 to 64 waits, one for each attempt");
  }
  std::vector<Millis> schedule;
  std::vector<FieldError> errors;
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const auto wait = parse_duration(waits[i]);
    if (!wait || *wait > kMaxWait) {
      errors.push_back({"/" + std::to_string(i), "must be a duration of at most 30d, such as \"5m\""});
    }
    schedule.push_back(wait.value_or(Millis(0)));
  }
  if (errors.empty()) return schedule;
  return problem(ProblemCode::kInvalidParameter,
                 "a wait of the retry schedule is not a duration of at most 30d", std::move(errors));
}

}  // namespace outboxd
