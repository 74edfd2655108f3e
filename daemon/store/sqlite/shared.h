// What the connections of one open store share: the writer, the readers and the wait for changes, each on a thread of
// its own.
#pragma once

#include <atomic>
#include <utility>

#include "store/commands.h"
#include "store/due_clock.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/foreign_notice.h"

namespace outboxd::sqlite {

struct Shared {
  Shared(const Clock& clock, DueClock::State due, DueClock::OnStep on_step = {})
      : due_clock(clock, due, std::move(on_step)) {}

  ReadGate gate;
  DueClock due_clock;
  ForeignNotice foreign;
  // Version of the committed endpoints; raised after the commit.
  std::atomic<DirectoryVersion> directory_version = 0;
};

}  // namespace outboxd::sqlite
