#include "store/group_commit.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "common/executor.h"
#include "common/mutex.h"
#include "store/command_queue.h"
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

// So many completions, of a few microseconds each, before the loops that they post to are woken.
constexpr std::size_t kAnsweredTogether = 64;

constexpr MonotonicTime kAtOnce = MonotonicTime::min();
constexpr MonotonicTime kNever = MonotonicTime::max();

void refuse(QueuedCommand& item, ProblemCode code, std::string detail) {
  item.refused = Problem{code, std::move(detail)};
}

std::size_t count_ahead(const QueuedCommands& items) {
  return static_cast<std::size_t>(std::ranges::count_if(items, [](const auto& i) { return i.traits.ahead; }));
}

}  // namespace

// Commands move from `incoming` (shared) to `queue` (only the writer thread's), and from there into `batch`.
struct GroupCommit::Impl {
  StoreWriter& writer;
  const OwnerToken owner;
  const Clock& clock;
  const Options options;
  const FatalHandler fatal;
  FactsHandler hear;

  mutable Mutex mutex;
  CondVar wake;
  QueuedCommands incoming OUTBOXD_GUARDED_BY(mutex);
  std::size_t refusable_count OUTBOXD_GUARDED_BY(mutex) = 0;  // in incoming, queue and batch
  CommitPacing pacing OUTBOXD_GUARDED_BY(mutex);              // of those that go ahead
  // Of `incoming`: how many go ahead, since when the first of them, since when the first that lingers, and whether
  // there is one that must not wait at all.
  std::size_t ahead_count OUTBOXD_GUARDED_BY(mutex) = 0;
  MonotonicTime first_ahead OUTBOXD_GUARDED_BY(mutex) = kNever;
  MonotonicTime first_lingering OUTBOXD_GUARDED_BY(mutex) = kNever;
  bool pressing OUTBOXD_GUARDED_BY(mutex) = false;
  MonotonicTime sleeps_until OUTBOXD_GUARDED_BY(mutex) = kAtOnce;  // kAtOnce: awake, or about to be
  bool draining OUTBOXD_GUARDED_BY(mutex) = false;
  bool stopped OUTBOXD_GUARDED_BY(mutex) = false;  // nobody takes from `incoming` any more
  bool failed OUTBOXD_GUARDED_BY(mutex) = false;

  // Only for the writer thread.
  CommandQueue queue;
  QueuedCommands batch;    // being committed; between two rounds it holds only what is uncertain
  bool uncertain = false;  // `batch` may be committed already: it is repeated alone and unchanged
  bool committed = false;  // in the last round
  Millis backoff{0};
  std::atomic<Monotonic::rep> progress{0};
  std::atomic<std::size_t> waiting_count{0};
  std::thread thread;

  Impl(StoreWriter& w, OwnerToken t, const Clock& c, Options o, FatalHandler f)
      : writer(w),
        owner(std::move(t)),
        clock(c),
        options(std::move(o)),
        fatal(std::move(f)),
        pacing(options.commit_delay),
        queue({options.max_batch, options.max_batch_bytes, options.max_batch_rows, options.outcome_share}) {
    mark_progress();
  }

  void mark_progress() { progress = Monotonic::now().time_since_epoch().count(); }

