#include "store/sqlite/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "store/store.h"

namespace outboxd::sqlite {
namespace {

constexpr mode_t kLockMode = 0660;

// statfs(2) and linux/magic.h: NFS, SMB, SMB2, CIFS, AFS (two), Ceph, 9P, Coda, GFS2, OCFS2, Lustre, NCP. FUSE is not
// listed, because most FUSE mounts are local.
constexpr std::array<unsigned, 13> kNetworkTypes = {
    0x6969,     0x517B,     0xFE534D42, 0xFF534D42, 0x5346414F, 0x6B414653, 0x00C36400,
    0x01021997, 0x73757245, 0x01161970, 0x7461636F, 0x0BD00BD0, 0x564C};

[[noreturn]] void cannot(const std::string& doing, const std::string& path) {
  const int error = errno;
  throw StoreError(StoreError::Kind::kCannotOpen,
                   "cannot " + doing + " " + path + ": " + std::strerror(error));
}

std::string owner_of(int fd) {
  char text[32] = {};
  const ssize_t n = pread(fd, text, sizeof text - 1, 0);
  std::string pid(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  pid.erase(std::remove(pid.begin(), pid.end(), '\n'), pid.end());
  return pid.empty() ? "another process" : "pid " + pid;
}

}  // namespace

std::string folder_of(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  return folder.empty() ? std::string(1, '.') : folder.string();
}

bool is_network_file_system(long type) {
  return std::find(kNetworkTypes.begin(), kNetworkTypes.end(), static_cast<unsigned>(type)) !=
         kNetworkTypes.end();
}

FileLock::FileLock(const Location& location) {
  if (!location.is_on_disk()) return;
  const std::string& path = location.path;
  const std::string folder = folder_of(path);
  struct statfs fs {};
  if (statfs(folder.c_str(), &fs) != 0) cannot("use the folder", folder);
  if (is_network_file_system(fs.f_type)) {
    throw StoreError(
        StoreError::Kind::kCannotOpen,
        folder + " is on a network file system, where SQLite cannot keep a database safe: use a local disk");
  }
  const std::string lock = path + ".lock";
  fd_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLockMode);
  if (fd_ < 0) cannot("open", lock);
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    const std::string owner = owner_of(fd_);
    close(fd_);
    if (error != EWOULDBLOCK) {
      errno = error;
      cannot("lock", lock);
    }
    throw StoreError(StoreError::Kind::kLocked,
                     path + " is already served by " + owner + ": stop that one first");
  }
  struct stat status {};
  // Only for a new file: someone may have had a reason to change the mode later.
  if (fstat(fd_, &status) == 0 && status.st_size == 0) fchmod(fd_, kLockMode);  // whatever the umask
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(fd_, 0) != 0 || pwrite(fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const int error = errno;
    close(fd_);
    errno = error;
    cannot("write", lock);
  }
}

// The file is not removed: otherwise two processes could each lock a different file of the same name.
FileLock::~FileLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace outboxd::sqlite
