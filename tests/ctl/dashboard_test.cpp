// `outboxctl dashboard` before a daemon that answers what is prepared: what goes on to it, and what comes back.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/json.h"
#include "ctl/fake_api.h"
#include "ctl/http_client.h"
#include "ctl/program.h"

using namespace outboxd;
using namespace outboxd::test;
using ctl::HttpClient;
using ctl::HttpRequest;
using ctl::HttpResponse;

namespace {

std::string header_of(const HttpResponse& response, const std::string& name) {
  const auto it = std::ranges::find_if(response.headers,
                                       [&name](const HeaderField& field) { return field.name == name; });
  return it == response.headers.end() ? "" : it->value;
}

struct Dashboard {
  explicit Dashboard(FakeApi& api)
      : program({"--url", with_session(api), "-o", "jsonl", "dashboard", "--no-open"}),
        link(Json::parse(program.read_line())["url"]),
        url(link.substr(0, link.find("/enter/"))) {}
  static std::string with_session(FakeApi& api) {
    api.answer("GET /v1/session", 200, {{"scope", "admin"}, {"csrf", nullptr}});
    return api.url();
  }

  HttpResponse ask(const std::string& method, const std::string& path, const std::string& body = "") {
    HttpRequest request;
    request.method = method;
    request.url = url + path;
    request.path_as_is = true;
    request.headers = {{"Cookie", cookie}, {"outboxd-csrf", csrf}, {"Content-Type", "application/json"}};
    request.body = body;
    const auto response = HttpClient().send(request);
    REQUIRE(response);
    return *response;
  }
  void enter() {
    const HttpResponse response = ask("GET", link.substr(url.size()));
    REQUIRE(response.status == 303);
    cookie = header_of(response, "Set-Cookie");
    csrf = Json::parse(ask("GET", "/v1/session").body)["csrf"];
  }

  RunningOutboxctl program;
  std::string link, url, cookie, csrf;
};

}  // namespace

TEST_CASE("a request goes on as it was sent, and the answer comes back") {
  FakeApi api;
  Dashboard dashboard(api);
  dashboard.enter();
  const std::string path = "/v1/events/../%2e%2F?a=%26&b=%C3%A4";
  api.answer("PATCH " + path, 422, {{"title", "no"}});
  const HttpResponse response = dashboard.ask("PATCH", path, R"({"a":1})");
  CHECK(response.status == 422);
  CHECK(response.content_type == "application/problem+json");
  CHECK(Json::parse(response.body)["title"] == "no");
  CHECK(api.last().method == "PATCH");
  CHECK(api.last().target == path);
  CHECK(api.last().body == R"({"a":1})");
  CHECK(api.last().content_type == "application/json");
  CHECK(dashboard.program.interrupt() == 0);
}

TEST_CASE("bytes of any kind come back unchanged") {
  FakeApi api;
  Dashboard dashboard(api);
  dashboard.enter();
  std::string bytes(3u << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  api.answer_bytes("GET /bytes", 200, "application/octet-stream", bytes);
  const HttpResponse response = dashboard.ask("GET", "/bytes");
  CHECK(response.body == bytes);
  CHECK(response.content_type == "application/octet-stream");
}

TEST_CASE("what is refused does not reach the daemon") {
  FakeApi api;
  Dashboard dashboard(api);
  const std::size_t asked = api.asked().size();
  CHECK(dashboard.ask("GET", "/v1/status").status == 403);
  dashboard.enter();
  dashboard.csrf = "wrong";
  CHECK(dashboard.ask("POST", "/v1/events", "{}").status == 403);
  CHECK(dashboard.ask("DELETE", "/v1/session").status == 403);
  CHECK(api.asked().size() == asked + 1);  // of the session, by enter()
}

TEST_CASE("a daemon without a dashboard is named before there is a link") {
  FakeApi api;
  api.answer("GET /v1/session", 404, refusal(404, "Not found", "no such path"));
  const Ended ended = outboxctl({"--url", api.url(), "dashboard", "--no-open"});
  CHECK(ended.exit_code == 1);
  CHECK(ended.out.empty());
  CHECK(ended.err.find("older than its outboxctl") != std::string::npos);
}

TEST_CASE("who may read nothing gets no link") {
  for (const Json& scope : {Json("ingest"), Json("none"), Json("\x1b[2J"), Json(nullptr)}) {
    CAPTURE(dump(scope));
    FakeApi api;
    api.answer("GET /v1/session", 200, {{"scope", scope}});
    const Ended ended = outboxctl({"--url", api.url(), "dashboard", "--no-open"});
    CHECK(ended.exit_code == (scope.is_string() ? 4 : 1));
    CHECK(ended.out.empty());
    CHECK(ended.err.find("scope") != std::string::npos);
    CHECK(ended.err.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("a refusal of the daemon is told before there is a link") {
  FakeApi api;
  api.answer("GET /v1/session", 401, refusal(401, "Unauthorized", "a token is needed"));
  const Ended ended = outboxctl({"--url", api.url(), "dashboard", "--no-open"});
  CHECK(ended.exit_code == 4);
  CHECK(ended.err.find("a token is needed") != std::string::npos);
}
