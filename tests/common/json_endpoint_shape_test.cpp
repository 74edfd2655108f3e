// What an endpoint's requests look like, as its JSON says: auth, signatures, body_template, content_type, disable_after.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "common/json.h"
#include "common/text.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

Endpoint base() {
  Endpoint endpoint;
  endpoint.url = "https://example.com/";
  return endpoint;
}

Result<Endpoint> read(const std::string& text, const Endpoint& from = base()) {
  return endpoint_from_json(Json::parse(text), from);
}

Endpoint taken(const std::string& text, const Endpoint& from = base()) {
  auto endpoint = read(text, from);
  if (!endpoint) FAIL(text << ": " << endpoint.error().detail);
  return std::move(*endpoint);
}

// The one field that is refused.
FieldError refused(const std::string& text, const Endpoint& from = base()) {
  CAPTURE(text);
  const auto endpoint = read(text, from);
  CHECK_FALSE(endpoint);
  if (endpoint) return {"taken", ""};
  CHECK(endpoint.error().code == ProblemCode::kInvalidEndpoint);
  CHECK(endpoint.error().errors.size() == 1);
  CHECK_FALSE(endpoint.error().errors.front().detail.empty());
  return endpoint.error().errors.front();
}
std::string pointer(const std::string& text, const Endpoint& from = base()) {
  return refused(text, from).pointer;
}

std::string required(const std::string& text, const Endpoint& from = base()) {
  const FieldError error = refused(text, from);
  CHECK(error.detail.starts_with("is required"));
  return error.pointer;
}

std::string auth(const std::string& value) {
  return "{\"auth\":" + value + "}";
}
std::string signature(const std::string& members) {
  return R"({"signatures":[{)" + members + "}]}";
}
std::string quoted(const std::string& text) {
  return dump(Json(text));
}

}  // namespace

TEST_CASE("credentials are a token, a user and password, or a header") {
  CHECK(taken(auth(R"({"bearer": "t-1"})")).auth == EndpointAuth{AuthScheme::kBearer, "", "t-1"});
  CHECK(taken(auth(R"({"basic": {"user": "u", "password": "p:w \u00a3"}})")).auth ==
        EndpointAuth{AuthScheme::kBasic, "u", "p:w \xC2\xA3"});
  CHECK(taken(auth(R"({"header": {"name": "X-Api-Key", "value": "k 1"}})")).auth ==
        EndpointAuth{AuthScheme::kHeader, "X-Api-Key", "k 1"});
  const Endpoint with = taken(auth(R"({"bearer": "t-1"})"));
  CHECK(taken(R"({"name": "x"})", with).auth == with.auth);
  CHECK_FALSE(taken(auth("null"), with).auth);
}

TEST_CASE("credentials are refused, each by its pointer") {
  for (const char* const value :
       {"1", "[]", "\"t\"", "true", "{}", R"({"bearer": "t", "header": {"name": "X-A", "value": "v"}})"})
    CHECK(pointer(auth(value)) == "/auth");
  CHECK(pointer(auth(R"({"digest": "x"})")).starts_with("/auth"));
  for (const char* const token :
       {"1", "\"\"", "[]", R"("a\r\nX-Evil: 1")", R"("a\u0000")", R"("\u00e4")", R"(" a")"})
    CHECK(pointer(auth(R"({"bearer": )" + std::string(token) + "}")) == "/auth/bearer");
  CHECK(pointer(auth(R"({"bearer": ")" + std::string(10'000, 'a') + "\"}")) == "/auth/bearer");
  CHECK(pointer(auth(R"({"basic": "u:p"})")) == "/auth/basic");
  CHECK(pointer(auth(R"({"basic": {"user": 1, "password": "p"}})")) == "/auth/basic/user");
  CHECK(pointer(auth(R"({"basic": {"user": "a:b", "password": "p"}})")) == "/auth/basic/user");
  CHECK(pointer(auth(R"({"basic": {"user": "a\u0007", "password": "p"}})")) == "/auth/basic/user");
  CHECK(pointer(auth(R"({"basic": {"password": "p"}})")) == "/auth/basic/user");
  CHECK(pointer(auth(R"({"basic": {"user": "u", "password": 1}})")) == "/auth/basic/password");
  CHECK(pointer(auth(R"({"basic": {"user": "u", "password": "a\nb"}})")) == "/auth/basic/password");
  CHECK(pointer(auth(R"({"basic": {"user": "u"}})")) == "/auth/basic/password");
  CHECK(pointer(auth(R"({"basic": {"user": "u", "password": "p", "realm": "r"}})")) == "/auth/basic/realm");
  CHECK(pointer(auth(R"({"header": "X-Api-Key: 1"})")) == "/auth/header");
  CHECK(pointer(auth(R"({"header": {"value": "v"}})")) == "/auth/header/name");
  CHECK(pointer(auth(R"({"header": {"name": "X-A"}})")) == "/auth/header/value");
  CHECK(pointer(auth(R"({"header": {"name": "X-A", "value": 1}})")) == "/auth/header/value");
  for (const char* const name :
       {"Host", "content-type", "Webhook-Signature", "outboxd-attempt", "X A", "", "Connection"})
    CHECK(pointer(auth(R"({"header": {"name": )" + quoted(name) + R"(, "value": "v"}})"))
              .starts_with("/auth/header"));
  for (const char* const value : {"", "a\r\nX-Evil: 1", " a"})
    CHECK(pointer(auth(R"({"header": {"name": "X-A", "value": )" + quoted(value) + "}}"))
              .starts_with("/auth/header"));
}

