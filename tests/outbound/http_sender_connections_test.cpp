// Connections: which one a request goes out on, what ends one, and requests and responses that take more than one write
// or read.
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>

#include "outbound/full_listener.h"
#include "outbound/http_sender.h"
#include "outbound/sender_rig.h"
#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::RawReceiver;
using test::request_to;
using test::SenderRig;
using test::TestCertificate;
using test::TestDns;
namespace behaviour = test::behaviour;

HttpSender::Options with(const TestDns& dns) {
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  return options;
}

// Answers one request, then does `then`, and answers no other on this connection.
RawReceiver::Behaviour once(std::function<void(RawReceiver::Connection&)> then) {
  return [then = std::move(then)](RawReceiver::Connection& connection) {
    if (!connection.read_request()) return;
    connection.send(behaviour::response(200));
    then(connection);
  };
}

TEST_CASE("whatever happens to an idle connection, the next request is sent once, on a new one") {
  using Then = std::function<void(RawReceiver::Connection&)>;
  const std::pair<const char*, Then> kinds[] = {
      {"an end", [](RawReceiver::Connection&) {}},
      {"a reset",
       [](RawReceiver::Connection& c) {
         c.pause(test::Wait(100));  // until the response has left: a reset throws away what has not
         c.reset();
       }},
      {"bytes",
       [](RawReceiver::Connection& c) {
         c.pause(test::Wait(20));
         c.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
         c.wait_for_hangup();
       }},
      {"bytes and an end",
       [](RawReceiver::Connection& c) {
         c.pause(test::Wait(20));
         c.send("?");
       }},
  };
  const TestCertificate certificate;
  for (const bool tls : {false, true}) {
    for (const auto& [name, then] : kinds) {
      const std::string shown = name;
      CAPTURE(shown);
      CAPTURE(tls);
      RawReceiver::Options its;
      if (tls) its.certificate = certificate;
      RawReceiver receiver(behaviour::in_turn({once(then), behaviour::answer(201)}), its);
      HttpSender::Options options;
      options.ca_file = certificate.file();
      SenderRig rig(options);
      CHECK(rig.send(receiver.url_of("localhost")).error == "");
      REQUIRE(receiver.wait_for_open_connections(0));
      const auto second = rig.send(receiver.url_of("localhost"));
      CHECK(second.status == 201);
      CHECK_FALSE(second.resent);
      CHECK(receiver.request_count() == 2);
    }
  }
}

TEST_CASE(
    "bytes that came on a kept connection are not the answer to a request that the loop sends before it "
    "looks") {
  RawReceiver receiver(behaviour::in_turn({once([](RawReceiver::Connection& c) {
                                             c.pause(test::Wait(20));
                                             c.send(behaviour::response(200, "smuggled"));
                                             c.wait_for_hangup();
                                           }),
                                           behaviour::answer(503)}));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).status == 200);
  std::promise<SendResult> second;
  rig.on_loop([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // the loop is busy; meanwhile they arrive
    rig.sender().send(request_to(receiver.url()), [&](SendResult r) { second.set_value(std::move(r)); });
    rig.sender().flush();
  });
  CHECK(SenderRig::get(second.get_future()).status == 503);
}

TEST_CASE("a name that moved is followed by the next request, though a connection is open") {
  TestDns dns;
  dns.set("moves.test", {"127.0.0.1"}, 0);
  RawReceiver receiver(behaviour::answer(), {.address = "0.0.0.0"});
  auto options = with(dns);
  options.dns_cache = Millis(0);
  SenderRig rig(options);
  const std::string port = ":" + std::to_string(receiver.port());
  CHECK(rig.send(receiver.url_of("moves.test")).remote_address == "127.0.0.1" + port);
  dns.set("moves.test", {"127.0.0.9"}, 0);
  CHECK(rig.send(receiver.url_of("moves.test")).remote_address == "127.0.0.9" + port);
  CHECK(receiver.connections() == 2);
}

