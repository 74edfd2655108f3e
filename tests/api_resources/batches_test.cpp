#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

namespace {

struct Shop : Api {
  std::string endpoint = add_endpoint(R"(,"name":"shop")");
  std::string dead() {
    const auto id = only_delivery(add_event());
    record(id, DeliveryState::kDead);
    return id;
  }
  Sent make(const std::string& members) { return call("POST", "/v1/batches", "{" + members + "}"); }
};

}  // namespace

TEST_CASE_FIXTURE(Shop, "a batch is made, shown, listed and cancelled") {
  dead();
  dead();
  const auto made = make(
      R"("action":"retry","filter":{"endpoint":"shop","state":"dead"},"rate":"50/m","reason":"it works again")");
  CHECK(made.status == 202);
  const auto id = made.json["id"].get<std::string>();
  CHECK(id.starts_with("bat_"));
  CHECK(made.json["action"] == "retry");
  CHECK(made.json["filter"] == Json{{"state", "dead"}, {"endpoint", endpoint}});
  CHECK(made.json["endpoint_name"] == "shop");
  CHECK(made.json["state"] == "running");
  CHECK(made.json["matched"] == 2);
  CHECK(made.json["exact"] == true);
  CHECK(made.json["done"] == 0);
  CHECK(made.json["rate"] == "50/m");
  CHECK(made.json["seconds_left"] == 3);
  CHECK(made.json["reason"] == "it works again");
  CHECK(made.json["who"] == "uid 0");
  CHECK(made.json["finished_at"].is_null());
  CHECK(call("GET", "/v1/batches/" + id).json == made.json);
  CHECK(call("GET", "/v1/batches").json["data"] == Json::array({made.json}));
  const auto told_of = told<BatchChanged>();
  REQUIRE(told_of.size() == 1);
  CHECK(told_of[0].now->id.to_string() == id);

  clock.advance(Millis(1000));
  const auto cancelled = call("POST", "/v1/batches/" + id + "/cancel");
  CHECK(cancelled.status == 200);
  CHECK(cancelled.json["state"] == "cancelled");
  CHECK(cancelled.json["finished_at"] == format_time(clock.wall()));
  CHECK(cancelled.json["seconds_left"].is_null());
  CHECK(call("POST", "/v1/batches/" + id + "/cancel").status == 409);
  CHECK(call("GET", "/v1/batches/bat_" + std::string(32, '0')).status == 404);
  CHECK(call("GET", "/v1/batches/" + endpoint).status == 404);
}

TEST_CASE_FIXTURE(Shop, "a dry run counts and leaves nothing behind") {
  for (int i = 0; i < 3; ++i) dead();
  add_event();
  const auto count = [&](const std::string& action, const std::string& filter) {
    const auto answer = make(R"("action":")" + action + R"(","dry_run":true,"filter":)" + filter);
    REQUIRE(answer.status == 200);
    CHECK(answer.json["exact"] == true);
    return answer.json["matched"].get<int>();
  };
  CHECK(count("retry", R"({"state":"dead"})") == 3);
  CHECK(count("discard", R"({"endpoint":"shop"})") == 4);
  CHECK(count("retry", R"({"reason":"gone"})") == 0);
  CHECK(count("replay", R"({"type":"order.paid"})") == 4);
  CHECK(count("replay_missing", R"({"endpoint":"shop","since":"1h"})") == 3);
  add_endpoint(R"(,"name":"late")");
  CHECK(count("replay", R"({"since":"1h"})") == 8);
  CHECK(count("replay", R"({"since":"1h","endpoint":"late"})") == 4);
  CHECK(count("replay_missing", R"({"endpoint":"late","since":"1h"})") == 4);
  CHECK(call("GET", "/v1/batches").json["data"].empty());
}

