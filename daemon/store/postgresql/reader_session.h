// The connection of a Reader and its statements; for its own files.
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "common/text.h"
#include "store/postgresql/due_statements.h"
#include "store/postgresql/list_statements.h"
#include "store/postgresql/read_statements.h"
#include "store/postgresql/reader.h"

namespace outboxd::postgresql {

inline constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kMillisOfDay = 86'400'000, kKeptDays = 1'000'000;  // kept_day() of the schema
inline constexpr int kMaxPage = 1000;
// Rows of event_block in the first window of a list. Each one is so many times larger than the one before, so that a list in
// which little matches, or a database with little in it, needs few.
inline constexpr std::int64_t kFirstWindow = 2, kWindowGrowth = 8;

inline std::size_t page_size(const Page& page) {
  return static_cast<std::size_t>(std::clamp(page.limit, 1, kMaxPage));
}
// The partition of what is named by this id.
inline std::int64_t day_of(const Uuid& id) {
  return unix_millis(id.time()) / kMillisOfDay;
}
// No column of type text holds any other text, and the server would refuse it.
inline bool is_storable(std::string_view text) {
  return is_valid_utf8(text) && text.find('\0') == text.npos;
}
inline Millis steady_now() {
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now().time_since_epoch());
}

struct Reader::Session {
  // The narrowest range, over all endpoints, that holds deliveries in this state.
  Statement& range_before(const std::optional<DeliveryState>& state) {
    if (state == DeliveryState::kPending) return pending_before;
    return state == DeliveryState::kDead ? dead_before : deliveries_before;
  }
  Statement& range_after(const std::optional<DeliveryState>& state) {
    if (state == DeliveryState::kPending) return pending_after;
    return state == DeliveryState::kDead ? dead_after : deliveries_after;
  }

  explicit Session(const ReaderOptions& options)
      : db({.url = options.url, .purpose = "reader", .on_error = options.on_error}) {}

  Connection db;
  Millis ahead{0};
  std::optional<Millis> ahead_known_at;  // steady; absent: not yet
  // Where the SQL outbox begins (reader_outbox.cpp).
  std::int64_t outbox_mark = 0, next_outbox_mark = 0;
  std::optional<Millis> outbox_marked_at, outbox_full_look;

  Statement clock{db, "SELECT clock_millis()"};
  Statement due{db, sql::kDue}, events_of_deliveries{db, sql::kEventsOfDeliveries};
  Statement expired{db, sql::kExpiredAfter}, expired_of_partitions{db, sql::kExpiredOfPartitionsAfter};
  Statement oldest_due{db, sql::kOldestDue};
  Statement counts{db, sql::kCountsOfEndpoint}, delivery_counts{db, sql::kEndpointCountsAfter};
  Statement unfinished_fan_outs{db, sql::kUnfinishedFanOuts};

  Statement window_below{db, sql::kWindowBelow}, window_above{db, sql::kWindowAbove};
  Statement last_event_before_id{db, sql::kLastEventBeforeId};
  Statement numbers_around_day{db, sql::kNumbersAroundDay};
  Statement event_seq_by_id{db, sql::kEventSeqById}, event_by_id{db, sql::kEventById};
  Statement events_before{db, sql::kEventsBefore}, unmatched_before{db, sql::kUnmatchedBefore};
  Statement delivery_by_key{db, sql::kDeliveryByKey}, deliveries_of_event{db, sql::kDeliveriesOfEvent};
  Statement deliveries_before{db, sql::kDeliveriesBefore}, dead_before{db, sql::kDeadBefore};
  Statement pending_before{db, sql::kPendingBefore}, pending_after{db, sql::kPendingAfter};
  Statement dead_of_endpoint_before{db, sql::kDeadOfEndpointBefore};
  Statement deliveries_after{db, sql::kDeliveriesAfter}, dead_after{db, sql::kDeadAfter};
  Statement dead_of_endpoint_after{db, sql::kDeadOfEndpointAfter};
  Statement pending_of_endpoint_from{db, sql::kPendingOfEndpointFrom};
  Statement in_order_of_endpoint_from{db, sql::kInOrderOfEndpointFrom};
  Statement last_attempts{db, sql::kLastAttempts}, attempts{db, sql::kAttempts};
  Statement events_to_replay{db, sql::kEventsToReplay};

  Statement failing_endpoints{db, sql::kFailingEndpoints};
  Statement all_endpoints{db, sql::kAllEndpoints}, endpoint{db, sql::kReadEndpoint};
  Statement endpoints_after{db, sql::kEndpointsAfter};
  Statement endpoints_of_tenant_after{db, sql::kEndpointsOfTenantAfter};
  Statement endpoint_seq_by_id{db, sql::kEndpointSeqById}, secrets_after{db, sql::kSecretsToCount};
  Statement batch{db, sql::kReadBatch}, batches_before{db, sql::kBatchesBefore};
  Statement batches_running{db, sql::kBatchesRunning};
  Statement event_types_after{db, sql::kEventTypesAfter};
  Statement event_types_of_tenant_after{db, sql::kEventTypesOfTenantAfter};
  Statement rollup_of_endpoint{db, sql::kRollupOfEndpointIn}, rollup_failing{db, sql::kRollupFailing};
  Statement rolled_up{db, sql::kRolledUp};
  Statement outbox_waiting{db, sql::kOutboxWaiting};
  Statement outbox_rejected_before{db, sql::kOutboxRejectedBefore};
  Statement outbox_rejected_row{db, sql::kOutboxRejectedRow};
  Statement source_place{db, sql::kReadSourcePlace}, status{db, sql::kStatus};
  Statement members{db, sql::kStoreMembers};
};

// A range of numbers of events, and the days that they are on.
struct Reader::Window {
  EventSeq end = 0;  // below: the lowest number in it; above: the first one behind it
  std::int64_t first_day = 0, last_day = -1;
  bool more = false;  // there may be something beyond it
};

template <class Read>
auto Reader::read(Read read) {
  const bool is_new = !session_ || session_->db.is_lost();
  connect();
  try {
    return read(*session_);
  } catch (const ServerFailure&) {
    if (is_new || !session_->db.is_lost()) throw;
  }
  connect();
  return read(*session_);
}

}  // namespace outboxd::postgresql
