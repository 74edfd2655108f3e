#include "store/postgresql/doorbell.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::postgresql;

namespace {

const PartitionSet kMine = PartitionSet().set(1).set(2);
const PartitionSet kTheirs = ~kMine;

}  // namespace

TEST_CASE("others hear of what is due at their endpoints, and of no other") {
  Doorbell bell;
  CHECK(bell.take("me").empty());
  bell.ring(
      {DueOnDisk{.endpoint = 1}, DueOnDisk{.endpoint = 7}, DueOnDisk{.endpoint = 8, .by_operator = true},
       DeliveryWithdrawn{{4711, 7}}, DeliveryWithdrawn{{4711, 2}}, OutboxRowsWait{}},
      kMine);
  bell.ring(EndpointSeq{263});
  const std::string payload = bell.take("me");
  CHECK(bell.take("me").empty());
  const Doorbell::Heard heard = Doorbell::read(payload, kTheirs);
  CHECK(heard.from == "me");
  REQUIRE(heard.facts.size() == 4);
  CHECK(std::get<DueOnDisk>(heard.facts[0]).endpoint == 7);
  CHECK(std::get<DeliveryWithdrawn>(heard.facts[1]).key == DeliveryKey{4711, 7});
  CHECK(std::get<DueOnDisk>(heard.facts[2]).endpoint == 8);
  CHECK(std::get<DueOnDisk>(heard.facts[2]).by_operator);
  CHECK(std::get<DueOnDisk>(heard.facts[3]).endpoint == 263);
  CHECK_FALSE(std::get<DueOnDisk>(heard.facts[3]).by_operator);
  CHECK(Doorbell::read(payload, kMine).facts.empty());
}

TEST_CASE("what everybody finds by looking rings without saying what it is") {
  Doorbell bell;
  bell.ring({OutcomeRecorded{}, EndpointRecovered{}}, kMine);
  CHECK(bell.take("me").empty());
  bell.ring({FanOutWaits{}}, kMine);
  CHECK(bell.take("me") == "me");
  CHECK(bell.take("me").empty());
  CHECK(Doorbell::read("me", kTheirs).facts.empty());
}

TEST_CASE("many endpoints come in several payloads, and too many are left to those who look") {
  Doorbell bell;
  for (std::size_t i = 0; i < Doorbell::kMaxWaiting + 100; ++i)
    bell.ring(static_cast<EndpointSeq>(1'000'000 + i));
  std::size_t heard = 0;
  for (std::string payload; !(payload = bell.take("me")).empty();) {
    CHECK(payload.size() < 7999);
    heard += Doorbell::read(payload, PartitionSet().set()).facts.size();
  }
  CHECK(heard == Doorbell::kMaxWaiting);
}

TEST_CASE("whatever somebody notifies is read without harm") {
  for (const char* payload :
       {"", " ", "me x", "me -5", "me 0", "me 7-", "me 7-x", "me 99999999999999999999", "me  "})
    CHECK(Doorbell::read(payload, PartitionSet().set()).facts.empty());
  CHECK(Doorbell::read("me 7?", PartitionSet().set()).facts.size() == 1);
}
