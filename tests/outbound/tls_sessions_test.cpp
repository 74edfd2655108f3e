// What TLS connections share: contexts by identity, and the sessions that a later connection may resume.
#include "outbound/tls_sessions.h"

#include <filesystem>
#include <optional>

#include "outbound/tls_rig.h"
#include "support/temporary_folder.h"

namespace outboxd {
namespace {

using test::identity_of;
using test::read_all;
using test::ServerEnd;
using test::ServerSettings;
using test::shake_hands;
using test::SocketPair;
using test::Step;
using test::TestCertificate;

enum class End { kCloseNotify, kCut };

// Whether a connection with this context resumed an earlier one's session; its own tickets are read.
bool resumes(const ServerSettings& settings, const std::shared_ptr<TlsContext>& context,
             std::string_view host = "localhost", std::uint16_t port = 443, End end = End::kCloseNotify) {
  SocketPair sockets;
  ServerEnd server(settings, sockets.server);
  TlsStream client(context, host, port, sockets.client);
  REQUIRE(shake_hands(client, server) == Step::kDone);
  REQUIRE(server.write("answer"));
  if (end == End::kCut) sockets.hang_up();
  Step last{};
  CHECK(read_all(client, last) == "answer");
  if (end == End::kCloseNotify) client.close_notify();
  CHECK(client.certificate_expires_at());
  return client.resumed();
}

TEST_CASE(
    "a session is resumed by a connection to the same host and port by the same identity, and no other") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const TestCertificate certificate, alice({.host = "alice"}), bob({.host = "bob"});
    const ServerSettings settings(certificate, {.version = version, .clients = {alice, bob}});
    TlsContexts contexts("");
    const auto as = [&](const TestCertificate& client) {
      const TlsIdentity identity = identity_of({certificate.file(), client.file(), client.key_file()});
      return *contexts.find(&identity, MonotonicTime{});
    };
    CHECK_FALSE(resumes(settings, as(alice)));
    CHECK(resumes(settings, as(alice)));
    CHECK_FALSE(resumes(settings, as(bob)));
    CHECK(resumes(settings, as(bob)));
    CHECK(resumes(settings, as(alice)));
    CHECK_FALSE(resumes(settings, as(alice), "localhost", 444));
  }
}

TEST_CASE("a session is not found under another name of the same certificate") {
  const TestCertificate certificate({.host = "*.hooks.test"});
  const ServerSettings settings(certificate);
  TlsContexts contexts(certificate.file());
  const auto context = *contexts.find(nullptr, MonotonicTime{});
  CHECK_FALSE(resumes(settings, context, "a.hooks.test"));
  CHECK_FALSE(resumes(settings, context, "b.hooks.test"));
  CHECK(resumes(settings, context, "a.hooks.test"));
}

TEST_CASE("a session outlives a connection that was just cut, as many servers cut it") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const TestCertificate certificate;
    const ServerSettings settings(certificate, {.version = version, .tickets = 1});
    TlsContexts contexts(certificate.file());
    const auto context = *contexts.find(nullptr, MonotonicTime{});
    CHECK_FALSE(resumes(settings, context, "localhost", 443, End::kCut));
    CHECK(resumes(settings, context, "localhost", 443, End::kCut));
    CHECK(resumes(settings, context, "localhost", 443, End::kCut));
  }
}

TEST_CASE("a ticket of TLS 1.3 is used once") {
  const TestCertificate certificate;
  const ServerSettings settings(certificate, {.tickets = 1});
  TlsContexts contexts(certificate.file());
  const auto context = *contexts.find(nullptr, MonotonicTime{});
  CHECK_FALSE(resumes(settings, context));
  REQUIRE(context->sessions->size() == 1);
  const SocketPair one, two;
  ServerEnd first_server(settings, one.server), second_server(settings, two.server);
  TlsStream first(context, "localhost", 443, one.client), second(context, "localhost", 443, two.client);
  CHECK(shake_hands(first, first_server) == Step::kDone);
  CHECK(shake_hands(second, second_server) == Step::kDone);
  CHECK(first.resumed());
  CHECK_FALSE(second.resumed());
}

TlsSession session_of(int version) {
  TlsSession session(SSL_SESSION_new());
  SSL_SESSION_set_protocol_version(session.get(), version);
  SSL_SESSION_set1_id(session.get(), reinterpret_cast<const unsigned char*>("id"), 2);
  return session;
}

TEST_CASE("sessions are bounded for each host and in total, and the hosts not used for longest go first") {
  TlsSessions sessions(10);
  for (int i = 0; i < 20; ++i) sessions.put("busy", session_of(TLS1_3_VERSION));
  CHECK(sessions.size() == TlsSessions::kMaxPerHost);
  for (int i = 0; i < 6; ++i) sessions.put("host " + std::to_string(i), session_of(TLS1_2_VERSION));
  CHECK(sessions.size() == 10);
  CHECK(sessions.take("host 0"));
  sessions.put("busy", session_of(TLS1_3_VERSION));
  sessions.put("new", session_of(TLS1_2_VERSION));
  CHECK(sessions.size() == 10);
  CHECK_FALSE(sessions.take("host 0"));
  CHECK(sessions.take("host 1"));
  for (std::size_t i = 0; i < TlsSessions::kMaxPerHost; ++i) CHECK(sessions.take("busy"));
  CHECK_FALSE(sessions.take("busy"));
  CHECK(sessions.take("new"));
  CHECK(sessions.take("new"));
  CHECK(sessions.size() == 6);
}

