#include <openssl/err.h>
#include <openssl/pem.h>

#include <fstream>

#include "api/stream.h"
#include "http_server_fixture.h"
#include "support/captured_stderr.h"
#include "support/temporary_folder.h"
#include "support/test_certificate.h"

using namespace outboxd;
using namespace outboxd::api;
using namespace outboxd::api::test;
using outboxd::test::captured_stderr;
using outboxd::test::TemporaryFolder;
using outboxd::test::TestCertificate;

namespace {

using ClientContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

// Trusts `certificate` alone.
ClientContext client_of(const TestCertificate& certificate, int version = TLS1_3_VERSION) {
  ClientContext context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  REQUIRE(SSL_CTX_load_verify_locations(context.get(), certificate.file().c_str(), nullptr) == 1);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  return context;
}

struct TlsTestServer {
  explicit TlsTestServer(const HttpServer::Options& options = {})
      : tls_server(TlsServer::from_files(certificate.file(), certificate.key_file()).value()),
        server(options, Authenticator::without_tokens(), tls_server),
        context(client_of(certificate)) {}
  RawClient connect() const {
    RawClient client(server.tcp);
    REQUIRE(client.start_tls(context.get()));
    return client;
  }
  bool serves() const {
    RawClient client = connect();
    client.send(get("/open"));
    return client.read_answer()->status == 200;
  }

  TestCertificate certificate;
  std::shared_ptr<TlsServer> tls_server;
  TestServer server;
  ClientContext context;
};

std::string loading_error(const std::string& cert_file, const std::string& key_file) {
  const auto tls_server = TlsServer::from_files(cert_file, key_file);
  REQUIRE_FALSE(tls_server);
  return tls_server.error().detail;
}

void copy(const TestCertificate& certificate, const TemporaryFolder& folder) {
  const auto over = std::filesystem::copy_options::overwrite_existing;
  std::filesystem::copy_file(certificate.file(), folder / "cert.pem", over);
  std::filesystem::copy_file(certificate.key_file(), folder / "key.pem", over);
}

// The ClientHello that OpenSSL sends.
std::string client_hello(SSL_CTX* context) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context), SSL_free);
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(tls.get(), BIO_new(BIO_s_mem()), out);
  SSL_connect(tls.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

}  // namespace

TEST_CASE("TLS: requests are answered under 1.2 and 1.3, one after the other on one connection") {
  TlsTestServer t;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    const auto context = client_of(t.certificate, version);
    RawClient client(t.server.tcp);
    REQUIRE(client.start_tls(context.get()));
    CHECK(SSL_version(client.tls()) == version);
    for (int i = 0; i < 3; ++i) {
      client.send(post("{\"n\":1}"));
      const auto answer = client.read_answer();
      REQUIRE(answer);
      CHECK(answer->status == 200);
      CHECK(answer->body == "POST /v1/events\n{\"n\":1}");
    }
    client.send(get("/peer", "Connection: close\r\n"));
    CHECK(client.read_answer()->body.starts_with("127.0.0.1:"));
    CHECK(client.is_closed());  // with close_notify
  }
  CHECK(t.server.handled == 6);
}

