// INSERT INTO outbox in an application's own transaction until the subscriber has it: as the daemons notice it by looking,
// and with a NOTIFY behind the commit.
#include <random>

#include "bench/event_mark.h"
#include "bench/scenarios.h"
#include "bench/shared_daemons.h"
#include "store/postgresql/connection.h"

namespace outboxd::bench {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// An application: a row of its own and one of the outbox in each transaction, at moments that nobody can foresee.
Latencies produce_rows(const std::string& url, int stream, std::int64_t rows, bool rings,
                       double mean_pause_ms) {
  postgresql::Connection db({.url = url, .purpose = "application"});
  postgresql::Connection bell({.url = url, .purpose = "bell"});
  postgresql::Statement begin(db, "BEGIN"), change(db, "INSERT INTO account (balance) VALUES ($1::bigint)"),
      insert(db, "INSERT INTO outbox (type, payload) VALUES ('bench.event', $1::text::json)"),
      commit(db, "COMMIT"), notify(bell, "NOTIFY outboxd");
  std::mt19937 random(static_cast<unsigned>(stream));
  std::exponential_distribution<double> pause(1 / mean_pause_ms);
  std::vector<Sample> commits;
  for (std::int64_t n = 0; n < rows; ++n) {
    sleep_until_ns(now_ns() + static_cast<std::int64_t>(pause(random) * 1e6));
    const std::int64_t due = now_ns();
    begin.run();
    change.run(n);
    insert.run(payload_of({stream, n, due}));
    commit.run();
    commits.push_back({due, now_ns()});
    if (rings) notify.run();
  }
  return Latencies(commits);
}

}  // namespace

std::vector<Result> postgresql_outbox(const Settings& settings) {
  if (!PostgresServer::is_installed()) return postgresql_is_missing();
  PostgresServer server(settings, "postgresql-server");
  const std::string database = server.new_database();
  const ScenarioFolder folder(settings, "postgresql-outbox");
  Sink sink(1);
  const SharedDaemons daemons(settings, server, database, folder.path(), 1);
  const EndpointSpec endpoint{.url = sink.url("/ok")};
  create_endpoints(daemons.any(), {&endpoint, 1});
  server.sql(database, "CREATE TABLE account (balance bigint)");
  const std::int64_t rows = settings.scaled(20, 600);
  const double pause_ms = settings.quick ? 20 : 50;
  std::vector<Result> results;
  for (const bool rings : {false, true}) {
    const int stream = rings ? 1 : 0;
    sink.expect(stream, rows);
    Result result{.scenario =
                      std::string("INSERT INTO outbox, ") + (rings ? "with NOTIFY" : "without NOTIFY")};
    const Latencies commits = produce_rows(server.url(database), stream, rows, rings, pause_ms);
    wait_for([&] { return sink.tally(stream).arrived == rows; }, kPatience);
    const Latencies delivered(sink.arrivals(stream));
    add_latencies(result.figures, "ack", commits);
    add_latencies(result.figures, "delivered", delivered);
    result.figures["events"] = rows;
    result.curves = {{std::string("to the subscriber, ") + (rings ? "NOTIFY" : "no NOTIFY"), delivered}};
    result.goals = {{"at the subscriber p99", delivered.ms(0.99), Goal::kAtMost, rings ? 20.0 : 250.0, "ms"}};
    check_arrived(result, sink, stream);
    check_sink(result, sink);
    results.push_back(std::move(result));
  }
  results.front().notes.push_back("rows at random moments, " + std::to_string(static_cast<int>(pause_ms)) +
                                  " ms apart on average; counted from the BEGIN of the application's "
                                  "transaction on, whose commit (ack) is part of it");
  return results;
}

}  // namespace outboxd::bench
