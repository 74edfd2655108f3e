#include "bench/arguments.h"

#include <doctest/doctest.h>

#include <vector>

using namespace outboxd::bench;

namespace {

std::optional<Arguments> read(std::vector<const char*> options) {
  options.insert(options.begin(), {"pipeline_bench", "outboxd", "folder"});
  return read_arguments(static_cast<int>(options.size()), options.data());
}

}  // namespace

TEST_CASE("without options every scenario is measured once, beside its limit") {
  const auto arguments = read({});
  REQUIRE(arguments);
  CHECK(arguments->settings.daemon == "outboxd");
  CHECK(arguments->rounds == 1);
  CHECK(arguments->settings.references);
  CHECK(!arguments->settings.quick);
  CHECK(arguments->settings.backlogs == std::vector<std::int64_t>{1'000'000});
}

TEST_CASE("the full form has ten million pending and a snapshot that is open for ten minutes") {
  const auto arguments = read({"--full"});
  REQUIRE(arguments);
  CHECK(arguments->settings.backlogs == std::vector<std::int64_t>{1'000'000, 10'000'000});
  CHECK(arguments->settings.snapshot_seconds == 600);
}

TEST_CASE("where two daemons are compared the limit is left out") {
  const auto arguments = read({"--against", "old/outboxd", "--rounds", "5", "--only", "latency"});
  REQUIRE(arguments);
  CHECK(arguments->against == "old/outboxd");
  CHECK(arguments->rounds == 5);
  CHECK(arguments->only == "latency");
  CHECK(!arguments->settings.references);
}

TEST_CASE("sizes given win over those of a quick run, wherever they stand") {
  const auto arguments = read({"--hanging", "50", "--quick", "--backlog", "7"});
  REQUIRE(arguments);
  CHECK(arguments->settings.hanging == 50);
  CHECK(arguments->settings.backlogs == std::vector<std::int64_t>{7});
  CHECK(arguments->settings.fan_out == 200);
}

TEST_CASE("an unknown option, a missing value and a number out of bounds are refused") {
  CHECK(!read_arguments(2, std::vector<const char*>{"pipeline_bench", "outboxd"}.data()));
  CHECK(!read({"--slow"}));
  CHECK(!read({"--only"}));
  CHECK(!read({"--only", ""}));
  CHECK(!read({"--rounds", "0"}));
  CHECK(!read({"--rounds", "1001"}));
  CHECK(!read({"--rounds", "many"}));
  CHECK(!read({"--backlog", "-1"}));
  CHECK(!read({"--hanging", "1000001"}));
  CHECK(!read({"--against"}));
}
