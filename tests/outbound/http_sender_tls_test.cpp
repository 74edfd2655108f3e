// TLS: who is trusted, and what people are told when somebody is not.
#include <openssl/ssl.h>

#include <filesystem>

#include "common/clock.h"
#include "outbound/full_listener.h"
#include "outbound/http_sender.h"
#include "outbound/sender_rig.h"
#include "outbound/tls_files.h"
#include "support/temporary_folder.h"

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

TEST_CASE("a result says when the receiver's certificate expires, also on a connection that was kept") {
  const TestCertificate certificate({.last_day = 5});
  RawReceiver receiver(behaviour::answer(), {.certificate = certificate}), plain(behaviour::answer());
  HttpSender::Options options;
  options.ca_file = certificate.file();
  SenderRig rig(options);
  for (int i = 0; i < 2; ++i) {
    const auto result = rig.send(receiver.url_of("localhost"));
    REQUIRE(result.certificate_expires_at);
    const auto left = *result.certificate_expires_at - SystemClock().wall();
    CHECK(left > std::chrono::hours(5 * 24 - 1));
    CHECK(left <= std::chrono::hours(5 * 24));
  }
  CHECK(receiver.connections() == 1);
  CHECK_FALSE(rig.send(plain.url_of("localhost")).certificate_expires_at);
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

SendRequest with_tls(const std::string& url, EndpointTls tls) {
  auto request = request_to(url);
  request.to = std::make_shared<const Destination>(request.to->url, RequestHeaders(),
                                                   std::make_shared<const EndpointTls>(std::move(tls)));
  return request;
}

TEST_CASE("an endpoint's own authority is trusted by its requests alone") {
  const TestCertificate certificate, other;
  RawReceiver receiver(behaviour::answer(), {.certificate = certificate});
  const std::string url = receiver.url_of("localhost");
  SenderRig rig;
  CHECK(rig.send(with_tls(url, {.ca_file = certificate.file()})).outcome == Outcome::kSuccess);
  // The connection is still open, and not theirs.
  CHECK(rig.send(url).error == "self-signed certificate");
  CHECK(rig.send(with_tls(url, {.ca_file = other.file()})).outcome == Outcome::kTls);
  CHECK(rig.send(with_tls(url, {.ca_file = certificate.file()})).outcome == Outcome::kSuccess);
  REQUIRE(receiver.request_count() == 2);
  CHECK(receiver.requests()[1].connection == 1);
}

TEST_CASE("requests with different client certificates share neither connection nor session") {
  const TestCertificate certificate, alice({.host = "alice"}), bob({.host = "bob"});
  RawReceiver receiver(behaviour::answer(), {.certificate = certificate, .clients = {alice, bob}});
  const std::string url = receiver.url_of("localhost");
  const auto as = [&](const TestCertificate& client) {
    return with_tls(url, {certificate.file(), client.file(), client.key_file()});
  };
  SenderRig rig;
  for (int round = 0; round < 2; ++round) {
    CHECK(rig.send(as(alice)).outcome == Outcome::kSuccess);
    CHECK(rig.send(as(bob)).outcome == Outcome::kSuccess);
  }
  const auto requests = receiver.requests();
  REQUIRE(requests.size() == 4);
  CHECK(requests[0].client == "alice");
  CHECK(requests[1].client == "bob");
  CHECK(requests[2].client == "alice");
  CHECK(requests[3].client == "bob");
  CHECK(receiver.connections() == 2);
  const auto nobody = rig.send(with_tls(url, {.ca_file = certificate.file()}));
  CHECK(nobody.outcome == Outcome::kTls);
  CHECK(nobody.error == "the other side ended TLS: certificate required");
}

TEST_CASE("a new connection takes up the TLS session of an earlier one, by the same credentials only") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const TestCertificate certificate({.min_tls_version = version, .max_tls_version = version});
    const TestCertificate alice({.host = "alice"}), bob({.host = "bob"});
    RawReceiver receiver(behaviour::send_and_close(behaviour::response(200, "", {"Connection: close"})),
                         {.certificate = certificate, .clients = {alice, bob}});
    SenderRig rig;
    for (const TestCertificate& client : {alice, bob, alice, bob}) {
      CHECK(rig.send(with_tls(receiver.url_of("localhost"),
                              {certificate.file(), client.file(), client.key_file()}))
                .outcome == Outcome::kSuccess);
    }
    const auto requests = receiver.requests();
    REQUIRE(requests.size() == 4);
    CHECK_FALSE(requests[0].resumed);
    CHECK_FALSE(requests[1].resumed);
    CHECK(requests[1].client == "bob");
    CHECK(requests[2].resumed);
    CHECK(requests[2].client == "alice");
    CHECK(requests[3].resumed);
    CHECK(requests[3].client == "bob");
  }
}

