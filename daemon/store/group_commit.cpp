#include "store/group_commit.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "store/command_traits.h"
#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

using Monotonic = std::chrono::steady_clock;

constexpr Millis kFirstBackoff{2};
constexpr Millis kLongestBackoff{100};
constexpr std::size_t kPatientMost = 256;  // outcomes: more of them are worth a commit of their own
constexpr Millis kIdleRound{1000};         // how often an idle writer comes round, for since_progress()

struct Item {
  Write write;
  GroupCommit::Completion completion;
  CommandTraits traits;
  Monotonic::time_point submitted{};
};

void refuse(Item& item, ProblemCode code, std::string detail) {
  item.write.refused = Problem{code, std::move(detail)};
}

}  // namespace

// Commands move from `incoming` (shared) to `waiting` (the writer thread's own), and from its front into
// batches.
struct GroupCommit::Impl {
  StoreWriter& writer;
  const Options options;
  const FatalHandler fatal;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Item> incoming;        // guarded by mutex
  std::size_t refusable_count = 0;  // guarded by mutex: in incoming and waiting
  std::size_t urgent_count = 0;     // guarded by mutex: in incoming
  bool asleep = false;              // guarded by mutex
  bool patient = false;             // guarded by mutex: asleep for outcome_patience
  bool draining = false;            // guarded by mutex
  bool stopped = false;             // guarded by mutex: nobody will come for `incoming` any more
  bool failed = false;              // guarded by mutex

  std::deque<Item> waiting;
  Millis backoff{0};
  std::atomic<Monotonic::rep> progress{0};
  std::atomic<std::size_t> waiting_count{0};
  std::thread thread;

  Impl(StoreWriter& w, Options o, FatalHandler f) : writer(w), options(std::move(o)), fatal(std::move(f)) {
    mark_progress();
  }

  void mark_progress() { progress = Monotonic::now().time_since_epoch().count(); }

  void run();
  bool gather();
  std::size_t next_batch();
  void commit(std::size_t count);
  void apply(std::size_t count);
  void finish(std::size_t count);
  void complete(std::deque<Item>& items);
  void refuse_overdue(bool stopping);
  void postpone(const char* why);
  bool is_worth_a_commit() const { return draining || urgent_count > 0 || incoming.size() >= kPatientMost; }
  bool is_draining() const {
    const std::lock_guard lock(mutex);
    return draining;
  }
};

GroupCommit::GroupCommit(StoreWriter& writer, Options options, FatalHandler fatal)
    : impl_(std::make_unique<Impl>(writer, std::move(options), std::move(fatal))) {}

GroupCommit::~GroupCommit() {
  drain();
}

void GroupCommit::start() {
  impl_->thread = start_thread("writer", [this] { impl_->run(); });
}

void GroupCommit::submit(Command command, Completion completion) {
  Impl& i = *impl_;
  const CommandTraits traits = traits_of(command);
  Item item{{std::move(command), std::nullopt}, std::move(completion), traits, Monotonic::now()};
  std::unique_lock lock(i.mutex);
  if (i.failed) return;
  if (i.stopped) {
    lock.unlock();
    refuse(item, ProblemCode::kUnavailable, "outboxd is stopping");
    item.completion(item.write);
    return;
  }
  // Refused here and not stored, but answered by the writer thread like everything else, in its turn.
  if (traits.refusable && i.refusable_count >= i.options.queue) {
    refuse(item, ProblemCode::kTooManyRequests, "too many writes are waiting for the store: try again later");
  }
  i.refusable_count += traits.refusable;
  i.urgent_count += traits.urgent;
  i.incoming.push_back(std::move(item));
  const bool must_wake = std::exchange(i.asleep, false) || (i.patient && i.is_worth_a_commit());
  lock.unlock();
  if (must_wake) i.wake.notify_one();
}

void GroupCommit::drain() {
  Impl& i = *impl_;
  {
    const std::lock_guard lock(i.mutex);
    i.draining = true;
  }
  i.wake.notify_one();
  if (i.thread.joinable()) i.thread.join();
  std::deque<Item> left;  // only when it was never started
  {
    const std::lock_guard lock(i.mutex);
    i.stopped = true;
    if (!i.failed) left.swap(i.incoming);
  }
  for (auto& item : left) {
    refuse(item, ProblemCode::kUnavailable, "outboxd is stopping");
    item.completion(item.write);
  }
}

