#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

TEST_CASE("an event is answered with 202 after its commit, and its delivery is handed on") {
  Api api;
  api.add_endpoint(R"(,"types":["order.*"])");
  const auto made = api.call("POST", "/v1/events", R"({"type":"order.paid","payload":{"n":1.10}})");
  CHECK(made.status == 202);
  CHECK(made.json.size() == 4);
  CHECK(made.json["created_at"] == format_time(api.clock.wall()));
  CHECK(made.json["deliveries"] == 1);
  CHECK(made.json["duplicate"] == false);
  const auto ready = api.told<DeliveryReady>();
  REQUIRE(ready.size() == 1);
  CHECK(ready[0].delivery.event->payload == R"({"n":1.10})");
  CHECK(ready[0].delivery.event->id.to_string() == made.json["id"]);
}

TEST_CASE("a batch is answered with a list in its order, as an array or as lines") {
  Api api;
  const auto array = api.call("POST", "/v1/events", R"([{"type":"a","payload":1},{"type":"b","payload":2}])");
  CHECK(array.status == 202);
  REQUIRE(array.json["data"].size() == 2);
  const auto lines = api.call("POST", "/v1/events", "{\"type\":\"a\",\"payload\":1}\n",
                              {{"Content-Type", "application/x-ndjson; charset=utf-8"}});
  CHECK(lines.status == 202);
  CHECK(lines.json["data"].size() == 1);
  const auto second = api.call("GET", "/v1/events/" + array.json["data"][1]["id"].get<std::string>());
  CHECK(second.json["type"] == "b");
}

