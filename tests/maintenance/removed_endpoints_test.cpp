#include "maintenance/removed_endpoints.h"

#include <doctest/doctest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "store/fake_writer.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

struct Rig {
  FakeWriter writer;
  ManualClock clock{kNow};
  GroupCommit commits{writer, {}, [](const std::string& what) { FAIL(what); }};
  struct Task {
    Millis wait;
    std::function<void()> run;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> tasks;  // guarded by mutex
  int discarded = 0;       // guarded by mutex: steps
  RemovedEndpoints removed{commits, clock, [this](Millis wait, std::function<void()> run) {
                             const std::lock_guard lock(mutex);
                             tasks.push_back({wait, std::move(run)});
                             changed.notify_all();
                           }};

  // How each step ends: refused, or with more or nothing left.
  enum Step { kRefused, kMore, kLast };
  std::deque<Step> steps;
  Rig() {
    writer.on_apply = [this](std::span<Write*> batch) {
      const std::lock_guard lock(mutex);
      for (Write* write : batch) {
        REQUIRE_FALSE(steps.empty());
        const Step step = steps.front();
        steps.pop_front();
        if (step == kRefused) write->refused = Problem{ProblemCode::kUnavailable, "locked"};
        std::get<DiscardRemoved>(write->command).more = step == kMore;
        discarded += step != kRefused;
        changed.notify_all();
      }
    };
    commits.start();
  }
  ~Rig() { commits.drain(); }
  Task next() {
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, 30s, [this] { return !tasks.empty(); }));
    Task task = std::move(tasks.front());
    tasks.pop_front();
    return task;
  }
  void await_discarded(int count) {
    std::unique_lock lock(mutex);
    CHECK(changed.wait_for(lock, 30s, [&] { return discarded == count; }));
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "discarding goes on after any number of refusals, until nothing is left") {
  steps = {kMore, kRefused, kRefused, kMore, kRefused, kLast};
  removed.sweep();
  auto task = next();
  CHECK(task.wait == RemovedEndpoints::kFirstWait);
  task.run();
  task = next();
  CHECK(task.wait == 2 * RemovedEndpoints::kFirstWait);
  task.run();
  task = next();
  CHECK(task.wait == RemovedEndpoints::kFirstWait);  // it had gone on in between
  task.run();
  await_discarded(3);
}

TEST_CASE_FIXTURE(
    Rig,
    "it waits longer after each refusal, up to a bound, and a removal meanwhile starts no second sweep") {
  for (int i = 0; i < 12; ++i) steps.push_back(kRefused);
  steps.push_back(kLast);
  removed.sweep();
  Millis last{};
  for (int i = 0; i < 12; ++i) {
    const auto task = next();
    last = task.wait;
    removed.sweep();
    task.run();
  }
  CHECK(last == RemovedEndpoints::kLongestWait);
  await_discarded(1);
  const std::lock_guard lock(mutex);
  CHECK(tasks.empty());
}
