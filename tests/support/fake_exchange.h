// One request to a handler of the API, without the HTTP server: the answer can be waited for, whichever thread gives
// it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>

#include "api/exchange.h"

namespace outboxd::test {

class FakeExchange final : public api::Exchange, public std::enable_shared_from_this<FakeExchange> {
 public:
  // `on_loop`: the handler is called as if by the API's loop, until it resumes the request.
  explicit FakeExchange(api::Request request, bool on_loop = false)
      : request_(std::move(request)), on_loop_(on_loop) {}

  const api::Request& request() const override { return request_; }
  using api::Exchange::respond;
  void respond(api::Answer answer) override {
    const std::lock_guard lock(mutex_);
    if (answer_) return;
    answer_ = std::move(answer);
    answered_.notify_all();
  }

  void respond_with(api::MakeAnswer make) override { respond(make(request_)); }
  void resume(api::Handler rest) override {
    on_loop_ = false;
    ++resumed;
    rest(shared_from_this());
  }
  bool on_loop() const override { return on_loop_; }

  int resumed = 0;

  bool answered() {
    const std::lock_guard lock(mutex_);
    return answer_.has_value();
  }
  api::Answer wait() {
    std::unique_lock lock(mutex_);
    if (!answered_.wait_for(lock, std::chrono::seconds(20), [this] { return answer_.has_value(); })) {
      throw std::runtime_error(request_.method + ' ' + request_.path + " was not answered within 20 s");
    }
    return *answer_;
  }

 private:
  const api::Request request_;
  bool on_loop_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::optional<api::Answer> answer_;  // guarded by mutex_
};

}  // namespace outboxd::test
