#include "store/sqlite/log_vfs.h"

#include <algorithm>
#include <new>
#include <utility>

namespace outboxd::sqlite {
namespace {

using Methods = sqlite3_io_methods;

// A larger transaction takes several calls. SQLite's own VFS cuts the size of a write to 17 bits.
constexpr int kGathered = (1 << 17) - 1;
constexpr int kFrameHeader =
    24;  // it precedes each page; bytes 4 to 7 are zero but in a transaction's last one

sqlite3_vfs* system_vfs = nullptr;
sqlite3_vfs log_vfs;

// The system's file follows this one in memory.
struct Log {
  sqlite3_file base;
  unsigned char* gathered;
  int size;          // of what is gathered
  sqlite3_int64 at;  // where it belongs
  bool ends;         // the next page is the transaction's last
  int failure;       // of a write, until the transaction that lost its bytes is rolled back
};

Log& log_of(sqlite3_file* file) {
  return *reinterpret_cast<Log*>(file);
}
sqlite3_file* below(Log& log) {
  return reinterpret_cast<sqlite3_file*>(&log + 1);
}

// Has all that was gathered in the file, or fails. It is dropped in either case, as bytes that could not be
// written are. SQLite may take the failure for that of another call, so it is also that of every further
// write of the transaction: without the bytes it must not commit.
int flush(Log& log) {
  if (log.size == 0) return SQLITE_OK;
  log.failure = below(log)->pMethods->xWrite(below(log), log.gathered, std::exchange(log.size, 0), log.at);
  return log.failure;
}

int gather(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  Log& log = log_of(file);
  if (log.failure != SQLITE_OK) return log.failure;
  if (log.size > 0 && (at != log.at + log.size || log.size + size > kGathered)) {
    if (const int rc = flush(log); rc != SQLITE_OK) return rc;
  }
  if (log.size == 0) log.at = at;
  if (size > kGathered) return below(log)->pMethods->xWrite(below(log), bytes, size, at);
  const auto* const from = static_cast<const unsigned char*>(bytes);
  std::copy_n(from, size, log.gathered + log.size);
  log.size += size;
  if (size == kFrameHeader) {
    log.ends = std::any_of(from + 4, from + 8, [](unsigned char byte) { return byte != 0; });
    return SQLITE_OK;
  }
  return std::exchange(log.ends, false) ? flush(log) : SQLITE_OK;
}

// Hands the call of this name on to the system's file, which then holds all that was written.
template <auto Method, class... Args>
int flush_and(sqlite3_file* file, Args... args) {
  Log& log = log_of(file);
  if (const int rc = flush(log); rc != SQLITE_OK) return rc;
  return (below(log)->pMethods->*Method)(below(log), args...);
}
// The same for what has to do with no bytes of the file.
template <auto Method, class... Args>
int hand_on(sqlite3_file* file, Args... args) {
  Log& log = log_of(file);
  return (below(log)->pMethods->*Method)(below(log), args...);
}

int read_log(sqlite3_file* file, void* bytes, int size, sqlite3_int64 at) {
  const Log& log = log_of(file);
  const bool is_gathered = at < log.at + log.size && log.at < at + size;
  return is_gathered ? flush_and<&Methods::xRead>(file, bytes, size, at)
                     : hand_on<&Methods::xRead>(file, bytes, size, at);
}

// What is still gathered was never committed, and its place may be another connection's by now.
int close_log(sqlite3_file* file) {
  Log& log = log_of(file);
  sqlite3_free(log.gathered);
  return below(log)->pMethods->xClose(below(log));
}

const Methods kMethods = {
    .iVersion = 1,  // locks and shared memory belong to the database file
    .xClose = close_log,
    .xRead = read_log,
    .xWrite = gather,
    .xTruncate = flush_and<&Methods::xTruncate>,
    .xSync = flush_and<&Methods::xSync>,
    .xFileSize = flush_and<&Methods::xFileSize>,
    .xLock = hand_on<&Methods::xLock>,
    .xUnlock = hand_on<&Methods::xUnlock>,
    .xCheckReservedLock = hand_on<&Methods::xCheckReservedLock>,
    .xFileControl = hand_on<&Methods::xFileControl>,
    .xSectorSize = hand_on<&Methods::xSectorSize>,
    .xDeviceCharacteristics = hand_on<&Methods::xDeviceCharacteristics>,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  if ((flags & SQLITE_OPEN_WAL) == 0) return system_vfs->xOpen(system_vfs, name, file, flags, out_flags);
  new (file) Log{};
  Log& log = log_of(file);
  log.gathered = static_cast<unsigned char*>(sqlite3_malloc(kGathered));
  if (log.gathered == nullptr) return SQLITE_NOMEM;
  const int rc = system_vfs->xOpen(system_vfs, name, below(log), flags, out_flags);
  if (below(log)->pMethods != nullptr) {
    log.base.pMethods = &kMethods;  // SQLite closes it, even if it could not be opened
  } else {
    sqlite3_free(log.gathered);
  }
  return rc;
}

void drop_gathered(void* db) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(static_cast<sqlite3*>(db), "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) !=
          SQLITE_OK ||
      file == nullptr || file->pMethods != &kMethods)
    return;
  log_of(file).size = 0;
  log_of(file).failure = SQLITE_OK;
}

}  // namespace

void register_log_vfs(sqlite3_vfs& system) {
  system_vfs = &system;
  log_vfs = system;
  log_vfs.zName = kLogVfs;
  log_vfs.szOsFile = std::max(system.szOsFile, static_cast<int>(sizeof(Log)) + system.szOsFile);
  log_vfs.xOpen = open_file;
  sqlite3_vfs_register(&log_vfs, 0);
}

void drop_gathered_at_rollback(sqlite3* db) {
  sqlite3_rollback_hook(db, drop_gathered, db);
}

}  // namespace outboxd::sqlite
