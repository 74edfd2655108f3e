#include "ingest/event_parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "common/media_type.h"
#include "common/text.h"
#include "ingest/event_rules.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {

Result<std::vector<EventDraft>> parse(std::string_view body, EventBody kind = EventBody::kJson,
                                      const std::optional<std::string>& key = std::nullopt,
                                      EventLimits limits = {}) {
  return parse_events(kind, body, key, limits);
}

EventDraft one(std::string_view body) {
  auto drafts = parse(body);
  REQUIRE_MESSAGE(drafts, (drafts ? "" : drafts.error().detail));
  REQUIRE(drafts->size() == 1);
  return drafts->front();
}

// An event with `members` beside a good type and payload.
std::string with(const std::string& members) {
  return R"({"type":"a.b","payload":1,)" + members + "}";
}

std::vector<std::string> pointers(const Result<std::vector<EventDraft>>& result) {
  REQUIRE_FALSE(result);
  std::vector<std::string> all;
  for (const auto& error : result.error().errors) all.push_back(error.pointer);
  return all;
}

using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE("a payload keeps its bytes: numbers, key order, white space inside, escapes and non-ASCII") {
  for (const std::string payload :
       {R"({"z":1.10,"a":12345678901234567890,"e":1e400, "s":"gr\u00fc\u00df \ud83d"})",
        "{\"\xc3\xbc\":\"\xe2\x82\xac\"}", "null", "false", "-0.0", "\"text\"", "[1 , 2 ,\n3]",
        R"({"a":1,"a":2})"}) {
    CAPTURE(payload);
    CHECK(one(R"({"type":"a.b","payload": )" + payload + " }").event.payload == payload);
    CHECK(one(R"({"payload":)" + payload + R"(,"type":"a.b"})").event.payload == payload);
    CHECK(one(R"({"pay\u006coad":)" + payload + R"(,"type":"a.b"})").event.payload == payload);
  }
}

TEST_CASE("every field arrives in the draft") {
  const auto draft = one(
      R"({"type":"order.paid","payload":{},"tenant":"acme","idempotency_key":"k\u00e9y","ordering_key":"o 1",
    "priority":9,"headers":{"X-One":"1","X-Two":"zwei"},"deliver_at":"2026-11-23T16:00:00+01:00","expires_at":"2026-11-24T00:00:00.5Z",
    "content_type":"application/vnd.acme+json; v=1"})");
  const Event& event = draft.event;
  CHECK(event.type == "order.paid");
  CHECK(event.tenant == "acme");
  CHECK(draft.idempotency_key == "k\xc3\xa9y");
  CHECK(event.ordering_key == "o 1");
  CHECK(event.priority == 9);
  CHECK(event.headers == std::vector<HeaderField>{{"X-One", "1"}, {"X-Two", "zwei"}});
  CHECK(event.deliver_at == parse_time("2026-11-23T15:00:00Z"));
  CHECK(event.expires_at == parse_time("2026-11-24T00:00:00.500Z"));
  CHECK(event.content_type == "application/vnd.acme+json; v=1");
  const auto relative = one(with(R"("delay":"5m","ttl":"2h30m")"));
  CHECK(relative.delay == 5min);
  CHECK(relative.ttl == 150min);
}

TEST_CASE("what is left out has its default") {
  const auto draft = one(R"({"type":"a","payload":1})");
  CHECK(draft.event.tenant.empty());
  CHECK(draft.event.priority == kDefaultPriority);
  CHECK(draft.event.content_type == "application/json");
  CHECK_FALSE(draft.idempotency_key);
  CHECK_FALSE(draft.event.ordering_key);
  CHECK_FALSE(draft.delay);
  CHECK_FALSE(draft.ttl);
}

TEST_CASE("payload_base64 gives bytes, and wants a content_type") {
  CHECK(one(R"({"type":"a","payload_base64":"AP8K","content_type":"image/png"})").event.payload ==
        std::string("\0\xff\n", 3));
  CHECK(one(R"({"type":"a","payload_base64":"","content_type":"text/plain"})").event.payload.empty());
  CHECK(pointers(parse(R"({"type":"a","payload_base64":"AP8K"})")) == Pointers{"/content_type"});
  CHECK(pointers(parse(R"({"type":"a","payload_base64":"A P8K","content_type":"image/png"})")) ==
        Pointers{"/payload_base64"});
  CHECK(pointers(parse(R"({"type":"a","payload_base64":7,"content_type":"image/png"})")) ==
        Pointers{"/payload_base64"});
  CHECK(pointers(parse(R"({"type":"a","payload":1,"payload_base64":"","content_type":"image/png"})")) ==
        Pointers{"/payload_base64"});
}

