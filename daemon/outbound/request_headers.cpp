#include "outbound/request_headers.h"

#include <algorithm>

#include "common/event.h"
#include "common/text.h"
#include "outbound/http_sender.h"

namespace outboxd {
namespace {

constexpr std::string_view kFramingHeaders[] = {"connection",        "content-length",   "expect", "host",
                                                "keep-alive",        "proxy-connection", "te",     "trailer",
                                                "transfer-encoding", "upgrade"};

bool is_field_value(std::string_view value) {
  return std::none_of(value.begin(), value.end(),
                      [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7F; });
}

}  // namespace

std::optional<std::string> why_headers_refused(const SendRequest& request) {
  for (const HeaderField& header : request.extra_headers) {
    if (auto why = why_header_refused(header.name, header.value)) return why;
  }
  for (const HeaderField& header : request.headers) {
    if (!is_token(header.name)) return "a request header's name is malformed";
    if (!is_field_value(header.value)) return "request header " + header.name + " holds control characters";
    if (std::any_of(std::begin(kFramingHeaders), std::end(kFramingHeaders),
                    [&](std::string_view name) { return ascii_iequals(name, header.name); })) {
      return "request header " + header.name + " is set by HTTP itself";
    }
  }
  return std::nullopt;
}

}  // namespace outboxd
