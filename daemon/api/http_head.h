// The strict parser of a request's head (RFC 9110, RFC 9112): pure, no sockets. What passes means the same to every
// parser; where the RFCs let a server be lenient we refuse, because a proxy in front of us may read it differently.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_refusal.h"
#include "common/event.h"

namespace outboxd::api {

inline constexpr std::size_t kMaxTargetBytes = 8000;  // RFC 9112, 3: at least so much of a request line
inline constexpr std::size_t kMaxPathBytes = 1024;    // ten times the longest path that has a route

struct HeadLimits {
  std::size_t max_bytes = 16u << 10;       // 431
  std::size_t max_headers = 100;           // 431
  std::size_t max_body_bytes = 16u << 20;  // 413 for a larger Content-Length
};

struct Head {
  std::string method;  // any token
  std::string target;  // origin-form, as sent; of an absolute-form target its path and query
  // As sent; "" when absent (only HTTP/1.0 may omit it). The authority of an absolute-form target replaces it, also
  // among the headers (RFC 9112, 3.2.2).
  std::string host;
  std::uint64_t content_length = 0;
  bool chunked = false;
  bool http_1_0 = false;
  bool keep_alive = true;        // what the client asks for
  bool expect_continue = false;  // never on HTTP/1.0
  // In order; values as sent, without the spaces around them; without the framing fields (content-length,
  // transfer-encoding, connection, expect).
  std::vector<HeaderField> headers;
  bool has_body() const { return chunked || content_length > 0; }
};

// Looks for the blank line that ends a head, from `from` (where the last search ended) on. `end` is one past
// it, or npos when more bytes are needed. Refuses a line feed without its carriage return, an empty request
// line, and what cannot begin a request (a TLS hello).
struct HeadEnd {
  std::size_t end = std::string_view::npos;
};
tl::expected<HeadEnd, HttpRefusal> find_head_end(std::string_view buffer, std::size_t from);

// `head` ends with its blank line.
tl::expected<Head, HttpRefusal> parse_head(std::string_view head, const HeadLimits& limits);

// Parses one `name: value` line without its CRLF, or says why it is not a field line of RFC 9110. Also used for
// trailers.
struct FieldLine {
  std::string_view name, value;
};
tl::expected<FieldLine, HttpRefusal> parse_field_line(std::string_view line);

}  // namespace outboxd::api
