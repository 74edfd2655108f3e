#include "store/sqlite/foreign_commits.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "common/clock.h"
#include "store/sqlite/file_lock.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/shared.h"
#include "store/sqlite/writer.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::sqlite;

namespace {

constexpr auto kLong = std::chrono::seconds(60);
constexpr auto kPatience = std::chrono::seconds(30);

struct Watched {
  test::TemporaryFolder folder;
  const std::string path = folder / "outbox.db";
  SystemClock clock;

  Watched() { create_file(path, embedded::sqlite_migrations()); }
  void produce() const {
    Database producer(path, Mode::kWriter, Millis(1000), 1000);
    producer.execute("INSERT INTO outbox(type, payload) VALUES ('a.b', '{}')");
  }
};

bool is_rung(const ForeignNotice& notice) {
  pollfd fd{notice.fd(), POLLIN, 0};
  return poll(&fd, 1, 0) == 1;
}

// A writer that is at work as long as this lives.
class AtWork {
 public:
  explicit AtWork(ForeignNotice& notice)
      : thread_([this, &notice] {
          while (!stop_) {
            notice.writer_at_work();
            std::this_thread::yield();
          }
        }) {}
  ~AtWork() {
    stop_ = true;
    thread_.join();
  }
  AtWork(const AtWork&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

struct Elapsed {
  const std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  auto operator()() const { return std::chrono::steady_clock::now() - begin; }
};

}  // namespace

TEST_CASE_FIXTURE(Watched,
                  "the writer notices commits of others when its next transaction begins, never its own") {
  const FileLock lock(path);
  Shared shared(clock, DueClock::State{});
  Writer writer({.location = path, .owner = {}, .secrets = {}}, shared);
  const Command command = test::accepting({test::new_event()});
  const std::vector<const Command*> commands{&command};
  const auto commit = [&] { writer.apply({commands, OwnerToken{}, false}); };
  commit();
  shared.foreign.take();
  commit();
  CHECK_FALSE(is_rung(shared.foreign));
  produce();
  CHECK_FALSE(is_rung(shared.foreign));
  commit();
  CHECK(is_rung(shared.foreign));
  CHECK_FALSE(shared.foreign.take());
  commit();
  CHECK_FALSE(is_rung(shared.foreign));
}

TEST_CASE("a writer that seldom has something to do is not relied on, one without a pause is") {
  ForeignNotice notice;
  const auto relied_on = [&] { return notice.writer_looks_until() > std::chrono::steady_clock::now(); };
  notice.writer_at_work();
  notice.writer_at_work();
  CHECK_FALSE(relied_on());
  const Elapsed elapsed;
  while (!relied_on() && elapsed() < kPatience) notice.writer_at_work();
  CHECK(relied_on());
  while (relied_on() && elapsed() < kPatience) std::this_thread::yield();
  CHECK_FALSE(relied_on());
}

TEST_CASE_FIXTURE(Watched, "while the writer is at work the wait ends at its word") {
  ForeignNotice notice;
  ForeignCommits commits(path, Millis(1000), notice);
  const AtWork at_work(notice);
  const Elapsed elapsed;
  std::thread writer([&] {
    produce();
    notice.ring();
  });
  CHECK(commits.wait(kLong));
  writer.join();
  CHECK(elapsed() < kPatience);
}

TEST_CASE_FIXTURE(Watched, "a commit right after the writer's last is noticed without it") {
  ForeignNotice notice;
  ForeignCommits commits(path, Millis(1000), notice);
  const Elapsed elapsed;
  { const AtWork at_work(notice); }
  std::thread producer([&] { produce(); });
  CHECK(commits.wait(kLong));
  producer.join();
  CHECK(elapsed() < kPatience);
}

TEST_CASE_FIXTURE(Watched,
                  "the wait is interrupted, and ends at its timeout, also while the writer is at work") {
  ForeignNotice notice;
  ForeignCommits commits(path, Millis(1000), notice);
  const AtWork at_work(notice);
  const Elapsed elapsed;
  CHECK(commits.wait(Millis(20)));
  CHECK(elapsed() >= Millis(20));
  notice.interrupt();
  CHECK_FALSE(commits.wait(kLong));
  notice.ring();  // without a row: nothing to report
  CHECK(commits.wait(Millis(20)));
  CHECK(elapsed() < kPatience);
}
