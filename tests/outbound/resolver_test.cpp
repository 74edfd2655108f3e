#include "outbound/resolver.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "support/test_dns.h"

namespace outboxd {
namespace {

using test::TestDns;

// A resolver whose loop runs until a condition holds.
class ResolverRig {
 public:
  explicit ResolverRig(Resolver::Options options)
      : resolver_(std::make_unique<Resolver>(loop_, std::move(options))) {
    loop_.after_each_round([this] {
      if (resolver_ && until_()) {
        resolver_.reset();  // the loop runs once: what a test wants to see, it sees by then
        loop_.stop();
      }
    });
  }
  Resolver& resolver() { return *resolver_; }
  EventLoop& loop() { return loop_; }
  void resolve(
      const std::string& name, std::function<void()> then = [] {}) {
    const auto start = std::chrono::steady_clock::now();
    resolver_->resolve(name, [this, name, start, then](const Resolver::Answer& answer) {
      answers[name] = answer;
      took[name] = std::chrono::floor<Millis>(std::chrono::steady_clock::now() - start);
      ++calls[name];
      then();
    });
  }
  void run_until(std::function<bool()> condition) {
    until_ = std::move(condition);
    const auto id = loop_.call_at(std::chrono::steady_clock::now() + std::chrono::seconds(30),
                                  [] { throw std::runtime_error("the condition never held"); });
    loop_.run();
    loop_.cancel(id);
  }
  void run_until_answered(std::size_t names) {
    run_until([this, names] { return answers.size() >= names; });
  }

  std::map<std::string, Resolver::Answer> answers;
  std::map<std::string, Millis> took;
  std::map<std::string, int> calls;

