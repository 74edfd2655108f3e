// Counts what the thread that asks allocates with `new`: this program has an operator new of its own. What C libraries
// allocate (SQLite, OpenSSL) is not counted.
#pragma once

#include <cstddef>

namespace outboxd::test {

inline constexpr std::size_t kLargeAllocation = 32u << 10;

struct Allocations {
  int count = 0;
  int large = 0;  // those of at least kLargeAllocation
  Allocations operator-(const Allocations& before) const {
    return {count - before.count, large - before.large};
  }
};

Allocations allocations_so_far();

}  // namespace outboxd::test
