// Owners against claims: the same work on the same tables, once by the store's owner and once by SELECT … FOR UPDATE SKIP
// LOCKED (claims.h), and what a query finds of both while somebody keeps a snapshot open.
#include <algorithm>
#include <atomic>
#include <iostream>
#include <thread>

#include "bench/closed_loop.h"
#include "bench/postgres_server.h"
#include "bench/scenarios.h"
#include "bench/store_work.h"

namespace outboxd::bench {
namespace {

struct Way {
  std::string name;
  Finds finds;
  Lease lease = Lease::kInDueAt;
  int claimers = 1;
};
const Way kLeaseInDueAt{"claims, lease in due_at", Finds::kByClaims, Lease::kInDueAt};
const Way kLeaseApart{"claims, lease apart", Finds::kByClaims, Lease::kInColumnOfItsOwn};
const Way kThreeClaim{"claims, lease apart, 3 sessions", Finds::kByClaims, Lease::kInColumnOfItsOwn, 3};

struct Kind {
  std::string name;
  std::vector<Way> claims;
  std::int64_t events;
  int requests_per_commit = 64;
  bool sends = true, accepted_before = false, beside_snapshot = false;
};

StoreWork work_of(const PostgresServer& server, const std::string& database, const Way& way,
                  const Sink& sink) {
  return {.url = server.url(database),
          .finds = way.finds,
          .lease = way.lease,
          .claimers = way.claimers,
          .target = sink.url("/ok"),
          .secret = Sink::secret()};
}

// An analyst's transaction: it has read once, and what was deleted since cannot be cleaned up.
class OpenSnapshot {
 public:
  explicit OpenSnapshot(const std::string& url) : db_({.url = url, .purpose = "analyst"}) {
    db_.execute("SET idle_in_transaction_session_timeout = 0");
    db_.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    db_.execute("SELECT count(*) FROM event");
  }

