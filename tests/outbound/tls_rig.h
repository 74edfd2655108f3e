// Both ends of a TLS connection on one thread, for tests that want to say what happens when: a client's TlsStream and a
// server of OpenSSL's, joined by a socket pair or by a line that carries one byte at a time.
#pragma once

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbound/tls_stream.h"
#include "support/test_certificate.h"

namespace outboxd::test {

using Step = TlsStream::Step;

class SocketPair {
 public:
  SocketPair() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0)
      throw std::runtime_error("socketpair");
    client = ends[0];
    server = ends[1];
  }
  ~SocketPair() {
    close(client);
    hang_up();
  }
  SocketPair(const SocketPair&) = delete;
  void hang_up() {
    if (server >= 0) close(std::exchange(server, -1));
  }
  int client = -1, server = -1;
};

// Carries one byte at a time in each direction.
class ByteLine {
 public:
  int client() const { return near_.client; }
  int server() const { return far_.server; }
  void carry() const {
    carry(near_.server, far_.client);
    carry(far_.client, near_.server);
  }

 private:
  static void carry(int from, int to) {
    char byte = 0;
    if (recv(from, &byte, 1, 0) == 1) REQUIRE(send(to, &byte, 1, MSG_NOSIGNAL) == 1);
  }
  SocketPair near_, far_;
};

// A server's settings, and its memory of sessions.
class ServerSettings {
 public:
  struct Options {
    int version = TLS1_3_VERSION;
    std::vector<TestCertificate> clients = {};  // if given, only clients with one of these get in
    std::size_t tickets = 2;                    // TLS 1.3
  };
  explicit ServerSettings(const TestCertificate& certificate) : ServerSettings(certificate, Options{}) {}
  ServerSettings(const TestCertificate& certificate, const Options& options)
      : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    certificate.use_in(context());
    SSL_CTX_set_min_proto_version(context(), options.version);
    SSL_CTX_set_max_proto_version(context(), options.version);
    SSL_CTX_set_num_tickets(context(), options.tickets);
    SSL_CTX_set_session_id_context(context(), reinterpret_cast<const unsigned char*>("test"), 4);
    if (options.clients.empty()) return;
    for (const TestCertificate& client : options.clients)
      SSL_CTX_load_verify_file(context(), client.file().c_str());
    SSL_CTX_set_verify(context(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  SSL_CTX* context() const { return context_.get(); }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
};

// The server's end of one connection.
class ServerEnd {
 public:
  ServerEnd(const ServerSettings& settings, int fd) : ssl_(SSL_new(settings.context()), SSL_free) {
    SSL_set_fd(ssl(), fd);
    SSL_set_accept_state(ssl());
  }
  // Inside the TLS of another server's end.
  ServerEnd(const ServerSettings& settings, const ServerEnd& outer)
      : ssl_(SSL_new(settings.context()), SSL_free) {
    BIO* const bio = BIO_new(BIO_f_ssl());
    BIO_set_ssl(bio, outer.ssl(), BIO_NOCLOSE);
    SSL_set_bio(ssl(), bio, bio);
    SSL_set_accept_state(ssl());
  }
  SSL* ssl() const { return ssl_.get(); }
  // True when nothing is left to be done: it is over, or has failed().
  bool shake_hands() {
    if (failed_ || SSL_is_init_finished(ssl())) return true;
    ERR_clear_error();
    const int returned = SSL_do_handshake(ssl());
    const int error = SSL_get_error(ssl(), returned);
    failed_ = returned != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    return returned == 1 || failed_;
  }
  bool failed() const { return failed_; }
  std::string read() {
    ERR_clear_error();
    std::string bytes(1u << 16, '\0');
    const int n = SSL_read(ssl(), bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
  }
  bool write(std::string_view bytes) {
    return SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
  }
  void end() { SSL_shutdown(ssl()); }  // close_notify

 private:
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  bool failed_ = false;
};

// How often two ends take turns before a test gives up: each turn moves something, or nothing ever will.
inline constexpr int kTurns = 100'000;

// `between` runs after each turn, for whoever carries the bytes. Returns what the client's handshake came to.
template <class Between>
Step shake_hands(TlsStream& client, ServerEnd& server, Between between) {
  Step step = Step::kWantRead;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (step == Step::kWantRead || step == Step::kWantWrite) step = client.handshake();
    const bool server_done = server.shake_hands();
    between();
    if (step == Step::kFailed || (step == Step::kDone && server_done)) return step;
  }
  return step;
}
inline Step shake_hands(TlsStream& client, ServerEnd& server) {
  return shake_hands(client, server, [] {});
}

// All that can be read now; `last` is what the read after it came to.
inline std::string read_all(TlsStream& stream, Step& last) {
  std::string all;
  std::array<char, 1000> piece;
  for (;;) {
    const auto moved = stream.read(piece.data(), piece.size());
    last = moved.step;
    if (moved.step != Step::kDone) return all;
    all.append(piece.data(), moved.bytes);
  }
}

inline constexpr std::array kVersions{TLS1_2_VERSION, TLS1_3_VERSION};

inline TlsIdentity identity_of(const EndpointTls& files) {
  return **read_tls_identity(files, std::chrono::floor<Millis>(std::chrono::system_clock::now()));
}

inline TlsIdentity trusting(const TestCertificate& certificate) {
  return identity_of({.ca_file = certificate.file()});
}

inline std::shared_ptr<TlsContext> context_of(const TlsIdentity& identity) {
  TlsContexts contexts("");
  return *contexts.find(&identity, MonotonicTime{});
}

// One connection, with its handshake done or failed.
struct Connected {
  Connected(const ServerSettings& settings, const std::shared_ptr<TlsContext>& context,
            std::string_view host = "localhost", std::uint16_t port = 443)
      : server(settings, sockets.server), client(context, host, port, sockets.client) {
    step = shake_hands(client, server);
  }
  SocketPair sockets;
  ServerEnd server;
  TlsStream client;
  Step step = Step::kFailed;
};

}  // namespace outboxd::test

namespace doctest {
template <>
struct StringMaker<outboxd::TlsStream::Step> {
  static String convert(outboxd::TlsStream::Step step) {
    constexpr std::array kNames{"done", "want read", "want write", "ended", "truncated", "failed", "broken"};
    return kNames.at(static_cast<std::size_t>(step));
  }
};
}  // namespace doctest
