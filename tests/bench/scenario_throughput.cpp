#include <tuple>

#include "bench/closed_loop.h"
#include "bench/limit.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr const char* kCpu = "cpu_us_per_event";

Result limit(const Settings& settings, const ClosedLoop& loop) {
  const ScenarioFolder folder(settings, "limit");
  Sink sink(kVerifyEveryFast);
  sink.expect(0, loop.events);
  const LimitResult limit = run_limit(folder.path(), {.events = loop.events,
                                                      .requests_per_commit = loop.producers,
                                                      .events_per_request = loop.events_per_request,
                                                      .in_flight = kInFlightOfOne,
                                                      .url = sink.url("/ok"),
                                                      .secret = Sink::secret()});
  Result result{.scenario = "limit: " + loop.name};
  result.figures["events"] = loop.events;
  result.figures["events_per_second"] = static_cast<double>(loop.events) / limit.seconds;
  result.figures["cpu_us_per_event"] = per_event_us(limit.writing_cpu + limit.sending_cpu, loop.events);
  result.figures["writing_cpu_us_per_event"] = per_event_us(limit.writing_cpu, loop.events);
  result.figures["sending_cpu_us_per_event"] = per_event_us(limit.sending_cpu, loop.events);
  result.figures["commits"] = limit.commits;
  result.notes.push_back("in this process: StoreWriter commits groups of " + std::to_string(loop.producers) +
                         " x " + std::to_string(loop.events_per_request) +
                         " new events and the outcomes so far, HttpSender posts each event, signed; no "
                         "requests in, JSON, matching, "
                         "scheduler, metrics or producer");
  if (limit.failed != 0) result.failures.push_back(std::to_string(limit.failed) + " requests failed");
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  return result;
}

// Through the daemon, and its limit if that is asked for.
std::vector<Result> beside_limit(const Settings& settings, const ClosedLoop& loop) {
  std::vector<Result> results;
  if (settings.references) results.push_back(limit(settings, loop));
  results.push_back(run_closed_loop(settings, loop));
  if (settings.references) {
    Result& real = results.back();
    const double of_limit = real.figures["events_per_second"].get<double>() /
                            results.front().figures["events_per_second"].get<double>();
    real.figures["of_limit"] = of_limit;
    real.goals.push_back({"of the limit in this run", of_limit, Goal::kAtLeast, 0.8, "ratio"});
  }
  return results;
}

void add_goals(Result& result, double least_rate, double most_cpu_us) {
  result.goals.push_back(
      {"delivered", result.figures["events_per_second"], Goal::kAtLeast, least_rate, "events/s"});
  result.goals.push_back({"CPU an event", result.figures[kCpu], Goal::kAtMost, most_cpu_us, "us CPU"});
}

}  // namespace

std::vector<Result> throughput(const Settings& settings) {
  auto results = beside_limit(
      settings, {.name = "one event a request, 64 producers", .events = settings.scaled(10'000, 200'000)});
  add_goals(results.back(), 17'000, 65);
  return results;
}

std::vector<Result> batch_throughput(const Settings& settings) {
  auto results = beside_limit(settings, {.name = "batches of 100, 8 producers",
                                         .events = settings.scaled(10'000, 200'000),
                                         .producers = 8,
                                         .events_per_request = 100});
  add_goals(results.back(), 27'500, 45);
  return results;
}

// The same events to one endpoint and to many, with and without TLS: what connections and encryption cost.
std::vector<Result> endpoints(const Settings& settings) {
  const int many = static_cast<int>(settings.scaled(100, 1'000));
  const std::string crowd = grouped(many) + " endpoints";
  const std::int64_t events = settings.scaled(2'000, 100'000);
  std::vector<Result> results;
  for (const auto& [name, count, tls] : {std::tuple<std::string, int, bool>{"1 endpoint, plain", 1, false},
                                         {"1 endpoint, TLS kept alive", 1, true},
                                         {crowd + ", plain", many, false},
                                         {crowd + ", TLS kept alive", many, true}}) {
    results.push_back(run_closed_loop(
        settings,
        {.name = name, .events = events, .endpoints = count, .tls = tls, .warm_up = std::int64_t{2} * many}));
    Json& figures = results.back().figures;
    figures["of_one_plain"] = figures["events_per_second"].get<double>() /
                              results.front().figures["events_per_second"].get<double>();
  }
  Result& all = results.back();
  all.goals.push_back({"of one plain endpoint", all.figures["of_one_plain"], Goal::kAtLeast, 0.8, "ratio"});
  results.front().notes.push_back(
      "64 producers, one event a request; each endpoint on an address of its own; the connections were "
      "opened by "
      "events before");
  return results;
}

}  // namespace outboxd::bench
