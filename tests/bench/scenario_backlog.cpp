#include <algorithm>
#include <stdexcept>

#include "bench/backlog_seed.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(300);
constexpr int kVerifyEvery = 100;
constexpr std::uintmax_t kBytesPerEvent = 1200;  // on disk, generously

std::string tenant_of(std::int64_t endpoint) {
  return "backlog" + std::to_string(endpoint);
}

std::vector<EndpointSpec> endpoints_of(const Sink& sink, int count) {
  std::vector<EndpointSpec> endpoints;
  endpoints.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    endpoints.push_back({.url = sink.url("/ok/" + std::to_string(i), i), .tenant = tenant_of(i)});
  return endpoints;
}

struct Plan {
  int endpoints;
  std::int64_t measured;  // deliveries that the drain rate is taken over
};

// The daemon on an empty database with the same endpoints, after so many deliveries: what memory is compared with.
// The events come in rounds that are awaited, so that there never is a backlog.
Result empty(const Settings& settings, const Plan& plan) {
  constexpr std::int64_t kRound = 1'000;
  constexpr int kBatch = 100;
  const ScenarioFolder folder(settings, "backlog-empty");
  Sink sink(kVerifyEvery);
  test::DaemonProcess daemon(settings.daemon, folder.path());
  create_endpoints(daemon, endpoints_of(sink, plan.endpoints));
  sink.expect(0, plan.measured);
  Result result{.scenario = "no backlog, " + std::to_string(plan.endpoints) + " endpoints"};
  result.figures["resident_idle_mib"] = mib(daemon.resident_kib());
  for (std::int64_t sent = 0; sent < plan.measured && result.failures.empty(); sent += kRound) {
    const auto tenant = [&](std::int64_t n) { return tenant_of(n % plan.endpoints); };
    check_accepted(
        result,
        produce({.socket = daemon.ingest_socket(),
                 .connections = 1,
                 .requests = kRound / kBatch,
                 .request = requests_of({.per_request = kBatch, .first = sent, .tenant = tenant})}),
        "without a backlog");
    wait_for([&] { return sink.tally(0).arrived >= sent + kRound; }, kPatience);
  }
  result.figures["deliveries"] = sink.tally(0).arrived;
  result.figures["resident_mib"] = mib(daemon.resident_kib());
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  return result;
}

class Drain {
 public:
  Drain(const Settings& settings, const Plan& plan, std::int64_t pending)
      : plan_(plan),
        pending_(pending),
        folder_(settings, "backlog-" + std::to_string(pending)),
        sink_(kVerifyEvery),
        daemon_(settings.daemon, folder_.path()) {
    const auto free = std::filesystem::space(folder_.path()).available;
    if (free < static_cast<std::uintmax_t>(pending) * kBytesPerEvent)
      throw std::runtime_error("no room for a backlog of " + std::to_string(pending) + " in " +
                               folder_.path().string());
    create_endpoints(daemon_, endpoints_of(sink_, plan.endpoints));
    daemon_.stop();
    sink_.expect(0, pending);
  }

  Result run() {
    Result result{.scenario = "backlog: " + std::to_string(pending_) + " pending"};
    const std::int64_t seeding = now_ns();
    seed_backlog(daemon_.database(), {.events = pending_, .tenant_pattern = "backlog*"});
    result.figures["seeded_in_s"] = seconds_between(seeding, now_ns());
    result.figures["database_mib"] =
        static_cast<double>(std::filesystem::file_size(daemon_.database())) / (1 << 20);
    measure(result);
    account(result);
    cold_start(result);
    check_sink(result, sink_);
    return result;
  }

