#include "ctl/endpoint_advice.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const Json kActive = {{"state", "active"}, {"failing_since", nullptr}};
const Json kFailing = {{"state", "active"}, {"failing_since", "2026-11-23T15:00:00.000Z"}};

}  // namespace

TEST_CASE("what held an endpoint is told apart") {
  const Time now = parse_time("2026-11-23T18:00:00.000Z").value();
  const auto text = [&](const Json& before, const std::string& pending = "3") {
    return resumed_text("orders", before, pending, now);
  };
  CHECK(text({{"state", "paused"}}) == "orders was paused; what waits for it (3) goes now, by priority");
  CHECK(text({{"state", "paused"}}, "0") == "orders was paused; nothing waits for it");
  CHECK(has(text({{"state", "disabled"}, {"disabled_reason", "gone"}}), "answered 410 Gone"));
  CHECK(has(text({{"state", "disabled"}, {"disabled_reason", "failing"}}), "every attempt had failed"));
  CHECK(has(text({{"state", "disabled"}, {"disabled_reason", "operator"}}), "by an operator"));
  CHECK(has(text(kFailing), "circuit breaker held it"));
  CHECK(has(text(kFailing), "(3h ago)"));
  CHECK(text(kActive) == "orders was active, and nothing held it");
}

TEST_CASE("what came back is told with what to do about it") {
  const auto advice = [](const std::string& outcome, const Json& status, const Json& endpoint = kActive) {
    return attempt_advice("orders", endpoint, {{"outcome", outcome}, {"status", status}});
  };
  CHECK(has(advice("http_4xx", 401), "outboxctl endpoint secret reveal orders"));
  CHECK(has(advice("http_4xx", 404), "endpoint set orders --url"));
  CHECK(has(advice("http_4xx", 418), "refuses the event"));
  CHECK(has(advice("http_5xx", 503), "its own log"));
  for (const char* outcome : {"redirect", "timeout", "connect", "dns", "tls", "blocked", "protocol"})
    CHECK(advice(outcome, nullptr).size() > 30);
  CHECK(advice("success", 200) == "orders: it accepts what outboxd sends");
  CHECK(has(advice("success", 200, kFailing), "pause of its circuit breaker is over"));
  CHECK(has(advice("success", 200, {{"state", "paused"}}), "outboxctl endpoint resume orders"));
}

TEST_CASE("an attempt's parts are shown as far as it came") {
  Attempt attempt;
  attempt.outcome = Outcome::kHttp5xx;
  attempt.status = 503;
  attempt.error = "HTTP 503";
  attempt.timings.dns = Millis(1);
  attempt.timings.total = Millis(34);
  attempt.response_headers = {{"retry-after", "5"}};
  attempt.response_body = std::string(1000, 'x');
  std::string text;
  for (const auto& [name, cell] : attempt_fields(to_json(attempt))) text += name + "=" + cell.text + "\n";
  CHECK(has(text, "status=HTTP 503\n"));
  CHECK(has(text, "took=dns 1, total 34 ms\n"));
  CHECK(has(text, "answer header=retry-after: 5\n"));
  CHECK(has(text, "xxx…\n"));
  CHECK(text.size() < 900);
}