TEST_CASE("a secret of credentials that is null stays as it is stored, and is missing where none is") {
  const Endpoint bearer = taken(auth(R"({"bearer": "t-1"})"));
  const Endpoint basic = taken(auth(R"({"basic": {"user": "u", "password": "p"}})"));
  const Endpoint header = taken(auth(R"({"header": {"name": "X-A", "value": "v"}})"));
  for (const Endpoint& stored : {bearer, basic, header}) {
    const Json shown = to_json(stored)["auth"];
    CHECK(taken(auth(dump(shown)), stored).auth == stored.auth);
    CHECK(refused(auth(dump(shown))).detail.starts_with("is required"));
  }
  CHECK(dump(to_json(bearer)["auth"]) == R"({"bearer":null})");
  CHECK(dump(to_json(basic)["auth"]) == R"({"basic":{"user":"u","password":null}})");
  CHECK(dump(to_json(header)["auth"]) == R"({"header":{"name":"X-A","value":null}})");
  // Of another scheme or name: a password that was meant for one user must not be sent as another's.
  CHECK(pointer(auth(R"({"bearer": null})"), basic) == "/auth/bearer");
  CHECK(pointer(auth(R"({"basic": {"user": "other", "password": null}})"), basic) == "/auth/basic/password");
  CHECK(pointer(auth(R"({"header": {"name": "X-B", "value": null}})"), header) == "/auth/header/value");
}

TEST_CASE("signatures are read with what their scheme sets") {
  const Endpoint endpoint = taken(R"({"signatures": [
      {"scheme": "github", "secret": "g"},
      {"scheme": "stripe", "secret": "whsec_s"},
      {"scheme": "hmac", "secret": "h", "header": "X-Shop-Hmac"},
      {"scheme": "hmac", "secret": "i", "header": "X-B", "algorithm": "sha1", "encoding": "base64", "prefix": "sha1=",
       "over": "id.timestamp.body"}]})");
  LegacySignature github = github_signature(), stripe = stripe_signature(), plain, full;
  github.secret = "g";
  stripe.secret = "whsec_s";
  plain.secret = "h";
  plain.header = "X-Shop-Hmac";
  full = plain;
  full.secret = "i";
  full.header = "X-B";
  full.algorithm = SignatureDigest::kSha1;
  full.encoding = SignatureEncoding::kBase64;
  full.prefix = "sha1=";
  full.over = SignatureOver::kIdTimestampBody;
  CHECK(endpoint.signatures == std::vector<LegacySignature>{github, stripe, plain, full});
  CHECK(taken(signature(R"("scheme": "stripe", "secret": "s", "header": "X-Pay-Signature")"))
            .signatures[0]
            .header == "X-Pay-Signature");
  CHECK(taken(R"({"name": "x"})", endpoint).signatures == endpoint.signatures);
  CHECK(taken(R"({"signatures": []})", endpoint).signatures.empty());
  CHECK(taken(signature(R"("scheme": "github", "secret": )" + quoted(std::string(256, '~'))))
            .signatures.size() == 1);
}

