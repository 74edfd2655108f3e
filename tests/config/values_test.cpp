#include "config/values.h"

#include <doctest/doctest.h>

using namespace outboxd::config;

TEST_CASE("sizes are whole numbers with a binary unit") {
  CHECK(parse_size("0B") == 0);
  CHECK(parse_size("10B") == 10);
  CHECK(parse_size("64KiB") == 65536);
  CHECK(parse_size("256MiB") == 268435456);
  CHECK(parse_size("8388607TiB") == 8388607LL << 40);
  for (const auto* wrong : {"", "B", "10", "10kb", "10MB", "1.5MiB", "-1B", "+1B", " 1B", "1 B", "1B ",
                            "8388608TiB", "99999999999999999999B", "MiB"}) {
    INFO(wrong);
    CHECK_FALSE(parse_size(wrong));
  }
  CHECK(format_size(0) == "0B");
  CHECK(format_size(1000) == "1000B");
  CHECK(format_size(1 << 20) == "1MiB");
  CHECK(format_size(1536) == "1536B");
  CHECK(format_size(3 << 10) == "3KiB");
}

TEST_CASE("networks have a valid address, a prefix that fits, and no bits after it") {
  for (const auto* good :
       {"10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "10.1.2.3/32", "fc00::/7", "::1", "2001:db8::/32", "::/0"}) {
    INFO(good);
    CHECK(is_network(good));
  }
  for (const auto* wrong :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "010.0.0.0/8", "10.0.0.0/8/8",
        "10.0.0.0/-1", "10.0.0.0/+8", "fc00::/129", "fc00::1/7", "fe80::1%eth0", "[::1]", "localhost"}) {
    INFO(wrong);
    CHECK_FALSE(is_network(wrong));
  }
}

TEST_CASE("socket addresses are a literal address and a port") {
  for (const auto* good : {"127.0.0.1:8877", "0.0.0.0:0", "[::1]:8877", "[::]:65535"}) {
    INFO(good);
    CHECK(is_socket_address(good));
  }
  for (const auto* wrong : {"", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",
                            "[127.0.0.1]:80", "localhost:80", "[::1]80", "127.0.0.1:80 "}) {
    INFO(wrong);
    CHECK_FALSE(is_socket_address(wrong));
  }
  CHECK(is_loopback("127.0.0.1:1"));
  CHECK(is_loopback("127.9.9.9:1"));
  CHECK(is_loopback("[::1]:1"));
  CHECK_FALSE(is_loopback("0.0.0.0:1"));
  CHECK_FALSE(is_loopback("[::]:1"));
  CHECK_FALSE(is_loopback("10.0.0.1:1"));
  CHECK_FALSE(is_loopback("[::ffff:127.0.0.1]:1"));
}

TEST_CASE("host patterns are lower-case names, a star only as the first label") {
  for (const auto* good : {"hooks.corp", "*.corp", "a-b.c_d", "x"}) {
    INFO(good);
    CHECK(is_host_pattern(good));
  }
  for (const auto* wrong :
       {"", "*", "*.", "a.*", "**.a", "Hooks.corp", "a..b", ".a", "a.", "-a", "a-", "a-.b", "a b", "a/b"}) {
    INFO(wrong);
    CHECK_FALSE(is_host_pattern(wrong));
  }
  CHECK_FALSE(is_host_pattern(std::string(64, 'a')));
  CHECK(is_host("192.0.2.1"));
  CHECK(is_host("2001:db8::1"));
  CHECK_FALSE(is_host("*.corp"));
}

TEST_CASE("a proxy URL has no user, password or path") {
  for (const auto* good :
       {"http://proxy.corp:3128", "http://proxy", "https://10.0.0.1:80", "http://[::1]:3128"}) {
    INFO(good);
    CHECK(is_proxy_url(good));
  }
  for (const auto* wrong : {"", "proxy:3128", "socks5://p:1", "http://", "http://u:p@proxy:1",
                            "http://proxy:0", "http://proxy:x", "http://proxy/", "http://proxy:80/path"}) {
    INFO(wrong);
    CHECK_FALSE(is_proxy_url(wrong));
  }
}
