#include "store/group_commit.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <numeric>
#include <thread>

#include "common/executor.h"
#include "store/fake_writer.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

constexpr auto kPatience = std::chrono::seconds(30);

struct Rig {
  FakeWriter writer;
  SystemClock system_clock;
  const Clock* clock = &system_clock;
  std::promise<std::string> fatal;
  std::unique_ptr<GroupCommit> commits;

  // Without a thread: for step().
  GroupCommit& make(GroupCommit::Options options = {}) {
    commits = std::make_unique<GroupCommit>(writer, OwnerToken{"mine"}, *clock, std::move(options),
                                            [this](const std::string& what) { fatal.set_value(what); });
    return *commits;
  }
  GroupCommit& start(GroupCommit::Options options = {}) {
    make(std::move(options)).start();
    return *commits;
  }
};

AcceptEvents accept_bytes(std::size_t bytes) {
  NewEvent event = new_event();
  event.event->payload.assign(bytes, 'x');
  return accepting({event});
}

// The answer to one command: nullopt when it was committed.
using Answer = std::future<std::optional<Problem>>;
template <class C>
Answer submit(GroupCommit& commits, C command) {
  auto promise = std::make_shared<std::promise<std::optional<Problem>>>();
  commits.submit(std::move(command), [promise](C&, Result<typename C::Answer> answer) {
    promise->set_value(answer ? std::nullopt : std::optional(answer.error()));
  });
  return promise->get_future();
}
std::optional<Problem> wait(Answer& answer) {
  REQUIRE(answer.wait_for(kPatience) == std::future_status::ready);
  return answer.get();
}

const RecordOutcome kOutcome = delivered({1, 1}, 1);

}  // namespace

