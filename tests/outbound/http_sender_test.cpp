// Requests, responses that behave and responses that do not.
#include "outbound/http_sender.h"

#include "outbound/full_listener.h"
#include "outbound/sender_rig.h"
#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::RawReceiver;
using test::request_to;
using test::SenderRig;
namespace behaviour = test::behaviour;

// What one request to a receiver with this behaviour comes to.
SendResult result_of(RawReceiver::Behaviour behaviour, Millis timeout = Millis(8'000)) {
  RawReceiver receiver(std::move(behaviour));
  SenderRig rig;
  auto request = request_to(receiver.url());
  request.timeout = timeout;
  return rig.send(std::move(request));
}

bool mentions(const SendResult& result, std::string_view what) {
  return result.error.find(what) != std::string::npos;
}

TEST_CASE("a request arrives byte for byte, with our headers and none that nobody asked for") {
  RawReceiver receiver(behaviour::answer(200, "fine", {"X-Trace: 7"}));
  SenderRig rig;
  const std::string body =
      std::string("{\"n\":1.10,\"big\":12345678901234567890,\"z\":\"\xC3\xA9\",\"nul\":\"") + '\0' + "\"}";
  auto request = request_to(receiver.url("/a%20b?x=1&y=/../"), body);
  request.headers.add("X-Empty", "");
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kSuccess);
  CHECK(result.status == 200);
  CHECK(result.error == "");
  CHECK(result.response_body == "fine");
  CHECK(result.response_headers == std::vector<HeaderField>{{"X-Trace", "7"}, {"Content-Length", "4"}});
  REQUIRE(receiver.request_count() == 1);
  const auto received = receiver.requests()[0];
  CHECK(received.body == body);
  CHECK(received.line() == "POST /a%20b?x=1&y=/../ HTTP/1.1");
  CHECK(received.header("content-type") == "application/json");
  CHECK(received.header("webhook-id") == "evt_1");
  CHECK(received.header("x-empty") == "");
  CHECK(received.header("host") == "127.0.0.1:" + std::to_string(receiver.port()));
  CHECK(received.header("content-length") == std::to_string(body.size()));
  for (const char* absent :
       {"accept-encoding", "expect", "user-agent", "cookie", "authorization", "transfer-encoding"}) {
    CAPTURE(absent);
    CHECK_FALSE(received.header(absent));
  }
}

TEST_CASE("empty and large bodies arrive whole, without asking for a 100-continue first") {
  RawReceiver receiver(behaviour::answer(204));
  SenderRig rig;
  CHECK(rig.send(request_to(receiver.url(), "")).outcome == Outcome::kSuccess);
  auto without_type = request_to(receiver.url(), std::string(3 << 20, 'x'));
  without_type.headers = {};
  CHECK(rig.send(std::move(without_type)).outcome == Outcome::kSuccess);
  const auto received = receiver.requests();
  REQUIRE(received.size() == 2);
  CHECK(received[0].header("content-length") == "0");
  CHECK(received[1].body.size() == 3 << 20);
  CHECK_FALSE(received[1].header("expect"));
  CHECK_FALSE(received[1].header("content-type"));
}

TEST_CASE("connections are kept and used again, and a reused one has no stages of its own") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  const auto first = rig.send(receiver.url());
  const auto second = rig.send(receiver.url());
  CHECK(receiver.connections() == 1);
  CHECK(first.timings.dns);
  CHECK(first.timings.connect);
  CHECK_FALSE(first.timings.tls);
  CHECK(first.timings.first_byte);
  CHECK(second.timings.dns == Millis(0));
  CHECK(second.timings.connect == Millis(0));
  CHECK(second.timings.first_byte);
}

TEST_CASE("a kept connection that the receiver closed is replaced, and the request is sent once") {
  RawReceiver receiver(behaviour::send_and_close(behaviour::response(200)));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  REQUIRE(receiver.wait_for_open_connections(0));
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  CHECK(receiver.connections() == 2);
  CHECK(receiver.request_count() == 2);
}

TEST_CASE("a response that came unasked on an idle connection is not taken for the next request's") {
  std::promise<void> sent;
  RawReceiver receiver(behaviour::in_turn({[&](RawReceiver::Connection& connection) {
                                             connection.read_request();
                                             connection.send(behaviour::response(200));
                                             connection.pause(test::Wait(50));  // a packet of its own
                                             connection.send(behaviour::response(200, "smuggled"));
                                             sent.set_value();
                                             connection.wait_for_hangup();
                                           },
                                           behaviour::answer(503)}));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  sent.get_future().get();
  rig.on_loop([] {});
  const auto second = rig.send(receiver.url());
  CHECK(second.status == 503);
  CHECK(second.response_body == "");
}

