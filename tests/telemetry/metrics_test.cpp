#include "telemetry/metrics.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "version.h"

using namespace outboxd;
using namespace std::chrono_literals;
using telemetry::EndpointSeries;
using telemetry::Metrics;
using telemetry::Snapshot;

namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

int count_lines(const std::string& text, const std::string& prefix) {
  int n = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) n += line.starts_with(prefix);
  return n;
}

// name{label="value",...} number, with quotes, backslashes and line ends in values escaped.
bool is_sample(const std::string& line) {
  const auto is_name = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  std::size_t i = 0;
  const auto skip_name = [&] {
    const auto start = i;
    while (i < line.size() && is_name(line[i])) ++i;
    return i > start;
  };
  if (!skip_name()) return false;
  if (line[i] == '{') {
    do {
      ++i;  // the brace or the comma
      if (!skip_name() || line.substr(i, 2) != "=\"") return false;
      for (i += 2; i < line.size() && line[i] != '"'; ++i) i += line[i] == '\\';
      ++i;
    } while (i < line.size() && line[i] == ',');
    if (i >= line.size() || line[i++] != '}') return false;
  }
  if (line[i++] != ' ' || i >= line.size()) return false;
  char* end = nullptr;
  std::strtod(line.c_str() + i, &end);
  return *end == '\0';
}

void attempt(Metrics& metrics, const std::string& endpoint, Outcome outcome, Millis duration) {
  EndpointSeries series(endpoint);
  metrics.attempt(series, outcome, duration);
}

void finished(Metrics& metrics, const std::string& endpoint, DeliveryState result) {
  EndpointSeries series(endpoint);
  metrics.delivery_finished(series, result);
}

// Every metric touched once.
void touch_everything(Metrics& metrics) {
  metrics.events_accepted("http", 3);
  metrics.events_rejected("invalid-event", 2);
  metrics.events_deduplicated(1);
  metrics.http_request("/v1/events", "POST", 202, 3ms);
  attempt(metrics, "ep_1", Outcome::kHttp5xx, 20ms);
  finished(metrics, "ep_1", DeliveryState::kDead);
  metrics.batch_items("retry", "done", 1);
  metrics.delivery_latency(4ms);
  metrics.db_transaction("commit", 700us, 17);
  metrics.db_error("commit");
  metrics.pruned("event", 3);
  metrics.policy_denied("loopback");
}

Snapshot some_gauges() {
  Snapshot s;
  s.pending = 7;
  s.in_flight = 2;
  s.database_bytes = 4096;
  s.store_figures = {{"wal_bytes", 99}, {"free_bytes", 0}};
  s.endpoints = {{"ep_1", "paused", 12.5, {}}};
  s.sources = {{"shop", true, 7, 2, 1, 0.5}};
  return s;
}

}  // namespace