TEST_CASE("contexts are bounded, and the one not used for longest goes first") {
  const TestCertificate certificate;
  TlsContexts contexts(certificate.file());
  MonotonicTime now{};
  const auto find = [&](std::size_t i) {
    TlsIdentity identity;
    identity.digest = std::to_string(i);
    return (*contexts.find(&identity, now))->serial;
  };
  for (std::size_t i = 0; i < TlsContexts::kMaxContexts; ++i) {
    now += Millis(1);
    CHECK(find(i) == i + 1);
  }
  CHECK(find(0) == 1);
  now += Millis(1);
  CHECK(find(TlsContexts::kMaxContexts) == TlsContexts::kMaxContexts + 1);
  CHECK(find(0) == 1);
  CHECK(find(2) == 3);
  CHECK(find(1) == TlsContexts::kMaxContexts + 2);
}

TEST_CASE("equal identities have one context, for an hour") {
  const TestCertificate certificate, other;
  TlsContexts contexts("");
  const MonotonicTime start{};
  const TlsIdentity one = identity_of({.ca_file = certificate.file()}), same = one;
  const TlsIdentity another = identity_of({.ca_file = other.file()});
  const auto first = *contexts.find(&one, start);
  CHECK(*contexts.find(&same, start) == first);
  CHECK(*contexts.find(&another, start) != first);
  CHECK(*contexts.find(nullptr, start) != first);
  CHECK(*contexts.find(&one, start + TlsContexts::kTrusted - Millis(1)) == first);
  const auto later = *contexts.find(&one, start + TlsContexts::kTrusted);
  CHECK(later != first);
  CHECK(later->serial != first->serial);
}

TEST_CASE("files of equal contents are one identity, whatever they are called and how often they are read") {
  const TestCertificate certificate, other;
  const test::TemporaryFolder folder;
  std::filesystem::copy_file(certificate.file(), folder / "copy.pem");
  TlsFiles files;
  const MonotonicTime start{};
  const auto find = [&](const std::string& file, MonotonicTime now) {
    return files.find({.ca_file = file}, now).value();
  };
  const auto first = find(certificate.file(), start);
  CHECK(find(folder / "copy.pem", start) == first);
  CHECK(find(certificate.file(), start + TlsFiles::kTrusted) == first);
  CHECK(find(other.file(), start) != first);
  // Both hold the same bytes, but not in the same places.
  const TlsIdentity as_client = identity_of({"", certificate.file(), certificate.key_file()});
  const TlsIdentity with_own = identity_of({certificate.file(), certificate.file(), certificate.key_file()});
  CHECK(as_client.digest != first->digest);
  CHECK(with_own.digest != as_client.digest);
}

TEST_CASE("the default authorities are read again after an hour, or soon after they could not be read") {
  const TestCertificate one, two;
  const test::TemporaryFolder folder;
  const std::string path = folder / "ca.pem";
  const auto put = [&](const TestCertificate& certificate) {
    std::filesystem::copy_file(certificate.file(), path, std::filesystem::copy_options::overwrite_existing);
  };
  const ServerSettings settings(two);
  const auto trusts = [&](const TlsContexts::Found& context) {
    const SocketPair sockets;
    ServerEnd server(settings, sockets.server);
    TlsStream client(*context, "localhost", 443, sockets.client);
    return shake_hands(client, server) == Step::kDone;
  };
  TlsContexts contexts(path);
  MonotonicTime now{};
  CHECK(contexts.find(nullptr, now).error() ==
        "the certificate authorities cannot be read: " + path + ": No such file or directory");
  put(one);
  CHECK_FALSE(contexts.find(nullptr, now + TlsContexts::kRetry - Millis(1)));
  now += TlsContexts::kRetry;
  CHECK_FALSE(trusts(contexts.find(nullptr, now)));
  put(two);
  const TestCertificate client({.host = "client"});
  const TlsIdentity identity = identity_of({"", client.file(), client.key_file()});
  const MonotonicTime late = now + TlsContexts::kTrusted - Millis(1);
  CHECK_FALSE(trusts(contexts.find(nullptr, late)));
  CHECK_FALSE(trusts(contexts.find(&identity, late)));
  now += TlsContexts::kTrusted;
  CHECK(trusts(contexts.find(nullptr, now)));
  CHECK(trusts(contexts.find(&identity, now)));
  const auto* const store = SSL_CTX_get_cert_store((*contexts.find(nullptr, now))->openssl.get());
  now += TlsContexts::kTrusted;
  CHECK(SSL_CTX_get_cert_store((*contexts.find(nullptr, now))->openssl.get()) ==
        store);  // the file is the same
  std::filesystem::resize_file(path, 0);
  now += TlsContexts::kTrusted;
  const auto broken = contexts.find(nullptr, now);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().starts_with("the certificate authorities cannot be read: " + path + ": "));
}

}  // namespace
}  // namespace outboxd
