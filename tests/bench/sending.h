// What a store's own benchmarks send with: the real HttpSender posts every event, built and signed by the real
// build_request. Or nothing is sent, and every event is a success at once.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "delivery/request_builder.h"
#include "outbound/http_sender.h"
#include "runtime/event_loop.h"
#include "store/commands.h"

namespace outboxd::bench {

inline constexpr std::size_t kMaxOutcomesPerCommit = 1024;  // GroupCommit's default

std::chrono::nanoseconds cpu_of_this_thread();

struct ToSend {
  std::shared_ptr<const Event> event;
  EndpointSeq endpoint = 0;
};

// Events in, outcomes out. All endpoints have the target's URL and secret.
class Sending {
 public:
  // `in_flight` 0: nothing is sent.
  Sending(Target target, int in_flight, UuidGenerator& ids);
  ~Sending();
  Sending(const Sending&) = delete;

  void send(std::vector<ToSend> deliveries);
  // What has ended; waits so long for something to end.
  std::vector<RecordOutcome> take(std::chrono::milliseconds patience);

  struct Totals {
    std::chrono::nanoseconds cpu;
    std::int64_t failed;
  };
  Totals finish();

 private:
  void fill();
  void ended(const ToSend& delivery, Time started_at, SendResult result);
  void add(std::vector<RecordOutcome> outcomes);
  RecordOutcome outcome_of(const ToSend& delivery, Time started_at, SendResult result);

  const Target target_;
  const std::size_t in_flight_;
  UuidGenerator& ids_;
  SystemClock clock_;
  EventLoop loop_;
  HttpSender sender_;
  std::deque<ToSend> waiting_;
  std::int64_t failed_ = 0;
  std::chrono::nanoseconds cpu_{};
  std::mutex mutex_;
  std::condition_variable something_ended_;
  std::deque<RecordOutcome> outcomes_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace outboxd::bench
