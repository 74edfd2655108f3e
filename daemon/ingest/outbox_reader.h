// Reads what SQL producers inserted into the outbox and has it ingested. It only reads: rows leave the outbox in the
// same transaction that makes them events, so a crash at any point neither loses nor duplicates one. Runs on an
// executor, at the owner of partition 0.
#pragma once

#include <memory>

#include "common/executor.h"
#include "ingest/ingest.h"
#include "store/store.h"

namespace outboxd {

class OutboxReader {
 public:
  // `executor` must end before this is destroyed.
  OutboxReader(Executor& executor, Store& store, Ingest& ingest)
      : executor_(executor), store_(store), ingest_(ingest) {}
  OutboxReader(const OutboxReader&) = delete;

  // Any thread. Before start() and after stop() it reads nothing, because another daemon does.
  void start();
  void stop();
  void hear(const OutboxRowsWait& fact);

 private:
  void read();
  void read_later();

  Executor& executor_;
  Store& store_;
  Ingest& ingest_;
  // Only for the executor's thread.
  std::unique_ptr<StoreReader> reader_;  // null: not opened yet
  bool busy_ = false;                    // rows are being ingested, or a pause is under way
  bool started_ = false;
  std::int64_t previous_ = 0;  // the first row of the previous read
};

}  // namespace outboxd
