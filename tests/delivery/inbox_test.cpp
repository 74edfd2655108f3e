#include "delivery/inbox.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/manual_executor.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

Fact fact(EndpointSeq endpoint) {
  return DueOnDisk{.endpoint = endpoint};
}

Inbox::Answer answer(int status) {
  Inbox::Answer one;
  one.result.status = status;
  return one;
}

// Writes down what it is told, and takes as long for each piece as the test says.
struct Reader {
  ManualClock clock;
  ManualExecutor executor{clock};
  std::vector<std::string> told;
  Millis each{0};
  std::optional<Inbox> inbox;

  explicit Reader(int max_pieces) {
    inbox.emplace(
        executor, clock, max_pieces,
        Inbox::Readers{[this](Fact& fact) { take("f" + std::to_string(std::get<DueOnDisk>(fact).endpoint)); },
                       [this](Inbox::Answer& answer) { take("a" + std::to_string(answer.result.status)); }});
  }
  void take(std::string what) {
    told.push_back(std::move(what));
    clock.advance(each);
  }
  void put_task(const std::string& name) {
    inbox->put([this, name] { take(name); });
  }
  std::vector<std::string> step() {
    told.clear();
    REQUIRE(executor.step());
    return told;
  }
  using Told = std::vector<std::string>;
};

}  // namespace

TEST_CASE(
    "facts, answers and tasks come in the order in which they were put, all in one task of the executor") {
  Reader reader(100);
  reader.inbox->put(answer(1));
  reader.inbox->put(Facts{fact(2), fact(3)});
  reader.put_task("t");
  reader.inbox->put(answer(4));
  reader.inbox->put(Facts{});
  reader.inbox->put(Facts{fact(5)});
  CHECK(reader.step() == Reader::Told{"a1", "f2", "f3", "t", "a4", "f5"});
  CHECK_FALSE(reader.executor.step());
  reader.inbox->put(answer(6));
  CHECK(reader.step() == Reader::Told{"a6"});
  CHECK_FALSE(reader.executor.step());
}

TEST_CASE(
    "a commit with many facts is dealt with in parts, with other work of the executor between, in order") {
  Reader reader(2);
  reader.inbox->put(Facts{fact(1), fact(2), fact(3), fact(4), fact(5)});
  reader.inbox->put(answer(6));
  reader.executor.post([&] { reader.take("other"); });
  CHECK(reader.step() == Reader::Told{"f1", "f2"});
  reader.inbox->put(answer(7));
  CHECK(reader.step() == Reader::Told{"other"});
  CHECK(reader.step() == Reader::Told{"f3", "f4"});
  CHECK(reader.step() == Reader::Told{"f5", "a6"});
  CHECK(reader.step() == Reader::Told{"a7"});
  CHECK_FALSE(reader.executor.step());
}

TEST_CASE("pieces that take long are dealt with one at a time") {
  Reader reader(100);
  reader.each = 5ms;
  for (int n = 1; n <= 3; ++n) reader.inbox->put(answer(n));
  CHECK(reader.step() == Reader::Told{"a1"});
  CHECK(reader.step() == Reader::Told{"a2"});
  CHECK(reader.step() == Reader::Told{"a3"});
  CHECK_FALSE(reader.executor.step());
}

TEST_CASE("what a piece puts in comes behind all that was there") {
  Reader reader(100);
  reader.inbox->put([&] {
    reader.take("first");
    reader.put_task("last");
  });
  reader.inbox->put(answer(2));
  CHECK(reader.step() == Reader::Told{"first", "a2"});
  CHECK(reader.step() == Reader::Told{"last"});
}