TEST_CASE("the page holds exactly the metrics that are promised, each with help and type") {
  Metrics metrics;
  touch_everything(metrics);
  const auto text = metrics.render(some_gauges());
  std::set<std::string> names;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("# HELP ")) {
      const auto rest = line.substr(7);
      names.insert(rest.substr(0, rest.find(' ')));
      CHECK(rest.find(' ') != std::string::npos);
    }
  }
  CHECK(names == std::set<std::string>{"outbox_attempt_duration_seconds",
                                       "outbox_attempts_total",
                                       "outbox_batch_items_total",
                                       "outbox_batch_running",
                                       "outbox_build_info",
                                       "outbox_config_last_reload_successful",
                                       "outbox_db_batch_size",
                                       "outbox_db_errors_total",
                                       "outbox_db_free_bytes",
                                       "outbox_db_size_bytes",
                                       "outbox_db_transaction_duration_seconds",
                                       "outbox_db_wal_bytes",
                                       "outbox_deliveries",
                                       "outbox_deliveries_damaged_total",
                                       "outbox_deliveries_finished_total",
                                       "outbox_delivery_latency_seconds",
                                       "outbox_endpoint_state",
                                       "outbox_events_accepted_total",
                                       "outbox_events_deduplicated_total",
                                       "outbox_events_unmatched_total",
                                       "outbox_events_rejected_total",
                                       "outbox_http_request_duration_seconds",
                                       "outbox_http_requests_total",
                                       "outbox_in_flight",
                                       "outbox_log_dropped_total",
                                       "outbox_members",
                                       "outbox_oldest_due_age_seconds",
                                       "outbox_partitions_owned",
                                       "outbox_pruned_total",
                                       "outbox_policy_denials_total",
                                       "outbox_source_lag_seconds",
                                       "outbox_source_rejected_rows",
                                       "outbox_source_rows_relayed_total",
                                       "outbox_source_up",
                                       "outbox_source_waiting_rows",
                                       "outbox_waiting",
                                       "process_cpu_seconds_total",
                                       "process_max_fds",
                                       "process_open_fds",
                                       "process_resident_memory_bytes",
                                       "process_start_time_seconds",
                                       "process_virtual_memory_bytes"});
  CHECK(count_lines(text, "# TYPE ") == static_cast<int>(names.size()));
}

TEST_CASE("every line is a comment or a sample of the text format") {
  Metrics metrics;
  touch_everything(metrics);
  metrics.events_rejected("quote\" back\\ line\n", 1);
  std::istringstream in(metrics.render(some_gauges()));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) continue;
    INFO(line);
    CHECK(is_sample(line));
  }
}

TEST_CASE("counters, histograms and gauges show what was told") {
  Metrics metrics;
  touch_everything(metrics);
  const auto text = metrics.render(some_gauges());
  CHECK(has_line(text,
                 "outbox_build_info{revision=\"" OUTBOXD_REVISION "\",version=\"" OUTBOXD_VERSION "\"} 1"));
  CHECK(has_line(text, "outbox_events_accepted_total{source=\"http\"} 3"));
  CHECK(has_line(text, "outbox_events_accepted_total{source=\"sql\"} 0"));
  CHECK(has_line(text, "outbox_events_rejected_total{reason=\"invalid-event\"} 2"));
  CHECK(has_line(text, "outbox_events_deduplicated_total 1"));
  CHECK(has_line(text, "outbox_http_requests_total{code=\"202\",method=\"POST\",route=\"/v1/events\"} 1"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_1\",outcome=\"http_5xx\"} 1"));
  CHECK(has_line(text, "outbox_attempt_duration_seconds_count 1"));
  CHECK(has_line(text, "outbox_delivery_latency_seconds_bucket{le=\"0.005\"} 1"));
  CHECK(has_line(text, "outbox_deliveries_finished_total{endpoint=\"ep_1\",result=\"dead\"} 1"));
  CHECK(has_line(text, "outbox_db_transaction_duration_seconds_bucket{op=\"commit\",le=\"0.001\"} 1"));
  CHECK(has_line(text, "outbox_db_batch_size_sum 17"));
  CHECK(has_line(text, "outbox_db_errors_total{op=\"commit\"} 1"));
  CHECK(has_line(text, "outbox_deliveries{state=\"pending\"} 7"));
  CHECK(has_line(text, "outbox_in_flight 2"));
  CHECK(has_line(text, "outbox_db_size_bytes 4096"));
  CHECK(has_line(text, "outbox_db_wal_bytes 99"));
  CHECK(has_line(text, "outbox_pruned_total{table=\"event\"} 3"));
  CHECK(has_line(text, "outbox_policy_denials_total{reason=\"loopback\"} 1"));
  CHECK(has_line(text, "outbox_oldest_due_age_seconds{endpoint=\"ep_1\"} 12.5"));
  CHECK(has_line(text, "outbox_endpoint_state{endpoint=\"ep_1\",state=\"paused\"} 1"));
  CHECK(has_line(text, "outbox_endpoint_state{endpoint=\"ep_1\",state=\"active\"} 0"));
  CHECK(has_line(text, "outbox_config_last_reload_successful 1"));
}

