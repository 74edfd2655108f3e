// A batch: what an operator does to everything that matches a filter. It is durable: the store holds it with the place it
// has come to, and maintenance/batches.h carries it out in steps.
//
// It acts on exactly what matched when it was made. What has changed its state since (retried by hand, died again, acted
// upon by the batch itself) is not touched, nor is what begins to match later; migration 0009 says how the store knows.
//
//   POST /v1/batches ──▶ running ──▶ finished
//                           └──────▶ cancelled (between two steps; what was done stays done)
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/endpoint.h"
#include "store/reads.h"

namespace outboxd {

enum class BatchAction {
  kRetry,          // pending and dead deliveries: due now, their attempts count from 0 again
  kDiscard,        // pending and dead deliveries
  kReplay,         // events: to the endpoints that match (or to one of them)
  kReplayMissing,  // events that one endpoint matches, and that were never delivered to it
};
enum class BatchState { kRunning, kFinished, kCancelled };
std::string_view to_string(BatchAction);  // "retry" ...: the words of the API and of the schema
std::string_view to_string(BatchState);
std::optional<BatchAction> parse_batch_action(std::string_view);
std::optional<BatchState> parse_batch_state(std::string_view);
inline bool acts_on_events(BatchAction action) {
  return action >= BatchAction::kReplay;
}
// Is a delivery in this state one that the action is for?
bool may_act(BatchAction action, DeliveryState state);

// The number of a batch that was not made: nothing is acted upon, it only counts what matches now.
inline constexpr std::int64_t kOnlyCounts = std::numeric_limits<std::int64_t>::max();

struct OperatorBatch {
  BatchId id;
  BatchAction action = BatchAction::kRetry;
  DeliveryFilter filter;
  RateLimit rate;  // deliveries in a time
  std::string reason, who;
  // How many deliveries match: exactly, or with `counted` unset at least so many yet.
  std::int64_t matched = 0;
  bool counted = false;
  Time created_at{};

  // Set by the store.
  std::int64_t number = 0;  // 1, 2, ...
  EventSeq last_event = 0;  // the newest when it was made, as is last_endpoint
  EndpointSeq last_endpoint = 0;
  BatchState state = BatchState::kRunning;
  std::int64_t done = 0;
  std::int64_t skipped = 0;  // they matched, but changed before their turn came
  std::string place;         // everything before it is done; opaque, see BatchStep
  std::optional<Time> finished_at;
};

// Up to these keys a batch has come. They are those of deliveries that match, or that a replay would make.
struct BatchStep {
  std::string from;               // the batch's place, or the step has no effect: it was made before
  std::vector<DeliveryKey> keys;  // at most kMaxBatchStep
  std::string to;
  bool last = false;         // there is nothing behind `to`
  std::int64_t matched = 0;  // as counted by now
  bool counted = false;
  Time at{};
};
inline constexpr std::size_t kMaxBatchStep = 500;
// At most so many batches run at a time.
inline constexpr int kMaxRunningBatches = 16;

// The batch after a step that acted on so many of its keys. What was counted may have changed before its turn came, and
// then it was not even found.
void note_step(OperatorBatch& batch, const BatchStep& step, std::int64_t done);
// Why no batch is made, and why none is cancelled.
tl::unexpected<Problem> too_many_batches();
tl::unexpected<Problem> has_ended(BatchState state);

// What is found of what a batch has still to act upon.
struct BatchKeys {
  std::vector<DeliveryKey> keys;    // may be empty although there is more
  std::optional<std::string> next;  // the place after them; absent: that was all
};

// An event for a replay, and what became of it at the endpoint of the filter, if that names one.
struct BatchEvent {
  EventSeq seq = 0;
  EventId id;
  std::string tenant, type;
  Time created_at{};
  std::optional<DeliveryState> state;  // absent: there is no delivery to the endpoint
  bool was_delivered = false;          // an attempt has succeeded
  bool changed = false;                // its state has changed since the batch was made
};
struct BatchEvents {
  std::vector<BatchEvent> events;  // those that match
  EventSeq next = 0;               // where to go on; 0: that was all
};

// JSON, with only the members that are set: {"state": "dead", "since": "2026-11-23T15:21:00.000Z"}.
std::string encode_filter(const DeliveryFilter& filter);
// The inverse; absent: the text is not from encode_filter().
std::optional<DeliveryFilter> decode_filter(std::string_view text);

}  // namespace outboxd
