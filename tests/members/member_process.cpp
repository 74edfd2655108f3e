#include "members/member_process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include <atomic>
#include <cstdio>
#include <thread>
#include <utility>

#include "store/postgresql/member_session.h"

namespace outboxd::test {
namespace {

using namespace postgresql;
using namespace std::chrono_literals;

volatile std::sig_atomic_t leaving = 0;

void tell(int fd, const MemberProcess::State& state) {
  char line[100];
  const int length =
      std::snprintf(line, sizeof line, "%d %d %d %d %lld\n", state.owned, state.may_send, state.aborts,
                    state.ordered_after, static_cast<long long>(boot_now().count()));
  if (write(fd, line, static_cast<std::size_t>(length)) != length) _exit(3);
}

[[noreturn]] void live(const std::string& url, const std::string& name, int fd) {
  std::signal(SIGTERM, [](int) { leaving = 1; });
  Standing standing;
  std::atomic<bool> ends{false};
  Participant participant(
      [&] {
        return std::make_unique<ServerSession>(MemberSessionOptions{url, name});
      },
      standing, boot_now);
  std::thread member([&] {
    while (!ends) standing.sleep_member(participant.step());
    participant.leave();
  });
  MemberProcess::State now;
  PartitionSet owned;
  while (leaving == 0) {
    const bool may_send = standing.may_send();  // as a delivery loop asks, before it hears anything
    if (std::exchange(now.may_send, may_send) != may_send) tell(fd, now);
    const Facts facts = standing.wait(Millis(10));
    for (const Fact& fact : facts) {
      if (const auto* ours = std::get_if<PartitionsOwned>(&fact)) {
        owned |= ours->partitions;
        now.ordered_after = static_cast<int>(ours->ordered_after.count());
      } else if (const auto* lost = std::get_if<PartitionsLost>(&fact)) {
        owned &= ~lost->partitions;
        now.aborts += lost->abort;
        standing.release(lost->partitions);
      }
    }
    if (facts.empty()) continue;
    now.owned = static_cast<int>(owned.count());
    now.may_send = standing.may_send();  // what was true before the facts came is not true beside them
    tell(fd, now);
  }
  ends = true;
  standing.wake_member();
  member.join();
  _exit(0);
}

}  // namespace

MemberProcess::MemberProcess(const std::string& url, const std::string& name) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    live(url, name, ends[1]);
  }
  close(ends[1]);
  pipe_ = ends[0];
}

MemberProcess::~MemberProcess() {
  if (pid_ > 0) {
    signal(SIGKILL);
    wait_for_end();
  }
  close(pipe_);
}

void MemberProcess::signal(int number) const {
  kill(pid_, number);
}

void MemberProcess::wait_for_end() {
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

void MemberProcess::read_all() {
  char bytes[4096];
  for (ssize_t n = 0; (n = read(pipe_, bytes, sizeof bytes)) > 0;)
    buffer_.append(bytes, static_cast<std::size_t>(n));
  for (std::size_t end = 0; (end = buffer_.find('\n')) != std::string::npos; buffer_.erase(0, end + 1)) {
    int may_send = 0;
    long long since = 0;
    REQUIRE(std::sscanf(buffer_.c_str(), "%d %d %d %d %lld", &state_.owned, &may_send, &state_.aborts,
                        &state_.ordered_after, &since) == 5);
    state_.may_send = may_send != 0;
    state_.since = BootTime(since);
  }
}

MemberProcess::State MemberProcess::state() {
  read_all();
  return state_;
}

std::chrono::milliseconds MemberProcess::until_owned(int partitions, BootTime begun) {
  const BootTime end = boot_now() + 20s;
  while (state().owned != partitions) {
    REQUIRE(boot_now() < end);
    pollfd ready{pipe_, POLLIN, 0};
    poll(&ready, 1, 100);
  }
  return std::chrono::ceil<std::chrono::milliseconds>(state_.since - begun);
}

}  // namespace outboxd::test
