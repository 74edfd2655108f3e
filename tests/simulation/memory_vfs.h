// The disk of one simulated machine, as an SQLite VFS: every database opened with its name lives here, in memory, under
// the real SQLite. A crash at any step leaves of the files what faults/power_loss_disk.h says that a power cut leaves,
// and nothing of shared memory and locks.
//
// Everything is determined by the seed and the clock. One thread uses a disk and all its connections. A disk outlives
// its connections. Those that were open at a crash belong to a machine that is off: they fail and change nothing, and
// must be closed.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "common/clock.h"

namespace outboxd::simulation {

enum class Fault {
  kReadError,   // SQLITE_IOERR_READ
  kWriteError,  // SQLITE_IOERR_WRITE, after a part of the write or nothing of it
  kSyncError,   // SQLITE_IOERR_FSYNC; what was to be synced may never reach the disk
  kFull,        // SQLITE_FULL, of a write that makes a file longer; a part may have been written
  kBusy,        // SQLITE_BUSY: another process holds the lock to write or to checkpoint
  kSlow,        // of a write or a sync: only counted, for the simulation to let time pass
  kPowerCut     // at a write, truncation, sync or deletion: this and all later calls fail until crash()
};
inline constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::kPowerCut) + 1;

// Which of the calls that a fault can strike it does strike: each by chance, or the `nth` from now on (1: the next; 0:
// none in particular) and those after it, `times` in all.
struct Injection {
  double probability = 0;
  std::int64_t nth = 0;
  std::int64_t times = 1;
};

class MemoryDisk {
 public:
  // Registers a VFS `name`, not as the default. `clock` outlives the disk.
  MemoryDisk(const std::string& name, std::uint64_t seed, const Clock& clock);
  ~MemoryDisk();  // unregisters it
  MemoryDisk(const MemoryDisk&) = delete;

  void inject(Fault fault, Injection injection);
  void heal();                                // no fault strikes any more
  void suspend_faults(bool suspended) const;  // while the test itself looks at the files
  std::int64_t struck(Fault fault) const;

  bool is_off() const;  // by Fault::kPowerCut, until crash()
  // Turns the machine off and on again.
  void crash(std::mt19937_64& random);

  struct Counters {
    std::int64_t writes = 0, syncs = 0;  // since the disk was made
    std::int64_t open_files = 0;         // now, including those from before a crash
  };
  const Counters& counters() const;

  struct Machine;

 private:
  std::unique_ptr<Machine> machine_;
};

}  // namespace outboxd::simulation