 private:
  void measure(Result& result) {
    daemon_.start();
    const CpuMeter cpu(daemon_);
    const auto arrived = [this] { return sink_.tally(0).arrived; };
    if (!wait_for([&] { return arrived() >= plan_.measured; }, kPatience))
      result.failures.push_back("only " + std::to_string(arrived()) + " deliveries in time");
    cpu.add_to(result.figures, arrived());
    result.figures["resident_peak_mib"] = mib(daemon_.peak_resident_kib());
    result.figures["resident_mib"] = mib(daemon_.resident_kib());
    auto arrivals = sink_.arrivals(0);
    if (arrivals.empty()) return;
    result.figures["first_delivery_s"] = seconds_between(daemon_.started_at(), arrivals.front().at);
    arrivals.resize(std::min(arrivals.size(), static_cast<std::size_t>(plan_.measured)));
    result.figures["deliveries"] = arrivals.size();
    result.figures["events_per_second"] =
        static_cast<double>(arrivals.size() - 1) / seconds_between(arrivals.front().at, arrivals.back().at);
  }

  // Stopped in the middle of it, every delivery is still known as what it is.
  void account(Result& result) {
    daemon_.stop();
    const DeliveryCounts counts = count_deliveries(daemon_.database());
    const Sink::Tally tally = sink_.tally(0);
    result.figures["repeats"] = tally.repeats;
    if (counts.pending + counts.delivered == pending_ && counts.delivered <= tally.arrived) return;
    result.failures.push_back(
        std::to_string(pending_) + " deliveries became " + std::to_string(counts.pending) + " pending, " +
        std::to_string(counts.delivered) + " delivered and " + std::to_string(counts.dead) + " dead; " +
        std::to_string(tally.arrived) + " arrived");
  }

  // As after a reboot: nothing of the database is in memory.
  void cold_start(Result& result) {
    const std::int64_t before = sink_.tally(0).arrived;
    if (before == pending_) return;
    forget_cached(daemon_.database());
    daemon_.start();
    if (!wait_for([&] { return sink_.tally(0).arrived > before; }, kPatience)) {
      result.failures.push_back("nothing was delivered after a start from the disk");
    } else {
      const auto first = sink_.arrivals(0)[static_cast<std::size_t>(before)].at;
      result.figures["first_delivery_cold_s"] = seconds_between(daemon_.started_at(), first);
    }
    daemon_.stop();
  }

  const Plan plan_;
  const std::int64_t pending_;
  ScenarioFolder folder_;
  Sink sink_;
  test::DaemonProcess daemon_;
};

double figure(const Result& result, const char* name) {
  return result.figures.value(name, 0.0);
}

void compare(Result& large, const Result& none, const Result& small) {
  const double more = figure(large, "resident_peak_mib") - figure(none, "resident_peak_mib");
  const double rate = figure(large, "events_per_second") / figure(small, "events_per_second");
  large.figures["resident_over_empty_mib"] = more;
  large.figures["resident_over_idle_mib"] =
      figure(large, "resident_peak_mib") - figure(none, "resident_idle_mib");
  large.figures["drain_rate_to_small"] = rate;
  large.goals = {
      {"peak memory over that without a backlog", more, Goal::kAtMost, 64, "MiB"},
      {"first delivery after the start", figure(large, "first_delivery_s"), Goal::kAtMost, 1, "s"},
      {"drain rate / a small backlog's", rate, Goal::kAtLeast, 0.9, "ratio"},
  };
}

}  // namespace

std::vector<Result> backlog(const Settings& settings) {
  const Plan plan{.endpoints = static_cast<int>(settings.scaled(100, 1'000)),
                  .measured = settings.scaled(5'000, 200'000)};
  std::vector<Result> results;
  results.push_back(empty(settings, plan));
  // A little more than is measured, so that the rate is not that of the last, empty-running lanes.
  results.push_back(Drain(settings, plan, plan.measured * 11 / 10).run());
  results.back().notes.push_back("the small backlog that the large ones are compared with");
  for (const std::int64_t pending : settings.backlogs) {
    results.push_back(Drain(settings, plan, std::max(pending, plan.measured)).run());
    compare(results.back(), results[0], results[1]);
  }
  return results;
}

}  // namespace outboxd::bench
