// scripts/bench: events from a producer through the real daemon to a sink, all on this machine.
//   pipeline_bench OUTBOXD FOLDER [--quick] [--only TEXT]     TEXT: scenarios with it in their name; results
//   as a table on standard output, and as JSON in FOLDER/results.json
#include <sqlite3.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <tuple>

#include "bench/producer.h"
#include "bench/sink.h"
#include "support/daemon_process.h"

namespace {

using namespace outboxd;
using namespace outboxd::bench;
using Json = nlohmann::ordered_json;

constexpr auto kPatience = std::chrono::seconds(120);

double percentile_ms(std::vector<std::int64_t>& ns, double p) {
  if (ns.empty()) return 0;
  const auto at = ns.begin() + static_cast<std::ptrdiff_t>(p * static_cast<double>(ns.size() - 1));
  std::nth_element(ns.begin(), at, ns.end());
  return static_cast<double>(*at) / 1e6;
}

// What SQLite alone takes for one durable commit here: the floor under every acknowledgement.
Json bare_commit(const std::filesystem::path& folder, int commits) {
  sqlite3* db = nullptr;
  sqlite3_open((folder / "bare.db").c_str(), &db);
  sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(x)", nullptr, nullptr,
               nullptr);
  std::vector<std::int64_t> ns;
  for (int i = 0; i < commits; ++i) {
    const auto start = now_ns();
    if (sqlite3_exec(db, "INSERT INTO t VALUES(randomblob(300))", nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw std::runtime_error(sqlite3_errmsg(db));
    }
    ns.push_back(now_ns() - start);
  }
  sqlite3_close(db);
  return {{"scenario", "bare fsync'd commit"},
          {"ack_p50_ms", percentile_ms(ns, 0.5)},
          {"ack_p99_ms", percentile_ms(ns, 0.99)}};
}

Json run(const std::string& name, const std::string& daemon_binary, const std::filesystem::path& folder,
         Load load) {
  Sink sink;
  test::DaemonProcess daemon(daemon_binary, folder);
  const std::string endpoint =
      R"({"url":"http://127.0.0.1:)" + std::to_string(sink.port()) + R"(/","max_in_flight":256})";
  const auto answer = test::http_over_unix(daemon.admin_socket(), "POST /v1/endpoints HTTP/1.1", endpoint);
  if (answer.find(" 201 ") == std::string::npos) throw std::runtime_error("no endpoint: " + answer);
  load.socket = daemon.ingest_socket();

  const auto cpu_before = daemon.cpu();
  const auto start = now_ns();
  auto produced = produce(load);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (sink.received() < load.events && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const double seconds = static_cast<double>(now_ns() - start) / 1e9;
  const auto cpu = daemon.cpu() - cpu_before;
  auto latencies = sink.take_latencies();
  return {{"scenario", name},
          {"events", load.events},
          {"refused", produced.refused},
          {"received", sink.received()},
          {"events_per_second", static_cast<double>(sink.received()) / seconds},
          {"ack_p50_ms", percentile_ms(produced.ack_ns, 0.5)},
          {"ack_p99_ms", percentile_ms(produced.ack_ns, 0.99)},
          {"delivered_p50_ms", percentile_ms(latencies, 0.5)},
          {"delivered_p99_ms", percentile_ms(latencies, 0.99)},
          {"cpu_us_per_event", static_cast<double>(cpu.count()) / static_cast<double>(load.events)},
          {"resident_mib", static_cast<double>(daemon.resident_kib()) / 1024}};
}

void print(const Json& results) {
  std::printf("%-34s %9s %11s %9s %9s %9s %9s %8s\n", "scenario", "events/s", "CPU us/evt", "ack p50",
              "ack p99", "dlv p50", "dlv p99", "RSS MiB");
  for (const auto& r : results) {
    const auto number = [&](const char* key) { return r.value(key, 0.0); };
    std::printf("%-34s %9.0f %11.1f %9.2f %9.2f %9.2f %9.2f %8.1f\n",
                r["scenario"].get<std::string>().c_str(), number("events_per_second"),
                number("cpu_us_per_event"), number("ack_p50_ms"), number("ack_p99_ms"),
                number("delivered_p50_ms"), number("delivered_p99_ms"), number("resident_mib"));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: pipeline_bench OUTBOXD FOLDER [--quick] [--only TEXT]\n";
    return 2;
  }
  const std::string daemon = argv[1];
  const std::filesystem::path folder = argv[2];
  bool quick = false;
  std::string only;
  for (int i = 3; i < argc; ++i) {
    if (argv[i] == std::string("--quick")) quick = true;
    if (argv[i] == std::string("--only") && i + 1 < argc) only = argv[++i];
  }
  const std::int64_t scale = quick ? 1 : 10;
  try {
    Json results = Json::array();
    results.push_back(bare_commit(folder, 2000));
    const std::tuple<std::string, std::string, Load> scenarios[] = {
        {"one event a request, 64 producers", "one", {.connections = 64, .events = 20'000 * scale}},
        {"batches of 100, 8 producers",
         "batch",
         {.connections = 8, .events_per_request = 100, .events = 20'000 * scale}},
        {"1,000 events/s, open loop", "latency", {.connections = 64, .events = 3'000 * scale, .rate = 1000}},
    };
    for (const auto& [name, subfolder, load] : scenarios) {
      if (name.find(only) != std::string::npos)
        results.push_back(run(name, daemon, folder / subfolder, load));
    }
    print(results);
    std::ofstream(folder / "results.json") << results.dump(2) << '\n';
    for (const auto& r : results) {
      if (r.contains("received") && (r["received"] < r["events"] || r["refused"] != 0)) {
        std::cerr << "not every event was accepted and delivered: " << r.dump() << '\n';
        return 1;
      }
    }
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
