// scripts/bench: events from producers through the real daemon to subscribers, all on this machine. Results as
// a table on standard output, and as results.json and results.svg in FOLDER. Fails when an event was lost,
// refused or badly signed, never because of a figure.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <thread>

#include "bench/arguments.h"
#include "bench/comparison.h"
#include "bench/machine.h"
#include "bench/plot.h"
#include "bench/scenarios.h"

namespace {

using namespace outboxd;
using namespace outboxd::bench;

struct Scenario {
  const char* name;
  std::vector<Result> (*run)(const Settings&);
};
constexpr Scenario kScenarios[] = {
    {"latency at 1,000/s", latency},
    {"latency at 5,000/s", busy_latency},
    {"throughput and limit", throughput},
    {"throughput and limit of batches", batch_throughput},
    {"endpoints and TLS", endpoints},
    {"isolation", isolation},
    {"fan-out", fan_out},
    {"backlog", backlog},
    {"restart", restart},
    {"unreliable", unreliable},
    {"filters", filters},
    {"dashboard", dashboard},
#ifdef OUTBOXD_POSTGRESQL
    {"postgresql daemons", postgresql_daemons},
    {"postgresql claims", postgresql_claims},
    {"postgresql snapshot", postgresql_snapshot},
    {"postgresql backlog", postgresql_backlog},
    {"postgresql outbox", postgresql_outbox},
#endif
};

// The sink, and the daemon that inherits this, hold a descriptor for each hanging request.
void allow_many_files() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

void require_executable(const std::string& binary) {
  if (!std::filesystem::is_regular_file(binary) || access(binary.c_str(), X_OK) != 0)
    throw std::runtime_error(binary + " is no program that can be run");
}

// What an earlier run has saved. It is read before anything is measured, so that a bad file costs no time.
Baseline read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " cannot be read");
  try {
    return read_baseline(std::string(std::istreambuf_iterator<char>(file), {}));
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

// The rounds of all chosen scenarios. One that could not be carried out is missing in its round on both sides.
class Rounds {
 public:
  explicit Rounds(const Arguments& arguments)
      : arguments_(arguments),
        before_(arguments.against.empty() ? 0 : static_cast<std::size_t>(arguments.rounds)),
        now_(static_cast<std::size_t>(arguments.rounds)) {}

  void carry_out(const Scenario& scenario) {
    for (std::size_t round = 0; round < now_.size(); ++round) {
      std::string name = scenario.name;
      if (now_.size() > 1)
        name += ", round " + std::to_string(round + 1) + " of " + std::to_string(now_.size());
      try {
        Results before;
        if (!before_.empty()) before = run(scenario, name + ", before", arguments_.against);
        add(now_[round], run(scenario, name, arguments_.settings.daemon));
        if (!before_.empty()) add(before_[round], std::move(before));
      } catch (const std::exception& error) {  // the others can still be measured
        std::cerr << error.what() << '\n';
        complete_ = false;
      }
    }
  }

  const std::vector<Results>& before() const { return before_; }
  const std::vector<Results>& now() const { return now_; }
  bool complete() const { return complete_; }

 private:
  Results run(const Scenario& scenario, const std::string& name, const std::string& daemon) const {
    std::cerr << name << " ..." << std::endl;
    Settings settings = arguments_.settings;
    settings.daemon = daemon;
    const auto stolen_before = stolen();
    const std::int64_t start = now_ns();
    try {
      Results results = scenario.run(settings);
      const auto lost = std::chrono::duration<double>(stolen() - stolen_before).count();
      const double cores = std::max(1U, std::thread::hardware_concurrency());
      for (Result& result : results)
        result.figures["stolen_percent"] = 100 * lost / (cores * seconds_between(start, now_ns()));
      return results;
    } catch (const std::exception& error) {
      throw std::runtime_error(name + ": " + error.what());
    }
  }

  static void add(Results& all, Results more) { std::ranges::move(more, std::back_inserter(all)); }

  const Arguments& arguments_;
  std::vector<Results> before_, now_;
  bool complete_ = true;
};

void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  if (!file.flush()) throw std::runtime_error(path.string() + " cannot be written");
}

void write_results(const Arguments& arguments, const Rounds& rounds, const Baseline& now) {
  const std::filesystem::path& folder = arguments.settings.folder;
  Json json{{"machine", now.machine},
            {"revision", now.revision},
            {"quick", now.quick},
            {"rounds", now.rounds},
            {"results", to_json(now.results)}};
  if (!arguments.against.empty()) {
    json["before"] = {{"binary", arguments.against}, {"results", to_json(medians(rounds.before()))}};
  }
  write(folder / "results.json", json.dump(2) + "\n");
  write(folder / "results.svg", plot(now.results, now.machine));
}

bool report_failures(const Results& results, const std::string& whose) {
  bool failed = false;
  for (const Result& result : results) {
    for (const auto& failure : result.failures) {
      std::cerr << whose << result.scenario << ": " << failure << '\n';
      failed = true;
    }
  }
  return failed;
}

// False when an event was lost, refused or badly signed, or a round is missing. Such a run is not saved.
bool report(const Arguments& arguments, const Rounds& rounds, const Json& machine,
            const std::optional<Baseline>& baseline) {
  const Baseline now{.machine = machine,
                     .revision = arguments.revision,
                     .quick = arguments.settings.quick,
                     .rounds = arguments.rounds,
                     .results = medians(rounds.now())};
  std::fputs(table(now.results).c_str(), stdout);
  write_results(arguments, rounds, now);
  if (!arguments.against.empty()) {
    std::cout << "\nbefore: " << arguments.against << "; medians of " << arguments.rounds
              << " rounds in turn\n"
              << compare(rounds.before(), rounds.now());
  }
  if (baseline) {
    std::cout << "\nbefore: " << arguments.compare << ", measured at "
              << baseline->machine.value("measured_at", Json()).dump() << ", revision " << baseline->revision
              << '\n'
              << differences(*baseline, now) << compare({baseline->results}, {now.results});
  }
  const bool failed_before = report_failures(medians(rounds.before()), "before, ");
  if (report_failures(now.results, "") || failed_before || !rounds.complete()) return false;
  if (!arguments.save.empty()) write(arguments.save, to_json(now).dump(1) + "\n");
  return true;
}

int run(const Arguments& arguments) {
  const Settings& settings = arguments.settings;
  require_executable(settings.daemon);
  if (!arguments.against.empty()) require_executable(arguments.against);
  std::optional<Baseline> baseline;
  if (!arguments.compare.empty()) baseline = read_file(arguments.compare);
  std::filesystem::create_directories(settings.folder);
  const Json machine = bench::machine(settings.folder);
  Rounds rounds(arguments);
  bool any = false;
  for (const Scenario& scenario : kScenarios) {
    if (std::string(scenario.name).find(arguments.only) == std::string::npos) continue;
    any = true;
    rounds.carry_out(scenario);
  }
  if (!any) {
    std::cerr << "no scenario has \"" << arguments.only << "\" in its name\n" << kUsage;
    return 2;
  }
  return report(arguments, rounds, machine, baseline) ? 0 : 1;
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
  try {
    return run(*arguments);
  } catch (const std::exception& error) {
    std::cerr << "bench: " << error.what() << '\n';
    return 1;
  }
}
