// Millions pending in PostgreSQL: memory of the daemon, first delivery after its start, drain rate.
#include <algorithm>

#include "bench/postgres_seed.h"
#include "bench/scenarios.h"
#include "bench/shared_daemons.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(300);
constexpr int kVerifyEvery = 100;

struct Plan {
  int endpoints;
  std::int64_t measured;  // deliveries that the drain rate is taken over
};

// The same endpoints and as many deliveries; what is pending behind them differs.
Result drain(const Settings& settings, PostgresServer& server, const Plan& plan, std::int64_t pending) {
  const std::string database = server.new_database();
  const ScenarioFolder folder(settings, "postgresql-backlog");
  Sink sink(kVerifyEvery);
  Result result{.scenario = "PostgreSQL, backlog: " + grouped(pending) + " pending"};
  test::DaemonProcess daemon(settings.daemon, folder.path(), "", server.url(database));
  std::vector<EndpointSpec> endpoints;
  endpoints.reserve(static_cast<std::size_t>(plan.endpoints));
  for (int i = 0; i < plan.endpoints; ++i) {
    endpoints.push_back(
        {.url = sink.url("/ok/" + std::to_string(i), i), .tenant = "backlog" + std::to_string(i)});
  }
  create_endpoints(daemon, endpoints);
  daemon.stop();
  sink.expect(0, pending);
  const std::int64_t seeding = now_ns();
  seed_backlog(server, database, pending);
  result.figures["seeded_in_s"] = seconds_between(seeding, now_ns());
  result.figures["database_mib"] =
      static_cast<double>(server.number("postgres", "SELECT pg_database_size('" + database + "')")) /
      (1 << 20);

  const ServerMeter meter(server);
  daemon.start();
  const auto arrived = [&] { return sink.tally(0).arrived; };
  if (!wait_for([&] { return arrived() >= plan.measured; }, kPatience))
    result.failures.push_back("only " + std::to_string(arrived()) + " deliveries in time");
  result.figures["cpu_us_per_event"] = per_event_us(daemon.cpu(), arrived());
  meter.add_to(result.figures, arrived());
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.figures["resident_mib"] = mib(daemon.resident_kib());
  auto arrivals = sink.arrivals(0);
  if (!arrivals.empty()) {
    result.figures["first_delivery_s"] = seconds_between(daemon.started_at(), arrivals.front().at);
    arrivals.resize(std::min(arrivals.size(), static_cast<std::size_t>(plan.measured)));
    result.figures["deliveries"] = arrivals.size();
    result.figures["events_per_second"] =
        static_cast<double>(arrivals.size() - 1) / seconds_between(arrivals.front().at, arrivals.back().at);
  }
  daemon.stop();
  const std::int64_t left = server.number(database, "SELECT count(*) FROM pending");
  const std::int64_t ended =
      server.number(database, "SELECT count(*) FROM finished WHERE state = 'delivered'");
  result.figures["repeats"] = sink.tally(0).repeats;
  if (left + ended != pending || ended > arrived()) {
    result.failures.push_back(std::to_string(pending) + " deliveries became " + std::to_string(left) +
                              " pending and " + std::to_string(ended) + " delivered; " +
                              std::to_string(arrived()) + " arrived");
  }
  check_sink(result, sink);
  server.drop(database);
  return result;
}

double figure(const Result& result, const char* name) {
  return result.figures.value(name, 0.0);
}

}  // namespace

std::vector<Result> postgresql_backlog(const Settings& settings) {
  if (!PostgresServer::is_installed()) return postgresql_is_missing();
  PostgresServer server(settings, "postgresql-server");
  const Plan plan{.endpoints = static_cast<int>(settings.scaled(50, 1'000)),
                  .measured = settings.scaled(1'000, 50'000)};
  std::vector<Result> results;
  results.push_back(drain(settings, server, plan, plan.measured * 11 / 10));
  results.back().notes.push_back("the small backlog that the large ones are compared with");
  for (const std::int64_t pending : settings.backlogs) {
    results.push_back(drain(settings, server, plan, std::max(pending, plan.measured)));
    Result& large = results.back();
    const double more = figure(large, "resident_peak_mib") - figure(results.front(), "resident_peak_mib");
    const double rate = figure(large, "events_per_second") / figure(results.front(), "events_per_second");
    large.figures["resident_over_small_mib"] = more;
    large.figures["drain_rate_to_small"] = rate;
    large.goals = {
        {"peak memory over a small backlog's", more, Goal::kAtMost, 64, "MiB"},
        {"first delivery after the start", figure(large, "first_delivery_s"), Goal::kAtMost, 1, "s"},
        {"drain rate / a small backlog's", rate, Goal::kAtLeast, 0.9, "ratio"}};
  }
  return results;
}

}  // namespace outboxd::bench
