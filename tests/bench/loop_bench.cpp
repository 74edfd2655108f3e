// What the event loop costs by itself: a timer set and cancelled among many, as each request has one; a descriptor that
// is ready; work posted by another thread. Not a test; usage: loop_bench [timers]
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/text.h"
#include "runtime/event_loop.h"

namespace {

using namespace outboxd;
using Clock = std::chrono::steady_clock;

double ns_each(Clock::time_point begin, int count) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / count;
}

// Requests that end in no particular order, each long before its timeout.
void set_and_cancel(int timers) {
  constexpr int kTimes = 1'000'000;
  EventLoop loop;
  std::mt19937 random(1);
  std::vector<EventLoop::TimerId> under_way;
  under_way.reserve(static_cast<std::size_t>(timers));
  auto when = Clock::now() + std::chrono::hours(1);
  for (int i = 0; i < timers; ++i)
    under_way.push_back(loop.call_at(when += std::chrono::microseconds(50), [] {}));
  const auto begin = Clock::now();
  for (int i = 0; i < kTimes; ++i) {
    auto& timer = under_way[random() % under_way.size()];
    loop.cancel(timer);
    timer = loop.call_at(when += std::chrono::microseconds(50), [] {});
  }
  std::printf("a timer set and cancelled among %d: %.0f ns\n", timers, ns_each(begin, kTimes));
}

void run_due(int timers) {
  EventLoop loop;
  int left = timers;
  for (int i = 0; i < timers; ++i)
    loop.call_at(MonotonicTime{} + std::chrono::microseconds(i), [&] {
      if (--left == 0) loop.stop();
    });
  const auto begin = Clock::now();
  loop.run();
  std::printf("a timer that is due, of %d: %.0f ns\n", timers, ns_each(begin, timers));
}

// Each descriptor that is told makes another one ready: so many are ready at a time.
void ready_descriptors(int descriptors, int ready) {
  constexpr int kTimes = 300'000;
  EventLoop loop;
  std::vector<int> fds;
  int told = 0;
  fds.reserve(static_cast<std::size_t>(descriptors));
  for (int i = 0; i < descriptors; ++i) fds.push_back(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  for (int i = 0; i < descriptors; ++i) {
    const int fd = fds[static_cast<std::size_t>(i)];
    const int next = fds[static_cast<std::size_t>((i + ready) % descriptors)];
    loop.watch(fd, EPOLLIN | EPOLLET, [&loop, &told, next](std::uint32_t) {
      eventfd_write(next, 1);
      if (++told == kTimes) loop.stop();
    });
  }
  for (int i = 0; i < ready; ++i) eventfd_write(fds[static_cast<std::size_t>(i)], 1);
  const auto begin = Clock::now();
  loop.run();
  std::printf("a ready descriptor of %d, %d at a time: %.0f ns\n", descriptors, ready,
              ns_each(begin, kTimes));
  for (const int fd : fds) close(fd);
}

void watch_and_unwatch() {
  constexpr int kTimes = 300'000;
  EventLoop loop;
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const auto begin = Clock::now();
  for (int i = 0; i < kTimes; ++i) {
    loop.watch(fd, EPOLLIN, [](std::uint32_t) {});
    loop.unwatch(fd);
  }
  std::printf("a descriptor watched and unwatched: %.0f ns\n", ns_each(begin, kTimes));
  close(fd);
}

void posted_work() {
  constexpr int kTimes = 1'000'000;
  EventLoop loop;
  int done = 0;
  const auto begin = Clock::now();
  std::thread other([&] {
    for (int i = 0; i < kTimes; ++i)
      loop.post([&] {
        if (++done == kTimes) loop.stop();
      });
  });
  loop.run();
  other.join();
  std::printf("work posted by another thread: %.0f ns\n", ns_each(begin, kTimes));
}

}  // namespace

int main(int argc, char** argv) {
  const auto asked = argc > 1 ? parse_int(argv[1]) : std::nullopt;
  const int timers = static_cast<int>(std::clamp<std::int64_t>(asked.value_or(10'000), 1, 1'000'000));
  set_and_cancel(timers);
  run_due(timers);
  ready_descriptors(1000, 1);
  ready_descriptors(1000, 200);
  watch_and_unwatch();
  posted_work();
}
