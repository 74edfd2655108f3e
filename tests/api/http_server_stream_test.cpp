// Answers that go on for as long as the client stays.
#include <doctest/doctest.h>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

constexpr Millis kShort{60};

void await(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  bool holds = condition();
  while (!holds && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(Millis(1));
    holds = condition();
  }
  REQUIRE(holds);
}

bool serves(RawClient& client) {
  client.send(get("/open"));
  const auto answer = client.read_answer();
  return answer && answer->status == 200;
}

RawClient streaming(const std::string& where) {
  RawClient client(where);
  REQUIRE(client.send(get("/stream")));
  REQUIRE(client.read_until("\r\n\r\nfirst\n"));
  return client;
}

}  // namespace

TEST_CASE("an answer that goes on comes piece by piece, without a length") {
  TestServer server;
  RawClient client(server.tcp);
  client.send(get("/stream"));
  const auto head = client.read_answer();
  REQUIRE(head);
  CHECK(head->status == 200);
  CHECK(head->header("content-type") == "text/event-stream");
  CHECK(head->header("content-length").empty());
  CHECK(head->header("connection") == "close");
  CHECK(client.read_until("first\n"));
  server.pieces.give("second\n");
  CHECK(client.read_until("second\n"));
  server.pieces.give(std::string(1u << 20, 'x') + "\n");
  server.pieces.give("last\n");
  CHECK(client.read_until("xxx\nlast\n"));
}

TEST_CASE("HEAD of an answer that goes on is its head alone") {
  TestServer server;
  RawClient client(server.admin);
  client.send("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto head = client.read_answer(true);
  REQUIRE(head);
  CHECK(head->status == 200);
  CHECK(client.is_closed());
  await([&] { return server.pieces.streams == 0; });
}

TEST_CASE("a quiet stream outlasts every timeout") {
  HttpServer::Options options;
  options.head_timeout = options.body_timeout = options.idle_timeout = kShort;
  TestServer server(options);
  RawClient client = streaming(server.tcp), idle(server.tcp);
  CHECK(idle.is_closed());
  RawClient later(server.tcp);
  CHECK(later.is_closed());
  server.pieces.give("still here\n");
  CHECK(client.read_until("still here\n"));
}

TEST_CASE("of a client that reads nothing no more is asked for, and nobody waits for it") {
  TestServer server;
  {
    const std::lock_guard lock(server.pieces.mutex);
    server.pieces.endless = std::string(64u << 10, 'x');
  }
  RawClient stalled(server.admin), other(server.tcp);
  stalled.send(get("/stream"));
  await([&] { return server.pieces.asked >= 2; });
  for (int i = 0; i < 100; ++i) CHECK(serves(other));
  CHECK(server.pieces.asked < 50);  // what the kernel holds for it, and one piece
  server.stop_accepting(std::chrono::minutes(10));
  await([&] { return server.stopped.load(); });
}

TEST_CASE("streams end whole when the server stops, and a later piece is lost") {
  TestServer server;
  RawClient client = streaming(server.admin);
  server.pieces.give("before\n");
  CHECK(client.read_until("before\n"));
  server.stop_accepting(std::chrono::minutes(10));
  await([&] { return server.stopped.load(); });
  server.pieces.give("after\n");
  CHECK(client.is_closed());
  await([&] { return server.pieces.streams == 0; });
}

TEST_CASE("the stream of a client that is gone ends at once, and its place is free") {
  TestServer server;
  for (const auto& where : {server.tcp, server.admin}) {
    {
      const RawClient client = streaming(where);
      CHECK(server.pieces.streams == 1);
    }
    await([&] { return server.pieces.streams == 0; });
  }
}

TEST_CASE("a stream that fails ends, and tells nobody why") {
  TestServer server;
  RawClient client = streaming(server.tcp);
  {
    const std::lock_guard lock(server.pieces.mutex);
    server.pieces.fails = true;
  }
  CHECK(client.is_closed());
}

TEST_CASE(
    "when the tokens change, streams over TCP end, because their callers may have lost the right to them") {
  TestServer server;
  RawClient over_tcp = streaming(server.tcp), operators = streaming(server.admin);
  server.set_authenticator(Authenticator::nobody());
  CHECK(over_tcp.is_closed());
  server.pieces.give("go on\n");
  CHECK(operators.read_until("go on\n"));
}
