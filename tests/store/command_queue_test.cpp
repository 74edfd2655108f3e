#include "store/command_queue.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Queue {
  CommandQueue queue;
  std::int64_t next = 1;  // each command gets a number, to be known by

  explicit Queue(const CommandQueue::Limits& limits = {}) : queue(limits) {}

  void add(Command command, std::size_t rows = 1, std::size_t bytes = 0) {
    QueuedCommand item{std::move(command), nullptr, {}};
    item.traits = traits_of(item.command);
    item.traits.rows = rows;
    item.traits.bytes = bytes;
    item.submitted = MonotonicTime(Millis(next++));
    QueuedCommands one;
    one.push_back(std::move(item));
    queue.add(one);
  }
  void events(int count, std::size_t rows = 1, std::size_t bytes = 0) {
    for (int i = 0; i < count; ++i) add(AcceptEvents{}, rows, bytes);
  }
  void outcomes(int count) {
    for (int i = 0; i < count; ++i) add(delivered({1, 1}, 1));
  }
};

std::vector<std::int64_t> numbers(const QueuedCommands& batch) {
  std::vector<std::int64_t> numbers;
  numbers.reserve(batch.size());
  for (const auto& item : batch)
    numbers.push_back(std::chrono::duration_cast<Millis>(item.submitted.time_since_epoch()).count());
  return numbers;
}
std::ptrdiff_t count_ahead(const QueuedCommands& batch) {
  return std::ranges::count_if(batch, [](const auto& item) { return item.traits.ahead; });
}

using Numbers = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("events go ahead of outcomes; each line keeps its order") {
  Queue q;
  q.outcomes(2);
  q.events(1);
  q.outcomes(1);
  q.events(1);
  CHECK(numbers(q.queue.take()) == Numbers{3, 5, 1, 2, 4});
  CHECK(q.queue.empty());
}

TEST_CASE("what an operator asks for finds recorded what happened before it") {
  Queue q;
  q.outcomes(1);
  q.add(ReplayEvent{});
  q.add(ChangeDelivery{});
  q.add(SetFailingSince{});
  q.outcomes(1);
  q.add(DisableEndpoint{});
  CHECK(numbers(q.queue.take()) == Numbers{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a burst of outcomes does not stand before an event, and is recorded a share at a time") {
  Queue q;
  q.outcomes(10'000);
  q.events(1);
  auto batch = q.queue.take();
  CHECK(numbers(batch)[0] == 10'001);
  CHECK(batch.size() == 1 + 256);
  for (int more = 0; more < 39; ++more) q.queue.take();
  CHECK(q.queue.empty());
}

TEST_CASE("a flood of events leaves half of each transaction to outcomes, and none to nobody") {
  Queue q;
  q.events(5000);
  CHECK(q.queue.take().size() == 1024);
  q.outcomes(5000);
  const auto batch = q.queue.take();
  CHECK(batch.size() == 1024);
  CHECK(count_ahead(batch) == 512);
}

TEST_CASE("outcomes keep pace with events however many rows these have") {
  Queue q;
  q.events(100, 50);
  q.outcomes(5000);
  const auto batch = q.queue.take();
  CHECK(count_ahead(batch) == 20);  // 1,000 rows, half of a transaction
  CHECK(batch.size() - 20 == 1000);
  Queue huge;
  huge.events(100, 5000);
  huge.outcomes(5000);
  CHECK(huge.queue.take().size() == 1 + 1000);  // half of one, even beside a command that is too large
}

TEST_CASE(
    "a transaction is bounded in commands, rows and bytes, but takes the first of a line however large") {
  Queue q({.commands = 4, .bytes = 100, .rows = 10, .share = 2});
  q.events(5);
  CHECK(q.queue.take().size() == 4);
  CHECK(q.queue.take().size() == 1);
  q.events(3, 6);
  CHECK(q.queue.take().size() == 1);
  q.events(1, 1, 60);
  CHECK(q.queue.take().size() == 1);
  CHECK(q.queue.take().size() == 2);
  q.events(2, 1, 60);
  CHECK(q.queue.take().size() == 1);
  q.events(1, 500, 500);
  CHECK(q.queue.take().size() == 1);
  CHECK(q.queue.take().size() == 1);
  q.outcomes(3);
  CHECK(q.queue.take().size() == 2);
  CHECK(q.queue.take().size() == 1);
  CHECK(q.queue.take().empty());
}

TEST_CASE("what could not be committed is taken again as it was; what is refused is taken out in order") {
  Queue q({.commands = 4, .share = 2});
  q.outcomes(3);
  q.events(3);
  auto batch = q.queue.take();
  const Numbers first = numbers(batch);
  q.queue.put_back(batch);
  CHECK(batch.empty());
  batch = q.queue.take();
  CHECK(numbers(batch) == first);
  q.queue.put_back(batch);
  q.queue.for_each([](QueuedCommand& item) {
    if (item.submitted <= MonotonicTime(Millis(2)) || item.submitted == MonotonicTime(Millis(5)))
      item.refused = Problem{ProblemCode::kUnavailable, "too late"};
  });
  CHECK(numbers(q.queue.take_refused()) == Numbers{5, 1, 2});
  CHECK(numbers(q.queue.take()) == Numbers{4, 6, 3});
}
