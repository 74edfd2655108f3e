#include "outbound/address_policy.h"

#include <doctest/doctest.h>
#include <netinet/in.h>

namespace outboxd {
namespace {

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  REQUIRE_MESSAGE(address, std::string(text));
  return *address;
}

EndpointUrl url(std::string_view text) {
  const auto parsed = parse_endpoint_url(text);
  REQUIRE_MESSAGE(parsed, std::string(text));
  return *parsed;
}

bool denied(const AddressPolicy& policy, std::string_view address, std::string_view host = "example.com") {
  return policy.why_denied(host, 443, ip(address)).has_value();
}

Network net(std::string_view text) {
  return Network::parse(text).value();
}

TEST_CASE("every address that is not globally reachable is denied by default") {
  const AddressPolicy policy({});
  for (const char* address : {"0.0.0.0",
                              "0.1.2.3",
                              "10.0.0.1",
                              "10.255.255.255",
                              "100.64.0.1",
                              "100.100.100.200",
                              "100.127.255.255",
                              "127.0.0.1",
                              "127.255.255.254",
                              "169.254.169.254",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.0.0.192",
                              "192.0.2.1",
                              "192.88.99.1",
                              "192.168.1.1",
                              "198.18.0.1",
                              "198.19.255.255",
                              "198.51.100.7",
                              "203.0.113.9",
                              "224.0.0.1",
                              "239.255.255.250",
                              "240.0.0.1",
                              "255.255.255.255",
                              "168.63.129.16",
                              "::",
                              "::1",
                              "::7f00:1",
                              "::ffff:127.0.0.1",
                              "::ffff:8.8.8.8",
                              "::ffff:0:127.0.0.1",
                              "64:ff9b::7f00:1",
                              "64:ff9b::8.8.8.8",
                              "64:ff9b:1::a00:1",
                              "100::1",
                              "100:0:0:1::1",
                              "2001::1",
                              "2001:2::1",
                              "2001:10::1",
                              "2001:1ff::1",
                              "2001:db8::1",
                              "2002:7f00:1::",
                              "2002:808:808::",
                              "3fff::1",
                              "5f00::1",
                              "fc00::1",
                              "fd00:ec2::254",
                              "fe80::1",
                              "febf::1",
                              "fec0::1",
                              "ff02::1",
                              "ff0e::1",
                              "4000::1",
                              "8000::1",
                              "1::1",
                              "2606:4700::5efe:10.0.0.1",
                              "2606:4700::200:5efe:7f00:1"}) {
    CAPTURE(address);
    CHECK(denied(policy, address));
  }
}

TEST_CASE("the neighbours of the special ranges are allowed") {
  const AddressPolicy policy({});
  for (const char* address : {"1.1.1.1",
                              "8.8.8.8",
                              "9.255.255.255",
                              "11.0.0.0",
                              "100.63.255.255",
                              "100.128.0.0",
                              "126.255.255.255",
                              "128.0.0.1",
                              "169.253.255.255",
                              "169.255.0.0",
                              "172.15.255.255",
                              "172.32.0.0",
                              "192.0.1.0",
                              "192.0.3.0",
                              "192.167.255.255",
                              "192.169.0.0",
                              "198.17.255.255",
                              "198.20.0.0",
                              "198.51.101.0",
                              "203.0.114.0",
                              "223.255.255.255",
                              "168.63.129.17",
                              "2001:200::1",
                              "2001:4860:4860::8888",
                              "2606:4700::1111",
                              "2a00:1450::1",
                              "2003::1",
                              "3ffe::1",
                              "2606:4700::5efe:8.8.8.8"}) {
    CAPTURE(address);
    CHECK_FALSE(denied(policy, address));
  }
}

TEST_CASE("the reason names the address and what it is") {
  const AddressPolicy policy({});
  CHECK(policy.why_denied("a.example", 443, ip("10.1.2.3"))->text ==
        "address 10.1.2.3 is not allowed: private use");
  CHECK(policy.why_denied("a.example", 443, ip("2606:4700::5efe:10.0.0.1"))->text ==
        "address 2606:4700::5efe:a00:1 is not allowed: it carries 10.0.0.1, private use");
}

TEST_CASE("an allowed IPv6 form is still judged by the IPv4 address that it carries") {
  AddressPolicy::Options options;
  options.allow_networks = {net("64:ff9b::/96"), net("2002::/16"), net("2001::/32"), net("::ffff:0:0/96")};
  const AddressPolicy policy(options);
  CHECK_FALSE(denied(policy, "64:ff9b::8.8.8.8"));
  CHECK(denied(policy, "64:ff9b::10.0.0.1"));
  CHECK_FALSE(denied(policy, "2002:808:808::1"));
  CHECK(denied(policy, "2002:a9fe:a9fe::1"));
  CHECK_FALSE(denied(policy, "::ffff:8.8.8.8"));
  CHECK(denied(policy, "::ffff:127.0.0.1"));
  CHECK_FALSE(denied(policy, "2001:0:808:808:0:0:f7f7:f7f7"));  // server 8.8.8.8, client 8.8.8.8
  CHECK(denied(policy, "2001:0:808:808:0:0:80ff:fffe"));        // client 127.0.0.1
  CHECK(denied(policy, "2001:0:a00:1:0:0:f7f7:f7f7"));          // server 10.0.0.1
}

TEST_CASE("allow_networks makes exceptions and deny_networks wins over every allowance") {
  AddressPolicy::Options options;
  options.allow_networks = {net("10.0.0.0/8"), net("fd00::/8")};
  options.deny_networks = {net("10.6.6.0/24"), net("8.8.8.8"), net("2606:4700::/32")};
  options.allow_hosts = {"hooks.corp"};
  const AddressPolicy policy(options);
  CHECK_FALSE(denied(policy, "10.0.0.1"));
  CHECK_FALSE(denied(policy, "fd00::1"));
  CHECK(denied(policy, "192.168.0.1"));
  CHECK(denied(policy, "10.6.6.6"));
  CHECK(denied(policy, "8.8.8.8"));
  CHECK(denied(policy, "2606:4700::1111"));
  CHECK(denied(policy, "8.8.8.8", "hooks.corp"));
  CHECK(denied(policy, "2a00::5efe:8.8.8.8"));  // carries a denied one
}

TEST_CASE("the addresses of allowed hosts are exempt from the default deny") {
  AddressPolicy::Options options;
  options.allow_hosts = {"Hooks.corp", "*.internal.example"};
  const AddressPolicy policy(options);
  CHECK_FALSE(denied(policy, "10.0.0.1", "hooks.corp"));
  CHECK_FALSE(denied(policy, "192.168.0.1", "a.internal.example"));
  CHECK_FALSE(denied(policy, "192.168.0.1", "a.b.internal.example"));
  CHECK(denied(policy, "10.0.0.1", "internal.example"));
  CHECK(denied(policy, "10.0.0.1", "evilinternal.example"));
  CHECK(denied(policy, "10.0.0.1", "x.hooks.corp"));
}

TEST_CASE("a URL is judged by scheme, port, literal address and localhost names") {
  const AddressPolicy strict({});
  CHECK_FALSE(strict.why_denied(url("https://example.com/hook")));
  CHECK_FALSE(strict.why_denied(url("https://example.com:80/hook")));
  CHECK(strict.why_denied(url("http://example.com/hook")));
  CHECK(strict.why_denied(url("https://example.com:8443/hook")));
  CHECK(strict.why_denied(url("https://127.0.0.1/hook")));
  CHECK(strict.why_denied(url("https://[::1]/hook")));
  CHECK(strict.why_denied(url("https://localhost/hook")));
  CHECK(strict.why_denied(url("https://a.b.localhost/hook")));
  CHECK_FALSE(strict.why_denied(url("https://notlocalhost/hook")));
  CHECK_FALSE(strict.why_denied(url("https://8.8.8.8/hook")));

  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {net("127.0.0.0/8")};
  const AddressPolicy loopback(options);
  CHECK_FALSE(loopback.why_denied(url("http://127.0.0.1:9000/hook")));
  CHECK_FALSE(loopback.why_denied(url("http://localhost:9000/hook")));
  CHECK(loopback.why_denied(url("http://[::1]:9000/hook")));
  CHECK(loopback.why_denied(url("http://10.0.0.1/hook")));
  options.deny_networks = {net("127.0.0.1"), net("::1")};
  CHECK(AddressPolicy(options).why_denied(url("http://localhost/hook")));
}

TEST_CASE("networks are read strictly") {
  CHECK(Network::parse("10.0.0.0/8"));
  CHECK(Network::parse("0.0.0.0/0"));
  CHECK(Network::parse("fc00::/7"));
  CHECK(Network::parse("192.0.2.1")->prefix == 32);
  CHECK(Network::parse("::1")->prefix == 128);
  for (const char* bad :
       {"", "/8", "10.0.0.1/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0/8", "10/8",
        "fc00::/129", "fc01::/7", "fe80::1%eth0", "010.0.0.0/8", "0x0a000000/8", "::ffff:1.2.3.4.5"}) {
    CAPTURE(bad);
    CHECK_FALSE(Network::parse(bad));
  }
  CHECK_FALSE(net("0.0.0.0/0").contains(ip("::1")));
  CHECK(net("0.0.0.0/0").contains(ip("255.1.2.3")));
  CHECK(net("128.0.0.0/1").contains(ip("255.1.2.3")));
  CHECK_FALSE(net("128.0.0.0/1").contains(ip("127.1.2.3")));
}

TEST_CASE("addresses are read from text and from sockets, and written in their normal form") {
  CHECK(ip("2001:DB8:0::1").to_string() == "2001:db8::1");
  CHECK(ip("192.0.2.1").to_string() == "192.0.2.1");
  CHECK_FALSE(IpAddress::parse("127.1"));
  CHECK_FALSE(IpAddress::parse("[::1]"));
  CHECK_FALSE(IpAddress::parse(std::string(200, '1')));
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0xC0000201);
  CHECK(IpAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&v4)) == ip("192.0.2.1"));
  sockaddr unix_like{};
  unix_like.sa_family = AF_UNIX;
  CHECK_FALSE(IpAddress::from_sockaddr(&unix_like));
}

