// Small requests of quick routes are handled on the API's loop: which ones, and what the others notice of it.
#include <doctest/doctest.h>

#include <map>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

namespace {

std::string quick(std::string_view body, std::string_view target = "/quick") {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

// However slow the machine is.
HttpServer::Options all_on_loop() {
  HttpServer::Options options;
  options.quick_time = std::chrono::minutes(1);
  return options;
}

std::string answer_to(const std::string& where, const std::string& request) {
  RawClient client(where);
  client.send(request);
  const auto answer = client.read_answer();
  REQUIRE(answer);
  return answer->body;
}

// Has the loop stand still until all of these are there to be read, each on a connection of its own.
std::map<std::string, int> sent_at_once(TestServer& server, int count) {
  RawClient holder(server.ingest);
  std::vector<RawClient> clients;
  clients.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) clients.emplace_back(server.ingest);
  for (auto& client : clients) {  // so that the loop has accepted them all
    client.send(get("/open"));
    CHECK(client.read_answer()->status == 200);
  }
  holder.send(quick("hold the loop"));
  server.wait_for_held_loop();
  for (auto& client : clients) client.send(quick("{}"));
  server.let_loop_go();
  CHECK(holder.read_answer()->status == 200);
  std::map<std::string, int> answers;
  for (auto& client : clients) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    ++answers[answer->body];
  }
  return answers;
}

}  // namespace

TEST_CASE("a small request of a quick route is handled on the loop, larger ones and others by workers") {
  TestServer server(all_on_loop());
  for (const auto& where : server.everywhere()) {
    CAPTURE(where);
    CHECK(answer_to(where, quick("{}")) == "on the loop");
    CHECK(answer_to(where, quick("")) == "on the loop");
    CHECK(answer_to(where, quick(std::string(kMaxQuickBody, 'x'))) == "on the loop");
    CHECK(answer_to(where, quick(std::string(kMaxQuickBody + 1, 'x'))) == "on a worker");
    CHECK(answer_to(where, quick("{}", "/quick?a=b")) == "on a worker");
    CHECK(answer_to(where, quick("{}", "/%71uick")) == "on a worker");
    CHECK(answer_to(where, quick("{}", "/quick/resumed")) == "left the loop");
  }
}

TEST_CASE("without time for quick requests all are handled by workers") {
  HttpServer::Options options;
  options.quick_time = std::chrono::microseconds(0);
  TestServer server(options);
  CHECK(answer_to(server.ingest, quick("{}")) == "on a worker");
}

TEST_CASE("what leaves the loop is refused like any other request when too many wait for a worker") {
  HttpServer::Options options = all_on_loop();
  options.max_queue = 0;
  TestServer server(options);
  RawClient client(server.ingest);
  client.send(quick("{}", "/quick/resumed"));
  const auto refused = client.read_answer();
  REQUIRE(refused);
  CHECK(refused->status == 503);
  CHECK(refused->header("retry-after") == "1");
  client.send(quick("{}"));
  CHECK(client.read_answer()->body == "on the loop");
}

TEST_CASE("a caller is refused on the loop as by a worker, and an exception stays inside") {
  TestServer on_loop(all_on_loop(), Authenticator::nobody());
  HttpServer::Options options;
  options.quick_time = std::chrono::microseconds(0);
  TestServer by_workers(options, Authenticator::nobody());
  const std::vector<std::string> requests = {
      quick("{}"),
      quick("{}", "/quick/throw"),
      "POST /quick HTTP/1.1\r\nHost: elsewhere.example\r\nContent-Length: 2\r\n\r\n{}",
      "POST /quick HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}",
      "POST /quick HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
      "POST /quick HTTP/1.1\r\nHost: localhost\r\nOrigin: a\r\nOrigin: b\r\nContent-Length: 2\r\n\r\n{}",
  };
  for (const auto& request : requests) {
    for (const bool tcp : {true, false}) {
      CAPTURE(request);
      CAPTURE(tcp);
      RawClient one(tcp ? on_loop.tcp : on_loop.ingest), other(tcp ? by_workers.tcp : by_workers.ingest);
      one.send(request);
      other.send(request);
      const auto first = one.read_answer(), second = other.read_answer();
      REQUIRE(first);
      REQUIRE(second);
      CHECK(first->status == second->status);
      const bool handled = first->body == "on the loop" && second->body == "on a worker";
      CHECK((handled || first->body == second->body));
      CHECK(first->body.find("secret") == std::string::npos);
      for (const auto& header : first->headers) {
        if (header.name != "date" && !handled) CHECK(second->header(header.name) == header.value);
      }
    }
  }
}

