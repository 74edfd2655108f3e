#include "store/postgresql/member_session.h"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "members/server.h"

using namespace outboxd;
using namespace outboxd::postgresql;
using namespace std::chrono_literals;
using Heartbeat = MemberSession::Heartbeat;

namespace {

struct Joined {
  std::unique_ptr<ServerSession> session;
  std::string token;
  int slot = 0;
  std::string process;  // the server's, of the session
};

struct Cluster {
  test::Server server;

  Joined join(const std::string& name, const std::string& former = "",
              const PartitionSet& unsettled = {}) const {
    Joined joined{std::make_unique<ServerSession>(MemberSessionOptions{server.url, name}), "", 0, ""};
    auto [token, slot] = joined.session->join(former, unsettled);
    joined.token = token;
    joined.slot = slot;
    joined.process = server.sql(
        "SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 'member'::regclass AND "
        "l.objid = " +
        std::to_string(slot));
    return joined;
  }
  std::string owner(int partition) const {
    return server.sql("SELECT token FROM partition_owner WHERE partition = " + std::to_string(partition));
  }
  bool is_fenced(const Joined& member) const {
    return server.sql("SELECT fenced FROM member WHERE token = '" + member.token + "'") == "t";
  }
  // These end a session, as a process that dies does, or as the server does. What it had locked is free when the server's
  // process is gone, and not before.
  void close(Joined& member) const {
    member.session.reset();
    wait_until_gone(member);
  }
  void terminate(const Joined& member) const {
    server.sql("SELECT pg_terminate_backend(" + member.process + ")");
    wait_until_gone(member);
  }

 private:
  void wait_until_gone(const Joined& member) const {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (server.sql("SELECT count(*) FROM pg_stat_activity WHERE pid = " + member.process) != "0")
      REQUIRE(std::chrono::steady_clock::now() < end);
  }
};

PartitionSet partitions(std::initializer_list<std::size_t> numbers) {
  PartitionSet set;
  for (const std::size_t number : numbers) set.set(number);
  return set;
}

std::vector<std::string> tokens_of(const std::vector<MemberView>& views) {
  std::vector<std::string> tokens;
  tokens.reserve(views.size());
  for (const MemberView& view : views) tokens.push_back(view.token);
  std::ranges::sort(tokens);
  return tokens;
}

}  // namespace

TEST_CASE_FIXTURE(Cluster, "members see each other, take what is free, and give it back") {
  Joined a = join("a"), b = join("b");
  CHECK(a.token != b.token);
  CHECK(a.token.size() == 32);
  CHECK(a.slot == 0);
  CHECK(b.slot == 1);
  CHECK(a.session->heartbeat() == Heartbeat::kProven);
  std::vector<std::string> both{a.token, b.token};
  std::ranges::sort(both);
  CHECK(tokens_of(a.session->look()) == both);

  auto taken = a.session->take({1, 2, 3});
  CHECK(taken.cleanly == partitions({1, 2, 3}));
  CHECK(taken.uncleanly.none());
  CHECK(owner(2) == a.token);
  taken = b.session->take({2, 3, 4});
  CHECK(taken.cleanly == partitions({4}));
  for (const MemberView& view : b.session->look())
    CHECK(view.held == (view.token == a.token ? partitions({1, 2, 3}) : partitions({4})));

  a.session->give_back(partitions({2, 3}));
  CHECK(owner(2).empty());
  taken = b.session->take({1, 2, 3});
  CHECK(taken.cleanly == partitions({2, 3}));
  CHECK_FALSE(is_fenced(a));
  a.session->leave({});
  CHECK(tokens_of(b.session->look()) == std::vector<std::string>{b.token});
  CHECK(owner(1).empty());
  close(a);
  CHECK(b.session->take({1}).cleanly == partitions({1}));
  CHECK(join("c").slot == 0);
}

