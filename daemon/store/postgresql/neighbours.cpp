#include "store/postgresql/neighbours.h"

#include <poll.h>

#include <algorithm>
#include <random>
#include <utility>

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd::postgresql {
namespace {

using Steady = std::chrono::steady_clock;

Millis next_pause() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return Millis(std::uniform_int_distribution<Millis::rep>(Neighbours::kLookMin.count(),
                                                           Neighbours::kLookMax.count())(random));
}

}  // namespace

Neighbours::Neighbours(std::unique_ptr<ForeignChanges> changes, Doorbell& doorbell, Standing& standing,
                       std::string word)
    : changes_(std::move(changes)), doorbell_(doorbell), standing_(standing), word_(std::move(word)) {}

void Neighbours::start() {
  thread_ = start_thread("neighbours", [this] { run(); });
}

void Neighbours::stop() {
  stopping_ = true;
  doorbell_.wake();
  if (thread_.joinable()) thread_.join();
}

bool Neighbours::set_unreachable(const std::string& why) {
  const MutexLock lock(mutex_);
  return std::exchange(why_unreachable_, why).empty();
}

void Neighbours::run() {
  Millis backoff{0};
  while (!stopping_) {
    try {
      look();
      set_unreachable("");
      backoff = Millis(0);
      const auto next_look = Steady::now() + next_pause();
      while (!stopping_ && Steady::now() < next_look) {
        wait(next_look);
        ring();
        if (hear()) break;
      }
    } catch (const HistoryLost& error) {
      return standing_.fail(error.what());
    } catch (const std::exception& error) {
      if (set_unreachable(error.what()))
        log::warn("the store cannot be watched, trying again", {{"error", error.what()}});
      backoff = std::clamp(backoff * 2, kFirstBackoff, kMaxBackoff);
      for (const auto until = Steady::now() + backoff; !stopping_ && Steady::now() < until;) wait(until);
    }
  }
}

// Whoever joined anew may have done so at another server, while the former one still answers what is asked of it.
void Neighbours::look() {
  const int joins = standing_.joins();
  if (std::exchange(joins_, joins) != joins) changes_->disconnect();
  standing_.tell(changes_->look(standing_.owned(), standing_.members() > 1));
}

// The first ring goes out at once, and those that come while it is not yet time for the next go out together then.
void Neighbours::ring() {
  if (Steady::now() < ring_at_) return;
  const std::string payload = doorbell_.take(word_);
  if (payload.empty() || standing_.members() < 2) return;
  ring_at_ = Steady::now() + kRingEvery;
  changes_->send(payload);
}

// True: somebody else has rung, so it is worth a look.
bool Neighbours::hear() {
  bool rung = false;
  const PartitionSet owned = standing_.owned();
  for (const std::string& payload : changes_->heard()) {
    Doorbell::Heard heard = Doorbell::read(payload, owned);
    if (heard.from == word_) continue;
    rung = true;
    standing_.tell(std::move(heard.facts));
  }
  return rung;
}

// Returns early when somebody rings, here or there. While a ring has to wait, for no longer than that.
void Neighbours::wait(Steady::time_point until) {
  const auto now = Steady::now();
  const bool must_hold = now < ring_at_;
  if (must_hold) until = std::min(until, ring_at_);
  pollfd ready[] = {{changes_->fd(), POLLIN, 0}, {doorbell_.fd(), POLLIN, 0}};
  const auto timeout = std::chrono::ceil<Millis>(std::max(until - now, Steady::duration(0)));
  // A ring that must be held does not end the wait again and again.
  if (poll(ready, must_hold && !stopping_ ? 1 : 2, static_cast<int>(timeout.count())) > 0 &&
      (ready[1].revents & POLLIN) != 0 && !must_hold)
    doorbell_.calm();
}

}  // namespace outboxd::postgresql
