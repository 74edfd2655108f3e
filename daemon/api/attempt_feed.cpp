#include "api/attempt_feed.h"

#include <algorithm>
#include <utility>

#include "common/event.h"

namespace outboxd::api {

void AttemptFeed::hear(const OutcomeRecorded& fact) {
  if (!fact.attempt || !fact.subject) return;
  const Attempt& full = *fact.attempt;
  Attempt attempt;
  attempt.id = full.id;
  attempt.number = full.number;
  attempt.started_at = full.started_at;
  attempt.timings = full.timings;
  attempt.outcome = full.outcome;
  attempt.status = full.status;
  attempt.error = full.error;
  attempt.remote_address = full.remote_address;
  const OutcomeSubject& subject = *fact.subject;
  auto recorded = std::make_shared<RecordedAttempt>(RecordedAttempt{.delivery = subject.delivery,
                                                                    .event = subject.event,
                                                                    .endpoint = subject.endpoint->id,
                                                                    .tenant = subject.endpoint->tenant,
                                                                    .type = subject.type,
                                                                    .attempt = std::move(attempt),
                                                                    .state = fact.now.state,
                                                                    .reason = fact.now.reason,
                                                                    .due_at = fact.now.due_at,
                                                                    .recorded_at = fact.at});
  const MutexLock lock(mutex_);
  recorded->position = ++last_;
  recorded_.push_back(std::move(recorded));
  if (recorded_.size() > kept_) recorded_.pop_front();
}

AttemptFeed::Page AttemptFeed::after(std::uint64_t after, const Filter& filter, std::size_t limit) const {
  const MutexLock lock(mutex_);
  Page page;
  page.last = std::min(after, last_);
  if (page.last + 1 < first()) {
    page.dropped = first() - 1 - page.last;
    page.last = first() - 1;
  }
  for (std::size_t examined = 0; examined < kMaxExamined && page.rows.size() < limit && page.last < last_;
       ++examined) {
    const auto& recorded = recorded_[page.last + 1 - first()];
    ++page.last;
    if (matches(*recorded, filter)) page.rows.push_back(recorded);
  }
  return page;
}

AttemptFeed::Page AttemptFeed::latest(const Filter& filter, std::size_t limit) const {
  const MutexLock lock(mutex_);
  Page page;
  page.last = last_;
  std::size_t examined = 0;
  for (auto it = recorded_.rbegin(); it != recorded_.rend() && page.rows.size() < limit; ++it) {
    if (++examined > kMaxExamined) break;
    if (matches(**it, filter)) page.rows.push_back(*it);
  }
  std::reverse(page.rows.begin(), page.rows.end());
  return page;
}

bool AttemptFeed::matches(const RecordedAttempt& recorded, const Filter& filter) {
  if (filter.failed && recorded.attempt.outcome == Outcome::kSuccess) return false;
  if (filter.endpoint && recorded.endpoint != *filter.endpoint) return false;
  if (filter.tenant && recorded.tenant != *filter.tenant) return false;
  return !filter.type || type_matches(*filter.type, recorded.type);
}

std::unique_ptr<AttemptFeed::Follower> AttemptFeed::follow(const Filter& filter, std::uint64_t after) const {
  if (followers_.fetch_add(1) < kMaxFollowers) return std::make_unique<Follower>(*this, filter, after);
  --followers_;
  return nullptr;
}

AttemptFeed::Follower::Follower(const AttemptFeed& feed, Filter filter, std::uint64_t after)
    : feed_(feed), filter_(std::move(filter)), position_(after) {}

AttemptFeed::Follower::~Follower() {
  --feed_.followers_;
}

// Goes on while others' attempts alone are found, but not for long: the lock is released in between.
AttemptFeed::Page AttemptFeed::Follower::next(std::size_t limit) {
  constexpr int kMaxReads = 4;
  Page page;
  for (int reads = 0; reads < kMaxReads && page.rows.empty(); ++reads) {
    const std::uint64_t dropped = page.dropped, from = position_;
    page = feed_.after(from, filter_, limit);
    page.dropped += dropped;
    position_ = page.last;
    if (page.last == from) break;
  }
  return page;
}

}  // namespace outboxd::api
