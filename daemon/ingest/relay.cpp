#include "ingest/relay.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "common/enum_names.h"
#include "ingest/outbox_row.h"

namespace outboxd {
namespace {

constexpr std::array<std::string_view, 4> kStates = {"waiting", "relaying", "failing", "standby"};

constexpr std::size_t kMaxRows = 500;  // per read
constexpr std::size_t kMaxBytes = 1u << 20;
constexpr std::int64_t kBeforeAll = std::numeric_limits<std::int64_t>::min();
constexpr Millis kIdle{1000};  // how long to wait for a commit before a look at everything else

// Deleting takes the application's write lock, so rows are deleted together: so many at once, or what there is after a
// while; and the time between is a multiple of the time the lock was held. A long one is due to the disk's fsync in a
// rollback journal, and is to be felt by less than one commit in a hundred.
constexpr int kClearRows = 200;
constexpr Millis kGather{100};
constexpr std::chrono::microseconds kLongHold{2000};
constexpr int kShare = 10, kShareOfLong = 100;
constexpr Millis kMaxClearPause{2000};

constexpr Millis kBusyPause{20}, kBusyForLong{10'000};
constexpr Millis kRefusedPause{250};
// A daemon whose store accepts nothing for so long lets go of its sources for a while: another one may be better off.
constexpr Millis kRefusedForLong{10'000}, kLetGo{2'000};
constexpr Millis kStandbyPause{500};
constexpr Millis kFirstBackoff{1000}, kMaxBackoff{30'000};

std::string in_short(const Problem& problem) {
  return std::string(kind_of(problem.code).title) + ": " + problem.detail;
}

}  // namespace

std::string_view to_string(SourceState state) {
  return name_of(kStates, state);
}

// The good rows at the beginning, or the bad ones.
struct Relay::Batch {
  std::vector<EventDraft> drafts;
  std::vector<SourceRejection> bad;
};

Relay::Relay(Parts parts) : parts_(std::move(parts)), row_limit_(kMaxRows) {
  status_.name = parts_.name;
  status_.url = parts_.url;
  status_.since = parts_.clock.wall();
}

void Relay::run() {
  while (!stopping_) {
    const Millis pause = round();
    if (pause <= Millis(0)) continue;
    const auto until = std::chrono::steady_clock::now() + pause;
    MutexLock lock(mutex_);
    while (!stopping_ && stopped_.wait_until(mutex_, until) == std::cv_status::no_timeout) {
    }
  }
  source_.reset();
}

void Relay::stop() {
  const MutexLock lock(mutex_);
  stopping_ = true;
  stopped_.notify_all();
}

SourceStatus Relay::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

Millis Relay::round() {
  try {
    if (!source_) source_ = parts_.open(stopping_);
    source_->check();
    if (!source_->is_ours()) return stand_by();
    if (!has_place_) load_place();
    const Millis pause = advance();
    busy_since_.reset();
    return pause;
  } catch (const SourceBusy& busy) {
    const auto now = parts_.clock.monotonic();
    if (now - busy_since_.value_or(now) > kBusyForLong) set_state(SourceState::kFailing, busy.what());
    if (!busy_since_) busy_since_ = now;
    return kBusyPause;
  } catch (const SourceFailure& failure) {
    return failed(failure.what());
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    return failed(error.what());
  }
}

Millis Relay::failed(const std::string& why) {
  source_.reset();
  busy_since_.reset();
  if (stopping_) return Millis(0);
  set_state(SourceState::kFailing, why);
  backoff_ = backoff_ == Millis(0) ? kFirstBackoff : std::min(2 * backoff_, kMaxBackoff);
  return backoff_;
}

// Whoever relays it moves the place, so that it is read again when that has ended.
Millis Relay::stand_by() {
  has_place_ = false;
  busy_since_.reset();
  set_state(SourceState::kStandby);
  count();
  return kStandbyPause;
}

void Relay::set_state(SourceState state, const std::string& error) {
  if (state != SourceState::kFailing) backoff_ = Millis(0);
  const MutexLock lock(mutex_);
  const bool failing = state == SourceState::kFailing;
  if (failing && (status_.state != state || status_.error != error))
    log::warn("a source cannot be relayed, trying again", {{"source", parts_.name}, {"error", error}});
  if (state == SourceState::kStandby && status_.state != state)
    log::info("another daemon relays a source", {{"source", parts_.name}});
  else if (!failing && status_.state == SourceState::kStandby)
    log::info("a source is relayed by this daemon now", {{"source", parts_.name}});
  else if (!failing && status_.state == SourceState::kFailing)
    log::info("a source is relayed again", {{"source", parts_.name}});
  const Time now = parts_.clock.wall();
  if (status_.state != state) status_.since = now;
  if (state == SourceState::kWaiting || state == SourceState::kStandby) {
    status_.behind_since.reset();
  } else if (!status_.behind_since) {
    status_.behind_since = now;
  }
  status_.state = state;
  status_.error = error;
}

void Relay::load_place() {
  stored_ = place_ = parts_.stored_place();
  uncleared_ = is_clear() ? 0 : kClearRows;  // it is not known how many
  has_place_ = true;
}

// True: these rows were read after the right place. Otherwise the database is not the one that the place is of, or a copy from
// before that place was reached: everything in it is new.
bool Relay::recognise(const SourceRows& found) {
  const bool same = found.database == place_.database;
  if (same && found.last >= place_.relayed) return true;
  if (!place_.database.empty()) {
    log::warn(same ? "an older copy of a source's database took its place: all its rows are relayed as new"
                   : "another database took the place of a source's: all its rows are relayed as new",
              {{"source", parts_.name}});
  }
  place_ = {.database = found.database, .relayed = 0, .cleared = 0};
  uncleared_ = 0;
  return false;
}

Millis Relay::advance() {
  const std::size_t limit = std::exchange(row_limit_, kMaxRows);
  const SourceRows found =
      source_->read(is_clear() ? kBeforeAll : place_.relayed, static_cast<int>(limit), kMaxBytes);
  if (!recognise(found)) return Millis(0);
  const auto now = parts_.clock.monotonic();
  const bool rows_wait = !found.rows.empty();
  const bool blocked = rows_wait && !is_clear() && found.after_rejected;
  if (!rows_wait) set_state(SourceState::kWaiting);
  if (rows_wait || now - counted_at_ >= kIdle) count();
  if (!is_clear() && now >= clear_from_ && (!rows_wait || blocked || uncleared_ >= kClearRows))
    clear(blocked);
  if (rows_wait && !blocked) return relay(found);
  if (blocked) return std::chrono::ceil<Millis>(std::max(clear_from_ - now, MonotonicTime::duration(0)));
  if (!is_clear()) {
    source_->wait(std::chrono::ceil<Millis>(std::max(clear_from_ - now, MonotonicTime::duration(0))));
    return Millis(0);
  }
  if (stored_ != place_ && now - idle_since_ >= kIdle) record_place();
  source_->wait(kIdle);
  return Millis(0);
}

Relay::Batch Relay::batch_of(const SourceRows& found) const {
  Batch batch;
  batch.drafts.reserve(found.rows.size());
  const EventLimits limits = parts_.limits();
  for (const auto& [row, unreadable, seq] : found.rows) {
    std::string reason = unreadable;
    if (reason.empty() && row.row < 1)
      reason = "seq: is not a number that outbox gives; delete the row and insert it again";
    if (reason.empty()) {
      auto draft = draft_from_row(row, limits);
      if (draft && batch.bad.empty()) {
        batch.drafts.push_back(std::move(*draft));
        continue;
      }
      if (!draft) reason = rejection(draft.error());
    }
    if (reason.empty() || !batch.drafts.empty()) break;
    batch.bad.push_back({row.row, std::move(reason), seq});
  }
  return batch;
}

Millis Relay::relay(const SourceRows& found) {
  Batch batch = batch_of(found);
  if (!batch.bad.empty()) {
    reject(batch.bad);
    return Millis(0);
  }
  const std::size_t events = batch.drafts.size();
  const std::int64_t first = found.rows.front().row.row, last = found.rows[events - 1].row.row;
  if (first <= place_.relayed) {
    log::warn("rows that were passed over are there again, retried or restored: they are relayed as new",
              {{"source", parts_.name}, {"from", first}, {"to", last}});
  }
  const SourcePlace to = {
      .database = place_.database, .relayed = last, .cleared = is_clear() ? first - 1 : place_.cleared};
  const auto accepted = accept(std::move(batch.drafts), to);
  if (!accepted) return Millis(0);  // stopped before the answer came: the place that is stored tells
  if (!*accepted) return refused(accepted->error(), found, events);
  refused_since_.reset();
  const auto now = parts_.clock.monotonic();
  if (is_clear()) clear_from_ = std::max(clear_from_, now + kGather);
  stored_ = place_ = to;
  uncleared_ += static_cast<std::int64_t>(events);
  idle_since_ = now;
  set_state(SourceState::kRelaying);
  const MutexLock lock(mutex_);
  status_.relayed += static_cast<std::int64_t>(events);
  status_.last_relayed_at = parts_.clock.wall();
  return Millis(0);
}

// All rows of a batch stay where they are, and in order.
Millis Relay::refused(const Problem& refused, const SourceRows& found, std::size_t events) {
  if (const auto index = conflicting_event(refused, events)) {
    // First those before it, so that it is the first one of the next batch.
    row_limit_ = std::max<std::size_t>(*index, 1);
    if (*index == 0) reject({{found.rows.front().row.row, rejection(refused), found.rows.front().seq}});
    return Millis(0);
  }
  if (refused.code == ProblemCode::kConflict) {
    log::warn("a source was at another place than thought", {{"source", parts_.name}});
    has_place_ = false;
    return kRefusedPause;
  }
  set_state(SourceState::kFailing, "events are not accepted now: " + in_short(refused));
  const auto now = parts_.clock.monotonic();
  if (!refused_since_) refused_since_ = now;
  if (now - *refused_since_ < kRefusedForLong) return kRefusedPause;
  refused_since_.reset();
  source_.reset();
  return kLetGo;
}

void Relay::reject(const std::vector<SourceRejection>& rows) {
  source_->reject(rows, parts_.clock.wall());
  counted_at_ = {};
  parts_.metrics.events_rejected(kind_of(ProblemCode::kInvalidEvent).slug,
                                 static_cast<std::int64_t>(rows.size()));
  const auto left_out = rejection_log_.take(parts_.clock.monotonic());
  if (!left_out) return;
  log::warn("a row of a source was rejected, see: outboxctl source check", {{"source", parts_.name},
                                                                            {"row", rows.front().seq},
                                                                            {"reason", rows.front().reason},
                                                                            {"rows", rows.size()},
                                                                            {"not_shown", *left_out}});
}

std::optional<Result<std::vector<AcceptedEvent>>> Relay::accept(std::vector<EventDraft> drafts,
                                                                const SourcePlace& to) {
  struct Answered {
    Mutex mutex;
    CondVar changed;
    std::optional<Result<std::vector<AcceptedEvent>>> answer OUTBOXD_GUARDED_BY(mutex);
  };
  const auto waiting = std::make_shared<Answered>();
  const auto step = std::make_shared<const SourceStep>(SourceStep{parts_.name, stored_, to});
  parts_.accept(std::move(drafts), step, [waiting](Result<std::vector<AcceptedEvent>> result) {
    const MutexLock lock(waiting->mutex);
    waiting->answer = std::move(result);
    waiting->changed.notify_all();
  });
  MutexLock lock(waiting->mutex);
  while (!waiting->answer && !stopping_) waiting->changed.wait_for(waiting->mutex, kRefusedPause);
  return std::move(waiting->answer);
}

// A long transaction of the application's delays it, which need not delay the relaying.
void Relay::clear(bool needed) {
  SourceCleared cleared;
  try {
    cleared = source_->clear(place_.cleared, place_.relayed, kClearRows);
  } catch (const SourceBusy&) {
    if (needed) throw;
    clear_from_ = parts_.clock.monotonic() + kGather;
    return;
  }
  place_.cleared = cleared.up_to;
  uncleared_ = is_clear() ? 0 : std::max<std::int64_t>(uncleared_ - cleared.rows, 1);
  const auto pause = cleared.held * (cleared.held > kLongHold ? kShareOfLong : kShare);
  clear_from_ = parts_.clock.monotonic() + std::min<std::chrono::microseconds>(pause, kMaxClearPause);
}

// So that what was deleted counts as new, should it come back.
void Relay::record_place() {
  const auto done = accept({}, place_);
  if (done && *done) stored_ = place_;
  if (done && !*done && done->error().code == ProblemCode::kConflict) has_place_ = false;
}

void Relay::count() {
  const auto now = parts_.clock.monotonic();
  if (now - counted_at_ < kIdle) return;
  counted_at_ = now;
  const SourceCounts counts = source_->counts(kMaxCounted);
  const MutexLock lock(mutex_);
  status_.counts = counts;
}

}  // namespace outboxd
