#include <algorithm>
#include <array>
#include <optional>

#include "bench/background_load.h"
#include "bench/backlog_seed.h"
#include "bench/event_mark.h"
#include "bench/scenarios.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(120);
constexpr int kLive =
    100;  // endpoints that get what is sent; all others are paused, with the backlog before them
constexpr int kBatch = 10;             // events a request
constexpr double kPagesASecond = 2;    // what one viewer's pages ask for
constexpr double kCrowdASecond = 100;  // ... and fifty viewers'

// What the dashboard's pages ask the daemon for, in turn.
constexpr std::array<const char*, 15> kPages{
    "/v1/status",
    "/v1/series?name=delivered&since=2h&step=1m",
    "/v1/series?name=latency_p95&since=2h&step=1m",
    "/v1/status",
    "/v1/endpoints?stats=true&limit=50",
    "/v1/endpoints?stats=true&limit=50&sort=backlog",
    "/v1/endpoints/waiting0/stats",
    "/v1/status",
    "/v1/deliveries?limit=50",
    "/v1/deliveries?state=pending&endpoint=waiting0&limit=20",
    "/v1/failures?by=error&since=24h",
    "/v1/status",
    "/v1/batches?limit=50",
    "/v1/events?limit=50",
    "/v1/types?limit=50",
};

class Watched {
 public:
  Watched(const Settings& settings, std::int64_t waiting)
      : folder_(settings, "dashboard"), sink_(100), daemon_(settings.daemon, folder_.path()) {
    const int paused = static_cast<int>(settings.scaled(100, 10'000 - kLive));
    std::vector<EndpointSpec> endpoints;
    endpoints.reserve(static_cast<std::size_t>(paused + kLive));
    for (int i = 0; i < kLive; ++i)
      endpoints.push_back({.url = sink_.url("/ok/" + std::to_string(i), i), .tenant = live(i)});
    for (int i = 0; i < paused; ++i) {
      endpoints.push_back({.url = sink_.url("/ok"),
                           .tenant = "waiting" + std::to_string(i),
                           .more = R"(,"name":"waiting)" + std::to_string(i) + "\""});
    }
    create_endpoints(daemon_, endpoints);
    pause(paused);
    daemon_.stop();
    seed_backlog(daemon_.database(), {.events = waiting, .stream = kSeeded, .tenant_pattern = "waiting*"});
    daemon_.start();
  }

  // Events a second from the first request to the last arrival, as fast as they are taken.
  double throughput(std::int64_t events, double pages_a_second, Result& result) {
    const int stream = next_stream();
    sink_.expect(stream, events);
    std::optional<BackgroundLoad> viewer;
    if (pages_a_second > 0) viewer.emplace(viewing(pages_a_second));
    const std::int64_t start = now_ns();
    const LoadResult load = produce({.socket = daemon_.ingest_socket(),
                                     .requests = events / kBatch,
                                     .request = requests_of(events_of(stream))});
    if (!wait_for([&] { return sink_.tally(stream).arrived >= events; }, kPatience))
      result.failures.push_back("not everything arrived");
    const double rate = static_cast<double>(events) / seconds_between(start, sink_.latest_arrival(stream).at);
    check_accepted(result, load, "producers");
    if (viewer) check_accepted(result, viewer->stop(), "viewer");
    return rate;
  }

  // How long pages take beside 5,000 events a second.
  Latencies pages(std::int64_t events, double pages_a_second, Result& result) {
    const int stream = next_stream();
    sink_.expect(stream, events);
    BackgroundLoad viewer(viewing(pages_a_second));
    const LoadResult load = produce({.socket = daemon_.ingest_socket(),
                                     .requests = events / kBatch,
                                     .rate = 5'000.0 / kBatch,
                                     .request = requests_of(events_of(stream))});
    const LoadResult seen = viewer.stop();
    check_accepted(result, load, "producers");
    check_accepted(result, seen, "viewer");
    if (!wait_for([&] { return sink_.tally(stream).arrived >= events; }, kPatience))
      result.failures.push_back("not everything arrived");
    return Latencies(seen.answered);
  }

  double resident_peak() const { return mib(daemon_.peak_resident_kib()); }

 private:
  static constexpr int kSeeded = 0;

  // All that was sent of one has arrived long before its turn comes again.
  int next_stream() { return kSeeded + 1 + streams_++ % (kStreams - 1); }

  static std::string live(std::int64_t number) { return "live" + std::to_string(number % kLive); }
  static Events events_of(int stream) { return {.stream = stream, .per_request = kBatch, .tenant = live}; }

  Load viewing(double pages_a_second) const {
    Load load{
        .socket = daemon_.admin_socket(), .connections = 4, .requests = 1'000'000, .rate = pages_a_second};
    load.status = 200;
    load.request = [](std::int64_t number, std::int64_t) {
      const char* page = kPages.at(static_cast<std::size_t>(number) % kPages.size());
      return std::string("GET ") + page + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    };
    return load;
  }

  void pause(int count) {
    Load load{.socket = daemon_.admin_socket(), .connections = 32, .requests = count};
    load.status = 200;
    load.request = [](std::int64_t number, std::int64_t) {
      return post("/v1/endpoints/waiting" + std::to_string(number) + "/pause", "application/json", "{}");
    };
    if (const LoadResult paused = produce(load); paused.refused != 0)
      throw std::runtime_error("an endpoint was not paused: " + paused.first_refusal);
  }

  ScenarioFolder folder_;
  Sink sink_;
  test::DaemonProcess daemon_;
  int streams_ = 0;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.at(values.size() / 2);
}

}  // namespace

std::vector<Result> dashboard(const Settings& settings) {
  const std::int64_t waiting = settings.backlogs.back();
  Watched watched(settings, waiting);
  Result result{.scenario = "dashboard beside " + std::to_string(waiting) + " pending"};

  const std::int64_t events = settings.scaled(2'000, 100'000);
  std::vector<double> alone, viewed;
  for (int round = 0; round < (settings.quick ? 1 : 5); ++round) {
    alone.push_back(watched.throughput(events, 0, result));
    viewed.push_back(watched.throughput(events, kPagesASecond, result));
  }
  result.figures["events_per_second"] = median(alone);
  result.figures["events_per_second_viewed"] = median(viewed);
  const double ratio = median(viewed) / median(alone);

  const std::int64_t paced = settings.scaled(1'000, 100'000);
  const Latencies one = watched.pages(paced, kPagesASecond, result);
  const Latencies crowd = watched.pages(paced, settings.quick ? 20 : kCrowdASecond, result);
  add_latencies(result.figures, "page", one);
  add_latencies(result.figures, "page_of_50", crowd);
  result.figures["resident_peak_mib"] = watched.resident_peak();
  result.goals = {{"throughput with a viewer / without", ratio, Goal::kAtLeast, 0.97, "ratio"},
                  {"slowest page of one viewer", one.max_ms(), Goal::kAtMost, 200, "ms"},
                  {"slowest page of fifty viewers", crowd.max_ms(), Goal::kAtMost, 200, "ms"}};
  result.curves = {{"pages of one viewer", one}, {"pages of fifty viewers", crowd}};
  result.notes.push_back(
      "the pages' requests in turn: 2 a second are one viewer's, 100 a second fifty viewers'");
  return {std::move(result)};
}

}  // namespace outboxd::bench
