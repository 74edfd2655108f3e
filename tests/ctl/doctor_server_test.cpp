#include "ctl/doctor_server.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

Json status(const Json& members, const Json& store) {
  return {{"members", members}, {"store", store}};
}
Json member(const char* name, double heartbeat_age, int partitions) {
  return {{"name", name}, {"heartbeat_age_seconds", heartbeat_age}, {"partitions", partitions}};
}

}  // namespace

TEST_CASE(
    "of a store for one daemon alone, and of what is no status, the doctor says nothing about members") {
  for (const Json& one : {status(Json::array(), {{"wal_bytes", 1}}), status(nullptr, nullptr), Json(),
                          Json(3), status(7, "text")}) {
    CAPTURE(one.dump());
    CHECK(findings_of_members(one).empty());
    CHECK(findings_of_server(one).empty());
  }
}

TEST_CASE("a member that is silent, and partitions that nobody owns, are found") {
  const auto well = findings_of_members(status({member("a", 0.5, 128), member("b", 1.4, 128)}, {}));
  REQUIRE(well.size() == 1);
  CHECK(well[0].good);
  CHECK(well[0].found == "2 daemons share the store");
  const auto ill = findings_of_members(status({member("a", 0.5, 128), member("b", 20, 100)}, {}));
  REQUIRE(ill.size() == 2);
  CHECK(ill[0].found == "b has not been heard of for 20s");
  CHECK(ill[1].found == "28 partitions belong to nobody");
  CHECK_FALSE(ill[1].good);
}

TEST_CASE("what a server lacks, or what somebody left open on it, is found with a way to mend it") {
  const Json well = {{"synchronous_standbys", 2},
                     {"oldest_snapshot_seconds", 3},
                     {"pending_dead_rows", 500},
                     {"prepared_transactions", 0},
                     {"inactive_slots", 0}};
  const auto good = findings_of_server(status({}, well));
  REQUIRE(good.size() == 1);
  CHECK(good[0].good);
  CHECK(good[0].found == "2 synchronous standbys");
  const Json ill = {{"synchronous_standbys", 0},
                    {"oldest_snapshot_seconds", 7200},
                    {"pending_dead_rows", 2'000'000},
                    {"prepared_transactions", 1},
                    {"inactive_slots", 2}};
  const auto found = findings_of_server(status({}, ill));
  REQUIRE(found.size() == 5);
  for (const Finding& one : found) {
    CHECK_FALSE(one.good);
    CHECK_FALSE(one.mend.empty());
  }
  CHECK(found[0].found.find("may be lost") != std::string::npos);
  CHECK(found[1].found.find("2h") != std::string::npos);
}