TEST_CASE("a second response in the same packet is thrown away with its connection") {
  RawReceiver receiver(behaviour::in_turn(
      {behaviour::send_and_hold(behaviour::response(200, "one") + behaviour::response(200, "smuggled")),
       behaviour::answer(503)}));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).response_body == "one");
  CHECK(rig.send(receiver.url()).status == 503);
}

TEST_CASE("the status decides the outcome") {
  const std::pair<int, Outcome> cases[] = {
      {200, Outcome::kSuccess},  {202, Outcome::kSuccess},  {204, Outcome::kSuccess},
      {299, Outcome::kSuccess},  {400, Outcome::kHttp4xx},  {410, Outcome::kHttp4xx},
      {429, Outcome::kHttp4xx},  {500, Outcome::kHttp5xx},  {503, Outcome::kHttp5xx},
      {600, Outcome::kProtocol}, {999, Outcome::kProtocol}, {304, Outcome::kRedirect}};
  for (const auto& [status, outcome] : cases) {
    const auto& shown = status;
    CAPTURE(shown);
    const auto result = result_of(behaviour::answer(status));
    CHECK(result.outcome == outcome);
    CHECK(result.status == status);
    CHECK(result.error.empty() == (outcome == Outcome::kSuccess));
  }
}

TEST_CASE("redirects are failures and nobody follows them") {
  RawReceiver elsewhere(behaviour::answer());
  RawReceiver receiver(behaviour::answer(307, "", {"Location: " + elsewhere.url()}));
  SenderRig rig;
  const auto result = rig.send(receiver.url());
  CHECK(result.outcome == Outcome::kRedirect);
  CHECK(result.error == "HTTP status 307, redirects are not followed");
  CHECK(elsewhere.connections() == 0);
}

TEST_CASE("Retry-After is handed on as it came") {
  CHECK(result_of(behaviour::answer(503, "", {"Retry-After: 120"})).retry_after == "120");
  CHECK(result_of(behaviour::answer(429, "", {"retry-after: Wed, 21 Oct 2026 07:28:00 GMT"})).retry_after ==
        "Wed, 21 Oct 2026 07:28:00 GMT");
  CHECK_FALSE(result_of(behaviour::answer(503)).retry_after);
}

