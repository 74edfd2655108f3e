#include "api/router.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using namespace outboxd::api;

namespace {

Route route(const std::string& method, const std::string& path) {
  return {method, path, Access::kOpen, [](const ExchangePtr&) {}};
}

const Router& some_router() {
  static const Router router({route("GET", "/"), route("GET", "/openapi.json"), route("POST", "/v1/events"),
                              route("GET", "/v1/events"), route("GET", "/v1/events/{id}"),
                              route("PATCH", "/v1/endpoints/{id}"), route("DELETE", "/v1/endpoints/{id}"),
                              route("PUT", "/a/{b}/c/{d}"), route("OPTIONS", "/o"),
                              route("POST", "/v1/events/{id}/replay")});
  return router;
}

// "GET /v1/events", or "405 " and the methods that are allowed, or "404".
std::string found(std::string_view method, std::string_view path) {
  const auto match = some_router().find(method, path);
  if (match) return match->route->method + " " + match->route->path;
  return match.error().allowed.empty() ? "404" : "405 " + match.error().allowed;
}

std::vector<std::string> parameters(std::string_view method, std::string_view path) {
  const auto match = some_router().find(method, path);
  REQUIRE(match);
  return match->path_parameters;
}

bool is_refused(std::vector<Route> routes) {
  try {
    const Router router(std::move(routes));
    return false;
  } catch (const std::invalid_argument&) {
    return true;
  }
}

}  // namespace

TEST_CASE("each route is found by its method and path alone") {
  CHECK(found("GET", "/") == "GET /");
  CHECK(found("GET", "/openapi.json") == "GET /openapi.json");
  CHECK(found("GET", "/openapiXjson") == "404");
  CHECK(found("HEAD", "/v1/events") == "GET /v1/events");
  CHECK(found("POST", "/v1/events") == "POST /v1/events");
  CHECK(found("POST", "/v1/events/x/replay") == "POST /v1/events/{id}/replay");
  CHECK(found("PATCH", "/v1/endpoints/x") == "PATCH /v1/endpoints/{id}");
  CHECK(found("DELETE", "/v1/endpoints/x") == "DELETE /v1/endpoints/{id}");
  CHECK(found("OPTIONS", "/o") == "OPTIONS /o");
}

TEST_CASE(
    "a path is another one with a slash more or less, in capitals, or with dots, which are not resolved") {
  for (const char* path : {"/v1/events/",
                           "/v1//events",
                           "//v1/events",
                           "//",
                           "/v1",
                           "/v1/",
                           "/v1/events/a/b",
                           "/V1/events",
                           "/v1/events;x=y",
                           "/v1/./events",
                           "/x/../v1/events",
                           "/%2e/v1/events",
                           "/v1/events%2Fx",
                           "/x",
                           "",
                           "/v1/events%4",
                           "/v1/events%zz",
                           "/v1/events/x/replay/",
                           "/v1/events//replay",
                           "/a/b/c/d/e/f"}) {
    CAPTURE(path);
    CHECK(found("GET", path) == "404");
    CHECK(found("POST", path) == "404");
  }
  CHECK(found("GET", "/v1/%65vents") == "GET /v1/events");
}

TEST_CASE(
    "path parameters come decoded, in the order of the placeholders, and an escape makes no new segment") {
  CHECK(parameters("PUT", "/a/x%20y/c/%C3%A4") == std::vector<std::string>{"x y", "\xC3\xA4"});
  CHECK(parameters("GET", "/v1/events/..") == std::vector<std::string>{".."});
  CHECK(parameters("GET", "/v1/events/a%2Fb%3Fc") == std::vector<std::string>{"a/b?c"});
  CHECK(parameters("GET", "/v1/events/{id}") == std::vector<std::string>{"{id}"});
  CHECK(parameters("GET", "/v1/events/a+b") == std::vector<std::string>{"a+b"});
  CHECK(parameters("GET", "/v1/events").empty());
}

TEST_CASE("a path that other methods take is told from one that none does") {
  for (const char* method : {"PUT", "FOO", "get", "OPTIONS", "TRACE", "PRI", ""})
    CHECK(found(method, "/v1/events") == "405 GET, HEAD, POST");
  CHECK(found("GET", "/v1/endpoints/x") == "405 PATCH, DELETE");
  CHECK(found("HEAD", "/v1/endpoints/x") == "405 PATCH, DELETE");
  CHECK(found("FOO", "/nothing") == "404");
}

TEST_CASE("the longest path that the head allows is routed, and from several threads") {
  const std::string id(1000, 'a');
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        const auto match = some_router().find("GET", "/v1/events/" + id);
        if (!match || match->path_parameters.at(0) != id) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(found("GET", std::string(1000, '/')) == "404");
}

TEST_CASE("a route that could never be served is refused at start") {
  for (const char* method : {"TRACE", "HEAD", "get", ""}) CHECK(is_refused({route(method, "/x")}));
  for (const char* path : {"", "x", "/{id", "/id}", "/{}", "/a{id}", "/x/", "//", "/%zz"}) {
    CAPTURE(path);
    CHECK(is_refused({route("GET", path)}));
  }
  CHECK(is_refused({route("GET", "/a/{b}"), route("GET", "/a/c")}));
  CHECK(is_refused({route("GET", "/a/{b}"), route("GET", "/a/{c}")}));
  CHECK_FALSE(is_refused({route("GET", "/a/{b}"), route("POST", "/a/c"), route("GET", "/a/c/{d}")}));
}
