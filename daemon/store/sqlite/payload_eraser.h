// Erases the payload of an event: the bytes are overwritten in the pages they leave, everything else stays. Shared by
// those parts of the Writer that do so, for an operator and for retention.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "store/erasable_event.h"
#include "store/sqlite/database.h"
#include "store/sqlite/event_statements.h"

namespace outboxd::sqlite {

class PayloadEraser {
 public:
  explicit PayloadEraser(Database& db) : db_(db) {}

  std::optional<ErasableEvent> find(const EventId& id);
  std::optional<ErasableEvent> find(EventSeq seq);
  // REQUIRES: an OverwritesDeleted lives.
  void erase(const ErasableEvent& event, Time at);

  // The write-ahead log holds erased bytes until the Writer, which asks, has it begin anew. To be called when the erasure
  // is committed.
  void purge_log() { purge_log_ = true; }
  bool take_purge_log() { return std::exchange(purge_log_, false); }

 private:
  Database& db_;
  Statement event_by_id_{db_, sql::kEventToErase}, event_by_seq_{db_, sql::kEventToEraseBySeq};
  Statement erase_payload_{db_, sql::kErasePayload};
  bool purge_log_ = false;
};

}  // namespace outboxd::sqlite