TEST_CASE("TLS: 1.1 is refused with an alert, and so is a client that wants other than http/1.1") {
  TlsTestServer t;
  const auto old = client_of(t.certificate, TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(old.get(), "DEFAULT:@SECLEVEL=0");
  RawClient client(t.server.tcp);
  ERR_clear_error();
  CHECK_FALSE(client.start_tls(old.get()));
  CHECK(ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);

  const auto alpn = [&](std::string_view protocols, std::string_view agreed) {
    const auto context = client_of(t.certificate);
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
    RawClient offering(t.server.tcp);
    if (!offering.start_tls(context.get())) return false;
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(offering.tls(), &chosen, &size);
    return std::string_view(reinterpret_cast<const char*>(chosen), size) == agreed;
  };
  CHECK(alpn("\x02h2\x08http/1.1", "http/1.1"));
  CHECK_FALSE(alpn("\x02h2", ""));
  CHECK(t.serves());
}

TEST_CASE("TLS: large bodies and answers arrive whole, and what is pipelined is answered in order") {
  TlsTestServer t;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto context = client_of(t.certificate, version);
    RawClient client(t.server.tcp);
    REQUIRE(client.start_tls(context.get()));
    std::string body(6u << 20, '\0');
    for (std::size_t i = 0; i < body.size(); ++i)
      body[i] = static_cast<char>('a' + i * 7 % 23 + i / 100'000 % 3);
    client.send(post(body));
    CHECK((client.read_answer()->body == "POST /v1/events\n" + body));
    std::string all;
    for (int i = 0; i < 300; ++i) all += post(std::string(1000, 'x') + std::to_string(i));
    all += get("/large") + get("/open");
    std::thread sender([&] { client.send(all); });
    for (int i = 0; i < 300; ++i)
      CHECK(client.read_answer()->body == "POST /v1/events\n" + std::string(1000, 'x') + std::to_string(i));
    CHECK(client.read_answer()->body.size() == 8u << 20);
    CHECK(client.read_answer()->status == 200);
    sender.join();
  }
}

TEST_CASE("TLS: a request is answered the same however it is cut into records") {
  TlsTestServer t;
  RawClient client = t.connect();
  const std::string request =
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nX-Probe: p\r\nTransfer-Encoding: "
      "chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    client.send(request.substr(0, cut));
    client.send(request.substr(cut));
    CHECK(client.read_answer()->body == "POST /v1/events probe=p\n{}");
  }
  for (const char c : request) client.send(std::string(1, c));
  CHECK(client.read_answer()->body == "POST /v1/events probe=p\n{}");
  client.send(
      "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  CHECK(client.read_answer()->status == 100);
  client.send("{}");
  CHECK(client.read_answer()->body == "POST /v1/events\n{}");
}

TEST_CASE("TLS: bytes that OpenSSL has read from the socket already are not forgotten") {
  const TestCertificate certificate;
  const auto tls_server = TlsServer::from_files(certificate.file(), certificate.key_file()).value();
  const auto context = client_of(certificate);
  std::array<int, 2> ends{};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  std::thread client([&] {
    const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), SSL_free);
    SSL_set_fd(tls.get(), ends[1]);
    if (SSL_connect(tls.get()) == 1) SSL_write(tls.get(), "0123456789", 10);
    shutdown(ends[1], SHUT_WR);
  });
  Stream stream(ends[0], tls_server->accept(ends[0]));
  CHECK(stream.handshaking());
  char bytes[4];
  std::string got;
  while (got.size() < 10) {
    const auto read = stream.read(bytes, sizeof bytes);
    if (read.outcome == Stream::Outcome::kWantsRead) continue;
    REQUIRE(read.outcome == Stream::Outcome::kDone);
    got.append(bytes, read.bytes);
    CHECK(stream.holds_bytes() == (got.size() < 10));
  }
  CHECK(got == "0123456789");
  CHECK(stream.read(bytes, sizeof bytes).outcome == Stream::Outcome::kEnd);
  client.join();
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("TLS: a handshake that does not end in time is closed, and counts as a connection meanwhile") {
  HttpServer::Options options;
  options.head_timeout = Millis(60);  // and the idle time is long
  TlsTestServer t(options);
  RawClient silent(t.server.tcp);
  RawClient half(t.server.tcp);
  const std::string hello = client_hello(t.context.get());
  half.send(hello.substr(0, hello.size() / 2));
  RawClient waiting(t.server.tcp);  // for a client's answer that never comes
  waiting.send(hello);
  CHECK(silent.is_closed());
  CHECK(half.is_closed());
  CHECK_FALSE(waiting.is_closed());  // it is, after the server's part of the handshake
  RawClient slow(t.server.tcp);      // each byte in time, all of them not
  std::size_t sent = 0;
  while (sent < hello.size() - 1 && slow.send(hello.substr(sent, 1)) && !slow.has_answer()) {
    ++sent;
    std::this_thread::sleep_for(Millis(5));
  }
  CHECK(sent < hello.size() - 1);

  HttpServer::Options few;
  few.max_connections = 2;
  TlsTestServer full(few);
  RawClient first(full.server.tcp), second(full.server.tcp);
  RawClient third(full.server.tcp);
  REQUIRE(third.start_tls(full.context.get()));
  const auto answer = third.read_answer();
  CHECK(answer->status == 503);
  CHECK(answer->header("retry-after") == "1");
  CHECK(third.is_closed());
}

TEST_CASE("TLS: after the handshake the time for a head does not run until its first byte") {
  HttpServer::Options options;
  options.head_timeout = Millis(500);
  TlsTestServer t(options);
  RawClient client = t.connect();
  client.send("GET /open HTTP/1.1\r\nHost: local");
  CHECK(client.read_answer()->status == 408);
  CHECK(client.is_closed());
  RawClient patient = t.connect();
  RawClient other = t.connect();
  other.send("GET ");
  CHECK(other.read_answer()->status == 408);  // meanwhile
  patient.send(get("/open"));
  CHECK(patient.read_answer()->status == 200);
}

