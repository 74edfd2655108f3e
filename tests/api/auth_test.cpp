#include "api/auth.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "api/browser_guard.h"
#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;

namespace {

// sha256 of "producer-token" and "operator-token"
constexpr const char* kIngestHash = "765221e4754f2968efae220b7185addd7b4a9dbaed428d78c7736b8ae14f4e72";
constexpr const char* kAdminHash = "0850123315d21ab90f4f7236408a52ef6dbd6a02a6550e5c10dc73f4d993680e";

class TokensFile {
 public:
  explicit TokensFile(const std::string& text) : path_(test::temporary_directory() + "/tokens") {
    std::ofstream(path_) << text;
  }
  ~TokensFile() { std::filesystem::remove_all(std::filesystem::path(path_).parent_path()); }
  TokensFile(const TokensFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string error_for(const std::string& text) {
  const TokensFile file(text);
  const auto read = Authenticator::from_file(file.path());
  REQUIRE_FALSE(read);
  REQUIRE(read.error().detail.starts_with(file.path()));
  return read.error().detail.substr(file.path().size());
}

bool allows_write(const std::string& method, const std::string& origin, const std::string& type,
                  const std::string& site = "") {
  Request request;
  request.method = method;
  if (!site.empty()) request.headers.push_back({"sec-fetch-site", site});
  if (!origin.empty()) request.headers.push_back({"Origin", origin});
  if (!type.empty()) request.headers.push_back({"Content-Type", type});
  return check_write(request).has_value();
}

}  // namespace

TEST_CASE("a token has the scope of its line, and anything else has none") {
  const TokensFile file("# who\n\ningest " + std::string(kIngestHash) + " shop\n  admin\t" + kAdminHash +
                        "  # the operators\n");
  const auto auth = Authenticator::from_file(file.path());
  REQUIRE(auth);
  CHECK((*auth)->has_tokens());
  CHECK((*auth)->authorise("Bearer producer-token")->scope == Scope::kIngest);
  CHECK((*auth)->authorise("Bearer producer-token")->name == "shop");
  CHECK((*auth)->authorise("bearer operator-token")->scope == Scope::kAdmin);
  CHECK((*auth)->authorise("bearer operator-token")->name == "");
  for (const char* header : {"", "Bearer", "Bearer ", "Bearer wrong", "Bearer producer-token ",
                             "Basic producer-token", "producer-token", "Bearer producer-toke"}) {
    CAPTURE(header);
    const auto scope = (*auth)->authorise(header);
    REQUIRE_FALSE(scope);
    CHECK(scope.error().code == ProblemCode::kUnauthorized);
  }
}

TEST_CASE("each kind of route is open to the scopes that it declares, and to one tenant only if it says so") {
  struct Row {
    Access access;
    bool none, ingest, view, one_tenant;
  };
  for (const Row& row : std::vector<Row>{{Access::kOpen, true, true, true, true},
                                         {Access::kSend, false, true, false, true},
                                         {Access::kLookUp, false, true, true, true},
                                         {Access::kView, false, false, true, true},
                                         {Access::kViewAll, false, false, true, false},
                                         {Access::kAdmin, false, false, false, true},
                                         {Access::kAdminAll, false, false, false, false}}) {
    CAPTURE(static_cast<int>(row.access));
    CHECK(allows(row.access, Scope::kNone) == row.none);
    CHECK(allows(row.access, Scope::kIngest) == row.ingest);
    CHECK(allows(row.access, Scope::kView) == row.view);
    CHECK(allows(row.access, Scope::kAdmin));
    CHECK(check_access(row.access, {Scope::kAdmin, {}}).has_value());
    CHECK(check_access(row.access, {Scope::kAdmin, "acme"}).has_value() == row.one_tenant);
    CHECK(check_access(row.access, {Scope::kView, "acme"}).has_value() == (row.view && row.one_tenant));
  }
}

TEST_CASE("the tenant of a token reaches the handler") {
  const TokensFile file("view:acme " + std::string(kIngestHash) + "\nadmin:acme " + kAdminHash + "\n");
  const auto auth = *Authenticator::from_file(file.path());
  CHECK(auth->authorise("Bearer producer-token")->scope == Scope::kView);
  CHECK(auth->authorise("Bearer producer-token")->tenant == "acme");
  test::TestServer server({}, auth);
  const auto answer_to = [&](const std::string& path, const std::string& token) {
    test::RawClient client(server.tcp);
    client.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token +
                "\r\n\r\n");
    return client.read_answer().value();
  };
  CHECK(answer_to("/tenant", "producer-token").body == "view acme");
  CHECK(answer_to("/tenant", "operator-token").body == "admin acme");
  CHECK(answer_to("/v1/events", "producer-token").status == 403);
  CHECK(answer_to("/v1/events", "operator-token").status == 200);
  const auto refused = answer_to("/everybody", "producer-token");
  CHECK(refused.status == 403);
  CHECK(refused.body.find("tenant \\\"acme\\\" alone") != std::string::npos);
}

TEST_CASE("without a tokens file every caller is a producer, and no header makes him more") {
  CHECK_FALSE(Authenticator::without_tokens()->has_tokens());
  for (const char* header : {"", "Bearer operator-token", "Basic YTpi"})
    CHECK(Authenticator::without_tokens()->authorise(header)->scope == Scope::kIngest);
}

TEST_CASE("a bad tokens file is refused with the line, and never quotes it") {
  const std::string hash = kIngestHash;
  CHECK(error_for("ingest " + hash + "\nroot " + hash + "\n").starts_with(":2: the scope must be"));
  const std::string detail = error_for("ingest my-plain-token\n");
  CHECK(detail.starts_with(":1: "));
  CHECK(detail.find("my-plain-token") == std::string::npos);
  CHECK(error_for("ingest " + hash.substr(1) + "g\n").starts_with(":1: "));
  CHECK(error_for("ingest\n").starts_with(":1: "));
  CHECK(error_for("ingest " + hash + " a b\n").starts_with(":1: there are more than three words"));
  CHECK(error_for("ingest " + hash + "\nadmin " + hash + "\n").starts_with(":2: the token is listed twice"));
  CHECK(error_for("ingest " + std::string(600, 'a') + "\n").starts_with(":1: the line is too long"));
  CHECK(error_for("ingest " + hash + " " + std::string(65, 'x') + "\n").starts_with(":1: the name must be"));
  CHECK(Authenticator::from_file("/nowhere/tokens").error().detail.find("/nowhere/tokens: cannot be read") ==
        0);
}

TEST_CASE("a file without tokens lets nobody in") {
  const TokensFile file("# nobody\n");
  const auto auth = Authenticator::from_file(file.path());
  REQUIRE(auth);
  CHECK_FALSE((*auth)->has_tokens());
  CHECK_FALSE((*auth)->authorise("Bearer producer-token"));
  CHECK_FALSE((*auth)->authorise(""));
  CHECK_FALSE(Authenticator::nobody()->authorise("Bearer producer-token"));
}

TEST_CASE("who has no token does not get to send a body") {
  const TokensFile file("ingest " + std::string(kIngestHash) + "\n");
  test::TestServer server({}, *Authenticator::from_file(file.path()));
  const std::string head = "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n";
  for (const char* credentials : {"", "Authorization: Bearer wrong\r\n"}) {
    test::RawClient client(server.tcp);
    client.send(head + credentials + "\r\n");
    const auto answer = client.read_answer();
    REQUIRE(answer);
    CHECK(answer->status == 401);
    CHECK(answer->header("www-authenticate") == "Bearer");
    CHECK(client.is_closed());
  }
  test::RawClient known(server.tcp);
  known.send(head + "Authorization: Bearer producer-token\r\n\r\n");
  known.send(std::string(1'000'000, 'x'));
  CHECK(known.read_answer()->status == 200);
  CHECK(server.handled == 1);
}

TEST_CASE("Host must be loopback, the connection's own address, or allowed") {
  const std::vector<std::string> allowed{"outboxd.internal"};
  for (const char* host : {"localhost", "LOCALHOST:8877", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8877",
                           "10.0.0.5:80", "outboxd.INTERNAL:1", ""}) {
    CAPTURE(host);
    CHECK(host_allowed(host, "10.0.0.5", allowed));
  }
  for (const char* host : {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.6",
                           "0.0.0.0", "[::2]", "localhost:x", "localhost:", ":80", "[::1", "127.1", "::1",
                           "localhost@evil", "localhost,evil", "[::1]x", "localhost:123456"}) {
    CAPTURE(host);
    const bool empty_port = std::string_view(host) == "localhost:";
    CHECK(host_allowed(host, "10.0.0.5", allowed) == empty_port);
  }
}

TEST_CASE("a write with an Origin must have a JSON content type") {
  CHECK(allows_write("POST", "", ""));
  CHECK(allows_write("POST", "", "text/plain"));
  CHECK(allows_write("GET", "http://evil.example", ""));
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8", "application/x-ndjson",
                           "application/cloudevents+json"}) {
    CAPTURE(type);
    CHECK(allows_write("POST", "http://here", type));
  }
  for (const char* type :
       {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json",
        "application/+json", "application/jsonp", "text/plain; application/json"}) {
    CAPTURE(type);
    CHECK_FALSE(allows_write("POST", "null", type));
    CHECK_FALSE(allows_write("DELETE", "http://evil.example", type));
  }
}

