#include <sys/resource.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "bench/background_load.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr double kHealthyRate = 200;
constexpr auto kPatience = std::chrono::seconds(60);
constexpr int kHealthy = 0, kOthers = 1;  // streams
constexpr int kApiConnections = 500;      // [limits] connections
constexpr int kOtherFiles = 500;          // what daemon and sink open besides, generously
// Of the hanging endpoints so many hold a request at any moment that is measured: one that has timed out is followed by
// the next within milliseconds.
constexpr double kHangingAlways = 0.95;

// [delivery] max_in_flight: those who hang may use three quarters of it.
int slots_for(int hanging) {
  const int slots = hanging / 3 * 4 + 400;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  // The daemon keeps a quarter of what attempts may open for idle connections.
  const rlim_t wanted = rlim_t{4} * static_cast<rlim_t>(slots) / 3 + kApiConnections + kOtherFiles;
  if (wanted > files.rlim_cur)
    throw std::runtime_error("so many requests that hang need more open files than this machine allows: " +
                             std::to_string(files.rlim_cur));
  return slots;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// What the healthy endpoint was measured beside, in several rounds.
struct Phase {
  std::string name;
  std::int64_t events;    // a round
  double rate_of_others;  // events/s to them meanwhile
  std::vector<Sample> arrivals = {};
  std::vector<double> p50 = {}, p99 = {};
};

class Isolation {
 public:
  explicit Isolation(const Settings& settings)
      : quick_(settings.quick),
        others_(settings.hanging),
        rounds_(settings.quick ? 1 : 3),
        timeout_s_(settings.quick ? 2 : 20),
        alone_{.name = "alone", .events = settings.scaled(400, 1'600), .rate_of_others = 0},
        answering_{.name = "beside_answering",
                   .events = settings.scaled(400, 1'600),
                   .rate_of_others = others_rate()},
        // Longer than a timeout: the second in which thousands time out together is a part of it.
        hanging_{
            .name = "beside_hanging", .events = settings.scaled(800, 4'400), .rate_of_others = others_rate()},
        folder_(settings, "isolation"),
        daemon_(settings.daemon, folder_.path(),
                "max_in_flight = " + std::to_string(slots_for(others_)) + "\ntimeout = \"" +
                    std::to_string(timeout_s_) + "s\"\nconnect_timeout = \"2s\"\n[limits]\nconnections = " +
                    std::to_string(kApiConnections) + "\n") {
    std::vector<EndpointSpec> endpoints{{.url = sink_.url("/ok"), .tenant = "healthy"}};
    for (int i = 0; i < others_; ++i)
      endpoints.push_back({.url = sink_.url("/hang/" + std::to_string(i), i + 1),
                           .tenant = other_tenant(i),
                           .more = R"(,"max_in_flight":1)"});
    create_endpoints(daemon_, endpoints);
    sink_.expect(kOthers, kMaxOthers);
  }

  Result run() {
    Result result{.scenario = "isolation: 1 healthy beside " + std::to_string(others_) + " hanging"};
    sink_.set_hanging(false);
    measure(result, answering_);
    for (int round = 0; round < rounds_; ++round) {
      let_them_finish();
      measure(result, alone_);
      make_them_hang();
      measure(result, hanging_);
      note_hanging(result);
      sink_.set_hanging(false);
    }
    add_figures(result);
    add_notes(result);
    check_sink(result, sink_);
    daemon_.kill();
    return result;
  }

 private:
  static constexpr std::int64_t kMaxOthers = 10'000'000;

  static std::string other_tenant(std::int64_t number) { return "hanging" + std::to_string(number); }

  // Each of them gets an event as often as one of its requests times out.
  double others_rate() const { return static_cast<double>(others_) / timeout_s_; }

  Load to_others(std::int64_t requests, double rate) {
    const std::int64_t first = others_sent_;
    const int endpoints = others_;
    return {.socket = daemon_.ingest_socket(),
            .requests = requests,
            .rate = rate,
            .request = requests_of({.stream = kOthers, .first = first, .tenant = [endpoints](std::int64_t n) {
                                      return other_tenant(n % endpoints);
                                    }})};
  }

  // Two events to each, so that the next request is ready when one has timed out; and until each holds one open.
  void make_them_hang() {
    sink_.set_hanging(true);
    const LoadResult load = produce(to_others(2L * others_, 0));
    others_sent_ += load.sent;
    if (load.refused != 0) throw std::runtime_error("an event was refused: " + load.first_refusal);
    if (!wait_for([&] { return sink_.hanging() >= others_; }, kPatience))
      throw std::runtime_error("only " + std::to_string(sink_.hanging()) + " of " + std::to_string(others_) +
                               " endpoints held a request when the time for it was up");
    sink_.watch_hanging();
  }

  // Until nothing is left of the last round: what follows is measured alone.
  void let_them_finish() {
    if (!wait_for([&] { return pending_in(daemon_) == 0; }, kPatience))
      throw std::runtime_error("what had hung was not delivered when it was answered");
  }

  void measure(Result& result, Phase& phase) {
    sink_.expect(kHealthy, phase.events);
    std::optional<BackgroundLoad> others;
    if (phase.rate_of_others > 0) others.emplace(to_others(kMaxOthers, phase.rate_of_others));
    const auto cpu_before = daemon_.cpu();
    const std::int64_t begin = now_ns();
    const LoadResult load = produce({.socket = daemon_.ingest_socket(),
                                     .connections = 16,
                                     .requests = phase.events,
                                     .rate = kHealthyRate,
                                     .request = requests_of({.stream = kHealthy, .tenant = [](std::int64_t) {
                                                               return std::string("healthy");
                                                             }})});
    wait_for([&] { return sink_.tally(kHealthy).arrived == phase.events; }, kPatience);
    const double seconds = seconds_between(begin, now_ns());
    const auto cpu = std::chrono::duration<double>(daemon_.cpu() - cpu_before).count();
    if (others) {
      const LoadResult sent = others->stop();
      others_sent_ += sent.sent;
      check_accepted(result, sent, "to the others, " + phase.name);
    }
    check_accepted(result, load, "healthy, " + phase.name);
    check_arrived(result, sink_, kHealthy);
    const auto arrivals = sink_.arrivals(kHealthy);
    const Latencies delivered(arrivals);
    phase.p50.push_back(delivered.ms(0.5));
    phase.p99.push_back(delivered.ms(0.99));
    phase.arrivals.insert(phase.arrivals.end(), arrivals.begin(), arrivals.end());
    result.figures[phase.name + "_ack_p99_ms"] = Latencies(load.answered).ms(0.99);
    result.figures[phase.name + "_daemon_cpu_percent"] = 100 * cpu / seconds;
  }

  void note_hanging(Result& result) {
    const int fewest = sink_.fewest_hanging();
    fewest_hanging_ = std::min(fewest_hanging_, fewest);
    // When few time out every two seconds, all together, there is a moment without many of them.
    if (fewest < kHangingAlways * others_)
      (quick_ ? result.notes : result.failures)
          .push_back("only " + std::to_string(fewest) + " of " + std::to_string(others_) +
                     " endpoints held a request at some moment while it was measured");
    result.figures["in_flight"] = status_of(daemon_)["in_flight"];
    result.figures["open_files"] = daemon_.open_files();
    result.figures["resident_mib"] = mib(daemon_.resident_kib());
  }

  void add_figures(Result& result) {
    result.figures["endpoints_hanging_at_begin"] = others_;  // otherwise make_them_hang() has thrown
    result.figures["endpoints_hanging_fewest"] = fewest_hanging_;
    result.figures["requests_to_hanging"] = sink_.tally(kOthers).requests;
    result.figures["resident_peak_mib"] = mib(daemon_.peak_resident_kib());
    for (const Phase* phase : {&alone_, &answering_, &hanging_}) {
      const Latencies all(phase->arrivals);
      add_latencies(result.figures, phase->name, all);
      result.figures[phase->name + "_p50_ms_by_round"] = phase->p50;
      result.figures[phase->name + "_p99_ms_by_round"] = phase->p99;
      result.curves.push_back({"healthy, " + phase->name, all});
    }
    std::vector<double> p50, p99;
    p50.reserve(hanging_.p50.size());
    p99.reserve(hanging_.p99.size());
    for (std::size_t i = 0; i < hanging_.p99.size(); ++i) {
      p50.push_back(hanging_.p50[i] / std::max(alone_.p50[i], 1e-6));
      p99.push_back(hanging_.p99[i] / std::max(alone_.p99[i], 1e-6));
    }
    result.figures["p50_beside_hanging_to_alone"] = median(p50);
    result.figures["p99_beside_hanging_to_alone"] = median(p99);
    result.figures["p99_ratio_by_round"] = p99;
    result.goals.push_back({"healthy p99 beside hanging / alone", median(p99), Goal::kAtMost, 1.5, "ratio"});
  }

  void add_notes(Result& result) const {
    result.notes.push_back("[delivery] max_in_flight = " + std::to_string(slots_for(others_)) + ", timeout " +
                           std::to_string(timeout_s_) + " s, [limits] connections = " +
                           std::to_string(kApiConnections) + ", everything else default");
    result.notes.push_back(
        "the healthy one gets " + std::to_string(static_cast<int>(kHealthyRate)) +
        " events/s (open loop, latency from due to arrival), in turn alone and beside the others, each of "
        "which holds one request until it times out; the others get " +
        std::to_string(static_cast<int>(others_rate())) +
        " events/s meanwhile, also while they answer; ratios are medians of " + std::to_string(rounds_) +
        " rounds");
  }

  const bool quick_;
  const int others_;
  const int rounds_;
  const int timeout_s_;
  Phase alone_, answering_, hanging_;
  std::int64_t others_sent_ = 0;
  int fewest_hanging_ = others_;
  ScenarioFolder folder_;
  Sink sink_;
  test::DaemonProcess daemon_;
};

}  // namespace

std::vector<Result> isolation(const Settings& settings) {
  return {Isolation(settings).run()};
}

}  // namespace outboxd::bench
