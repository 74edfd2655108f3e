// The API's HTTP server, the only way into the API. It owns every socket, reads requests without ever blocking, checks
// head and framing strictly, undoes chunking, and only then has the complete request handled: by a worker, or, if it is
// a small request of a quick route (exchange.h) and this round of the loop has not taken long yet, on the spot. A silent
// or slow client costs a file descriptor and its bytes in memory, never a thread.
//
//   event loop (1 thread)                       workers, or the loop               any thread
//   accept → read → strict head → body ──────▶  route → authorise → handler  ───▶  Exchange::respond
//        ▲                                                                              │
//        └─────────────── render, log, write, keep alive or close ◀──────────────────────┘
//
// Its parts: acceptor.h (listening sockets), connections.h and connection.h (what happens on each), quotas.h (who may
// hold how much), worker_pool.h and dispatcher.h (how a request is handled, on either thread), pending_exchange.h (the
// way of an answer back).
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "api/exchange.h"
#include "api/listeners.h"
#include "common/clock.h"
#include "runtime/event_loop.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

class AuditLog;       // audit_log.h
class Authenticator;  // auth.h

class HttpServer {
 public:
  struct Options {
    int workers = 4;
    std::size_t max_connections = 4096;           // beyond: accepted and closed at once with 503
    std::size_t max_connections_per_peer = 1024;  // (quotas.h) likewise
    std::size_t max_head_bytes = 16u << 10;       // 431
    std::size_t max_headers = 100;                // 431
    std::size_t max_body_bytes = 16u << 20;       // 413
    std::size_t max_buffered_bytes = 256u << 20;  // over all connections; one peer: half of it; beyond: 503
    std::size_t max_queue = 4096;                 // complete requests waiting for a worker; beyond: 503
    // A round of the loop handles quick requests itself until it has lasted this long; the workers get the others. So
    // many small requests delay accepting, answering and streams by this and one request at most. Less than what a round
    // has for descriptors (event_loop.cpp), or the others would wait for the next round instead. 0: none is.
    std::chrono::microseconds quick_time{1'500};
    // From the first byte of a request to the end of its head: 408, close. For a TLS handshake: close.
    Millis head_timeout{10'000};
    // Less than kMinBodyProgress of a body in this time: 408, close. Of an answer: close.
    Millis body_timeout{30'000};
    Millis idle_timeout{60'000};  // keep-alive without a request: close
    // Host names accepted on TCP besides loopback and the connection's own address; without port.
    std::vector<std::string> allowed_hosts;
    std::shared_ptr<AuditLog> audit = {};  // gets what operators change; null: nothing does
  };
  // Uses the loop's after_each_round() for itself.
  HttpServer(EventLoop& loop, std::vector<Listener> listeners, std::vector<Route> routes,
             std::shared_ptr<const Authenticator> auth, telemetry::Metrics& metrics, Options options);
  ~HttpServer();  // on the loop's thread, or when the loop runs no more; exchanges still unanswered may outlive it
  HttpServer(const HttpServer&) = delete;

  void start();  // workers; the loop is run by its owner
  // Any thread. Applies from the next request on each connection; answers that go on are ended, those to callers over
  // TCP.
  void set_authenticator(std::shared_ptr<const Authenticator> auth);
  // Any thread: the one that applies now.
  std::shared_ptr<const Authenticator> authenticator() const;
  // Any thread. Logs that a handler refused a caller for who he is; at most one line a second, those of the server itself
  // included.
  void note_refusal(const Request& request, const Problem& refusal);
  // Any thread. Closes the listeners and idle connections; answers that go on are ended; requests under way are
  // answered, with Connection: close. `done` runs on the loop when the last one is, or after `limit`; it must not destroy the server.
  void stop_accepting(Millis limit, std::function<void()> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd::api