 private:
  postgresql::Connection db_;
};

Result at_work(PostgresServer& server, const Way& way, const Kind& load) {
  const std::string database = server.new_database();
  server.sql(database, "CHECKPOINT");
  Sink sink(kVerifyEveryFast);
  const std::int64_t warm_up = load.events / 20;
  sink.expect(0, load.events);
  sink.expect(1, warm_up);
  Result result{.scenario = load.name + ": " + way.name};
  StoreWork work = work_of(server, database, way, sink);
  work.events = load.events;
  work.warm_up = warm_up;
  work.accepted_before = load.accepted_before;
  work.requests_per_commit = load.requests_per_commit;
  if (!load.sends) work.in_flight = 0;
  std::unique_ptr<ServerMeter> meter;
  std::unique_ptr<OpenSnapshot> snapshot;
  work.began = [&] {
    if (load.beside_snapshot) snapshot = std::make_unique<OpenSnapshot>(work.url);
    meter = std::make_unique<ServerMeter>(server);
  };
  const StoreWorkResult done = run_store_work(work);
  Json& figures = result.figures;
  meter->add_to(figures, load.events);
  figures["events"] = load.events;
  figures["events_per_second"] = static_cast<double>(load.events) / done.seconds;
  figures["cpu_us_per_event"] =
      per_event_us(done.writing_cpu + done.finding_cpu + done.sending_cpu, load.events);
  figures["writing_cpu_us_per_event"] = per_event_us(done.writing_cpu, load.events);
  figures["finding_cpu_us_per_event"] = per_event_us(done.finding_cpu, load.events);
  figures["sending_cpu_us_per_event"] = per_event_us(done.sending_cpu, load.events);
  figures["events_per_commit"] =
      static_cast<double>(load.events) / static_cast<double>(std::max<std::int64_t>(done.commits, 1));
  figures["finds"] = done.finds.size();
  if (!done.finds.empty()) add_latencies(figures, "find", Latencies(done.finds));
  if (done.failed != 0) result.failures.push_back(std::to_string(done.failed) + " requests failed");
  if (!load.sends) return result;
  check_arrived(result, sink, 0);
  check_sink(result, sink);
  figures["repeats"] = sink.tally(0).repeats;
  return result;
}

double rate_of(const Result& result) {
  return result.figures.at("events_per_second").get<double>();
}

// What a query for something to send takes while events come at a fixed rate: before a snapshot is open, and while it is.
Result beside_snapshot(const Settings& settings, PostgresServer& server, const Way& way, int endpoints) {
  constexpr double kRate = 1'000, kBefore = 0.2;  // events/s; of the time the part without a snapshot
  const std::string database = server.new_database();
  Sink sink(kVerifyEveryFast);
  const auto seconds = static_cast<double>(settings.snapshot_seconds) / (1 - kBefore);
  StoreWork work = work_of(server, database, way, sink);
  work.rate = kRate;
  work.events = static_cast<std::int64_t>(kRate * seconds);
  work.endpoints = endpoints;
  work.in_flight = 0;
  work.warm_up = settings.scaled(100, 2'000);
  std::atomic<std::int64_t> began{0};
  work.began = [&] { began = now_ns(); };
  std::atomic<std::int64_t> opened{0};
  std::atomic<bool> ended{false};
  std::unique_ptr<OpenSnapshot> snapshot;
  std::thread analyst([&] {
    while (!ended && (began == 0 || seconds_between(began, now_ns()) < seconds * kBefore))
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!ended) snapshot = std::make_unique<OpenSnapshot>(work.url);
    opened = now_ns();
  });
  const StoreWorkResult done = run_store_work(work);
  ended = true;
  analyst.join();
  std::vector<Sample> before, last;
  const std::int64_t end = now_ns();
  const std::int64_t last_from = end - (end - opened) / 5;
  for (const Sample& find : done.finds) {
    if (find.at < opened) before.push_back(find);
    if (find.due > last_from) last.push_back(find);
  }
  const Latencies without(before), with(last);
  Result result{.scenario = "open snapshot, " + std::to_string(endpoints) + " endpoints: " + way.name};
  add_latencies(result.figures, "find_without", without);
  add_latencies(result.figures, "find_with", with);
  result.figures["snapshot_s"] = seconds_between(opened, end);
  result.figures["events"] = work.events;
  result.figures["behind_s"] = done.seconds - seconds;
  result.figures["dead_rows_of_pending"] =
      server.number(database, "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'pending'");
  const double ratio = with.ms(0.99) / std::max(without.ms(0.99), 1e-6);
  result.figures["find_p99_with_to_without"] = ratio;
  result.curves = {{"without", without}, {"with, the last fifth", with}};
  // The next one takes as long, and this may be all that is wanted.
  std::cerr << result.scenario << ": " << result.figures.dump() << std::endl;
  return result;
}

}  // namespace

std::vector<Result> postgresql_claims(const Settings& settings) {
  if (!PostgresServer::is_installed()) return postgresql_is_missing();
  PostgresServer server(settings, "postgresql-server");
  const std::int64_t events = settings.scaled(1'000, 60'000);
  std::vector<Kind> kinds{
      {.name = "commits of 64, sent", .claims = {kLeaseInDueAt, kLeaseApart, kThreeClaim}, .events = events},
      {.name = "commits of 64", .claims = {kLeaseInDueAt, kLeaseApart}, .events = events, .sends = false},
      {.name = "commits of 512",
       .claims = {kLeaseInDueAt, kLeaseApart},
       .events = events,
       .requests_per_commit = 512,
       .sends = false},
      {.name = "a backlog, sent",
       .claims = {kLeaseInDueAt, kLeaseApart, kThreeClaim},
       .events = events,
       .accepted_before = true},
      {.name = "commits of 64, sent, open snapshot",
       .claims = {kLeaseInDueAt, kLeaseApart},
       .events = events,
       .beside_snapshot = true}};
  if (settings.quick) kinds = {{.name = "commits of 64, sent", .claims = {kLeaseApart}, .events = events}};
  std::vector<Result> results;
  for (const Kind& kind : kinds) {
    double best = 0;
    for (const Way& way : kind.claims) {
      results.push_back(at_work(server, way, kind));
      best = std::max(best, rate_of(results.back()));
    }
    const Finds finds = kind.accepted_before ? Finds::kByDue : Finds::kInCommits;
    results.push_back(at_work(server, {.name = "owner", .finds = finds}, kind));
    Result& ours = results.back();
    ours.figures["to_claims"] = rate_of(ours) / best;
    ours.goals.push_back(
        {"throughput to the best claims'", rate_of(ours) / best, Goal::kAtLeast, 1.5, "ratio"});
  }
  return results;
}

std::vector<Result> postgresql_snapshot(const Settings& settings) {
  if (!PostgresServer::is_installed()) return postgresql_is_missing();
  PostgresServer server(settings, "postgresql-server");
  std::vector<Result> results;
  const Way owner{.name = "owner", .finds = Finds::kByDue};
  for (const int endpoints : {20, 1}) {
    results.push_back(beside_snapshot(settings, server, owner, endpoints));
    Result& ours = results.back();
    ours.goals.push_back({"p99 of the due query, to that without", ours.figures["find_p99_with_to_without"],
                          Goal::kAtMost, 1.2, "ratio"});
    if (settings.quick) return results;
  }
  results.push_back(beside_snapshot(settings, server, kLeaseApart, 20));
  return results;
}

}  // namespace outboxd::bench
