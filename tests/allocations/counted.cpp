#include "allocations/counted.h"

#include <cstdlib>
#include <new>

namespace outboxd::test {
namespace {
constinit thread_local Allocations so_far;
}  // namespace

Allocations allocations_so_far() {
  return so_far;
}

}  // namespace outboxd::test

// The others, for arrays and those that do not throw, call these.
void* operator new(std::size_t size) {
  ++outboxd::test::so_far.count;
  outboxd::test::so_far.large += size >= outboxd::test::kLargeAllocation ? 1 : 0;
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
  std::free(memory);
}

void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}
