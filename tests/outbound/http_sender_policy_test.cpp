// Where requests go: names, pinned addresses, the four checks of the policy, the proxy, the environment.
#include "outbound/http_sender.h"

#include <atomic>
#include <cstdlib>

#include "outbound/full_listener.h"
#include "outbound/sender_rig.h"
#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::loopback_allowed;
using test::RawReceiver;
using test::request_to;
using test::SenderRig;
using test::TestDns;
namespace behaviour = test::behaviour;

HttpSender::Options with(const TestDns& dns) {
  HttpSender::Options options;
  options.dns_servers = dns.servers();
  options.dns_timeout = Millis(1'000);
  return options;
}

TEST_CASE("a name is resolved by our resolver and sent to, with the name as its Host") {
  TestDns dns;
  dns.set("hooks.test", {"127.0.0.1"});
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kSuccess);
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kSuccess);
  CHECK(dns.queries("hooks.test") == 2);  // A and AAAA, once
  CHECK(receiver.connections() == 1);
  CHECK(receiver.requests()[0].header("host") == "hooks.test:" + std::to_string(receiver.port()));
}

TEST_CASE("when one address of several does not answer the next is tried") {
  TestDns dns;
  dns.set("hooks.test", {"127.0.0.2", "::1", "127.0.0.1"});  // the receiver listens on the last only
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kSuccess);
}

