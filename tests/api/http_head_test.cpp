#include "api/http_head.h"

#include <doctest/doctest.h>

#include <random>

#include "api/request_reader.h"

using namespace outboxd;
using namespace outboxd::api;

namespace {

tl::expected<Head, HttpRefusal> parse(const std::string& text) {
  return parse_head(text, HeadLimits{});
}

int status_of(const std::string& text) {
  const auto head = parse(text);
  return head ? 200 : head.error().status;
}

std::string with_header(const std::string& line) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n\r\n";
}

}  // namespace

TEST_CASE("a plain head is taken apart, its framing headers left out and its values kept as sent") {
  const auto head = parse(
      "POST /v1/events?a=%20b HTTP/1.1\r\nhOsT:  example.com:80 \r\nContent-Length: 12\r\nConnection: "
      "close\r\nX-A:\tb %41 \xC3\xA4\t\r\nX-Empty:\r\n\r\n");
  REQUIRE(head);
  CHECK(head->method == "POST");
  CHECK(head->target == "/v1/events?a=%20b");
  CHECK(head->host == "example.com:80");
  CHECK(head->content_length == 12);
  CHECK_FALSE(head->keep_alive);
  CHECK_FALSE(head->chunked);
  const std::vector<HeaderField> kept{{"hOsT", "example.com:80"}, {"X-A", "b %41 \xC3\xA4"}, {"X-Empty", ""}};
  CHECK(head->headers == kept);
}

