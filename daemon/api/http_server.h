// The API's HTTP server: owns every socket. It accepts on TCP and Unix listeners, reads requests without ever
// blocking, checks head and framing strictly, undoes chunking, and only then gives a
// complete request in memory to a worker. A silent or slow client costs a file descriptor and its bytes, never a
// thread.
//
//   epoll loop (1 thread)                       workers (few)                      any thread
//   accept → read → strict head → body ──────▶  authorise → router → handler  ──▶  Exchange::respond
//        ▲                                                                              │
//        └──────────────────────── write, keep alive or close ◀──────────────────────────┘
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "api/exchange.h"
#include "api/tls_server.h"
#include "common/clock.h"
#include "runtime/event_loop.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

struct Listener {
  int fd = -1;  // bound and listening; the server closes it
  // What a caller on it may do without a token: on a Unix socket the file's mode decides who that is, on TCP
  // kNone asks for a token.
  Scope scope = Scope::kNone;
  bool unix_socket = false;
  std::string name;  // for logs and /v1/status: "127.0.0.1:8877", "/run/outboxd/admin.sock"
  // The file that listen_unix made and the server removes; "" for inherited sockets.
  std::string unlink_path = {};
  // TCP: what it speaks TLS with; null: plain HTTP.
  std::shared_ptr<TlsServer> tls = {};
};
// Bind and listen. Errors say what to do. A stale Unix socket file is replaced, one that answers is not.
// `mode` and `group` ("" keeps it) of the file are set before it can be connected to. No SO_REUSEPORT. Port 0
// takes a free one; `name` says which.
Result<Listener> listen_tcp(const std::string& address, Scope scope);
Result<Listener> listen_unix(const std::string& path, unsigned mode, const std::string& group, Scope scope);

class Authenticator;  // auth.h

// A client that sends or takes a byte now and then makes no progress: so much of a body, or of an answer,
// must pass within each body_timeout, or its rest.
inline constexpr std::size_t kMinBodyProgress = 16u << 10;

// Callers of the admin Unix socket find room when all others hold what they may: so many connections beyond
// max_connections, and the last sixteenth of max_buffered_bytes.
// (Those of TCP together leave a quarter of both to the Unix sockets: nobody has shown a token yet when he takes his
// place, and on loopback he may have as many addresses as he likes.)
inline constexpr std::size_t kShareOfUnixSockets = 4;
inline constexpr std::size_t kAdminPlaces = 16;
inline constexpr std::size_t kAdminShareOfBuffer = 16;

class HttpServer {
 public:
  struct Options {
    int workers = 4;
    std::size_t max_connections = 4096;           // beyond: accepted and closed at once with 503
    std::size_t max_connections_per_peer = 1024;  // (peers.h) likewise
    std::size_t max_head_bytes = 16u << 10;       // 431
    std::size_t max_headers = 100;                // 431
    std::size_t max_body_bytes = 16u << 20;       // 413
    std::size_t max_buffered_bytes = 256u << 20;  // over all connections; one peer: half of it; beyond: 503
    std::size_t max_queue = 4096;                 // complete requests waiting for a worker; beyond: 503
    // From the first byte of a request to the end of its head: 408, close. For a TLS handshake: close.
    Millis head_timeout{10'000};
    // Less than kMinBodyProgress of a body in this time: 408, close. Of an answer: close.
    Millis body_timeout{30'000};
    Millis idle_timeout{60'000};  // keep-alive without a request: close
    // Host names accepted on TCP besides loopback and the connection's own address; without port.
    std::vector<std::string> allowed_hosts;
  };
  HttpServer(EventLoop& loop, std::vector<Listener> listeners, std::vector<Route> routes,
             std::shared_ptr<const Authenticator> auth, telemetry::Metrics& metrics, Options options);
  ~HttpServer();  // on the loop's thread, or when the loop runs no more; exchanges still unanswered may outlive it
  HttpServer(const HttpServer&) = delete;

  void start();  // workers; the loop is run by its owner
  // Any thread. Holds for the next request of every connection.
  void set_authenticator(std::shared_ptr<const Authenticator> auth);
  // Any thread. Closes the listeners and idle connections; requests under way are answered, with Connection:
  // close. `done` runs on the loop when the last one is, or after `limit`; it must not destroy the server.
  void stop_accepting(Millis limit, std::function<void()> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd::api
