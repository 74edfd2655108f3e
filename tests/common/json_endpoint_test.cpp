#include <doctest/doctest.h>

#include <map>
#include <string>

#include "common/json.h"
#include "common/text.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {
constexpr const char* kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

Endpoint base() {
  Endpoint endpoint;
  endpoint.url = "https://old.example/";
  return endpoint;
}

Result<Endpoint> read(const std::string& text, const Endpoint& from = base()) {
  return endpoint_from_json(Json::parse(text), from);
}

// What is said about each pointer, up to what came instead; empty if the text is accepted.
std::map<std::string, std::string> errors(const std::string& text, const Endpoint& from = base()) {
  const auto result = read(text, from);
  std::map<std::string, std::string> found;
  if (result) return found;
  CHECK(result.error().code == ProblemCode::kInvalidEndpoint);
  CHECK_FALSE(result.error().errors.empty());
  for (const FieldError& error : result.error().errors)
    found[error.pointer] = error.detail.substr(0, error.detail.find("; got "));
  return found;
}

std::string error(const std::string& text, const std::string& pointer) {
  const auto all = errors(text);
  CHECK(all.size() == 1);
  const auto found = all.find(pointer);
  return found == all.end() ? "nothing about " + pointer : found->second;
}

std::string member(const std::string& name, const std::string& value) {
  return "{\"" + name + "\":" + value + "}";
}
}  // namespace

TEST_CASE("every field of an endpoint is read") {
  const auto read_one = read(R"({
      "url": "HTTPS://Example.com", "name": "Fakturierung \u00fc", "tenant": "acme:eu", "types": ["order.*", "ticket.created"],
      "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "headers": {"Authorization": "Bearer x", "X-B": "y"},
      "format": "standard", "timeout": "2s500ms", "retry_schedule": ["0s", "5m", "30d"], "max_in_flight": 1000,
      "state": "paused", "metadata": {"z": 1, "a": {"b": [true, null]}}, "ordering": "key",
      "on_failure_in_order": "skip", "rate_limit": "100/s"})",
                             Endpoint{});
  REQUIRE(read_one);
  CHECK(read_one->url == "https://example.com/");
  CHECK(read_one->name == "Fakturierung \xC3\xBC");
  CHECK(read_one->tenant == "acme:eu");
  CHECK(read_one->types == std::vector<std::string>{"order.*", "ticket.created"});
  REQUIRE(read_one->secrets.size() == 1);
  CHECK(read_one->secrets[0].text == kSecret);
  CHECK_FALSE(read_one->secrets[0].expires_at);
  CHECK(read_one->headers == std::vector<HeaderField>{{"Authorization", "Bearer x"}, {"X-B", "y"}});
  CHECK(read_one->format == PayloadFormat::kStandard);
  CHECK(read_one->timeout == 2500ms);
  CHECK(read_one->retry_schedule == std::vector<Millis>{0s, 5min, 720h});
  CHECK(read_one->max_in_flight == 1000);
  CHECK(read_one->rate_limit == RateLimit{100, 1s});
  CHECK(read_one->ordering == Ordering::kKey);
  CHECK(read_one->on_failure_in_order == OnFailureInOrder::kSkip);
  CHECK(read_one->state == EndpointState::kPaused);
  CHECK(read_one->metadata == R"({"z":1,"a":{"b":[true,null]}})");
}

TEST_CASE("what is not mentioned stays as it was") {
  Endpoint before = base();
  before.name = "n";
  before.types = {"a.*"};
  before.secrets = {{kSecret, {}, {}}};
  before.timeout = 3s;
  before.max_in_flight = 4;
  before.metadata = R"({"k":1})";
  const auto after = read(R"({"tenant": "t"})", before);
  REQUIRE(after);
  CHECK(after->tenant == "t");
  CHECK(after->url == before.url);
  CHECK(after->name == "n");
  CHECK(after->types == before.types);
  CHECK(after->secrets == before.secrets);
  CHECK(after->timeout == 3s);
  CHECK(after->max_in_flight == 4);
  CHECK(after->metadata == before.metadata);
  CHECK(read("{}", before));
}

