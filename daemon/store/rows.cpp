#include "store/rows.h"

#include <algorithm>

namespace outboxd {
namespace {

template <class T>
std::optional<T> read_word(std::string_view stored, std::optional<T> (*parse)(std::string_view)) {
  const auto value = parse(stored);
  if (!value && !stored.empty()) corrupt("a word of table rollup");
  return value;
}

}  // namespace

Uuid read_uuid(std::string_view bytes) {
  Uuid uuid;
  if (bytes.size() != uuid.bytes.size()) corrupt("an id");
  std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
  return uuid;
}

DeliveryState read_state(std::string_view text) {
  return word(parse_delivery_state(text), "delivery.state");
}

int read_attempts(std::int64_t stored) {
  return int_between(stored, 0, kMaxCount, "a number of attempts");
}

int read_priority(std::int64_t stored) {
  return int_between(stored, 0, 9, "a priority");
}

Histogram read_histogram(std::string_view bytes) {
  const auto histogram = Histogram::decode(bytes);
  if (!histogram) corrupt("a histogram of table rollup");
  return *histogram;
}

std::optional<Outcome> read_rollup_outcome(std::string_view stored) {
  return read_word(stored, &parse_outcome);
}

std::optional<DeadReason> read_rollup_reason(std::string_view stored) {
  return read_word(stored, &parse_dead_reason);
}

}  // namespace outboxd