TEST_CASE("an address ends where its text ends") {
  CHECK_FALSE(IpAddress::parse(std::string_view("127.0.0.1\0.x", 12)));
  CHECK_FALSE(IpAddress::parse(std::string_view("::1\0", 4)));
}

TEST_CASE("a denial names all settings that allow it, and they do") {
  AddressPolicy::Options options;
  options.allow_networks = {net("192.168.0.0/16")};
  const auto remedy = [&](const char* text) {
    const auto why = AddressPolicy(options).why_denied(url(text));
    REQUIRE_MESSAGE(why, text);
    return why->remedy;
  };
  CHECK(remedy("http://example.com/") == "set [policy] allow_http = true");
  CHECK(remedy("https://example.com:8443/") == "set [policy] ports = [80, 443, 8443]");
  CHECK(remedy("https://10.1.2.3/") == "set [policy] allow_networks = [\"192.168.0.0/16\", \"10.0.0.0/8\"]");
  CHECK(remedy("http://[64:ff9b::10.0.0.1]:81/") ==
        "set [policy] allow_http = true, ports = [80, 443, 81], "
        "allow_networks = [\"192.168.0.0/16\", \"64:ff9b::/96\", \"10.0.0.0/8\"]");
  CHECK(remedy("http://localhost/") ==
        "set [policy] allow_http = true, allow_networks = [\"192.168.0.0/16\", \"127.0.0.0/8\"]");
  const auto resolved = AddressPolicy(options).why_denied("hooks.corp", 443, ip("10.0.0.1"));
  REQUIRE(resolved);
  CHECK(resolved->for_operators() ==
        "address 10.0.0.1 is not allowed: private use; set [policy] allow_networks = [\"192.168.0.0/16\", "
        "\"10.0.0.0/8\"] (or have \"hooks.corp\" in allow_hosts)");

  options.allow_http = true;
  options.ports = {80, 443, 81};
  options.allow_networks = {net("192.168.0.0/16"), net("64:ff9b::/96"), net("10.0.0.0/8"),
                            net("127.0.0.0/8")};
  const AddressPolicy allowing(options);
  for (const char* text :
       {"http://example.com/", "https://10.1.2.3/", "http://[64:ff9b::10.0.0.1]:81/", "http://localhost/"})
    CHECK_FALSE(allowing.why_denied(url(text)));
}

