// Rows of the store as domain values, for every store: the columns of a statement come in the same order, as numbers,
// words, JSON and bytes. A `Row` is what a store's connection reads: is_null, integer, number, view, text, time, and the
// optional_* of these, by column. A stored value that cannot be read means a corrupt database: CorruptValue.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/event_checksum.h"
#include "store/column_values.h"
#include "store/operator_batch.h"
#include "store/reads.h"
#include "store/rollup.h"

namespace outboxd {

Uuid read_uuid(std::string_view bytes);
DeliveryState read_state(std::string_view word);
int read_attempts(std::int64_t stored);
int read_priority(std::int64_t stored);

// Columns from `first`: id, tenant, type, payload, ... expires_at. A column that cannot be read leaves its field empty
// and marks the event as damaged, so that one bad row stops neither lists nor the deliveries of others.
template <class Row>
void read_event(const Row& row, int first, Event& event) {
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
    event.priority = read_priority(row.integer(first + 6));
    event.headers = decode_headers(row.view(first + 7));
  } catch (const CorruptValue&) {
    event.damaged = true;
  }
}

// The event with its payload, verified against the checksum in the column after expires_at; payload_erased_at follows.
// Events up to `last_unchecked` were accepted before there were checksums.
template <class Row>
std::shared_ptr<Event> read_checked_event(const Row& row, EventSeq seq, int first, EventSeq last_unchecked) {
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

// seq, the event (its payload empty), deliveries, payload_bytes, payload_erased_at.
template <class Row>
EventRow read_event_row(const Row& row) {
  EventRow answer;
  answer.event.seq = row.integer(0);
  read_event(row, 1, answer.event);
  answer.deliveries = row.integer(14);
  answer.payload_bytes = row.integer(15);
  answer.payload_erased_at = row.optional_time(16);
  return answer;
}
inline constexpr int kCreatedAtOfEventRow = 11;

// event, endpoint, state, reason, attempts, due_at, priority, error, created_at, finished_at. `ahead`: how far due time
// is ahead of the wall clock (due_clock.h), in a store whose due times have a clock of their own.
template <class Row>
Delivery read_delivery(const Row& row, Millis ahead) {
  Delivery d;
  d.key = {row.integer(0), row.integer(1)};
  d.state = read_state(row.view(2));
  if (!row.is_null(3)) d.reason = word(parse_dead_reason(row.view(3)), "delivery.reason");
  d.attempts = read_attempts(row.integer(4));
  d.due_at = row.time(5) - ahead;
  d.priority = read_priority(row.integer(6));
  d.error = row.optional_text(7);
  d.created_at = row.time(8);
  d.finished_at = row.optional_time(9);
  return d;
}

// A delivery; the ids of its event and endpoint, the event's type and tenant, and whether it is blocked.
template <class Row>
DeliveryRow read_delivery_row(const Row& row, Millis ahead) {
  // A damaged event id must not make a whole page of deliveries fail.
  const auto event = row.view(10);
  return {read_delivery(row, ahead),
          event.size() == sizeof(Uuid) ? EventId{read_uuid(event)} : EventId{},
          EndpointId{read_uuid(row.view(11))},
          row.text(12),
          row.text(13),
          row.number(16) != 0};
}

template <class Row>
Attempt read_attempt(const Row& row) {
  const auto duration = [&row](int column) {
    return row.is_null(column) ? std::nullopt : std::optional(Millis(row.integer(column)));
  };
  Attempt a;
  a.id = AttemptId{read_uuid(row.view(0))};
  a.number = row.number(1);
  a.started_at = row.time(2);
  a.timings = {duration(3), duration(4), duration(5), duration(6), Millis(row.integer(7))};
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

template <class Row>
SourcePlace read_source_place(const Row& row) {
  return {.database = row.text(0), .relayed = row.integer(1), .cleared = row.integer(2)};
}

template <class Row>
OperatorBatch read_batch(const Row& row) {
  OperatorBatch batch;
  batch.number = row.integer(0);
  batch.id = BatchId{read_uuid(row.view(1))};
  batch.action = word(parse_batch_action(row.view(2)), "batch.action");
  auto filter = decode_filter(row.view(3));
  if (!filter) corrupt("batch.filter");
  batch.filter = std::move(*filter);
  batch.rate = word(parse_rate_limit(row.view(4)), "batch.rate");
  batch.reason = row.text(5);
  batch.who = row.text(6);
  batch.state = word(parse_batch_state(row.view(7)), "batch.state");
  batch.matched = row.integer(8);
  batch.counted = row.integer(9) != 0;
  batch.done = row.integer(10);
  batch.skipped = row.integer(11);
  batch.last_event = row.integer(12);
  batch.last_endpoint = row.integer(13);
  batch.place = row.text(14);
  batch.created_at = row.time(15);
  batch.finished_at = row.optional_time(16);
  return batch;
}

struct RollupRow {
  Time at{};
  RollupKey key;
  RollupCounts counts;
};
Histogram read_histogram(std::string_view bytes);
std::optional<Outcome> read_rollup_outcome(std::string_view word);    // absent: ""
std::optional<DeadReason> read_rollup_reason(std::string_view word);  // absent: ""

template <class Row>
RollupRow read_rollup(const Row& row) {
  return {.at = row.time(0),
          .key = {.endpoint = row.integer(1),
                  .type = row.text(2),
                  .outcome = read_rollup_outcome(row.view(3)),
                  .status = row.number(4),
                  .reason = read_rollup_reason(row.view(5))},
          .counts = {.accepted = row.integer(6),
                     .attempts = row.integer(7),
                     .failed = row.integer(8),
                     .delivered = row.integer(9),
                     .dead = row.integer(10),
                     .latency = read_histogram(row.view(11)),
                     .duration = read_histogram(row.view(12)),
                     .first_at = row.optional_time(13),
                     .last_at = row.optional_time(14),
                     .last_error = row.text(15)}};
}

}  // namespace outboxd
