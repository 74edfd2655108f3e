#include "delivery/delivery_loop.h"

#include "store/fail_stop.h"

namespace outboxd {
namespace {

HttpSender::Options counting_denials(const HttpSender::Options& options, telemetry::Metrics& metrics) {
  HttpSender::Options counting = options;
  counting.on_denied = [&metrics](std::string_view reason) { metrics.policy_denied(reason); };
  return counting;
}

}  // namespace

DeliveryLoop::DeliveryLoop(const Parts& parts, const std::shared_ptr<const AddressPolicy>& policy,
                           const Options& options)
    : sender_(loop_, policy, counting_denials(options.sender, parts.metrics)),
      engine_({.executor = loop_,
               .backlog_executor = backlog_loop_,
               .sender = sender_,
               .store = parts.store,
               .commits = parts.commits,
               .clock = parts.clock,
               .ids = parts.ids,
               .metrics = parts.metrics,
               .endpoints_of = parts.endpoints_of},
              options.engine) {}

void DeliveryLoop::start() {
  loop_.after_each_round([this] { engine_.pump(); });
  backlog_thread_ = start_thread("backlog", [this] { backlog_loop_.run(); });
  thread_ = start_thread("delivery", [this] { loop_.run(); });
  loop_.post([] {});  // to run the first round
}

void DeliveryLoop::end_threads() {
  if (thread_.joinable()) {
    loop_.stop();
    thread_.join();
  }
  if (backlog_thread_.joinable()) {
    backlog_loop_.stop();
    backlog_thread_.join();
  }
}

}  // namespace outboxd