TEST_CASE("hosts with one address share no connection, plain or over TLS") {
  TestDns dns;
  dns.set("one.test", {"127.0.0.1"});
  dns.set("two.test", {"127.0.0.1"});
  RawReceiver plain(behaviour::answer());
  const TestCertificate certificate({.host = "one.test"});
  RawReceiver secure(behaviour::answer(), {.certificate = certificate});
  auto options = with(dns);
  options.ca_file = certificate.file();
  SenderRig rig(options);
  CHECK(rig.send(plain.url_of("one.test")).status == 200);
  CHECK(rig.send(plain.url_of("two.test")).status == 200);
  CHECK(plain.connections() == 2);
  CHECK(rig.send(secure.url_of("one.test")).status == 200);
  CHECK(rig.send(secure.url_of("two.test")).error == "certificate is not for this host");
  CHECK(secure.request_count() == 1);
}

TEST_CASE("a connection that an earlier policy allowed serves on if the next one allows it, too") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  CHECK(rig.send(receiver.url()).status == 200);
  rig.set_policy(test::loopback_allowed());
  CHECK(rig.send(receiver.url()).timings.connect == Millis(0));
  rig.set_policy({});
  CHECK(rig.send(receiver.url()).outcome == Outcome::kBlocked);
  CHECK(receiver.connections() == 1);
}

TEST_CASE("a request for which the socket has no room arrives whole at a receiver that reads slowly") {
  const TestCertificate certificate;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    RawReceiver::Options its;
    if (tls) its.certificate = certificate;
    std::promise<void> go_on;
    RawReceiver receiver(
        [&, waits = go_on.get_future().share()](RawReceiver::Connection& connection) {
          waits.wait();
          behaviour::answer(200)(connection);
        },
        its);
    HttpSender::Options options;
    options.ca_file = certificate.file();
    SenderRig rig(options);
    std::string body(24 << 20, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
    auto result = rig.start(request_to(receiver.url_of("localhost"), body));
    REQUIRE(receiver.wait_for_connections(1));
    CHECK(rig.rounds_in(Millis(100)) < 100);  // it waits for room without turning
    go_on.set_value();
    CHECK(SenderRig::get(std::move(result)).status == 200);
    CHECK(receiver.requests().at(0).body == body);
    CHECK(rig.send(receiver.url_of("localhost")).timings.connect == Millis(0));
  }
}

// Reads the head alone, and answers.
RawReceiver::Behaviour answer_early(std::string bytes, std::function<void(RawReceiver::Connection&)> then) {
  return [bytes = std::move(bytes), then = std::move(then)](RawReceiver::Connection& connection) {
    connection.send(bytes);
    then(connection);
  };
}

TEST_CASE("a refusal that comes before all was sent counts, and its connection is given up") {
  for (const bool ends : {false, true}) {
    CAPTURE(ends);
    RawReceiver receiver(
        answer_early(behaviour::response(413, "too large"), [ends](RawReceiver::Connection& c) {
          if (!ends) c.wait_for_hangup();
        }));
    SenderRig rig;
    const auto result = rig.send(request_to(receiver.url(), std::string(32 << 20, 'x')));
    CHECK(result.status == 413);
    CHECK(result.outcome == Outcome::kHttp4xx);
    CHECK(result.response_body == "too large");
    CHECK_FALSE(result.resent);
    CHECK(receiver.wait_for_open_connections(0));
  }
}

