#include "faults/recording_vfs.h"

#include <sqlite3.h>

#include <filesystem>
#include <mutex>
#include <new>
#include <stdexcept>

namespace outboxd::faults {
namespace {

using Kind = Operation::Kind;

struct Recorder {
  std::mutex mutex;
  bool on = false;
  std::vector<Operation> log;
  std::int64_t syncs_to_failure = 0;
  bool failed = false;

  void add(Operation operation) {
    const std::lock_guard lock(mutex);
    if (on) log.push_back(std::move(operation));
  }
  bool sync_fails() {
    const std::lock_guard lock(mutex);
    if (!on || syncs_to_failure == 0 || --syncs_to_failure > 0) return false;
    return failed = true;
  }
};

Recorder& recorder() {
  static Recorder instance;
  return instance;
}

// One open file: ours, and behind it in the same memory the one of the VFS below.
struct File : sqlite3_file {
  std::string name;
  bool recorded;
  bool syncs_folder;  // as os_unix.c does with the first sync of a new log
  sqlite3_file* below;
};

File& file_of(sqlite3_file* file) {
  return *static_cast<File*>(file);
}
sqlite3_file* below(sqlite3_file* file) {
  return file_of(file).below;
}
sqlite3_vfs* vfs_below(sqlite3_vfs* vfs) {
  return static_cast<sqlite3_vfs*>(vfs->pAppData);
}

int close_file(sqlite3_file* file) {
  const int rc = below(file)->pMethods ? below(file)->pMethods->xClose(below(file)) : SQLITE_OK;
  file_of(file).name.~basic_string();
  file->pMethods = nullptr;
  return rc;
}

int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  const int rc = below(file)->pMethods->xWrite(below(file), bytes, size, offset);
  const File& f = file_of(file);
  if (rc == SQLITE_OK && f.recorded) {
    recorder().add({Kind::kWrite, f.name, offset,
                    std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size))});
  }
  return rc;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  const int rc = below(file)->pMethods->xTruncate(below(file), size);
  if (rc == SQLITE_OK && file_of(file).recorded) recorder().add({Kind::kTruncate, file_of(file).name, size});
  return rc;
}

int sync_file(sqlite3_file* file, int flags) {
  File& f = file_of(file);
  if (f.recorded && recorder().sync_fails()) {
    recorder().add({Kind::kFailedSync, f.name});
    return SQLITE_IOERR_FSYNC;
  }
  const int rc = below(file)->pMethods->xSync(below(file), flags);
  if (rc != SQLITE_OK || !f.recorded) return rc;
  recorder().add({Kind::kSync, f.name});
  if (f.syncs_folder) recorder().add({Kind::kSyncFolder});
  f.syncs_folder = false;
  return rc;
}

const sqlite3_io_methods kMethods = {
    .iVersion = 2,  // no xFetch: memory-mapped writes would pass us by
    .xClose = close_file,
    .xRead = [](sqlite3_file* f, void* to, int size,
                sqlite3_int64 offset) { return below(f)->pMethods->xRead(below(f), to, size, offset); },
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = [](sqlite3_file* f,
                    sqlite3_int64* size) { return below(f)->pMethods->xFileSize(below(f), size); },
    .xLock = [](sqlite3_file* f, int level) { return below(f)->pMethods->xLock(below(f), level); },
    .xUnlock = [](sqlite3_file* f, int level) { return below(f)->pMethods->xUnlock(below(f), level); },
    .xCheckReservedLock = [](sqlite3_file* f,
                             int* held) { return below(f)->pMethods->xCheckReservedLock(below(f), held); },
    .xFileControl = [](sqlite3_file* f, int op,
                       void* arg) { return below(f)->pMethods->xFileControl(below(f), op, arg); },
    .xSectorSize = [](sqlite3_file* f) { return below(f)->pMethods->xSectorSize(below(f)); },
    .xDeviceCharacteristics =
        [](sqlite3_file* f) { return below(f)->pMethods->xDeviceCharacteristics(below(f)); },
    .xShmMap =
        [](sqlite3_file* f, int page, int size, int extend, void volatile** at) {
          return below(f)->pMethods->xShmMap(below(f), page, size, extend, at);
        },
    .xShmLock = [](sqlite3_file* f, int offset, int n,
                   int flags) { return below(f)->pMethods->xShmLock(below(f), offset, n, flags); },
    .xShmBarrier = [](sqlite3_file* f) { below(f)->pMethods->xShmBarrier(below(f)); },
    .xShmUnmap = [](sqlite3_file* f, int remove) { return below(f)->pMethods->xShmUnmap(below(f), remove); },
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  constexpr int kLasting =
      SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL;
  const bool recorded = name != nullptr && (flags & kLasting) != 0;
  const bool is_new = recorded && !std::filesystem::exists(name);
  File* const f = static_cast<File*>(file);
  f->below = reinterpret_cast<sqlite3_file*>(f + 1);
  f->below->pMethods = nullptr;
  const int rc = vfs_below(vfs)->xOpen(vfs_below(vfs), name, f->below, flags, out_flags);
  if (rc != SQLITE_OK) {
    file->pMethods = nullptr;  // then xClose is not called
    return rc;
  }
  new (&f->name) std::string(name == nullptr ? "" : name);
  f->recorded = recorded;
  f->syncs_folder = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & SQLITE_OPEN_MAIN_DB) == 0;
  f->pMethods = &kMethods;
  if (is_new) recorder().add({Kind::kCreate, f->name});
  return rc;
}

int delete_file(sqlite3_vfs* vfs, const char* name, int sync_folder) {
  const int rc = vfs_below(vfs)->xDelete(vfs_below(vfs), name, sync_folder);
  if (rc != SQLITE_OK) return rc;
  recorder().add({Kind::kDelete, name});
  if (sync_folder != 0) recorder().add({Kind::kSyncFolder});
  return rc;
}

}  // namespace

void install_recording_vfs() {
  sqlite3_vfs* const real = sqlite3_vfs_find(nullptr);
  static sqlite3_vfs recording =
      *real;  // what is not replaced works on the VFS below as well: it looks at no data of its own
  recording.szOsFile = static_cast<int>(sizeof(File)) + real->szOsFile;
  recording.zName = "recording";
  recording.pNext = nullptr;
  recording.pAppData = real;
  recording.xOpen = open_file;
  recording.xDelete = delete_file;
  recording.xAccess = [](sqlite3_vfs* v, const char* name, int flags, int* result) {
    return vfs_below(v)->xAccess(vfs_below(v), name, flags, result);
  };
  recording.xFullPathname = [](sqlite3_vfs* v, const char* name, int size, char* out) {
    return vfs_below(v)->xFullPathname(vfs_below(v), name, size, out);
  };
  if (sqlite3_vfs_register(&recording, 1) != SQLITE_OK)
    throw std::runtime_error("the recording VFS is refused");
}

void start_recording() {
  const std::lock_guard lock(recorder().mutex);
  recorder().on = true;
  recorder().failed = false;
  recorder().log.clear();
}

void mark_step(std::int64_t step) {
  recorder().add({Kind::kStep, "", step});
}

std::vector<Operation> stop_recording() {
  const std::lock_guard lock(recorder().mutex);
  recorder().on = false;
  recorder().syncs_to_failure = 0;
  return std::move(recorder().log);
}

void fail_sync(std::int64_t n) {
  const std::lock_guard lock(recorder().mutex);
  recorder().syncs_to_failure = n;
}

bool sync_has_failed() {
  const std::lock_guard lock(recorder().mutex);
  return recorder().failed;
}

}  // namespace outboxd::faults
