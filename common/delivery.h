// A delivery: one event on its way to one endpoint.
//
//               ┌────────── retry later ──────────┐
//               ▼                                 │
//   new ──▶ pending ──▶ (in flight, not stored) ──┼──▶ delivered
//               │                                 └──▶ dead
//               └──▶ discarded ◀── operator ── dead
//   replay: dead, delivered or discarded ──▶ pending
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/id.h"
#include "common/time.h"

namespace outboxd {

enum class DeliveryState { kPending, kDelivered, kDead, kDiscarded };
enum class DeadReason { kExhausted, kExpired, kGone, kBlocked, kTooLarge, kSkipped, kDamaged };

std::string_view to_string(DeliveryState);  // "pending" ...: the words of the API and of the schema
std::string_view to_string(DeadReason);
std::optional<DeliveryState> parse_delivery_state(std::string_view);
std::optional<DeadReason> parse_dead_reason(std::string_view);

// An operator discards or replays; the delivery loop moves only what is pending, which its statements say.
bool operator_may_move(DeliveryState from, DeliveryState to);

// How many deliveries are in each state.
struct DeliveryCounts {
  std::int64_t pending = 0, delivered = 0, dead = 0, discarded = 0;
  std::int64_t& of(DeliveryState state);
  bool operator==(const DeliveryCounts&) const = default;
};

struct Delivery {
  DeliveryKey key;
  DeliveryState state = DeliveryState::kPending;
  std::optional<DeadReason> reason;  // with kDead
  int attempts = 0;                  // made since creation, or since the last replay
  Time due_at{};                     // with kPending: the next attempt
  int priority = 5;                  // the event's
  std::optional<std::string>
      error;  // class of the last failed attempt, see attempt.h; absent after a success
  Time created_at{};
  std::optional<Time> finished_at;  // when it left kPending

  DeliveryId id() const { return delivery_id(key, created_at); }
};

}  // namespace outboxd
