// Event types: those that were seen, those that are accepted, and events that nobody wants.
#include <doctest/doctest.h>

#include "api_resources/api.h"

using namespace outboxd;
using namespace outboxd::test;
using Pointers = std::vector<std::string>;

namespace {

std::string event_of(const std::string& type, const std::string& tenant = "") {
  return R"({"type":")" + type + R"(","tenant":")" + tenant + R"(","payload":1})";
}

}  // namespace

TEST_CASE("types are listed with their events, the last time, and how many endpoints want them now") {
  Api api;
  api.add_endpoint(R"(,"types":["order.*"])");
  api.add_endpoint(R"(,"types":["order.**"])");
  api.add_endpoint(R"(,"types":["**"],"tenant":"acme")");
  api.call("POST", "/v1/events", event_of("order.paid"));
  api.call("POST", "/v1/events", event_of("ordr.paid"));
  api.clock.advance(Millis(5000));
  const std::string last = format_time(api.clock.wall());
  api.call("POST", "/v1/events", event_of("order.paid"));
  api.call("POST", "/v1/events", event_of("user.made", "acme"));
  for (const bool counted : {false, true}) {
    if (counted) api.commit(CountTypes{});
    const Sent types = api.call("GET", "/v1/types");
    REQUIRE(types.status == 200);
    const Json& data = types.json["data"];
    REQUIRE(data.size() == 3);
    CHECK(data[0] ==
          Json{{"tenant", ""}, {"type", "order.paid"}, {"events", 2}, {"last_at", last}, {"endpoints", 2}});
    CHECK(data[1]["type"] == "ordr.paid");
    CHECK(data[1]["endpoints"] == 0);
    CHECK(data[2]["tenant"] == "acme");
    CHECK(data[2]["endpoints"] == 1);
    CHECK(types.json["next_cursor"].is_null());
  }
  const Sent first = api.call("GET", "/v1/types?limit=2");
  CHECK(first.json["data"].size() == 2);
  const Sent rest =
      api.call("GET", "/v1/types?limit=2&cursor=" + first.json["next_cursor"].get<std::string>());
  REQUIRE(rest.json["data"].size() == 1);
  CHECK(rest.json["data"][0]["type"] == "user.made");
  CHECK(api.call("GET", "/v1/types?tenant=acme").json["data"].size() == 1);
  CHECK(api.call("GET", "/v1/types?cursor=e1").status == 422);
  CHECK(api.call("GET", "/v1/types?type=a").status == 422);
}

TEST_CASE("a caller of one tenant sees that tenant's types alone") {
  Api api;
  api.call("POST", "/v1/events", event_of("order.paid"));
  api.call("POST", "/v1/events", event_of("user.made", "acme"));
  api.scope = api::Scope::kView;
  api.tenant = "acme";
  const Sent own = api.call("GET", "/v1/types");
  REQUIRE(own.json["data"].size() == 1);
  CHECK(own.json["data"][0]["type"] == "user.made");
  CHECK(api.call("GET", "/v1/types?tenant=other").status == 403);
}

TEST_CASE("a type that is not accepted is refused with the nearest that is, in a batch with its index") {
  Api api;
  api.ingest.set_event_types({"order.paid", "order.sent", "user.*"});
  const Sent one = api.call("POST", "/v1/events", event_of("ordr.paid"));
  CHECK(one.status == 422);
  CHECK(one.problem() == "invalid-event");
  CHECK(one.pointers() == Pointers{"/type"});
  CHECK(one.json["errors"][0]["detail"] ==
        R"("ordr.paid" is none of [ingest] event_types; did you mean "order.paid"?)");
  const Sent batch =
      api.call("POST", "/v1/events", "[" + event_of("order.sent") + "," + event_of("user") + "]");
  CHECK(batch.status == 422);
  CHECK(batch.pointers() == Pointers{"/1/type"});
  CHECK(api.call("GET", "/v1/events").json["data"].empty());
  for (const char* accepted : {"order.paid", "user.made", "outboxd.test"})
    CHECK(api.call("POST", "/v1/events", event_of(accepted)).status == 202);
  CHECK(api.call("POST", "/v1/events", event_of("user.made.twice")).status == 422);
  api.ingest.set_event_types({});
  CHECK(api.call("POST", "/v1/events", event_of("ordr.paid")).status == 202);
}

TEST_CASE("a refused type does not hide what else is wrong, and what came is said of that") {
  Api api;
  api.ingest.set_event_types({"order.paid"});
  const Sent refused = api.call("POST", "/v1/events", R"({"type":"x.y","payload":1,"priority":11})");
  CHECK(refused.pointers() == Pointers{"/type", "/priority"});
  CHECK(refused.json["errors"][1]["detail"] == "must be a whole number from 0 to 9; got 11");
}

TEST_CASE("events that matched no endpoint are listed and counted, until a replay finds one") {
  Api api;
  const std::string lost = api.call("POST", "/v1/events", event_of("ordr.paid")).json["id"];
  api.add_endpoint();
  api.call("POST", "/v1/events", event_of("order.paid"));
  const Sent unmatched = api.call("GET", "/v1/events?unmatched=true");
  REQUIRE(unmatched.json["data"].size() == 1);
  CHECK(unmatched.json["data"][0]["id"] == lost);
  CHECK(api.call("GET", "/v1/events?unmatched=false").json["data"].size() == 2);
  CHECK(api.call("GET", "/v1/events?unmatched=maybe").status == 422);
  CHECK(api.call("GET", "/v1/events?unmatched=true&rejected=true").status == 422);
  CHECK(api.metrics.render().find("outbox_events_unmatched_total 1") != std::string::npos);
  CHECK(api.call("POST", "/v1/events/" + lost + "/replay").status == 202);
  CHECK(api.call("GET", "/v1/events?unmatched=true").json["data"].empty());
}

TEST_CASE("types that no endpoint wants are listed alone, over as many pages as it takes") {
  Api api;
  api.add_endpoint(R"(,"types":["order.*"])");
  for (const char* type : {"a.lost", "order.a", "order.b", "order.c", "order.d", "order.e", "z.lost"})
    api.call("POST", "/v1/events", event_of(type));
  const auto all = api.call("GET", "/v1/types?unmatched=true").json;
  REQUIRE(all["data"].size() == 2);
  CHECK(all["data"][0]["type"] == "a.lost");
  CHECK(all["data"][1]["type"] == "z.lost");
  CHECK(all["next_cursor"].is_null());
  std::vector<std::string> found;
  std::string cursor;
  for (int pages = 0; pages < 20; ++pages) {
    const auto page = api.call("GET", "/v1/types?unmatched=true&limit=1&cursor=" + cursor).json;
    REQUIRE(page["data"].size() <= 1);
    for (const auto& row : page["data"]) found.push_back(row["type"]);
    if (page["next_cursor"].is_null()) break;
    cursor = page["next_cursor"];
  }
  CHECK(found == std::vector<std::string>{"a.lost", "z.lost"});
  CHECK(api.call("GET", "/v1/types?unmatched=perhaps").pointers() == Pointers{"unmatched"});
}
