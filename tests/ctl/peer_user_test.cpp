#include "ctl/peer_user.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bit>
#include <string>

using namespace outboxd::ctl;

namespace {

constexpr const char* kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

std::string line(const std::string& ends, const std::string& state, const std::string& user) {
  return "   0: " + ends + " " + state + " 00000000:00000000 00:00000000 00000000  " + user +
         "        0 1 1 0000000000000000 20 4 30 10 -1\n";
}

}  // namespace

TEST_CASE("the user of the peer's end is found in the table") {
  if (std::endian::native != std::endian::little) return;  // the lines are of such a machine
  const std::string peer = "0100007F:C001 0100007F:22AE", ours = "0100007F:22AE 0100007F:C001";
  const LoopbackPorts ports{0xC001, 0x22AE};
  CHECK(user_in_table(kHead + line(ours, "01", "0") + line(peer, "01", "1000"), ports) == 1000);
  const std::string mapped = "0000000000000000FFFF00000100007F:";
  CHECK(user_in_table(line(mapped + "C001 " + mapped + "22AE", "01", "7"), ports) == 7);
  for (const std::string& none :
       {std::string(), std::string("\n\n"), std::string(kHead), line(ours, "01", "0"), line(peer, "06", "0"),
        line(peer, "05", "0"), line(peer, "01", "x"), peer, line("0200007F:C001 0100007F:22AE", "01", "0"),
        line("0100007F:C002 0100007F:22AE", "01", "0")}) {
    CAPTURE(none);
    CHECK_FALSE(user_in_table(none, ports));
  }
}

TEST_CASE("a connection of this process is of its user") {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0), client = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(listener, generic, size) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, generic, &size) == 0);
  const int ours = ntohs(address.sin_port);
  REQUIRE(::connect(client, generic, size) == 0);
  REQUIRE(::getsockname(client, generic, &size) == 0);
  const int peer = ntohs(address.sin_port);
  CHECK(user_of_peer({peer, ours}) == ::geteuid());
  CHECK_FALSE(user_of_peer({peer, ours == 1 ? 2 : 1}));
  ::close(client);
  ::close(listener);
}
