#include "runtime/event_loop.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

struct Pipe {
  Pipe() { REQUIRE(pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  void write_byte() const { REQUIRE(write(ends[1], "x", 1) == 1); }
  void read_byte() const {
    char c = 0;
    REQUIRE(read(ends[0], &c, 1) == 1);
  }
  std::array<int, 2> ends{};
};

// A loop that ends by itself when a test has gone wrong.
struct GuardedLoop : EventLoop {
  GuardedLoop() {
    call_at(std::chrono::steady_clock::now() + 20s, [this] {
      timed_out = true;
      stop();
    });
  }
  void run_to_stop() {
    run();
    CHECK_FALSE(timed_out);
  }
  bool timed_out = false;
};

// Takes its time, as work does: a loop goes by the clock.
void work_for(std::chrono::microseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
  }
}

}  // namespace

TEST_CASE("what a handler posts runs in the same round, and makes no other round") {
  GuardedLoop loop;
  const Pipe pipe;
  int rounds = 0, ran_in = 0;
  loop.after_each_round([&] { ++rounds; });
  loop.watch(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
    pipe.read_byte();
    loop.post([&] { ran_in = rounds + 1; });
    loop.call_at(std::chrono::steady_clock::now() + 50ms, [&] { loop.stop(); });
  });
  pipe.write_byte();
  loop.run_to_stop();
  CHECK(ran_in == 1);
  CHECK(rounds == 2);  // that one, and the timer's
}

TEST_CASE("what posted work and the end of a round post runs in the next one, without waiting") {
  GuardedLoop loop;
  const auto began = std::chrono::steady_clock::now();
  int rounds = 0;
  loop.after_each_round([&] {
    if (++rounds == 2) loop.post([&] { loop.stop(); });
  });
  loop.post([&] { loop.post([] {}); });
  loop.run_to_stop();
  CHECK(rounds == 3);
  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("a ready descriptor calls its handler with what it is ready for") {
  GuardedLoop loop;
  const Pipe pipe;
  std::uint32_t seen = 0;
  loop.watch(pipe.ends[0], EPOLLIN, [&](std::uint32_t events) {
    seen = events;
    loop.stop();
  });
  pipe.write_byte();
  loop.run_to_stop();
  CHECK(seen == EPOLLIN);
}

TEST_CASE("a level-triggered descriptor calls again until it is drained, an edge-triggered one once") {
  GuardedLoop loop;
  const Pipe level, edge;
  int level_calls = 0, edge_calls = 0;
  loop.watch(level.ends[0], EPOLLIN, [&](auto) {
    if (++level_calls == 5) loop.stop();
  });
  loop.watch(edge.ends[0], EPOLLIN | EPOLLET, [&](auto) { ++edge_calls; });
  level.write_byte();
  edge.write_byte();
  loop.run_to_stop();
  CHECK(level_calls == 5);
  CHECK(edge_calls == 1);
}

TEST_CASE("change and a second watch replace the events and the handler") {
  GuardedLoop loop;
  const Pipe pipe;
  std::string order;
  loop.watch(pipe.ends[1], EPOLLIN, [&](auto) { order += "never"; });
  loop.change(pipe.ends[1], EPOLLOUT);
  loop.watch(pipe.ends[1], EPOLLOUT, [&](auto) {
    order += "new";
    loop.stop();
  });
  loop.change(-1, EPOLLIN);  // not watched: no effect
  loop.run_to_stop();
  CHECK(order == "new");
}

TEST_CASE("a handler may unwatch itself and others that are ready in the same round") {
  GuardedLoop loop;
  const Pipe a, b;
  int calls = 0;
  const auto handler = [&, owned = std::make_shared<int>(7)](auto) {
    loop.unwatch(a.ends[0]);
    loop.unwatch(b.ends[0]);
    loop.unwatch(b.ends[0]);  // again: no effect
    calls += *owned == 7;     // what it captured is still alive
    loop.post([&] { loop.post([&] { loop.stop(); }); });
  };
  loop.watch(a.ends[0], EPOLLIN, handler);
  loop.watch(b.ends[0], EPOLLIN, handler);
  a.write_byte();
  b.write_byte();
  loop.run_to_stop();
  CHECK(calls == 1);
}

TEST_CASE("a late event of a closed descriptor does not reach the one that reuses its number") {
  GuardedLoop loop;
  std::array<std::array<int, 2>, 2> pairs{};
  for (auto& pair : pairs) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0);
    REQUIRE(write(pair[1], "x", 1) == 1);
  }
  int reused = -1, wrong = 0;
  const auto replace = [&](int mine, int other) {
    if (reused != -1) return;
    loop.unwatch(mine);
    loop.unwatch(other);
    close(other);
    reused = fcntl(mine, F_DUPFD_CLOEXEC, other);  // readable too, but told so only in the next round
    loop.watch(reused, EPOLLOUT, [&](std::uint32_t events) {
      wrong += (events & EPOLLIN) != 0;
      loop.stop();
    });
  };
  loop.watch(pairs[0][0], EPOLLIN, [&](auto) { replace(pairs[0][0], pairs[1][0]); });
  loop.watch(pairs[1][0], EPOLLIN, [&](auto) { replace(pairs[1][0], pairs[0][0]); });
  loop.run_to_stop();
  CHECK((reused == pairs[0][0] || reused == pairs[1][0]));
  CHECK(wrong == 0);
  for (const auto& pair : pairs) {
    close(pair[0]);
    close(pair[1]);
  }
}