TEST_CASE("the same idempotency key and content is answered 200 with the first answer, other content 422") {
  Api api;
  const std::string event = R"({"type":"a","payload":1})";
  const auto first = api.call("POST", "/v1/events", event, {{"idempotency-key", "k"}});
  CHECK(first.status == 202);
  api.clock.advance(Millis(5000));
  const auto again = api.call(
      "POST", "/v1/events", event,
      {{"idempotency-key", "k"}, {"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  CHECK(again.status == 200);
  CHECK(again.json["id"] == first.json["id"]);
  CHECK(again.json["created_at"] == first.json["created_at"]);
  CHECK(again.json["duplicate"] == true);
  const auto other =
      api.call("POST", "/v1/events", R"({"type":"a","payload":2})", {{"idempotency-key", "k"}});
  CHECK(other.status == 422);
  CHECK(other.problem() == "idempotency-conflict");
  CHECK(other.pointers() == Pointers{"/idempotency_key"});
  CHECK(other.json["detail"] == "the idempotency key \"k\" was used with other content, by the event " +
                                    first.json["id"].get<std::string>());
  const auto batch = api.call("POST", "/v1/events",
                              R"([{"type":"b","payload":2},{"type":"a","payload":2,"idempotency_key":"k"}])");
  CHECK(batch.status == 422);
  CHECK(batch.pointers() == Pointers{"/1/idempotency_key"});
  CHECK(api.call("GET", "/v1/events").json["data"].size() == 1);
}

TEST_CASE("refused events leave nothing behind") {
  Api api;
  CHECK(api.call("POST", "/v1/events", "", {{"Content-Type", "application/json"}}).status == 400);
  CHECK(api.call("POST", "/v1/events", "{", {}).status == 400);
  CHECK(api.call("POST", "/v1/events", R"({"type":"a"})").status == 422);
  CHECK(api.call("POST", "/v1/events", R"([{"type":"a","payload":1},{"type":""}])").status == 422);
  CHECK(api.call("POST", "/v1/events?x=1", R"({"type":"a","payload":1})").status == 422);
  const std::string large = R"({"type":"a","payload":")" + std::string(1 << 20, 'x') + "\"}";
  CHECK(api.call("POST", "/v1/events", large).status == 413);
  for (const char* type :
       {"text/plain", "application/json; charset=latin1", "application/cloudevents+avro", ""}) {
    CAPTURE(type);
    CHECK(api.call("POST", "/v1/events", R"({"type":"a","payload":1})", {{"Content-Type", type}}).status ==
          415);
  }
  CHECK(api.call("GET", "/v1/events").json["data"].empty());
}

TEST_CASE("a well-formed traceparent stays with the event, another is ignored") {
  Api api;
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto send = [&](const std::string& header) {
    const auto made =
        api.call("POST", "/v1/events", R"({"type":"a","payload":1})", {{"traceparent", header}});
    return api.call("GET", "/v1/events/" + made.json["id"].get<std::string>()).json["traceparent"];
  };
  CHECK(send(trace) == trace);
  CHECK(send("hello").is_null());
}

TEST_CASE("an event is shown with its deliveries, and without its payload") {
  Api api;
  const auto endpoint = api.add_endpoint();
  const auto id = api.add_event(R"(,"tenant":"")");
  const auto shown = api.call("GET", "/v1/events/" + id);
  CHECK(shown.status == 200);
  CHECK(shown.json["id"] == id);
  CHECK_FALSE(shown.json.contains("payload"));
  CHECK(shown.json["payload_bytes"] == 10);
  REQUIRE(shown.json["deliveries"].size() == 1);
  CHECK(shown.json["deliveries"][0]["endpoint"] == endpoint);
  CHECK(shown.json["deliveries"][0]["state"] == "pending");
  CHECK(shown.json["deliveries_next_cursor"].is_null());
}

TEST_CASE("a payload comes back byte for byte, as an attachment of its type that no browser interprets") {
  Api api;
  const auto id = api.add_event();
  const auto json = api.call("GET", "/v1/events/" + id + "/payload");
  CHECK(json.status == 200);
  CHECK(json.body == R"({"n":1.10})");
  CHECK(json.content_type == "application/json");
  CHECK(json.header("Content-Disposition") == "attachment; filename=\"" + id + '"');
  const auto made =
      api.call("POST", "/v1/events", R"({"type":"a","payload_base64":"AP8K","content_type":"text/html"})");
  const auto bytes = api.call("GET", "/v1/events/" + made.json["id"].get<std::string>() + "/payload");
  CHECK(bytes.body == std::string("\0\xff\n", 3));
  CHECK(bytes.content_type == "text/html");
}

TEST_CASE("events are listed newest first, by page and by filter") {
  Api api;
  std::vector<std::string> ids;
  for (const char* members : {R"(,"tenant":"t1")", R"(,"tenant":"t2")", R"(,"tenant":"t1")"}) {
    ids.push_back(api.add_event(members));
    api.clock.advance(std::chrono::hours(1));
  }
  const auto first = api.call("GET", "/v1/events?limit=2");
  REQUIRE(first.json["data"].size() == 2);
  CHECK(first.json["data"][0]["id"] == ids[2]);
  CHECK(first.json["data"][0]["deliveries"] == 0);
  const auto rest =
      api.call("GET", "/v1/events?limit=2&cursor=" + first.json["next_cursor"].get<std::string>());
  REQUIRE(rest.json["data"].size() == 1);
  CHECK(rest.json["data"][0]["id"] == ids[0]);
  CHECK(rest.json["next_cursor"].is_null());
  CHECK(api.call("GET", "/v1/events?tenant=t1").json["data"].size() == 2);
  CHECK(api.call("GET", "/v1/events?type=order.paid").json["data"].size() == 3);
  CHECK(api.call("GET", "/v1/events?type=other").json["data"].empty());
  CHECK(api.call("GET", "/v1/events?since=90m").json["data"].size() == 1);
  CHECK(api.call("GET", "/v1/events?until=90m").json["data"].size() == 2);
  CHECK(api.call("GET", "/v1/events?since=" + format_time(api.clock.wall() - std::chrono::hours(2)))
            .json["data"]
            .size() == 2);
}

TEST_CASE("bad query parameters are refused and named") {
  Api api;
  const auto pointers = [&](const std::string& query) {
    const auto answer = api.call("GET", "/v1/events?" + query);
    CHECK(answer.status == 422);
    CHECK(answer.problem() == "invalid-parameter");
    return answer.pointers();
  };
  CHECK(pointers("limit=0&since=yesterday&rejected=maybe") == Pointers{"rejected", "since", "limit"});
  CHECK(pointers("limit=251") == Pointers{"limit"});
  CHECK(pointers("limit=ten") == Pointers{"limit"});
  CHECK(pointers("colour=red") == Pointers{"colour"});
  CHECK(pointers("limit=1&limit=2") == Pointers{"limit"});
  CHECK(pointers("type=" + std::string(600, 'x')) == Pointers{"type"});
  CHECK(pointers("type=\xff") == Pointers{"type"});
  CHECK(pointers("rejected=true&type=a") == Pointers{"type"});
  CHECK(api.call("GET", "/v1/events?cursor=nonsense").status == 422);
}

TEST_CASE("ids that name no event are not found, whatever their form") {
  Api api;
  const auto endpoint = api.add_endpoint();
  for (const std::string& id : {std::string("evt_019bd3c2f1c07a2e8f4d5b6a7c8d9e0f"), endpoint,
                                std::string("evt_x"), std::string("x\xff"), std::string(5000, 'x')}) {
    CAPTURE(id);
    const auto answer = api.call("GET", "/v1/events/" + id);
    CHECK(answer.status == 404);
    CHECK(answer.problem() == "not-found");
    CHECK(answer.body.size() < 500);
    CHECK(api.call("GET", "/v1/events/" + id + "/payload").status == 404);
    CHECK(api.call("POST", "/v1/events/" + id + "/replay").status == 404);
  }
}

TEST_CASE("a replay reaches all endpoints that match now, or the one named, and the delivery side is told") {
  Api api;
  const auto id = api.add_event();
  const auto first = api.add_endpoint();
  const auto second = api.add_endpoint(R"(,"types":["other"])");
  const auto all = api.call("POST", "/v1/events/" + id + "/replay");
  CHECK(all.status == 202);
  CHECK(all.json["deliveries"] == 1);
  const auto named = api.call("POST", "/v1/events/" + id + "/replay", R"({"endpoint":")" + second + "\"}");
  CHECK(named.json["deliveries"] == 1);
  const auto due = api.told<DueOnDisk>();
  REQUIRE(due.size() == 2);
  CHECK(api.directory.find(due[0].endpoint)->id.to_string() == first);
  CHECK(api.directory.find(due[1].endpoint)->id.to_string() == second);
  CHECK(due[0].due_in == Millis(0));
  CHECK(api.call("GET", "/v1/deliveries?event=" + id).json["data"].size() == 2);
}

TEST_CASE("a replay is refused to another tenant's endpoint and for a bad body") {
  Api api;
  const auto id = api.add_event(R"(,"tenant":"one")");
  const auto foreign = api.add_endpoint(R"(,"tenant":"two")");
  const auto replay = [&](const std::string& body) {
    return api.call("POST", "/v1/events/" + id + "/replay", body);
  };
  CHECK(replay(R"({"endpoint":")" + foreign + "\"}").pointers() == Pointers{"/endpoint"});
  CHECK(replay(R"({"endpoint":"ep_x"})").status == 422);
  CHECK(replay(R"({"endpoint":7})").pointers() == Pointers{"/endpoint"});
  CHECK(replay(R"({"to":"x"})").pointers() == Pointers{"/to"});
  CHECK(replay("[]").status == 400);
  CHECK(replay(R"({"endpoint":"a","endpoint":"b"})").status == 400);
  CHECK(api.call("POST", "/v1/events/" + id + "/replay", "{}", {{"Content-Type", "text/plain"}}).status ==
        415);
  CHECK(api.told<DueOnDisk>().empty());
}

