#include <doctest/doctest.h>

#include <sstream>

#include "common/text.h"
#include "ctl/api_client.h"
#include "ctl/event_batch.h"
#include "ctl/event_body.h"
#include "ctl/fail_spec.h"
#include "ctl/status.h"
#include "ctl/validators.h"
#include "ctl/whole_id.h"

using namespace outboxd;
using namespace outboxd::ctl;

TEST_CASE("an HTTP status becomes the exit status of the contract") {
  CHECK(exit_code_of_status(202) == 0);
  CHECK(exit_code_of_status(404) == 3);
  for (const int refused : {400, 401, 403, 409, 413, 422, 429}) CHECK(exit_code_of_status(refused) == 4);
  for (const int failed : {302, 500, 503, 507}) CHECK(exit_code_of_status(failed) == 1);
}

TEST_CASE("several items that end alike keep their exit status, different ones are a partial failure") {
  CHECK(combine_exit_codes(0, 3, true) == 3);
  CHECK(combine_exit_codes(3, 3, false) == 3);
  CHECK(combine_exit_codes(0, 3, false) == 1);
  CHECK(combine_exit_codes(3, 0, false) == 1);
}

TEST_CASE("a problem is told by title and detail and a line for each field, with control bytes escaped") {
  HttpResponse response;
  response.status = 422;
  response.body =
      R"({"title":"Invalid event","detail":"see \u001b[2J","errors":[{"pointer":"/type","detail":"is missing"},{"pointer":"/ttl","detail":"bad"}]})";
  const Failure failure = failure_of(response);
  CHECK(failure.exit_code == 4);
  CHECK(std::string(failure.what()) == "Invalid event: see \\x1b[2J\n  /type: is missing\n  /ttl: bad");
}

TEST_CASE("an answer that is no problem still tells its status") {
  HttpResponse response;
  response.status = 502;
  response.body = "<html>\x1b]0;x";
  const Failure failure = failure_of(response);
  CHECK(failure.exit_code == 1);
  CHECK(std::string(failure.what()) == "outboxd answered HTTP 502: <html>\\x1b]0;x");
}

TEST_CASE("query values are percent-encoded") {
  CHECK(Path("/v1/events").with("tenant", "a b&c=é").with("limit", "5").text() ==
        "/v1/events?tenant=a%20b%26c%3D%C3%A9&limit=5");
}

TEST_CASE("a share of failures is read strictly") {
  CHECK(parse_fail_share("503") == FailShare{503, 100});
  CHECK(parse_fail_share("503:30%") == FailShare{503, 30});
  CHECK(parse_fail_share("500:0%") == FailShare{500, 0});
  for (const char* bad : {"", "abc", "503:", "503:30", "503:101%", "503:-1%", "99", "100", "600", "503:%",
                          "503 :30%", "503:30%%"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_fail_share(bad).has_value());
  }
}

TEST_CASE("a failing type is read strictly") {
  CHECK(parse_fail_type("order.bad:500") == FailType{"order.bad", 500});
  CHECK(parse_fail_type("order.*") == FailType{"order.*", 500});
  for (const char* bad : {"", ":500", "order.bad:", "order.bad:99", "order bad:500", "order.bad:500:1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_fail_type(bad).has_value());
  }
}

TEST_CASE("a share of 30% fails exactly 3 of every 10 requests, and a failing type always fails") {
  FailPlan plan({{503, 30}}, {{"order.bad", 500}});
  for (int round = 0; round < 3; ++round) {
    int failed = 0;
    for (int i = 0; i < 10; ++i) failed += plan.next("order.paid") == 503;
    CHECK(failed == 3);
    CHECK(plan.next("order.bad") == 500);
  }
  CHECK(FailPlan({}, {}).next("order.paid") == std::nullopt);
  CHECK(FailPlan({{410, 100}}, {}).next("x") == 410);
}

TEST_CASE("the payload is spliced into the event byte for byte") {
  EventFields fields;
  fields.type = "order.paid";
  fields.data = " {\"z\":1.10, \"a\":12345678901234567890,\"z\":\"h\u00fc\\u00fc\"}\n";
  fields.tenant = "t\"1";
  fields.priority = 9;
  fields.headers = {{"X-Shop", "Zürich"}};
  CHECK(event_body(fields) ==
        "{\"type\":\"order.paid\",\"payload\":{\"z\":1.10, "
        "\"a\":12345678901234567890,\"z\":\"h\u00fc\\u00fc\"},"
        "\"tenant\":\"t\\\"1\",\"priority\":9,\"headers\":{\"X-Shop\":\"Zürich\"}}");
}

TEST_CASE("a payload that is not JSON needs a content type and goes as base64") {
  EventFields fields;
  fields.type = "a";
  fields.data = std::string("a\0\xff\n", 4);
  CHECK_THROWS_AS(event_body(fields), Failure);
  fields.content_type = "application/vnd.x+json; charset=utf-8";
  CHECK_THROWS_AS(event_body(fields), Failure);
  fields.content_type = "text/plain";
  CHECK(event_body(fields) == "{\"type\":\"a\",\"payload_base64\":\"" + base64_encode(fields.data) +
                                  "\",\"content_type\":\"text/plain\"}");
}

TEST_CASE("JSON bytes with another content type are not read as JSON") {
  EventFields fields;
  fields.type = "a";
  fields.data = "{} ";
  fields.content_type = "text/plain";
  CHECK(event_body(fields).find("\"payload_base64\":\"e30g\"") != std::string::npos);
}

TEST_CASE("a batch file is cut into requests of 1,000 events, and errors name the line") {
  std::string file = "\n";
  for (int i = 0; i < 1500; ++i) file += "{\"type\":\"a\",\"payload\":" + std::to_string(i) + "}\n";
  file += "{\"last\":1}";  // no newline at the end
  std::istringstream in(file);
  BatchReader reader(in);
  const BatchChunk first = reader.next();
  const BatchChunk second = reader.next();
  CHECK(first.lines.size() == 1000);
  CHECK(first.lines.front() == 2);
  CHECK(second.lines.size() == 501);
  CHECK(second.lines.back() == 1502);
  CHECK(second.body.ends_with("{\"last\":1}\n"));
  CHECK(reader.next().lines.empty());
  CHECK(at_line("/0/type", second) == "line 1002: /type");
  CHECK(at_line("/3", first) == "line 5");
  CHECK(at_line("/9999/type", first) == "/9999/type");
  CHECK(at_line("Idempotency-Key", first) == "Idempotency-Key");
}

TEST_CASE("a batch request stays below the daemon's size limit, and no event is lost at the cut") {
  const std::string line(5u << 20, 'x');
  std::istringstream in(line + "\n" + line + "\n" + line + "\n");
  BatchReader reader(in);
  CHECK(reader.next().lines == std::vector<std::size_t>{1, 2});
  CHECK(reader.next().lines == std::vector<std::size_t>{3});
  CHECK(reader.next().lines.empty());
}

TEST_CASE("a daemon is unhealthy when deliveries are late or an endpoint is disabled") {
  Json status = {
      {"oldest_due_age_seconds", nullptr}, {"endpoints", {{"disabled", 0}}}, {"deliveries", {{"dead", 7}}}};
  CHECK_FALSE(why_unhealthy(status).has_value());
  status["oldest_due_age_seconds"] = 61.5;
  CHECK(why_unhealthy(status).value() == "the oldest due delivery waits since 1m");
  status["oldest_due_age_seconds"] = 0.2;
  status["endpoints"]["disabled"] = 2;
  CHECK(why_unhealthy(status).value() == "2 endpoints are disabled");
  CHECK_FALSE(why_unhealthy(Json::array()).has_value());
}

TEST_CASE("ages and times become RFC 3339") {
  const Time now = *parse_time("2026-11-23T15:00:00Z");
  CHECK(to_rfc3339("1h", now) == "2026-11-23T14:00:00.000Z");
  CHECK(to_rfc3339("2026-01-01T00:00:00+01:00", now) == "2025-12-31T23:00:00.000Z");
}

TEST_CASE("lists and headers are split without their spaces") {
  CHECK(split_list("a, b,c") == std::vector<std::string>{"a", "b", "c"});
  CHECK(split_list("") == std::vector<std::string>{""});
  CHECK(split_header("X-A:  b:c ") == HeaderField{"X-A", "b:c"});
}

TEST_CASE("an id may be cut, but not to less than 8 of its digits") {
  CHECK(begins_id("evt_019b76da", "evt_"));
  CHECK(begins_id("evt_" + std::string(32, '0'), "evt_"));
  for (const std::string& other :
       {std::string("evt_019b76d"), "evt_" + std::string(33, '0'), std::string("evt_019B76DA"),
        std::string("dlv_019b76da"), std::string("evt_"), std::string("019b76da")})
    CHECK_FALSE(begins_id(other, "evt_"));
}

TEST_CASE("the beginning of an id is a span of time") {
  const IdSpan minute = span_of_ids("019b76da"), moment = span_of_ids("019b76daac7371ebbb5c44ee28b22dea");
  CHECK(minute.last - minute.first == Millis(0xffff));
  CHECK(minute.first == from_unix_millis(0x019b76da0000));
  CHECK(moment.first == moment.last);
  CHECK(moment.first == from_unix_millis(0x019b76daac73));
}
