// The relays of all configured sources, each on a thread of its own, so that none waits for another one's database.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "config/config.h"
#include "ingest/relay.h"
#include "store/store.h"

namespace outboxd {

class Relays {
 public:
  // What is passed outlives this.
  Relays(const config::Config& config, Store& store, Ingest& ingest, const Clock& clock,
         telemetry::Metrics& metrics);
  ~Relays();  // stop()
  Relays(const Relays&) = delete;

  void start();
  void stop();                               // ends the threads; what is being committed is
  std::vector<SourceStatus> status() const;  // any thread
  std::vector<telemetry::Snapshot::SourceGauge> gauges(Time now) const;

 private:
  std::vector<std::unique_ptr<Relay>> relays_;
  std::vector<std::thread> threads_;
};

}  // namespace outboxd
