// Rows of counts, which every commit changes: none is updated for long, because its former versions stay while a snapshot is
// open, and whoever looks for the row walks over them.
#include "store/postgresql/counter_rows.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "store/postgresql/postgres_store.h"
#include "support/private_postgres.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;
using postgresql::CounterRows;

TEST_CASE("counts move from row to row before one has many versions, and their sum stays right") {
  constexpr int kTransactions = 2 * CounterRows::kMaxVersions + 10;
  PrivatePostgres server;
  server.create_database("counted");
  PostgresOptions options;
  options.url = server.url("counted");
  const auto store = open_postgres_store(options);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!store->ownership().partitions.all() && std::chrono::steady_clock::now() < until)
    store->wait_for_changes(Millis(50));
  const EndpointSeq endpoint = (*apply(*store, CreateEndpoint{shared(new_endpoint())}))->seq;
  for (int i = 0; i < kTransactions; ++i) REQUIRE(apply(*store, accepting({new_event({endpoint})})));

  const std::string pieces = "0 " + std::to_string(2 * CounterRows::kMaxVersions) + "\n3000 10";
  CHECK(server.sql("counted", "SELECT slot || ' ' || events FROM counter ORDER BY slot") == pieces);
  CHECK(server.sql("counted", "SELECT slot || ' ' || pending FROM endpoint_count ORDER BY slot") == pieces);
  const auto reader = store->new_reader();
  CHECK(reader->status().events == kTransactions);
  CHECK(reader->status().pending == kTransactions);
}