TEST_CASE("a descriptor that cannot be watched is refused and leaves nothing behind") {
  EventLoop loop;
  CHECK_THROWS_AS(loop.watch(-1, EPOLLIN, [](auto) {}), std::system_error);
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const int regular = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
  CHECK_THROWS_AS(loop.watch(regular, EPOLLIN, [](auto) {}),
                  std::system_error);  // epoll has no regular files
  close(file);
  close(regular);
  const Pipe pipe;  // takes the numbers over
  CHECK_NOTHROW(loop.watch(pipe.ends[0], EPOLLIN, [](auto) {}));
  CHECK_NOTHROW(loop.watch(pipe.ends[1], EPOLLOUT, [](auto) {}));
}

TEST_CASE("timers run in the order of their times, equal ones in the order they were set, none early") {
  GuardedLoop loop;
  std::string order;
  const auto start = std::chrono::steady_clock::now();
  loop.call_at(start + 30ms, [&] {
    order += "d";
    CHECK(std::chrono::steady_clock::now() >= start + 30ms);
    CHECK(loop.now() >= start + 30ms);
    loop.stop();
  });
  loop.call_at(start + 10ms, [&] { order += "b"; });
  loop.call_at(start + 10ms, [&] { order += "c"; });
  loop.call_at(start - 1h, [&] { order += "a"; });
  loop.run_to_stop();
  CHECK(order == "abcd");
}

TEST_CASE("a cancelled timer does not run, not even when both are due in one round") {
  GuardedLoop loop;
  const auto start = std::chrono::steady_clock::now();
  std::string order;
  EventLoop::TimerId second;
  const auto first = loop.call_at(start, [&] {
    order += "1";
    loop.cancel(second);
  });
  second = loop.call_at(start, [&] { order += "2"; });
  loop.call_at(start, [&] {
    order += "3";
    loop.cancel(first);  // it has run: no effect
    loop.stop();
  });
  loop.run_to_stop();
  CHECK(order == "13");
}

TEST_CASE("a timer that sets itself again at once lets descriptors and posted work run") {
  GuardedLoop loop;
  const Pipe pipe;
  int rounds = 0, reads = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop.call_at(loop.now() - 1s, again);
  };
  loop.call_at(loop.now(), again);
  loop.watch(pipe.ends[0], EPOLLIN, [&](auto) {
    pipe.read_byte();
    if (++reads == 3) return loop.stop();
    loop.post([&] { pipe.write_byte(); });
  });
  pipe.write_byte();
  loop.run_to_stop();
  CHECK(reads == 3);
  CHECK(rounds >= 2);
}