TEST_CASE("commands that arrive while a commit is under way share the next one, completed in order") {
  Rig rig;
  auto& commits = rig.start();
  rig.writer.shut();
  std::mutex mutex;
  std::vector<int> order;
  std::vector<Answer> answers;
  answers.push_back(submit(commits, RejectOutboxRow{}));
  rig.writer.await_entered();
  for (int i = 0; i < 10; ++i) {
    auto promise = std::make_shared<std::promise<std::optional<Problem>>>();
    answers.push_back(promise->get_future());
    commits.submit(RejectOutboxRow{}, [&, i, promise](RejectOutboxRow&, const Result<Nothing>& answer) {
      const std::lock_guard lock(mutex);
      order.push_back(i);
      promise->set_value(answer ? std::nullopt : std::optional(answer.error()));
    });
  }
  rig.writer.open();
  for (auto& answer : answers) CHECK_FALSE(wait(answer));
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{1, 10});
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("an outcome that nobody waits for shares the commit of the next command, or has its own in time") {
  Rig rig;
  auto& commits = rig.start({.linger = Millis(20'000)});
  auto outcome = submit(commits, kOutcome);
  auto accepted = submit(commits, accept_bytes(1));
  CHECK_FALSE(wait(outcome));
  CHECK_FALSE(wait(accepted));
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{2});
  Rig alone;
  auto kept = submit(alone.start({.linger = Millis(1)}), kOutcome);
  CHECK_FALSE(wait(kept));
}

TEST_CASE("an outcome that something waits for, and many together, do not wait for a command") {
  Rig rig;
  auto& commits = rig.start({.linger = Millis(3'600'000)});
  RecordOutcome urgent = kOutcome;
  urgent.urgent = true;
  auto first = submit(commits, urgent);
  CHECK_FALSE(wait(first));
  std::vector<Answer> many;
  many.reserve(256);
  for (int i = 0; i < 256; ++i) many.push_back(submit(commits, kOutcome));
  for (auto& answer : many) CHECK_FALSE(wait(answer));
  auto last = submit(commits, kOutcome);
  commits.drain();
  CHECK_FALSE(wait(last));
}

TEST_CASE("a producer alone does not wait for company") {
  Rig rig;
  auto& commits = rig.start({.commit_delay = std::chrono::hours(1)});
  for (int i = 0; i < 100; ++i) {
    auto answer = submit(commits, accept_bytes(1));
    CHECK_FALSE(wait(answer));
  }
}

namespace {

// Ten producers who wait at a time, the first of them twice; then it sends one more, and nobody else does.
struct AfterACrowd {
  Rig rig;
  std::promise<void> answered;
  std::future<void> last = answered.get_future();
  std::chrono::steady_clock::time_point submitted{};
  std::atomic<bool> sent = false;

  explicit AfterACrowd(CommitPacing::Duration commit_delay) {
    GroupCommit& commits = rig.start({.commit_delay = commit_delay});
    rig.writer.shut();
    commits.submit(accept_bytes(1), [this, &commits](AcceptEvents&, const Result<Accepted>&) {
      commits.submit(accept_bytes(1), [this](AcceptEvents&, const Result<Accepted>&) { send_last(); });
    });
    rig.writer.await_entered();
    for (int i = 0; i < 9; ++i)
      commits.submit(accept_bytes(1), [](AcceptEvents&, const Result<Accepted>&) {});
    rig.writer.open();
    while (!sent) std::this_thread::yield();
  }
  void send_last() {
    submitted = std::chrono::steady_clock::now();
    rig.commits->submit(accept_bytes(1),
                        [this](AcceptEvents&, const Result<Accepted>&) { answered.set_value(); });
    sent = true;
  }
};

}  // namespace

TEST_CASE("while company is likely a command waits for it, no longer than the bound") {
  AfterACrowd crowd(Millis(50));
  REQUIRE(crowd.last.wait_for(kPatience) == std::future_status::ready);
  CHECK(std::chrono::steady_clock::now() - crowd.submitted >= Millis(50));
}

TEST_CASE("company that has come is not waited for any more") {
  AfterACrowd crowd(std::chrono::hours(1));
  CHECK(crowd.last.wait_for(Millis(5)) == std::future_status::timeout);
  for (int i = 0; i < 15; ++i)
    crowd.rig.commits->submit(accept_bytes(1), [](AcceptEvents&, const Result<Accepted>&) {});
  CHECK(crowd.last.wait_for(kPatience) == std::future_status::ready);
}

TEST_CASE("with a delay of 0 nobody waits for company") {
  AfterACrowd crowd(Millis(0));
  CHECK(crowd.last.wait_for(kPatience) == std::future_status::ready);
}

TEST_CASE("an operator's command, and a stop, end the wait for company") {
  AfterACrowd crowd(std::chrono::hours(1));
  auto pause = submit(*crowd.rig.commits, SetEndpointState{});
  CHECK_FALSE(wait(pause));
  CHECK(crowd.last.wait_for(kPatience) == std::future_status::ready);
  AfterACrowd stopped(std::chrono::hours(1));
  stopped.rig.commits->drain();
  CHECK(stopped.last.wait_for(Millis(0)) == std::future_status::ready);
}

TEST_CASE("a burst of outcomes does not stand before an event, and is recorded in full") {
  Rig rig;
  std::vector<std::vector<bool>> ahead;  // of each transaction, its commands
  rig.writer.on_apply = [&](const Batch& batch) {
    ahead.emplace_back();
    for (const Command* command : batch.commands)
      ahead.back().push_back(std::holds_alternative<AcceptEvents>(*command));
  };
  auto& commits = rig.start();
  rig.writer.shut();
  auto first = submit(commits, kOutcome);
  rig.writer.await_entered();
  std::atomic<int> recorded = 0;
  for (int i = 0; i < 10'000; ++i)
    commits.submit(kOutcome, [&](RecordOutcome&, const Result<Recorded>&) { ++recorded; });
  auto event = submit(commits, accept_bytes(1));
  rig.writer.open();
  CHECK_FALSE(wait(event));
  commits.drain();
  CHECK(recorded == 10'000);
  REQUIRE(ahead.size() > 2);
  CHECK(ahead[1].size() == 257);
  CHECK(ahead[1][0]);
}

TEST_CASE("an executor that several answers of one commit go to is woken once") {
  struct Sleeper final : Executor {
    int tasks = 0, woken = 0;
    void post(Task) override {
      if (++tasks == 1) WakesTogether::wake(*this);
    }
    void wake() override { woken += tasks; }  // how many it finds
    TimerId call_at(MonotonicTime, Task) override { return {}; }
    void cancel(TimerId) override {}
    MonotonicTime now() const override { return {}; }
  };
  Rig rig;
  Sleeper sleeper;
  auto& commits = rig.make();
  for (int i = 0; i < 4; ++i)
    commits.submit(RejectOutboxRow{}, [&](RejectOutboxRow&, const Result<Nothing>&) { sleeper.post([] {}); });
  CHECK(commits.step());
  CHECK(sleeper.woken == 4);
}

TEST_CASE("a transaction is bounded in commands and bytes, but takes one command however large") {
  Rig rig;
  auto& commits = rig.start({.max_batch = 3, .max_batch_bytes = 100});
  rig.writer.shut();
  std::vector<Answer> answers;
  answers.push_back(submit(commits, RejectOutboxRow{}));
  rig.writer.await_entered();
  for (const std::size_t bytes : {60u, 60u, 500u, 1u, 1u, 1u, 1u})
    answers.push_back(submit(commits, accept_bytes(bytes)));
  rig.writer.open();
  for (auto& answer : answers) CHECK_FALSE(wait(answer));
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{1, 1, 1, 1, 3, 1});
}

TEST_CASE(
    "a transaction is bounded in the deliveries it makes, but takes one command however many it makes") {
  const auto endpoints = [](std::size_t count) { return std::vector<FirstAttempt>(count); };
  const auto accept = [&](std::size_t count) {
    NewEvent event = new_event();
    event.endpoints = endpoints(count);
    return accepting({event, new_event()});  // one more, for the event without an endpoint
  };
  Rig rig;
  auto& commits = rig.start({.max_batch_rows = 100});
  rig.writer.shut();
  std::vector<Answer> answers;
  answers.push_back(submit(commits, RejectOutboxRow{}));
  rig.writer.await_entered();
  answers.push_back(submit(commits, accept(59)));
  answers.push_back(
      submit(commits, ExpandEvent{.event = nullptr, .endpoints = endpoints(40), .more_after = {}}));
  answers.push_back(submit(commits, ReplayEvent{{}, std::vector<EndpointSeq>(500), kNow}));
  answers.push_back(submit(commits, accept(98)));
  answers.push_back(submit(commits, kOutcome));
  answers.push_back(submit(commits, kOutcome));
  rig.writer.open();
  for (auto& answer : answers) CHECK_FALSE(wait(answer));
  // Events and fan-out (60, 40, 99 rows) go ahead; the replay and the outcomes have their turn beside them.
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{1, 2, 3, 1});
}

TEST_CASE("a full queue refuses what can be refused and takes outcomes") {
  Rig rig;
  auto& commits = rig.start({.queue = 2});
  rig.writer.shut();
  auto first = submit(commits, RejectOutboxRow{});
  rig.writer.await_entered();
  auto second = submit(commits, RejectOutboxRow{});
  auto third = submit(commits, RejectOutboxRow{});
  auto outcome = submit(commits, kOutcome);
  CHECK(commits.queued() >= 3);
  rig.writer.open();
  CHECK_FALSE(wait(first));
  CHECK_FALSE(wait(second));
  CHECK(wait(third)->code == ProblemCode::kTooManyRequests);
  CHECK_FALSE(wait(outcome));
  auto later = submit(commits, RejectOutboxRow{});
  CHECK_FALSE(wait(later));
}

TEST_CASE("a busy store is tried again until it is free") {
  Rig rig;
  std::atomic<int> left = 3;
  rig.writer.on_apply = [&](const Batch&) {
    if (left-- > 0) throw StoreError(StoreError::Kind::kBusy, "locked");
  };
  auto& commits = rig.start();
  auto accept = submit(commits, AcceptEvents{});
  CHECK_FALSE(wait(accept));
  CHECK(rig.writer.calls() == 4);
}

TEST_CASE("a store that stays busy refuses what waits too long and keeps outcomes until they are committed") {
  Rig rig;
  std::atomic<bool> busy = true;
  rig.writer.on_apply = [&](const Batch&) {
    if (busy) throw StoreError(StoreError::Kind::kBusy, "locked");
  };
  auto& commits = rig.start({.busy_limit = Millis(20)});
  auto outcome = submit(commits, kOutcome);
  auto accept = submit(commits, AcceptEvents{});
  CHECK(wait(accept)->code == ProblemCode::kUnavailable);
  CHECK(outcome.wait_for(Millis(0)) == std::future_status::timeout);
  busy = false;
  CHECK_FALSE(wait(outcome));
}

TEST_CASE("a full disk refuses at once what can be refused, and outcomes are tried again") {
  Rig rig;
  std::atomic<bool> full = true;
  rig.writer.on_apply = [&](const Batch&) {
    if (full) throw StoreError(StoreError::Kind::kFull, "no space");
  };
  auto& commits = rig.start();
  auto outcome = submit(commits, kOutcome);
  auto accept = submit(commits, AcceptEvents{});
  CHECK(wait(accept)->code == ProblemCode::kInsufficientStorage);
  full = false;
  CHECK_FALSE(wait(outcome));
}

TEST_CASE("what the daemon gives itself is kept while the store is busy, all of it") {
  Rig rig;
  std::atomic<bool> busy = true;
  rig.writer.on_apply = [&](const Batch&) {
    if (busy) throw StoreError(StoreError::Kind::kBusy, "locked");
  };
  auto& commits = rig.start({.queue = 0, .busy_limit = Millis(20)});
  std::vector<Answer> kept;
  kept.push_back(submit(commits, DisableEndpoint{}));
  kept.push_back(submit(commits, announcing(new_event())));
  kept.push_back(submit(commits, SetFailingSince{}));
  auto refused = submit(commits, SetEndpointState{});  // an operator's
  CHECK(wait(refused)->code == ProblemCode::kTooManyRequests);
  CHECK(kept[0].wait_for(Millis(50)) == std::future_status::timeout);
  busy = false;
  for (auto& answer : kept) CHECK_FALSE(wait(answer));
}

TEST_CASE(
    "what is kept and makes the database grow is refused while the disk is full, and the rest is kept") {
  Rig rig;
  std::atomic<bool> full = true;
  rig.writer.on_apply = [&](const Batch&) {
    if (full) throw StoreError(StoreError::Kind::kFull, "no space");
  };
  auto& commits = rig.start();
  auto disable = submit(commits, DisableEndpoint{});
  auto announce = submit(commits, announcing(new_event()));
  CHECK(wait(announce)->code == ProblemCode::kInsufficientStorage);
  full = false;
  CHECK_FALSE(wait(disable));
}

TEST_CASE("after a failure of the store the handler runs once and nothing is completed any more") {
  Rig rig;
  rig.writer.on_apply = [](const Batch&) { throw StoreError(StoreError::Kind::kFailed, "I/O error"); };
  auto& commits = rig.start();
  auto accept = submit(commits, AcceptEvents{});
  auto fatal = rig.fatal.get_future();
  REQUIRE(fatal.wait_for(kPatience) == std::future_status::ready);
  CHECK(fatal.get() == "I/O error");
  auto later = submit(commits, AcceptEvents{});
  commits.drain();
  // Broken promises would be answers too: the completions are kept or dropped, never called.
  CHECK(rig.writer.calls() == 1);
  rig.commits.reset();
  CHECK_THROWS_AS(accept.get(), std::future_error);
  CHECK_THROWS_AS(later.get(), std::future_error);
}

TEST_CASE("draining commits what was submitted; afterwards submitting is refused") {
  Rig rig;
  auto& commits = rig.start();
  std::vector<Answer> answers;
  answers.reserve(100);
  for (int i = 0; i < 100; ++i) answers.push_back(submit(commits, kOutcome));
  commits.drain();
  for (auto& answer : answers) CHECK_FALSE(wait(answer));
  auto late = submit(commits, kOutcome);
  CHECK(wait(late)->code == ProblemCode::kUnavailable);
  CHECK(commits.queued() == 0);
}

TEST_CASE("a store that stays busy does not hold up draining for ever") {
  Rig rig;
  rig.writer.on_apply = [](const Batch&) { throw StoreError(StoreError::Kind::kBusy, "locked"); };
  auto& commits = rig.start({.busy_limit = Millis(20)});
  auto outcome = submit(commits, kOutcome);
  commits.drain();
  CHECK(wait(outcome)->code == ProblemCode::kUnavailable);
}

TEST_CASE("a completion may submit") {
  Rig rig;
  auto& commits = rig.start();
  std::promise<void> done;
  commits.submit(RejectOutboxRow{}, [&](RejectOutboxRow&, const Result<Nothing>&) {
    commits.submit(RejectOutboxRow{}, [&](RejectOutboxRow&, const Result<Nothing>&) { done.set_value(); });
  });
  CHECK(done.get_future().wait_for(kPatience) == std::future_status::ready);
}

TEST_CASE("many threads submit: each command is completed exactly once") {
  Rig rig;
  std::atomic<std::size_t> reported = 0;
  auto& commits =
      rig.start({.on_commit = [&](std::size_t commands, std::chrono::nanoseconds) { reported += commands; }});
  std::atomic<std::size_t> completed = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i)
        commits.submit(kOutcome, [&](RecordOutcome&, const Result<Recorded>&) { ++completed; });
    });
  }
  for (auto& thread : threads) thread.join();
  commits.drain();
  CHECK(completed == 8000);
  CHECK(reported == 8000);
  const auto sizes = rig.writer.committed_sizes();
  CHECK(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == 8000);
}

