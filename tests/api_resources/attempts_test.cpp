#include <doctest/doctest.h>

#include "api_resources/api.h"
#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

OutcomeRecorded failed_attempt(const EndpointId& endpoint, int number, Time at) {
  Attempt attempt;
  attempt.number = number;
  attempt.started_at = at;
  attempt.timings.total = Millis(30);
  attempt.outcome = Outcome::kHttp5xx;
  attempt.status = 503;
  attempt.error = "HTTP 503";
  return outcome_recorded(endpoint, std::move(attempt),
                          {.state = DeliveryState::kPending, .reason = {}, .due_at = at + Millis(5000)},
                          at + Millis(31));
}

}  // namespace

TEST_CASE("attempts are followed from a cursor, with their own times, and nothing is silent about a gap") {
  Api api;
  const EndpointId shop{api.ids.next()}, other{api.ids.next()};
  const Time now = api.clock.wall();
  for (int i = 1; i <= 3; ++i) api.attempts.hear(failed_attempt(i == 2 ? other : shop, i, now));
  const auto start = api.call("GET", "/v1/attempts?limit=1");
  REQUIRE(start.json["data"].size() == 1);
  const Json& row = start.json["data"][0];
  CHECK(row["number"] == 3);
  CHECK(row["started_at"] == format_time(now));
  CHECK(row["recorded_at"] == format_time(now + Millis(31)));
  CHECK(row["total_ms"] == 30);
  CHECK(row["outcome"] == "http_5xx");
  CHECK(row["status"] == 503);
  CHECK(row["state"] == "pending");
  CHECK(row["due_at"] == format_time(now + Millis(5000)));
  CHECK(row["endpoint"] == shop.to_string());

  const std::string from = start.json["next_cursor"];
  CHECK(api.call("GET", "/v1/attempts?cursor=" + from).json ==
        Json{{"data", Json::array()}, {"next_cursor", from}, {"dropped", 0}});
  for (int i = 4; i <= 6; ++i) api.attempts.hear(failed_attempt(i == 5 ? other : shop, i, now));
  const auto more =
      api.call("GET", "/v1/attempts?endpoint=" + other.to_string() + "&failed=true&cursor=" + from);
  REQUIRE(more.json["data"].size() == 1);
  CHECK(more.json["data"][0]["number"] == 5);

  for (std::size_t i = 0; i < api::AttemptFeed::kDefaultKept; ++i)
    api.attempts.hear(failed_attempt(shop, 7, now));
  CHECK(api.call("GET", "/v1/attempts?cursor=" + from).json["dropped"] == 3);
}

TEST_CASE("a cursor of the daemon's earlier life says that what was missed is not known") {
  Api api;
  const std::string from = api.call("GET", "/v1/attempts").json["next_cursor"];
  api.context.started_at += Millis(1);
  api.attempts.hear(failed_attempt(EndpointId{api.ids.next()}, 1, api.clock.wall()));
  const auto answer = api.call("GET", "/v1/attempts?cursor=" + from);
  CHECK(answer.json["dropped"].is_null());
  CHECK(answer.json["data"].size() == 1);
  CHECK(api.call("GET", "/v1/attempts?cursor=d1-2").status == 422);
  CHECK(api.call("GET", "/v1/attempts?cursor=a1").status == 422);
  CHECK(api.call("GET", "/v1/attempts?endpoint=x").status == 422);
}
