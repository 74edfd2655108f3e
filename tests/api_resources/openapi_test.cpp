#include <doctest/doctest.h>

#include <map>
#include <set>

#include "api_resources/api.h"
#include "common/text.h"
#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// Every "$ref" in the document.
void collect_references(const Json& json, std::set<std::string>& references) {
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) {
    if (json.is_object() && key == "$ref") references.insert(value.get<std::string>());
    collect_references(value, references);
  }
}

std::set<std::string> names_of(const Json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

// Members that a schema of the description allows, those of allOf included.
std::set<std::string> properties(const Json& description, const std::string& schema) {
  const Json& json = description["components"]["schemas"][schema];
  auto names = json.contains("properties") ? names_of(json["properties"]) : std::set<std::string>();
  if (json.contains("allOf")) {
    for (const auto& part : json["allOf"]) {
      if (part.contains("properties")) names.merge(names_of(part["properties"]));
      if (!part.contains("$ref")) continue;
      const auto reference = part["$ref"].get<std::string>();
      names.merge(properties(description, reference.substr(reference.rfind('/') + 1)));
    }
  }
  return names;
}

}  // namespace

TEST_CASE("the description names every route, and no other") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  REQUIRE(description["openapi"] == "3.1.0");
  std::set<std::string> described, served;
  for (const auto& [path, methods] : description["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) described.insert(method + ' ' + path);
  }
  for (const auto& route : api.routes) served.insert(ascii_lower(route.method) + ' ' + route.path);
  CHECK(described == served);
}

TEST_CASE("the description's scopes are those of the routes") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  const Json view = Json::parse(R"([{},{"token":["view"]}])"),
             admin = Json::parse(R"([{},{"token":["admin"]}])");
  const std::map<api::Access, Json> expected = {
      {api::Access::kOpen, Json::array()},
      {api::Access::kSend, Json::parse(R"([{},{"token":["ingest"]}])")},
      {api::Access::kLookUp, Json::parse(R"([{},{"token":["ingest"]},{"token":["view"]}])")},
      {api::Access::kView, view},
      {api::Access::kViewAll, view},
      {api::Access::kAdmin, admin},
      {api::Access::kAdminAll, admin}};
  for (const auto& route : api.routes) {
    CAPTURE(route.path);
    CAPTURE(route.method);
    CHECK(description.at("paths").at(route.path).at(ascii_lower(route.method))["security"] ==
          expected.at(route.access));
  }
}

TEST_CASE("every reference of the description leads somewhere") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  std::set<std::string> references;
  collect_references(description, references);
  CHECK(references.size() > 20);
  for (const auto& reference : references) {
    CAPTURE(reference);
    CHECK(description.contains(Json::json_pointer(reference.substr(1))));
  }
}

TEST_CASE("the query parameters described are those that the handlers take") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  for (const auto& route : api.routes) {
    CAPTURE(route.path);
    const Json& operation = description.at("paths").at(route.path).at(ascii_lower(route.method));
    for (Json parameter : operation.value("parameters", Json::array())) {
      if (parameter.contains("$ref"))
        parameter = description[Json::json_pointer(parameter["$ref"].get<std::string>().substr(1))];
      if (parameter["in"] != "query") continue;
      const std::string name = parameter["name"];
      CAPTURE(name);
      // An unreadable value is refused for its own sake; an unknown parameter would be called one.
      const auto answer = api.call(route.method, route.path + '?' + name + "=\xff");
      CHECK(answer.body.find("is not a parameter") == std::string::npos);
    }
    CHECK(api.call(route.method, route.path + "?unheard_of=1").status == 422);
  }
}

TEST_CASE("answers have exactly the members that their schemas describe") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  const auto check = [&](const std::string& schema, const Json& answer) {
    CAPTURE(schema);
    CHECK(names_of(answer) == properties(description, schema));
  };
  const auto endpoint =
      api.call("POST", "/v1/endpoints", R"({"url":"https://example.com/","state":"disabled"})").json;
  check("EndpointWithSecret", endpoint);
  const std::string path = "/v1/endpoints/" + endpoint["id"].get<std::string>();
  check("Endpoint", api.call("GET", path).json);
  check("Secret", api.call("GET", path + "/secrets?reveal=true").json["data"][0]);
  check("Rotation", api.call("POST", path + "/secrets/rotate").json);
  check("EndpointStats", api.call("GET", path + "/stats").json);
  check("EndpointPage", api.call("GET", "/v1/endpoints").json);
  check("Attempt", api.call("POST", path + "/test").json["attempt"]);
  const auto accepted = api.call("POST", "/v1/events", R"({"type":"a","payload":1})").json;
  check("AcceptedEvent", accepted);
  const std::string event = "/v1/events/" + accepted["id"].get<std::string>();
  check("EventWithDeliveries", api.call("GET", event).json);
  check("Event", api.call("GET", "/v1/events").json["data"][0]);
  check("Replay", api.call("POST", event + "/replay").json);
  const auto delivery = api.call("GET", "/v1/deliveries").json["data"][0];
  check("Delivery", delivery);
  check("DeliveryWithAttempts", api.call("GET", "/v1/deliveries/" + delivery["id"].get<std::string>()).json);
  const auto batch = api.call("POST", "/v1/batches", R"({"action":"retry","filter":{"state":"dead"}})").json;
  check("Batch", batch);
  check("BatchPage", api.call("GET", "/v1/batches").json);
  check(
      "BatchCount",
      api.call("POST", "/v1/batches", R"({"action":"retry","filter":{"state":"dead"},"dry_run":true})").json);
  check("PreparedRequest",
        api.call("GET", "/v1/deliveries/" + delivery["id"].get<std::string>() + "/request").json);
  check("Audit", api.call("GET", "/v1/audit").json);
  check("Setup", api.call("GET", "/v1/setup").json);
  check("Session", api.call("GET", "/v1/session").json);
  api.context.sources = [] {
    return std::vector{SourceStatus{.name = "shop", .url = "sqlite:///srv/shop.db"}};
  };
  check("Source", api.call("GET", "/v1/sources").json["data"][0]);
  api.attempts.hear(outcome_recorded(EndpointId{api.ids.next()}, Attempt{}));
  check("AttemptPage", api.call("GET", "/v1/attempts").json);
  check("RecordedAttempt", api.call("GET", "/v1/attempts").json["data"][0]);
  api.record(delivery["id"], DeliveryState::kDead);
  check("Failures", api.call("GET", "/v1/failures").json);
  check("FailureGroup", api.call("GET", "/v1/failures").json["data"][0]);
  check("Series", api.call("GET", "/v1/series?name=dead").json);
  check("Status", api.call("GET", "/v1/status").json);
  check("Problem", api.call("GET", "/v1/events?limit=0").json);
}

TEST_CASE("the fields that the description lets a request set are taken, and there are no others") {
  Api api;
  const Json description = api.call("GET", "/openapi.json").json;
  for (const auto& name : properties(description, "NewEvent")) {
    CAPTURE(name);
    const auto answer = api.call("POST", "/v1/events", "{\"" + name + "\":[]}");
    CHECK(answer.body.find("is not a field") == std::string::npos);
  }
  for (const auto& name : properties(description, "EndpointFields")) {
    CAPTURE(name);
    const auto answer = api.call("POST", "/v1/endpoints", "{\"" + name + "\":7}");
    CHECK(answer.body.find("is not a field") == std::string::npos);
    CHECK(answer.body.find("cannot be given") == std::string::npos);
  }
}