TEST_CASE("bytes that are called JSON are JSON") {
  const auto event = [](std::string_view bytes, const std::string& type) {
    return R"({"type":"a","payload_base64":")" + base64_encode(bytes) + R"(","content_type":")" + type +
           "\"}";
  };
  for (const char* type : {"application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"}) {
    CAPTURE(type);
    CHECK(one(event(R"( {"a":1.10})", type)).event.payload == R"( {"a":1.10})");
    for (const char* bytes : {R"(1,"type":"evil")", "", "{", "1 2", "\"\xff\"", R"(1},{"a":2)"}) {
      CAPTURE(bytes);
      const auto result = parse(event(bytes, type));
      CHECK(pointers(result) == Pointers{"/payload_base64"});
      CHECK(result.error().errors[0].detail.find("at byte") != std::string::npos);
    }
  }
  CHECK(one(event(R"(1,"type":"evil")", "text/plain")).event.payload == R"(1,"type":"evil")");
  // What is wrong already is not judged twice.
  CHECK(pointers(parse(event("x", "nonsense"))) == Pointers{"/content_type"});
}

TEST_CASE("expires_at lies after the request, and deliver_at at most 365 days") {
  const Time now = *parse_time("2026-06-01T12:00:00Z");
  const auto at = [&](const std::string& members) {
    return parse_events(EventBody::kJson, with(members), std::nullopt, {}, now);
  };
  CHECK(at(R"("expires_at":"2026-06-01T12:00:00.001Z")"));
  CHECK(pointers(at(R"("expires_at":"2026-06-01T12:00:00Z")")) == Pointers{"/expires_at"});
  CHECK(pointers(at(R"("expires_at":"2020-01-01T00:00:00Z")")) == Pointers{"/expires_at"});
  CHECK(at(R"("deliver_at":"2027-06-01T12:00:00Z")"));
  CHECK(at(R"("deliver_at":"2020-01-01T00:00:00Z")"));
  CHECK(pointers(at(R"("deliver_at":"2027-06-01T12:00:00.001Z")")) == Pointers{"/deliver_at"});
  // One of a kind with one of the other.
  CHECK(pointers(at(R"("delay":"2h","expires_at":"2026-06-01T13:00:00Z")")) == Pointers{"/expires_at"});
  CHECK(at(R"("delay":"1h","expires_at":"2026-06-01T14:00:00Z")"));
  CHECK(pointers(at(R"("deliver_at":"2026-06-01T14:00:00Z","ttl":"1h")")) == Pointers{"/ttl"});
  CHECK(at(R"("deliver_at":"2026-06-01T12:30:00Z","ttl":"1h")"));
}

