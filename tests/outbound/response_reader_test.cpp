// What comes of every response, behaved or not.
#include <doctest/doctest.h>

#include "outbound/seen_response.h"

namespace outboxd {
namespace {

using State = ResponseReader::State;
using Answers = ResponseReader::Answers;
using test::chunked;
using test::kLength;
using test::kMaxBody;
using test::kOk;
using test::ok;
using test::see;
using test::see_pieces;
using test::Seen;

struct Case {  // NOLINT(clang-analyzer-optin.performance.Padding): in the order of reading
  std::string name;
  std::string bytes;
  State state;
  int status = 0;
  std::string body;  // or why it was refused
  bool keeps = false;
  bool ends = false;
};

void check(const Case& expected) {
  CAPTURE(expected.name);
  const Seen seen = see(expected.bytes, expected.ends);
  CHECK(seen.state == expected.state);
  CHECK(seen.status == expected.status);
  CHECK((expected.state == State::kRefused ? seen.refusal : seen.body) == expected.body);
  CHECK(seen.refusal.empty() == (expected.state != State::kRefused));
  CHECK(seen.keeps_connection == expected.keeps);
  CHECK(see_pieces(expected.bytes, {1}, expected.ends) == seen);
}

TEST_CASE("a response that is whole says where it ends and whether its connection can be kept") {
  using enum ResponseReader::State;
  const std::string no_length = ok("", "until the end");
  const Case cases[] = {
      {"a length", kOk, kComplete, 200, "ok", true},
      {"no body", ok("Content-Length: 0\r\n"), kComplete, 200, "", true},
      {"no reason", "HTTP/1.1 200\r\n" + kLength + "\r\nok", kComplete, 200, "ok", true},
      {"an empty reason", "HTTP/1.1 200 \r\n" + kLength + "\r\nok", kComplete, 200, "ok", true},
      {"a reason beyond ASCII", "HTTP/1.1 200 d\xE9j\xE0 vu\r\n" + kLength + "\r\nok", kComplete, 200, "ok",
       true},
      {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", kComplete, 200, "ok", true},
      {"the same length twice", ok(kLength + kLength, "ok"), kComplete, 200, "ok", true},
      {"the same length in a list", ok("Content-Length: 2, 2\r\n", "ok"), kComplete, 200, "ok", true},
      {"a length with zeros before it", ok("Content-Length: 0002\r\n", "ok"), kComplete, 200, "ok", true},
      {"a body until the end", no_length, kComplete, 200, "until the end", false, true},
      {"a body whose end has not come", no_length, kBody, 200, "until the end"},
      {"an empty body until the end", ok(""), kComplete, 200, "", false, true},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", kComplete, 204, "", true},
      {"304 with the length of another", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", kComplete, 304, "",
       true},
      {"204 that speaks of a body", "HTTP/1.1 204 x\r\nContent-Length: 5\r\n\r\n", kComplete, 204, ""},
      {"204 that speaks of chunks", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", kComplete, 204,
       ""},
      {"chunks", chunked("2\r\nok\r\n0\r\n\r\n"), kComplete, 200, "ok", true},
      {"many chunks", chunked("1\r\na\r\nA\r\n0123456789\r\n000b\r\n0123456789z\r\n0\r\n\r\n"), kComplete,
       200, "a01234567890123456789z", true},
      {"no chunk but the last", chunked("0\r\n\r\n"), kComplete, 200, "", true},
      {"extensions", chunked("2;a=b\r\nok\r\n0 ; c=\"d;e\"\r\n\r\n"), kComplete, 200, "ok", true},
      {"a blank behind the size", chunked("2  \r\nok\r\n0 \t\r\n\r\n"), kComplete, 200, "ok", true},
      {"trailers", chunked("2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n"), kComplete, 200, "ok",
       true},
      {"CHUNKED", ok("TRANSFER-ENCODING: CHUNKED\r\n", "0\r\n\r\n"), kComplete, 200, "", true},
      {"another coding before chunked", ok("Transfer-Encoding: gzip, chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
       kComplete, 200, "ok"},
      {"another coding", ok("Transfer-Encoding: gzip\r\n", "ok"), kComplete, 200, "ok", false, true},
      {"interim responses",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\n" + kOk, kComplete,
       200, "ok", true},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\n" + kLength + "\r\nok", kComplete, 200, "ok"},
      {"HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + kLength + "\r\nok", kComplete,
       200, "ok", true},
      {"close", ok("Connection: close\r\n" + kLength, "ok"), kComplete, 200, "ok"},
      {"close among others", ok("connection: x , Close,y\r\n" + kLength, "ok"), kComplete, 200, "ok"},
      {"close of an old proxy", ok("Proxy-Connection: close\r\n" + kLength, "ok"), kComplete, 200, "ok"},
      {"close and keep-alive", ok("Connection: keep-alive\r\nConnection: close\r\n" + kLength, "ok"),
       kComplete, 200, "ok"},
      {"a second response behind it", kOk + kOk, kComplete, 200, "ok"},
      {"a byte behind it", kOk + "\n", kComplete, 200, "ok"},
      {"a status of nobody's", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", kComplete, 999, "", true}};
  for (const Case& expected : cases) check(expected);
}

TEST_CASE("a response without a valid head is refused, and it is said why") {
  using enum ResponseReader::State;
  const std::string nul = ok(std::string("X-A: b\0c\r\n", 10));
  const std::string not_http = "the response is not HTTP/1";
  const std::string status_line = "the response's status line is malformed";
  const std::string controls = "a header of the response holds a NUL or a bare CR";
  const std::string length = "the response's Content-Length is malformed";
  const std::string colon = "a header of the response has no colon";
  const std::string cut = "the connection was closed before the response was complete";
  const Case cases[] = {
      {"HTTP/0.9", "<html>", kRefused, 0, not_http},
      {"HTTP/2", "HTTP/2 200\r\n\r\n", kRefused, 0, not_http},
      {"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", kRefused, 0, not_http},
      {"HTTP/1.", "HTTP/1.\r\n", kRefused, 0, not_http},
      {"lower case", "http/1.1 200 OK\r\n\r\n", kRefused, 0, not_http},
      {"another protocol", "ICY 200 OK\r\n\r\n", kRefused, 0, not_http},
      {"a blank line first", "\r\n" + kOk, kRefused, 0, not_http},
      {"a blank first", " " + kOk, kRefused, 0, not_http},
      {"TLS", "\x15\x03\x01", kRefused, 0, not_http},
      {"no status", "HTTP/1.1\r\n\r\n", kRefused, 0, status_line},
      {"two digits", "HTTP/1.1 20 OK\r\n\r\n", kRefused, 0, status_line},
      {"four digits", "HTTP/1.1 2000 OK\r\n\r\n", kRefused, 0, status_line},
      {"no digits", "HTTP/1.1 abc\r\n\r\n", kRefused, 0, status_line},
      {"under 100", "HTTP/1.1 099 No\r\n\r\n", kRefused, 0, status_line},
      {"a sign", "HTTP/1.1 +20 OK\r\n\r\n", kRefused, 0, status_line},
      {"two spaces", "HTTP/1.1  200 OK\r\n\r\n", kRefused, 0, status_line},
      {"a tab", "HTTP/1.1\t200 OK\r\n\r\n", kRefused, 0, status_line},
      {"HTTP/1.11", "HTTP/1.11 200 OK\r\n\r\n", kRefused, 0, status_line},
      {"a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", kRefused, 0, status_line},
      {"two CRs", "HTTP/1.1 200 OK\r\r\n\r\n", kRefused, 0, status_line},
      {"another protocol from here on", "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", kRefused, 0,
       "the response switches to another protocol (status 101)"},
      {"a status line within the fields", "HTTP/1.1 500 No\r\n" + kOk, kRefused, 0, colon},
      {"a field without a colon", ok("X-A\r\n"), kRefused, 0, colon},
      {"the same in an interim one", "HTTP/1.1 100 x\r\nX-A\r\n\r\n" + kOk, kRefused, 0, colon},
      {"a NUL", nul, kRefused, 0, controls},
      {"a bare CR in a value", ok("X-A: b\rX-B: c\r\n"), kRefused, 0, controls},
      {"a bare CR in a name", ok("X\r-A: b\r\n"), kRefused, 0, controls},
      {"a fold before the first field", ok(" X-A: b\r\n"), kRefused, 0,
       "the response's headers begin with a blank"},
      {"a length that is none", ok("Content-Length: abc\r\n"), kRefused, 0, length},
      {"an empty length", ok("Content-Length:\r\n"), kRefused, 0, length},
      {"a negative length", ok("Content-Length: -5\r\n"), kRefused, 0, length},
      {"a length with a sign", ok("Content-Length: +2\r\n", "ok"), kRefused, 0, length},
      {"a length in hex", ok("Content-Length: 0x2\r\n", "ok"), kRefused, 0, length},
      {"a length with more behind it", ok("Content-Length: 2 2\r\n", "ok"), kRefused, 0, length},
      {"a list that ends in nothing", ok("Content-Length: 2,\r\n", "ok"), kRefused, 0, length},
      {"nothing", "", kRefused, 0, cut, false, true},
      {"part of a status line", "HTTP/1.1 200", kRefused, 0, cut, false, true},
      {"part of a head", "HTTP/1.1 200 OK\r\nContent-Le", kRefused, 0, cut, false, true},
      {"all but the blank line", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", kRefused, 0, cut, false, true},
      {"only an interim response", "HTTP/1.1 100 Continue\r\n\r\n", kRefused, 0, cut, false, true}};
  for (const Case& expected : cases) check(expected);
}

TEST_CASE("a status counts from its blank line on, whatever becomes of the body") {
  using enum ResponseReader::State;
  const std::string both = kLength + "Transfer-Encoding: chunked\r\n";
  const Case cases[] = {
      {"cut", ok("Content-Length: 9\r\n", "ok"), kEnough, 200, "ok", false, true},
      {"cut at once", ok(kLength), kEnough, 200, "", false, true},
      {"two lengths", ok(kLength + "Content-Length: 3\r\n", "ok"), kEnough, 200, ""},
      {"two lengths in a list", ok("Content-Length: 2, 3\r\n", "ok"), kEnough, 200, ""},
      {"a length and chunks", ok(both, "2\r\nok\r\n0\r\n\r\n"), kEnough, 200, ""},
      {"a faulty length and chunks", ok("Content-Length: x\r\nTransfer-Encoding: chunked\r\n"), kEnough, 200,
       ""},
      {"a length and another coding", ok(kLength + "Transfer-Encoding: gzip\r\n", "ok"), kEnough, 200, ""},
      {"chunked twice", ok("Transfer-Encoding: chunked, chunked\r\n"), kEnough, 200, ""},
      {"chunked in two fields", ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), kEnough,
       200, ""},
      {"chunked and then another", ok("Transfer-Encoding: chunked, gzip\r\n"), kEnough, 200, ""},
      {"no coding", ok("Transfer-Encoding:\r\n"), kEnough, 200, ""},
      {"chunks with HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", kEnough, 200,
       ""},
      {"a length with a blank before its colon", ok("Content-Length : 2\r\n", "ok"), kEnough, 200, ""},
      {"chunks with a blank before the colon", ok("Transfer-Encoding\t: chunked\r\n"), kEnough, 200, ""},
      {"a folded length", ok("Content-Length: 2\r\n 0\r\n", "ok"), kEnough, 200, ""},
      {"a folded coding", ok("Transfer-Encoding:\r\n chunked\r\n"), kEnough, 200, ""},
      {"a size that is none", chunked("zz\r\n"), kEnough, 200, ""},
      {"no size", chunked("\r\n"), kEnough, 200, ""},
      {"a negative size", chunked("-1\r\n"), kEnough, 200, ""},
      {"a size with 0x", chunked("0x2\r\nok\r\n"), kEnough, 200, ""},
      {"a size with more behind it", chunked("2 2\r\nok\r\n"), kEnough, 200, ""},
      {"a size after a blank", chunked(" 2\r\nok\r\n"), kEnough, 200, ""},
      {"a size that ends in a bare LF", chunked("2\nok\r\n"), kEnough, 200, ""},
      {"a size with a bare CR", chunked("2\r;a\r\nok\r\n"), kEnough, 200, ""},
      {"an extension with a NUL", chunked(std::string("2;\0\r\nok\r\n", 9)), kEnough, 200, ""},
      {"a size of 17 digits", chunked("00000000000000002\r\nok\r\n"), kEnough, 200, ""},
      {"a chunk longer than its size", chunked("2\r\noke\r\n0\r\n\r\n"), kEnough, 200, "ok"},
      {"a chunk shorter than its size", chunked("4\r\nok\r\n0\r\n\r\n"), kEnough, 200, "ok\r\n"},
      {"a chunk that ends in a bare LF", chunked("2\r\nok\n0\r\n\r\n"), kEnough, 200, "ok"},
      {"chunks that end in the middle", chunked("2\r\nok\r\n"), kEnough, 200, "ok", false, true},
      {"chunks without the last line", chunked("2\r\nok\r\n0\r\n"), kEnough, 200, "ok", false, true},
      {"a trailer without a colon", chunked("0\r\nX\r\n\r\n"), kEnough, 200, ""},
      {"a trailer with a bare CR", chunked("0\r\nX: a\rb\r\n\r\n"), kEnough, 200, ""},
      {"a trailer that begins with a blank", chunked("0\r\n X: a\r\n\r\n"), kEnough, 200, ""}};
  for (const Case& expected : cases) check(expected);
}

TEST_CASE("a head that is not quite HTTP counts, but its connection is not used again") {
  for (const char* field :
       {"X A: 1\r\n", ": 1\r\n", "X-A : 1\r\n", "X-A: 1\r\n folded\r\n", "X\x80: 1\r\n"}) {
    CAPTURE(field);
    const Seen seen = see(ok(field + kLength, "ok"));
    CHECK(seen.state == State::kComplete);
    CHECK(seen.status == 200);
    CHECK(seen.body == "ok");
    CHECK_FALSE(seen.keeps_connection);
  }
}

TEST_CASE("names and values are kept as they came, without the blanks around them") {
  const Seen seen = see(ok("Content-Length:0\r\nX-Trace: \t 7 a \r\nx-empty:\r\nX-\xC3\xA9:a\x01z\r\n"));
  CHECK(seen.headers ==
        std::vector<HeaderField>{
            {"Content-Length", "0"}, {"X-Trace", "7 a"}, {"x-empty", ""}, {"X-\xC3\xA9", "a\x01z"}});
}

TEST_CASE("a folded value is one value") {
  const Seen seen = see(ok("X-A: one\r\n  two \r\n\t\r\n\tthree: 3\r\nX-B:\r\n four\r\n" + kLength, "ok"));
  CHECK(seen.headers ==
        std::vector<HeaderField>{{"X-A", "one two three: 3"}, {"X-B", "four"}, {"Content-Length", "2"}});
  CHECK(see("HTTP/1.1 503 Busy\r\nRetry-After: Fri, 02 Jan\r\n 2026 00:00:00 GMT\r\n\r\n").retry_after ==
        "Fri, 02 Jan 2026 00:00:00 GMT");
}

TEST_CASE("Retry-After is that of the final response, the first, and short") {
  CHECK(see("HTTP/1.1 103 Early\r\nRetry-After: 7\r\n\r\nHTTP/1.1 503 x\r\nRetry-After:  120 \r\n\r\n")
            .retry_after == "120");
  CHECK(see(ok("retry-after: 1\r\nRetry-After: 2\r\n x\r\n" + kLength)).retry_after == "1");
  CHECK_FALSE(see(ok("Retry-After: " + std::string(65, '1') + "\r\n")).retry_after);
  CHECK_FALSE(see(ok("Retry-After: 1\r\n " + std::string(64, '1') + "\r\n")).retry_after);
  CHECK_FALSE(see(chunked("0\r\nRetry-After: 1\r\n\r\n")).retry_after);
}

TEST_CASE("what is not HTTP is refused before its first line ends") {
  ResponseReader reader;
  reader.read("HTTP/1");
  CHECK(reader.state() == State::kHead);
  CHECK(reader.read("/") == 1);
  CHECK(reader.state() == State::kRefused);
  CHECK(reader.read("HTTP/1.1 200 OK\r\n\r\n") == 19);
  CHECK(reader.state() == State::kRefused);
}

TEST_CASE("what comes after a response is not taken for part of it") {
  ResponseReader reader(100);
  CHECK(reader.read(kOk + kOk) == kOk.size());
  CHECK_FALSE(reader.keeps_connection());
  CHECK(reader.read(kOk) == 0);
  CHECK(reader.body() == "ok");
  ResponseReader exact(100);
  CHECK(exact.read(kOk) == kOk.size());
  CHECK(exact.keeps_connection());
  CHECK(exact.read("x") == 0);
  CHECK_FALSE(exact.keeps_connection());
  exact.end();
  CHECK(exact.complete());
}

TEST_CASE("a tunnel begins after the blank line of a 2xx, and of no other answer") {
  ResponseReader made(100, Answers::kConnect);
  const std::string head = ok("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n");
  CHECK(made.read(head + "TLS") == head.size());
  CHECK(made.complete());
  CHECK(made.status() == 200);
  ResponseReader refused(100, Answers::kConnect);
  CHECK(refused.read("HTTP/1.1 407 No\r\nContent-Length: 5\r\n\r\n12") > 0);
  CHECK(refused.state() == State::kBody);
  CHECK(refused.status() == 407);
  made.reset();
  made.read(kOk);
  CHECK(made.body() == "ok");
}

TEST_CASE("a reader that was reset knows nothing of the response before") {
  const std::string before[] = {kOk + "x",
                                ok("Retry-After: 5\r\nConnection: close\r\n", "z"),
                                "SMTP",
                                "HTTP/1.0 100 x\r\nX: y",
                                chunked("4;x\r\nab"),
                                ok("Content-Length: x\r\n")};
  for (const std::string& other : before) {
    CAPTURE(other);
    ResponseReader reader(kMaxBody);
    reader.read(other);
    reader.reset();
    CHECK(see(reader, 0) == see(""));
    CHECK(see(reader, reader.read(kOk)) == see(kOk));
  }
}

}  // namespace
}  // namespace outboxd