TEST_CASE("what pending deliveries wait for is shown for each endpoint, and gone when nothing waits") {
  Metrics metrics;
  Snapshot snapshot = some_gauges();
  snapshot.endpoints.at(0).waiting = {{WaitingFor::kBreaker, 12}, {WaitingFor::kDue, 3}};
  const auto text = metrics.render(snapshot);
  CHECK(has_line(text, "outbox_waiting{endpoint=\"ep_1\",for=\"breaker\"} 12"));
  CHECK(has_line(text, "outbox_waiting{endpoint=\"ep_1\",for=\"due\"} 3"));
  CHECK(count_lines(metrics.render(some_gauges()), "outbox_waiting{") == 0);
}

TEST_CASE("a failed reload shows until one succeeds") {
  Metrics metrics;
  metrics.config_reload(false);
  CHECK(has_line(metrics.render(), "outbox_config_last_reload_successful 0"));
  metrics.config_reload(true);
  CHECK(has_line(metrics.render(), "outbox_config_last_reload_successful 1"));
}

TEST_CASE("endpoints beyond the first 200 share the label other, in counters and in gauges") {
  Metrics metrics;
  Snapshot snapshot;
  for (int i = 0; i < 300; ++i) {
    const auto endpoint = "ep_" + std::to_string(i);
    attempt(metrics, endpoint, Outcome::kSuccess, 1ms);
    attempt(metrics, endpoint, Outcome::kTimeout, 1ms);
    finished(metrics, endpoint, DeliveryState::kDelivered);
    snapshot.endpoints.push_back({endpoint, i < 250 ? "active" : "disabled", static_cast<double>(i), {}});
  }
  snapshot.in_flight = 0;
  const auto text = metrics.render(snapshot);
  CHECK(count_lines(text, "outbox_attempts_total{") == 2 * 201);
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_199\",outcome=\"success\"} 1"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"other\",outcome=\"timeout\"} 100"));
  CHECK(has_line(text, "outbox_deliveries_finished_total{endpoint=\"other\",result=\"delivered\"} 100"));
  CHECK(has_line(text, "outbox_oldest_due_age_seconds{endpoint=\"other\"} 299"));
  CHECK(has_line(text, "outbox_endpoint_state{endpoint=\"other\",state=\"active\"} 50"));
  CHECK(has_line(text, "outbox_endpoint_state{endpoint=\"other\",state=\"disabled\"} 50"));
}

TEST_CASE("a removed endpoint gives its place back, and what the others share only grows") {
  Metrics metrics;
  for (int i = 0; i < 201; ++i) attempt(metrics, "ep_" + std::to_string(i), Outcome::kSuccess, 1ms);
  finished(metrics, "ep_7", DeliveryState::kDelivered);
  metrics.endpoint_removed("ep_7");
  metrics.endpoint_removed("ep_200");  // had no place
  attempt(metrics, "ep_new", Outcome::kSuccess, 1ms);
  attempt(metrics, "ep_late", Outcome::kSuccess, 1ms);
  const auto text = metrics.render();
  CHECK(count_lines(text, "outbox_attempts_total{") == 201);
  CHECK(text.find("\"ep_7\"") == std::string::npos);
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_70\",outcome=\"success\"} 1"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_new\",outcome=\"success\"} 1"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"other\",outcome=\"success\"} 2"));
}

