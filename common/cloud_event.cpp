#include "common/cloud_event.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>

#include "common/json.h"
#include "common/json_words.h"
#include "common/media_type.h"
#include "common/text.h"
#include "common/time.h"
#include "common/words.h"

namespace outboxd {
namespace {

constexpr std::string_view kJsonType = "application/json", kUnknownType = "application/octet-stream";
constexpr std::string_view kHeaderPrefix = "ce-";
constexpr std::string_view kContentType = "datacontenttype";

// Text of this type is bytes of another encoding than JSON's strings.
bool has_foreign_charset(std::string_view content_type) {
  constexpr std::string_view kCharset = "charset=";
  const std::string lower = ascii_lower(content_type);
  const auto at = lower.find(kCharset);
  if (at == std::string::npos) return false;
  const auto charset =
      trim(std::string_view(lower).substr(at + kCharset.size(), lower.find(';', at) - at - kCharset.size()),
           " \t\"");
  return charset != "utf-8" && charset != "us-ascii";
}

// Spec, "Type System": no control characters (C0, DEL, C1), no noncharacters of Unicode.
bool is_attribute_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text.substr(0, 4));
    if (length == 0) return false;
    const std::uint32_t c = code_point(text.substr(0, length));
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return false;
    if ((c & 0xFFFE) == 0xFFFE || (c >= 0xFDD0 && c <= 0xFDEF)) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_attribute_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxAttributeName && name != "data" &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

bool is_scheme(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

// The scheme of a URI-reference of RFC 3986; "" if it has none. nullopt: it is none. Its characters, escapes, scheme and
// fragment are checked, the inside of its authority is not.
std::optional<std::string_view> scheme_of(std::string_view text) {
  constexpr std::string_view kMarks = "-._~:/?#[]@!$&'()*+,;=%";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric && kMarks.find(c) == std::string_view::npos) return std::nullopt;
    if (c == '%' && (i + 2 >= text.size() || !hex_decode(text.substr(i + 1, 2)))) return std::nullopt;
  }
  if (std::ranges::count(text, '#') > 1) return std::nullopt;
  const auto end = text.find_first_of(":/?#");
  if (end == std::string_view::npos || text[end] != ':') return "";
  return is_scheme(text.substr(0, end)) ? std::optional(text.substr(0, end)) : std::nullopt;
}

// RFC 3339. parse_time() knows the years from 1970 on, and things have happened before: any year is replaced by one with
// as many days.
bool is_time(std::string text) {
  constexpr std::size_t kYear = 4;
  const auto year = parse_int(std::string_view(text).substr(0, kYear));
  if (text.size() < kYear || !year || *year < 0) return false;
  const bool leap = *year % 4 == 0 && (*year % 100 != 0 || *year % 400 == 0);
  return parse_time(text.replace(0, kYear, leap ? "2000" : "2001")).has_value();
}

// What the spec says of its own attributes beside "a string that is not empty": "" if `text` is as it should be.
std::string_view check_any(std::string_view) {
  return "";
}
std::string_view check_version(std::string_view text) {
  return text == "1.0" ? "" : "must be \"1.0\", the version of CloudEvents that is spoken here";
}
std::string_view check_reference(std::string_view text) {
  return scheme_of(text)
             ? ""
             : "must be a URI reference such as \"/orders\" or \"https://example.com/orders\" (RFC 3986)";
}
std::string_view check_uri(std::string_view text) {
  return scheme_of(text).value_or("").empty()
             ? "must be a URI with a scheme, such as \"https://example.com/order.json\" (RFC 3986)"
             : "";
}
std::string_view check_time(std::string_view text) {
  return is_time(std::string(text)) ? "" : "must be a time such as \"2026-11-23T15:21:00Z\" (RFC 3339)";
}

struct CoreAttribute {
  std::string_view name;
  bool required;
  std::string_view (*check)(std::string_view);
};
constexpr std::array<CoreAttribute, 8> kCore = {{{"specversion", true, check_version},
                                                 {"id", true, check_any},
                                                 {"source", true, check_reference},
                                                 {"type", true, check_any},
                                                 {"subject", false, check_any},
                                                 {"time", false, check_time},
                                                 {"dataschema", false, check_uri},
                                                 {kContentType, false, check_any}}};

std::size_t rank_of(std::string_view name) {
  return static_cast<std::size_t>(std::ranges::find(kCore, name, &CoreAttribute::name) - kCore.begin());
}

bool is_integer(std::string_view number) {
  using Limits = std::numeric_limits<std::int32_t>;
  const auto value = parse_int(number);
  return value && *value >= Limits::min() && *value <= Limits::max();
}

