#include "store/sqlite/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "telemetry/log.h"

namespace outboxd::sqlite {

FolderWatch::FolderWatch(const std::string& folder, std::string file)
    : file_(std::move(file)), fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
  // A rollback journal ends with its removal.
  if (fd_ >= 0 && inotify_add_watch(fd_, folder.c_str(), IN_MODIFY | IN_DELETE) >= 0) return;
  log::warn("no inotify: commits of other processes are looked for every 5 ms",
            {{"error", std::strerror(errno)}});
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

FolderWatch::~FolderWatch() {
  if (fd_ >= 0) close(fd_);
}

bool FolderWatch::drain() {
  bool changed = false;
  alignas(inotify_event) char events[4096];
  for (ssize_t size = 0; (size = read(fd_, events, sizeof events)) > 0;) {
    for (ssize_t at = 0; at < size;) {
      inotify_event head{};
      std::memcpy(&head, events + at, sizeof head);
      const char* const name = events + at + sizeof head;
      changed |= head.len == 0 || std::string_view(name).starts_with(file_);
      at += static_cast<ssize_t>(sizeof head + head.len);
    }
  }
  return changed;
}

}  // namespace outboxd::sqlite
