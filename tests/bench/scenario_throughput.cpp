#include "bench/limit.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(300);
constexpr int kVerifyEvery = 100;
constexpr int kInFlight = 256;  // of the one endpoint: one subscriber here stands for many

struct Shape {
  std::string name;
  int producers;
  int events_per_request;
  double most_cpu_us;
};

Result limit(const Settings& settings, const Shape& shape, std::int64_t events) {
  const ScenarioFolder folder(settings, "limit");
  Sink sink(kVerifyEvery);
  sink.expect(0, events);
  const LimitResult limit = run_limit(folder.path(), {.events = events,
                                                      .requests_per_commit = shape.producers,
                                                      .events_per_request = shape.events_per_request,
                                                      .in_flight = kInFlight,
                                                      .url = sink.url("/ok"),
                                                      .secret = Sink::secret()});
  Result result{.scenario = "limit: " + shape.name};
  result.figures["events"] = events;
  result.figures["events_per_second"] = static_cast<double>(events) / limit.seconds;
  result.figures["cpu_us_per_event"] = per_event_us(limit.writing_cpu + limit.sending_cpu, events);
  result.figures["writing_cpu_us_per_event"] = per_event_us(limit.writing_cpu, events);
  result.figures["sending_cpu_us_per_event"] = per_event_us(limit.sending_cpu, events);
  result.figures["commits"] = limit.commits;
  result.notes.push_back("in this process: StoreWriter commits groups of " + std::to_string(shape.producers) +
                         " x " + std::to_string(shape.events_per_request) +
                         " new events and the outcomes so far, HttpSender posts each event, signed; no "
                         "requests in, JSON, matching, "
                         "scheduler, metrics or producer");
  if (limit.failed != 0) result.failures.push_back(std::to_string(limit.failed) + " requests failed");
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  return result;
}

Result through_the_daemon(const Settings& settings, const Shape& shape, std::int64_t events) {
  const ScenarioFolder folder(settings, "throughput");
  Sink sink(kVerifyEvery);
  test::DaemonProcess daemon(settings.daemon, folder.path());
  const EndpointSpec endpoint{.url = sink.url("/ok"),
                              .more = R"(,"max_in_flight":)" + std::to_string(kInFlight)};
  create_endpoints(daemon, {&endpoint, 1});
  sink.expect(0, events);

  const CpuMeter cpu(daemon);
  const std::int64_t start = now_ns();
  const LoadResult load = produce({.socket = daemon.ingest_socket(),
                                   .connections = shape.producers,
                                   .requests = events / shape.events_per_request,
                                   .request = requests_of({.per_request = shape.events_per_request})});
  const std::int64_t produced = now_ns();
  // Durable at both ends: until the last outcome is committed too.
  const bool recorded =
      wait_for([&] { return sink.tally(0).arrived == events && pending_in(daemon) == 0; }, kPatience);
  const std::int64_t end = now_ns();
  const auto arrivals = sink.arrivals(0);

  Result result{.scenario = shape.name};
  result.figures["events"] = events;
  result.figures["events_per_second"] = static_cast<double>(arrivals.size()) / seconds_between(start, end);
  result.figures["acknowledged_per_second"] = static_cast<double>(events) / seconds_between(start, produced);
  cpu.add_to(result.figures, events);
  add_latencies(result.figures, "ack", Latencies(load.answered));
  add_latencies(result.figures, "delivered", Latencies(arrivals));
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.figures["repeats"] = sink.tally(0).repeats;
  result.goals.push_back(
      {"CPU an event", result.figures["cpu_us_per_event"], Goal::kAtMost, shape.most_cpu_us, "us CPU"});
  if (!recorded)
    result.failures.push_back(std::to_string(pending_in(daemon)) + " deliveries are still pending");
  check_accepted(result, load, shape.name);
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  return result;
}

}  // namespace

std::vector<Result> throughput(const Settings& settings) {
  const std::int64_t events = settings.scaled(20'000, 200'000);
  const Shape shapes[] = {{"one event a request, 64 producers", 64, 1, 90},
                          {"batches of 100, 8 producers", 8, 100, 45}};
  std::vector<Result> results;
  for (const Shape& shape : shapes) {
    Result most = limit(settings, shape, events);
    Result real = through_the_daemon(settings, shape, events);
    const double rate = real.figures["events_per_second"];
    const double of_limit = rate / most.figures["events_per_second"].get<double>();
    real.figures["of_limit"] = of_limit;
    if (shape.events_per_request == 1) {
      real.goals.push_back({"delivered", rate, Goal::kAtLeast, 12'000, "events/s"});
      real.goals.push_back({"of the limit in this run", of_limit, Goal::kAtLeast, 0.6, "ratio"});
    }
    results.push_back(std::move(most));
    results.push_back(std::move(real));
  }
  return results;
}

}  // namespace outboxd::bench
