#include "api/browser_session.h"

#include <doctest/doctest.h>

#include "api/auth.h"
#include "http_server_fixture.h"

using namespace outboxd;
using namespace outboxd::api;

namespace {

// sha256 of "producer-token", "reader-token" and "operator-token"
constexpr const char* kTokens =
    "ingest 765221e4754f2968efae220b7185addd7b4a9dbaed428d78c7736b8ae14f4e72 shop\n"
    "view:acme READER acme\n"
    "admin 0850123315d21ab90f4f7236408a52ef6dbd6a02a6550e5c10dc73f4d993680e deploy\n";

std::shared_ptr<const Authenticator> three_tokens() {
  std::string text = kTokens;
  const std::string_view place = "READER";
  text.replace(text.find(place), place.size(), hex_encode(sha256("reader-token")));
  return Authenticator::from_text(text, "tokens").value();
}

std::string cookie(std::string_view token) {
  return "Cookie: theme=dark; outboxd_token=" + std::string(token) + "; a=b\r\n";
}

std::string proof(std::string_view token) {
  return "Outboxd-Csrf: " + csrf_proof(token) + "\r\n";
}

std::string remove(std::string_view target, std::string_view more_headers) {
  return "DELETE " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(more_headers) +
         "\r\n";
}

test::RawAnswer answer_to(const std::string& where, const std::string& request) {
  test::RawClient client(where);
  client.send(request);
  return client.read_answer().value();
}

}  // namespace

TEST_CASE("the token of a session is that of its cookie, unless there is an Authorization header") {
  const auto token = [](std::vector<HeaderField> headers) {
    return std::string(session_token(headers).value_or("-"));
  };
  CHECK(token({{"Cookie", "outboxd_token=x"}}) == "x");
  CHECK(token({{"cookie", "a=b; outboxd_token=\"x\""}}) == "x");
  CHECK(token({}) == "-");
  CHECK(token({{"Cookie", "outboxd_token="}}) == "-");
  CHECK(token({{"Cookie", "outboxd_token=x"}, {"authorization", ""}}) == "-");
  const std::string longest(kMaxSessionToken, 'x');
  CHECK(token({{"Cookie", "outboxd_token=" + longest}}) == longest);
  CHECK(token({{"Cookie", "outboxd_token=" + longest + 'x'}}) == "-");
  CHECK(token({{"Cookie", "outboxd_token=x; outboxd_token=x"}}) == "x");
  CHECK(token({{"Cookie", "outboxd_token=x; outboxd_token=y"}}) == "-");
}

