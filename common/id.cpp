#include "common/id.h"

#include <openssl/rand.h>

#include <cassert>
#include <cstring>
#include <stdexcept>

#include "common/text.h"

namespace outboxd {
namespace {

constexpr int kEndpointBits = 32;
constexpr int kEventBits = 42;
constexpr std::uint64_t kCounterMax = 0xFFF;            // rand_a: 12 bits
constexpr std::uint64_t kCounterSeedMask = 0x7FF;       // leaves the upper half of the counter to count in
constexpr std::uint64_t kRandBMask = (1ull << 62) - 1;  // rand_b: 62 bits
constexpr Millis kMaxBackStep = std::chrono::seconds(10);

// Random bytes are fetched a page at a time, because asking OpenSSL for each id would cost a lock and most of a
// microsecond. The page is per thread, so it needs no lock; an id is public, so buffering its bits gives nothing away.
std::uint64_t random_bits() {
  struct Page {
    std::array<std::uint64_t, 256> words{};
    std::size_t used = 256;
  };
  thread_local Page page;
  if (page.used == page.words.size()) {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(page.words.data()), sizeof page.words) != 1) {
      throw std::runtime_error("no random numbers from OpenSSL: ids cannot be made");
    }
    page.used = 0;
  }
  return page.words[page.used++];
}

// RFC 9562 section 5.7.
Uuid make_uuid7(std::uint64_t unix_ms, std::uint64_t rand_a, std::uint64_t rand_b) {
  const std::uint64_t high = unix_ms << 16 | 0x7000 | (rand_a & kCounterMax);
  const std::uint64_t low = 1ull << 63 | (rand_b & kRandBMask);
  Uuid uuid;
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    uuid.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return uuid;
}

std::uint64_t half(const Uuid& uuid, std::size_t from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | uuid.bytes[from + i];
  return value;
}

}  // namespace

Time Uuid::time() const {
  return from_unix_millis(static_cast<std::int64_t>(half(*this, 0) >> 16));
}

std::string Uuid::hex(std::string_view prefix) const {
  constexpr std::string_view kHexDigits = "0123456789abcdef";
  std::string text;
  text.reserve(prefix.size() + 2 * bytes.size());
  text = prefix;
  for (const std::uint8_t byte : bytes) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::optional<Uuid> Uuid::parse_hex(std::string_view text) {
  if (text.size() != 32 || text.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return std::nullopt;
  const auto decoded = hex_decode(text);
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), decoded->data(), uuid.bytes.size());
  return uuid;
}

DeliveryId delivery_id(DeliveryKey key, Time created_at) {
  assert(key.event >= 0 && key.event >> kEventBits == 0);
  assert(key.endpoint >= 0 && key.endpoint >> kEndpointBits == 0);
  const auto event = static_cast<std::uint64_t>(key.event);
  constexpr int kLowEventBits = 62 - kEndpointBits;  // the upper 12 bits of the event fill rand_a
  return {make_uuid7(static_cast<std::uint64_t>(unix_millis(created_at)), event >> kLowEventBits,
                     event << kEndpointBits | static_cast<std::uint64_t>(key.endpoint))};
}

DeliveryKey delivery_key(const DeliveryId& id) {
  const std::uint64_t rand_a = half(id.uuid, 0) & kCounterMax;
  const std::uint64_t rand_b = half(id.uuid, 8) & kRandBMask;
  return {static_cast<EventSeq>(rand_a << (62 - kEndpointBits) | rand_b >> kEndpointBits),
          static_cast<EndpointSeq>(rand_b & 0xFFFFFFFF)};
}

UuidGenerator::UuidGenerator(const Clock& clock) : UuidGenerator(clock, random_bits) {}

Uuid UuidGenerator::next() {
  const std::int64_t now = std::max<std::int64_t>(unix_millis(clock_.wall()), 0);
  const std::uint64_t rand_b = random_bits_();
  std::uint64_t rand_a = 0;
  std::int64_t ms = 0;
  {
    const std::lock_guard lock(mutex_);
    const bool stepped_far_back = last_ms_ - now > kMaxBackStep.count();
    if (now > last_ms_ || stepped_far_back) {
      last_ms_ = now;
      counter_ = static_cast<std::uint32_t>(random_bits_() & kCounterSeedMask);
    } else if (++counter_ > kCounterMax) {
      ++last_ms_;
      counter_ = static_cast<std::uint32_t>(random_bits_() & kCounterSeedMask);
    }
    ms = last_ms_;
    rand_a = counter_;
  }
  return make_uuid7(static_cast<std::uint64_t>(ms), rand_a, rand_b);
}

}  // namespace outboxd
