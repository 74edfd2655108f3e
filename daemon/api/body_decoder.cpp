#include "api/body_decoder.h"

#include <algorithm>
#include <charconv>

#include "api/http_head.h"

namespace outboxd::api {
namespace {

constexpr std::size_t kMaxSizeDigits = 15;  // fits std::uint64_t with room to add

}  // namespace

BodyDecoder BodyDecoder::with_length(std::uint64_t bytes) {
  return {bytes == 0 ? State::kDone : State::kLength, bytes, 0};
}

BodyDecoder BodyDecoder::chunked(std::size_t limit) {
  return {State::kSizeLine, 0, limit};
}

tl::expected<std::size_t, HttpRefusal> BodyDecoder::feed(std::string_view input, std::string& body) {
  std::size_t taken = 0;
  while (taken < input.size() && !done()) {
    const auto step_taken = step(input.substr(taken), body);
    if (!step_taken) return tl::unexpected(step_taken.error());
    taken += *step_taken;
  }
  return taken;
}

tl::expected<std::size_t, HttpRefusal> BodyDecoder::step(std::string_view input, std::string& body) {
  switch (state_) {
    case State::kLength:
      return take_data(input, body, State::kDone);
    case State::kData:
      return take_data(input, body, State::kDataEnd);
    default:
      return take_line(input, body);
  }
}

std::size_t BodyDecoder::take_data(std::string_view input, std::string& body, State next) {
  const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), remaining_));
  body.append(input.substr(0, n));
  remaining_ -= n;
  if (remaining_ == 0) state_ = next;
  return n;
}

tl::expected<std::size_t, HttpRefusal> BodyDecoder::take_line(std::string_view input,
                                                              const std::string& body) {
  const auto end = input.find('\n');
  const auto n = end == std::string_view::npos ? input.size() : end + 1;
  if (line_.size() + n > kMaxChunkLineBytes)
    return refuse(400, "A line of the chunked body's framing is too long.");
  line_.append(input.substr(0, n));
  if (end == std::string_view::npos) return n;
  if (!line_.ends_with("\r\n"))
    return refuse(400, "A line of the chunked body's framing must end with CR LF; a bare LF was found.");
  line_.resize(line_.size() - 2);
  if (auto read = read_line(body); !read) return tl::unexpected(read.error());
  line_.clear();
  return n;
}

tl::expected<void, HttpRefusal> BodyDecoder::read_line(const std::string& body) {
  if (state_ == State::kSizeLine) return read_size_line(line_, body.size());
  if (state_ == State::kTrailer) return read_trailer(line_);
  if (!line_.empty()) return refuse(400, "A chunk is longer than its size says.");
  state_ = State::kSizeLine;
  return {};
}

tl::expected<void, HttpRefusal> BodyDecoder::read_size_line(std::string_view line, std::size_t body_size) {
  const auto digits = line.substr(0, line.find(';'));
  const auto extension = line.substr(digits.size());
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), remaining_, 16);
  // from_chars takes neither sign nor 0x for unsigned types; what is left to check is that it took
  // everything.
  if (digits.empty() || digits.size() > kMaxSizeDigits || parsed.ec != std::errc() ||
      parsed.ptr != digits.data() + digits.size()) {
    return refuse(400, "A chunk's size must consist of hexadecimal digits only.");
  }
  if (std::ranges::any_of(extension, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7F; })) {
    return refuse(400, "A chunk's extension contains a control character.");
  }
  extras_ += extension.size();
  if (extras_ > kMaxChunkExtrasBytes) return refuse(400, "The chunked body's extensions are too long.");
  if (remaining_ > limit_ - std::min(limit_, body_size)) {
    return refuse(413,
                  "The body is larger than the limit of " + std::to_string(limit_) + " bytes a request.");
  }
  state_ = remaining_ == 0 ? State::kTrailer : State::kData;
  return {};
}

tl::expected<void, HttpRefusal> BodyDecoder::read_trailer(std::string_view line) {
  if (line.empty()) {
    state_ = State::kDone;
    return {};
  }
  extras_ += line.size();
  if (extras_ > kMaxChunkExtrasBytes) return refuse(431, "The chunked body's trailers are too long.");
  if (auto field = parse_field_line(line); !field) return tl::unexpected(field.error());
  return {};  // dropped: no handler may mistake a trailer for a header
}

}  // namespace outboxd::api
