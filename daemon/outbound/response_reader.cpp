#include "outbound/response_reader.h"

#include <algorithm>
#include <limits>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr std::size_t kMaxRetryAfterLength = 64;  // an HTTP date has 29
constexpr std::size_t kMaxKeptLineCapacity = 512;
constexpr std::size_t kUsualHeaders = 8;
constexpr std::string_view kVersionBegins = "HTTP/1.";
constexpr std::string_view kNotHttp = "the response is not HTTP/1";
constexpr std::string_view kDigits = "0123456789";

// "HTTP/1.1 204 No Content" -> 204, or 0 if it is malformed. The space after the code may be missing where there is no
// reason: RFC 9112 section 4 wants it, and many leave it out.
int status_in(std::string_view line) {
  const std::string_view rest = line.substr(kVersionBegins.size() + 1);
  if (!rest.starts_with(' ') || rest.size() < 4 || (rest.size() > 4 && rest[4] != ' ')) return 0;
  const std::string_view digits = rest.substr(1, 3);
  if (digits.find_first_not_of(kDigits) != std::string_view::npos || digits[0] == '0') return 0;
  return static_cast<int>(*parse_int(digits));
}

// Bytes that make a field invalid and that a recipient must refuse or replace (RFC 9110 section 5.5, RFC 9112 section
// 2.2). Other controls it may keep.
bool has_nul_or_cr(std::string_view line) {
  return line.find('\0') != std::string_view::npos || line.find('\r') != std::string_view::npos;
}

// 1*DIGIT. A number that no counter holds becomes the largest one, because RFC 9110 section 8.6 allows any number.
std::optional<std::uint64_t> decimal(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    number = number > (kMax - digit) / 10 ? kMax : number * 10 + digit;
  }
  return number;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Calls `use` for each element of a comma-separated list, trimmed; for "" once, with "".
