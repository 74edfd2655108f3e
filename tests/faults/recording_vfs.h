// A SQLite VFS that passes everything on to the one it stands before and remembers, while it is told to, what happened to the files: the
// log from which power_loss.cpp makes what a power cut would have left. The WAL index (-shm) is memory and not among them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace outboxd::faults {

struct Operation {
  enum class Kind {
    kCreate,      // the file `name`, empty
    kDelete,      // of that name
    kWrite,       // `bytes` at `offset`
    kTruncate,    // to `offset` bytes
    kSync,        // fsync of the file
    kFailedSync,  // see fail_sync()
    kSyncFolder,  // the names of files
    kStep         // the program's own mark: step `offset` was acknowledged
  };
  Kind kind = Kind::kStep;
  std::string name = {};
  std::int64_t offset = 0;
  std::string bytes = {};
};

// Makes the recording VFS the default one. Once, before any connection is opened.
void install_recording_vfs();

void start_recording();
void mark_step(std::int64_t step);
std::vector<Operation> stop_recording();

// The sync number `n` from now on (1: the next) fails with EIO and syncs nothing; 0: none does. Counts only while recording.
void fail_sync(std::int64_t n);
bool sync_has_failed();

}  // namespace outboxd::faults