TEST_CASE("TLS files that cannot be used end the request with the member, the file and the reason") {
  const TestCertificate one, two, expired({.first_day = -9, .last_day = -1});
  RawReceiver receiver(behaviour::answer(), {.certificate = one});
  SenderRig rig;
  const auto error_of = [&](const EndpointTls& tls) {
    const auto result = rig.send(with_tls(receiver.url_of("localhost"), tls));
    CHECK(result.outcome == Outcome::kTls);
    return result.error;
  };
  CHECK(error_of({.ca_file = "/nowhere/ca.pem"}) ==
        "tls.ca_file: /nowhere/ca.pem: cannot be read: No such file or directory");
  CHECK(error_of({.ca_file = "/tmp"}) == "tls.ca_file: /tmp: is not a regular file of at most 1 MiB");
  CHECK(error_of({.ca_file = one.key_file()}) ==
        "tls.ca_file: " + one.key_file() + ": holds no certificate in PEM");
  CHECK(error_of({"", one.key_file(), one.key_file()}) ==
        "tls.client_cert: " + one.key_file() + ": holds no certificate in PEM");
  CHECK(error_of({"", one.file(), one.file()}) ==
        "tls.client_key: " + one.file() + ": holds no private key in PEM");
  CHECK(error_of({"", one.file(), two.key_file()}) ==
        "tls.client_key: " + two.key_file() + ": does not belong to tls.client_cert");
  CHECK(error_of({"", one.file(), one.key_file("secret")}).find("is encrypted") != std::string::npos);
  CHECK(error_of({"", expired.file(), expired.key_file()}) ==
        "tls.client_cert: " + expired.file() + ": has expired");
  CHECK(error_of({.ca_file = "credential:ca"}).find("CREDENTIALS_DIRECTORY") != std::string::npos);
  CHECK(receiver.connections() == 0);
}

TEST_CASE("a replaced TLS file is noticed within ten seconds, and a broken one until it is mended") {
  const TestCertificate one, two;
  const test::TemporaryFolder folder;
  const auto put = [&](const std::string& from) {
    std::filesystem::copy_file(from, folder / "ca.pem", std::filesystem::copy_options::overwrite_existing);
  };
  const EndpointTls tls{.ca_file = folder / "ca.pem"};
  TlsFiles files;
  const MonotonicTime start{};
  put(one.file());
  const auto first = files.find(tls, start);
  REQUIRE(first);
  put(two.file());
  CHECK(files.find(tls, start + std::chrono::seconds(9)).value() == *first);
  const auto second = files.find(tls, start + std::chrono::seconds(10));
  REQUIRE(second);
  CHECK((*second)->ca != (*first)->ca);
  std::filesystem::remove(folder / "ca.pem");
  CHECK_FALSE(files.find(tls, start + std::chrono::seconds(20)));
  put(one.file());
  CHECK(files.find(tls, start + std::chrono::seconds(30)).value()->ca == (*first)->ca);
}

TEST_CASE("connections that fail in every stage leave those that share the loop with them alone") {
  // The numbers of their sockets are used again at once.
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
