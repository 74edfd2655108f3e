#include "delivery/delivery_loop.h"

#include "store/fail_stop.h"

namespace outboxd {
namespace {

// The engine asks the store before it sends, but a request may wait for its connection; a process that was stopped
// meanwhile goes on right here.
HttpSender::Options sender_options(const HttpSender::Options& options, const Store& store,
                                   telemetry::Metrics& metrics) {
  HttpSender::Options made = options;
  made.on_denied = [&metrics](std::string_view reason) { metrics.policy_denied(reason); };
  made.may_leave = [&store] { return store.may_send(); };
  return made;
}

}  // namespace

DeliveryLoop::DeliveryLoop(const Parts& parts, const std::shared_ptr<const AddressPolicy>& policy,
                           const Options& options)
    : sender_(loop_, policy, sender_options(options.sender, parts.store, parts.metrics)),
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
