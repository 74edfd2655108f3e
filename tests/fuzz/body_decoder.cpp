// The decoder of request bodies: the same content however the bytes arrive, never a byte of the next request, never over the limit.
//   first byte: how many bytes arrive at a time; then the bytes
#include <algorithm>

#include "api/body_decoder.h"
#include "fuzz/target.h"

using namespace outboxd::api;

namespace {

constexpr std::size_t kLimit = 2000;

struct Decoded {
  int refused = 0;  // status
  bool done = false;
  std::size_t taken = 0;
  std::string body;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(BodyDecoder decoder, std::string_view input, std::size_t piece) {
  Decoded result;
  while (result.taken < input.size() && !decoder.done()) {
    const auto bytes = input.substr(result.taken, piece);
    const auto taken = decoder.feed(bytes, result.body);
    HOLDS(result.body.size() <= kLimit);
    if (!taken) {
      HOLDS(taken.error().status == 400 || taken.error().status == 413 || taken.error().status == 431);
      return {taken.error().status, false, 0, ""};
    }
    HOLDS(*taken == bytes.size() || decoder.done());
    result.taken += *taken;
  }
  result.done = decoder.done();
  return result;
}

// A second reader of chunks, for what the first one has accepted.
std::string chunks_of(std::string_view text) {
  std::string body;
  for (;;) {
    const auto size = std::strtoull(std::string(text.substr(0, 20)).c_str(), nullptr, 16);
    text.remove_prefix(text.find("\r\n") + 2);
    if (size == 0) return body;
    HOLDS(text.size() >= size + 2 && text.substr(size, 2) == "\r\n");
    body += text.substr(0, size);
    text.remove_prefix(size + 2);
  }
}

}  // namespace

FUZZ_TARGET(input) {
  if (input.empty()) return;
  const std::size_t piece = static_cast<unsigned char>(input[0]) + 1u;
  input.remove_prefix(1);

  const auto whole = decode(BodyDecoder::chunked(kLimit), input, input.size() + 1);
  HOLDS(decode(BodyDecoder::chunked(kLimit), input, piece) == whole);
  if (whole.done) {
    HOLDS(chunks_of(input.substr(0, whole.taken)) == whole.body);
    const auto one_short =
        decode(BodyDecoder::chunked(kLimit), input.substr(0, whole.taken - 1), input.size());
    HOLDS(!one_short.done && one_short.refused == 0);
  }

  const std::size_t length = std::min<std::size_t>(piece * 7, kLimit);
  const auto fixed = decode(BodyDecoder::with_length(length), input, piece);
  HOLDS(fixed.body == input.substr(0, length) && fixed.taken == fixed.body.size());
  HOLDS(fixed.done == (input.size() >= length));
}
