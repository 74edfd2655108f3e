#include "outbound/response_reader.h"

#include <doctest/doctest.h>

namespace outboxd {
namespace {

// Feeds lines; true if all were taken.
bool feed(ResponseReader& reader, std::initializer_list<std::string_view> lines) {
  for (const std::string_view line : lines) {
    if (!reader.on_header_line(line)) return false;
  }
  return true;
}

TEST_CASE("a head is complete with its blank line and not before") {
  ResponseReader reader(100);
  CHECK_FALSE(reader.anything_came());
  CHECK(feed(reader, {"HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n"}));
  CHECK_FALSE(reader.head_complete());
  CHECK(feed(reader, {"\r\n"}));
  CHECK(reader.head_complete());
  CHECK(reader.status() == 200);
}

TEST_CASE("interim responses complete nothing") {
  ResponseReader reader(100);
  CHECK(feed(reader, {"HTTP/1.1 103 Early Hints\r\n", "Retry-After: 7\r\n", "\r\n"}));
  CHECK_FALSE(reader.head_complete());
  CHECK(feed(reader, {"HTTP/1.1 503 Busy\r\n", "Retry-After:  120 \r\n", "\r\n"}));
  CHECK(reader.head_complete());
  CHECK(reader.status() == 503);
  CHECK(reader.retry_after() == "120");
  CHECK(reader.headers() == std::vector<HeaderField>{{"Retry-After", "120"}});
}

TEST_CASE("endless headers and interim responses are refused at 64 KiB") {
  ResponseReader fields(100);
  REQUIRE(feed(fields, {"HTTP/1.1 200 OK\r\n"}));
  std::size_t bytes = 0;
  while (fields.on_header_line("X-Filler: 0123456789\r\n")) bytes += 22;
  CHECK(bytes <= kMaxResponseHeadBytes);
  CHECK(fields.refusal() == "the response's headers exceed 64 KiB");

  ResponseReader interim(100);
  std::size_t rounds = 0;
  while (feed(interim, {"HTTP/1.1 100 Continue\r\n", "\r\n"})) ++rounds;
  CHECK(rounds < 3000);
  CHECK_FALSE(interim.head_complete());
}

TEST_CASE("malformed status lines and a switch of protocols are refused") {
  for (const char* line : {"HTTP/1.1 20 OK\r\n", "HTTP/1.1 abc\r\n", "HTTP/1.1\r\n", "HTTP/1.1 2000 OK\r\n",
                           "HTTP/1.1 099 No\r\n", "ICY 200 OK\r\n", "HTTP/1.1 101 Switching Protocols\r\n"}) {
    CAPTURE(line);
    ResponseReader reader(100);
    CHECK_FALSE(reader.on_header_line(line));
    CHECK_FALSE(reader.refusal().empty());
  }
  ResponseReader bare(100);
  CHECK(feed(bare, {"HTTP/1.1 204\r\n", "\r\n"}));
  CHECK(bare.status() == 204);
}

TEST_CASE("a second status line within the headers does not change the status") {
  ResponseReader reader(100);
  CHECK(feed(reader, {"HTTP/1.1 500 No\r\n", "HTTP/1.1 200 OK\r\n", "\r\n"}));
  CHECK(reader.status() == 500);
}

TEST_CASE("a response whose length is ambiguous counts, but its connection is given up") {
  ResponseReader two(100);
  CHECK_FALSE(feed(two, {"HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n", "Content-Length: 4\r\n", "\r\n"}));
  CHECK(two.head_complete());
  ResponseReader both(100);
  CHECK_FALSE(
      feed(both, {"HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n", "Transfer-Encoding: chunked\r\n", "\r\n"}));
  CHECK(both.head_complete());
  ResponseReader same(100);
  CHECK(feed(same, {"HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n", "Content-Length: 2\r\n", "\r\n"}));
}

TEST_CASE("of headers and body a bounded part is kept") {
  ResponseReader reader(10'000);
  REQUIRE(feed(reader, {"HTTP/1.1 200 OK\r\n"}));
  for (int i = 0; i < 100; ++i) REQUIRE(reader.on_header_line("X-Filler: " + std::string(90, 'x') + "\r\n"));
  REQUIRE(feed(reader, {"\r\n"}));
  std::size_t kept = 0;
  for (const auto& header : reader.headers()) kept += header.name.size() + header.value.size();
  CHECK(kept <= kMaxStoredResponseHeaders);
  CHECK(kept > kMaxStoredResponseHeaders - 100);
  CHECK(reader.on_body(std::string(3000, 'a')));
  CHECK(reader.on_body(std::string(7000, 'b')));
  CHECK(reader.body().size() == kMaxStoredResponseBody);
  CHECK_FALSE(reader.on_body("c"));
}

}  // namespace
}  // namespace outboxd
