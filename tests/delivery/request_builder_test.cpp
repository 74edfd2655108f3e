#include "delivery/request_builder.h"

#include <doctest/doctest.h>

#include "common/json.h"

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
  return *build_request(*make_target(endpoint), event, 1, Time{}, "", {}).body;
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
