// What the connections of one open store share: its writer, its readers and the wait for changes, each on a thread of its
// own.
#pragma once

#include <atomic>

#include "store/commands.h"
#include "store/due_clock.h"
#include "store/sqlite/checkpoint.h"

namespace outboxd::sqlite {

struct Shared {
  explicit Shared(const Clock& clock, DueClock::State due) : due_clock(clock, due) {}

  ReadGate gate;
  DueClock due_clock;
  std::atomic<DirectoryVersion> directory_version =
      0;  // of the endpoints as committed; raised after the commit
};

}  // namespace outboxd::sqlite