TEST_CASE("an IPv6 address that swallows connections is left for the IPv4 one") {
  TestDns dns;
  RawReceiver receiver(behaviour::answer());
  const test::FullListener full("::1", receiver.port());
  dns.set("hooks.test", {"::1", "127.0.0.1"});
  SenderRig rig(with(dns));
  std::vector<std::future<SendResult>> results;
  for (int i = 0; i < 10; ++i) results.push_back(rig.start(request_to(receiver.url_of("hooks.test"))));
  for (auto& result : results) {
    const auto got = SenderRig::get(std::move(result));
    CHECK(got.error == "");
    CHECK(got.timings.total < Millis(2'000));
  }
}

TEST_CASE("a name that cannot be resolved is a DNS failure and a dead zone delays nobody") {
  TestDns dns;
  dns.set("alive.example", {"127.0.0.1"});
  dns.silence("dead.test");
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  std::vector<std::future<SendResult>> dead;
  for (int i = 0; i < 500; ++i)
    dead.push_back(rig.start(request_to("http://h" + std::to_string(i) + ".dead.test/")));
  const auto alive = rig.send(receiver.url_of("alive.example"));
  CHECK(alive.outcome == Outcome::kSuccess);
  CHECK(alive.timings.total < Millis(500));
  const auto result = SenderRig::get(std::move(dead[0]));
  CHECK(result.outcome == Outcome::kDns);
  CHECK(result.error == "could not resolve host: timed out");
  CHECK(rig.send("http://missing.test/").error == "could not resolve host: no such name");
}

TEST_CASE("the whole request's timeout holds while the name is being resolved") {
  TestDns dns;
  dns.silence("dead.test");
  SenderRig rig(with(dns));
  auto request = request_to("http://a.dead.test/");
  request.timeout = Millis(150);
  const auto result = rig.send(std::move(request));
  CHECK(result.outcome == Outcome::kTimeout);
  CHECK(result.error == "timed out after 150ms resolving the host");
}

TEST_CASE("what the URL alone forbids is blocked without a query") {
  TestDns dns;
  SenderRig rig(with(dns), AddressPolicy::Options{});
  for (const char* url : {"http://a.test/", "https://a.test:8443/", "https://127.0.0.1/", "https://[::1]/",
                          "https://localhost/", "https://x.localhost/", "https://169.254.169.254/",
                          "https://[::ffff:127.0.0.1]/"}) {
    CAPTURE(url);
    const auto result = rig.send(url);
    CHECK(result.outcome == Outcome::kBlocked);
    CHECK(result.error == kUrlNotAllowed);
  }
  CHECK(dns.queries("a.test") == 0);
}

TEST_CASE("one denied address among several denies the name") {
  TestDns dns;
  dns.set("mixed.test", {"127.0.0.1", "10.0.0.1"});
  dns.set("mixed6.test", {"127.0.0.1", "fd00:ec2::254"});
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  CHECK(rig.send(receiver.url_of("mixed.test")).outcome == Outcome::kBlocked);
  CHECK(rig.send(receiver.url_of("mixed6.test")).outcome == Outcome::kBlocked);
  CHECK(receiver.connections() == 0);
}

TEST_CASE("a name that is rebound to a denied address is blocked, also when a connection is still open") {
  TestDns dns;
  dns.set("rebind.test", {"127.0.0.1"}, 0);
  RawReceiver receiver(behaviour::answer());
  auto options = with(dns);
  options.dns_cache = Millis(0);
  SenderRig rig(options);
  CHECK(rig.send(receiver.url_of("rebind.test")).outcome == Outcome::kSuccess);
  dns.set("rebind.test", {"10.0.0.1"}, 0);
  const auto result = rig.send(receiver.url_of("rebind.test"));
  CHECK(result.outcome == Outcome::kBlocked);
  CHECK(result.error == kUrlNotAllowed);
  CHECK(receiver.request_count() == 1);
}

TEST_CASE("localhost needs no DNS and uses the loopback addresses that are allowed") {
  TestDns dns;
  dns.set("localhost", {"10.0.0.1"});
  RawReceiver receiver(behaviour::answer());
  auto only_v4 = loopback_allowed();
  only_v4.allow_networks = {*Network::parse("127.0.0.0/8")};
  SenderRig rig(with(dns), only_v4);
  CHECK(rig.send(receiver.url_of("localhost")).outcome == Outcome::kSuccess);
  CHECK(rig.send(receiver.url_of("app.localhost")).outcome == Outcome::kSuccess);
  CHECK(dns.queries("localhost") == 0);
}

TEST_CASE("IPv6 addresses are sent to, as literals and by name") {
  TestDns dns;
  dns.set("six.test", {"::1"});
  RawReceiver receiver(behaviour::answer(), {.address = "::1"});
  SenderRig rig(with(dns));
  CHECK(rig.send(receiver.url()).remote_address == "[::1]:" + std::to_string(receiver.port()));
  CHECK(rig.send(receiver.url_of("six.test")).outcome == Outcome::kSuccess);
  auto only_v4 = loopback_allowed();
  only_v4.allow_networks = {*Network::parse("127.0.0.0/8")};
  rig.set_policy(only_v4);
  CHECK(rig.send(receiver.url()).outcome == Outcome::kBlocked);
  CHECK(rig.send(receiver.url_of("six.test")).outcome == Outcome::kBlocked);
}

TEST_CASE("a new policy holds for the very next request, also on open connections and known names") {
  TestDns dns;
  dns.set("hooks.test", {"127.0.0.1"});
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  CHECK(rig.send(receiver.url()).outcome == Outcome::kSuccess);
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kSuccess);
  auto denying = loopback_allowed();
  denying.deny_networks = {*Network::parse("127.0.0.1")};
  rig.set_policy(denying);
  CHECK(rig.send(receiver.url()).outcome == Outcome::kBlocked);
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kBlocked);
  CHECK(receiver.request_count() == 2);
  rig.set_policy(loopback_allowed());
  CHECK(rig.send(receiver.url_of("hooks.test")).outcome == Outcome::kSuccess);
}

TEST_CASE(
    "an open connection to an address that is denied now is not used, a fresh one to an allowed one is") {
  TestDns dns;
  dns.set("moved.test", {"127.0.0.2"}, 0);
  RawReceiver receiver(behaviour::answer(), {.address = "0.0.0.0"});
  auto options = with(dns);
  options.dns_cache = Millis(0);
  SenderRig rig(options);
  CHECK(rig.send(receiver.url_of("moved.test")).outcome == Outcome::kSuccess);
  dns.set("moved.test", {"127.0.0.1"}, 0);
  auto denying = loopback_allowed();
  denying.deny_networks = {*Network::parse("127.0.0.2")};
  rig.set_policy(denying);
  CHECK(rig.send(receiver.url_of("moved.test")).outcome == Outcome::kSuccess);
  CHECK(receiver.connections() == 2);
  CHECK(receiver.requests()[1].connection == 2);
}

