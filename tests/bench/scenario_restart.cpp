#include <algorithm>

#include "bench/background_load.h"
#include "bench/backlog_seed.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(180);
constexpr int kVerifyEvery = 100;
constexpr int kSeeded = 0, kLive = 1;  // streams
constexpr double kLiveRate = 1000;
constexpr std::int64_t kMaxLive = 1'000'000;

std::vector<EndpointSpec> endpoints_of(const Sink& sink) {
  std::vector<EndpointSpec> endpoints{{.url = sink.url("/ok"), .tenant = "live"}};
  for (int i = 0; i < 100; ++i)
    endpoints.push_back(
        {.url = sink.url("/ok/" + std::to_string(i), i), .tenant = "backlog" + std::to_string(i)});
  return endpoints;
}

Load live_load(const test::DaemonProcess& daemon) {
  Load load{.socket = daemon.ingest_socket(), .requests = kMaxLive, .rate = kLiveRate};
  load.request = requests_of({.stream = kLive, .tenant = [](std::int64_t) { return std::string("live"); }});
  load.daemon_may_die = true;
  return load;
}

std::int64_t arrived_in(const Sink& sink, const std::vector<bool>& accepted) {
  const auto arrived = sink.arrived(kLive);
  std::int64_t both = 0;
  for (std::size_t i = 0; i < accepted.size(); ++i) both += accepted[i] && arrived[i];
  return both;
}

}  // namespace

std::vector<Result> restart(const Settings& settings) {
  const std::int64_t pending = settings.scaled(10'000, 200'000);
  const ScenarioFolder folder(settings, "restart");
  Sink sink(kVerifyEvery);
  test::DaemonProcess daemon(settings.daemon, folder.path());
  create_endpoints(daemon, endpoints_of(sink));
  daemon.stop();
  sink.expect(kSeeded, pending);
  sink.expect(kLive, kMaxLive);
  seed_backlog(daemon.database(), {.events = pending, .stream = kSeeded, .tenant_pattern = "backlog*"});

  Result result{.scenario = "restart: kill -9 with " + std::to_string(pending) + " pending, under load"};
  daemon.start();
  BackgroundLoad live(live_load(daemon));
  wait_for([&] { return sink.tally(kSeeded).arrived >= pending / 4 && sink.tally(kLive).arrived > 0; },
           kPatience);
  daemon.kill();
  const LoadResult load = live.stop();
  // What it had sent last is read before the next one is started, so that the first arrival after that is its own.
  wait_for([&] { return sink.connections() == 0; }, kPatience);
  const Sink::Tally seeded_before = sink.tally(kSeeded), live_before = sink.tally(kLive);

  daemon.start();
  const auto requests = [&] { return sink.tally(kSeeded).requests + sink.tally(kLive).requests; };
  const std::int64_t requests_before = seeded_before.requests + live_before.requests;
  wait_for([&] { return requests() > requests_before; }, kPatience);
  result.figures["first_delivery_s"] = seconds_between(daemon.started_at(), now_ns());
  const auto acknowledged = static_cast<std::int64_t>(std::ranges::count(load.accepted, true));
  wait_for(
      [&] {
        return sink.tally(kSeeded).arrived == pending && arrived_in(sink, load.accepted) == acknowledged;
      },
      kPatience);
  result.figures["all_arrived_s"] = seconds_between(daemon.started_at(), now_ns());
  result.figures["arrived_before_kill"] = seeded_before.arrived + live_before.arrived;
  result.figures["acknowledged_under_load"] = acknowledged;
  result.figures["arrived"] = sink.tally(kSeeded).arrived + sink.tally(kLive).arrived;
  result.figures["repeats"] = sink.tally(kSeeded).repeats + sink.tally(kLive).repeats;
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.goals.push_back(
      {"first delivery after the start", result.figures["first_delivery_s"], Goal::kAtMost, 1, "s"});
  check_accepted(result, load, "load until the kill");
  check_arrived(result, sink, kSeeded);
  check_arrived(result, sink, kLive, &load);
  check_sink(result, sink);
  return {std::move(result)};
}

}  // namespace outboxd::bench
