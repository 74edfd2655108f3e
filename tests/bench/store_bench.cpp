// What the store costs by itself: events are accepted, one delivery each, and each delivered at its first attempt, in
// commits of a few sizes, to one endpoint and to many. In one thread, so that its CPU time is the writer's. Figures as
// tables on standard output and as store.json in FOLDER; it fails when the store refuses something, never because of a
// figure.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <optional>
#include <string_view>

#include "bench/machine.h"
#include "bench/report.h"
#include "bench/store_meter.h"
#include "common/text.h"
#include "store/sqlite/sqlite_store.h"
#include "support/store_values.h"
#include "telemetry/log.h"

namespace outboxd::bench {
namespace {

constexpr const char* kUsage = R"(usage: store_bench FOLDER [options]
  --quick        small loads, a few seconds: does it run?
  --group N      only commits of N events (default 1, 16, 64 and 512)
  --endpoints N  only N endpoints (default 1 and 100)
)";
constexpr int kRounds = 3;  // of each load, taken in turn; the medians are shown

struct Load {
  int group = 64;
  int endpoints = 1;
  int events = 0;
};

// A commit costs as much as dozens of events, so of small groups a few tell as much.
int events_for(int group, bool quick) {
  const int events = group == 1 ? 3'000 : group < 64 ? 16'000 : 40'000;
  return quick ? events / 10 : events;
}

struct Spent {
  std::chrono::nanoseconds cpu{}, wall{};
};
std::chrono::nanoseconds cpu_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}
template <class Act>
void spend(Spent& spent, Act act) {
  const auto cpu = cpu_of_this_thread();
  const auto wall = std::chrono::steady_clock::now();
  act();
  spent.cpu += cpu_of_this_thread() - cpu;
  spent.wall += std::chrono::steady_clock::now() - wall;
}

