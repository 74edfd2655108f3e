// What the writer must know about a command before it carries it out, in one table for all kinds (command_traits.cpp).
// A kind that is missing there does not compile.
#pragma once

#include <cstddef>

#include "store/commands.h"

namespace outboxd {

struct CommandTraits {
  // May be refused with a Problem when too many commands wait or the store stays busy: someone waits for the answer and
  // can repeat the command, or the work is recorded in the store and will be found there again. A command that only the
  // daemon's memory knows of is not refusable: it is kept and retried until it is committed.
  bool refusable = true;
  // Adds work that was not promised to anyone yet, so it is refused while the disk is full, even if it is not
  // refusable.
  bool grows = false;
  // Someone waits for its commit. A command that is not urgent may wait a little so that others share its commit.
  bool urgent = true;
  // Goes before those that must wait their turn (command_queue.h): it makes only what is new, so nothing that others
  // have asked for and that is not committed yet changes what it does, nor the other way round.
  bool ahead = false;
  std::size_t bytes = 0;  // of payloads; limits the size of a transaction
  std::size_t rows = 1;   // written to the tables; limits a transaction too; at least 1
};
CommandTraits traits_of(const Command& command);

}  // namespace outboxd
