// A daemon that has not joined the others, or not yet again, accepts events all the same.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "members/server.h"
#include "store/postgresql/standing.h"
#include "store/postgresql/writer.h"
#include "support/store_values.h"

using namespace outboxd;
using namespace outboxd::test;

// A commit waits for the synchronous standby if its transaction has a number, which it gets with the first thing it writes.
TEST_CASE_FIXTURE(Server,
                  "what an outsider repeats is confirmed by the standby too, though it writes nothing new") {
  const OwnerToken owner{"outsider"};
  postgresql::Standing standing;
  postgresql::Writer writer({.connection = {.url = url, .purpose = "test"}, .owner = owner, .secrets = {}},
                            standing);
  const auto last_transaction = [this] {
    return std::stoll(sql("SELECT pg_snapshot_xmax(pg_current_snapshot())"));
  };
  const Command accept = accepting({with_key(new_event(), "once", 'x')});
  const Command same = accepting({with_key(new_event(), "once", 'x')});
  const auto apply = [&](const Command& command, bool repeat) {
    const std::vector<const Command*> commands{&command};
    writer.apply({commands, owner, repeat});
  };
  apply(accept, false);
  auto before = last_transaction();
  apply(accept, true);
  CHECK(last_transaction() > before);
  before = last_transaction();
  apply(same, false);
  CHECK(last_transaction() > before);
  CHECK(sql("SELECT count(*) FROM event") == "1");
}