TEST_CASE("an event of outboxd's own tenant cannot be given") {
  Api api;
  const auto refused = api.call("POST", "/v1/events",
                                R"([{"type":"a","payload":1},{"type":"a","payload":1,"tenant":"_ops"}])");
  CHECK(refused.status == 422);
  CHECK(refused.problem() == "invalid-event");
  CHECK(refused.pointers() == Pointers{"/1/tenant"});
  CHECK(refused.json["errors"][0]["detail"] == "is reserved for events of outboxd itself; got \"_ops\"");
  CHECK(api.call("GET", "/v1/events").json["data"].empty());
}

TEST_CASE("a replay has the delivery side drop the later heads that wait behind it now") {
  Api api;
  api.add_endpoint(R"(,"ordering":"endpoint")");
  const auto first = api.add_event(), second = api.add_event();
  api.record(api.only_delivery(first), DeliveryState::kDelivered);
  CHECK(api.call("POST", "/v1/events/" + first + "/replay").status == 202);
  CHECK(api.withdrawn() == std::vector{delivery_key(DeliveryId::parse(api.only_delivery(second)).value())});
  CHECK(api.told<DueOnDisk>().size() == 1);
}

TEST_CASE(
    "a payload is erased for good: it is not fetched, replayed or sent any more, and the event says so") {
  Api api;
  api.add_endpoint();
  const auto id = api.add_event();
  const std::string event = "/v1/events/" + id;
  const auto delivery = api.only_delivery(id);
  const auto erased = api.call("DELETE", event + "/payload");
  REQUIRE(erased.status == 200);
  CHECK(erased.json["id"] == id);
  CHECK(erased.json["discarded"] == 1);
  CHECK(api.withdrawn().size() == 1);
  const auto shown = api.call("GET", event).json;
  CHECK(shown["payload_erased_at"] == erased.json["payload_erased_at"]);
  CHECK(shown["payload_bytes"] == 0);
  CHECK(shown["deliveries"][0]["state"] == "discarded");
  const auto payload = api.call("GET", event + "/payload");
  CHECK(payload.status == 404);
  CHECK(payload.body.find("was erased at") != std::string::npos);
  CHECK(api.call("POST", event + "/replay").status == 409);
  CHECK(api.call("POST", "/v1/deliveries/" + delivery + "/retry").status == 409);
  api.clock.advance(std::chrono::hours(1));
  const auto again = api.call("DELETE", event + "/payload");
  CHECK(again.json["payload_erased_at"] == erased.json["payload_erased_at"]);
  CHECK(again.json["discarded"] == 0);
  CHECK(api.call("DELETE", "/v1/events/evt_" + std::string(32, '0') + "/payload").status == 404);
}

