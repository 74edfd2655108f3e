// Requests whose framing another parser might read differently: each gets a 4xx and a closed connection, and
// no handler sees it.
#include <doctest/doctest.h>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

struct Attack {
  const char* name;
  std::string bytes;
  int status;
};

std::string head(const std::string& lines, const std::string& method = "POST") {
  return method + " /v1/events HTTP/1.1\r\nHost: localhost\r\n" + lines + "\r\n";
}

std::vector<Attack> attacks() {
  std::string many_headers;
  for (int i = 0; i < 20'000; ++i) many_headers += "X-" + std::to_string(i) + ": y\r\n";
  std::string many_short_headers;
  for (int i = 0; i < 200; ++i) many_short_headers += "X: y\r\n";
  const std::string hidden = "DELETE /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
  return {
      {"Transfer-Encoding with Content-Length",
       head("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n") + "0\r\n\r\n" + hidden, 400},
      {"Content-Length with Transfer-Encoding",
       head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n" + hidden, 400},
      {"two different lengths", head("Content-Length: 2\r\nContent-Length: 3\r\n") + "{}" + hidden, 400},
      {"two equal lengths", head("Content-Length: 2\r\nContent-Length: 2\r\n") + "{}", 400},
      {"a list of lengths", head("Content-Length: 2, 2\r\n") + "{}", 400},
      {"a signed length", head("Content-Length: +2\r\n") + "{}", 400},
      {"a length that is no number", head("Content-Length: two\r\n") + "{}", 400},
      {"a GET with a body", head("Content-Length: 50\r\n", "GET") + hidden, 400},
      {"a GET with a chunked body", head("Transfer-Encoding: chunked\r\n", "GET") + "0\r\n\r\n", 400},
      {"a DELETE with a body", head("Content-Length: 2\r\n", "DELETE") + "{}", 400},
      {"a percent-encoded CRLF in a header",
       head("X-A: a%0d%0aTransfer-Encoding: chunked\r\nContent-Length: 2\r\n") + "{}", 400},
      {"a percent-encoded NUL in a header", head("X-A: %00\r\nContent-Length: 2\r\n") + "{}", 400},
      {"20,000 headers", head(many_headers), 431},
      {"200 short headers", head(many_short_headers), 431},
      {"one header of 1 MiB", head("X: " + std::string(1u << 20, 'a') + "\r\n"), 431},
      {"a request line of 1 MiB", "GET /" + std::string(1u << 20, 'a') + " HTTP/1.1\r\n\r\n", 431},
      {"an oversized chunked body",
       head("Transfer-Encoding: chunked\r\n") + "200\r\n" + std::string(512, 'a') + "\r\n201\r\n" +
           std::string(513, 'a') + "\r\n0\r\n\r\n",
       413},
      {"an oversized declared body", head("Content-Length: 1025\r\n"), 413},
      {"an oversized body announced with Expect", head("Expect: 100-continue\r\nContent-Length: 1025\r\n"),
       413},
      {"an unknown expectation", head("Expect: magic\r\nContent-Length: 2\r\n") + "{}", 417},
      {"a chunk longer than its size", head("Transfer-Encoding: chunked\r\n") + "2\r\n{}GET\r\n0\r\n\r\n",
       400},
      {"a chunk size with a sign", head("Transfer-Encoding: chunked\r\n") + "+2\r\n{}\r\n0\r\n\r\n", 400},
      {"a bare LF in the chunk framing", head("Transfer-Encoding: chunked\r\n") + "2\n{}\r\n0\r\n\r\n", 400},
      {"an obscured transfer coding", head("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n", 400},
      {"a space before the colon", head("Content-Length : 2\r\n") + "{}", 400},
      {"a folded header", head("X: a\r\n b\r\n"), 400},
      {"a bare LF in the head", "POST /v1/events HTTP/1.1\nHost: localhost\n\n", 400},
      {"a bare CR in a header", head("X: a\rContent-Length: 2\r\n"), 400},
      {"a NUL in a header", head(std::string("X: a\0b\r\n", 8)), 400},
      {"no Host", "GET /open HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", head("Host: evil.example\r\n"), 400},
      {"an absolute target with user information",
       "GET http://a@localhost/open HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
      {"chunked in HTTP/1.0", "POST /v1/events HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01", 6), 400},
      {"an empty line first", "\r\nGET /open HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
  };
}

}  // namespace

TEST_CASE("every framing attack gets a 4xx, a closed connection, and reaches no handler") {
  HttpServer::Options options;
  options.max_body_bytes = 1024;
  TestServer server(options);
  for (const auto& attack : attacks()) {
    for (const auto& where : server.everywhere()) {
      CAPTURE(attack.name);
      CAPTURE(where);
      RawClient client(where);
      client.send(attack.bytes);
      const auto answer = client.read_answer();
      REQUIRE(answer);
      CHECK(answer->status == attack.status);
      CHECK(answer->header("content-type") == "application/problem+json");
      CHECK(answer->header("connection") == "close");
      CHECK(answer->body.find("\"status\":" + std::to_string(attack.status)) != std::string::npos);
      CHECK(client.is_closed());
    }
  }
  CHECK(server.handled == 0);
}

TEST_CASE("an attack behind a good request does not take the good one's answer with it") {
  TestServer server;
  for (const auto& where : server.everywhere()) {
    RawClient client(where);
    client.send(post("{}") + head("Content-Length: 2\r\nContent-Length: 3\r\n") + "{}" + post("never"));
    CHECK(client.read_answer()->status == 200);
    CHECK(client.read_answer()->status == 400);
    CHECK(client.is_closed());
  }
  CHECK(server.handled == 3);
}

TEST_CASE("a client that goes on sending its refused body still sees why it was refused") {
  HttpServer::Options options;
  options.max_body_bytes = 1024;
  TestServer server(options);
  for (const auto& where : server.everywhere()) {
    RawClient client(where);
    client.send(head("Content-Length: 4000000\r\n"));
    client.send(std::string(4'000'000, 'a'));
    client.end_of_sending();
    CHECK(client.read_answer()->status == 413);
    CHECK(client.is_closed());
  }
}

TEST_CASE("a request cut short by the client's end of sending is refused") {
  TestServer server;
  for (const auto& where : server.everywhere()) {
    RawClient client(where);
    client.send(head("Content-Length: 10\r\n") + "{}");
    client.end_of_sending();
    CHECK(client.read_answer()->status == 400);
    CHECK(client.is_closed());
  }
  CHECK(server.handled == 0);
}