TEST_CASE("what no allowance lifts is said to be so") {
  AddressPolicy::Options options;
  options.deny_networks = {net("10.0.0.0/8")};
  options.own_listeners = {{net("127.0.0.1/32"), 443}};
  const AddressPolicy policy(options);
  CHECK(policy.why_denied(url("https://10.0.0.1/"))->remedy ==
        "take the network of it out of [policy] deny_networks");
  CHECK(policy.why_denied(url("https://127.0.0.1/"))->for_operators().ends_with("; no setting allows it"));
}

TEST_CASE("where the daemon listens is denied whatever is allowed, in every form, at that port alone") {
  AddressPolicy::Options options;
  options.allow_http = true;
  options.ports = {};
  options.allow_networks = {net("0.0.0.0/0"), net("::/0")};
  options.allow_hosts = {"api.corp"};
  options.own_listeners = {{net("127.0.0.1/32"), 8877}, {net("::1/128"), 8877}};
  const AddressPolicy policy(options);
  for (const char* address : {"127.0.0.1", "::1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"}) {
    CAPTURE(address);
    const auto why = policy.why_denied("api.corp", 8877, ip(address));
    REQUIRE(why);
    CHECK(why->reason == "outboxd itself listens there");
    CHECK_FALSE(policy.why_denied("api.corp", 8878, ip(address)));
  }
  CHECK_FALSE(policy.why_denied("api.corp", 8877, ip("127.0.0.2")));
  CHECK_FALSE(policy.why_own_port_denied(8877));
  options.own_listeners.push_back({net("0.0.0.0/32"), 9999, true});
  CHECK(AddressPolicy(options).why_own_port_denied(9999));
  CHECK_FALSE(AddressPolicy(options).why_own_port_denied(8877));
  CHECK(policy.why_denied(url("http://localhost:8877/")));
  CHECK(policy.why_denied(url("http://[::1]:8877/")));
  CHECK_FALSE(policy.why_denied(url("http://localhost:8878/")));
}

}  // namespace
}  // namespace outboxd
