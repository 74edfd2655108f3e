#include "ingest/outbox_watcher.h"

#include <future>

#include "store/fail_stop.h"
#include "telemetry/log.h"

namespace outboxd {
namespace {

constexpr int kRowsAtOnce = 500;
constexpr std::size_t kBytesAtOnce = 8u << 20;
constexpr Millis kLongestWait{250};  // also how soon a row is tried again that could not be committed

}  // namespace

void OutboxWatcher::start() {
  thread_ = start_thread("outbox", [this] { run(); });
}

void OutboxWatcher::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  store_.interrupt();
  thread_.join();
}

std::int64_t OutboxWatcher::adopt_some(StoreReader& reader) {
  auto rows = reader.outbox(kRowsAtOnce, kBytesAtOnce);
  if (rows.empty()) return 0;
  const std::int64_t first = rows.front().row;
  std::promise<void> committed;
  ingest_.adopt(std::move(rows), [&committed] { committed.set_value(); });
  committed.get_future().wait();
  return first;
}

void OutboxWatcher::run() {
  std::unique_ptr<StoreReader> reader;
  std::int64_t previous = 0;
  while (!stopping_) {
    try {
      if (!reader) reader = store_.new_reader();
      const std::int64_t first = adopt_some(*reader);
      // The same row again: it was refused for now (the store is busy or full).
      const bool stuck = first != 0 && first == previous;
      previous = first;
      if (first == 0 || stuck) store_.wait_for_foreign_commit(kLongestWait);
    } catch (const StoreBusy& busy) {
      log::warn("the outbox could not be read, trying again", {{"error", busy.what()}});
      store_.wait_for_foreign_commit(kLongestWait);
    }
  }
}

}  // namespace outboxd
