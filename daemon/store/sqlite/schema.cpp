#include "store/sqlite/schema.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "store/sqlite/file_lock.h"
#include "store/sqlite/served_files.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

constexpr mode_t kFileMode = 0660;  // producers write too; SQLite gives -wal and -shm the same mode
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr Millis kBusyTimeout{5000};
constexpr int kCacheKib = 2000;

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void cannot(const std::string& doing, const std::string& path) {
  const int error = errno;
  throw StoreError(StoreError::Kind::kCannotOpen,
                   "cannot " + doing + " " + path + ": " + std::strerror(error));
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw StoreError(
      StoreError::Kind::kCorrupt,
      path + " " + why + "; it was left untouched: restore a backup, or move it away to start anew");
}

std::uint32_t big_endian(const unsigned char* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

std::uintmax_t size_or_zero(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

// A file shorter than its header says has lost its end. If the WAL is not empty the header may be ahead of the file:
// then SQLite decides.
void check_length(const std::string& path, const unsigned char* header, std::uintmax_t size) {
  if (size_or_zero(path + "-wal") > 0) return;
  const bool count_is_valid = big_endian(header + 24) == big_endian(header + 92);
  std::uintmax_t page = std::uintmax_t{header[16]} << 8 | header[17];
  if (page == 1) page = 65536;
  if (count_is_valid && size < page * big_endian(header + 28))
    refuse(path, "is shorter than it should be: its end is lost");
}

int number_of(const embedded::File& file) {
  int number = 0;
  std::from_chars(file.name.data(), file.name.data() + file.name.size(), number);
  return number;
}

// Migrations may do what SQLite refuses to ordinary connections: edit the text of the schema.
class SchemaWrites {
 public:
  explicit SchemaWrites(Database& db) : db_(db) { set_defensive(0); }
  ~SchemaWrites() { set_defensive(1); }
  SchemaWrites(const SchemaWrites&) = delete;

 private:
  void set_defensive(int on) { sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_DEFENSIVE, on, nullptr); }
  Database& db_;
};

void apply_one(Database& db, const embedded::File& file) {
  const SchemaWrites allowed(db);
  db.execute("BEGIN IMMEDIATE");
  try {
    db.execute(std::string(file.text), [](std::string_view changed) {
      log::warn("migrated the database", {{"changed", changed}});
    });
    db.execute("PRAGMA application_id=" + std::to_string(kApplicationId));
    db.execute("PRAGMA user_version=" + std::to_string(number_of(file)));
    db.execute("COMMIT");
  } catch (...) {
    if (db.in_transaction()) db.execute("ROLLBACK");
    throw;
  }
}

void sync_folder(const std::string& path) {
  const File file(folder_of(path), O_RDONLY | O_DIRECTORY);
  if (file.fd() < 0 || fsync(file.fd()) != 0) cannot("sync the folder of", path);
}

}  // namespace

bool inspect_file(const Location& location) {
  if (!location.is_on_disk()) return true;
  const std::string& path = location.path;
  const File file(path, O_RDONLY | O_NONBLOCK);  // O_NONBLOCK: a FIFO must not block us
  if (file.fd() < 0) {
    if (errno != ENOENT) cannot("open", path);
    if (size_or_zero(path + "-wal") > 0) {
      throw StoreError(StoreError::Kind::kCorrupt,
                       path + " is missing, but its write-ahead log " + path +
                           "-wal is there with accepted events: restore the one or move the other away");
    }
    if (const std::string rescued = rescued_path(path); access(rescued.c_str(), F_OK) == 0) {
      throw StoreError(StoreError::Kind::kCorrupt, path + " is missing; outboxd copied it to " + rescued +
                                                       " when it was removed: rename that to " + path +
                                                       " to go on with it, or move it away to start anew");
    }
    return false;
  }
  unsigned char header[kHeaderSize] = {};
  struct stat status {};
  if (fstat(file.fd(), &status) != 0) cannot("read", path);
  if (!S_ISREG(status.st_mode)) refuse(path, "is no regular file");
  const ssize_t n = pread(file.fd(), header, sizeof header, 0);
  if (n < 0) cannot("read", path);
  if (static_cast<std::size_t>(n) < sizeof header || std::memcmp(header, kMagic.data(), kMagic.size()) != 0) {
    refuse(path, n == 0 ? "is empty: outboxd never leaves a database so" : "is no SQLite database");
  }
  if (big_endian(header + 68) != static_cast<std::uint32_t>(kApplicationId)) {
    refuse(path, "is a database of another program (its application_id is not outboxd's)");
  }
  check_length(path, header, static_cast<std::uintmax_t>(status.st_size));
  return true;
}

bool is_header_of_ours(std::span<const unsigned char, kHeaderSize> header) {
  return std::memcmp(header.data(), kMagic.data(), kMagic.size()) == 0 &&
         big_endian(header.data() + 68) == static_cast<std::uint32_t>(kApplicationId);
}

void create_file(const std::string& path, std::span<const embedded::File> migrations) {
  const std::string draft = path + ".new";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((draft + suffix).c_str());
  {
    const File file(draft, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, kFileMode);
    if (file.fd() < 0 || fchmod(file.fd(), kFileMode) != 0) cannot("create", draft);
  }
  {
    Database db(draft, Mode::kWriter, kBusyTimeout, kCacheKib);
    fill(db, migrations);
    db.checkpoint_all();  // only the file itself is renamed
  }
  for (const char* suffix : {"-wal", "-shm"}) unlink((draft + suffix).c_str());
  unlink((path + "-shm").c_str());  // left by a database that was moved away
  if (rename(draft.c_str(), path.c_str()) != 0) cannot("create", path);
  sync_folder(path);
  log::info("created the database", {{"path", path}});
}

void fill(Database& db, std::span<const embedded::File> migrations) {
  db.execute("PRAGMA auto_vacuum=INCREMENTAL");  // only takes effect before the first table
  db.execute("PRAGMA journal_mode=WAL");
  migrate(db, migrations);
}

int schema_version(Database& db) {
  return static_cast<int>(db.query_int("PRAGMA user_version"));
}

int newest_version(std::span<const embedded::File> migrations) {
  return migrations.empty() ? 0 : number_of(migrations.back());
}

void migrate(Database& db, std::span<const embedded::File> migrations) {
  const int current = schema_version(db);
  const int newest = newest_version(migrations);
  if (current > newest) {
    throw StoreError(StoreError::Kind::kNewerSchema,
                     "the database has schema " + std::to_string(current) + ", this outboxd knows up to " +
                         std::to_string(newest) +
                         ": run the newer outboxd, or restore a backup from before the upgrade");
  }
  for (const auto& file : migrations) {
    if (number_of(file) <= current) continue;
    apply_one(db, file);
    if (current > 0) log::info("migrated the database", {{"to", file.name}});
  }
}

}  // namespace outboxd::sqlite