TEST_CASE("null brings the configured default back, where there is one") {
  Endpoint before = base();
  before.timeout = 3s;
  before.max_in_flight = 4;
  before.retry_schedule = {0s};
  const auto after = read(R"({"timeout": null, "max_in_flight": null, "retry_schedule": null})", before);
  REQUIRE(after);
  CHECK_FALSE(after->timeout);
  CHECK_FALSE(after->max_in_flight);
  CHECK_FALSE(after->retry_schedule);
  for (const char* name :
       {"url", "name", "tenant", "types", "secret", "headers", "format", "state", "metadata"}) {
    CAPTURE(name);
    CHECK(errors(member(name, "null")).size() == 1);
  }
}

TEST_CASE("an endpoint needs a URL") {
  CHECK(errors("{}", Endpoint{}) == std::map<std::string, std::string>{{"/url", "is required"}});
  CHECK(errors(R"({"url": 5})", Endpoint{}) ==
        std::map<std::string, std::string>{{"/url", "must be a string"}});
}

TEST_CASE("a body that is no object is refused") {
  for (const char* text : {"[]", "null", "1", "\"https://example.com\"", "true"}) {
    CAPTURE(text);
    CHECK(errors(text) == std::map<std::string, std::string>{{"", "must be a JSON object"}});
  }
}

TEST_CASE("wrong types are named, field by field") {
  for (const char* name : {"url", "name", "tenant", "secret", "format", "timeout", "state"}) {
    for (const char* value : {"1", "true", "[]", "{}"}) {
      CAPTURE(name);
      CHECK(error(member(name, value), "/" + std::string(name)) == "must be a string");
    }
  }
  CHECK(error(R"({"types": "a"})", "/types") == "must be an array of 1 to 64 patterns");
  CHECK(error(R"({"types": ["a", 1]})", "/types/1") == "must be a string");
  CHECK(error(R"({"headers": []})", "/headers") == "must be an object of at most 32 header names and values");
  CHECK(error(R"({"headers": {"x-a": 1}})", "/headers/x-a") == "must be a string");
  CHECK(error(R"({"retry_schedule": "5s"})", "/retry_schedule").starts_with("must be an array"));
  CHECK(error(R"({"retry_schedule": ["5s", 5]})", "/retry_schedule/1") == "must be a string");
  CHECK(error(R"({"metadata": []})", "/metadata") == "must be a JSON object");
  for (const char* value : {"0", "-1", "1001", "1.0", "1e1", "\"5\"", "18446744073709551615",
                            "9223372036854775808", "1e400", "true"}) {
    CAPTURE(value);
    if (std::string_view(value) == "1e400") continue;  // refused by the JSON reader itself
    CHECK(error(member("max_in_flight", value), "/max_in_flight") == "must be an integer from 1 to 1000");
  }
}