TEST_CASE("a write that a browser says comes from another site is refused, whatever its type") {
  for (const char* method : {"POST", "PUT", "PATCH", "DELETE", "BREW"}) {
    for (const char* site : {"cross-site", "same-site", "Same-Origin", "same-origin, none", "x"}) {
      CAPTURE(site);
      CHECK_FALSE(allows_write(method, "", "application/json", site));
    }
    for (const char* site : {"same-origin", "none"}) {
      CAPTURE(site);
      CHECK(allows_write(method, "", "application/json", site));
      CHECK(allows_write(method, "http://here", "application/json", site));
      CHECK_FALSE(allows_write(method, "http://here", "text/plain", site));
    }
  }
  CHECK(allows_write("GET", "", "", "cross-site"));
}

TEST_CASE("over TCP a token decides, on a Unix socket the socket") {
  const TokensFile file("ingest " + std::string(kIngestHash) + "\nadmin " + kAdminHash + "\n");
  test::TestServer server({}, *Authenticator::from_file(file.path()));
  const auto status = [](const std::string& where, const std::string& request) {
    test::RawClient client(where);
    client.send(request);
    return client.read_answer()->status;
  };
  const std::string ingest = "Authorization: Bearer producer-token\r\n";
  const std::string admin = "Authorization: Bearer operator-token\r\n";
  CHECK(status(server.tcp, test::get("/open")) == 200);
  CHECK(status(server.tcp, test::post("{}")) == 401);
  CHECK(status(server.tcp, test::post("{}", "Authorization: Bearer x\r\n")) == 401);
  CHECK(status(server.tcp, test::post("{}", ingest)) == 200);
  CHECK(status(server.tcp, test::post("{}", admin)) == 200);
  CHECK(status(server.tcp, test::get("/v1/events", ingest)) == 403);
  CHECK(status(server.tcp, test::get("/v1/events", admin)) == 200);
  CHECK(status(server.ingest, test::post("{}")) == 200);
  CHECK(status(server.ingest, test::get("/v1/events")) == 403);
  CHECK(status(server.ingest, test::get("/v1/events", admin)) == 403);
  CHECK(status(server.admin, test::get("/v1/events")) == 200);

  test::RawClient client(server.tcp);
  client.send(test::get("/v1/events"));
  const auto answer = client.read_answer();
  CHECK(answer->header("www-authenticate") == "Bearer");
  CHECK(answer->header("content-type") == "application/problem+json");
}

