#include "store/sqlite/served_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "store/sqlite/schema.h"

namespace outboxd::sqlite {
namespace {

constexpr int kCacheKib = 2000;

sqlite3_file* file_of(Database& db) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  return file;
}

// The status of a file that this process has open, whatever happened to its name.
struct stat status_of_open(dev_t device, ino_t inode) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat status {};
    if (stat(entry.path().c_str(), &status) == 0 && status.st_dev == device && status.st_ino == inode)
      return status;
  }
  throw std::runtime_error("it is not open any more");
}

struct Emptied {
  bool copied = false;  // everything in the log has been copied into the database
  bool empty = false;   // and the log's file is empty
};
Emptied empty_the_log(Database& db) {
  int in_log = -1, copied = -1;
  const int rc = sqlite3_wal_checkpoint_v2(db.handle(), "main", SQLITE_CHECKPOINT_TRUNCATE, &in_log, &copied);
  if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY) db.fail(rc, "checkpointing");
  return {.copied = rc == SQLITE_OK || (in_log >= 0 && in_log == copied), .empty = rc == SQLITE_OK};
}

bool was_moved(Database& db) {
  int moved = 0;
  sqlite3_file_control(db.handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved != 0;
}

}  // namespace

std::string rescued_path(const std::string& path) {
  return path + ".rescued";
}

ServedFiles::ServedFiles(Database& db, const Location& location) : db_(db), path_(location.path) {
  if (!location.is_on_disk()) return;
  // With symbolic links resolved, because the companion files are beside the real file.
  const char* const name = sqlite3_db_filename(db.handle(), "main");
  add(path_, Part::kDatabase);
  add(sqlite3_filename_wal(name), Part::kLog);
  add(std::string(name) + "-shm", Part::kOther);
  add(path_ + ".lock", Part::kOther);
  if (was_moved(db))
    throw StoreError(StoreError::Kind::kFailed, path_ + " was replaced while it was opened: start again");
}

void ServedFiles::add(std::string path, Part part) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    const std::string why = std::strerror(errno);
    throw StoreError(StoreError::Kind::kFailed, path + " cannot be found while it is opened: " + why);
  }
  files_.push_back({std::move(path), part, status.st_dev, status.st_ino});
}

void ServedFiles::check() {
  for (const File& file : files_) {
    if (file.part != Part::kOther) check(file);
  }
}

void ServedFiles::check(const File& file) {
  if (const auto happened = what_happened_to(file))
    throw StoreError(StoreError::Kind::kFailed, file.path + " " + *happened + save(file));
}

void ServedFiles::check_all() {
  for (const File& file : files_) check(file);
  if (!files_.empty() && !is_still_ours())
    throw StoreError(StoreError::Kind::kFailed,
                     path_ + " was overwritten while outboxd served it: restore the newest backup");
}

std::optional<std::string> ServedFiles::what_happened_to(const File& file) const {
  struct stat now {};
  if (stat(file.path.c_str(), &now) == 0) {
    if (now.st_dev == file.device && now.st_ino == file.inode) return std::nullopt;
    return "was replaced by another file while outboxd served it";
  }
  // Any other error says nothing about the file itself.
  if (errno != ENOENT && errno != ENOTDIR) return std::nullopt;
  return "was removed or moved away while outboxd served it";
}

// Reads the header through the descriptor that SQLite has open: opening and closing the file here would release
// SQLite's locks.
bool ServedFiles::is_still_ours() const {
  sqlite3_file* const file = file_of(db_);
  std::array<unsigned char, kHeaderSize> header{};
  const int rc = file->pMethods->xRead(file, header.data(), static_cast<int>(header.size()), 0);
  if (rc == SQLITE_OK) return is_header_of_ours(header);
  return rc != SQLITE_IOERR_SHORT_READ;  // any other failure will show at the next commit too
}

// Saves as much accepted data as possible to where the next start, or the operator, finds it. Returns what to do.
std::string ServedFiles::save(const File& file) {
  if (file.part == Part::kOther) return ": start again; nothing that was accepted is in it";
  try {
    const Emptied log = empty_the_log(db_);
    if (file.part == Part::kLog) {
      return log.copied
                 ? ". What was in it is in " + path_ +
                       " now, which is complete without it: remove what is in its place, and start again"
                 : ", and a reader kept it from being copied into the database: put it back, then "
                   "start again";
    }
    const struct stat status = status_of_open(file.device, file.inode);
    if (status.st_nlink == 0) return copy_of_removed(status.st_mode);
    return ": put it back, " + (log.empty ? std::string() : "with " + files_[1].path + ", ") +
           "then start again; everything that was accepted is in it";
  } catch (const std::exception& failure) {
    return ", and its content could not be saved (" + std::string(failure.what()) +
           "): put it back, or restore the newest backup";
  }
}

// An unlinked file disappears with this process, so it must be copied.
std::string ServedFiles::copy_of_removed(mode_t mode) {
  const std::string target = rescued_path(path_);
  const int fd = open(target.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error(target + ": " + std::strerror(errno));
  close(fd);  // before SQLite opens it
  {
    // Copied page by page, so that a stale write-ahead log beside it does no harm.
    Database copied(target, Mode::kWriter, Millis(0), kCacheKib);
    sqlite3_backup* const backup = sqlite3_backup_init(copied.handle(), "main", db_.handle(), "main");
    if (backup != nullptr) sqlite3_backup_step(backup, -1);
    if (const int rc = sqlite3_backup_finish(backup); backup == nullptr || rc != SQLITE_OK)
      copied.fail(sqlite3_errcode(copied.handle()), "copying the database to " + target);
  }
  for (const char* suffix : {"-wal", "-shm"}) unlink((target + suffix).c_str());
  if (chmod(target.c_str(), mode & 07777) != 0)
    throw std::runtime_error(target + ": " + std::strerror(errno));
  return ". It was copied: rename " + target + " to " + path_ + ", then start again";
}

}  // namespace outboxd::sqlite