TEST_CASE("a bad field is refused with its pointer") {
  const std::string long_key(257, 'k');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"("tenant":7)", "/tenant"},
      {R"("tenant":"a\u0000b")", "/tenant"},
      {R"("tenant":")" + std::string(129, 't') + '"', "/tenant"},
      {R"("tenant":null)", "/tenant"},
      {R"("idempotency_key":"")", "/idempotency_key"},
      {R"("idempotency_key":")" + long_key + '"', "/idempotency_key"},
      {R"("idempotency_key":"\u0085")", "/idempotency_key"},
      {R"("idempotency_key":"\ud800")", "/idempotency_key"},
      {R"("ordering_key":")" + long_key + '"', "/ordering_key"},
      {R"("ordering_key":["a"])", "/ordering_key"},
      {R"("priority":10)", "/priority"},
      {R"("priority":-1)", "/priority"},
      {R"("priority":5.0)", "/priority"},
      {R"("priority":"5")", "/priority"},
      {R"("priority":99999999999999999999)", "/priority"},
      {R"("deliver_at":"tomorrow")", "/deliver_at"},
      {R"("deliver_at":1700000000)", "/deliver_at"},
      {R"("delay":"5 minutes")", "/delay"},
      {R"("delay":"366d")", "/delay"},
      {R"("delay":"-1s")", "/delay"},
      {R"("expires_at":true)", "/expires_at"},
      {R"("ttl":"0s")", "/ttl"},
      {R"("ttl":"366d")", "/ttl"},
      {R"("content_type":"json")", "/content_type"},
      {R"("content_type":"text/plain\r\nX: y")", "/content_type"},
      {R"("headers":["X"])", "/headers"},
      {R"("headers":{"X-A":1})", "/headers"},
      {R"("headers":{"webhook-id":"1"})", "/headers"},
      {R"("headers":{"X A":"1"})", "/headers"},
      {R"("headers":{"X-A":"1\r\nX-B: 2"})", "/headers"},
      {R"("headers":{"X-A":"1","x-a":"2"})", "/headers"},
      {R"("traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")", "/traceparent"},
      {R"("tenant":"_ops")", "/tenant"},
      {R"("color":"red")", "/color"},
      {R"("a/b~":1)", "/a~1b~0"},
      {R"("payload":2)", "/payload"},
      {R"("t\u0079pe":"a.c")", "/type"},
  };
  for (const auto& [members, pointer] : cases) {
    const auto& shown = members;
    CAPTURE(shown);
    const auto result = parse(with(members));
    CHECK(pointers(result) == Pointers{pointer});
    CHECK(result.error().code == ProblemCode::kInvalidEvent);
  }
}

TEST_CASE("fields that exclude each other are refused, and so is an end before the beginning") {
  CHECK(pointers(parse(with(R"("deliver_at":"2026-01-01T00:00:00Z","delay":"1s")"))) == Pointers{"/delay"});
  CHECK(pointers(parse(with(R"("expires_at":"2026-01-01T00:00:00Z","ttl":"1s")"))) == Pointers{"/ttl"});
  CHECK(pointers(parse(with(R"("deliver_at":"2026-01-02T00:00:00Z","expires_at":"2026-01-01T00:00:00Z")"))) ==
        Pointers{"/expires_at"});
  CHECK(pointers(parse(with(R"("delay":"2s","ttl":"1s")"))) == Pointers{"/ttl"});
}

TEST_CASE("type and payload are required, and all bad fields are named at once") {
  CHECK(pointers(parse("{}")) == Pointers{"/type", "/payload"});
  CHECK(pointers(parse(R"({"type":"..","payload":1,"priority":"x","nope":0})")) ==
        Pointers{"/type", "/priority", "/nope"});
  for (const char* type : {"\"\"", "\".a\"", "\"a.\"", "\"a..b\"", "\"a b\"", "\"\xc3\xa9\"", "7", "null"}) {
    CAPTURE(type);
    CHECK(pointers(parse(R"({"payload":1,"type":)" + std::string(type) + "}")) == Pointers{"/type"});
  }
  CHECK_FALSE(parse(R"({"payload":1,"type":")" + std::string(129, 'a') + "\"}"));
  CHECK(parse(R"({"payload":1,"type":")" + std::string(128, 'a') + "\"}"));
}

TEST_CASE("headers are bounded in number and bytes") {
  std::string many, large;
  for (int i = 0; i < 33; ++i) many += (i ? "," : "") + std::string("\"X-") + std::to_string(i) + "\":\"v\"";
  for (int i = 0; i < 3; ++i)
    large +=
        (i ? "," : "") + std::string("\"X-") + std::to_string(i) + "\":\"" + std::string(3000, 'v') + '"';
  CHECK(pointers(parse(with("\"headers\":{" + many + "}"))) == Pointers{"/headers"});
  CHECK(pointers(parse(with("\"headers\":{" + large + "}"))) == Pointers{"/headers"});
}

TEST_CASE("an unknown field with a huge name is not repeated in full, nor cut within a character") {
  std::string name;
  for (int i = 0; i < 5000; ++i) name += "\xe2\x82\xac";
  const auto result = parse(with('"' + name + "\":1"));
  REQUIRE(pointers(result).size() == 1);
  CHECK(pointers(result)[0] == "/" + name.substr(0, 63));
}

