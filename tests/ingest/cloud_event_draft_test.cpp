#include "ingest/cloud_event_draft.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/text.h"

using namespace outboxd;

namespace {

using Drafts = Result<std::vector<EventDraft>>;
using Headers = std::vector<HeaderField>;

const std::string kTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string object(const std::string& members = "") {
  return R"({"specversion":"1.0","type":"order.paid","source":"/shop","id":"1")" + members + "}";
}

Drafts parse(const std::string& body, EventBody kind = EventBody::kCloudEvent,
             const std::optional<std::string>& key = std::nullopt, EventLimits limits = {}) {
  return parse_events(kind, body, key, limits);
}

EventDraft one(const std::string& members, const std::optional<std::string>& key = std::nullopt) {
  Drafts drafts = parse(object(members), EventBody::kCloudEvent, key);
  REQUIRE_MESSAGE(drafts, (drafts ? "" : drafts.error().detail));
  return drafts->front();
}

Headers headers(Headers more = {}) {
  Headers all = {
      {"ce-specversion", "1.0"}, {"ce-type", "order.paid"}, {"ce-source", "/shop"}, {"ce-id", "1"}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

Drafts binary(const Headers& fields, const std::string& body,
              const std::optional<std::string>& key = std::nullopt, EventLimits limits = {}) {
  return parse_binary_cloud_event(fields, body, key, limits);
}

std::vector<std::string> pointers(const Drafts& drafts) {
  REQUIRE_FALSE(drafts);
  std::vector<std::string> all;
  for (const FieldError& error : drafts.error().errors) all.push_back(error.pointer);
  return all;
}
using Pointers = std::vector<std::string>;

}  // namespace

TEST_CASE("a CloudEvent fills the fields of an event, and keeps its attributes") {
  const EventDraft draft = one(R"(,"partitionkey":"c-7","outboxdtenant":"acme","traceparent":")" + kTrace +
                               R"(","data": {"n": 1.10} )");
  CHECK(draft.event.type == "order.paid");
  CHECK(draft.event.payload == R"({"n": 1.10})");
  CHECK(draft.event.content_type == "application/json");
  CHECK(draft.event.json_checked);
  CHECK(draft.event.tenant == "acme");
  CHECK(draft.event.ordering_key == "c-7");
  CHECK(draft.event.traceparent == kTrace);
  CHECK(draft.idempotency_key == "/shop 1");
  CHECK(draft.event.cloud_event ==
        R"({"specversion":"1.0","id":"1","source":"/shop","type":"order.paid","outboxdtenant":"acme",)"
        R"("partitionkey":"c-7","traceparent":")" +
            kTrace + "\"}");
}

TEST_CASE("a trace that is none is kept as an attribute, and not followed") {
  const EventDraft draft = one(R"(,"traceparent":"hello")");
  CHECK_FALSE(draft.event.traceparent);
  CHECK(draft.event.cloud_event->find("hello") != std::string::npos);
}

TEST_CASE("source and id are the idempotency key, a header comes before them") {
  CHECK(one("", "mine").idempotency_key == "mine");
  CHECK(idempotency_key_of("/a", "b c") == "/a b c");
  const std::string long_id(kMaxKeyLength, 'i');
  CHECK(idempotency_key_of("/", long_id.substr(2)) == "/ " + long_id.substr(2));
  CHECK(idempotency_key_of("/", long_id).size() == 71);
  CHECK(idempotency_key_of("/", long_id) != idempotency_key_of("/", long_id + 'i'));
  CHECK(pointers(parse(object(), EventBody::kCloudEvent, "\n")) == Pointers{"Idempotency-Key"});
  CHECK(pointers(parse("[" + object() + "]", EventBody::kCloudEventBatch, "k")) ==
        Pointers{"Idempotency-Key"});
}

TEST_CASE("what outboxd's own rules refuse") {
  CHECK(pointers(parse(R"({"specversion":"1.0","type":"a b","source":"/s","id":"1"})")) == Pointers{"/type"});
  CHECK(pointers(parse(object(R"(,"outboxdtenant":"_ops")"))) == Pointers{"/outboxdtenant"});
  CHECK(pointers(parse(object(R"(,"outboxdtenant":"a b")"))) == Pointers{"/outboxdtenant"});
  CHECK(pointers(parse(object(R"(,"outboxdpriority":9)"))) == Pointers{"/outboxdpriority"});
  CHECK(pointers(parse(object(R"(,"partitionkey":"")"))) == Pointers{"/partitionkey"});
  CHECK(pointers(parse(object(",\"partitionkey\":\"" + std::string(257, 'k') + '"'))) ==
        Pointers{"/partitionkey"});
  CHECK(pointers(parse(object(R"(,"datacontenttype":"nonsense")"))) == Pointers{"/datacontenttype"});
  CHECK(pointers(parse(R"({"specversion":"1.0","type":"a"})")) == Pointers{"/id", "/source"});
}

