#include "api/router.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace outboxd::api;

namespace {

std::vector<Route> some_routes() {
  std::vector<Route> routes;
  for (const auto& [method, path] :
       std::vector<std::pair<std::string, std::string>>{{"GET", "/"},
                                                        {"GET", "/openapi.json"},
                                                        {"GET", "/v1/events"},
                                                        {"POST", "/v1/events"},
                                                        {"GET", "/v1/events/{id}"},
                                                        {"PATCH", "/v1/endpoints/{id}"},
                                                        {"DELETE", "/v1/endpoints/{id}"},
                                                        {"PUT", "/a/{b}/c/{d}"},
                                                        {"POST", "/v1/events/{id}/replay"}}) {
    routes.push_back({method, path, Scope::kNone, [](const ExchangePtr&) {}});
  }
  return routes;
}

std::string found(const Router& router, std::string_view method, std::string_view target) {
  const auto match = router.find(method, target);
  return match ? match->route->method + " " + match->route->path : "";
}

}  // namespace

TEST_CASE("each route is found by its method and path alone") {
  const Router router(some_routes());
  CHECK(found(router, "GET", "/") == "GET /");
  CHECK(found(router, "GET", "/openapi.json") == "GET /openapi.json");
  CHECK(found(router, "GET", "/openapiXjson") == "");
  CHECK(found(router, "HEAD", "/v1/events") == "GET /v1/events");
  CHECK(found(router, "POST", "/v1/events") == "POST /v1/events");
  CHECK(found(router, "POST", "/v1/events/x/replay") == "POST /v1/events/{id}/replay");
  CHECK(found(router, "PATCH", "/v1/endpoints/x") == "PATCH /v1/endpoints/{id}");
  CHECK(found(router, "DELETE", "/v1/endpoints/x") == "DELETE /v1/endpoints/{id}");
  for (const char* target : {"/v1/events/", "/v1//events", "//", "/v1/events/a/b", "/V1/events", "/x"}) {
    CAPTURE(target);
    CHECK(found(router, "GET", target) == "");
  }
  for (const char* method : {"PUT", "FOO", "get", "OPTIONS", "TRACE", "PRI"})
    CHECK(found(router, method, "/v1/events") == "");
}

TEST_CASE("path parameters come in the order of the placeholders, decoded, and the query is decoded") {
  const Router router(some_routes());
  const auto match = router.find("PUT", "/a/x%20y/c/%C3%A4?q=a%26b+c&q=2&flag&e=&u=a?b");
  REQUIRE(match);
  CHECK(match->path == "/a/x y/c/\xC3\xA4");
  CHECK(match->path_parameters == std::vector<std::string>{"x y", "\xC3\xA4"});
  const std::multimap<std::string, std::string> query{
      {"q", "a&b c"}, {"q", "2"}, {"flag", ""}, {"e", ""}, {"u", "a?b"}};
  CHECK(match->query == query);
}

TEST_CASE("the methods that a path takes are known for Allow") {
  const Router router(some_routes());
  CHECK(router.allowed_methods("/v1/events?x=1") == "GET, HEAD, POST");
  CHECK(router.allowed_methods("/v1/endpoints/x") == "PATCH, DELETE");
  CHECK(router.allowed_methods("/nothing") == "");
}

TEST_CASE("the longest path that the head allows is routed, and from several threads") {
  const Router router(some_routes());
  const std::string id(1000, 'a');
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        const auto match = router.find("GET", "/v1/events/" + id);
        if (!match || match->path_parameters.at(0) != id) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a route that could never be served is refused at start") {
  CHECK_THROWS_AS(Router({{"TRACE", "/", Scope::kNone, {}}}), std::invalid_argument);
  CHECK_THROWS_AS(Router({{"GET", "/{id", Scope::kNone, {}}}), std::invalid_argument);
}