TEST_CASE("a batch is an array, all or none, and errors say which event") {
  const auto drafts = parse(R"([{"type":"a","payload":1},{"type":"b","payload":2}])");
  REQUIRE(drafts);
  REQUIRE(drafts->size() == 2);
  CHECK((*drafts)[1].event.type == "b");
  const auto bad = parse(R"([{"type":"a","payload":1},{"type":"b"},7,{"type":"!","payload":1,"x":1}])");
  CHECK(pointers(bad) == Pointers{"/1/payload", "/2", "/3/type", "/3/x"});
}

TEST_CASE("an empty batch, and a body that is no event, are refused") {
  CHECK(parse("[]").error().code == ProblemCode::kInvalidEvent);
  CHECK(parse("\n\n", EventBody::kNdjson).error().code == ProblemCode::kInvalidEvent);
  for (const char* body : {"7", "\"x\"", "null", "true"}) CHECK(pointers(parse(body)) == Pointers{""});
}

TEST_CASE("text that is not JSON is malformed, and the message says where") {
  for (const char* body : {"", "{", R"({"type":"a","payload":})", R"({"type":"a","payload":1}x)", "[{}",
                           "\xef\xbb\xbf{}", "{\"type\":\"\xff\"}"}) {
    CAPTURE(body);
    const auto result = parse(body);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ProblemCode::kMalformed);
    CHECK(result.error().detail.find("at byte ") != std::string::npos);
  }
  CHECK(parse(std::string_view("{\"type\":\"a\",\"payload\":1}\0x", 26)).error().code ==
        ProblemCode::kMalformed);
  const auto deep = R"({"type":"a","payload":)" + std::string(200, '[') + std::string(200, ']') + "}";
  CHECK(parse(deep).error().code == ProblemCode::kMalformed);
}

TEST_CASE("NDJSON is one event a line: blank lines and CRLF do not count, errors say the line") {
  const auto drafts =
      parse("{\"type\":\"a\",\"payload\":1}\r\n\n  \n{\"type\":\"b\",\"payload\":[2 ]}", EventBody::kNdjson);
  REQUIRE(drafts);
  REQUIRE(drafts->size() == 2);
  CHECK((*drafts)[1].event.payload == "[2 ]");
  const auto malformed = parse("{\"type\":\"a\",\"payload\":1}\n{\"type\":", EventBody::kNdjson);
  REQUIRE_FALSE(malformed);
  CHECK(malformed.error().code == ProblemCode::kMalformed);
  CHECK(malformed.error().detail.find("line 2") != std::string::npos);
  CHECK(parse("{\"type\":\"a\",\"payload\":1} {\"type\":\"b\",\"payload\":1}", EventBody::kNdjson)
            .error()
            .code == ProblemCode::kMalformed);
  CHECK(pointers(parse("{\"type\":\"a\",\"payload\":1}\n[]\n{}", EventBody::kNdjson)) ==
        Pointers{"/1", "/2/type", "/2/payload"});
}

TEST_CASE("an event or a batch over its limit is too large") {
  const EventLimits limits{.event_bytes = 64, .batch_events = 2};
  const std::string event = R"({"type":"a","payload":")";
  const std::string fits = event + std::string(64 - event.size() - 2, 'x') + "\"}";
  REQUIRE(fits.size() == 64);
  CHECK(parse(fits, EventBody::kJson, {}, limits));
  CHECK(parse("  " + fits + "  ", EventBody::kJson, {}, limits));
  const auto large =
      parse('[' + fits + ',' + event + std::string(64, 'x') + "\"}]", EventBody::kJson, {}, limits);
  REQUIRE_FALSE(large);
  CHECK(large.error().code == ProblemCode::kTooLarge);
  CHECK(pointers(large) == Pointers{"/1"});
  CHECK(parse('[' + fits + ',' + fits + ']', EventBody::kJson, {}, limits));
  CHECK(parse('[' + fits + ',' + fits + ',' + fits + ']', EventBody::kJson, {}, limits).error().code ==
        ProblemCode::kTooLarge);
  CHECK(parse(fits + '\n' + fits + '\n' + fits, EventBody::kNdjson, {}, limits).error().code ==
        ProblemCode::kTooLarge);
}

