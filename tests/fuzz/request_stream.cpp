// A connection's bytes: the same requests, one behind the other, however the bytes arrive, and never one request's bytes in another.
//   first byte: how many bytes arrive at a time; then the bytes
#include <vector>

#include "api/request_reader.h"
#include "fuzz/target.h"

using namespace outboxd::api;

namespace {

const HeadLimits kLimits{.max_bytes = 1024, .max_headers = 20, .max_body_bytes = 2000};

struct Seen {
  std::vector<std::string> requests;  // method, target, headers, body
  bool refused = false;
  bool operator==(const Seen&) const = default;
};

std::string shown(const RequestReader::Complete& request) {
  std::string text = request.head.method + ' ' + request.head.target + ' ' + request.head.host + '\n';
  for (const auto& header : request.head.headers) text += header.name + ':' + header.value + '\n';
  return text + (request.head.keep_alive ? "keep\n" : "close\n") + request.body;
}

Seen read(std::string_view input, std::size_t piece) {
  RequestReader reader(kLimits);
  Seen seen;
  for (std::size_t at = 0; at < input.size() && !seen.refused;) {
    const auto bytes = input.substr(at, piece);
    const auto taken = reader.feed(bytes);
    HOLDS(taken > 0 && taken <= bytes.size());
    HOLDS(reader.buffered_bytes() <= kLimits.max_bytes + 1 + kLimits.max_body_bytes);
    at += taken;
    seen.refused = reader.state() == RequestReader::State::kRefused;
    if (seen.refused) HOLDS(reader.refusal().status >= 400 && !reader.refusal().detail.empty());
    if (reader.state() == RequestReader::State::kComplete) {
      auto request = reader.take();
      HOLDS(request.head.has_body() || request.body.empty());
      HOLDS(request.head.chunked || request.body.size() == request.head.content_length);
      seen.requests.push_back(shown(request));
      HOLDS(reader.state() == RequestReader::State::kIdle && reader.buffered_bytes() == 0);
    } else {
      HOLDS(seen.refused || taken == bytes.size());
    }
  }
  return seen;
}

}  // namespace

FUZZ_TARGET(input) {
  if (input.empty()) return;
  const std::size_t piece = static_cast<unsigned char>(input[0]) % 64 + 1u;
  input.remove_prefix(1);
  HOLDS(read(input, piece) == read(input, input.size() + 1));
}
