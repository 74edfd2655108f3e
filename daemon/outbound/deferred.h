// A task for the end of the loop's round, or for the next one: where work of a round is gathered, or what is too much
// for one round goes on. Does not run any more once this is destroyed. Unlike a timer it has not to wait for its turn
// among thousands of requests that time out.
#pragma once

#include <functional>
#include <memory>

#include "runtime/event_loop.h"

namespace outboxd {

class Deferred {  // every call on the loop's thread
 public:
  Deferred(EventLoop& loop, std::function<void()> task);
  Deferred(const Deferred&) = delete;

  void schedule();  // once, however often this is called before it runs

 private:
  struct State {
    std::function<void()> task;
    bool scheduled = false;
  };

  EventLoop& loop_;
  const std::shared_ptr<State> state_;
};

}  // namespace outboxd
