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
  CHECK(finding_of_log({{"store", nullptr}}).good);  // the status of one tenant
}

TEST_CASE("the doctor names certificates that expire within two weeks, and those that have expired") {
  const auto showed = [](const char* name, Json expires_at) {
    return Json{{"name", name}, {"stats", {{"certificate_expires_at", std::move(expires_at)}}}};
  };
  const std::vector<Json> endpoints{showed("far", "2026-12-07T15:00:01.000Z"),
                                    showed("near", "2026-12-07T15:00:00.000Z"),
                                    showed("over", "2026-11-23T14:00:00.000Z"), showed("plain", nullptr)};
  const auto found = findings_of_certificates(endpoints, kNow);
  REQUIRE(found.size() == 2);
  CHECK(found[0].found == "the one of near expires on 2026-12-07T15:00:00.000Z (in 14d)");
  CHECK(found[0].mend.find("outboxctl endpoint test near") != std::string::npos);
  CHECK(found[1].found == "the one of over expired on 2026-11-23T14:00:00.000Z (1h ago)");
  const auto calm = findings_of_certificates({endpoints[0], endpoints[3]}, kNow);
  REQUIRE(calm.size() == 1);
  CHECK(calm[0].good);
  CHECK(calm[0].found == "the first of the endpoints' expires in 14d");
  CHECK(findings_of_certificates({endpoints[3]}, kNow).empty());
}

TEST_CASE("the doctor tells when the clock was set, by how much, and how often") {
  const auto status = [](int steps, const char* at, std::int64_t by) {
    return Json{{"clock", {{"steps", steps}, {"last_step_at", at}, {"last_step_ms", by}}}};
  };
  auto found = findings_of_clock(true, status(1, "2026-11-23T14:50:00.000Z", -3'600'012), kNow);
  REQUIRE(found.size() == 1);
  CHECK(found[0].found == "it was set back by 1h, 10m ago");
  CHECK(found[0].mend.find("timedatectl") != std::string::npos);
  found = findings_of_clock(true, status(3, "2026-11-23T14:50:00.000Z", 350), kNow);
  CHECK(found[0].found ==
        "it was set forward by 350ms, 10m ago, or this machine slept (3 times since outboxd started)");
  CHECK(findings_of_clock(true, status(1, "2026-11-22T14:59:00.000Z", 350), kNow)[0].good);
  CHECK(findings_of_clock(true, nullptr, kNow)[0].good);
  const auto both = findings_of_clock(false, status(1, "2026-11-23T14:50:00.000Z", 350), kNow);
  REQUIRE(both.size() == 2);
  CHECK(both[0].found == "the kernel's clock is not synchronised");
}

TEST_CASE("the doctor tells secrets in plain, and those with an earlier key") {
  const Json old{{{"id", "new"}, {"secrets", 1}}, {{"id", "old"}, {"secrets", 2}}};
  CHECK(finding_of_secrets({{"key", "new"}, {"plain", 0}, {"encrypted", Json::array()}}).good);
  CHECK(finding_of_secrets({{"key", "new"}, {"plain", 0}, {"encrypted", old}}).found ==
        "0 are in plain, 2 have an earlier key");
  CHECK_FALSE(finding_of_secrets({{"key", nullptr}, {"plain", 0}, {"encrypted", Json::array()}}).good);
}

TEST_CASE("the pattern that a type was probably meant for is found, whatever its wildcard") {
  const std::vector<std::string> patterns{"user.created", "order.*", "invoice.**"};
  CHECK(nearest_pattern("user.craeted", patterns) == "user.created");
  CHECK(nearest_pattern("ordr.paid", patterns) == "order.*");
  CHECK(nearest_pattern("invocie.item.added", patterns) == "invoice.**");
  CHECK(nearest_pattern("something.else", patterns).empty());
  CHECK(nearest_pattern("a", {}).empty());
}

TEST_CASE("the doctor says which events of the last hour nobody got, and what may have been meant") {
  const auto event = [](const char* type, const char* tenant = "") {
    return Json{{"type", type}, {"tenant", tenant}};
  };
  const std::vector<Json> endpoints{{{"tenant", ""}, {"types", {"order.*"}}, {"filter", nullptr}},
                                    {{"tenant", ""}, {"types", {"user.**"}}, {"filter", {{"/vip", true}}}},
                                    {{"tenant", "acme"}, {"types", {"**"}}}};
  const std::vector<Json> events{event("ordr.paid"), event("ordr.paid"), event("user.made"),
                                 event("late.one", "acme"), event("strange")};
  const auto found = findings_of_unmatched(events, false, endpoints);
  REQUIRE(found.size() == 3);
  CHECK(found[0].found ==
        "2 events of type ordr.paid in the last hour matched no endpoint; the nearest that one wants is "
        "order.*");
  CHECK_FALSE(found[0].good);
  CHECK(found[1].found == "1 event of type strange in the last hour matched no endpoint");
  CHECK(found[2].found ==
        "1 event of type late.one in the last hour matched no endpoint then, and would match one now");
  CHECK(found[2].mend == "outboxctl event replay --type late.one --since 1h");
  CHECK(findings_of_unmatched(events, true, endpoints)[0].found.starts_with("at least 2 events"));
  const auto calm = findings_of_unmatched({event("user.made")}, false, endpoints);
  REQUIRE(calm.size() == 1);
  CHECK(calm[0].good);
}

TEST_CASE("the doctor names sources that fail, have rejected rows, or rows that wait for long") {
  const auto source = [](const char* name, const char* state, Json waiting_since, int rejected) {
    return Json{{"name", name},
                {"state", state},
                {"error", "it is locked"},
                {"since", "2026-11-23T14:55:00.000Z"},
                {"waiting_since", std::move(waiting_since)},
                {"rejected", rejected}};
  };
  const auto found = findings_of_sources(
      {source("well", "waiting", nullptr, 0), source("fails", "failing", "2026-11-23T14:55:00.000Z", 0),
       source("slow", "relaying", "2026-11-23T14:58:00.000Z", 3),
       source("busy", "relaying", "2026-11-23T14:59:30.000Z", 0)},
      kNow);
  REQUIRE(found.size() == 3);
  CHECK(found[0].found == "fails cannot be relayed, since 5m ago: it is locked");
  CHECK(found[0].mend == "outboxctl source check fails");
  CHECK(found[1].found == "slow has had rows waiting since 2m ago");
  CHECK(found[2].found == "slow has 3 rejected rows");
  CHECK(findings_of_sources({source("well", "waiting", nullptr, 0)}, kNow).at(0).good);
  CHECK(findings_of_sources({source("elsewhere", "standby", nullptr, 0)}, kNow).at(0).good);
  CHECK(findings_of_sources({}, kNow).empty());
}