// The life of events in a database of its own.
class Life {
 public:
  Life(const std::filesystem::path& folder, const Load& load) : load_(load) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    path_ = (folder / "outbox.db").string();
    store_ = open_sqlite_store({.path = path_});
    for (int i = 0; i < load.endpoints; ++i)
      endpoints_.push_back(*test::apply(*store_, CreateEndpoint{test::shared(test::new_endpoint())}).value());
    store_->writer().maintain();
    forget_counts();
  }

  Json run() {
    for (int done = 0; done < load_.events; done += load_.group) {
      const std::vector<Command> accepts = some_accepts();
      commit(accepts, accepting_);
      commit(outcomes_of(accepts), recording_);
    }
    return figures();
  }

  // Reads what is due of one endpoint, as the delivery loop does when it has a backlog.
  Json read_due(int deliveries) {
    for (int n = 0; n < deliveries; n += load_.group) commit(some_accepts(), accepting_);
    const auto reader = store_->new_reader();
    Spent spent;
    std::size_t rows = 0;
    for (int i = 0; i < 100; ++i)
      spend(spent, [&] { rows += reader->due(endpoints_[0].seq, 200, 8u << 20).deliveries.size(); });
    return {{"rows_a_call", static_cast<double>(rows) / 100}, {"cpu_us_a_row", us(spent.cpu, rows)}};
  }

  const std::string& path() const { return path_; }
  int commits() const { return commits_; }

 private:
  template <class Count>
  static double us(std::chrono::nanoseconds spent, Count count) {
    return std::chrono::duration<double, std::micro>(spent).count() / static_cast<double>(count);
  }

  std::vector<Command> some_accepts() {
    std::vector<Command> accepts;
    accepts.reserve(static_cast<std::size_t>(load_.group));
    for (int i = 0; i < load_.group; ++i) {
      NewEvent made = test::new_event({endpoints_[next_++ % endpoints_.size()].seq});
      made.event->payload = R"({"id":"ord_0184","customer":"cus_7731","total":{"amount":"41.90","currency":)"
                            R"("EUR"},"items":[{"sku":"A-17","count":2},{"sku":"C-03","count":1}]})";
      accepts.emplace_back(test::accepting({std::move(made)}));
    }
    return accepts;
  }

  static std::vector<Command> outcomes_of(const std::vector<Command>& accepts) {
    std::vector<Command> outcomes;
    outcomes.reserve(accepts.size());
    for (const Command& command : accepts) {
      const NewEvent& made = std::get<AcceptEvents>(command).events[0];
      RecordOutcome outcome = test::delivered({made.event->seq, made.endpoints[0].endpoint}, 1);
      Attempt attempt = *outcome.attempt;
      attempt.remote_address = "203.0.113.7:443";
      attempt.response_headers = {{"server", "nginx"},
                                  {"date", "Mon, 30 Nov 2026 08:00:00 GMT"},
                                  {"content-type", "text/plain"},
                                  {"content-length", "2"},
                                  {"connection", "keep-alive"}};
      attempt.response_body = "ok";
      outcome.subject = std::make_shared<const OutcomeSubject>(OutcomeSubject{
          .delivery = {}, .event = made.event->id, .endpoint = {}, .type = made.event->type, .attempts = 1});
      outcomes.emplace_back(test::with_attempt(std::move(outcome), std::move(attempt)));
    }
    return outcomes;
  }

  void commit(const std::vector<Command>& commands, Spent& spent) {
    Applied applied;
    spend(spent, [&] { applied = test::apply_all(*store_, commands); });
    for (const auto& answer : applied.answers) {
      if (!answer) throw std::runtime_error("the store refused: " + answer.error().detail);
    }
    spend(maintaining_, [&] { store_->writer().maintain(); });
    ++commits_;
  }

  Json figures() const {
    const FileCounts& files = file_counts();
    const double events = load_.events, commits = commits_;
    std::int64_t frames = 0;
    for (const auto& [page, count] : files.frames) frames += count;
    const auto wall = accepting_.wall + recording_.wall + maintaining_.wall;
    return {{"events", load_.events},
            {"events_per_second", 1e6 / us(wall, events)},
            {"cpu_us_per_event", us(accepting_.cpu + recording_.cpu + maintaining_.cpu, events)},
            {"accept_cpu_us", us(accepting_.cpu, events)},
            {"record_cpu_us", us(recording_.cpu, events)},
            {"checkpoint_cpu_us", us(maintaining_.cpu, events)},
            {"checkpoint_share_of_time", us(maintaining_.wall, 1) / us(wall, 1)},
            {"log_bytes_per_event", static_cast<double>(files.log_bytes) / events},
            {"log_bytes_per_commit", static_cast<double>(files.log_bytes) / commits},
            {"frames_per_commit", static_cast<double>(frames) / commits},
            {"log_writes_per_commit", static_cast<double>(files.log_writes) / commits},
            {"syncs_per_commit", static_cast<double>(files.syncs()) / commits},
            {"database_bytes_per_event", static_cast<double>(files.database_bytes) / events},
            {"database_writes_per_event", static_cast<double>(files.database_writes) / events}};
  }

  const Load load_;
  std::string path_;
  std::unique_ptr<Store> store_;
  std::vector<Endpoint> endpoints_;
  std::size_t next_ = 0;
  Spent accepting_, recording_, maintaining_;
  int commits_ = 0;
};

Json medians(const std::vector<Json>& rounds) {
  Json result = rounds.front();
  for (auto& [name, value] : result.items()) {
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const Json& round : rounds) values.push_back(round.at(name).get<double>());
    std::ranges::sort(values);
    value = values[values.size() / 2];
  }
  return result;
}

struct Arguments {
  std::filesystem::path folder;
  bool quick = false;
  std::vector<int> groups{1, 16, 64, 512}, endpoints{1, 100};
};

std::optional<Arguments> read_arguments(int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return std::nullopt;
  Arguments arguments{.folder = argv[1]};
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--quick") {
      arguments.quick = true;
      continue;
    }
    const auto number = i + 1 < argc ? parse_int(argv[++i]) : std::nullopt;
    if (!number || *number < 1 || *number > 1000) return std::nullopt;
    if (option != "--group" && option != "--endpoints") return std::nullopt;
    (option == "--group" ? arguments.groups : arguments.endpoints) = {static_cast<int>(*number)};
  }
  return arguments;
}

std::vector<Result> measure(const Arguments& arguments) {
  const std::filesystem::path folder = arguments.folder / "store";
  std::vector<Load> loads;
  for (const int endpoints : arguments.endpoints) {
    for (const int group : arguments.groups)
      loads.push_back({group, endpoints, events_for(group, arguments.quick)});
  }
  std::vector<std::vector<Json>> rounds(loads.size());
  for (int round = 0; round < (arguments.quick ? 1 : kRounds); ++round) {
    for (std::size_t i = 0; i < loads.size(); ++i) rounds[i].push_back(Life(folder, loads[i]).run());
  }
  std::vector<Result> results;
  for (std::size_t i = 0; i < loads.size(); ++i) {
    results.push_back({.scenario = "commits of " + std::to_string(loads[i].group) + ", " +
                                   std::to_string(loads[i].endpoints) + " endpoints",
                       .figures = medians(rounds[i])});
  }
  Life backlog(folder, {.group = 64, .endpoints = 1, .events = 0});
  results.push_back(
      {.scenario = "reading what is due", .figures = backlog.read_due(arguments.quick ? 2'000 : 20'000)});
  return results;
}

