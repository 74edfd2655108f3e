// A world for the whole core without its sockets and threads: ingest, directory, fan-out, group commit, the real SQLite
// store on a disk in memory, router, delivery engine and scheduler, of one daemon or of two that share the store.
// Clock, subscribers, producers and operators are simulated; one seed decides which thread takes a step, and what goes
// wrong.
//
// What goes wrong: daemons are killed at any step, power fails in the middle of a commit, I/O fails, the disk is full
// for a while, the store is busy, nobody knows whether a commit was made, threads are slow, clocks step, partitions
// change hands, subscribers behave in every manner, endpoints are edited, paused and removed with work under way. The
// promises are checked at every step (core_ledger.h, core_attempts.h); now and then everything is healed, and then
// everything accepted must end. A broken promise is a Violation.
#pragma once

#include <cstdint>
#include <string>

#include "simulation/world.h"

namespace outboxd::simulation {

struct CoreReport {
  std::int64_t steps = 0, accepted = 0, attempts = 0, delivered = 0, dead = 0, discarded = 0, commits = 0,
               kills = 0, power_cuts = 0, stops = 0, moves = 0, takeovers = 0, sent_twice = 0;
  void add(const CoreReport& other);
  std::string to_string() const;
};

CoreReport run_core(std::uint64_t seed, std::int64_t steps);

}  // namespace outboxd::simulation