TEST_CASE("what a cookie says of itself") {
  CHECK(set_session_cookie("x", false) == "outboxd_token=x; Path=/; HttpOnly; SameSite=Strict");
  CHECK(set_session_cookie("x", true) == "outboxd_token=x; Path=/; HttpOnly; SameSite=Strict; Secure");
  CHECK(clear_session_cookie(false) == "outboxd_token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
}

TEST_CASE("the proof is the token's HMAC, and another token has another one") {
  // printf 'outboxd csrf' | openssl dgst -sha256 -hmac operator-token
  CHECK(csrf_proof("operator-token") == "56c2392c7ac0fe3bc74192669c57b5a4cb3511e7e9c1ca6260f75ecb9966da39");
  CHECK(csrf_proof("operator-token") != csrf_proof("reader-token"));
}

TEST_CASE("a cookie lets a browser in with the scope of its token, for as long as that is known") {
  test::TestServer server({}, three_tokens());
  const auto status = [&](const std::string& request) { return answer_to(server.tcp, request).status; };
  CHECK(status(test::get("/v1/events", cookie("operator-token"))) == 200);
  CHECK(status(test::get("/v1/events", cookie("reader-token"))) == 403);
  CHECK(status(test::get("/everybody", cookie("reader-token"))) == 403);
  CHECK(status(test::get("/everybody", cookie("operator-token"))) == 200);
  CHECK(answer_to(server.tcp, test::get("/tenant", cookie("reader-token"))).body == "view acme");
  CHECK(answer_to(server.tcp, test::get("/caller", cookie("reader-token"))).body == "view tcp browser");
  server.set_authenticator(Authenticator::nobody());
  const auto refused = answer_to(server.tcp, test::get("/v1/events", cookie("operator-token")));
  CHECK(refused.status == 401);
  CHECK(refused.body.find("sign in again") != std::string::npos);
  CHECK(answer_to(server.tcp, test::get("/caller", cookie("operator-token"))).body == "none tcp");
}

TEST_CASE("the Authorization header takes precedence over the cookie, a wrong one too") {
  test::TestServer server({}, three_tokens());
  const std::string ingest = "Authorization: Bearer producer-token\r\n";
  const std::string wrong = "Authorization: Bearer wrong\r\n";
  CHECK(answer_to(server.tcp, test::get("/v1/events", ingest + cookie("operator-token"))).status == 403);
  CHECK(answer_to(server.tcp, test::get("/v1/events", wrong + cookie("operator-token"))).status == 401);
  CHECK(answer_to(server.tcp, test::get("/caller", ingest + cookie("operator-token"))).body == "ingest tcp");
  CHECK(answer_to(server.tcp, test::get("/caller", wrong + cookie("operator-token"))).body == "none tcp");
  const std::string admin = "Authorization: Bearer operator-token\r\n";
  CHECK(answer_to(server.tcp, remove("/v1/events", admin + cookie("operator-token"))).status == 200);
}

TEST_CASE("a change that the cookie lets in must carry the proof of its token") {
  test::TestServer server({}, three_tokens());
  const std::string session = cookie("operator-token");
  const auto remove_with = [&](const std::string& headers) {
    return answer_to(server.tcp, remove("/v1/events", headers));
  };
  const auto missing = remove_with(session);
  CHECK(missing.status == 403);
  CHECK(missing.body.find("outboxd-csrf") != std::string::npos);
  CHECK(missing.body.find("is missing") != std::string::npos);
  CHECK(missing.body.find(csrf_proof("operator-token")) == std::string::npos);
  for (const std::string& wrong :
       {std::string("Outboxd-Csrf: \r\n"), std::string("Outboxd-Csrf: x\r\n"), proof("reader-token"),
        "Outboxd-Csrf: " + csrf_proof("operator-token") + "0\r\n"}) {
    CAPTURE(wrong);
    const auto refused = remove_with(session + wrong);
    CHECK(refused.status == 403);
    CHECK(refused.body.find("another one") != std::string::npos);
  }
  CHECK(remove_with(session + proof("operator-token") + proof("operator-token")).status == 400);
  CHECK(server.handled == 0);
  CHECK(remove_with(session + proof("operator-token")).status == 200);
  CHECK(answer_to(server.tcp, test::post("{}", session)).status == 403);
  CHECK(answer_to(server.tcp, test::post("{}", session + proof("operator-token"))).status == 200);
  CHECK(server.handled == 2);
}

TEST_CASE("a page of another origin changes nothing, proof or not") {
  test::TestServer server({}, three_tokens());
  const std::string session = cookie("operator-token") + proof("operator-token");
  for (const char* site : {"cross-site", "same-site"}) {
    const std::string headers =
        session + "Content-Type: application/json\r\nSec-Fetch-Site: " + std::string(site) + "\r\n";
    CHECK(answer_to(server.tcp, test::post("{}", headers)).status == 403);
  }
  const std::string origin = "Origin: http://localhost:8877\r\n";
  CHECK(answer_to(server.tcp, test::post("{}", session + origin)).status == 415);
  CHECK(server.handled == 0);
  CHECK(answer_to(server.tcp, test::post("{}", session + origin + "Content-Type: application/json\r\n"))
            .status == 200);
}

TEST_CASE("to sign in takes no proof, to sign out does while the cookie is good") {
  test::TestServer server({}, three_tokens());
  const std::string sign_in = "POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n" +
                              cookie("operator-token") + "\r\n{}";
  CHECK(answer_to(server.tcp, sign_in).status == 200);
  CHECK(answer_to(server.tcp, remove("/v1/session", cookie("operator-token"))).status == 403);
  const std::string proven = cookie("operator-token") + proof("operator-token");
  CHECK(answer_to(server.tcp, remove("/v1/session", proven)).status == 200);
  CHECK(answer_to(server.tcp, remove("/v1/session", cookie("unknown"))).status == 200);
  CHECK(answer_to(server.tcp, remove("/v1/session", "")).status == 200);
}

TEST_CASE("who signs in may send a small body before he is known, and nobody else may") {
  test::TestServer server({}, three_tokens());
  const auto begin = [&](const std::string& target, const std::string& framing) {
    test::RawClient client(server.tcp);
    client.send("POST " + target + " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n" + framing +
                "\r\n");
    return client.read_answer().value().status;
  };
  CHECK(begin("/v1/session", "Content-Length: 1024\r\n") == 100);
  CHECK(begin("/v1/session", "Content-Length: 1025\r\n") == 413);
  CHECK(begin("/v1/session", "Transfer-Encoding: chunked\r\n") == 413);
  CHECK(begin("/v1/events", "Content-Length: 10\r\n") == 401);
  CHECK(begin("/v1/session/", "Content-Length: 10\r\n") == 401);
  CHECK(begin("/v1/events", "Content-Length: 10\r\n" + cookie("unknown")) == 401);
  CHECK(begin("/v1/events", "Content-Length: 10\r\n" + cookie("producer-token")) == 100);
}

TEST_CASE("neither a Unix socket nor TCP without tokens looks at the cookie") {
  test::TestServer server;
  CHECK(answer_to(server.admin, test::get("/caller", cookie("operator-token"))).body == "admin unix");
  CHECK(answer_to(server.ingest, test::get("/caller", cookie("operator-token"))).body == "ingest unix");
  CHECK(answer_to(server.tcp, test::get("/caller", cookie("operator-token"))).body == "ingest tcp");
  CHECK(answer_to(server.admin, remove("/v1/events", cookie("operator-token"))).status == 200);
  CHECK(answer_to(server.tcp, test::post("{}", cookie("operator-token"))).status == 200);
}

TEST_CASE("two different tokens are refused, because one of them is of somebody else's making") {
  test::TestServer server({}, three_tokens());
  const std::string two = "Cookie: outboxd_token=reader-token; outboxd_token=operator-token\r\n";
  const auto refused = answer_to(server.tcp, test::get("/everybody", two));
  CHECK(refused.status == 400);
  CHECK(refused.body.find("Delete the cookies of this host") != std::string::npos);
  const std::string admin = "Authorization: Bearer operator-token\r\n";
  CHECK(answer_to(server.tcp, test::get("/everybody", admin + two)).status == 200);
  CHECK(answer_to(server.admin, test::get("/caller", two)).body == "admin unix");
}

TEST_CASE("a page of another origin does not even make a browser ask, but may lead to the open pages") {
  test::TestServer server({}, three_tokens());
  const std::string session = cookie("operator-token");
  for (const char* site : {"cross-site", "same-site"}) {
    const std::string from = "Sec-Fetch-Site: " + std::string(site) + "\r\n";
    CHECK(answer_to(server.tcp, test::get("/everybody", session + from)).status == 403);
    CHECK(answer_to(server.tcp, test::get("/caller", session + from)).body == "admin tcp browser");
    const std::string admin = "Authorization: Bearer operator-token\r\n";
    CHECK(answer_to(server.tcp, test::get("/everybody", admin + from)).status == 200);
  }
  CHECK(answer_to(server.tcp, test::get("/everybody", session + "Sec-Fetch-Site: none\r\n")).status == 200);
}

TEST_CASE("a request with two Cookie headers is refused") {
  test::TestServer server({}, three_tokens());
  const std::string twice = cookie("reader-token") + cookie("operator-token");
  CHECK(answer_to(server.tcp, test::get("/v1/events", twice)).status == 400);
}
