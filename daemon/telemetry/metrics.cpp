#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "telemetry/labelled_metric.h"
#include "telemetry/log.h"
#include "telemetry/process_metrics.h"
#include "version.h"

namespace outboxd::telemetry {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = Histogram::BucketBoundaries;

constexpr std::size_t kMaxEndpointLabels = 200;
constexpr std::string_view kOther = "other";
constexpr std::array<std::string_view, 3> kEndpointStates = {"active", "paused", "disabled"};
constexpr std::array<std::string_view, 7> kMethods = {"GET",  "POST", "PATCH",  "DELETE",
                                                      "HEAD", "PUT",  "OPTIONS"};

// In seconds: fine where values are normal, coarse where they are a disaster.
const Buckets kRequestSeconds = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
const Buckets kAttemptSeconds = {.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 60};
const Buckets kLatencySeconds = {.001, .0025, .005, .01,  .025, .05,   .1,    .5,    1,
                                 5,    30,    300,  1800, 7200, 18000, 86400, 604800};
const Buckets kTransactionSeconds = {.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5};
const Buckets kBatchSizes = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};

// Decides which endpoints have a label of their own.
class EndpointLabels {
 public:
  std::string of(std::string_view endpoint) {
    const MutexLock lock(mutex_);
    if (const auto it = seen_.find(endpoint); it != seen_.end()) return *it;
    if (seen_.size() >= kMaxEndpointLabels) return std::string(kOther);
    return *seen_.emplace(endpoint).first;
  }
  void remove(std::string_view endpoint) {
    const MutexLock lock(mutex_);
    if (const auto it = seen_.find(endpoint); it != seen_.end()) seen_.erase(it);
  }
  // The labels missing from this snapshot and from the last one: an endpoint made a moment ago may be missing once.
  std::vector<std::string> missing_twice(const std::vector<Snapshot::EndpointGauge>& all) {
    Set there;
    for (const auto& one : all) there.insert(one.endpoint);
    const MutexLock lock(mutex_);
    std::vector<std::string> twice;
    Set missing;
    for (const auto& label : seen_) {
      if (there.contains(label)) continue;
      if (missing_.contains(label)) twice.push_back(label);
      missing.insert(label);
    }
    missing_ = std::move(missing);
    return twice;
  }

 private:
  using Set = std::unordered_set<std::string, TransparentHash, std::equal_to<>>;
  Mutex mutex_;
  Set seen_ OUTBOXD_GUARDED_BY(mutex_);
  Set missing_ OUTBOXD_GUARDED_BY(mutex_);
};

MetricFamily gauge_family(std::string name, std::string help) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = MetricType::Gauge;
  return family;
}

void add_gauge(MetricFamily& family, const std::vector<std::pair<std::string, std::string>>& labels,
               double value) {
  auto& metric = family.metric.emplace_back();
  for (const auto& [name, label] : labels) metric.label.push_back({name, label});
  metric.gauge.value = value;
}

// The endpoints beyond the cap share one series: the highest age among them, how many are in each state, and the sum of
// what waits.
void append_endpoint_gauges(const Snapshot& snapshot, EndpointLabels& labels,
                            std::vector<MetricFamily>& out) {
  struct Sum {
    double oldest = 0;
    std::array<double, kEndpointStates.size()> states{};
    std::map<WaitingFor, std::int64_t> waiting;
  };
  std::map<std::string, Sum> sums;
  for (const auto& endpoint : snapshot.endpoints) {
    auto& sum = sums[labels.of(endpoint.endpoint)];
    sum.oldest = std::max(sum.oldest, endpoint.oldest_due_age_seconds);
    for (std::size_t i = 0; i < kEndpointStates.size(); ++i)
      sum.states[i] += endpoint.state == kEndpointStates[i];
    for (const auto& [what, count] : endpoint.waiting) sum.waiting[what] += count;
  }
  auto ages = gauge_family("outbox_oldest_due_age_seconds",
                           "How long the oldest due delivery has been waiting, whatever holds it back.");
  auto states = gauge_family("outbox_endpoint_state",
                             "1 for the state the endpoint is in; \"other\" counts endpoints.");
  auto waiting = gauge_family("outbox_waiting", "Pending deliveries by what they wait for now.");
  for (const auto& [label, sum] : sums) {
    for (const auto& [what, count] : sum.waiting)
      add_gauge(waiting, {{"endpoint", label}, {"for", std::string(to_string(what))}},
                static_cast<double>(count));
    add_gauge(ages, {{"endpoint", std::string(label)}}, sum.oldest);
    for (std::size_t i = 0; i < kEndpointStates.size(); ++i) {
      add_gauge(states, {{"endpoint", std::string(label)}, {"state", std::string(kEndpointStates[i])}},
                sum.states[i]);
    }
  }
  out.push_back(std::move(ages));
  out.push_back(std::move(states));
  out.push_back(std::move(waiting));
}

