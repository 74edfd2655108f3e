// The one place that moves the WAL's content into the database file.
//
// SQLite 3.7.0 to 3.51.2 can lose index rows when one connection checkpoints while another one commits and thereby
// resets the WAL (the "WAL-reset" bug). Our own checkpoints are safe from it: a second connection, the guard, holds the
// write lock (BEGIN IMMEDIATE, writing nothing) while the writer's connection checkpoints, so nobody can commit
// meanwhile. SQLITE_CHECKPOINT_FULL and stronger modes take that lock too, but go on without it if they do not get it;
// PASSIVE under the guard never runs without the lock.
//
// A producer's own checkpoint remains: SQLite runs one after a commit that leaves 1,000 frames or more in the WAL.
// Since ours run at 500, that takes a single transaction of 500 frames (2 MB), or a long read by another process.
// Producers who write that much with an old SQLite should set PRAGMA wal_autocheckpoint=0 (docs/producers.md).
#pragma once

#include "common/mutex.h"
#include "store/sqlite/database.h"

namespace outboxd::sqlite {

// Every transaction of a Reader holds it shared; only the Checkpoint takes it exclusively, to keep our own reads out
// for a moment when they overlap so much that the WAL can never start again from its beginning.
using ReadGate = SharedMutex;

class Checkpoint {
 public:
  // `writer` outlives this.
  Checkpoint(Database& writer, const Location& location, ReadGate& gate);

  // On the writer thread, outside a transaction. Does nothing until the WAL has kFrames new frames; never waits for the
  // write lock or for readers of other processes.
  void run_if_due();
  void run();
  // Has the log hold nothing of what is in it now: copies it into the file, and begins it anew with a commit that changes
  // nothing. Where the journal size limit is 0, SQLite cuts it to that commit. False: somebody else reads or writes, try
  // again later.
  bool purge();

  static constexpr int kFrames = 500;
  static constexpr int kFramesToGate = 8192;  // 32 MiB: from this size on our own reads are held back

 private:
  bool copy();  // false: something is left to copy

  Database& writer_;
  Database guard_;
  Statement begin_;
  Statement rollback_;
  ReadGate& gate_;
  int frames_ = 0;  // in the WAL after the last commit of ours
  int copied_ = 0;  // of these, already in the database file
  int gate_at_ = kFramesToGate;
};

}  // namespace outboxd::sqlite