TEST_CASE("signatures are refused, each by its pointer") {
  for (const char* const value : {"1", "{}", "\"github\"", R"({"scheme": "github", "secret": "s"})"})
    CHECK(pointer("{\"signatures\":" + std::string(value) + "}") == "/signatures");
  CHECK(pointer(R"({"signatures": ["github"]})") == "/signatures/0");
  CHECK(required(signature(R"("secret": "s")")) == "/signatures/0/scheme");
  for (const char* const scheme : {"\"slack\"", "1", "\"\"", "null", "\"GitHub\""})
    CHECK(pointer(signature(R"("secret": "s", "scheme": )" + std::string(scheme))) == "/signatures/0/scheme");
  CHECK(required(signature(R"("scheme": "github")")) == "/signatures/0/secret");
  CHECK(required(signature(R"("scheme": "github", "secret": null)")) == "/signatures/0/secret");
  for (const std::string& secret : {std::string(), std::string(257, 'a'), std::string("a\nb"),
                                    std::string("a\0b", 3), std::string("a\x7f")})
    CHECK(pointer(signature(R"("scheme": "stripe", "secret": )" + quoted(secret))) == "/signatures/0/secret");
  CHECK(pointer(signature(R"("scheme": "stripe", "secret": 1)")) == "/signatures/0/secret");
  CHECK(pointer(signature(R"("scheme": "github", "secret": "s", "header": "X-Hub-Signature")")) ==
        "/signatures/0/header");
  for (const char* const fixed : {"algorithm", "encoding", "prefix", "over"}) {
    for (const char* const scheme : {"github", "stripe"}) {
      CHECK(pointer(signature(R"("secret": "s", "scheme": ")" + std::string(scheme) + "\", \"" + fixed +
                              R"(": "sha1")")) == "/signatures/0/" + std::string(fixed));
    }
  }
  const std::string hmac = R"("scheme": "hmac", "secret": "s", )", headed = hmac + R"("header": "X-A", )";
  CHECK(required(signature(R"("scheme": "hmac", "secret": "s")")) == "/signatures/0/header");
  for (const char* const header :
       {"Host", "webhook-signature", "content-length", "X A", "", "X-A: b\r\nX-B", "outboxd-x"})
    CHECK(pointer(signature(hmac + "\"header\": " + quoted(header))) == "/signatures/0/header");
  CHECK(pointer(signature(hmac + "\"header\": 1")) == "/signatures/0/header");
  CHECK(pointer(signature(headed + R"("algorithm": "md5")")) == "/signatures/0/algorithm");
  CHECK(pointer(signature(headed + R"("encoding": "base32")")) == "/signatures/0/encoding");
  CHECK(pointer(signature(headed + R"("over": "header.body")")) == "/signatures/0/over");
  for (const std::string& prefix :
       {std::string(33, 'a'), std::string("a\r\nX-B: 1"), std::string("\xC3\xA4")})
    CHECK(pointer(signature(headed + "\"prefix\": " + quoted(prefix))) == "/signatures/0/prefix");
  CHECK(pointer(signature(headed + R"("prefix": 1)")) == "/signatures/0/prefix");
  CHECK(pointer(signature(headed + R"("salt": "x")")) == "/signatures/0/salt");
}

TEST_CASE("an endpoint has at most four signatures, and no header twice") {
  const auto list = [](int count) {
    std::string text = R"({"signatures": [)";
    for (int i = 0; i < count; ++i)
      text += std::string(i == 0 ? "" : ",") + R"({"scheme": "hmac", "secret": "s", "header": "X-)" +
              std::to_string(i) + "\"}";
    return text + "]}";
  };
  CHECK(taken(list(4)).signatures.size() == 4);
  CHECK(pointer(list(5)) == "/signatures");
  CHECK(pointer(list(10'000)) == "/signatures");
  CHECK(pointer(R"({"signatures": [{"scheme": "hmac", "secret": "a", "header": "X-A"},
                                   {"scheme": "hmac", "secret": "b", "header": "x-a"}]})") ==
        "/signatures/1");
}

TEST_CASE("a signature's secret that is null stays as it is stored, found by scheme and header") {
  const Endpoint stored = taken(R"({"signatures": [{"scheme": "github", "secret": "g"},
      {"scheme": "stripe", "secret": "s"}, {"scheme": "hmac", "secret": "h", "header": "X-A"}]})");
  const Json shown = to_json(stored)["signatures"];
  for (const Json& one : shown) CHECK(one["secret"].is_null());
  const auto patched = [&](const Json& list) {
    return taken(dump(Json{{"signatures", list}}), stored).signatures;
  };
  CHECK(patched(shown) == stored.signatures);
  CHECK(patched(Json::array({shown[2], shown[0]})) ==
        std::vector<LegacySignature>{stored.signatures[2], stored.signatures[0]});
  Json changed = Json::array({shown[2]});
  changed[0]["algorithm"] = "sha512";
  CHECK(patched(changed)[0].secret == "h");
  CHECK(patched(changed)[0].algorithm == SignatureDigest::kSha512);
  changed[0]["header"] = "X-B";
  CHECK(pointer(dump(Json{{"signatures", changed}}), stored) == "/signatures/0/secret");
}

