#include "delivery/request_builder.h"

#include <doctest/doctest.h>

#include "common/json.h"
#include "common/text.h"

using namespace outboxd;

namespace {

std::string body_of(PayloadFormat format, std::string payload, std::string content_type) {
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->url = "https://example.com/hook";
  endpoint->format = format;
  auto event = std::make_shared<Event>();
  event->type = "order.paid";
  event->payload = std::move(payload);
  event->content_type = std::move(content_type);
  return *build_request(*make_target(endpoint, {}), event, 1, Time{}, "").body;
}

constexpr std::int64_t kSeconds = 1'614'265'330;

struct Shape {
  Endpoint endpoint;
  Event event;

  Shape() {
    endpoint.url = "https://example.com/hook";
    event.type = "order.paid";
    event.seq = 41;
    event.payload = R"({"id": 1.10, "who": "Ann \"A\""})";
  }
  SendRequest request(int number = 1) const {
    return build_request(*make_target(std::make_shared<Endpoint>(endpoint), {}),
                         std::make_shared<Event>(event), number, Time{std::chrono::seconds(kSeconds)}, "");
  }
  void use(const std::string& body_template) {
    auto parsed = BodyTemplate::parse(body_template);
    REQUIRE(parsed);
    endpoint.body_template = std::move(*parsed);
  }
};

// The values of a header, however its name is written.
std::vector<std::string> values(const SendRequest& request, std::string_view name) {
  std::vector<std::string> found;
  for (const auto* const headers : {&request.to->headers, &request.headers}) {
    for (const HeaderField& field : headers->fields()) {
      if (ascii_iequals(field.name, name)) found.push_back(field.value);
    }
  }
  return found;
}
std::string value(const SendRequest& request, std::string_view name) {
  const auto all = values(request, name);
  CHECK(all.size() == 1);
  return all.empty() ? "" : all.front();
}

constexpr PayloadFormat kEnvelopes[] = {PayloadFormat::kStandard, PayloadFormat::kCloudEvents};

}  // namespace

TEST_CASE("an envelope keeps the bytes of a JSON payload") {
  for (const PayloadFormat format : kEnvelopes) {
    for (const char* type : {"application/json", "Application/vnd.x+JSON ; a=b"})
      CHECK(body_of(format, "{\"n\": 1.10, \"n\": 1e400}", type)
                .ends_with(R"("data":{"n": 1.10, "n": 1e400}})"));
  }
}

TEST_CASE("no payload brings members of its own into an envelope, whatever its content type says of it") {
  for (const PayloadFormat format : kEnvelopes) {
    for (const char* type : {"application/json", "application/vnd.x+json", "text/plain", "nonsense"}) {
      for (const char* payload :
           {R"(1,"type":"evil")", R"(1},"type":{"a":2)", "", " ", "{", "\xff", "1 //"}) {
        CAPTURE(payload);
        const Json body = Json::parse(body_of(format, payload, type));
        CHECK(body["type"] == "order.paid");
        CHECK_FALSE(body.contains("data"));
        CHECK(body.size() == (format == PayloadFormat::kStandard ? 3 : 7));
        CHECK(body["data_base64"].is_string());
      }
    }
  }
  CHECK(body_of(PayloadFormat::kRaw, R"(1,"type":"evil")", "application/json") == R"(1,"type":"evil")");
}

TEST_CASE("a template makes the body, which is JSON whatever the payload was") {
  Shape shape;
  shape.use(R"({"text": "{{/who}} paid {{/id}}", "n": {{/id}}})");
  CHECK(*shape.request().body == R"({"text": "Ann \"A\" paid 1.10", "n": 1.10})");
  CHECK(value(shape.request(), "content-type") == "application/json");
  for (const char* const type : {"text/plain", "application/json"}) {  // the latter: a row edited by hand
    shape.event.content_type = type;
    shape.event.payload = "\xff{";
    CHECK(*shape.request().body == R"({"text": "null paid null", "n": null})");
    CHECK(value(shape.request(), "content-type") == "application/json");
  }
}

TEST_CASE("an endpoint's content type goes before that of the body, in every format") {
  Shape shape;
  shape.endpoint.content_type = "application/vnd.shop+json";
  for (const PayloadFormat format :
       {PayloadFormat::kRaw, PayloadFormat::kStandard, PayloadFormat::kCloudEvents}) {
    shape.endpoint.format = format;
    CHECK(value(shape.request(), "content-type") == "application/vnd.shop+json");
  }
  shape.endpoint.format = PayloadFormat::kRaw;
  shape.use("{{}}");
  CHECK(value(shape.request(), "content-type") == "application/vnd.shop+json");
}

