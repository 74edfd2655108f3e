// The TLS handshake: who is trusted, what is offered, and what is told of a failure.
#include "outbound/tls_stream.h"

#include <cstdlib>

#include "outbound/tls_rig.h"

namespace outboxd {
namespace {

using test::Connected;
using test::context_of;
using test::identity_of;
using test::kVersions;
using test::read_all;
using test::ServerSettings;
using test::SocketPair;
using test::Step;
using test::TestCertificate;
using test::trusting;

std::string handshake_error(const TestCertificate& shown, const TlsIdentity& identity,
                            std::string_view host = "localhost") {
  std::string error;
  for (const int version : kVersions) {
    CAPTURE(version);
    const Connected connected(ServerSettings(shown, {.version = version}), context_of(identity), host);
    CHECK((connected.step == Step::kFailed) == !connected.client.error().empty());
    if (version != kVersions.front()) CHECK(connected.client.error() == error);
    error = connected.client.error();
  }
  return error;
}

TEST_CASE("a certificate is refused with the reason, and nothing is sent after that") {
  const TestCertificate good, other({.host = "other.example"});
  CHECK(handshake_error(good, trusting(good)) == "");
  CHECK(handshake_error(good, trusting(other)) == "self-signed certificate");
  CHECK(handshake_error(other, trusting(other)) == "certificate is not for this host");
  const TestCertificate expired({.first_day = -9, .last_day = -1}), early({.first_day = 2});
  CHECK(handshake_error(expired, trusting(expired)) == "certificate has expired");
  CHECK(handshake_error(early, trusting(early)) == "certificate is not yet valid");

  Connected c(ServerSettings(other), context_of(trusting(other)));
  REQUIRE(c.step == Step::kFailed);
  c.server.shake_hands();
  CHECK(c.server.failed());
  CHECK(c.client.write("secret", 6).step == Step::kFailed);
  CHECK(c.server.read() == "");
}

TEST_CASE("nobody is trusted but the authorities that are set, whatever the environment says") {
  const TestCertificate certificate;
  setenv("SSL_CERT_FILE", certificate.file().c_str(), 1);
  TlsContexts system(""), own(certificate.file());
  const auto by_system = system.find(nullptr, MonotonicTime{});
  unsetenv("SSL_CERT_FILE");
  REQUIRE(by_system);
  const ServerSettings settings(certificate);
  CHECK(Connected(settings, *by_system).client.error() == "self-signed certificate");
  CHECK(Connected(settings, *own.find(nullptr, MonotonicTime{})).step == Step::kDone);
  // An identity without authorities of its own trusts the default ones; its own replace them.
  const TestCertificate other;
  const TlsIdentity client = identity_of({"", other.file(), other.key_file()});
  CHECK(Connected(settings, *own.find(&client, MonotonicTime{})).step == Step::kDone);
  const TlsIdentity others = trusting(other);
  CHECK(Connected(settings, *own.find(&others, MonotonicTime{})).client.error() == "self-signed certificate");
}

TEST_CASE("an intermediate authority can be trusted without its root") {
  const auto root = std::make_shared<const TestCertificate>(TestCertificate::Options{.host = "root.example"});
  const auto intermediate = std::make_shared<const TestCertificate>(
      TestCertificate::Options{.host = "intermediate.example", .issuer = root});
  const TestCertificate leaf({.issuer = intermediate});
  CHECK(handshake_error(leaf, trusting(*intermediate)) == "");
  TlsContexts by_default(intermediate->file());
  CHECK(Connected(ServerSettings(leaf), *by_default.find(nullptr, MonotonicTime{})).step == Step::kDone);
  CHECK(handshake_error(leaf, trusting(leaf)) == "");  // pinned
  CHECK(handshake_error(leaf, trusting(*root)) == "unable to get local issuer certificate");
}

TEST_CASE("an address is looked for among the certificate's addresses, a name among its names") {
  const TestCertificate address({.host = "127.0.0.1"}), name;
  CHECK(handshake_error(address, trusting(address), "127.0.0.1") == "");
  CHECK(handshake_error(address, trusting(address), "127.0.0.2") == "certificate is not for this host");
  CHECK(handshake_error(name, trusting(name), "127.0.0.1") == "certificate is not for this host");
  CHECK(handshake_error(address, trusting(address), "localhost") == "certificate is not for this host");
  CHECK(handshake_error(name, trusting(name), "::1") == "certificate is not for this host");
}

TEST_CASE("a wildcard stands for one whole label") {
  const TestCertificate whole({.host = "*.hooks.test"}), part({.host = "w*.hooks.test"});
  CHECK(handshake_error(whole, trusting(whole), "www.hooks.test") == "");
  CHECK(handshake_error(whole, trusting(whole), "a.b.hooks.test") == "certificate is not for this host");
  CHECK(handshake_error(whole, trusting(whole), "hooks.test") == "certificate is not for this host");
  CHECK(handshake_error(part, trusting(part), "www.hooks.test") == "certificate is not for this host");
}

TEST_CASE("a name is told to the server before the handshake, an address is not") {
  const TestCertificate certificate;
  const auto told = [&](std::string_view host) {
    const Connected c(ServerSettings(certificate), context_of(trusting(certificate)), host);
    const char* name = SSL_get_servername(c.server.ssl(), TLSEXT_NAMETYPE_host_name);
    return std::string(name != nullptr ? name : "none");
  };
  CHECK(told("localhost") == "localhost");
  CHECK(told("hooks.test") == "hooks.test");
  CHECK(told("127.0.0.1") == "none");
  CHECK(told("::1") == "none");
}

TEST_CASE("HTTP/1.1 and nothing else is offered") {
  const TestCertificate certificate;
  const ServerSettings settings(certificate);
  std::string offered;
  SSL_CTX_set_alpn_select_cb(
      settings.context(),
      [](SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offer, unsigned length,
         void* seen) {
        static_cast<std::string*>(seen)->assign(reinterpret_cast<const char*>(offer), length);
        *chosen = offer + 1;
        *size = *offer;
        return SSL_TLSEXT_ERR_OK;
      },
      &offered);
  CHECK(Connected(settings, context_of(trusting(certificate))).step == Step::kDone);
  CHECK(offered == "\x08http/1.1");
}

TEST_CASE("TLS before 1.2 is not spoken, whatever the system's configuration of OpenSSL says") {
  const TestCertificate certificate;
  CHECK(SSL_CTX_get_min_proto_version(context_of(trusting(certificate))->openssl.get()) == TLS1_2_VERSION);
  const Connected c(ServerSettings(certificate, {.version = TLS1_1_VERSION}),
                    context_of(trusting(certificate)));
  CHECK(c.step == Step::kFailed);
}

TEST_CASE("a client certificate is shown to who wants it, and a refusal is told as the server tells it") {
  const TestCertificate certificate, alice({.host = "alice"}), stranger({.host = "stranger"});
  const auto as = [&](const TestCertificate& client) {
    return context_of(identity_of({certificate.file(), client.file(), client.key_file()}));
  };
  for (const int version : kVersions) {
    CAPTURE(version);
    const ServerSettings settings(certificate, {.version = version, .clients = {alice}});
    const auto outcome = [&](const std::shared_ptr<TlsContext>& context) {
      Connected c(settings, context);
      Step last = c.step;
      // In TLS 1.3 the client is done before the server has seen its certificate.
      if (last == Step::kDone) read_all(c.client, last);
      CHECK((last == Step::kFailed) == c.server.failed());
      return last == Step::kFailed ? c.client.error() : "";
    };
    CHECK(outcome(as(alice)) == "");
    CHECK(outcome(as(stranger)) == "the other side ended TLS: unknown ca");
    CHECK(outcome(context_of(trusting(certificate))) ==
          (version == TLS1_2_VERSION ? "the other side ended TLS: handshake failure"
                                     : "the other side ended TLS: certificate required"));
  }
}

TEST_CASE("what does not speak TLS fails the handshake") {
  const auto error_after = [](std::string_view bytes, bool hang_up) {
    const TestCertificate certificate;
    SocketPair sockets;
    TlsStream client(context_of(trusting(certificate)), "localhost", 443, sockets.client);
    CHECK(client.handshake() == Step::kWantRead);
    REQUIRE(send(sockets.server, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    std::array<char, 4096> hello;
    CHECK(recv(sockets.server, hello.data(), hello.size(), 0) > 0);
    if (hang_up) sockets.hang_up();
    CHECK(client.handshake() == Step::kFailed);
    return client.error();
  };
  CHECK(error_after("220 mail.example ESMTP\r\n", false) == "TLS handshake: wrong version number");
  CHECK(error_after("HTTP/1.1 400 Bad Request\r\n\r\n", false) == "TLS handshake: wrong version number");
  CHECK(error_after(std::string(300, '\0'), false) == "TLS handshake: wrong version number");
  CHECK(error_after(std::string("\x16\x03\x03\xff\xff") + std::string(70'000, 'x'), false) ==
        "TLS handshake: packet length too long");
  CHECK(error_after("", true) == "TLS handshake: the other side closed the connection");
  CHECK(error_after(std::string("\x16\x03\x03\x00\x20half", 9), true) ==
        "TLS handshake: the other side closed the connection");
  CHECK(error_after(std::string("\x15\x03\x03\x00\x02\x02\x50", 7), false) ==
        "the other side ended TLS: internal error");
}

TEST_CASE("a connection that breaks in the handshake is a TLS failure with the system's reason") {
  const TestCertificate certificate;
  SocketPair sockets;
  TlsStream client(context_of(trusting(certificate)), "localhost", 443, sockets.client);
  CHECK(client.handshake() == Step::kWantRead);
  sockets.hang_up();  // with the hello unread: a reset
  CHECK(client.handshake() == Step::kFailed);
  CHECK(client.error() == "TLS handshake: Connection reset by peer");
}

TEST_CASE("a server that wants to renegotiate is refused") {
  const TestCertificate certificate;
  Connected c(ServerSettings(certificate, {.version = TLS1_2_VERSION}), context_of(trusting(certificate)));
  REQUIRE(SSL_renegotiate(c.server.ssl()) == 1);
  REQUIRE(SSL_do_handshake(c.server.ssl()) == 1);
  Step last{};
  CHECK(read_all(c.client, last) == "");
  CHECK(last == Step::kWantRead);
  CHECK(c.server.read() == "");
  CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_NO_RENEGOTIATION);
}

TEST_CASE("no key exchange over finite fields is offered, because a server could make it hold up the loop") {
  const TestCertificate certificate({.rsa_bits = 2048});
  const auto error_of = [&](const ServerSettings& settings) {
    return Connected(settings, context_of(trusting(certificate))).client.error();
  };
  const ServerSettings old(certificate, {.version = TLS1_2_VERSION}), recent(certificate);
  SSL_CTX_set_dh_auto(old.context(), 1);
  REQUIRE(SSL_CTX_set_cipher_list(old.context(), "DHE-RSA-AES128-GCM-SHA256:AES128-GCM-SHA256") == 1);
  CHECK(error_of(old) == "");
  REQUIRE(SSL_CTX_set_cipher_list(old.context(), "DHE-RSA-AES128-GCM-SHA256") == 1);
  CHECK(error_of(old) == "the other side ended TLS: handshake failure");
  REQUIRE(SSL_CTX_set1_groups_list(recent.context(), "ffdhe8192") == 1);
  CHECK(error_of(recent) == "the other side ended TLS: handshake failure");
}

}  // namespace
}  // namespace outboxd
