// Undoes the framing of a request's body as its bytes arrive: Content-Length, or chunked (RFC 9112, 7.1) read
// strictly. Pure: no sockets, no clock. It must never take a byte that belongs to the next request.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/http_refusal.h"

namespace outboxd::api {

inline constexpr std::size_t kMaxChunkLineBytes = 1024;  // a chunk's size with its extensions, or one trailer
inline constexpr std::size_t kMaxChunkExtrasBytes = 8192;  // extensions and trailers of one body together

class BodyDecoder {
 public:
  // The caller has checked the length against its limit.
  static BodyDecoder with_length(std::uint64_t bytes);
  // 413 as soon as a chunk's size takes the body over `limit`.
  static BodyDecoder chunked(std::size_t limit);

  bool done() const { return state_ == State::kDone; }
  // Consumes the bytes at the front of `input` that belong to the body, appends the content to `body`, and returns how
  // many it consumed: all of them unless the body ended. Must not be called again after a refusal.
  tl::expected<std::size_t, HttpRefusal> feed(std::string_view input, std::string& body);

 private:
  enum class State { kLength, kSizeLine, kData, kDataEnd, kTrailer, kDone };
  BodyDecoder(State state, std::uint64_t remaining, std::size_t limit)
      : state_(state), remaining_(remaining), limit_(limit) {}

  tl::expected<std::size_t, HttpRefusal> step(std::string_view input, std::string& body);
  std::size_t take_data(std::string_view input, std::string& body, State next);
  tl::expected<std::size_t, HttpRefusal> take_line(std::string_view input, const std::string& body);
  tl::expected<void, HttpRefusal> read_line(const std::string& body);
  tl::expected<void, HttpRefusal> read_size_line(std::string_view line, std::size_t body_size);
  tl::expected<void, HttpRefusal> read_trailer(std::string_view line);

  State state_;
  std::uint64_t remaining_;  // of the body, or of the chunk
  std::size_t limit_;
  std::size_t extras_ = 0;
  std::string line_;  // a line of the framing that has not ended yet
};

}  // namespace outboxd::api
