#include "ctl/interrupt.h"

#include <sys/signalfd.h>

#include <csignal>
#include <ctime>

namespace outboxd::ctl {
namespace {

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

}  // namespace

void hold_interrupts() {
  const sigset_t set = interrupts();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

bool wait_for_interrupt(Millis timeout) {
  const sigset_t set = interrupts();
  const timespec wait{timeout.count() / 1000, static_cast<long>(timeout.count() % 1000) * 1'000'000};
  return sigtimedwait(&set, nullptr, &wait) > 0;
}

int interrupt_fd() {
  static const int fd = [] {
    const sigset_t set = interrupts();
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }();
  return fd;
}

void wait_for_interrupt() {
  const sigset_t set = interrupts();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
}

}  // namespace outboxd::ctl
