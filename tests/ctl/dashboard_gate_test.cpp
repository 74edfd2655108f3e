// Who is let in at `outboxctl dashboard`, and by what.
#include "ctl/dashboard_gate.h"

#include <doctest/doctest.h>

#include <string>

using namespace outboxd::ctl;
using Verdict = DashboardGate::Verdict;

namespace {

struct Fixture {
  DashboardGate gate{8878, "code", "cookie", "csrf"};
  static constexpr const char* kOurs = "outboxd_dashboard_8878=cookie";
};

}  // namespace

TEST_CASE("keys are 256 bits, and no two are alike") {
  const std::string key = random_key();
  CHECK(key.size() == 64);
  CHECK(key.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(random_key() != key);
}

TEST_CASE_FIXTURE(Fixture, "the code is good once") {
  CHECK_FALSE(gate.enter(""));
  CHECK_FALSE(gate.enter("cod"));
  CHECK_FALSE(gate.enter("code2"));
  CHECK(gate.enter("code") == "cookie");
  CHECK_FALSE(gate.enter("code"));
  CHECK_FALSE(gate.enter(""));
}

TEST_CASE_FIXTURE(Fixture, "nobody is in before the code is spent, nor without the cookie") {
  CHECK(gate.check({"GET", kOurs, "", ""}) == Verdict::kNotIn);
  CHECK(gate.check({"GET", "", "", ""}) == Verdict::kNotIn);
  REQUIRE(gate.enter("code"));
  CHECK(gate.check({"GET", kOurs, "", ""}) == Verdict::kAllowed);
  for (const char* cookies :
       {"", "outboxd_dashboard_8878=", "outboxd_dashboard_8878=cookie2", "outboxd_dashboard_8878=code",
        "other=cookie", "xoutboxd_dashboard_8878=cookie", "outboxd_dashboard_8879=cookie"}) {
    CAPTURE(cookies);
    CHECK(gate.check({"GET", cookies, "csrf", ""}) == Verdict::kNotIn);
    CHECK(gate.check({"POST", cookies, "csrf", ""}) == Verdict::kNotIn);
  }
}

TEST_CASE_FIXTURE(Fixture, "reading needs the cookie alone, every change the proof") {
  REQUIRE(gate.enter("code"));
  for (const char* method : {"GET", "HEAD"})
    CHECK(gate.check({method, kOurs, "", "same-origin"}) == Verdict::kAllowed);
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", ""}) {
    CAPTURE(method);
    CHECK(gate.check({method, kOurs, "", ""}) == Verdict::kNoCsrf);
    CHECK(gate.check({method, kOurs, "csrf2", "same-origin"}) == Verdict::kNoCsrf);
    CHECK(gate.check({method, kOurs, "csrf", ""}) == Verdict::kAllowed);
  }
}

TEST_CASE_FIXTURE(Fixture, "nothing but open files for a page of another origin, whatever it knows") {
  REQUIRE(gate.enter("code"));
  for (const char* site : {"cross-site", "same-site", "Same-Origin", "x"})
    for (const char* method : {"GET", "HEAD", "POST"}) {
      CHECK(gate.check({method, kOurs, "csrf", site}) == Verdict::kCrossSite);
      CHECK((gate.check({method, kOurs, "csrf", site, true}) == Verdict::kAllowed) ==
            (method != std::string("POST")));
    }
  for (const char* site : {"same-origin", "none"})
    CHECK(gate.check({"POST", kOurs, "csrf", site}) == Verdict::kAllowed);
}

TEST_CASE_FIXTURE(Fixture, "who signs out is out, and the code does not help any more") {
  REQUIRE(gate.enter("code"));
  CHECK(gate.is_anybody_in());
  gate.sign_out();
  CHECK_FALSE(gate.is_anybody_in());
  CHECK(gate.check({"GET", kOurs, "", ""}) == Verdict::kNotIn);
  CHECK(gate.check({"GET", "outboxd_dashboard_8878=", "", ""}) == Verdict::kNotIn);
  CHECK_FALSE(gate.enter("code"));
}

TEST_CASE_FIXTURE(Fixture, "it has two names, with its port") {
  for (const char* host : {"127.0.0.1:8878", "localhost:8878", "LocalHost:8878"}) CHECK(gate.is_host(host));
  for (const char* host : {"", "localhost", "127.0.0.1", "localhost:88", "localhost:88780", "evil:8878",
                           "localhost:8878.evil", "x.localhost:8878", "[::1]:8878", " localhost:8878"}) {
    CAPTURE(host);
    CHECK_FALSE(gate.is_host(host));
  }
}
