#include "runtime/secret_file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace outboxd {

Result<std::string> read_secret_file(const std::string& path) {
  const auto refused = [&path](const std::string& why) {
    return problem(ProblemCode::kInvalidParameter, path + ": " + why);
  };
  // O_NONBLOCK: a FIFO must not block us.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return refused(std::string("cannot be read: ") + std::strerror(errno));
  std::string text;
  struct stat status {};
  bool good = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
              static_cast<std::size_t>(status.st_size) <= kMaxSecretFileBytes;
  if (good) {
    text.resize(static_cast<std::size_t>(status.st_size));
    good = read(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  close(fd);
  if (!good) return refused("is not a regular file of at most 1 MiB");
  return text;
}

}  // namespace outboxd
