#include "outbound/response_reader.h"

#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxRetryAfterLength = 64;  // an HTTP date has 29

// "HTTP/1.1 204 No Content" -> 204
int status_in(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4) return 0;
  int status = 0;
  for (const char c : line.substr(space + 1, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  const char after = line.size() > space + 4 ? line[space + 4] : ' ';
  return after == ' ' || after == '\r' || after == '\n' ? status : 0;
}

}  // namespace

bool ResponseReader::refuse(std::string why) {
  refusal_ = std::move(why);
  return false;
}

bool ResponseReader::on_header_line(std::string_view line) {
  head_bytes_ += line.size();
  if (head_bytes_ > kMaxResponseHeadBytes) return refuse("the response's headers exceed 64 KiB");
  if (head_complete_) return true;  // a trailer
  if (expects_status_) return on_status_line(line);
  if (trim(line).empty()) {
    head_complete_ = status_ >= 200;
    expects_status_ = !head_complete_;
    return !ambiguous_;
  }
  return status_ < 200 || on_field(line);
}

bool ResponseReader::on_status_line(std::string_view line) {
  expects_status_ = false;
  status_ = status_in(line);
  if (!line.starts_with("HTTP/") || status_ < 100) return refuse("the response's status line is malformed");
  if (status_ == 101) return refuse("the response switches to another protocol (status 101)");
  return true;
}

bool ResponseReader::on_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;  // a folded line, or noise
  const std::string_view name = trim(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (ascii_iequals(name, "retry-after") && !retry_after_ && value.size() <= kMaxRetryAfterLength)
    retry_after_ = value;
  if (ascii_iequals(name, "content-length")) {
    if (content_length_ && *content_length_ != value) ambiguous_ = true;
    content_length_ = value;
  } else if (ascii_iequals(name, "transfer-encoding")) {
    transfer_encoding_ = true;
  }
  // RFC 9112 6.3: a client that reads such a response one way and reuses the connection takes the rest of it for the
  // next response.
  if (transfer_encoding_ && content_length_) ambiguous_ = true;
  if (kept_header_bytes_ + name.size() + value.size() <= kMaxStoredResponseHeaders) {
    kept_header_bytes_ += name.size() + value.size();
    headers_.push_back({std::string(name), std::string(value)});
  }
  return true;
}

bool ResponseReader::on_body(std::string_view bytes) {
  const std::size_t room = kMaxStoredResponseBody - body_.size();
  body_.append(bytes.substr(0, room));
  body_bytes_ += bytes.size();
  return body_bytes_ <= max_body_bytes_;
}

}  // namespace outboxd
