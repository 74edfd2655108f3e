// How the daemons of a simulated world start and end, and what happens to their partitions.
#include "simulation/core_world_state.h"

namespace outboxd::simulation {
namespace {

using namespace std::chrono_literals;

constexpr Millis kMaxStop = 10s;

}  // namespace

CoreDaemon* CoreWorld::any_daemon() {
  std::vector<CoreDaemon*> up;
  for (auto& one : daemons_) {
    if (one && !one->has_failed() && !one->is_stopping()) up.push_back(one.get());
  }
  return up.empty() ? nullptr : one_of(up);
}

void CoreWorld::start_daemon(int number) {
  try {
    daemons_.at(static_cast<std::size_t>(number)) = std::make_unique<CoreDaemon>(
        CoreDaemon::World{clock_, random_, store_, network_, attempts_, fail(),
                          [this](const std::string& what) { note(what); }, strict_policy_, store_.commits()},
        number);
  } catch (const StoreError&) {  // the disk fails while the daemon starts
    store_.leave(number);
    machine_failed_ = true;
  }
}

void CoreWorld::kill(int number) {
  const auto i = static_cast<std::size_t>(number);
  if (!daemons_.at(i)) return;
  ++report_.kills;
  note(std::to_string(number) + " is killed");
  daemons_.at(i).reset();
  requests_.at(i) = 0;
  start_at_.at(i) = now() + some(300);
}

// Every daemon on the machine ends with the store.
void CoreWorld::reopen_store(bool power_cut) {
  for (int number = 0; number < members_; ++number) kill(number);
  tables_.close();
  store_.close();
  power_cut = power_cut || disk_.is_off();  // it may strike while the store is closed, too
  disk_.heal();
  if (power_cut) {
    ++report_.power_cuts;
    disk_.crash(random_);
  }
  machine_failed_ = false;
  store_.open();
  ledger_.opened(store_.real().new_reader()->all_endpoints());
  check();
}

void CoreWorld::look_after_daemons() {
  bool failed = machine_failed_ || disk_.is_off();
  for (int number = 0; number < members_; ++number) {
    CoreDaemon* const one = daemon(number);
    if (one == nullptr || !one->has_failed()) continue;
    if (store_.is_fenced(number)) {
      kill(number);
    } else {
      failed = true;
    }
  }
  if (failed) reopen_store(true);
  for (int number = 0; number < members_; ++number) {
    const auto i = static_cast<std::size_t>(number);
    CoreDaemon* const one = daemon(number);
    if (one == nullptr) {
      if (now() >= start_at_.at(i)) start_daemon(number);
    } else if (one->is_stopping() && (one->has_stopped() || now() > stop_by_.at(i))) {
      const bool clean = one->has_stopped();
      if (clean) one->finish();
      if (clean && attempts_.has_unrecorded(number)) violation("a graceful stop lost an outcome");
      ++report_.stops;
      members_ == 1 ? reopen_store(!clean) : kill(number);
    }
  }
  if (disturbed_until_ != MonotonicTime{} && now() >= disturbed_until_) {
    disturbed_until_ = {};
    disk_.heal();
    store_.faults() = {};
  }
  if (members_ > 1) give_what_nobody_has();
}

void CoreWorld::begin_stop() {
  CoreDaemon* const one = any_daemon();
  if (one == nullptr) return;
  one->stop();
  stop_by_.at(static_cast<std::size_t>(one->number())) = now() + kMaxStop;
}

// ---- partitions

// Moves partitions to the other daemon, unless this one is giving some up already.
void CoreWorld::move_partitions() {
  CoreDaemon* const from = any_daemon();
  if (from == nullptr || store_.is_moving(from->number()) || store_.is_fenced(from->number())) return;
  const int to = 1 - from->number();
  const PartitionSet some_of_them = store_.owned_by(from->number()) & PartitionSet(random_());
  if (some_of_them.none() || daemon(to) == nullptr || daemon(to)->is_stopping() || store_.is_fenced(to))
    return;
  ++report_.moves;
  store_.promise(some_of_them, from->number(), to, chance(0.5));
}

// The other daemon takes this one for dead. It is alive, and finds out when it commits.
void CoreWorld::take_over() {
  CoreDaemon* const from = any_daemon();
  if (from == nullptr || store_.is_fenced(from->number())) return;
  const int to = 1 - from->number();
  if (daemon(to) == nullptr || daemon(to)->is_stopping() || store_.is_fenced(to)) return;
  ++report_.takeovers;
  note(std::to_string(from->number()) + " is fenced");
  store_.fence(from->number());
  store_.take(store_.owned_by(from->number()), to);
}

// The partitions of a daemon that is down go to the other one after a while. A fenced daemon ends at some time, even if
// it commits nothing and so never finds out.
void CoreWorld::give_what_nobody_has() {
  for (int number = 0; number < members_; ++number) {
    const int other = 1 - number;
    if (store_.is_fenced(number) && daemon(number) != nullptr && chance(0.002)) kill(number);
    if (daemon(number) != nullptr || daemon(other) == nullptr || daemon(other)->is_stopping()) continue;
    if (store_.is_fenced(other) || !chance(0.01)) continue;
    if (const PartitionSet left = store_.owned_by(number); left.any()) store_.take(left, other);
  }
}

}  // namespace outboxd::simulation