 private:
  EventLoop loop_;
  std::function<bool()> until_ = [] { return false; };
  std::unique_ptr<Resolver> resolver_;
};

Resolver::Options options_for(const TestDns& dns) {
  Resolver::Options options;
  options.servers = dns.servers();
  options.timeout = Millis(2'000);
  return options;
}

std::vector<std::string> texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const auto& address : addresses) texts.push_back(address.to_string());
  return texts;
}

TEST_CASE("all addresses of both families are found, IPv6 first") {
  TestDns dns;
  dns.set("both.test", {"192.0.2.1", "192.0.2.2", "2001:db8::1"});
  ResolverRig rig(options_for(dns));
  rig.resolve("both.test");
  rig.run_until_answered(1);
  auto found = texts(rig.answers["both.test"].addresses);
  REQUIRE(found.size() == 3);
  CHECK(found[0] == "2001:db8::1");
  std::sort(found.begin(), found.end());
  CHECK(found == std::vector<std::string>{"192.0.2.1", "192.0.2.2", "2001:db8::1"});
}

TEST_CASE("each address of a family is the first one now and then") {
  TestDns dns;
  ResolverRig rig(options_for(dns));
  for (int i = 0; i < 40; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    dns.set(name, {"192.0.2.1", "192.0.2.2"});
    rig.resolve(name);
  }
  rig.run_until_answered(40);
  std::map<std::string, int> first;
  for (const auto& [name, answer] : rig.answers) ++first[answer.addresses.at(0).to_string()];
  CHECK(first.size() == 2);
}

TEST_CASE("questions for one name share one query, and the answer is kept") {
  TestDns dns;
  dns.set("one.test", {"192.0.2.1"});
  ResolverRig rig(options_for(dns));
  CHECK(rig.resolver().cached("one.test") == nullptr);
  bool kept = false;
  rig.resolve("one.test");
  rig.resolve("one.test");
  rig.resolve("one.test", [&] { kept = rig.resolver().cached("one.test") != nullptr; });
  CHECK(rig.calls.empty());  // never from inside resolve()
  rig.run_until([&] { return rig.calls["one.test"] == 3; });
  CHECK(kept);
  CHECK(dns.queries("one.test") == 2);  // A and AAAA
}

TEST_CASE("an answer is kept for its TTL, and no longer than the option says") {
  TestDns dns;
  dns.set("short.test", {"192.0.2.1"}, 1);
  dns.set("long.test", {"192.0.2.2"}, 3600);
  auto options = options_for(dns);
  options.cache = Millis(1'500);
  ResolverRig rig(options);
  rig.resolve("short.test");
  rig.resolve("long.test");
  std::optional<MonotonicTime> short_gone, long_gone, answered;
  rig.run_until([&] {
    const auto now = rig.loop().now();
    if (rig.answers.size() < 2) return false;
    if (!answered) {
      answered = now;
      CHECK(rig.resolver().cached("short.test") != nullptr);
      // Wakes the loop, which otherwise sleeps up to a second.
      for (int i = 1; i < 40; ++i) rig.loop().call_at(now + Millis(50 * i), [] {});
    }
    if (!short_gone && rig.resolver().cached("short.test") == nullptr) short_gone = now;
    if (!long_gone && rig.resolver().cached("long.test") == nullptr) long_gone = now;
    return short_gone && long_gone;
  });
  CHECK(*short_gone - *answered > Millis(800));
  CHECK(*long_gone > *short_gone);
}

TEST_CASE("the cache is bounded: the oldest name goes") {
  TestDns dns;
  dns.set("a.test", {"192.0.2.1"});
  dns.set("b.test", {"192.0.2.2"});
  auto options = options_for(dns);
  options.cache_names = 1;
  ResolverRig rig(options);
  bool first_gone = false, second_kept = false;
  rig.resolve("a.test", [&] {
    rig.resolve("b.test", [&] {
      first_gone = rig.resolver().cached("a.test") == nullptr;
      second_kept = rig.resolver().cached("b.test") != nullptr;
    });
  });
  rig.run_until_answered(2);
  CHECK(first_gone);
  CHECK(second_kept);
}

TEST_CASE("a failure says why, and is not kept") {
  TestDns dns;
  dns.refuse("failing.test");
  dns.silence("silent.test");
  auto options = options_for(dns);
  options.timeout = Millis(400);
  ResolverRig rig(options);
  rig.resolve("missing.test");
  rig.resolve("failing.test");
  rig.resolve("silent.test");
  rig.run_until_answered(3);
  CHECK(rig.answers["missing.test"].error == "could not resolve host: no such name");
  CHECK(rig.answers["failing.test"].error == "could not resolve host: no name server could answer");
  CHECK(rig.answers["silent.test"].error == "could not resolve host: timed out");
  CHECK(rig.took["silent.test"] < Millis(1'500));
}

TEST_CASE("localhost and names under it are loopback without any query") {
  TestDns dns;
  dns.set("app.localhost", {"192.0.2.1"});
  ResolverRig rig(options_for(dns));
  for (const char* name : {"localhost", "app.localhost"}) {
    const auto* found = rig.resolver().cached(name);
    REQUIRE(found != nullptr);
    CHECK(texts(*found) == std::vector<std::string>{"::1", "127.0.0.1"});
  }
  CHECK(dns.queries("app.localhost") == 0);
}

TEST_CASE("a dead zone with thousands of names does not delay another name") {
  TestDns dns;
  dns.silence("dead.test");
  dns.set("alive.example", {"192.0.2.1"});
  auto options = options_for(dns);
  options.max_queries = 64;
  ResolverRig rig(options);
  for (int i = 0; i < 3000; ++i) rig.resolve("h" + std::to_string(i) + ".dead.test");
  rig.resolve("alive.example");
  rig.run_until([&] { return rig.answers.contains("alive.example"); });
  CHECK(rig.answers["alive.example"].error.empty());
  CHECK(rig.took["alive.example"] < Millis(500));
  CHECK(dns.names_asked_under("dead.test") <= 8);  // an eighth of the places
}

TEST_CASE("names below a public suffix are not one zone") {
  TestDns dns;
  dns.silence("evil.co.uk");
  dns.set("victim.co.uk", {"192.0.2.1"});
  auto options = options_for(dns);
  options.max_queries = 16;
  ResolverRig rig(options);
  for (int i = 0; i < 300; ++i) rig.resolve("h" + std::to_string(i) + ".evil.co.uk");
  rig.resolve("victim.co.uk");
  rig.run_until([&] { return rig.answers.contains("victim.co.uk"); });
  CHECK(rig.answers["victim.co.uk"].error.empty());
  CHECK(rig.took["victim.co.uk"] < Millis(500));
}

TEST_CASE("a name that has answered does not wait behind dead ones of its zone") {
  TestDns dns;
  dns.silence("dead.shared.test");
  dns.set("alive.shared.test", {"192.0.2.1"});
  auto options = options_for(dns);
  options.max_queries = 16;
  ResolverRig rig(options);
  rig.resolve("alive.shared.test", [&] {
    for (int i = 0; i < 300; ++i) rig.resolve("h" + std::to_string(i) + ".dead.shared.test");
    rig.resolve("alive.shared.test");
  });
  rig.run_until([&] { return rig.calls["alive.shared.test"] == 2; });
  CHECK(rig.answers["alive.shared.test"].error.empty());
  CHECK(rig.took["alive.shared.test"] < Millis(500));
}

TEST_CASE("zones that timed out share half of the places, and others go first") {
  TestDns dns;
  auto options = options_for(dns);
  options.max_queries = 8;
  options.timeout = Millis(300);
  for (int i = 0; i < 40; ++i) dns.silence("dead" + std::to_string(i) + ".test");
  dns.set("alive.example", {"192.0.2.1"});
  ResolverRig rig(options);
  const auto resolve_dead = [&](std::function<void()> then) {
    for (int i = 0; i < 8; ++i)
      rig.resolve(
          "dead" + std::to_string(i) + ".test", i == 7 ? then : [] {});
  };
  resolve_dead([&] {  // all eight have timed out: they are suspect now
    resolve_dead([] {});
    rig.resolve("alive.example");
  });
  rig.run_until([&] { return rig.answers.contains("alive.example"); });
  CHECK(rig.answers["alive.example"].error.empty());
  CHECK(rig.took["alive.example"] < Millis(200));
}

TEST_CASE("what waits for a place too long fails in time, and a name that was given up can be asked again") {
  TestDns dns;
  dns.silence("dead.test");
  auto options = options_for(dns);
  options.max_queries = 1;
  options.timeout = Millis(300);
  ResolverRig rig(options);
  for (int i = 0; i < 50; ++i) rig.resolve("h" + std::to_string(i) + ".dead.test");
  bool again = false;
  rig.resolve("h50.dead.test", [&] {
    if (!again) rig.resolve("h50.dead.test");
    again = true;
  });
  rig.run_until([&] { return rig.calls["h50.dead.test"] == 2; });
  for (const auto& [name, took] : rig.took) CHECK(took < Millis(900));
  CHECK(rig.answers.size() == 51);
}

TEST_CASE("a family that stays silent does not keep the other's answer from counting") {
  // Some name servers drop AAAA queries. The one that answers decides, within the timeout.
  TestDns dns;
  dns.set("v4.test", {"192.0.2.1"});
  dns.silence_aaaa("v4.test");
  auto options = options_for(dns);
  options.timeout = Millis(1'000);
  ResolverRig rig(options);
  rig.resolve("v4.test");
  rig.run_until_answered(1);
  CHECK(texts(rig.answers["v4.test"].addresses) == std::vector<std::string>{"192.0.2.1"});
}

TEST_CASE("a malformed list of name servers is refused at once") {
  EventLoop loop;
  Resolver::Options options;
  options.servers = "not an address";
  CHECK_THROWS_AS(Resolver(loop, options), std::runtime_error);
}

TEST_CASE("a resolver with queries under way can be destroyed") {
  TestDns dns;
  dns.silence("dead.test");
  ResolverRig rig(options_for(dns));
  rig.resolve("a.dead.test");
  rig.run_until([&] { return dns.queries("a.dead.test") > 0; });
  CHECK(rig.answers.empty());
}

}  // namespace
}  // namespace outboxd
