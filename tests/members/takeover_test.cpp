// How long it takes until what a member owned is another one's, with real processes and a real server. Promised: 15 s.
#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <thread>

#include "common/partition.h"
#include "members/member_process.h"
#include "members/server.h"

using namespace outboxd;
using namespace outboxd::postgresql;
using namespace std::chrono_literals;
using test::MemberProcess;

namespace {

// Two members that share everything, half and half.
struct Pair {
  test::Server server;
  MemberProcess first{server.url, "first"}, second{server.url, "second"};

  Pair() {
    const BootTime begun = boot_now();
    first.until_owned(kPartitions / 2, begun);
    second.until_owned(kPartitions / 2, begun);
  }
  // How long it takes until the first owns everything, after the second got this signal.
  auto takeover_after(int signal, const std::string& what) {
    const BootTime begun = boot_now();
    second.signal(signal);
    const auto took = first.until_owned(kPartitions, begun);
    MESSAGE("takeover after " << what << ": " << took.count() << " ms");
    return took;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Pair, "after a kill the other member owns everything within three seconds") {
  CHECK(takeover_after(SIGKILL, "SIGKILL") < 3s);
  CHECK(first.state().ordered_after == 4000);
}

TEST_CASE_FIXTURE(Pair,
                  "after a clean leave it owns everything within three seconds, and nothing has to wait") {
  CHECK(takeover_after(SIGTERM, "a clean leave") < 3s);
  CHECK(first.state().ordered_after == 0);
}

TEST_CASE_FIXTURE(Pair,
                  "a stopped member is taken over within the window, and sends nothing when it goes on") {
  CHECK(takeover_after(SIGSTOP, "SIGSTOP") < 11s);
  second.state();
  const BootTime resumed = boot_now();
  second.signal(SIGCONT);
  while (second.state().may_send) std::this_thread::sleep_for(1ms);
  MESSAGE("stopped sending "
          << std::chrono::ceil<std::chrono::milliseconds>(second.state().since - resumed).count()
          << " ms after it went on");
  CHECK(second.state().since - resumed < 100ms);
  second.until_owned(0, resumed);
  second.until_owned(kPartitions / 2, resumed);
  CHECK(second.state().may_send);
  first.until_owned(kPartitions / 2, resumed);
}

TEST_CASE_FIXTURE(
    Pair, "an outage of the server stops sending within the window, and all is shared again after it") {
  const BootTime begun = boot_now();
  server.postgres.stop();
  first.until_owned(0, begun);
  second.until_owned(0, begun);
  CHECK_FALSE(first.state().may_send);
  std::this_thread::sleep_for(5s);
  CHECK(first.state().owned == 0);
  const BootTime back = boot_now();
  server.postgres.start();
  const auto took =
      std::max(first.until_owned(kPartitions / 2, back), second.until_owned(kPartitions / 2, back));
  MESSAGE("shared again after an outage: " << took.count() << " ms");
  CHECK(took < 10s);
}
