// Reads one HTTP response from the lines and bytes that libcurl hands over: decides when its head is complete, what is
// kept of it, and when enough was read. Pure. A response may be hostile, so every part is bounded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/event.h"

namespace outboxd {

// Interim (1xx) responses and trailers included.
inline constexpr std::size_t kMaxResponseHeadBytes = 64u << 10;

class ResponseReader {
 public:
  explicit ResponseReader(std::size_t max_body_bytes = 0) : max_body_bytes_(max_body_bytes) {}

  // Takes one line with its line ending: a status line, a field, the blank line, or a trailer after the body. False:
  // stop reading.
  bool on_header_line(std::string_view line);
  // False: enough was read, hang up.
  bool on_body(std::string_view bytes);

  // True once the blank line after a final status was seen: from then on the status counts, whatever happens to the
  // body. libcurl itself reports a truncated head as a success.
  bool head_complete() const { return head_complete_; }
  bool anything_came() const { return head_bytes_ > 0; }
  int status() const { return status_; }
  // Why on_header_line() refused; empty if it did not.
  const std::string& refusal() const { return refusal_; }

  std::vector<HeaderField>& headers() { return headers_; }
  std::string& body() { return body_; }
  std::optional<std::string>& retry_after() { return retry_after_; }

 private:
  bool refuse(std::string why);
  bool on_status_line(std::string_view line);
  bool on_field(std::string_view line);

  std::size_t max_body_bytes_;
  std::size_t head_bytes_ = 0;
  std::size_t kept_header_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  int status_ = 0;
  bool expects_status_ = true;  // at the beginning, and after each interim response
  bool head_complete_ = false;
  bool ambiguous_ = false;  // the body's length is ambiguous
  std::optional<std::string> content_length_;
  bool transfer_encoding_ = false;
  std::string refusal_;
  std::vector<HeaderField> headers_;
  std::string body_;
  std::optional<std::string> retry_after_;
};

}  // namespace outboxd
