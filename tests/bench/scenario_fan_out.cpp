#include <algorithm>

#include "bench/background_load.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(120);
constexpr int kOthers = 0, kFirstRound = 1;  // streams
constexpr int kRounds = 3;
constexpr double kOthersRate = 500;
constexpr std::int64_t kMaxOthers = 1'000'000;
constexpr int kVerifyEvery = 10;

std::vector<EndpointSpec> endpoints_of(const Sink& sink, int fan_out) {
  std::vector<EndpointSpec> endpoints{{.url = sink.url("/ok"), .tenant = "others"}};
  for (int i = 0; i < fan_out; ++i)
    endpoints.push_back({.url = sink.url("/ok/" + std::to_string(i), i), .tenant = "fan"});
  return endpoints;
}

// One event, its deliveries numbered by the endpoints' paths.
Load one_event(const test::DaemonProcess& daemon, int stream) {
  return {.socket = daemon.ingest_socket(),
          .connections = 1,
          .requests = 1,
          .request = requests_of({.stream = stream, .first = kNumberFromPath, .tenant = [](std::int64_t) {
                                    return std::string("fan");
                                  }})};
}

struct Round {
  std::int64_t posted = 0, last_arrival = 0;
  double ack_ms = 0;
};

Round fan_out_once(Result& result, const Sink& sink, const test::DaemonProcess& daemon, int stream,
                   std::int64_t deliveries) {
  Round round{.posted = now_ns()};
  const LoadResult load = produce(one_event(daemon, stream));
  round.ack_ms = static_cast<double>(now_ns() - round.posted) / 1e6;
  check_accepted(result, load, "the event to all");
  wait_for([&] { return sink.tally(stream).arrived == deliveries; }, kPatience);
  const auto arrivals = sink.arrivals(stream);
  round.last_arrival = arrivals.empty() ? now_ns() : arrivals.back().at;
  check_arrived(result, sink, stream);
  return round;
}

// Until the others' events arrive as promptly as they did before the round: the next one is not to pay for this one.
void let_others_catch_up(const Sink& sink, const Round& round) {
  constexpr std::int64_t kPrompt = 50'000'000;  // ns
  wait_for(
      [&] {
        const Sample latest = sink.latest_arrival(kOthers);
        return latest.due > round.last_arrival && latest.at - latest.due < kPrompt;
      },
      kPatience);
}

// Those of `samples` that were due while a round was under way, or else before the first one.
Latencies during(const std::vector<Sample>& samples, const std::vector<Round>& rounds, bool under_way) {
  std::vector<Sample> chosen;
  for (const Sample& sample : samples) {
    const bool in_round = std::ranges::any_of(rounds, [&](const Round& round) {
      return sample.due >= round.posted && sample.due <= round.last_arrival;
    });
    if (under_way ? in_round : sample.due < rounds.front().posted) chosen.push_back(sample);
  }
  return Latencies(chosen);
}

void add_rounds(Result& result, const std::vector<Round>& rounds, std::int64_t deliveries) {
  std::vector<double> seconds, acks;
  for (const Round& round : rounds) {
    seconds.push_back(seconds_between(round.posted, round.last_arrival));
    acks.push_back(round.ack_ms);
  }
  std::ranges::sort(seconds);
  result.figures["last_delivery_s"] = seconds[seconds.size() / 2];
  result.figures["last_delivery_worst_s"] = seconds.back();
  result.figures["deliveries_per_second"] = static_cast<double>(deliveries) / seconds[seconds.size() / 2];
  result.figures["event_acknowledged_worst_ms"] = *std::ranges::max_element(acks);
}

}  // namespace

std::vector<Result> fan_out(const Settings& settings) {
  const std::int64_t deliveries = settings.fan_out;
  const ScenarioFolder folder(settings, "fan-out");
  Sink sink(kVerifyEvery);
  test::DaemonProcess daemon(settings.daemon, folder.path());
  create_endpoints(daemon, endpoints_of(sink, settings.fan_out));
  sink.expect(kOthers, kMaxOthers);
  for (int i = 0; i < kRounds; ++i) sink.expect(kFirstRound + i, deliveries);

  Result result{.scenario = "fan-out: 1 event to " + std::to_string(deliveries) + " endpoints"};
  Load others{.socket = daemon.ingest_socket(), .requests = kMaxOthers, .rate = kOthersRate};
  others.request =
      requests_of({.stream = kOthers, .tenant = [](std::int64_t) { return std::string("others"); }});
  BackgroundLoad background(std::move(others));
  // As many before the first round as one can take a p99 from.
  wait_for([&] { return sink.tally(kOthers).arrived >= settings.scaled(500, 2'500); }, kPatience);
  const auto cpu_before = daemon.cpu();
  std::vector<Round> rounds;
  for (int i = 0; i < kRounds; ++i) {
    rounds.push_back(fan_out_once(result, sink, daemon, kFirstRound + i, deliveries));
    let_others_catch_up(sink, rounds.back());
  }
  const auto cpu = daemon.cpu() - cpu_before;
  const LoadResult load = background.stop();
  wait_for([&] { return sink.tally(kOthers).arrived >= load.sent - load.refused; }, kPatience);

  add_rounds(result, rounds, deliveries);
  const auto meanwhile = std::ranges::count_if(
      load.answered, [&](const Sample& sample) { return sample.due >= rounds.front().posted; });
  result.figures["cpu_us_per_delivery"] = per_event_us(cpu, deliveries * kRounds + meanwhile);
  const auto arrivals = sink.arrivals(kOthers);
  const Latencies ack_before = during(load.answered, rounds, false),
                  ack_during = during(load.answered, rounds, true), before = during(arrivals, rounds, false),
                  meanwhile_delivered = during(arrivals, rounds, true);
  add_latencies(result.figures, "others_ack_before", ack_before);
  add_latencies(result.figures, "others_ack_during", ack_during);
  add_latencies(result.figures, "others_delivered_before", before);
  add_latencies(result.figures, "others_delivered_during", meanwhile_delivered);
  result.figures["resident_peak_mib"] = mib(daemon.peak_resident_kib());
  result.curves = {{"others acknowledged, before", ack_before},
                   {"others acknowledged, during it", ack_during},
                   {"others at the subscriber, before", before},
                   {"others at the subscriber, during it", meanwhile_delivered}};
  result.notes.push_back(std::to_string(kRounds) + " rounds, the median unless said otherwise; others: " +
                         std::to_string(static_cast<int>(kOthersRate)) +
                         " events/s, open loop, to one endpoint of another tenant");
  check_accepted(result, load, "of the others");
  check_arrived(result, sink, kOthers, &load);
  check_sink(result, sink);
  return {std::move(result)};
}

}  // namespace outboxd::bench
