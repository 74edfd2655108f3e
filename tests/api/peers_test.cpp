#include "api/peers.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>

using namespace outboxd::api;

namespace {

Peer peer_of(const char* address) {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
    storage.ss_family = AF_INET;
    v4.sin_port = 1234;
  } else {
    REQUIRE(inet_pton(AF_INET6, address, &v6.sin6_addr) == 1);
    storage.ss_family = AF_INET6;
  }
  return peer_at(storage);
}

}  // namespace

TEST_CASE("a peer is an IPv4 address, written either way, or the /64 of an IPv6 address") {
  CHECK(peer_of("192.0.2.1") == peer_of("192.0.2.1"));
  CHECK(peer_of("192.0.2.1") == peer_of("::ffff:192.0.2.1"));
  CHECK(peer_of("192.0.2.1") != peer_of("192.0.2.2"));
  CHECK(peer_of("2001:db8:1:2::1") == peer_of("2001:db8:1:2:ffff::9"));
  CHECK(peer_of("2001:db8:1:2::1") != peer_of("2001:db8:1:3::1"));
  CHECK(peer_of("::1") != peer_of("0.0.0.0"));
}

TEST_CASE("what a peer uses is counted for it alone, and what is given back is gone") {
  PeerTable table;
  const Peer one{Peer::Kind::kProducer, 1000}, other{Peer::Kind::kOperator, 1000};
  table.count(one, 1, 0);
  table.count(one, 1, 500);
  table.count(other, 1, 0);
  CHECK(table.of(one).connections == 2);
  CHECK(table.of(one).bytes == 500);
  CHECK(table.of(other).connections == 1);
  table.count(one, -2, 0);
  CHECK(table.of(one).bytes == 500);  // of a request whose client is gone
  table.count(one, 0, -500);
  CHECK(table.of(one).bytes == 0);
}
