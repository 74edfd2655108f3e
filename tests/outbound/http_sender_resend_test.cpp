// One request on the wire for each send, one more only where a kept connection ended without a byte; and what a result
// says of the way it went.
#include "outbound/http_sender.h"
#include "outbound/sender_rig.h"
#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::RawReceiver;
using test::request_to;
using test::SenderRig;
namespace behaviour = test::behaviour;

constexpr std::string_view kPoison = "poison";

// Answers 200, but to the body kPoison does what `fatal` does with the connection, and ends it.
RawReceiver::Behaviour killed_by_poison(std::function<void(RawReceiver::Connection&)> fatal = {}) {
  return [fatal = std::move(fatal)](RawReceiver::Connection& connection) {
    while (const auto request = connection.read_request()) {
      if (request->body == kPoison) {
        if (fatal) fatal(connection);
        return;
      }
      connection.send(behaviour::response(200));
    }
  };
}

std::string address_of(const RawReceiver& receiver) {
  return "127.0.0.1:" + std::to_string(receiver.port());
}

SendRequest poison_to(const RawReceiver& receiver) {
  return request_to(receiver.url(), std::string(kPoison));
}

}  // namespace

TEST_CASE(
    "a request that kills its connection is sent twice and no more, however many connections are kept") {
  constexpr int kKept = 5;
  std::promise<void> all_there;
  RawReceiver receiver([ready = all_there.get_future().share()](RawReceiver::Connection& connection) {
    if (!connection.read_request()) return;
    ready.wait();
    connection.send(behaviour::response(200));
    killed_by_poison()(connection);
  });
  SenderRig rig;
  std::vector<std::future<SendResult>> first;
  first.reserve(kKept);
  for (int i = 0; i < kKept; ++i) first.push_back(rig.start(request_to(receiver.url())));
  REQUIRE(receiver.wait_for_requests(kKept));
  receiver.behave(killed_by_poison());
  all_there.set_value();
  for (auto& result : first) CHECK(SenderRig::get(std::move(result)).outcome == Outcome::kSuccess);
  REQUIRE(receiver.open_connections() == kKept);

  const auto result = rig.send(poison_to(receiver));
  CHECK(result.outcome == Outcome::kProtocol);
  CHECK(result.resent);
  CHECK(result.remote_address == address_of(receiver));
  CHECK(receiver.request_count() == kKept + 2);
  CHECK(receiver.connections() == kKept + 1);
  CHECK(receiver.wait_for_open_connections(kKept - 1));  // those that had no part in it are kept

  const auto next = rig.send(receiver.url());
  CHECK(next.outcome == Outcome::kSuccess);
  CHECK_FALSE(next.resent);
  CHECK(receiver.connections() == kKept + 1);
}

TEST_CASE("a request on a kept connection that the receiver was just ending is sent again, and says so") {
  for (const bool hard : {false, true}) {
    CAPTURE(hard);
    RawReceiver receiver(behaviour::in_turn({[&](RawReceiver::Connection& connection) {
                                               connection.read_request();
                                               connection.send(behaviour::response(200));
                                               connection.read_request();
                                               if (hard) connection.reset();
                                             },
                                             behaviour::answer(201)}));
    SenderRig rig;
    CHECK_FALSE(rig.send(receiver.url()).resent);
    const auto second = rig.send(receiver.url());
    CHECK(second.status == 201);
    CHECK(second.resent);
    CHECK(second.timings.connect);  // of the second connection
    CHECK(receiver.request_count() == 3);
    CHECK_FALSE(rig.send(receiver.url()).resent);  // of the request, not of the handle that sent it
    CHECK(receiver.request_count() == 4);
  }
}

TEST_CASE("a request that got a part of an answer is not sent again") {
  for (const char* part : {"HT", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n",
                           "HTTP/1.1 100 Continue\r\n\r\n"}) {
    for (const bool hard : {false, true}) {
      CAPTURE(part);
      CAPTURE(hard);
      RawReceiver receiver(killed_by_poison([&](RawReceiver::Connection& connection) {
        connection.send(part);
        connection.pause(test::Wait(20));
        if (hard) connection.reset();
      }));
      SenderRig rig;
      CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
      const auto result = rig.send(poison_to(receiver));
      CHECK(result.outcome == Outcome::kProtocol);
      CHECK_FALSE(result.resent);
      CHECK(receiver.request_count() == 2);
    }
  }
}

TEST_CASE("a request on a connection of its own is never sent again") {
  RawReceiver receiver(killed_by_poison());
  SenderRig rig;
  CHECK_FALSE(rig.send(poison_to(receiver)).resent);
  CHECK(receiver.request_count() == 1);
}

TEST_CASE("over TLS too a request is sent again only when nothing of an answer came") {
  const auto certificate = test::TestCertificate();
  const std::pair<const char*, bool> cases[] = {{"", true}, {"HTTP/1.1 200", false}};
  for (const auto& [part, again] : cases) {
    const auto& shown = part;
    CAPTURE(shown);
    RawReceiver receiver(killed_by_poison([part = part](RawReceiver::Connection& connection) {
                           if (*part != '\0') connection.send(part);
                         }),
                         {.certificate = certificate});
    HttpSender::Options options;
    options.ca_file = certificate.file();
    SenderRig rig(options);
    CHECK(rig.send(receiver.url_of("localhost")).outcome == Outcome::kSuccess);
    const auto result = rig.send(request_to(receiver.url_of("localhost"), std::string(kPoison)));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK(result.resent == again);
    CHECK(receiver.request_count() == (again ? 3 : 2));
  }
}