TEST_CASE("a policy that changes while addresses are tried holds for those that are left") {
  TestDns dns;
  RawReceiver receiver(behaviour::answer());
  const test::FullListener full("::1", receiver.port());
  dns.set("hooks.test", {"::1", "127.0.0.1"});
  SenderRig rig(with(dns));
  auto known = request_to(receiver.url_of("hooks.test"));
  known.preflight = true;
  CHECK(rig.send(std::move(known)).outcome == Outcome::kSuccess);
  auto pending = rig.start(request_to(receiver.url_of("hooks.test")));
  rig.on_loop([] {});  // by now ::1 is tried, which swallows it
  auto denying = loopback_allowed();
  denying.deny_networks = {*Network::parse("127.0.0.1")};
  rig.set_policy(denying);
  const auto result = SenderRig::get(std::move(pending));
  CHECK(result.outcome == Outcome::kBlocked);
  CHECK(result.error == kUrlNotAllowed);
  CHECK(result.remote_address == "");
  CHECK(receiver.connections() == 0);
}

TEST_CASE("a policy that changes while a connection is made holds for the request") {
  test::FullListener full;
  SenderRig rig;
  auto pending = rig.start(request_to("http://127.0.0.1:" + std::to_string(full.port()) + "/"));
  rig.on_loop([] {});
  auto denying = loopback_allowed();
  denying.deny_networks = {*Network::parse("127.0.0.1")};
  rig.set_policy(denying);
  const std::string received = full.let_in();
  const auto result = SenderRig::get(std::move(pending));
  CHECK(result.outcome == Outcome::kBlocked);
  CHECK(received == "");
}

TEST_CASE(
    "a port of this machine on which outboxd listens everywhere is denied at an address it has never heard "
    "of") {
  RawReceiver receiver(behaviour::answer(), {.address = "0.0.0.0"});
  auto policy = loopback_allowed();
  SenderRig rig({}, policy);
  const std::string url = receiver.url_of("127.0.0.1");
  CHECK(rig.send(url).outcome == Outcome::kSuccess);
  policy.own_listeners = {{*Network::parse("0.0.0.0/32"), receiver.port(), true}};
  rig.set_policy(policy);
  CHECK(rig.send(url).outcome == Outcome::kBlocked);
  CHECK(receiver.request_count() == 1);
}

TEST_CASE("what is denied is counted by its reason") {
  std::vector<std::string> reasons;
  auto options = HttpSender::Options{};
  options.on_denied = [&reasons](std::string_view reason) { reasons.emplace_back(reason); };
  {
    SenderRig rig(options, AddressPolicy::Options{});
    for (const char* url :
         {"https://10.0.0.1/", "http://8.8.8.8/", "https://8.8.8.8:1/", "https://localhost/"})
      CHECK(rig.send(url).outcome == Outcome::kBlocked);
  }
  CHECK(reasons == std::vector<std::string>{"private use", "scheme", "port", "loopback"});
}

TEST_CASE("a URL is judged like a request, and nothing is sent") {
  TestDns dns;
  dns.set("fine.test", {"127.0.0.1"});
  dns.set("inside.test", {"127.0.0.1", "10.0.0.1"});
  RawReceiver receiver(behaviour::answer());
  SenderRig rig(with(dns));
  const auto judged = [&rig](const std::string& url) {
    auto request = request_to(url);
    request.preflight = true;
    return rig.send(std::move(request)).outcome;
  };
  CHECK(judged(receiver.url()) == Outcome::kSuccess);
  CHECK(judged(receiver.url_of("fine.test")) == Outcome::kSuccess);
  CHECK(judged(receiver.url_of("inside.test")) == Outcome::kBlocked);
  CHECK(judged("http://10.0.0.1/") == Outcome::kBlocked);
  CHECK(judged("http://missing.test/") == Outcome::kDns);
  CHECK(receiver.connections() == 0);
}

