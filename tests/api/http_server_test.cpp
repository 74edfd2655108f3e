#include "api/http_server.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;

TEST_CASE(
    "a request is answered on every listener, with its headers, and the connection stays for the next") {
  TestServer server;
  for (const auto& where : server.everywhere()) {
    CAPTURE(where);
    RawClient client(where);
    for (int i = 0; i < 3; ++i) {
      client.send(post("{\"n\":1}", "X-Probe: 100%25 %41\r\nREMOTE_ADDR: 1.2.3.4\r\n"));
      const auto answer = client.read_answer();
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK(answer->body == "POST /v1/events probe=100%25 %41\n{\"n\":1}");
      CHECK(answer->header("content-type") == "application/json");
      CHECK(answer->header("x-content-type-options") == "nosniff");
      CHECK(answer->header("date").ends_with(" GMT"));
      CHECK(answer->header("connection") == "");
    }
  }
  CHECK(server.handled == 9);
  CHECK(server.metrics.render().find("route=\"/v1/events\"") != std::string::npos);
}

TEST_CASE("100 silent connections on each listener do not keep a request from being answered") {
  TestServer server;
  std::vector<RawClient> silent;
  for (const auto& where : server.everywhere()) {
    for (int i = 0; i < 100; ++i) {
      silent.emplace_back(where);
      if (i % 2 == 1) silent.back().send("POST /v1/events HTTP/1.1\r\nHo");
    }
  }
  for (const auto& where : server.everywhere()) {
    RawClient client(where);
    client.send(post("{}"));
    CHECK(client.read_answer()->status == 200);
  }
}

TEST_CASE("pipelined requests are answered one after the other, in order") {
  TestServer server;
  RawClient client(server.admin);
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += i % 2 == 0 ? post(std::to_string(i)) : get("/v1/events/" + std::to_string(i));
  client.send(all);
  client.end_of_sending();
  for (int i = 0; i < 50; ++i) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    const auto n = std::to_string(i);
    std::string wanted = i % 2 == 0 ? "POST /v1/events\n" : "GET /v1/events/";
    wanted.append(n);
    if (i % 2 != 0) wanted.append(" {").append(n).append("}\n");
    CHECK(answer->body == wanted);
  }
  CHECK(client.is_closed());
}

TEST_CASE("a chunked body reaches the handler without its chunks") {
  TestServer server;
  RawClient client(server.ingest);
  client.send(
      "POST /v1/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: t\r\n\r\n" +
      post("next"));
  CHECK(client.read_answer()->body == "POST /v1/events\nabcde");
  CHECK(client.read_answer()->body == "POST /v1/events\nnext");
}

TEST_CASE("the client that expects 100-continue gets it before its body is read") {
  TestServer server;
  RawClient client(server.tcp);
  client.send(
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.read_answer()->status == 100);
  client.send("{}");
  CHECK(client.read_answer()->body == "POST /v1/events\n{}");
}

TEST_CASE("a request is answered the same wherever its bytes are cut") {
  TestServer server;
  const std::string request =
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nX-Probe: p\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  RawClient client(server.tcp);
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    client.send(request.substr(0, cut));
    client.send(request.substr(cut));
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->body == "POST /v1/events probe=p\n{}");
  }
}

