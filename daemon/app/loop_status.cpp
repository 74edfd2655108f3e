#include "app/loop_status.h"

#include <atomic>
#include <utility>

namespace outboxd {
namespace {

constexpr Millis kStatusTimeout{250};  // how long a status waits for the delivery loops' part

}  // namespace

void ask_loops(DeliveryLoops& loops, EventLoop& timer, std::optional<EndpointSeq> only,
               std::function<void(LoopStatus)> done) {
  const auto once =
      [asked = std::make_shared<std::atomic<bool>>(false),
       done = std::make_shared<std::function<void(LoopStatus)>>(std::move(done))](LoopStatus status) {
        if (!asked->exchange(true)) std::exchange(*done, nullptr)(std::move(status));
      };
  loops.ask_status(
      only, [once](EngineStatus status) { once(std::make_shared<const EngineStatus>(std::move(status))); });
  timer.post([&timer, once] { timer.call_at(timer.now() + kStatusTimeout, [once] { once(nullptr); }); });
}

}  // namespace outboxd
