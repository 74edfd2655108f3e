// A member in a process of its own, which can be killed and stopped as a daemon can. It lets go at once of what it loses,
// and tells what happens to it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "store/postgresql/boot_time.h"

namespace outboxd::test {

class MemberProcess {
 public:
  // REQUIRES: this process has one thread.
  MemberProcess(const std::string& url, const std::string& name);
  ~MemberProcess();  // kills it
  MemberProcess(const MemberProcess&) = delete;

  void signal(int number) const;
  void wait_for_end();

  // What it has said until now: how many partitions it owns, whether it may send, and since when.
  struct State {
    int owned = 0;
    bool may_send = false;
    int aborts = 0;  // losses with abort
    int ordered_after = 0;
    postgresql::BootTime since{};
  };
  State state();
  // Waits until it owns so many; returns how long that took from `begun`. Fails after 20 s.
  std::chrono::milliseconds until_owned(int partitions, postgresql::BootTime begun);

 private:
  void read_all();

  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string buffer_;
  State state_;
};

}  // namespace outboxd::test
