#include "ctl/doctor_findings.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {
const Time kNow = *parse_time("2026-11-23T15:00:00Z");
}

TEST_CASE("the doctor names endpoints that nothing gets through to, and the command against it") {
  const std::vector<Json> endpoints{
      {{"name", "well"}, {"state", "active"}, {"stats", {{"pending", 3}}}},
      {{"name", "young"}, {"state", "active"}, {"failing_since", "2026-11-23T14:30:00Z"}},
      {{"name", "old"},
       {"state", "active"},
       {"failing_since", "2026-11-23T12:00:00Z"},
       {"stats", {{"pending", 7}}}},
      {{"name", "gone"}, {"state", "disabled"}, {"disabled_reason", "gone"}, {"stats", {{"pending", 0}}}},
      {{"name", "idle"}, {"state", "paused"}, {"stats", {{"pending", 0}}}},
      {{"name", ""}, {"id", "ep_1"}, {"state", "paused"}, {"stats", {{"pending", 2}}}}};
  const auto found = findings_of_endpoints(endpoints, kNow);
  REQUIRE(found.size() == 3);
  CHECK(found[0].found == "old has had no success for 3h, 7 deliveries wait");
  CHECK(found[0].mend == "outboxctl why old");
  CHECK(found[1].found == "gone is disabled (gone)");
  CHECK(found[1].mend == "outboxctl endpoint enable gone");
  CHECK(found[2].found == "ep_1 is paused, 2 deliveries wait");
  CHECK(found[2].mend == "outboxctl endpoint resume ep_1");
  const auto calm = findings_of_endpoints({endpoints[0]}, kNow);
  REQUIRE(calm.size() == 1);
  CHECK(calm[0].good);
}

TEST_CASE("the doctor names at most twenty endpoints, and says how many more there are") {
  const std::vector<Json> many(23, Json{{"name", "x"}, {"state", "disabled"}});
  const auto found = findings_of_endpoints(many, kNow);
  REQUIRE(found.size() == 21);
  CHECK(found.back().found == "3 more are in trouble");
}

TEST_CASE("the doctor sees a write-ahead log that grows") {
  CHECK(finding_of_log({{"store", {{"wal_bytes", 4 << 20}}}}).good);
  CHECK_FALSE(finding_of_log({{"store", {{"wal_bytes", 300 << 20}}}}).good);
  CHECK(finding_of_log(Json::object()).good);
}