TEST_CASE("the Idempotency-Key header serves a single event and must not contradict its field") {
  const std::string plain = R"({"type":"a","payload":1})";
  CHECK(parse(plain, EventBody::kJson, "k1")->front().idempotency_key == "k1");
  CHECK(parse(with(R"("idempotency_key":"k1")"), EventBody::kJson, "k1")->front().idempotency_key == "k1");
  CHECK(pointers(parse(with(R"("idempotency_key":"k2")"), EventBody::kJson, "k1")) ==
        Pointers{"/idempotency_key"});
  for (const std::string key : {"", "a\tb", "\xff"})
    CHECK(pointers(parse(plain, EventBody::kJson, key)) == Pointers{"Idempotency-Key"});
  CHECK(pointers(parse(plain, EventBody::kJson, std::string(257, 'k'))) == Pointers{"Idempotency-Key"});
  CHECK(pointers(parse('[' + plain + ']', EventBody::kJson, "k1")) == Pointers{"Idempotency-Key"});
  CHECK(pointers(parse(plain, EventBody::kNdjson, "k1")) == Pointers{"Idempotency-Key"});
}

TEST_CASE("however many errors a body has, few are reported") {
  std::string body = "[7";
  for (int i = 0; i < 900; ++i) body += ",7";
  CHECK(pointers(parse(body + ']')).size() == 100);
}

TEST_CASE("the digest tells contents apart, and ignores the key and the trace") {
  const auto digest = [](const std::string& members) { return content_digest(one(with(members))); };
  const std::string base = content_digest(one(R"({"type":"a.b","payload":1})"));
  CHECK(base.size() == 32);
  CHECK(base == digest(R"("idempotency_key":"k")"));
  CHECK(base == digest(R"("priority":5)"));
  auto traced = one(R"({"type":"a.b","payload":1})");
  traced.event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(base == content_digest(traced));
  for (const char* members :
       {R"("tenant":"t")", R"("priority":4)", R"("ordering_key":"o")", R"("delay":"1s")", R"("ttl":"1s")",
        R"("deliver_at":"2026-01-01T00:00:00Z")", R"("expires_at":"2026-01-01T00:00:00Z")",
        R"("headers":{"X":"1"})", R"("content_type":"application/x")"}) {
    CAPTURE(members);
    CHECK(base != digest(members));
  }
  CHECK(base != content_digest(one(R"({"type":"a.b","payload":2})")));
  CHECK(digest(R"("delay":"1s")") != digest(R"("ttl":"1s")"));
  CHECK(digest(R"("headers":{"X":"1","Y":"2"})") != digest(R"("headers":{"Y":"2","X":"1"})"));
}

TEST_CASE("media types are read as RFC 9110 writes them") {
  for (const char* good : {"a/b", "application/json", "text/plain; charset=utf-8",
                           "text/plain;charset=\"utf-8\" ; x=y", "application/vnd.a+json"})
    CHECK(is_media_type(good));
  for (const char* bad : {"", "a", "/b", "a/", "a/b;", "a/b; x", "a/b; x=", "a/b x", "a/b; x=\"y", "a\x01/b",
                          "a/b; x=\"\n\""}) {
    CAPTURE(bad);
    CHECK_FALSE(is_media_type(bad));
  }
  CHECK_FALSE(is_media_type("a/" + std::string(255, 'b')));
}

TEST_CASE("a traceparent must be well formed") {
  CHECK(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
  for (const char* bad : {"", "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                          "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
                          "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_traceparent(bad));
  }
}

TEST_CASE("a small event is parsed within microseconds") {
  const std::string body =
      R"({"type":"order.paid","payload":{"id":42,"amount":"19.90","currency":"CHF","customer":{"id":7,"name":"Anna"}},"ordering_key":"c-7"})";
  constexpr int kRounds = 20'000;
  const auto start = std::chrono::steady_clock::now();
  std::size_t bytes = 0;
  for (int i = 0; i < kRounds; ++i) bytes += parse(body)->front().event.payload.size();
  const auto each = (std::chrono::steady_clock::now() - start) / kRounds;
  MESSAGE("one small event: ", std::chrono::duration_cast<std::chrono::nanoseconds>(each).count(), " ns");
  CHECK(bytes > 0);
  CHECK(each < std::chrono::microseconds(200));  // sanitizers and busy machines included; the bench measures
}
