#include "store/sqlite/rows.h"

#include <algorithm>

#include "common/event_checksum.h"
#include "store/sqlite/column_values.h"

namespace outboxd::sqlite {
namespace {

std::optional<Millis> read_duration(const Cursor& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return Millis(row.integer(column));
}

}  // namespace

int read_attempts(const Cursor& row, int column) {
  return int_between(row, column, 0, kMaxCount, "a number of attempts");
}

int read_priority(const Cursor& row, int column) {
  return int_between(row, column, 0, 9, "a priority");
}

Uuid read_uuid(std::string_view bytes) {
  Uuid uuid;
  if (bytes.size() != uuid.bytes.size()) corrupt("an id");
  std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
  return uuid;
}

void read_event(const Cursor& row, int first, Event& event) {
  event.tenant = row.text(first + 1);
  event.type = row.text(first + 2);
  event.payload = row.text(first + 3);
  event.content_type = row.text(first + 4);
  event.ordering_key = row.optional_text(first + 5);
  event.traceparent = row.optional_text(first + 8);
  event.cloud_event = row.optional_text(first + 9);
  event.created_at = row.time(first + 10);
  event.deliver_at = row.optional_time(first + 11);
  event.expires_at = row.optional_time(first + 12);
  try {
    event.id = EventId{read_uuid(row.view(first))};
    event.priority = read_priority(row, first + 6);
    event.headers = decode_headers(row.view(first + 7));
  } catch (const CorruptValue&) {
    event.damaged = true;
  }
}

std::shared_ptr<Event> read_checked_event(const Cursor& row, EventSeq seq, int first,
                                          EventSeq last_unchecked) {
  auto event = std::make_shared<Event>();
  event->seq = seq;
  read_event(row, first, *event);
  const int checksum = first + 13;
  // A missing checksum is accepted only for events from before there were checksums: otherwise damage that erases the
  // checksum would go unnoticed.
  const bool whole =
      row.is_null(checksum) ? seq <= last_unchecked : row.integer(checksum) == event_checksum(*event);
  event->damaged = event->damaged || !whole;
  event->erased = !row.is_null(checksum + 1);
  event->json_checked = !row.is_null(checksum);  // events with a checksum were checked before they got it
  return event;
}

EventRow read_event_row(const Cursor& row) {
  EventRow answer;
  answer.event.seq = row.integer(0);
  read_event(row, 1, answer.event);
  answer.deliveries = row.integer(14);
  answer.payload_bytes = row.integer(15);
  answer.payload_erased_at = row.optional_time(16);
  return answer;
}

DeliveryState read_state(std::string_view text) {
  return word(parse_delivery_state(text), "delivery.state");
}

Delivery read_delivery(const Cursor& row, Millis ahead) {
  Delivery d;
  d.key = {row.integer(0), row.integer(1)};
  d.state = read_state(row.view(2));
  if (!row.is_null(3)) d.reason = word(parse_dead_reason(row.view(3)), "delivery.reason");
  d.attempts = read_attempts(row, 4);
  d.due_at = row.time(5) - ahead;
  d.priority = read_priority(row, 6);
  d.error = row.optional_text(7);
  d.created_at = row.time(8);
  d.finished_at = row.optional_time(9);
  return d;
}

DeliveryRow read_delivery_row(const Cursor& row, Millis ahead) {
  // A damaged event id must not make a whole page of deliveries fail.
  const auto event = row.view(10);
  return {read_delivery(row, ahead),
          event.size() == sizeof(Uuid) ? EventId{read_uuid(event)} : EventId{},
          EndpointId{read_uuid(row.view(11))},
          row.text(12),
          row.text(13),
          row.number(16) != 0};
}

Attempt read_attempt(const Cursor& row) {
  Attempt a;
  a.id = AttemptId{read_uuid(row.view(0))};
  a.number = row.number(1);
  a.started_at = row.time(2);
  a.timings = {read_duration(row, 3), read_duration(row, 4), read_duration(row, 5), read_duration(row, 6),
               Millis(row.integer(7))};
  a.outcome = word(parse_outcome(row.view(8)), "attempt.outcome");
  a.status = row.number(9);
  a.error = row.text(10);
  a.request_line = row.text(11);
  a.response_headers = decode_headers(row.view(12));
  a.response_body = row.text(13);
  a.remote_address = row.optional_text(14).value_or("");
  a.resent = row.number(15) != 0;
  return a;
}

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

SourcePlace read_source_place(const Cursor& row) {
  return {.database = row.text(0), .relayed = row.integer(1), .cleared = row.integer(2)};
}

}  // namespace outboxd::sqlite