TEST_CASE("TLS: plain HTTP on its port is told so, in plain HTTP") {
  TlsTestServer t;
  for (const std::string& bytes :
       {get("/open"), std::string("G"), post("{}"), std::string("\x80\x2e\x01\x03", 4)}) {
    RawClient client(t.server.tcp);
    client.send(bytes);
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 400);
    CHECK(answer->body.find("speaks TLS: use https") != std::string::npos);
    CHECK(client.is_closed());
  }
  CHECK(t.server.handled == 0);
  CHECK(t.serves());
}

TEST_CASE("TLS: a client that half-closes after its request is answered, one that is gone is forgotten") {
  TlsTestServer t;
  RawClient orderly = t.connect();
  orderly.send(get("/hold"));
  orderly.end_of_sending();
  RawClient abrupt = t.connect();  // without close_notify
  abrupt.send(get("/hold"));
  shutdown(abrupt.fd(), SHUT_WR);
  { t.connect().send(get("/hold")); }
  t.server.wait_for_held(3);
  t.server.release_all();
  CHECK(orderly.read_answer()->body == "held");
  CHECK(orderly.is_closed());
  CHECK(abrupt.read_answer()->body == "held");
  CHECK(abrupt.is_closed());
  RawClient half = t.connect();
  half.send("POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{");
  shutdown(half.fd(), SHUT_WR);
  CHECK(half.read_answer()->status == 400);  // what is cut off is no request
  CHECK(t.server.handled == 3);
}

TEST_CASE("TLS: silent and broken connections by the hundred keep nobody from being served") {
  TlsTestServer t;
  const std::string hello = client_hello(t.context.get());
  std::vector<RawClient> crowd;
  for (int i = 0; i < 150; ++i) {
    crowd.emplace_back(t.server.tcp);
    if (i % 3 == 1) crowd.back().send(hello.substr(0, 100));
    if (i % 3 == 2) crowd.back().send("\x16\x03\x01\x02" + std::string(600, '\xff'));
  }
  for (int i = 0; i < 150; ++i) {
    crowd.push_back(t.connect());
    crowd.back().send(get("/hold"));
  }
  t.server.wait_for_held(150);
  t.server.release_all();
  for (std::size_t i = 150; i < 300; ++i) CHECK(crowd[i].read_answer()->body == "held");
  CHECK(t.serves());
}

TEST_CASE("TLS: random changes to what a client sends never harm the server") {
  TlsTestServer t;
  const std::string hello = client_hello(t.context.get());
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::string bytes = hello;
    for (unsigned i = 0; i < 1 + seed % 4; ++i) {
      char& byte = bytes[1 + seed * 7919u * (i + 1) % (bytes.size() - 1)];
      byte = static_cast<char>(byte ^ (1 << seed % 8));
    }
    RawClient client(t.server.tcp);
    client.send(bytes);
    client.end_of_sending();
    client.is_closed();
  }
  for (unsigned seed = 1; seed <= 50; ++seed) {  // and under a session
    RawClient client = t.connect();
    client.send(get("/open"));
    CHECK(client.read_answer()->status == 200);
    const std::string junk = "\x17\x03\x03" + std::string(1, '\0') + std::string(1, static_cast<char>(seed)) +
                             std::string(seed, static_cast<char>(seed));
    CHECK(::send(client.fd(), junk.data(), junk.size(), MSG_NOSIGNAL) > 0);
    CHECK_FALSE(client.read_answer());
  }
  CHECK(t.serves());
}

TEST_CASE("TLS: a client may renew its keys, and may not renegotiate") {
  TlsTestServer t;
  RawClient client = t.connect();
  for (int i = 0; i < 20; ++i) {
    REQUIRE(SSL_key_update(client.tls(), SSL_KEY_UPDATE_REQUESTED) == 1);
    client.send(get("/open"));
    CHECK(client.read_answer()->status == 200);
  }
  const auto context = client_of(t.certificate, TLS1_2_VERSION);
  RawClient older(t.server.tcp);
  REQUIRE(older.start_tls(context.get()));
  REQUIRE(SSL_renegotiate(older.tls()) == 1);
  CHECK(SSL_do_handshake(older.tls()) <= 0);
  CHECK(t.serves());
}

TEST_CASE("TLS: a session is resumed with its ticket") {
  TlsTestServer t;
  RawClient first = t.connect();
  first.send(get("/open"));
  CHECK(first.read_answer()->status == 200);
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(SSL_get1_session(first.tls()),
                                                                          SSL_SESSION_free);
  REQUIRE(SSL_SESSION_is_resumable(session.get()) == 1);
  SSL_CTX* const context = t.context.get();
  RawClient second(t.server.tcp);
  REQUIRE(second.start_tls(context, session.get()));
  CHECK(SSL_session_reused(second.tls()) == 1);
  second.send(get("/open"));
  CHECK(second.read_answer()->status == 200);
}

