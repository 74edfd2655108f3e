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
constexpr int kAlone = 0, kBesideAnswering = 1, kBesideHanging = 2, kOthers = 3;  // streams
constexpr int kSpareSlots = 2000;  // [delivery] max_in_flight beyond one for each hanging endpoint
constexpr int kOtherFiles = 500;   // what daemon and sink open besides, generously

int slots_for(int endpoints) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  if (static_cast<rlim_t>(endpoints) + kSpareSlots + kOtherFiles > files.rlim_cur)
    throw std::runtime_error("so many requests that hang need more open files than this machine allows: " +
                             std::to_string(files.rlim_cur));
  return endpoints + kSpareSlots;
}

class Isolation {
 public:
  explicit Isolation(const Settings& settings)
      : others_(settings.hanging),
        timeout_s_(settings.quick ? 2 : 20),
        healthy_events_(settings.scaled(800, 6'000)),
        folder_(settings, "isolation"),
        daemon_(settings.daemon, folder_.path(),
                "max_in_flight = " + std::to_string(slots_for(others_)) + "\ntimeout = \"" +
                    std::to_string(timeout_s_) + "s\"\nconnect_timeout = \"2s\"\n") {
    std::vector<EndpointSpec> endpoints{{.url = sink_.url("/ok"), .tenant = "healthy"}};
    for (int i = 0; i < others_; ++i)
      endpoints.push_back({.url = sink_.url("/hang/" + std::to_string(i), i + 1), .tenant = other_tenant(i)});
    create_endpoints(daemon_, endpoints);
    for (const int stream : {kAlone, kBesideAnswering, kBesideHanging}) sink_.expect(stream, healthy_events_);
    sink_.expect(kOthers, kMaxOthers);
  }

  Result run() {
    Result result{.scenario = "isolation: 1 healthy beside " + std::to_string(others_) + " hanging"};
    const Latencies alone = measure(result, kAlone, "alone", 0);
    sink_.set_hanging(false);
    const Latencies answering = measure(result, kBesideAnswering, "beside_answering", others_rate());
    sink_.set_hanging(true);
    make_them_hang(result);
    const Latencies hanging = measure(result, kBesideHanging, "beside_hanging", others_rate());
    note_daemon(result);

    const double ratio = hanging.ms(0.99) / std::max(alone.ms(0.99), 1e-6);
    result.figures["p99_beside_hanging_to_alone"] = ratio;
    result.figures["p99_beside_hanging_to_beside_answering"] =
        hanging.ms(0.99) / std::max(answering.ms(0.99), 1e-6);
    result.goals.push_back({"healthy p99 beside hanging / alone", ratio, Goal::kAtMost, 1.5, "ratio"});
    result.curves = {{"healthy, alone", alone},
                     {"healthy, beside " + std::to_string(others_) + " that answer", answering},
                     {"healthy, beside " + std::to_string(others_) + " that hang", hanging}};
    add_notes(result);
    check_sink(result, sink_);
    daemon_.kill();  // a stop would wait for requests that hang
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

  // One event to each, and until each holds a request open.
  void make_them_hang(Result& result) {
    const LoadResult load = produce(to_others(others_, 0));
    others_sent_ += load.sent;
    check_accepted(result, load, "the first event to each hanging endpoint");
    if (!wait_for([&] { return sink_.hanging() >= others_; }, kPatience))
      result.notes.push_back("not all of them held a request when the measurement began");
    result.figures["hanging_at_begin"] = sink_.hanging();
    result.figures["in_flight_at_begin"] = status_of(daemon_)["in_flight"];
    result.figures["open_files_at_begin"] = daemon_.open_files();
    result.figures["resident_at_begin_mib"] = mib(daemon_.resident_kib());
  }

  Latencies measure(Result& result, int stream, const std::string& name, double rate_of_others) {
    std::optional<BackgroundLoad> others;
    if (rate_of_others > 0) others.emplace(to_others(kMaxOthers, rate_of_others));
    const auto cpu_before = daemon_.cpu();
    const std::int64_t begin = now_ns();
    const LoadResult load = produce({.socket = daemon_.ingest_socket(),
                                     .connections = 16,
                                     .requests = healthy_events_,
                                     .rate = kHealthyRate,
                                     .request = requests_of({.stream = stream, .tenant = [](std::int64_t) {
                                                               return std::string("healthy");
                                                             }})});
    const auto all_arrived = [&] { return sink_.tally(stream).arrived == healthy_events_; };
    wait_for(all_arrived, kPatience);
    const double seconds = seconds_between(begin, now_ns());
    const auto cpu = std::chrono::duration<double>(daemon_.cpu() - cpu_before).count();
    if (others) {
      const LoadResult sent = others->stop();
      others_sent_ += sent.sent;
      check_accepted(result, sent, "to the others, " + name);
    }
    wait_for(all_arrived, kPatience);  // very late is not lost
    check_accepted(result, load, "healthy, " + name);
    check_arrived(result, sink_, stream);
    const auto arrivals = sink_.arrivals(stream);
    Latencies delivered(arrivals);
    add_latencies(result.figures, name, delivered);
    const auto worst = std::ranges::max_element(arrivals, {}, [](const Sample& s) { return s.at - s.due; });
    if (worst != arrivals.end()) result.figures[name + "_worst_at_s"] = seconds_between(begin, worst->due);
    result.figures[name + "_ack_p99_ms"] = Latencies(load.answered).ms(0.99);
    result.figures[name + "_daemon_cpu_percent"] = 100 * cpu / seconds;
    return delivered;
  }

  void note_daemon(Result& result) {
    result.figures["hanging_at_end"] = sink_.hanging();
    result.figures["in_flight_at_end"] = status_of(daemon_)["in_flight"];
    result.figures["requests_to_hanging"] = sink_.tally(kOthers).requests;
    result.figures["resident_peak_mib"] = mib(daemon_.peak_resident_kib());
  }

  void add_notes(Result& result) const {
    result.notes.push_back("[delivery] max_in_flight raised to " + std::to_string(others_ + kSpareSlots) +
                           ", timeout " + std::to_string(timeout_s_) + " s, everything else default");
    result.notes.push_back(
        "the healthy one gets " + std::to_string(static_cast<int>(kHealthyRate)) +
        " events/s (open loop, latency from due to arrival), the others " +
        std::to_string(static_cast<int>(others_rate())) +
        " events/s in turn, also while it is measured; \"answering\" is the same load on the "
        "same endpoints before they hang");
  }

  const int others_;
  const int timeout_s_;
  const std::int64_t healthy_events_;
  std::int64_t others_sent_ = 0;
  ScenarioFolder folder_;
  Sink sink_;
  test::DaemonProcess daemon_;
};

}  // namespace

std::vector<Result> isolation(const Settings& settings) {
  return {Isolation(settings).run()};
}

}  // namespace outboxd::bench
