// The strict check of a request's head: what it accepts has exactly one framing, and nothing in it becomes a line break in a parser that
// decodes percent-escapes.
#include <algorithm>
#include <vector>

#include "api/http_head.h"
#include "common/text.h"
#include "fuzz/target.h"

using namespace outboxd;
using namespace outboxd::api;

namespace {

// A reader of its own, as simple as can be: the lines of an accepted head.
std::vector<std::string_view> lines_of(std::string_view head) {
  std::vector<std::string_view> lines;
  for (auto end = head.find("\r\n"); end != std::string_view::npos && end > 0; end = head.find("\r\n")) {
    lines.push_back(head.substr(0, end));
    head.remove_prefix(end + 2);
  }
  HOLDS(head == "\r\n");
  return lines;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' ? hex_decode(text.substr(i + 1, 2)) : std::nullopt;
    if (byte && byte->size() == 1) {
      out += *byte;
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

std::string written(const Head& head) {
  std::string text = head.method + ' ' + head.target + (head.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  for (const auto& header : head.headers) text += header.name + ": " + header.value + "\r\n";
  if (head.chunked) text += "Transfer-Encoding: chunked\r\n";
  if (head.content_length > 0) text += "Content-Length: " + std::to_string(head.content_length) + "\r\n";
  if (head.expect_continue) text += "Expect: 100-continue\r\n";
  text += head.keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return text + "\r\n";
}

void check_accepted(std::string_view text, const Head& head, const HeadLimits& limits) {
  const auto lines = lines_of(text);
  HOLDS(text.size() <= limits.max_bytes && lines.size() <= limits.max_headers + 1);
  std::vector<std::string_view> lengths, encodings;
  std::size_t hosts = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto colon = lines[i].find(':');
    HOLDS(colon != std::string_view::npos);
    const std::string name = ascii_lower(lines[i].substr(0, colon));
    if (name == "content-length") lengths.push_back(lines[i].substr(colon + 1));
    if (name == "transfer-encoding") encodings.push_back(lines[i].substr(colon + 1));
    if (name == "host") ++hosts;
    HOLDS(name.find_first_of(" \t") == std::string::npos);
  }
  HOLDS(lengths.size() + encodings.size() <= 1 && hosts <= 1);
  HOLDS(hosts == 1 || head.http_1_0);
  HOLDS(head.chunked == !encodings.empty());
  HOLDS(head.content_length <= limits.max_body_bytes);
  if (!lengths.empty()) {
    HOLDS(std::to_string(head.content_length).size() <= lengths[0].size());
    HOLDS(std::strtoull(std::string(lengths[0]).c_str(), nullptr, 10) == head.content_length);
  } else {
    HOLDS(head.content_length == 0);
  }
  HOLDS(!head.method.empty() && head.target.starts_with('/') && head.target.size() <= kMaxTargetBytes);
  HOLDS(!has_line_break(percent_decoded(head.target.substr(0, head.target.find('?')))));
  for (const auto& header : head.headers) {
    HOLDS(!has_line_break(header.value) && !has_line_break(percent_decoded(header.value)));
    HOLDS(!ascii_iequals(header.name, "content-length") && !ascii_iequals(header.name, "transfer-encoding"));
  }
}

}  // namespace

FUZZ_TARGET(input) {
  // The end is found at the same place however the bytes arrive.
  const auto whole = find_head_end(input, 0);
  std::size_t from = 0;
  for (std::size_t size = 1; size <= std::min<std::size_t>(input.size(), 256); ++size) {
    const auto piece = find_head_end(input.substr(0, size), from);
    if (!piece) {
      HOLDS(!whole);
      break;
    }
    if (piece->end != std::string_view::npos) {
      HOLDS(whole && whole->end == piece->end && piece->end == size);
      break;
    }
    from = size;
  }
  if (!whole || whole->end == std::string_view::npos) return;

  const auto text = input.substr(0, whole->end);
  HOLDS(text.ends_with("\r\n\r\n"));
  const HeadLimits limits{.max_bytes = 4096, .max_headers = 20, .max_body_bytes = 1 << 20};
  const auto head = parse_head(text, limits);
  if (!head) {
    HOLDS(head.error().status >= 400 && head.error().status < 500 && !head.error().detail.empty());
    return;
  }
  check_accepted(text, *head, limits);

  const auto again = parse_head(written(*head), HeadLimits{});
  HOLDS(again && again->method == head->method && again->target == head->target && again->host == head->host);
  HOLDS(again->content_length == head->content_length && again->chunked == head->chunked);
  HOLDS(again->keep_alive == head->keep_alive && again->expect_continue == head->expect_continue);
  HOLDS(again->headers == head->headers && again->http_1_0 == head->http_1_0);
}
