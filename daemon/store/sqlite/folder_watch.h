// Tells by inotify that someone writes to a file in a folder. It fires before a commit is visible, and may miss one, so
// it only says when it is worth asking SQLite.
#pragma once

#include <string>

namespace outboxd::sqlite {

class FolderWatch {
 public:
  // `file`: only changes of files whose names begin with this count; "": of any.
  FolderWatch(const std::string& folder, std::string file);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;

  int fd() const {
    return fd_;
  }              // readable when something changed; -1: the system gave us no inotify instance
  bool drain();  // true: something had changed

 private:
  const std::string file_;
  int fd_ = -1;
};

}  // namespace outboxd::sqlite
