#include "ingest/outbox_row.h"

#include <doctest/doctest.h>

using namespace outboxd;

namespace {

OutboxRow row(const std::string& payload) {
  OutboxRow r;
  r.row = 1;
  r.type = "order.paid";
  r.payload = payload;
  return r;
}

}  // namespace

TEST_CASE("a row's payload keeps its bytes, numbers beyond a double included") {
  for (const char* payload :
       {R"({"n": 1.10})", "1e400", "12345678901234567890", " [1 , 2] ", "\r\n\t{}\n", "7\n"}) {
    CAPTURE(payload);
    for (const char* type : {"", "application/json", "application/vnd.x+json; v=1", "text/plain"}) {
      OutboxRow r = row(payload);
      if (*type != '\0') r.content_type = type;
      const auto draft = draft_from_row(r, {});
      REQUIRE(draft);
      CHECK(draft->event.payload == payload);
    }
  }
}

TEST_CASE("a payload that would close its own member and open others is refused") {
  for (const char* payload : {R"(1,"priority":9)", R"(1}, {"type":"x")", "", "{", "nonsense"}) {
    for (const char* type : {"", "application/json", "APPLICATION/ld+JSON ; a=b"}) {
      OutboxRow r = row(payload);
      if (*type != '\0') r.content_type = type;
      const auto draft = draft_from_row(r, {});
      REQUIRE_FALSE(draft);
      CHECK(draft.error().errors.at(0).pointer == "/payload");
    }
    OutboxRow bytes = row(payload);
    bytes.content_type = "text/plain";
    CHECK(draft_from_row(bytes, {})->event.payload == payload);
  }
}

TEST_CASE("text that is not UTF-8 is refused: as JSON two keys would become one") {
  for (auto column : {&OutboxRow::tenant, &OutboxRow::content_type, &OutboxRow::ordering_key,
                      &OutboxRow::idempotency_key}) {
    OutboxRow r = row("1");
    r.*column = "k\xff";
    const auto draft = draft_from_row(std::move(r), {});
    REQUIRE_FALSE(draft);
    CHECK(draft.error().errors.at(0).detail == "is not UTF-8");
  }
}

TEST_CASE("columns become the event's fields, and unix milliseconds a time") {
  OutboxRow r = row("1");
  r.tenant = "acme";
  r.deliver_at = "1785000000000";
  r.headers = R"({"x-shop": "7"})";
  r.priority = 9;
  r.traceparent = "nonsense";
  const auto draft = draft_from_row(r, {});
  REQUIRE(draft);
  CHECK(draft->event.tenant == "acme");
  CHECK(draft->event.deliver_at == from_unix_millis(1'785'000'000'000));
  CHECK(draft->event.headers == std::vector<HeaderField>{{"x-shop", "7"}});
  CHECK(draft->event.priority == 9);
  CHECK_FALSE(draft->event.traceparent);
}

TEST_CASE("SQLite's own form of a time is UTC; RFC 3339 may have the space as well") {
  const auto time = [](const char* text) {
    OutboxRow r = row("1");
    r.deliver_at = text;
    const auto draft = draft_from_row(std::move(r), {});
    return draft ? draft->event.deliver_at : std::nullopt;
  };
  const auto expected = parse_time("2026-11-28T15:21:00Z");
  for (const char* text : {"2026-11-28 15:21:00", "2026-11-28 15:21:00.000", "2026-11-28 16:21:00+01:00",
                           "2026-11-28 15:21:00Z", "2026-11-28T15:21:00Z", "2026-11-28t15:21:00z"})
    CHECK(time(text) == expected);
  CHECK(time("2026-11-28 15:21:00.25") == parse_time("2026-11-28T15:21:00.25Z"));
  for (const char* text :
       {"2026-11-28T15:21:00", "2026-11-28", "2026-11-28 15:21", "2026-02-30 15:21:00", ""})
    CHECK_FALSE(time(text));
}

TEST_CASE("a row is as large as its bytes, not as their base64") {
  OutboxRow r = row(std::string(900, 'x'));
  r.content_type = "text/plain";
  CHECK(draft_from_row(r, {.event_bytes = 1000, .batch_events = 1}));
  r.payload.append(100, 'x');
  const auto refused = draft_from_row(r, {.event_bytes = 1000, .batch_events = 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ProblemCode::kTooLarge);
  CHECK(rejection(refused.error()).starts_with("payload: is too large"));
}

TEST_CASE("a rejection speaks of columns") {
  OutboxRow r = row("1");
  r.tenant = "no tenant!";
  r.headers = R"({"host":"x"})";
  const std::string reason = rejection(draft_from_row(std::move(r), {}).error());
  CHECK(reason.find("tenant: must be") != std::string::npos);
  CHECK(reason.find("headers: ") != std::string::npos);
  CHECK(reason.find("see errors") == std::string::npos);
  CHECK(reason.find('/') == std::string::npos);
  const Problem conflict{
      ProblemCode::kIdempotencyConflict, "was used before", {{"/1", "same idempotency key, other content"}}};
  CHECK(rejection(conflict) == "idempotency_key: was used before");
}
