#include <doctest/doctest.h>

#include <vector>

#include "api_resources/api.h"
#include "support/outcomes.h"

using namespace outboxd;
using namespace outboxd::test;

namespace {

OutcomeRecorded failed_attempt(const EndpointId& endpoint, int number, Time at) {
  Attempt attempt;
  attempt.number = number;
  attempt.started_at = at;
  attempt.timings.total = Millis(30);
  attempt.outcome = Outcome::kHttp5xx;
  attempt.status = 503;
  attempt.error = "HTTP 503";
  return outcome_recorded(endpoint, std::move(attempt),
                          {.state = DeliveryState::kPending, .reason = {}, .due_at = at + Millis(5000)},
                          at + Millis(31));
}

// A stream of server-sent events, read piece by piece.
struct Streamed {
  int status = 0;
  std::string content_type, text;  // with the answer's own bytes first
  std::shared_ptr<api::AnswerStream> stream;
  std::string more() { return stream->next(); }
};

Streamed stream(Api& api, const std::string& query = "", Api::Headers headers = {}) {
  const auto exchange = api.begin("GET", "/v1/attempts/stream" + query, "", std::move(headers));
  const api::Answer answer = exchange->wait();
  return {answer.status, answer.content_type, answer.body, answer.stream};
}

// The data of the events of one kind.
std::vector<Json> events(const std::string& text, const std::string& name) {
  const std::string begin = "event: " + name + "\ndata: ";
  std::vector<Json> found;
  for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1)) {
    const auto from = at + begin.size();
    found.push_back(Json::parse(text.substr(from, text.find("\n\n", from) - from)));
  }
  return found;
}

std::string last_id(const std::string& text) {
  const auto at = text.rfind("id: ");
  return at == std::string::npos ? "" : text.substr(at + 4, text.find('\n', at) - at - 4);
}

}  // namespace

TEST_CASE("attempts are followed from a cursor, with their own times, and nothing is silent about a gap") {
  Api api;
  const EndpointId shop{api.ids.next()}, other{api.ids.next()};
  const Time now = api.clock.wall();
  for (int i = 1; i <= 3; ++i) api.attempts.hear(failed_attempt(i == 2 ? other : shop, i, now));
  const auto start = api.call("GET", "/v1/attempts?limit=1");
  REQUIRE(start.json["data"].size() == 1);
  const Json& row = start.json["data"][0];
  CHECK(row["number"] == 3);
  CHECK(row["started_at"] == format_time(now));
  CHECK(row["recorded_at"] == format_time(now + Millis(31)));
  CHECK(row["total_ms"] == 30);
  CHECK(row["outcome"] == "http_5xx");
  CHECK(row["status"] == 503);
  CHECK(row["state"] == "pending");
  CHECK(row["due_at"] == format_time(now + Millis(5000)));
  CHECK(row["endpoint"] == shop.to_string());

  const std::string from = start.json["next_cursor"];
  CHECK(api.call("GET", "/v1/attempts?cursor=" + from).json ==
        Json{{"data", Json::array()}, {"next_cursor", from}, {"dropped", 0}});
  for (int i = 4; i <= 6; ++i) api.attempts.hear(failed_attempt(i == 5 ? other : shop, i, now));
  const auto more =
      api.call("GET", "/v1/attempts?endpoint=" + other.to_string() + "&failed=true&cursor=" + from);
  REQUIRE(more.json["data"].size() == 1);
  CHECK(more.json["data"][0]["number"] == 5);

  for (std::size_t i = 0; i < api::AttemptFeed::kDefaultKept; ++i)
    api.attempts.hear(failed_attempt(shop, 7, now));
  CHECK(api.call("GET", "/v1/attempts?cursor=" + from).json["dropped"] == 3);
}

TEST_CASE("a cursor of the daemon's earlier life says that what was missed is not known") {
  Api api;
  const std::string from = api.call("GET", "/v1/attempts").json["next_cursor"];
  api.context.started_at += Millis(1);
  api.attempts.hear(failed_attempt(EndpointId{api.ids.next()}, 1, api.clock.wall()));
  const auto answer = api.call("GET", "/v1/attempts?cursor=" + from);
  CHECK(answer.json["dropped"].is_null());
  CHECK(answer.json["data"].size() == 1);
  CHECK(api.call("GET", "/v1/attempts?cursor=d1-2").status == 422);
  CHECK(api.call("GET", "/v1/attempts?cursor=a1").status == 422);
  CHECK(api.call("GET", "/v1/attempts?endpoint=x").status == 422);
}

TEST_CASE("a stream begins now or with the last ones, and has each attempt once") {
  Api api;
  const EndpointId shop{api.ids.next()}, other{api.ids.next()};
  const Time now = api.clock.wall();
  for (int i = 1; i <= 3; ++i) api.attempts.hear(failed_attempt(shop, i, now));
  Streamed quiet = stream(api), with_last = stream(api, "?last=2");
  CHECK(quiet.status == 200);
  CHECK(quiet.content_type == "text/event-stream");
  CHECK(quiet.text.starts_with("retry: 1000\n\n"));
  CHECK(events(quiet.text, "attempt").empty());
  REQUIRE(events(with_last.text, "attempt").size() == 2);
  CHECK(events(with_last.text, "attempt")[0]["number"] == 2);
  CHECK(quiet.more().empty());
  api.attempts.hear(failed_attempt(other, 4, now));
  const std::string more = quiet.more();
  const auto shown = events(more, "attempt");
  REQUIRE(shown.size() == 1);
  CHECK(shown[0] == api.call("GET", "/v1/attempts?limit=1").json["data"][0]);
  CHECK(last_id(more) == api.call("GET", "/v1/attempts?limit=1").json["next_cursor"]);
  CHECK(quiet.more().empty());
  CHECK(events(with_last.more(), "attempt").size() == 1);
}

