#include "api/pending_exchange.h"

#include <exception>
#include <iterator>
#include <utility>

#include "telemetry/log.h"

namespace outboxd::api {
namespace {

// Answers that the loop renders and sends in one round, at about 10 us each; the others wait for the next one, behind
// what else there is to do.
constexpr std::size_t kAnswersARound = 256;

}  // namespace

// The loop is woken outside the mutex, because it wants the mutex as soon as it wakes.
void FinishedQueue::push(Finished finished) {
  MutexLock lock(mutex_);
  EventLoop* const loop = loop_;
  if (loop == nullptr) {
    lock.unlock();
    return finished->finish();  // it is still logged
  }
  finished_.push_back(std::move(finished));
  if (finished_.size() > 1) return;
  ++posting_;
  lock.unlock();
  post_notify(*loop);
  lock.lock();
  if (--posting_ == 0) posted_.notify_all();
}

void FinishedQueue::push(Piece piece) {
  const MutexLock lock(mutex_);
  if (loop_ == nullptr) return;
  loop_->post([self = shared_from_this(), piece = std::move(piece)]() mutable {
    if (self->on_piece_) self->on_piece_(piece);
  });
}

void FinishedQueue::post_notify(EventLoop& loop) {
  loop.post([self = shared_from_this()] {
    if (self->on_finished_) self->on_finished_();
  });
}

void FinishedQueue::resume(std::shared_ptr<PendingExchange> exchange) {
  const MutexLock lock(mutex_);
  if (loop_ == nullptr) return;
  loop_->post([self = shared_from_this(), exchange = std::move(exchange)] {
    if (self->on_resume_) self->on_resume_(exchange);
  });
}

std::vector<Finished> FinishedQueue::take(bool all) {
  const MutexLock lock(mutex_);
  if (all || finished_.size() <= kAnswersARound) return std::exchange(finished_, {});
  const auto end = finished_.begin() + kAnswersARound;
  std::vector<Finished> first(std::make_move_iterator(finished_.begin()), std::make_move_iterator(end));
  finished_.erase(finished_.begin(), end);
  post_notify(*loop_);
  return first;
}

void FinishedQueue::detach() {
  std::vector<Finished> unsent;
  {
    MutexLock lock(mutex_);
    loop_ = nullptr;
    while (posting_ > 0) posted_.wait(mutex_);
    unsent.swap(finished_);
  }
  on_finished_ = nullptr;
  on_resume_ = nullptr;
  on_piece_ = nullptr;
  for (const auto& exchange : unsent) exchange->finish();
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

PendingExchange::PendingExchange(PendingExchange* dropped)
    : queue_(std::move(dropped->queue_)),
      caller_(std::move(dropped->caller_)),
      ticket_(dropped->ticket_),
      request_(std::move(dropped->request_)),
      route_(dropped->route_),
      token_(std::move(dropped->token_)),
      audit_(std::move(dropped->audit_)) {}

PendingExchange::~PendingExchange() {
  if (answered_) return;
  log::error("a request was dropped without an answer",
             {{"method", request_.method}, {"path", request_.path}, {"peer", request_.peer}});
  // Without memory for it the process ends.
  // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new)
  const std::shared_ptr<PendingExchange> successor(new PendingExchange(this));
  successor->respond(
      Problem{ProblemCode::kInternal,
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
      piece.bytes = answer_.stream->next();
    } catch (const std::exception& error) {
      log::error("an answer that goes on was cut off", {{"path", request_.path}, {"error", error.what()}});
    }
    queue_->push(std::move(piece));
  };
}

void PendingExchange::respond(Answer answer) {
  if (answered_.exchange(true)) return;
  answer_ = std::move(answer);
  queue_->push(shared_from_this());
}

void PendingExchange::respond_with(MakeAnswer make) {
  if (answered_.exchange(true)) return;
  make_ = std::move(make);
  queue_->push(shared_from_this());
}

void PendingExchange::finish() {
  if (make_) answer_ = made_answer();
  if (token_) {
    log::info("operator request", {{"method", request_.method},
                                   {"path", request_.path},
                                   {"status", answer_.status},
                                   {"peer", request_.peer},
                                   {"token", *token_}});
  }
  if (audit_) audit_->add(request_, answer_.status);
}

Answer PendingExchange::made_answer() {
  const MakeAnswer make = std::exchange(make_, nullptr);
  try {
    auto made = make(request_);
    return made ? std::move(*made) : problem_answer(made.error());
  } catch (const std::exception& error) {
    return failure_answer(request_, error.what());
  } catch (...) {
    return failure_answer(request_, "an exception of unknown type");
  }
}

Answer failure_answer(const Request& request, const char* what) {
  log::error("a request failed",
             {{"method", request.method}, {"path", request.path}, {"peer", request.peer}, {"error", what}});
  return problem_answer(
      {ProblemCode::kInternal, "The request failed inside outboxd; the daemon's log says why."});
}

}  // namespace outboxd::api
