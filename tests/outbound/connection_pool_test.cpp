// Which idle connection is used next, and which one has to go.
#include "outbound/connection_pool.h"

#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>

namespace outboxd {
namespace {

using std::chrono::seconds;

const ConnectionKey kHere{nullptr, "here.test", 80};
const ConnectionKey kThere{nullptr, "there.test", 80};

class Pool {
 public:
  explicit Pool(std::size_t max_idle = 100) : pool(max_idle) {}
  ~Pool() {
    pool.clear();
    for (const int fd : others_) close(fd);
  }
  std::unique_ptr<Connection> connection(const ConnectionKey& key) {
    std::array<int, 2> pair{};
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()) == 0);
    others_.push_back(pair[1]);
    auto made = std::make_unique<Connection>(loop_, pair[0], *IpAddress::parse("192.0.2.1"), key.port);
    made->group = pool.group_of(key, nullptr);
    return made;
  }
  Connection* give(const ConnectionKey& key, MonotonicTime when) {
    auto made = connection(key);
    Connection* const given = made.get();
    pool.give(std::move(made), when);
    return given;
  }
  // How many of the connections made so far are closed.
  int closed() const {
    int count = 0;
    for (const int fd : others_) {
      char byte;
      count += recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0 ? 1 : 0;
    }
    return count;
  }

 private:
  EventLoop loop_;
  std::vector<int> others_;

 public:
  ConnectionPool pool;
  const MonotonicTime now = std::chrono::steady_clock::now();
};

TEST_CASE("the connection that was used last is used next, and only for its own key") {
  Pool p;
  p.give(kHere, p.now);
  Connection* const newer = p.give(kHere, p.now);
  CHECK(p.pool.take(kThere, p.now) == nullptr);
  CHECK(p.pool.take({nullptr, "here.test", 8080}, p.now) == nullptr);
  const auto first = p.pool.take(kHere, p.now);
  CHECK(first.get() == newer);
  CHECK(first->kept);
  CHECK(p.pool.idle() == 1);
  const auto second = p.pool.take(kHere, p.now);
  CHECK(second != nullptr);
  CHECK(p.pool.take(kHere, p.now) == nullptr);
  CHECK(p.closed() == 0);
}

TEST_CASE("a plain connection and one of each TLS context are never taken for each other") {
  Pool p;
  const auto one = std::make_shared<TlsContext>(), other = std::make_shared<TlsContext>();
  const auto give = [&](const std::shared_ptr<TlsContext>& context) {
    auto made = p.connection(kHere);
    made->group = p.pool.group_of({context.get(), "here.test", 80}, context);
    p.pool.give(std::move(made), p.now);
  };
  give(one);
  CHECK(p.pool.take(kHere, p.now) == nullptr);
  CHECK(p.pool.take({other.get(), "here.test", 80}, p.now) == nullptr);
  CHECK(p.pool.take({one.get(), "here.test", 80}, p.now) != nullptr);
}

TEST_CASE("beyond the limit the one that was idle for the longest time is closed") {
  Pool p(3);
  Connection* const oldest = p.give(kHere, p.now);
  p.give(kThere, p.now);
  p.give(kHere, p.now);
  CHECK(oldest == p.pool.take(kHere, p.now)->group->newest_idle);
  CHECK(p.pool.idle() == 2);  // what was taken last is gone
  for (int i = 0; i < 5; ++i) p.give(kThere, p.now);
  CHECK(p.pool.idle() == 3);
  CHECK(p.pool.take(kHere, p.now) == nullptr);
  CHECK(p.closed() == 5);
}

TEST_CASE("a connection is not used beyond its age, nor after a long time idle") {
  Pool p;
  p.give(kHere, p.now);
  CHECK(p.pool.take(kHere, p.now + ConnectionPool::kMaxIdle - seconds(1)) != nullptr);
  p.give(kHere, p.now);
  p.give(kHere, p.now);
  CHECK(p.pool.take(kHere, p.now + ConnectionPool::kMaxIdle) == nullptr);
  CHECK(p.pool.idle() == 0);
  p.give(kHere, p.now + ConnectionPool::kMaxAge - seconds(3));
  CHECK(p.pool.take(kHere, p.now + ConnectionPool::kMaxAge + seconds(1)) == nullptr);
  p.give(kHere, p.now + ConnectionPool::kMaxAge + seconds(1));
  CHECK(p.pool.idle() == 0);
  CHECK(p.closed() == 5);
}

TEST_CASE("connections that nobody takes are closed by and by when others are given back") {
  Pool p;
  for (int i = 0; i < 10; ++i) p.give(kThere, p.now);
  const auto later = p.now + ConnectionPool::kMaxIdle;
  for (int i = 0; i < 5; ++i) p.give(kHere, later);
  CHECK(p.pool.idle() == 5);
  CHECK(p.pool.take(kThere, p.now) == nullptr);
}

TEST_CASE(
    "places are lent for an eighth of what is kept, and one more; idle connections make room, the oldest "
    "first") {
  Pool p(16);
  p.give(kThere, p.now);
  for (int i = 0; i < 15; ++i) p.give(kHere, p.now);
  CHECK(p.pool.lend());
  CHECK(p.closed() == 1);
  CHECK(p.pool.take(kThere, p.now) == nullptr);
  CHECK(p.pool.lend());
  CHECK(p.pool.lend());
  CHECK_FALSE(p.pool.lend());
  CHECK(p.pool.idle() == 13);
  p.give(kHere, p.now);
  CHECK(p.pool.idle() == 13);
  p.pool.give_back();
  p.give(kHere, p.now);
  CHECK(p.pool.idle() == 14);
  CHECK(p.pool.lend());
}

TEST_CASE("a pool of none keeps none") {
  Pool p(0);
  p.give(kHere, p.now);
  CHECK(p.pool.idle() == 0);
  CHECK(p.closed() == 1);
}

}  // namespace
}  // namespace outboxd