template <class Use>
void for_each_element(std::string_view list, Use use) {
  for (;;) {
    const std::size_t comma = list.find(',');
    use(trim(list.substr(0, comma), kHttpBlanks));
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

void ResponseReader::reset(Answers answers) {
  std::string line = std::move(line_);
  if (line.capacity() > kMaxKeptLineCapacity) line = std::string();
  line.clear();
  *this = ResponseReader(max_body_bytes_, answers);
  line_ = std::move(line);
}

std::size_t ResponseReader::read(std::string_view bytes) {
  anything_came_ = anything_came_ || !bytes.empty();
  std::size_t used = 0;
  while (reading() && used < bytes.size()) {
    const std::string_view rest = bytes.substr(used);
    used += in_data() ? read_data(rest) : read_line(rest);
  }
  if (state_ != State::kComplete) return bytes.size();
  left_over_ = left_over_ || used < bytes.size();
  return used;
}

void ResponseReader::end() {
  if (!reading()) return;
  if (part_ == Part::kEndlessBody) return finish();
  stop("the connection was closed before the response was complete");
}

bool ResponseReader::keeps_connection() const {
  // RFC 9112 section 9.3. A body that lasted until the end of the connection leaves none.
  return state_ == State::kComplete && part_ != Part::kEndlessBody && !irregular_ && !left_over_ &&
         !says_close_ && (!http_1_0_ || says_keep_alive_);
}

bool ResponseReader::in_data() const {
  return part_ == Part::kSizedBody || part_ == Part::kEndlessBody || part_ == Part::kChunkData;
}

// With its line ending.
std::size_t ResponseReader::max_line_bytes() const {
  switch (part_) {
    case Part::kChunkSize:
      return kMaxChunkSizeDigits + (kMaxChunkExtensionBytes - extension_bytes_) + 2;
    case Part::kChunkEnd:
      return 2;
    default:
      return std::min(kMaxResponseLineBytes, kMaxResponseHeadBytes - head_bytes_);
  }
}

std::size_t ResponseReader::read_line(std::string_view bytes) {
  const std::size_t end = bytes.find('\n');
  const std::string_view piece = bytes.substr(0, end == std::string_view::npos ? end : end + 1);
  const std::size_t most = max_line_bytes();
  if (line_.size() + piece.size() > most) {
    stop(most < kMaxResponseLineBytes ? "the response's headers exceed 64 KiB"
                                      : "a header line of the response is too long");
    return piece.size();
  }
  std::string_view line = piece;
  if (end == std::string_view::npos || !line_.empty()) line = line_.append(piece);
  // Said at once, because what is not HTTP may never end its line.
  if (part_ == Part::kStatusLine && !line.starts_with(kVersionBegins.substr(0, line.size()))) {
    stop(kNotHttp);
  } else if (end != std::string_view::npos) {
    on_line(line);
    line_.clear();
  }
  return piece.size();
}

// `line` has its line ending. RFC 9112 section 2.2: a single LF may end a status line or a field, section 7.1 allows no
// such thing between chunks.
void ResponseReader::on_line(std::string_view line) {
  const std::size_t bytes = line.size();
  line.remove_suffix(1);
  const bool ends_in_crlf = line.ends_with('\r');
  if (ends_in_crlf) line.remove_suffix(1);
  if (part_ == Part::kChunkSize || part_ == Part::kChunkEnd) {
    if (!ends_in_crlf) return stop("a chunk of the response is malformed");
    if (part_ == Part::kChunkSize) return on_chunk_size(line);
    if (!line.empty()) return stop("a chunk of the response is longer than its size says");
    part_ = Part::kChunkSize;
    return;
  }
  head_bytes_ += bytes;
  if (part_ == Part::kStatusLine) return on_status_line(line);
  if (!line.empty()) return on_field_line(line);
  if (part_ == Part::kTrailers) return finish();
  on_head_end();
}

void ResponseReader::on_status_line(std::string_view line) {
  if (!line.starts_with("HTTP/1.0") && !line.starts_with("HTTP/1.1")) return stop(kNotHttp);
  status_ = has_nul_or_cr(line) ? 0 : status_in(line);
  if (status_ < 100) return stop("the response's status line is malformed");
  if (status_ == 101) return stop("the response switches to another protocol (status 101)");
  http_1_0_ = line[kVersionBegins.size()] == '0';
  part_ = Part::kFields;
  last_ = Field::kNone;
}

void ResponseReader::on_field_line(std::string_view line) {
  if (has_nul_or_cr(line)) return stop("a header of the response holds a NUL or a bare CR");
  if (line[0] == ' ' || line[0] == '\t') return on_folded_line(trim(line, kHttpBlanks));
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return stop("a header of the response has no colon");
  last_ = Field::kOther;
  last_kept_ = false;
  if (head_complete_ || status_ < 200) return;  // a trailer, or a field of an interim response
  const std::string_view written = line.substr(0, colon);
  const std::string_view name = trim(written, kHttpBlanks);
  last_ = field_of(name);
  // RFC 9112 section 5.1: some readers take "Content-Length : 5" for a length, others do not.
  if (name.size() != written.size()) {
    irregular_ = true;
    if (last_ == Field::kContentLength || last_ == Field::kTransferEncoding) ambiguous_ = true;
  }
  irregular_ = irregular_ || !is_token(name);
  on_field(name, trim(line.substr(colon + 1), kHttpBlanks));
}

// RFC 9112 section 5.2: a folded line goes on with the value before it, after a space. Section 2.2: before the first
// field there is no such line. Where it would change the framing, its readers may differ.
void ResponseReader::on_folded_line(std::string_view more) {
  if (last_ == Field::kNone) return stop("the response's headers begin with a blank");
  irregular_ = true;
  if (last_ == Field::kContentLength || last_ == Field::kTransferEncoding) ambiguous_ = true;
  if (last_ == Field::kRetryAfter && retry_after_) {
    if (!retry_after_->empty() && !more.empty()) *retry_after_ += ' ';
    retry_after_->append(more);
    if (retry_after_->size() > kMaxRetryAfterLength) retry_after_.reset();
  }
  if (!last_kept_ || more.empty()) return;
  std::string& value = headers_.back().value;
  const std::size_t space = value.empty() ? 0 : 1;
  last_kept_ = kept_header_bytes_ + space + more.size() <= kMaxStoredResponseHeaders;
  if (!last_kept_) return;
  kept_header_bytes_ += space + more.size();
  value.append(space, ' ').append(more);
}

ResponseReader::Field ResponseReader::field_of(std::string_view name) {
  switch (name.size()) {
    case 10:
      return ascii_iequals(name, "connection") ? Field::kConnection : Field::kOther;
    case 11:
      return ascii_iequals(name, "retry-after") ? Field::kRetryAfter : Field::kOther;
    case 14:
      return ascii_iequals(name, "content-length") ? Field::kContentLength : Field::kOther;
    case 16:  // of old proxies
      return ascii_iequals(name, "proxy-connection") ? Field::kConnection : Field::kOther;
    case 17:
      return ascii_iequals(name, "transfer-encoding") ? Field::kTransferEncoding : Field::kOther;
    default:
      return Field::kOther;
  }
}

void ResponseReader::on_field(std::string_view name, std::string_view value) {
  switch (last_) {
    case Field::kContentLength:
      on_content_length(value);
      break;
    case Field::kTransferEncoding:
      on_transfer_encoding(value);
      break;
    case Field::kConnection:
      on_connection(value);
      break;
    case Field::kRetryAfter:
      if (retry_after_) {
        last_ = Field::kOther;  // only the first counts
      } else if (value.size() <= kMaxRetryAfterLength) {
        retry_after_ = value;
      }
      break;
    default:
      break;
  }
  if (headers_.size() == kMaxKeptHeaders) return;
  if (kept_header_bytes_ + name.size() + value.size() > kMaxStoredResponseHeaders) return;
  kept_header_bytes_ += name.size() + value.size();
  if (headers_.empty()) headers_.reserve(kUsualHeaders);
  headers_.push_back({std::string(name), std::string(value)});
  last_kept_ = true;
}

// RFC 9110 section 8.6: the same length said twice, in one field or in two, may count as one.
void ResponseReader::on_content_length(std::string_view value) {
  for_each_element(value, [this](std::string_view element) {
    const auto number = decimal(element);
    if (!number) malformed_length_ = true;
    if (number && length_ && *length_ != *number) ambiguous_ = true;
    if (number) length_ = number;
  });
}

// RFC 9112 section 7: "chunked" comes last and only once. We ask for no other coding, and expand none.
void ResponseReader::on_transfer_encoding(std::string_view value) {
  transfer_encoding_ = true;
  for_each_element(value, [this](std::string_view coding) {
    if (chunked_ || coding.empty()) ambiguous_ = true;
    if (ascii_iequals(coding, "chunked")) {
      chunked_ = true;
    } else {
      irregular_ = true;
    }
  });
}

void ResponseReader::on_connection(std::string_view value) {
  for_each_element(value, [this](std::string_view option) {
    if (ascii_iequals(option, "close")) says_close_ = true;
    if (ascii_iequals(option, "keep-alive")) says_keep_alive_ = true;
  });
}

void ResponseReader::on_head_end() {
  if (status_ < 200) {  // interim: another head follows (RFC 9110 section 15.2)
    part_ = Part::kStatusLine;
    return;
  }
  // RFC 9112 section 6.1: with HTTP/1.0, a transfer coding means faulty framing.
  if (transfer_encoding_ && (length_ || malformed_length_ || http_1_0_)) ambiguous_ = true;
  const bool tunnel = answers_ == Answers::kConnect && status_ < 300;
  if (tunnel || status_ == 204 || status_ == 304) {
    // A 204 that speaks of a body may be followed by one.
    const bool speaks_of_body = transfer_encoding_ || length_.value_or(0) > 0;
    if (ambiguous_ || malformed_length_ || (status_ == 204 && speaks_of_body)) irregular_ = true;
    head_complete_ = true;
    return finish();
  }
  // RFC 9112 section 6.3: such a response is discarded.
  if (malformed_length_ && !transfer_encoding_) return stop("the response's Content-Length is malformed");
  head_complete_ = true;
  state_ = State::kBody;
  begin_body();
}

// RFC 9112 section 6.3. Where two readers may see the body end at two places, the status counts all the same: it stands
// before the body, and a request that was answered with a success is not sent again.
void ResponseReader::begin_body() {
  if (ambiguous_) return stop("the body's length is ambiguous");
  if (transfer_encoding_) {
    part_ = chunked_ ? Part::kChunkSize : Part::kEndlessBody;
  } else if (length_) {
    part_ = Part::kSizedBody;
    remaining_ = *length_;
    if (remaining_ == 0) finish();
  } else {
    part_ = Part::kEndlessBody;
  }
}

// RFC 9112 section 7.1: the size in hex, then perhaps extensions, which mean nothing to us. Blanks behind the size are
// common.
void ResponseReader::on_chunk_size(std::string_view line) {
  std::uint64_t size = 0;
  std::size_t digits = 0;
  for (; digits < line.size() && hex_digit(line[digits]) >= 0; ++digits) {
    if (digits == kMaxChunkSizeDigits) return stop("a chunk's size is too long");
    size = size << 4 | static_cast<std::uint64_t>(hex_digit(line[digits]));
  }
  const std::string_view rest = line.substr(digits);
  const std::string_view extension = trim(rest, kHttpBlanks);
  if (digits == 0 || has_nul_or_cr(rest) || (!extension.empty() && extension[0] != ';'))
    return stop("a chunk's size is malformed");
  extension_bytes_ += rest.size();
  if (extension_bytes_ > kMaxChunkExtensionBytes) return stop("a response's chunk extensions are too long");
  last_ = Field::kNone;
  part_ = size > 0 ? Part::kChunkData : Part::kTrailers;
  remaining_ = size;
}

std::size_t ResponseReader::read_data(std::string_view bytes) {
  if (part_ != Part::kEndlessBody && bytes.size() > remaining_)
    bytes = bytes.substr(0, static_cast<std::size_t>(remaining_));
  const std::size_t kept = std::min(kMaxStoredResponseBody, max_body_bytes_);
  body_.append(bytes.substr(0, kept - body_.size()));
  body_bytes_ += bytes.size();
  if (body_bytes_ > max_body_bytes_) {
    stop("the body is longer than is read");
  } else if (part_ != Part::kEndlessBody) {
    remaining_ -= bytes.size();
    if (remaining_ == 0 && part_ == Part::kChunkData) part_ = Part::kChunkEnd;
    if (remaining_ == 0 && part_ == Part::kSizedBody) finish();
  }
  return bytes.size();
}

void ResponseReader::finish() {
  state_ = State::kComplete;
}

// Once the head is complete its status counts, so what follows only ends the reading.
void ResponseReader::stop(std::string_view why) {
  state_ = head_complete_ ? State::kEnough : State::kRefused;
  if (!head_complete_) refusal_ = why;
}

}  // namespace outboxd
