#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>

#include "http_server_fixture.h"
#include "support/test_certificate.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

constexpr Millis kShort{60};

std::string post_to(const std::string& path, const std::string& body) {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

bool serves(RawClient& client) {
  client.send(get("/open"));
  const auto answer = client.read_answer();
  return answer && answer->status == 200;
}

void await(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  bool holds = condition();
  while (!holds && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(Millis(1));
    holds = condition();
  }
  REQUIRE(holds);
}

}  // namespace

TEST_CASE("a head that does not end in time is answered 408 and closed") {
  HttpServer::Options options;
  options.head_timeout = kShort;
  TestServer server(options);
  RawClient client(server.tcp);
  client.send("GET /open HTTP/1.1\r\nHost: local");
  const auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 408);
  CHECK(answer->header("content-type") == "application/problem+json");
  CHECK(client.is_closed());
}

TEST_CASE("a body that stands still or trickles is answered 408 and closed") {
  HttpServer::Options options;
  options.body_timeout = kShort;
  TestServer server(options);
  RawClient still(server.tcp);
  still.send("POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{");
  CHECK(still.read_answer()->status == 408);
  CHECK(still.is_closed());

  RawClient trickle(server.ingest);
  trickle.send("POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
  // Each byte comes well within the timeout; together they are no progress.
  int sent = 0;
  while (sent < 5000 && trickle.send("x") && !trickle.has_answer()) {
    ++sent;
    std::this_thread::sleep_for(Millis(5));
  }
  CHECK(sent < 5000);
  CHECK(trickle.read_answer()->status == 408);
  CHECK(server.handled == 0);
}

TEST_CASE(
    "a connection without a request is closed when its idle time is over, one whose request is being handled "
    "is not") {
  HttpServer::Options options;
  options.idle_timeout = kShort;
  TestServer server(options);
  RawClient busy(server.tcp);
  busy.send(get("/hold"));
  server.wait_for_held(1);
  RawClient fresh(server.admin);
  CHECK(fresh.is_closed());
  RawClient used(server.tcp);
  used.send(get("/open"));
  CHECK(used.read_answer()->status == 200);
  CHECK(used.is_closed());
  server.release_all();
  CHECK(busy.read_answer()->body == "held");
}

TEST_CASE("a client that does not read its answer, or a byte now and then, is dropped") {
  HttpServer::Options options;
  options.body_timeout = kShort;
  const outboxd::test::TestCertificate certificate;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> trusting(SSL_CTX_new(TLS_client_method()),
                                                                   SSL_CTX_free);
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    TestServer server(
        options, Authenticator::without_tokens(),
        tls ? TlsServer::from_files(certificate.file(), certificate.key_file()).value() : nullptr);
    for (const auto& where : server.everywhere()) {
      CAPTURE(where);
      RawClient never(where), trickle(where);
      for (RawClient* client : {&never, &trickle}) {
        if (tls && where == server.tcp) REQUIRE(client->start_tls(trusting.get()));
        client->send(get("/large"));
      }
      await([&] { return never.was_hung_up(); });
      await([&] {
        char byte = 0;
        recv(trickle.fd(), &byte, 1, MSG_DONTWAIT);
        return trickle.was_hung_up();
      });
    }
  }
}

TEST_CASE("a client that reads its answer slowly, but reads it, gets all of it") {
  HttpServer::Options options;
  options.body_timeout = Millis(1000);
  TestServer server(options);
  RawClient client(server.admin);
  client.send(get("/large"));
  std::size_t got = 0;
  const auto start = std::chrono::steady_clock::now();
  std::vector<char> some(64u << 10);
  for (ssize_t n = 0; got < 8u << 20 && (n = recv(client.fd(), some.data(), some.size(), 0)) > 0;) {
    got += static_cast<std::size_t>(n);
    std::this_thread::sleep_for(Millis(10));  // it is slow
  }
  CHECK(got >= 8u << 20);
  CHECK(std::chrono::steady_clock::now() - start > options.body_timeout);
}

