#include <doctest/doctest.h>

#include "api_resources/api.h"
#include "common/text.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

namespace {

Attempt failure(Api& api, Outcome outcome, int status) {
  Attempt attempt;
  attempt.id = AttemptId{api.ids.next()};
  attempt.number = 1;
  attempt.started_at = api.clock.wall();
  attempt.timings.dns = Millis(1);
  attempt.timings.total = Millis(12);
  attempt.outcome = outcome;
  attempt.status = status;
  attempt.error = "it failed";
  attempt.request_line = "POST https://example.com/hook";
  attempt.response_headers = {{"content-type", "text/plain"}};
  attempt.response_body = "no \xff";
  return attempt;
}

std::string path(const std::string& id, const std::string& action = "") {
  return "/v1/deliveries/" + id + action;
}

}  // namespace

TEST_CASE("a delivery is shown with every attempt") {
  Api api;
  const auto endpoint = api.add_endpoint();
  const auto event = api.add_event();
  const auto id = api.only_delivery(event);
  api.record(id, DeliveryState::kPending, failure(api, Outcome::kHttp5xx, 503));
  const auto shown = api.call("GET", path(id));
  CHECK(shown.status == 200);
  CHECK(shown.json["id"] == id);
  CHECK(shown.json["event"] == event);
  CHECK(shown.json["endpoint"] == endpoint);
  CHECK(shown.json["attempts"] == 1);
  CHECK(shown.json["error"] == "http_5xx");
  REQUIRE(shown.json["attempt_list"].size() == 1);
  const auto& attempt = shown.json["attempt_list"][0];
  CHECK(attempt["status"] == 503);
  CHECK(attempt["timings"]["total_ms"] == 12);
  CHECK(attempt["response_body"] == "no \xEF\xBF\xBD");
}

TEST_CASE("deliveries are filtered by state, endpoint, tenant, type, event, error and time") {
  Api api;
  const auto endpoint = api.add_endpoint(R"(,"tenant":"one")");
  api.add_endpoint(R"(,"tenant":"two")");
  const auto event = api.add_event(R"(,"tenant":"one")");
  api.clock.advance(std::chrono::hours(1));
  api.add_event(R"(,"tenant":"two")");
  const auto id = api.only_delivery(event);
  api.record(id, DeliveryState::kDead, failure(api, Outcome::kTimeout, 0));
  const auto only = [&](const std::string& query) {
    CAPTURE(query);
    const auto list = api.call("GET", "/v1/deliveries?" + query);
    REQUIRE(list.status == 200);
    CHECK(list.json["data"].size() == 1);
    return list.json["data"].size() == 1 && list.json["data"][0]["id"] == id;
  };
  for (const std::string& query :
       {std::string("state=dead"), "endpoint=" + endpoint, std::string("tenant=one"), "event=" + event,
        std::string("error=timeout"), std::string("error=any"), std::string("until=30m"),
        "type=order.paid&state=dead&tenant=one&endpoint=" + endpoint}) {
    CHECK(only(query));
  }
  CHECK_FALSE(only("state=pending"));
  CHECK_FALSE(only("since=30m"));
  CHECK(api.call("GET", "/v1/deliveries?error=dns").json["data"].empty());
  CHECK(api.call("GET", "/v1/deliveries").json["data"].size() == 2);
}

namespace {

// The lanes as these tests have them: of one endpoint.
void set_lane(Api& api, EndpointSeq seq, const api::LaneView& lane) {
  api.context.ask_lanes = [seq, lane](std::optional<EndpointSeq>,
                                      const api::Context::Asked<api::Lanes>& done) {
    done([seq, lane] { return api::Lanes({{seq, lane}}); });
  };
}

}  // namespace

