// The embedded store: one SQLite file in WAL mode, one daemon that owns it, producers of other processes that
// INSERT INTO its table `outbox`. This header and those of what only SQLite's store can do (sqlite_tools.h,
// secret_encryption.h) are all that the rest of the daemon may include of this folder.
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
  std::string path;  // made when there is none; "<path>-wal", "-shm" and ".lock" beside it
  // Empty: the system's. A test runs the store on an SQLite VFS of its own, which it has registered; see location.h.
  std::string vfs = {};
  Millis busy_timeout{1000};     // how long a transaction waits for another process's before kBusy
  int writer_cache_kib = 16384;  // memory for pages, of the writer's connection
  int reader_cache_kib = 4096;   // and of each reader's
  // Of "<path>.ballast", given up when the disk is full. 0: none.
  std::int64_t ballast_bytes = 0;
  // False: another program checkpoints (Litestream); the WAL is its matter then.
  bool checkpoints = true;
  // What the endpoints' secrets are encrypted with; null: nothing. Without the key of one that is encrypted, reading
  // that endpoint throws StoreError (kMissingKey).
  std::shared_ptr<const SecretBox> secrets = {};
  const Clock* clock = nullptr;  // outlives the store; absent: the system's
  // Told of each error that SQLite answers while the store is open (busy, full, a failure): of "commit", which is all that
  // writes, or of "read". On any thread.
  std::function<void(std::string_view op)> on_error = {};
};

// Opens, creates or migrates. Throws StoreError; a file that is not a whole database of ours is left
// untouched.
std::unique_ptr<Store> open_sqlite_store(const SqliteOptions& options);

struct SqliteSchema {
  int current = 0;  // of the file; 0: there is no file
  int known = 0;    // to this binary
};
// What `outboxd --check` shows. Works beside a running daemon; creates and changes nothing. Throws StoreError.
SqliteSchema sqlite_schema(const SqliteOptions& options);
// `outboxd migrate`: creates the file or brings it to the schema of this binary. Answers what it was before.
// Throws StoreError, also while a daemon serves the file.
SqliteSchema migrate_sqlite(const SqliteOptions& options);

}  // namespace outboxd