void append_source_gauges(const Snapshot& snapshot, std::vector<MetricFamily>& out) {
  if (snapshot.sources.empty()) return;
  auto up = gauge_family("outbox_source_up", "1 if the source's outbox can be read and relayed.");
  auto relayed = gauge_family("outbox_source_rows_relayed_total", "Rows of the source that became events.");
  relayed.type = MetricType::Counter;
  auto waiting = gauge_family("outbox_source_waiting_rows", "Rows in the source's outbox, up to 1,000.");
  auto rejected = gauge_family("outbox_source_rejected_rows", "Rejected rows in the source, up to 1,000.");
  auto lag = gauge_family("outbox_source_lag_seconds", "For how long rows have been waiting there.");
  for (const auto& source : snapshot.sources) {
    const std::vector<std::pair<std::string, std::string>> labels = {{"source", source.name}};
    add_gauge(up, labels, source.up ? 1 : 0);
    add_gauge(waiting, labels, static_cast<double>(source.waiting));
    add_gauge(rejected, labels, static_cast<double>(source.rejected));
    add_gauge(lag, labels, source.lag_seconds);
    auto& total = relayed.metric.emplace_back();
    total.label.push_back({"source", source.name});
    total.counter.value = static_cast<double>(source.relayed);
  }
  for (auto* family : {&up, &relayed, &waiting, &rejected, &lag}) out.push_back(std::move(*family));
}

const char* help_of_store_figure(std::string_view name) {
  if (name == "wal_bytes") return "Size of the write-ahead log.";
  if (name == "free_bytes") return "Room in the database file that was deleted and not yet given back.";
  if (name == "synchronous_standbys") return "Standbys that confirm each commit.";
  if (name == "oldest_snapshot_seconds") return "Age of the oldest transaction on the server.";
  if (name == "pending_dead_rows") return "Rows of the table pending that are still to be cleaned up.";
  return "As the store tells it.";
}

void append_gauges(const Snapshot& snapshot, EndpointLabels& labels, std::vector<MetricFamily>& out) {
  auto deliveries = gauge_family("outbox_deliveries", "Deliveries kept, by state.");
  add_gauge(deliveries, {{"state", "pending"}}, static_cast<double>(snapshot.pending));
  add_gauge(deliveries, {{"state", "delivered"}}, static_cast<double>(snapshot.delivered));
  add_gauge(deliveries, {{"state", "dead"}}, static_cast<double>(snapshot.dead));
  add_gauge(deliveries, {{"state", "discarded"}}, static_cast<double>(snapshot.discarded));
  out.push_back(std::move(deliveries));
  if (snapshot.in_flight) {
    out.push_back(single_metric("outbox_in_flight", "Attempts under way.", MetricType::Gauge,
                                static_cast<double>(*snapshot.in_flight)));
  }
  out.push_back(single_metric("outbox_db_size_bytes", "Size of the database file.", MetricType::Gauge,
                              static_cast<double>(snapshot.database_bytes)));
  for (const auto& [name, value] : snapshot.store_figures)
    out.push_back(single_metric("outbox_db_" + name, help_of_store_figure(name), MetricType::Gauge,
                                static_cast<double>(value)));
  out.push_back(single_metric("outbox_members", "Daemons that share the store.", MetricType::Gauge,
                              static_cast<double>(snapshot.members)));
  out.push_back(single_metric("outbox_partitions_owned",
                              "Partitions of the endpoints that this daemon owns, of 256.", MetricType::Gauge,
                              static_cast<double>(snapshot.partitions_owned)));
  append_endpoint_gauges(snapshot, labels, out);
  append_source_gauges(snapshot, out);
}

double seconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double>(d).count();
}

}  // namespace

struct EndpointSeries::Impl {
  using Found = LabelledMetric<Counter>::Found;
  std::string endpoint;
  std::array<Found, static_cast<std::size_t>(Outcome::kProtocol) + 1> attempts = {};
  std::array<Found, static_cast<std::size_t>(DeliveryState::kDiscarded) + 1> finished = {};
};

EndpointSeries::EndpointSeries(std::string endpoint)
    : impl_(std::make_unique<Impl>(Impl{.endpoint = std::move(endpoint)})) {}
EndpointSeries::~EndpointSeries() = default;
EndpointSeries::EndpointSeries(EndpointSeries&&) noexcept = default;

struct Metrics::Impl {
  prometheus::Registry registry;
  EndpointLabels endpoints;

  prometheus::Family<Counter>& counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  prometheus::Family<Histogram>& histograms(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }
  Histogram& histogram(const char* name, const char* help, const Buckets& buckets) {
    return histograms(name, help).Add({}, buckets);
  }

  LabelledMetric<Counter> accepted{
      counters("outbox_events_accepted_total", "Events committed, by the way they came."), {"source"}};
  LabelledMetric<Counter> rejected{counters("outbox_events_rejected_total", "Events refused, by reason."),
                                   {"reason"}};
  Counter& deduplicated = counters("outbox_events_deduplicated_total",
                                   "Events answered from an earlier one with the same idempotency key.")
                              .Add({});
  Counter& unmatched =
      counters("outbox_events_unmatched_total", "Events committed that no endpoint wanted.").Add({});
  LabelledMetric<Counter> requests{counters("outbox_http_requests_total", "Requests to the API."),
                                   {"route", "method", "code"}};
  Histogram& request_duration =
      histogram("outbox_http_request_duration_seconds", "Time from a request to its answer, commit included.",
                kRequestSeconds);
  LabelledMetric<Counter> attempts{counters("outbox_attempts_total", "Attempts finished, by outcome."),
                                   {"endpoint", "outcome"}};
  Histogram& attempt_duration =
      histogram("outbox_attempt_duration_seconds", "Time an attempt took.", kAttemptSeconds);
  Histogram& latency =
      histogram("outbox_delivery_latency_seconds",
                "Time from an event's acceptance to the 2xx of its subscriber.", kLatencySeconds);
  LabelledMetric<Counter> finished{
      counters("outbox_deliveries_finished_total", "Deliveries that left the state pending, by result."),
      {"endpoint", "result"}};
  Counter& damaged = counters("outbox_deliveries_damaged_total",
                              "Deliveries given up because the stored event does not match its checksum.")
                         .Add({});
  LabelledMetric<Histogram, Buckets> transactions{
      histograms("outbox_db_transaction_duration_seconds", "Time a transaction took, fsync included."),
      {"op"},
      kTransactionSeconds};
  Histogram& batch_size =
      histogram("outbox_db_batch_size", "Commands that shared a transaction.", kBatchSizes);
  LabelledMetric<Counter> db_errors{counters("outbox_db_errors_total", "Errors of the database."), {"op"}};
  LabelledMetric<Counter> pruned{
      counters("outbox_pruned_total", "What retention deleted: rows, and payloads of events."), {"table"}};
  LabelledMetric<Counter> batch_items{
      counters("outbox_batch_items_total", "Deliveries that operators' batches acted upon or skipped."),
      {"action", "result"}};
  Gauge& batches_running = prometheus::BuildGauge()
                               .Name("outbox_batch_running")
                               .Help("Operators' batches that are not finished.")
                               .Register(registry)
                               .Add({});
  LabelledMetric<Counter> denied{
      counters("outbox_policy_denials_total", "Requests and registrations that the address policy stopped."),
      {"reason"}};
  Gauge& reload = prometheus::BuildGauge()
                      .Name("outbox_config_last_reload_successful")
                      .Help("1 if the configuration was last read without an error.")
                      .Register(registry)
                      .Add({});
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
  prometheus::BuildGauge()
      .Name("outbox_build_info")
      .Help("Always 1; the labels say which build this is.")
      .Register(impl_->registry)
      .Add({{"version", OUTBOXD_VERSION}, {"revision", OUTBOXD_REVISION}})
      .Set(1);
  // Present from the start, so that a rate does not miss the first event.
  impl_->accepted.with({"http"});
  impl_->accepted.with({"sql"});
  impl_->db_errors.with({"commit"});
  impl_->db_errors.with({"read"});
  impl_->reload.Set(1);
}