TEST_CASE("a pending delivery says what it waits for, and is found by it") {
  Api api;
  const auto endpoint = api.add_endpoint(R"(,"name":"shop","ordering":"key")");
  const EndpointSeq seq = api.directory.find(EndpointId::parse(endpoint).value())->seq;
  const auto first = api.only_delivery(api.add_event(R"(,"ordering_key":"a")"));
  const auto behind = api.only_delivery(api.add_event(R"(,"ordering_key":"a")"));
  const auto later = api.only_delivery(api.add_event(R"(,"delay":"1h")"));
  const auto sent = api.only_delivery(api.add_event());
  const auto waiting = [&](const std::string& id) { return api.call("GET", path(id)).json["waiting"]; };
  const auto found = [&](const std::string& what) {
    std::vector<std::string> ids;
    const auto list = api.call("GET", "/v1/deliveries?waiting=" + what);
    for (const auto& row : list.json["data"]) ids.push_back(row["id"]);
    return ids;
  };
  const Time until = api.clock.wall() + Millis(12'000);
  set_lane(api, seq,
           {.in_flight = 1, .holds = {WaitingFor::kRetryAfter, until}, .under_way = {4}, .last_failure = {}});
  CHECK(waiting(first) == Json{{"for", "retry_after"}, {"until", format_time(until)}});
  CHECK(waiting(behind) == Json{{"for", "order"}, {"until", nullptr}});
  CHECK(waiting(later) ==
        Json{{"for", "due"}, {"until", format_time(api.clock.wall() + std::chrono::hours(1))}});
  CHECK(waiting(sent).is_null());
  CHECK(api.call("GET", path(sent)).json["in_flight"] == true);
  CHECK(found("retry_after") == std::vector{first});
  CHECK(found("order") == std::vector{behind});
  CHECK(found("due") == std::vector{later});
  CHECK(found("slot").empty());
  api.call("POST", "/v1/endpoints/shop/pause");
  CHECK(waiting(first) == Json{{"for", "paused"}, {"until", nullptr}});
  CHECK(found("paused").size() == 3);
  api.call("POST", "/v1/endpoints/shop/resume");
  api.context.ask_lanes = [](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([] { return api::Lanes(std::in_place); });
  };
  CHECK(waiting(first) == Json{{"for", "slot"}, {"until", nullptr}});
  api.context.ask_lanes = [](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([] { return api::Lanes(); });
  };
  CHECK(waiting(first).is_null());
  CHECK(waiting(later)["for"] == "due");
  CHECK(api.call("GET", path(first)).json["in_flight"].is_null());
  api.record(first, DeliveryState::kDelivered);
  CHECK(waiting(first).is_null());
  CHECK(api.call("GET", path(first)).json["in_flight"] == false);
  CHECK(api.call("GET", "/v1/deliveries?waiting=due&state=dead").pointers() == Pointers{"waiting"});
  CHECK(api.call("GET", "/v1/deliveries?waiting=brake").pointers() == Pointers{"waiting"});
}

TEST_CASE("what waits for one thing is found behind many that wait for another, page after page") {
  Api api;
  const auto quiet = api.add_endpoint(R"(,"tenant":"q","name":"quiet")");
  api.add_endpoint();
  for (int i = 0; i < 4; ++i) api.add_event(R"(,"tenant":"q")");
  for (int i = 0; i < 9; ++i) api.add_event();
  api.call("POST", "/v1/endpoints/quiet/pause");
  std::size_t found = 0;
  std::string cursor;
  do {
    const auto page = api.call("GET", "/v1/deliveries?waiting=paused&limit=1" + cursor).json;
    found += page["data"].size();
    for (const auto& row : page["data"]) CHECK(row["endpoint"] == quiet);
    cursor = page["next_cursor"].is_null() ? "" : "&cursor=" + page["next_cursor"].get<std::string>();
  } while (!cursor.empty());
  CHECK(found == 4);
}

TEST_CASE("filters that cannot be read are refused together") {
  Api api;
  const auto bad =
      api.call("GET", "/v1/deliveries?state=lost&endpoint=evt_1&event=x&error=bad&since=x&until=y&limit=-1");
  CHECK(bad.status == 422);
  CHECK(bad.pointers() == Pointers{"state", "endpoint", "event", "error", "since", "until", "limit"});
  CHECK(api.call("GET", "/v1/deliveries?cursor=%25%25%25").status == 422);
}

TEST_CASE("a dead delivery is retried: pending again, due now, and the delivery side is told") {
  Api api;
  const auto endpoint = api.add_endpoint();
  const auto id = api.only_delivery(api.add_event());
  api.record(id, DeliveryState::kDead, failure(api, Outcome::kHttp4xx, 404));
  api.clock.advance(Millis(7000));
  const auto retried = api.call("POST", path(id, "/retry"));
  CHECK(retried.status == 200);
  CHECK(retried.json["id"] == id);
  CHECK(retried.json["state"] == "pending");
  CHECK(retried.json["attempts"] == 0);
  CHECK(retried.json["due_at"] == format_time(api.clock.wall()));
  const auto due = api.told<DueOnDisk>();
  REQUIRE(due.size() == 1);
  CHECK(api.directory.find(due[0].endpoint)->id.to_string() == endpoint);
  CHECK(due[0].due_in == Millis(0));
  CHECK(due[0].by_operator);
  CHECK(api.call("GET", path(id)).json["state"] == "pending");
}

TEST_CASE("a pending delivery is discarded, and the delivery side is told not to send it") {
  Api api;
  api.add_endpoint();
  const auto id = api.only_delivery(api.add_event());
  const auto discarded = api.call("POST", path(id, "/discard"));
  CHECK(discarded.status == 200);
  CHECK(discarded.json["state"] == "discarded");
  CHECK(api.withdrawn() == std::vector{delivery_key(DeliveryId::parse(id).value())});
  CHECK(api.told<DueOnDisk>().empty());
}

TEST_CASE("moves that make no sense are conflicts, and change nothing") {
  Api api;
  const auto endpoint = api.add_endpoint();
  const auto id = api.only_delivery(api.add_event());
  CHECK(api.call("POST", path(id, "/retry")).status == 409);
  api.record(id, DeliveryState::kDelivered);
  CHECK(api.call("POST", path(id, "/discard")).status == 409);
  CHECK(api.call("POST", path(id, "/retry"), R"({"x":1})").status == 422);
  CHECK(api.call("DELETE", "/v1/endpoints/" + endpoint).status == 204);
  CHECK(api.call("POST", path(id, "/retry")).status == 409);
  CHECK(api.call("GET", path(id)).json["state"] == "delivered");
  CHECK(api.told<DueOnDisk>().empty());
  CHECK(api.withdrawn().empty());
}

TEST_CASE("ids that name no delivery are not found, also one with the right key and another time") {
  Api api;
  api.add_endpoint();
  const auto id = api.only_delivery(api.add_event());
  const auto forged =
      delivery_id(delivery_key(DeliveryId::parse(id).value()), api.clock.wall() + Millis(1)).to_string();
  for (const std::string& other :
       {forged, std::string("dlv_x"), std::string("evt_019bd3c2f1c07a2e8f4d5b6a7c8d9e0f")}) {
    CAPTURE(other);
    CHECK(api.call("GET", path(other)).status == 404);
    CHECK(api.call("POST", path(other, "/retry")).status == 404);
    CHECK(api.call("POST", path(other, "/discard")).status == 404);
  }
}

TEST_CASE("a discarded head lets the next one in order go, due when it was") {
  Api api;
  api.add_endpoint(R"(,"ordering":"key")");
  const auto first = api.only_delivery(api.add_event(R"(,"ordering_key":"k")"));
  api.clock.advance(Millis(1000));
  const auto second = api.only_delivery(api.add_event(R"(,"ordering_key":"k")"));
  const Time due = api.clock.wall();
  api.clock.advance(Millis(1000));
  CHECK(api.call("POST", path(first, "/discard")).status == 200);
  CHECK(api.withdrawn() == std::vector{delivery_key(DeliveryId::parse(first).value())});
  REQUIRE(api.told<DueOnDisk>().size() == 1);
  CHECK(api.told<DueOnDisk>()[0].due_in <= Millis(0));
  CHECK(api.call("GET", path(second)).json["due_at"] == format_time(due));
}

TEST_CASE("a retry that goes before a later head has the delivery side drop that one, then look") {
  Api api;
  api.add_endpoint(R"(,"ordering":"key")");
  const auto first = api.only_delivery(api.add_event(R"(,"ordering_key":"k")"));
  const auto second = api.only_delivery(api.add_event(R"(,"ordering_key":"k")"));
  api.record(first, DeliveryState::kDead);
  api.facts.clear();
  CHECK(api.call("POST", path(first, "/retry")).status == 200);
  CHECK(api.withdrawn() == std::vector{delivery_key(DeliveryId::parse(second).value())});
  REQUIRE(api.facts.size() == 2);
  CHECK(std::holds_alternative<DueOnDisk>(api.facts[1]));
  CHECK(api.call("GET", path(second)).json["state"] == "pending");
  CHECK(api.call("GET", "/v1/deliveries?state=pending&endpoint=" +
                            api.call("GET", path(second)).json["endpoint"].get<std::string>())
            .json["data"]
            .size() == 2);
}

TEST_CASE(
    "the request that an attempt would be is shown, and what proves who sends it only when it is asked for") {
  Api api;
  const std::string endpoint = api.add_endpoint();
  const std::string event = api.add_event();
  const std::string path = "/v1/deliveries/" + api.only_delivery(event) + "/request";
  const auto value = [](const Json& request, const std::string& name) {
    for (const Json& header : request.at("headers")) {
      if (header.at("name") == name) return header.at("value");
    }
    return Json("absent");
  };
  const Json masked = api.call("GET", path).json;
  CHECK(masked["url"] == "https://example.com/hook");
  CHECK(masked["body_base64"] == base64_encode(R"({"n":1.10})"));
  CHECK(value(masked, "webhook-id") == event);
  CHECK(value(masked, "outboxd-attempt") == "1");
  CHECK(value(masked, "X-Region") == "eu");
  CHECK(value(masked, "webhook-signature").is_null());
  CHECK(value(masked, "X-Api-Key").is_null());
  const Json revealed = api.call("GET", path + "?reveal=true").json;
  CHECK(value(revealed, "webhook-signature") == "v1,c2lnbmVk");
  CHECK(value(revealed, "X-Api-Key") == "hush");
  CHECK(api.call("GET", path + "?reveal=yes").status == 422);
  CHECK(api.call("GET", "/v1/deliveries/dlv_" + std::string(32, '0') + "/request").status == 404);
  REQUIRE(api.call("DELETE", "/v1/endpoints/" + endpoint).status == 204);
  CHECK(api.call("GET", path).status == 409);
}
