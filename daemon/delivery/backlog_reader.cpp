#include "delivery/backlog_reader.h"

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr Millis kBusyPause{50};  // a reader in WAL mode is rarely refused; when it is, trying again at once
                                  // would only be refused again

}  // namespace

BacklogReader::BacklogReader(std::unique_ptr<StoreReader> reader, const Clock& clock, Found found)
    : reader_(std::move(reader)),
      clock_(clock),
      found_(std::move(found)),
      thread_(start_thread("backlog", [this] { run(); })) {}

BacklogReader::~BacklogReader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void BacklogReader::ask(std::vector<Decisions::Fetch> fetches) {
  if (fetches.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), fetches.begin(), fetches.end());
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

void BacklogReader::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Decisions::Fetch fetch = queue_.front();
    queue_.pop_front();
    lock.unlock();
    found_(fetch.endpoint, read(fetch));
    lock.lock();
  }
}

}  // namespace outboxd