  void run();
  void round();
  bool gather();
  void back_off() OUTBOXD_REQUIRES(mutex);
  void sleep_until_due() OUTBOXD_REQUIRES(mutex);
  void note(const QueuedCommand& item) OUTBOXD_REQUIRES(mutex);
  MonotonicTime commit_at() const OUTBOXD_REQUIRES(mutex);
  void take_incoming() OUTBOXD_REQUIRES(mutex);
  void commit();
  void apply();
  void complete(QueuedCommands items, std::vector<Result<AnyAnswer>> answers);
  void refuse_growth();
  void refuse_overdue(bool stopping);
  void postpone(const char* why);
  void fail(const std::string& what);
  void count_waiting() { waiting_count = queue.size() + batch.size(); }
  bool has_nothing() const { return queue.empty() && batch.empty(); }
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
  QueuedCommand item{std::move(command), std::move(completion), traits, i.clock.monotonic()};
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
    refuse(item, ProblemCode::kTooManyRequests, "too many writes are waiting for the store: try again later");
  }
  i.refusable_count += traits.refusable;
  i.note(item);
  i.incoming.push_back(std::move(item));
  // A sleeping writer is woken only if it must commit before its timer would wake it, and by the first who sees that.
  const MonotonicTime at = i.commit_at();
  const bool must_wake = at < i.sleeps_until;
  if (must_wake) i.sleeps_until = kAtOnce;
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
  QueuedCommands left;  // not empty only if the thread was never started
  {
    const MutexLock lock(i.mutex);
    i.stopped = true;
    if (!i.failed) left.swap(i.incoming);
  }
  for (auto& item : left) refuse(item, ProblemCode::kUnavailable, "outboxd is stopping");
  i.complete(std::move(left), {});
}

bool GroupCommit::step() {
  Impl& i = *impl_;
  {
    const MutexLock lock(i.mutex);
    i.take_incoming();
  }
  if (i.has_nothing()) return false;
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
  committed = false;
  if (batch.empty()) batch = queue.take();
  if (!batch.empty()) commit();
  count_waiting();
  writer.maintain();
}

// Takes over what has arrived; sleeps while there is nothing to do. False: everything is drained.
bool GroupCommit::Impl::gather() {
  const MutexLock lock(mutex);
  if (has_nothing()) {
    sleep_until_due();
  } else if (backoff.count() > 0) {
    back_off();
  }
  take_incoming();
  if (!has_nothing() || !draining) return true;
  stopped = true;
  return false;
}

void GroupCommit::Impl::back_off() {
  const auto until = clock.monotonic() + backoff;
  while (!draining && wake.wait_until(mutex, until) != std::cv_status::timeout) {
  }
}

// After a commit it sleeps only briefly before it looks again: outcomes of what was just accepted are on their way, and
// under load more events, and neither then has to wake it. What has come by that time and would wait for at most half as
// long again is committed at once.
void GroupCommit::Impl::sleep_until_due() {
  const auto begin = clock.monotonic();
  const auto idle = begin + kIdleRound;
  const CommitPacing::Duration nap = pacing.delays() ? pacing.longest_delay() : options.linger;
  MonotonicTime timer = committed ? begin + nap : kNever;
  while (true) {
    const auto now = clock.monotonic();
    const auto at = commit_at();
    if (at <= now || now >= idle) break;
    if (now >= timer) {
      if (at - now <= nap / 2) break;
      timer = kNever;
    }
    sleeps_until = std::min({at, timer, idle});
    wake.wait_until(mutex, sleeps_until);
  }
  sleeps_until = kAtOnce;
}

void GroupCommit::Impl::note(const QueuedCommand& item) {
  if (item.traits.ahead) {
    if (ahead_count++ == 0) first_ahead = item.submitted;
    pacing.submitted(item.submitted);
  } else if (item.traits.urgent) {
    pressing = true;
  } else {
    first_lingering = std::min(first_lingering, item.submitted);
  }
}

// When what has arrived is worth a commit.
MonotonicTime GroupCommit::Impl::commit_at() const {
  if (draining || pressing || incoming.size() - ahead_count >= kMaxLingering) return kAtOnce;
  MonotonicTime at = kNever;
  if (ahead_count > 0) at = pacing.commit_at(first_ahead, ahead_count);
  if (first_lingering != kNever) at = std::min(at, first_lingering + options.linger);
  return at;
}

void GroupCommit::Impl::take_incoming() {
  queue.add(incoming);
  ahead_count = 0;
  first_ahead = first_lingering = kNever;
  pressing = false;
  count_waiting();
}