TEST_CASE("many timers that are due together do not keep a descriptor waiting until the last has run") {
  EventLoop loop;
  const Pipe pipe;
  int timers = 0;
  int timers_before_read = -1;
  loop.watch(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
    pipe.read_byte();
    timers_before_read = timers;
  });
  for (int i = 0; i < 1000; ++i) {
    loop.call_at(MonotonicTime{}, [&] {
      if (++timers == 1) pipe.write_byte();
      if (timers == 1000) loop.stop();
    });
  }
  loop.run();
  CHECK(timers_before_read > 0);
  CHECK(timers_before_read < 100);
}

TEST_CASE("timers that take long are run one at a time while a descriptor is ready") {
  GuardedLoop loop;
  const Pipe pipe;
  int timers = 0, timers_before_read = -1;
  loop.watch(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
    pipe.read_byte();
    timers_before_read = timers;
  });
  for (int i = 0; i < 20; ++i) {
    loop.call_at(MonotonicTime{}, [&] {
      if (++timers == 1) pipe.write_byte();
      work_for(2ms);
      if (timers == 20) loop.stop();
    });
  }
  loop.run_to_stop();
  CHECK(timers_before_read == 1);
}

TEST_CASE("much posted work keeps neither a descriptor nor a timer waiting, and its order") {
  GuardedLoop loop;
  const Pipe pipe;
  constexpr int kMany = 10'000;
  int done = 0, done_before_read = -1, done_before_timer = -1;
  bool in_order = true;
  loop.watch(pipe.ends[0], EPOLLIN, [&](std::uint32_t) {
    pipe.read_byte();
    done_before_read = done;
  });
  for (int i = 0; i < kMany; ++i) {
    loop.post([&, i] {
      in_order = in_order && done == i;
      if (++done == 1) {
        pipe.write_byte();
        loop.call_at(loop.now(), [&] { done_before_timer = done; });
      }
      if (i == 50) loop.post([&] { in_order = in_order && done == kMany; });
      if (done == kMany) loop.post([&] { loop.stop(); });
    });
  }
  loop.run_to_stop();
  CHECK(in_order);
  CHECK(done == kMany);
  CHECK(done_before_read > 0);
  CHECK(done_before_read < 100);
  CHECK(done_before_timer > 0);
  CHECK(done_before_timer < 100);
}

TEST_CASE(
    "descriptors whose handlers take long are told in turn, each once, with timers and posted work between") {
  GuardedLoop loop;
  constexpr std::size_t kMany = 40;
  const std::vector<Pipe> pipes(kMany);
  std::array<int, kMany> told{};
  int all = 0, all_before_timer = -1, all_before_posted = -1;
  for (std::size_t i = 0; i < kMany; ++i) {
    loop.watch(pipes[i].ends[0], EPOLLIN | EPOLLET, [&, i](std::uint32_t) {
      ++told[i];
      if (++all == 1) {
        loop.call_at(loop.now(), [&] { all_before_timer = all; });
        loop.post([&] { all_before_posted = all; });
      }
      work_for(3ms);
      if (all == kMany) loop.call_at(loop.now(), [&] { loop.call_at(loop.now(), [&] { loop.stop(); }); });
    });
    pipes[i].write_byte();
  }
  loop.run_to_stop();
  CHECK(all_before_timer == 1);
  CHECK(all_before_posted == 1);
  CHECK(all == kMany);
  for (const int times : told) CHECK(times == 1);
}

