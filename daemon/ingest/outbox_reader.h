// Has what SQL producers inserted into the outbox ingested. It only reads; the rows leave the outbox in the very
// transaction that makes them events, so a crash at any point neither loses nor doubles one. Runs on an executor, by the
// owner of partition 0.
#pragma once

#include <memory>

#include "common/executor.h"
#include "ingest/ingest.h"
#include "store/store.h"

namespace outboxd {

class OutboxReader {
 public:
  // `executor` ends before this is gone.
  OutboxReader(Executor& executor, Store& store, Ingest& ingest)
      : executor_(executor), store_(store), ingest_(ingest) {}
  OutboxReader(const OutboxReader&) = delete;

  // Any thread.
  void hear(const OutboxRowsWait& fact);
  void start();  // this daemon does it from now on
  void stop();   // another one does

 private:
  void read();
  void read_later();

  Executor& executor_;
  Store& store_;
  Ingest& ingest_;
  // Of the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  bool busy_ = false;                    // rows are being ingested, or a pause is under way
  bool stopped_ = true;
  std::int64_t previous_ = 0;  // the first row of the read before
};

}  // namespace outboxd
