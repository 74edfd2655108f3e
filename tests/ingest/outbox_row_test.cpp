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
  for (const char* payload : {R"({"n": 1.10})", "1e400", "12345678901234567890", " [1 , 2] "}) {
    const auto draft = draft_from_row(row(payload), {});
    REQUIRE(draft);
    CHECK(draft->event.payload.find_first_not_of(' ') != std::string::npos);
    CHECK(std::string(payload).find(draft->event.payload) != std::string::npos);
  }
}

TEST_CASE("a payload that would close its own member and open others is refused") {
  for (const char* payload : {R"(1,"priority":9)", R"(1}, {"type":"x")", "", "{", "nonsense"}) {
    const auto draft = draft_from_row(row(payload), {});
    REQUIRE_FALSE(draft);
    CHECK(draft.error().errors.at(0).pointer == "/payload");
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
