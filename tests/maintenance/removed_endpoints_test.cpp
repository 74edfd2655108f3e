#include "maintenance/removed_endpoints.h"

#include <doctest/doctest.h>

#include <deque>

#include "support/manual_executor.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// A store in which each step of discarding ends as the test says.
class ScriptedWriter final : public StoreWriter {
 public:
  enum Step { kRefused, kMore, kLast };
  std::deque<Step> steps;
  int discarded = 0;  // steps

  Applied apply(const Batch& batch) override {
    Applied applied;
    for (const Command* command : batch.commands) {
      REQUIRE(std::holds_alternative<DiscardRemoved>(*command));
      REQUIRE_FALSE(steps.empty());
      const Step step = steps.front();
      steps.pop_front();
      discarded += step != kRefused;
      applied.answers.push_back(
          step == kRefused ? Result<AnyAnswer>(tl::unexpected(Problem{ProblemCode::kUnavailable, "locked"}))
                           : Result<AnyAnswer>(Discarded{.deliveries = 1, .more = step == kMore}));
    }
    return applied;
  }
  void maintain() override {}
};

struct Rig {
  using Step = ScriptedWriter::Step;
  ScriptedWriter writer;
  ManualClock clock{from_unix_millis(1'785'000'000'000)};
  GroupCommit commits{writer, {}, clock, {}, [](const std::string& what) { FAIL(what); }};
  ManualExecutor executor{clock};
  RemovedEndpoints removed{commits, clock, executor};

  void run() {
    while (commits.step() || executor.step()) {
    }
  }
  // Nothing is tried before that time has passed, and the next step is when it has.
  bool tries_after(Millis wait) {
    const auto left = writer.steps.size();
    clock.advance(wait - Millis(1));
    run();
    const bool early = writer.steps.size() != left;
    clock.advance(Millis(1));
    run();
    return !early && writer.steps.size() < left;
  }
};

}  // namespace

TEST_CASE_FIXTURE(Rig, "a removed endpoint is swept, and a changed one is not") {
  writer.steps = {Step::kMore, Step::kLast};
  removed.hear(EndpointChanged{.endpoint = 1, .now = std::make_shared<const Endpoint>()});
  run();
  CHECK(writer.discarded == 0);
  removed.hear(EndpointChanged{.endpoint = 1, .now = nullptr});
  run();
  CHECK(writer.discarded == 2);
}

TEST_CASE_FIXTURE(Rig, "discarding goes on after any number of refusals, until nothing is left") {
  writer.steps = {Step::kMore, Step::kRefused, Step::kRefused, Step::kMore, Step::kRefused, Step::kLast};
  removed.sweep();
  run();
  CHECK(tries_after(RemovedEndpoints::kFirstWait));
  CHECK(tries_after(2 * RemovedEndpoints::kFirstWait));
  CHECK(tries_after(RemovedEndpoints::kFirstWait));  // it had gone on in between
  CHECK(writer.discarded == 3);
}

TEST_CASE_FIXTURE(
    Rig,
    "it waits longer after each refusal, up to a bound, and a removal meanwhile starts no second sweep") {
  writer.steps.assign(12, Step::kRefused);
  writer.steps.push_back(Step::kLast);
  removed.sweep();
  run();
  Millis wait = RemovedEndpoints::kFirstWait;
  while (!writer.steps.empty()) {
    const auto left = writer.steps.size();
    removed.sweep();
    CHECK(tries_after(wait));
    CHECK(writer.steps.size() == left - 1);
    wait = std::min(2 * wait, RemovedEndpoints::kMaxWait);
  }
  CHECK(writer.discarded == 1);
  CHECK(wait == RemovedEndpoints::kMaxWait);
  CHECK_FALSE(executor.step());
  clock.advance(RemovedEndpoints::kMaxWait);
  CHECK_FALSE(executor.step());
}

TEST_CASE_FIXTURE(Rig, "what is removed while the last step is committed is swept too") {
  writer.steps = {Step::kLast, Step::kLast};
  removed.sweep();
  removed.sweep();
  run();
  CHECK(writer.discarded == 2);
}
