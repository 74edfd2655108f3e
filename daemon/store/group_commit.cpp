#include "store/group_commit.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "common/mutex.h"
#include "store/command_traits.h"
#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

using Monotonic = std::chrono::steady_clock;

constexpr Millis kFirstBackoff{2};
constexpr Millis kMaxBackoff{100};
constexpr std::size_t kMaxLingering = 256;  // this many outcomes are worth a commit of their own
constexpr Millis kIdleRound{1000};          // an idle writer does a round this often, for since_progress()

}  // namespace

// Commands move from `incoming` (shared) to `waiting` (only the writer thread's), and from its front into batches.
struct GroupCommit::Impl {
  struct Item {
    Command command;
    Completion completion;
    CommandTraits traits;
    MonotonicTime submitted{};
    std::optional<Problem> refused;
  };
  using Items = std::deque<Item>;

  StoreWriter& writer;
  const OwnerToken owner;
  const Clock& clock;
  const Options options;
  const FatalHandler fatal;
  FactsHandler hear;

  mutable Mutex mutex;
  CondVar wake;
  Items incoming OUTBOXD_GUARDED_BY(mutex);
  std::size_t refusable_count OUTBOXD_GUARDED_BY(mutex) = 0;  // in incoming and waiting
  std::size_t urgent_count OUTBOXD_GUARDED_BY(mutex) = 0;     // in incoming
  bool asleep OUTBOXD_GUARDED_BY(mutex) = false;
  bool lingering OUTBOXD_GUARDED_BY(mutex) = false;  // asleep for options.linger
  bool draining OUTBOXD_GUARDED_BY(mutex) = false;
  bool stopped OUTBOXD_GUARDED_BY(mutex) = false;  // nobody takes from `incoming` any more
  bool failed OUTBOXD_GUARDED_BY(mutex) = false;

  // Only for the writer thread.
  Items waiting;
  Millis backoff{0};
  std::size_t uncertain = 0;  // size of a batch at the front of `waiting` that may be committed already
  std::atomic<Monotonic::rep> progress{0};
  std::atomic<std::size_t> waiting_count{0};
  std::thread thread;

  Impl(StoreWriter& w, OwnerToken t, const Clock& c, Options o, FatalHandler f)
      : writer(w), owner(std::move(t)), clock(c), options(std::move(o)), fatal(std::move(f)) {
    mark_progress();
  }

  void mark_progress() { progress = Monotonic::now().time_since_epoch().count(); }
  static void refuse(Item& item, ProblemCode code, std::string detail) {
    item.refused = Problem{code, std::move(detail)};
  }

  void run();
  void round();
  bool gather();
  void take_incoming() OUTBOXD_REQUIRES(mutex);
  std::size_t next_batch() const;
  void commit(std::size_t count);
  void apply(std::size_t count);
  void complete(Items& items, std::vector<Result<AnyAnswer>> answers);
  void refuse_growth(std::size_t count);
  void refuse_overdue(bool stopping);
  void postpone(const char* why);
  void fail(const std::string& what);
  bool is_worth_a_commit() const OUTBOXD_REQUIRES(mutex) {
    return draining || urgent_count > 0 || incoming.size() >= kMaxLingering;
  }
  bool is_draining() const {
    const MutexLock lock(mutex);
    return draining;
  }
};

GroupCommit::GroupCommit(StoreWriter& writer, OwnerToken owner, const Clock& clock, Options options,
                         FatalHandler fatal)
    : impl_(std::make_unique<Impl>(writer, std::move(owner), clock, std::move(options), std::move(fatal))) {}

GroupCommit::~GroupCommit() {
  drain();
}

void GroupCommit::tell(FactsHandler hear) {
  impl_->hear = std::move(hear);
}

void GroupCommit::start() {
  impl_->thread = start_thread("writer", [this] { impl_->run(); });
}

