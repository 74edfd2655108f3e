#include "store/sqlite/payload_eraser.h"

#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

std::optional<ErasableEvent> PayloadEraser::find(const EventId& id) {
  Cursor row(event_by_id_, as_blob(id.uuid));
  if (!row.next()) return std::nullopt;
  return read_erasable(row);
}

std::optional<ErasableEvent> PayloadEraser::find(EventSeq seq) {
  Cursor row(event_by_seq_, seq);
  if (!row.next()) return std::nullopt;
  return read_erasable(row);
}

void PayloadEraser::erase(const ErasableEvent& event, Time at) {
  erase_payload_.run(event.seq, event.checksum, millis(at));
}

}  // namespace outboxd::sqlite
