#include "runtime/standard_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

namespace outboxd {

void fill_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    // open() returns the lowest free number, which is this one. Without /dev/null there is no safe way to continue, and
    // nobody to tell.
    const int opened = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    if (opened != fd) _exit(EXIT_FAILURE);
  }
}

}  // namespace outboxd