void GroupCommit::enqueue(Command command, Completion completion) {
  Impl& i = *impl_;
  const CommandTraits traits = traits_of(command);
  Impl::Item item{std::move(command), std::move(completion), traits, i.clock.monotonic(), std::nullopt};
  MutexLock lock(i.mutex);
  if (i.failed) return;
  if (i.stopped) {
    lock.unlock();
    Result<AnyAnswer> answer = tl::unexpected(Problem{ProblemCode::kUnavailable, "outboxd is stopping"});
    item.completion(item.command, answer);
    return;
  }
  // Refused now, but answered by the writer thread in its turn, like every other command.
  if (traits.refusable && i.refusable_count >= i.options.queue) {
    Impl::refuse(item, ProblemCode::kTooManyRequests,
                 "too many writes are waiting for the store: try again later");
  }
  i.refusable_count += traits.refusable;
  i.urgent_count += traits.urgent;
  i.incoming.push_back(std::move(item));
  const bool must_wake = std::exchange(i.asleep, false) || (i.lingering && i.is_worth_a_commit());
  lock.unlock();
  if (must_wake) i.wake.notify_one();
}

void GroupCommit::drain() {
  Impl& i = *impl_;
  {
    const MutexLock lock(i.mutex);
    i.draining = true;
  }
  i.wake.notify_one();
  if (i.thread.joinable()) i.thread.join();
  Impl::Items left;  // not empty only if the thread was never started
  {
    const MutexLock lock(i.mutex);
    i.stopped = true;
    if (!i.failed) left.swap(i.incoming);
  }
  for (auto& item : left) Impl::refuse(item, ProblemCode::kUnavailable, "outboxd is stopping");
  i.complete(left, {});
}

bool GroupCommit::step() {
  Impl& i = *impl_;
  {
    const MutexLock lock(i.mutex);
    i.take_incoming();
  }
  if (i.waiting.empty()) return false;
  try {
    i.round();
  } catch (const std::exception& failure) {
    i.fail(failure.what());
  }
  return true;
}

std::size_t GroupCommit::queued() const {
  const MutexLock lock(impl_->mutex);
  return impl_->incoming.size() + impl_->waiting_count;
}

Millis GroupCommit::since_progress() const {
  const Monotonic::time_point last{Monotonic::duration(impl_->progress)};
  return std::chrono::duration_cast<Millis>(Monotonic::now() - last);
}

void GroupCommit::Impl::run() {
  try {
    while (gather()) {
      mark_progress();
      round();
    }
    writer.finish();
  } catch (const std::exception& failure) {
    fail(failure.what());
  }
}

void GroupCommit::Impl::fail(const std::string& what) {
  {
    const MutexLock lock(mutex);
    failed = true;
    incoming.clear();
  }
  fatal(what);
}

void GroupCommit::Impl::round() {
  if (!waiting.empty()) commit(next_batch());
  waiting_count = waiting.size();
  writer.maintain();
}

// Takes over what has arrived; sleeps while there is nothing to do. False: everything is drained.
bool GroupCommit::Impl::gather() {
  const MutexLock lock(mutex);
  if (incoming.empty() && waiting.empty() && !draining) {
    const auto until = Monotonic::now() + kIdleRound;
    asleep = true;
    while (incoming.empty() && !draining && wake.wait_until(mutex, until) != std::cv_status::timeout) {
    }
    asleep = false;
  } else if (backoff.count() > 0) {
    const auto until = Monotonic::now() + backoff;
    while (!draining && wake.wait_until(mutex, until) != std::cv_status::timeout) {
    }
  }
  if (waiting.empty() && !incoming.empty() && !is_worth_a_commit()) {
    const auto until = incoming.front().submitted + options.linger;
    lingering = true;
    while (!is_worth_a_commit() && wake.wait_until(mutex, until) != std::cv_status::timeout) {
    }
    lingering = false;
  }
  take_incoming();
  if (!waiting.empty() || !draining) return true;
  stopped = true;
  return false;
}

void GroupCommit::Impl::take_incoming() {
  urgent_count = 0;
  if (waiting.empty()) {
    waiting.swap(incoming);
  } else {
    std::move(incoming.begin(), incoming.end(), std::back_inserter(waiting));
    incoming.clear();
  }
  waiting_count = waiting.size();
}

