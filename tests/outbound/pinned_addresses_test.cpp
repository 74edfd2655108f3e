#include "outbound/pinned_addresses.h"

#include <doctest/doctest.h>

#include <vector>

namespace outboxd {
namespace {

const std::vector<IpAddress> kTwo = {*IpAddress::parse("::1"), *IpAddress::parse("127.0.0.1")};
const std::vector<IpAddress> kOne = {*IpAddress::parse("127.0.0.1")};

TEST_CASE("libcurl is given a name's addresses once, and again when they change or grow old") {
  PinnedAddresses pinned;
  MonotonicTime now{std::chrono::hours(1)};
  CHECK(pinned.pin("a.example", 80, kTwo, now).entry == "+a.example:80:[::1],127.0.0.1");
  CHECK(pinned.pin("a.example", 80, kTwo, now + std::chrono::seconds(29)).entry.empty());
  CHECK(pinned.pin("a.example", 80, kOne, now + std::chrono::seconds(29)).entry == "+a.example:80:127.0.0.1");
  CHECK(pinned.pin("a.example", 80, kOne, now + std::chrono::seconds(60)).entry == "+a.example:80:127.0.0.1");
  CHECK(pinned.pin("a.example", 81, kOne, now).entry == "+a.example:81:127.0.0.1");
}

TEST_CASE("old addresses are forgotten once a minute, by a request that brings its own") {
  PinnedAddresses pinned;
  MonotonicTime now{std::chrono::hours(1)};
  CHECK(pinned.pin("a.example", 80, kOne, now).prune);
  CHECK_FALSE(pinned.pin("b.example", 80, kOne, now + std::chrono::seconds(50)).prune);
  const auto pin = pinned.pin("b.example", 80, kOne, now + std::chrono::seconds(61));
  CHECK(pin.prune);
  CHECK_FALSE(pin.entry.empty());
  CHECK_FALSE(pinned.pin("c.example", 80, kOne, now + std::chrono::seconds(62)).prune);
  CHECK_FALSE(pinned.prune_due(now + std::chrono::seconds(62)));
  CHECK(pinned.prune_due(now + std::chrono::seconds(200)));
}

}  // namespace
}  // namespace outboxd