TEST_CASE("Connection: close and HTTP/1.0 end the connection after the answer") {
  TestServer server;
  for (const std::string& request :
       {get("/open", "Connection: close\r\n"), std::string("GET /open HTTP/1.0\r\n\r\n")}) {
    RawClient client(server.tcp);
    client.send(request);
    const auto answer = client.read_answer();
    CHECK(answer->status == 200);
    CHECK(answer->header("connection") == "close");
    CHECK(client.is_closed());
  }
  RawClient client(server.tcp);
  client.send("GET /open HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.read_answer()->header("connection") == "keep-alive");
  client.send(get("/open"));
  CHECK(client.read_answer()->status == 200);
}

TEST_CASE("every answer tells browsers to keep nothing, and those they may show to run nothing") {
  TestServer server;
  const auto answered = [&](const std::string& where, const std::string& request) {
    RawClient client(where);
    client.send(request);
    return client.read_answer(request.starts_with("HEAD")).value();
  };
  constexpr auto kNothing = "default-src 'none'; frame-ancestors 'none'";
  for (const auto& where : {server.tcp, server.admin}) {
    for (const std::string& request :
         {get("/open"), get("/nothing"), get("/throw"),
          std::string("HEAD /open HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string("not HTTP\r\n\r\n"),
          std::string("GET /open HTTP/1.1\r\nHost: evil.example\r\n\r\n")}) {
      CAPTURE(request);
      const auto answer = answered(where, request);
      CHECK(answer.header("x-content-type-options") == "nosniff");
      CHECK(answer.header("cache-control") == "no-store");
      CHECK(answer.header("content-security-policy") == kNothing);
    }
    const auto accepted = answered(where, post("{}"));
    CHECK(accepted.header("x-content-type-options") == "nosniff");
    CHECK(accepted.header("cache-control") == "no-store");
    CHECK(accepted.header("content-security-policy") == "");
    const auto page = answered(where, get("/page"));
    CHECK(page.header("cache-control") == "max-age=5");
    CHECK(page.header("content-security-policy") == "default-src 'self'");
    CHECK(std::ranges::count_if(page.headers, [](const HeaderField& h) {
            return ascii_iequals(h.name, "cache-control");
          }) == 1);
  }
}

TEST_CASE("a body with a Content-Encoding is refused with 415, and what is understood is said") {
  TestServer server;
  RawClient client(server.ingest);
  for (const char* coding : {"gzip", "br", "gzip, identity", "", "x-unknown"}) {
    CAPTURE(coding);
    client.send(post("{}", "Content-Encoding: " + std::string(coding) + "\r\n"));
    const auto answer = client.read_answer();
    CHECK(answer->status == 415);
    CHECK(answer->header("accept-encoding") == "identity");
    CHECK(answer->body.find("Content-Encoding; got \\\"" + std::string(coding)) != std::string::npos);
  }
  CHECK(server.handled == 0);
  client.send(post("{}", "Content-Encoding: Identity\r\n"));
  CHECK(client.read_answer()->status == 200);
}

TEST_CASE("HEAD answers as GET would, without the content") {
  TestServer server;
  RawClient client(server.tcp);
  client.send("HEAD /open HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const auto answer = client.read_answer(true);
  CHECK(answer->status == 200);
  CHECK(answer->header("content-length") == "11");
  client.send(get("/open"));
  CHECK(client.read_answer()->body == "GET /open\n");
}

TEST_CASE("unknown paths and methods are told apart, and Allow says what would work") {
  TestServer server;
  RawClient client(server.tcp);
  client.send(get("/nothing"));
  const auto unknown = client.read_answer();
  CHECK(unknown->status == 404);
  CHECK(unknown->header("content-type") == "application/problem+json");
  CHECK(unknown->body.find("/problems/not-found") != std::string::npos);
  client.send("PUT /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}");
  const auto method = client.read_answer();
  CHECK(method->status == 405);
  CHECK(method->header("allow") == "GET, HEAD, POST, DELETE");
  client.send("BREW /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.read_answer()->status == 405);
  CHECK(server.metrics.render().find("BREW") == std::string::npos);
}

TEST_CASE("a handler that throws answers 500 without its text, and one that forgets answers 500") {
  TestServer server;
  RawClient client(server.tcp);
  for (const char* target : {"/throw", "/forget"}) {
    CAPTURE(target);
    client.send(get(target));
    const auto answer = client.read_answer();
    CHECK(answer->status == 500);
    CHECK(answer->body.find("/problems/internal") != std::string::npos);
    CHECK(answer->body.find("secret") == std::string::npos);
  }
}

TEST_CASE("a request that waits for another thread holds no worker, and goes on on one") {
  HttpServer::Options options;
  options.max_queue = 4;
  TestServer server(options);
  std::vector<std::unique_ptr<RawClient>> waiting;
  for (std::size_t i = 1; i <= 8; ++i) {  // more than there are workers
    waiting.push_back(std::make_unique<RawClient>(server.tcp));
    waiting.back()->send(get("/hold"));
    server.wait_for_held(i);
  }
  RawClient client(server.tcp);
  for (int i = 0; i < 20; ++i) {
    client.send(get("/resumed"));
    CHECK(client.read_answer()->body == "on a worker");
  }
  client.send(get("/resumed/throw"));
  const auto failed = client.read_answer();
  CHECK(failed->status == 500);
  CHECK(failed->body.find("secret") == std::string::npos);
  server.release_all();
}

TEST_CASE("answers from other threads arrive, and one exchange takes only its first answer") {
  TestServer server;
  RawClient client(server.tcp);
  for (int i = 0; i < 20; ++i) {
    client.send(get("/thread"));
    CHECK(client.read_answer()->body == "from a thread");
  }
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i)
    clients.emplace_back(server.everywhere()[static_cast<std::size_t>(i) % 3]).send(get("/hold"));
  server.wait_for_held(20);
  server.release_all();
  for (auto& c : clients) CHECK(c.read_answer()->body == "held");
  clients.front().send(get("/hold"));
  server.wait_for_held(1);
  server.drop_all();
  CHECK(clients.front().read_answer()->status == 500);
}

TEST_CASE("a client that half-closes after its request is answered, one that is gone is forgotten") {
  TestServer server;
  for (const auto& where : server.everywhere()) {
    CAPTURE(where);
    RawClient client(where);
    client.send(get("/hold"));
    client.end_of_sending();
    { RawClient(where).send(get("/hold")); }
    server.wait_for_held(2);
    server.release_all();
    CHECK(client.read_answer()->body == "held");
    CHECK(client.is_closed());
  }
}

TEST_CASE("an answer larger than the socket's buffer arrives whole") {
  TestServer server;
  for (const auto& where : server.everywhere()) {
    RawClient client(where);
    client.send(get("/large") + get("/open"));
    CHECK(client.read_answer()->body.size() == 8u << 20);
    CHECK(client.read_answer()->status == 200);
  }
}

TEST_CASE("the peer is the kernel's word: credentials on a Unix socket, address and port on TCP") {
  TestServer server;
  RawClient local(server.admin);
  local.send(get("/peer", "REMOTE_ADDR: 1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n"));
  CHECK(local.read_answer()->body == "unix:uid=" + std::to_string(getuid()) + ",gid=" +
                                         std::to_string(getgid()) + ",pid=" + std::to_string(getpid()));
  RawClient remote(server.tcp);
  remote.send(get("/peer", "REMOTE_ADDR: 1.2.3.4\r\n"));
  CHECK(remote.read_answer()->body.starts_with("127.0.0.1:"));
}

TEST_CASE("stopping closes the listeners and idle connections, and answers what is under way") {
  TestServer server;
  RawClient idle(server.tcp);
  idle.send(get("/open"));
  CHECK(idle.read_answer()->status == 200);
  RawClient busy(server.admin);
  busy.send(get("/hold"));
  server.wait_for_held(1);
  server.stop_accepting(std::chrono::duration_cast<Millis>(kDeadline));
  CHECK(idle.is_closed());
  CHECK_FALSE(std::filesystem::exists(server.admin));
  CHECK_FALSE(std::filesystem::exists(server.ingest));
  CHECK_FALSE(server.stopped);
  server.release_all();
  const auto answer = busy.read_answer();
  CHECK(answer->body == "held");
  CHECK(answer->header("connection") == "close");
  CHECK(busy.is_closed());
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!server.stopped && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(server.stopped);
}

TEST_CASE("stopping ends at its limit although a request is never answered") {
  TestServer server;
  RawClient busy(server.tcp);
  busy.send(get("/hold"));
  server.wait_for_held(1);
  server.stop_accepting(Millis(20));
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (!server.stopped && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK(server.stopped);
}

TEST_CASE("what was answered before the end of the loop is sent, however much it is") {
  TestServer server;
  std::vector<RawClient> clients;
  clients.reserve(300);
  for (std::size_t i = 1; i <= 300; ++i) {
    clients.emplace_back(server.ingest).send(get("/hold"));
    server.wait_for_held(i);
  }
  RawClient holder(server.ingest);
  holder.send(get("/made/held"));
  server.wait_for_held_loop();
  server.stop_accepting(Millis(0));
  server.release_all();
  server.stop_loop();
  server.let_loop_go();
  CHECK(holder.read_answer()->body == "held the loop");
  for (auto& client : clients) {
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->body == "held");
  }
}

TEST_CASE("random bytes and mutated requests never harm the server") {
  TestServer server;
  const std::string valid = post("{\"a\":1}", "X-Probe: p\r\n") + get("/v1/events/1?x=y");
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::minstd_rand random(seed);
    std::string text = valid;
    for (auto n = random() % 5; n > 0; --n) text[random() % text.size()] = static_cast<char>(random() % 256);
    RawClient client(server.everywhere()[seed % 3]);
    const auto cut = random() % text.size();
    client.send(text.substr(0, cut));
    client.send(text.substr(cut));
    client.end_of_sending();
    while (client.read_answer()) {
    }
    CHECK(client.is_closed());
  }
  RawClient client(server.tcp);
  client.send(post("{}"));
  CHECK(client.read_answer()->status == 200);
}
