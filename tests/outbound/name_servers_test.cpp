#include "outbound/name_servers.h"

#include <doctest/doctest.h>

using namespace outboxd;

TEST_CASE("the name servers that are configured are the ones in use, else those of resolv.conf") {
  CHECK(name_servers_in_use("127.0.0.1:5353,[::1]:54,192.0.2.7") ==
        std::vector<std::string>{"127.0.0.1:5353", "[::1]:54", "192.0.2.7:53"});
  CHECK(name_servers_in_use("nonsense").empty());
  CHECK_FALSE(name_servers_in_use("").empty());
}
