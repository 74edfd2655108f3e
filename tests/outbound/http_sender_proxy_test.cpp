// Through an operator's proxy: forwarded, tunnelled, and both over TLS to the proxy itself.
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

// Opens the tunnel that it is asked for, to a port of this machine.
RawReceiver::Behaviour tunnel_to(std::uint16_t port) {
  return [port](RawReceiver::Connection& connection) {
    if (!connection.read_request()) return;
    connection.send("HTTP/1.1 200 Connection established\r\n\r\n");
    connection.relay(port);
  };
}

std::string address_of(const RawReceiver& receiver) {
  return "127.0.0.1:" + std::to_string(receiver.port());
}

TEST_CASE("a tunnel is asked for once and kept, and TLS in it is verified for the target") {
  const TestCertificate certificate;
  for (const bool tls_to_proxy : {false, true}) {
    CAPTURE(tls_to_proxy);
    RawReceiver receiver(behaviour::answer(), {.certificate = certificate});
    RawReceiver::Options its;
    if (tls_to_proxy) its.certificate = certificate;
    RawReceiver proxy(tunnel_to(receiver.port()), its);
    HttpSender::Options options;
    options.ca_file = certificate.file();
    options.proxy = tls_to_proxy ? "https://user:secret@localhost:" : "http://user:secret@localhost:";
    options.proxy += std::to_string(proxy.port());
    SenderRig rig(options);
    const auto first = rig.send(receiver.url_of("localhost"));
    CHECK(first.error == "");
    CHECK(first.remote_address == address_of(proxy));
    CHECK(first.certificate_expires_at);
    CHECK(first.timings.connect);
    CHECK(first.timings.tls);
    const auto second = rig.send(receiver.url_of("localhost"));
    CHECK(second.error == "");
    CHECK(second.timings.connect == Millis(0));
    REQUIRE(proxy.request_count() == 1);
    const auto asked = proxy.requests()[0];
    CHECK(asked.line() == "CONNECT localhost:" + std::to_string(receiver.port()) + " HTTP/1.1");
    CHECK(asked.header("host") == "localhost:" + std::to_string(receiver.port()));
    CHECK(asked.header("proxy-authorization") == "Basic dXNlcjpzZWNyZXQ=");
    CHECK_FALSE(asked.header("webhook-id"));
    REQUIRE(receiver.request_count() == 2);
    CHECK(receiver.connections() == 1);
    CHECK(receiver.requests()[0].line() == "POST /hook HTTP/1.1");
    CHECK_FALSE(receiver.requests()[0].header("proxy-authorization"));

    CHECK(rig.send(receiver.url_of("127.0.0.1")).error == "certificate is not for this host");
    CHECK(receiver.request_count() == 2);
  }
}

TEST_CASE("plain requests to all hosts share the connections to the proxy, over TLS as well") {
  TestDns dns;
  dns.set("one.test", {"93.184.216.34"});
  dns.set("two.test", {"93.184.216.35"});
  const TestCertificate certificate;
  RawReceiver proxy(behaviour::answer(202), {.certificate = certificate});
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  options.ca_file = certificate.file();
  options.proxy = proxy.url_of("localhost", "");
  auto policy = AddressPolicy::Options{};
  policy.allow_http = true;
  SenderRig rig(options, policy);
  CHECK(rig.send("http://one.test/a").status == 202);
  CHECK(rig.send("http://two.test/b?c").status == 202);
  CHECK(proxy.connections() == 1);
  REQUIRE(proxy.request_count() == 2);
  CHECK(proxy.requests()[0].line() == "POST http://one.test/a HTTP/1.1");
  CHECK(proxy.requests()[1].line() == "POST http://two.test/b?c HTTP/1.1");
  CHECK(proxy.requests()[1].header("host") == "two.test");

  policy.deny_networks = {*Network::parse("93.184.216.35")};
  rig.set_policy(policy);  // the connection is the proxy's, the verdict the target's
  CHECK(rig.send("http://two.test/b?c").outcome == Outcome::kBlocked);
  CHECK(rig.send("http://one.test/a").status == 202);
  CHECK(proxy.connections() == 1);
}

TEST_CASE("an https proxy that is not who it should be is told nothing") {
  const TestCertificate certificate({.host = "other.example"});
  RawReceiver proxy(behaviour::answer(), {.certificate = certificate});
  HttpSender::Options options;
  options.ca_file = certificate.file();
  options.proxy = proxy.url_of("localhost", "");
  SenderRig rig(options);
  for (const char* url : {"http://127.0.0.1:9/", "https://127.0.0.1:9/"}) {
    const auto result = rig.send(url);
    CHECK(result.outcome == Outcome::kTls);
    CHECK(result.error == "proxy: certificate is not for this host");
  }
  CHECK(proxy.request_count() == 0);
}

TEST_CASE("a proxy's answer that opens no tunnel is told, and nothing of the request is sent") {
  const std::pair<std::string, std::string> cases[] = {
      {behaviour::response(403, "no"), "the proxy refused the tunnel with status 403"},
      {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 100000\r\n\r\n",
       "the proxy refused the tunnel with status 407"},
      {"HTTP/1.1 200 OK\r\n\r\nSSH-2.0", "proxy: it sent more than its answer"},
      {"HTTP/1.1 2", "proxy: the connection was closed before the response was complete"},
      {"SSH-2.0-OpenSSH\r\n", "proxy: the response is not HTTP/1"},
  };
  for (const auto& [answer, error] : cases) {
    const std::string shown = answer;
    CAPTURE(shown);
    RawReceiver proxy(behaviour::send_and_close(answer));
    HttpSender::Options options;
    options.proxy = proxy.url("");
    SenderRig rig(options);
    const auto result = rig.send("https://127.0.0.1:9/");
    CHECK(result.outcome == Outcome::kConnect);
    CHECK(result.error == error);
    CHECK_FALSE(result.timings.tls);
  }
}

TEST_CASE("a proxy that says nothing ends with the connect timeout") {
  RawReceiver proxy(behaviour::silence());
  HttpSender::Options options;
  options.proxy = proxy.url("");
  SenderRig rig(options);
  auto request = request_to("https://127.0.0.1:9/");
  request.connect_timeout = Millis(200);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 200ms connecting");
  CHECK(proxy.wait_for_open_connections(0));
}

}  // namespace
}  // namespace outboxd
