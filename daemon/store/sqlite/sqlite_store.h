// The embedded store: one SQLite file in WAL mode, owned by one daemon, with producers in other processes that INSERT
// INTO its table `outbox`. Of this folder the rest of the daemon may include only this header and that of what only
// SQLite's store can do (sqlite_tools.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/secret_box.h"
#include "common/time.h"
#include "store/store.h"

namespace outboxd {

struct SqliteOptions {
  std::string path;  // created if missing; "<path>-wal", "-shm" and ".lock" are beside it
  // Empty: the system's VFS. A test may run the store on an SQLite VFS that it has registered; see location.h.
  std::string vfs = {};
  Millis busy_timeout{1000};     // how long a transaction waits for another process before kBusy
  int writer_cache_kib = 16384;  // page cache of the writer's connection
  int reader_cache_kib = 4096;   // page cache of each reader
  // Size of "<path>.ballast", which is given up when the disk is full. 0: none.
  std::int64_t ballast_bytes = 0;
  // False: another program (Litestream) checkpoints and takes care of the WAL.
  bool checkpoints = true;
  // Encrypts the endpoints' secrets; null: they are stored in plain text. Reading an endpoint whose secrets are
  // encrypted with a key that is missing here throws StoreError (kMissingKey).
  std::shared_ptr<const SecretBox> secrets = {};
  const Clock* clock = nullptr;  // outlives the store; null: the system's clock
  // Called each time that the wall clock turns out to have been set (due_clock.h). On any thread.
  std::function<void(Time at, Millis by)> on_clock_step = {};
  // Called for each error that SQLite returns while the store is open (busy, full, a failure), with "commit" for the
  // writer's connection or "read" for a reader's. On any thread.
  std::function<void(std::string_view op)> on_error = {};
};

// Opens, creates or migrates the database. Throws StoreError; a file that is not an intact database of ours is left
// untouched.
std::unique_ptr<Store> open_sqlite_store(const SqliteOptions& options);

struct SqliteSchema {
  int current = 0;  // of the file; 0: there is no file
  int known = 0;    // to this binary
};
// For `outboxd --check`. Works beside a running daemon; creates and changes nothing. Throws StoreError.
SqliteSchema sqlite_schema(const SqliteOptions& options);
// For `outboxd migrate`: creates the file or migrates it to the schema of this binary. Returns the schema it had
// before. Throws StoreError, also while a daemon serves the file.
SqliteSchema migrate_sqlite(const SqliteOptions& options);

}  // namespace outboxd
