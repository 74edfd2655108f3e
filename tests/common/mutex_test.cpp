#include "common/mutex.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

bool free_to_write(auto& mutex) {
  bool free = false;
  std::thread([&] {
    if (mutex.try_lock()) {
      free = true;
      mutex.unlock();
    }
  }).join();
  return free;
}

// Two threads that hand a number back and forth: each sleeps until it is its turn.
struct Turns {
  Mutex mutex;
  CondVar changed;
  int turn OUTBOXD_GUARDED_BY(mutex) = 0;

  void take(int mine, int next) {
    const MutexLock lock(mutex);
    while (turn != mine) changed.wait(mutex);
    turn = next;
    changed.notify_all();
  }
};

}  // namespace

TEST_CASE("no two threads are inside a mutex at once") {
  Mutex mutex;
  int counted = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20'000; ++n) {
        const MutexLock lock(mutex);
        ++counted;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(counted == 80'000);
}

TEST_CASE("a lock holds its mutex while it lives, but not between unlock and lock") {
  Mutex mutex;
  {
    MutexLock lock(mutex);
    CHECK_FALSE(free_to_write(mutex));
    lock.unlock();
    CHECK(free_to_write(mutex));
    lock.lock();
    CHECK_FALSE(free_to_write(mutex));
  }
  CHECK(free_to_write(mutex));
}

TEST_CASE("readers share a mutex and keep the writer out; the writer keeps readers out") {
  SharedMutex mutex;
  {
    const SharedLock reader(mutex);
    std::thread([&] { const SharedLock another(mutex); }).join();
    CHECK_FALSE(free_to_write(mutex));
  }
  const MutexLock writer(mutex);
  CHECK_FALSE(free_to_write(mutex));
}

TEST_CASE("a wait ends when another thread changes what it waits for") {
  Turns turns;
  std::thread other([&] {
    for (int i = 0; i < 1'000; ++i) turns.take(1, 0);
  });
  for (int i = 0; i < 1'000; ++i) turns.take(0, 1);
  other.join();
  const MutexLock lock(turns.mutex);
  CHECK(turns.turn == 0);
}

TEST_CASE("a wait with a limit ends at the limit and holds its mutex again") {
  Mutex mutex;
  CondVar never;
  const MutexLock lock(mutex);
  const auto began = std::chrono::steady_clock::now();
  while (never.wait_for(mutex, 5ms) != std::cv_status::timeout) {
  }
  CHECK(std::chrono::steady_clock::now() - began >= 5ms);
  while (never.wait_until(mutex, std::chrono::steady_clock::now() + 1ms) != std::cv_status::timeout) {
  }
  CHECK_FALSE(free_to_write(mutex));
}