TEST_CASE("over TCP without tokens producers are served, and an operator is told where to go") {
  test::TestServer server;
  const auto answer_to = [&](const std::string& request) {
    test::RawClient client(server.tcp);
    client.send(request);
    return client.read_answer().value();
  };
  CHECK(answer_to(test::get("/open")).status == 200);
  CHECK(answer_to(test::post("{}")).status == 200);
  for (const char* header : {"", "Authorization: Bearer operator-token\r\n"}) {
    const auto refused = answer_to(test::get("/v1/events", header));
    CHECK(refused.status == 403);
    for (const char* word : {"admin socket", "tokens_file", "scope admin", "/metrics"})
      CHECK(refused.body.find(word) != std::string::npos);
  }
}

TEST_CASE(
    "a browser's foreign Host or cross-site form is refused on TCP and does not matter on a Unix socket") {
  test::TestServer server;
  const auto status = [](const std::string& where, const std::string& request) {
    test::RawClient client(where);
    client.send(request);
    return client.read_answer()->status;
  };
  const std::string rebound = "GET /open HTTP/1.1\r\nHost: evil.example\r\n\r\n";
  CHECK(status(server.tcp, rebound) == 403);
  CHECK(status(server.admin, rebound) == 200);
  const std::string form = test::post("{}", "Origin: http://evil.example\r\nContent-Type: text/plain\r\n");
  CHECK(status(server.tcp, form) == 415);
  CHECK(status(server.admin, form) == 200);
  const std::string fetch =
      test::post("{}", "Sec-Fetch-Site: cross-site\r\nContent-Type: application/json\r\n");
  CHECK(status(server.tcp, fetch) == 403);
  CHECK(status(server.admin, fetch) == 200);
  CHECK(server.handled == 3);
}
