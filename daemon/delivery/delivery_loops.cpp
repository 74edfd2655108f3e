#include "delivery/delivery_loops.h"

#include <algorithm>
#include <future>
#include <iterator>

#include "common/mutex.h"

namespace outboxd {
namespace {

// At least 1 each; the remainder of the division goes to the first loops.
int share(int all, int threads, int index) {
  return std::max(1, all / threads + (index < all % threads ? 1 : 0));
}

// The endpoint that a fact is about; absent: it concerns all.
std::optional<EndpointSeq> endpoint_of(const Fact& fact) {
  if (const auto* ready = std::get_if<DeliveryReady>(&fact)) return ready->delivery.key.endpoint;
  if (const auto* due = std::get_if<DueOnDisk>(&fact)) return due->endpoint;
  if (const auto* withdrawn = std::get_if<DeliveryWithdrawn>(&fact)) return withdrawn->key.endpoint;
  if (const auto* outcome = std::get_if<OutcomeRecorded>(&fact)) return outcome->key.endpoint;
  if (const auto* changed = std::get_if<EndpointChanged>(&fact)) return changed->endpoint;
  return std::nullopt;
}

// The result runs `done` on its `count`-th call, on the thread of that call.
std::function<void()> after(std::size_t count, std::function<void()> done) {
  return [left = std::make_shared<std::atomic<std::size_t>>(count), done = std::move(done)] {
    if (--*left == 0 && done) done();
  };
}

}  // namespace

DeliveryLoops::DeliveryLoops(const DeliveryLoop::Parts& parts,
                             const std::shared_ptr<const AddressPolicy>& policy, const Options& options) {
  const int n = std::max(1, options.threads);
  for (int i = 0; i < n; ++i) {
    DeliveryLoop::Options mine = options.loop;
    Scheduler::Options& scheduler = mine.engine.scheduler;
    scheduler.max_in_flight = share(scheduler.max_in_flight, n, i);
    scheduler.max_held = share(scheduler.max_held, n, i);
    scheduler.max_held_bytes /= static_cast<std::size_t>(n);
    scheduler.seed += static_cast<std::uint64_t>(i);
    mine.sender.max_idle_connections =
        std::max<std::size_t>(mine.sender.max_idle_connections / static_cast<std::size_t>(n), 1);
    DeliveryLoop::Parts its = parts;
    if (n > 1) {  // only those endpoints of the partitions that are this loop's
      its.endpoints_of = [this, i, all = parts.endpoints_of](const PartitionSet& partitions) {
        auto endpoints = all(partitions);
        std::erase_if(endpoints,
                      [&](const EndpointPtr& e) { return index_of(e->seq) != static_cast<std::size_t>(i); });
        return endpoints;
      };
    }
    loops_.push_back(std::make_unique<DeliveryLoop>(its, policy, mine));
  }
}

void DeliveryLoops::start() {
  for (auto& loop : loops_) loop->start();
}

void DeliveryLoops::hear(Facts facts) {
  if (loops_.size() == 1) return loops_.front()->engine().hear(std::move(facts));
  std::vector<Facts> split(loops_.size());
  for (Facts& its : split) its.reserve(facts.size() / loops_.size() + 1);
  for (Fact& fact : facts) {
    if (const auto endpoint = endpoint_of(fact)) {
      split[index_of(*endpoint)].push_back(std::move(fact));
    } else {
      for (Facts& all : split) all.push_back(fact);
    }
  }
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    if (!split[i].empty()) loops_[i]->engine().hear(std::move(split[i]));
  }
}

void DeliveryLoops::own(const PartitionSet& partitions, Millis ordered_after) {
  for (auto& loop : loops_) loop->engine().own(partitions, ordered_after);
}

// A partition that is owned again is owned again in every loop, so the set reported by the last loop is right for all.
void DeliveryLoops::disown(const PartitionSet& partitions, bool abort, Disowned done) {
  const auto left = std::make_shared<std::atomic<std::size_t>>(loops_.size());
  for (auto& loop : loops_) {
    loop->engine().disown(partitions, abort, [left, done](const PartitionSet& disowned) {
      if (--*left == 0 && done) done(disowned);
    });
  }
}

void DeliveryLoops::set_policy(const std::shared_ptr<const AddressPolicy>& policy) {
  for (auto& loop : loops_) loop->engine().set_policy(policy);
}

void DeliveryLoops::ask_status(std::optional<EndpointSeq> only, std::function<void(EngineStatus)> answer) {
  struct Answers {
    Mutex mutex;
    std::size_t missing OUTBOXD_GUARDED_BY(mutex) = 0;
    EngineStatus all OUTBOXD_GUARDED_BY(mutex);
  };
  const auto answers = std::make_shared<Answers>();
  {
    const MutexLock lock(answers->mutex);
    answers->missing = loops_.size();
  }
  for (auto& loop : loops_) {
    loop->engine().ask_status(only, [answers, answer](EngineStatus one) {
      const MutexLock lock(answers->mutex);
      EngineStatus& all = answers->all;
      all.in_flight += one.in_flight;
      std::ranges::move(one.lanes, std::back_inserter(all.lanes));
      all.certificates.merge(one.certificates);
      all.owned = one.owned;  // the same for all, but for a moment
      if (--answers->missing == 0) answer(std::move(all));
    });
  }
}

Millis DeliveryLoops::since_progress() const {
  Millis longest{0};
  for (const auto& loop : loops_) longest = std::max(longest, loop->since_progress());
  return longest;
}

void DeliveryLoops::stop(Millis limit) {
  // Shared, because wait() may return before set_value() has.
  const auto all = std::make_shared<std::promise<void>>();
  const auto one_done = after(loops_.size(), [all] { all->set_value(); });
  for (auto& loop : loops_) loop->engine().stop(limit, one_done);
  all->get_future().wait();
}

void DeliveryLoops::end_threads() {
  for (auto& loop : loops_) loop->end_threads();
}

}  // namespace outboxd
