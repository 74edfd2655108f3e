// An event is answered in the same way whether it is handled on the API's loop or by a worker; what would take long
// leaves the loop.
#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

struct Case {
  std::string body;
  Api::Headers headers = {};
};

// Everything but the id that outboxd gave.
std::string without_id(const Sent& sent) {
  Json json = sent.json;
  if (json.is_object()) json.erase("id");
  return json.is_discarded() ? sent.body : json.dump();
}

void check_same(const Case& posted, const std::optional<std::string>& tenant) {
  CAPTURE(posted.body);
  Api by_worker, by_loop;
  by_loop.on_loop = true;
  by_worker.tenant = by_loop.tenant = tenant;
  for (int time = 0; time < 3; ++time) {  // the directory remembers the type from the second time on
    const Sent one = by_worker.call("POST", "/v1/events", posted.body, posted.headers);
    const Sent other = by_loop.call("POST", "/v1/events", posted.body, posted.headers);
    CHECK(one.status == other.status);
    CHECK(one.content_type == other.content_type);
    CHECK(one.headers == other.headers);
    if (one.json.contains("data")) {
      CHECK(one.json["data"].size() == other.json["data"].size());
    } else {
      CHECK(without_id(one) == without_id(other));
    }
  }
  CHECK(by_worker.told<DeliveryReady>().size() == by_loop.told<DeliveryReady>().size());
}

// How often it has been resumed on a worker.
int resumed(Api& api, const std::string& body, Api::Headers headers = {}) {
  const auto exchange = api.begin("POST", "/v1/events", body, std::move(headers));
  CHECK(api.answer(*exchange).status == 202);
  return exchange->resumed;
}

const std::string kEvent = R"({"type":"order.paid","payload":{"n":1.10}})";

}  // namespace

TEST_CASE("valid and invalid bodies are answered on the loop as by a worker") {
  const std::vector<Case> cases = {
      {kEvent},
      {kEvent, {{"idempotency-key", "k"}}},
      {R"({"type":"a","payload":1,"idempotency_key":"k"})", {{"idempotency-key", "other"}}},
      {R"({"type":"a","payload":1,"tenant":"acme","ordering_key":"o","priority":9,"ttl":"5m"})"},
      {R"({"type":"a","payload_base64":"AAEC","content_type":"application/octet-stream"})"},
      {R"({"type":"a b","payload":1,"priority":99,"colour":"red"})"},
      {R"({"payload":1})"},
      {R"({"type":"a","payload":1,"type":"b"})"},
      {R"({"type":"a","payload":)"},
      {R"({"type":"a","payload":1} x)"},
      {R"([{"type":"a","payload":1},{"type":"b","payload":2}])"},
      {R"([{"type":"a","payload":1},{"type":"b"}])"},
      {R"([{"type":"a","payload":1}])", {{"idempotency-key", "k"}}},
      {"[]"},
      {"7"},
      {"\xff"},
      {" "},
      {"x", {{"Content-Type", "text/plain"}}},
      {"{}", {{"Content-Type", "application/json; charset=latin1"}}},
      {kEvent + "\n" + kEvent, {{"Content-Type", "application/x-ndjson"}}},
      {R"({"specversion":"1.0","id":"1","source":"/s","type":"a","data":1})",
       {{"Content-Type", "application/cloudevents+json"}}},
      {R"([{"specversion":"1.0","id":"1","source":"/s","type":"a","data":1}])",
       {{"Content-Type", "application/cloudevents-batch+json"}}},
      {"{}", {{"ce-specversion", "1.0"}, {"ce-id", "1"}, {"ce-source", "/s"}, {"ce-type", "a"}}},
      {"{}", {{"ce-specversion", "1.0"}, {"ce-id", ""}, {"ce-type", "a"}}},
  };
  for (const Case& one : cases) {
    for (const std::optional<std::string>& tenant :
         {std::optional<std::string>(), std::optional<std::string>("acme")})
      check_same(one, tenant);
  }
}

TEST_CASE("a single event stays on the loop once the directory remembers who wants its type") {
  Api api;
  api.on_loop = true;
  api.add_endpoint();
  CHECK(resumed(api, kEvent) == 1);  // nobody has asked yet: all endpoints are looked at
  CHECK(resumed(api, kEvent) == 0);
  CHECK(resumed(api, kEvent, {{"idempotency-key", "k"}}) == 0);
  CHECK(resumed(api, R"({"type":"other","payload":1})") == 1);
  api.add_endpoint();
  CHECK(resumed(api, kEvent) == 1);
  CHECK(resumed(api, kEvent) == 0);
}

TEST_CASE("batches leave the loop before they are parsed") {
  Api api;
  api.on_loop = true;
  resumed(api, kEvent);
  CHECK(resumed(api, "[" + kEvent + "]") == 1);
  CHECK(resumed(api, kEvent, {{"Content-Type", "application/x-ndjson"}}) == 1);
}

TEST_CASE("an event that many filters or endpoints want to see is matched by a worker") {
  Api api;
  api.on_loop = true;
  for (int i = 0; i < 8; ++i) api.add_endpoint(R"(,"filter":{"/n":{"gte":1}})");
  resumed(api, kEvent);
  CHECK(resumed(api, kEvent) == 0);
  api.add_endpoint(R"(,"filter":{"/n":{"gte":1}})");
  resumed(api, kEvent);
  CHECK(resumed(api, kEvent) == 1);
  CHECK(resumed(api, kEvent) == 1);

  Api many;
  many.on_loop = true;
  for (int i = 0; i < 101; ++i) many.add_endpoint();
  resumed(many, kEvent);
  CHECK(resumed(many, kEvent) == 1);
}

TEST_CASE("the answer to a large batch is rendered by a worker, and is whole") {
  Api api;
  std::string batch = "[" + kEvent;
  for (int i = 1; i < 101; ++i) batch += "," + kEvent;
  const auto exchange = api.begin("POST", "/v1/events", batch + "]");
  const Sent sent = api.answer(*exchange);
  CHECK(sent.status == 202);
  CHECK(sent.json["data"].size() == 101);
  CHECK(exchange->resumed == 1);
}
