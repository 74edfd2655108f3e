// The inside of the HTTP server, shared by http_server.cpp (listeners, accepting, stopping) and http_server_connections.cpp
// (what happens on one connection). Everything here belongs to the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/dispatcher.h"
#include "api/http_answer.h"
#include "api/http_server.h"
#include "api/peers.h"
#include "api/pending_exchange.h"
#include "api/request_reader.h"
#include "api/stream.h"
#include "api/worker_pool.h"

namespace outboxd::api {

//              ┌───────────── keep-alive ─────────────┐
//              ▼                                      │
//   reading ──request──▶ handling ──answer──▶ writing ┴─close──▶ lingering ──▶ closed
//      └──────refused or too slow: an answer──────▲
struct Connection {
  enum class State {
    kReading,    // a request, or waiting for one, or for TLS to begin
    kHandling,   // its request is with a worker or a handler; nothing is read meanwhile
    kWriting,    // the socket takes no more of the answer for now
    kLingering,  // all is sent; what the client still sends is thrown away, so that no reset overtakes the
                 // answer
    kClosed,     // erased at the end of the round
  };

  Connection(std::uint64_t its_id, int its_fd, Stream its_stream, std::shared_ptr<const Caller> its_caller,
             const HeadLimits& limits)
      : id(its_id),
        fd(its_fd),
        stream(std::move(its_stream)),
        caller(std::move(its_caller)),
        reader(limits) {}

  const std::uint64_t id;
  const int fd;
  Stream stream;  // of fd
  const std::shared_ptr<const Caller> caller;
  bool admitted = true;  // false: one too many, here to be told so
  State state = State::kReading;
  RequestReader reader;
  std::string leftover;       // pipelined bytes of the next request
  std::string out;            // the answer, until it is sent
  std::size_t sent = 0;       // of it
  std::size_t sent_mark = 0;  // what was sent when its deadline was last renewed
  bool close_when_sent = false;
  std::size_t body_mark = 0;  // the body's size when its deadline was last renewed
  std::size_t counted = 0;    // its part of Impl::buffered
  std::uint32_t watched = 0;  // epoll events
  MonotonicTime deadline{};
};

struct HttpServer::Impl {
  Impl(EventLoop& its_loop, std::vector<Listener> its_listeners, std::vector<Route> routes,
       std::shared_ptr<const Authenticator> auth, telemetry::Metrics& its_metrics, Options its_options);
  ~Impl();

  // http_server.cpp
  void start();
  void accept_from(const Listener& listener);
  void adopt(int fd, const Listener& listener);
  std::optional<HttpRefusal> no_place_for(const Caller& caller) const;
  void pause_accepting(int error);
  void close_listeners();
  void begin_stop(Millis limit, std::function<void()> done);
  void finish_stop();
  bool work_remains() const;
  // What TCP may have of something, beside Unix sockets if there are any.
  std::size_t of_tcp(std::size_t all) const {
    return has_unix_sockets ? all - all / kShareOfUnixSockets : all;
  }
  void arm_sweep();
  void sweep();
  void end_round();

  // http_server_connections.cpp
  void on_event(Connection& c, std::uint32_t events);
  void receive(Connection& c);
  void feed(Connection& c, std::string_view bytes);
  void after_feed(Connection& c, RequestReader::State before);
  void dispatch(Connection& c);
  void on_finished();
  void answer(Connection& c, const Finished& finished);
  void refuse(Connection& c, const HttpRefusal& refusal);
  void send(Connection& c, std::string bytes, bool close);
  void flush(Connection& c);
  void next_request(Connection& c);
  void linger(Connection& c);
  void discard(Connection& c);
  void expire(Connection& c);
  void close(Connection& c);
  void watch(Connection& c, std::uint32_t events);
  void recount(Connection& c);
  void hold(const Peer& peer, std::size_t before, std::size_t now);
  std::optional<HttpRefusal> no_memory_for(const Caller& caller) const;

  EventLoop& loop;
  std::vector<Listener> listeners;
  telemetry::Metrics& metrics;
  const Options options;
  const HeadLimits limits;
  const bool has_unix_sockets;
  Dispatcher dispatcher;
  const std::shared_ptr<FinishedQueue> finished_queue;
  WorkerPool pool;
  DateHeader date;

  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::vector<std::uint64_t>
      closed;  // to be erased at the end of the round: their handlers may still be on the stack
  std::uint64_t next_connection = 1;
  std::size_t admitted = 0;     // connections
  std::size_t turned_away = 0;  // connections that were not, and are still being told
  std::size_t buffered = 0;     // bytes
  PeerTable peers;              // whose they are
  std::size_t in_flight = 0;    // requests given to the workers and not answered yet
  std::string scratch;          // what one read takes

  bool sweep_armed = false;
  EventLoop::TimerId sweep_timer{};
  bool accepting_paused = false;
  MonotonicTime pause_logged{};
  EventLoop::TimerId resume_timer{};
  bool stopping = false;
  EventLoop::TimerId stop_timer{};
  std::function<void()> stopped;
  // Tells posted tasks whether this object is still there.
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

}  // namespace outboxd::api
