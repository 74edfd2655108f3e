#include <sqlite3.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kVerifyEvery = 10;
constexpr int kMeasured = 0, kWarmUp = 1;  // streams

struct Closed {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
};

// What SQLite alone takes for one durable commit here, the floor under every acknowledgement: at the pace of the
// scenario, and one right after the other (pace 0).
Latencies bare_commits(const std::filesystem::path& file, std::int64_t commits, double pace) {
  sqlite3* opened = nullptr;
  const int rc = sqlite3_open(file.c_str(), &opened);
  const std::unique_ptr<sqlite3, Closed> db(opened);
  const auto execute = [&](const char* sql) {
    if (rc != SQLITE_OK || sqlite3_exec(db.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
      throw std::runtime_error("bare commit: " + std::string(sqlite3_errmsg(db.get())));
  };
  execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t(x)");
  const ExactTimers exact_timers;
  std::vector<Sample> samples;
  const std::int64_t start = now_ns();
  for (std::int64_t i = 0; i < commits; ++i) {
    std::int64_t due = now_ns();
    if (pace > 0) {
      due = start + static_cast<std::int64_t>(static_cast<double>(i) * 1e9 / pace);
      sleep_until_ns(due);
    }
    execute("INSERT INTO t VALUES(randomblob(300))");
    samples.push_back({due, now_ns()});
  }
  return Latencies(samples);
}

Result bare_commit(const std::string& name, const std::filesystem::path& folder, std::int64_t commits,
                   double pace) {
  Result result{.scenario = "bare fsync'd commit, " + name};
  const Latencies latencies = bare_commits(folder / "bare.db", commits, pace);
  add_latencies(result.figures, "ack", latencies);
  result.curves.push_back({"bare commit, " + name, latencies});
  return result;
}

struct Pace {
  std::string name;
  double rate;
  int connections;  // more than ever wait for an answer at once: an open loop has to find one that is free
  std::int64_t events;
  double warm_up_s;
  double most_cpu_us;
  double most_ack_p50_ms, most_ack_p99_ms;
  double most_delivered_p99_ms;
};

void note_producer(Result& result, const LoadResult& load) {
  constexpr double kPromptMs = 1;
  result.figures["producer_late_p99_ms"] = load.late_p99_ms;
  result.figures["producer_held_back"] = load.held_back;
  if (load.late_p99_ms > kPromptMs)
    result.notes.push_back("the producer itself sent up to " + fixed(load.late_p99_ms, 1) +
                           " ms late (p99), which is part of every latency here");
  if (load.held_back > 0)
    result.notes.push_back(std::to_string(load.held_back) +
                           " requests were due while every connection waited for an answer; their latency "
                           "counts from when they were due");
}

Load load_of(const test::DaemonProcess& daemon, const Pace& pace, int stream, std::int64_t events) {
  return {.socket = daemon.ingest_socket(),
          .connections = pace.connections,
          .requests = events,
          .rate = pace.rate,
          .request = requests_of({.stream = stream})};
}

// The same pace before what is measured: the first second of a daemon, with its connections to open, would be most of
// what lies beyond p99.
void warm_up(Result& result, const test::DaemonProcess& daemon, Sink& sink, const Pace& pace) {
  const auto events = static_cast<std::int64_t>(pace.rate * pace.warm_up_s);
  sink.expect(kWarmUp, events);
  check_accepted(result, produce(load_of(daemon, pace, kWarmUp, events)), pace.name + ", before");
  wait_for([&] { return sink.tally(kWarmUp).arrived == events && pending_in(daemon) == 0; }, kPatience);
  check_arrived(result, sink, kWarmUp);
}

Result at_pace(const Settings& settings, const Pace& pace) {
  const ScenarioFolder folder(settings, "latency");
  Sink sink(kVerifyEvery);
  test::DaemonProcess daemon(settings.daemon, folder.path());
  const EndpointSpec endpoint{.url = sink.url("/ok")};
  create_endpoints(daemon, {&endpoint, 1});
  sink.expect(kMeasured, pace.events);
  Result result{.scenario = pace.name};
  warm_up(result, daemon, sink, pace);

  const CpuMeter cpu(daemon);
  const std::int64_t start = now_ns();
  const LoadResult load = produce(load_of(daemon, pace, kMeasured, pace.events));
  const double seconds = seconds_between(start, now_ns());
  wait_for([&] { return sink.tally(kMeasured).arrived == pace.events; }, kPatience);

  cpu.add_to(result.figures, pace.events);
  const Latencies acknowledged(load.answered), delivered(sink.arrivals(kMeasured));
  result.figures["events"] = pace.events;
  result.figures["sent_per_second"] = static_cast<double>(load.sent) / seconds;
  add_latencies(result.figures, "ack", acknowledged);
  add_latencies(result.figures, "delivered", delivered);
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  note_producer(result, load);
  result.curves = {{"acknowledged", acknowledged}, {"at the subscriber", delivered}};
  result.goals = {
      {"CPU an event", result.figures["cpu_us_per_event"], Goal::kAtMost, pace.most_cpu_us, "us CPU"},
      {"acknowledged p50", acknowledged.ms(0.5), Goal::kAtMost, pace.most_ack_p50_ms, "ms"},
      {"acknowledged p99", acknowledged.ms(0.99), Goal::kAtMost, pace.most_ack_p99_ms, "ms"},
      {"at the subscriber p99", delivered.ms(0.99), Goal::kAtMost, pace.most_delivered_p99_ms, "ms"}};
  check_accepted(result, load, pace.name);
  check_arrived(result, sink, kMeasured);
  check_sink(result, sink);
  return result;
}

}  // namespace

std::vector<Result> latency(const Settings& settings) {
  const Pace pace{.name = "1,000 events/s, open loop",
                  .rate = 1'000,
                  .connections = 64,
                  .events = settings.scaled(1'000, 30'000),
                  .warm_up_s = settings.quick ? 0.5 : 2,
                  .most_cpu_us = 260,
                  .most_ack_p50_ms = 0.7,
                  .most_ack_p99_ms = 1.5,
                  .most_delivered_p99_ms = 10};
  std::vector<Result> results;
  if (settings.references) {
    const ScenarioFolder folder(settings, "bare");
    const std::int64_t commits = settings.scaled(1'000, 10'000);
    results.push_back(bare_commit("back to back", folder.path(), commits, 0));
    results.push_back(bare_commit("1,000/s", folder.path(), commits, pace.rate));
  }
  Result real = at_pace(settings, pace);
  if (settings.references) {
    // The better of the two: what disturbed only one of them must not make the goal easier.
    const auto p99 = [&](std::size_t bare) { return results[bare].curves[0].latencies.ms(0.99); };
    real.goals.push_back({"acknowledged p99, 3 x a bare commit's", real.figures["ack_p99_ms"], Goal::kAtMost,
                          3 * std::min(p99(0), p99(1)), "ms"});
    // One plot: the floor belongs beside what stands on it.
    real.curves.insert(real.curves.begin(), results.back().curves[0]);
    for (Result& bare : results) bare.curves.clear();
  }
  results.push_back(std::move(real));
  return results;
}

std::vector<Result> busy_latency(const Settings& settings) {
  return {at_pace(settings, {.name = "5,000 events/s, open loop",
                             .rate = 5'000,
                             .connections = 256,
                             .events = settings.scaled(5'000, 100'000),
                             .warm_up_s = settings.quick ? 0.5 : 2,
                             .most_cpu_us = 108,
                             .most_ack_p50_ms = 1.3,
                             .most_ack_p99_ms = 3,
                             .most_delivered_p99_ms = 5})};
}

}  // namespace outboxd::bench
