// Two daemons that write at the same time what must not be decided by each alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <thread>

#include "store/postgresql/connection.h"
#include "store/postgresql/postgres_store.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

// As the group commit does it.
template <class C>
Done<C> apply_at_last(Store& store, const C& command) {
  for (int tries = 0;; ++tries) {
    try {
      return apply(store, command);
    } catch (const StoreError& error) {
      REQUIRE(error.may_try_again());
      REQUIRE(error.kind != StoreError::Kind::kUnknown);
      REQUIRE(tries < 100);
      std::this_thread::sleep_for(5ms);
    }
  }
}

struct TwoWriters {
  PrivatePostgres postgres;
  std::string url = (postgres.create_database("shared"), postgres.url("shared"));
  std::unique_ptr<Store> a = open_postgres_store({.url = url, .name = "a"});
  std::unique_ptr<Store> b = open_postgres_store({.url = url, .name = "b"});

  std::string sql(const std::string& script) const { return postgres.sql("shared", script); }
  EndpointSeq in_order() const {
    Endpoint endpoint = new_endpoint();
    endpoint.ordering = Ordering::kKey;
    const auto made = apply_at_last(*a, CreateEndpoint{test::shared(endpoint)});
    REQUIRE(made);
    return (*made)->seq;
  }
  // Both do it, at the same time.
  void both(const std::function<void(Store&)>& work) const {
    std::thread other([&] { work(*b); });
    work(*a);
    other.join();
  }
};

}  // namespace

TEST_CASE_FIXTURE(TwoWriters, "whoever accepts, an ordering key has one head, the first accepted") {
  const EndpointSeq endpoint = in_order();
  both([&](Store& store) {
    for (int i = 0; i < 60; ++i)
      REQUIRE(apply_at_last(store, accepting({keyed(new_event({endpoint}), i % 2 == 0 ? "a" : "b"),
                                              keyed(new_event({endpoint}), "c")})));
  });
  CHECK(sql("SELECT count(*) FROM pending") == "240");
  CHECK(sql("SELECT sequence_key FROM pending WHERE NOT blocked ORDER BY 1") == "a\nb\nc");
  CHECK(sql("SELECT count(*) FROM pending p WHERE NOT blocked AND EXISTS (SELECT 1 FROM pending q"
            " WHERE q.sequence_key = p.sequence_key AND q.event < p.event)") == "0");
}

TEST_CASE_FIXTURE(TwoWriters, "an idempotency key that two daemons are given at once makes one event") {
  for (int i = 0; i < 40; ++i) {
    both([&](Store& store) {
      REQUIRE(apply_at_last(store, accepting({with_key(new_event(), "k" + std::to_string(i), 'x')})));
    });
  }
  CHECK(sql("SELECT count(*) FROM event") == "40");
  CHECK(sql("SELECT count(*) FROM idempotency") == "40");
}

TEST_CASE_FIXTURE(TwoWriters, "a repeat waits for what the server may still commit of the first time") {
  const std::string token = sql("SELECT token FROM member WHERE name = 'a' AND NOT fenced");
  postgresql::Connection first({.url = url, .purpose = "test"});
  first.execute("BEGIN; SELECT 1 FROM member WHERE token = '" + token + "' AND NOT fenced FOR SHARE");
  const AcceptEvents command = accepting({new_event()});
  CHECK(apply(*a, accepting({new_event()})));
  CHECK(kind_thrown_by([&] { apply(*a, command, true); }) == StoreError::Kind::kBusy);
  first.execute("COMMIT");
  CHECK(apply(*a, command, true));
  CHECK(sql("SELECT count(*) FROM event") == "2");
}

namespace {

AcceptEvents matched_at(DirectoryVersion version, NewEvent event) {
  AcceptEvents command = accepting({std::move(event)});
  command.matched = version;
  return command;
}

}  // namespace

TEST_CASE_FIXTURE(TwoWriters, "what was matched before another daemon made an endpoint is matched again") {
  const auto reader = b->new_reader();
  const DirectoryVersion before = reader->all_endpoints().version;
  const auto made = apply_at_last(*a, CreateEndpoint{test::shared(new_endpoint())});
  REQUIRE(made);
  const auto stale = apply_at_last(*b, matched_at(before, new_event()));
  CHECK(stale->stale);
  REQUIRE(stale.facts.size() == 1);
  const auto told = std::get<EndpointChanged>(stale.facts.front());
  CHECK(told.version == before + 1);
  REQUIRE(told.now);
  CHECK(told.now->id == (*made)->id);
  CHECK_FALSE(apply_at_last(*b, matched_at(told.version, new_event({(*made)->seq})))->stale);
  // Its own changes the daemon knows.
  const DirectoryVersion known = told.version;
  REQUIRE(apply_at_last(*b, CreateEndpoint{test::shared(new_endpoint())}));
  CHECK_FALSE(apply_at_last(*b, matched_at(known, new_event()))->stale);
  CHECK(apply_at_last(*a, matched_at(known, new_event()))->stale);
}

TEST_CASE_FIXTURE(TwoWriters, "each change of others is told, also where a later one has covered it") {
  const DirectoryVersion before = b->new_reader()->all_endpoints().version;
  const auto first = apply_at_last(*a, CreateEndpoint{test::shared(new_endpoint())});
  const auto second = apply_at_last(*a, CreateEndpoint{test::shared(new_endpoint())});
  REQUIRE((first && second));
  REQUIRE(apply_at_last(*a, SetEndpointState{(*first)->id, kNow, EndpointState::kPaused, ""}));
  REQUIRE(apply_at_last(*a, RemoveEndpoint{(*second)->id, kNow}));
  const auto stale = apply_at_last(*b, matched_at(before, new_event()));
  CHECK(stale->stale);
  std::vector<DirectoryVersion> versions;
  for (const Fact& fact : stale.facts) versions.push_back(std::get<EndpointChanged>(fact).version);
  CHECK(versions == std::vector<DirectoryVersion>{before + 1, before + 2, before + 3, before + 4});
}

TEST_CASE_FIXTURE(TwoWriters, "a removal by another daemon concerns only what names the endpoint") {
  const auto made = apply_at_last(*a, CreateEndpoint{test::shared(new_endpoint())});
  REQUIRE(made);
  const DirectoryVersion before = b->new_reader()->all_endpoints().version;
  REQUIRE(apply_at_last(*a, RemoveEndpoint{(*made)->id, kNow}));
  CHECK_FALSE(apply_at_last(*b, matched_at(before, new_event()))->stale);
  CHECK(apply_at_last(*b, matched_at(before, new_event({(*made)->seq})))->stale);
}

TEST_CASE_FIXTURE(TwoWriters,
                  "a database that has lost changes of endpoints stops the daemon that heard of them") {
  const auto watch_until = [&](const std::function<bool(const Facts&)>& is_so) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!is_so(b->wait_for_changes(10ms))) REQUIRE(std::chrono::steady_clock::now() < end);
  };
  REQUIRE(apply_at_last(*a, CreateEndpoint{test::shared(new_endpoint())}));
  watch_until([](const Facts& facts) {
    return std::ranges::any_of(
        facts, [](const Fact& fact) { return std::holds_alternative<EndpointChanged>(fact); });
  });
  sql("UPDATE directory SET version = version - 1");
  CHECK(kind_thrown_by([&] { watch_until([](const Facts&) { return false; }); }) ==
        StoreError::Kind::kFailed);
}