TEST_CASE("a body that comes later than the connect timeout is read") {
  RawReceiver receiver([](RawReceiver::Connection& connection) {
    if (!connection.read_request()) return;
    connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    connection.pause(test::Wait(600));
    connection.send("late");
    connection.wait_for_hangup();
  });
  SenderRig rig;
  auto request = request_to(receiver.url());
  request.connect_timeout = Millis(200);
  request.timeout = Millis(4'000);  // ends before the grace for the body
  CHECK(rig.send(std::move(request)).response_body == "late");
}

TEST_CASE("a success that comes before all was sent counts once all was sent") {
  RawReceiver receiver(answer_early(behaviour::response(200, "fine"), [](RawReceiver::Connection& c) {
    c.read_request();
    c.wait_for_hangup();
  }));
  SenderRig rig;
  const auto result = rig.send(request_to(receiver.url(), std::string(24 << 20, 'x')));
  CHECK(result.outcome == Outcome::kSuccess);
  CHECK(result.response_body == "fine");
  CHECK(receiver.wait_for_requests(1));
  CHECK(receiver.requests().at(0).body.size() == 24 << 20);
}

TEST_CASE(
    "a receiver that hangs up while it is sent to is a protocol error, and the request is not sent again") {
  for (const bool hard : {false, true}) {
    CAPTURE(hard);
    RawReceiver receiver([hard](RawReceiver::Connection& connection) {
      connection.pause(test::Wait(20));
      if (hard) connection.reset();
    });
    SenderRig rig;
    const auto result = rig.send(request_to(receiver.url(), std::string(32 << 20, 'x')));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK(result.error.find("before the response was complete") != std::string::npos);
    CHECK_FALSE(result.resent);
    CHECK(receiver.connections() == 1);
  }
}

TEST_CASE("the addresses of a name are tried in turn, and all their failures are one") {
  TestDns dns;
  dns.set("hooks.test", {"127.0.0.2", "127.0.0.3", "127.0.0.4"});
  std::uint16_t port = 0;
  {
    const RawReceiver gone(behaviour::answer());
    port = gone.port();
  }
  SenderRig rig(with(dns));
  const auto result = rig.send("http://hooks.test:" + std::to_string(port) + "/");
  CHECK(result.outcome == Outcome::kConnect);
  CHECK(result.error == "connection refused");
  CHECK(result.timings.dns);
  CHECK_FALSE(result.timings.connect);
}

TEST_CASE("many addresses that swallow connections take no longer than the connect timeout") {
  TestDns dns;
  const test::FullListener full("127.0.0.1"), other("127.0.0.2", full.port());
  dns.set("hooks.test", {"127.0.0.1", "127.0.0.2"});
  SenderRig rig(with(dns));
  auto request = request_to("http://hooks.test:" + std::to_string(full.port()) + "/");
  request.connect_timeout = Millis(400);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 400ms connecting");
  CHECK(result.timings.total < Millis(2'000));
}

TEST_CASE("of many addresses that swallow connections two are tried at a time, and the last one is reached") {
  constexpr int kSwallowing = 6;
  RawReceiver receiver(behaviour::answer(), {.address = "127.0.0.9"});
  std::vector<std::string> addresses{"127.0.0.9"};
  addresses.reserve(kSwallowing + 1);
  std::vector<std::unique_ptr<test::FullListener>> full;
  full.reserve(kSwallowing);
  for (int i = 1; i <= kSwallowing; ++i) {
    addresses.push_back("127.0.0." + std::to_string(i));
    full.push_back(std::make_unique<test::FullListener>(addresses.back().c_str(), receiver.port()));
  }
  TestDns dns;
  dns.set("hooks.test", addresses);
  auto options = with(dns);
  options.dns_cache = Millis(0);  // in another order each time
  options.max_idle_connections = 0;
  SenderRig rig(options);
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  const auto before = open_files();
  auto most = before;
  for (int i = 0; i < 3; ++i) {
    auto request = request_to("http://hooks.test:" + std::to_string(receiver.port()) + "/");
    request.connect_timeout = Millis(3'000);
    auto result = rig.start(std::move(request));
    while (result.wait_for(Millis(10)) != std::future_status::ready) most = std::max(most, open_files());
    CHECK(SenderRig::get(std::move(result)).error == "");
  }
  CHECK(most - before <=
        4);  // two that are tried and one that takes a place, or both ends of one that is made
}

TEST_CASE(
    "where no second socket is to be had, an address that swallows connections keeps its place for its "
    "share") {
  RawReceiver receiver(behaviour::answer(), {.address = "127.0.0.9"});
  test::FullListener full("127.0.0.1", receiver.port());
  TestDns dns;
  dns.set("hooks.test", {"127.0.0.1", "127.0.0.9"});
  auto options = with(dns);
  options.max_idle_connections = 0;  // one second socket
  SenderRig rig(options);
  std::vector<std::future<SendResult>> results(5);
  for (auto& result : results) {
    auto request = request_to("http://hooks.test:" + std::to_string(receiver.port()) + "/");
    request.connect_timeout = Millis(2'000);
    result = rig.start(std::move(request));
  }
  for (auto& result : results) CHECK(SenderRig::get(std::move(result)).error == "");
}

TEST_CASE("a thousand requests at once are all answered, and leave nothing open beyond the limit") {
  rlimit files{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0);
  constexpr std::size_t kCount = 1000;
  RawReceiver receiver(behaviour::answer());
  HttpSender::Options options;
  options.max_idle_connections = 100;
  SenderRig rig(options);
  std::vector<std::future<SendResult>> results;
  results.reserve(kCount);
  for (std::size_t i = 0; i < kCount; ++i) results.push_back(rig.start(request_to(receiver.url())));
  for (auto& result : results) CHECK(SenderRig::get(std::move(result)).outcome == Outcome::kSuccess);
  CHECK(receiver.request_count() == kCount);
  CHECK(rig.in_flight() == 0);
  const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
  while (receiver.open_connections() > 100 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  CHECK(receiver.open_connections() <= 100);
}

TEST_CASE("answers that came in time count, though the loop was held up until after the deadline") {
  constexpr std::size_t kCount = 300;
  std::promise<void> answer;
  RawReceiver receiver([&, may_answer = answer.get_future().share()](RawReceiver::Connection& connection) {
    if (!connection.read_request()) return;
    may_answer.wait();
    connection.send(behaviour::response(200));
    connection.wait_for_hangup();
  });
  SenderRig rig;
  std::vector<std::future<SendResult>> results;
  results.reserve(kCount);
  for (std::size_t i = 0; i < kCount; ++i) {
    auto request = request_to(receiver.url());
    request.timeout = Millis(3'000);
    results.push_back(rig.start(std::move(request)));
  }
  REQUIRE(receiver.wait_for_requests(kCount));
  rig.on_loop([&] {
    answer.set_value();
    std::this_thread::sleep_for(std::chrono::seconds(3));
  });
  for (auto& result : results) CHECK(SenderRig::get(std::move(result)).error == "");
}

TEST_CASE("hundreds of TLS handshakes at once do not hold up a request that needs none") {
  const TestCertificate certificate;
  RawReceiver secure(behaviour::answer(), {.certificate = certificate});
  RawReceiver plain(behaviour::answer());
  HttpSender::Options options;
  options.ca_file = certificate.file();
  SenderRig rig(options);
  CHECK(rig.send(plain.url()).status == 200);
  std::vector<std::promise<SendResult>> results(300);
  rig.on_loop([&] {
    for (auto& its : results) {
      rig.sender().send(request_to(secure.url_of("localhost")),
                        [&its](SendResult result) { its.set_value(std::move(result)); });
    }
  });
  int answered = 0;
  Millis longest{0};
  while (secure.request_count() < 200 && answered < 5'000) {  // handshakes may fail on a machine that starves
    const auto result = rig.send(plain.url());
    CHECK(result.outcome == Outcome::kSuccess);
    longest = std::max(longest, result.timings.total);
    ++answered;
  }
  CHECK(answered > 5);
  CHECK(longest < Millis(1'000));
  for (auto& its : results) CHECK(SenderRig::get(its.get_future()).error == "");
}

}  // namespace
}  // namespace outboxd
