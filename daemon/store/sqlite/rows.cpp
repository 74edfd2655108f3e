#include "store/sqlite/rows.h"

namespace outboxd::sqlite {

OutboxRow read_outbox_row(const Cursor& row) {
  OutboxRow o;
  o.row = row.integer(0);
  o.type = row.text(1);
  o.payload_is_text = row.type(2) == SQLITE_TEXT;
  o.payload = row.text(2);
  o.tenant = row.optional_text(3);
  o.content_type = row.optional_text(4);
  o.ordering_key = row.optional_text(5);
  o.idempotency_key = row.optional_text(6);
  o.headers = row.optional_text(7);
  o.deliver_at = row.optional_text(8);
  o.expires_at = row.optional_text(9);
  o.traceparent = row.optional_text(10);
  o.priority = row.optional_integer(11);
  o.rejected = row.optional_text(12);
  o.rejected_at = row.optional_time(13);
  return o;
}

}  // namespace outboxd::sqlite
