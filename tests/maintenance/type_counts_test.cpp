#include "maintenance/type_counts.h"

#include <doctest/doctest.h>

#include <deque>

#include "support/manual_executor.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// A store in which each step of counting ends as the test says, the last way for ever.
class ScriptedWriter final : public StoreWriter {
 public:
  enum Step { kRefused, kMore, kLast };
  std::deque<Step> steps;
  int asked = 0;

  Applied apply(const Batch& batch) override {
    Applied applied;
    for (const Command* command : batch.commands) {
      REQUIRE(std::holds_alternative<CountTypes>(*command));
      ++asked;
      const Step step = steps.empty() ? kLast : steps.front();
      if (!steps.empty()) steps.pop_front();
      applied.answers.push_back(
          step == kRefused ? Result<AnyAnswer>(tl::unexpected(Problem{ProblemCode::kUnavailable, "locked"}))
                           : Result<AnyAnswer>(TypesCounted{.more = step == kMore}));
    }
    return applied;
  }
  void maintain() override {}
};

struct Rig {
  ScriptedWriter writer;
  ManualClock clock{from_unix_millis(1'785'000'000'000)};
  GroupCommit commits{writer, {}, clock, {}, [](const std::string& what) { FAIL(what); }};
  ManualExecutor executor{clock};
  TypeCounts counts{commits, executor};

  int asked_after(Millis time) {
    writer.asked = 0;
    run();
    clock.advance(time);
    run();
    return writer.asked;
  }
  void run() {
    while (commits.step() || executor.step()) {
    }
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig,
                  "what was accepted before the start is counted, step by step, and then nothing is done") {
  writer.steps = {ScriptedWriter::kMore, ScriptedWriter::kMore, ScriptedWriter::kLast};
  counts.start();
  CHECK(asked_after(TypeCounts::kInterval - Millis(1)) == 0);
  CHECK(asked_after(Millis(1)) == 1);
  CHECK(asked_after(TypeCounts::kPause) == 1);
  CHECK(asked_after(TypeCounts::kPause) == 1);
  CHECK(asked_after(std::chrono::hours(24)) == 0);
  CHECK_FALSE(executor.next_wait());
}

TEST_CASE_FIXTURE(Rig, "however many events are accepted, they are counted once a second") {
  counts.start();
  CHECK(asked_after(TypeCounts::kInterval) == 1);
  for (int second = 0; second < 3; ++second) {
    for (int event = 0; event < 100; ++event) counts.events_accepted();
    CHECK(asked_after(TypeCounts::kInterval) == 1);
  }
  CHECK(asked_after(10 * TypeCounts::kInterval) == 0);
}

TEST_CASE_FIXTURE(Rig, "a refused step is tried again") {
  writer.steps = {ScriptedWriter::kRefused, ScriptedWriter::kLast};
  counts.start();
  CHECK(asked_after(TypeCounts::kInterval) == 1);
  CHECK(asked_after(TypeCounts::kInterval) == 1);
  CHECK(asked_after(TypeCounts::kInterval) == 0);
}

TEST_CASE_FIXTURE(Rig, "who does not keep house counts nothing, and begins when it does") {
  counts.events_accepted();
  CHECK(asked_after(TypeCounts::kInterval) == 0);
  counts.start();
  run();
  counts.stop();
  CHECK(asked_after(TypeCounts::kInterval) == 0);
  counts.start();
  CHECK(asked_after(TypeCounts::kInterval) == 1);
}
