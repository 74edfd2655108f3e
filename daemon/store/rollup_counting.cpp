#include "store/rollup_counting.h"

#include <algorithm>
#include <utility>

namespace outboxd {
namespace {

const RollupKey kAllTogether{
    .endpoint = 0, .type = {}, .outcome = Outcome::kSuccess, .status = 0, .reason = {}};

bool is_success(const RollupKey& key) {
  return key.outcome == Outcome::kSuccess;
}

}  // namespace

void RollupSpan::open(Time t) {
  const Time at = start_of(length_, t);
  if (at_ == at) return;
  write();
  forget();
  at_ = at;
  for (RollupRow& stored : table_.own_rows(length_, at))
    add(std::move(stored.key))->second.counts += stored.counts;
}

RollupSpan::Groups::iterator RollupSpan::add(RollupKey key) {
  if (!key.type.empty() && key.type != kOtherTypes) types_.insert(key.type);
  const bool succeeds = is_success(key);
  const auto [group, is_new] = groups_.try_emplace(std::move(key));
  sizes_[succeeds ? 1 : 0] += is_new;
  return group;
}

void RollupSpan::bound(RollupKey& key) const {
  if (key == kAllTogether) return;
  if (types_.size() >= kMaxRollupTypes && !types_.contains(key.type)) key.type = kOtherTypes;
  if (sizes_[is_success(key) ? 1 : 0] < kMaxRollupGroups || groups_.contains(key)) return;
  key.endpoint = 0;
  key.type = kOtherTypes;
  key.status = 0;
}

RollupCounts& RollupSpan::counts(RollupKey key) {
  auto found = groups_.find(key);
  if (found == groups_.end()) {
    bound(key);
    found = add(std::move(key));
  }
  if (!std::exchange(found->second.changed, true)) changed_.push_back(&*found);
  return found->second.counts;
}

void RollupSpan::write() {
  if (changed_.empty()) return;
  table_.put(length_, *at_, changed_);
  for (Groups::value_type* group : changed_) group->second.changed = false;
  changed_.clear();
}

void RollupSpan::forget() {
  at_.reset();
  changed_.clear();
  groups_.clear();
  types_.clear();
  sizes_ = {};
}

void RollupCounting::begin(Time now, std::optional<Time> rolled_up) {
  if (!committed_) forget();
  if (rolled_up) rolled_up_ = rolled_up;
  committed_ = false;
  now_ = now;
}

void RollupCounting::forget() {
  minute_.forget();
  hour_.forget();
  rolled_up_.reset();
}

void RollupCounting::write() {
  minute_.write();
  hour_.write();
}

// A minute may already be in its hour: the clock was set back. Then the hour gets its share directly.
template <class Change>
void RollupCounting::count(const RollupKey& key, Change change) {
  minute_.open(now_);
  change(minute_.counts(key));
  if (now_ >= rolled_up()) return;
  hour_.open(now_);
  change(hour_.counts(key));
}

void RollupCounting::event_accepted() {
  count(kAllTogether, [](RollupCounts& counts) { ++counts.accepted; });
}

void RollupCounting::delivery_accepted(EndpointSeq endpoint, const std::string& type) {
  count({.endpoint = endpoint, .type = type, .outcome = Outcome::kSuccess, .status = 0, .reason = {}},
        [](RollupCounts& counts) { ++counts.accepted; });
}

void RollupCounting::outcome_recorded(const RecordOutcome& command, bool attempted, DeliveryState to,
                                      std::optional<DeadReason> reason) {
  const Attempt* attempt = attempted ? command.attempt.get() : nullptr;
  const bool success = attempt != nullptr && attempt->outcome == Outcome::kSuccess;
  const bool dead = to == DeliveryState::kDead;
  if (attempt == nullptr && !dead) return;  // put off
  const auto add = [&](RollupCounts& counts) {
    counts.dead += dead;
    if (attempt == nullptr) return;
    ++counts.attempts;
    counts.failed += !success;
    counts.duration.record(attempt->timings.total);
    if (to != DeliveryState::kDelivered) return;
    ++counts.delivered;
    // An event's id tells when it was accepted.
    if (command.subject)
      counts.latency.record(std::max(command.at - command.subject->event.uuid.time(), Millis(0)));
  };
  RollupKey key{.endpoint = command.key.endpoint,
                .type = command.subject ? command.subject->type : std::string(kOtherTypes),
                .outcome = Outcome::kSuccess,
                .status = 0,
                .reason = {}};
  if (!success) {
    key.outcome = attempt ? std::optional(attempt->outcome) : std::nullopt;
    key.status = attempt ? attempt->status : 0;
    if (dead) key.reason = reason;
  }
  count(kAllTogether, add);
  count(key, [&](RollupCounts& counts) {
    add(counts);
    if (!success) counts.note_failure(command.at, attempt ? std::string_view(attempt->error) : "");
  });
}

Time RollupCounting::rolled_up() {
  if (!rolled_up_) rolled_up_ = table_.rolled_up();
  return *rolled_up_;
}

void RollupCounting::set_rolled_up(Time until) {
  rolled_up_ = until;
  table_.set_rolled_up(until);
}

std::int64_t RollupCounting::roll_up_next() {
  const Time over = start_of(kRollupMinute, now_ - settles_);  // what is before this
  if (rolled_up() >= over) return 0;
  const auto minute = table_.next(kRollupMinute, rolled_up(), over);
  if (!minute) {
    set_rolled_up(over);
    return 0;
  }
  hour_.open(*minute);
  const std::vector<RollupRow> rows = table_.rows(kRollupMinute, *minute);
  for (const RollupRow& counted : rows) hour_.counts(counted.key) += counted.counts;
  set_rolled_up(*minute + kRollupMinute);
  return static_cast<std::int64_t>(rows.size());
}

std::int64_t RollupCounting::delete_next(Millis span, Time before) {
  const auto oldest = table_.next(span, Time{}, before);
  return oldest ? table_.erase(span, *oldest) : 0;
}

std::int64_t RollupCounting::maintain(Time now, std::int64_t limit) {
  std::int64_t rows = 0;
  const auto repeat = [&](auto step) {
    while (rows < limit) {
      const std::int64_t more = step();
      if (more == 0) return;
      rows += more;
    }
  };
  repeat([&] { return roll_up_next(); });
  repeat([&] { return delete_next(kRollupMinute, std::min(now - kRollupMinutesKept, rolled_up())); });
  repeat([&] { return delete_next(kRollupHour, now - kRollupHoursKept); });
  return rows;
}

}  // namespace outboxd