TEST_CASE("connections over the limit are told so and closed, and there is room again when one leaves") {
  HttpServer::Options options;
  options.max_connections = 3;
  TestServer server(options);
  std::vector<RawClient> inside;
  for (int i = 0; i < 3; ++i) {
    inside.emplace_back(server.tcp).send(get("/open"));
    CHECK(inside.back().read_answer()->status == 200);
  }
  for (const auto& where : {server.tcp, server.ingest}) {
    RawClient outside(where);
    outside.send(get("/open"));
    const auto answer = outside.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(answer->header("retry-after") == "1");
    CHECK(outside.is_closed());
  }
  CHECK(server.handled == 3);
  inside.clear();
  await([&] {
    RawClient again(server.tcp);
    again.send(get("/open"));
    return again.read_answer()->status == 200;
  });
}

TEST_CASE(
    "when bodies and answers under way fill the memory, requests are refused with 503 until it is free "
    "again") {
  HttpServer::Options options;
  options.max_buffered_bytes = 160'000;
  TestServer server(options);
  const std::string body(75'000, 'x');
  const auto hold = post_to("/hold", body);
  RawClient first(server.tcp), second(server.ingest);
  first.send(hold);
  second.send(hold);
  server.wait_for_held(2);
  RawClient third(server.ingest);
  third.send(post_to("/hold", std::string(5000, 'x')));
  const auto answer = third.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 503);
  CHECK(answer->header("retry-after") == "1");
  CHECK(third.is_closed());
  RawClient operators(server.admin);  // for whom some is kept
  operators.send(post_to("/v1/events", std::string(5000, 'x')));
  CHECK(operators.read_answer()->status == 200);
  server.release_all();
  CHECK(first.read_answer()->status == 200);
  CHECK(second.read_answer()->status == 200);
  RawClient fourth(server.ingest);
  fourth.send(post(body));
  CHECK(fourth.read_answer()->status == 200);
}

