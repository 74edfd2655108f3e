#include "maintenance/backlog_watch.h"

#include <doctest/doctest.h>

#include <array>
#include <functional>

#include "store/sqlite/sqlite_store.h"
#include "support/manual_executor.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

struct Rig {
  TemporaryFolder folder;
  ManualClock clock{kNow};
  std::unique_ptr<Store> store = open();
  ManualExecutor executor{clock};
  std::vector<std::string> told;
  BacklogWatch watch{executor, *store, 5, std::bind_front(&Rig::note, this)};
  EventSeq finished = 0;

  std::unique_ptr<Store> open() {
    SqliteOptions options;
    options.path = folder / "outbox.db";
    options.clock = &clock;
    auto opened = open_sqlite_store(options);
    apply(*opened, CreateEndpoint{shared(new_endpoint())});
    return opened;
  }
  static void apply(Store& store, const Command& command) {
    const std::array<const Command*, 1> only{&command};
    REQUIRE(store.writer().apply({.commands = only, .owner = store.ownership().token}).answers.at(0));
  }
  void note(bool high, std::int64_t pending, std::int64_t limit) {
    told.push_back((high ? "high, " : "low, ") + std::to_string(pending) + " of " + std::to_string(limit));
  }
  void accept(int count) {
    std::vector<NewEvent> events;
    for (int i = 0; i < count; ++i) events.push_back(new_event({1}));
    apply(*store, accepting(std::move(events)));
  }
  void deliver(int count) {
    for (int i = 0; i < count; ++i) apply(*store, delivered({++finished, 1}, 1));
  }
  void pass(Millis time) {
    clock.advance(time);
    while (executor.step()) {
    }
  }
  // What is told within the next look.
  std::vector<std::string> look() {
    told.clear();
    pass(BacklogWatch::kInterval);
    return told;
  }
};

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Rig, "a high backlog is told once, and again only after it was below half of the limit") {
  watch.start();
  watch.start();  // no second one looks
  accept(4);
  CHECK(look().empty());
  accept(1);
  CHECK(look() == Texts{"high, 5 of 5"});
  accept(10);
  CHECK(look().empty());
  deliver(12);
  CHECK(look().empty());  // 3 are left, which is above the half
  accept(4);
  CHECK(look().empty());
  deliver(5);
  CHECK(look() == Texts{"low, 2 of 5"});
  accept(3);
  CHECK(look() == Texts{"high, 5 of 5"});
}

TEST_CASE_FIXTURE(Rig, "who begins to look tells what it finds, and who has stopped tells nothing") {
  accept(6);
  watch.start();
  pass(0ms);
  CHECK(told == Texts{"high, 6 of 5"});
  watch.stop();
  deliver(6);
  CHECK(look().empty());
  accept(7);
  watch.start();
  pass(0ms);
  CHECK(told == Texts{"high, 7 of 5"});
}

TEST_CASE_FIXTURE(Rig, "with a limit of 0 no backlog is high") {
  BacklogWatch never(executor, *store, 0, std::bind_front(&Rig::note, this));
  never.start();
  CHECK(look().empty());
  accept(1);
  CHECK(look().empty());
}
