#include "common/json.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "common/text.h"

using namespace outboxd;
using namespace std::chrono_literals;

namespace {
const Time kCreated = from_unix_millis(1'764'429'660'123);

template <class AnyId>
AnyId an_id(const char* text) {
  return AnyId::parse(text).value();
}
}  // namespace

TEST_CASE("bytes that are no UTF-8 become replacement characters, the rest stays") {
  CHECK(valid_utf8("h\xC3\xA9 ok") == "h\xC3\xA9 ok");
  CHECK(valid_utf8("a\xFF"
                   "b\xC3") ==
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD");
  CHECK(rc::check([](const std::string& bytes) { RC_ASSERT(is_valid_utf8(valid_utf8(bytes))); }));
}

TEST_CASE("dumping never throws, whatever bytes are inside") {
  CHECK(rc::check([](const std::string& bytes) {
    const std::string text = dump(Json{{"x", bytes}});
    RC_ASSERT(is_valid_utf8(text));
    RC_ASSERT(Json::accept(text));
  }));
}

TEST_CASE("a problem is written as RFC 9457 says, with errors only where there are some") {
  CHECK(
      dump(to_json(Problem{ProblemCode::kNotFound, "no endpoint ep_1", {}})) ==
      R"({"type":"/problems/not-found","title":"There is no such resource","status":404,"detail":"no endpoint ep_1"})");
  const Json json =
      to_json(Problem{ProblemCode::kInvalidEvent, "d", {{"/type", "is required"}, {"/x", "unknown field"}}});
  CHECK(dump(json["errors"]) ==
        R"([{"pointer":"/type","detail":"is required"},{"pointer":"/x","detail":"unknown field"}])");
}

TEST_CASE("an event is written without its payload, and with null for what it has not") {
  Event event;
  event.id = an_id<EventId>("evt_019a00000000700080000000000000ab");
  event.type = "order.paid";
  event.tenant = "acme";
  event.payload = "{\"secret\":1}";
  event.created_at = kCreated;
  CHECK(
      dump(to_json(event)) ==
      R"({"id":"evt_019a00000000700080000000000000ab","type":"order.paid","tenant":"acme",)"
      R"("content_type":"application/json","ordering_key":null,"priority":5,"headers":{},"traceparent":null,)"
      R"("created_at":"2025-11-29T15:21:00.123Z","deliver_at":null,"expires_at":null})");
  event.ordering_key = "k";
  event.headers = {{"x-a", "1"}, {"x-b", "2"}};
  event.traceparent = "00-11-22-01";
  event.deliver_at = kCreated + 1s;
  event.expires_at = kCreated + 2s;
  const Json json = to_json(event);
  CHECK(json["ordering_key"] == "k");
  CHECK(dump(json["headers"]) == R"({"x-a":"1","x-b":"2"})");
  CHECK(json["traceparent"] == "00-11-22-01");
  CHECK(json["deliver_at"] == "2025-11-29T15:21:01.123Z");
  CHECK(json["expires_at"] == "2025-11-29T15:21:02.123Z");
}

TEST_CASE("an endpoint is written without its secrets") {
  Endpoint endpoint;
  endpoint.id = an_id<EndpointId>("ep_019a00000000700080000000000000cd");
  endpoint.url = "https://example.com/";
  endpoint.secrets = {{"whsec_do-not-show", kCreated, {}}};
  endpoint.created_at = endpoint.updated_at = kCreated;
  CHECK(
      dump(to_json(endpoint)) ==
      R"({"id":"ep_019a00000000700080000000000000cd","url":"https://example.com/","name":"","tenant":"","types":["**"],)"
      R"("filter":null,"headers":{},"auth":null,"signatures":[],"format":"raw","body_template":null,"content_type":null,)"
      R"("timeout":null,"retry_schedule":null,"max_in_flight":null,"rate_limit":null,"ordering":"none",)"
      R"("on_failure_in_order":"block","disable_after":"5d","state":"active","tls":null,"failing_since":null,)"
      R"("metadata":{},"created_at":"2025-11-29T15:21:00.123Z","updated_at":"2025-11-29T15:21:00.123Z"})");
  endpoint.state = EndpointState::kDisabled;
  endpoint.disabled_reason = "gone";
  endpoint.timeout = 90s;
  endpoint.retry_schedule = {0s, 5min};
  endpoint.max_in_flight = 3;
  endpoint.rate_limit = RateLimit{100, 1s};
  endpoint.ordering = Ordering::kKey;
  endpoint.on_failure_in_order = OnFailureInOrder::kSkip;
  endpoint.failing_since = kCreated + 5s;
  endpoint.metadata = R"({"b":1,"a":[]})";
  const Json json = to_json(endpoint);
  CHECK(json["disabled_reason"] == "gone");
  CHECK(json["timeout"] == "1m30s");
  CHECK(dump(json["retry_schedule"]) == R"(["0s","5m"])");
  CHECK(json["max_in_flight"] == 3);
  CHECK(json["rate_limit"] == "100/s");
  CHECK(json["ordering"] == "key");
  CHECK(json["on_failure_in_order"] == "skip");
  CHECK(json["failing_since"] == "2025-11-29T15:21:05.123Z");
  CHECK(dump(json["metadata"]) == R"({"b":1,"a":[]})");
}

TEST_CASE("a delivery shows when it is due only while it is pending") {
  const auto event = an_id<EventId>("evt_019a00000000700080000000000000ab");
  const auto endpoint = an_id<EndpointId>("ep_019a00000000700080000000000000cd");
  Delivery delivery;
  delivery.key = {7, 3};
  delivery.attempts = 2;
  delivery.due_at = kCreated + 5s;
  delivery.error = "http_5xx";
  delivery.created_at = kCreated;
  CHECK(
      dump(to_json(delivery, event, endpoint, "order.paid")) ==
      R"({"id":"dlv_019ad033ffdb70008000000700000003","event":"evt_019a00000000700080000000000000ab",)"
      R"("endpoint":"ep_019a00000000700080000000000000cd","type":"order.paid","state":"pending","reason":null,)"
      R"("attempts":2,"due_at":"2025-11-29T15:21:05.123Z","error":"http_5xx",)"
      R"("created_at":"2025-11-29T15:21:00.123Z","finished_at":null})");
  delivery.state = DeliveryState::kDead;
  delivery.reason = DeadReason::kTooLarge;
  delivery.finished_at = kCreated + 9s;
  const Json json = to_json(delivery, event, endpoint, "order.paid");
  CHECK(json["state"] == "dead");
  CHECK(json["reason"] == "too_large");
  CHECK(json["due_at"].is_null());
  CHECK(json["finished_at"] == "2025-11-29T15:21:09.123Z");
}

TEST_CASE("an attempt shows what came back, made printable, and null for what did not come") {
  Attempt attempt{.id = an_id<AttemptId>("att_019a00000000700080000000000000ef"),
                  .number = 2,
                  .started_at = kCreated,
                  .timings = {.dns = 0ms, .connect = 12ms, .tls = {}, .first_byte = {}, .total = 5000ms},
                  .outcome = Outcome::kTimeout,
                  .status = 0,
                  .error = "no answer within 5s",
                  .request_line = "POST https://example.com/",
                  .remote_address = "[2001:db8::1]:443",
                  .resent = true,
                  .response_headers = {},
                  .response_body = ""};
  CHECK(
      dump(to_json(attempt)) ==
      R"({"id":"att_019a00000000700080000000000000ef","number":2,"started_at":"2025-11-29T15:21:00.123Z",)"
      R"("timings":{"dns_ms":0,"connect_ms":12,"tls_ms":null,"first_byte_ms":null,"total_ms":5000},)"
      R"("outcome":"timeout","status":null,"error":"no answer within 5s","request_line":"POST https://example.com/",)"
      R"("remote_address":"[2001:db8::1]:443","resent":true,)"
      R"("response_headers":[],"response_body":"","response_body_bytes":0})");
  attempt.outcome = Outcome::kSuccess;
  attempt.status = 200;
  attempt.error.clear();
  attempt.remote_address.clear();
  attempt.response_headers = {{"set-cookie", "a"}, {"set-cookie", "b\xFF"}};
  attempt.response_body = "\xFFok";
  const Json json = to_json(attempt);
  CHECK(json["status"] == 200);
  CHECK(json["error"].is_null());
  CHECK(json["remote_address"].is_null());
  CHECK(dump(json["response_headers"]) ==
        "[{\"name\":\"set-cookie\",\"value\":\"a\"},{\"name\":\"set-cookie\",\"value\":\"b\xEF\xBF\xBD\"}]");
  CHECK(json["response_body"] == "\xEF\xBF\xBDok");
  CHECK(json["response_body_bytes"] == 3);
}
