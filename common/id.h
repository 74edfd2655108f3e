// Public ids: a prefix that says what kind of thing is named, then a UUIDv7 (RFC 9562) in 32 lower-case hex digits. Ids
// of one kind therefore sort by the time they were made.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/clock.h"

namespace outboxd {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};
  auto operator<=>(const Uuid&) const = default;           // NOLINT(modernize-use-nullptr): what is generated
  Time time() const;                                       // its first 48 bits, as UUIDv7 defines them
  std::string hex(std::string_view prefix = {}) const;     // 32 digits behind it
  static std::optional<Uuid> parse_hex(std::string_view);  // 32 lower-case digits
};

// The prefix is part of the type: an endpoint's id cannot be passed for an event's.
template <std::size_t N>
struct IdPrefix {
  char text[N];
  consteval IdPrefix(const char (&s)[N]) { std::copy_n(s, N, text); }  // NOLINT(google-explicit-constructor)
  constexpr std::string_view view() const { return {text, N - 1}; }
};

template <IdPrefix P>
struct Id {
  Uuid uuid;
  auto operator<=>(const Id&) const = default;  // NOLINT(modernize-use-nullptr)
  std::string to_string() const { return uuid.hex(P.view()); }
  static std::optional<Id> parse(std::string_view text) {
    if (!text.starts_with(P.view())) return std::nullopt;
    auto uuid = Uuid::parse_hex(text.substr(P.view().size()));
    if (!uuid) return std::nullopt;
    return Id{*uuid};
  }
};

using EventId = Id<"evt_">;
using EndpointId = Id<"ep_">;
using AttemptId = Id<"att_">;
using BatchId = Id<"bat_">;

// The store's internal numbers, given in the order of acceptance or creation and never reused.
using EventSeq = std::int64_t;     // 1 .. 2^42-1
using EndpointSeq = std::int64_t;  // 1 .. 2^32-1

// A delivery is one event on its way to one endpoint, so the pair is its key. Its public id is computed from the key
// and its creation time, so it needs neither a column nor an index. The layout:
//   48 bits unix ms | 4 bits version 7 | 12+62 bits: event (42), endpoint (32)  | variant bits as RFC 9562
struct DeliveryKey {
  EventSeq event = 0;
  EndpointSeq endpoint = 0;
  auto operator<=>(const DeliveryKey&) const = default;  // NOLINT(modernize-use-nullptr)
};
struct DeliveryKeyHash {
  std::size_t operator()(const DeliveryKey& k) const noexcept {
    return std::hash<std::uint64_t>{}(static_cast<std::uint64_t>(k.event) * 0x9E3779B97F4A7C15ull ^
                                      static_cast<std::uint64_t>(k.endpoint));
  }
};
using DeliveryId = Id<"dlv_">;
DeliveryId delivery_id(DeliveryKey key, Time created_at);
DeliveryKey delivery_key(const DeliveryId& id);  // the inverse; any well-formed id gives some key

// Makes UUIDv7s: unique, and increasing also within one millisecond (RFC 9562 6.2, method 1: a counter in
// rand_a) and across small steps back of the clock. Safe to call from any thread.
class UuidGenerator {
 public:
  using RandomBits = std::function<std::uint64_t()>;
  explicit UuidGenerator(const Clock& clock);
  // A simulation passes its own source of randomness, so that a run can be repeated.
  UuidGenerator(const Clock& clock, RandomBits random_bits)
      : clock_(clock), random_bits_(std::move(random_bits)) {}
  Uuid next();

 private:
  const Clock& clock_;
  const RandomBits random_bits_;
  std::mutex mutex_;
  std::int64_t last_ms_ = 0;
  std::uint32_t counter_ = 0;
};

}  // namespace outboxd
