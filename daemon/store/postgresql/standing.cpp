#include "store/postgresql/standing.h"

#include <algorithm>
#include <map>
#include <utility>

namespace outboxd::postgresql {

Standing::Now Standing::now() const {
  const MutexLock lock(mutex_);
  return {.token = token_, .slot = slot_, .records = owned_ | leaving_, .begun = now_()};
}

PartitionSet Standing::owned() const {
  const MutexLock lock(mutex_);
  return owned_;
}

PartitionSet Standing::told() const {
  const MutexLock lock(mutex_);
  return somebody_waits_ ? told_ : owned_;
}

PartitionSet Standing::held() const {
  const MutexLock lock(mutex_);
  return held_;
}

PartitionSet Standing::given_up() const {
  const MutexLock lock(mutex_);
  return giving_ & ~owned_ & ~leaving_;
}

std::string Standing::why_out() const {
  const MutexLock lock(mutex_);
  return why_out_;
}

PartitionSet Standing::unsettled() const {
  const MutexLock lock(mutex_);
  const BootTime now = now_();
  PartitionSet unsettled;
  for (std::size_t i = 0; i < ordered_from_.size(); ++i) unsettled.set(i, ordered_from_[i] > now);
  return unsettled;
}

bool Standing::was_fenced() const {
  const MutexLock lock(mutex_);
  return fenced_;
}

bool Standing::is_clear() const {
  const MutexLock lock(mutex_);
  return (held_ | owned_ | leaving_).none();
}

void Standing::join(const std::string& token, int slot, BootTime begun) {
  const MutexLock lock(mutex_);
  token_ = token;
  slot_ = slot;
  in_session_ = session_lives_ = true;
  why_out_.clear();
  fenced_ = false;
  proven_ = begun;
  trusted_until_ = (begun + kTrust).count();
  ++joins_;
}

// An older proof than one that is known changes nothing. Without a session it says only that nobody has taken over yet:
// what is under way may go on.
void Standing::prove(std::string_view token, BootTime begun) {
  const MutexLock lock(mutex_);
  if (token != token_ || fenced_ || begun <= proven_) return;
  proven_ = begun;
  if (!in_session_) return;
  trusted_until_ = (begun + kTrust).count();
  announce();
}

void Standing::found_fenced(std::string_view token) {
  const MutexLock lock(mutex_);
  if (token != token_ || fenced_) return;
  fenced_ = true;
  trusted_until_ = 0;
  lose(owned_ | leaving_, true);
  member_wanted_now_ = true;
  member_wanted_.notify_one();
}

void Standing::hold(const PartitionSet& partitions, Millis ordered_after) {
  const MutexLock lock(mutex_);
  const BootTime from = now_() + ordered_after;
  for (std::size_t i = 0; i < ordered_from_.size(); ++i) {
    if (partitions.test(i)) ordered_from_[i] = from;
  }
  held_ |= partitions;
  announce();
}

void Standing::give_up(const PartitionSet& partitions, bool abort) {
  const MutexLock lock(mutex_);
  giving_ |= partitions & held_;
  lose(partitions, abort);
}

void Standing::no_longer_hold(const PartitionSet& partitions) {
  const MutexLock lock(mutex_);
  held_ &= ~partitions;
  giving_ &= ~partitions;
}

void Standing::lose_session(const std::string& why) {
  const MutexLock lock(mutex_);
  why_out_ = why;
  in_session_ = session_lives_ = false;
  trusted_until_ = 0;
  held_.reset();
  giving_.reset();
  lose(owned_, fenced_);
}

void Standing::release(const PartitionSet& partitions) {
  const MutexLock lock(mutex_);
  leaving_ &= ~partitions;
  aborted_ &= ~partitions;
  announce();
  member_wanted_now_ = true;
  member_wanted_.notify_one();
}

void Standing::lose(const PartitionSet& partitions, bool abort) {
  PartitionSet lost = partitions & owned_;
  if (abort) lost |= partitions & leaving_ & ~aborted_;
  if (lost.none()) return;
  owned_ &= ~lost;
  leaving_ |= lost;
  if (abort) aborted_ |= lost;
  facts_.emplace_back(PartitionsLost{lost, abort});
  facts_came_.notify_one();
}

// Everything that is held and neither given up nor still to be let go of.
void Standing::announce() {
  const PartitionSet ours = held_ & ~giving_ & ~owned_ & ~leaving_;
  const BootTime now = now_();
  if (ours.none() || fenced_ || now >= trust_ends()) return;
  std::map<Millis, PartitionSet> by_wait;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (ours.test(i)) by_wait[std::max(Millis(0), std::chrono::ceil<Millis>(ordered_from_[i] - now))].set(i);
  }
  owned_ |= ours;
  for (const auto& [ordered_after, partitions] : by_wait)
    facts_.emplace_back(PartitionsOwned{partitions, ordered_after});
  facts_came_.notify_one();
}

void Standing::expire() {
  if (now_() >= proven_ + kTrust) lose(owned_ | leaving_, true);
}

void Standing::tell(Facts facts) {
  if (facts.empty()) return;
  const MutexLock lock(mutex_);
  std::ranges::move(facts, std::back_inserter(facts_));
  facts_came_.notify_one();
}

Facts Standing::take_facts() {
  for (const Fact& fact : facts_) {
    if (const auto* ours = std::get_if<PartitionsOwned>(&fact)) told_ |= ours->partitions;
    if (const auto* lost = std::get_if<PartitionsLost>(&fact)) told_ &= ~lost->partitions;
  }
  return std::exchange(facts_, {});
}

// Wakes in time for the end of trust, if anything depends on it.
Facts Standing::wait(Millis timeout) {
  const MutexLock lock(mutex_);
  somebody_waits_ = true;
  const BootTime until = now_() + timeout;
  while (true) {
    if (!failure_.empty()) throw StoreError(StoreError::Kind::kFailed, failure_);
    expire();
    const BootTime now = now_();
    if (std::exchange(interrupted_, false) || !facts_.empty() || now >= until) return take_facts();
    BootTime next = until;
    if ((owned_ | (leaving_ & ~aborted_)).any()) next = std::min(next, proven_ + kTrust);
    facts_came_.wait_for(mutex_, std::max(next - now, BootTime(0)));
  }
}

void Standing::interrupt() {
  const MutexLock lock(mutex_);
  interrupted_ = true;
  facts_came_.notify_one();
}

void Standing::fail(const std::string& why) {
  const MutexLock lock(mutex_);
  failure_ = why;
  facts_came_.notify_one();
}

void Standing::sleep_member(BootTime until) {
  const MutexLock lock(mutex_);
  for (BootTime now = now_(); !member_wanted_now_ && now < until; now = now_())
    member_wanted_.wait_for(mutex_, until - now);
  member_wanted_now_ = false;
}

void Standing::wake_member() {
  const MutexLock lock(mutex_);
  member_wanted_now_ = true;
  member_wanted_.notify_one();
}

}  // namespace outboxd::postgresql
