#include <doctest/doctest.h>

#include <set>

#include "api_resources/api.h"
#include "migrations/embedded.h"

using namespace outboxd;
using namespace outboxd::test;

TEST_CASE("the dashboard's page may load only what the daemon serves, and be in no frame") {
  Api api;
  const auto page = api.call("GET", "/");
  CHECK(page.status == 200);
  CHECK(page.content_type == "text/html; charset=utf-8");
  CHECK(page.header("content-security-policy") ==
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  CHECK(page.header("x-frame-options") == "DENY");
  CHECK(page.header("referrer-policy") == "no-referrer");
  CHECK(page.header("cross-origin-opener-policy") == "same-origin");
  CHECK(page.body.find("<script>") == std::string::npos);
  CHECK(page.body.find("style=") == std::string::npos);
}

TEST_CASE("each file of the dashboard is served with its type, and is new only when it has changed") {
  Api api;
  const auto ends = [](std::string_view name, std::string_view type) {
    if (name.ends_with(".js")) return type == "text/javascript";
    if (name.ends_with(".css")) return type == "text/css";
    if (name.ends_with(".svg")) return type == "image/svg+xml";
    return name.ends_with(".html") && type == "text/html; charset=utf-8";
  };
  std::set<std::string> names, tags;
  for (const auto& file : embedded::dashboard()) {
    CAPTURE(file.name);
    const std::string path = "/dashboard/" + std::string(file.name);
    const auto got = api.call("GET", path);
    CHECK(got.status == 200);
    CHECK(got.body == file.text);
    CHECK(got.body.find("sourceMappingURL") == std::string::npos);
    CHECK(ends(file.name, got.content_type));
    CHECK(got.header("cache-control") == "no-cache");
    const std::string tag = got.header("etag");
    CHECK(tag.starts_with("\""));
    names.insert(std::string(file.name));
    tags.insert(tag);
    for (const std::string& known : {tag, "W/" + tag, "\"a\", " + tag, std::string("*")}) {
      const auto same = api.call("GET", path, "", {{"If-None-Match", known}});
      CHECK(same.status == 304);
      CHECK(same.body.empty());
      CHECK(same.header("etag") == tag);
    }
    for (const std::string& other : {std::string(), std::string("\"a\""), tag.substr(1), tag + 'x'})
      CHECK(api.call("GET", path, "", {{"If-None-Match", other}}).status == 200);
  }
  CHECK(names.size() == tags.size());
  for (const char* name : {"index.html", "main.js", "style.css"}) CHECK(names.contains(name));
}

TEST_CASE("what is no file of the dashboard is not found") {
  Api api;
  for (const char* name : {"x.js", "index", "INDEX.HTML", "..", "%2e%2e%2findex.html", "main.js.map"}) {
    CAPTURE(name);
    CHECK(api.call("GET", "/dashboard/" + std::string(name)).status == 404);
  }
}
