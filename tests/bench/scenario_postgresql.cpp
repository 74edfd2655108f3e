#include <algorithm>

#include "bench/closed_loop.h"
#include "bench/scenarios.h"
#include "bench/shared_daemons.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(300);
constexpr int kMeasured = 0, kWarmUp = 1;  // streams

std::string tenant_of(std::int64_t number) {
  return "tenant" + std::to_string(number);
}

// Daemons on a database of their own, that have delivered something already.
class Throughput {
 public:
  Throughput(const Settings& settings, PostgresServer& server, const std::string& database, int daemons,
             const ClosedLoop& loop)
      : loop_(loop),
        server_(server),
        folder_(settings, "postgresql"),
        sink_({.verify_every = kVerifyEveryFast, .hosts = loop.endpoints}),
        daemons_(settings, server, database, folder_.path(), daemons),
        result_{.scenario = loop.name} {
    std::vector<EndpointSpec> endpoints;
    endpoints.reserve(static_cast<std::size_t>(loop.endpoints));
    for (int i = 0; i < loop.endpoints; ++i) {
      endpoints.push_back({.url = sink_.url("/ok", i), .tenant = tenant_of(i)});
      if (loop.endpoints == 1)
        endpoints.back().more = R"(,"max_in_flight":)" + std::to_string(kInFlightOfOne);
    }
    create_endpoints(daemons_.any(), endpoints);
  }

  Result run() {
    sink_.expect(kWarmUp, loop_.warm_up);
    sink_.expect(kMeasured, loop_.events);
    deliver(kWarmUp, 0, loop_.warm_up, loop_.warm_up);
    measure();
    count();
    check_sink(result_, sink_);
    return std::move(result_);
  }

 private:
  LoadResult deliver(int stream, std::int64_t first, std::int64_t events, std::int64_t expected) {
    const int endpoints = loop_.endpoints;
    LoadResult load =
        daemons_.produce({.connections = loop_.producers, .requests = events / loop_.events_per_request},
                         {.stream = stream,
                          .per_request = loop_.events_per_request,
                          .first = first,
                          .tenant = [endpoints](std::int64_t n) { return tenant_of(n % endpoints); }});
    produced_ = now_ns();
    check_accepted(result_, load, loop_.name);
    const auto recorded = [&] {
      return sink_.tally(stream).arrived == expected && pending_in(daemons_.any()) == 0;
    };
    if (!wait_for(recorded, kPatience))
      result_.failures.push_back(std::to_string(pending_in(daemons_.any())) +
                                 " deliveries are still pending");
    return load;
  }

  void measure() {
    const ServerMeter meter(server_);
    const auto cpu_before = daemons_.cpu(), sink_before = sink_.cpu();
    const std::int64_t start = now_ns();
    const LoadResult load = deliver(kMeasured, 0, loop_.events, loop_.events);
    const std::int64_t end = now_ns();
    Json& figures = result_.figures;
    figures["events"] = loop_.events;
    figures["events_per_second"] = static_cast<double>(loop_.events) / seconds_between(start, end);
    figures["acknowledged_per_second"] =
        static_cast<double>(loop_.events) / seconds_between(start, produced_);
    figures["cpu_us_per_event"] = per_event_us(daemons_.cpu() - cpu_before, loop_.events);
    meter.add_to(figures, loop_.events);
    figures["sink_cpu_us_per_event"] = per_event_us(sink_.cpu() - sink_before, loop_.events);
    add_latencies(figures, "ack", Latencies(load.answered));
    add_latencies(figures, "delivered", Latencies(sink_.arrivals(kMeasured)));
    figures["resident_peak_mib"] = mib(daemons_.peak_resident_kib());
    figures["repeats"] = sink_.tally(kMeasured).repeats;
    check_arrived(result_, sink_, kMeasured);
  }

  // A little of the same load once more, with statements counted.
  void count() {
    constexpr int kCounted = 2;
    const std::int64_t events = std::max<std::int64_t>(loop_.events / 10, 1'000);
    sink_.expect(kCounted, events);
    server_.count_statements(true);
    const ServerMeter meter(server_);
    deliver(kCounted, 0, events, events);
    meter.add_statements_to(result_.figures, events);
    server_.count_statements(false);
  }

  const ClosedLoop loop_;
  PostgresServer& server_;
  const ScenarioFolder folder_;
  Sink sink_;
  SharedDaemons daemons_;
  Result result_;
  std::int64_t produced_ = 0;
};

}  // namespace

std::vector<Result> postgresql_daemons(const Settings& settings) {
  if (!PostgresServer::is_installed()) return postgresql_is_missing();
  struct Form {
    int daemons, endpoints, per_request;
    const char* name;
  };
  std::vector<Form> forms{{1, 1, 1, "PostgreSQL, 1 daemon, 1 endpoint"},
                          {1, 64, 1, "PostgreSQL, 1 daemon, 64 endpoints"},
                          {2, 64, 1, "PostgreSQL, 2 daemons, 64 endpoints"},
                          {3, 64, 1, "PostgreSQL, 3 daemons, 64 endpoints"},
                          {1, 1, 100, "PostgreSQL, 1 daemon, 1 endpoint, batches of 100"},
                          {3, 64, 100, "PostgreSQL, 3 daemons, 64 endpoints, batches of 100"}};
  if (settings.quick) {
    const Form three_daemons = forms[3];
    forms = {three_daemons};
  }
  std::vector<Result> results;
  PostgresServer server(settings, "postgresql-server");
  for (const Form& form : forms) {
    const std::string database = server.new_database();
    server.sql(database, "CHECKPOINT");
    results.push_back(Throughput(settings, server, database, form.daemons,
                                 {.name = form.name,
                                  .events = settings.scaled(3'000, 100'000),
                                  .producers = form.per_request > 1 ? 8 : 64,
                                  .events_per_request = form.per_request,
                                  .endpoints = form.endpoints,
                                  .warm_up = settings.scaled(300, 5'000)})
                          .run());
  }
  return results;
}

}  // namespace outboxd::bench
