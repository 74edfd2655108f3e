// Erases the payloads that retention keeps no longer ([retention] payload), in bounded steps. A part of the Writer.
//
// counter.payloads_gone is the place up to which every payload is gone, so that a round reads only what came later, and
// what has kept its payload because something of it was pending.
#pragma once

#include "store/sqlite/delivery_statements.h"
#include "store/sqlite/payload_eraser.h"
#include "store/sqlite/retention_statements.h"
#include "store/sqlite/transaction.h"

namespace outboxd::sqlite {

class PayloadPruner {
 public:
  PayloadPruner(Database& db, PayloadEraser& eraser) : db_(db), eraser_(eraser) {}

  Result<PayloadsPruned> execute(const PrunePayloads& command, Transaction& transaction);

 private:
  // May anything of it still be sent by itself? Adds the deliveries that it reads to `reads`.
  bool is_pending(EventSeq event, std::int64_t& reads);
  bool erase(EventSeq event, Time at);  // false: it was erased before

  Database& db_;
  PayloadEraser& eraser_;
  Statement read_place_{db_, sql::kPayloadsGone}, set_place_{db_, sql::kSetPayloadsGone};
  Statement payloads_after_{db_, sql::kPayloadsAfter};
  Statement fan_out_of_{db_, sql::kFanOutOf}, states_of_event_{db_, sql::kStatesOfEvent};
  bool erased_ = false;  // since the log was last purged, by committed transactions
};

}  // namespace outboxd::sqlite