TEST_CASE("the writer's progress stands still while it hangs") {
  Rig rig;
  auto& commits = rig.start();
  rig.writer.shut();
  auto answer = submit(commits, RejectOutboxRow{});
  rig.writer.await_entered();
  const auto before = commits.since_progress();
  std::promise<void>().get_future().wait_for(Millis(5));
  CHECK(commits.since_progress() > before);
  rig.writer.open();
  CHECK_FALSE(wait(answer));
}

TEST_CASE("facts are told before the completions of their commit, which find their command again") {
  Rig rig;
  std::vector<std::string> order;
  rig.writer.facts = [](const Batch&) { return Facts{OutboxRowsWait{}, DueOnDisk{.endpoint = 7}}; };
  auto& commits = rig.make();
  commits.tell([&](const Facts& facts) { order.push_back(std::to_string(facts.size()) + " facts"); });
  commits.submit(accept_bytes(3), [&](AcceptEvents& command, const Result<Accepted>& accepted) {
    CHECK(accepted);
    CHECK(command.events.at(0).event->payload == "xxx");
    order.emplace_back("answer");
  });
  CHECK(commits.step());
  CHECK(order == std::vector<std::string>{"2 facts", "answer"});
  CHECK_FALSE(commits.step());
}

TEST_CASE("without a thread each step commits one batch, with the owner's token") {
  Rig rig;
  rig.writer.on_apply = [](const Batch& batch) {
    CHECK(batch.owner == OwnerToken{"mine"});
    CHECK_FALSE(batch.repeat);
  };
  auto& commits = rig.make({.max_batch = 2});
  std::vector<Answer> answers;
  answers.reserve(3);
  for (int i = 0; i < 3; ++i) answers.push_back(submit(commits, RejectOutboxRow{}));
  CHECK(commits.queued() == 3);
  CHECK(commits.step());
  CHECK(answers[1].wait_for(Millis(0)) == std::future_status::ready);
  CHECK(answers[2].wait_for(Millis(0)) == std::future_status::timeout);
  CHECK(commits.step());
  CHECK_FALSE(commits.step());
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{2, 1});
}

