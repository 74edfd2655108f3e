#include "bench/postgres_server.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace outboxd::bench {
namespace {

constexpr const char* kWal = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn";
constexpr const char* kFlushes = "SELECT wal_sync FROM pg_stat_wal";
constexpr const char* kMeasures = "measures";  // a database that nothing is measured in

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The fields of /proc/PID/stat behind the name, which may hold anything: the first is the state (proc(5), field 3).
std::vector<std::string> stat_of(const std::filesystem::path& process) {
  const std::string text = slurp(process / "stat");
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  return {std::istream_iterator<std::string>(fields), {}};
}

std::chrono::nanoseconds ticks(const std::string& text) {
  return std::chrono::nanoseconds(std::strtoll(text.c_str(), nullptr, 10) * 1'000'000'000 /
                                  sysconf(_SC_CLK_TCK));
}

// The first number: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
std::chrono::nanoseconds on_cpu(const std::filesystem::path& process) {
  return std::chrono::nanoseconds(std::strtoll(slurp(process / "schedstat").c_str(), nullptr, 10));
}

test::PrivatePostgresOptions options_for(const Settings& settings, const std::string& name) {
  test::PrivatePostgresOptions options;
  options.durable = true;
  // What most who run one for this set; the rest is as Debian's package has it. No checkpoint falls into a run of minutes.
  options.settings = {"shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min",
                      "shared_preload_libraries=pg_stat_statements"};
  // A quick run is about no figure, and its folder may be one that the server's user does not reach.
  if (!settings.quick) options.data = std::filesystem::absolute(settings.folder) / name;
  return options;
}

}  // namespace

PostgresServer::PostgresServer(const Settings& settings, const std::string& name)
    : postgres_(options_for(settings, name)) {
  postgres_.create_database(kMeasures);
  sql(kMeasures, "CREATE EXTENSION pg_stat_statements");
  count_statements(false);
}

std::string PostgresServer::new_database() {
  std::string name = "bench_" + std::to_string(++databases_);
  postgres_.create_database(name);
  return name;
}

std::int64_t PostgresServer::number(const std::string& database, const std::string& query) const {
  return std::strtoll(sql(database, query).c_str(), nullptr, 10);
}

void PostgresServer::count_statements(bool wanted) {
  sql(kMeasures, std::string("ALTER SYSTEM SET pg_stat_statements.track = ") + (wanted ? "top" : "none"));
  sql(kMeasures, "SELECT pg_reload_conf()");
}

// Sessions and workers are children of the process that was started. What those have used that have ended is told by it,
// and read first: a process that ends meanwhile is missing then, and not counted twice.
std::chrono::nanoseconds PostgresServer::cpu() const {
  constexpr std::size_t kParent = 1, kUserOfEnded = 13, kSystemOfEnded = 14;
  const std::filesystem::path processes = "/proc";
  const std::string server = std::to_string(postgres_.process());
  const auto own = stat_of(processes / server);
  if (own.size() <= kSystemOfEnded) throw std::runtime_error("the server has ended: " + postgres_.log());
  std::chrono::nanoseconds sum =
      ticks(own[kUserOfEnded]) + ticks(own[kSystemOfEnded]) + on_cpu(processes / server);
  for (const auto& process : std::filesystem::directory_iterator(processes)) {
    const std::string name = process.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto fields = stat_of(process.path());
    if (fields.size() > kParent && fields[kParent] == server) sum += on_cpu(process.path());
  }
  return sum;
}

ServerMeter::ServerMeter(const PostgresServer& server)
    : server_(server),
      cpu_before_(server.cpu()),
      wal_before_(server.number(kMeasures, kWal)),
      flushes_before_(server.number(kMeasures, kFlushes)) {
  server_.sql(kMeasures, "SELECT pg_stat_statements_reset()");
}

void ServerMeter::add_to(Json& figures, std::int64_t events) const {
  const auto count = static_cast<double>(std::max<std::int64_t>(events, 1));
  figures["server_cpu_us_per_event"] = per_event_us(server_.cpu() - cpu_before_, events);
  figures["wal_bytes_per_event"] = static_cast<double>(server_.number(kMeasures, kWal) - wal_before_) / count;
  figures["wal_flushes_per_event"] =
      static_cast<double>(server_.number(kMeasures, kFlushes) - flushes_before_) / count;
}

void ServerMeter::add_statements_to(Json& figures, std::int64_t events) const {
  const auto count = static_cast<double>(std::max<std::int64_t>(events, 1));
  const auto calls = [&](const char* of) {
    std::string query = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE ";
    query.append("dbid <> (SELECT oid FROM pg_database WHERE datname = current_database()) AND ").append(of);
    return static_cast<double>(server_.number(kMeasures, query)) / count;
  };
  // Each recording transaction looks at its member's row first. Its BEGIN and COMMIT, which a session has prepared, the
  // extension counts once a session.
  const double recording = calls("query LIKE 'SELECT % FROM member WHERE token = % FOR SHARE'");
  figures["statements_per_event"] = calls("true") + 2 * recording;
  figures["recording_transactions_per_event"] = recording;
}

std::vector<Result> postgresql_is_missing() {
  Result result{.scenario = "PostgreSQL"};
  result.notes.push_back("is not installed, so nothing was measured; scripts/setup installs it");
  return {std::move(result)};
}

}  // namespace outboxd::bench
