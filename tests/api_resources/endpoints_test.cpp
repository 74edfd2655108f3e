#include <doctest/doctest.h>

#include "api/endpoint_change.h"
#include "api_resources/api.h"
#include "common/signature.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

namespace {

constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

std::string path(const std::string& id, const std::string& action = "") {
  return "/v1/endpoints/" + id + action;
}

}  // namespace

TEST_CASE("a new endpoint is answered with its place and a secret that no other answer shows") {
  Api api;
  const auto made = api.call(
      "POST", "/v1/endpoints",
      R"({"url":"https://example.com/hook","name":"shop","types":["order.*"],"metadata":{"b":1,"a":2}})");
  REQUIRE(made.status == 201);
  const std::string id = made.json["id"];
  CHECK(made.header("Location") == path(id));
  CHECK(made.header("Cache-Control") == "no-store");
  CHECK(SigningKey::parse(made.json["secret"].get<std::string>()));
  CHECK(made.json["created_at"] == format_time(api.clock.wall()));
  auto shown = api.call("GET", path(id));
  CHECK(shown.status == 200);
  CHECK_FALSE(shown.json.contains("secret"));
  auto expected = made.json;
  expected.erase("secret");
  CHECK(shown.json == expected);
  CHECK(api.call("GET", "/v1/endpoints").body.find("whsec_") == std::string::npos);
}

TEST_CASE("wherever an endpoint's id is taken its name is, and the beginning of its id") {
  Api api;
  const auto make = [&api](const std::string& name, const std::string& tenant) {
    const auto made =
        api.call("POST", "/v1/endpoints",
                 R"({"url":"https://example.com/hook","name":")" + name + R"(","tenant":")" + tenant + "\"}");
    CHECK(made.status == 201);
    return made.json["id"].get<std::string>();
  };
  const std::string orders = make("the orders/1", "");
  const std::string acme = make("bills", "acme");
  make("bills", "umbrella");
  const std::string by_name = "/v1/endpoints/the%20orders%2F1";
  CHECK(api.call("GET", by_name).json["id"] == orders);
  CHECK(api.call("GET", path(acme.substr(0, acme.size() - 4))).json["id"] == acme);
  CHECK(api.call("GET", path(acme.substr(0, 15))).status == 409);  // the time in it is that of all of them
  CHECK(api.call("PATCH", by_name, R"({"timeout":"3s"})").json["timeout"] == "3s");
  CHECK(api.call("POST", by_name + "/pause").json["state"] == "paused");
  CHECK(api.call("GET", "/v1/deliveries?endpoint=the%20orders%2F1").status == 200);
  CHECK(api.call("GET", "/v1/attempts?endpoint=the%20orders%2F1").status == 200);

  const auto both = api.call("GET", path("bills"));
  CHECK(both.status == 409);
  CHECK(both.json["detail"].get<std::string>().find(acme) != std::string::npos);
  const auto none = api.call("GET", path("bill"));
  CHECK(none.status == 404);
  CHECK(none.json["detail"] == "there is no endpoint \"bill\"; did you mean \"bills\"?");
  const auto filter = api.call("GET", "/v1/deliveries?endpoint=bill");
  CHECK(filter.status == 422);
  CHECK(filter.pointers() == Pointers{"endpoint"});

  const auto taken = api.call("POST", "/v1/endpoints",
                              R"({"url":"https://example.com/hook","name":"bills","tenant":"acme"})");
  CHECK(taken.status == 409);
  CHECK(taken.pointers() == Pointers{"/name"});
  CHECK(api.call("POST", "/v1/endpoints", R"({"url":"https://example.com/hook","name":"ep_1"})").pointers() ==
        Pointers{"/name"});
  CHECK(api.call("DELETE", by_name).status == 204);
  CHECK(api.call("GET", by_name).status == 404);
}

TEST_CASE("an endpoint may bring its own secret") {
  Api api;
  const auto made = api.call("POST", "/v1/endpoints",
                             R"({"url":"https://example.com/","secret":")" + std::string(kSecret) + "\"}");
  CHECK(made.status == 201);
  CHECK(made.json["secret"] == kSecret);
  const auto secrets = api.call("GET", path(made.json["id"], "/secrets"));
  REQUIRE(secrets.json["data"].size() == 1);
  CHECK(secrets.json["data"][0]["created_at"] == format_time(api.clock.wall()));
}

TEST_CASE("a bad endpoint is refused with all its bad fields, and none is made") {
  Api api;
  const auto bad = api.call("POST", "/v1/endpoints", R"({"url":"ftp://x","types":[],"colour":"red"})");
  CHECK(bad.status == 422);
  CHECK(bad.problem() == "invalid-endpoint");
  CHECK(bad.pointers() == Pointers{"/url", "/types", "/colour"});
  CHECK(api.call("POST", "/v1/endpoints", "{}").pointers() == Pointers{"/url"});
  CHECK(api.call("POST", "/v1/endpoints", "[]").status == 400);
  CHECK(api.call("POST", "/v1/endpoints", R"({"url":"https://a.example/","url":"https://b.example/"})")
            .status == 400);
  CHECK(api.call("POST", "/v1/endpoints", R"({"url":"https://a.example/"})", {{"Content-Type", "text/plain"}})
            .status == 415);
  CHECK(api.call("POST", "/v1/endpoints").status == 415);
  CHECK(api.call("GET", "/v1/endpoints").json["data"].empty());
}

TEST_CASE(
    "a URL that the address policy denies is refused, and only an operator is told why and what would allow "
    "it") {
  Api api;
  const auto id = api.add_endpoint();
  for (const auto& [scope, detail] :
       {std::pair{api::Scope::kIngest, "the address policy does not allow this URL"},
        {api::Scope::kAdmin,
         "the address policy does not allow this URL: loopback; set [policy] allow_networks"}}) {
    api.scope = scope;
    for (const auto& answer : {api.call("POST", "/v1/endpoints", R"({"url":"https://127.0.0.1/"})"),
                               api.call("PATCH", path(id), R"({"url":"https://127.0.0.1/"})")}) {
      CHECK(answer.status == 422);
      CHECK(answer.pointers() == Pointers{"/url"});
      CHECK(answer.json["errors"][0]["detail"] == detail);
      CHECK(answer.json["detail"] == detail);
    }
  }
  CHECK(api.call("GET", path(id)).json["url"] == "https://example.com/hook");
}

TEST_CASE("a PATCH changes what it names and nothing else, and each change has a later time") {
  Api api;
  const auto id = api.add_endpoint(R"(,"name":"shop","headers":{"X-A":"1"})");
  const auto before = api.call("GET", path(id)).json;
  const auto changed = api.call("PATCH", path(id), R"({"max_in_flight":8})");
  CHECK(changed.status == 200);
  CHECK(changed.json["max_in_flight"] == 8);
  CHECK(changed.json["name"] == "shop");
  CHECK(changed.json["headers"] == before["headers"]);
  CHECK(changed.json["updated_at"].get<std::string>() > before["updated_at"].get<std::string>());
  const auto again = api.call("PATCH", path(id), R"({"max_in_flight":null,"name":"store"})");
  CHECK(again.json["max_in_flight"].is_null());
  CHECK(again.json["updated_at"].get<std::string>() > changed.json["updated_at"].get<std::string>());
  CHECK(api.call("GET", path(id)).json == again.json);
  CHECK(api.call("PATCH", path(id), R"({"id":"ep_1"})").pointers() == Pointers{"/id"});
  CHECK(api.call("PATCH", path(id), "").status == 415);
}

TEST_CASE("a PATCH may set the state, together with other fields") {
  Api api;
  const auto id = api.add_endpoint();
  const auto disabled = api.call("PATCH", path(id), R"({"state":"disabled","name":"old"})");
  CHECK(disabled.json["state"] == "disabled");
  CHECK(disabled.json["disabled_reason"] == "operator");
  CHECK(disabled.json["name"] == "old");
  const auto active = api.call("PATCH", path(id), R"({"state":"active"})");
  CHECK(active.json["state"] == "active");
  CHECK_FALSE(active.json.contains("disabled_reason"));
}

TEST_CASE("changes made at the same time all take effect") {
  Api api;
  const auto id = api.add_endpoint();
  const auto one = api.begin("PATCH", path(id), R"({"name":"shop"})");
  const auto two = api.begin("PATCH", path(id), R"({"tenant":"acme"})");
  CHECK(api.answer(*one).status == 200);
  CHECK(api.answer(*two).status == 200);
  const auto shown = api.call("GET", path(id)).json;
  CHECK(shown["name"] == "shop");
  CHECK(shown["tenant"] == "acme");
}

TEST_CASE("a change that was outrun three times is a conflict, and has no effect") {
  Api api;
  const auto id = api.add_endpoint();
  std::vector<std::shared_ptr<FakeExchange>> faster;
  for (int i = 1; i <= 3; ++i)
    faster.push_back(api.begin("PATCH", path(id), R"({"name":"shop)" + std::to_string(i) + "\"}"));
  const auto outrun = api.begin("PATCH", path(id), R"({"tenant":"acme"})");
  CHECK(api.answer(*outrun).status == 409);
  for (const auto& exchange : faster) CHECK(api.answer(*exchange).status == 200);
  const auto shown = api.call("GET", path(id)).json;
  CHECK(shown["name"] == "shop3");
  CHECK(shown["tenant"] == "");
}

TEST_CASE("pause and resume move the state, and a disabled endpoint cannot be paused") {
  Api api;
  const auto id = api.add_endpoint();
  CHECK(api.call("POST", path(id, "/pause")).json["state"] == "paused");
  CHECK(api.call("POST", path(id, "/pause"), "{}").json["state"] == "paused");
  CHECK(api.call("POST", path(id, "/resume")).json["state"] == "active");
  CHECK(api.call("PATCH", path(id), R"({"state":"disabled"})").status == 200);
  CHECK(api.call("POST", path(id, "/pause")).status == 409);
  CHECK(api.call("GET", path(id)).json["disabled_reason"] == "operator");
  CHECK(api.call("POST", path(id, "/resume")).json["state"] == "active");
  CHECK(api.call("POST", path(id, "/pause"), R"({"for":"1h"})").pointers() == Pointers{"/for"});
}

TEST_CASE("a removed endpoint is gone, and events do not match it any more") {
  Api api;
  const auto id = api.add_endpoint();
  const auto removed = api.call("DELETE", path(id));
  CHECK(removed.status == 204);
  CHECK(removed.body.empty());
  CHECK(api.call("GET", path(id)).status == 404);
  CHECK(api.call("DELETE", path(id)).status == 404);
  CHECK(api.call("PATCH", path(id), R"({"name":"x"})").status == 404);
  CHECK(api.call("GET", "/v1/endpoints").json["data"].empty());
  CHECK(api.call("POST", "/v1/events", R"({"type":"a","payload":1})").json["deliveries"] == 0);
}

TEST_CASE("endpoints are listed oldest first, by page and by tenant") {
  Api api;
  std::vector<std::string> ids;
  for (const char* tenant : {"one", "two", "one"})
    ids.push_back(api.add_endpoint(R"(,"tenant":")" + std::string(tenant) + '"'));
  const auto first = api.call("GET", "/v1/endpoints?limit=2");
  REQUIRE(first.json["data"].size() == 2);
  CHECK(first.json["data"][0]["id"] == ids[0]);
  const auto rest =
      api.call("GET", "/v1/endpoints?limit=2&cursor=" + first.json["next_cursor"].get<std::string>());
  REQUIRE(rest.json["data"].size() == 1);
  CHECK(rest.json["data"][0]["id"] == ids[2]);
  CHECK(api.call("GET", "/v1/endpoints?tenant=one").json["data"].size() == 2);
  CHECK(api.call("GET", "/v1/endpoints?colour=red").pointers() == Pointers{"colour"});
}

TEST_CASE("a test sends one event that is stored nowhere, and answers the attempt") {
  Api api;
  const auto id = api.add_endpoint(R"(,"tenant":"acme")");
  const auto tested = api.call("POST", path(id, "/test"));
  CHECK(tested.status == 200);
  CHECK(tested.json["attempt"]["outcome"] == "success");
  REQUIRE(api.tests_sent.size() == 1);
  CHECK(api.tests_sent[0].first->id.to_string() == id);
  CHECK(api.tests_sent[0].second.type == "outboxd.test");
  CHECK(api.tests_sent[0].second.tenant == "acme");
  CHECK(Json::accept(api.tests_sent[0].second.payload));
  CHECK(api.call("GET", "/v1/events").json["data"].empty());
}

TEST_CASE("a test may be of any type and payload, whose bytes are sent as they came") {
  Api api;
  const auto id = api.add_endpoint();
  const auto tested =
      api.call("POST", path(id, "/test"), R"({"payload" : {"n": 1.10}, "type":"order.paid"})");
  CHECK(tested.status == 200);
  REQUIRE(api.tests_sent.size() == 1);
  CHECK(api.tests_sent[0].second.type == "order.paid");
  CHECK(api.tests_sent[0].second.payload == R"({"n": 1.10})");
  CHECK(api.call("POST", path(id, "/test"), R"({"type":"a b"})").pointers() == Pointers{"/type"});
  CHECK(api.call("POST", path(id, "/test"), R"({"typ":"a"})").pointers() == Pointers{"/typ"});
  CHECK(api.tests_sent.size() == 1);
}

TEST_CASE("why the policy denies a test is for operators, not for a tenant") {
  Api api;
  const auto id = api.add_endpoint(R"(,"tenant":"acme")");
  api.context.send_test = [](const EndpointPtr&, const Event&, const std::function<void(Attempt)>& done) {
    Attempt denied;
    denied.outcome = Outcome::kBlocked;
    denied.error = std::string(kUrlNotAllowed) + ": 10.0.0.7 is private";
    done(denied);
  };
  CHECK(api.call("POST", path(id, "/test")).body.find("10.0.0.7") != std::string::npos);
  api.tenant = "acme";
  CHECK(api.call("POST", path(id, "/test")).body.find("10.0.0.7") == std::string::npos);
}

TEST_CASE("secrets are listed by a hint, and in full only when asked") {
  Api api;
  const auto id = api.add_endpoint(R"(,"secret":")" + std::string(kSecret) + '"');
  const auto hints = api.call("GET", path(id, "/secrets"));
  CHECK(hints.json["data"][0]["hint"] == "whsec_…LaSw");
  CHECK(hints.json["data"][0]["kind"] == "v1");
  CHECK(hints.json["data"][0]["public_key"].is_null());
  CHECK(hints.json["data"][0]["expires_at"].is_null());
  CHECK(hints.body.find(kSecret) == std::string::npos);
  const auto full = api.call("GET", path(id, "/secrets?reveal=true"));
  CHECK(full.json["data"][0]["secret"] == kSecret);
  CHECK(full.header("Cache-Control") == "no-store");
  CHECK(api.call("GET", path(id, "/secrets?reveal=yes")).pointers() == Pointers{"reveal"});
}

TEST_CASE("after a rotation the previous secret signs along until it expires") {
  Api api;
  const auto id = api.add_endpoint(R"(,"secret":")" + std::string(kSecret) + '"');
  const auto rotated = api.call("POST", path(id, "/secrets/rotate"), R"({"overlap":"2h"})");
  CHECK(rotated.status == 200);
  CHECK(rotated.json["expires_previous_at"] == format_time(api.clock.wall() + std::chrono::hours(2)));
  const auto secrets = [&] { return api.call("GET", path(id, "/secrets?reveal=true")).json["data"]; };
  REQUIRE(secrets().size() == 2);
  CHECK(secrets()[0]["secret"] == rotated.json["secret"]);
  CHECK(secrets()[1]["secret"] == kSecret);
  CHECK(secrets()[1]["expires_at"] == rotated.json["expires_previous_at"]);
  api.clock.advance(std::chrono::hours(2));
  CHECK(secrets().size() == 1);
}

TEST_CASE("a rotation without overlap drops what was before, and one too many is refused") {
  Api api;
  const auto id = api.add_endpoint();
  const auto rotate = [&](const std::string& body) {
    return api.call("POST", path(id, "/secrets/rotate"), body);
  };
  for (int i = 0; i < 7; ++i) CHECK(rotate("").status == 200);
  CHECK(rotate("").status == 409);
  CHECK(api.call("GET", path(id, "/secrets")).json["data"].size() == 8);
  CHECK(rotate(R"({"overlap":"0s"})").status == 200);
  CHECK(api.call("GET", path(id, "/secrets")).json["data"].size() == 1);
  CHECK(rotate(R"({"overlap":"31d"})").pointers() == Pointers{"/overlap"});
  CHECK(rotate(R"({"overlap":24})").pointers() == Pointers{"/overlap"});
  const auto bad = rotate(R"({"secret":"whsec_tooshort"})");
  CHECK(bad.pointers() == Pointers{"/secret"});
  CHECK(bad.body.find("tooshort") == std::string::npos);
  CHECK(rotate(R"({"secret":")" + std::string(kSecret) + "\"}").json["secret"] == kSecret);
}

TEST_CASE("a rotation never shortens a secret's life by a longer one, nor lengthens it") {
  const Time now = from_unix_millis(1'790'000'000'000);
  Endpoint endpoint;
  endpoint.secrets = {{"c", now, std::nullopt}, {"b", now, now + Millis(1000)}, {"a", now, now - Millis(1)}};
  const auto rotated = api::with_new_secret(endpoint, "d", now, std::chrono::hours(1));
  REQUIRE(rotated);
  REQUIRE(rotated->secrets.size() == 3);
  CHECK(rotated->secrets[0].text == "d");
  CHECK(rotated->secrets[1].expires_at == now + std::chrono::hours(1));
  CHECK(rotated->secrets[2].expires_at == now + Millis(1000));
}

TEST_CASE("stats say how many deliveries are in which state, what they wait for, and how the endpoint does") {
  Api api;
  const auto id = api.add_endpoint(R"(,"name":"shop")");
  const auto other = api.add_endpoint(R"(,"types":["none"])");
  for (int i = 0; i < 3; ++i) api.add_event();
  api.add_event(R"(,"delay":"1h")");
  const auto delivery = api.call("GET", "/v1/deliveries").json["data"][0]["id"].get<std::string>();
  api.record(delivery, DeliveryState::kDelivered);
  const EndpointSeq seq = api.directory.find(EndpointId::parse(id).value())->seq;
  const Time probe = api.clock.wall() + Millis(5000);
  api.context.ask_lanes = [&](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([&] {
      api::LaneView lane{.in_flight = 1,
                         .consecutive_failures = 7,
                         .breaker_open = true,
                         .holds = {WaitingFor::kBreaker, probe},
                         .under_way = {1},
                         .last_failure = {}};
      lane.last_failure = {"no answer", 503, api.clock.wall()};
      lane.certificate_expires_at = probe + std::chrono::hours(24);
      return api::Lanes({{seq, lane}});
    });
  };
  api.clock.advance(Millis(2000));
  const auto stats = api.call("GET", path("shop", "/stats")).json;
  CHECK(stats["endpoint"] == id);
  CHECK(stats["name"] == "shop");
  CHECK(stats["pending"] == 3);
  CHECK(stats["delivered"] == 1);
  CHECK(stats["complete"] == true);
  CHECK(stats["waiting"] == Json{{"breaker", 2}});
  CHECK(stats["in_flight"] == 1);
  CHECK(stats["breaker"] == "open");
  CHECK(stats["next_probe_at"] == format_time(probe));
  CHECK(stats["last_error"]["status"] == 503);
  CHECK(stats["certificate_expires_at"] == format_time(probe + std::chrono::hours(24)));
  CHECK(stats["oldest_due_at"] == format_time(api.clock.wall() - Millis(2000)));
  CHECK(api.call("GET", path(other, "/stats")).json["waiting"] == Json::object());
  const auto listed = api.call("GET", "/v1/endpoints?stats=true").json["data"];
  CHECK(listed[0]["stats"]["waiting"] == Json{{"breaker", 2}});
  CHECK(listed[1]["stats"]["pending"] == 0);
  CHECK(listed[1]["stats"]["certificate_expires_at"].is_null());
  CHECK_FALSE(api.call("GET", "/v1/endpoints").json["data"][0].contains("stats"));
  api.call("POST", path(id, "/pause"));
  CHECK(api.call("GET", path(id, "/stats")).json["waiting"] == Json{{"paused", 3}});
  api.context.ask_lanes = [](std::optional<EndpointSeq>, const api::Context::Asked<api::Lanes>& done) {
    done([] { return api::Lanes(); });
  };
  CHECK(api.call("GET", path(id, "/stats")).json["breaker"].is_null());
}

TEST_CASE("a rate limit and an order are set, shown, changed and taken away") {
  Api api;
  const auto id = api.add_endpoint(R"(,"rate_limit":"100/s","ordering":"key","on_failure_in_order":"skip")");
  auto shown = api.call("GET", path(id)).json;
  CHECK(shown["rate_limit"] == "100/s");
  CHECK(shown["ordering"] == "key");
  CHECK(shown["on_failure_in_order"] == "skip");
  CHECK(shown["failing_since"].is_null());
  shown = api.call("PATCH", path(id), R"({"name":"x"})").json;
  CHECK(shown["rate_limit"] == "100/s");
  CHECK(shown["ordering"] == "key");
  shown = api.call("PATCH", path(id),
                   R"({"rate_limit":null,"ordering":"endpoint","on_failure_in_order":"block"})")
              .json;
  CHECK(shown["rate_limit"].is_null());
  CHECK(shown["ordering"] == "endpoint");
  CHECK(shown["on_failure_in_order"] == "block");
  CHECK(api.directory.find(EndpointId::parse(id).value())->ordering == Ordering::kEndpoint);
  CHECK(api.call("GET", "/v1/endpoints").json["data"][0] == api.call("GET", path(id)).json);
}

TEST_CASE("bad limits and orders are refused, and so is what there is not") {
  Api api;
  const auto bad = api.call(
      "POST", "/v1/endpoints",
      R"({"url":"https://example.com/","rate_limit":"fast","ordering":"tenant","on_failure_in_order":1,"filter":[],"tls":{"verify":false},"failing_since":null})");
  CHECK(bad.status == 422);
  CHECK(bad.pointers() == Pointers{"/rate_limit", "/ordering", "/on_failure_in_order", "/filter",
                                   "/tls/verify", "/failing_since"});
}

TEST_CASE("since when an endpoint fails is shown, kept by changes, and over once it is resumed") {
  Api api;
  const auto id = api.add_endpoint();
  const EndpointSeq seq = api.directory.find(EndpointId::parse(id).value())->seq;
  api.commit(SetFailingSince{seq, api.clock.wall(), std::nullopt});
  const std::string since = format_time(api.clock.wall());
  api.clock.advance(Millis(5000));
  CHECK(api.call("GET", path(id)).json["failing_since"] == since);
  CHECK(api.call("GET", "/v1/endpoints").json["data"][0]["failing_since"] == since);
  CHECK(api.call("PATCH", path(id), R"({"name":"x"})").json["failing_since"] == since);
  CHECK(api.call("POST", path(id, "/resume")).json["failing_since"].is_null());
  CHECK(api.call("GET", path(id)).json["failing_since"].is_null());
}

TEST_CASE("a cursor of another list is refused") {
  Api api;
  api.add_endpoint();
  const auto refused = api.call("GET", "/v1/endpoints?cursor=e1");
  CHECK(refused.status == 422);
  CHECK(refused.pointers() == Pointers{"cursor"});
}

TEST_CASE("an endpoint may be of outboxd's own tenant") {
  Api api;
  CHECK(api.call("GET", path(api.add_endpoint(R"(,"tenant":"_ops")"))).json["tenant"] == "_ops");
}
