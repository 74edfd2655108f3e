// What the writer has to know of a command before it carries it out. One table says it for every kind
// (command_traits.cpp); a kind that is missing there does not compile.
#pragma once

#include <cstddef>

#include "store/commands.h"

namespace outboxd {

struct CommandTraits {
  // May be turned away with a Problem when too many commands wait, or the store stays busy: somebody waits for the
  // answer and can repeat it, or what is to be done is written in the store and is found there again. What only the
  // daemon's memory knows may not: it is kept, and tried again until it is committed.
  bool refusable = true;
  // Adds work that nobody was promised yet: refused while the disk is full, kept or not.
  bool grows = false;
  // Somebody waits for its commit. What is not urgent may wait a little for others to share one.
  bool urgent = true;
  std::size_t bytes = 0;  // of payloads, which bound a transaction
  std::size_t rows = 1;   // of the tables, which do too; at least 1
};
CommandTraits traits_of(const Command& command);

}  // namespace outboxd
