// The HTTP server's side of an Exchange: a request under way, and where its answer goes. Handlers see only
// exchange.h.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/audit_log.h"
#include "api/caller.h"
#include "api/exchange.h"
#include "api/peers.h"
#include "api/request_reader.h"
#include "common/mutex.h"
#include "runtime/event_loop.h"

namespace outboxd::api {

// What the loop needs to know to send an answer and to account for it.
struct Ticket {
  std::uint64_t connection = 0;
  std::size_t weight = 0;  // bytes counted against max_buffered_bytes and against the peer
  Peer peer;
  bool http_1_0 = false;
  bool keep_alive = true;
  MonotonicTime started{};
};

class PendingExchange;
using Finished = std::shared_ptr<PendingExchange>;  // answered

// A piece of an answer that goes on; nullopt: there will be no more.
struct Piece {
  std::uint64_t connection = 0;
  std::optional<std::string> bytes;
};

// Carries answered exchanges and pieces of answers from any thread to the loop, and resumed exchanges to a worker. A
// burst of answers posts to the loop once. Exchanges may outlive the server: after detach() nobody is sent anything.
class FinishedQueue : public std::enable_shared_from_this<FinishedQueue> {
 public:
  using Resume = std::function<void(const std::shared_ptr<PendingExchange>&)>;
  using OnPiece = std::function<void(Piece&)>;
  FinishedQueue(EventLoop& loop, EventLoop::Task on_finished, Resume on_resume, OnPiece on_piece)
      : loop_(&loop),
        on_finished_(std::move(on_finished)),
        on_resume_(std::move(on_resume)),
        on_piece_(std::move(on_piece)) {}
  void push(Finished finished);
  void push(Piece piece);
  void resume(std::shared_ptr<PendingExchange> exchange);
  // The first of those that were answered, as many as one round of the loop should send; posts for the others. All of
  // them for a loop that may not do another round.
  std::vector<Finished> take(bool all);
  void detach();  // by the loop's thread, or when the loop runs no more

 private:
  void post_notify(EventLoop& loop);

  Mutex mutex_;
  CondVar posted_;
  EventLoop* loop_ OUTBOXD_GUARDED_BY(mutex_);  // null once detached
  int posting_ OUTBOXD_GUARDED_BY(mutex_) = 0;  // threads that use `loop_` without the mutex
  std::vector<Finished> finished_ OUTBOXD_GUARDED_BY(mutex_);
  EventLoop::Task on_finished_;  // used by the loop's thread only, like the others
  Resume on_resume_;
  OnPiece on_piece_;
};

class PendingExchange final : public Exchange, public std::enable_shared_from_this<PendingExchange> {
 public:
  PendingExchange(std::shared_ptr<FinishedQueue> queue, std::shared_ptr<const Caller> caller, Ticket ticket,
                  RequestReader::Complete complete);
  ~PendingExchange() override;

  const Request& request() const override { return request_; }
  bool on_loop() const override { return on_loop_; }
  using Exchange::respond;
  void respond(Answer answer) override;
  void respond_with(MakeAnswer make) override;
  void resume(Handler rest) override;

  // For the loop, once this is answered: makes the answer, if that was left to it, and logs it.
  void finish();
  Answer& answer() { return answer_; }  // after finish()
  const Ticket& ticket() const { return ticket_; }
  const Route* route() const { return route_; }  // null: none was found
  // Once it has answered with a stream, for the loop: what a worker is left to do is to make the next piece.
  void prepare_piece();

  // For whoever calls the handler, before it gets the request.
  void handle_on_loop() { on_loop_ = true; }
  // For the loop, when this is resumed: was it handled there until now? Then no worker has admitted it yet.
  bool leave_loop() { return std::exchange(on_loop_, false); }
  Request& mutable_request() { return request_; }
  void set_route(const Route* route) { route_ = route; }
  // What resume() left to be done; empty: the request is new.
  Handler take_rest() { return std::exchange(rest_, nullptr); }
  // Has the answer logged, as one to an operator with the token of this name, or ("") without a token.
  void log_answer(std::string token) { token_ = std::move(token); }
  // Has the answer noted as one to an operator; null: nowhere.
  void audit_answer(std::shared_ptr<AuditLog> audit) { audit_ = std::move(audit); }
  const Caller& caller() const { return *caller_; }
  // The target's two parts, as sent.
  std::string_view path() const { return std::string_view(target_).substr(0, target_.find('?')); }
  std::string_view query_string() const {
    return std::string_view(target_).substr(std::min(path().size() + 1, target_.size()));
  }
  const std::string& host() const { return host_; }

 private:
  explicit PendingExchange(PendingExchange* dropped);  // takes over what is needed to answer it
  Answer made_answer();

  std::shared_ptr<FinishedQueue> queue_;
  std::shared_ptr<const Caller> caller_;
  Ticket ticket_;
  Request request_;
  std::string target_;
  std::string host_;
  const Route* route_ = nullptr;
  std::optional<std::string> token_;
  std::shared_ptr<AuditLog> audit_;
  Handler rest_;
  bool on_loop_ = false;
  // Written by whoever answers; read by the loop, which gets them through the queue.
  Answer answer_;
  MakeAnswer make_;  // empty: answer_ is there
  std::atomic<bool> answered_{false};
};

// Logs that a request failed with an exception; the answer does not repeat it.
Answer failure_answer(const Request& request, const char* what);

}  // namespace outboxd::api
