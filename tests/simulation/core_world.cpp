#include "simulation/core_world.h"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <utility>

#include "simulation/core_trace.h"
#include "simulation/core_world_state.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kStepsBetweenComparisons = 300;
constexpr std::int64_t kStepsBetweenLooks = 25;
constexpr std::int64_t kStepsOfEpoch = 1500;
// After everything is healed, what was accepted must end within kSettled and kMaxStepsToSettle, and while something is
// due nothing may be idle for longer than kIdle. An endpoint that failed pauses for at most 3 s, as long as its
// schedule's longest wait, and the lowest rate is one a second.
constexpr Millis kSettled = 15min;
constexpr std::int64_t kMaxStepsToSettle = 200'000;
constexpr int kStepsOnFullDisk = 60;
constexpr Millis kIdle = 15s;
constexpr std::int64_t kStepsBetweenSettled = 60;

constexpr char kPath[] = "/outbox.db";

SqliteOptions options_of(const Clock& clock) {
  SqliteOptions options;
  options.path = kPath;
  options.vfs = "core";
  options.busy_timeout = 0ms;
  options.writer_cache_kib = 2000;
  options.reader_cache_kib = 500;
  options.clock = &clock;
  return options;
}

}  // namespace

void CoreReport::add(const CoreReport& other) {
  steps += other.steps;
  accepted += other.accepted;
  attempts += other.attempts;
  delivered += other.delivered;
  dead += other.dead;
  discarded += other.discarded;
  commits += other.commits;
  kills += other.kills;
  power_cuts += other.power_cuts;
  stops += other.stops;
  moves += other.moves;
  takeovers += other.takeovers;
  sent_twice += other.sent_twice;
}

std::string CoreReport::to_string() const {
  std::ostringstream text;
  text << steps << " steps, " << commits << " commits, " << accepted << " requests accepted, " << attempts
       << " attempts, " << delivered << " delivered, " << dead << " dead, " << discarded << " discarded; "
       << kills << " kills, " << power_cuts << " power cuts, " << stops << " stops, " << moves
       << " partitions moved, " << takeovers << " takeovers, " << sent_twice << " sent twice by them";
  return text.str();
}

CoreWorld::CoreWorld(std::uint64_t seed)
    : random_(seed),
      disk_("core", seed, clock_),
      tables_(disk_, kPath, "core"),
      store_(options_of(clock_), *this, random_),
      ledger_(fail()),
      attempts_(
          ledger_, store_, clock_, fail(), [this](const std::string& what) { note(what); },
          [this](int number, EndpointSeq endpoint) { answered_gone(number, endpoint); }),
      network_(clock_, random_),
      ids_(clock_, [this] { return random_(); }) {
  members_ = 1 + static_cast<int>(seed % 2);
  store_.open();
  ledger_.opened(store_.real().new_reader()->all_endpoints());
  if (members_ == 2) store_.take(store_.owned_by(0) & PartitionSet(random_()), 1);
  for (int number = 0; number < members_; ++number) start_daemon(number);
  for (int n = 0; n < 6; ++n) create_endpoint(*daemon(0));
}

CoreWorld::~CoreWorld() {
  for (auto& one : daemons_) one.reset();
  tables_.close();
}

void CoreWorld::committed(int number, std::int64_t commit, const Batch& batch, const Applied& applied) {
  ++report_.commits;
  if (traced_) {
    for (std::size_t n = 0; n < batch.commands.size(); ++n) {
      note(std::to_string(number) + " commit " + std::to_string(commit) + (batch.repeat ? " again: " : ": ") +
           describe(*batch.commands[n], applied.answers.at(n)));
    }
    note(std::to_string(number) + " facts: " + describe(applied.facts));
  }
  ledger_.committed({commit, number}, batch, applied);
  attempts_.committed(number, batch, applied);
  daemon(number)->committed(commit, applied);
}

void CoreWorld::note(const std::string& what) const {
  if (!traced_) return;
  std::fprintf(stderr, "%lld %lld %s\n", static_cast<long long>(report_.steps),
               static_cast<long long>(now().time_since_epoch() / 1ms), what.c_str());
}

// ---- steps

bool CoreWorld::run_something() {
  struct Runnable {
    CoreDaemon* daemon;
    CoreDaemon::Part part;
  };
  std::vector<Runnable> runnable;
  for (auto& one : daemons_) {
    for (int p = 0; one && p < CoreDaemon::kParts; ++p) {
      const auto part = static_cast<CoreDaemon::Part>(p);
      if (one->has_work(part)) runnable.push_back({one.get(), part});
    }
  }
  const bool answer = network_.has_answer();
  const int count = static_cast<int>(runnable.size()) + (answer ? 1 : 0);
  if (count == 0) return false;
  const int chosen = pick(count);
  if (chosen == static_cast<int>(runnable.size())) {
    network_.answer_one();
  } else {
    const Runnable& one = runnable[static_cast<std::size_t>(chosen)];
    one.daemon->run(one.part);
  }
  return true;
}

void CoreWorld::let_time_pass() {
  std::optional<MonotonicTime> next = network_.next_answer();
  const auto earlier = [&](MonotonicTime t) {
    if (t > now() && (!next || *next <= now() || t < *next)) next = t;
  };
  for (int number = 0; number < members_; ++number) {
    if (daemon(number) == nullptr) {
      earlier(start_at_.at(static_cast<std::size_t>(number)));
    } else if (const auto its = daemon(number)->next()) {
      earlier(*its);
    }
  }
  if (disturbed_until_ > now()) earlier(disturbed_until_);
  if (!next || *next <= now()) return clock_.advance(10ms);
  clock_.advance(std::max(1ms, std::chrono::ceil<Millis>(*next - now())));
}

