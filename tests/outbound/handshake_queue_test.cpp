// Steps of handshakes and rounds of the loop.
#include "outbound/handshake_queue.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <vector>

namespace outboxd {
namespace {

// A step takes longer than the queue's time in a round.
class Slow final : public HandshakeQueue::Entry {
 public:
  Slow(HandshakeQueue& queue, std::vector<int>& steps, int number)
      : HandshakeQueue::Entry(queue), steps_(steps), number_(number) {}
  void shake_hands() override {
    const auto end = std::chrono::steady_clock::now() + HandshakeQueue::kTimeARound;
    while (std::chrono::steady_clock::now() < end) continue;
    steps_.push_back(number_);
  }

 private:
  std::vector<int>& steps_;
  const int number_;
};

TEST_CASE("handshakes that are due together go one after the other, and the loop comes round between them") {
  EventLoop loop;
  HandshakeQueue queue(loop);
  std::vector<int> steps;
  std::vector<std::unique_ptr<Slow>> entries;
  constexpr int kCount = 50;
  entries.reserve(kCount);
  for (int i = 0; i < kCount; ++i) {
    entries.push_back(std::make_unique<Slow>(queue, steps, i));
    queue.enter(*entries.back());
    queue.enter(*entries.back());  // it waits already
  }
  entries[7].reset();  // it gave up
  std::size_t seen = 0, most_a_round = 0, rounds = 0;
  loop.after_each_round([&] {
    most_a_round = std::max(most_a_round, steps.size() - seen);
    seen = steps.size();
    ++rounds;
    if (seen == kCount - 1) loop.stop();
  });
  loop.run();
  CHECK(most_a_round == 1);
  CHECK(rounds >= kCount - 1);
  CHECK(steps[6] == 6);
  CHECK(steps[7] == 8);
}

TEST_CASE("a queue that is gone has nothing to do any more") {
  EventLoop loop;
  std::vector<int> steps;
  {
    HandshakeQueue queue(loop);
    Slow entry(queue, steps, 1);
    queue.enter(entry);
  }
  loop.post([&] { loop.stop(); });
  loop.run();
  CHECK(steps.empty());
}

}  // namespace
}  // namespace outboxd
