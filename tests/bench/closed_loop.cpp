#include "bench/closed_loop.h"

#include <algorithm>
#include <vector>

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(300);
constexpr int kMeasured = 0, kWarmUp = 1;  // streams

std::string tenant_of(std::int64_t number) {
  return "tenant" + std::to_string(number);
}

std::vector<EndpointSpec> endpoints_of(const Sink& sink, const ClosedLoop& loop) {
  std::vector<EndpointSpec> endpoints;
  endpoints.reserve(static_cast<std::size_t>(loop.endpoints));
  for (int i = 0; i < loop.endpoints; ++i) {
    std::string more = sink.trust();
    if (loop.endpoints == 1) more += R"(,"max_in_flight":)" + std::to_string(kInFlightOfOne);
    endpoints.push_back({.url = sink.url("/ok", i), .tenant = tenant_of(i), .more = std::move(more)});
  }
  return endpoints;
}

Load load_of(const test::DaemonProcess& daemon, const ClosedLoop& loop, int stream, std::int64_t events) {
  const int endpoints = loop.endpoints;
  return {
      .socket = daemon.ingest_socket(),
      .connections = loop.producers,
      .requests = events / loop.events_per_request,
      .request = requests_of({.stream = stream,
                              .per_request = loop.events_per_request,
                              .tenant = [endpoints](std::int64_t n) { return tenant_of(n % endpoints); }})};
}

bool all_recorded(const test::DaemonProcess& daemon, const Sink& sink, int stream, std::int64_t events) {
  return wait_for([&] { return sink.tally(stream).arrived == events && pending_in(daemon) == 0; }, kPatience);
}

void warm_up(Result& result, const test::DaemonProcess& daemon, const Sink& sink, const ClosedLoop& loop) {
  if (loop.warm_up == 0) return;
  check_accepted(result, produce(load_of(daemon, loop, kWarmUp, loop.warm_up)), loop.name + ", before");
  all_recorded(daemon, sink, kWarmUp, loop.warm_up);
  check_arrived(result, sink, kWarmUp);
}

}  // namespace

Result run_closed_loop(const Settings& settings, const ClosedLoop& loop) {
  const ScenarioFolder folder(settings, "throughput");
  Sink sink({.verify_every = kVerifyEveryFast,
             .hosts = loop.endpoints,
             .tls_folder = loop.tls ? folder.path() : std::filesystem::path()});
  test::DaemonProcess daemon(settings.daemon, folder.path());
  create_endpoints(daemon, endpoints_of(sink, loop));
  sink.expect(kMeasured, loop.events);
  sink.expect(kWarmUp, loop.warm_up);
  Result result{.scenario = loop.name};
  warm_up(result, daemon, sink, loop);

  const std::int64_t connections_before = sink.connections_opened();
  const auto sink_before = sink.cpu();
  const CpuMeter cpu(daemon);
  const std::int64_t start = now_ns();
  const LoadResult load = produce(load_of(daemon, loop, kMeasured, loop.events));
  const std::int64_t produced = now_ns();
  const bool recorded = all_recorded(daemon, sink, kMeasured, loop.events);
  const std::int64_t end = now_ns();
  const auto sink_cpu = sink.cpu() - sink_before;
  cpu.add_to(result.figures, loop.events);
  const auto arrivals = sink.arrivals(kMeasured);

  result.figures["events"] = loop.events;
  result.figures["events_per_second"] = static_cast<double>(arrivals.size()) / seconds_between(start, end);
  result.figures["acknowledged_per_second"] =
      static_cast<double>(loop.events) / seconds_between(start, produced);
  add_latencies(result.figures, "ack", Latencies(load.answered));
  add_latencies(result.figures, "delivered", Latencies(arrivals));
  result.figures["sink_cpu_us_per_event"] = per_event_us(sink_cpu, loop.events);
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.figures["repeats"] = sink.tally(kMeasured).repeats;
  if (loop.warm_up > 0)
    result.figures["connections_opened_meanwhile"] = sink.connections_opened() - connections_before;
  if (!recorded)
    result.failures.push_back(std::to_string(pending_in(daemon)) + " deliveries are still pending");
  check_accepted(result, load, loop.name);
  check_arrived(result, sink, kMeasured);
  check_sink(result, sink);
  return result;
}

}  // namespace outboxd::bench