// How many of `waiting` go into the next transaction. A batch that may be committed already is repeated alone and
// unchanged.
std::size_t GroupCommit::Impl::next_batch() const {
  if (uncertain > 0) return uncertain;
  std::size_t count = 0;
  std::size_t bytes = 0, rows = 0;
  while (count < waiting.size() && count < options.max_batch) {
    bytes += waiting[count].traits.bytes;
    rows += waiting[count].traits.rows;
    if (count > 0 && (bytes > options.max_batch_bytes || rows > options.max_batch_rows)) break;
    ++count;
  }
  return count;
}

void GroupCommit::Impl::commit(std::size_t count) {
  try {
    apply(count);
    backoff = Millis{0};
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    if (error.kind == StoreError::Kind::kUnknown) uncertain = count;
    if (error.kind == StoreError::Kind::kFull) refuse_growth(count);
    refuse_overdue(is_draining());
    postpone(error.what());
  }
}

void GroupCommit::Impl::apply(std::size_t count) {
  std::vector<const Command*> batch;
  batch.reserve(count);
  for (std::size_t n = 0; n < count; ++n) {
    if (!waiting[n].refused) batch.push_back(&waiting[n].command);
  }
  Applied applied;
  if (!batch.empty()) {
    const auto begin = Monotonic::now();
    applied = writer.apply({batch, owner, uncertain > 0});
    if (options.on_commit) options.on_commit(batch.size(), Monotonic::now() - begin);
  }
  uncertain = 0;
  const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(count);
  Items done(std::make_move_iterator(waiting.begin()), std::make_move_iterator(end));
  waiting.erase(waiting.begin(), end);
  if (hear && !applied.facts.empty()) hear(std::move(applied.facts));
  complete(done, std::move(applied.answers));
}

// `answers` holds one for each item that is not refused, in order.
void GroupCommit::Impl::complete(Items& items, std::vector<Result<AnyAnswer>> answers) {
  {
    const MutexLock lock(mutex);
    for (const auto& item : items) refusable_count -= item.traits.refusable;
  }
  auto next = answers.begin();
  for (auto& item : items) {
    if (item.refused) {
      Result<AnyAnswer> refused = tl::unexpected(std::move(*item.refused));
      item.completion(item.command, refused);
    } else {
      item.completion(item.command, *next++);
    }
  }
}

// Spares commands that may be committed already.
void GroupCommit::Impl::refuse_growth(std::size_t count) {
  for (std::size_t n = uncertain; n < count; ++n) {
    const CommandTraits& traits = waiting[n].traits;
    if ((traits.refusable || traits.grows) && !waiting[n].refused)
      refuse(waiting[n], ProblemCode::kInsufficientStorage, "the disk of the database is full");
  }
}

// Gives up what has waited too long: refusable commands always, the others only when outboxd is stopping.
void GroupCommit::Impl::refuse_overdue(bool stopping) {
  const auto limit = clock.monotonic() - options.busy_limit;
  std::int64_t given_up = 0;
  for (std::size_t n = stopping ? 0 : uncertain; n < waiting.size(); ++n) {
    Item& item = waiting[n];
    if (item.refused || item.submitted > limit || !(item.traits.refusable || stopping)) continue;
    refuse(item, ProblemCode::kUnavailable,
           "the database could not be written in time: another process keeps it locked");
    given_up += !item.traits.refusable;
  }
  if (given_up > 0)
    log::warn("stopping without what could not be committed: attempts of these are made again",
              {{"commands", given_up}});
}

// The transaction will be tried again: completes the commands refused by now and keeps the rest for the next one.
void GroupCommit::Impl::postpone(const char* why) {
  if (backoff.count() == 0) log::warn("a transaction could not be committed, trying again", {{"error", why}});
  backoff = std::clamp(backoff * 2, kFirstBackoff, kMaxBackoff);
  Items kept, refused;
  std::size_t still_uncertain = 0;
  for (std::size_t n = 0; n < waiting.size(); ++n) {
    Item& item = waiting[n];
    still_uncertain += n < uncertain && !item.refused;
    (item.refused ? refused : kept).push_back(std::move(item));
  }
  uncertain = still_uncertain;
  waiting.swap(kept);
  complete(refused, {});
}

}  // namespace outboxd
