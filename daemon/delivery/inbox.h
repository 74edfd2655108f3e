// What a delivery engine is told, in the order in which it is told: facts, answers to its requests, and other tasks. An
// answer must not overtake a fact that was committed before it was given: then it would be judged for an endpoint that
// has been changed since.
//
// One task is posted to the executor for everything that comes in before it runs, and it deals with a bounded part, so
// that neither a commit with thousands of facts nor thousands of timeouts keep the executor from its other work.
#pragma once

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "common/mutex.h"
#include "delivery/request_builder.h"
#include "delivery/scheduler.h"
#include "outbound/sender.h"
#include "store/facts.h"

namespace outboxd {

class Inbox {
 public:
  struct Answer {
    Decisions::Send sent;
    std::shared_ptr<const Target> target;  // what it was sent to, whatever the endpoint is now
    Time started_at;
    SendResult result;
  };
  using Entry = std::variant<Facts, Answer, Executor::Task>;
  struct Readers {  // run on the executor
    std::function<void(Fact&)> fact;
    std::function<void(Answer&)> answer;
  };
  // Deals with `max_pieces` at a time, each a fact, an answer or a task; with fewer if they take more than a millisecond.
  Inbox(Executor& executor, const Clock& clock, int max_pieces, Readers readers)
      : executor_(executor), clock_(clock), max_pieces_(max_pieces), readers_(std::move(readers)) {}
  Inbox(const Inbox&) = delete;

  void put(Entry entry);  // any thread

 private:
  void work();
  void take_one();

  Executor& executor_;
  const Clock& clock_;
  const int max_pieces_;
  const Readers readers_;
  std::vector<Entry> entries_;  // being worked on; those before next_ are done with
  std::size_t next_ = 0;
  std::size_t next_fact_ = 0;  // of the facts in the next entry
  Mutex mutex_;
  std::vector<Entry> arrived_ OUTBOXD_GUARDED_BY(mutex_);
  bool posted_ OUTBOXD_GUARDED_BY(mutex_) = false;  // work() is to run
};

}  // namespace outboxd
