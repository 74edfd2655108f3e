// A response as a ResponseReader sees it, for its tests.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "outbound/response_reader.h"

namespace outboxd::test {

inline constexpr std::size_t kMaxBody = 16u << 10;

// All that can be seen of a reader.
struct Seen {
  ResponseReader::State state;
  int status;
  bool head_complete;
  bool anything_came;
  bool keeps_connection;
  std::size_t used;
  std::string refusal;
  std::string body;
  std::vector<HeaderField> headers;
  std::optional<std::string> retry_after;
  bool operator==(const Seen&) const = default;
};

inline Seen see(ResponseReader& reader, std::size_t used) {
  return {reader.state(),
          reader.status(),
          reader.head_complete(),
          reader.anything_came(),
          reader.keeps_connection(),
          used,
          reader.refusal(),
          reader.body(),
          reader.headers(),
          reader.retry_after()};
}

// `sizes` are those of the pieces, in turn; 0 counts as 1.
inline Seen see_pieces(std::string_view bytes, const std::vector<std::size_t>& sizes, bool ends = false,
                       std::size_t max_body = kMaxBody) {
  ResponseReader reader(max_body);
  std::size_t used = 0;
  for (std::size_t i = 0; !bytes.empty(); ++i) {
    const auto piece = bytes.substr(0, std::max<std::size_t>(sizes[i % sizes.size()], 1));
    used += reader.read(piece);
    bytes.remove_prefix(piece.size());
  }
  if (ends) reader.end();
  return see(reader, used);
}

inline Seen see(std::string_view bytes, bool ends = false, std::size_t max_body = kMaxBody) {
  return see_pieces(bytes, {std::max<std::size_t>(bytes.size(), 1)}, ends, max_body);
}

inline std::string ok(std::string_view fields, std::string_view body = "") {
  return "HTTP/1.1 200 OK\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

inline std::string chunked(std::string_view body, std::string_view fields = "") {
  return ok("Transfer-Encoding: chunked\r\n" + std::string(fields), body);
}

inline const std::string kLength = "Content-Length: 2\r\n";
inline const std::string kOk = ok(kLength, "ok");

}  // namespace outboxd::test
