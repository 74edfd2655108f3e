// Reads one HTTP/1 response from bytes as they arrive, in whatever pieces: decides when its head is complete, what is
// kept of it, where it ends, and whether its connection may be used again. Pure: no I/O, no clock. A response may be
// hostile, so every part is bounded, and no more than one unfinished line is buffered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/event.h"

namespace outboxd {

// Interim (1xx) responses and trailers included.
inline constexpr std::size_t kMaxResponseHeadBytes = 64u << 10;
// One status line, field or trailer with its line ending.
inline constexpr std::size_t kMaxResponseLineBytes = 16u << 10;
// An object in memory each, however short; kMaxStoredResponseHeaders bounds their bytes.
inline constexpr std::size_t kMaxKeptHeaders = 128;
inline constexpr std::size_t kMaxChunkSizeDigits = 16;
// Of all chunks of a response: whatever stands between a chunk's size and the end of its line.
inline constexpr std::size_t kMaxChunkExtensionBytes = 4096;

class ResponseReader {
 public:
  enum class State : std::uint8_t {
    kHead,      // nothing is known yet
    kBody,      // the head is complete: the status counts, whatever happens to the body
    kComplete,  // all of it was read
    kEnough,    // the status counts, but no more can or should be read: hang up
    kRefused,   // no valid head came: hang up; refusal() says why
  };
  enum class Answers : std::uint8_t {
    kPost,
    kConnect,  // a 2xx has no body: after its blank line the tunnel begins (RFC 9112 section 6.3)
  };

  explicit ResponseReader(std::size_t max_body_bytes = 0, Answers answers = Answers::kPost)
      : max_body_bytes_(max_body_bytes), answers_(answers) {}

  // Makes it ready for the next response. Keeps a little memory, so that a response of usual size allocates nothing for
  // its lines.
  void reset(Answers answers = Answers::kPost);

  // Returns how many of the bytes belong to this response: all of them, unless it became complete. After kComplete,
  // kEnough or kRefused nothing changes any more.
  std::size_t read(std::string_view bytes);
  // The other side has ended the connection in good order. Completes a body that lasts until then; anything else was
  // cut.
  void end();

  State state() const { return state_; }
  // True once the blank line after a final status was seen.
  bool head_complete() const { return head_complete_; }
  bool complete() const { return state_ == State::kComplete; }
  bool anything_came() const { return anything_came_; }
  // 0 until the head is complete.
  int status() const { return head_complete_ ? status_ : 0; }
  // For people; empty unless the state is kRefused.
  const std::string& refusal() const { return refusal_; }
  // Whether the next request may be sent on the same connection: the response is complete, there is no doubt where it
  // ended, nothing came after it, and the other side does not mean to close (RFC 9112 section 9.3).
  bool keeps_connection() const;

  std::vector<HeaderField>& headers() { return headers_; }
  std::string& body() { return body_; }
  std::optional<std::string>& retry_after() { return retry_after_; }

 private:
  enum class Part : std::uint8_t {
    kStatusLine,
    kFields,
    kSizedBody,
    kEndlessBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers
  };
  enum class Field : std::uint8_t {
    kNone,
    kOther,
    kContentLength,
    kTransferEncoding,
    kConnection,
    kRetryAfter
  };
  static Field field_of(std::string_view name);

  bool in_data() const;
  bool reading() const { return state_ == State::kHead || state_ == State::kBody; }
  std::size_t read_line(std::string_view bytes);
  std::size_t read_data(std::string_view bytes);
  std::size_t max_line_bytes() const;
  void on_line(std::string_view line);
  void on_status_line(std::string_view line);
  void on_field_line(std::string_view line);
  void on_folded_line(std::string_view more);
  void on_field(std::string_view name, std::string_view value);
  void on_content_length(std::string_view value);
  void on_transfer_encoding(std::string_view value);
  void on_connection(std::string_view value);
  void on_head_end();
  void begin_body();
  void on_chunk_size(std::string_view line);
  void finish();
  void stop(std::string_view why);

  std::size_t max_body_bytes_;
  std::size_t head_bytes_ = 0;
  std::size_t kept_header_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t extension_bytes_ = 0;
  std::uint64_t remaining_ = 0;  // of the body, or of the chunk
  int status_ = 0;
  Answers answers_;
  State state_ = State::kHead;
  Part part_ = Part::kStatusLine;
  Field last_ = Field::kNone;  // the field that a folded line would go on with
  bool last_kept_ = false;
  bool anything_came_ = false;
  bool head_complete_ = false;
  bool http_1_0_ = false;
  bool says_close_ = false;
  bool says_keep_alive_ = false;
  bool malformed_length_ = false;
  bool transfer_encoding_ = false;
  bool chunked_ = false;
  bool ambiguous_ = false;  // two readers may see the body end at two places
  bool irregular_ = false;  // it can be read, but is not quite HTTP: the connection is not used again
  bool left_over_ = false;  // bytes came after its end
  std::optional<std::uint64_t> length_;
  std::string line_;  // the beginning of a line whose end has not come yet
  std::string refusal_;
  std::vector<HeaderField> headers_;
  std::string body_;
  std::optional<std::string> retry_after_;
};

}  // namespace outboxd