TEST_CASE("a request line that is not exactly method, target and HTTP/1.x is refused") {
  for (const char* line : {"GET /",
                           "GET  / HTTP/1.1",
                           "GET / HTTP/1.1 ",
                           " GET / HTTP/1.1",
                           "GET /\tHTTP/1.1",
                           "GET / http/1.1",
                           "GET / HTTP/1.2",
                           "GET / HTTP/2.0",
                           "GET / HTTP/1.10",
                           "G@T / HTTP/1.1",
                           "GET http:///a HTTP/1.1",
                           "GET http:/a HTTP/1.1",
                           "GET http://user@a/ HTTP/1.1",
                           "GET http://a%2e/ HTTP/1.1",
                           "GET http://a\\b/ HTTP/1.1",
                           "GET http://a#b HTTP/1.1",
                           "GET http://a/#b HTTP/1.1",
                           "GET http://a/%2F HTTP/1.1",
                           "GET ftp://a/ HTTP/1.1",
                           "GET * HTTP/1.1",
                           "CONNECT a:1 HTTP/1.1",
                           "GET a HTTP/1.1",
                           "GET /a#b HTTP/1.1",
                           "GET /\x01 HTTP/1.1",
                           "GET /\xC3\xA4 HTTP/1.1",
                           "GET /%0d%0a HTTP/1.1",
                           "GET /%00 HTTP/1.1",
                           "GET /a%2Fb HTTP/1.1",
                           "GET /%zz HTTP/1.1",
                           "GET /% HTTP/1.1",
                           "GET /?a=%4 HTTP/1.1",
                           "GET /a\\b HTTP/1.1",
                           "GET /{a} HTTP/1.1",
                           ""}) {
    CAPTURE(line);
    CHECK(status_of(std::string(line) + "\r\nHost: a\r\n\r\n") == 400);
  }
  CHECK(status_of("GET /" + std::string(kMaxPathBytes, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
  CHECK(status_of("GET /?" + std::string(kMaxTargetBytes, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n") == 414);
  CHECK(status_of("GET /a?b={\"c\":[1,2]}?d HTTP/1.1\r\nHost: a\r\n\r\n") == 200);
}

TEST_CASE("an absolute-form target names path and host, whatever Host says") {
  const auto read = [](const std::string& target, const std::string& rest) {
    return parse("GET " + target + rest + "\r\n").value();
  };
  const std::string plain = " HTTP/1.1\r\nHost: evil.example\r\n";
  for (const auto& [target, path] : {std::pair{"http://localhost:8877/v1/events?a=b", "/v1/events?a=b"},
                                     {"HTTPS://localhost:8877/", "/"},
                                     {"http://localhost:8877", "/"},
                                     {"http://localhost:8877?a[]=b", "/?a[]=b"}}) {
    const auto& shown = target;
    CAPTURE(shown);
    const auto head = read(target, plain);
    CHECK(head.target == path);
    CHECK(head.host == "localhost:8877");
    CHECK(head.headers == std::vector<HeaderField>{{"Host", "localhost:8877"}});
  }
  CHECK(read("http://[::1]:80/", plain).host == "[::1]:80");
  const auto old = read("http://localhost/", " HTTP/1.0\r\n");
  CHECK(old.host == "localhost");
  CHECK(old.headers == std::vector<HeaderField>{{"host", "localhost"}});
  CHECK(status_of("GET http://localhost/ HTTP/1.1\r\n\r\n") == 400);  // a Host there must be all the same
  CHECK(status_of("GET http://localhost/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
}

TEST_CASE("header lines that parsers read differently are refused") {
  for (const char* line :
       {"X : a", "X\t: a", ": a", "X", " X: a", "X: a\r\n b", "X: a\r\n\tb", "X: a\rb", "X: a\x01",
        "X: a\x7F", "X(: a", "\xC3\xA4: a", "X: a%0d%0aB: c", "X: %0A", "X: a%0Db", "X: %00", "X: %%0a"}) {
    CAPTURE(line);
    CHECK(status_of(with_header(line)) == 400);
  }
  CHECK(status_of(with_header(std::string("X: a\0b", 6))) == 400);
  CHECK(status_of(with_header("X: 100% of %0 and %2")) == 200);
}

TEST_CASE("a request must have one Host, which HTTP/1.0 may omit") {
  CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\r\n\r\n") == 200);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
}

TEST_CASE("a body's length is said once, in digits, or by chunked alone") {
  for (const char* line :
       {"Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 1", "Content-Length: +1", "Content-Length: -1", "Content-Length: 0x1",
        "Content-Length: 1 1", "Content-Length:", "Content-Length: 1.0",
        "Content-Length: 1\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity", "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1", "Transfer-Encoding:"}) {
    CAPTURE(line);
    CHECK(status_of(with_header(line)) == 400);
  }
  CHECK(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
  CHECK(parse(with_header("Transfer-Encoding: chunked"))->chunked);
  CHECK(status_of(with_header("Content-Length: 99999999")) == 413);
  CHECK(status_of(with_header("Content-Length: 18446744073709551617")) == 413);
}

TEST_CASE("GET, HEAD and DELETE must not have a body") {
  for (const std::string method : {"GET", "HEAD", "DELETE"}) {
    CAPTURE(method);
    CHECK(status_of(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n") == 400);
    CHECK(status_of(method + " / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(status_of(method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n") == 200);
  }
}

TEST_CASE("the connection stays open as the version and the Connection options say") {
  const auto keeps = [](const std::string& version, const std::string& line) {
    return parse("GET / HTTP/" + version + "\r\nHost: a\r\n" + line + "\r\n")->keep_alive;
  };
  CHECK(keeps("1.1", ""));
  CHECK_FALSE(keeps("1.1", "Connection: x, Close\r\n"));
  CHECK_FALSE(keeps("1.0", ""));
  CHECK(keeps("1.0", "Connection: Keep-Alive\r\n"));
  CHECK_FALSE(keeps("1.0", "Connection: keep-alive\r\nConnection: close\r\n"));
}

TEST_CASE("the only expectation is 100-continue, which HTTP/1.0 cannot have") {
  CHECK(parse(with_header("Expect: 100-Continue\r\nContent-Length: 1"))->expect_continue);
  CHECK(status_of(with_header("Expect: 200-ok")) == 417);
  CHECK_FALSE(parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")->expect_continue);
}

TEST_CASE("heads over the limits are refused with 431") {
  const HeadLimits limits{.max_bytes = 200, .max_headers = 3, .max_body_bytes = 10};
  const auto status = [&limits](const std::string& headers) {
    const auto head = parse_head("GET / HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n", limits);
    return head ? 200 : head.error().status;
  };
  CHECK(status("A: b\r\nB: c\r\n") == 200);
  CHECK(status("A: b\r\nB: c\r\nC: d\r\n") == 431);
  CHECK(status("A: " + std::string(200, 'a') + "\r\n") == 431);
}

TEST_CASE("the end of a head is found wherever the pieces are cut, and a bare LF is refused at once") {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
  for (std::size_t cut = 0; cut < text.size() - 4; ++cut)
    CHECK(find_head_end(text.substr(0, cut), 0)->end == std::string_view::npos);
  for (std::size_t from = 0; from < text.size() - 4; ++from)
    CHECK(find_head_end(text, from)->end == text.size() - 4);
  CHECK_FALSE(find_head_end("GET / HTTP/1.1\n", 0));
  CHECK_FALSE(find_head_end("GET / HTTP/1.1\r\nHost: a\n\n", 0));
  CHECK_FALSE(find_head_end("\r\n", 0));
  CHECK_FALSE(find_head_end("\x16\x03\x01", 0));
}

TEST_CASE("a request is the same however its bytes are cut, and takes none of the next one's") {
  const HeadLimits limits;
  const std::string next = "GET /next HTTP/1.1";
  for (const std::string text :
       {"POST /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
        "POST /a HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\nT: t\r\n\r\n"}) {
    const std::string stream = text + next;
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
      RequestReader reader(limits);
      const auto first = reader.feed(std::string_view(stream).substr(0, cut));
      std::size_t second = 0;
      if (reader.state() != RequestReader::State::kComplete)
        second = reader.feed(std::string_view(stream).substr(cut));
      CAPTURE(cut);
      REQUIRE(reader.state() == RequestReader::State::kComplete);
      CHECK(first + second == text.size());
      const auto complete = reader.take();
      CHECK(complete.head.target == "/a");
      CHECK(complete.head.headers.back() == HeaderField{"X-A", "b"});
      CHECK(complete.body == "{\"a\":1}");
      CHECK(reader.state() == RequestReader::State::kIdle);
    }
    RequestReader reader(limits);
    for (const char c : text) CHECK(reader.feed(std::string_view(&c, 1)) == 1);
    CHECK(reader.take().body == "{\"a\":1}");
  }
}

TEST_CASE(
    "mutated requests never crash, nor make a reader take more than it was given or keep more than its "
    "limits") {
  const std::string valid =
      "POST /v1/events?x=%20 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n";
  const std::string_view spices("\r\n\0 :;%0aA,+-\xFF\t\x7F", 17);
  const HeadLimits limits{.max_bytes = 300, .max_headers = 5, .max_body_bytes = 64};
  for (unsigned seed = 1; seed <= 20'000; ++seed) {
    std::minstd_rand random(seed);
    std::string text = valid;
    for (auto n = random() % 4 + 1; n > 0; --n) {
      const auto at = random() % text.size();
      const auto spice = spices[random() % spices.size()];
      switch (random() % 4) {
        case 0:
          text[at] = spice;
          break;
        case 1:
          text.insert(at, 1, spice);
          break;
        case 2:
          text.erase(at, random() % 4 + 1);
          break;
        default:
          text.insert(at, text.substr(at, random() % 200));
          break;
      }
      if (text.empty()) text = "x";
    }
    RequestReader reader(limits);
    std::string_view rest = text;
    while (!rest.empty() && reader.state() != RequestReader::State::kRefused &&
           reader.state() != RequestReader::State::kComplete) {
      const auto piece = rest.substr(0, random() % rest.size() + 1);
      const auto taken = reader.feed(piece);
      REQUIRE(taken <= piece.size());
      rest.remove_prefix(taken);
      REQUIRE(reader.buffered_bytes() <= limits.max_bytes + limits.max_body_bytes);
    }
    if (reader.state() == RequestReader::State::kComplete)
      CHECK(reader.take().body.size() <= limits.max_body_bytes);
  }
}