void CoreWorld::step() {
  ++report_.steps;
  if (chance(0.15)) clock_.advance(1ms);
  if (!calm_) act();
  if (!run_something()) let_time_pass();
  look_after_daemons();
  if (report_.steps % kStepsBetweenComparisons == 0) check();
  if (report_.steps % kStepsBetweenLooks == 0) {
    for (auto& one : daemons_) {
      if (one) check_directory(*one);
    }
  }
  if (violation_.empty()) return;
  throw Violation(violation_ + ", at step " + std::to_string(report_.steps));
}

// The directory must hold the endpoints as committed, and match events by them.
void CoreWorld::check_directory(CoreDaemon& of) {
  if (of.has_failed() || !of.knows_everything()) return;
  std::vector<EndpointPtr> known;
  for (const auto& [seq, entry] : ledger_.endpoints()) {
    const EndpointPtr found = of.directory().find(seq);
    if (entry.now != found && (!found || !entry.now || found->updated_at != entry.now->updated_at))
      violation("the directory does not know what became of endpoint " + std::to_string(seq));
    if (found) known.push_back(found);
  }
  for (const char* const tenant : {"", "acme"}) {
    const auto wanted = std::ranges::count_if(
        known, [tenant](const EndpointPtr& endpoint) { return wants(*endpoint, tenant, "order.paid"); });
    if (wanted != std::ssize(*of.directory().match(tenant, "order.paid").endpoints))
      violation("the directory matches other endpoints than it knows");
  }
}

void CoreWorld::check() {
  if (!store_.is_open() || machine_failed_) return;
  ledger_.compare(tables_.read(store_.real()));
  tables_.check(store_.real(), fail());
}

CoreReport CoreWorld::run(std::int64_t steps) {
  std::int64_t epoch = 0;
  while (report_.steps < steps) {
    step();
    if (++epoch < kStepsOfEpoch) continue;
    epoch = 0;
    settle();
  }
  settle();
  report_.attempts = attempts_.attempts();
  report_.sent_twice = attempts_.twice();
  report_.delivered = ledger_.count(DeliveryState::kDelivered);
  report_.dead = ledger_.count(DeliveryState::kDead);
  report_.discarded = ledger_.count(DeliveryState::kDiscarded);
  return report_;
}

// ---- healing

std::string CoreWorld::unsettled() {
  for (int number = 0; number < members_; ++number) {
    if (daemon(number) == nullptr || daemon(number)->is_stopping()) return "a daemon is down";
    if (store_.is_moving(number)) return "a partition is not given up";
    if (daemon(number)->commits().queued() > 0) return "a command waits";
  }
  if (std::string left = ledger_.unfinished(); !left.empty()) return left;
  if (std::string left = attempts_.missing(); !left.empty()) return left;
  if (tables_.number("SELECT count(*) FROM outbox WHERE rejected IS NULL") > 0)
    return "a row is in the outbox";
  for (const int waiting : requests_) {
    if (waiting > 0) return "a request is not answered";
  }
  if (tables_.number("SELECT count(*) FROM endpoint WHERE discarding = 1") > 0)
    return "an endpoint is not swept";
  return "";
}

// Everything that is pending is due later, became due just now, or waits behind such a delivery (or the machine
// restarts).
bool CoreWorld::is_something_to_come() {
  if (machine_failed_) return true;
  if (ledger_.pending() == 0) return false;
  const std::int64_t long_ago = (clock_.wall() - kIdle).time_since_epoch() / 1ms;
  return tables_.number(
             "SELECT min(due_at) - (SELECT due_ahead FROM counter) FROM delivery WHERE state = 'pending' AND "
             "behind = 0") > long_ago;
}

void CoreWorld::settle() {
  calm_ = true;
  if (chance(0.3)) {
    remove_and_fill_disk();
    for (int n = 0; n < kStepsOnFullDisk; ++n) step();
  }
  disk_.heal();
  store_.faults() = {};
  network_.heal();
  strict_policy_ = false;
  for (auto& one : daemons_) {
    if (one && !one->has_failed()) one->set_policy(false);
  }
  const MonotonicTime limit = now() + kSettled;
  const std::int64_t last_step = report_.steps + kMaxStepsToSettle;
  std::string left = "it was not looked";
  std::int64_t done = 0;  // attempts and commits
  MonotonicTime idle_since = now();
  for (std::int64_t n = 0; !left.empty(); ++n) {
    if (n % 50 == 0) resume_everything();
    step();
    if (std::exchange(done, report_.commits + attempts_.attempts()) != done) idle_since = now();
    if (n % kStepsBetweenSettled != 0) continue;
    check();
    left = machine_failed_ ? "the machine is down" : unsettled();
    if (now() > limit || report_.steps > last_step) throw Violation("it does not settle: " + left);
    if (left.empty() || now() - idle_since <= kIdle) continue;
    if (is_something_to_come()) {
      idle_since = now();
    } else {
      throw Violation("nothing is done: " + left + ", at step " + std::to_string(report_.steps));
    }
  }
  network_.hurt();
  calm_ = false;
}

CoreReport run_core(std::uint64_t seed, std::int64_t steps) {
  CoreWorld world(seed);
  return world.run(steps);
}

}  // namespace outboxd::simulation