// What each table and index takes, in a run of its own.
Json by_tree(const Arguments& arguments) {
  const int group = arguments.groups.size() == 1 ? arguments.groups[0] : 64;
  const int events = events_for(group, arguments.quick);
  const CountsStatements counting;
  Life life(arguments.folder / "store", {group, arguments.endpoints.front(), events});
  life.run();
  Json result{{"group", group}, {"trees", Json::array()}, {"statements", Json::object()}};
  const double all = events;
  for (const auto& [name, tree] : trees(life.path())) {
    if (tree.frames == 0) continue;
    result["trees"].push_back({{"name", name},
                               {"entries_per_event", static_cast<double>(tree.entries) / all},
                               {"bytes_per_event", static_cast<double>(tree.bytes) / all},
                               {"frames_per_commit", static_cast<double>(tree.frames) / life.commits()}});
  }
  for (const auto& [what, runs] : CountsStatements::runs())
    result["statements"][what] = static_cast<double>(runs) / all;
  return result;
}

void print(const std::vector<Result>& results, const Json& trees) {
  constexpr std::pair<const char*, const char*> kColumns[] = {{"events_per_second", "events/s"},
                                                              {"cpu_us_per_event", "CPU us/ev"},
                                                              {"accept_cpu_us", "accept"},
                                                              {"record_cpu_us", "record"},
                                                              {"checkpoint_cpu_us", "checkpt"},
                                                              {"checkpoint_share_of_time", "of time"},
                                                              {"log_bytes_per_event", "log B/ev"},
                                                              {"frames_per_commit", "frames/c"},
                                                              {"log_writes_per_commit", "writes/c"},
                                                              {"syncs_per_commit", "syncs/c"},
                                                              {"database_bytes_per_event", "db B/ev"}};
  std::printf("%-32s", "load");
  for (const auto& [figure, title] : kColumns) std::printf(" %9s", title);
  for (const Result& result : results) {
    std::printf("\n%-32s", result.scenario.c_str());
    if (!result.figures.contains("events")) {
      for (const auto& [name, value] : result.figures.items())
        std::printf(" %s %.2f", name.c_str(), value.get<double>());
      continue;
    }
    for (const auto& [figure, title] : kColumns) {
      const double value = result.figures.at(figure).get<double>();
      std::printf(" %9s", fixed(value, value < 100 ? 2 : 0).c_str());
    }
  }
  std::printf("\n\n%-32s %9s %9s %9s   (commits of %d)\n", "table or index", "entries/ev", "bytes/ev",
              "frames/c", trees["group"].get<int>());
  for (const Json& tree : trees["trees"]) {
    std::printf("%-32s %9.3f %9.1f %9.3f\n", tree["name"].get<std::string>().c_str(),
                tree["entries_per_event"].get<double>(), tree["bytes_per_event"].get<double>(),
                tree["frames_per_commit"].get<double>());
  }
  std::printf("\n%-32s %9s\n", "statements, each by key", "runs/ev");
  for (const auto& [what, runs] : trees["statements"].items())
    std::printf("%-32s %9.3f\n", what.c_str(), runs.get<double>());
}

int run(const Arguments& arguments) {
  log::configure(log::Level::kWarn, log::Format::kAuto);  // that it made a database is no news here
  count_files();
  std::filesystem::create_directories(arguments.folder);
  const Json before = machine(arguments.folder);
  const std::vector<Result> results = measure(arguments);
  const Json trees = by_tree(arguments);
  print(results, trees);
  std::ofstream(arguments.folder / "store.json")
      << Json{{"machine", before}, {"results", to_json(results)}, {"by_tree", trees}}.dump(2) << '\n';
  return 0;
}

}  // namespace
}  // namespace outboxd::bench

int main(int argc, char** argv) {
  const auto arguments = outboxd::bench::read_arguments(argc, argv);
  if (!arguments) {
    std::cerr << outboxd::bench::kUsage;
    return 2;
  }
  try {
    return outboxd::bench::run(*arguments);
  } catch (const std::exception& error) {
    std::cerr << "store_bench: " << error.what() << '\n';
    return 1;
  }
}
