#include "common/body_template.h"

#include "common/json.h"
#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::string_view kOpen = "{{", kClose = "}}", kNull = "null";

// A value as it stands in a template. In a string: between the quotes of a JSON string.
std::string value_text(const JsonSpan& span, bool in_string) {
  if (!in_string) return std::string(span.text);
  if (span.kind == JsonKind::kString) return std::string(span.text.substr(1, span.text.size() - 2));
  const std::string quoted = dump(Json(std::string(span.text)));
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

// Splits the text at its placeholders. Outside a string `{{` is never JSON, so it always begins one.
class BodyTemplate::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  tl::expected<BodyTemplate, std::string> read() {
    if (text_.size() > kMaxText)
      return tl::unexpected("must have at most " + std::to_string(kMaxText) + " bytes");
    while (at_ < text_.size()) {
      if (!text_.substr(at_).starts_with(kOpen)) {
        take_character();
      } else if (auto wrong = take_placeholder()) {
        return tl::unexpected(std::move(*wrong));
      }
    }
    if (const auto fault = json_fault(checked_)) return tl::unexpected(not_json(*fault));
    made_.text_ = text_;
    made_.tail_ = std::move(literal_);
    return std::move(made_);
  }

 private:
  void take_character() {
    const std::size_t escape = in_string_ && text_[at_] == '\\' ? 2 : 1;
    if (text_[at_] == '"') in_string_ = !in_string_;
    const std::string_view taken = text_.substr(at_, escape);
    literal_ += taken;
    checked_ += taken;
    at_ += taken.size();
  }

  std::optional<std::string> take_placeholder() {
    const std::string where = " at byte " + std::to_string(at_);
    const std::size_t end = text_.find(kClose, at_);
    if (end == std::string_view::npos) return "opens {{" + where + " and never closes it with }}";
    const std::string_view name = text_.substr(at_ + kOpen.size(), end - at_ - kOpen.size());
    auto pointer = is_valid_utf8(name) ? parse_json_pointer(name) : std::nullopt;
    if (!pointer)
      return "has {{" + where +
             " and then no JSON Pointer into the payload, like {{/customer/name}} (RFC 6901)";
    if (made_.parts_.size() == kMaxPlaceholders)
      return "must have at most " + std::to_string(kMaxPlaceholders) + " placeholders";
    made_.parts_.push_back({std::move(literal_), std::move(*pointer), in_string_});
    literal_.clear();
    checked_ += kNull;
    at_ = end + kClose.size();
    checked_to_text_ = {checked_.size(), at_};
    return std::nullopt;
  }

  // The place is that of the text as it was given, as far as it lies behind the last placeholder.
  std::string not_json(const JsonFault& fault) const {
    const auto [checked, text] = checked_to_text_;
    const std::size_t offset = fault.offset >= checked ? fault.offset - checked + text : fault.offset;
    return "must be JSON when a value stands in each {{/pointer}}: near byte " + std::to_string(offset) +
           ", " + std::string(fault.what);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool in_string_ = false;
  std::string literal_;                                  // since the last placeholder
  std::string checked_;                                  // with null for each placeholder
  std::pair<std::size_t, std::size_t> checked_to_text_;  // where both go on behind the last placeholder
  BodyTemplate made_;
};

tl::expected<BodyTemplate, std::string> BodyTemplate::parse(std::string_view text) {
  return Reader(text).read();
}

std::optional<std::string> BodyTemplate::render(const JsonTree* payload, std::size_t max_bytes) const {
  std::string body;
  for (const Part& part : parts_) {
    const JsonSpan* found = payload == nullptr ? nullptr : payload->find(part.pointer);
    body += part.literal;
    body += found == nullptr ? std::string(kNull) : value_text(*found, part.in_string);
    if (body.size() > max_bytes) return std::nullopt;
  }
  body += tail_;
  if (body.size() > max_bytes) return std::nullopt;
  return body;
}

}  // namespace outboxd
