#include "api/http_head.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/percent.h"
#include "common/text.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxLengthDigits = 18;  // fits std::uint64_t; any real limit is far below
constexpr std::size_t kUsualHeaders = 8;

enum CharClass : std::uint8_t { kToken = 1, kValue = 2, kPath = 4, kQuery = 8, kAuthority = 16 };

constexpr std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> table{};
  const auto add = [&table](std::string_view chars, int classes) {
    for (const char c : chars) table[static_cast<unsigned char>(c)] |= static_cast<std::uint8_t>(classes);
  };
  for (unsigned c = 0x20; c < 256; ++c) table[c] |= c != 0x7F ? kValue : 0;
  for (unsigned c = 0x21; c < 0x7F; ++c) table[c] |= c != '#' ? kQuery : 0;
  table['\t'] |= kValue;
  add("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", kPath | kAuthority);
  add(kTokenChars, kToken);
  add("-._~!$&'()*+,;=:@/%", kPath);  // RFC 3986, 3.3, and the percent sign, which is looked at on its own
  add("-._~:[]", kAuthority);         // a host and a port; no user information (RFC 9110, 4.2.4), no escapes
  return table;
}
constexpr auto kCharClasses = make_char_classes();

bool all_in(std::string_view text, CharClass wanted) {
  return std::ranges::all_of(
      text, [wanted](char c) { return kCharClasses[static_cast<unsigned char>(c)] & wanted; });
}

// An escaped CR, LF or NUL in a value becomes a real one in parsers that decode values (cpp-httplib does).
bool hides_line_break(std::string_view value) {
  for (auto at = value.find('%'); at != std::string_view::npos; at = value.find('%', at + 1)) {
    const int byte = escaped_byte(value, at);
    if (byte == '\r' || byte == '\n' || byte == 0) return true;
  }
  return false;
}

// A decoded slash or control would make the routed path differ from the one that was sent.
bool is_clear_path(std::string_view path) {
  for (auto at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    const int byte = escaped_byte(path, at);
    if (byte < 0x20 || byte == 0x7F || byte == '/') return false;
  }
  return true;
}

bool has_clear_escapes(std::string_view query) {
  for (auto at = query.find('%'); at != std::string_view::npos; at = query.find('%', at + 1)) {
    if (escaped_byte(query, at) < 0) return false;
  }
  return true;
}

// Returns the path and query of an absolute-form target, and puts its authority into `host`.
tl::expected<std::string, HttpRefusal> origin_form(std::string_view target, std::string& host) {
  const auto scheme_end = target.find("://");
  const auto scheme = target.substr(0, scheme_end);
  const bool absolute = scheme_end != std::string_view::npos &&
                        (ascii_iequals(scheme, "http") || ascii_iequals(scheme, "https"));
  if (!absolute) return std::string(target);
  target.remove_prefix(scheme_end + 3);
  const auto authority = target.substr(0, std::min(target.find_first_of("/?"), target.size()));
  if (authority.empty() || !all_in(authority, kAuthority)) {
    return refuse(400, "The request target's authority must be a host, with a port or without.");
  }
  host = authority;
  target.remove_prefix(authority.size());
  return (target.starts_with('/') ? "" : "/") + std::string(target);
}

tl::expected<void, HttpRefusal> check_target(std::string_view target) {
  if (!target.starts_with('/')) {
    return refuse(
        400,
        "The request target must be a path that begins with '/', or a URL that begins with http:// or "
        "https://.");
  }
  const auto path = target.substr(0, target.find('?'));
  if (target.size() > kMaxTargetBytes || path.size() > kMaxPathBytes) {
    return refuse(414, "The request target is too long: the path may have " + std::to_string(kMaxPathBytes) +
                           " bytes, path and query together " + std::to_string(kMaxTargetBytes) + ".");
  }
  if (!all_in(path, kPath) || !is_clear_path(path)) {
    return refuse(400,
                  "The request's path contains a character or percent-escape that is not allowed in a path.");
  }
  const auto query = target.substr(path.size());
  if (!all_in(query, kQuery) || !has_clear_escapes(query)) {
    return refuse(
        400,
        "The request's query contains a character that must be percent-encoded, or a broken percent-escape.");
  }
  return {};
}