TEST_CASE("the environment names no proxy") {
  RawReceiver proxy(behaviour::answer(299));
  RawReceiver receiver(behaviour::answer());
  for (const char* name : {"http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
    setenv(name, proxy.url("").c_str(), 1);
  {
    SenderRig rig;
    CHECK(rig.send(receiver.url()).status == 200);
  }
  for (const char* name : {"http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  CHECK(proxy.connections() == 0);
}

TEST_CASE(
    "a configured proxy is used, also where policy or no_proxy would exempt its address or the target") {
  TestDns dns;
  dns.set("hooks.test", {"93.184.216.34"});
  dns.set("proxy.corp", {"127.0.0.1"});
  dns.set("inside.test", {"10.0.0.1"});
  RawReceiver proxy(behaviour::answer(202));
  auto options = with(dns);
  options.proxy = "http://user:pass%21@proxy.corp:" + std::to_string(proxy.port());
  auto policy = AddressPolicy::Options{};
  policy.allow_http = true;
  setenv("no_proxy", "*", 1);
  SenderRig rig(options, policy);
  CHECK(rig.send("http://hooks.test/x").status == 202);
  unsetenv("no_proxy");
  REQUIRE(proxy.request_count() == 1);
  CHECK(proxy.requests()[0].line() == "POST http://hooks.test/x HTTP/1.1");
  CHECK(proxy.requests()[0].header("proxy-authorization") == "Basic dXNlcjpwYXNzIQ==");
  CHECK(rig.send("http://inside.test/").outcome == Outcome::kBlocked);
  CHECK(rig.send("http://10.0.0.1/").outcome == Outcome::kBlocked);
  CHECK(rig.send("http://missing.test/").outcome == Outcome::kDns);
  CHECK(proxy.request_count() == 1);
}

TEST_CASE("a proxy that refuses the tunnel is a connect failure") {
  TestDns dns;
  dns.set("hooks.test", {"93.184.216.34"});
  RawReceiver proxy(behaviour::answer(407));
  auto options = with(dns);
  options.proxy = proxy.url("");
  SenderRig rig(options, AddressPolicy::Options{});
  const auto result = rig.send("https://hooks.test/x");
  CHECK(result.outcome == Outcome::kConnect);
  CHECK(result.error == "the proxy refused the tunnel with status 407");
  CHECK(proxy.requests()[0].line() == "CONNECT hooks.test:443 HTTP/1.1");
}

TEST_CASE("a malformed proxy is refused at once") {
  EventLoop loop;
  for (const char* bad : {"proxy.corp:3128", "ftp://proxy.corp", "http://", "socks5://127.0.0.1:1080"}) {
    CAPTURE(bad);
    HttpSender::Options options;
    options.proxy = bad;
    CHECK_THROWS_AS(HttpSender(loop, test::policy_of({}), options), std::invalid_argument);
  }
}

TEST_CASE(
    "a request that may not leave any more when its connection is there is aborted, an operator's is not") {
  RawReceiver receiver(behaviour::answer());
  HttpSender::Options options;
  std::atomic<bool> may = true;
  options.may_leave = [&may] { return may.load(); };
  SenderRig rig(std::move(options));
  SendRequest delivery = request_to(receiver.url());
  delivery.group = 7;
  CHECK(rig.send(delivery).status == 200);
  may = false;
  CHECK(rig.send(delivery).aborted);
  CHECK(rig.send(receiver.url()).status == 200);
  CHECK(receiver.request_count() == 2);
  may = true;
  CHECK(rig.send(delivery).status == 200);
}

}  // namespace
}  // namespace outboxd