TEST_CASE("a part of a TLS record is a part of an answer, too") {
  const test::TestCertificate certificate;
  // The beginning of a record of 400 bytes, which a response may be in.
  const std::string part = std::string("\x17\x03\x03\x01\x90", 5) + std::string(100, 'x');
  for (const bool hard : {false, true}) {
    CAPTURE(hard);
    RawReceiver receiver(killed_by_poison([&](RawReceiver::Connection& connection) {
                           connection.send_below_tls(part);
                           connection.pause(test::Wait(20));
                           if (hard) connection.reset();
                         }),
                         {.certificate = certificate});
    HttpSender::Options options;
    options.ca_file = certificate.file();
    SenderRig rig(options);
    CHECK(rig.send(receiver.url_of("localhost")).outcome == Outcome::kSuccess);
    const auto result = rig.send(request_to(receiver.url_of("localhost"), std::string(kPoison)));
    CHECK(result.outcome == Outcome::kProtocol);
    CHECK_FALSE(result.resent);
    CHECK(receiver.request_count() == 2);
  }
}

TEST_CASE("the second send asks the address policy, as it is then") {
  std::promise<void> taken, forbidden;
  RawReceiver receiver(killed_by_poison([&](RawReceiver::Connection&) {
    taken.set_value();
    forbidden.get_future().wait();
  }));
  SenderRig rig;
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  auto result = rig.start(poison_to(receiver));
  taken.get_future().wait();
  rig.set_policy({});
  forbidden.set_value();
  const auto blocked = SenderRig::get(std::move(result));
  CHECK(blocked.outcome == Outcome::kBlocked);
  CHECK(blocked.error == kUrlNotAllowed);
  CHECK_FALSE(blocked.resent);
  CHECK(receiver.request_count() == 2);
  CHECK(receiver.connections() == 1);
}

TEST_CASE("a second send that cannot connect is no second request, and the result tells both") {
  test::TestDns dns;
  dns.set("moves.test", {"127.0.0.1"});
  // Before the connection ends the name moves to where nobody listens.
  RawReceiver receiver(
      killed_by_poison([&](RawReceiver::Connection&) { dns.set("moves.test", {"127.0.0.9"}); }));
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  options.dns_cache = Millis(0);
  SenderRig rig(options);
  CHECK(rig.send(receiver.url_of("moves.test")).outcome == Outcome::kSuccess);
  const auto result = rig.send(request_to(receiver.url_of("moves.test"), std::string(kPoison)));
  CHECK(result.outcome == Outcome::kConnect);
  CHECK(result.error == "the connection ended before a response, and then: connection refused");
  CHECK_FALSE(result.resent);
  CHECK(result.remote_address == address_of(receiver));
  CHECK(receiver.request_count() == 2);
}

TEST_CASE("a result names the address that was connected to, or none") {
  RawReceiver receiver(behaviour::answer());
  test::TestDns dns;
  dns.set("hooks.test", {"127.0.0.1"});
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  SenderRig rig(options);
  for (int i = 0; i < 2; ++i)  // the second one on the kept connection
    CHECK(rig.send(receiver.url_of("hooks.test")).remote_address == address_of(receiver));
  std::string closed;
  {
    const RawReceiver gone(behaviour::answer());
    closed = gone.url();
  }
  CHECK(rig.send(closed).remote_address == "");
  CHECK(rig.send(receiver.url_of("nowhere.test")).remote_address == "");
  rig.set_policy({});  // also where a connection is open
  CHECK(rig.send(receiver.url()).remote_address == "");

  RawReceiver proxy(behaviour::answer());
  HttpSender::Options through;
  through.proxy = proxy.url("");
  SenderRig proxied(through);
  CHECK(proxied.send(receiver.url()).remote_address == address_of(proxy));
}

TEST_CASE("a failed TLS handshake names its address") {
  RawReceiver receiver(behaviour::answer(), {.certificate = test::TestCertificate()});
  SenderRig rig;  // which does not know that certificate
  const auto result = rig.send(receiver.url());
  CHECK(result.outcome == Outcome::kTls);
  CHECK(result.remote_address == address_of(receiver));
}

TEST_CASE("what a result's receiver sends while requests are being started goes out") {
  RawReceiver receiver(behaviour::answer());
  SenderRig rig;
  std::promise<SendResult> last;
  rig.on_loop([&] {
    // Refused at once, by its URL; the flush below tells that.
    rig.sender().send(request_to("http://10.0.0.1/"), [&](const SendResult&) {
      rig.sender().send(request_to(receiver.url()),
                        [&](SendResult result) { last.set_value(std::move(result)); });
    });
    rig.sender().flush();
  });
  CHECK(SenderRig::get(last.get_future()).outcome == Outcome::kSuccess);
}

}  // namespace outboxd
