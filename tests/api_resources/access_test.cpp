// Every route, called by one who is of one tenant: he sees and touches nothing of another's. A route that is added
// fails here until it declares what it asks of its caller, and this test knows how to call it.
#include <doctest/doctest.h>

#include <map>

#include "api_resources/api.h"
#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

// Two tenants with the same things; acme's caller may see the first of each.
struct TwoTenants {
  TwoTenants() {
    for (const std::string tenant : {"acme", "other"}) {
      const std::string member = R"(,"tenant":")" + tenant + '"';
      Things made;
      made.endpoint = api.add_endpoint(member + R"(,"name":"shop-)" + tenant + '"');
      made.event = api.add_event(member);
      made.delivery = api.only_delivery(made.event);
      api.record(made.delivery, DeliveryState::kDead);
      const auto batch =
          api.call("POST", "/v1/batches", R"({"action":"retry","filter":{"tenant":")" + tenant + "\"}}");
      REQUIRE(batch.status == 202);
      made.batch = batch.json["id"];
      const auto endpoint = EndpointId::parse(made.endpoint).value();
      api.attempts.hear(outcome_recorded(endpoint, Attempt{}, {}, {}, tenant));
      made.tenant = R"("tenant":")" + tenant + '"';
      (tenant == "acme" ? own : foreign) = made;
    }
    api.tenant = "acme";
  }

  struct Things {
    std::string endpoint, event, delivery, batch, tenant;
    // What the route's {id} stands for.
    std::string of(const std::string& path) const {
      const std::map<std::string, std::string> by_resource = {{"/v1/endpoints/", endpoint},
                                                              {"/v1/events/", event},
                                                              {"/v1/deliveries/", delivery},
                                                              {"/v1/batches/", batch}};
      for (const auto& [prefix, id] : by_resource) {
        if (path.starts_with(prefix)) return id;
      }
      FAIL("this test does not know whose {id} is in " << path);
      return "";
    }
    bool in(const std::string& text) const {
      return text.find(endpoint) != std::string::npos || text.find(event) != std::string::npos ||
             text.find(delivery) != std::string::npos || text.find(batch) != std::string::npos ||
             text.find(tenant) != std::string::npos;
    }
  };

  Api api;
  Things own, foreign;
};

std::string with_id(std::string path, const std::string& id) {
  const auto at = path.find("{id}");
  return path.replace(at, 4, id);
}

