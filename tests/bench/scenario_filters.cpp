#include <algorithm>
#include <utility>

#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);
constexpr std::int64_t kPassed =
    20;  // events that a filter lets pass, each one endpoint's; all others pass none

// One endpoint gets every event, the others what their two conditions say: the first one always holds.
std::vector<EndpointSpec> endpoints_of(const Sink& sink, int filtered, std::int64_t events) {
  std::vector<EndpointSpec> endpoints{{.url = sink.url("/ok")}};
  for (int i = 0; i < filtered; ++i) {
    endpoints.push_back(
        {.url = sink.url("/ok/" + std::to_string(i), i),
         .more = R"(,"filter":{"/pad":{"prefix":"x"},"/n":)" + std::to_string(i * (events / kPassed)) + "}"});
  }
  return endpoints;
}

Result enqueue(const Settings& settings, int filtered, std::int64_t events) {
  const ScenarioFolder folder(settings, "filters");
  Sink sink;
  test::DaemonProcess daemon(settings.daemon, folder.path());
  create_endpoints(daemon, endpoints_of(sink, filtered, events));
  sink.expect(0, events);

  const CpuMeter cpu(daemon);
  const std::int64_t start = now_ns();
  const LoadResult load = produce(
      {.socket = daemon.ingest_socket(), .connections = 1, .requests = events, .request = requests_of({})});
  const std::int64_t produced = now_ns();
  const std::int64_t requests = events + std::min<std::int64_t>(filtered, kPassed);
  const bool arrived = wait_for([&] { return sink.tally(0).requests >= requests; }, kPatience);
  wait_for([&] { return pending_in(daemon) == 0; }, kPatience);

  Result result{.scenario = "enqueue beside " + std::to_string(filtered) + " filtered endpoints"};
  const Latencies acknowledged(load.answered);
  result.figures["events"] = events;
  result.figures["events_per_second"] = static_cast<double>(events) / seconds_between(start, produced);
  cpu.add_to(result.figures, events);
  add_latencies(result.figures, "ack", acknowledged);
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.curves = {{"acknowledged, " + std::to_string(filtered) + " filters", acknowledged}};
  if (!arrived || sink.tally(0).requests != requests)
    result.failures.push_back(std::to_string(sink.tally(0).requests) + " requests came, and not " +
                              std::to_string(requests));
  check_accepted(result, load, "one producer");
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  return result;
}

}  // namespace

std::vector<Result> filters(const Settings& settings) {
  const std::int64_t events = settings.scaled(200, 3'000);
  std::vector<int> counts{0, 10, 1'000};
  if (!settings.quick) counts.push_back(10'000);
  std::vector<Result> results;
  for (const int filtered : counts) {
    results.push_back(enqueue(settings, filtered, events));
    Json& figures = results.back().figures;
    if (filtered > 0) {
      const Json& without = results.front().figures;
      figures["cpu_us_per_filter"] =
          (figures["cpu_us_per_event"].get<double>() - without["cpu_us_per_event"].get<double>()) / filtered;
    }
  }
  results.front().notes.push_back(
      "one producer, one event a request, each after the answer to the last; one endpoint without a filter "
      "gets them all; a filter has two conditions, of which the first always holds");
  // One plot for all of them.
  std::vector<Curve> all;
  all.reserve(results.size());
  for (Result& result : results) all.push_back(std::exchange(result.curves, {}).front());
  results.front().curves = std::move(all);
  return results;
}

}  // namespace outboxd::bench
