#include "outbound/deferred.h"

#include <utility>

namespace outboxd {

Deferred::Deferred(EventLoop& loop, std::function<void()> task)
    : loop_(loop), state_(std::make_shared<State>(State{std::move(task)})) {}

void Deferred::schedule() {
  if (std::exchange(state_->scheduled, true)) return;
  loop_.post([weak = std::weak_ptr<State>(state_)] {
    const auto state = weak.lock();
    if (!state) return;
    state->scheduled = false;
    state->task();
  });
}

}  // namespace outboxd