// What may have been delivered and forgotten since is not taken for missing, unless the endpoint is newer than that.
TEST_CASE_FIXTURE(Shop,
                  "an event from before what retention keeps is missing only where it cannot have been") {
  add_endpoint(R"(,"name":"other")");
  const auto event = add_event();
  const Json made = call("GET", "/v1/deliveries?event=" + event).json["data"];
  for (const Json& row : made)
    record(row["id"], row["endpoint_name"] == "shop" ? DeliveryState::kDelivered : DeliveryState::kDead);
  clock.advance(std::chrono::days(8));
  commit(Prune{.delivered_before = clock.wall() - std::chrono::days(7),
               .dead_before = from_unix_millis(0),
               .at = clock.wall()});
  REQUIRE(call("GET", "/v1/deliveries").json["data"].size() == 1);
  add_endpoint(R"(,"name":"late")");
  const auto count = [&](const std::string& name) {
    const auto answer = make(
        R"("action":"replay_missing","dry_run":true,"filter":{"since":"30d","endpoint":")" + name + R"("})");
    REQUIRE(answer.status == 200);
    return answer.json["matched"].get<int>();
  };
  CHECK(count("shop") == 0);
  CHECK(count("other") == 1);
  CHECK(count("late") == 1);
}

TEST_CASE_FIXTURE(Shop,
                  "a batch that means nothing, or everything, is refused, and each refusal says where") {
  const auto refused = [&](const std::string& members) {
    CAPTURE(members);
    const auto answer = make(members);
    CHECK(answer.status == 422);
    CHECK(answer.problem() == "invalid-parameter");
    return answer.pointers();
  };
  CHECK(refused(R"("action":"retry")") == Pointers{"/filter"});
  CHECK(refused(R"("action":"retry","filter":{})") == Pointers{"/filter"});
  CHECK(refused(R"("action":"retry","filter":"dead")") == Pointers{"/filter"});
  CHECK(refused(R"("filter":{"state":"dead"})") == Pointers{"/action"});
  CHECK(refused(R"("action":"retyr","filter":{"state":"dead"})") == Pointers{"/action"});
  CHECK(refused(R"("action":"retry","filter":{"sate":"dead"})") == Pointers{"/filter/sate"});
  CHECK(refused(R"("action":"retry","filter":{"state":["dead"]})") == Pointers{"/filter/state"});
  CHECK(refused(R"("action":"retry","filter":{"state":"lost","status":7,"since":"x"})") ==
        Pointers{"/filter/state", "/filter/status", "/filter/since"});
  CHECK(refused(R"("action":"retry","filter":{"endpoint":"nobody"})") == Pointers{"/filter/endpoint"});
  CHECK(refused(R"("action":"retry","filter":{"state":"delivered"})") == Pointers{"/filter/state"});
  CHECK(refused(R"("action":"replay","filter":{"error":"any"})") == Pointers{"/filter/error"});
  CHECK(refused(R"("action":"replay_missing","filter":{"since":"1h"})") == Pointers{"/filter/endpoint"});
  CHECK(refused(R"("action":"replay_missing","filter":{"endpoint":"shop"})") == Pointers{"/filter/since"});
  for (const char* rate : {"\"fast\"", "\"0/s\"", "\"10001/s\"", "7"})
    CHECK(refused(R"("action":"retry","filter":{"state":"dead"},"rate":)" + std::string(rate)) ==
          Pointers{"/rate"});
  CHECK(refused(R"("action":"retry","filter":{"state":"dead"},"reason":")" + std::string(513, 'x') + '"') ==
        Pointers{"/reason"});
  CHECK(refused(R"("action":"retry","filter":{"state":"dead"},"dry_run":"yes")") == Pointers{"/dry_run"});
  CHECK(refused(R"("action":"retry","filter":{"state":"dead"},"urgent":true)") == Pointers{"/urgent"});
  CHECK(call("GET", "/v1/batches").json["data"].empty());
}

TEST_CASE_FIXTURE(Shop,
                  "deliveries are listed by the reason of their death and the status of their last attempt") {
  Attempt attempt;
  attempt.id = AttemptId{ids.next()};
  attempt.number = 1;
  attempt.outcome = Outcome::kHttp4xx;
  attempt.status = 404;
  const auto id = only_delivery(add_event());
  record(id, DeliveryState::kDead, attempt);
  dead();
  const auto listed = [&](const std::string& query) {
    return call("GET", "/v1/deliveries?" + query).json["data"];
  };
  CHECK(listed("reason=exhausted").size() == 2);
  CHECK(listed("reason=gone").empty());
  REQUIRE(listed("status=404").size() == 1);
  CHECK(listed("status=404")[0]["id"] == id);
  CHECK(listed("status=500").empty());
  CHECK(call("GET", "/v1/deliveries?status=99").status == 422);
  CHECK(call("GET", "/v1/deliveries?reason=bored").status == 422);
}