// Collects attributes, each checked on its own, and then all together.
class Attributes {
 public:
  explicit Attributes(const ReportFault& report) : report_(report) {}

  // Is there room for this attribute, and may it have this name? Asked once for each that came.
  bool admits(const std::string& name) {
    if (!is_attribute_name(name)) {
      report_(name, name == "data" ? "is not an attribute in this form"
                                   : "is not an attribute's name: 1 to " + std::to_string(kMaxAttributeName) +
                                         " lower-case letters and digits");
      return false;
    }
    if (came_.contains(name)) {
      report_(name, "appears more than once");
      return false;
    }
    if (came_.size() < kMaxAttributes) return came_.emplace(name, false).second;
    if (!full_) report_("", "are more than " + std::to_string(kMaxAttributes) + " attributes");
    full_ = true;
    return false;
  }

  void take(const std::string& name, const JsonSpan& value) {
    if (!admits(name)) return;
    switch (value.kind) {
      case JsonKind::kNull:
        came_[name] = true;
        return;
      case JsonKind::kString: {
        auto text = json_string(value);
        if (!text) return report_(name, "must be text: it holds a lone surrogate");
        return add({name, value.kind, std::move(*text)});
      }
      case JsonKind::kNumber:
        if (rank_of(name) == kCore.size() && !is_integer(value.text))
          return report_(
              name, "must be a whole number from -2147483648 to 2147483647: send another one as a string" +
                        got(value));
        return add({name, value.kind, std::string(value.text)});
      case JsonKind::kBoolean:
        return add({name, value.kind, std::string(value.text)});
      default:
        report_(name, "must be a string, a whole number or a boolean" + got(value));
    }
  }

  void add(CloudEventAttribute attribute) {
    const std::size_t rank = rank_of(attribute.name);
    if (attribute.kind == JsonKind::kString && !is_attribute_text(attribute.text))
      return report_(attribute.name, "must be text without control characters and noncharacters of Unicode");
    if (rank < kCore.size()) {
      if (attribute.kind != JsonKind::kString)
        return report_(attribute.name,
                       "must be a string; got " + attribute.text.substr(0, kMaxAttributeName));
      if (attribute.text.empty()) return report_(attribute.name, "must not be empty");
      const auto wrong = kCore[rank].check(attribute.text);
      if (!wrong.empty())
        return report_(attribute.name, std::string(wrong) + "; got " + in_quotes(attribute.text));
    }
    if (attribute.name == kContentType) {
      content_type_ = std::move(attribute.text);
    } else {
      attributes_.push_back(std::move(attribute));
    }
  }

  const std::optional<std::string>& content_type() const { return content_type_; }

  CloudEvent finish() {
    for (const CoreAttribute& core : kCore) {
      const auto found = came_.find(core.name);
      if (core.required && (found == came_.end() || found->second)) report_(core.name, "is required");
    }
    std::ranges::sort(attributes_, [](const CloudEventAttribute& a, const CloudEventAttribute& b) {
      return std::pair(rank_of(a.name), std::string_view(a.name)) <
             std::pair(rank_of(b.name), std::string_view(b.name));
    });
    CloudEvent event;
    event.attributes = std::move(attributes_);
    const std::size_t bytes = event.context().size();
    if (bytes > kMaxAttributeBytes)
      report_("",
              "take " + std::to_string(bytes) + " bytes, more than " + std::to_string(kMaxAttributeBytes));
    return event;
  }

 private:
  const ReportFault& report_;
  std::map<std::string, bool, std::less<>> came_;  // the names; true: it was null, that is unset
  bool full_ = false;
  std::vector<CloudEventAttribute> attributes_;
  std::optional<std::string> content_type_;
};

// JSON format, 3.1.2.
std::string data_of(const std::optional<JsonSpan>& data, const std::optional<JsonSpan>& base64,
                    const std::optional<std::string>& content_type, const ReportFault& report) {
  const bool json = declares_json(content_type.value_or(std::string(kJsonType)));
  if (data && base64) {
    report("data_base64", "cannot be given together with data");
  } else if (base64) {
    const auto text = base64->kind == JsonKind::kString ? json_string(*base64) : std::nullopt;
    auto bytes = text ? base64_decode(*text) : std::nullopt;
    if (!bytes) {
      report("data_base64", "must be a string of base64 (RFC 4648, section 4)");
    } else if (const auto fault =
                   is_json_type(content_type.value_or("")) ? json_fault(*bytes) : std::nullopt) {
      report("data_base64", "is not the JSON that datacontenttype says it is: at byte " +
                                std::to_string(fault->offset) + ", " + std::string(fault->what));
    } else {
      return std::move(*bytes);
    }
  } else if (data && json) {
    return std::string(data->text);
  } else if (data) {
    auto text = data->kind == JsonKind::kString ? json_string(*data) : std::nullopt;
    if (text && !has_foreign_charset(*content_type)) return std::move(*text);
    report("data", "must be a string of UTF-8, because datacontenttype is " + in_quotes(*content_type) +
                       ": send other bytes as data_base64" + (text ? "" : got(*data)));
  } else {
    return json ? "null" : "";
  }
  return "";
}

