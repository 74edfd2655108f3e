#include "common/delivery.h"

#include "common/enum_names.h"

namespace outboxd {
namespace {
constexpr std::array<std::string_view, 4> kStates = {"pending", "delivered", "dead", "discarded"};
constexpr std::array<std::string_view, 7> kReasons = {"exhausted", "expired", "gone",   "blocked",
                                                      "too_large", "skipped", "damaged"};
static_assert(kStates.size() == static_cast<std::size_t>(DeliveryState::kDiscarded) + 1);
static_assert(kReasons.size() == static_cast<std::size_t>(DeadReason::kDamaged) + 1);
}  // namespace

std::string_view to_string(DeliveryState state) {
  return name_of(kStates, state);
}
std::string_view to_string(DeadReason reason) {
  return name_of(kReasons, reason);
}
std::optional<DeliveryState> parse_delivery_state(std::string_view text) {
  return enum_of<DeliveryState>(kStates, text);
}
std::optional<DeadReason> parse_dead_reason(std::string_view text) {
  return enum_of<DeadReason>(kReasons, text);
}

bool operator_may_move(DeliveryState from, DeliveryState to) {
  switch (to) {
    case DeliveryState::kPending:
      return from != DeliveryState::kPending;
    case DeliveryState::kDiscarded:
      return from == DeliveryState::kPending || from == DeliveryState::kDead;
    case DeliveryState::kDelivered:
    case DeliveryState::kDead:
      return false;
  }
  return false;
}

std::int64_t& DeliveryCounts::of(DeliveryState state) {
  switch (state) {
    case DeliveryState::kPending:
      return pending;
    case DeliveryState::kDelivered:
      return delivered;
    case DeliveryState::kDead:
      return dead;
    case DeliveryState::kDiscarded:
      break;
  }
  return discarded;
}

}  // namespace outboxd
