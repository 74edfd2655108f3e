// A delivery engine with everything it runs on: a thread with an event loop and a sender, and a thread that reads its
// backlog.
#pragma once

#include <memory>
#include <thread>

#include "delivery/delivery_engine.h"
#include "outbound/http_sender.h"
#include "runtime/event_loop.h"

namespace outboxd {

class DeliveryLoop {
 public:
  struct Options {
    DeliveryEngine::Options engine;
    HttpSender::Options sender;
  };
  struct Parts {
    Store& store;
    GroupCommit& commits;
    const Clock& clock;
    UuidGenerator& ids;
    telemetry::Metrics& metrics;
    DeliveryEngine::EndpointsOf endpoints_of;
  };
  DeliveryLoop(const Parts& parts, const std::shared_ptr<const AddressPolicy>& policy,
               const Options& options);
  ~DeliveryLoop() { end_threads(); }
  DeliveryLoop(const DeliveryLoop&) = delete;

  void start();
  DeliveryEngine& engine() { return engine_; }
  Millis since_progress() const { return loop_.since_progress(); }
  // Ends the threads without finishing anything: deliveries under way are due again at the next start.
  void end_threads();

 private:
  EventLoop loop_, backlog_loop_;
  HttpSender sender_;
  DeliveryEngine engine_;
  std::thread thread_, backlog_thread_;
};

}  // namespace outboxd