TEST_CASE("a stream is of one endpoint, of failures, of a tenant or a type, as it is asked") {
  Api api;
  const std::string shop = api.add_endpoint(R"(,"name":"shop")");
  const EndpointId id = EndpointId::parse(shop).value(), other{api.ids.next()};
  std::vector<Streamed> wanted, unwanted;
  for (const auto* query : {"?endpoint=shop", "?endpoint=shop&failed=true", "?type=order.*", "?tenant="})
    wanted.push_back(stream(api, query));
  for (const auto* query : {"?type=invoice.*", "?tenant=acme"}) unwanted.push_back(stream(api, query));
  unwanted.push_back(stream(api, "?endpoint=" + other.to_string()));
  api.attempts.hear(failed_attempt(id, 7, api.clock.wall()));
  for (Streamed& one : wanted) CHECK(events(one.more(), "attempt").size() == 1);
  for (Streamed& one : unwanted) CHECK(one.more().empty());
  for (const auto* bad :
       {"?endpoint=nobody", "?failed=7", "?type=a..b", "?last=251", "?cursor=x", "?limit=3"})
    CHECK(stream(api, bad).status == 422);
  CHECK(stream(api, "", {{"Last-Event-ID", "x"}}).status == 422);
}

TEST_CASE("a reader that was too slow is told how many were dropped for it, and goes on") {
  Api api;
  const EndpointId shop{api.ids.next()};
  Streamed slow = stream(api);
  for (std::size_t i = 0; i < api::AttemptFeed::kDefaultKept + 5; ++i)
    api.attempts.hear(failed_attempt(shop, 1, api.clock.wall()));
  const std::string text = slow.more();
  REQUIRE(events(text, "dropped").size() == 1);
  CHECK(events(text, "dropped")[0]["dropped"] == 5);
  CHECK(text.size() < 100'000);
  std::size_t shown = events(text, "attempt").size();
  for (std::string more = slow.more(); !more.empty(); more = slow.more()) {
    CHECK(events(more, "dropped").empty());
    shown += events(more, "attempt").size();
  }
  CHECK(shown == api::AttemptFeed::kDefaultKept);
}

TEST_CASE("who comes back goes on behind what it has seen; after a restart it is told that nobody knows") {
  Api api;
  const EndpointId shop{api.ids.next()};
  for (int i = 1; i <= 2; ++i) api.attempts.hear(failed_attempt(shop, i, api.clock.wall()));
  const std::string seen = last_id(stream(api).text);
  for (int i = 3; i <= 4; ++i) api.attempts.hear(failed_attempt(shop, i, api.clock.wall()));
  Streamed again = stream(api, "?last=10", {{"Last-Event-ID", seen}});
  CHECK(events(again.text, "attempt").empty());
  const auto missed = events(again.more(), "attempt");
  REQUIRE(missed.size() == 2);
  CHECK(missed[0]["number"] == 3);
  CHECK(events(stream(api, "?cursor=" + seen).more(), "attempt").size() == 2);
  api.context.started_at += Millis(1);
  Streamed restarted = stream(api, "", {{"Last-Event-ID", seen}});
  REQUIRE(events(restarted.text, "dropped").size() == 1);
  CHECK(events(restarted.text, "dropped")[0]["dropped"].is_null());
  CHECK(events(restarted.more(), "attempt").size() == 4);
}

TEST_CASE("a quiet stream shows that it lives, and where it is") {
  Api api;
  const EndpointId shop{api.ids.next()};
  Streamed failures = stream(api, "?endpoint=" + EndpointId{api.ids.next()}.to_string());
  api.attempts.hear(failed_attempt(shop, 1, api.clock.wall()));
  api.clock.advance(Millis(14'999));
  CHECK(failures.more().empty());
  api.clock.advance(Millis(1));
  const std::string alive = failures.more();
  CHECK(alive.starts_with(":"));
  CHECK(events(alive, "attempt").empty());
  CHECK(last_id(alive) == api.call("GET", "/v1/attempts").json["next_cursor"]);
  CHECK(failures.more().empty());
}

TEST_CASE("beyond sixteen streams the next one is refused until one has ended") {
  Api api;
  std::vector<Streamed> streams;
  streams.reserve(api::AttemptFeed::kMaxFollowers);
  for (int i = 0; i < api::AttemptFeed::kMaxFollowers; ++i) streams.push_back(stream(api));
  CHECK(streams.back().status == 200);
  const Sent refused = api.call("GET", "/v1/attempts/stream");
  CHECK(refused.status == 503);
  CHECK(refused.header("retry-after") == "1");
  CHECK(api.call("GET", "/v1/attempts").status == 200);
  streams.pop_back();
  CHECK(stream(api).status == 200);
}