TEST_CASE("one peer's bodies may fill half of the memory, whatever it opens") {
  HttpServer::Options options;
  options.max_buffered_bytes = 160'000;
  TestServer server(options);
  const auto hold = post_to("/hold", std::string(45'000, 'x'));
  RawClient first(server.tcp), second(server.tcp), other(server.tcp, "127.0.0.2");
  first.send(hold);
  server.wait_for_held(1);
  second.send(hold);
  const auto answer = second.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 503);
  CHECK(answer->header("retry-after") == "1");
  CHECK(second.is_closed());
  other.send(hold);
  server.wait_for_held(2);
  server.release_all();
  CHECK(first.read_answer()->status == 200);
  CHECK(other.read_answer()->status == 200);
  RawClient third(server.tcp);
  third.send(post(std::string(75'000, 'x')));
  CHECK(third.read_answer()->status == 200);
}

TEST_CASE(
    "answers that nobody takes fill half of the memory at most, and what changes something is answered "
    "still") {
  HttpServer::Options options;
  options.max_buffered_bytes = 48u << 20;
  TestServer server(options);
  std::vector<RawClient> clients;
  for (std::size_t i = 0; i < 10; ++i) {
    clients.emplace_back(server.admin).send(i < 9 ? get("/hold") : post_to("/hold", "{}"));
    server.wait_for_held(i + 1);
  }
  server.release_all(std::string(8u << 20, 'x'));
  int whole = 0;
  await([&] { return std::ranges::all_of(clients, &RawClient::has_answer); });
  for (auto& client : clients) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    whole += answer->status == 200 ? 1 : 0;
    CHECK((answer->status == 200 || (answer->status == 503 && answer->header("retry-after") == "1")));
    if (&client == &clients.back()) CHECK(answer->status == 200);
  }
  CHECK(whole == 4);  // three fill the half
  for (auto& client : clients) CHECK(serves(client));
}

TEST_CASE("a peer's connections over its limit are refused, and others, and its operators, still get in") {
  HttpServer::Options options;
  options.max_connections_per_peer = 3;
  TestServer server(options);
  std::vector<RawClient> inside;
  for (const auto& where : server.everywhere()) {
    for (int i = 0; i < 3; ++i) {
      inside.emplace_back(where).send(get("/open"));
      CHECK(inside.back().read_answer()->status == 200);
    }
    for (int i = 0; i < 100; ++i) {
      // So many come one after the other that a few may just be closed, but then there is room to tell again.
      std::optional<RawAnswer> answer;
      await([&] {
        RawClient outside(where);
        outside.send(get("/open"));
        answer = outside.read_answer();
        return outside.is_closed() && answer;
      });
      CHECK(answer->status == 503);
      CHECK(answer->header("retry-after") == "1");
    }
  }
  RawClient elsewhere(server.tcp, "127.0.0.2");
  elsewhere.send(get("/open"));
  CHECK(elsewhere.read_answer()->status == 200);
  inside.clear();
  await([&] {
    RawClient again(server.ingest);
    again.send(get("/open"));
    return again.read_answer()->status == 200;
  });
}

TEST_CASE("when others hold every place, also those of the refused, operators still get in") {
  HttpServer::Options options;
  options.max_connections = 4;
  options.max_connections_per_peer = 2;
  TestServer server(options);
  std::vector<RawClient> inside;
  for (const char* from : {"127.0.0.1", "127.0.0.1", "127.0.0.2"}) {
    inside.emplace_back(server.tcp, from).send(get("/open"));
    CHECK(inside.back().read_answer()->status == 200);
  }
  inside.emplace_back(server.ingest).send(get("/open"));
  CHECK(inside.back().read_answer()->status == 200);
  std::vector<RawClient> refused;
  for (int i = 0; i < 100; ++i) refused.emplace_back(server.tcp, "127.0.0.3").send("GET");
  RawClient operators(server.admin);
  operators.send(get("/v1/events"));
  CHECK(operators.read_answer()->status == 200);
  RawClient producer(server.ingest);
  CHECK_FALSE(serves(producer));
}

TEST_CASE(
    "callers over TCP, from whatever addresses, leave a quarter of places and memory to the Unix sockets") {
  HttpServer::Options options;
  options.max_connections = 8;
  options.max_buffered_bytes = 160'000;
  TestServer server(options);
  std::vector<RawClient> inside;
  const std::string body(45'000, 'x');
  for (int i = 1; i <= 6; ++i) {
    const std::string from = "127.0.0." + std::to_string(i);
    inside.emplace_back(server.tcp, from.c_str()).send(get("/open"));
    CHECK(inside.back().read_answer()->status == 200);
  }
  RawClient too_many(server.tcp, "127.0.0.7");
  CHECK(too_many.read_answer()->status == 503);
  for (std::size_t i = 0; i < 2; ++i) inside[i].send(post_to("/hold", body));
  server.wait_for_held(2);
  inside[2].send(post_to("/hold", body));
  CHECK(inside[2].read_answer()->status == 503);
  RawClient producer(server.ingest);
  producer.send(post(body));
  CHECK(producer.read_answer()->status == 200);
}

TEST_CASE("when the workers' queue is full a request is refused with 503 and its connection stays") {
  HttpServer::Options options;
  options.max_queue = 0;
  TestServer server(options);
  RawClient client(server.tcp);
  for (int i = 0; i < 2; ++i) {
    client.send(get("/open"));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 503);
    CHECK(answer->header("retry-after") == "1");
  }
  CHECK(server.handled == 0);
}

// UBSan's check of an object's type opens a pipe to look at its memory; without descriptors it reports every
// object.
#ifdef OUTBOXD_ADDRESS_SANITIZER
constexpr bool kCannotLackDescriptors = true;
#else
constexpr bool kCannotLackDescriptors = false;
#endif

TEST_CASE("without file descriptors the server waits and accepts again when there are some" *
          doctest::skip(kCannotLackDescriptors)) {
  TestServer server;
  RawClient before(server.tcp);
  before.send(get("/open"));
  CHECK(before.read_answer()->status == 200);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const int next = dup(0);
  close(next);
  // Room for the client's own end of the connection, not for the server's.
  const rlimit tight{static_cast<rlim_t>(next) + 1, limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  RawClient waiting(server.tcp);
  waiting.send(get("/open"));
  before.send(get("/open"));
  CHECK(before.read_answer()->status == 200);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(waiting.read_answer()->status == 200);
}
