// What `db check` finds while the deliveries of a removed endpoint are being discarded, step by step.
#include <doctest/doctest.h>

#include "store/sqlite/sqlite_store.h"
#include "store/sqlite/sqlite_tools.h"
#include "support/store_values.h"
#include "support/temporary_folder.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE(
    "a removed endpoint whose deliveries in order are discarded in steps is no damage between the steps") {
  TemporaryFolder folder;
  SqliteOptions options;
  options.path = folder / "outbox.db";
  auto store = open_sqlite_store(options);
  const auto apply = [&](auto command) {
    const auto done = test::apply(*store, std::move(command));
    REQUIRE(done);
    return *done;
  };
  const EndpointPtr endpoint = apply(CreateEndpoint{shared(new_endpoint())});
  std::vector<DeliveryKey> keys;
  for (int i = 0; i < 5; ++i) {
    const NewEvent event = keyed(new_event({endpoint->seq}), "one key");
    apply(accepting({event}));
    keys.push_back({event.event->seq, endpoint->seq});
  }
  apply(RemoveEndpoint{endpoint->id, kNow});
  store.reset();
  CHECK(check_sqlite(options, true).empty());
  store = open_sqlite_store(options);
  CHECK(apply(DiscardRemoved{.limit = 2, .at = kNow}).deliveries == 2);
  store.reset();
  CHECK(check_sqlite(options, true).empty());
  store = open_sqlite_store(options);
  apply(delivered(keys[0], 1));  // it was under way
  CHECK(store->new_reader()->attempts(keys[0]).size() == 1);
  CHECK(apply(DiscardRemoved{.at = kNow}).deliveries == 3);
  store.reset();
  CHECK(check_sqlite(options, true).empty());
}
