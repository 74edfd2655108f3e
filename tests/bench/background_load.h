// A load on a thread of its own, beside what is measured.
#pragma once

#include <atomic>
#include <exception>
#include <thread>

#include "bench/producer.h"

namespace outboxd::bench {

class BackgroundLoad {
 public:
  explicit BackgroundLoad(Load load) : load_(std::move(load)) {
    load_.stop = &stop_;
    thread_ = std::thread([this] {
      try {
        result_ = produce(load_);
      } catch (...) {
        failure_ = std::current_exception();
      }
    });
  }
  ~BackgroundLoad() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  BackgroundLoad(const BackgroundLoad&) = delete;

  // Sends nothing more, and waits for the answers to what it has sent. Throws what produce() threw. Once.
  LoadResult stop() {
    stop_ = true;
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
    return std::move(result_);
  }

 private:
  Load load_;
  std::atomic<bool> stop_{false};
  LoadResult result_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace outboxd::bench
