// CloudEvents by POST /v1/events.
#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

namespace {

const Api::Headers kStructured = {{"Content-Type", "application/cloudevents+json; charset=UTF-8"}};
const Api::Headers kBatch = {{"Content-Type", "application/cloudevents-batch+json"}};

std::string cloud_event(const std::string& members = "", const std::string& id = "1") {
  return R"({"specversion":"1.0","type":"order.paid","source":"/shop","id":")" + id + '"' + members + "}";
}

Api::Headers binary(const Api::Headers& more = {}, const std::string& id = "1") {
  Api::Headers all = {
      {"ce-specversion", "1.0"}, {"ce-type", "order.paid"}, {"ce-source", "/shop"}, {"ce-id", id}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Sent show(Api& api, const Json& accepted) {
  return api.call("GET", "/v1/events/" + accepted["id"].get<std::string>());
}

}  // namespace

TEST_CASE("a structured CloudEvent is accepted, and shown with its attributes") {
  Api api;
  const auto made = api.call(
      "POST", "/v1/events",
      cloud_event(R"(,"time":"2026-11-23T15:21:00+01:00","n":7,"ok":true,"data":{"a": 1.10})"), kStructured);
  CHECK(made.status == 202);
  const auto shown = show(api, made.json);
  CHECK(shown.json["type"] == "order.paid");
  CHECK(shown.json["cloud_event"] ==
        Json::parse(R"({"specversion":"1.0","id":"1","source":"/shop","type":"order.paid",
                        "time":"2026-11-23T15:21:00+01:00","n":7,"ok":true})"));
  CHECK(shown.json["content_type"] == "application/json");
  CHECK(api.call("GET", "/v1/events/" + made.json["id"].get<std::string>() + "/payload").body ==
        R"({"a": 1.10})");
  CHECK(show(api, Json{{"id", api.add_event()}}).json["cloud_event"].is_null());
  CHECK_FALSE(api.call("GET", "/v1/events").json["data"][0].contains("cloud_event"));
}

TEST_CASE("a batch of CloudEvents is accepted as a whole or not at all") {
  Api api;
  const auto made =
      api.call("POST", "/v1/events", "[" + cloud_event() + "," + cloud_event("", "2") + "]", kBatch);
  CHECK(made.status == 202);
  REQUIRE(made.json["data"].size() == 2);
  CHECK(show(api, made.json["data"][1]).json["cloud_event"]["id"] == "2");
  const auto refused = api.call(
      "POST", "/v1/events", "[" + cloud_event("", "3") + "," + cloud_event(R"(,"x":{})", "4") + "]", kBatch);
  CHECK(refused.status == 422);
  CHECK(refused.pointers() == Pointers{"/1/x"});
  const auto empty = api.call("POST", "/v1/events", "[]", kBatch);
  CHECK(empty.status == 422);
  CHECK(api.call("GET", "/v1/events").json["data"].size() == 2);
}

TEST_CASE("a binary CloudEvent may have a body of any type, or none") {
  Api api;
  const auto payload = [&](const Sent& made) {
    REQUIRE(made.status == 202);
    return api.call("GET", "/v1/events/" + made.json["id"].get<std::string>() + "/payload");
  };
  const auto bytes = payload(
      api.call("POST", "/v1/events", std::string("\0\xff", 2), binary({{"Content-Type", "image/x"}})));
  CHECK(bytes.body == std::string("\0\xff", 2));
  CHECK(bytes.content_type == "image/x");
  const auto json =
      payload(api.call("POST", "/v1/events", "{ }", binary({{"Content-Type", "application/json"}}, "2")));
  CHECK(json.status == 200);
}

TEST_CASE("the same source and id is the same event") {
  Api api;
  const auto first = api.call("POST", "/v1/events", cloud_event(), kStructured);
  const auto again = api.call("POST", "/v1/events", cloud_event(R"(,"traceparent":"00-x")"), kStructured);
  CHECK(again.status == 200);
  CHECK(again.json["id"] == first.json["id"]);
  CHECK(again.json["duplicate"] == true);
  const auto in_headers = api.call("POST", "/v1/events", "", binary());
  CHECK(in_headers.status == 200);
  const auto other = api.call("POST", "/v1/events", cloud_event(R"(,"data":1)"), kStructured);
  CHECK(other.status == 422);
  CHECK(other.problem() == "idempotency-conflict");
  CHECK(other.pointers() == Pointers{"/id"});
  CHECK(api.call("POST", "/v1/events", "1", binary({{"Content-Type", "application/json"}})).pointers() ==
        Pointers{"ce-id"});
  CHECK(api.call("POST", "/v1/events", "[" + cloud_event("", "2") + "," + cloud_event(R"(,"data":1)") + "]",
                 kBatch)
            .pointers() == Pointers{"/1/id"});
  auto keyed = kStructured;
  keyed.push_back({"Idempotency-Key", "another"});
  CHECK(api.call("POST", "/v1/events", cloud_event(R"(,"data":1)"), keyed).status == 202);
}

TEST_CASE("the trace of the request comes before that of the event") {
  Api api;
  const std::string outer = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                    inner = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string event = cloud_event(",\"traceparent\":\"" + inner + '"');
  auto traced = kStructured;
  traced.push_back({"traceparent", outer});
  traced.push_back({"Idempotency-Key", "another"});
  const auto by_event = show(api, api.call("POST", "/v1/events", event, kStructured).json);
  CHECK(by_event.json["traceparent"] == inner);
  const auto by_request = show(api, api.call("POST", "/v1/events", event, traced).json);
  CHECK(by_request.json["traceparent"] == outer);
  CHECK(by_request.json["cloud_event"]["traceparent"] == inner);
}

TEST_CASE("a caller of one tenant sends that tenant's CloudEvents") {
  Api api;
  api.tenant = "acme";
  CHECK(show(api, api.call("POST", "/v1/events", cloud_event(), kStructured).json).json["tenant"] == "acme");
  const std::string other = R"(,"outboxdtenant":"other")";
  const auto refused = api.call("POST", "/v1/events", cloud_event(other, "2"), kStructured);
  CHECK(refused.status == 403);
  CHECK(refused.pointers() == Pointers{"/outboxdtenant"});
  CHECK(api.call("POST", "/v1/events", "[" + cloud_event(other, "2") + "]", kBatch).pointers() ==
        Pointers{"/0/outboxdtenant"});
  CHECK(api.call("POST", "/v1/events", "", binary({{"ce-outboxdtenant", "other"}})).pointers() ==
        Pointers{"ce-outboxdtenant"});
}

TEST_CASE("refused CloudEvents leave nothing behind, and say which attribute is wrong") {
  Api api;
  const auto structured = [&](const std::string& body) {
    return api.call("POST", "/v1/events", body, kStructured);
  };
  CHECK(structured("").status == 400);
  CHECK(structured("{").status == 400);
  CHECK(structured(cloud_event() + "x").status == 400);
  CHECK(structured("[" + cloud_event() + "]").status == 422);
  CHECK(structured("{}").pointers() == Pointers{"/specversion", "/id", "/source", "/type"});
  CHECK(structured(R"({"type":"a","payload":1})").status == 422);
  for (const auto& [members, pointer] : std::initializer_list<std::pair<const char*, const char*>>{
           {R"("subject":"")", "/subject"},
           {R"("time":"now")", "/time"},
           {R"("time":7)", "/time"},
           {R"("dataschema":"x y")", "/dataschema"},
           {R"("datacontenttype":"x")", "/datacontenttype"},
           {R"("id":"2")", "/id"},
           {R"("x":{})", "/x"},
           {R"("x":1.5)", "/x"},
           {R"("x":2147483648)", "/x"},
           {R"("x":"\ud800")", "/x"},
           {R"("x":"\u0001")", "/x"},
           {R"("a/b":1)", "/a~1b"},
           {R"("UPPER":1)", "/UPPER"},
           {R"("outboxdpriority":1)", "/outboxdpriority"},
           {R"("partitionkey":7,"partitionkey":"a")", "/partitionkey"},
           {R"("data":1,"data_base64":"AA==")", "/data_base64"},
           {R"("data_base64":"?")", "/data_base64"},
           {R"("data_base64":"e3t9","datacontenttype":"application/json")", "/data_base64"},
           {R"("data":1,"datacontenttype":"text/plain")", "/data"}}) {
    const std::string_view shown = members;  // Clang 14 captures no structured bindings
    CAPTURE(shown);
    const auto refused = structured(cloud_event("," + std::string(members)));
    CHECK(refused.status == 422);
    CHECK(refused.problem() == "invalid-event");
    CHECK(refused.pointers() == Pointers{pointer});
  }
  CHECK(structured(cloud_event(",\"data\":\"" + std::string(1 << 20, 'x') + '"')).status == 413);
  const auto in_headers = [&](const Api::Headers& more, const std::string& body = "") {
    return api.call("POST", "/v1/events", body, binary(more));
  };
  CHECK(in_headers({{"Content-Type", "application/json"}}, "{").status == 400);
  CHECK(in_headers({{"ce-x", "%C0%A0"}}).pointers() == Pointers{"ce-x"});
  CHECK(in_headers({{"ce-id", "2"}}).pointers() == Pointers{"ce-id"});
  CHECK(in_headers({{"Content-Type", "x"}}, "1").pointers() == Pointers{"Content-Type"});
  CHECK(api.call("POST", "/v1/events", R"({"type":"a","payload":1})", {{"ce-id", "1"}}).status == 422);
  CHECK(in_headers({{"Content-Type", "application/cloudevents+avro"}}, "x").status == 415);
  const auto unknown = api.call("POST", "/v1/events", "x", {{"Content-Type", "text/plain"}});
  CHECK(unknown.status == 415);
  CHECK(unknown.json["detail"].get<std::string>().find("application/cloudevents+json") != std::string::npos);
  CHECK(api.call("GET", "/v1/events").json["data"].empty());
}