TEST_CASE("a round of the loop hands quick requests to workers once it has taken long enough") {
  // More than one of them fits into what a round does for descriptors, so that there is somebody to be handed over.
  HttpServer::Options options;
  options.quick_time = std::chrono::microseconds(100);
  TestServer server(options);
  server.work_of_quick = 150;
  auto answers = sent_at_once(server, 40);
  CHECK(answers["on the loop"] >= 1);
  CHECK(answers["on a worker"] >= 20);
}

TEST_CASE("the loop has time left for others when it stops to handle quick requests itself") {
  TestServer server;
  server.work_of_quick = 800;
  auto answers = sent_at_once(server, 40);
  CHECK(answers["on a worker"] >= 1);
}

TEST_CASE("pipelined requests are answered in order, whoever handles them") {
  TestServer server(all_on_loop());
  RawClient client(server.admin);
  std::string all;
  for (int i = 0; i < 60; ++i) {
    const auto n = std::to_string(i);
    all += i % 3 == 0 ? quick("{}") : i % 3 == 1 ? get("/v1/events/" + n) : quick("{}", "/quick/resumed");
  }
  client.send(all);
  client.end_of_sending();
  for (int i = 0; i < 60; ++i) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    const auto n = std::to_string(i);
    std::string by_worker = "GET /v1/events/";
    by_worker.append(n).append(" {").append(n).append("}\n");
    CHECK(answer->body == (i % 3 == 0 ? "on the loop" : i % 3 == 1 ? by_worker : "left the loop"));
  }
  CHECK(client.is_closed());
}

TEST_CASE("a flood of quick requests keeps nobody else from being accepted and answered") {
  TestServer server;
  server.work_of_quick = 100;
  constexpr int kFlooding = 30, kRequests = 200;
  std::atomic<int> done{0};
  std::vector<std::thread> flood;
  flood.reserve(kFlooding);
  for (int i = 0; i < kFlooding; ++i) {
    flood.emplace_back([&server, &done] {
      RawClient client(server.ingest);
      for (int n = 0; n < kRequests; ++n) {
        client.send(quick("{}"));
        const auto answer = client.read_answer();
        if (answer && answer->status == 200) ++done;
      }
    });
  }
  int others = 0;
  while (done < kFlooding * kRequests / 2) {
    const int before = done;
    CHECK(answer_to(server.tcp, get("/open")) == "GET /open\n");
    CHECK(done - before < kFlooding * kRequests / 2);
    ++others;
  }
  for (auto& thread : flood) thread.join();
  CHECK(done == kFlooding * kRequests);
  CHECK(others > 10);
}

TEST_CASE("an answer that is left to the loop is made there, and an exception in it is answered with 500") {
  TestServer server;
  CHECK(answer_to(server.tcp, get("/made")) == "/made on the loop");
  RawClient client(server.tcp);
  client.send(get("/made/problem"));
  auto answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 409);
  CHECK(answer->header("content-type") == "application/problem+json");
  client.send(get("/made/throw"));
  answer = client.read_answer();
  REQUIRE(answer);
  CHECK(answer->status == 500);
  CHECK(answer->body.find("secret") == std::string::npos);
}