TEST_CASE(
    "an event is erased for as many endpoints as one step discards, and for those it has yet to reach") {
  Api api;
  for (int i = 0; i < 1001; ++i) api.add_endpoint();
  const auto id = api.add_event();
  CHECK(api.call("DELETE", "/v1/events/" + id + "/payload").json["discarded"] == 1000);
  CHECK(api.readers.lend()->unfinished_fan_outs(0, 10).empty());
  CHECK(api.call("GET", "/v1/deliveries?state=pending").json["data"].empty());
}

TEST_CASE("a rejected row is shown in its producer's words, read again, or dropped") {
  Api api;
  REQUIRE(
      api.produce("INSERT INTO outbox(type, payload, tenant) VALUES ('order.paid', '{\"id\": 42}', 'acme')"));
  CHECK(api.call("GET", "/v1/outbox/1").status == 404);
  api.commit(RejectOutboxRow{1, api.clock.wall(), "payload: is larger than 1 MiB"});
  const auto row = api.call("GET", "/v1/outbox/1");
  CHECK(row.status == 200);
  CHECK(row.json["reason"] == "payload: is larger than 1 MiB");
  CHECK(row.json["payload"] == "{\"id\": 42}");
  CHECK(row.json["payload_cut"] == false);
  CHECK(api.call("POST", "/v1/outbox/1/retry").status == 202);
  CHECK(api.told<OutboxRowsWait>().size() == 1);
  CHECK(api.call("GET", "/v1/outbox/1").status == 404);
  CHECK(api.call("DELETE", "/v1/outbox/1").status == 404);
  api.commit(RejectOutboxRow{1, api.clock.wall(), "no"});
  CHECK(api.call("DELETE", "/v1/outbox/1").status == 204);
  CHECK(api.call("GET", "/v1/outbox/1").status == 404);
  for (const char* number : {"0", "-1", "x", "99999999999999999999"})
    CHECK(api.call("GET", std::string("/v1/outbox/") + number).status == 404);
}
