#include "delivery/backlog_reader.h"

#include <utility>

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kBusyPause{50};  // a reader in WAL mode is rarely refused; when it is, trying again at once
                                  // would only be refused again

}  // namespace

BacklogReader::BacklogReader(std::unique_ptr<StoreReader> reader, const Clock& clock, Callbacks callbacks)
    : reader_(std::move(reader)),
      clock_(clock),
      callbacks_(std::move(callbacks)),
      thread_(start_thread("backlog", [this] { run(); })) {}

BacklogReader::~BacklogReader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void BacklogReader::ask(std::vector<Decisions::Fetch> fetches,
                        std::optional<Decisions::FindExpired> expired) {
  if (fetches.empty() && !expired) return;
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), fetches.begin(), fetches.end());
    if (expired) expired_ = expired;
  }
  asked_.notify_one();
}

DueWindow BacklogReader::read(const Decisions::Fetch& fetch) {
  const Time now = clock_.wall();
  try {
    return reader_->due(fetch.endpoint, now, fetch.limit, fetch.max_bytes);
  } catch (const StoreBusy& busy) {
    log::warn("the backlog could not be read, trying again", {{"error", busy.what()}});
    return {.deliveries = {}, .next_due = now + kBusyPause};
  }
}

// Nothing, when the store is busy: it is looked for again in a while.
std::vector<DueDelivery> BacklogReader::read(const Decisions::FindExpired& wanted) {
  try {
    return reader_->expired(clock_.wall(), wanted.after, wanted.limit);
  } catch (const StoreBusy& busy) {
    log::warn("expired deliveries could not be read, trying again", {{"error", busy.what()}});
    return {};
  } catch (const StoreFailure& failure) {
    fail_stop(failure.what());
  }
}

void BacklogReader::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stopping_ || !queue_.empty() || expired_; });
    if (stopping_) return;
    const auto expired = std::exchange(expired_, std::nullopt);
    std::optional<Decisions::Fetch> fetch;
    if (!queue_.empty()) {
      fetch = queue_.front();
      queue_.pop_front();
    }
    lock.unlock();
    if (fetch) callbacks_.found(fetch->endpoint, read(*fetch));
    if (expired) callbacks_.expired(read(*expired));
    lock.lock();
  }
}

}  // namespace outboxd
