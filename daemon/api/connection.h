// One connection of the HTTP server: reads a request, hands it over, writes the answer, and begins again or closes.
// Belongs to the loop's thread, never blocks, and knows no other connection. What it needs of the server is in its
// Environment.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/caller.h"
#include "api/http_answer.h"
#include "api/pending_exchange.h"
#include "api/quotas.h"
#include "api/request_reader.h"
#include "api/stream.h"
#include "runtime/event_loop.h"
#include "telemetry/metrics.h"

namespace outboxd::api {

// A client that sends or takes a byte now and then makes no progress: so much of a body, or of an answer,
// must pass within each body timeout, or its rest.
inline constexpr std::size_t kMinBodyProgress = 16u << 10;

class Connection {
 public:
  struct Timeouts {  // HttpServer::Options says what each is for
    Millis head, body, idle;
  };
  struct Environment {
    EventLoop& loop;
    Quotas& quotas;  // told of the bytes that a connection holds
    telemetry::Metrics& metrics;
    const Timeouts timeouts;
    const HeadLimits head_limits;
    // Asked as soon as a request's head is there: why this caller does not get to send a body.
    std::function<std::optional<HttpRefusal>(const Caller&, const Head&)> why_unknown;
    // Takes a complete request. What comes of it is given to answer(), but never from within this call.
    std::function<void(const std::shared_ptr<const Caller>&, const Ticket&, RequestReader::Complete)> handle;
    std::function<void(std::uint64_t id)> on_closed;
    bool stopping = false;         // answers end their connections
    std::string read_buffer = {};  // what one read takes
    DateHeader date = {};
  };

  // Of an accepted socket, which it owns; `tls` is null when it speaks in the clear. The caller of this constructor has
  // the loop watch `fd` for EPOLLIN and calls on_event(). `env` outlives it. It is closed before it is destroyed.
  Connection(std::uint64_t id, int fd, TlsSession tls, std::shared_ptr<const Caller> caller,
             Environment& env);
  Connection(const Connection&) = delete;

  void on_event(std::uint32_t epoll_events);
  // To the request that it handed over; no effect when it is closed. May replace the answer when memory is short.
  void answer(Finished& finished);
  void refuse(const HttpRefusal& refusal);  // answers and closes
  void check_deadline();                    // closes, or answers 408, when the client is too slow
  void close();                             // at once; no effect when it is closed

  const Caller& caller() const { return *caller_; }
  bool is_closed() const { return state_ == State::kClosed; }
  // Waits for a request of which nothing has come.
  bool is_idle() const { return state_ == State::kReading && reader_.state() == RequestReader::State::kIdle; }
  // A request is on its way in, or an answer on its way out.
  bool is_busy() const { return state_ != State::kLingering && state_ != State::kClosed; }

 private:
  //              ┌───────────── keep-alive ─────────────┐
  //              ▼                                      │
  //   reading ──request──▶ handling ──answer──▶ writing ┴─close──▶ lingering ──▶ closed
  //      └──────refused or too slow: an answer──────▲
  enum class State {
    kReading,    // a request, or waiting for one, or for TLS to begin
    kHandling,   // its request is with a worker or a handler; nothing is read meanwhile
    kWriting,    // the socket takes no more of the answer for now
    kLingering,  // all is sent; what the client still sends is thrown away, so that no reset overtakes the
                 // answer
    kClosed,
  };

  void receive();
  void feed(std::string_view bytes);
  void after_feed(RequestReader::State before);
  void dispatch();
  void send(std::string bytes, bool close_after);
  void flush();
  void next_request();
  void linger();
  void discard();
  void expire();
  void watch(std::uint32_t events);
  void set_deadline(Millis from_now) { deadline_ = env_.loop.now() + from_now; }
  void recount();
  void hold(std::size_t bytes);

  const std::uint64_t id_;
  const int fd_;
  Stream stream_;  // of fd_
  const std::shared_ptr<const Caller> caller_;
  Environment& env_;
  State state_ = State::kReading;
  RequestReader reader_;
  std::string leftover_;       // pipelined bytes of the next request
  std::string out_;            // the answer, until it is sent
  std::size_t sent_ = 0;       // of it
  std::size_t sent_mark_ = 0;  // what was sent when its deadline was last renewed
  bool close_when_sent_ = false;
  std::size_t body_mark_ = 0;  // the body's size when its deadline was last renewed
  std::size_t counted_ = 0;    // the bytes that the quotas know of
  std::uint32_t watched_ = EPOLLIN;
  MonotonicTime deadline_{};
};

}  // namespace outboxd::api