TEST_CASE("what may be committed already is applied again as it was, alone, and nobody of it is refused") {
  ManualClock clock;
  Rig rig;
  rig.clock = &clock;
  int unknown = 0;
  std::vector<std::size_t> repeated;
  rig.writer.on_apply = [&](const Batch& batch) {
    if (batch.repeat) repeated.push_back(batch.commands.size());
    if (unknown-- > 0) throw StoreError(StoreError::Kind::kUnknown, "the connection was lost");
  };
  auto& commits = rig.make({.busy_limit = Millis(20)});
  std::vector<Answer> answers;
  answers.push_back(submit(commits, accept_bytes(1)));
  answers.push_back(submit(commits, kOutcome));
  unknown = 2;
  CHECK(commits.step());
  // Meanwhile more comes, and it is long past the time after which an event is refused.
  answers.push_back(submit(commits, accept_bytes(1)));
  clock.advance(Millis(1000));
  CHECK(commits.step());
  CHECK(commits.step());
  CHECK(repeated == std::vector<std::size_t>{2, 2});
  CHECK_FALSE(wait(answers[0]));
  CHECK_FALSE(wait(answers[1]));
  CHECK(wait(answers[2])->code == ProblemCode::kUnavailable);
  CHECK(rig.writer.committed_sizes() == std::vector<std::size_t>{2});
}

