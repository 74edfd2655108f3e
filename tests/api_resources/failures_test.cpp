#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using namespace std::chrono_literals;

namespace {

struct Shop : Api {
  std::string endpoint = add_endpoint(R"(,"name":"shop")");

  void fail(Outcome outcome, int status, DeliveryState to, const std::string& error) {
    const std::string event = add_event();
    RecordOutcome record;
    record.key = delivery_key(DeliveryId::parse(only_delivery(event)).value());
    record.state = to;
    if (to == DeliveryState::kDead) record.reason = DeadReason::kExhausted;
    record.at = clock.wall();
    record.subject = std::make_shared<const OutcomeSubject>(OutcomeSubject{
        .delivery = {}, .event = EventId::parse(event).value(), .endpoint = {}, .type = "order.paid"});
    Attempt attempt;
    attempt.id = AttemptId{ids.next()};
    attempt.number = 1;
    attempt.started_at = clock.wall();
    attempt.timings.total = 30ms;
    attempt.outcome = outcome;
    attempt.status = status;
    attempt.error = error;
    record.attempt = std::make_shared<const Attempt>(std::move(attempt));
    commit(std::move(record));
  }
  Json get(const std::string& target) {
    const Sent answer = call("GET", target);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    return answer.json;
  }
  std::vector<std::string> refused(const std::string& target) {
    const Sent answer = call("GET", target);
    CHECK(answer.status == 422);
    CHECK(answer.problem() == "invalid-parameter");
    return answer.pointers();
  }
};

using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE_FIXTURE(Shop, "failures tell what came back, at whom, and which filter selects what is dead") {
  fail(Outcome::kTimeout, 0, DeliveryState::kDead, "timed out\xff");
  clock.advance(Millis(10));
  fail(Outcome::kTimeout, 0, DeliveryState::kPending, "timed out after 20s");
  fail(Outcome::kHttp5xx, 503, DeliveryState::kPending, "HTTP status 503");
  const Json answer = get("/v1/failures?since=1h");
  CHECK(answer["by"] == "error");
  CHECK(answer["groups"] == 2);
  CHECK(answer["attempts"] == 3);
  CHECK(answer["dead"] == 1);
  REQUIRE(answer["data"].size() == 2);
  const Json worst = answer["data"][0];
  CHECK(worst["group"] == "timeout");
  CHECK(worst["attempts"] == 2);
  CHECK(worst["dead"] == 1);
  CHECK(worst["endpoints"] == Json::array({{{"id", endpoint}, {"name", "shop"}}}));
  CHECK(worst["type"] == "order.paid");
  CHECK(worst["last_error"] == "timed out after 20s");
  CHECK(worst["last_status"] == nullptr);
  CHECK(worst["filter"] == Json{{"state", "dead"}, {"endpoint", endpoint}, {"error", "timeout"}});
  CHECK(answer["data"][1]["last_status"] == 503);
  // The filter is one that the list of deliveries takes.
  const auto dead = get("/v1/deliveries?state=dead&error=timeout&endpoint=" + endpoint);
  CHECK(dead["data"].size() == 1);

  const auto first = [&](const std::string& by) { return get("/v1/failures?by=" + by)["data"][0]; };
  CHECK(first("endpoint")["group"] == endpoint);
  CHECK(first("endpoint")["filter"] == Json{{"state", "dead"}, {"endpoint", endpoint}});
  CHECK(first("type")["filter"] == Json{{"state", "dead"}, {"endpoint", endpoint}, {"type", "order.paid"}});
  CHECK(first("status")["group"] == "none");
  CHECK(first("status")["filter"] == nullptr);
  CHECK(get("/v1/failures?by=status")["data"][1]["filter"]["status"] == 503);
  CHECK(first("reason")["group"] == "exhausted");
  CHECK(first("reason")["filter"] ==
        Json{{"state", "dead"}, {"endpoint", endpoint}, {"reason", "exhausted"}});
}

TEST_CASE_FIXTURE(Shop, "failures are asked of an endpoint, a tenant and a time") {
  fail(Outcome::kTimeout, 0, DeliveryState::kDead, "timed out");
  CHECK(get("/v1/failures?endpoint=shop")["dead"] == 1);
  CHECK(get("/v1/failures?tenant=acme")["dead"] == 0);
  CHECK(get("/v1/failures?tenant=")["dead"] == 1);
  CHECK(get("/v1/failures?limit=1")["data"].size() == 1);
  clock.advance(5min);
  CHECK(get("/v1/failures?since=2m")["data"].empty());
  CHECK(get("/v1/failures?since=10m&until=8m")["data"].empty());
  CHECK(get("/v1/failures?since=30d")["dead"] == 1);
}

TEST_CASE_FIXTURE(Shop, "what failures cannot be asked is refused, and what to ask instead") {
  CHECK(refused("/v1/failures?by=weather") == Pointers{"by"});
  CHECK(refused("/v1/failures?since=31d") == Pointers{"since"});
  CHECK(refused("/v1/failures?since=2199-01-01T00:00:00Z") == Pointers{"since"});
  CHECK(refused("/v1/failures?since=1h&until=2h") == Pointers{"until"});
  CHECK(refused("/v1/failures?endpoint=shoop") == Pointers{"endpoint"});
  CHECK(refused("/v1/failures?limit=0") == Pointers{"limit"});
  CHECK(refused("/v1/failures?cursor=x") == Pointers{"cursor"});
}

TEST_CASE_FIXTURE(Shop, "a series has a point for each step, each with its own time") {
  fail(Outcome::kHttp5xx, 503, DeliveryState::kPending, "HTTP status 503");
  clock.advance(2min);
  record(only_delivery(add_event()), DeliveryState::kDelivered);
  const auto values = [&](const std::string& query) {
    std::vector<Json> all;
    const Json series = get("/v1/series?since=2m&" + query);
    for (const Json& point : series["data"]) all.push_back(point["value"]);
    return all;
  };
  CHECK(values("name=accepted") == std::vector<Json>{1, 0, 1});
  CHECK(values("name=attempts") == std::vector<Json>{1, 0, 1});
  CHECK(values("name=failed&endpoint=shop") == std::vector<Json>{1, 0, 0});
  CHECK(values("name=delivered&endpoint=" + endpoint) == std::vector<Json>{0, 0, 1});
  CHECK(values("name=dead") == std::vector<Json>{0, 0, 0});
  CHECK(values("name=duration_p95") == std::vector<Json>{49, nullptr, 2});
  const Json series = get("/v1/series?name=latency_p50&endpoint=shop&since=3d&step=1h");
  CHECK(series["unit"] == "ms");
  CHECK(series["step"] == "1h");
  CHECK(series["endpoint_name"] == "shop");
  CHECK(series["data"].size() == 73);
  CHECK(series["data"][0]["at"] == series["since"]);
  CHECK(series["data"].back()["at"] == format_time(clock.wall() - clock.wall().time_since_epoch() % 1h));
  // Unless a step is asked for, it is the shortest that is possible.
  CHECK(get("/v1/series?name=dead&since=1d")["step"] == "1m");
  CHECK(get("/v1/series?name=dead&since=2d")["step"] == "5m");
  CHECK(get("/v1/series?name=dead&since=7d")["step"] == "15m");
  CHECK(get("/v1/series?name=dead&since=30d")["data"].size() == 721);
}

TEST_CASE_FIXTURE(Shop, "a series that is not kept, or too long, is refused, and what to ask instead") {
  CHECK(refused("/v1/series") == Pointers{"name"});
  CHECK(refused("/v1/series?name=weather") == Pointers{"name"});
  for (const char* step : {"90s", "0s", "25h", "1", "-1m", "hour", "1m30s"}) {
    CAPTURE(step);
    CHECK(refused(std::string("/v1/series?name=dead&step=") + step) == Pointers{"step"});
  }
  CHECK(refused("/v1/series?name=dead&since=8d&step=90m") == Pointers{"step"});
  CHECK(refused("/v1/series?name=dead&since=6d&step=5m") == Pointers{"step"});
  CHECK(refused("/v1/series?name=dead&since=31d&step=1h") == Pointers{"since"});
  CHECK(refused("/v1/series?name=dead&endpoint=shoop") == Pointers{"endpoint"});
  CHECK(call("GET", "/v1/series?name=dead&since=6d&step=5m").body.find("at most 1500") != std::string::npos);
}
