#include "store/sqlite/payload_eraser.h"

#include "common/event_checksum.h"
#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

std::optional<ErasableEvent> PayloadEraser::read(Cursor& row) {
  if (!row.next()) return std::nullopt;
  ErasableEvent found{row.integer(0), row.optional_time(15), row.optional_integer(14)};
  if (found.erased_at || !found.checksum) return found;
  Event event;
  event.seq = found.seq;
  read_event(row, 1, event);
  if (event.damaged || event_checksum(event) != *found.checksum) return found;
  event.payload.clear();
  found.checksum = event_checksum(event);
  return found;
}

std::optional<ErasableEvent> PayloadEraser::find(const EventId& id) {
  Cursor row(event_by_id_, as_blob(id.uuid));
  return read(row);
}

std::optional<ErasableEvent> PayloadEraser::find(EventSeq seq) {
  Cursor row(event_by_seq_, seq);
  return read(row);
}

void PayloadEraser::erase(const ErasableEvent& event, Time at) {
  erase_payload_.run(event.seq, event.checksum, millis(at));
}

}  // namespace outboxd::sqlite