tl::expected<void, HttpRefusal> read_request_line(std::string_view line, Head& head) {
  const auto first = line.find(' ');
  const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) {
    return refuse(400,
                  "The request line must be a method, a target and a version with one space between them.");
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, second - first - 1);
  const auto version = line.substr(second + 1);
  if (method.empty() || !all_in(method, kToken)) return refuse(400, "The request's method is not a token.");
  if (version != "HTTP/1.1" && version != "HTTP/1.0")
    return refuse(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
  head.http_1_0 = version == "HTTP/1.0";
  head.method = method;
  auto origin = origin_form(target, head.host);
  if (!origin) return tl::unexpected(std::move(origin.error()));
  head.target = std::move(*origin);
  return check_target(head.target);
}

// What the framing fields say, until they are checked together.
struct Framing {
  int hosts = 0;
  std::string_view host;
  int lengths = 0;
  int encodings = 0;
  int expectations = 0;
  bool close = false;
  bool keep_alive = false;
};

void read_connection(std::string_view value, Framing& framing) {
  while (true) {
    const auto comma = value.find(',');
    const auto option = trim(value.substr(0, comma), kHttpBlanks);
    framing.close |= ascii_iequals(option, "close");
    framing.keep_alive |= ascii_iequals(option, "keep-alive");
    if (comma == std::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

tl::expected<void, HttpRefusal> read_content_length(std::string_view value, std::size_t limit, Head& head,
                                                    Framing& framing) {
  if (++framing.lengths > 1) return refuse(400, "There is more than one Content-Length.");
  if (value.empty() || !std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; })) {
    return refuse(400, "Content-Length must consist of digits only.");
  }
  const auto too_large = [limit] {
    return refuse(413, "The body is larger than the limit of " + std::to_string(limit) + " bytes a request.");
  };
  if (value.size() > kMaxLengthDigits) return too_large();
  std::from_chars(value.data(), value.data() + value.size(), head.content_length);
  if (head.content_length > limit) return too_large();
  return {};
}

// Reads the field if it concerns framing. True: it does, and need not be kept.
tl::expected<bool, HttpRefusal> read_framing_field(const FieldLine& field, const HeadLimits& limits,
                                                   Head& head, Framing& framing) {
  switch (field.name.size()) {
    case 4:
      if (!ascii_iequals(field.name, "host")) return false;
      ++framing.hosts;
      framing.host = field.value;
      return false;
    case 6:
      if (!ascii_iequals(field.name, "expect")) return false;
      ++framing.expectations;
      if (!ascii_iequals(field.value, "100-continue")) {
        return refuse(417, "The only expectation that can be met is 100-continue.");
      }
      head.expect_continue = true;
      return true;
    case 10:
      if (!ascii_iequals(field.name, "connection")) return false;
      read_connection(field.value, framing);
      return true;
    case 14: {
      if (!ascii_iequals(field.name, "content-length")) return false;
      const auto read = read_content_length(field.value, limits.max_body_bytes, head, framing);
      if (!read) return tl::unexpected(read.error());
      return true;
    }
    case 17:
      if (!ascii_iequals(field.name, "transfer-encoding")) return false;
      ++framing.encodings;
      if (!ascii_iequals(field.value, "chunked")) {
        return refuse(400, "The only transfer coding that is understood is chunked, alone and once.");
      }
      head.chunked = true;
      return true;
    default:
      return false;
  }
}

tl::expected<void, HttpRefusal> check_framing(const Framing& framing, Head& head) {
  if (framing.hosts > 1) return refuse(400, "There is more than one Host.");
  if (framing.hosts == 0 && !head.http_1_0) return refuse(400, "An HTTP/1.1 request must have a Host.");
  if (framing.encodings > 1) return refuse(400, "There is more than one Transfer-Encoding.");
  if (framing.encodings > 0 && framing.lengths > 0) {
    return refuse(400, "Transfer-Encoding and Content-Length exclude each other.");
  }
  if (framing.encodings > 0 && head.http_1_0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding.");
  if (head.has_body() && (head.method == "GET" || head.method == "HEAD" || head.method == "DELETE")) {
    return refuse(400, "A " + head.method + " request must not have a body.");
  }
  if (head.http_1_0) head.expect_continue = false;  // RFC 9110, 10.1.1
  head.keep_alive = !framing.close && (!head.http_1_0 || framing.keep_alive);
  return {};
}

// Takes the host from the Host field, unless the request line has named one.
void settle_host(const Framing& framing, Head& head) {
  if (head.host.empty()) {
    head.host = framing.host;
  } else if (framing.hosts == 0) {
    head.headers.push_back({"host", head.host});
  } else {
    const auto field = std::ranges::find_if(
        head.headers, [](const HeaderField& h) { return ascii_iequals(h.name, "host"); });
    field->value = head.host;
  }
}

}  // namespace

tl::expected<HeadEnd, HttpRefusal> find_head_end(std::string_view buffer, std::size_t from) {
  if (!buffer.empty() && !all_in(buffer.substr(0, 1), kToken)) {
    return refuse(400, "The connection did not begin with an HTTP request line.");
  }
  for (auto at = buffer.find('\n', from); at != std::string_view::npos; at = buffer.find('\n', at + 1)) {
    if (at == 0 || buffer[at - 1] != '\r')
      return refuse(400, "A line must end with CR LF; a bare LF was found.");
    if (at >= 3 && buffer[at - 2] == '\n') return HeadEnd{at + 1};
  }
  return HeadEnd{};
}

tl::expected<FieldLine, HttpRefusal> parse_field_line(std::string_view line) {
  if (line.starts_with(' ') || line.starts_with('\t'))
    return refuse(400, "A header line must not begin with a space (folding).");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "A header line has no colon.");
  const FieldLine field{line.substr(0, colon), trim(line.substr(colon + 1), kHttpBlanks)};
  if (field.name.empty() || !all_in(field.name, kToken)) {
    return refuse(400, "A header's name must be a token, with no space before the colon.");
  }
  if (!all_in(field.value, kValue))
    return refuse(400,
                  "The value of the header " + std::string(field.name) + " contains a control character.");
  if (hides_line_break(field.value)) {
    return refuse(400, "The value of the header " + std::string(field.name) +
                           " contains a percent-encoded CR, LF or NUL.");
  }
  return field;
}