// What makes something, for a tenant.
std::string body_for(const std::string& path, const std::string& tenant) {
  const std::map<std::string, std::string> bodies = {
      {"/v1/events", R"({"type":"a","payload":1,"tenant":")"},
      {"/v1/endpoints", R"({"url":"https://example.com/","name":"new","tenant":")"},
      {"/v1/batches", R"({"action":"retry","filter":{"tenant":")"}};
  const auto found = bodies.find(path);
  if (found == bodies.end()) FAIL("this test does not know what to send to POST " << path);
  return found->second + tenant + (path == "/v1/batches" ? "\"}}" : "\"}");
}

// A list whose answer names things only when asked so.
std::string telling(const std::string& path) {
  const std::map<std::string, std::string> queries = {{"/v1/attempts/stream", "?last=10&"},
                                                      {"/v1/failures", "?by=endpoint&"},
                                                      {"/v1/series", "?name=dead&endpoint=shop-acme&"}};
  const auto found = queries.find(path);
  return path + (found == queries.end() ? "?" : found->second);
}

bool for_one_tenant(const api::Route& route) {
  return route.access != api::Access::kOpen &&
         api::check_access(route.access, {api::Scope::kAdmin, "acme"}).has_value();
}

}  // namespace

TEST_CASE("a caller of one tenant sees and touches nothing of another's, on any route") {
  const Api all;
  int walked = 0;
  for (const auto& route : all.routes) {
    if (!for_one_tenant(route)) continue;
    CAPTURE(route.method);
    CAPTURE(route.path);
    TwoTenants world;
    ++walked;
    if (route.path.find('{') != std::string::npos) {
      const std::string body = route.method == "PATCH"                ? R"({"name":"n"})"
                               : route.path.ends_with("/filter/test") ? R"({"payload":{}})"
                                                                      : "";
      CHECK(world.api.call(route.method, with_id(route.path, world.foreign.of(route.path)), body).status ==
            404);
      CHECK(world.api.call(route.method, with_id(route.path, world.own.of(route.path)), body).status < 300);
    } else if (route.method == "GET") {
      const std::string path = telling(route.path);
      const auto listed = world.api.call("GET", path.substr(0, path.size() - 1));
      CHECK(listed.status == 200);
      CHECK(world.own.in(listed.body));
      CHECK_FALSE(world.foreign.in(listed.body));
      CHECK(world.api.call("GET", path + "tenant=acme").body == listed.body);
      CHECK(world.api.call("GET", path + "tenant=other").status == 403);
    } else {
      CHECK(world.api.call(route.method, route.path, body_for(route.path, "other")).status == 403);
      CHECK(world.api.call(route.method, route.path, body_for(route.path, "acme")).status < 300);
    }
  }
  CHECK(walked > 15);
}

TEST_CASE("another tenant's endpoint is not found by its name either, nor named as what was meant") {
  TwoTenants world;
  for (const std::string word : {"shop-other", "shop-othe"}) {
    const auto answer = world.api.call("GET", "/v1/endpoints/" + word);
    CHECK(answer.status == 404);
    CHECK(answer.body.find(R"(did you mean \"shop-other)") == std::string::npos);
  }
  CHECK(world.api.call("GET", "/v1/endpoints/shop-acm").body.find("shop-acme") != std::string::npos);
  CHECK(world.api.call("GET", "/v1/deliveries?endpoint=shop-other").status == 422);
  const auto by_id = world.api.call("GET", "/v1/deliveries?endpoint=" + world.foreign.endpoint);
  CHECK(by_id.json["data"].empty());
  CHECK(world.api.call("PATCH", "/v1/endpoints/" + world.foreign.endpoint, R"({"name":"x"})").status == 404);
  CHECK(world.api
            .call("POST", "/v1/events/" + world.own.event + "/replay",
                  R"({"endpoint":")" + world.foreign.endpoint + "\"}")
            .status == 422);
}

TEST_CASE("what a caller of one tenant makes is that tenant's, and stays it") {
  TwoTenants world;
  Api& api = world.api;
  const auto event = api.call("POST", "/v1/events", R"({"type":"a","payload":1})");
  REQUIRE(event.status == 202);
  CHECK(api.call("GET", "/v1/events/" + event.json["id"].get<std::string>()).json["tenant"] == "acme");
  const auto refused = api.call("POST", "/v1/events",
                                R"([{"type":"a","payload":1},{"type":"a","payload":1,"tenant":"other"}])");
  CHECK(refused.status == 403);
  CHECK(refused.pointers() == std::vector<std::string>{"/1/tenant"});
  const auto endpoint = api.call("POST", "/v1/endpoints", R"({"url":"https://example.com/"})");
  CHECK(endpoint.json["tenant"] == "acme");
  const std::string path = "/v1/endpoints/" + world.own.endpoint;
  CHECK(api.call("PATCH", path, R"({"tenant":"other"})").pointers() == std::vector<std::string>{"/tenant"});
  CHECK(api.call("PATCH", path, R"({"tls":{"ca_file":"/etc/ca.pem"}})").status == 403);
  CHECK(api.call("PATCH", path, R"({"tls":null})").status == 200);
  CHECK(api.call("GET", "/v1/events?rejected=true").status == 403);
  api.tenant = "_ops";
  CHECK(api.call("POST", "/v1/events", R"({"type":"a","payload":1})").status == 403);
}

TEST_CASE("who may only look sees no secret, not even one in a header") {
  Api api;
  const auto endpoint = api.add_endpoint(R"(,"headers":{"authorization":"Bearer hush"})");
  const std::string path = "/v1/endpoints/" + endpoint;
  CHECK(api.call("GET", path).json["headers"]["authorization"] == "Bearer hush");
  api.scope = api::Scope::kView;
  for (const std::string& shown : {path, std::string("/v1/endpoints")}) {
    const std::string body = api.call("GET", shown).body;
    CHECK(body.find("authorization") != std::string::npos);
    CHECK(body.find("hush") == std::string::npos);
  }
}
