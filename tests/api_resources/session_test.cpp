#include <doctest/doctest.h>

#include "api/auth.h"
#include "api/browser_session.h"
#include "api_resources/api.h"
#include "common/text.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

std::string line(const std::string& scope, const std::string& token, const std::string& name) {
  return scope + ' ' + hex_encode(sha256(token)) + ' ' + name + '\n';
}

// The API as a browser sees it over TCP, where these tokens are known.
struct Browser : Api {
  Browser() {
    const std::string text = line("ingest", "producer", "shop") + line("view:acme", "reader", "acme-view") +
                             line("admin", "operator", "deploy") + line("admin", "nameless", "");
    context.authenticator = [auth = api::Authenticator::from_text(text, "tokens").value()] { return auth; };
    transport = api::Transport::kTcp;
    scope = api::Scope::kNone;
  }
  Sent sign_in(const std::string& token) {
    return call("POST", "/v1/session", Json{{"token", token}}.dump());
  }
};

std::string cookie(const std::string& token) {
  return "outboxd_token=" + token;
}

}  // namespace

TEST_CASE("a token of scope view or admin signs in, and comes back as a cookie") {
  Browser browser;
  const auto admin = browser.sign_in("operator");
  CHECK(admin.status == 200);
  CHECK(admin.header("set-cookie") == "outboxd_token=operator; Path=/; HttpOnly; SameSite=Strict");
  CHECK(admin.json == Json{{"scope", "admin"},
                           {"tenant", nullptr},
                           {"who", "token deploy"},
                           {"csrf", api::csrf_proof("operator")},
                           {"payloads", true},
                           {"tokens", true}});
  const auto view = browser.sign_in("reader");
  CHECK(view.status == 200);
  CHECK(view.json["scope"] == "view");
  CHECK(view.json["tenant"] == "acme");
  CHECK(browser.sign_in("nameless").json["who"] == "unix:uid=0,pid=1");  // the test's peer
  browser.transport = api::Transport::kTls;
  CHECK(browser.sign_in("operator").header("set-cookie").ends_with("; Secure"));
  CHECK(browser.refusals.empty());
}

TEST_CASE("any other token does not sign in, is told why, and the refusal is logged") {
  Browser browser;
  const auto wrong = browser.sign_in("guess");
  CHECK(wrong.status == 401);
  CHECK(wrong.header("www-authenticate") == "Bearer");
  CHECK(wrong.header("set-cookie") == "");
  CHECK(wrong.body.find("guess") == std::string::npos);
  const auto ingest = browser.sign_in("producer");
  CHECK(ingest.status == 403);
  CHECK(ingest.body.find("needs a token of scope view or admin") != std::string::npos);
  CHECK(ingest.header("set-cookie") == "");
  CHECK(browser.refusals.size() == 2);
  browser.context.authenticator = [] { return api::Authenticator::without_tokens(); };
  const auto without = browser.sign_in("operator");
  CHECK(without.status == 403);
  CHECK(without.body.find("tokens_file") != std::string::npos);
  browser.context.authenticator = [] { return api::Authenticator::nobody(); };
  CHECK(browser.sign_in("operator").status == 401);
}

TEST_CASE("what cannot be a token in a cookie is refused as a bad field") {
  Browser browser;
  for (const std::string& token : {std::string(), std::string("a b"), std::string("a;b"), std::string("a\nb"),
                                   std::string("\"a\""), std::string("ä"), std::string(257, 'x')}) {
    CAPTURE(token);
    const auto refused = browser.sign_in(token);
    CHECK(refused.status == 422);
    CHECK(refused.pointers() == std::vector<std::string>{"/token"});
  }
  CHECK(browser.sign_in(std::string(256, 'x')).status == 401);
  CHECK(browser.call("POST", "/v1/session", "{}").pointers() == std::vector<std::string>{"/token"});
  CHECK(browser.call("POST", "/v1/session").status == 422);
  CHECK(browser.call("POST", "/v1/session", R"({"token":7})").pointers() ==
        std::vector<std::string>{"/token"});
  CHECK(browser.call("POST", "/v1/session", R"({"token":"operator","user":"x"})").pointers() ==
        std::vector<std::string>{"/user"});
  CHECK(browser.call("POST", "/v1/session", "{").status == 400);
  CHECK(browser.call("POST", "/v1/session", "token=operator", {{"Content-Type", "text/plain"}}).status ==
        415);
}