std::size_t GroupCommit::queued() const {
  const std::lock_guard lock(impl_->mutex);
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
      if (waiting.empty()) {
        writer.tidy();
        continue;
      }
      const std::size_t count = next_batch();
      commit(count);
      waiting_count = waiting.size();
      writer.tidy();
    }
    writer.finish();
    return;
  } catch (const std::exception& failure) {
    {
      const std::lock_guard lock(mutex);
      failed = true;
      incoming.clear();
    }
    fatal(failure.what());
  }
}

// Takes over what has arrived; sleeps while there is nothing to do. False: drained.
bool GroupCommit::Impl::gather() {
  std::unique_lock lock(mutex);
  if (incoming.empty() && waiting.empty() && !draining) {
    asleep = true;
    wake.wait_for(lock, kIdleRound, [this] { return !incoming.empty() || draining; });
    asleep = false;
  } else if (backoff.count() > 0) {
    wake.wait_for(lock, backoff, [this] { return draining; });
  }
  if (waiting.empty() && !incoming.empty() && !is_worth_a_commit()) {
    patient = true;
    wake.wait_until(lock, incoming.front().submitted + options.outcome_patience,
                    [this] { return is_worth_a_commit(); });
    patient = false;
  }
  urgent_count = 0;
  if (waiting.empty()) {
    waiting.swap(incoming);
  } else {
    std::move(incoming.begin(), incoming.end(), std::back_inserter(waiting));
    incoming.clear();
  }
  waiting_count = waiting.size();
  if (!waiting.empty() || !draining) return true;
  stopped = true;
  return false;
}

// How many of `waiting` go into the next transaction.
std::size_t GroupCommit::Impl::next_batch() {
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
    finish(count);
  } catch (const StoreBusy& busy) {
    refuse_overdue(is_draining());
    postpone(busy.what());
  } catch (const StoreFull& full) {
    for (std::size_t n = 0; n < count; ++n) {
      const CommandTraits& traits = waiting[n].traits;
      if ((traits.refusable || traits.grows) && !waiting[n].write.refused)
        refuse(waiting[n], ProblemCode::kInsufficientStorage, "the disk of the database is full");
    }
    refuse_overdue(is_draining());
    postpone(full.what());
  }
}

void GroupCommit::Impl::apply(std::size_t count) {
  std::vector<Write*> batch;
  batch.reserve(count);
  for (std::size_t n = 0; n < count; ++n) {
    if (!waiting[n].write.refused) batch.push_back(&waiting[n].write);
  }
  if (batch.empty()) return;
  const auto begin = Monotonic::now();
  writer.apply(batch);
  if (options.on_commit) options.on_commit(batch.size(), Monotonic::now() - begin);
}

void GroupCommit::Impl::finish(std::size_t count) {
  const auto end = waiting.begin() + static_cast<std::ptrdiff_t>(count);
  std::deque<Item> done(std::make_move_iterator(waiting.begin()), std::make_move_iterator(end));
  waiting.erase(waiting.begin(), end);
  complete(done);
}

void GroupCommit::Impl::complete(std::deque<Item>& items) {
  {
    const std::lock_guard lock(mutex);
    for (const auto& item : items) refusable_count -= item.traits.refusable;
  }
  for (auto& item : items) item.completion(item.write);
}

// What waited too long is given up: what can be refused always, the rest only when outboxd stops.
void GroupCommit::Impl::refuse_overdue(bool stopping) {
  const auto limit = Monotonic::now() - options.busy_limit;
  std::int64_t given_up = 0;
  for (Item& item : waiting) {
    if (item.write.refused || item.submitted > limit || !(item.traits.refusable || stopping)) continue;
    refuse(item, ProblemCode::kUnavailable,
           "the database could not be written in time: another process keeps it locked");
    given_up += !item.traits.refusable;
  }
  if (given_up > 0)
    log::warn("stopping without what could not be committed: attempts of these are made again",
              {{"commands", given_up}});
}

// The transaction was undone: completes what is refused by now, keeps the rest for the next one.
void GroupCommit::Impl::postpone(const char* why) {
  if (backoff.count() == 0) log::warn("a transaction could not be committed, trying again", {{"error", why}});
  backoff = std::clamp(backoff * 2, kFirstBackoff, kLongestBackoff);
  const auto refused_from = std::stable_partition(waiting.begin(), waiting.end(),
                                                  [](const Item& item) { return !item.write.refused; });
  std::deque<Item> refused(std::make_move_iterator(refused_from), std::make_move_iterator(waiting.end()));
  waiting.erase(refused_from, waiting.end());
  complete(refused);
}

}  // namespace outboxd
