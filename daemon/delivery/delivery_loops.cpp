#include "delivery/delivery_loops.h"

#include <algorithm>
#include <iterator>
#include <mutex>

namespace outboxd {
namespace {

// At least 1 each; what does not divide evenly goes to the first ones.
int share(int all, int threads, int index) {
  return std::max(1, all / threads + (index < all % threads ? 1 : 0));
}

}  // namespace

DeliveryLoops::DeliveryLoops(Store& store, GroupCommit& commits, const Clock& clock, UuidGenerator& ids,
                             telemetry::Metrics& metrics, const std::shared_ptr<const AddressPolicy>& policy,
                             const Options& options, DeliveryHooks hooks)
    : hooks_(std::move(hooks)) {
  const int n = std::max(1, options.threads);
  for (int i = 0; i < n; ++i) {
    DeliveryLoop::Options mine = options.loop;
    mine.scheduler.max_in_flight = share(mine.scheduler.max_in_flight, n, i);
    mine.scheduler.max_held = share(mine.scheduler.max_held, n, i);
    mine.scheduler.max_held_bytes /= static_cast<std::size_t>(n);
    mine.scheduler.seed += static_cast<std::uint64_t>(i);
    mine.sender.max_idle_connections /= static_cast<std::size_t>(n);
    loops_.push_back(
        std::make_unique<DeliveryLoop>(store, commits, clock, ids, metrics, policy, std::move(mine), hooks_));
  }
}

void DeliveryLoops::start(const std::vector<EndpointPtr>& endpoints) {
  std::vector<std::vector<EndpointPtr>> split(loops_.size());
  for (const auto& endpoint : endpoints) split[index_of(endpoint->seq)].push_back(endpoint);
  for (std::size_t i = 0; i < loops_.size(); ++i) loops_[i]->start(split[i]);
}

void DeliveryLoops::offer(std::vector<DueDelivery> fresh) {
  if (loops_.size() == 1) return loops_.front()->offer(std::move(fresh));
  std::vector<std::vector<DueDelivery>> split(loops_.size());
  for (auto& delivery : fresh) split[index_of(delivery.key.endpoint)].push_back(std::move(delivery));
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    if (!split[i].empty()) loops_[i]->offer(std::move(split[i]));
  }
}

void DeliveryLoops::look_again() {
  for (auto& loop : loops_) loop->look_again();
}

void DeliveryLoops::set_policy(const std::shared_ptr<const AddressPolicy>& policy) {
  for (auto& loop : loops_) loop->set_policy(policy);
}

void DeliveryLoops::ask_status(std::function<void(DeliveryStatus)> answer) {
  struct Answers {
    std::mutex mutex;
    std::size_t missing;
    DeliveryStatus all;
    std::function<void(DeliveryStatus)> answer;
  };
  const auto answers = std::make_shared<Answers>();
  answers->missing = loops_.size();
  answers->answer = std::move(answer);
  for (auto& loop : loops_) {
    loop->ask_status([answers](DeliveryStatus one) {
      const std::lock_guard lock(answers->mutex);
      DeliveryStatus& all = answers->all;
      all.in_flight += one.in_flight;
      std::ranges::move(one.lanes, std::back_inserter(all.lanes));
      if (--answers->missing == 0) answers->answer(std::move(all));
    });
  }
}

Millis DeliveryLoops::since_progress() const {
  Millis longest{0};
  for (const auto& loop : loops_) longest = std::max(longest, loop->since_progress());
  return longest;
}

void DeliveryLoops::stop(Millis limit) {
  for (auto& loop : loops_) loop->begin_stop(limit);
  for (auto& loop : loops_) loop->wait_stopped();
}

void DeliveryLoops::end_threads() {
  for (auto& loop : loops_) loop->end_thread();
}

}  // namespace outboxd