TEST_CASE("series that were looked up are looked up again after a removal") {
  Metrics metrics;
  EndpointSeries one("ep_one"), late("ep_late");
  metrics.attempt(one, Outcome::kSuccess, 1ms);
  for (int i = 1; i < 200; ++i) attempt(metrics, "ep_" + std::to_string(i), Outcome::kSuccess, 1ms);
  metrics.attempt(late, Outcome::kSuccess, 1ms);
  CHECK(has_line(metrics.render(), "outbox_attempts_total{endpoint=\"other\",outcome=\"success\"} 1"));
  metrics.endpoint_removed("ep_7");
  metrics.attempt(one, Outcome::kSuccess, 1ms);
  metrics.attempt(late, Outcome::kSuccess, 1ms);  // takes the place that is free now
  metrics.delivery_finished(late, DeliveryState::kDelivered);
  auto text = metrics.render();
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_one\",outcome=\"success\"} 2"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_late\",outcome=\"success\"} 1"));
  CHECK(has_line(text, "outbox_deliveries_finished_total{endpoint=\"ep_late\",result=\"delivered\"} 1"));
  metrics.endpoint_removed("ep_one");
  CHECK(metrics.render().find("ep_one") == std::string::npos);
  metrics.attempt(one, Outcome::kSuccess, 1ms);  // it was under way
  CHECK(has_line(metrics.render(), "outbox_attempts_total{endpoint=\"ep_one\",outcome=\"success\"} 1"));
}

TEST_CASE("a thousand endpoints that come and go leave room for the next") {
  Metrics metrics;
  for (int i = 0; i < 1000; ++i) {
    const auto endpoint = "ep_" + std::to_string(i);
    attempt(metrics, endpoint, Outcome::kSuccess, 1ms);
    CHECK(has_line(metrics.render(),
                   "outbox_attempts_total{endpoint=\"" + endpoint + "\",outcome=\"success\"} 1"));
    metrics.endpoint_removed(endpoint);
  }
}

TEST_CASE("what is counted for an endpoint after its removal ends with the second snapshot without it") {
  Metrics metrics;
  Snapshot snapshot;
  snapshot.endpoints = {{"ep_there", "active", 0, {}}};
  attempt(metrics, "ep_there", Outcome::kSuccess, 1ms);
  metrics.endpoint_removed("ep_gone");
  attempt(metrics, "ep_gone", Outcome::kSuccess, 1ms);
  CHECK(metrics.render(snapshot).find("ep_gone") != std::string::npos);
  CHECK(metrics.render(snapshot).find("ep_gone") == std::string::npos);
  CHECK(metrics.render(snapshot).find("ep_there") != std::string::npos);
}

TEST_CASE("clients cannot make series without end") {
  Metrics metrics;
  for (int i = 0; i < 6000; ++i) {
    metrics.http_request("/v1/events", "METHOD" + std::to_string(i), 405, 1ms);
    metrics.events_rejected("reason" + std::to_string(i), 1);
  }
  const auto text = metrics.render();
  CHECK(count_lines(text, "outbox_http_requests_total{") == 1);
  CHECK(count_lines(text, "outbox_events_rejected_total{") == 4097);
  CHECK(has_line(text, "outbox_events_rejected_total{reason=\"other\"} 1904"));
}

TEST_CASE("threads may count and render at the same time") {
  Metrics metrics;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      for (int i = 0; i < 2000; ++i) {
        attempt(metrics, "ep_" + std::to_string(i % 50), Outcome::kSuccess, 1ms);
        metrics.db_transaction(t % 2 == 0 ? "commit" : "checkpoint", 1ms, 1);
        metrics.events_accepted("http", 1);
      }
    });
  }
  for (int i = 0; i < 5; ++i) metrics.render();
  for (auto& thread : threads) thread.join();
  const auto text = metrics.render();
  CHECK(has_line(text, "outbox_events_accepted_total{source=\"http\"} 8000"));
  CHECK(has_line(text, "outbox_attempts_total{endpoint=\"ep_7\",outcome=\"success\"} 160"));
  CHECK(has_line(text, "outbox_db_transaction_duration_seconds_count{op=\"commit\"} 4000"));
}