TEST_CASE_FIXTURE(Cluster,
                  "who lost its session is fenced by whoever takes what it had, and finds that out") {
  Joined a = join("a"), b = join("b");
  a.session->take({1, 2});
  terminate(a);
  CHECK_THROWS_AS(a.session->heartbeat(), StoreError);
  CHECK(tokens_of(b.session->look()) == std::vector<std::string>{b.token});
  CHECK_FALSE(is_fenced(a));  // something of it is left to take
  const auto taken = b.session->take({1, 2, 3});
  CHECK(taken.uncleanly == partitions({1, 2}));
  CHECK(taken.cleanly == partitions({3}));
  CHECK(is_fenced(a));
  const Joined again = join("a", a.token);
  CHECK(again.token != a.token);
  CHECK(owner(1) == b.token);
  // Nothing that it had: fenced when it is seen.
  terminate(again);
  b.session->look();
  CHECK(is_fenced(again));
}

TEST_CASE_FIXTURE(Cluster, "who joins anew gives back what nobody has taken meanwhile, cleanly") {
  Joined a = join("a");
  a.session->take({1, 2});
  close(a);
  Joined again = join("a", a.token);
  CHECK(is_fenced(a));
  const auto taken = again.session->take({1, 2});
  CHECK(taken.cleanly == partitions({1, 2}));
}

TEST_CASE_FIXTURE(Cluster, "what was taken uncleanly a moment ago is never given back as clean") {
  Joined a = join("a"), b = join("b");
  a.session->take({1, 2, 3});
  close(a);
  Joined again = join("a", a.token, partitions({2, 3}));
  auto taken = again.session->take({1, 2});
  CHECK(taken.cleanly == partitions({1}));
  CHECK(taken.uncleanly == partitions({2}));
  again.session->leave(partitions({2}));
  close(again);
  taken = b.session->take({2});
  CHECK(taken.uncleanly == partitions({2}));
  CHECK(b.session->take({1}).cleanly == partitions({1}));
}

TEST_CASE_FIXTURE(Cluster, "a fenced member can neither prove anything nor take anything") {
  Joined a = join("a");
  server.sql("UPDATE member SET fenced = true");
  CHECK(a.session->heartbeat() == Heartbeat::kFenced);
  CHECK_THROWS_AS(a.session->take({1}), StoreError);
  CHECK(owner(1).empty());
}

TEST_CASE_FIXTURE(Cluster,
                  "a batch under way ends before its member is fenced, and its next one finds no row") {
  Joined a = join("a"), b = join("b");
  a.session->take({1});
  Connection writer({.url = server.url, .purpose = "writer"});
  Statement guard(writer, "SELECT 1 FROM member WHERE token = $1 AND NOT fenced FOR SHARE");
  writer.execute("BEGIN");
  CHECK(Cursor(guard, a.token).size() == 1);
  CHECK(a.session->heartbeat() == Heartbeat::kNotNow);
  close(a);
  auto taken = b.session->take({1});
  CHECK((taken.cleanly | taken.uncleanly).none());
  CHECK_FALSE(is_fenced(a));
  CHECK(b.session->heartbeat() == Heartbeat::kProven);  // it goes on
  std::thread ends([&writer] {
    std::this_thread::sleep_for(300ms);
    writer.execute("COMMIT");
  });
  taken = b.session->take({1});
  ends.join();
  CHECK(taken.uncleanly == partitions({1}));
  writer.execute("BEGIN");
  CHECK(Cursor(guard, a.token).size() == 0);
  writer.execute("ROLLBACK");
}

TEST_CASE_FIXTURE(Cluster, "a silent session is ended by the server, a hanging one by another member") {
  Joined silent = join("silent"), hanging = join("hanging"), b = join("b");
  silent.session->take({1});
  hanging.session->take({2});
  server.sql("UPDATE member SET heartbeat_at = heartbeat_at - 8000 WHERE name = 'hanging'");
  b.session->look();
  for (const auto end = std::chrono::steady_clock::now() + 5s; b.session->take({2}).uncleanly.none();)
    REQUIRE(std::chrono::steady_clock::now() < end);
  CHECK_THROWS_AS(hanging.session->heartbeat(), StoreError);
  if (server.sql("SHOW server_version_num") < "140000") return;
  const auto begun = std::chrono::steady_clock::now();
  while (b.session->take({1}).uncleanly.none()) {
    CHECK(b.session->heartbeat() == Heartbeat::kProven);
    std::this_thread::sleep_for(100ms);
    REQUIRE(std::chrono::steady_clock::now() - begun < 8s);
  }
  CHECK_THROWS_AS(silent.session->heartbeat(), StoreError);
}
