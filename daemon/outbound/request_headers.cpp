#include "outbound/request_headers.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kSeparator = ": ";
constexpr std::string_view kFramingHeaders[] = {"connection",        "content-length",   "expect", "host",
                                                "keep-alive",        "proxy-connection", "te",     "trailer",
                                                "transfer-encoding", "upgrade"};

bool is_field_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7F; });
}

bool is_blank(std::string_view value) {
  return value.find_first_not_of(kHttpBlanks) == std::string_view::npos;
}

std::optional<std::string> why_refused(std::string_view name, std::string_view value) {
  if (!is_token(name)) return "a request header's name is malformed";
  const auto problem_of = [name](std::string_view problem) {
    return std::string("request header ").append(name).append(problem);
  };
  if (!is_field_value(value)) return problem_of(" holds control characters");
  if (std::any_of(std::begin(kFramingHeaders), std::end(kFramingHeaders),
                  [name](std::string_view framing) { return ascii_iequals(framing, name); })) {
    return problem_of(" is set by HTTP itself");
  }
  return std::nullopt;
}

}  // namespace

void RequestHeaders::add(std::string_view name, std::string_view value) {
  if (auto why = why_refused(name, value)) return refuse(std::move(*why));
  write(name, value);
}

void RequestHeaders::add_extra(std::string_view name, std::string_view value) {
  if (auto why = why_header_refused(name, value)) return refuse(std::move(*why));
  write(name, value);
}

void RequestHeaders::write(std::string_view name, std::string_view value) {
  has_accept_ = has_accept_ || ascii_iequals(name, "accept");
  lines_ += name;
  if (is_blank(value)) {
    lines_ += ':';
  } else {
    lines_.append(kSeparator).append(value);
  }
  lines_ += kLineEnd;
}

void RequestHeaders::refuse(std::string why) {
  if (refusal_.empty()) refusal_ = std::move(why);
}

std::vector<HeaderField> RequestHeaders::fields() const {
  std::vector<HeaderField> fields;
  fields.reserve(static_cast<std::size_t>(std::count(lines_.begin(), lines_.end(), '\n')));
  std::string_view rest = lines_;
  while (!rest.empty()) {
    const std::size_t end = rest.find(kLineEnd);
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + kLineEnd.size());
    const std::size_t colon = line.find(':');
    const std::size_t value = std::min(colon + kSeparator.size(), line.size());
    fields.push_back({std::string(line.substr(0, colon)), std::string(line.substr(value))});
  }
  return fields;
}

}  // namespace outboxd
