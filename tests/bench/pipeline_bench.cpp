// scripts/bench: events from producers through the real daemon to subscribers, all on this machine. Results as
// a table on standard output, and as results.json and results.svg in FOLDER. Fails when an event was lost,
// refused or badly signed, never because of a figure.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string_view>

#include "bench/plot.h"
#include "bench/scenarios.h"
#include "common/text.h"

namespace {

using namespace outboxd;
using namespace outboxd::bench;

constexpr const char* kUsage = R"(usage: pipeline_bench OUTBOXD FOLDER [options]
  --quick         small loads, under a minute: is everything delivered?
  --full          also a backlog of 10 million
  --only TEXT     scenarios with TEXT in their name: throughput and limit, latency, isolation, backlog, restart,
                  fan-out, unreliable, filters, dashboard
  --backlog N     pending deliveries of scenario backlog (default 1000000)
  --hanging N     endpoints that hang in scenario isolation (default 10000)
)";

struct Scenario {
  const char* name;
  std::vector<Result> (*run)(const Settings&);
};
constexpr Scenario kScenarios[] = {
    {"latency", latency},       {"throughput and limit", throughput},
    {"isolation", isolation},   {"fan-out", fan_out},
    {"backlog", backlog},       {"restart", restart},
    {"unreliable", unreliable}, {"filters", filters},
    {"dashboard", dashboard},
};

struct Arguments {
  Settings settings;
  std::string only;
};

// The number behind an option, in [1, most].
std::optional<std::int64_t> count(const char* text, std::int64_t most) {
  const auto number = parse_int(text);
  return number && *number >= 1 && *number <= most ? number : std::nullopt;
}

std::optional<Arguments> read_arguments(int argc, char** argv) {
  if (argc < 3) return std::nullopt;
  Arguments arguments;
  bool quick = false, full = false;
  std::optional<std::int64_t> pending, hanging;
  for (int i = 3; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--quick" || option == "--full") {
      (option == "--full" ? full : quick) = true;
      continue;
    }
    if (++i == argc) return std::nullopt;  // the others have a value
    if (option == "--only") {
      arguments.only = argv[i];
    } else if (option == "--backlog") {
      pending = count(argv[i], 100'000'000);
      if (!pending) return std::nullopt;
    } else if (option == "--hanging") {
      hanging = count(argv[i], 1'000'000);
      if (!hanging) return std::nullopt;
    } else {
      return std::nullopt;
    }
  }
  Settings& settings = arguments.settings;
  settings.daemon = argv[1];
  settings.folder = argv[2];
  settings.quick = quick;
  settings.backlogs = {pending.value_or(settings.scaled(10'000, 1'000'000))};
  if (full) settings.backlogs.push_back(10'000'000);
  settings.hanging = static_cast<int>(hanging.value_or(settings.scaled(200, 10'000)));
  settings.fan_out = static_cast<int>(settings.scaled(200, 10'000));
  return arguments;
}

// The sink, and the daemon that inherits this, hold a descriptor for each hanging request.
void allow_many_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

bool report(const Settings& settings, const std::vector<Result>& results, const Json& machine) {
  std::fputs(table(results).c_str(), stdout);
  std::ofstream(settings.folder / "results.json")
      << Json{{"machine", machine}, {"results", to_json(results)}}.dump(2) << '\n';
  std::ofstream(settings.folder / "results.svg") << plot(results, machine);
  bool failed = false;
  for (const Result& result : results) {
    for (const auto& failure : result.failures) {
      std::cerr << result.scenario << ": " << failure << '\n';
      failed = true;
    }
  }
  return !failed;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = read_arguments(argc, argv);
  if (!arguments) {
    std::cerr << kUsage;
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  allow_many_files();
  const Settings& settings = arguments->settings;
  std::vector<Result> results;
  bool carried_out = true;
  try {
    std::filesystem::create_directories(settings.folder);
    const Json machine = bench::machine(settings.folder);
    for (const Scenario& scenario : kScenarios) {
      if (std::string(scenario.name).find(arguments->only) == std::string::npos) continue;
      std::cerr << scenario.name << " ..." << std::endl;
      try {
        for (Result& result : scenario.run(settings)) results.push_back(std::move(result));
      } catch (const std::exception& error) {  // the others can still be measured
        std::cerr << scenario.name << ": " << error.what() << '\n';
        carried_out = false;
      }
    }
    if (results.empty() && carried_out) {
      std::cerr << "no scenario has \"" << arguments->only << "\" in its name\n" << kUsage;
      return 2;
    }
    return report(settings, results, machine) && carried_out ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << '\n';
    return 1;
  }
}