Metrics::~Metrics() = default;

void Metrics::events_accepted(std::string_view source, std::int64_t n) {
  impl_->accepted.with({source}).Increment(static_cast<double>(n));
}

void Metrics::events_rejected(std::string_view reason, std::int64_t n) {
  impl_->rejected.with({reason}).Increment(static_cast<double>(n));
}

void Metrics::events_deduplicated(std::int64_t n) {
  impl_->deduplicated.Increment(static_cast<double>(n));
}

void Metrics::events_unmatched(std::int64_t n) {
  impl_->unmatched.Increment(static_cast<double>(n));
}

void Metrics::http_request(std::string_view route, std::string_view method, int code,
                           std::chrono::nanoseconds duration) {
  // A client may send any word as its method, so unknown ones share one label.
  const bool known = std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end();
  impl_->requests.with({route, known ? method : kOther, std::to_string(code)}).Increment();
  impl_->request_duration.Observe(seconds(duration));
}

void Metrics::attempt(EndpointSeries& endpoint, Outcome outcome, Millis duration) {
  EndpointSeries::Impl& its = *endpoint.impl_;
  impl_->attempts.increment(
      its.attempts.at(static_cast<std::size_t>(outcome)), [&] { return impl_->endpoints.of(its.endpoint); },
      to_string(outcome));
  impl_->attempt_duration.Observe(seconds(duration));
}

void Metrics::delivery_finished(EndpointSeries& endpoint, DeliveryState result) {
  EndpointSeries::Impl& its = *endpoint.impl_;
  impl_->finished.increment(
      its.finished.at(static_cast<std::size_t>(result)), [&] { return impl_->endpoints.of(its.endpoint); },
      to_string(result));
}

void Metrics::endpoint_removed(std::string_view endpoint) {
  impl_->endpoints.remove(endpoint);
  impl_->attempts.remove(endpoint);
  impl_->finished.remove(endpoint);
}

void Metrics::delivery_damaged() {
  impl_->damaged.Increment();
}

void Metrics::delivery_latency(Millis accepted_to_success) {
  impl_->latency.Observe(seconds(accepted_to_success));
}

void Metrics::db_transaction(std::string_view op, std::chrono::nanoseconds duration, std::size_t batch_size) {
  impl_->transactions.with({op}).Observe(seconds(duration));
  impl_->batch_size.Observe(static_cast<double>(batch_size));
}

void Metrics::pruned(std::string_view table, std::int64_t rows) {
  impl_->pruned.with({table}).Increment(static_cast<double>(rows));
}

void Metrics::batches_running(std::int64_t n) {
  impl_->batches_running.Set(static_cast<double>(n));
}

void Metrics::batch_items(std::string_view action, std::string_view result, std::int64_t n) {
  impl_->batch_items.with({action, result}).Increment(static_cast<double>(n));
}

void Metrics::db_error(std::string_view op) {
  impl_->db_errors.with({op}).Increment();
}

void Metrics::policy_denied(std::string_view reason) {
  impl_->denied.with({reason}).Increment();
}

void Metrics::config_reload(bool successful) {
  impl_->reload.Set(successful ? 1 : 0);
}

std::string Metrics::render(const std::optional<Snapshot>& snapshot) {
  if (snapshot) {
    for (const auto& endpoint : impl_->endpoints.missing_twice(snapshot->endpoints))
      endpoint_removed(endpoint);
  }
  auto families = impl_->registry.Collect();
  if (snapshot) append_gauges(*snapshot, impl_->endpoints, families);
  families.push_back(
      single_metric("outbox_log_dropped_total",
                    "Lines of the log that were dropped, because nobody read it in time or it could "
                    "not be written.",
                    MetricType::Counter, static_cast<double>(log::dropped())));
  for (auto& family : process_metrics()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace outboxd::telemetry