TEST_CASE("each signature signs the body that is sent, beside those of Standard Webhooks") {
  Shape shape;
  shape.use(R"(["{{/who}}"])");
  shape.endpoint.secrets = {{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", {}, {}}};
  LegacySignature github = github_signature(), stripe = stripe_signature(), hmac;
  github.secret = "g";
  stripe.secret = "s";
  hmac.secret = "h";
  hmac.header = "X-Shop-Hmac";
  hmac.over = SignatureOver::kIdTimestampBody;
  shape.endpoint.signatures = {github, stripe, hmac};
  const SendRequest request = shape.request();
  for (const LegacySignature& how : shape.endpoint.signatures) {
    const HeaderField expected =
        LegacySigner(how).sign(shape.event.id.to_string(), kSeconds, R"(["Ann \"A\""])");
    CHECK(value(request, expected.name) == expected.value);
  }
  CHECK(value(request, "webhook-timestamp") == std::to_string(kSeconds));
  CHECK(value(request, "webhook-signature") ==
        SigningKey::parse(shape.endpoint.secrets[0].text)
            ->sign(shape.event.id.to_string(), kSeconds, R"(["Ann \"A\""])"));
}

TEST_CASE("credentials are a header of each request, whatever the event brings") {
  Shape shape;
  shape.event.headers = {{"Authorization", "Bearer of the producer"}, {"x-api-key", "of the producer"}};
  shape.endpoint.auth = EndpointAuth{AuthScheme::kBearer, "", "t-1"};
  CHECK(value(shape.request(), "authorization") == "Bearer t-1");
  shape.endpoint.auth = EndpointAuth{AuthScheme::kBasic, "Aladdin", "open sesame"};
  CHECK(value(shape.request(), "authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  shape.endpoint.auth = EndpointAuth{AuthScheme::kHeader, "X-Api-Key", "k"};
  CHECK(value(shape.request(), "x-api-key") == "k");
}

TEST_CASE("what is in order has its number, the same in every attempt") {
  Shape shape;
  shape.event.ordering_key = "customer-1";
  CHECK(values(shape.request(), "outboxd-sequence").empty());
  for (const Ordering ordering : {Ordering::kKey, Ordering::kEndpoint}) {
    shape.endpoint.ordering = ordering;
    const std::string first = value(shape.request(), "outboxd-sequence");
    CHECK(value(shape.request(7), "outboxd-sequence") == first);
    Shape later = shape;
    ++later.event.seq;
    CHECK(std::stoll(value(later.request(), "outboxd-sequence")) > std::stoll(first));
  }
  shape.event.ordering_key.reset();
  CHECK(values(shape.request(), "outboxd-sequence").size() == 1);
  Shape test = shape;
  test.event.seq = 0;
  CHECK(values(test.request(), "outboxd-sequence").empty());
  shape.endpoint.ordering = Ordering::kKey;
  CHECK(values(shape.request(), "outboxd-sequence").empty());
}

TEST_CASE("an event that came as a CloudEvent leaves with its attributes where they are asked for") {
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->url = "https://example.com/hook";
  endpoint->format = PayloadFormat::kCloudEvents;
  auto event = std::make_shared<Event>();
  event->type = "order.paid";
  event->payload = "1.0";
  event->cloud_event = R"({"specversion":"1.0","id":"A-1","source":"/shop","type":"order.paid","n":7})";
  const auto request = build_request(*make_target(endpoint, {}), event, 1, Time{}, "");
  CHECK(*request.body == R"({"specversion":"1.0","id":"A-1","source":"/shop","type":"order.paid","n":7,)"
                         R"("datacontenttype":"application/json","data":1.0})");
  CHECK(value(request, "content-type") == "application/cloudevents+json");
  endpoint->format = PayloadFormat::kStandard;
  CHECK(build_request(*make_target(endpoint, {}), event, 1, Time{}, "").body->find("A-1") ==
        std::string::npos);
}

TEST_CASE("what is the same in each request to an endpoint is prepared once, and shared by them") {
  Endpoint endpoint;
  endpoint.url = "https://example.com/hook";
  endpoint.headers = {{"x-shop", "7"}};
  endpoint.auth = EndpointAuth{AuthScheme::kBearer, "", "t-1"};
  endpoint.format = PayloadFormat::kStandard;
  endpoint.tls.ca_file = "ca.pem";
  endpoint.timeout = Millis(3'000);
  RequestDefaults defaults;
  defaults.user_agent = "outboxd/9";
  const Target target = *make_target(std::make_shared<Endpoint>(endpoint), defaults);
  auto event = std::make_shared<Event>();
  event->type = "order.paid";
  event->payload = "{}";
  event->headers = {{"X-Shop", "of the event"}, {"x-more", "1"}};
  const SendRequest first = build_request(target, event, 1, Time{}, "");
  const SendRequest second = build_request(target, event, 2, Time{}, "");
  CHECK(first.to == second.to);
  CHECK(first.to->opening == "POST /hook HTTP/1.1\r\nHost: example.com\r\n");
  CHECK(first.to->headers.lines() ==
        "content-type: application/json\r\nuser-agent: outboxd/9\r\nx-shop: 7\r\n"
        "authorization: Bearer t-1\r\n");
  CHECK(first.to->tls->ca_file == "ca.pem");
  CHECK(second.headers.lines() == "webhook-id: " + event->id.to_string() +
                                      "\r\nwebhook-timestamp: 0\r\noutboxd-event-type: order.paid\r\n"
                                      "outboxd-attempt: 2\r\nx-more: 1\r\n");
  CHECK(first.timeout == Millis(3'000));
  CHECK(first.connect_timeout == Millis(3'000));
}

TEST_CASE("what a row that was edited by hand asks for is refused before it is sent") {
  Shape shape;
  CHECK(shape.request().refusal().empty());
  Shape forged = shape;
  forged.endpoint.headers = {{"webhook-id", "evt_2"}};
  CHECK(forged.request().refusal() == "the header webhook-id is set by outboxd or belongs to the connection");
  forged = shape;
  forged.event.headers = {{"x-a", "1\r\nwebhook-id: 2"}};
  CHECK_FALSE(forged.request().refusal().empty());
  forged = shape;
  forged.event.type = "order\r\nx-a: 1";
  CHECK(forged.request().refusal() == "request header outboxd-event-type holds control characters");
  CHECK(values(forged.request(), "x-a").empty());
}