TEST_CASE("TLS: a reload gives new connections the new certificate, and an error keeps the old one") {
  const TemporaryFolder folder;
  const TestCertificate old, fresh;
  copy(old, folder);
  const auto tls_server = TlsServer::from_files(folder / "cert.pem", folder / "key.pem").value();
  TestServer server({}, Authenticator::without_tokens(), tls_server);
  const auto old_trust = client_of(old), fresh_trust = client_of(fresh);
  const auto reaches = [&](const ClientContext& trust) {
    RawClient client(server.tcp);
    if (!client.start_tls(trust.get())) return false;
    client.send(get("/open"));
    return client.read_answer()->status == 200;
  };
  CHECK(reaches(old_trust));
  CHECK_FALSE(reaches(fresh_trust));
  RawClient kept(server.tcp);
  REQUIRE(kept.start_tls(old_trust.get()));

  std::ofstream(folder / "cert.pem") << "not a certificate";
  const auto refused = tls_server->reload();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail.starts_with(folder / "cert.pem"));
  CHECK(reaches(old_trust));
  std::filesystem::copy_file(fresh.file(), folder / "cert.pem",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK_FALSE(tls_server->reload());  // the key is still the old one's
  CHECK(reaches(old_trust));

  copy(fresh, folder);
  REQUIRE(tls_server->reload());
  CHECK(reaches(fresh_trust));
  CHECK_FALSE(reaches(old_trust));
  kept.send(get("/open"));
  CHECK(kept.read_answer()->status == 200);

  std::atomic<bool> stop{false};
  std::thread reloader([&] {
    while (!stop) tls_server->reload();
  });
  for (int i = 0; i < 50; ++i) CHECK(reaches(fresh_trust));
  stop = true;
  reloader.join();
}

TEST_CASE("TLS: files that cannot be used are refused, saying which and why") {
  const TemporaryFolder folder;
  const TestCertificate certificate, other;
  CHECK(loading_error(folder / "none.pem", certificate.key_file())
            .starts_with((folder / "none.pem") + ": cannot be read: No such file"));
  CHECK(loading_error(certificate.file(), folder / "none.pem")
            .starts_with((folder / "none.pem") + ": cannot be read: No such file"));
  CHECK(loading_error(certificate.key_file(), certificate.key_file())
            .starts_with(certificate.key_file() + ": holds no certificate in PEM"));
  CHECK(loading_error(certificate.file(), certificate.file())
            .starts_with(certificate.file() + ": holds no private key in PEM"));
  CHECK(loading_error(certificate.file(), other.key_file()) ==
        other.key_file() + ": the TLS key is not that of the certificate in " + certificate.file() + ".");

  std::FILE* const plain = std::fopen(certificate.key_file().c_str(), "r");
  EVP_PKEY* const key = PEM_read_PrivateKey(plain, nullptr, nullptr, nullptr);
  std::fclose(plain);
  std::FILE* const encrypted = std::fopen((folder / "key.pem").c_str(), "w");
  unsigned char passphrase[] = "secret";
  PEM_write_PrivateKey(encrypted, key, EVP_aes_256_cbc(), passphrase, 6, nullptr, nullptr);
  std::fclose(encrypted);
  EVP_PKEY_free(key);
  CHECK(loading_error(certificate.file(), folder / "key.pem").find("the key is encrypted") !=
        std::string::npos);
}

TEST_CASE("TLS: an expired certificate is served, with a warning") {
  const TestCertificate expired({.first_day = -20, .last_day = -1});
  const auto log = captured_stderr([&] { CHECK(TlsServer::from_files(expired.file(), expired.key_file())); });
  CHECK(log.find("level=warn") != std::string::npos);
  CHECK(log.find("has expired") != std::string::npos);
  CHECK(log.find(expired.file()) != std::string::npos);
  const TestCertificate valid;
  CHECK(captured_stderr([&] { CHECK(TlsServer::from_files(valid.file(), valid.key_file())); }) == "");
}

TEST_CASE("TLS: idle connections are closed with close_notify, at their time and when stopping") {
  HttpServer::Options options;
  options.idle_timeout = Millis(100);
  TlsTestServer t(options);
  RawClient idle = t.connect();
  CHECK(idle.is_closed());
  TlsTestServer stopping;
  RawClient kept = stopping.connect();
  kept.send(get("/open"));
  CHECK(kept.read_answer()->status == 200);
  stopping.server.stop_accepting(Millis(1000));
  CHECK(kept.is_closed());
}
