// TLS: who is trusted, and what people are told when somebody is not.
#include <openssl/ssl.h>

#include "outbound/full_listener.h"
#include "outbound/http_sender.h"
#include "outbound/sender_rig.h"

namespace outboxd {
namespace {

using test::RawReceiver;
using test::request_to;
using test::SenderRig;
using test::TestCertificate;
namespace behaviour = test::behaviour;

SendResult send_over_tls(const TestCertificate& certificate, bool trusted,
                         std::string_view host = "localhost") {
  RawReceiver receiver(behaviour::answer(), {.certificate = certificate});
  HttpSender::Options options;
  if (trusted) options.ca_file = certificate.file();
  SenderRig rig(options);
  return rig.send(receiver.url_of(host));
}

TEST_CASE("a trusted certificate is accepted, and the connection reused") {
  const TestCertificate certificate;
  RawReceiver receiver(behaviour::answer(200, "secret"), {.certificate = certificate});
  HttpSender::Options options;
  options.ca_file = certificate.file();
  SenderRig rig(options);
  const auto first = rig.send(receiver.url_of("localhost"));
  CHECK(first.outcome == Outcome::kSuccess);
  CHECK(first.error == "");
  CHECK(first.timings.tls);
  const auto second = rig.send(receiver.url_of("localhost"));
  CHECK(second.outcome == Outcome::kSuccess);
  CHECK(second.timings.tls == Millis(0));
  CHECK(receiver.connections() == 1);
}

TEST_CASE("a certificate that cannot be trusted is refused with the reason, and nothing is sent") {
  const auto unknown = send_over_tls(TestCertificate(), false);
  CHECK(unknown.outcome == Outcome::kTls);
  CHECK(unknown.error == "self-signed certificate");
  const auto expired = send_over_tls(TestCertificate({.first_day = -10, .last_day = -1}), true);
  CHECK(expired.outcome == Outcome::kTls);
  CHECK(expired.error == "certificate has expired");
  const auto other = send_over_tls(TestCertificate({.host = "other.example"}), true);
  CHECK(other.outcome == Outcome::kTls);
  CHECK(other.error == "certificate is not for this host");
  CHECK(other.timings.connect);
  CHECK_FALSE(other.timings.first_byte);
}

TEST_CASE("an address in the URL must be in the certificate") {
  CHECK(send_over_tls(TestCertificate({.host = "127.0.0.1"}), true, "127.0.0.1").outcome ==
        Outcome::kSuccess);
  CHECK(send_over_tls(TestCertificate(), true, "127.0.0.1").outcome == Outcome::kTls);
}

TEST_CASE("TLS before 1.2 is refused") {
  CHECK(send_over_tls(TestCertificate({.max_tls_version = TLS1_1_VERSION}), true).outcome == Outcome::kTls);
  CHECK(send_over_tls(TestCertificate({.max_tls_version = TLS1_2_VERSION}), true).outcome ==
        Outcome::kSuccess);
  CHECK(send_over_tls(TestCertificate({.min_tls_version = TLS1_3_VERSION}), true).outcome ==
        Outcome::kSuccess);
}

TEST_CASE("a receiver that speaks no TLS is a TLS failure") {
  RawReceiver receiver([](RawReceiver::Connection& connection) {
    connection.send("220 mail.example ESMTP\r\n");
    connection.wait_for_hangup();
  });
  SenderRig rig;
  const auto result = rig.send("https://127.0.0.1:" + std::to_string(receiver.port()) + "/");
  CHECK(result.outcome == Outcome::kTls);
  CHECK(result.error == "TLS handshake: wrong version number");
}

TEST_CASE("a TLS handshake that hangs ends with the connect timeout") {
  RawReceiver receiver([](RawReceiver::Connection& connection) { connection.wait_for_hangup(); });
  SenderRig rig;
  auto request = request_to("https://127.0.0.1:" + std::to_string(receiver.port()) + "/");
  request.connect_timeout = Millis(200);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 200ms in the TLS handshake");
}

TEST_CASE("connections that fail in every stage leave those that share the loop with them alone") {
  // libcurl closes such sockets by itself, and their numbers are used again at once.
  RawReceiver untrusted(behaviour::answer(), {.certificate = TestCertificate()});
  RawReceiver hanging([](RawReceiver::Connection& connection) { connection.wait_for_hangup(); });
  RawReceiver healthy(behaviour::answer());
  const test::FullListener full;
  SenderRig rig;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::pair<Outcome, std::future<SendResult>>> results;
    for (int i = 0; i < 5; ++i) {
      auto never = request_to("http://127.0.0.1:" + std::to_string(full.port()) + "/");
      auto stuck = request_to("https://127.0.0.1:" + std::to_string(hanging.port()) + "/");
      never.connect_timeout = stuck.connect_timeout = Millis(50 + 10 * i);
      results.emplace_back(Outcome::kTimeout, rig.start(std::move(never)));
      results.emplace_back(Outcome::kTls, rig.start(request_to(untrusted.url())));
      results.emplace_back(Outcome::kTimeout, rig.start(std::move(stuck)));
      results.emplace_back(Outcome::kSuccess, rig.start(request_to(healthy.url())));
    }
    for (auto& [expected, result] : results) CHECK(SenderRig::get(std::move(result)).outcome == expected);
  }
}

}  // namespace
}  // namespace outboxd
