#include "api/pending_exchange.h"

#include <utility>

#include "telemetry/log.h"

namespace outboxd::api {

void FinishedQueue::push(Finished finished) {
  const MutexLock lock(mutex_);
  if (loop_ == nullptr) return;
  finished_.push_back(std::move(finished));
  if (finished_.size() == 1) loop_->post([self = shared_from_this()] { self->notify(); });
}

void FinishedQueue::push(Piece piece) {
  const MutexLock lock(mutex_);
  if (loop_ == nullptr) return;
  loop_->post([self = shared_from_this(), piece = std::move(piece)]() mutable {
    if (self->on_piece_) self->on_piece_(piece);
  });
}

void FinishedQueue::notify() {
  if (on_finished_) on_finished_();
}

void FinishedQueue::resume(std::shared_ptr<PendingExchange> exchange) {
  const MutexLock lock(mutex_);
  if (loop_ == nullptr) return;
  loop_->post([self = shared_from_this(), exchange = std::move(exchange)] {
    if (self->on_resume_) self->on_resume_(exchange);
  });
}

std::vector<Finished> FinishedQueue::take() {
  const MutexLock lock(mutex_);
  return std::exchange(finished_, {});
}

void FinishedQueue::detach() {
  const MutexLock lock(mutex_);
  loop_ = nullptr;
  on_finished_ = nullptr;
  on_resume_ = nullptr;
  on_piece_ = nullptr;
  finished_.clear();
}

PendingExchange::PendingExchange(std::shared_ptr<FinishedQueue> queue, std::shared_ptr<const Caller> caller,
                                 Ticket ticket, RequestReader::Complete complete)
    : queue_(std::move(queue)),
      caller_(std::move(caller)),
      ticket_(ticket),
      target_(std::move(complete.head.target)),
      host_(std::move(complete.head.host)) {
  request_.method = std::move(complete.head.method);
  request_.headers = std::move(complete.head.headers);
  request_.body = std::move(complete.body);
  request_.peer = caller_->peer;
}

PendingExchange::~PendingExchange() {
  if (answered_) return;
  log::error("a request was dropped without an answer",
             {{"method", request_.method}, {"path", request_.path}, {"peer", request_.peer}});
  respond(Problem{ProblemCode::kInternal,
                  "The request was given up; nothing is known about its effect. See the daemon's log."});
}

void PendingExchange::resume(Handler rest) {
  rest_ = std::move(rest);
  queue_->resume(shared_from_this());
}

void PendingExchange::prepare_piece() {
  rest_ = [this](const ExchangePtr&) {
    Piece piece{ticket_.connection, std::nullopt};
    try {
      piece.bytes = stream_->next();
    } catch (const std::exception& error) {
      log::error("an answer that goes on was cut off", {{"path", request_.path}, {"error", error.what()}});
    }
    queue_->push(std::move(piece));
  };
}

void PendingExchange::respond(Answer answer) {
  if (answered_.exchange(true)) return;
  if (token_) {
    log::info("operator request", {{"method", request_.method},
                                   {"path", request_.path},
                                   {"status", answer.status},
                                   {"peer", request_.peer},
                                   {"token", *token_}});
  }
  if (audit_) audit_->add(request_, answer.status);
  stream_ = answer.stream;
  queue_->push(
      Finished{ticket_, request_.method, route_, std::move(answer), stream_ ? shared_from_this() : nullptr});
}

}  // namespace outboxd::api
