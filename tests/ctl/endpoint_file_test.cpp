#include "ctl/endpoint_file.h"

#include <doctest/doctest.h>

using namespace outboxd;
using namespace outboxd::ctl;

namespace {

// An endpoint as the API shows it.
Json shown(const std::string& tenant, const std::string& name, const Json& more = Json::object()) {
  Endpoint endpoint;
  endpoint.url = "https://example.com/";
  endpoint.tenant = tenant;
  endpoint.name = name;
  Json json = to_json(endpoint);
  for (const auto& item : more.items()) json[item.key()] = item.value();
  return json;
}

std::vector<EndpointEntry> entries_of(const Json& document) {
  auto entries = read_endpoint_document(dump(document));
  REQUIRE(entries);
  return std::move(*entries);
}

std::vector<std::string> errors_of(const std::string& text) {
  const auto entries = read_endpoint_document(text);
  REQUIRE_FALSE(entries);
  std::vector<std::string> errors;
  for (const FieldError& error : entries.error().errors) errors.push_back(error.pointer);
  return errors;
}

}  // namespace

TEST_CASE("what is exported changes nothing when it is applied, and is always written alike") {
  const std::vector<Json> endpoints{shown("b", "two"), shown("", "three", {{"timeout", "10s"}}),
                                    shown("b", "one", {{"metadata", {{"z", 1}, {"a", 2}}}})};
  const Json document = endpoint_document(endpoints);
  CHECK(document["endpoints"][0]["name"] == "three");
  CHECK(document["endpoints"][1]["name"] == "one");
  CHECK_FALSE(document["endpoints"][0].contains("id"));
  CHECK(dump(endpoint_document({endpoints[2], endpoints[0], endpoints[1]})) == dump(document));
  const auto entries = entries_of(document);
  CHECK(plan_changes(entries, endpoints, true).empty());
}

TEST_CASE(
    "a plan creates, changes field by field, and removes only when it may, and only in tenants of the file") {
  const auto entries =
      entries_of({{"version", 1},
                  {"endpoints",
                   {{{"name", "orders"}, {"url", "https://example.com/"}, {"timeout", "60s"}},
                    {{"name", "new"}, {"url", "https://example.com/new"}}}}});
  const std::vector<Json> current{shown("", "orders", {{"timeout", "20s"}, {"format", "standard"}}),
                                  shown("", "old"), shown("acme", "other")};
  const auto kept = plan_changes(entries, current, false);
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].kind == EndpointChange::Kind::kChange);
  REQUIRE(kept[0].fields.size() == 1);
  CHECK(kept[0].fields[0].field == "timeout");
  CHECK(kept[0].fields[0].to == "1m");
  CHECK(kept[1].kind == EndpointChange::Kind::kCreate);
  const auto pruned = plan_changes(entries, current, true);
  REQUIRE(pruned.size() == 3);
  CHECK(pruned[2].label() == "old");
  const std::string text = render_changes(pruned, false);
  CHECK(text.find("~ change orders\n    timeout: \"20s\" -> \"1m\"\n") != std::string::npos);
  CHECK(text.find("+ create new\n") != std::string::npos);
  CHECK(text.find("- remove old\n") != std::string::npos);
}

TEST_CASE("a secret is changed only when it is none of those that are valid, and is never shown") {
  const std::string secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const auto entries =
      entries_of({{"version", 1},
                  {"endpoints", {{{"name", "a"}, {"url", "https://example.com/"}, {"secret", secret}}}}});
  CHECK_FALSE(entries[0].given.contains("secret"));
  CHECK(plan_changes(entries, {shown("", "a", {{"secrets", {"whsec_x", secret}}})}, false).empty());
  const auto changes = plan_changes(entries, {shown("", "a", {{"secrets", {"whsec_x"}}})}, false);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].fields[0].field == "secret");
  CHECK(render_changes(changes, false).find("whsec_") == std::string::npos);
  CHECK(dump(json_of_changes(changes)).find("whsec_") == std::string::npos);
}

TEST_CASE("everything that is wrong with a file is named where it stands") {
  CHECK(errors_of(R"({"version":1,"endpoints":[{"url":"https://e.example/"},
      {"name":"a","url":"ftp://x","timeout":"9h"},{"name":"b","url":"https://e.example/"},
      {"name":"b","url":"https://e.example/"},7]})") ==
        std::vector<std::string>{"/endpoints/0/name", "/endpoints/1/url", "/endpoints/1/timeout",
                                 "/endpoints/3/name", "/endpoints/4"});
  CHECK(errors_of(R"({"version":2,"endpoint":[]})") ==
        std::vector<std::string>{"/endpoint", "/version", "/endpoints"});
  CHECK(errors_of("[]") == std::vector<std::string>{""});
  const auto broken = read_endpoint_document("{\n  \"version\": 1,\n  nonsense}");
  REQUIRE_FALSE(broken);
  CHECK(broken.error().detail.find("line 3") != std::string::npos);
}
