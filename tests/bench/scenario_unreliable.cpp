#include <algorithm>

#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(120);
// Often enough that twenty percent of failures never exhaust it.
constexpr const char* kRetries =
    R"(,"retry_schedule":["0s","50ms","50ms","100ms","100ms","200ms","200ms","500ms","500ms","1s","1s","1s"])";

struct Kind {
  const char* name;
  const char* path;
};
constexpr Kind kKinds[] = {{"prompt", "/ok"}, {"slow", "/slow/20"}, {"failing", "/fail/500/20"}};

}  // namespace

std::vector<Result> unreliable(const Settings& settings) {
  const std::int64_t events = settings.scaled(500, 5'000);
  const ScenarioFolder folder(settings, "unreliable");
  Sink sink;
  test::DaemonProcess daemon(settings.daemon, folder.path());
  std::vector<EndpointSpec> endpoints;
  for (const Kind& kind : kKinds)
    endpoints.push_back({.url = sink.url(kind.path), .tenant = kind.name, .more = kRetries});
  create_endpoints(daemon, endpoints);

  Result result{.scenario = "unreliable: prompt, slow (20 ms), failing (20 % are 500)"};
  std::int64_t total = 0;
  for (int stream = 0; stream < static_cast<int>(std::size(kKinds)); ++stream) {
    sink.expect(stream, events);
    Load load{.socket = daemon.ingest_socket(), .requests = events};
    load.request = requests_of(
        {.stream = stream, .tenant = [stream](std::int64_t) { return std::string(kKinds[stream].name); }});
    check_accepted(result, produce(load), kKinds[stream].name);
    total += events;
  }
  const auto arrived = [&] { return sink.tally(0).arrived + sink.tally(1).arrived + sink.tally(2).arrived; };
  wait_for([&] { return arrived() == total; }, kPatience);
  for (int stream = 0; stream < static_cast<int>(std::size(kKinds)); ++stream) {
    const std::string name = kKinds[stream].name;
    const Sink::Tally tally = sink.tally(stream);
    result.figures[name + "_attempts_per_event"] =
        static_cast<double>(tally.requests) / static_cast<double>(events);
    result.figures[name + "_repeats"] = tally.repeats;
    add_latencies(result.figures, name, Latencies(sink.arrivals(stream)));
    check_arrived(result, sink, stream);
  }
  result.figures["cpu_us_per_event"] = per_event_us(daemon.cpu(), total);
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  check_sink(result, sink);
  return {std::move(result)};
}

}  // namespace outboxd::bench
