#include "store/sqlite/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "store/sqlite/file_lock.h"
#include "telemetry/log.h"

namespace outboxd::sqlite {
namespace {

bool has_room(const std::string& folder, std::int64_t bytes) {
  struct statvfs disk {};
  if (statvfs(folder.c_str(), &disk) != 0) return false;
  return static_cast<std::int64_t>(disk.f_bavail) * static_cast<std::int64_t>(disk.f_frsize) >= bytes;
}

}  // namespace

Ballast::Ballast(const Location& database, std::int64_t bytes)
    : path_(database.path + ".ballast"), bytes_(database.is_on_disk() ? bytes : 0) {
  if (!database.is_on_disk()) return;
  struct stat there {};
  if (stat(path_.c_str(), &there) == 0) {
    if (bytes_ > 0 && there.st_size == bytes_ && there.st_blocks * 512 >= bytes_) return;
    unlink(path_.c_str());
  }
  if (bytes_ == 0) return;
  released_ = !make();
  if (released_) log::warn("the disk has no room for the ballast: new events are refused", {{"file", path_}});
}

bool Ballast::make() {
  if (!has_room(folder_of(path_), 2 * bytes_)) return false;
  const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  const bool made = fd >= 0 && posix_fallocate(fd, 0, bytes_) == 0;
  if (fd >= 0) close(fd);
  if (!made) unlink(path_.c_str());
  return made;
}

bool Ballast::release() {
  if (bytes_ == 0 || released_) return false;
  released_ = true;
  unlink(path_.c_str());
  log::error(
      "the disk is full: the ballast is released, so that outcomes can be recorded; new events are refused",
      {{"file", path_}, {"bytes", bytes_}});
  return true;
}

void Ballast::restore_if_possible() {
  if (!released_) return;
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count();
  if (now == looked_at_) return;
  looked_at_ = now;
  if (!make()) return;
  released_ = false;
  log::info("the disk has room again: new events are accepted", {{"file", path_}});
}

}  // namespace outboxd::sqlite
