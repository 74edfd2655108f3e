// What the payload of every event of these benchmarks says: which one it is, and when it was due to be sent.
// By it the sink tells what is missing, what came twice, and how long it took.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace outboxd::bench {

inline constexpr int kStreams = 8;  // streams are told apart so that several loads can run at once
// One event for many endpoints: its deliveries are told apart by the number that ends the endpoint's path.
inline constexpr std::int64_t kNumberFromPath = -1;
inline constexpr std::size_t kPadding = 200;  // makes a payload of about 230 bytes

struct Mark {
  int stream = 0;
  std::int64_t number = 0;
  std::int64_t due = 0;  // ns, latencies.h
};

std::string payload_of(const Mark& mark, std::size_t padding = kPadding);
std::optional<Mark> mark_of(std::string_view payload);

}  // namespace outboxd::bench