TEST_CASE("the shape of the body is that of its type, and errors name their place in a batch") {
  CHECK(pointers(parse("[" + object() + "]")) == Pointers{""});
  CHECK(pointers(parse("7")) == Pointers{""});
  CHECK(pointers(parse(object(), EventBody::kCloudEventBatch)) == Pointers{""});
  CHECK(pointers(parse("[" + object() + ",7]", EventBody::kCloudEventBatch)) == Pointers{"/1"});
  CHECK(pointers(parse("[" + object() + "," + object(R"(,"X":1)") + "]", EventBody::kCloudEventBatch)) ==
        Pointers{"/1/X"});
  CHECK(parse("[" + object() + "," + object() + "]", EventBody::kCloudEventBatch)->size() == 2);
  for (const EventBody kind : {EventBody::kCloudEvent, EventBody::kCloudEventBatch}) {
    for (const char* body : {"", "{", "[", "{\"a\":}", "[{}", "nul"}) {
      CAPTURE(body);
      REQUIRE_FALSE(parse(body, kind));
      CHECK(parse(body, kind).error().code == ProblemCode::kMalformed);
    }
  }
  CHECK(parse("[]", EventBody::kCloudEventBatch).error().code == ProblemCode::kInvalidEvent);
}

TEST_CASE("the limits are those of every event") {
  const EventLimits small{.event_bytes = 200, .batch_events = 2};
  const std::string large = object(",\"data\":\"" + std::string(200, 'x') + '"');
  CHECK(parse(large, EventBody::kCloudEvent, {}, small).error().code == ProblemCode::kTooLarge);
  CHECK(pointers(parse("[" + object() + "," + large + "]", EventBody::kCloudEventBatch, {}, small)) ==
        Pointers{"/1"});
  CHECK(parse("[" + object() + "," + object() + "," + object() + "]", EventBody::kCloudEventBatch, {}, small)
            .error()
            .code == ProblemCode::kTooLarge);
  CHECK(binary(headers(), std::string(200, 'x'), {}, small).error().code == ProblemCode::kTooLarge);
  CHECK(binary(headers({{"ce-x", std::string(200, 'x')}}), "1", {}, small).error().code ==
        ProblemCode::kTooLarge);
  CHECK(binary(headers({{"x-other", std::string(300, 'x')}}), "1", {}, small));
}

TEST_CASE("binary mode names the header that is wrong") {
  const Drafts good =
      binary(headers({{"Content-Type", "application/json"}, {"ce-outboxdtenant", "acme"}}), "{ }", "k");
  REQUIRE(good);
  CHECK(good->front().event.payload == "{ }");
  CHECK(good->front().event.tenant == "acme");
  CHECK(good->front().idempotency_key == "k");
  CHECK(pointers(binary(headers({{"ce-time", "now"}}), "")) == Pointers{"ce-time"});
  CHECK(pointers(binary(headers({{"ce-outboxdtenant", "_ops"}}), "")) == Pointers{"ce-outboxdtenant"});
  CHECK(pointers(binary(headers({{"Content-Type", "nonsense"}}), "1")) == Pointers{"Content-Type"});
  CHECK(pointers(binary(headers({{"ce-datacontenttype", "a/b"}}), "1")) == Pointers{"Content-Type"});
  CHECK(pointers(binary({{"ce-id", "1"}}, "")) == Pointers{"ce-specversion", "ce-source", "ce-type"});
  CHECK(binary(headers({{"Content-Type", "application/json"}}), "{").error().code == ProblemCode::kMalformed);
  CHECK(binary(headers({{"Content-Type", "text/plain"}}), "{")->front().event.payload == "{");
}

TEST_CASE("the same event has the same digest, whatever its order and its trace") {
  const auto digest = [](const std::string& members) { return content_digest(one(members)); };
  const std::string some = digest(R"(,"subject":"s","x":1)");
  CHECK(digest(R"(,"x":1,"subject":"s")") == some);
  CHECK(digest(R"(,"subject":"s","x":1,"traceparent":"t","tracestate":"u")") == some);
  CHECK(digest(R"(,"subject":"s","x":"1")") != some);
  CHECK(digest(R"(,"subject":"t","x":1)") != some);
  CHECK(digest("") != some);
  EventDraft plain = one("");
  plain.event.cloud_event.reset();
  CHECK(content_digest(plain) != digest(""));
}
