// Power loss, state by state: a store works under the recording VFS, and at each write and sync the files are made as a power cut might
// have left them then. The store opens each; it must hold what was acknowledged, all of it and nothing by halves.
//   power_loss [--states N] [--steps N] [--seed N] [--jobs N]     prints a line of JSON; exit status 1: something was lost
//   power_loss --failed-syncs N [...]                             N syncs of the workload fail, each in a run of its own
// The same program with a store that syncs less (power_loss.cmake) shows that it would notice.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "faults/power_loss_disk.h"
#include "faults/power_loss_workload.h"
#include "faults/recording_vfs.h"
#include "store/sqlite/database.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"
#include "telemetry/log.h"

using namespace outboxd;
using namespace outboxd::faults;

namespace {

constexpr std::size_t kMaxReported = 5;

struct Options {
  std::int64_t states = 10000;
  std::int64_t steps = 250;
  std::uint64_t seed = 1;
  std::int64_t jobs = 1;
  std::int64_t failed_syncs = 0;
};

// What was recorded of one workload.
struct Recorded {
  Image before;  // closed and synced
  std::vector<Operation> log;
  std::vector<std::string> contents;
};

struct Counts {
  std::int64_t states = 0, lost = 0, corrupt = 0, acknowledged_after_failure = 0;
  bool good() const { return lost == 0 && corrupt == 0 && acknowledged_after_failure == 0; }
};

Image read_image(const std::string& path) {
  Image image;
  for (const auto& name : {path, path + "-wal"}) {
    std::ifstream file(name, std::ios::binary);
    if (file) image[name].assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return image;
}

// Checks states one by one, in a folder of its own.
class Checker {
 public:
  explicit Checker(std::string original) : original_(std::move(original)), path_(folder_ / "outbox.db") {}

  // `acknowledged` steps, and perhaps the next one: `contents` after each.
  void check(const Image& image, std::int64_t acknowledged, const std::vector<std::string>& contents,
             const std::string& what) {
    ++counts_.states;
    lay_out(image);
    try {
      verify(static_cast<std::size_t>(acknowledged), contents, what);
    } catch (const std::exception& failure) {
      bad(counts_.corrupt, what + ": " + failure.what());
    }
  }
  Counts& counts() { return counts_; }

 private:
  void lay_out(const Image& image) {
    for (const auto& suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + suffix);
    for (const auto& [name, bytes] : image) {
      std::ofstream file(path_ + name.substr(original_.size()), std::ios::binary);
      file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
  }

  void verify(std::size_t acknowledged, const std::vector<std::string>& contents, const std::string& what) {
    ManualClock clock(test::kNow + test::kDay);
    SqliteOptions options;
    options.path = path_;
    options.clock = &clock;
    const auto store = open_sqlite_store(options);
    const std::string content = content_of(path_);
    const std::string integrity = sqlite::Database(path_, sqlite::Mode::kReader, Millis(1000), 2000)
                                      .query_text("PRAGMA integrity_check");
    if (integrity != "ok") throw std::runtime_error("integrity_check says " + integrity);
    const bool kept = content == contents[acknowledged] ||
                      (acknowledged + 1 < contents.size() && content == contents[acknowledged + 1]);
    if (!kept) {
      for (std::size_t i = acknowledged; i-- > 0;) {
        if (contents[i] == content)
          return bad(counts_.lost, what + ": holds the first " + std::to_string(i) + " of " +
                                       std::to_string(acknowledged) + " acknowledged steps");
      }
      throw std::runtime_error("holds what was never committed, or a step by halves");
    }
    const auto accepted = test::apply(*store, test::accepting({test::new_event({1})}));
    if (!accepted) throw std::runtime_error("takes no new event: " + accepted.error().detail);
  }

  void bad(std::int64_t& count, const std::string& what) {
    ++count;
    if (++reported_ <= kMaxReported) std::fprintf(stderr, "%s\n", what.c_str());
  }

  test::TemporaryFolder folder_;
  const std::string original_;  // the path the image's names begin with
  const std::string path_;
  Counts counts_;
  std::size_t reported_ = 0;
};

// Stopped cleanly after a third, killed after two.
void work_through(Workload& work, std::int64_t steps) {
  work.restart(true);
  while (work.steps() < steps) {
    if (work.steps() == steps / 3) work.restart(true);
    if (work.steps() == 2 * steps / 3) work.restart(false);
    work.step();
    work.note_content();
  }
}

Recorded record(const Options& options, const std::string& path) {
  Workload work(path, options.seed);
  Recorded recorded;
  recorded.before = read_image(path);
  start_recording();
  work_through(work, options.steps);
  recorded.log = stop_recording();
  recorded.contents = work.contents();
  return recorded;
}

// Distinct states, at random over the whole log until there are as many as wanted. Each job makes all of them and checks its share.
void check_states(const Options& options, const Recorded& recorded, std::int64_t job, Checker& checker) {
  std::set<std::size_t> seen;
  std::mt19937_64 random(options.seed);
  const double candidates = static_cast<double>(recorded.log.size() * std::size(kAllArrivals));
  for (int round = 0; round < 100 && static_cast<std::int64_t>(seen.size()) < options.states; ++round) {
    const double chance =
        static_cast<double>(options.states - static_cast<std::int64_t>(seen.size())) / candidates;
    Disk disk(recorded.before);
    std::int64_t acknowledged = 0;
    for (std::size_t at = 0; at < recorded.log.size(); ++at) {
      disk.happen(recorded.log[at]);
      if (recorded.log[at].kind == Operation::Kind::kStep) acknowledged = recorded.log[at].offset;
      for (const Arrived arrived : kAllArrivals) {
        if (std::uniform_real_distribution<>(0, 1)(random) >= chance) continue;
        const Image image = disk.after_power_cut(arrived, random);
        std::size_t fingerprint = static_cast<std::size_t>(acknowledged);
        for (const auto& [name, bytes] : image)
          fingerprint = fingerprint * 0x9E3779B97F4A7C15u + std::hash<std::string>()(name) * 31 +
                        std::hash<std::string>()(bytes);
        const auto ordinal = static_cast<std::int64_t>(seen.size());
        if (!seen.insert(fingerprint).second || ordinal % options.jobs != job) continue;
        checker.check(
            image, acknowledged, recorded.contents,
            "operation " + std::to_string(at) + ", " + std::string(to_string(arrived)) + " arrived");
      }
    }
  }
}

// One run in which sync number `n` fails: after the store has said so it acknowledges nothing more, and what it acknowledged before survives
// the power cut that may follow.
void check_failed_sync(const Options& options, const Recorded& reference, std::int64_t n, Counts& counts) {
  test::TemporaryFolder folder;
  const std::string path = folder / "outbox.db";
  Workload work(path, options.seed);
  const Image before = read_image(path);
  start_recording();
  fail_sync(n);
  std::int64_t acknowledged = 0;
  try {
    work_through(work, options.steps);
    acknowledged = work.steps();
  } catch (const std::exception&) {
    acknowledged = work.steps();
    for (int i = 0; i < 5 && work.store_failed(); ++i)
      counts.acknowledged_after_failure += work.still_accepts();
  }
  const auto log = stop_recording();
  if (!sync_has_failed()) throw std::runtime_error("there was no sync " + std::to_string(n));

  Disk disk(before);  // odd: the kernel forgets what it could not write; even: it keeps it for the next sync
  disk.forget_at_failure(n % 2 == 1);
  for (const auto& operation : log) disk.happen(operation);
  Checker checker(path);
  std::mt19937_64 random(options.seed + static_cast<std::uint64_t>(n));
  for (const Arrived arrived : kAllArrivals) {
    for (int i = 0; i < (arrived == Arrived::kNothing || arrived == Arrived::kEverything ? 1 : 4); ++i) {
      checker.check(disk.after_power_cut(arrived, random), acknowledged, reference.contents,
                    "after the failure of sync " + std::to_string(n) + ", " +
                        std::string(to_string(arrived)) + " arrived");
    }
  }
  counts.states += checker.counts().states;
  counts.lost += checker.counts().lost;
  counts.corrupt += checker.counts().corrupt;
}

// Of one file, or of all.
std::int64_t syncs(const Recorded& recorded, const std::string& name = "") {
  return std::ranges::count_if(recorded.log, [&](const Operation& operation) {
    return operation.kind == Operation::Kind::kSync && (name.empty() || operation.name == name);
  });
}

Counts run_job(const Options& options, const Recorded& recorded, const std::string& path, std::int64_t job) {
  if (options.failed_syncs == 0) {
    Checker checker(path);
    check_states(options, recorded, job, checker);
    return checker.counts();
  }
  Counts counts;
  const std::int64_t all = syncs(recorded), wanted = std::min(options.failed_syncs, all);
  for (std::int64_t i = job; i < wanted; i += options.jobs)
    check_failed_sync(options, recorded, 1 + i * all / wanted, counts);
  return counts;
}

// Each job is a process, for a store's connections belong to the process that opened them.
Counts run_jobs(const Options& options, const Recorded& recorded, const std::string& path) {
  std::vector<std::pair<pid_t, int>> children;
  for (std::int64_t job = 0; job < options.jobs; ++job) {
    int fds[2];
    if (pipe(fds) != 0) throw std::runtime_error("no pipe");
    const pid_t child = fork();
    if (child < 0) throw std::runtime_error("no process");
    if (child == 0) {
      int status = 0;
      try {
        const Counts counts = run_job(options, recorded, path, job);
        if (write(fds[1], &counts, sizeof counts) != sizeof counts) status = 3;
      } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        status = 3;
      }
      _exit(status);
    }
    close(fds[1]);
    children.emplace_back(child, fds[0]);
  }
  Counts total;
  bool whole = true;
  for (const auto& [child, fd] : children) {
    Counts counts;
    whole = read(fd, &counts, sizeof counts) == sizeof counts && whole;
    close(fd);
    waitpid(child, nullptr, 0);
    total.states += counts.states;
    total.lost += counts.lost;
    total.corrupt += counts.corrupt;
    total.acknowledged_after_failure += counts.acknowledged_after_failure;
  }
  if (!whole) throw std::runtime_error("a job has failed");
  return total;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const std::int64_t value = i + 1 < argc ? std::strtoll(argv[i + 1], nullptr, 10) : 0;
    if (value < 1) throw std::invalid_argument(name + " takes a number from 1 on");
    if (name == "--states") {
      options.states = value;
    } else if (name == "--steps") {
      options.steps = value;
    } else if (name == "--seed") {
      options.seed = static_cast<std::uint64_t>(value);
    } else if (name == "--jobs") {
      options.jobs = value;
    } else if (name == "--failed-syncs") {
      options.failed_syncs = value;
    } else {
      throw std::invalid_argument("no option " + name);
    }
  }
  return options;
}

int explore(const Options& options) {
  setenv("TMPDIR", "/dev/shm", 0);
  log::configure(log::Level::kError, log::Format::kLogfmt);
  install_recording_vfs();
  const auto begin = std::chrono::steady_clock::now();
  Recorded recorded;
  const std::string path = [&] {
    test::TemporaryFolder folder;
    recorded = record(options, folder / "outbox.db");
    return folder / "outbox.db";
  }();
  const Counts counts = run_jobs(options, recorded, path);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const nlohmann::ordered_json figures = {
      {"states", counts.states},
      {"lost", counts.lost},
      {"corrupt", counts.corrupt},
      {"acknowledged_after_failure", counts.acknowledged_after_failure},
      {"steps", options.steps},
      {"operations", recorded.log.size()},
      {"syncs", syncs(recorded)},
      {"checkpoints", syncs(recorded, path)},
      {"seconds", std::round(seconds.count() * 10) / 10},
  };
  std::printf("%s\n", figures.dump().c_str());
  return counts.good() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return explore(parse(argc, argv));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "power_loss: %s\n", failure.what());
    return 2;
  }
}
