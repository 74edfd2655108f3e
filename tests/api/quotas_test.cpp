#include "api/quotas.h"

#include <doctest/doctest.h>

using namespace outboxd::api;

namespace {

constexpr Quotas::Limits kLimits{
    .connections = 8, .connections_per_peer = 3, .bytes = 1600, .unix_sockets = true};
constexpr Peer kOperator{Peer::Kind::kOperator, 1000};

Peer producer(std::uint64_t uid) {
  return {Peer::Kind::kProducer, uid};
}
Peer remote(std::uint64_t address) {
  return {Peer::Kind::kIpv4, address};
}

}  // namespace

TEST_CASE("a peer has places up to its limit, and again when it gives one back") {
  Quotas quotas(kLimits);
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(quotas.why_no_place(producer(1)));
    quotas.add_connection(producer(1));
  }
  REQUIRE(quotas.why_no_place(producer(1)));
  CHECK(quotas.why_no_place(producer(1))->status == 503);
  CHECK_FALSE(quotas.why_no_place(producer(2)));
  quotas.remove_connection(producer(1));
  CHECK_FALSE(quotas.why_no_place(producer(1)));
}

TEST_CASE("TCP leaves a quarter of the places to the Unix sockets, if there are any") {
  for (const bool unix_sockets : {true, false}) {
    auto limits = kLimits;
    limits.unix_sockets = unix_sockets;
    Quotas quotas(limits);
    for (std::uint64_t i = 0; i < 6; ++i) quotas.add_connection(remote(i));
    CHECK(quotas.why_no_place(remote(9)).has_value() == unix_sockets);
    CHECK_FALSE(quotas.why_no_place(producer(1)));
  }
}

TEST_CASE("operators have places beyond the limit, which end as well") {
  auto limits = kLimits;
  limits.connections_per_peer = 100;
  Quotas quotas(limits);
  for (std::uint64_t i = 0; i < 8; ++i) quotas.add_connection(producer(i));
  CHECK(quotas.why_no_place(producer(9)));
  for (std::size_t i = 0; i < kAdminPlaces; ++i) {
    CHECK_FALSE(quotas.why_no_place(kOperator));
    quotas.add_connection(kOperator);
  }
  CHECK(quotas.why_no_place(kOperator));
}

TEST_CASE("one peer holds half of the bytes, TCP three quarters, and the last sixteenth is for operators") {
  Quotas quotas(kLimits);
  quotas.change_bytes(remote(1), 0, 801);
  CHECK(quotas.why_no_memory(remote(1)));
  CHECK_FALSE(quotas.why_no_memory(remote(2)));
  quotas.change_bytes(remote(2), 0, 400);
  CHECK(quotas.why_no_memory(remote(3)));
  CHECK_FALSE(quotas.why_no_memory(producer(1)));
  quotas.change_bytes(producer(1), 0, 300);
  CHECK(quotas.why_no_memory(producer(2)));
  CHECK_FALSE(quotas.why_no_memory(kOperator));
  quotas.change_bytes(remote(1), 801, 0);
  for (const auto& peer : {remote(1), producer(1), kOperator}) CHECK_FALSE(quotas.why_no_memory(peer));
}