TEST_CASE("values out of range are named") {
  CHECK(error(R"({"url": "ftp://x"})", "/url") ==
        "a URL begins with https:// (or http:// where policy allows it)");
  CHECK(error(R"({"tenant": "a b"})", "/tenant") ==
        "must be at most 128 letters, digits or characters of _.:-");
  CHECK(error(member("tenant", '"' + std::string(129, 'a') + '"'), "/tenant").starts_with("must be"));
  CHECK(error(R"({"types": []})", "/types") == "must be an array of 1 to 64 patterns");
  CHECK(error(R"({"types": ["a", "a.*.b"]})", "/types/1").starts_with("must be an event type"));
  CHECK(error(R"({"secret": "hunter2"})", "/secret") ==
        "a secret begins with whsec_ (HMAC-SHA256) or whsk_ (ed25519)");
  CHECK(error(R"({"format": "RAW"})", "/format") == "must be raw, standard or cloudevents");
  CHECK(error(R"({"state": "dead"})", "/state") == "must be active, paused or disabled");
  for (const char* timeout : {"99ms", "5m1ms", "20", "", "-5s", "1.5s"}) {
    CHECK(error(member("timeout", '"' + std::string(timeout) + '"'), "/timeout") ==
          "must be a duration from 100ms to 5m, such as \"20s\"");
  }
  CHECK(errors(R"({"timeout": "100ms"})").empty());
  CHECK(errors(R"({"timeout": "5m"})").empty());
  CHECK(error(R"({"retry_schedule": []})", "/retry_schedule") ==
        "must have 1 to 64 waits, one for each attempt");
  CHECK(error(R"({"retry_schedule": ["0s", "31d"]})", "/retry_schedule/1").starts_with("must be a duration"));
}

TEST_CASE("lists have bounds") {
  const auto list = [](std::size_t n, const std::string& item) {
    std::string text = "[";
    for (std::size_t i = 0; i < n; ++i) text += (i == 0 ? "" : ",") + item;
    return text + "]";
  };
  CHECK(errors(member("types", list(64, "\"a\""))).empty());
  CHECK(errors(member("types", list(65, "\"a\""))).size() == 1);
  CHECK(errors(member("retry_schedule", list(64, "\"1s\""))).empty());
  CHECK(errors(member("retry_schedule", list(65, "\"1s\""))).size() == 1);
  CHECK(errors(member("retry_schedule", list(100'000, "\"1s\""))).size() == 1);
  CHECK(read(member("types", list(64, "1"))).error().errors.size() == 64);
}

TEST_CASE("a name is at most 128 printable characters") {
  const auto named = [](const std::string& name) { return member("name", dump(Json(name))); };
  std::string wide;
  for (int i = 0; i < 128; ++i) wide += "\xE2\x82\xAC";
  CHECK(errors(named(wide)).empty());
  CHECK(errors(named("")).empty());
  for (const std::string& name : {wide + "x", std::string("a\nb"), std::string("a\x1b[0m"),
                                  std::string("a\x7f"), std::string("\xC2\x9B"),
                                  std::string("a\xE2\x80\xAE"
                                              "b"),
                                  std::string("a\0b", 3)}) {
    CHECK(error(named(name), "/name") == "must be at most 128 printable characters");
  }
}

TEST_CASE("headers are refused one by one, by their pointer") {
  const auto found =
      errors(R"({"headers": {"Host": "x", "x-ok": "y", "a/b~c": "z", "x-v": "a\r\nb", "X-OK": "y"}})");
  CHECK(found.size() == 4);
  CHECK(found.contains("/headers/Host"));
  CHECK(found.contains("/headers/a~1b~0c"));
  CHECK(found.contains("/headers/x-v"));
  CHECK(found.at("/headers/X-OK") == "is given twice; header names are the same in upper and lower case");
}

TEST_CASE("headers together stay within their number and bytes") {
  Json headers = Json::object();
  for (int i = 0; i < 32; ++i) headers["x-" + std::to_string(i)] = "v";
  CHECK(errors(member("headers", dump(headers))).empty());
  headers["x-32"] = "v";
  CHECK(errors(member("headers", dump(headers))).size() == 1);
  const Json large = {{"x-a", std::string(4093, 'v')}, {"x-b", std::string(4093, 'v')}};
  CHECK(errors(member("headers", dump(large))).empty());
  const Json too_large = {{"x-a", std::string(4093, 'v')}, {"x-b", std::string(4094, 'v')}};
  CHECK(error(member("headers", dump(too_large)), "/headers").find("8192") != std::string::npos);
}

TEST_CASE("metadata has at most 4 KiB and 32 levels") {
  const auto sized = [](std::size_t n) { return R"({"metadata":{"k":")" + std::string(n - 8, 'x') + "\"}}"; };
  CHECK(errors(sized(4096)).empty());
  CHECK(error(sized(4097), "/metadata") == "must have at most 4096 bytes as JSON");
  const auto nested = [](std::size_t n) {
    return R"({"metadata":{"k":)" + std::string(n, '[') + std::string(n, ']') + "}}";
  };
  CHECK(errors(nested(31)).empty());
  CHECK(error(nested(200'000), "/metadata") == "must be nested at most 32 levels deep");
}

TEST_CASE("a rate limit is a count and a unit of time, and null takes it away") {
  CHECK(read(member("rate_limit", "\"30/m\""))->rate_limit == RateLimit{30, 1min});
  Endpoint limited = base();
  limited.rate_limit = RateLimit{5, 1h};
  CHECK(read(R"({"name": "x"})", limited)->rate_limit == RateLimit{5, 1h});
  CHECK_FALSE(read(R"({"rate_limit": null})", limited)->rate_limit);
  CHECK(error(member("rate_limit", "100"), "/rate_limit") == "must be a string");
  for (const char* bad : {"", "100", "/s", "0/s", "-1/s", "1.5/s", "1000001/s", "100/", "100/ms", "100/2s",
                          "100 /s", "100/s ", "100/S", "99999999999999999999/s"}) {
    CAPTURE(bad);
    CHECK(error(member("rate_limit", '"' + std::string(bad) + '"'), "/rate_limit") ==
          "must be 1 to 1000000 requests in an s, m, h or d, such as \"100/s\"");
  }
}

TEST_CASE("an order and what a failure does to it are one of their words") {
  const auto ordered = read(R"({"ordering": "endpoint", "on_failure_in_order": "skip"})");
  REQUIRE(ordered);
  CHECK(ordered->ordering == Ordering::kEndpoint);
  CHECK(ordered->on_failure_in_order == OnFailureInOrder::kSkip);
  CHECK(read(R"({"ordering": "none"})", *ordered)->ordering == Ordering::kNone);
  CHECK(error(member("ordering", "\"tenant\""), "/ordering") == "must be none, key or endpoint");
  CHECK(error(member("ordering", "null"), "/ordering") == "must be a string");
  CHECK(error(member("on_failure_in_order", "\"stop\""), "/on_failure_in_order") == "must be block or skip");
  CHECK(error(member("on_failure_in_order", "1"), "/on_failure_in_order") == "must be a string");
}

TEST_CASE("an operator's disabling has that reason and keeps an earlier one") {
  CHECK(read(R"({"state": "disabled"})")->disabled_reason == "operator");
  Endpoint gone = base();
  gone.state = EndpointState::kDisabled;
  gone.disabled_reason = "gone";
  CHECK(read(R"({"state": "disabled"})", gone)->disabled_reason == "gone");
  CHECK(read(R"({"state": "active"})", gone)->disabled_reason.empty());
  CHECK(read(R"({"state": "active"})", gone)->state == EndpointState::kActive);
  CHECK(read(R"({"name": "x"})", gone)->disabled_reason == "gone");
}

TEST_CASE("tls names files: absolute paths or credentials, certificate and key together") {
  const auto tls = read(
      R"({"tls": {"ca_file": "/etc/ca.pem", "client_cert": "credential:cert", "client_key": "credential:key"}})");
  REQUIRE(tls);
  CHECK(tls->tls == EndpointTls{"/etc/ca.pem", "credential:cert", "credential:key"});
  CHECK(read(R"({"name": "x"})", *tls)->tls == tls->tls);
  CHECK(read(R"({"tls": {"ca_file": "/other.pem"}})", *tls)->tls == EndpointTls{"/other.pem", "", ""});
  CHECK(read(R"({"tls": null})", *tls)->tls.empty());
  CHECK(read(R"({"tls": {}})", *tls)->tls.empty());
  CHECK(read(R"({"tls": {"ca_file": null}})", *tls)->tls.empty());
  for (const char* name : {"", "ca.pem", "../ca.pem", "file:///ca.pem", "credential:", "credential:..",
                           "credential:a/b", "/a b", "-----BEGIN CERTIFICATE-----\\nMIIB", "/a\\u0000b"}) {
    CAPTURE(name);
    CHECK(error(R"({"tls": {"ca_file": ")" + std::string(name) + "\"}}", "/tls/ca_file")
              .starts_with("must name a file"));
  }
  CHECK(error(member("tls", "\"/etc/ca.pem\""), "/tls").starts_with("must be an object"));
  CHECK(error(member("tls", R"({"ca_file": 1})"), "/tls/ca_file") == "must be a string");
  CHECK(error(member("tls", R"({"verify": false})"), "/tls/verify") == "is not a field of tls");
  CHECK(error(member("tls", R"({"client_cert": "/c.pem"})"), "/tls") ==
        "must have client_cert and client_key together, or neither");
  CHECK(error(member("tls", R"({"client_key": "/c.key"})"), "/tls") ==
        "must have client_cert and client_key together, or neither");
}

TEST_CASE("fields that outboxd sets and unknown fields are told apart") {
  CHECK(error(member("filter", "[]"), "/filter") ==
        "must be an object of JSON Pointers and conditions, or null");
  CHECK(error(member("filter", R"({"/a": {"gte": true}})"), "/filter/~1a/gte") ==
        "must be a number or a string: nothing else has an order");
  for (const char* name : {"id", "disabled_reason", "failing_since", "created_at", "updated_at"}) {
    CHECK(error(member(name, "\"x\""), "/" + std::string(name)) == "is set by outboxd and cannot be given");
  }
  CHECK(error(R"({"Url": "x"})", "/Url") == "is not a field of an endpoint; did you mean \"url\"?");
  CHECK(error(R"({"": "x"})", "/") == "is not a field of an endpoint");
  CHECK(error(R"({"a/b~": "x"})", "/a~1b~0") == "is not a field of an endpoint");
}

TEST_CASE("a refusal says what came, and what was probably meant, but repeats nothing that may be secret") {
  const auto detail = [](const std::string& text) {
    const auto result = read(text);
    REQUIRE_FALSE(result);
    return result.error().detail;
  };
  CHECK(detail(R"({"format":"standart"})") ==
        "/format must be raw, standard or cloudevents; got \"standart\"; did you mean \"standard\"?");
  CHECK(detail(R"({"timeout":"20"})") ==
        "/timeout must be a duration from 100ms to 5m, such as \"20s\"; got \"20\"");
  CHECK(detail(R"({"types":["a", 7]})") == "/types/1 must be a string; got 7");
  CHECK(detail(R"({"tls":{"ca":"/x"}})").find("got") == std::string::npos);
  CHECK(detail(R"({"tls":{"client_key":"-----BEGIN PRIVATE KEY-----"}})").find("BEGIN") == std::string::npos);
  CHECK(detail(R"({"secret":"whsec_s3cr3t!"})").find("s3cr3t") == std::string::npos);
  CHECK(detail(R"({"headers":{"X-Key":"s3cr3t\u0007"}})").find("s3cr3t") == std::string::npos);
  CHECK(detail(R"({"url":"https://a:s3cr3t@example.com/"})").find("s3cr3t") == std::string::npos);
  CHECK(detail(R"({"id":"ep_1"})") == "/id is set by outboxd and cannot be given");
}

TEST_CASE("all errors are reported at once, up to a bound, and the detail names the first") {
  const auto result = read(R"({"url": 1, "types": [], "timeout": "x", "color": 1})");
  REQUIRE_FALSE(result);
  CHECK(result.error().errors.size() == 4);
  CHECK(result.error().detail == "/url must be a string; got 1 (and 3 more)");
  std::string many = "{";
  for (int i = 0; i < 1000; ++i) many += (i == 0 ? "\"f" : ",\"f") + std::to_string(i) + "\":1";
  CHECK(read(many + "}").error().errors.size() == 64);
}

TEST_CASE("what an endpoint's answer shows can be sent back, but for what outboxd sets") {
  const auto first =
      read(R"({"types": ["a.*"], "headers": {"x-a": "1"}, "timeout": "90s", "retry_schedule": ["0s", "90s"],
                              "tls": {"ca_file": "/c.pem"}, "max_in_flight": 7, "rate_limit": "9/d", "ordering": "key", "on_failure_in_order": "skip",
                              "state": "paused", "metadata": {"k": 1}, "name": "n", "tenant": "t"})");
  REQUIRE(first);
  Json shown = to_json(*first);
  for (const char* name : {"id", "failing_since", "created_at", "updated_at"}) shown.erase(name);
  const auto second = endpoint_from_json(shown, Endpoint{});
  REQUIRE(second);
  Json again = to_json(*second);
  for (const char* name : {"id", "failing_since", "created_at", "updated_at"}) again.erase(name);
  CHECK(dump(again) == dump(shown));
}

TEST_CASE("a retry schedule is told which of its waits is wrong") {
  const auto parse = [](std::vector<std::string> waits) { return parse_retry_schedule(waits); };
  CHECK(parse({"0s", "5s", "30d"}) == std::vector<Millis>{0s, 5s, 720h});
  const auto refused = parse({"0s", "x", "5s", "31d"});
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().errors.size() == 2);
  CHECK(refused.error().errors[0].pointer == "/1");
  CHECK(refused.error().errors[1].pointer == "/3");
  CHECK_FALSE(parse({}));
  CHECK_FALSE(parse(std::vector<std::string>(65, "1s")));
}