// HTTP binding, 3.1.3.2: quoted strings first, then one round of percent-decoding. nullopt: it is broken.
std::optional<std::string> decode_header(std::string_view value) {
  std::string unquoted;
  bool quoted = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] < ' ' || value[i] > '~') return std::nullopt;
    if (value[i] == '"') {
      quoted = !quoted;
      continue;
    }
    if (quoted && value[i] == '\\' && ++i == value.size()) return std::nullopt;
    unquoted += value[i];
  }
  if (quoted) return std::nullopt;
  std::string text;
  for (std::size_t i = 0; i < unquoted.size(); ++i) {
    if (unquoted[i] != '%') {
      text += unquoted[i];
      continue;
    }
    const auto byte =
        i + 2 < unquoted.size() ? hex_decode(std::string_view(unquoted).substr(i + 1, 2)) : std::nullopt;
    if (!byte) return std::nullopt;
    text += *byte;
    i += 2;
  }
  if (!is_valid_utf8(text)) return std::nullopt;
  return text;
}

}  // namespace

const std::string* CloudEvent::find(std::string_view attribute) const {
  const auto found = std::ranges::find(attributes, attribute, &CloudEventAttribute::name);
  return found == attributes.end() ? nullptr : &found->text;
}

std::string CloudEvent::context() const {
  std::string json = "{";
  for (const CloudEventAttribute& attribute : attributes) {
    if (json.size() > 1) json += ',';
    json.append("\"").append(attribute.name).append("\":");
    json += attribute.kind == JsonKind::kString ? dump(Json(attribute.text)) : attribute.text;
  }
  return json + '}';
}

CloudEvent read_cloud_event(JsonScanner& scanner, const ReportFault& report) {
  Attributes attributes(report);
  std::optional<JsonSpan> data, base64;
  scanner.open_object();
  while (const auto raw_name = scanner.next_member()) {
    const auto value = scanner.value();
    if (!value) break;
    const std::string name = json_string(*raw_name).value_or("?");
    auto* const place = name == "data" ? &data : name == "data_base64" ? &base64 : nullptr;
    if (place == nullptr) {
      attributes.take(name, *value);
    } else if (*place) {
      report(name, "appears more than once");
    } else {
      *place = value;
    }
  }
  if (scanner.fault()) return {};
  CloudEvent event = attributes.finish();
  event.data = data_of(data, base64, attributes.content_type(), report);
  event.content_type = attributes.content_type().value_or(std::string(base64 ? kUnknownType : kJsonType));
  return event;
}

bool is_cloud_event_header(std::string_view name) {
  return name.size() > kHeaderPrefix.size() &&
         ascii_iequals(name.substr(0, kHeaderPrefix.size()), kHeaderPrefix);
}

CloudEvent read_binary_cloud_event(std::span<const HeaderField> headers, std::string_view body,
                                   const ReportFault& report) {
  Attributes attributes(report);
  std::optional<std::string> content_type;
  for (const HeaderField& header : headers) {
    if (!content_type && ascii_iequals(header.name, "content-type")) content_type = header.value;
    if (!is_cloud_event_header(header.name)) continue;
    const std::string name = ascii_lower(header.name.substr(kHeaderPrefix.size()));
    if (name == kContentType) {
      report(name, "takes the place of ce-datacontenttype, which must not be there");
    } else if (attributes.admits(name)) {
      auto text = decode_header(header.value);
      if (text) {
        attributes.add({name, JsonKind::kString, std::move(*text)});
      } else {
        report(
            name,
            "must be printable ASCII; other characters are UTF-8 and percent-encoded, a percent sign is %25");
      }
    }
  }
  CloudEvent event = attributes.finish();
  event.content_type = content_type.value_or(std::string(body.empty() ? kJsonType : kUnknownType));
  event.data = body.empty() && declares_json(event.content_type) ? "null" : std::string(body);
  return event;
}

}  // namespace outboxd
