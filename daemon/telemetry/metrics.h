// The metrics that /metrics shows, on prometheus-cpp's registry (in Debian, maintained, MIT; we have no registry of our
// own because histograms and the text format are not what outboxd exists for). Thread safe. Hot paths keep references
// to their counters, because label lookups take a lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/time.h"
#include "common/waiting.h"

namespace outboxd::telemetry {

// Gauges that are computed when somebody asks, not kept up to date.
struct Snapshot {
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;
  std::optional<std::int64_t> in_flight;  // absent: a delivery loop did not answer in time
  std::int64_t database_bytes = 0;
  int members = 1;                    // daemons that share the store
  std::int64_t partitions_owned = 0;  // by this one
  // Further figures of this kind of store: name ("wal_bytes") and value.
  std::vector<std::pair<std::string, std::int64_t>> store_figures;
  struct EndpointGauge {
    std::string endpoint, state;
    double oldest_due_age_seconds = 0;
    std::map<WaitingFor, std::int64_t> waiting;  // pending deliveries
  };
  std::vector<EndpointGauge> endpoints;
  struct SourceGauge {
    std::string name;
    bool up = false;
    std::int64_t relayed = 0, waiting = 0, rejected = 0;
    double lag_seconds = 0;
  };
  std::vector<SourceGauge> sources;
};

// The series of one endpoint, each looked up once. For one thread at a time.
class EndpointSeries {
 public:
  explicit EndpointSeries(std::string endpoint);  // its id
  ~EndpointSeries();
  EndpointSeries(EndpointSeries&&) noexcept;

 private:
  friend class Metrics;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;

  void events_accepted(std::string_view source, std::int64_t n);  // "http", "sql", "relay", "outboxd"
  void events_rejected(std::string_view reason, std::int64_t n);  // a problem's slug
  void events_deduplicated(std::int64_t n);
  void events_unmatched(std::int64_t n);  // besides events_accepted()
  void http_request(std::string_view route, std::string_view method, int code,
                    std::chrono::nanoseconds duration);
  // At most 200 endpoints have a label of their own, the first ones seen; the rest share "other", whose counters only
  // grow. A removed endpoint frees its label, and its series end.
  void attempt(EndpointSeries& endpoint, Outcome outcome, Millis duration);
  void delivery_finished(EndpointSeries& endpoint, DeliveryState result);  // not kPending
  void delivery_damaged();  // besides delivery_finished(), for a dead delivery that is damaged
  void endpoint_removed(std::string_view endpoint);
  void delivery_latency(Millis accepted_to_success);
  void db_transaction(std::string_view op, std::chrono::nanoseconds duration, std::size_t batch_size);
  void db_error(std::string_view op);
  void pruned(std::string_view table, std::int64_t rows);
  void batches_running(std::int64_t n);
  void batch_items(std::string_view action, std::string_view result, std::int64_t n);  // "done", "skipped"
  void policy_denied(std::string_view reason);  // one of outbound/address_policy.h
  void config_reload(bool successful);

  // Prometheus text format 0.0.4, process_* included; the gauges are those of the snapshot. Series that an attempt
  // under way added for an endpoint after its removal end with the second snapshot that does not have the endpoint.
  std::string render(const std::optional<Snapshot>& snapshot = std::nullopt);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace outboxd::telemetry