TEST_CASE("a watcher is told until it unwatches, and may be gone then") {
  struct Reader final : FdWatcher {
    Reader(EventLoop& l, std::unique_ptr<Reader>& s) : loop(l), self(s) {}
    void on_ready(std::uint32_t epoll_events) override {
      seen |= epoll_events;
      pipe.read_byte();
      if (--left > 0) return;
      CHECK(seen == EPOLLIN);
      loop.unwatch(pipe.ends[0]);
      loop.stop();
      self.reset();
    }
    EventLoop& loop;
    std::unique_ptr<Reader>& self;
    Pipe pipe;
    std::uint32_t seen = 0;
    int left = 3;
  };
  GuardedLoop loop;
  std::unique_ptr<Reader> reader;
  reader = std::make_unique<Reader>(loop, reader);
  loop.watch(reader->pipe.ends[0], EPOLLIN, *reader);
  for (int i = 0; i < 3; ++i) reader->pipe.write_byte();
  loop.run_to_stop();
  CHECK_FALSE(reader);
}

TEST_CASE("a watcher replaces a function for the same descriptor, also one that is running") {
  struct Second final : FdWatcher {
    explicit Second(EventLoop& l) : loop(l) {}
    void on_ready(std::uint32_t) override { loop.stop(); }
    EventLoop& loop;
  };
  GuardedLoop loop;
  const Pipe pipe;
  Second second(loop);
  int first = 0;
  loop.watch(pipe.ends[0], EPOLLIN, [&, owned = std::make_shared<int>(7)](std::uint32_t) {
    loop.watch(pipe.ends[0], EPOLLIN, second);
    first += *owned == 7;
  });
  pipe.write_byte();
  loop.run_to_stop();
  CHECK(first == 1);
}

TEST_CASE("posted work runs in order, on the loop's thread, and what it posts runs in the next round") {
  GuardedLoop loop;
  std::string order;
  const auto me = std::this_thread::get_id();
  loop.after_each_round([&] { order += "|"; });
  std::thread other([&] {
    loop.post([&] {
      CHECK(std::this_thread::get_id() == me);
      order += "a";
      loop.post([&] {
        order += "c";
        loop.stop();
      });
    });
    loop.post([&] { order += "b"; });
  });
  other.join();
  loop.run_to_stop();
  CHECK(order == "ab|c|");
}

TEST_CASE("work posted by many threads all arrives, each thread's in order") {
  GuardedLoop loop;
  constexpr int kThreads = 4, kEach = 5000;
  std::array<int, kThreads> next{};
  int total = 0;
  bool ordered = true;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        loop.post([&, t, i] {
          ordered = ordered && next[t] == i;
          next[t] = i + 1;
          if (++total == kThreads * kEach) loop.stop();
        });
      }
    });
  }
  loop.run_to_stop();
  for (auto& thread : threads) thread.join();
  CHECK(ordered);
  CHECK(total == kThreads * kEach);
}

TEST_CASE("stop from another thread ends a loop that waits, and what was posted before it has run") {
  for (int i = 0; i < 200; ++i) {
    GuardedLoop loop;
    std::atomic<bool> ran = false;
    std::thread other([&] {
      loop.post([&] { ran = true; });
      loop.stop();
    });
    loop.run_to_stop();
    other.join();
    REQUIRE(ran);
  }
}

TEST_CASE("a stopped loop reports no progress, a running one does while idle") {
  EventLoop loop;
  std::thread runner([&] { loop.run(); });
  const auto deadline = std::chrono::steady_clock::now() + 1500ms;
  Millis longest{0};
  while (std::chrono::steady_clock::now() < deadline) {
    longest = std::max(longest, loop.since_progress());
    std::this_thread::sleep_for(20ms);
  }
  CHECK(longest < 5s);
  std::atomic<bool> release = false;
  loop.post([&] {
    while (!release) std::this_thread::sleep_for(1ms);  // stuck
  });
  const auto limit = std::chrono::steady_clock::now() + 20s;
  while (loop.since_progress() < 1500ms && std::chrono::steady_clock::now() < limit)
    std::this_thread::sleep_for(5ms);
  CHECK(loop.since_progress() >= 1500ms);
  release = true;
  loop.stop();
  runner.join();
}