TEST_CASE("a template is text that makes JSON, with format raw") {
  const std::string text = R"({"text": "Order {{/id}}", "all": {{}}})";
  const Endpoint with = taken(R"({"body_template": )" + quoted(text) + "}");
  REQUIRE(with.body_template);
  CHECK(with.body_template->text() == text);
  CHECK(to_json(with)["body_template"] == text);
  CHECK_FALSE(taken(R"({"body_template": null})", with).body_template);
  for (const char* const value : {"1", "{}", "[]", "true"})
    CHECK(refused(R"({"body_template": )" + std::string(value) + "}") ==
          FieldError{"/body_template", "must be a string"});
  for (const char* const bad : {"", "{", "{{/a", "{{a}}", "{{/a}}{{/b}}", R"({"a": {{/b}})"})
    CHECK(pointer(R"({"body_template": )" + quoted(bad) + "}") == "/body_template");
  CHECK(pointer(R"({"body_template": )" + quoted('"' + std::string(BodyTemplate::kMaxText, 'x') + '"') +
                "}") == "/body_template");
  for (const char* const format : {"standard", "cloudevents"}) {
    const std::string other = R"({"format": ")" + std::string(format) + "\"";
    CHECK(pointer(other + R"(, "body_template": "{{}}"})") == "/body_template");
    CHECK(pointer(other + "}", with) == "/body_template");
    CHECK(pointer(R"({"body_template": "{{}}"})", taken(other + "}")) == "/body_template");
    CHECK_FALSE(taken(other + R"(, "body_template": null})", with).body_template);
  }
}

TEST_CASE("a content type is a media type") {
  const Endpoint with = taken(R"({"content_type": "application/vnd.shop+json; charset=utf-8"})");
  CHECK(with.content_type == "application/vnd.shop+json; charset=utf-8");
  CHECK(to_json(with)["content_type"] == "application/vnd.shop+json; charset=utf-8");
  CHECK_FALSE(taken(R"({"content_type": null})", with).content_type);
  for (const char* const bad :
       {"", "text", "text/", "a b/c", "text/plain\r\nX-Evil: 1", "text/plain, text/html", "\xC3\xA4/b"})
    CHECK(pointer(R"({"content_type": )" + quoted(bad) + "}") == "/content_type");
  CHECK(pointer(R"({"content_type": ")" + std::string(300, 'a') + "/b\"}") == "/content_type");
  CHECK(pointer(R"({"content_type": 1})") == "/content_type");
}

TEST_CASE("an endpoint is disabled after 5 days, a time of choice, or never") {
  CHECK(base().disable_after == 120h);
  CHECK(to_json(base())["disable_after"] == "5d");
  CHECK(taken(R"({"disable_after": "1m"})").disable_after == 1min);
  CHECK(taken(R"({"disable_after": "365d"})").disable_after == 365 * 24h);
  const Endpoint never = taken(R"({"disable_after": "never"})");
  CHECK_FALSE(never.disable_after);
  CHECK(to_json(never)["disable_after"] == "never");
  CHECK(taken(R"({"disable_after": "2h30m"})", never).disable_after == 150min);
  for (const char* const bad :
       {"\"59s\"", "\"365d1s\"", "\"\"", "\"Never\"", "\"5\"", "\"-1h\"", "0", "432000", "false", "[]"})
    CHECK(pointer(R"({"disable_after": )" + std::string(bad) + "}") == "/disable_after");
}

TEST_CASE("no refusal repeats a secret, whichever field is wrong") {
  for (const std::string& text :
       {auth(R"({"bearer": "s3cr3t\n"})"), auth(R"({"basic": {"user": "u", "password": "s3cr3t\n"}})"),
        auth(R"({"header": {"name": "X-A", "value": "s3cr3t\n"}})"), auth(R"("s3cr3t")"),
        auth(R"({"header": {"name": "Host", "value": "s3cr3t"}})"),
        auth(R"({"bearer": {"token": "s3cr3t"}})"), signature(R"("scheme": "github", "secret": "s3cr3t\n")"),
        signature(R"("secret": "s3cr3t")"),
        signature(R"("scheme": "hmac", "secret": "s3cr3t", "header": "Host")"),
        R"({"signatures": "s3cr3t"})" + std::string(), R"({"signatures": ["s3cr3t"]})" + std::string()}) {
    CAPTURE(text);
    const auto endpoint = read(text);
    REQUIRE_FALSE(endpoint);
    CHECK(dump(to_json(endpoint.error())).find("s3cr3t") == std::string::npos);
  }
}

TEST_CASE("what an answer shows of an endpoint's shape keeps it, sent back as it is") {
  const Endpoint stored =
      taken(R"({"auth": {"basic": {"user": "u", "password": "p"}}, "body_template": "{{}}",
      "signatures": [{"scheme": "hmac", "secret": "h", "header": "X-A", "prefix": "v0=", "over": "timestamp.body"}],
      "content_type": "text/json", "disable_after": "never"})");
  Json shown = to_json(stored);
  for (const char* const name : {"id", "failing_since", "created_at", "updated_at"}) shown.erase(name);
  CHECK(taken(dump(shown), stored) == stored);
  const std::string text = dump(shown);
  CHECK(text.find("\"p\"") == std::string::npos);
  CHECK(text.find("\"h\"") == std::string::npos);
}
