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

// At least this much of a body or of an answer, or all that is left of it, must pass within each body timeout: a client
// that sends or takes a byte now and then makes no progress.
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
    // Called as soon as a request's head is complete: why this caller may not send a body; nullopt: it may.
    std::function<std::optional<HttpRefusal>(const Caller&, const Head&)> why_unknown;
    // Takes a complete request. Its answer is passed to answer() later, never from within this call.
    std::function<void(const std::shared_ptr<const Caller>&, const Ticket&, RequestReader::Complete)> handle;
    // Has a worker make the next piece of this exchange's answer. It is passed to take_piece() later, in the same way.
    std::function<void(const std::shared_ptr<PendingExchange>&)> next_piece;
    std::function<void(std::uint64_t id)> on_closed;
    bool stopping = false;         // answers end their connections
    std::string read_buffer = {};  // shared by the reads of all connections
    DateHeader date = {};
  };

  // Owns the accepted socket `fd`; `tls` is null for plain HTTP. Whoever constructs it has the loop watch `fd` for
  // EPOLLIN and call on_event(). `env` must outlive it, and it must be closed before it is destroyed.
  Connection(std::uint64_t id, int fd, TlsSession tls, std::shared_ptr<const Caller> caller,
             Environment& env);
  Connection(const Connection&) = delete;

  void on_event(std::uint32_t epoll_events);
  // Answers the request that was handed to `handle`; no effect once closed. May replace the answer when memory is
  // short.
  void answer(const Finished& finished);
  void refuse(const HttpRefusal& refusal);  // answers and closes
  void take_piece(Piece& piece);            // of an answer that goes on; no effect once that has ended
  void end_stream();  // ends an answer that goes on, behind the piece that is being written; else no effect
  void check_deadline();  // closes, or answers 408, when the client is too slow
  void close();           // at once; no effect once closed

  const Caller& caller() const { return *caller_; }
  bool is_closed() const { return state_ == State::kClosed; }
  // No byte of the next request has arrived.
  bool is_idle() const { return state_ == State::kReading && reader_.state() == RequestReader::State::kIdle; }
  // Anything but done: an idle connection is busy too, until stop() closes it.
  bool is_busy() const { return state_ != State::kLingering && state_ != State::kClosed; }

 private:
  //              ┌───────────── keep-alive ─────────────┐
  //              ▼                                      │
  //   reading ──request──▶ handling ──answer──▶ writing ┴─close──▶ lingering ──▶ closed
  //      └──────refused or too slow: an answer──────▲
  // An answer that goes on alternates between streaming and writing, and then lingers.
  enum class State {
    kReading,    // reading a request, or waiting for one or for the TLS handshake
    kHandling,   // its request is with a worker or a handler; nothing is read meanwhile
    kWriting,    // the socket takes no more of the answer for now
    kStreaming,  // all of the answer so far is sent; the next piece is being made, or waited for
    // everything is sent; what the client still sends is discarded, so that no reset overtakes the answer
    kLingering,
    kClosed,
  };

  void receive();
  void feed(std::string_view bytes);
  void after_feed(RequestReader::State before);
  void dispatch();
  void send(std::string bytes, bool close_after);
  void flush();
  void next_request();
  void go_on();
  void linger();
  void drop_stream();
  void discard();
  void expire();
  void watch(std::uint32_t events);
  Millis write_timeout() const;
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
  std::size_t sent_ = 0;       // of out_
  std::size_t sent_mark_ = 0;  // sent_ when the deadline was last renewed
  bool close_when_sent_ = false;
  std::shared_ptr<PendingExchange> streaming_;  // whose answer goes on; null: none does
  bool ending_ = false;                         // that answer is to end with the piece that is being written
  EventLoop::TimerId piece_timer_{};
  std::size_t body_mark_ = 0;  // the body's size when the deadline was last renewed
  std::size_t counted_ = 0;    // the bytes reported to the quotas
  std::uint32_t watched_ = EPOLLIN;
  MonotonicTime deadline_{};
};

}  // namespace outboxd::api