TEST_CASE("the session says who calls, also when nobody has signed in") {
  Browser browser;
  const auto nobody = browser.call("GET", "/v1/session");
  CHECK(nobody.status == 200);
  CHECK(nobody.json["scope"] == "none");
  CHECK(nobody.json["csrf"].is_null());
  CHECK(nobody.json["tokens"] == true);
  CHECK(nobody.header("set-cookie") == "");

  browser.scope = api::Scope::kView;
  browser.tenant = "acme";
  browser.from_browser = true;
  const auto signed_in = browser.call("GET", "/v1/session", "", {{"Cookie", cookie("reader")}});
  CHECK(signed_in.json["scope"] == "view");
  CHECK(signed_in.json["tenant"] == "acme");
  CHECK(signed_in.json["csrf"] == api::csrf_proof("reader"));
  CHECK(signed_in.header("set-cookie") == "");

  browser.context.authenticator = [] { return api::Authenticator::without_tokens(); };
  CHECK(browser.call("GET", "/v1/session").json["tokens"] == false);
}

TEST_CASE("a cookie that lets nobody in any more is cleared, but not by a request that shows another token") {
  Browser browser;
  const auto cleared = browser.call("GET", "/v1/session", "", {{"Cookie", cookie("revoked")}});
  CHECK(cleared.json["scope"] == "none");
  CHECK(cleared.header("set-cookie") == api::clear_session_cookie(false));
  const auto other = browser.call("GET", "/v1/session", "",
                                  {{"Cookie", cookie("operator")}, {"Authorization", "Bearer operator"}});
  CHECK(other.header("set-cookie") == "");
  browser.transport = api::Transport::kUnixSocket;
  CHECK(browser.call("GET", "/v1/session", "", {{"Cookie", cookie("revoked")}}).header("set-cookie") == "");
}

TEST_CASE("to sign out clears the cookie") {
  Browser browser;
  const auto out = browser.call("DELETE", "/v1/session");
  CHECK(out.status == 204);
  CHECK(out.header("set-cookie") == api::clear_session_cookie(false));
  CHECK(browser.call("DELETE", "/v1/session", "{}").status == 204);
  CHECK(browser.call("DELETE", "/v1/session", R"({"a":1})").status == 422);
}

TEST_CASE("over a Unix socket the caller is known, and gets no cookie") {
  Api api;
  for (const auto& session : {api.call("GET", "/v1/session"), api.call("POST", "/v1/session"),
                              api.call("POST", "/v1/session", R"({"token":"x"})")}) {
    CHECK(session.status == 200);
    CHECK(session.header("set-cookie") == "");
    CHECK(session.json["scope"] == "admin");
    CHECK(session.json["who"] == "uid 0");
    CHECK(session.json["csrf"].is_null());
  }
  CHECK(api.call("DELETE", "/v1/session").header("set-cookie") == "");
}

TEST_CASE("where the dashboard may show no payloads, a signed-in browser gets none") {
  Api api;
  api.context.dashboard_payloads = false;
  api.add_endpoint();
  const std::string event = api.add_event();
  const std::vector<std::string> shown = {"/v1/events/" + event + "/payload",
                                          "/v1/deliveries/" + api.only_delivery(event) + "/request"};
  for (const auto& path : shown) CHECK(api.call("GET", path).status == 200);
  CHECK(api.call("GET", "/v1/session").json["payloads"] == false);
  api.from_browser = true;
  for (const auto& path : shown) {
    const auto refused = api.call("GET", path);
    CHECK(refused.status == 403);
    CHECK(refused.body.find("[dashboard] payloads") != std::string::npos);
  }
  CHECK(api.call("GET", "/v1/outbox/1").status == 403);
  CHECK(api.call("GET", "/v1/events/" + event).status == 200);
  api.context.dashboard_payloads = true;
  for (const auto& path : shown) CHECK(api.call("GET", path).status == 200);
  CHECK(api.call("GET", "/v1/outbox/1").status == 404);
}
