// Converts domain values to and from the columns of the schema: JSON for lists, words for enumerations. Pure except for
// the cursors it reads. A stored value that cannot be read means a corrupt database: CorruptValue.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/attempt.h"
#include "common/delivery.h"
#include "common/event.h"
#include "store/sqlite/database.h"
#include "store/store.h"

namespace outboxd::sqlite {

// Columns from `first`: id, tenant, type, payload, ... expires_at. A column that cannot be read leaves its field empty
// and marks the event as damaged, so that one bad row stops neither lists nor the deliveries of others.
void read_event(const Cursor& row, int first, Event& event);
// The event with its payload, verified against the checksum in the column after expires_at; payload_erased_at follows. Events up to
// `last_unchecked` were accepted before there were checksums.
std::shared_ptr<Event> read_checked_event(const Cursor& row, EventSeq seq, int first,
                                          EventSeq last_unchecked);
EventRow read_event_row(const Cursor& row);  // sql::kEventById, kEventsBefore
inline constexpr int kCreatedAtOfEventRow = 11;
// Reads the first ten columns. `ahead`: how far due time is ahead of the wall clock (due_clock.h).
Delivery read_delivery(const Cursor& row, Millis ahead);
DeliveryRow read_delivery_row(const Cursor& row, Millis ahead);
DeliveryState read_state(std::string_view word);
Attempt read_attempt(const Cursor& row);
OutboxRow read_outbox_row(const Cursor& row);
SourcePlace read_source_place(const Cursor& row);

int read_attempts(const Cursor& row, int column);
int read_priority(const Cursor& row, int column);
Uuid read_uuid(std::string_view bytes);
inline Blob as_blob(const Uuid& uuid) {
  return {{reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()}};
}

}  // namespace outboxd::sqlite