tl::expected<Head, HttpRefusal> parse_head(std::string_view text, const HeadLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return refuse(431, "The request's head is larger than " + std::to_string(limits.max_bytes) + " bytes.");
  }
  Head head;
  Framing framing;
  auto line_end = text.find("\r\n");
  if (line_end == std::string_view::npos) return refuse(400, "The request's head has no end.");
  if (auto read = read_request_line(text.substr(0, line_end), head); !read)
    return tl::unexpected(read.error());
  text.remove_prefix(line_end + 2);
  head.headers.reserve(kUsualHeaders);
  std::size_t count = 0;
  while (!text.starts_with("\r\n")) {
    line_end = text.find("\r\n");
    if (line_end == std::string_view::npos) return refuse(400, "The request's head has no end.");
    if (++count > limits.max_headers) {
      return refuse(431, "The request has more than " + std::to_string(limits.max_headers) + " headers.");
    }
    const auto field = parse_field_line(text.substr(0, line_end));
    if (!field) return tl::unexpected(field.error());
    const auto taken = read_framing_field(*field, limits, head, framing);
    if (!taken) return tl::unexpected(taken.error());
    if (!*taken) head.headers.push_back({std::string(field->name), std::string(field->value)});
    text.remove_prefix(line_end + 2);
  }
  if (auto checked = check_framing(framing, head); !checked) return tl::unexpected(checked.error());
  settle_host(framing, head);
  return head;
}

}  // namespace outboxd::api