TEST_CASE("a response cut inside its headers is no success") {
  for (const char* part :
       {"HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        "HTTP/1.1 200", "", "HTTP/1.1 100 Continue\r\n\r\n"}) {
    CAPTURE(part);
    const auto result = result_of(behaviour::send_and_close(part));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK(result.status == 0);
    CHECK_FALSE(result.error.empty());
  }
  CHECK(result_of(behaviour::half_header()).error ==
        "the connection was closed before the response was complete");
}

TEST_CASE("a 2xx counts from its blank line on, whatever becomes of the body") {
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
  CHECK(result_of(behaviour::send_and_close(head + "short")).outcome == Outcome::kSuccess);
  CHECK(result_of(behaviour::send_and_hold(head + "stall"), Millis(700)).outcome == Outcome::kSuccess);
  CHECK(result_of(behaviour::send_and_close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
            .outcome == Outcome::kSuccess);
  const auto failing =
      result_of(behaviour::send_and_hold("HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n"), Millis(700));
  CHECK(failing.outcome == Outcome::kHttp5xx);
}

TEST_CASE("a body that stalls is not waited for beyond the grace, and its connection is given up") {
  RawReceiver receiver(behaviour::send_and_hold("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstall"));
  SenderRig rig;
  auto request = request_to(receiver.url());
  request.timeout = Millis(20'000);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kSuccess);
  CHECK(result.response_body == "stall");
  CHECK(result.timings.total >= Millis(4'900));
  CHECK(result.timings.total < Millis(8'000));
  CHECK(receiver.wait_for_open_connections(0));
}

TEST_CASE("an endless body is cut off and its status counts") {
  RawReceiver receiver(behaviour::in_turn({behaviour::endless_body(200), behaviour::endless_body(500)}));
  SenderRig rig;
  const auto success = rig.send(receiver.url());
  CHECK(success.outcome == Outcome::kSuccess);
  CHECK(success.response_body.size() == kMaxStoredResponseBody);
  CHECK(receiver.wait_for_open_connections(0));  // hung up
  CHECK(rig.send(receiver.url()).outcome == Outcome::kHttp5xx);
  CHECK(receiver.wait_for_open_connections(0));
}

TEST_CASE("a compressed body is neither asked for nor expanded") {
  const auto result =
      result_of(behaviour::answer(200, "\x1F\x8B not really gzip", {"Content-Encoding: gzip"}));
  CHECK(result.outcome == Outcome::kSuccess);
  CHECK(result.response_body == "\x1F\x8B not really gzip");
}

TEST_CASE("endless headers, interim responses and header lines end as protocol errors") {
  CHECK(result_of(behaviour::endless_headers()).error == "the response's headers exceed 64 KiB");
  CHECK(result_of(behaviour::endless_interim()).outcome == Outcome::kProtocol);
  const auto one_line = result_of(behaviour::endless("HTTP/1.1 200 OK\r\nX-Long: ", std::string(4096, 'x')));
  CHECK(one_line.outcome == Outcome::kProtocol);
  CHECK_FALSE(one_line.error.empty());
}

TEST_CASE("what is not HTTP/1 is a protocol error") {
  CHECK(result_of(behaviour::garbage()).error == "the response is not HTTP/1");
  CHECK(result_of(behaviour::send_and_close("<html>HTTP/0.9</html>")).outcome == Outcome::kProtocol);
  CHECK(result_of(behaviour::send_and_hold("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")).outcome ==
        Outcome::kProtocol);
  CHECK(result_of(behaviour::send_and_close("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")).outcome !=
        Outcome::kTimeout);
}

TEST_CASE("interim responses before the real one are passed over") {
  const auto result = result_of(behaviour::send_and_close(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
      behaviour::response(201, "made")));
  CHECK(result.outcome == Outcome::kSuccess);
  CHECK(result.status == 201);
  CHECK(result.response_body == "made");
}

TEST_CASE("a response with two lengths counts, and its connection is not used again") {
  RawReceiver receiver(behaviour::in_turn({behaviour::two_lengths(), behaviour::answer(202)}));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).status == 200);
  CHECK(rig.send(receiver.url()).status == 202);
  CHECK(receiver.connections() == 2);
}

TEST_CASE("silence is a timeout, and says what it waited for") {
  const auto result = result_of(behaviour::silence(), Millis(300));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 300ms waiting for the response");
  CHECK(result.timings.total >= Millis(300));
  CHECK(result.timings.connect);
  CHECK_FALSE(result.timings.first_byte);
  const auto slow =
      result_of(behaviour::drip("HTTP/1.1 200 OK\r\nX-Slow: yes, very\r\n\r\n", Millis(60)), Millis(2000));
  CHECK(slow.outcome == Outcome::kTimeout);
  CHECK(slow.error == "timed out after 2s reading the response's headers");
  const auto sending = [] {
    RawReceiver receiver([](auto& connection) { connection.wait_for_hangup(); });  // never reads
    SenderRig rig;
    auto request = request_to(receiver.url(), std::string(32 << 20, 'x'));
    request.timeout = Millis(500);
    return rig.send(std::move(request));
  }();
  CHECK(sending.error == "timed out after 500ms sending the request");
}

TEST_CASE("a slow response that ends in time is a success") {
  CHECK(result_of(behaviour::drip(behaviour::response(200, "slow"), Millis(5))).response_body == "slow");
}

TEST_CASE("refused and reset connections are told apart") {
  std::string closed_url;
  {
    RawReceiver gone(behaviour::answer());
    closed_url = gone.url();
  }
  SenderRig rig;
  const auto refused = rig.send(closed_url);
  CHECK(refused.outcome == Outcome::kConnect);
  CHECK(refused.error == "connection refused");
  CHECK_FALSE(refused.timings.connect);
  const auto reset = result_of(behaviour::reset());
  CHECK(reset.outcome == Outcome::kProtocol);
  CHECK(reset.error == "connection reset before the response was complete");
}

TEST_CASE("a connection that is never made ends with the connect timeout") {
  const test::FullListener full;
  SenderRig rig;
  auto request = request_to("http://127.0.0.1:" + std::to_string(full.port()) + "/");
  request.connect_timeout = Millis(200);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 200ms connecting");
  CHECK_FALSE(result.timings.connect);
}

TEST_CASE("headers that would break the framing are refused before anything is sent") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  const HeaderField bad[] = {{"x-a", "1\r\nx-evil: 1"},
                             {"x-a", "1\n"},
                             {"x-a", std::string("1\0", 2)},
                             {"x a", "1"},
                             {"x-a:", "1"},
                             {"", "1"},
                             {"x-a\r\nb", "1"},
                             {"Host", "evil"},
                             {"Content-Length", "3"},
                             {"transfer-encoding", "chunked"},
                             {"Expect", "100-continue"}};
  for (const auto& header : bad) {
    CAPTURE(header.name);
    auto request = request_to(receiver.url());
    request.headers.add(header.name, header.value);
    const auto result = rig.send(std::move(request));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK(mentions(result, "header"));
  }
  CHECK(receiver.connections() == 0);
}

TEST_CASE(
    "an extra header that only outboxd may set, or that is no header, ends the request before it is sent") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  const HeaderField bad[] = {{"webhook-id", "evt_2"},
                             {"Webhook-Signature", "v1,x"},
                             {"OUTBOXD-attempt", "9"},
                             {"content-type", "text/html"},
                             {"user-agent", "x"},
                             {"Connection", "close"},
                             {"x-a", "1\r\nwebhook-id: 2"},
                             {"x-a\r\nb", "1"},
                             {"x-a", ""}};
  for (const auto& header : bad) {
    CAPTURE(header.name);
    auto request = request_to(receiver.url());
    request.headers.add_extra(header.name, header.value);
    const auto result = rig.send(std::move(request));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK(mentions(result, "header"));
  }
  CHECK(receiver.connections() == 0);
  auto good = request_to(receiver.url());
  good.headers.add_extra("Authorization", "Bearer x");
  CHECK(rig.send(std::move(good)).outcome == Outcome::kSuccess);
  CHECK(receiver.requests().at(0).header("authorization") == "Bearer x");
}

TEST_CASE("nothing is done from inside send(), and abort_all ends everything once") {
  RawReceiver receiver(behaviour::silence());
  test::TestDns dns;
  dns.silence("dead.test");
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  SenderRig rig(options);
  std::vector<std::future<SendResult>> results;
  for (int i = 0; i < 20; ++i) results.push_back(rig.start(request_to(receiver.url())));
  for (int i = 0; i < 5; ++i) results.push_back(rig.start(request_to("http://a.dead.test/")));
  REQUIRE(receiver.wait_for_requests(20));
  CHECK(rig.in_flight() == 25);
  bool inside = true, called_inside = false;
  std::promise<SendResult> late;
  rig.on_loop([&] {
    rig.sender().send(request_to("http://10.0.0.1/"), [&](SendResult result) {
      called_inside = inside;
      late.set_value(std::move(result));
    });
    inside = false;
    rig.sender().abort_all();
    CHECK(rig.sender().in_flight() == 0);
  });
  CHECK_FALSE(called_inside);
  CHECK(late.get_future().get().aborted);
  for (auto& result : results) CHECK(SenderRig::get(std::move(result)).aborted);
  CHECK(receiver.wait_for_open_connections(0));
  receiver.behave(behaviour::answer());
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);  // it goes on working
}

TEST_CASE("a request may be sent, and all may be aborted, from inside a result") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  std::promise<SendResult> second;
  rig.on_loop([&] {
    rig.sender().send(request_to(receiver.url()), [&](const SendResult&) {
      rig.sender().send(request_to(receiver.url()), [&](SendResult result) {
        rig.sender().abort_all();
        second.set_value(std::move(result));
      });
    });
  });
  CHECK(second.get_future().get().outcome == Outcome::kSuccess);
}

TEST_CASE("hundreds that hang do not delay one that answers, nor cost it its connection") {
  RawReceiver hanging(behaviour::silence());
  RawReceiver healthy(behaviour::answer());
  HttpSender::Options options;
  options.max_idle_connections = 4;
  SenderRig rig(options);
  std::vector<std::future<SendResult>> results;
  for (int i = 0; i < 300; ++i) results.push_back(rig.start(request_to(hanging.url())));
  REQUIRE(hanging.wait_for_requests(300));
  for (int i = 0; i < 20; ++i) {
    const auto result = rig.send(healthy.url());
    CHECK(result.outcome == Outcome::kSuccess);
    CHECK(result.timings.total < Millis(1'000));
  }
  CHECK(healthy.connections() == 1);
}

TEST_CASE("idle connections are bounded") {
  RawReceiver receiver(behaviour::in_turn({behaviour::answer()}));
  HttpSender::Options options;
  options.max_idle_connections = 3;
  SenderRig rig(options);
  std::vector<std::future<SendResult>> results;
  for (int i = 0; i < 40; ++i) results.push_back(rig.start(request_to(receiver.url())));
  for (auto& result : results) CHECK(SenderRig::get(std::move(result)).outcome == Outcome::kSuccess);
  rig.send(receiver.url());
  const auto deadline = std::chrono::steady_clock::now() + test::kPatience;
  while (receiver.open_connections() > 3 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  CHECK(receiver.open_connections() <= 3);
  CHECK(receiver.open_connections() > 0);
}

TEST_CASE("between requests the loop sleeps") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  for (int i = 0; i < 3; ++i) CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  CHECK(rig.rounds_in(Millis(300)) < 30);
}

}  // namespace
}  // namespace outboxd
