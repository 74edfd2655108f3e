// The thread that notices what SQL producers inserted into the outbox and has it ingested. It only reads; the
// rows leave the outbox in the very transaction that makes them events, so a crash at any point neither loses
// nor doubles one.
#pragma once

#include <atomic>
#include <thread>

#include "ingest/ingest.h"
#include "store/store.h"

namespace outboxd {

class OutboxWatcher {
 public:
  OutboxWatcher(Store& store, Ingest& ingest) : store_(store), ingest_(ingest) {}
  ~OutboxWatcher() { stop(); }
  OutboxWatcher(const OutboxWatcher&) = delete;

  void start();
  void stop();  // waits for what is being adopted

 private:
  void run();
  std::int64_t adopt_some(StoreReader& reader);  // the first row's number, 0 when there was none

  Store& store_;
  Ingest& ingest_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace outboxd