TEST_CASE("a repeat that finds the store busy or full is still a repeat") {
  Rig rig;
  std::vector<StoreError::Kind> failures{StoreError::Kind::kUnknown, StoreError::Kind::kBusy,
                                         StoreError::Kind::kFull};
  std::vector<bool> repeats;
  rig.writer.on_apply = [&](const Batch& batch) {
    repeats.push_back(batch.repeat);
    if (repeats.size() <= failures.size()) throw StoreError(failures[repeats.size() - 1], "later");
  };
  auto& commits = rig.make();
  auto accepted = submit(commits, accept_bytes(1));
  while (commits.step()) {
  }
  CHECK_FALSE(wait(accepted));
  auto next = submit(commits, accept_bytes(1));
  CHECK(commits.step());
  CHECK(repeats == std::vector<bool>{false, true, true, true, false});
}

TEST_CASE("a daemon that owns nothing any more fails as a whole") {
  Rig rig;
  rig.writer.on_apply = [](const Batch&) { throw StoreError(StoreError::Kind::kFenced, "taken over"); };
  auto& commits = rig.start();
  auto accept = submit(commits, AcceptEvents{});
  auto fatal = rig.fatal.get_future();
  REQUIRE(fatal.wait_for(kPatience) == std::future_status::ready);
  CHECK(fatal.get() == "taken over");
  rig.commits.reset();
  CHECK_THROWS_AS(accept.get(), std::future_error);
}