void GroupCommit::Impl::commit() {
  try {
    apply();
    committed = true;
    backoff = Millis{0};
  } catch (const StoreError& error) {
    if (!error.may_try_again()) throw;
    if (error.kind == StoreError::Kind::kUnknown) uncertain = true;
    if (error.kind == StoreError::Kind::kFull) refuse_growth();
    refuse_overdue(is_draining());
    postpone(error.what());
  }
}

void GroupCommit::Impl::apply() {
  std::vector<const Command*> commands;
  commands.reserve(batch.size());
  for (const auto& item : batch) {
    if (!item.refused) commands.push_back(&item.command);
  }
  Applied applied;
  if (!commands.empty()) {
    const auto begin = Monotonic::now();
    applied = writer.apply({commands, owner, uncertain});
    if (options.on_commit) options.on_commit(commands.size(), Monotonic::now() - begin);
  }
  uncertain = false;
  if (hear && !applied.facts.empty()) hear(std::move(applied.facts));
  complete(std::exchange(batch, {}), std::move(applied.answers));
}

// `answers` holds one for each item that is not refused, in order.
void GroupCommit::Impl::complete(QueuedCommands items, std::vector<Result<AnyAnswer>> answers) {
  if (items.empty()) return;
  {
    const MutexLock lock(mutex);
    for (const auto& item : items) refusable_count -= item.traits.refusable;
    pacing.answered(count_ahead(items), clock.monotonic());
  }
  auto next = answers.begin();
  for (std::size_t begin = 0; begin < items.size(); begin += kAnsweredTogether) {
    const WakesTogether wakes;
    for (auto& item : std::span(items).subspan(begin, std::min(kAnsweredTogether, items.size() - begin))) {
      if (item.refused) {
        Result<AnyAnswer> refused = tl::unexpected(std::move(*item.refused));
        item.completion(item.command, refused);
      } else {
        item.completion(item.command, *next++);
      }
    }
  }
}

// Spares commands that may be committed already.
void GroupCommit::Impl::refuse_growth() {
  if (uncertain) return;
  for (auto& item : batch) {
    if ((item.traits.refusable || item.traits.grows) && !item.refused)
      refuse(item, ProblemCode::kInsufficientStorage, "the disk of the database is full");
  }
}

// Gives up what has waited too long: refusable commands always, the others only when outboxd is stopping.
void GroupCommit::Impl::refuse_overdue(bool stopping) {
  const auto limit = clock.monotonic() - options.busy_limit;
  std::int64_t given_up = 0;
  const auto refuse_if_overdue = [&](QueuedCommand& item) {
    if (item.refused || item.submitted > limit || !(item.traits.refusable || stopping)) return;
    refuse(item, ProblemCode::kUnavailable,
           "the database could not be written in time: it is locked, or out of reach");
    given_up += !item.traits.refusable;
  };
  if (!uncertain || stopping) std::ranges::for_each(batch, refuse_if_overdue);
  queue.for_each(refuse_if_overdue);
  if (given_up > 0)
    log::warn("stopping without what could not be committed: attempts of these are made again",
              {{"commands", given_up}});
}

// The transaction will be tried again: completes the commands refused by now and keeps the rest for the next one.
void GroupCommit::Impl::postpone(const char* why) {
  if (backoff.count() == 0) log::warn("a transaction could not be committed, trying again", {{"error", why}});
  backoff = std::clamp(backoff * 2, kFirstBackoff, kMaxBackoff);
  QueuedCommands kept, refused;
  for (auto& item : batch) (item.refused ? refused : kept).push_back(std::move(item));
  batch = std::move(kept);
  uncertain = uncertain && !batch.empty();
  if (!uncertain) queue.put_back(batch);
  std::ranges::move(queue.take_refused(), std::back_inserter(refused));
  complete(std::move(refused), {});
}

}  // namespace outboxd
