#include "store/sqlite/rollup_writer.h"

#include <algorithm>
#include <utility>

#include "store/sqlite/rollup_row.h"

namespace outboxd::sqlite {
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
  Cursor row(of_span_, length_.count(), millis(at));
  while (row.next()) {
    RollupRow stored = read_rollup(row);
    add(std::move(stored.key))->second.counts = std::move(stored.counts);
  }
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
  for (Groups::value_type* group : changed_) {
    put_rollup(put_, length_, *at_, group->first, group->second.counts);
    group->second.changed = false;
  }
  changed_.clear();
}

void RollupSpan::forget() {
  at_.reset();
  changed_.clear();
  groups_.clear();
  types_.clear();
  sizes_ = {};
}

void RollupWriter::begin(Time now) {
  if (!committed_) {
    minute_.forget();
    hour_.forget();
    rolled_up_.reset();
  }
  committed_ = false;
  now_ = now;
}

void RollupWriter::write() {
  minute_.write();
  hour_.write();
}

// A minute may already be in its hour: the clock was set back. Then the hour gets its share directly.
template <class Change>
void RollupWriter::count(const RollupKey& key, Change change) {
  minute_.open(now_);
  change(minute_.counts(key));
  if (now_ >= rolled_up()) return;
  hour_.open(now_);
  change(hour_.counts(key));
}

void RollupWriter::event_accepted() {
  count(kAllTogether, [](RollupCounts& counts) { ++counts.accepted; });
}

void RollupWriter::delivery_accepted(EndpointSeq endpoint, const std::string& type) {
  count({.endpoint = endpoint, .type = type, .outcome = Outcome::kSuccess, .status = 0, .reason = {}},
        [](RollupCounts& counts) { ++counts.accepted; });
}

void RollupWriter::outcome_recorded(const RecordOutcome& command, bool attempted, DeliveryState to,
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

Time RollupWriter::rolled_up() {
  if (!rolled_up_) {
    Cursor row(read_rolled_up_);
    rolled_up_ = row.next() ? row.time(0) : Time{};
  }
  return *rolled_up_;
}

void RollupWriter::set_rolled_up(Time until) {
  rolled_up_ = until;
  set_rolled_up_.run(millis(until));
}

std::int64_t RollupWriter::roll_up_next() {
  const Time over = start_of(kRollupMinute, now_);  // what is before this
  if (rolled_up() >= over) return 0;
  Time minute{};
  {
    Cursor row(next_, kRollupMinute.count(), millis(rolled_up()), millis(over));
    if (row.next()) minute = row.time(0);
  }
  if (minute == Time{}) {
    set_rolled_up(over);
    return 0;
  }
  hour_.open(minute);
  std::int64_t rows = 0;
  {
    Cursor row(of_span_, kRollupMinute.count(), millis(minute));
    for (; row.next(); ++rows) {
      const RollupRow counted = read_rollup(row);
      hour_.counts(counted.key) += counted.counts;
    }
  }
  set_rolled_up(minute + kRollupMinute);
  return rows;
}

std::int64_t RollupWriter::delete_next(Millis span, Time before) {
  Time oldest{};
  {
    Cursor row(next_, span.count(), 0, millis(before));
    if (!row.next()) return 0;
    oldest = row.time(0);
  }
  delete_.run(span.count(), millis(oldest));
  return delete_.changes();
}

std::int64_t RollupWriter::maintain(Time now, std::int64_t limit) {
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

}  // namespace outboxd::sqlite
